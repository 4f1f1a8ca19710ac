"""Routes that ask for the stream of the body: read as it comes, bounded, cut bodies noticed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from werkzeug.exceptions import ClientDisconnected

from carboy import request
from carboy.testing.doors import DOORS

from .conftest import environ_for, through, through_wsgi

KINDS = ["body", "chunked"]


async def read_async() -> list[int]:
    return [len(chunk) async for chunk in request.stream]  # type: ignore[attr-defined]


def read_sync() -> list[int]:
    return [len(chunk) for chunk in iter(lambda: request.stream.read(8192), b"")]


@pytest.fixture(params=["sync", "async"])
def reader(app: Any, request: pytest.FixtureRequest) -> Any:
    """An application with one route that reads its body as a stream."""
    view = read_sync if request.param == "sync" else read_async
    app.add_url_rule("/", "view", view, methods=["POST"], stream_body=True)
    app.add_url_rule("/buffered", "buffered", view, methods=["POST"])
    return app


@pytest.mark.parametrize("path", ["/", "/buffered"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 8192, 700_000])
def test_all_of_a_body(reader: Any, visit: Any, path: str, kind: str, size: int) -> None:
    """Each byte arrives once, in parts of a bounded size."""
    sizes = json.loads(visit(path, "POST", compare=False, **{kind: b"x" * size}).body)
    assert sum(sizes) == size
    assert all(0 < part <= 65536 for part in sizes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [100, 101, 50_000])
def test_the_limit_of_a_stream(reader: Any, visit: Any, kind: str, size: int) -> None:
    """MAX_CONTENT_LENGTH bytes are read, one more is a 413."""
    reader.config["MAX_CONTENT_LENGTH"] = 100
    answer = visit("/", "POST", compare=False, **{kind: b"x" * size})
    assert answer.code == (200 if size <= 100 else 413)


def test_a_request_without_a_body(reader: Any, visit: Any) -> None:
    """There is nothing to iterate over, and no error."""
    assert visit("/", "POST").text == "[]\n"


class Told(asyncio.Event):
    """Set when the application has read what was sent before."""


def asgi_scope(path: str = "/", method: str = "POST", **headers: str) -> dict[str, Any]:
    pairs = {"host": "localhost", **{name.replace("_", "-"): v for name, v in headers.items()}}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in pairs.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_nothing_is_received_before_it_is_asked_for(app: Any, kind: str) -> None:
    """The view begins before any of the body was received, and takes it part by part."""
    log: list[str] = []

    async def receive() -> dict[str, Any]:
        number = sum(entry.startswith("sent") for entry in log)
        if number > 2:
            await asyncio.Event().wait()  # the client stays
        log.append(f"sent {number}")
        return {"type": "http.request", "body": b"%d" % number, "more_body": number < 2}

    async def send(message: Any) -> None:
        pass

    def sync_view() -> str:
        log.append("view")
        while chunk := request.stream.read(10):
            log.append(f"got {chunk.decode()}")
        return "done"

    async def async_view() -> str:
        log.append("view")
        async for chunk in request.stream:  # type: ignore[attr-defined]
            log.append(f"got {chunk.decode()}")
        return "done"

    view = sync_view if kind == "sync" else async_view
    app.add_url_rule("/", "view", view, methods=["POST"], stream_body=True)
    asyncio.run(app(asgi_scope(transfer_encoding="chunked"), receive, send))
    assert log == ["view", "sent 0", "got 0", "sent 1", "got 1", "sent 2", "got 2"]


def test_a_part_of_a_body_may_be_left_unread(app: Any, visit: Any, dye: Any) -> None:
    """A view need not read to the end."""
    app.add_url_rule("/", "view", dye(lambda: "unread"), methods=["POST"], stream_body=True)
    assert visit("/", "POST", body=b"x" * 300_000).text == "unread"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_cut_stream_is_told_to_its_reader(app: Any, door: str, kind: str) -> None:
    """Who reads a body whose client leaves gets ClientDisconnected, teardown runs once."""
    seen: list[Any] = []
    app.teardown_request(lambda error: seen.append("torn"))

    def sync_view() -> str:
        try:
            read_sync()
        except ClientDisconnected as error:
            seen.append(error.code)
            raise
        return "whole"

    async def async_view() -> str:
        try:
            await read_async()
        except ClientDisconnected as error:
            seen.append(error.code)
            raise
        return "whole"

    view = sync_view if kind == "sync" else async_view
    app.add_url_rule("/", "view", view, methods=["POST"], stream_body=True)
    environ = environ_for("/", "POST", body=b"xxx", headers={"Content-Length": "10"})
    if door == "wsgi":
        assert through_wsgi(app, environ).code == 400
    else:
        exchange = DOORS[door](app, environ)
        try:
            exchange.start()
        except RuntimeError as error:
            assert "no answer" in str(error)
        exchange._done.exception()  # type: ignore[union-attr]
    assert seen == [400, "torn"]


@pytest.mark.parametrize("door", ["asgi", "rsgi"])
def test_reading_a_stream_without_await_on_the_loop(
    app: Any, door: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It would wait for itself: an error that says how to read."""

    async def view() -> str:
        return str(len(request.get_data()))

    app.add_url_rule("/", "view", view, methods=["POST"], stream_body=True)
    assert through(door, app, environ_for("/", "POST", body=b"xxx")).code == 500
    assert "async for chunk in request.stream" in caplog.text


def test_a_stream_that_is_sent_back(app: Any, visit: Any) -> None:
    """The answer may be made while the body is still coming."""

    async def view() -> Any:
        async def parts() -> Any:
            async for chunk in stream:
                yield chunk.upper()

        stream: Any = request.stream
        return parts()

    app.add_url_rule("/", "view", view, methods=["POST"], stream_body=True)
    assert visit("/", "POST", compare=False, body=b"abc" * 1000).body == b"ABC" * 1000


def test_a_blueprints_route_may_stream(app: Any, visit: Any) -> None:
    """The option goes the way of the other options."""
    from carboy import Blueprint

    files = Blueprint("files", __name__, url_prefix="/files")

    @files.post("/", stream_body=True)
    async def view() -> str:
        return str(sum(await read_async()))

    app.register_blueprint(files)
    assert visit("/files/", "POST", body=b"x" * 5000).text == "5000"
