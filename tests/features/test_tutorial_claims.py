"""What tutorials often claim, and what is so: each row of the list of differences."""

from __future__ import annotations

import asyncio
import json
import logging
import pathlib
import threading
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import jinja2
import pytest
from werkzeug.security import generate_password_hash

import carboy
from carboy import (
    Blueprint,
    Carboy,
    Response,
    current_app,
    flash,
    g,
    jsonify,
    redirect,
    render_template,
    render_template_string,
    request,
    request_finished,
    session,
    stream_with_context,
    url_for,
)

from .child import run_python


def render(app: Carboy, source: str, **values: Any) -> str:
    with app.app_context():
        return render_template_string(source, **values)


def test_specific_rules_win_whatever_the_order(app: Carboy) -> None:
    """D-01: rules are sorted by how specific they are; order decides only between equal ones."""
    app.add_url_rule("/<path:x>", "path", lambda x: "path")
    app.add_url_rule("/<x>", "text", lambda x: "text")
    app.add_url_rule("/<int:x>", "int", lambda x: "int")
    app.add_url_rule("/about", "static_rule", lambda: "static")
    app.add_url_rule("/same", "first", lambda: "first")
    app.add_url_rule("/same", "second", lambda: "second")
    client = app.test_client()
    found = [client.get(path).text for path in ("/about", "/7", "/word", "/a/b", "/same")]
    assert found == ["static", "int", "text", "path", "first"]


def test_slash_redirect_is_308(app: Carboy) -> None:
    """D-02: the redirect to the URL with the slash is 308: method, body and query are kept."""
    app.add_url_rule("/x/", "x", lambda: request.get_data(as_text=True), methods=["GET", "POST"])
    client = app.test_client()
    response = client.post("/x?a=1", data="body")
    assert (response.status_code, response.location) == (308, "http://localhost/x/?a=1")
    assert client.post("/x?a=1", data="body", follow_redirects=True).text == "body"


def test_rule_without_slash_does_not_redirect(app: Carboy) -> None:
    """D-03: `/products` is not found as `/products/`."""
    app.add_url_rule("/products", "products", lambda: "x")
    assert app.test_client().get("/products/").status_code == 404


@pytest.mark.parametrize("value", ["development", "production"])
def test_flask_env_is_nothing(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """D-04: FLASK_ENV, app.env and the ENV key are gone; FLASK_DEBUG alone counts."""
    monkeypatch.setenv("FLASK_ENV", value)
    app = Carboy("x")
    assert (app.debug, hasattr(app, "env"), "ENV" in app.config) == (False, False, False)
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert Carboy("x").debug is True


def test_json_sort_keys_is_an_attribute_of_the_provider(app: Carboy) -> None:
    """D-05: app.json.sort_keys is True by default; the old key is in no default configuration."""
    assert app.json.sort_keys is True
    assert "JSON_SORT_KEYS" not in app.config


@pytest.mark.beyond
def test_json_sort_keys_is_honoured_when_set(app: Carboy) -> None:
    """D-05: an application that still sets JSON_SORT_KEYS gets what it asks for."""
    app.config["JSON_SORT_KEYS"] = False
    app.add_url_rule("/", "index", lambda: jsonify({"b": 1, "a": 2}))
    app.add_url_rule("/dict", "dict", lambda: {"b": 1, "a": 2})
    client = app.test_client()
    assert list(json.loads(client.get("/").text)) == ["b", "a"]
    assert list(json.loads(client.get("/dict").text)) == ["b", "a"]


@pytest.mark.parametrize("debug", [False, True])
def test_static_urls_have_no_query(app: Carboy, debug: bool) -> None:
    """D-06: url_for('static') adds nothing; url_defaults is the way to bust caches."""
    app.debug = debug
    with app.test_request_context():
        assert url_for("static", filename="a.css") == "/static/a.css"

    @app.url_defaults
    def version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values["v"] = "7"

    with app.test_request_context():
        assert url_for("static", filename="a.css") == "/static/a.css?v=7"


def test_json_needs_its_content_type(app: Carboy) -> None:
    """D-07: request.json without a JSON content type is 415; silent=True gives None."""
    app.add_url_rule("/", "index", lambda: jsonify(request.json), methods=["POST"])
    app.add_url_rule(
        "/silent", "silent", lambda: str(request.get_json(silent=True)), methods=["POST"]
    )
    client = app.test_client()
    assert client.post("/", data='{"a": 1}').status_code == 415
    assert client.post("/silent", data='{"a": 1}').text == "None"


def test_data_is_still_there_after_json(app: Carboy) -> None:
    """D-08: the body is cached: request.data works after get_json."""

    @app.post("/")
    def index() -> bytes:
        request.get_json()
        return request.data

    assert app.test_client().post("/", json={"a": 1}).data == b'{"a": 1}'


def test_after_request_runs_on_an_unhandled_error(app: Carboy) -> None:
    """D-09: the 500 response passes after_request; only a propagating exception does not."""
    app.after_request(lambda response: response.headers.set("X-After", "1") or response)
    app.add_url_rule("/", "index", lambda: 1 / 0)
    client = app.test_client()
    assert client.get("/").headers["X-After"] == "1"
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ZeroDivisionError):
        client.get("/")


def test_hooks_run_for_unmatched_requests(app: Carboy) -> None:
    """D-10: application hooks run for a 404; blueprint hooks need a matched route."""
    seen: list[str] = []
    bp = Blueprint("bp", __name__, url_prefix="/bp")
    bp.before_request(lambda: seen.append("bp"))
    bp.add_url_rule("/", "index", lambda: "bp")
    app.register_blueprint(bp)
    app.before_request(lambda: seen.append("app"))
    client = app.test_client()
    assert client.get("/bp/unknown").status_code == 404
    assert seen == ["app"]
    client.get("/bp/")
    assert seen == ["app", "app", "bp"]


def test_after_and_teardown_run_in_reverse(app: Carboy) -> None:
    """D-11: before in order of registration, after and teardown backwards."""
    order: list[str] = []
    for n in "12":
        app.before_request(lambda n=n: order.append(f"before {n}"))
        app.after_request(lambda r, n=n: order.append(f"after {n}") or r)
        app.teardown_request(lambda e, n=n: order.append(f"teardown {n}"))
    app.test_client().get("/")
    assert order == ["before 1", "before 2", "after 2", "after 1", "teardown 2", "teardown 1"]


def served(app: Any, path: str = "/") -> tuple[Any, list[str]]:
    from werkzeug.test import create_environ

    statuses: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        statuses.append(status)
        return lambda data: None

    return app(create_environ(path), start_response), statuses


def test_teardown_runs_before_an_ordinary_body_is_written(app: Carboy) -> None:
    """D-12: teardown runs when the response has been made, before the server takes its body."""
    order: list[str] = []
    app.teardown_request(lambda error: order.append("teardown"))

    def chunks() -> Iterator[str]:
        order.append("chunk")
        yield "x"

    app.add_url_rule("/", "index", lambda: Response(chunks()))
    iterable, _ = served(app)
    assert order == ["teardown"]
    assert b"".join(iterable) == b"x"
    iterable.close()
    assert order == ["teardown", "chunk"]


def test_request_finished_is_sent_before_the_response(app: Carboy) -> None:
    """D-13: request_finished comes synchronously, before the server has the status."""
    order: list[str] = []

    def finished(sender: Any, response: Response, **extra: Any) -> None:
        order.append("finished")
        response.headers["X-Signal"] = "still time"

    app.add_url_rule("/", "index", lambda: "x")
    with request_finished.connected_to(finished, app):
        response = app.test_client().get("/")
    assert order == ["finished"]
    assert response.headers["X-Signal"] == "still time"


def test_signals_are_always_there() -> None:
    """D-14: blinker is a requirement: signals work, there is no signals_available flag."""
    import importlib.metadata

    from blinker import NamedSignal

    assert isinstance(carboy.request_started, NamedSignal)
    name = next(n for n in ("carboy", "flask") if n in carboy.__file__)
    requires = importlib.metadata.requires(name) or []
    assert any(r.startswith("blinker") and "extra" not in r for r in requires)


def test_url_for_without_a_request_needs_server_name(app: Carboy) -> None:
    """D-15: in a bare app context url_for needs SERVER_NAME, and is absolute by default."""
    app.add_url_rule("/login", "login", lambda: "")
    with app.app_context(), pytest.raises(RuntimeError, match="SERVER_NAME"):
        url_for("login")
    with app.test_request_context():
        assert url_for("login") == "/login"
    app.config["SERVER_NAME"] = "example.test"
    with app.app_context():
        assert url_for("login") == "http://example.test/login"
        assert url_for("login", _external=False) == "/login"


def test_helpers_of_a_view_may_use_request(app: Carboy) -> None:
    """D-16: code called from a view uses request; a thread of its own does not have one."""
    failed: list[type[BaseException]] = []

    def helper() -> str:
        return request.path

    def in_thread() -> None:
        try:
            helper()
        except RuntimeError as error:
            failed.append(type(error))

    @app.get("/x")
    def view() -> str:
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
        return helper()

    assert app.test_client().get("/x").text == "/x"
    assert failed == [RuntimeError]


def test_contexts_are_context_variables(app: Carboy) -> None:
    """D-17: a context pushed in one task of a loop is not seen by another task on the thread."""

    async def task(path: str) -> list[str]:
        seen = []
        with app.test_request_context(path):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(request.path)
        return seen

    async def main() -> list[list[str]]:
        return await asyncio.gather(task("/a"), task("/b"))

    assert asyncio.run(main()) == [["/a"] * 3, ["/b"] * 3]


TOGETHER = """
import threading
from carboy import Carboy
app = Carboy(__name__)
barrier = threading.Barrier(2)

@app.get("/")
def index():
    barrier.wait(10)  # passes only if two requests are served at once
    return "together"
"""


def test_development_server_is_threaded(start_server: Callable[..., Any]) -> None:
    """D-18: two requests are served at the same time without any option."""
    server = start_server(TOGETHER, "run", "--port", "0")
    texts: list[bytes] = []
    threads = [threading.Thread(target=lambda: texts.append(server.get("/")[2])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [b"together", b"together"]


def test_threads_can_be_turned_off(tmp_path: pathlib.Path) -> None:
    """D-18, D-19: run has --without-threads, and TLS by --cert and --key."""
    shown = run_python("-m", "carboy", "run", "--help", cwd=tmp_path).stdout
    for option in ("--without-threads", "--cert", "--key"):
        assert option in shown


DEBUGGED = """
from carboy import Carboy
app = Carboy(__name__)

@app.get("/")
def index():
    return 1 / 0
"""


def test_console_is_closed_to_other_hosts(start_server: Callable[..., Any]) -> None:
    """D-20: the console exists in debug only, is PIN-locked and refuses foreign hosts."""
    server = start_server(DEBUGGED, "run", "--port", "0", "--debug", "--no-reload")
    status, _, body = server.get("/console", Host="evil.example")
    assert status in (400, 403, 404)
    assert b"SECRET" not in body
    status, _, body = server.get("/console")
    # Where the console is offered to this host, it is locked: evaluation needs the PIN.
    assert status == 404 or b"EVALEX_TRUSTED = false" in body
    status, _, body = server.get("/?__debugger__=yes&cmd=1234567*7654321&frm=0&s=wrong")
    assert b"9449772114007" not in body


def test_no_console_without_debug(start_server: Callable[..., Any]) -> None:
    """D-20: without debug there is no console."""
    server = start_server(DEBUGGED, "run", "--port", "0")
    assert server.get("/console")[0] == 404
    status, _, body = server.get("/")
    assert status == 500 and b"ZeroDivisionError" not in body


def test_host_variable_is_not_read(tmp_path: pathlib.Path) -> None:
    """D-21: HOST changes nothing; FLASK_RUN_HOST and FLASK_RUN_PORT are the names."""
    (tmp_path / "app.py").write_text("from carboy import Carboy\napp = Carboy(__name__)\n")
    code = (
        "import sys; from carboy.cli import run_command\n"
        "ctx = run_command.make_context('run', [], auto_envvar_prefix='FLASK_RUN')\n"
        "print(ctx.params['host'], ctx.params['port'])\n"
    )
    done = run_python("-c", code, cwd=tmp_path, HOST="0.0.0.0", PORT="1")
    assert done.stdout.split() == ["127.0.0.1", "5000"], done.stderr
    done = run_python("-c", code, cwd=tmp_path, FLASK_RUN_HOST="127.0.0.2", FLASK_RUN_PORT="8000")
    assert done.stdout.split() == ["127.0.0.2", "8000"]


def test_static_settings_are_constructor_arguments(tmp_path: pathlib.Path) -> None:
    """D-22: static_url_path and static_folder belong to the constructor, not to the config."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/a.txt").write_text("asset")
    app = Carboy("x", root_path=str(tmp_path), static_url_path="", static_folder="assets")
    with app.test_client().get("/a.txt") as response:
        assert response.text == "asset"
    app = Carboy("x", root_path=str(tmp_path))
    app.config.update(STATIC_FOLDER="assets", STATIC_URL_PATH="")
    assert app.test_client().get("/a.txt").status_code == 404


def test_own_command_does_not_replace_a_built_in_one(tmp_path: pathlib.Path) -> None:
    """D-23: built-in commands win over an application's command of the same name."""
    (tmp_path / "app.py").write_text(
        "from carboy import Carboy\napp = Carboy(__name__)\n"
        "@app.cli.command('routes')\ndef routes():\n    print('own command')\n"
    )
    done = run_python("-m", "carboy", "routes", cwd=tmp_path)
    assert done.returncode == 0
    assert "own command" not in done.stdout and "Endpoint" in done.stdout


def test_sessions_and_flashes_are_signed_only(app: Carboy) -> None:
    """D-24: the client can read session and messages; the salt is `cookie-session`."""
    import base64

    from carboy.sessions import SecureCookieSessionInterface

    app.secret_key = "test key"

    @app.get("/")
    def index() -> str:
        session["user"] = "ada"
        flash("hello")
        return ""

    client = app.test_client()
    client.get("/")
    payload = client.get_cookie("session").value.split(".")[0]
    raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    assert b"ada" in raw and b"hello" in raw
    assert SecureCookieSessionInterface.salt == "cookie-session"


@pytest.mark.parametrize(("path", "code"), [("/nowhere", 404), ("/crash", 500)])
def test_default_error_pages_are_html(app: Carboy, path: str, code: int) -> None:
    """D-25: default error pages are small HTML pages."""
    app.add_url_rule("/crash", "crash", lambda: 1 / 0)
    response = app.test_client().get(path)
    assert (response.status_code, response.mimetype) == (code, "text/html")
    assert response.text.startswith("<!doctype html>")
    assert len(response.text) < 1000


@pytest.mark.beyond
def test_failing_500_handler_is_a_plain_500(app: Carboy, caplog: pytest.LogCaptureFixture) -> None:
    """D-26: a bug in the 500 handler is a plain 500, logged once; it propagates only in tests."""
    app.add_url_rule("/", "index", lambda: 1 / 0)

    @app.errorhandler(500)
    def broken(error: Exception) -> str:
        raise LookupError("in the handler")

    client = app.test_client()
    with caplog.at_level(logging.ERROR):
        response = client.get("/")
    assert (response.status_code, response.mimetype) == (500, "text/html")
    assert "in the handler" not in response.text
    assert caplog.text.count("LookupError: in the handler") == 1
    for setting in ("TESTING", "PROPAGATE_EXCEPTIONS", "DEBUG"):
        app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=None, DEBUG=False)
        app.config[setting] = True
        with pytest.raises((ZeroDivisionError, LookupError)):
            client.get("/")


def test_redirect_ignores_its_response_argument_while_an_app_is_active(app: Carboy) -> None:
    """D-27: with an active app redirect() uses app.response_class; without one Response=."""

    class Own(Response):
        pass

    with app.app_context():
        assert type(redirect("/x", Response=Own)) is app.response_class
    assert type(redirect("/x", Response=Own)) is Own


@pytest.mark.parametrize(
    "load", [tomllib.load, pytest.param(tomllib.loads, marks=pytest.mark.beyond)]
)
def test_toml_files_load_with_load_and_loads(
    app: Carboy, tmp_path: pathlib.Path, load: Any
) -> None:
    """D-28: from_file(..., load=tomllib.loads, text=False) works as well as tomllib.load."""
    (tmp_path / "c.toml").write_text('COLOUR = "blue"\n')
    assert app.config.from_file("c.toml", load=load, text=False) is True
    assert app.config["COLOUR"] == "blue"


def test_from_object_of_a_dict_sets_nothing(app: Carboy) -> None:
    """D-29: from_object({'TESTING': True}) does nothing; from_mapping is meant."""
    app.config.from_object({"TESTING": True})
    assert app.testing is False
    app.config.from_mapping({"TESTING": True})
    assert app.testing is True


def test_dot_looks_for_the_attribute_first(app: Carboy) -> None:
    """D-30: in templates a dot tries the attribute, then the item; brackets the other way."""
    value = {"items": "the key", "name": "n"}
    text = render(app, "{{ d.name }} {{ d['items'] }} {{ d.items is callable }}", d=value)
    assert text == "n the key True"


def test_method_without_parentheses_is_not_called(app: Carboy) -> None:
    """D-31: `{{ text.upper }}` prints the method; parentheses call it."""
    assert "built-in method upper" in render(app, "{{ t.upper }}", t="x")
    assert render(app, "{{ t.upper() }}", t="x") == "X"


def test_double_quote_is_escaped_by_its_number(app: Carboy) -> None:
    """D-32: `"` becomes `&#34;`."""
    assert render(app, "{{ t }}", t='"') == "&#34;"


@pytest.mark.beyond
def test_break_and_continue_are_there(app: Carboy) -> None:
    """D-33: the loopcontrols extension is on from the start."""
    source = (
        "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}"
        "{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}"
    )
    assert render(app, source) == "023"


def test_text_before_extends_is_output(app: Carboy, tmp_path: pathlib.Path) -> None:
    """D-34: extends need not come first; text before it is printed."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/base.html").write_text("base")
    assert render(app, "before {% extends 'base.html' %}after") == "before base"


def test_context_self_prints_nothing(app: Carboy) -> None:
    """D-35: `self._Context__self` is undefined in Jinja 3."""
    assert render(app, "[{{ self._Context__self }}]", secret=1) == "[]"


def test_circular_inheritance_is_a_recursion_error(app: Carboy, tmp_path: pathlib.Path) -> None:
    """D-36: templates that extend each other end in RecursionError."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/a.html").write_text("{% extends 'b.html' %}")
    (tmp_path / "templates/b.html").write_text("{% extends 'a.html' %}")
    with app.app_context(), pytest.raises(RecursionError):
        render_template("a.html")


def test_a_password_hash_needs_162_characters() -> None:
    """D-37: the default hash does not fit into 128 characters."""
    assert len(generate_password_hash("password")) == 162


def test_redirect_location_is_relative(app: Carboy) -> None:
    """D-38: response.location of a redirect is what the view gave; slash redirects are absolute."""
    app.add_url_rule("/go", "go", lambda: redirect("/login"))
    app.add_url_rule("/slash/", "slash", lambda: "")
    client = app.test_client()
    assert client.get("/go").location == "/login"
    assert client.get("/slash").location == "http://localhost/slash/"


@pytest.mark.beyond
def test_test_responses_name_their_templates(app: Carboy, tmp_path: pathlib.Path) -> None:
    """D-39: response.templates lists the names of the templates that were rendered."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/page.html").write_text("{% include 'part.html' %}")
    (tmp_path / "templates/part.html").write_text("part")
    app.add_url_rule("/", "index", lambda: render_template("page.html"))
    app.add_url_rule("/none", "none", lambda: "none")
    client = app.test_client()
    assert "page.html" in client.get("/").templates
    assert client.get("/none").templates == []


@pytest.mark.beyond
def test_the_application_is_an_asgi_callable(app: Carboy) -> None:
    """D-40: app(scope, receive, send) answers, so `uvicorn myapp:app` works as it is."""
    app.add_url_rule("/", "index", lambda: "asgi")
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def main() -> None:
        result: Any = app(scope, receive, send)
        await result

    asyncio.run(main())
    assert sent[0]["status"] == 200


def test_dicts_lists_and_request_json_are_all_there(app: Carboy) -> None:
    """D-41: dict and list return values and request.json work."""
    app.add_url_rule("/dict", "dict", lambda: {"a": 1})
    app.add_url_rule("/list", "list", lambda: [1, 2])
    app.add_url_rule("/json", "json", lambda: {"got": request.json}, methods=["POST"])
    client = app.test_client()
    assert client.get("/dict").json == {"a": 1}
    assert client.get("/list").json == [1, 2]
    assert client.post("/json", json=[1]).json == {"got": [1]}


def test_session_cookie_changes_because_its_content_does(app: Carboy) -> None:
    """D-43: there is no session id to rotate: the cookie at login is new as its content is."""
    app.secret_key = "test key"

    @app.get("/login")
    def login() -> str:
        session["user"] = "ada"
        return ""

    app.add_url_rule("/", "index", lambda: session.get("user", "nobody"))
    client = app.test_client()
    client.get("/")
    assert client.get_cookie("session") is None
    client.get("/login")
    cookie = client.get_cookie("session")
    assert cookie is not None and "sid" not in cookie.value
    payload = cookie.value.split(".")[0]
    client.get("/")
    again = client.get_cookie("session")
    assert again is not None and again.value.split(".")[0] == payload


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/text/x y", 200),
        ("/text/", 404),
        ("/text/a/b", 404),
        ("/int/0", 200),
        ("/int/007", 200),
        ("/int/-1", 404),
        ("/int/1.0", 404),
    ],
)
def test_default_and_int_converters(app: Carboy, path: str, code: int) -> None:
    """D-46: the default converter wants one character without slash; int takes 0 and 007."""
    app.add_url_rule("/text/<x>", "text", lambda x: x)
    app.add_url_rule("/int/<int:x>", "int", lambda x: str(x))
    assert app.test_client().get(path).status_code == code


def test_a_missing_import_is_a_name_error(app: Carboy) -> None:
    """D-47: nothing is injected into modules: a snippet without its imports fails by NameError."""
    namespace: dict[str, Any] = {"app": app, "__name__": "snippet"}
    exec("@app.get('/')\ndef index():\n    return request.path\n", namespace)
    app.testing = True
    with pytest.raises(NameError, match="request"):
        app.test_client().get("/")


@pytest.mark.beyond
def test_debug_on_a_public_address_is_told_loudly(start_server: Callable[..., Any]) -> None:
    """D-49: run --debug on 0.0.0.0 warns, names the danger and offers no console."""
    server = start_server(
        DEBUGGED, "run", "--host", "0.0.0.0", "--port", "0", "--debug", "--no-reload"
    )
    status, _, body = server.get("/")
    assert status == 500
    assert b"SECRET" not in body and b"EVALEX = true" not in body
    shown = server.output.lower()
    assert "debug" in shown
    assert "0.0.0.0" in shown
    assert any(word in shown for word in ("reachable", "public", "other machines", "loopback"))


def test_g_and_stream_are_as_documented(app: Carboy) -> None:
    """D-12, D-16: in a stream with context `request` and `g` stay usable after the view ended."""

    @app.get("/x")
    def view() -> Any:
        g.value = "kept"

        def chunks() -> Iterator[str]:
            yield f"{request.path} {g.value} {current_app.name}"

        return stream_with_context(chunks())

    assert app.test_client().get("/x").text == "/x kept test_app"


def test_missing_template_is_not_found(app: Carboy) -> None:
    """D-36: TemplateNotFound is for templates that do not exist."""
    with app.app_context(), pytest.raises(jinja2.TemplateNotFound):
        render_template("missing.html")
