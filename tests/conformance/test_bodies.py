"""Request bodies: without a length, too large, cut short, read in parts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from carboy import request
from carboy.testing.doors import DOORS

from .conftest import environ_for


@pytest.fixture
def reader(app: Any, dye: Any) -> Any:
    def view() -> Any:
        return {"length": len(request.get_data()), "announced": request.content_length}

    app.add_url_rule("/", "view", dye(view), methods=["POST"])
    app.add_url_rule("/unread", "unread", dye(lambda: "unread"), methods=["POST"])
    return app


@pytest.mark.parametrize("size", [0, 1, 8192, 600_000])
def test_a_body_with_a_length(reader: Any, visit: Any, size: int) -> None:
    """All bytes arrive."""
    answer = visit("/", "POST", body=b"x" * size)
    assert json.loads(answer.body) == {"length": size, "announced": size}


@pytest.mark.parametrize("size", [0, 1, 8192, 600_000])
def test_a_body_without_a_length(reader: Any, visit: Any, size: int) -> None:
    """All bytes of a chunked body arrive."""
    answer = visit("/", "POST", chunked=b"x" * size)
    assert json.loads(answer.body) == {"length": size, "announced": None}


@pytest.mark.parametrize("kind", ["body", "chunked"])
@pytest.mark.parametrize("size", [99, 100, 101, 50_000])
def test_the_limit_of_a_body(reader: Any, visit: Any, kind: str, size: int) -> None:
    """MAX_CONTENT_LENGTH bytes are read, one more is a 413."""
    reader.config["MAX_CONTENT_LENGTH"] = 100
    assert visit("/", "POST", **{kind: b"x" * size}).code == (200 if size <= 100 else 413)


@pytest.mark.parametrize("kind", ["body", "chunked"])
def test_a_body_too_large_that_nobody_reads(reader: Any, visit: Any, kind: str) -> None:
    """The limit is for those who read."""
    reader.config["MAX_CONTENT_LENGTH"] = 100
    assert visit("/unread", "POST", **{kind: b"x" * 5000}).text == "unread"


@pytest.mark.parametrize("kind", ["body", "chunked"])
def test_a_view_that_raises_the_limit(app: Any, visit: Any, kind: str) -> None:
    """request.max_content_length lets one view read more than others."""
    app.config["MAX_CONTENT_LENGTH"] = 100

    @app.post("/")
    def view() -> Any:
        request.max_content_length = 200_000
        return str(len(request.get_data()))

    assert visit("/", "POST", **{kind: b"x" * 100_000}).text == "100000"


def test_a_413_has_its_handler(reader: Any, visit: Any, dye: Any) -> None:
    """The error page for a body that is too large is the application's."""
    reader.config["MAX_CONTENT_LENGTH"] = 1
    reader.register_error_handler(413, dye(lambda error: ("large", 413)))
    assert visit("/", "POST", body=b"xx").text == "large"


def test_reading_in_parts(app: Any, visit: Any, dye: Any) -> None:
    """request.stream gives lines and blocks."""

    def view() -> Any:
        stream = request.stream
        return [stream.readline().decode(), stream.read(3).decode(), stream.read().decode()]

    app.add_url_rule("/", "view", dye(view), methods=["POST"])
    answer = visit("/", "POST", body=b"line\nabcdef")
    assert json.loads(answer.body) == ["line\n", "abc", "def"]


@pytest.mark.parametrize("read", ["readline", "read"])
def test_reading_lines_beyond_what_was_received(app: Any, visit: Any, read: str) -> None:
    """Lines go across the chunks that come later."""
    app.config["MAX_CONTENT_LENGTH"] = 10

    @app.post("/")
    def view() -> Any:
        request.max_content_length = None if read == "never" else 100_000
        count = 0
        while block := getattr(request.stream, read)(*([700] if read == "read" else [])):
            count += len(block)
        return str(count)

    assert visit("/", "POST", body=b"twelve bytes\n" * 3000).text == "39000"


@pytest.mark.parametrize("door", ["asgi", "rsgi"])
def test_a_body_that_is_cut_is_no_request(reader: Any, door: str) -> None:
    """A client that leaves while it sends is not answered, and no view is called."""
    called = []
    reader.before_request(lambda: called.append(1))
    environ = environ_for("/", "POST", body=b"xxx", headers={"Content-Length": "10"})
    with pytest.raises(RuntimeError, match="no answer"):
        DOORS[door](reader, environ).start()
    assert called == []


def test_a_body_for_a_get(app: Any, visit: Any, dye: Any) -> None:
    """A GET may have a body."""
    app.add_url_rule("/", "view", dye(lambda: request.get_data()))
    assert visit(body=b"odd").text == "odd"


@pytest.mark.parametrize("length", ["-1", "ten", "1_0"])
def test_a_length_that_is_none(reader: Any, visit: Any, length: str) -> None:
    """A Content-Length that is no number is the client's fault, never the server's."""
    answer = visit("/", "POST", headers={"Content-Length": length}, compare=False)
    assert answer.code in (200, 400)


def test_a_disk_that_is_full(app: Any, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that cannot be kept is a 500 for whoever reads it; the next request is fine."""
    import tempfile

    from carboy.gateways.spool import IN_MEMORY, Spool

    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    spool = Spool(None)
    assert not spool.add(b"x" * (IN_MEMORY + 1))
    with pytest.raises(RuntimeError, match="disk full"):
        spool.rewind().read()
    spool.close()
