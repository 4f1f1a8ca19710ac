"""No context leaks from one request into another, in threads and on a loop.

Each test of isolation has a twin in which leaving the context is undone by a patched copy of the
variable: there the same check must fail, or it would prove nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import carboy
from carboy import g, request, session
from carboy.globals import _cv

THREADS = 8
TURNS = 25


def site(meet: Callable[[], None] | None = None) -> carboy.Carboy:
    """Views that keep what is theirs in every proxy, and tell what they find a moment later."""
    app = carboy.Carboy("isolation")
    app.secret_key = "isolation"

    def keep(name: str) -> None:
        assert "name" not in g, "the context of another request"
        g.name = session["name"] = name

    def told(name: str) -> str:
        return f"{name} {g.name} {session['name']} {request.args['name']} {request.path[1:]}"

    @app.get("/<name>")
    def view(name: str) -> str:
        keep(name)
        if meet is not None:
            meet()  # all requests are between these two lines at once
        return told(name)

    @app.get("/async/<name>")
    async def async_view(name: str) -> str:
        keep(name)
        await app.extensions["meet"]()
        return told(name).replace("async/", "")

    return app


def environ_of(path: str, name: str) -> dict[str, Any]:
    from werkzeug.test import create_environ

    return create_environ(path, query_string={"name": name})


def ask(app: carboy.Carboy, name: str) -> str:
    heads: list[str] = []
    body = app(environ_of(f"/{name}", name), lambda status, headers, *more: heads.append(status))
    text = b"".join(body).decode()
    assert heads[0] == "200 OK", text
    return text


def in_threads() -> list[str]:
    """Requests of several threads that overlap each time; what was wrong with them."""
    barrier = threading.Barrier(THREADS)
    app = site(lambda: barrier.wait(30) and None)
    faults: list[str] = []

    def work(index: int) -> None:
        try:
            for turn in range(TURNS):
                name = f"r{index}-{turn}"
                if (found := ask(app, name)) != " ".join([name] * 5):
                    raise AssertionError(f"{name} was told {found}")
                if _cv.get(None) is not None:
                    raise AssertionError(f"the context of {name} stayed in its thread")
        except Exception as error:
            faults.append(repr(error))
            barrier.abort()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def on_a_loop() -> list[str]:
    """Requests of one task each, and then many in one task, as a keep-alive connection has them."""
    app = site()
    faults: list[str] = []

    async def asked(name: str) -> None:
        sent: list[Any] = []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/async/{name}",
            "raw_path": f"/async/{name}".encode(),
            "query_string": f"name={name}".encode(),
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 80),
        }
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:]).decode()
        if sent[0]["status"] != 200 or body != " ".join([name] * 5):
            faults.append(f"{name} was told {sent[0]['status']} {body}")
        if _cv.get(None) is not None:
            faults.append(f"the context of {name} stayed in its task")

    async def run() -> None:
        waiting: list[asyncio.Event] = []

        async def meet() -> None:
            here = asyncio.Event()
            waiting.append(here)
            if len(waiting) == THREADS:
                for each in waiting:
                    each.set()
                waiting.clear()
            await here.wait()

        app.extensions["meet"] = meet

        async def connection(index: int) -> None:
            for turn in range(TURNS):
                await asked(f"r{index}-{turn}")

        async with asyncio.TaskGroup() as group:
            for index in range(THREADS):
                group.create_task(connection(index))

    asyncio.run(run())
    return faults


class NeverReset:
    """The context variable, with a reset that does nothing."""

    def __init__(self, variable: Any) -> None:
        self._variable = variable

    def __getattr__(self, name: str) -> Any:
        return getattr(self._variable, name)

    def reset(self, token: Any) -> None:
        pass


@pytest.fixture
def without_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    from carboy import pipeline

    monkeypatch.setattr(pipeline, "_cv", NeverReset(pipeline._cv))


def test_overlapping_requests_in_threads_never_see_each_others_context() -> None:
    assert in_threads() == []


def test_overlapping_requests_on_a_loop_never_see_each_others_context() -> None:
    assert on_a_loop() == []


@pytest.mark.usefixtures("without_reset")
def test_the_check_in_threads_finds_a_context_that_is_not_left() -> None:
    assert in_threads()


@pytest.mark.usefixtures("without_reset")
def test_the_check_on_a_loop_finds_a_context_that_is_not_left() -> None:
    assert on_a_loop()
