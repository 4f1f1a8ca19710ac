"""What runs around serving and beside it: start, stop, background work."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from click.testing import CliRunner

from carboy import current_app, g, has_request_context, request
from carboy.cli import FlaskGroup

from .conftest import environ_for, through


def lifespan(app: Any, *messages: str) -> list[dict[str, Any]]:
    """What the application answers to the messages of an ASGI server."""
    sent: list[dict[str, Any]] = []

    async def serve() -> None:
        waiting = [{"type": f"lifespan.{message}"} for message in messages]

        async def receive() -> dict[str, Any]:
            if not waiting:
                serving.cancel()
                await asyncio.sleep(0)
            return waiting.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        called: Any = app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
        serving = asyncio.ensure_future(called)
        await asyncio.wait([serving])

    asyncio.run(serve())
    return sent


@pytest.fixture
def log(app: Any, dye: Any) -> list[str]:
    log: list[str] = []
    app.before_serving(dye(lambda: log.append(f"before {current_app.name}")))
    app.after_serving(dye(lambda: log.append("after")))
    app.add_url_rule("/", "view", lambda: log.append("view") or "view")
    return log


def run(app: Any, door: str) -> None:
    """A server's life with two requests."""

    def visit() -> None:
        for _ in range(2):
            assert through(door, app, environ_for()).text == "view"

    if door == "wsgi":
        visit()
        app._serving.stop_in_thread(app)
        return
    loop = asyncio.new_event_loop()
    app.__rsgi_init__(loop)
    visit()
    app.__rsgi_del__(loop)
    loop.close()


@pytest.mark.parametrize("door", ["wsgi", "rsgi"])
def test_before_and_after_serving(app: Any, door: str, log: list[str]) -> None:
    """Once before the first request, and once when the server stops."""
    run(app, door)
    assert log == [f"before {app.name}", "view", "view", "after"]


def test_lifespan_of_asgi(app: Any, log: list[str]) -> None:
    """The server says when."""
    sent = lifespan(app, "startup", "shutdown")
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert log == [f"before {app.name}", "after"]


def test_a_server_without_lifespan(app: Any, door: str, log: list[str]) -> None:
    """The first request starts what nobody started."""
    for _ in range(2):
        through(door, app, environ_for())
    assert log == [f"before {app.name}", "view", "view"]


def test_while_serving(app: Any, dye: Any, colour: str) -> None:
    """A generator: up to its yield before, the rest after, in reverse order."""
    log: list[str] = []
    for name in ("one", "two"):

        def sync(name: str = name) -> Any:
            log.append(f"{name} up")
            yield
            log.append(f"{name} down")

        async def made(sync: Any = sync) -> Any:
            for part in sync():
                yield part

        app.while_serving(sync if colour == "sync" else made)
    lifespan(app, "startup", "shutdown")
    assert log == ["one up", "two up", "two down", "one down"]


def test_a_start_that_fails(app: Any, dye: Any) -> None:
    """An ASGI server is told; under WSGI the request fails and the next one tries again."""
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise ValueError("no database")

    app.before_serving(dye(fail))
    app.add_url_rule("/", "view", lambda: "view")
    sent = lifespan(app, "startup")
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "no database" in sent[0]["message"]
    for door in ("wsgi", "asgi", "rsgi"):
        with pytest.raises(ValueError, match="no database"):
            through(door, app, environ_for())
    assert len(tries) == 4


def test_spawn(app: Any, door: str, dye: Any) -> None:
    """Work goes on after the response, in an application context of its own."""
    done: list[Any] = []
    futures: list[Any] = []
    go_on = threading.Event()

    def work(number: int, *, name: str) -> str:
        go_on.wait(10)
        g.own = number
        done.append((name, current_app.name, has_request_context()))
        return "result"

    def view() -> str:
        futures.append(app.spawn(work, 7, name="work"))
        return "answered"

    app.add_url_rule("/", "view", dye(view))
    assert through(door, app, environ_for()).text == "answered"
    assert done == []
    go_on.set()
    assert futures[0].result(10) == "result"
    assert done == [("work", app.name, False)]


def test_spawn_of_a_coroutine(app: Any, door: str, dye: Any) -> None:
    """A coroutine, or a coroutine function, runs on the event loop."""
    futures: list[Any] = []

    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    def view() -> str:
        futures.extend([app.spawn(work, 1), app.spawn(work(2))])
        return "answered"

    app.add_url_rule("/", "view", dye(view))
    assert through(door, app, environ_for()).text == "answered"
    assert [future.result(10) for future in futures] == [2, 4]


def test_spawned_work_that_fails(app: Any, dye: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The error is logged with the request that began the work."""
    futures: list[Any] = []

    def work() -> None:
        raise ValueError("lost")

    def view() -> str:
        futures.append(app.spawn(dye(work)))
        return request.path

    app.add_url_rule("/p", "view", view)
    through("wsgi", app, environ_for("/p", headers={"X-Request-ID": "id-7"}))
    assert isinstance(futures[0].exception(10), ValueError)
    assert "id-7 GET '/p'" in caplog.text


def test_too_much_work(app: Any) -> None:
    """Work is bounded."""
    app._serving.most = 0

    async def work() -> None:
        pass

    with pytest.raises(RuntimeError, match="a queue of its own"):
        app.spawn(work)


def test_stopping_waits_for_work(app: Any) -> None:
    """What was begun is done before the server is gone."""
    done: list[int] = []
    stopped = threading.Event()
    waiting = threading.Event()
    app.add_url_rule("/", "view", lambda: "x")

    def work() -> None:
        waiting.set()
        stopped.wait(0.05)
        done.append(1)

    app.spawn(work)
    assert waiting.wait(10)
    app._serving.stop_in_thread(app)
    assert done == [1]


def test_waiting_for_a_coroutine_on_its_own_loop(app: Any) -> None:
    """A sync function that needs the loop it blocks is told so, instead of hanging."""

    async def inner() -> str:
        return "inner"

    @app.get("/")
    async def view() -> str:
        result: str = app.ensure_sync(inner)()
        return result

    app.testing = True
    for door in ("wsgi", "asgi", "rsgi"):
        with pytest.raises(RuntimeError, match=r"asyncio\.to_thread"):
            through(door, app, environ_for())


def test_an_application_that_is_asked_for_asgi_2(app: Any) -> None:
    """A server that takes the application for ASGI 2 calls it with the scope alone."""
    app.add_url_rule("/", "view", lambda: "two")
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def serve() -> None:
        scope = {"type": "http", "path": "/", "headers": [], "method": "GET"}
        await app(scope)(receive, send)

    asyncio.run(serve())
    assert sent[1]["body"] == b"two"


def test_the_plan_on_the_command_line(app: Any) -> None:
    """`routes --plan` shows colour and hops, and what mixes an endpoint."""

    async def view() -> str:
        return ""

    def check_login() -> None:
        pass

    app.add_url_rule("/async", "async", view)
    app.add_url_rule("/sync", "sync", lambda: "")
    runner = CliRunner()
    group = FlaskGroup(create_app=lambda: app)
    output = runner.invoke(group, ["routes", "--plan"]).output
    rows = [line.split() for line in output.splitlines()]
    assert ["async", "GET", "/async", "async", "0"] in rows
    assert ["sync", "GET", "/sync", "sync", "1"] in rows
    app.before_request(check_login)
    output = runner.invoke(group, ["routes", "--plan"]).output
    rows = [line.split() for line in output.splitlines()]
    assert ["async", "GET", "/async", "mixed", "1", "sync:", "before", "check_login"] in rows
