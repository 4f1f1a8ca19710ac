from __future__ import annotations

import io
from pathlib import Path

import click
import pytest

from carboy import (
    Carboy,
    Response,
    current_app,
    g,
    has_request_context,
    make_response,
    redirect,
    render_template,
    render_template_string,
    request,
    session,
    url_for,
)
from carboy.testing import EnvironBuilder, FlaskClient, FlaskCliRunner


@pytest.fixture
def echo(app):
    """An application that tells what it was sent, and its client."""

    @app.route("/", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
    @app.route("/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def view(rest=""):
        return {
            "method": request.method,
            "url": request.url,
            "args": request.args.to_dict(flat=False),
            "form": request.form.to_dict(flat=False),
            "files": {name: f.filename for name, f in request.files.items()},
            "json": request.get_json(silent=True),
            "type": request.mimetype,
            "header": request.headers.get("X-Header"),
            "addr": request.remote_addr,
            "agent": request.user_agent.string,
        }

    return app.test_client()


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "options", "trace"])
def test_the_client_has_a_method_for_each_verb(echo, verb):
    """TEST-01: and ``open`` with any method."""
    assert getattr(echo, verb)("/").json["method"] == verb.upper()
    assert echo.open("/", method=verb.upper()).json["method"] == verb.upper()


def test_the_client_has_head(echo):
    """TEST-01: no body."""
    response = echo.head("/")
    assert (response.status_code, response.data) == (200, b"")


def test_data_is_a_form_when_it_is_a_dict(echo):
    """TEST-02: urlencoded; multipart when it holds a file; bytes are a raw body."""
    found = echo.post("/", data={"a": "1", "b": ["x", "y"]}).json
    assert (found["form"], found["type"]) == (
        {"a": ["1"], "b": ["x", "y"]},
        "application/x-www-form-urlencoded",
    )
    found = echo.post("/", data={"a": "1", "f": (io.BytesIO(b"x"), "f.txt")}).json
    assert (found["form"], found["files"], found["type"]) == (
        {"a": ["1"]},
        {"f": "f.txt"},
        "multipart/form-data",
    )
    found = echo.post("/", data=b"raw", content_type="text/plain").json
    assert (found["form"], found["type"]) == ({}, "text/plain")


def test_json_is_encoded_by_the_applications_provider(app, echo):
    """TEST-02: with its content type."""
    from datetime import date

    found = echo.post("/", json={"d": date(2024, 5, 1)}).json
    assert found["json"] == {"d": "Wed, 01 May 2024 00:00:00 GMT"}
    assert found["type"] == "application/json"


def test_json_and_data_together_are_refused(echo):
    """TEST-02: TypeError."""
    with pytest.raises(TypeError, match=r"json.*data|data.*json"):
        echo.post("/", json={}, data=b"")


def test_query_string_as_text_dict_or_in_the_path(echo):
    """TEST-02: the same request."""
    wanted = {"a": ["1"], "b": ["x y"]}
    assert echo.get("/", query_string={"a": 1, "b": "x y"}).json["args"] == wanted
    assert echo.get("/", query_string="a=1&b=x+y").json["args"] == wanted
    assert echo.get("/?a=1&b=x%20y").json["args"] == wanted


def test_headers_environ_and_base(echo):
    """TEST-02: ``headers``, ``environ_overrides``, ``environ_base``, ``base_url``."""
    found = echo.get(
        "/",
        headers={"X-Header": "h"},
        environ_overrides={"REMOTE_ADDR": "10.1.1.1"},
        base_url="https://shop.test/",
    ).json
    assert (found["header"], found["addr"], found["url"]) == ("h", "10.1.1.1", "https://shop.test/")
    found = echo.get("/", environ_base={"REMOTE_ADDR": "10.2.2.2"}).json
    assert found["addr"] == "10.2.2.2"


def test_the_client_names_itself_and_comes_from_loopback(echo):
    """TEST-02: unless told otherwise; ``client.environ_base`` changes it for all requests."""
    found = echo.get("/").json
    assert found["addr"] == "127.0.0.1"
    assert found["agent"].startswith("Werkzeug/")
    echo.environ_base["REMOTE_ADDR"] = "10.0.0.9"
    echo.environ_base["HTTP_USER_AGENT"] = "me"
    found = echo.get("/").json
    assert (found["addr"], found["agent"]) == ("10.0.0.9", "me")


def test_what_a_test_response_has(app, client):
    """TEST-03: status_code, status, data, text, json, headers, mimetype, location, request."""
    app.add_url_rule("/", "view", lambda: ({"a": "é"}, 201, {"Location": "/a", "X-A": "1"}))
    response = client.get("/?q=1")
    assert (response.status_code, response.status) == (201, "201 CREATED")
    assert response.json == response.get_json() == {"a": "é"}
    assert response.is_json
    assert response.text == response.get_data(as_text=True) == response.data.decode()
    assert response.headers["x-a"] == "1"
    assert response.mimetype == "application/json"
    assert response.location == "/a"
    assert response.request.path == "/"
    assert response.request.query_string == b"q=1"


def test_json_of_another_type_is_none_or_an_error(app, client):
    """TEST-03: ``response.json`` of HTML."""
    app.add_url_rule("/", "view", lambda: "<p>")
    response = client.get("/")
    assert not response.is_json
    assert response.get_json(silent=True) is None
    assert response.json is None


def test_redirects_are_followed_on_demand(app, client):
    """TEST-04, D-38: off by default; ``history`` holds what came before."""
    app.add_url_rule("/a", "a", lambda: redirect(url_for("b", x=1)))
    app.add_url_rule("/b", "b", lambda: redirect(url_for("c")))
    app.add_url_rule("/c", "c", lambda: "the end")
    response = client.get("/a")
    assert (response.status_code, response.location) == (302, "/b?x=1")
    assert response.history == ()
    response = client.get("/a", follow_redirects=True)
    assert (response.status_code, response.text) == (200, "the end")
    assert [r.status_code for r in response.history] == [302, 302]
    assert response.history[-1].request.path == "/b"
    assert response.request.path == "/c"


def test_cookies_persist_in_a_client(app):
    """TEST-05: another client has its own; ``use_cookies=False`` keeps none."""

    @app.route("/")
    def view():
        count = int(request.cookies.get("n", "0")) + 1
        response = make_response(str(count))
        response.set_cookie("n", str(count))
        return response

    one, two, none = app.test_client(), app.test_client(), app.test_client(use_cookies=False)
    assert [one.get("/").text for _ in range(3)] == ["1", "2", "3"]
    assert two.get("/").text == "1"
    assert [none.get("/").text for _ in range(2)] == ["1", "1"]


def test_cookies_of_a_client_can_be_set_read_and_deleted(app, client):
    """TEST-05: ``set_cookie``, ``get_cookie``, ``delete_cookie``."""
    app.add_url_rule("/", "view", lambda: request.cookies.get("a", "none"))
    client.set_cookie("a", "1")
    assert client.get("/").text == "1"
    assert client.get_cookie("a").value == "1"
    client.delete_cookie("a")
    assert client.get("/").text == "none"
    assert client.get_cookie("a") is None


def test_with_client_keeps_the_context(app):
    """TEST-06: request, session and g after the request, until the block ends."""
    app.secret_key = "k"

    @app.route("/<name>")
    def view(name):
        g.name = session["name"] = name
        return "x"

    with app.test_client() as client:
        client.get("/ann?a=1")
        assert (g.name, session["name"], request.args["a"]) == ("ann", "ann", "1")
        client.get("/bob")
        assert (g.name, request.path) == ("bob", "/bob")
    assert not has_request_context()


def test_without_with_nothing_is_kept(app, client):
    """TEST-06: the context is gone with the response."""
    app.add_url_rule("/", "view", lambda: "x")
    client.get("/")
    assert not has_request_context()


@pytest.mark.beyond
def test_a_kept_context_is_torn_down_once(app):
    """TEST-06: not at the end of the request and again at the end of the block."""
    order = []
    app.teardown_request(lambda error: order.append(request.path))
    app.add_url_rule("/<name>", "view", lambda name: name)
    with app.test_client() as client:
        client.get("/a")
        client.get("/b")
    assert order == ["/a", "/b"]


def test_session_transaction_changes_the_session(app, client):
    """TEST-07: before the first request and after."""
    app.secret_key = "k"
    app.add_url_rule("/", "view", lambda: str(session.get("n", 0)))
    with client.session_transaction() as kept:
        kept["n"] = 5
    assert client.get("/").text == "5"
    with client.session_transaction() as kept:
        assert kept["n"] == 5
        del kept["n"]
    assert client.get("/").text == "0"


def test_session_transaction_runs_no_view(app, client):
    """TEST-07: and takes the arguments of a request."""
    app.secret_key = "k"
    ran = []
    app.before_request(lambda: ran.append(1))
    with client.session_transaction("/x", base_url="http://shop.test") as kept:
        kept["a"] = 1
        assert not has_request_context() or request.host == "shop.test"
    assert ran == []


def test_session_transaction_needs_cookies_and_a_session(app):
    """TEST-07: TypeError without cookies, RuntimeError without a secret key."""
    with pytest.raises(RuntimeError), app.test_client().session_transaction():
        pass
    app.secret_key = "k"
    without = app.test_client(use_cookies=False)
    with pytest.raises(TypeError, match=r"[Cc]ookies"), without.session_transaction():
        pass


def test_code_that_needs_a_session_runs_in_a_test_request_context(app):
    """TEST-08: with path, method, data, json, headers."""
    app.secret_key = "k"
    with app.test_request_context("/x?a=1", method="POST", data={"b": "2"}, headers={"X-H": "h"}):
        session["user"] = 5
        assert session["user"] == 5
        assert (request.path, request.method, request.args["a"]) == ("/x", "POST", "1")
        assert (request.form["b"], request.headers["X-H"]) == ("2", "h")
    with app.test_request_context("/x", json={"a": 1}):
        assert request.json == {"a": 1}
    assert not has_request_context()


def test_hooks_can_be_run_in_a_test_request_context(app):
    """TEST-08: ``preprocess_request`` by hand."""
    app.before_request(lambda: setattr(g, "user", "ann"))
    with app.test_request_context("/"):
        assert "user" not in g
        app.preprocess_request()
        assert g.user == "ann"


def test_the_builder_knows_the_applications_settings(app):
    """TEST-08: SERVER_NAME, APPLICATION_ROOT, PREFERRED_URL_SCHEME, ``subdomain``."""
    app.config.update(
        SERVER_NAME="shop.test", APPLICATION_ROOT="/app", PREFERRED_URL_SCHEME="https"
    )
    builder = EnvironBuilder(app, "/x", subdomain="api")
    assert builder.base_url == "https://api.shop.test/app/"
    builder.close()
    with app.test_request_context("/x"):
        assert request.url == "https://shop.test/app/x"
    with pytest.raises(AssertionError):
        EnvironBuilder(app, "/", base_url="http://a.test", subdomain="b")


@pytest.fixture
def commands(app):
    @app.cli.command("greet")
    @click.argument("name")
    @click.option("--loud", is_flag=True)
    def greet(name, loud):
        text = f"hello {name} from {current_app.name}"
        click.echo(text.upper() if loud else text)

    @app.cli.command("ask")
    def ask():
        click.echo(f"got {click.prompt('word')}")

    @app.cli.command("fail")
    def fail():
        raise ValueError("broken")

    return app


def test_the_cli_runner_invokes_commands(commands):
    """TEST-09: arguments, options, the application's context; output and exit code."""
    runner = commands.test_cli_runner()
    assert isinstance(runner, FlaskCliRunner)
    result = runner.invoke(args=["greet", "ann"])
    assert (result.exit_code, result.output) == (0, "hello ann from test_app\n")
    assert runner.invoke(args=["greet", "ann", "--loud"]).output.startswith("HELLO ANN")
    assert runner.invoke(args=["greet"]).exit_code == 2


def test_the_cli_runner_feeds_input_and_keeps_exceptions(commands):
    """TEST-09: ``input=``, ``result.exception``; a command object may be given too."""
    runner = commands.test_cli_runner()
    assert runner.invoke(args=["ask"], input="fish\n").output == "word: fish\ngot fish\n"
    result = runner.invoke(args=["fail"])
    assert result.exit_code == 1
    assert isinstance(result.exception, ValueError)
    assert runner.invoke(commands.cli.commands["ask"], input="x\n").exit_code == 0


@pytest.mark.beyond
def test_a_response_names_its_templates(app, client):
    """TEST-12, D-39: ``response.templates``, a list of names in the order they were rendered."""
    folder = Path(app.root_path, "templates")
    folder.mkdir()
    (folder / "page.html").write_text("page")
    app.add_url_rule("/", "view", lambda: render_template("page.html"))
    app.add_url_rule("/none", "none", lambda: "x")
    assert client.get("/").templates == ["page.html"]
    assert client.get("/none").templates == []


@pytest.mark.beyond
def test_an_endless_answer_is_read_part_by_part(app, client):
    """The block's end is the client's end."""
    closed = []

    def parts():
        try:
            while True:
                yield "part"
        finally:
            closed.append(True)

    app.add_url_rule("/", "view", parts)
    with client.stream("/") as response:
        chunks = response.chunks()
        assert [next(chunks), next(chunks)] == [b"part", b"part"]
    assert closed == [True]


@pytest.mark.beyond
def test_requests_can_be_awaited(app):
    """``app.async_test_client()`` runs the application on the test's own event loop."""
    import asyncio

    app.add_url_rule("/", "view", lambda: {"hello": "world"})

    async def test():
        response = await app.async_test_client().get("/")
        return response.json

    assert asyncio.run(test()) == {"hello": "world"}


@pytest.mark.beyond
def test_answers_are_checked_against_the_specification(app):
    """``lint=True``: here a length that would leave a browser waiting."""
    from carboy import Response
    from carboy.testing.lint import LintError

    app.add_url_rule("/", "view", lambda: Response(iter("x"), headers={"Content-Length": "2"}))
    with pytest.raises(LintError, match="RFC 9112"):
        app.test_client(lint=True).get("/").get_data()


def test_exceptions_propagate_when_testing(app, client):
    """TEST-22: otherwise a 500 page, for client code that wants to see it."""

    @app.route("/")
    def view():
        raise ValueError("broken")

    assert client.get("/").status_code == 500
    app.testing = True
    with pytest.raises(ValueError, match="broken"):
        client.get("/")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert client.get("/").status_code == 500


def test_a_custom_client_class(app):
    """TEST-23: ``app.test_client_class``, with arguments of its own."""

    class AuthClient(FlaskClient):
        def __init__(self, *args, token="", **kwargs):
            super().__init__(*args, **kwargs)
            self.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"

    app.test_client_class = AuthClient
    app.add_url_rule("/", "view", lambda: request.authorization.token)
    assert app.test_client(token="abc").get("/").text == "abc"


def test_a_custom_response_class_reaches_the_client(app):
    """TEST-23: the test response is a subclass of the application's class."""

    class Mine(Response):
        @property
        def words(self):
            return self.text.split()

    app.response_class = Mine
    app.add_url_rule("/", "view", lambda: "a b")
    assert app.test_client().get("/").words == ["a", "b"]


def test_a_nested_with_is_refused(app):
    """TEST-23: RuntimeError."""
    with app.test_client() as client, pytest.raises(RuntimeError, match="nest"), client:
        pass


def test_absolute_urls_set_host_and_scheme(echo):
    """TEST-23: in the path argument."""
    found = echo.get("https://shop.test/x?a=1").json
    assert found["url"] == "https://shop.test/x?a=1"


def test_a_builder_or_an_environ_may_be_sent(app, echo):
    """TEST-23: ``client.open(builder)``."""
    builder = EnvironBuilder(app, "/x", method="PUT", data={"a": "1"})
    found = echo.open(builder).json
    assert (found["method"], found["form"]) == ("PUT", {"a": ["1"]})


def test_the_client_runs_the_real_view_code(app, client):
    """TEST-24: hooks, converters, templates, error handlers and all."""
    order = []
    app.before_request(lambda: order.append("before"))

    @app.after_request
    def after(response):
        order.append("after")
        return response

    @app.route("/<int:x>")
    def view(x):
        order.append("view")
        return render_template_string("{{ x + 1 }}", x=x)

    app.register_error_handler(404, lambda error: ("mine", 404))
    assert client.get("/5").text == "6"
    assert client.get("/five").text == "mine"
    assert order == ["before", "view", "after", "before", "after"]


def test_clients_of_two_applications_are_separate():
    """TEST-05, TEST-10: a fresh application for each test."""
    first, second = Carboy("first"), Carboy("second")
    for app in (first, second):
        app.add_url_rule("/", "view", lambda app=app: app.name)
    assert first.test_client().get("/").text == "first"
    assert second.test_client().get("/").text == "second"
