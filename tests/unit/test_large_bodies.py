"""Bodies of any size take little memory, and forms of many parts time in proportion to their size."""

from __future__ import annotations

import io
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carboy import Carboy, request
from carboy.formparsing import FormParser

MB = 1024 * 1024
BOUNDARY = b"x-boundary"


class Endless(io.RawIOBase):
    """``head``, then ``size`` bytes made as they are read, then ``tail``."""

    def __init__(self, size: int, head: bytes = b"", tail: bytes = b"", unit: bytes = b"x") -> None:
        self.parts = [head, size, tail]
        self.unit = unit * 65536
        self.length = len(head) + size + len(tail)

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None and size >= 0, "the whole body was asked for at once"
        for place, part in enumerate(self.parts):
            if isinstance(part, int) and part:
                given = self.unit[: min(size, part, 65536)]
                self.parts[place] = part - len(given)
                return given
            if isinstance(part, bytes) and part:
                self.parts[place] = part[size:]
                return part[:size]
        return b""


def peak(run: Callable[[], object]) -> int:
    """The most bytes that were in use at once, beyond those before."""
    run()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def app() -> Carboy:
    app = Carboy("large", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=None, CSRF_PROTECT=False)

    @app.post("/raw")
    def raw() -> str:
        size = 0
        while block := request.stream.read(65536):
            size += len(block)
        return str(size)

    @app.post("/form")
    def form() -> str:
        upload = request.files["chart"]
        return str(upload.seek(0, 2))

    @app.get("/down/<int:size>")
    def down(size: int) -> Any:
        def blocks() -> Iterator[bytes]:
            for _ in range(size // 65536):
                yield bytes(65536)

        return app.response_class(blocks())

    return app


def ask(app: Carboy, path: str, body: Any = None, kind: str = "application/octet-stream") -> int:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET" if body is None else "POST",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input": body or io.BytesIO(),
    }
    if body is not None:
        environ |= {"CONTENT_LENGTH": str(body.length), "CONTENT_TYPE": kind}
    started: list[str] = []
    answer: Any = app(environ, lambda status, headers, *more: started.append(status))
    size, text = 0, b""
    for chunk in answer:
        size += len(chunk)
        text = chunk[:20]
    if hasattr(answer, "close"):
        answer.close()
    assert started == ["200 OK"]
    return size if body is None else int(text)


@pytest.mark.parametrize("size", [2 * MB, 20 * MB])
def test_a_body_read_as_a_stream_takes_the_memory_of_a_block(app: Carboy, size: int) -> None:
    assert ask(app, "/raw", Endless(size)) == size
    assert peak(lambda: ask(app, "/raw", Endless(size))) < MB


@pytest.mark.parametrize("unit", [b"x", b"\r", b"\n", b"\r\n", b"-"], ids=repr)
@pytest.mark.parametrize("header", [b"Content-Disposition", b"content-disposition"])
def test_an_upload_is_spooled_to_the_disk(app: Carboy, unit: bytes, header: bytes) -> None:
    size = 20 * MB
    head = header + b': form-data; name="chart"; filename="c"\r\n\r\n'
    head = b"--" + BOUNDARY + b"\r\n" + head
    tail = b"\r\n--" + BOUNDARY + b"--\r\n"
    kind = "multipart/form-data; boundary=" + BOUNDARY.decode()

    def upload() -> int:
        return ask(app, "/form", Endless(size, head, tail, unit), kind)

    assert upload() == size
    assert peak(upload) < 2 * MB


@pytest.mark.parametrize("size", [2 * MB, 20 * MB])
def test_a_streamed_answer_takes_the_memory_of_a_block(app: Carboy, size: int) -> None:
    assert ask(app, f"/down/{size}") == size
    assert peak(lambda: ask(app, f"/down/{size}")) < MB


def steps(body: bytes) -> int:
    """How many function calls, into C too, a form takes."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    parser = FormParser(max_form_parts=None, max_form_memory_size=None)
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        _, _, files = parser.parse(
            io.BytesIO(body), "multipart/form-data", len(body), {"boundary": BOUNDARY.decode()}
        )
    finally:
        sys.setprofile(before)
    for _, upload in files.items(multi=True):
        upload.close()
    return count


@pytest.mark.parametrize(
    "disposition", [b"Content-Disposition", b"content-disposition"], ids=["plain", "decoder"]
)
@pytest.mark.parametrize(("kind", "number"), [(b"", 500), (b'; filename="n"', 250)])
def test_the_work_grows_with_the_number_of_parts_and_no_faster(
    disposition: bytes, kind: bytes, number: int
) -> None:
    def form(parts: int) -> bytes:
        part = b'--%b\r\n%b: form-data; name="f"%b\r\n\r\nvalue\r\n'
        return part % (BOUNDARY, disposition, kind) * parts + b"--" + BOUNDARY + b"--\r\n"

    assert steps(form(4 * number)) < 4.4 * steps(form(number))
