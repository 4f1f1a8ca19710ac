"""What extensions override in subclasses, assign over on an object, and write into at run time.

Each row of what was seen in the sources of three dozen extensions and programs: Carboy's short ways
must not pass by any of them.
"""

from __future__ import annotations

import functools
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import click
import pytest
from jinja2 import DictLoader
from werkzeug.datastructures import CallbackDict
from werkzeug.exceptions import Aborter, NotFound

from carboy import (
    Blueprint,
    Carboy,
    Config,
    Request,
    Response,
    current_app,
    flash,
    g,
    jsonify,
    render_template,
    render_template_string,
    request,
    session,
    url_for,
)
from carboy.blueprints import BlueprintSetupState
from carboy.cli import AppGroup
from carboy.globals import request_ctx
from carboy.json.provider import DefaultJSONProvider
from carboy.json.tag import JSONTag, TaggedJSONSerializer
from carboy.sessions import (
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    SessionMixin,
)
from carboy.templating import Environment
from carboy.testing import FlaskClient, FlaskCliRunner
from carboy.views import MethodView, View


def make(cls: type[Carboy] = Carboy, **config: Any) -> Carboy:
    """An application with one page, which an extension then works on."""
    app = cls("made", root_path="/")
    app.secret_key = "secret"
    app.config.update(config)
    app.add_url_rule("/", "index", lambda: "plain")
    return app


def get(app: Carboy, path: str = "/", **options: Any) -> Any:
    return app.test_client().get(path, **options)


# -- Flask, overridden --------------------------------------------------------------------------


def test_flask_init_may_set_things_up() -> None:
    class Own(Carboy):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.before_request(lambda: "from the subclass")

    assert get(make(Own)).text == "from the subclass"


def test_flask_make_response_sees_each_return_value() -> None:
    class Own(Carboy):
        def make_response(self, rv: Any) -> Any:
            if rv is None:
                rv = "nothing"
            return super().make_response(rv)

    app = make(Own)
    app.add_url_rule("/none", "none", lambda: None)
    assert (get(app, "/none").text, get(app).text) == ("nothing", "plain")


def test_flask_aborter_class_is_used() -> None:
    class Teapot(NotFound):
        description = "own aborter"

    class OwnAborter(Aborter):
        def __init__(self) -> None:
            super().__init__(extra={777: Teapot})

    class Own(Carboy):
        aborter_class = OwnAborter

    app = make(Own)
    app.add_url_rule("/abort", "abort", lambda: app.aborter(777))
    assert "own aborter" in get(app, "/abort").text


def test_flask_config_class_is_used() -> None:
    class OwnConfig(Config):
        pass

    class Own(Carboy):
        config_class = OwnConfig

    assert type(make(Own).config) is OwnConfig


def test_flask_create_global_jinja_loader_is_used() -> None:
    class Own(Carboy):
        def create_global_jinja_loader(self) -> Any:
            return DictLoader({"page.html": "from the dict"})

    app = make(Own)
    app.add_url_rule("/page", "page", lambda: render_template("page.html"))
    assert get(app, "/page").text == "from the dict"


def test_flask_get_send_file_max_age_is_asked(tmp_path: Any) -> None:
    class Own(Carboy):
        def get_send_file_max_age(self, filename: str | None) -> int:
            return 3661

    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.txt").write_text("a")
    app = Own("own", root_path=str(tmp_path))
    with get(app, "/static/a.txt") as response:
        assert response.cache_control.max_age == 3661


def test_flask_jinja_environment_is_used() -> None:
    class OwnEnvironment(Environment):
        pass

    class Own(Carboy):
        jinja_environment = OwnEnvironment

    assert type(make(Own).jinja_env) is OwnEnvironment


def test_flask_log_exception_is_called() -> None:
    logged: list[Any] = []

    class Own(Carboy):
        def log_exception(self, exc_info: Any) -> None:
            logged.append(exc_info[0])

    app = make(Own)
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    assert get(app, "/crash").status_code == 500
    assert logged == [ZeroDivisionError]


def test_flask_class_attributes_are_starting_values() -> None:
    class OwnInterface(SecureCookieSessionInterface):
        pass

    class Own(Carboy):
        testing = True
        secret_key = "of the class"
        session_interface = OwnInterface()

    app = Own("own", root_path="/")
    assert app.testing is True and app.secret_key == "of the class"
    assert type(app.session_interface) is OwnInterface


def test_flask_request_and_response_classes_are_used() -> None:
    class OwnRequest(Request):
        @property
        def shout(self) -> str:
            return self.path.upper()

    class OwnResponse(Response):
        default_mimetype = "text/x-own"

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.headers["X-Own"] = "1"

    class Own(Carboy):
        request_class = OwnRequest
        response_class = OwnResponse

    app = make(Own)
    app.add_url_rule("/shout", "shout", lambda: request.shout)
    app.add_url_rule("/json", "json", lambda: {"a": 1})
    response = get(app, "/shout")
    assert (response.text, response.mimetype, response.headers["X-Own"]) == (
        "/SHOUT",
        "text/x-own",
        "1",
    )
    assert get(app, "/json").headers["X-Own"] == "1"
    assert get(app, "/nowhere").status_code == 404


def test_flask_cli_runner_and_client_classes_are_used() -> None:
    class OwnRunner(FlaskCliRunner):
        pass

    class OwnClient(FlaskClient):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.token = kwargs.pop("token")
            super().__init__(*args, **kwargs)

    app = make()
    app.test_cli_runner_class = OwnRunner
    app.test_client_class = OwnClient
    assert type(app.test_cli_runner()) is OwnRunner
    assert app.test_client(token="t").token == "t"  # type: ignore[attr-defined]


# -- blueprints, overridden ---------------------------------------------------------------------


def test_blueprint_add_url_rule_and_route_are_gone_through() -> None:
    class Own(Blueprint):
        def add_url_rule(self, rule: str, *args: Any, **kwargs: Any) -> None:
            super().add_url_rule("/added" + rule, *args, **kwargs)

        def route(self, rule: str, **options: Any) -> Any:
            return super().route("/routed" + rule, **options)

    part = Own("part", __name__)
    part.route("/a")(lambda: "a")
    app = make()
    app.register_blueprint(part)
    assert get(app, "/added/routed/a").text == "a"


def test_blueprint_method_route_is_gone_through() -> None:
    class Own(Blueprint):
        def _method_route(self, method: str, rule: str, options: Any) -> Any:
            return super()._method_route(method, "/api" + rule, options)

    part = Own("part", __name__)
    part.post("/a")(lambda: "posted")
    app = make()
    app.register_blueprint(part)
    assert app.test_client().post("/api/a").text == "posted"


def test_blueprint_register_and_register_blueprint_are_gone_through() -> None:
    calls: list[str] = []

    class Own(Blueprint):
        def register(self, app: Any, options: Any) -> None:
            calls.append(f"register {self.name} {options.get('url_prefix')}")
            super().register(app, options)

        def register_blueprint(self, blueprint: Any, **options: Any) -> None:
            calls.append(f"nest {blueprint.name}")
            super().register_blueprint(blueprint, **options)

    outer, inner = Own("outer", __name__), Own("inner", __name__)
    outer.register_blueprint(inner)
    make().register_blueprint(outer, url_prefix="/o")
    assert calls[:2] == ["nest inner", "register outer /o"]
    assert calls[2].startswith("register inner")


def test_blueprint_setup_state_may_be_replaced() -> None:
    class State(BlueprintSetupState):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.suffix = ".json"

        def add_url_rule(self, rule: str, *args: Any, **kwargs: Any) -> None:
            super().add_url_rule(rule + self.suffix, *args, **kwargs)

    class Own(Blueprint):
        def make_setup_state(self, app: Any, options: Any, first_registration: bool = False) -> Any:
            return State(self, app, options, first_registration)

    part = Own("part", __name__, url_prefix="/p")
    part.route("/a")(lambda: "a")
    app = make()
    app.register_blueprint(part)
    assert get(app, "/p/a.json").text == "a"


def test_blueprint_setup_state_add_url_rule_may_be_assigned_over() -> None:
    """As Flask-RESTful and Flask-RESTX do while they register."""
    part = Blueprint("part", __name__)

    @part.record
    def take_over(state: BlueprintSetupState) -> None:
        original = state.add_url_rule

        def own(rule: str, *args: Any, **kwargs: Any) -> None:
            original("/own" + rule, *args, **kwargs)

        state.add_url_rule = own  # type: ignore[method-assign]

    part.route("/a")(lambda: "a")
    app = make()
    app.register_blueprint(part)
    assert get(app, "/own/a").text == "a"


def test_blueprint_get_send_file_max_age_is_asked(tmp_path: Any) -> None:
    class Own(Blueprint):
        def get_send_file_max_age(self, filename: str | None) -> int:
            return 100

    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("a")
    part = Own("part", __name__, root_path=str(tmp_path), static_folder="files", url_prefix="/p")
    app = make()
    app.register_blueprint(part)
    with get(app, "/p/files/a.txt") as response:
        assert response.cache_control.max_age == 100


# -- JSON ---------------------------------------------------------------------------------------


def test_json_provider_methods_are_gone_through() -> None:
    class Own(DefaultJSONProvider):
        @staticmethod
        def default(o: Any) -> Any:
            return "own default" if isinstance(o, complex) else DefaultJSONProvider.default(o)

        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return super().dumps({"wrapped": obj}, **kwargs)

        def loads(self, s: Any, **kwargs: Any) -> Any:
            return ["loaded", super().loads(s, **kwargs)]

    class OwnApp(Carboy):
        json_provider_class = Own

    app = make(OwnApp)
    app.add_url_rule("/dict", "dict", lambda: {"a": 1j})
    app.add_url_rule("/jsonify", "jsonify", lambda: jsonify([1]))
    app.add_url_rule("/body", "body", lambda: str(request.json), methods=["POST"])
    client = app.test_client()
    assert client.get("/dict").data == b'{"wrapped":{"a":"own default"}}\n'
    assert client.get("/jsonify").data == b'{"wrapped":[1]}\n'
    body = client.post("/body", data='{"b": 2}', content_type="application/json")
    assert body.text == "['loaded', {'b': 2}]"


def test_json_default_and_response_may_be_assigned_over() -> None:
    app = make()
    app.add_url_rule("/dict", "dict", lambda: {"a": 1j})
    app.add_url_rule("/jsonify", "jsonify", lambda: jsonify(a=1j))
    app.json.default = lambda o: "assigned"  # type: ignore[attr-defined]
    assert get(app, "/dict").json == {"a": "assigned"} == get(app, "/jsonify").json
    app.json.response = lambda *a, **k: Response("assigned response")  # type: ignore[method-assign]
    assert get(app, "/jsonify").text == "assigned response"


def test_the_json_provider_may_be_assigned_over_while_requests_run() -> None:
    class Own(DefaultJSONProvider):
        compact = False
        sort_keys = False
        mimetype = "application/own+json"

    app = make()
    app.add_url_rule("/dict", "dict", lambda: {"b": 1, "a": 2})
    assert get(app, "/dict").data == b'{"a":2,"b":1}\n'
    app.json = Own(app)
    response = get(app, "/dict")
    assert response.mimetype == "application/own+json"
    assert response.text.index('"b"') < response.text.index('"a"')


def test_tags_may_be_registered_and_tag_overridden() -> None:
    class TagSet(JSONTag):
        __slots__ = ()
        key = " set"

        def check(self, value: Any) -> bool:
            return isinstance(value, set)

        def to_json(self, value: Any) -> Any:
            return sorted(value)

        def to_python(self, value: Any) -> Any:
            return set(value)

    serializer = TaggedJSONSerializer()
    serializer.register(TagSet)
    assert serializer.loads(serializer.dumps({"s": {1, 2}})) == {"s": {1, 2}}

    class Own(TaggedJSONSerializer):
        def tag(self, value: Any) -> Any:
            return "own" if value == 1 else super().tag(value)

    assert Own().dumps({"a": 1, "b": 2}) == '{"a":"own","b":2}'


# -- sessions -----------------------------------------------------------------------------------


class StoredSession(CallbackDict[str, Any], SessionMixin):
    """As the server-side session extensions write theirs."""

    def __init__(self, initial: Any = None, sid: str = "") -> None:
        def touched(this: Any) -> None:
            this.modified = True

        super().__init__(initial, touched)
        self.sid = sid
        self.modified = False


class StoredInterface(SessionInterface):
    def __init__(self) -> None:
        self.store: dict[str, Any] = {}
        self.calls: list[str] = []

    def open_session(self, app: Carboy, request: Request) -> StoredSession:
        self.calls.append("open")
        sid = request.cookies.get(self.get_cookie_name(app), "")
        return StoredSession(self.store.get(sid), sid or "new")

    def save_session(self, app: Carboy, session: Any, response: Response) -> None:
        self.calls.append("save")
        if session.modified:
            self.store[session.sid] = dict(session)
            response.set_cookie(self.get_cookie_name(app), session.sid)


def test_a_session_interface_opens_and_saves_on_each_request() -> None:
    app = make()
    interface = app.session_interface = StoredInterface()
    assert get(app).text == "plain"
    assert interface.calls == ["open", "save"]


def test_a_session_interface_keeps_its_own_session_class() -> None:
    app = make()
    app.session_interface = StoredInterface()

    @app.get("/count")
    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    client = app.test_client()
    assert [client.get("/count").text for _ in range(3)] == ["1", "2", "3"]


def test_a_session_interface_that_opens_nothing_leaves_a_null_session() -> None:
    class Null(SessionInterface):
        def open_session(self, app: Any, request: Any) -> None:
            return None

        def save_session(self, app: Any, session: Any, response: Any) -> None:
            raise AssertionError("a null session is not saved")

    app = make()
    app.session_interface = Null()
    assert get(app).text == "plain"


def test_get_cookie_name_and_session_class_are_asked() -> None:
    class OwnSession(SecureCookieSession):
        pass

    class Own(SecureCookieSessionInterface):
        def get_cookie_name(self, app: Carboy) -> str:
            return "own_name"

    app = make()
    app.session_interface = Own()
    app.session_interface.session_class = OwnSession

    @app.get("/set")
    def set_it() -> str:
        session["a"] = 1
        return type(session._get_current_object()).__name__

    response = get(app, "/set")
    assert response.text == "OwnSession"
    assert response.headers["Set-Cookie"].startswith("own_name=")


@pytest.mark.parametrize(
    ("method", "value", "seen"),
    [
        ("get_cookie_domain", "example.com", "Domain=example.com"),
        ("get_cookie_path", "/own", "Path=/own"),
        ("get_cookie_samesite", "Strict", "SameSite=Strict"),
        ("get_cookie_secure", True, "Secure"),
        (
            "get_expiration_time",
            datetime(2031, 2, 3, tzinfo=UTC),
            "Expires=Mon, 03 Feb 2031",
        ),
    ],
)
def test_a_cookie_method_of_an_interface_is_asked(method: str, value: Any, seen: str) -> None:
    own = type("Own", (SecureCookieSessionInterface,), {method: lambda *args: value})
    app = make()
    app.session_interface = own()
    app.add_url_rule("/set", "set", lambda: session.setdefault("a", "set"))
    assert seen in get(app, "/set").headers["Set-Cookie"]


def test_should_set_cookie_is_asked() -> None:
    class Own(SecureCookieSessionInterface):
        def should_set_cookie(self, app: Any, session: Any) -> bool:
            return False

    app = make()
    app.session_interface = Own()
    app.add_url_rule("/set", "set", lambda: session.setdefault("a", "set"))
    assert "Set-Cookie" not in get(app, "/set").headers


def test_save_session_can_be_called_by_hand() -> None:
    """As authentication extensions do on a response of their own."""
    app = make()
    with app.test_request_context():
        session["a"] = 1
        response = Response("own")
        app.session_interface.save_session(app, session, response)  # type: ignore[arg-type]
        assert response.headers["Set-Cookie"].startswith("session=")


# -- views --------------------------------------------------------------------------------------


def test_a_method_view_s_dispatch_request_and_init_are_gone_through() -> None:
    class Own(MethodView):
        init_every_request = False

        def __init__(self, word: str) -> None:
            self.word = word

        def dispatch_request(self, **kwargs: Any) -> Any:
            return f"{self.word}: {super().dispatch_request(**kwargs)}"

        def get(self) -> str:
            return "got"

    app = make()
    app.add_url_rule("/v", view_func=Own.as_view("v", "own"))
    assert get(app, "/v").text == "own: got"


def test_view_attributes_are_followed() -> None:
    def shout(view: Any) -> Any:
        return functools.wraps(view)(lambda *args, **kwargs: view(*args, **kwargs).upper())

    class Own(View):
        methods = ["POST"]
        decorators = [shout]
        provide_automatic_options = False

        def dispatch_request(self) -> str:
            return "posted"

    app = make()
    app.add_url_rule("/v", view_func=Own.as_view("v"))
    client = app.test_client()
    assert client.post("/v").text == "POSTED"
    assert client.get("/v").status_code == client.options("/v").status_code == 405


def test_dispatch_request_may_be_assigned_over_on_a_view_class() -> None:
    class Own(MethodView):
        def get(self) -> str:
            return "got"

    Own.dispatch_request = lambda self: "assigned"  # type: ignore[method-assign]
    app = make()
    app.add_url_rule("/v", view_func=Own.as_view("v"))
    assert get(app, "/v").text == "assigned"


# -- assigned over on the application -----------------------------------------------------------


def test_dispatch_request_assigned_over() -> None:
    """As Flask-DebugToolbar does."""
    app = make()
    assert get(app).text == "plain"
    app.dispatch_request = lambda: "assigned"  # type: ignore[method-assign]
    assert get(app).text == "assigned"


def test_wsgi_app_assigned_over() -> None:
    app = make()
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        environ["PATH_INFO"] = "/rewritten"
        return inner(environ, start_response)

    app.add_url_rule("/rewritten", "rewritten", lambda: "rewritten")
    app.wsgi_app = middleware  # type: ignore[method-assign]
    assert get(app).text == "rewritten"


def test_handle_exception_and_handle_user_exception_wrapped() -> None:
    """As Flask-RESTful and Flask-RESTX do, which fall back on the original."""
    app = make()
    seen: list[str] = []

    def router(name: str, original: Any, error: Exception) -> Any:
        seen.append(f"{name} {type(error).__name__}")
        return original(error)

    for name in ("handle_exception", "handle_user_exception"):
        setattr(app, name, functools.partial(router, name, getattr(app, name)))
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    assert get(app, "/nowhere").status_code == 404
    assert seen == ["handle_user_exception NotFound"]
    seen.clear()
    assert get(app, "/crash").status_code == 500
    assert seen == ["handle_user_exception ZeroDivisionError", "handle_exception ZeroDivisionError"]


def test_the_original_handle_user_exception_raises_what_it_is_given() -> None:
    """Flask-RESTX hands it another exception than the one that was raised first."""
    app = make()
    original = app.handle_user_exception

    def router(error: Exception) -> Any:
        try:
            raise KeyError("of the handler")
        except KeyError as blunder:
            return original(blunder)

    app.handle_user_exception = router  # type: ignore[method-assign]
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    app.testing = True
    with pytest.raises(KeyError, match="of the handler"):
        get(app, "/crash")


def test_session_interface_json_and_classes_assigned_over() -> None:
    class OwnResponse(Response):
        default_mimetype = "text/x-own"

    class OwnGlobals:
        here = "own g"

    app = make()
    app.add_url_rule("/g", "g", lambda: g.here)
    app.response_class = OwnResponse
    app.app_ctx_globals_class = OwnGlobals  # type: ignore[assignment]
    app.json_provider_class = DefaultJSONProvider
    response = get(app, "/g")
    assert (response.text, response.mimetype) == ("own g", "text/x-own")


def test_add_url_rule_and_register_blueprint_assigned_over() -> None:
    app = make()
    rules: list[str] = []
    original = app.add_url_rule

    def own(rule: str, *args: Any, **kwargs: Any) -> None:
        rules.append(rule)
        original(rule, *args, **kwargs)

    app.add_url_rule = own  # type: ignore[method-assign]
    app.route("/routed")(lambda: "routed")
    part = Blueprint("part", __name__)
    part.route("/part")(lambda: "part")
    app.register_blueprint(part)
    assert rules == ["/routed", "/part"]
    app.register_blueprint = mock.Mock()  # type: ignore[method-assign]
    app.register_blueprint(part)


def test_endpoint_redirect_and_run_assigned_over() -> None:
    from carboy import redirect

    app = make()
    app.redirect = lambda location, code=302: Response(f"to {location}")  # type: ignore[method-assign]
    app.add_url_rule("/away", "away", lambda: redirect("/there"))
    assert get(app, "/away").text == "to /there"
    app.run = lambda *args, **kwargs: "ran"  # type: ignore[method-assign]
    assert app.run() == "ran"  # type: ignore[func-returns-value]
    app.endpoint = lambda name: "assigned"  # type: ignore[method-assign,assignment]
    assert app.endpoint("x") == "assigned"


def test_a_command_group_s_command_may_be_assigned_over() -> None:
    group = AppGroup("own")
    original = group.command
    made: list[str] = []

    def own(*args: Any, **kwargs: Any) -> Any:
        made.append(args[0])
        return original(*args, **kwargs)

    group.command = own  # type: ignore[method-assign]
    group.command("do")(lambda: click.echo("done"))
    app = make()
    app.cli.add_command(group)
    assert made == ["do"]
    assert app.test_cli_runner().invoke(args=["own", "do"]).output == "done\n"


def test_the_client_s_open_may_be_assigned_over() -> None:
    client = make().test_client()
    original = client.open

    def own(*args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("headers", {})["X-Own"] = "1"
        return original(*args, **kwargs)

    client.open = own  # type: ignore[method-assign]
    client.application.add_url_rule("/h", "h", lambda: request.headers["X-Own"])
    assert client.get("/h").text == "1"


def test_testing_may_be_patched_and_the_request_of_a_context(monkeypatch: Any) -> None:
    app = make()
    monkeypatch.setattr(app, "testing", True)
    assert app.config["TESTING"] is True
    with app.test_request_context("/first"):
        other = Request({"PATH_INFO": "/other", "REQUEST_METHOD": "GET"})
        with mock.patch.object(request_ctx, "request", other):
            assert request.path == "/other"
        assert request.path == "/first"


# -- called directly ----------------------------------------------------------------------------


def test_the_steps_of_a_request_can_be_called_one_by_one() -> None:
    app = make()
    app.before_request(lambda: setattr(g, "order", ["before"]))
    app.after_request(lambda response: g.order.append("after") or response)
    with app.test_request_context("/"):
        assert app.preprocess_request() is None
        rv = app.dispatch_request()
        response = app.process_response(app.make_response(rv))
        assert (response.get_data(as_text=True), g.order) == ("plain", ["before", "after"])


def test_the_helpers_of_error_handling_can_be_called() -> None:
    app = make()
    app.register_error_handler(404, lambda error: "handled")
    with app.test_request_context("/nowhere"):
        assert app.handle_http_exception(NotFound()) == "handled"
        with pytest.raises(NotFound):
            app.raise_routing_exception(request)  # type: ignore[arg-type]
    with app.test_request_context("/"):
        assert "GET" in app.make_default_options_response().allow


def test_a_url_adapter_can_be_made_by_hand() -> None:
    app = make(SERVER_NAME="example.com")
    adapter = app.create_url_adapter(None)
    assert adapter is not None
    assert adapter.build("index", force_external=True) == "http://example.com/"
    with app.test_request_context():
        assert app.create_url_adapter(request) is not None  # type: ignore[arg-type]


def test_a_request_context_can_be_made_from_an_environ() -> None:
    app = make()
    from werkzeug.test import EnvironBuilder

    with app.request_context(EnvironBuilder("/given").get_environ()):
        assert request.path == "/given"


# -- containers ---------------------------------------------------------------------------------


def test_view_functions_are_read_and_replaced_after_the_first_request() -> None:
    """As Flask-Limiter and Flask-CORS wrap views."""
    app = make()
    assert get(app).text == "plain"
    view = app.view_functions["index"]
    app.view_functions["index"] = lambda: f"wrapped {view()}"
    assert get(app).text == "wrapped plain"


def test_functions_appended_to_the_hook_tables_are_called() -> None:
    app = make()
    calls: list[str] = []
    assert get(app).text == "plain"
    app.before_request_funcs.setdefault(None, []).append(lambda: calls.append("before"))

    def after(response: Any) -> Any:
        calls.append("after")
        return response

    app.after_request_funcs.setdefault(None, []).append(after)
    app.teardown_request_funcs.setdefault(None, []).append(lambda exc: calls.append("teardown"))
    app.teardown_appcontext_funcs.append(lambda exc: calls.append("app teardown"))
    get(app)
    assert calls == ["before", "after", "teardown", "app teardown"]


def test_a_function_put_first_runs_first() -> None:
    app = make()
    calls: list[int] = []
    app.before_request(lambda: calls.append(2))
    app.before_request_funcs[None].insert(0, lambda: calls.append(1))
    get(app)
    assert calls == [1, 2]


def test_functions_taken_out_of_the_hook_tables_are_not_called() -> None:
    app = make()
    app.before_request(lambda: "answered")
    assert get(app).text == "answered"
    app.before_request_funcs[None].clear()
    assert get(app).text == "plain"
    app.before_request_funcs[None].append(lambda: "again")
    assert get(app).text == "again"
    app.before_request_funcs.pop(None)
    assert get(app).text == "plain"


def test_a_whole_hook_table_may_be_replaced() -> None:
    app = make()
    assert get(app).text == "plain"
    app.before_request_funcs = {None: [lambda: "replaced"]}  # type: ignore[assignment]
    assert get(app).text == "replaced"


def test_error_handlers_written_into_the_table_are_used() -> None:
    app = make()
    assert get(app, "/nowhere").status_code == 404
    app.error_handler_spec[None][404][NotFound] = lambda error: "from the table"
    assert get(app, "/nowhere").text == "from the table"


def test_context_processors_appended_to_the_table_are_used() -> None:
    app = make()
    app.add_url_rule("/t", "t", lambda: render_template_string("{{ word }}"))
    assert get(app, "/t").text == ""
    app.template_context_processors[None].append(lambda: {"word": "from the table"})
    assert get(app, "/t").text == "from the table"


def test_rules_added_to_the_url_map_are_matched() -> None:
    app = make()
    assert get(app, "/late").status_code == 404
    app.url_map.add(app.url_rule_class("/late", endpoint="late"))
    app.view_functions["late"] = lambda: "late"
    assert get(app, "/late").text == "late"
    with app.test_request_context():
        assert url_for("late") == "/late"
    assert {rule.endpoint for rule in app.url_map.iter_rules()} == {"static", "index", "late"}


def test_url_functions_written_into_their_tables_are_called() -> None:
    app = make()
    app.add_url_rule("/<lang>/page", "page", lambda: g.lang)
    app.url_value_preprocessors.setdefault(None, []).append(
        lambda endpoint, values: setattr(g, "lang", values.pop("lang", "none"))
    )
    app.url_default_functions.setdefault(None, []).append(
        lambda endpoint, values: values.setdefault("lang", "en")
    )
    assert get(app, "/de/page").text == "de"
    with app.test_request_context("/de/page"):
        assert url_for("page") == "/en/page"


def test_url_build_error_handlers_may_be_appended() -> None:
    app = make()
    app.url_build_error_handlers.append(lambda error, endpoint, values: f"/built/{endpoint}")
    with app.test_request_context():
        assert url_for("unknown") == "/built/unknown"


def test_blueprints_and_extensions_are_plain_tables() -> None:
    app = make()
    part = Blueprint("part", __name__)
    app.register_blueprint(part)
    assert app.blueprints["part"] is part and list(app.iter_blueprints()) == [part]
    app.extensions["own"] = {"a": 1}
    with app.app_context():
        assert current_app.extensions["own"] == {"a": 1}


def test_config_written_late_is_followed() -> None:
    app = make()
    app.add_url_rule("/set", "set", lambda: session.setdefault("a", "set"))
    assert "session=" in get(app, "/set").headers["Set-Cookie"]
    app.config.update(SESSION_COOKIE_NAME="late", PERMANENT_SESSION_LIFETIME=timedelta(hours=1))
    assert get(app, "/set").headers["Set-Cookie"].startswith("late=")


# -- and the rest -------------------------------------------------------------------------------


def test_jinja_caches_and_globals_may_be_hung_on_the_environment() -> None:
    app = make()
    app.jinja_env.globals["word"] = "global"
    app.jinja_env.filters["twice"] = lambda text: text * 2
    app.jinja_env.an_attribute = 1  # type: ignore[attr-defined]
    with app.app_context():
        assert render_template_string("{{ word | twice }}") == "globalglobal"


def test_the_logger_is_the_one_of_the_standard_library() -> None:
    app = make()
    assert app.logger is logging.getLogger("made")


def test_flashed_messages_are_told_by_signal_with_category() -> None:
    from carboy import message_flashed

    app = make()
    told: list[tuple[str, str]] = []

    def listen(sender: Any, message: str, category: str) -> None:
        told.append((message, category))

    with message_flashed.connected_to(listen, app), app.test_request_context():
        flash("note", "own")
    assert told == [("note", "own")]


@pytest.mark.parametrize("headers", [{"X-Own": "1"}, [("X-Own", "1")]], ids=["dict", "list"])
def test_the_headers_of_a_response_may_be_assigned_over(headers: Any) -> None:
    """httpbin writes a plain dict there."""
    app = make()

    @app.get("/own")
    def own() -> Response:
        response = Response("own", 418)
        response.headers = headers
        return response

    answer = get(app, "/own")
    assert (answer.status_code, answer.text, answer.headers["X-Own"]) == (418, "own", "1")


@pytest.mark.parametrize("path", ["/", "/nowhere", "/crash", "/stream"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_start_response_is_called_while_the_request_is_at_hand(path: str, method: str) -> None:
    """OpenTelemetry's instrumentation asks for the request, its rule and its environ there."""
    app = make()
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    app.add_url_rule("/stream", "stream", lambda: Response(iter(["a", "b"])))
    inner = app.wsgi_app
    seen: list[Any] = []

    def wrapped(environ: Any, start_response: Any) -> Any:
        def begin(status: str, headers: Any, *rest: Any) -> Any:
            seen.append(bool(request) and (request.path, request.environ is environ))
            return start_response(status, headers, *rest)

        return inner(environ, begin)

    app.wsgi_app = wrapped  # type: ignore[method-assign]
    app.test_client().open(path, method=method)
    assert seen == [(path, True)]
    assert not request
