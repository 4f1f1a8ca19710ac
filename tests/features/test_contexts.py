"""Application and request contexts, and ``g``."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import pytest

from carboy import (
    Carboy,
    copy_current_request_context,
    current_app,
    g,
    has_app_context,
    has_request_context,
    request,
    session,
    url_for,
)
from carboy.globals import app_ctx, request_ctx


def in_thread(function: Any) -> Any:
    """Run `function` in a new thread; give its value or raise its error."""
    box: list[Any] = []

    def run() -> None:
        try:
            box.append(("value", function()))
        except BaseException as error:
            box.append(("error", error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    kind, value = box[0]
    if kind == "error":
        raise value
    return value


def test_current_app_needs_a_context(app: Carboy) -> None:
    """CTX-01: current_app outside any context raises RuntimeError with the way out."""
    with pytest.raises(RuntimeError, match="Working outside of application context") as caught:
        current_app.name
    assert "app_context" in str(caught.value)
    assert not current_app
    assert not has_app_context()
    with app.app_context():
        assert current_app == app
        assert current_app._get_current_object() is app
        assert has_app_context() and not has_request_context()
    with app.test_request_context():
        assert current_app._get_current_object() is app
    assert not has_app_context()


def test_app_context_as_with_and_by_hand(app: Carboy) -> None:
    """CTX-02: an app context is a context manager; push and pop work by hand."""
    with app.app_context() as ctx:
        assert ctx.app is app
        assert app_ctx._get_current_object() is ctx
        assert ctx.g is g._get_current_object()
    ctx = app.app_context()
    ctx.push()
    assert current_app.name == app.name
    ctx.pop()
    assert not has_app_context()


def test_app_contexts_nest(app: Carboy) -> None:
    """CTX-02: an inner context hides the outer, each with a `g` of its own."""
    other = Carboy("other")
    with app.app_context():
        g.name = "outer"
        with other.app_context():
            assert current_app.name == "other"
            assert "name" not in g
        assert current_app.name == app.name
        assert g.name == "outer"
        with app.app_context():
            assert "name" not in g
        assert g.name == "outer"


def test_popping_in_the_wrong_order_is_an_error(app: Carboy) -> None:
    """CTX-02: popping a context that is not the current one fails with an AssertionError."""

    def wrong_order() -> None:
        outer, inner = app.app_context(), app.app_context()
        outer.push()
        inner.push()
        with pytest.raises(AssertionError):
            outer.pop()

    contextvars.copy_context().run(wrong_order)  # keeps what is left out of this test's context
    assert not has_app_context()


def test_request_and_session_need_a_request(app: Carboy) -> None:
    """CTX-03: request and session outside a request raise RuntimeError, in an app context too."""
    message = "Working outside of request context"
    for use in (lambda: request.path, lambda: session.get("a")):
        with pytest.raises(RuntimeError, match=message):
            use()
        with app.app_context(), pytest.raises(RuntimeError, match=message):
            use()
    assert not request
    assert not has_request_context()


def test_test_request_context_takes_what_the_client_takes(app: Carboy) -> None:
    """CTX-04: test_request_context(path, method=, data=, json=, headers=...) makes a request."""
    app.add_url_rule("/user/<int:n>", "user", lambda n: "", methods=["GET", "POST"])
    with app.test_request_context(
        "/user/3?x=1", method="POST", data={"field": "value"}, headers={"X-Y": "z"}
    ):
        assert (request.path, request.method) == ("/user/3", "POST")
        assert request.args["x"] == "1"
        assert request.form["field"] == "value"
        assert request.headers["X-Y"] == "z"
        assert request.endpoint == "user"
        assert request.view_args == {"n": 3}
        assert url_for("user", n=4) == "/user/4"
    with app.test_request_context(json={"a": 1}):
        assert request.get_json() == {"a": 1}
    with app.test_request_context("/x", base_url="https://example.test/prefix"):
        assert request.url == "https://example.test/prefix/x"


def test_unmatched_path_leaves_the_routing_error_on_the_request(app: Carboy) -> None:
    """CTX-04: a context for an unknown path is usable; the 404 waits in routing_exception."""
    with app.test_request_context("/nowhere"):
        assert request.url_rule is None
        assert request.endpoint is None
        assert request.routing_exception.code == 404


def test_a_request_context_pushes_an_app_context(app: Carboy) -> None:
    """CTX-05: within a request the application context is there; both end together."""
    with app.test_request_context() as ctx:
        assert has_app_context() and has_request_context()
        assert current_app._get_current_object() is app
        assert request_ctx.request is ctx.request
        g.x = 1
    assert not has_app_context() and not has_request_context()


def test_request_in_the_same_app_s_context_reuses_nothing_of_another_app(app: Carboy) -> None:
    """CTX-05: a request of another app inside an app context has its own current_app."""
    other = Carboy("other")
    with app.app_context():
        with other.test_request_context():
            assert current_app.name == "other"
        assert current_app.name == app.name


def test_new_threads_have_no_context(app: Carboy) -> None:
    """CTX-06: a thread started in a request has neither request nor application."""
    with app.test_request_context("/x"):
        assert in_thread(has_request_context) is False
        assert in_thread(has_app_context) is False
        with pytest.raises(RuntimeError, match="Working outside of request context"):
            in_thread(lambda: request.path)


def test_copy_current_request_context_carries_the_request(app: Carboy) -> None:
    """CTX-06: the decorator gives a worker the request, session and application of the view."""
    app.secret_key = "test key"
    seen: list[Any] = []

    @app.get("/x")
    def view() -> str:
        session["user"] = "ada"

        @copy_current_request_context
        def work(number: int) -> tuple[int, str, str, str]:
            return number, request.path, current_app.name, session["user"]

        seen.append(in_thread(lambda: work(5)))
        return "ok"

    assert app.test_client().get("/x").text == "ok"
    assert seen == [(5, "/x", app.name, "ada")]


def test_copied_context_outlives_the_request(app: Carboy) -> None:
    """CTX-06: a copied context works after the request has ended."""
    later: list[Any] = []

    @app.get("/x")
    def view() -> str:
        later.append(copy_current_request_context(lambda: request.args["q"]))
        return "ok"

    app.test_client().get("/x?q=kept")
    assert not has_request_context()
    assert later[0]() == "kept"
    assert in_thread(later[0]) == "kept"
    assert not has_request_context()


def test_copying_outside_a_request_is_an_error() -> None:
    """CTX-06: copy_current_request_context outside a request is a RuntimeError that says so."""
    with pytest.raises(RuntimeError, match=r"active|request context"):
        copy_current_request_context(lambda: None)


def test_contextvars_copies_carry_the_context(app: Carboy) -> None:
    """CTX-06: contextvars.copy_context().run sees the request (contexts are context variables)."""
    with app.test_request_context("/x"):
        snapshot = contextvars.copy_context()
        assert in_thread(lambda: snapshot.run(lambda: request.path)) == "/x"


def test_helpers_called_from_a_view_use_request(app: Carboy) -> None:
    """CTX-07: any function that runs during the request may use `request`."""

    def helper() -> str:
        return request.headers["User-Agent"]

    app.add_url_rule("/", "index", lambda: helper())
    assert app.test_client().get("/", headers={"User-Agent": "probe"}).text == "probe"


def test_g_is_new_for_each_request(app: Carboy) -> None:
    """CTX-08: what a request puts on `g` is not there in the next one."""

    @app.get("/")
    def index() -> str:
        before = g.get("count", "nothing")
        g.count = 1
        return f"{before} {g.count}"

    client = app.test_client()
    assert client.get("/").text == "nothing 1"
    assert client.get("/").text == "nothing 1"


def test_g_has_its_dictionary_side(app: Carboy) -> None:
    """CTX-08: get, pop, setdefault, in, del, iteration and repr work on `g`."""
    with app.app_context():
        assert g.get("x") is None
        assert g.get("x", 1) == 1
        assert g.setdefault("x", 2) == 2
        assert g.setdefault("x", 3) == 2
        assert "x" in g and "y" not in g
        g.y = 5
        assert sorted(g) == ["x", "y"]
        assert g.pop("y") == 5
        assert g.pop("y", "gone") == "gone"
        with pytest.raises(KeyError):
            g.pop("y")
        del g.x
        with pytest.raises(AttributeError):
            g.x
        with pytest.raises(AttributeError):
            del g.x
        assert app.name in repr(g)


def test_g_outside_a_context_is_an_error() -> None:
    """CTX-08: `g` outside a context raises RuntimeError."""
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        g.x = 1


def test_g_is_shared_by_hooks_view_and_template(app: Carboy) -> None:
    """CTX-08: hooks, view, error handlers and teardown of one request see one `g`."""
    ended: list[Any] = []

    @app.before_request
    def before() -> None:
        g.trace = ["before"]

    @app.after_request
    def after(response: Any) -> Any:
        g.trace.append("after")
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        g.trace.append("teardown")
        ended.extend(g.trace)

    @app.errorhandler(404)
    def missing(error: Exception) -> tuple[str, int]:
        g.trace.append("handler")
        return "", 404

    app.test_client().get("/x")
    assert ended == ["before", "handler", "after", "teardown"]


def test_app_ctx_globals_class_can_be_replaced(app: Carboy) -> None:
    """CTX-08: app.app_ctx_globals_class makes `g`."""
    from carboy.ctx import _AppCtxGlobals

    class Own(_AppCtxGlobals):
        greeting = "hello"

    app.app_ctx_globals_class = Own
    with app.app_context():
        assert g.greeting == "hello"


def test_config_and_logger_through_current_app(app: Carboy) -> None:
    """CTX-12: helpers and blueprints reach configuration and logger through current_app."""
    app.config["COLOUR"] = "blue"

    def helper() -> str:
        assert current_app.logger is app.logger
        return current_app.config["COLOUR"]

    app.add_url_rule("/", "index", helper)
    assert app.test_client().get("/").text == "blue"


def test_exceptions_in_a_context_block_reach_teardown(app: Carboy) -> None:
    """CTX-02: leaving an app context by an exception gives it to teardown_appcontext."""
    seen: list[BaseException | None] = []
    app.teardown_appcontext(seen.append)
    with app.app_context():
        pass
    with pytest.raises(ValueError), app.app_context():
        raise ValueError("left")
    assert seen[0] is None
    assert isinstance(seen[1], ValueError)
    assert not has_app_context()


def test_a_pushed_context_can_be_pushed_again(app: Carboy) -> None:
    """CTX-02: one app context pushed twice is torn down once, at the last pop."""
    ended: list[int] = []
    app.teardown_appcontext(lambda error: ended.append(1))
    ctx = app.app_context()
    with ctx:
        with ctx:
            assert current_app.name == app.name
        assert ended == []
        assert has_app_context()
    assert ended == [1]
    assert not has_app_context()


def test_request_context_made_by_the_app(app: Carboy) -> None:
    """CTX-04: app.request_context(environ) makes a context for a WSGI environment."""
    from werkzeug.test import create_environ

    with app.request_context(create_environ("/from/environ", method="PUT")):
        assert (request.path, request.method) == ("/from/environ", "PUT")
