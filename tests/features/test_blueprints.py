"""Blueprints: registration, prefixes, folders, hooks and handlers of their own, nesting."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from carboy import (
    Blueprint,
    Carboy,
    abort,
    g,
    redirect,
    render_template,
    request,
    url_for,
)


def blueprint(name: str = "bp", **options: Any) -> Blueprint:
    bp = Blueprint(name, __name__, **options)

    @bp.route("/page")
    def page() -> str:
        return f"{request.endpoint} {url_for('.page')}"

    return bp


def write(folder: pathlib.Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_registered_with_a_prefix(app: Carboy) -> None:
    """BP-01: register_blueprint(bp, url_prefix=) puts its routes under the prefix."""
    app.register_blueprint(blueprint(), url_prefix="/shop")
    client = app.test_client()
    assert client.get("/shop/page").text == "bp.page /shop/page"
    assert client.get("/page").status_code == 404
    assert list(app.blueprints) == ["bp"]
    assert app.blueprints["bp"].name == "bp"


def test_request_knows_its_blueprint(app: Carboy) -> None:
    """BP-01: request.blueprint and request.blueprints name the blueprint of the matched route."""
    bp = Blueprint("bp", __name__)
    bp.add_url_rule("/in", "view", lambda: f"{request.blueprint} {request.blueprints}")
    app.add_url_rule("/out", "view", lambda: f"{request.blueprint} {request.blueprints}")
    app.register_blueprint(bp)
    client = app.test_client()
    assert client.get("/in").text == "bp ['bp']"
    assert client.get("/out").text == "None []"


def test_constructor_prefix_is_overridden_at_registration(app: Carboy) -> None:
    """BP-02: the constructor's url_prefix holds unless registration gives another."""
    bp = blueprint(url_prefix="/v1")
    app.register_blueprint(bp)
    app.register_blueprint(bp, url_prefix="/v2", name="second")
    client = app.test_client()
    assert client.get("/v1/page").text == "bp.page /v1/page"
    assert client.get("/v2/page").text == "second.page /v2/page"


@pytest.mark.parametrize(
    ("prefix", "rule", "url"),
    [
        ("/a", "/", "/a/"),
        ("/a", "", "/a"),
        ("/a/", "/b", "/a/b"),
        ("/a/", "b", "/a/b"),
        ("", "/b", "/b"),
        ("/a", "b", "/a/b"),
        ("/<user>", "/b", "/ada/b"),
    ],
)
def test_prefix_and_rule_are_joined_by_one_slash(
    app: Carboy, prefix: str, rule: str, url: str
) -> None:
    """BP-01: slashes between prefix and rule are neither doubled nor lost."""
    bp = Blueprint("bp", __name__)
    bp.add_url_rule(rule, "view", lambda **values: "found")
    app.register_blueprint(bp, url_prefix=prefix)
    assert app.test_client().get(url).text == "found"


def test_url_defaults_of_a_registration(app: Carboy) -> None:
    """BP-01: url_defaults given at registration or construction reach the views."""
    bp = Blueprint("bp", __name__, url_defaults={"lang": "en", "kind": "c"})
    bp.add_url_rule("/x", "view", lambda lang, kind: f"{lang} {kind}")
    app.register_blueprint(bp, url_prefix="/one")
    app.register_blueprint(bp, url_prefix="/two", name="two", url_defaults={"lang": "de"})
    client = app.test_client()
    assert client.get("/one/x").text == "en c"
    assert client.get("/two/x").text == "de c"


def test_unregistered_blueprint_has_no_routes(app: Carboy) -> None:
    """BP-03: a blueprint that is not registered answers nothing."""
    blueprint()
    assert app.test_client().get("/page").status_code == 404
    assert app.blueprints == {}


def test_app_templates_win_over_blueprint_templates(app: Carboy, tmp_path: pathlib.Path) -> None:
    """BP-04: a blueprint's template_folder is searched after the application's."""
    write(tmp_path / "bp/views", "only.html", "bp only")
    write(tmp_path / "bp/views", "both.html", "bp both")
    write(tmp_path / "templates", "both.html", "app both")
    bp = Blueprint("bp", "bp_module", root_path=str(tmp_path / "bp"), template_folder="views")
    bp.add_url_rule("/<name>", "show", lambda name: render_template(name))
    app.register_blueprint(bp)
    client = app.test_client()
    assert client.get("/only.html").text == "bp only"
    assert client.get("/both.html").text == "app both"


def test_earlier_blueprints_templates_win_over_later_ones(
    app: Carboy, tmp_path: pathlib.Path
) -> None:
    """BP-04: between blueprints the order of registration decides."""
    for name in ("first", "second"):
        write(tmp_path / name / "t", "same.html", name)
        app.register_blueprint(
            Blueprint(name, name, root_path=str(tmp_path / name), template_folder="t")
        )
    with app.app_context():
        assert render_template("same.html") == "first"


def test_static_folder_of_a_blueprint(app: Carboy, tmp_path: pathlib.Path) -> None:
    """BP-05: static files are served under the prefix, url_for('blog.static') names them."""
    write(tmp_path / "blog/assets", "css/x.css", "body{}")
    bp = Blueprint("blog", "blog", root_path=str(tmp_path / "blog"), static_folder="assets")
    other = Blueprint(
        "other",
        "other",
        root_path=str(tmp_path / "blog"),
        static_folder="assets",
        static_url_path="/files",
    )
    app.register_blueprint(bp, url_prefix="/blog")
    app.register_blueprint(other)
    client = app.test_client()
    response = client.get("/blog/assets/css/x.css")
    assert (response.text, response.mimetype) == ("body{}", "text/css")
    response.close()
    response = client.get("/files/css/x.css")
    assert response.text == "body{}"
    response.close()
    with app.test_request_context():
        assert url_for("blog.static", filename="css/x.css") == "/blog/assets/css/x.css"
        assert url_for("other.static", filename="css/x.css") == "/files/css/x.css"
    assert client.get("/blog/assets/none.css").status_code == 404


def test_the_same_name_twice_is_refused(app: Carboy) -> None:
    """BP-06: two blueprints of one name are a ValueError; name= registers again."""
    bp = blueprint()
    app.register_blueprint(bp)
    with pytest.raises(ValueError, match="'bp' is already registered"):
        app.register_blueprint(bp, url_prefix="/again")
    with pytest.raises(ValueError, match="'bp' is already registered"):
        app.register_blueprint(blueprint(), url_prefix="/other")
    app.register_blueprint(bp, url_prefix="/again", name="again")
    assert app.test_client().get("/again/page").text == "again.page /again/page"


def test_dots_and_empty_names_are_refused() -> None:
    """BP-07: names with dots, empty names, endpoints and view names with dots are ValueErrors."""
    with pytest.raises(ValueError):
        Blueprint("", __name__)
    with pytest.raises(ValueError, match="dot"):
        Blueprint("a.b", __name__)
    bp = Blueprint("bp", __name__)
    with pytest.raises(ValueError, match="dot"):
        bp.add_url_rule("/", endpoint="a.b", view_func=lambda: "")

    def view() -> str:
        return ""

    view.__name__ = "bar.baz"
    with pytest.raises(ValueError, match="dot"):
        bp.add_url_rule("/", view_func=view)


def test_registered_on_a_subdomain(tmp_path: pathlib.Path) -> None:
    """BP-08: subdomain= answers only there, and url_for builds the host."""
    app = Carboy("sub", root_path=str(tmp_path), subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.test"
    bp = Blueprint("api", __name__)
    bp.add_url_rule("/x", "x", lambda: url_for(".x", _external=True))
    app.register_blueprint(bp, subdomain="api")
    second = Blueprint("second", __name__, subdomain="two")
    second.add_url_rule("/y", "y", lambda: "y")
    app.register_blueprint(second)
    client = app.test_client()
    assert client.get("/x", base_url="http://api.example.test").text == "http://api.example.test/x"
    assert client.get("/x", base_url="http://example.test").status_code == 404
    assert client.get("/y", base_url="http://two.example.test").text == "y"


def test_errorhandler_serves_its_own_routes_only(app: Carboy) -> None:
    """BP-09: a blueprint's handler handles errors of its views, not the application's."""
    bp = Blueprint("bp", __name__)

    @bp.errorhandler(403)
    def forbidden(error: Exception) -> tuple[str, int]:
        return "bp says no", 403

    @bp.errorhandler(ZeroDivisionError)
    def zero(error: Exception) -> tuple[str, int]:
        return "bp divided", 500

    bp.add_url_rule("/bp/403", "a", lambda: abort(403))
    bp.add_url_rule("/bp/zero", "b", lambda: str(1 / 0))
    app.add_url_rule("/app/403", "a", lambda: abort(403))
    app.add_url_rule("/app/zero", "b", lambda: str(1 / 0))
    app.register_blueprint(bp)
    client = app.test_client()
    assert client.get("/bp/403").text == "bp says no"
    assert client.get("/bp/zero").text == "bp divided"
    assert "bp says no" not in client.get("/app/403").text
    assert "bp divided" not in client.get("/app/zero").text


def test_blueprint_handler_does_not_see_routing_errors(app: Carboy) -> None:
    """BP-09: an unknown URL under the prefix is the application's 404, no blueprint matched."""
    bp = blueprint()

    @bp.errorhandler(404)
    def missing(error: Exception) -> tuple[str, int]:
        return "bp 404", 404

    bp.add_url_rule("/abort", "abort", lambda: abort(404))
    app.register_blueprint(bp, url_prefix="/bp")
    client = app.test_client()
    assert client.get("/bp/abort").text == "bp 404"
    assert client.get("/bp/unknown").text != "bp 404"


def test_app_errorhandler_serves_the_whole_app(app: Carboy) -> None:
    """BP-10: app_errorhandler of a blueprint handles the errors of all routes."""
    bp = Blueprint("bp", __name__)

    @bp.app_errorhandler(404)
    def missing(error: Exception) -> tuple[str, int]:
        return "handled by bp", 404

    app.register_blueprint(bp)
    assert app.test_client().get("/anywhere").text == "handled by bp"


def test_hooks_of_a_blueprint_serve_its_own_routes_only(app: Carboy) -> None:
    """BP-11: before_request, after_request, teardown_request run for the blueprint's routes."""
    order: list[str] = []
    bp = blueprint()

    @bp.before_request
    def before() -> None:
        order.append("before")

    @bp.after_request
    def after(response: Any) -> Any:
        order.append("after")
        return response

    @bp.teardown_request
    def teardown(error: BaseException | None) -> None:
        order.append("teardown")

    app.add_url_rule("/app", "app", lambda: "app")
    app.register_blueprint(bp)
    client = app.test_client()
    client.get("/app")
    client.get("/unknown")
    assert order == []
    client.get("/page")
    assert order == ["before", "after", "teardown"]


def test_app_hooks_of_a_blueprint_serve_everything(app: Carboy) -> None:
    """BP-12: before_app_request, after_app_request, teardown_app_request run for every request."""
    order: list[str] = []
    bp = Blueprint("bp", __name__)

    @bp.before_app_request
    def before() -> None:
        order.append("before")

    @bp.after_app_request
    def after(response: Any) -> Any:
        order.append("after")
        return response

    @bp.teardown_app_request
    def teardown(error: BaseException | None) -> None:
        order.append("teardown")

    app.register_blueprint(bp)
    app.test_client().get("/unknown")
    assert order == ["before", "after", "teardown"]


def test_nested_blueprints_join_names_and_prefixes(app: Carboy) -> None:
    """BP-13: a nested blueprint has the joined name and URL prefix of its parents."""
    parent = Blueprint("parent", __name__, url_prefix="/parent")
    child = blueprint("child", url_prefix="/child")
    grandchild = blueprint("grandchild")
    child.register_blueprint(grandchild, url_prefix="/grand")
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    client = app.test_client()
    assert client.get("/parent/child/page").text == "parent.child.page /parent/child/page"
    assert (
        client.get("/parent/child/grand/page").text
        == "parent.child.grandchild.page /parent/child/grand/page"
    )
    assert sorted(app.blueprints) == ["parent", "parent.child", "parent.child.grandchild"]


def test_nested_hooks_and_handlers_fall_back_to_the_parents(app: Carboy) -> None:
    """BP-13: hooks run parent first on the way in, child first on the way out; handlers climb."""
    order: list[str] = []
    parent, child = Blueprint("parent", __name__), Blueprint("child", __name__)
    for owner, name in ((app, "app"), (parent, "parent"), (child, "child")):
        owner.before_request(lambda name=name: order.append(f"before {name}"))
        owner.after_request(lambda r, name=name: order.append(f"after {name}") or r)
        owner.teardown_request(lambda e, name=name: order.append(f"teardown {name}"))

    @parent.errorhandler(ZeroDivisionError)
    def zero(error: Exception) -> str:
        return "parent handled"

    @child.route("/zero")
    def fail() -> str:
        return str(1 / 0)

    parent.register_blueprint(child)
    app.register_blueprint(parent)
    assert app.test_client().get("/zero").text == "parent handled"
    assert order == [
        "before app",
        "before parent",
        "before child",
        "after child",
        "after parent",
        "after app",
        "teardown child",
        "teardown parent",
        "teardown app",
    ]


def test_blueprint_cannot_hold_itself() -> None:
    """BP-13: registering a blueprint on itself is a ValueError."""
    bp = Blueprint("bp", __name__)
    with pytest.raises(ValueError, match="itself"):
        bp.register_blueprint(bp)


def test_nested_registration_under_another_name(app: Carboy) -> None:
    """BP-13: one child registered under two parents keeps both sets of routes."""
    child = blueprint("child")
    for name in ("one", "two"):
        parent = Blueprint(name, __name__, url_prefix=f"/{name}")
        parent.register_blueprint(child)
        app.register_blueprint(parent)
    client = app.test_client()
    assert client.get("/one/page").text == "one.child.page /one/page"
    assert client.get("/two/page").text == "two.child.page /two/page"


def test_method_shortcuts(app: Carboy) -> None:
    """BP-14: bp.get, post, put, delete and patch bind one method each."""
    bp = Blueprint("bp", __name__)
    for method in ("get", "post", "put", "delete", "patch"):
        getattr(bp, method)(f"/{method}")(
            type("V", (), {"__name__": method, "__call__": lambda self: request.method})()
        )
    with pytest.raises(TypeError):
        bp.get("/x", methods=["POST"])
    app.register_blueprint(bp)
    client = app.test_client()
    for method in ("get", "post", "put", "delete", "patch"):
        assert getattr(client, method)(f"/{method}").text == method.upper()
        wrong = "post" if method != "post" else "get"
        assert getattr(client, wrong)(f"/{method}").status_code == 405


def test_record_runs_each_time_record_once_the_first_time(app: Carboy) -> None:
    """BP-15: recorded functions get the setup state at each registration, record_once's once."""
    seen: list[Any] = []
    bp = Blueprint("bp", __name__)
    bp.record(lambda state: seen.append((state.app, state.first_registration, state.url_prefix)))
    bp.record_once(lambda state: seen.append(("once", state.options)))
    app.register_blueprint(bp, url_prefix="/a", flavour="x")
    app.register_blueprint(bp, name="again")
    assert seen == [
        (app, True, "/a"),
        ("once", {"url_prefix": "/a", "flavour": "x"}),
        (app, False, None),
    ]


def test_changes_after_registration_are_refused(app: Carboy) -> None:
    """BP-15: a blueprint that was registered takes no more routes, hooks or handlers."""
    bp = Blueprint("bp", __name__)
    app.register_blueprint(bp)
    for change in (
        lambda: bp.add_url_rule("/x", "x", lambda: ""),
        lambda: bp.before_request(lambda: None),
        lambda: bp.before_app_request(lambda: None),
        lambda: bp.errorhandler(404)(lambda e: ""),
        lambda: bp.record(lambda s: None),
        lambda: bp.app_template_filter("f")(str),
        lambda: bp.register_blueprint(Blueprint("y", __name__)),
    ):
        with pytest.raises(AssertionError, match="can no longer be called"):
            change()


def test_a_blueprint_works_alone_on_a_bare_app() -> None:
    """BP-16: registering the blueprint on a fresh application is all that its test needs."""
    for _ in range(2):
        app = Carboy("bare")
        app.register_blueprint(blueprint())
        assert app.test_client().get("/page").status_code == 200


def test_blueprint_package_imports_its_routes_last(
    app: Carboy, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BP-17: `from package import routes` at the end of the package makes no import circle."""
    write(
        tmp_path,
        "blogpkg/__init__.py",
        "from carboy import Blueprint\n"
        "blog = Blueprint('blog', __name__, url_prefix='/blog')\n"
        "from blogpkg import routes\n",
    )
    write(
        tmp_path,
        "blogpkg/routes.py",
        "from blogpkg import blog\n@blog.get('/')\ndef index():\n    return 'blog index'\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib
    import sys

    try:
        package = importlib.import_module("blogpkg")
        app.register_blueprint(package.blog)
    finally:
        for name in ("blogpkg", "blogpkg.routes"):
            sys.modules.pop(name, None)
    assert app.test_client().get("/blog/").text == "blog index"


def test_json_errors_for_the_api_html_for_pages(app: Carboy) -> None:
    """BP-18: the API blueprint answers errors as JSON, pages keep HTML."""
    api, pages = Blueprint("api", __name__), Blueprint("pages", __name__)

    @api.errorhandler(404)
    def missing(error: Any) -> Any:
        return {"error": error.description}, 404

    api.add_url_rule("/api/x", "x", lambda: abort(404, "no such vessel"))
    pages.add_url_rule("/x", "x", lambda: abort(404))
    app.register_blueprint(api)
    app.register_blueprint(pages)
    client = app.test_client()
    response = client.get("/api/x")
    assert response.status_code == 404
    assert json.loads(response.text) == {"error": "no such vessel"}
    assert client.get("/x").mimetype == "text/html"


def test_relative_endpoints_stay_in_the_blueprint(app: Carboy) -> None:
    """BP-19: url_for('.login') and redirect to it lead into the current blueprint."""
    bp = Blueprint("auth", __name__, url_prefix="/auth")
    bp.add_url_rule("/login", "login", lambda: "login")
    bp.add_url_rule("/go", "go", lambda: redirect(url_for(".login")))
    app.add_url_rule("/login", "login", lambda: "app login")
    app.add_url_rule("/go", "go", lambda: redirect(url_for(".login")))
    app.register_blueprint(bp)
    client = app.test_client()
    assert client.get("/auth/go").location == "/auth/login"
    assert client.get("/go").location == "/login"


def test_endpoint_decorator_of_a_blueprint(app: Carboy) -> None:
    """BP-01: bp.endpoint gives the function for an endpoint of the application, name as it is."""
    bp = Blueprint("bp", __name__)

    @bp.endpoint("named")
    def view() -> str:
        return url_for("named")

    app.add_url_rule("/x", endpoint="named")
    app.register_blueprint(bp)
    assert app.test_client().get("/x").text == "/x"


def test_url_value_preprocessor_and_url_defaults_are_scoped(app: Carboy) -> None:
    """BP-11: a blueprint's URL processors touch its own endpoints only."""
    bp = Blueprint("bp", __name__, url_prefix="/<lang>")

    @bp.url_value_preprocessor
    def pull(endpoint: str | None, values: dict[str, Any] | None) -> None:
        assert values is not None
        g.lang = values.pop("lang")

    @bp.url_defaults
    def add(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("lang", g.get("lang", "en"))

    bp.add_url_rule("/x", "x", lambda: f"{g.lang} {url_for('.x')} {url_for('plain')}")
    app.add_url_rule("/plain", "plain", lambda: url_for("bp.x", lang="fr"))
    app.register_blueprint(bp)
    client = app.test_client()
    assert client.get("/de/x").text == "de /de/x /plain"
    assert client.get("/plain").text == "/fr/x"


def test_setup_state_can_be_replaced(app: Carboy) -> None:
    """BP-15: make_setup_state and register may be overridden in a subclass."""
    calls: list[str] = []

    class Own(Blueprint):
        def register(self, app: Any, options: dict[str, Any]) -> None:
            calls.append("register")
            super().register(app, options)

        def make_setup_state(self, *args: Any, **kwargs: Any) -> Any:
            calls.append("state")
            return super().make_setup_state(*args, **kwargs)

    app.register_blueprint(Own("own", __name__))
    assert calls == ["register", "state"]
