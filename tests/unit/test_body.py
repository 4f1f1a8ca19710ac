"""Reading bodies: where they end, whatever the pieces; and query strings and cookies."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge
from werkzeug.sansio.http import parse_cookie

from carboy import Carboy
from carboy.body import AT_ONCE, BodyStream, declared_length, parse_cookies, parse_query


class Dripping(io.BytesIO):
    """A server's stream that hands over a few bytes at a time."""

    def __init__(self, data: bytes, pieces: list[int]) -> None:
        super().__init__(data)
        self.pieces = pieces

    def read(self, size: int | None = -1, /) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else 3
        return super().read(piece if size is None or size < 0 else min(piece, size))


PIECES = st.lists(st.integers(1, 9), max_size=30)
BODY = st.binary(max_size=80)
READS = ["read()", "read(n)", "readline", "readlines", "iteration", "readinto"]


def drain(stream: Any, how: str, size: int) -> bytes:
    """Everything in the stream, by one way of reading."""
    if how == "read()":
        return bytes(stream.read())
    if how == "read(n)":
        return b"".join(iter(lambda: stream.read(size), b""))
    if how == "readline":
        return b"".join(iter(lambda: stream.readline(size), b""))
    if how == "readlines":
        return b"".join(stream.readlines())
    if how == "iteration":
        return b"".join(stream)
    buffer, found = bytearray(size), b""
    while count := stream.readinto(buffer):
        found += buffer[:count]
    return found


@given(body=BODY, after=BODY, pieces=PIECES, how=st.sampled_from(READS), size=st.integers(1, 20))
def test_a_body_is_the_same_in_whatever_pieces_it_comes(
    body: bytes, after: bytes, pieces: list[int], how: str, size: int
) -> None:
    stream = BodyStream(Dripping(body + after, pieces), len(body), None)
    assert drain(stream, how, size) == body
    assert stream.is_exhausted
    assert stream.tell() == len(body)
    assert stream.read() == b""


@given(body=BODY, pieces=PIECES, how=st.sampled_from(READS), size=st.integers(1, 20))
def test_without_a_length_the_body_is_what_the_server_gives(
    body: bytes, pieces: list[int], how: str, size: int
) -> None:
    assert drain(BodyStream(Dripping(body, pieces), None, None), how, size) == body


@given(
    body=st.binary(max_size=40), limit=st.integers(0, 40), pieces=PIECES, how=st.sampled_from(READS)
)
def test_a_limit_is_kept_to_the_byte(body: bytes, limit: int, pieces: list[int], how: str) -> None:
    stream = BodyStream(Dripping(body, pieces), None, limit)
    if len(body) <= limit:
        assert drain(stream, how, 7) == body
    else:
        with pytest.raises(RequestEntityTooLarge):
            drain(stream, how, 7)


@given(body=BODY, missing=st.integers(1, 10), pieces=PIECES, how=st.sampled_from(READS))
def test_a_cut_body_is_never_a_whole_one(
    body: bytes, missing: int, pieces: list[int], how: str
) -> None:
    with pytest.raises(ClientDisconnected):
        drain(BodyStream(Dripping(body, pieces), len(body) + missing, None), how, 7)


@pytest.mark.parametrize("error", [ConnectionResetError, TimeoutError, ValueError])
def test_a_broken_connection_is_a_disconnected_client(error: type[Exception]) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise error

    stream = BodyStream(Broken(), 5, None)
    with pytest.raises(ClientDisconnected):
        stream.read()
    assert stream.read() == b""


def test_exhaust_reads_to_the_end() -> None:
    raw = io.BytesIO(bytes(200) + b"next")
    BodyStream(raw, 200, None).exhaust(30)
    assert raw.read() == b"next"


@pytest.mark.parametrize("plain", [True, False])
def test_a_server_is_not_asked_for_all_that_a_client_announces(plain: bool) -> None:
    asked: list[int] = []

    class Raw(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(-1 if size is None else size)
            return super().read(size)

    environ = {
        "REQUEST_METHOD": "POST",
        "wsgi.url_scheme": "http",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": Raw(bytes(100)),
        "CONTENT_LENGTH": "9" * 18,
    }
    with Carboy("body").request_context(environ) as ctx:
        ctx.request._is_plain = plain
        with pytest.raises(ClientDisconnected):
            ctx.request.get_data()
    assert 0 <= min(asked) <= max(asked) <= AT_ONCE


# -- which body a request has -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "length"),
    [("0", 0), ("12", 12), ("007", 7), ("", None), ("-1", None), ("+1", None), ("1.0", None), ("\xb2", None),
     (" 1", None), ("1_0", None), ("9" * 18, int("9" * 18)), ("9" * 19, None)],
)  # fmt: skip
def test_only_digits_are_a_length(text: str, length: int | None) -> None:
    assert declared_length({"CONTENT_LENGTH": text}) == length


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "gzip, chunked", "gzip,\tchunked "])
def test_a_body_in_chunks_has_no_declared_length(coding: str) -> None:
    environ = {"CONTENT_LENGTH": "3", "HTTP_TRANSFER_ENCODING": coding}
    assert declared_length(environ) is None


def test_another_coding_leaves_the_length() -> None:
    environ = {"CONTENT_LENGTH": "3", "HTTP_TRANSFER_ENCODING": "gzip"}
    assert declared_length(environ) == 3


def body_of(limit: int | None = None, **environ: Any) -> bytes:
    return BodyStream.of({"wsgi.input": io.BytesIO(b"body"), **environ}, limit).read()


def test_without_length_and_mark_the_body_is_empty() -> None:
    assert body_of() == b""


def test_a_marked_end_is_enough() -> None:
    assert body_of(**{"wsgi.input_terminated": True}) == b"body"


def test_a_length_over_the_limit_is_refused_before_reading() -> None:
    with pytest.raises(RequestEntityTooLarge):
        body_of(3, CONTENT_LENGTH="4")


@pytest.mark.parametrize(
    ("more", "says"),
    [({"CONTENT_LENGTH": "x"}, "digits"),
     ({"CONTENT_LENGTH": "4", "HTTP_TRANSFER_ENCODING": "chunked"}, "chunks")],
)  # fmt: skip
def test_an_end_that_is_not_certain_is_a_400_that_says_why(more: dict[str, str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        body_of(**more)


# -- pairs --------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(
    st.text(st.sampled_from("ab=&+%20CF\xfc;é"), max_size=30),
    st.sampled_from([ImmutableMultiDict, MultiDict]),
)
def test_a_query_is_read_as_urllib_reads_it(text: str, cls: Any) -> None:
    from urllib.parse import parse_qsl

    found = parse_query(text.encode(), cls)
    wanted = cls(parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote"))
    assert type(found) is cls
    assert list(found.lists()) == list(wanted.lists())


def test_bytes_that_are_not_utf_8_stay_encoded() -> None:
    assert parse_query(b"a=\xff&b=%FF", ImmutableMultiDict).to_dict() == {"a": "%FF", "b": "%FF"}


@settings(max_examples=300)
@given(st.text(st.sampled_from('ab=; \t"\\,1\xfc\n'), max_size=24))
def test_cookies_are_read_as_werkzeug_reads_them(header: str) -> None:
    found = parse_cookies(header, ImmutableMultiDict)
    assert type(found) is ImmutableMultiDict
    assert list(found.lists()) == list(parse_cookie(header).lists())


def test_what_was_parsed_is_as_unchangeable_as_werkzeugs() -> None:
    for found in (
        parse_query(b"a=1", ImmutableMultiDict),
        parse_cookies("a=1", ImmutableMultiDict),
    ):
        with pytest.raises(TypeError):
            found["a"] = "2"
        assert found == ImmutableMultiDict([("a", "1")])
        assert hash(found) == hash(ImmutableMultiDict([("a", "1")]))
