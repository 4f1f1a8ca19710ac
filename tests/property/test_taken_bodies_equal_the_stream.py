"""A body that is taken whole is what its stream would have given, whatever is asked, in any order."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_options_header

from carboy import Carboy, Request
from carboy.body import BodyStream

FORM = "application/x-www-form-urlencoded"


class Server(io.BytesIO):
    """A server's stream: it gives ``most`` bytes at a time, and breaks where it ends, if it may."""

    most = 10**6
    breaks = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(self.most if size is None or size < 0 else min(size, self.most))
        if not data and self.breaks:
            raise ConnectionResetError("gone")
        return data


def told(value: Any) -> Any:
    """In a form that can be compared."""
    if isinstance(value, MultiDict):
        pairs = [
            (key, (item.filename, list(item.headers)) if isinstance(item, FileStorage) else item)
            for key, item in value.items(multi=True)
        ]
        return type(value).__name__, pairs
    return value


def widen(request: Request) -> None:
    request.max_content_length = request.max_form_memory_size = request.max_form_parts = 1000


ASKED: dict[str, Any] = {
    "form": lambda request: request.form,
    "files": lambda request: request.files,
    "values": lambda request: list(request.values.items(multi=True)),
    "data": lambda request: request.data,
    "get_data": lambda request: request.get_data(),
    "get_data uncached": lambda request: request.get_data(cache=False),
    "get_data text": lambda request: request.get_data(as_text=True),
    "get_data form": lambda request: request.get_data(parse_form_data=True),
    "json": lambda request: request.get_json(force=True),
    "json silent": lambda request: request.get_json(silent=True),
    "json uncached": lambda request: request.get_json(force=True, cache=False),
    "load": lambda request: request._load_form_data(),
    "stream": lambda request: request.stream.read(),
    "stream part": lambda request: request.stream.read(3),
    "stream line": lambda request: request.stream.readline(),
    "ended": lambda request: (
        request.stream.is_exhausted if isinstance(request.stream, BodyStream) else None
    ),
    "own stream": lambda request: setattr(request, "stream", io.BytesIO(b"own=1")),
    "widen": widen,
    "lists": lambda request: setattr(request, "parameter_storage_class", MultiDict),
    "close": lambda request: request.close(),
    "parameters": lambda request: request.mimetype_params,
    "length": lambda request: request.content_length,
}


def outcome(
    long_way: bool, environ: dict[str, Any], asked: list[str], server: Any, limits: Any
) -> list[Any]:
    body, most, breaks = server
    stream = Server(body)
    stream.most, stream.breaks = most, breaks
    app = Carboy("bodies")
    app.config.update(limits)
    fixed = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "QUERY_STRING": "q=1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": stream,
    }
    found: list[Any] = []
    with pytest.MonkeyPatch.context() as patch, app.request_context({**fixed, **environ}) as ctx:
        if long_way:
            patch.setattr(Request, "_is_plain", False)
        for name in asked:
            try:
                found.append(told(ASKED[name](ctx.request)))
            except HTTPException as error:
                found.append((type(error).__name__, error.code))
                if most < len(body):
                    break  # how much of it was read before is by chance
            except (AttributeError, ValueError) as error:
                found.append(type(error).__name__)
    return found


bodies = st.sampled_from(
    [
        b"",
        b"a=1&b=2",
        b"a=1&a=2&&b",
        b"a+b=%20c%26&%c3%a9=%ff",
        b'{"a": [1, 2]}',
        b"[NaN]",
        b"{",
        b"a=1\nb=2\n",
        b"&" * 5,
        "é=ü".encode(),
        b"\xff=\xfe",
        b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\n1\r\n--x--',
    ]
) | st.binary(max_size=30)
environs = st.fixed_dictionaries(
    {},
    optional={
        "CONTENT_TYPE": st.sampled_from(
            [
                FORM,
                FORM,
                f"{FORM}; charset=utf-8",
                FORM.upper(),
                "application/json",
                "text/plain",
                "multipart/form-data; boundary=x",
                "multipart/form-data;boundary=x",
                'multipart/form-data; boundary="x"',
                "",
            ]
        ),
        "HTTP_TRANSFER_ENCODING": st.sampled_from(["chunked", "gzip", ""]),
        "wsgi.input_terminated": st.just(True),
    },
)
lengths = st.sampled_from(
    [None, "", "0", "+7", " 7", "7 ", "\u0667", "7", "3", "12", "9" * 19, "9" * 30, "007"]
)
servers = st.tuples(bodies, st.sampled_from([1, 2, 5, 10**6]), st.booleans())
limits = st.fixed_dictionaries(
    {},
    optional={
        "MAX_CONTENT_LENGTH": st.sampled_from([None, 0, 3, 7, 100]),
        "MAX_FORM_MEMORY_SIZE": st.sampled_from([None, 0, 3, 7, 100]),
        "MAX_FORM_PARTS": st.sampled_from([None, 0, 1, 2, 5]),
    },
)
PARTS = "multipart/form-data; boundary=x"
PART = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n"
ANY = (b"a=1", 99, False)
JSON = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "13"}


@settings(max_examples=600, deadline=None)
@given(
    environs,
    lengths | st.just("right"),
    st.lists(st.sampled_from(sorted(ASKED)), min_size=1, max_size=4),
    servers,
    limits,
)
@example({"CONTENT_TYPE": FORM}, "right", ["form", "data", "files"], (b"a=1", 99, False), {})
@example({"CONTENT_TYPE": FORM}, "right", ["get_data", "form"], (b"a=1", 99, False), {})
@example({"CONTENT_TYPE": FORM}, "right", ["form", "get_data", "stream"], (b"a=1", 1, False), {})
@example({"CONTENT_TYPE": "text/plain"}, "right", ["get_data", "form", "stream"], ANY, {})
@example({"CONTENT_TYPE": "text/plain"}, "right", ["form", "stream", "ended"], ANY, {})
@example(
    {"CONTENT_TYPE": PARTS}, "right", ["form", "ended", "files", "data"], (PART, 99, False), {}
)
@example({"CONTENT_TYPE": PARTS}, "right", ["get_data", "form", "stream"], (PART, 99, False), {})
@example({"CONTENT_TYPE": PARTS}, "right", ["files", "stream"], (PART, 5, False), {})
@example({"CONTENT_TYPE": PARTS}, "99", ["files", "stream"], (PART, 99, False), {})
@example(
    {"CONTENT_TYPE": PARTS},
    "right",
    ["form", "widen", "form"],
    (PART, 99, False),
    {"MAX_FORM_PARTS": 0},
)
@example({"CONTENT_TYPE": FORM}, "12", ["form", "form"], (b"a=1", 99, True), {})
@example({"CONTENT_TYPE": FORM}, "12", ["form", "get_data"], (b"a=1", 99, False), {})
@example(JSON, "right", ["json", "get_data", "stream"], (b'{"a": [1, 2]}', 99, False), {})
@example(
    {"CONTENT_TYPE": FORM},
    "right",
    ["form", "widen", "form"],
    (b"a=1&b=2", 99, False),
    {"MAX_FORM_PARTS": 1},
)
def test_a_body_is_read_alike(
    environ: dict[str, Any], length: str | None, asked: list[str], server: Any, limits: Any
) -> None:
    if length is not None:
        environ = environ | {"CONTENT_LENGTH": str(len(server[0])) if length == "right" else length}
    short, long = (outcome(way, environ, asked, server, limits) for way in (False, True))
    assert short == long


@pytest.mark.parametrize("kind", [FORM, f"{FORM}; charset=utf-8"])
def test_a_whole_form_needs_no_stream(kind: str) -> None:
    """The shortcut is taken, and its mark goes with a subclass."""

    class Own(Request):
        pass

    app = Carboy("bodies")
    for cls in (Request, Own):
        app.request_class = cls
        with app.test_request_context("/", method="POST", data="a=1", content_type=kind) as ctx:
            assert ctx.request.form.to_dict() == {"a": "1"}
            assert (ctx.request._stream is None) is (cls is Request and Request._is_plain)
            assert ctx.request.stream.read() == b""
            assert ctx.request.stream.tell() == 3
            stream = ctx.request.stream
            del ctx.request.stream
            assert ctx.request.stream is not stream


@given(
    st.text(st.sampled_from("abc09-_.+'\"=;:, /%*()<>@[]?\\\u00fc"), max_size=12),
    st.sampled_from(
        [
            "multipart/form-data; boundary=",
            "multipart/form-data;boundary=",
            "Multipart/Form-Data; Boundary=",
        ]
    ),
    st.sampled_from(["", "; charset=utf-8", ";", " "]),
)
def test_a_boundary_is_read_alike(boundary: str, start: str, end: str) -> None:
    kind = f"{start}{boundary}{end}"
    assert Request({"CONTENT_TYPE": kind}).mimetype_params == parse_options_header(kind)[1]
