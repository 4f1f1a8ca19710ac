"""Streamed responses: order, context, errors, clients that leave."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from carboy import Response, g, request, stream_template_string, stream_with_context


def parts(colour: str, make: Any) -> Any:
    """The generator function ``make`` as it is, or as an async generator function."""
    if colour == "sync":
        return make

    async def made() -> AsyncIterator[Any]:
        inner = make()
        try:
            for part in inner:
                await asyncio.sleep(0)
                yield part
        finally:
            inner.close()

    return made


@pytest.fixture(params=["sync stream", "async stream"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param).partition(" ")[0]


def test_parts_in_order(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """Text and bytes, in order, without a length."""

    def make() -> Iterator[Any]:
        yield "ä"
        yield b""
        yield b"b"

    app.add_url_rule("/", "view", dye(lambda: Response(parts(kind, make)(), mimetype="text/csv")))
    answer = visit()
    assert answer.text == "äb"
    assert answer.get("content-length") is None


def test_a_generator_is_a_value(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """A view may return one, with a code and headers."""

    def make() -> Iterator[str]:
        yield from "abc"

    app.add_url_rule("/", "view", dye(lambda: (parts(kind, make)(), 201, {"X-A": "b"})))
    answer = visit()
    assert (answer.code, answer.text, answer.get("x-a")) == (201, "abc", "b")


def test_head_of_a_stream(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """HEAD asks for no part, and teardown runs once."""
    made: list[int] = []
    torn: list[Any] = []
    app.teardown_request(lambda error: torn.append(error))

    def make() -> Iterator[str]:
        made.append(1)
        yield "x"

    app.add_url_rule("/", "view", dye(lambda: Response(stream_with_context(parts(kind, make)()))))
    assert visit("/", "HEAD", compare=False).body == b""
    for _ in range(500):  # the answer may be there before the server's side is done
        if torn:
            break
        time.sleep(0.01)
    assert (made, torn) == ([], [None])


def test_the_context_of_a_stream(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """stream_with_context keeps request and g, and teardown runs once, after the last part."""
    log: list[str] = []
    app.teardown_request(dye(lambda error: log.append(f"teardown {error}")))

    def make() -> Iterator[str]:
        yield request.args["name"]
        log.append("part")
        yield g.word

    def view() -> Any:
        g.word = "word"
        return Response(stream_with_context(parts(kind, make)()))

    app.add_url_rule("/", "view", dye(view))
    assert visit(query="name=ann", compare=False).text == "annword"
    assert log == ["part", "teardown None"]


def test_stream_with_context_decorates(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """It may be put on the function that makes the generator."""

    def make() -> Iterator[str]:
        yield request.path

    app.add_url_rule("/p", "view", dye(lambda: Response(stream_with_context(parts(kind, make))())))
    assert visit("/p").text == "/p"


def test_a_stream_that_fails(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """The error comes out of the door, so that the server cuts the answer; teardown knows it."""
    torn: list[Any] = []
    app.teardown_request(lambda error: torn.append(error))

    def make() -> Iterator[str]:
        yield "part"
        raise KeyError("midway")

    app.add_url_rule("/", "view", dye(lambda: Response(stream_with_context(parts(kind, make)()))))
    with pytest.raises(KeyError, match="midway"):
        visit(compare=False)
    assert [type(error) for error in torn] == [KeyError]


def test_a_client_that_leaves(app: Any, door: str, dye: Any, kind: str) -> None:
    """The generator is closed once, and teardown runs once, in its context."""
    log: list[str] = []
    app.teardown_request(dye(lambda error: log.append(f"teardown {request.path}")))

    def make() -> Iterator[str]:
        try:
            while True:
                yield "part"
        finally:
            log.append(f"closed {request.path}")

    app.add_url_rule("/p", "view", dye(lambda: Response(stream_with_context(parts(kind, make)()))))
    response = app.test_client(door=door).get("/p", buffered=False)
    pieces = iter(response.response)
    assert [next(pieces) for _ in range(3)] == [b"part"] * 3
    response.close()
    assert log == ["closed /p", "teardown /p"]


def test_parts_are_made_when_asked_for(app: Any, door: str, dye: Any, kind: str) -> None:
    """A client that reads slowly does not make the server collect parts."""
    made: list[int] = []

    def make() -> Iterator[str]:
        for number in range(100):
            made.append(number)
            yield str(number)

    app.add_url_rule("/", "view", dye(lambda: Response(parts(kind, make)())))
    response = app.test_client(door=door).get("/", buffered=False)
    pieces = iter(response.response)
    next(pieces)
    assert len(made) <= 3
    response.close()


def test_call_on_close(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """It runs once, after the last part."""
    log: list[str] = []

    def make() -> Iterator[str]:
        yield "x"
        log.append("end")

    def view() -> Response:
        response = Response(parts(kind, make)())
        response.call_on_close(lambda: log.append("close"))
        return response

    app.add_url_rule("/", "view", dye(view))
    assert visit(compare=False).text == "x"
    assert log == ["end", "close"]


@pytest.mark.parametrize("door", ["asgi", "rsgi"])
def test_a_part_that_is_neither_text_nor_bytes(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """It is an error, not silence."""

    def make() -> Iterator[Any]:
        yield 7

    app.add_url_rule("/", "view", dye(lambda: Response(parts(kind, make)())))
    with pytest.raises(TypeError, match="7"):
        visit(compare=False)


def test_a_streamed_template(app: Any, visit: Any, dye: Any) -> None:
    """Templates stream with their context."""
    source = "{% for i in range(3) %}{{ i }}{{ request.path }} {% endfor %}"
    app.add_url_rule("/", "view", dye(lambda: stream_template_string(source)))
    assert visit().text == "0/ 1/ 2/ "


def test_a_middle_response_is_closed(app: Any, visit: Any, dye: Any, kind: str) -> None:
    """A stream that an after_request function replaces is never begun."""
    made: list[int] = []

    def make() -> Iterator[str]:
        made.append(1)
        yield "x"

    app.add_url_rule("/", "view", dye(lambda: Response(parts(kind, make)())))
    app.after_request(dye(lambda response: Response("other")))
    assert visit(compare=False).text == "other"
    assert made == []


@pytest.mark.parametrize("door", ["asgi", "rsgi"])
def test_async_work_is_cancelled_when_the_client_leaves(app: Any, door: str) -> None:
    """An async view that waits is cancelled, and its teardown runs once."""
    from carboy.testing.doors import DOORS

    from .conftest import environ_for

    log: list[str] = []
    begun = threading.Event()
    app.teardown_request(lambda error: log.append(f"teardown {type(error).__name__}"))

    @app.get("/")
    async def view() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cancelled")
        return "never"

    def visit() -> None:
        with pytest.raises(RuntimeError, match="no answer"):
            exchange.start()

    exchange = DOORS[door](app, environ_for())
    thread = threading.Thread(target=visit)
    thread.start()
    assert begun.wait(10)
    exchange.close()
    thread.join(10)
    assert log == ["cancelled", "teardown CancelledError"]
