"""Signals: who sends them, when, with what; connecting and disconnecting."""

from __future__ import annotations

from typing import Any

import pytest
from blinker import Namespace

import carboy
from carboy import (
    Blueprint,
    Carboy,
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    before_render_template,
    current_app,
    flash,
    g,
    got_request_exception,
    has_request_context,
    message_flashed,
    render_template_string,
    request,
    request_finished,
    request_started,
    request_tearing_down,
    stream_template_string,
    template_rendered,
)

ALL = (
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "got_request_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "template_rendered",
)


@pytest.fixture
def app(app: Carboy) -> Carboy:
    app.secret_key = "test key"
    app.add_url_rule("/", "index", lambda: render_template_string("{{ x }}", x=42))
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    return app


def test_signals_live_in_one_module_and_at_the_top() -> None:
    """SIG-01, SIG-02: each signal is one blinker signal, in carboy and in carboy.signals."""
    from blinker import NamedSignal

    from carboy import signals

    for name in ALL:
        signal = getattr(carboy, name)
        assert isinstance(signal, NamedSignal)
        assert getattr(signals, name) is signal
        assert signal.name == name.replace("_", "-")


def test_request_signals_in_order(app: Carboy) -> None:
    """SIG-01, SIG-02: the signals of one request come in Flask's order, sent by the app."""
    order: list[str] = []
    kept: list[Any] = []
    for name in ALL:

        def receiver(sender: Any, name: str = name, **extra: Any) -> None:
            assert sender is app
            order.append(name)

        kept.append(receiver)
        getattr(carboy, name).connect(receiver, app)
    app.before_request(lambda: order.append("before_request"))
    app.after_request(lambda response: order.append("after_request") or response)
    app.teardown_request(lambda error: order.append("teardown_request"))
    app.teardown_appcontext(lambda error: order.append("teardown_appcontext"))
    app.test_client().get("/")
    assert order == [
        "appcontext_pushed",
        "request_started",
        "before_request",
        "before_render_template",
        "template_rendered",
        "after_request",
        "request_finished",
        "teardown_request",
        "request_tearing_down",
        "teardown_appcontext",
        "appcontext_tearing_down",
        "appcontext_popped",
    ]


def test_template_rendered_carries_template_and_context(app: Carboy) -> None:
    """SIG-01: template_rendered tells the template and all its values."""
    seen: list[tuple[Any, dict[str, Any]]] = []

    def record(sender: Any, template: Any, context: dict[str, Any], **extra: Any) -> None:
        seen.append((template, context))

    @app.context_processor
    def inject() -> dict[str, Any]:
        return {"site": "Harbor"}

    with template_rendered.connected_to(record, app):
        app.test_client().get("/")
    ((template, context),) = seen
    assert template.name is None
    assert context["x"] == 42 and context["site"] == "Harbor"
    assert "request" in context and "g" in context


def test_before_render_template_may_change_the_values(app: Carboy) -> None:
    """SIG-02: a receiver of before_render_template may edit the values before rendering."""

    def change(sender: Any, template: Any, context: dict[str, Any], **extra: Any) -> None:
        context["x"] = 23

    with before_render_template.connected_to(change, app):
        assert app.test_client().get("/").text == "23"
    assert app.test_client().get("/").text == "42"


def test_streamed_templates_send_both_signals(app: Carboy) -> None:
    """SIG-02: stream_template sends before_render_template, then template_rendered at its end."""
    order: list[str] = []
    app.add_url_rule("/stream", "stream", lambda: stream_template_string("{{ x }}", x=1))

    def before(sender: Any, **extra: Any) -> None:
        order.append("before")

    def after(sender: Any, **extra: Any) -> None:
        order.append("after")

    with before_render_template.connected_to(before), template_rendered.connected_to(after):
        assert app.test_client().get("/stream").text == "1"
    assert order == ["before", "after"]


def test_request_started_and_finished(app: Carboy) -> None:
    """SIG-01: request_started has the request, request_finished the final response."""
    seen: list[Any] = []
    app.after_request(lambda response: response.headers.set("X-After", "1") or response)

    def started(sender: Any, **extra: Any) -> None:
        seen.append((request.path, g.get("x")))

    def finished(sender: Any, response: Any, **extra: Any) -> None:
        seen.append((response.status_code, response.headers["X-After"]))

    with request_started.connected_to(started, app), request_finished.connected_to(finished, app):
        app.test_client().get("/")
        app.test_client().get("/nowhere")
    assert seen == [("/", None), (200, "1"), ("/nowhere", None), (404, "1")]


def test_got_request_exception_for_unhandled_errors_only(app: Carboy) -> None:
    """SIG-01: got_request_exception is sent once for a crash, not for handled errors."""
    seen: list[Any] = []
    app.register_error_handler(KeyError, lambda error: "handled")
    app.add_url_rule("/handled", "handled", lambda: {}["x"])

    def record(sender: Any, exception: BaseException, **extra: Any) -> None:
        seen.append((sender, type(exception)))

    with got_request_exception.connected_to(record, app):
        client = app.test_client()
        client.get("/handled")
        client.get("/nowhere")
        assert seen == []
        client.get("/crash")
        assert seen == [(app, ZeroDivisionError)]


def test_got_request_exception_when_the_error_propagates(app: Carboy) -> None:
    """SIG-01: the signal is sent as well when the exception leaves the application."""
    seen: list[Any] = []
    app.testing = True

    def record(sender: Any, exception: BaseException, **extra: Any) -> None:
        seen.append(type(exception))

    with got_request_exception.connected_to(record, app), pytest.raises(ZeroDivisionError):
        app.test_client().get("/crash")
    assert seen == [ZeroDivisionError]


def test_tearing_down_signals_carry_the_error(app: Carboy) -> None:
    """SIG-02: request_tearing_down and appcontext_tearing_down get exc=, None when all is well."""
    seen: list[Any] = []

    def of_request(sender: Any, exc: BaseException | None = None, **extra: Any) -> None:
        seen.append(("request", type(exc).__name__))

    def of_app(sender: Any, exc: BaseException | None = None, **extra: Any) -> None:
        seen.append(("app", type(exc).__name__))

    with (
        request_tearing_down.connected_to(of_request, app),
        appcontext_tearing_down.connected_to(of_app, app),
    ):
        app.test_client().get("/")
        app.test_client().get("/crash")
    assert seen == [
        ("request", "NoneType"),
        ("app", "NoneType"),
        ("request", "ZeroDivisionError"),
        ("app", "ZeroDivisionError"),
    ]


def test_app_context_signals(app: Carboy) -> None:
    """SIG-02: pushing and popping an application context sends pushed and popped."""
    order: list[str] = []

    def pushed(sender: Any, **extra: Any) -> None:
        order.append(f"pushed {current_app.name}")

    def popped(sender: Any, **extra: Any) -> None:
        order.append("popped")

    with appcontext_pushed.connected_to(pushed, app), appcontext_popped.connected_to(popped, app):
        with app.app_context():
            assert order == [f"pushed {app.name}"]
        assert order == [f"pushed {app.name}", "popped"]


def test_appcontext_pushed_may_fill_g(app: Carboy) -> None:
    """SIG-02: a test may plant a user on `g` through appcontext_pushed."""
    app.add_url_rule("/user", "user", lambda: g.user)

    def plant(sender: Any, **extra: Any) -> None:
        g.user = "planted"

    with appcontext_pushed.connected_to(plant, app):
        assert app.test_client().get("/user").text == "planted"


def test_message_flashed(app: Carboy) -> None:
    """SIG-02: message_flashed carries message and category."""
    seen: list[Any] = []
    app.add_url_rule("/flash", "flash", lambda: flash("saved", "info") or "")

    def record(sender: Any, message: Any, category: str, **extra: Any) -> None:
        seen.append((message, category))

    with message_flashed.connected_to(record, app):
        app.test_client().get("/flash")
    assert seen == [("saved", "info")]


def test_connect_disconnect_and_connected_to(app: Carboy) -> None:
    """SIG-03: receivers hear from connect to disconnect; connected_to is a with block."""
    calls: list[str] = []

    def receiver(sender: Any, **extra: Any) -> None:
        calls.append("heard")

    client = app.test_client()
    request_started.connect(receiver, app)
    client.get("/")
    request_started.disconnect(receiver, app)
    client.get("/")
    assert calls == ["heard"]
    with request_started.connected_to(receiver, app):
        client.get("/")
    client.get("/")
    assert calls == ["heard", "heard"]


def test_connecting_after_the_first_request_works(app: Carboy) -> None:
    """SIG-03: receivers may come and go while requests are served."""
    calls: list[str] = []
    client = app.test_client()
    client.get("/")

    def receiver(sender: Any, **extra: Any) -> None:
        calls.append("heard")

    for signal in (request_started, request_finished, request_tearing_down, template_rendered):
        with signal.connected_to(receiver):
            client.get("/")
    client.get("/")
    assert calls == ["heard"] * 4


def test_custom_signals(app: Carboy) -> None:
    """SIG-04: an application's own Namespace works with current_app as sender."""
    saved = Namespace().signal("model-saved")
    seen: list[Any] = []

    @app.get("/save")
    def save() -> str:
        saved.send(current_app._get_current_object(), model="vessel")
        return ""

    def record(sender: Any, model: str, **extra: Any) -> None:
        seen.append((sender, model))

    with saved.connected_to(record, app):
        app.test_client().get("/save")
    assert seen == [(app, "vessel")]


def test_connect_via_hears_one_app(app: Carboy) -> None:
    """SIG-05: connect_via(app) hears that application only, connect() all of them."""
    other = Carboy("other")
    one: list[Any] = []
    every: list[Any] = []

    @request_started.connect_via(app)
    def only(sender: Any, **extra: Any) -> None:
        one.append(sender)

    def all_of_them(sender: Any, **extra: Any) -> None:
        every.append(sender)

    with request_started.connected_to(all_of_them):
        app.test_client().get("/")
        other.test_client().get("/")
    assert one == [app]
    assert every == [app, other]


def test_signals_are_synchronous_and_change_nothing(app: Carboy) -> None:
    """SIG-06: receivers run at once, in the request; what they return is ignored."""
    seen: list[Any] = []

    def receiver(sender: Any, **extra: Any) -> str:
        seen.append(has_request_context())
        return "ignored"

    with request_started.connected_to(receiver, app), request_finished.connected_to(receiver, app):
        assert app.test_client().get("/").text == "42"
    assert seen == [True, True]


def test_an_error_in_a_receiver_is_an_error_of_the_request(app: Carboy) -> None:
    """SIG-06: a receiver that raises makes the request fail like any other code of it."""

    def broken(sender: Any, **extra: Any) -> None:
        raise LookupError("receiver")

    with request_started.connected_to(broken, app):
        assert app.test_client().get("/").status_code == 500
    assert app.test_client().get("/").status_code == 200


def test_signals_of_blueprint_views_come_from_the_app(app: Carboy) -> None:
    """SIG-05: the sender is the application for blueprint views too."""
    bp = Blueprint("bp", __name__)
    bp.add_url_rule("/bp", "x", lambda: render_template_string("x"))
    app.register_blueprint(bp)
    seen: list[Any] = []

    def record(sender: Any, **extra: Any) -> None:
        seen.append(sender)

    with template_rendered.connected_to(record, app):
        app.test_client().get("/bp")
    assert seen == [app]
