"""Flask-DebugToolbar as its documentation uses it; runs on Flask and on Carboy."""

from __future__ import annotations

import logging

import pytest
from flask import Blueprint, Flask, abort, g, jsonify, redirect, render_template_string
from flask.views import MethodView
from flask_debugtoolbar import DebugToolbarExtension
from flask_sqlalchemy import SQLAlchemy

PAGE = "<!doctype html><html><body><h1>{{ title }}</h1></body></html>"


def make_app(**settings):
    app = Flask("scenario")
    app.debug = True
    app.config.update(SECRET_KEY="scenario", SQLALCHEMY_DATABASE_URI="sqlite://", **settings)
    DebugToolbarExtension(app)
    db = SQLAlchemy(app)

    class Thing(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String)

    with app.app_context():
        db.create_all()

    @app.route("/", methods=["GET", "POST"])
    def index():
        return render_template_string(PAGE, title="front page")

    @app.get("/things")
    def things():
        db.session.add(Thing(name="one"))
        db.session.commit()
        found = db.session.execute(db.select(Thing)).scalars().all()
        return render_template_string(PAGE, title=f"{len(found)} things")

    @app.get("/log")
    def log():
        logging.getLogger("scenario").warning("written to the log")
        g.remembered = "a value on g"
        return render_template_string(PAGE, title="log")

    @app.get("/json")
    def json():
        return jsonify(a=1)

    @app.get("/away")
    def away():
        return redirect("/")

    @app.get("/missing")
    def missing():
        abort(404)

    @app.errorhandler(404)
    def not_found(error):
        return render_template_string(PAGE, title="not here"), 404

    @app.get("/item/<int:number>")
    def item(number):
        return render_template_string(PAGE, title=f"item {number}")

    class Method(MethodView):
        def get(self):
            return render_template_string(PAGE, title="from a class")

    app.add_url_rule("/class", view_func=Method.as_view("class"))
    blueprint = Blueprint("part", __name__, url_prefix="/part")

    @blueprint.get("/")
    def part():
        return render_template_string(PAGE, title="from a blueprint")

    app.register_blueprint(blueprint)
    return app


@pytest.fixture
def client():
    return make_app().test_client()


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/", "front page"),
        ("/item/7", "item 7"),
        ("/class", "from a class"),
        ("/part/", "from a blueprint"),
    ],
)
def test_the_toolbar_stands_in_each_page(client, path, title):
    response = client.get(path)
    assert f"<h1>{title}</h1>" in response.text
    assert 'id="flDebug"' in response.text
    assert response.content_length == len(response.data)


def test_the_toolbar_stands_in_error_pages(client):
    for path in ("/missing", "/no-such-page"):
        response = client.get(path)
        assert response.status_code == 404
        assert "not here" in response.text and 'id="flDebug"' in response.text


def test_json_is_left_alone(client):
    assert client.get("/json").json == {"a": 1}


def test_a_redirect_is_intercepted(client):
    response = client.get("/away")
    assert response.status_code == 200 and "Location" not in response.headers
    assert 'href="/"' in response.text


def test_a_redirect_can_be_let_through():
    client = make_app(DEBUG_TB_INTERCEPT_REDIRECTS=False).test_client()
    assert client.get("/away").status_code == 302


def test_options_and_wrong_methods_are_answered(client):
    assert set(client.options("/").headers["Allow"].split(", ")) >= {"GET", "OPTIONS", "POST"}
    assert client.delete("/").status_code == 405


PANELS = (
    "Version Timer Header RequestVars ConfigVars Template SQLAlchemy Logging RouteList Profiler g"
)


@pytest.mark.parametrize("panel", PANELS.split())
def test_each_panel_is_there(client, panel):
    assert f'id="flDebug{panel}Panel"' in client.get("/").text


def test_the_version_panel_names_flask(client):
    assert "Flask" in client.get("/").text and "3.1.3" in client.get("/").text


def test_the_request_panel_shows_view_arguments_query_and_form(client):
    text = client.get("/item/42?colour=green").text
    assert "number" in text and "42" in text and "green" in text
    assert "posted value" in client.post("/", data={"field": "posted value"}).text


def test_the_template_panel_shows_the_context(client):
    assert "title" in client.get("/").text


def test_the_logging_and_g_panels_show_what_was_written(client):
    text = client.get("/log").text
    assert "written to the log" in text
    assert "a value on g" in text


def test_the_sqlalchemy_panel_shows_the_queries(client):
    assert "SELECT" in client.get("/things").text


def test_the_route_list_shows_each_rule(client):
    text = client.get("/").text
    assert "/part/" in text and "&lt;int:number&gt;" in text


def test_its_static_files_are_served(client):
    response = client.get("/_debug_toolbar/static/js/toolbar.js")
    assert response.status_code == 200
    assert response.mimetype in ("text/javascript", "application/javascript")


def test_the_profiler_wraps_the_view(client):
    client.set_cookie("fldt_active", "ProfilerDebugPanel")
    client.set_cookie("flDebugProfilerDebugPanel", "active")
    assert "front page" in client.get("/").text


def test_it_stays_away_without_debug_mode():
    app = Flask("scenario")
    app.config["SECRET_KEY"] = "scenario"
    DebugToolbarExtension(app)
    app.add_url_rule("/", view_func=lambda: render_template_string(PAGE, title="plain"))
    text = app.test_client().get("/").text
    assert "plain" in text and "flDebug" not in text


def test_it_wants_a_secret_key():
    app = Flask("scenario")
    app.debug = True
    with pytest.raises(RuntimeError, match="SECRET_KEY"):
        DebugToolbarExtension(app)


def test_hosts_that_may_not_see_it_do_not():
    client = make_app(DEBUG_TB_HOSTS=("10.0.0.1",)).test_client()
    assert "flDebug" not in client.get("/").text
    seen = client.get("/", environ_overrides={"REMOTE_ADDR": "10.0.0.1"})
    assert 'id="flDebug"' in seen.text


def test_an_application_factory_may_attach_it():
    toolbar = DebugToolbarExtension()
    app = Flask("scenario")
    app.debug = True
    app.config["SECRET_KEY"] = "scenario"
    toolbar.init_app(app)
    app.add_url_rule("/", view_func=lambda: render_template_string(PAGE, title="made"))
    assert 'id="flDebug"' in app.test_client().get("/").text


def test_its_dispatch_stands_on_the_application(client):
    assert client.application.dispatch_request.__self__.__class__ is DebugToolbarExtension
