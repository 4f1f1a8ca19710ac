"""Error handlers and the answers that errors get."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import werkzeug.exceptions
from werkzeug.exceptions import (
    Forbidden,
    Gone,
    HTTPException,
    InternalServerError,
    NotFound,
    default_exceptions,
)

from carboy import Blueprint, Carboy, abort, request


class ShopError(Exception):
    pass


class StockError(ShopError):
    pass


class Teapot(HTTPException):
    code = 418
    description = "short and stout"


@pytest.fixture
def app(app: Carboy) -> Carboy:
    app.add_url_rule("/abort/<int:code>", "abort", lambda code: abort(code))
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    app.add_url_rule("/shop", "shop", lambda: throw(ShopError("shop")))
    app.add_url_rule("/stock", "stock", lambda: throw(StockError("stock")))
    return app


def throw(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize("code", [403, 404, 410, 500])
def test_handlers_by_code(app: Carboy, code: int) -> None:
    """ERR-01: errorhandler(code) answers aborts of that code."""

    @app.errorhandler(code)
    def handle(error: HTTPException) -> tuple[str, int]:
        return f"handled {error.code}", code

    response = app.test_client().get(f"/abort/{code}")
    assert (response.status_code, response.text) == (code, f"handled {code}")


def test_register_error_handler_and_unmatched_urls(app: Carboy) -> None:
    """ERR-01: register_error_handler is the same without a decorator; routing errors come too."""
    app.register_error_handler(404, lambda error: ("nothing here", 404))
    app.register_error_handler(405, lambda error: (f"only {sorted(error.valid_methods)}", 405))
    client = app.test_client()
    assert client.get("/nowhere").text == "nothing here"
    assert client.get("/abort/404").text == "nothing here"
    assert client.post("/crash").text == "only ['GET', 'HEAD', 'OPTIONS']"


def test_the_handler_gets_the_error(app: Carboy) -> None:
    """ERR-02: the handler's argument has code, name and description."""
    app.add_url_rule("/why", "why", lambda: abort(404, description="no such vessel"))

    @app.errorhandler(404)
    def missing(error: HTTPException) -> Any:
        return {"code": error.code, "name": error.name, "description": error.description}, 404

    assert app.test_client().get("/why").json == {
        "code": 404,
        "name": "Not Found",
        "description": "no such vessel",
    }


def test_handlers_for_python_exceptions(app: Carboy) -> None:
    """ERR-03: errorhandler(SomeException) answers what views raise, subclasses too."""

    @app.errorhandler(ShopError)
    def handle(error: ShopError) -> tuple[str, int]:
        return f"{type(error).__name__}: {error}", 409

    client = app.test_client()
    assert client.get("/shop").text == "ShopError: shop"
    assert client.get("/stock").text == "StockError: stock"
    assert client.get("/crash").status_code == 500


def test_handlers_work_when_exceptions_propagate(app: Carboy) -> None:
    """ERR-03: TESTING lets only unhandled exceptions through."""
    app.testing = True
    app.register_error_handler(ShopError, lambda error: "handled")
    client = app.test_client()
    assert client.get("/shop").text == "handled"
    with pytest.raises(ZeroDivisionError):
        client.get("/crash")


def test_http_exception_handler_serves_all_codes_as_json(app: Carboy) -> None:
    """ERR-04: a handler for HTTPException answers every HTTP error."""

    @app.errorhandler(HTTPException)
    def as_json(error: HTTPException) -> Any:
        response = error.get_response()
        response.data = json.dumps({"code": error.code})
        response.content_type = "application/json"
        return response

    client = app.test_client()
    for path, code in (("/abort/403", 403), ("/nowhere", 404), ("/crash", 500)):
        response = client.get(path)
        assert (response.status_code, response.json) == (code, {"code": code})
    response = client.post("/crash")
    assert response.json == {"code": 405}
    assert set(response.allow) == {"GET", "HEAD", "OPTIONS"}


def test_exception_handler_serves_everything(app: Carboy) -> None:
    """ERR-04: a handler for Exception gets HTTP errors and crashes alike."""

    @app.errorhandler(Exception)
    def any_error(error: Exception) -> Any:
        if isinstance(error, HTTPException):
            return error
        return f"crashed: {type(error).__name__}", 500

    client = app.test_client()
    assert client.get("/crash").text == "crashed: ZeroDivisionError"
    assert client.get("/abort/403").status_code == 403


def test_500_handler_gets_the_original_exception(app: Carboy) -> None:
    """ERR-05: for a crash the 500 handler gets InternalServerError with original_exception."""
    seen: list[Any] = []

    @app.errorhandler(500)
    def handle(error: InternalServerError) -> tuple[str, int]:
        seen.append(error)
        return "sorry", 500

    client = app.test_client()
    assert client.get("/crash").text == "sorry"
    assert isinstance(seen[0], InternalServerError)
    assert isinstance(seen[0].original_exception, ZeroDivisionError)
    client.get("/abort/500")
    assert seen[1].original_exception is None


def test_internal_server_error_class_as_key(app: Carboy) -> None:
    """ERR-05: errorhandler(InternalServerError) is errorhandler(500)."""
    app.register_error_handler(InternalServerError, lambda error: ("by class", 500))
    assert app.test_client().get("/crash").text == "by class"


def test_the_most_specific_handler_wins(app: Carboy) -> None:
    """ERR-06: along the class's bases the nearest handler answers, in whatever order."""
    app.register_error_handler(Exception, lambda error: "Exception")
    app.register_error_handler(StockError, lambda error: "StockError")
    app.register_error_handler(ShopError, lambda error: "ShopError")
    client = app.test_client()
    assert client.get("/stock").text == "StockError"
    assert client.get("/shop").text == "ShopError"
    assert client.get("/crash").text == "Exception"


def test_code_wins_over_class(app: Carboy) -> None:
    """ERR-06: a handler for the code beats one for HTTPException."""
    app.register_error_handler(HTTPException, lambda error: "class")
    app.register_error_handler(404, lambda error: "code")
    client = app.test_client()
    assert client.get("/abort/404").text == "code"
    assert client.get("/abort/403").text == "class"


def test_blueprint_wins_over_app_and_code_wins_over_both(app: Carboy) -> None:
    """ERR-06: blueprint before app for the same kind; a code at the app beats a bp's class."""
    bp = Blueprint("bp", __name__)
    bp.add_url_rule("/bp/<int:code>", "abort", lambda code: abort(code))
    bp.register_error_handler(404, lambda error: "bp 404")
    bp.register_error_handler(HTTPException, lambda error: "bp class")
    app.register_error_handler(404, lambda error: "app 404")
    app.register_error_handler(403, lambda error: "app 403")
    app.register_error_handler(HTTPException, lambda error: "app class")
    app.register_blueprint(bp)
    client = app.test_client()
    assert client.get("/bp/404").text == "bp 404"
    assert client.get("/bp/403").text == "app 403"
    assert client.get("/bp/410").text == "bp class"
    assert client.get("/abort/404").text == "app 404"
    assert client.get("/abort/410").text == "app class"


def test_own_http_exception_subclass(app: Carboy) -> None:
    """ERR-06: a subclass with a code is found by class and by its code."""
    app.add_url_rule("/tea", "tea", lambda: throw(Teapot()))
    client = app.test_client()
    assert client.get("/tea").status_code == 418
    app = Carboy("second")
    app.add_url_rule("/tea", "tea", lambda: throw(Teapot()))
    app.register_error_handler(Teapot, lambda error: (error.description, 418))
    assert app.test_client().get("/tea").text == "short and stout"


def test_handler_without_status_answers_200(app: Carboy) -> None:
    """ERR-07: the handler's return value is a response like a view's: 200 unless it says so."""
    app.register_error_handler(404, lambda error: "fine")
    response = app.test_client().get("/nowhere")
    assert (response.status_code, response.text) == (200, "fine")


def test_default_pages_are_small_and_leak_nothing(app: Carboy) -> None:
    """ERR-08: without handlers 404 and 500 are plain pages without anything of the program."""
    app.secret_key = "top secret"
    app.add_url_rule("/leak", "leak", lambda: throw(RuntimeError("password=hunter2")))
    client = app.test_client()
    missing = client.get("/nowhere?q=<script>")
    assert (missing.status_code, missing.mimetype) == (404, "text/html")
    assert "Not Found" in missing.text and "script" not in missing.text
    crashed = client.get("/leak")
    assert (crashed.status_code, crashed.mimetype) == (500, "text/html")
    for secret in ("hunter2", "RuntimeError", "Traceback", "top secret", "leak", ".py"):
        assert secret not in crashed.text


def test_unknown_code_is_a_value_error(app: Carboy) -> None:
    """ERR-10: errorhandler(999) is refused when registered."""
    with pytest.raises(ValueError, match="999"):
        app.errorhandler(999)(lambda error: "")
    with pytest.raises(ValueError, match="999"):
        app.register_error_handler(999, lambda error: "")


def test_instances_and_other_things_are_refused(app: Carboy) -> None:
    """ERR-10: an exception object, or what is no exception class, is a TypeError or ValueError."""
    with pytest.raises(TypeError, match="instance"):
        app.register_error_handler(ShopError(), lambda error: "")
    with pytest.raises(ValueError):
        app.register_error_handler(str, lambda error: "")


@pytest.mark.parametrize("code", sorted(default_exceptions))
def test_exceptions_of_werkzeug_answer_their_code(app: Carboy, code: int) -> None:
    """ERR-13: each class of werkzeug.exceptions, raised in a view, answers its status."""
    app.add_url_rule("/raise", "raise", lambda: throw(default_exceptions[code]()))
    assert app.test_client().get("/raise").status_code == code


def test_raised_exceptions_carry_description_and_response(app: Carboy) -> None:
    """ERR-13: Forbidden("why") shows its words, escaped; an own response is used as it is."""
    app.add_url_rule("/why", "why", lambda: throw(Forbidden("<b>no</b>")))
    app.add_url_rule("/own", "own", lambda: throw(Gone(response=app.response_class("mine", 299))))
    client = app.test_client()
    assert "&lt;b&gt;no&lt;/b&gt;" in client.get("/why").text
    response = client.get("/own")
    assert (response.status_code, response.text) == (299, "mine")


def test_handled_crash_is_not_logged_unhandled_is(
    app: Carboy, caplog: pytest.LogCaptureFixture
) -> None:
    """ERR-03: an exception with a handler of its own is not logged; one that makes a 500 is."""
    app.register_error_handler(ShopError, lambda error: ("handled", 409))
    client = app.test_client()
    with caplog.at_level(logging.DEBUG):
        client.get("/shop")
        assert caplog.records == []
        client.get("/crash")
    assert [r.levelname for r in caplog.records] == ["ERROR"]


def test_handler_may_raise_another_http_error(app: Carboy) -> None:
    """ERR-09: an abort inside a handler for an exception ends as a 500, not as a loop."""
    app.register_error_handler(ShopError, lambda error: abort(404))
    assert app.test_client().get("/shop").status_code == 500


def test_routing_redirect_passes_the_handlers(app: Carboy) -> None:
    """ERR-04: handlers for HTTPException do not catch the slash redirect."""
    app.register_error_handler(HTTPException, lambda error: ("caught", 400))
    app.add_url_rule("/slash/", "slash", lambda: "slash")
    response = app.test_client().get("/slash")
    assert response.status_code == 308
    assert response.location == "http://localhost/slash/"


def test_not_found_in_a_handler_table(app: Carboy) -> None:
    """ERR-01: error_handler_spec shows handlers by blueprint, code and class."""
    handler = lambda error: ""  # noqa: E731
    app.register_error_handler(404, handler)
    app.register_error_handler(ShopError, handler)
    assert app.error_handler_spec[None][404] == {NotFound: handler}
    assert app.error_handler_spec[None][None] == {ShopError: handler}


def test_overridden_handle_methods_are_used() -> None:
    """ERR-04: a subclass may override handle_http_exception and handle_user_exception."""
    calls: list[str] = []

    class Own(Carboy):
        def handle_http_exception(self, e: HTTPException) -> Any:
            calls.append("http")
            return super().handle_http_exception(e)

        def handle_user_exception(self, e: Exception) -> Any:
            calls.append("user")
            return super().handle_user_exception(e)

        def handle_exception(self, e: Exception) -> Any:
            calls.append("crash")
            return super().handle_exception(e)

    app = Own("own")
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    client = app.test_client()
    client.get("/nowhere")
    assert calls == ["user", "http"]
    calls.clear()
    client.get("/crash")
    assert calls == ["user", "crash"]


def test_request_is_there_in_handlers(app: Carboy) -> None:
    """ERR-02: handlers may use the request."""
    app.register_error_handler(404, lambda error: (f"no {request.path}", 404))
    assert app.test_client().get("/nowhere").text == "no /nowhere"


def test_exception_names_come_from_werkzeug() -> None:
    """ERR-13: aborts are Werkzeug's own exception classes."""
    with pytest.raises(werkzeug.exceptions.NotFound):
        abort(404)
