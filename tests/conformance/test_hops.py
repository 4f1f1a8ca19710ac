"""How often a request leaves the event loop: as the table of colours says."""

from __future__ import annotations

import io
import threading
from contextvars import ContextVar
from functools import partial, wraps
from itertools import count
from typing import Any, ClassVar

import pytest
from werkzeug.routing import BaseConverter

from carboy import current_app, redirect, request, request_finished, session
from carboy.bridges import PORTAL, WORKERS, Portal
from carboy.globals import _cv
from carboy.plan import is_async
from carboy.shortcuts import SLOW
from carboy.testing.doors import DOORS
from carboy.views import MethodView, View

from .conftest import environ_for, through

by_the_compiled_router = pytest.mark.skipif(
    SLOW, reason="without the compiled router a request is not known to be async before it begins"
)


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each hop to a worker thread."""
    seen: list[Any] = []
    submit_in = WORKERS.submit_in

    def counted(context: Any, function: Any, *args: Any) -> Any:
        seen.append(function)
        return submit_in(context, function, *args)

    monkeypatch.setattr(WORKERS, "submit_in", counted)
    return seen


@pytest.fixture(params=sorted(DOORS))
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def nothing(*args: Any) -> None:
    pass


async def view() -> str:
    return "async"


def test_all_sync_is_one_hop(app: Any, door: str, hops: list[Any]) -> None:
    """However many sync steps there are, the request goes to a thread once."""
    for _ in range(3):
        app.before_request(lambda: None)
        app.after_request(lambda response: response)
        app.teardown_request(lambda error: None)
    app.teardown_appcontext(lambda error: None)
    app.add_url_rule("/", "view", lambda: "sync")
    assert through(door, app, environ_for()).text == "sync"
    assert len(hops) == 1


def test_all_async_is_no_hop(app: Any, door: str, hops: list[Any]) -> None:
    """Async steps are awaited where they are."""

    async def after(response: Any) -> Any:
        return response

    app.before_request(nothing)
    app.after_request(after)
    app.teardown_request(nothing)
    app.teardown_appcontext(nothing)
    app.add_url_rule("/", "view", view)
    assert through(door, app, environ_for()).text == "async"
    assert hops == []


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_mixed_is_one_hop_for_each_sync_step(
    app: Any, door: str, hops: list[Any], steps: int
) -> None:
    """The async ones stay."""
    app.before_request(nothing)
    for _ in range(steps):
        app.before_request(lambda: None)
    app.add_url_rule("/", "view", view)
    assert through(door, app, environ_for()).text == "async"
    assert len(hops) == steps


def test_a_receiver_is_a_sync_step(app: Any, door: str, hops: list[Any]) -> None:
    """A signal's receivers run in one hop."""

    def receive(sender: Any, **values: Any) -> None:
        pass

    app.add_url_rule("/", "view", view)
    with request_finished.connected_to(receive, app):
        through(door, app, environ_for())
    assert len(hops) == 1


def test_a_handler_that_does_not_run_is_no_hop(app: Any, door: str, hops: list[Any]) -> None:
    """Sync error handlers cost an async view nothing, until they run."""

    async def fail() -> str:
        raise KeyError

    app.register_error_handler(KeyError, lambda error: "handled")
    app.add_url_rule("/", "view", view)
    app.add_url_rule("/fail", "fail", fail)
    through(door, app, environ_for())
    assert hops == []
    assert through(door, app, environ_for("/fail")).text == "handled"
    assert len(hops) == 1


def test_a_small_file_is_one_hop(app: Any, door: str, hops: list[Any], tmp_path: Any) -> None:
    """It is read in the thread that found it."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static/a.txt").write_text("text")
    assert through(door, app, environ_for("/static/a.txt")).text == "text"
    assert len(hops) == 1


@pytest.fixture
def crossings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each hop from a thread to the portal."""
    seen: list[Any] = []
    submit = Portal.submit

    def counted(portal: Any, awaitable: Any, context: Any) -> Any:
        if portal is PORTAL:
            seen.append(awaitable)
        return submit(portal, awaitable, context)

    monkeypatch.setattr(Portal, "submit", counted)
    return seen


@by_the_compiled_router
def test_all_async_under_wsgi_is_one_hop(app: Any, hops: list[Any], crossings: list[Any]) -> None:
    """However many async steps there are, the request goes to the portal once."""
    word: ContextVar[str] = ContextVar("word", default="outside")
    words: list[str] = []

    async def before() -> None:
        word.set("inside")

    async def after(response: Any) -> Any:
        words.append(f"{word.get()} {request.path}")
        return response

    async def torn(error: Any) -> None:
        words.append(f"{word.get()} {request.path}")

    async def view() -> dict[str, Any]:
        session["seen"] = True
        return {"data": request.get_data(as_text=True), "word": word.get()}

    app.secret_key = "test key"
    app.before_request(before)
    app.after_request(after)
    app.teardown_request(torn)
    app.add_url_rule("/", "view", view, methods=["POST"])
    answer = through("wsgi", app, environ_for("/", "POST", body=b"text"))
    assert answer.body == b'{"data":"text","word":"inside"}\n'
    assert answer.get("set-cookie")
    assert words == ["inside /", "inside /"]
    assert (len(crossings), len(hops)) == (1, 0)
    assert _cv.get(None) is None


def test_mixed_under_wsgi_is_one_hop_for_each_async_step(
    app: Any, hops: list[Any], crossings: list[Any]
) -> None:
    """The sync ones stay in the request's thread."""
    threads: list[Any] = []
    app.before_request(lambda: threads.append(threading.current_thread()))
    app.before_request(nothing)
    app.add_url_rule("/", "view", view)
    assert through("wsgi", app, environ_for()).text == "async"
    assert threads == [threading.current_thread()]
    assert (len(crossings), len(hops)) == (2, 0)


def test_all_sync_under_wsgi_is_no_hop(app: Any, hops: list[Any], crossings: list[Any]) -> None:
    """Neither is there one where another view of the application is async."""
    app.add_url_rule("/", "sync", sync)
    app.add_url_rule("/async", "view", view)
    assert through("wsgi", app, environ_for()).text == "sync"
    assert (crossings, hops) == ([], [])


@by_the_compiled_router
def test_a_slow_body_does_not_hold_up_the_portal(app: Any) -> None:
    """It is received in its own thread before the async view begins."""
    readers: list[Any] = []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            readers.append(threading.current_thread())
            return super().read(2)

    async def view() -> bytes:
        return request.get_data()

    app.add_url_rule("/", "view", view, methods=["POST"])
    environ = environ_for("/", "POST", body=b"abcdef") | {"wsgi.input": Slow(b"abcdef")}
    assert through("wsgi", app, environ).text == "abcdef"
    assert set(readers) == {threading.current_thread()}


@by_the_compiled_router
@pytest.mark.parametrize("limit", [None, 5])
def test_a_slow_chunked_body_does_not_hold_up_the_portal(app: Any, limit: int | None) -> None:
    """It is received in its own thread, too; past the limit only by a view that allows more."""
    threads: dict[bytes, Any] = {}
    parts = [b"ab\n", b"cd", b"efg\nh", b"ij"]

    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.rest = list(parts)

        def read(self, size: int = -1) -> bytes:
            if size < 0:
                return b"".join(iter(lambda: self.read(65536), b""))
            if not self.rest:
                return b""
            threads[self.rest[0]] = threading.current_thread()
            return self.rest.pop(0)

    async def view() -> bytes:
        request.max_content_length = 100
        return request.get_data()

    app.config["MAX_CONTENT_LENGTH"] = limit
    app.add_url_rule("/", "view", view, methods=["POST"])
    environ = environ_for("/", "POST", chunked=b"") | {"wsgi.input": Slow()}
    assert through("wsgi", app, environ).text == "ab\ncdefg\nhij"
    before = parts if limit is None else parts[:3]
    assert {threads[part] for part in before} == {threading.current_thread()}


def test_a_chunked_body_over_the_limit_is_413_to_an_async_view(app: Any) -> None:
    """No more of it is received than tells that it is too large."""

    class Endless(io.RawIOBase):
        got = 0

        def read(self, size: int = -1) -> bytes:
            self.got += 1000
            return b"x" * 1000

    async def view() -> bytes:
        return request.get_data()

    app.config["MAX_CONTENT_LENGTH"] = 5000
    app.add_url_rule("/", "view", view, methods=["POST"])
    body = Endless()
    environ = environ_for("/", "POST", chunked=b"") | {"wsgi.input": body}
    assert through("wsgi", app, environ).code == 413
    assert body.got <= 7000


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("path", ["/nothing", "/only-get", "/folder"])
def test_what_no_view_answers_is_no_hop(
    app: Any, door: str, hops: list[Any], path: str, method: str
) -> None:
    """404, 405 and redirects are answered where they are, if no sync hook wants to see them."""
    app.before_request(nothing)
    app.add_url_rule("/only-get", "only", view, methods=["GET"])
    app.add_url_rule("/folder/", "folder", view, methods=["GET"])
    codes = {"GET": (404, 200, 308), "DELETE": (404, 405, 404)}
    expected = codes[method][("/nothing", "/only-get", "/folder").index(path)]
    assert through(door, app, environ_for(path, method)).code == expected
    assert hops == []


def test_a_redirect_of_an_async_view_is_no_hop(app: Any, door: str, hops: list[Any]) -> None:
    """Its body is text."""

    async def view() -> Any:
        return redirect("/elsewhere")

    app.add_url_rule("/", "view", view)
    answer = through(door, app, environ_for())
    assert (answer.code, dict(answer.headers)["location"]) == (302, "/elsewhere")
    assert hops == []


def test_a_converter_of_the_application_runs_in_a_thread(
    app: Any, door: str, hops: list[Any]
) -> None:
    """It may look something up, and has its request; the async view then stays on the loop."""
    threads: list[Any] = []

    class Slow(BaseConverter):
        def to_python(self, value: str) -> str:
            threads.append((threading.current_thread().name, current_app.name))
            return value.upper()

    async def view(name: str) -> str:
        threads.append((threading.current_thread().name, current_app.name))
        return name

    app.url_map.converters["slow"] = Slow
    app.add_url_rule("/<slow:name>", "view", view)
    assert through(door, app, environ_for("/ada")).text == "ADA"
    assert threads[0][0].startswith("carboy-worker")
    assert not threads[-1][0].startswith("carboy-worker")
    assert len(hops) <= 1


@pytest.mark.parametrize("is_async", [False, True])
def test_an_inline_route_is_no_hop(app: Any, door: str, hops: list[Any], is_async: bool) -> None:
    """All steps of a route that is marked inline run on the loop."""
    app.before_request(lambda: None)
    app.after_request(lambda response: response)
    app.teardown_request(lambda error: None)
    app.add_url_rule("/", "view", view if is_async else sync, inline=True)
    assert through(door, app, environ_for()).text == ("async" if is_async else "sync")
    assert hops == []


def test_an_inline_route_under_wsgi(app: Any, crossings: list[Any]) -> None:
    """There the mark means nothing."""
    app.add_url_rule("/", "view", sync, inline=True)
    assert through("wsgi", app, environ_for()).text == "sync"
    assert crossings == []


class Pages(MethodView):
    async def get(self) -> str:
        return "got"

    async def post(self) -> str:
        return "posted"


class Both(MethodView):
    async def get(self) -> str:
        return "got"

    def post(self) -> str:
        return "posted"


class One(View):
    methods: ClassVar[list[str]] = ["GET", "POST"]

    async def dispatch_request(self) -> str:
        return "got" if request.method == "GET" else "posted"


def passed(function: Any) -> Any:
    @wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        rv = function(*args, **kwargs)
        assert isinstance(rv, str)
        return rv

    return inside


@pytest.mark.parametrize(
    ("cls", "colour", "most"), [(Pages, "async", 0), (Both, "mixed", 1), (One, "async", 0)]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_colour_of_a_class(
    app: Any, door: str, hops: list[Any], cls: Any, colour: str, most: int, method: str
) -> None:
    """That of its methods; what wraps a class's view gets a value, never a coroutine."""
    app.add_url_rule("/", view_func=cls.as_view("page"))
    app.add_url_rule("/wrapped", view_func=passed(cls.as_view("wrapped")))
    text = "got" if method == "GET" else "posted"
    assert app._plans.get(app, "page").colour(app) == colour
    assert through(door, app, environ_for("/", method)).text == text
    assert len(hops) <= most
    assert app._plans.get(app, "wrapped").colour(app) == "sync"
    for each in (door, "wsgi"):
        assert through(each, app, environ_for("/wrapped", method)).text == text
        assert through(each, app, environ_for("/", method)).text == text


@pytest.mark.parametrize("inline", [False, True])
def test_what_holds_up_the_loop_is_told_in_debug_mode(
    app: Any, door: str, caplog: Any, monkeypatch: pytest.MonkeyPatch, inline: bool
) -> None:
    """Once an endpoint, with the view's name; never elsewhere."""
    app.add_url_rule("/", "page", sync if inline else view, inline=inline)
    clock = count()
    monkeypatch.setattr("carboy.gateways.loop.time.perf_counter", lambda: next(clock))
    through(door, app, environ_for())
    assert caplog.text == ""
    app.debug = True
    through(door, app, environ_for())
    through(door, app, environ_for())
    name = "sync" if inline else "view"
    assert caplog.text.count(f"conformance.test_hops.{name} (endpoint 'page') held up") == 1
    assert "asyncio.to_thread" in caplog.text


class Callable:
    async def __call__(self) -> str:
        return "called"


def sync() -> str:
    return "sync"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (view, True),
        (partial(view), True),
        (partial(partial(view)), True),
        (Callable(), True),
        (Callable().__call__, True),
        (sync, False),
        (partial(sync), False),
        (lambda: None, False),
        (Callable, False),
        (print, False),
    ],
)
def test_what_is_async(function: Any, expected: bool) -> None:
    """Coroutine functions, also partial ones and methods, and objects with an async __call__."""
    assert is_async(function) is expected


@pytest.mark.parametrize(
    ("before", "function", "colour"),
    [
        (None, sync, "sync"),
        (None, view, "async"),
        (nothing, sync, "mixed"),
        (nothing, view, "async"),
        (sync, view, "mixed"),
        (sync, sync, "sync"),
    ],
)
def test_the_colour_of_a_plan(app: Any, before: Any, function: Any, colour: str) -> None:
    """By what runs on each request."""
    if before is not None:
        app.before_request(before)
    app.add_url_rule("/", "view", function)
    assert app._plans.get(app, "view").colour(app) == colour
