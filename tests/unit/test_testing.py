"""The test client, the environ builder and the command runner."""

from __future__ import annotations

import gc
import io
import pickle
import threading
import time
from typing import Any

import click
import pytest

import carboy.testing
from carboy import (
    Carboy,
    g,
    has_request_context,
    redirect,
    render_template,
    render_template_string,
    request,
    session,
    stream_template,
)
from carboy.globals import _cv_request
from carboy.testing import EnvironBuilder, FlaskClient, FlaskCliRunner


@pytest.fixture
def pages(app: Carboy, tmp_path: Any) -> Carboy:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "part.html").write_text("part")
    (folder / "page.html").write_text("{% include 'part.html' %} of page")
    (folder / "rows.html").write_text("{% for i in range(3) %}{{ i }}{% endfor %}")
    app.secret_key = "test"

    @app.route("/page")
    def page() -> str:
        return render_template("page.html") + render_template("part.html")

    @app.route("/rows")
    def rows() -> Any:
        return stream_template("rows.html")

    @app.route("/away")
    def away() -> Any:
        render_template("part.html")
        return redirect("/page")

    @app.route("/none")
    def none() -> str:
        return render_template_string("{{ 1 }}")

    return app


# -- templates of a response --------------------------------------------------------------------


def test_a_response_lists_the_templates_rendered_for_it(pages):
    """D-39: in order; included ones are part of the one that includes them."""
    client = pages.test_client()
    assert client.get("/page").templates == ["page.html", "part.html"]
    assert client.get("/none").templates == []
    assert client.get("/missing").templates == []


def test_a_streamed_template_is_listed_once_it_has_been_read(pages):
    response = pages.test_client().get("/rows")
    assert response.data == b"012"
    assert response.templates == ["rows.html"]


def test_each_response_of_a_redirect_has_its_own_templates(pages):
    response = pages.test_client().get("/away", follow_redirects=True)
    assert response.templates == ["page.html", "part.html"]
    assert [r.templates for r in response.history] == [["part.html"]]


def test_a_request_made_inside_a_view_keeps_its_templates_apart(pages):
    inner = []

    @pages.route("/outer")
    def outer() -> str:
        inner.extend(pages.test_client().get("/page").templates)
        return render_template("rows.html")

    assert pages.test_client().get("/outer").templates == ["rows.html"]
    assert inner == ["page.html", "part.html"]


def test_a_request_of_another_thread_keeps_its_templates_apart(pages):
    found = []

    @pages.route("/outer")
    def outer() -> str:
        def other() -> None:
            found.append(pages.test_client().get("/page").templates)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return render_template("rows.html")

    assert pages.test_client().get("/outer").templates == ["rows.html"]
    assert found == [["page.html", "part.html"]]


def test_nothing_listens_for_templates_outside_of_client_requests(pages):
    from carboy import template_rendered

    pages.add_url_rule("/boom", view_func=lambda: 1 / 0)
    pages.testing = True
    client = pages.test_client()
    before = len(template_rendered.receivers)
    client.get("/page")
    client.get("/page", buffered=True)
    unread = client.get("/rows")
    unread.close()
    with pytest.raises(ZeroDivisionError):
        client.get("/boom")
    del unread
    assert len(template_rendered.receivers) == before


# -- contexts -----------------------------------------------------------------------------------


def test_the_context_of_the_last_request_is_current_in_the_block(pages):
    @pages.route("/set")
    def view() -> str:
        session["a"] = 1
        g.b = 2
        return ""

    with pages.test_client() as client:
        client.get("/set?c=3")
        assert (session["a"], g.b, request.args["c"]) == (1, 2, "3")
        client.get("/none")
        assert request.path == "/none"
        assert "b" not in g
    assert not has_request_context()


def test_without_a_block_no_context_stays(pages):
    pages.test_client().get("/none")
    assert not has_request_context()


def test_a_block_inside_a_block_is_refused(pages):
    client = pages.test_client()
    with client, pytest.raises(RuntimeError, match="Cannot nest client invocations"), client:
        pass
    with client:  # The refused one has not broken it.
        client.get("/none")
        assert request.path == "/none"


def test_the_request_is_torn_down_once_in_a_block(pages):
    ended = []
    pages.teardown_request(lambda error: ended.append("request"))
    pages.teardown_appcontext(lambda error: ended.append("app"))
    with pages.test_client() as client:
        client.get("/none")
        assert ended == ["request", "app"]
    assert ended == ["request", "app"]


def test_after_redirects_only_the_last_context_is_left(pages):
    with pages.test_client() as client:
        client.get("/away", follow_redirects=True)
        assert request.path == "/page"
    assert _cv_request.get(None) is None


def test_a_request_that_raises_leaves_no_context(pages):
    pages.testing = True
    pages.add_url_rule("/boom", view_func=lambda: 1 / 0)
    with pages.test_client() as client:
        with pytest.raises(ZeroDivisionError):
            client.get("/boom")
        assert not has_request_context()
        client.get("/none")
        assert request.path == "/none"
    assert not has_request_context()


def test_the_block_does_not_end_a_context_around_it(pages):
    with pages.test_request_context("/around"):
        with pages.test_client() as client:
            client.get("/none")
            assert request.path == "/none"
        assert request.path == "/around"


# -- sessions -----------------------------------------------------------------------------------


def test_a_session_transaction_is_saved_at_its_end(pages):
    pages.add_url_rule("/show", view_func=lambda: dict(session))
    client = pages.test_client()
    with client.session_transaction() as opened:
        opened["a"] = 1
    assert client.get("/show").json == {"a": 1}
    with client.session_transaction() as opened:
        assert opened["a"] == 1
        del opened["a"]
    assert client.get("/show").json == {}


def test_a_session_transaction_that_raises_is_not_saved(pages):
    pages.add_url_rule("/show", view_func=lambda: dict(session))
    client = pages.test_client()
    with pytest.raises(ValueError, match="no"), client.session_transaction() as opened:
        opened["a"] = 1
        raise ValueError("no")
    assert client.get("/show").json == {}


def test_a_session_transaction_makes_no_context_current(pages):
    with pages.test_client().session_transaction():
        assert not has_request_context()


def test_a_session_transaction_without_cookies_is_refused(pages):
    client = pages.test_client(use_cookies=False)
    with pytest.raises(TypeError, match="Cookies are disabled"), client.session_transaction():
        pass


def test_a_session_transaction_without_a_session_is_refused(pages):
    class NoSession(type(pages.session_interface)):
        def open_session(self, app: Any, request: Any) -> None:
            return None

    pages.session_interface = NoSession()
    client = pages.test_client()
    with (
        pytest.raises(RuntimeError, match="Session backend did not open a session"),
        client.session_transaction(),
    ):
        pass


# -- what a request is made from ----------------------------------------------------------------


@pytest.fixture
def url_of(app: Carboy) -> Any:
    app.add_url_rule("/", "root", lambda: request.url)
    app.add_url_rule("/<path:rest>", "rest", lambda rest: request.url)
    return lambda *args, **kwargs: app.test_client().get(*args, **kwargs).text


def test_the_address_comes_from_the_configuration(app, url_of):
    assert url_of("/a?b=c") == "http://localhost/a?b=c"
    app.config.update(
        SERVER_NAME="example.test:8000", APPLICATION_ROOT="/root", PREFERRED_URL_SCHEME="https"
    )
    assert url_of("/a") == "https://example.test:8000/root/a"
    assert url_of("/a", url_scheme="http") == "http://example.test:8000/root/a"
    assert url_of("/a", subdomain="sub") == "https://sub.example.test:8000/root/a"
    assert url_of("/a", base_url="http://other.test/") == "http://other.test/a"


def test_an_absolute_url_names_scheme_and_host(app, url_of):
    app.config.update(PREFERRED_URL_SCHEME="https")
    assert url_of("http://other.test:81/a?b=c") == "http://other.test:81/a?b=c"
    assert url_of("//other.test/a") == "https://other.test/a"


@pytest.mark.parametrize("extra", [{"subdomain": "a"}, {"url_scheme": "https"}])
@pytest.mark.parametrize("base_url", ["http://other.test/", ""])
def test_a_base_url_excludes_its_parts(app, extra, base_url):
    with pytest.raises(AssertionError, match='Cannot pass "subdomain" or "url_scheme"'):
        EnvironBuilder(app, "/", base_url=base_url, **extra)


def test_json_is_written_by_the_applications_provider(app):
    app.json.ensure_ascii = False
    builder = EnvironBuilder(app, json={"a": "€"})
    assert builder.content_type == "application/json"
    assert builder.input_stream.read() == '{"a": "€"}'.encode()
    assert builder.json_dumps("€") == '"€"'


@pytest.mark.parametrize("kind", ["builder", "environ", "request", "arguments"])
def test_each_kind_of_request_is_sent_over_the_clients_own_environ(app, kind):
    app.add_url_rule("/x", view_func=lambda: f"{request.remote_addr} {request.path}")
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = "10.0.0.9"
    builder = EnvironBuilder(app, "/x")
    given = {
        "builder": builder,
        "environ": builder.get_environ(),
        "request": builder.get_request(),
        "arguments": "/x",
    }[kind]
    # An environ or request that names its peer keeps it.
    expected = "10.0.0.9"
    if kind == "request":
        given.environ["REMOTE_ADDR"] = expected = "10.0.0.1"
    assert client.open(given).text == f"{expected} /x"


def test_the_environ_that_was_handed_in_is_not_changed(app):
    app.add_url_rule("/x", view_func=lambda: "")
    environ = EnvironBuilder(app, "/x").get_environ()
    before = dict(environ)
    app.test_client().open(environ)
    assert environ == before


@pytest.mark.parametrize("door", ["wsgi", "asgi"])
@pytest.mark.parametrize("built", [False, True])
def test_a_large_form_leaves_no_file_open(app, door, built):
    """Werkzeug's encoder puts it into a temporary file, which the client closes."""
    app.add_url_rule("/end", "end", lambda: str(len(request.get_data())), methods=["POST"])
    form = {"f": (io.BytesIO(bytes(600_000)), "f")}
    client = app.test_client(door=door)
    if built:
        builder = EnvironBuilder(app, "/end", method="POST", data=form)
        response = client.open(builder)
    else:
        response = client.post("/end", data=form)
    file = response.request.environ["wsgi.input"]
    assert int(response.text) > 600_000
    assert not isinstance(file, io.BytesIO) and not file.closed
    del response
    for _ in range(500):  # the server's side may have to finish yet
        gc.collect()
        if file.closed:
            break
        time.sleep(0.01)
    assert file.closed


def test_a_form_that_is_redirected_is_still_open(app):
    """307 and 308 have the same body sent again."""
    app.add_url_rule("/", "start", lambda: redirect("/end", 307), methods=["POST"])
    app.add_url_rule("/end", "end", lambda: str(len(request.get_data())), methods=["POST"])
    form = {"f": (io.BytesIO(bytes(600_000)), "f")}
    answer = app.test_client().post("/", data=form, follow_redirects=True)
    assert int(answer.text) > 600_000


def test_a_client_class_of_the_application_is_used(app):
    class Client(FlaskClient):
        def __init__(self, *args: Any, token: str = "", **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.environ_base["HTTP_AUTHORIZATION"] = token

    app.test_client_class = Client
    app.add_url_rule("/", view_func=lambda: request.headers["Authorization"])
    assert app.test_client(token="Bearer x").get("/").text == "Bearer x"


def test_the_classes_are_at_home_in_the_package():
    """Patches and pickles name `carboy.testing.FlaskClient`."""
    for name in ("EnvironBuilder", "FlaskClient", "FlaskCliRunner", "_get_werkzeug_version"):
        found = getattr(carboy.testing, name)
        assert found.__module__ == "carboy.testing"
        assert pickle.loads(pickle.dumps(found)) is found


# -- commands -----------------------------------------------------------------------------------


def test_the_runner_invokes_by_name_and_by_object(app):
    @app.cli.command("hello")
    @click.argument("name")
    def hello(name: str) -> None:
        click.echo(f"hello {name}")

    runner = app.test_cli_runner()
    assert isinstance(runner, FlaskCliRunner)
    assert runner.invoke(args=["hello", "a"]).output == "hello a\n"
    assert runner.invoke(hello, ["b"]).output == "hello b\n"


def test_the_runner_hands_over_another_object_when_asked(app):
    @app.cli.command("show", with_appcontext=False)
    @click.pass_obj
    def show(obj: Any) -> None:
        click.echo(repr(obj))

    assert app.test_cli_runner().invoke(args=["show"], obj="mine").output == "'mine'\n"
