"""An exception anywhere leaves no context behind, tears down once, and the next request works."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import carboy
from carboy import (
    Blueprint,
    Carboy,
    Request,
    Response,
    abort,
    after_this_request,
    flash,
    g,
    has_app_context,
    has_request_context,
    render_template_string,
    request,
    session,
    stream_template_string,
    stream_with_context,
    url_for,
)
from carboy.sessions import SecureCookieSessionInterface
from carboy.views import MethodView


class Boom(Exception):
    """What the places below raise."""


def boom(*args: Any, **kwargs: Any) -> Any:
    raise Boom("boom")


async def async_boom(*args: Any, **kwargs: Any) -> Any:
    await asyncio.sleep(0)
    raise Boom("boom")


class Reply:
    """What a WSGI server got: status, body, and the exception that came instead or midway."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.error: BaseException | None = None
        self.errors = io.StringIO()


def serve(
    app: Any,
    path: str = "/",
    *,
    method: str = "GET",
    read: int | None = None,
    path_info: str | None = None,
) -> Reply:
    """One request as a server makes it: call, iterate `read` chunks (None: all), close."""
    reply = Reply()

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        reply.status = int(status.split()[0])
        reply.headers = headers
        return lambda chunk: None

    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path if path_info is None else path_info,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": reply.errors,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    iterable: Any = None
    try:
        iterable = app(environ, start_response)
        iterator = iter(iterable)
        count = 0
        while read is None or count < read:
            try:
                chunk = next(iterator)
            except StopIteration:
                break
            assert isinstance(chunk, bytes), f"{chunk!r} would break the server"
            reply.body += chunk
            count += 1
    except BaseException as error:
        reply.error = error
    finally:
        if hasattr(iterable, "close"):
            try:
                iterable.close()
            except BaseException as error:
                reply.error = reply.error or error
    return reply


# Where an exception may come from. Each function puts one into an application; the request is
# GET /place (or what the function returns).

PLACES: dict[str, Callable[[Carboy], str | None]] = {}
BEYOND: set[str] = set()  # Flask leaks a context, skips a teardown or repeats it here


def place(
    name: str, *, beyond: bool = False
) -> Callable[[Callable[[Carboy], str | None]], Callable[[Carboy], str | None]]:
    def add(install: Callable[[Carboy], str | None]) -> Callable[[Carboy], str | None]:
        PLACES[name] = install
        if beyond:
            BEYOND.add(name)
        return install

    return add


def simple(name: str, register: Callable[[Carboy, Any], Any], *, beyond: bool = False) -> None:
    """A place that only registers a function, once sync and once async."""

    def sync_place(app: Carboy) -> None:
        register(app, boom)

    def async_place(app: Carboy) -> None:
        register(app, async_boom)

    place(name, beyond=beyond)(sync_place)
    place(f"async {name}", beyond=beyond)(async_place)


def blueprint(app: Carboy, change: Callable[[Blueprint], Any]) -> str:
    bp = Blueprint("bp", __name__)
    change(bp)
    bp.add_url_rule("/bp", "view", lambda: "bp")
    app.register_blueprint(bp)
    return "/bp"


def after_this(app: Carboy, function: Any) -> None:
    app.add_url_rule("/place", "place", lambda: (after_this_request(function) and "") or "")


simple("view", lambda app, f: app.add_url_rule("/place", "place", f))
simple("before_request", lambda app, f: app.before_request(f))
simple("after_request", lambda app, f: app.after_request(f))
simple("after_this_request", after_this)
simple("teardown_request", lambda app, f: app.teardown_request(f), beyond=True)
simple("teardown_appcontext", lambda app, f: app.teardown_appcontext(f), beyond=True)
simple("404 handler", lambda app, f: app.register_error_handler(404, f))


def crash_with_handler(key: Any) -> Callable[[Carboy, Any], None]:
    def register(app: Carboy, function: Any) -> None:
        app.add_url_rule("/place", "place", lambda: 1 / 0)
        app.register_error_handler(key, function)

    return register


simple("exception handler", crash_with_handler(ZeroDivisionError))
simple("500 handler", crash_with_handler(500))
simple("handler for Exception", crash_with_handler(Exception))


@place("url_value_preprocessor")
def _(app: Carboy) -> None:
    app.url_value_preprocessor(boom)


@place("url_defaults")
def _(app: Carboy) -> None:
    app.url_defaults(boom)
    app.add_url_rule("/place", "place", lambda: url_for("place"))


@place("blueprint before_request")
def _(app: Carboy) -> str:
    return blueprint(app, lambda bp: bp.before_request(boom))


@place("blueprint after_request")
def _(app: Carboy) -> str:
    return blueprint(app, lambda bp: bp.after_request(boom))


@place("blueprint teardown_request", beyond=True)
def _(app: Carboy) -> str:
    return blueprint(app, lambda bp: bp.teardown_request(boom))


@place("method view")
def _(app: Carboy) -> None:
    class Broken(MethodView):
        get = boom

    app.add_url_rule("/place", view_func=Broken.as_view("place"))


@place("view class constructor")
def _(app: Carboy) -> None:
    class Broken(MethodView):
        __init__ = boom

        def get(self) -> str:
            return ""

    app.add_url_rule("/place", view_func=Broken.as_view("place"))


@place("url converter")
def _(app: Carboy) -> None:
    from werkzeug.routing import BaseConverter

    class Broken(BaseConverter):
        to_python = boom

    app.url_map.converters["broken"] = Broken
    app.add_url_rule("/<broken:x>", "converted", lambda x: "")


@place("return value")
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: None)


@place("JSON provider")
def _(app: Carboy) -> None:
    app.json.default = boom
    app.add_url_rule("/place", "place", lambda: {"x": object()})


@place("response class")
def _(app: Carboy) -> None:
    class Broken(Response):
        def __init__(self, response: Any = None, *args: Any, **kwargs: Any) -> None:
            if response == "broken":
                boom()
            super().__init__(response, *args, **kwargs)

    app.response_class = Broken
    app.add_url_rule("/place", "place", lambda: "broken")


@place("make_response")
def _(app: Carboy) -> None:
    real = app.make_response
    app.make_response = lambda rv: boom() if rv == "broken" else real(rv)
    app.add_url_rule("/place", "place", lambda: "broken")


@place("context processor")
def _(app: Carboy) -> None:
    app.context_processor(boom)
    app.add_url_rule("/place", "place", lambda: render_template_string("x"))


@place("template")
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: render_template_string("{{ f() }}", f=boom))


@place("template syntax")
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: render_template_string("{% if %}"))


@place("template filter")
def _(app: Carboy) -> None:
    app.add_template_filter(boom, "broken")
    app.add_url_rule("/place", "place", lambda: render_template_string("{{ 1|broken }}"))


@place("streamed template")
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: stream_template_string("{{ 1 }}{{ f() }}", f=boom))


PLACES["streamed template"].__name__ = "streamed"
BEYOND.add("streamed template")


def generator(before: int = 0) -> Iterator[str]:
    for number in range(before):
        yield str(number)
    boom()


def generator_failing_at_close() -> Iterator[str]:
    try:
        yield "0"
        yield "1"
    finally:
        boom()


@place("generator at its start")
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: generator())


@place("generator midway")
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: generator(2))


@place("generator at its close")
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: generator_failing_at_close())


@place("stream_with_context at its start", beyond=True)
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: stream_with_context(generator()))


@place("stream_with_context midway", beyond=True)
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: stream_with_context(generator(2)))


@place("stream_with_context at its close", beyond=True)
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: stream_with_context(generator_failing_at_close()))


@place("call_on_close")
def _(app: Carboy) -> None:
    def view() -> Response:
        response = Response("x")
        response.call_on_close(boom)
        return response

    app.add_url_rule("/place", "place", view)


class BrokenSession(SecureCookieSessionInterface):
    def __init__(self, broken: str) -> None:
        self.broken = broken

    def open_session(self, app: Any, request: Any) -> Any:
        if self.broken == "open" and request.path != "/fine":
            boom()
        return super().open_session(app, request)

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        if self.broken == "save" and request.path != "/fine":
            boom()
        super().save_session(app, session, response)


@place("opening the session")
def _(app: Carboy) -> None:
    app.session_interface = BrokenSession("open")


@place("saving the session")
def _(app: Carboy) -> None:
    app.session_interface = BrokenSession("save")


@place("serialising the session")
def _(app: Carboy) -> None:
    app.add_url_rule("/place", "place", lambda: session.__setitem__("x", object()) or "")


@place("request class")
def _(app: Carboy) -> None:
    class Broken(Request):
        @property
        def args(self) -> Any:
            return boom()

    app.request_class = Broken
    app.add_url_rule("/place", "place", lambda: request.args["x"])


@place("url build error handler")
def _(app: Carboy) -> None:
    app.url_build_error_handlers.append(boom)
    app.add_url_rule("/place", "place", lambda: url_for("unknown"))


@place("ensure_sync")
def _(app: Carboy) -> None:
    real = app.ensure_sync
    app.ensure_sync = lambda f: boom if getattr(f, "__name__", "") == "marked" else real(f)

    @app.get("/place")
    def marked() -> str:
        return ""


@place("dispatch_request")
def _(app: Carboy) -> None:
    real = app.dispatch_request
    app.dispatch_request = lambda: boom() if request.path == "/place" else real()


@place("preprocess_request")
def _(app: Carboy) -> None:
    real = app.preprocess_request
    app.preprocess_request = lambda: boom() if request.path == "/place" else real()


@place("process_response")
def _(app: Carboy) -> None:
    real = app.process_response
    app.process_response = lambda r: boom() if request.path == "/place" else real(r)


@place("finalize_request")
def _(app: Carboy) -> None:
    real = app.finalize_request

    def broken(rv: Any, from_error_handler: bool = False) -> Any:
        if request.path == "/place" and not from_error_handler:
            boom()
        return real(rv, from_error_handler=from_error_handler)

    app.finalize_request = broken


@place("create_url_adapter")
def _(app: Carboy) -> None:
    real = app.create_url_adapter

    def broken(request: Any) -> Any:
        if request is not None and request.path == "/place":
            boom()
        return real(request)

    app.create_url_adapter = broken


def with_signal(name: str, view: Callable[[], Any], *, beyond: bool = False) -> None:
    @place(f"signal {name}", beyond=beyond)
    def install(app: Carboy) -> None:
        def receiver(sender: Any, **extra: Any) -> None:
            if not has_request_context() or request.path == "/place":
                boom()

        app.extensions["receiver"] = receiver  # receivers are held weakly
        app.extensions["signal"] = getattr(carboy, name)
        getattr(carboy, name).connect(receiver, app)
        app.add_url_rule("/place", "place", view)


with_signal("request_started", lambda: "")
with_signal("request_finished", lambda: "")
with_signal("before_render_template", lambda: render_template_string("x"))
with_signal("template_rendered", lambda: render_template_string("x"))
with_signal("message_flashed", lambda: flash("x") or "")
with_signal("got_request_exception", lambda: 1 / 0)
with_signal("request_tearing_down", lambda: "")
with_signal("appcontext_tearing_down", lambda: "")
with_signal("appcontext_pushed", lambda: "", beyond=True)
with_signal("appcontext_popped", lambda: "")

MODES: dict[str, dict[str, Any]] = {
    "production": {},
    "testing": {"TESTING": True},
    "propagating": {"PROPAGATE_EXCEPTIONS": True},
    "debug": {"DEBUG": True},
}
CASES = [
    pytest.param(
        name, mode, id=f"{name}-{mode}", marks=[pytest.mark.beyond] if name in BEYOND else []
    )
    for name in PLACES
    for mode in MODES
]


def build(name: str, mode: str) -> tuple[Carboy, str, list[str]]:
    """An application with a failing place, the path to ask for, and the log of teardowns."""
    app = Carboy("hostile")
    app.secret_key = "test key"
    app.config.update(MODES[mode])
    log: list[str] = []
    app.add_url_rule("/fine", "fine", lambda: "fine")
    app.teardown_request(lambda error: log.append("request before"))
    app.teardown_appcontext(lambda error: log.append("app before"))
    path = PLACES[name](app) or "/place"
    app.teardown_request(lambda error: log.append("request after"))
    app.teardown_appcontext(lambda error: log.append("app after"))
    return app, path, log


def disarm(app: Carboy) -> None:
    if "signal" in app.extensions:
        app.extensions["signal"].disconnect(app.extensions["receiver"], app)
    for table in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        for functions in table.values():
            functions[:] = [f for f in functions if f not in (boom, async_boom)]
    for functions in app.url_value_preprocessors.values():
        functions[:] = [f for f in functions if f is not boom]
    app.teardown_appcontext_funcs[:] = [
        f for f in app.teardown_appcontext_funcs if f not in (boom, async_boom)
    ]


ONCE = ["app after", "app before", "request after", "request before"]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_an_exception_leaves_no_context_and_tears_down_once(name: str, mode: str) -> None:
    """HOSTILE-184, HOSTILE-186: wherever it happens, whether or not errors propagate."""
    app, path, log = build(name, mode)
    try:
        serve(app, path)
        assert not has_request_context()
        assert not has_app_context()
        # Where not even a context came about there is nothing to tear down.
        assert sorted(log) == ONCE or (name == "create_url_adapter" and not log)
    finally:
        disarm(app)
    log.clear()
    fine = serve(app, "/fine")
    if "session" not in name or mode == "production":
        assert (fine.status, fine.body, fine.error) == (200, b"fine", None)
    assert sorted(log) == ONCE
    assert not has_app_context()


# Places whose failure cannot change the answer any more, or happens while it is sent.
LATE = (
    "teardown",
    "generator",
    "stream",
    "call_on_close",
    "tearing_down",
    "popped",
    "appcontext_pushed",
)
# Where the exception leaves a Flask application even in production.
FAILING_HANDLERS = ("500 handler", "handler for Exception", "got_request_exception")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[pytest.mark.beyond]
            if name in BEYOND
            or name == "create_url_adapter"
            or any(part in name for part in FAILING_HANDLERS)
            else [],
        )
        for name in PLACES
        if not any(part in name for part in LATE)
    ],
)
def test_an_exception_is_a_clean_500_and_logged_once(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """HOSTILE-184, HOSTILE-185: the client gets a plain 500, the log tells once, nothing leaks."""
    app, path, _ = build(name, "production")
    try:
        reply = serve(app, path)
    finally:
        disarm(app)
    assert reply.error is None
    assert reply.status == 500
    assert b"boom" not in reply.body.lower() and b"Traceback" not in reply.body
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR and r.name == app.logger.name]
    assert errors, "the failure was not logged"
    if not any(part in name for part in FAILING_HANDLERS):
        # Finalizing the 500 may fail a second time; that is told apart, by its own message.
        assert len([r for r in errors if r.getMessage().startswith("Exception on")]) == 1
    assert all(r.exc_info for r in errors)


@pytest.mark.parametrize("mode", ["testing", "propagating", "debug"])
@pytest.mark.parametrize(
    "name", ["view", "before_request", "after_request", "url_value_preprocessor", "template",
             "async view", "500 handler", "404 handler", "signal request_started"]
)  # fmt: skip
def test_the_exception_reaches_the_server_where_it_should_propagate(name: str, mode: str) -> None:
    """HOSTILE-184: with TESTING, PROPAGATE_EXCEPTIONS or debug the error is not swallowed."""
    app, path, _ = build(name, mode)
    try:
        reply = serve(app, path)
    finally:
        disarm(app)
    assert isinstance(reply.error, (Boom, ZeroDivisionError))


@pytest.mark.beyond
@pytest.mark.parametrize("key", [500, Exception])
def test_a_failing_500_handler_is_still_a_clean_500(
    key: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """HOSTILE-185, D-26: when the last handler fails, the client gets a plain 500, it is logged."""
    app = Carboy("hostile")
    app.add_url_rule("/", "index", lambda: 1 / 0)
    app.register_error_handler(key, boom)
    reply = serve(app)
    assert (reply.status, reply.error) == (500, None)
    assert b"Internal Server Error" in reply.body
    assert "boom" in caplog.text and "ZeroDivisionError" in caplog.text


@pytest.mark.beyond
def test_after_request_returning_nothing_is_a_clean_500(caplog: pytest.LogCaptureFixture) -> None:
    """HOSTILE-185: an after_request function that forgets `return response` is a logged 500."""
    app = Carboy("hostile")
    app.add_url_rule("/", "index", lambda: "x")
    app.after_request(lambda response: None)
    reply = serve(app)
    assert (reply.status, reply.error) == (500, None)
    assert [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.beyond
def test_all_teardowns_run_when_some_raise(caplog: pytest.LogCaptureFixture) -> None:
    """HOSTILE-186: of several teardowns that raise, each runs, each error is told.

    KNOWN-failing-teardown-skips-others.
    """
    app = Carboy("hostile")
    log: list[int] = []

    def make(number: int, fails: bool) -> Callable[[Any], None]:
        def teardown(error: Any) -> None:
            log.append(number)
            if fails:
                raise Boom(f"teardown {number}")

        return teardown

    for number, fails in enumerate((False, True, False, True)):
        app.teardown_request(make(number, fails))
        app.teardown_appcontext(make(10 + number, fails))
    app.add_url_rule("/", "index", lambda: "x")
    reply = serve(app)
    assert log == [3, 2, 1, 0, 13, 12, 11, 10]
    assert (reply.status, reply.body, reply.error) == (200, b"x", None)
    for number in (1, 3, 11, 13):
        assert f"teardown {number}" in caplog.text


@pytest.mark.beyond
@pytest.mark.parametrize("name", ["teardown_request", "teardown_appcontext"])
def test_a_failing_teardown_does_not_take_the_answer_away(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """HOSTILE-187: the response that was finished is delivered, the failure logged."""
    app = Carboy("hostile")
    getattr(app, name)(boom)
    app.add_url_rule("/", "index", lambda: "delivered")
    reply = serve(app)
    assert (reply.status, reply.body, reply.error) == (200, b"delivered", None)
    assert "boom" in caplog.text


def raise_recursion() -> Any:
    return raise_recursion()


def raise_surrogate() -> Any:
    raise RuntimeError("lone \udcff surrogate")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


def raise_unprintable() -> Any:
    raise Unprintable


def raise_memory() -> Any:
    raise MemoryError


def raise_stop() -> Any:
    raise StopIteration


def raise_assertion() -> Any:
    raise AssertionError("checked")


def raise_group() -> Any:
    raise ExceptionGroup("several", [ValueError("a"), Boom("b")])


@pytest.mark.parametrize(
    "view",
    [
        raise_recursion,
        raise_memory,
        raise_stop,
        raise_surrogate,
        raise_unprintable,
        raise_assertion,
        raise_group,
    ],
)
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_odd_exceptions_are_a_clean_500(view: Callable[[], Any], colour: str) -> None:
    """HOSTILE-188: recursion, memory, StopIteration, surrogates, unprintable errors: a 500."""
    app = Carboy("hostile")
    log: list[str] = []
    app.teardown_request(lambda error: log.append("teardown"))
    if colour == "sync":
        app.add_url_rule("/", "index", view)
    else:

        async def index() -> Any:
            return view()

        app.add_url_rule("/", "index", index)
    app.add_url_rule("/fine", "fine", lambda: "fine")
    reply = serve(app)
    assert (reply.status, reply.error) == (500, None)
    assert log == ["teardown"]
    assert not has_app_context()
    assert serve(app, "/fine").body == b"fine"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("where", ["view", "before", "after", "handler"])
def test_interrupts_propagate_and_leave_no_context(error: type[BaseException], where: str) -> None:
    """HOSTILE-189: KeyboardInterrupt and SystemExit leave the application, the context is clean."""
    app = Carboy("hostile")
    log: list[Any] = []
    app.teardown_request(lambda e: log.append(type(e)))
    app.register_error_handler(Exception, lambda e: "swallowed?")

    def interrupt(*args: Any) -> Any:
        raise error

    app.add_url_rule("/", "index", interrupt if where == "view" else lambda: "x")
    app.add_url_rule("/fine", "fine", lambda: "fine")
    if where == "before":
        app.before_request(lambda: interrupt() if request.path == "/" else None)
    elif where == "after":
        app.after_request(lambda r: interrupt() if request.path == "/" else r)
    elif where == "handler":
        app.view_functions["index"] = lambda: 1 / 0
        app.register_error_handler(ZeroDivisionError, interrupt)
    reply = serve(app)
    assert type(reply.error) is error
    assert log == [error]
    assert not has_request_context() and not has_app_context()
    assert serve(app, "/fine").body == b"fine"


@pytest.mark.parametrize("code", [0, 999, -1, "404", None])
def test_abort_with_a_code_that_does_not_exist(code: Any) -> None:
    """HOSTILE-190: abort(0), abort(999) and worse are the program's fault: a 500."""
    app = Carboy("hostile")
    app.add_url_rule("/", "index", lambda: abort(code))
    reply = serve(app)
    assert (reply.status, reply.error) == (500, None)


@pytest.mark.beyond
@pytest.mark.parametrize("char", ["\n", "\r", "\x1b", "\x00", "\x7f", "\x85", "\u2028", "\u2029"])
def test_no_raw_control_character_reaches_the_log_line(
    char: str, caplog: pytest.LogCaptureFixture
) -> None:
    """HOSTILE-191: the path of a failing request cannot forge or colour log lines.

    CVE-2025-48432.
    """
    app = Carboy("hostile")
    app.before_request(boom)
    path = f"/a{char}ERROR in forged: line"
    reply = serve(app, path_info=path.encode().decode("latin-1"))
    assert reply.status == 500
    (record,) = caplog.records
    message = record.getMessage()
    assert char not in message
    assert "forged" in message  # the rest of the path is still told
    assert message.isprintable()


def test_async_view_that_is_cancelled_tears_down_once() -> None:
    """HOSTILE-192: a view whose task is cancelled ends the request, with one teardown."""
    app = Carboy("hostile")
    log: list[str] = []
    app.teardown_request(lambda error: log.append("teardown"))
    app.add_url_rule("/fine", "fine", lambda: "fine")

    @app.get("/cancel")
    async def cancel() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return "never"

    reply = serve(app, "/cancel")
    assert reply.status == 500 or reply.error is not None
    assert log == ["teardown"]
    assert not has_app_context()
    assert serve(app, "/fine").body == b"fine"


@pytest.mark.beyond
def test_a_cancelled_view_is_a_clean_500() -> None:
    """HOSTILE-192: a cancellation inside the view is answered with a 500."""
    app = Carboy("hostile")

    @app.get("/")
    async def cancel() -> str:
        raise asyncio.CancelledError

    reply = serve(app)
    assert (reply.status, reply.error) == (500, None)


def test_a_task_that_the_view_cancels_is_its_own_matter() -> None:
    """HOSTILE-192: cancelling a task of one's own and catching it is no failure."""
    app = Carboy("hostile")

    @app.get("/")
    async def view() -> str:
        task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled the task"
        return "never"

    assert serve(app).body == b"cancelled the task"


def test_teardown_gets_the_error_and_g(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOSTILE-184: teardowns of a crashed request see its error and its `g`."""
    app = Carboy("hostile")
    seen: list[Any] = []

    @app.get("/")
    def view() -> str:
        g.resource = "open"
        boom()

    app.teardown_request(lambda error: seen.append((g.pop("resource"), type(error))))
    serve(app)
    assert seen == [("open", Boom)]
