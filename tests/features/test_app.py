from __future__ import annotations

import importlib
import importlib.metadata
import io
import runpy
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import Map

import carboy
from carboy import Blueprint, Carboy, Request, Response, current_app, g, request, session
from carboy.config import Config


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Write modules below ``tmp_path`` and import them; forgotten after the test."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(**files: str) -> None:
        for name, source in files.items():
            path = tmp_path / (name.replace("__slash__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source))
        importlib.invalidate_caches()

    yield make
    for name in set(sys.modules) - before:
        if name.split(".")[0] in {p.stem for p in tmp_path.iterdir()}:
            del sys.modules[name]


def test_an_application_is_a_wsgi_callable(app, raw):
    """APP-01: called with an environ and start_response it answers."""
    app.add_url_rule("/", view_func=lambda: "hello")
    reply = raw("/")
    assert reply.status == "200 OK"
    assert reply.get("Content-Type") == "text/html; charset=utf-8"
    assert reply.body == b"hello"


def test_an_application_holds_config_url_map_templates_and_extensions(app):
    """APP-01: the registries exist on a new application and are its own."""
    assert isinstance(app.config, Config)
    assert isinstance(app.url_map, Map)
    assert app.jinja_env.from_string("{{ 1 + 1 }}").render() == "2"
    assert app.extensions == {}
    assert app.blueprints == {}
    assert Carboy("other").extensions is not app.extensions


def test_the_import_name_is_kept_and_names_the_application():
    """APP-01: import_name and name."""
    app = Carboy("some.package")
    assert app.import_name == "some.package"
    assert app.name == "some.package"


def test_importing_a_guarded_module_starts_no_server(tmp_path, monkeypatch):
    """APP-04: only running the file as a script reaches ``app.run()``."""
    started = []
    monkeypatch.setattr(Carboy, "run", lambda self, *a, **k: started.append(self))
    path = tmp_path / "guarded.py"
    path.write_text(
        "from carboy import Carboy\napp = Carboy(__name__)\n"
        'if __name__ == "__main__":\n    app.run()\n'
    )
    runpy.run_path(str(path), run_name="guarded")
    assert started == []
    runpy.run_path(str(path), run_name="__main__")
    assert len(started) == 1


def test_a_script_is_named_after_its_file_and_finds_its_folders_beside_it(tmp_path, run_python):
    """APP-05: ``Carboy(__name__)`` in a script: name, root path, templates and static files."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/page.html").write_text("a page")
    (tmp_path / "static").mkdir()
    (tmp_path / "static/a.txt").write_text("a file")
    (tmp_path / "shop.py").write_text(
        textwrap.dedent(
            """
            from carboy import Carboy, render_template
            app = Carboy(__name__)
            app.add_url_rule("/", view_func=lambda: render_template("page.html"))
            print(app.import_name, app.name, app.root_path, sep="|")
            client = app.test_client()
            print(client.get("/").text, client.get("/static/a.txt").text, sep="|")
            """
        )
    )
    result = run_python("shop.py")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [f"__main__|shop|{tmp_path}", "a page|a file"]


def test_a_package_finds_its_folders_inside_itself(tmp_path, modules, call):
    """APP-06: the package's own folder is the root path."""
    modules(shop__slash____init__="from carboy import Carboy\napp = Carboy(__name__)\n")
    (tmp_path / "shop/static").mkdir()
    (tmp_path / "shop/static/a.txt").write_text("inside")
    app = importlib.import_module("shop").app
    assert Path(app.root_path) == tmp_path / "shop"
    assert call(app, "/static/a.txt").body == b"inside"


def test_a_submodule_finds_its_folders_beside_itself(tmp_path, modules):
    """APP-06: import name ``shop.web`` of the file shop/web.py: root path shop/."""
    modules(
        shop__slash____init__="",
        shop__slash__web="from carboy import Carboy\napp = Carboy(__name__)\n",
    )
    app = importlib.import_module("shop.web").app
    assert Path(app.root_path) == tmp_path / "shop"
    assert Path(app.static_folder) == tmp_path / "shop/static"
    assert app.name == "shop.web"


def test_folders_of_another_layout_are_named_in_the_constructor(tmp_path, call):
    """APP-07: template_folder and static_folder, relative to the root path."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/p.html").write_text("from pages")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/a.css").write_text("body{}")
    app = Carboy(
        "t",
        root_path=str(tmp_path),
        template_folder="pages",
        static_folder=str(tmp_path / "assets"),
    )
    app.add_url_rule("/", view_func=lambda: carboy.render_template("p.html"))
    assert call(app, "/").body == b"from pages"
    assert call(app, "/assets/a.css").body == b"body{}"


FACTORY = """
    from carboy import Carboy, current_app

    def register_blueprints(app):
        from factory_routes import bp
        app.register_blueprint(bp)

    def create_app(config=None):
        app = Carboy(__name__)
        app.config.from_mapping(NAME="default")
        if config is not None:
            app.config.update(config)
        register_blueprints(app)
        return app
"""
ROUTES = """
    from carboy import Blueprint, current_app
    bp = Blueprint("main", __name__)

    @bp.route("/name")
    def name():
        return current_app.config["NAME"]
"""


def test_a_factory_makes_configured_independent_applications(modules):
    """APP-08, APP-12: two applications of one factory share no configuration."""
    modules(factory_app=FACTORY, factory_routes=ROUTES)
    create_app = importlib.import_module("factory_app").create_app
    first, second = create_app({"NAME": "one"}), create_app()
    assert first is not second
    assert first.test_client().get("/name").text == "one"
    assert second.test_client().get("/name").text == "default"
    first.config["NAME"] = "changed"
    assert second.test_client().get("/name").text == "default"


def test_a_factory_avoids_the_circular_import_of_module_level_routes(modules):
    """APP-10: ``from circular_app import app`` in the routes fails; inside a factory it does not."""
    modules(
        circular_app="""
            from circular_routes import *
            from carboy import Carboy
            app = Carboy(__name__)
        """,
        circular_routes="""
            from circular_app import app
            @app.route("/name")
            def name():
                return "never"
        """,
        factory_app=FACTORY,
        factory_routes=ROUTES,
    )
    with pytest.raises(ImportError, match="circular"):
        importlib.import_module("circular_app")
    app = importlib.import_module("factory_app").create_app()
    assert app.test_client().get("/name").text == "default"


def test_the_package_tells_its_version():
    """APP-13: ``__version__`` is the version of the installed distribution."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Flask's own warns
        found = carboy.__version__
    assert found == importlib.metadata.version(carboy.__name__)


@pytest.mark.beyond
def test_flask_tells_the_version_of_the_api_through_the_alias(run_python):
    """APP-13: ``import flask; print(flask.__version__)`` on Carboy prints Flask's 3.1.3."""
    result = run_python("-c", "import carboy.as_flask, flask; print(flask.__version__)")
    assert (result.stdout, result.returncode) == ("3.1.3\n", 0), result.stderr


def test_a_file_with_the_name_of_the_framework_shadows_it(tmp_path, run_python):
    """APP-17: ``carboy.py`` beside the script is imported instead; ImportError follows."""
    (tmp_path / "carboy.py").write_text("from carboy import Carboy\napp = Carboy(__name__)\n")
    result = run_python("carboy.py")
    assert result.returncode == 1
    assert "ImportError: cannot import name 'Carboy'" in result.stderr


def test_a_mutable_default_argument_is_shared_between_requests_but_g_is_not(app, client):
    """APP-18: the default list grows; what is put into ``g`` is gone."""

    @app.route("/")
    def view(seen=[]):  # noqa: B006
        seen.append(1)
        g.setdefault("seen", []).append(1)
        return [len(seen), len(g.seen)]

    assert client.get("/").json == [1, 1]
    assert client.get("/").json == [2, 1]


def test_an_attribute_of_request_is_gone_in_the_next_request(app, client):
    """APP-19: AttributeError then; the session keeps what it is given."""
    app.secret_key = "k"
    app.testing = True

    @app.route("/set")
    def set_both():
        request.note = "here"
        session["note"] = "kept"
        return request.note

    @app.route("/get")
    def get_both():
        with pytest.raises(AttributeError):
            request.note
        return session["note"]

    assert client.get("/set").text == "here"
    assert client.get("/get").text == "kept"


SETUP = {
    "route": lambda app: app.route("/late")(lambda: ""),
    "get": lambda app: app.get("/late")(lambda: ""),
    "add_url_rule": lambda app: app.add_url_rule("/late", view_func=lambda: ""),
    "endpoint": lambda app: app.endpoint("late")(lambda: ""),
    "register_blueprint": lambda app: app.register_blueprint(Blueprint("late", __name__)),
    "before_request": lambda app: app.before_request(lambda: None),
    "after_request": lambda app: app.after_request(lambda response: response),
    "teardown_request": lambda app: app.teardown_request(lambda error: None),
    "teardown_appcontext": lambda app: app.teardown_appcontext(lambda error: None),
    "context_processor": lambda app: app.context_processor(dict),
    "errorhandler": lambda app: app.errorhandler(404)(lambda error: ""),
    "register_error_handler": lambda app: app.register_error_handler(404, lambda error: ""),
    "url_value_preprocessor": lambda app: app.url_value_preprocessor(lambda e, v: None),
    "url_defaults": lambda app: app.url_defaults(lambda e, v: None),
    "template_filter": lambda app: app.template_filter("late")(str),
    "add_template_global": lambda app: app.add_template_global(str, "late"),
    "shell_context_processor": lambda app: app.shell_context_processor(dict),
}


@pytest.mark.parametrize("name", SETUP)
def test_registering_after_the_first_request_is_refused(app, client, name):
    """APP-20: AssertionError that names the method; the application still answers."""
    app.add_url_rule("/", view_func=lambda: "still here")
    client.get("/")
    with pytest.raises(AssertionError, match="can no longer be called"):
        SETUP[name](app)
    assert client.get("/").text == "still here"
    assert client.get("/late").status_code == 404


def test_simultaneous_requests_never_see_each_other(app):
    """APP-21: both requests are inside their views at once; each sees its own request and g."""
    meet = threading.Barrier(4, timeout=20)

    @app.route("/<name>")
    def view(name):
        g.name = name
        meet.wait()
        request.marker = name
        meet.wait()
        return f"{g.name} {request.view_args['name']} {request.args['n']} {request.marker}"

    answers = {}

    def visit(name):
        answers[name] = app.test_client().get(f"/{name}?n={name}").text

    threads = [threading.Thread(target=visit, args=(n,)) for n in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: f"{n} {n} {n} {n}" for n in "abcd"}


def test_a_middleware_is_added_by_wrapping_wsgi_app(app, client):
    """APP-22: it sees the environ first and the response headers last; ``app`` stays the same."""

    class Middleware:
        def __init__(self, wsgi_app):
            self.wsgi_app = wsgi_app

        def __call__(self, environ, start_response):
            environ["test.value"] = "from the middleware"

            def start(status, headers, exc_info=None):
                return start_response(status, [*headers, ("X-Middleware", "yes")], exc_info)

            return self.wsgi_app(environ, start)

    app.wsgi_app = Middleware(app.wsgi_app)
    app.add_url_rule("/", view_func=lambda: request.environ["test.value"])
    response = client.get("/")
    assert response.text == "from the middleware"
    assert response.headers["X-Middleware"] == "yes"


def test_a_middleware_may_answer_instead_of_the_application(app, raw):
    """APP-22: the application is not reached."""
    reached = []
    app.before_request(lambda: reached.append(1))
    app.wsgi_app = Response("closed", status=503)
    assert raw("/").code == 503
    assert reached == []


def test_a_subclass_replaces_process_response(tmp_path):
    """APP-23: every response goes through it, errors too."""

    class Stamped(Carboy):
        def process_response(self, response):
            response = super().process_response(response)
            response.headers["X-Stamp"] = request.path
            return response

    app = Stamped("t", root_path=str(tmp_path))
    app.add_url_rule("/", view_func=lambda: "x")
    client = app.test_client()
    assert client.get("/").headers["X-Stamp"] == "/"
    assert client.get("/none").headers["X-Stamp"] == "/none"


def test_a_subclass_replaces_make_default_options_response(tmp_path):
    """APP-23: it makes the answer to OPTIONS."""

    class Polite(Carboy):
        def make_default_options_response(self):
            response = super().make_default_options_response()
            response.headers["X-Polite"] = "please"
            return response

    app = Polite("t", root_path=str(tmp_path))
    app.add_url_rule("/", view_func=lambda: "x")
    response = app.test_client().options("/")
    assert response.headers["X-Polite"] == "please"
    assert "GET" in response.allow


def test_request_class_and_response_class_are_used(app, client):
    """APP-23, RESP-24: set on the application they make every request and response."""

    class MyRequest(Request):
        @property
        def shouted(self):
            return self.args["word"].upper()

    class MyResponse(Response):
        default_mimetype = "text/x-mine"

    app.request_class = MyRequest
    app.response_class = MyResponse
    app.add_url_rule("/", view_func=lambda: request.shouted)
    response = client.get("/?word=hey")
    assert response.text == "HEY"
    assert response.mimetype == "text/x-mine"


@pytest.mark.parametrize(
    "name",
    [
        "full_dispatch_request",
        "preprocess_request",
        "dispatch_request",
        "finalize_request",
        "process_response",
        "make_response",
        "do_teardown_request",
        "do_teardown_appcontext",
        "create_url_adapter",
        "request_context",
    ],
)
def test_every_step_of_a_request_can_be_overridden(tmp_path, name):
    """APP-23: a subclass' method of Flask's life cycle is called once for a plain request."""
    called = []

    def method(self, *args, **kwargs):
        called.append(name)
        return getattr(Carboy, name)(self, *args, **kwargs)

    app = type("Sub", (Carboy,), {name: method})("t", root_path=str(tmp_path))
    app.add_url_rule("/", view_func=lambda: "x")
    client = app.test_client()
    assert client.get("/").text == "x"
    assert called.count(name) >= 1
    called.clear()
    assert client.get("/").text == "x"
    assert called.count(name) >= 1


def test_open_resource_reads_files_below_the_root_path(app, tmp_path):
    """APP-24: binary by default, text with ``mode="rt"`` and UTF-8; writing is refused."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/schema.sql").write_bytes("é".encode())
    with app.open_resource("data/schema.sql") as file:
        assert file.read() == "é".encode()
    with app.open_resource("data/schema.sql", "rt") as file:
        assert file.read() == "é"
    with app.open_resource("data/schema.sql", "rt", encoding="latin-1") as file:
        assert file.read() == "Ã©"
    with pytest.raises(ValueError, match="reading"):
        app.open_resource("data/schema.sql", "w")


def test_open_resource_of_a_blueprint_reads_below_its_own_root_path(tmp_path):
    """APP-24: not below the application's."""
    (tmp_path / "bp").mkdir()
    (tmp_path / "bp/a.txt").write_text("the blueprint's")
    bp = Blueprint("bp", __name__, root_path=str(tmp_path / "bp"))
    with bp.open_resource("a.txt", "r") as file:
        assert file.read() == "the blueprint's"
    with pytest.raises(ValueError, match="reading"):
        bp.open_resource("a.txt", "wb")


def test_open_instance_resource_reads_and_writes_in_the_instance_folder(app, tmp_path):
    """APP-24: the counterpart for files that may be written."""
    (tmp_path / "instance").mkdir()
    with app.open_instance_resource("note.txt", "w") as file:
        file.write("é")
    assert (tmp_path / "instance/note.txt").read_text(encoding="utf-8") == "é"
    with app.open_instance_resource("note.txt") as file:
        assert file.read() == "é".encode()


def test_an_extension_keeps_its_state_in_app_extensions():
    """APP-25: one extension object, two applications, ``init_app`` for each."""

    class Counter:
        def init_app(self, app):
            app.extensions["counter"] = {"hits": 0}
            app.before_request(self.count)

        def count(self):
            current_app.extensions["counter"]["hits"] += 1

    counter = Counter()
    one, two = Carboy("one"), Carboy("two")
    counter.init_app(one)
    counter.init_app(two)
    one.test_client().get("/")
    one.test_client().get("/")
    two.test_client().get("/")
    assert one.extensions["counter"]["hits"] == 2
    assert two.extensions["counter"]["hits"] == 1


def test_several_applications_are_mounted_in_one_process(call):
    """APP-26: each answers below its prefix, with its own URLs, context and configuration."""

    def make(name):
        app = Carboy(name)
        app.config["NAME"] = name
        app.add_url_rule(
            "/page", "page", lambda: f"{current_app.config['NAME']} {carboy.url_for('page')}"
        )
        return app

    mounted = DispatcherMiddleware(make("front"), {"/back": make("back")})
    assert call(mounted, "/page").body == b"front /page"
    assert call(mounted, "/back/page").body == b"back /back/page"


def test_one_application_calls_another_within_a_request(call):
    """APP-26: after the inner request the outer context is back."""
    inner, outer = Carboy("inner"), Carboy("outer")
    inner.add_url_rule("/in", view_func=lambda: f"{current_app.name}:{request.path}")

    @outer.route("/out")
    def out():
        before = current_app.name
        text = inner.test_client().get("/in").text
        return f"{before} {text} {current_app.name}:{request.path}"

    assert call(outer, "/out").body == b"outer inner:/in outer:/out"


def test_an_application_reads_its_request_body_from_any_stream(raw, app):
    """APP-01: the WSGI input may be any object with ``read``."""
    app.add_url_rule("/", view_func=lambda: request.get_data(), methods=["POST"])
    reply = raw(
        "/", "POST", headers={"Content-Length": "3"}, **{"wsgi.input": io.BytesIO(b"abcdef")}
    )
    assert reply.body == b"abc"
