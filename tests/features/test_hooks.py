"""Functions that run before, after and at the end of a request."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from carboy import (
    Blueprint,
    Carboy,
    Response,
    abort,
    after_this_request,
    g,
    has_app_context,
    has_request_context,
    make_response,
    request,
)


def test_before_request_runs_before_the_view(app: Carboy) -> None:
    """HOOK-01: before_request prepares what the view uses; the decorator gives the function."""

    @app.before_request
    def load() -> None:
        g.user = request.args.get("user", "nobody")

    assert callable(load)
    app.add_url_rule("/", "index", lambda: g.user)
    assert app.test_client().get("/?user=ada").text == "ada"


def test_before_request_runs_for_unmatched_urls(app: Carboy) -> None:
    """HOOK-01: the hook runs for a 404 and a 405 as well, before they are answered."""
    seen: list[Any] = []

    @app.before_request
    def note() -> None:
        seen.append((request.path, request.endpoint))

    app.add_url_rule("/post", "post", lambda: "", methods=["POST"])
    client = app.test_client()
    assert client.get("/nowhere").status_code == 404
    assert client.get("/post").status_code == 405
    assert seen == [("/nowhere", None), ("/post", None)]


def test_before_request_may_answer(app: Carboy) -> None:
    """HOOK-01: a value other than None is the response; later hooks and the view are skipped."""
    order: list[str] = []
    app.before_request(lambda: order.append("first"))
    app.before_request(lambda: ("stopped", 503))
    app.before_request(lambda: order.append("never"))
    app.after_request(lambda response: order.append("after") or response)
    app.add_url_rule("/", "index", lambda: order.append("view") or "view")
    response = app.test_client().get("/")
    assert (response.status_code, response.text) == (503, "stopped")
    assert order == ["first", "after"]


@pytest.mark.parametrize("value", ["", {}, []])
def test_empty_values_answer_too(app: Carboy, value: Any) -> None:
    """HOOK-01: only None lets the request go on; an empty value is an answer."""
    app.before_request(lambda: value)
    app.add_url_rule("/", "index", lambda: "view")
    response = app.test_client().get("/")
    assert response.status_code == 200
    assert response.text != "view"


def test_after_request_may_change_or_replace_the_response(app: Carboy) -> None:
    """HOOK-02: the function gets the response and returns it or another one."""

    @app.after_request
    def replace(response: Response) -> Response:
        assert response.headers["X-Seen"] == "1"
        return make_response(f"replaced {response.get_data(as_text=True)}", 418)

    @app.after_request
    def mark(response: Response) -> Response:
        response.headers["X-Seen"] = "1"
        return response

    app.add_url_rule("/", "index", lambda: "view")
    response = app.test_client().get("/")
    assert (response.status_code, response.text) == (418, "replaced view")


def test_after_request_runs_on_error_responses(app: Carboy) -> None:
    """HOOK-03: 404, 405, aborted and crashed requests pass after_request too."""

    @app.after_request
    def mark(response: Response) -> Response:
        response.headers["X-After"] = str(response.status_code)
        return response

    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    app.add_url_rule("/abort", "abort", lambda: abort(403))
    client = app.test_client()
    for path, method, code in (
        ("/nowhere", "GET", 404),
        ("/abort", "POST", 405),
        ("/abort", "GET", 403),
        ("/crash", "GET", 500),
    ):
        response = client.open(path, method=method)
        assert response.headers["X-After"] == str(code) == str(response.status_code)


@pytest.mark.parametrize("setting", ["TESTING", "PROPAGATE_EXCEPTIONS"])
def test_after_request_is_skipped_when_the_error_propagates(app: Carboy, setting: str) -> None:
    """HOOK-03: when exceptions leave the application there is no response to pass on."""
    seen: list[str] = []
    app.config[setting] = True
    app.after_request(lambda response: seen.append("after") or response)
    app.teardown_request(lambda error: seen.append(f"teardown {type(error).__name__}"))
    app.add_url_rule("/", "index", lambda: str(1 / 0))
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/")
    assert seen == ["teardown ZeroDivisionError"]


def test_teardowns_always_run_and_get_the_error(app: Carboy) -> None:
    """HOOK-04: teardown_request and teardown_appcontext run with the unhandled error or None."""
    seen: list[Any] = []
    app.teardown_request(lambda error: seen.append(("request", type(error).__name__)))
    app.teardown_appcontext(lambda error: seen.append(("app", type(error).__name__)))
    app.add_url_rule("/ok", "ok", lambda: "ok")
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    app.add_url_rule("/handled", "handled", lambda: {}["missing"])
    app.register_error_handler(KeyError, lambda error: "handled")
    client = app.test_client()
    expected = {
        "/ok": "NoneType",
        "/crash": "ZeroDivisionError",
        "/handled": "NoneType",
        "/nowhere": "NoneType",
    }
    for path, name in expected.items():
        seen.clear()
        client.get(path)
        assert seen == [("request", name), ("app", name)]


def test_teardown_values_are_ignored_and_context_is_still_there(app: Carboy) -> None:
    """HOOK-04: a teardown's return value changes nothing; request and g are still usable."""
    seen: list[Any] = []

    @app.teardown_request
    def teardown(error: BaseException | None) -> str:
        seen.append((request.path, g.value, has_request_context()))
        return "ignored"

    @app.teardown_appcontext
    def teardown_app(error: BaseException | None) -> str:
        seen.append((g.value, has_app_context()))
        return "ignored"

    @app.get("/x")
    def view() -> str:
        g.value = 7
        return "view"

    assert app.test_client().get("/x").text == "view"
    assert seen == [("/x", 7, True), (7, True)]


def test_order_of_all_hooks(app: Carboy) -> None:
    """HOOK-05: before in order, application first; after and teardown in reverse order."""
    order: list[str] = []
    bp = Blueprint("bp", __name__)
    for owner, name in ((bp, "bp"), (app, "app")):
        for number in (1, 2):
            label = f"{name}{number}"
            owner.before_request(lambda label=label: order.append(f"before {label}"))
            owner.after_request(lambda r, label=label: order.append(f"after {label}") or r)
            owner.teardown_request(lambda e, label=label: order.append(f"teardown {label}"))
    for number in (1, 2):
        app.teardown_appcontext(lambda e, number=number: order.append(f"context {number}"))
        app.url_value_preprocessor(lambda e, v, number=number: order.append(f"url {number}"))

    @bp.get("/")
    def view() -> str:
        order.append("view")
        after_this_request(lambda r: order.append("after this 1") or r)
        after_this_request(lambda r: order.append("after this 2") or r)
        return ""

    app.register_blueprint(bp)
    app.test_client().get("/")
    assert order == [
        "url 1",
        "url 2",
        "before app1",
        "before app2",
        "before bp1",
        "before bp2",
        "view",
        "after this 1",
        "after this 2",
        "after bp2",
        "after bp1",
        "after app2",
        "after app1",
        "teardown bp2",
        "teardown bp1",
        "teardown app2",
        "teardown app1",
        "context 2",
        "context 1",
    ]


def test_after_this_request_serves_one_request(app: Carboy) -> None:
    """HOOK-08: a function registered in the view runs for this response only."""

    @app.get("/once")
    def once() -> str:
        @after_this_request
        def add(response: Response) -> Response:
            response.headers["X-Once"] = "1"
            return response

        return "ok"

    app.add_url_rule("/plain", "plain", lambda: "plain")
    client = app.test_client()
    assert client.get("/once").headers["X-Once"] == "1"
    assert "X-Once" not in client.get("/plain").headers


def test_after_this_request_works_in_hooks_and_handlers(app: Carboy) -> None:
    """HOOK-08: before_request functions and error handlers may register too."""

    def add(name: str) -> None:
        @after_this_request
        def header(response: Response) -> Response:
            response.headers[name] = "1"
            return response

    app.before_request(lambda: add("X-Before"))
    app.register_error_handler(404, lambda error: add("X-Handler") or ("gone", 404))
    response = app.test_client().get("/nowhere")
    assert response.headers["X-Before"] == response.headers["X-Handler"] == "1"


def test_after_this_request_outside_a_request_is_an_error(app: Carboy) -> None:
    """HOOK-08: outside a request it raises RuntimeError."""
    with app.app_context(), pytest.raises(RuntimeError, match="request"):
        after_this_request(lambda response: response)


def test_errors_in_before_request_reach_the_handlers(app: Carboy) -> None:
    """HOOK-09: an abort or exception in before_request is handled like one of the view."""

    @app.before_request
    def guard() -> None:
        if request.path == "/forbidden":
            abort(403)
        raise LookupError("hook")

    app.register_error_handler(403, lambda error: ("no entry", 403))
    app.register_error_handler(LookupError, lambda error: (f"caught {error}", 400))
    client = app.test_client()
    assert client.get("/forbidden").text == "no entry"
    assert client.get("/other").text == "caught hook"


def test_errors_in_after_request_reach_the_500_handler(app: Carboy) -> None:
    """HOOK-09: an exception in after_request is a 500 by the handler, logged."""

    @app.after_request
    def broken(response: Response) -> Response:
        if request.path == "/crash":
            raise LookupError("after")
        return response

    app.register_error_handler(
        500, lambda error: (f"500 {type(error.original_exception).__name__}", 500)
    )
    app.add_url_rule("/crash", "crash", lambda: "never seen")
    response = app.test_client().get("/crash")
    assert (response.status_code, response.text) == (500, "500 LookupError")


def test_url_value_preprocessor_sees_endpoint_and_values(app: Carboy) -> None:
    """HOOK-01: URL value preprocessors run before the before_request functions."""
    seen: list[Any] = []

    @app.url_value_preprocessor
    def pull(endpoint: str | None, values: dict[str, Any] | None) -> None:
        seen.append((endpoint, dict(values) if values else values))
        if values:
            g.lang = values.pop("lang")

    app.before_request(lambda: seen.append(g.get("lang")))
    app.add_url_rule("/<lang>/x", "x", lambda: g.lang)
    client = app.test_client()
    assert client.get("/de/x").text == "de"
    assert seen == [("x", {"lang": "de"}), "de"]
    seen.clear()
    client.get("/nowhere")
    assert seen == [(None, None), None]


def test_hooks_registered_after_the_first_request_are_refused(app: Carboy) -> None:
    """HOOK-05: hooks cannot be added when requests have been answered."""
    app.test_client().get("/")
    for decorate in (
        app.before_request,
        app.after_request,
        app.teardown_request,
        app.teardown_appcontext,
        app.context_processor,
        app.url_value_preprocessor,
        app.url_defaults,
    ):
        with pytest.raises(AssertionError, match="can no longer be called"):
            decorate(lambda *args: None)


def test_dictionaries_of_hooks_can_be_read_and_changed(app: Carboy) -> None:
    """HOOK-05: before_request_funcs and its siblings are the live tables, by blueprint name."""
    order: list[str] = []
    app.before_request_funcs.setdefault(None, []).append(lambda: order.append("before"))
    app.after_request_funcs.setdefault(None, []).append(lambda r: order.append("after") or r)
    app.teardown_request_funcs.setdefault(None, []).append(lambda e: order.append("teardown"))
    app.teardown_appcontext_funcs.append(lambda e: order.append("context"))
    app.test_client().get("/")
    assert order == ["before", "after", "teardown", "context"]
    app.before_request_funcs[None].insert(0, lambda: order.append("inserted"))
    order.clear()
    app.test_client().get("/")
    assert order == ["inserted", "before", "after", "teardown", "context"]


def test_a_logger_in_hooks_is_the_apps(app: Carboy, caplog: pytest.LogCaptureFixture) -> None:
    """HOOK-01: hooks log through app.logger like views."""
    app.before_request(lambda: app.logger.warning("from the hook"))
    with caplog.at_level(logging.WARNING):
        app.test_client().get("/")
    assert "from the hook" in caplog.text
