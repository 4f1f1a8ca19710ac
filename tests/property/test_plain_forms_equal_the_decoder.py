"""Plainly spelt parts of a form are taken without Werkzeug's decoder, and are what it makes of them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.sansio import multipart

from carboy import formparsing
from carboy.formparsing import FormParser, MultipartReader

BOUNDARY = b"x-boundary"
DELIMITER = b"--" + BOUNDARY


class Dripping(io.BytesIO):
    """A stream that gives no more than ``most`` bytes at a time."""

    most = 1

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.most if size is None or size < 0 else min(size, self.most))


def outcome(body: bytes, most: int, long_way: bool, **limits: int) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        if long_way:
            patch.setattr(MultipartReader, "_take_plain_parts", lambda self, stream, data, d: data)
        stream = Dripping(body)
        stream.most = most
        parser = FormParser(**limits)
        try:
            _, form, files = parser.parse(
                stream, "multipart/form-data", len(body), {"boundary": BOUNDARY.decode()}
            )
        except HTTPException as error:
            return error.code
    found = [
        (name, file.filename, file.read(), file.tell(), list(file.headers))
        for name, file in files.items(multi=True)
    ]
    for _, file in files.items(multi=True):
        file.close()
    return list(form.items(multi=True)), found, stream.read()


names = st.sampled_from(
    ["a", "a b", " a ", "a[]", "", "a%22b", "é", "a;b", "a\\", "a*b", "name", "=", "'", "a" * 40]
)
content = st.binary(max_size=40) | st.sampled_from(
    [
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"--",
        DELIMITER,
        b"\n" + DELIMITER + b"\r\n",
        b"\r" + DELIMITER + b"--",
        b"\r\n" + DELIMITER + b"x\r\n",
        b"\r\n" + DELIMITER + b" \r\n",
        b"\r\n" + DELIMITER + b"-",
        b"x" * 700,
        (b"x" * 90 + DELIMITER[:-1]) * 5,
        b"\r" * 300,
        "é\udcff".encode(errors="surrogateescape"),
    ]
)
headers = st.one_of(
    names.map(lambda name: f'Content-Disposition: form-data; name="{name}"'),
    st.tuples(names, names).map(
        lambda two: 'Content-Disposition: form-data; name="{}"; filename="{}"'.format(*two)
    ),
    st.tuples(names, names, st.sampled_from(["text/plain", "a/b; charset=x", "", " x ", "é"])).map(
        lambda three: (
            'Content-Disposition: form-data; name="{}"; filename="{}"\r\nContent-Type: {}'.format(
                *three
            )
        )
    ),
    st.sampled_from(
        [
            "content-disposition: form-data; name=a",
            'Content-Disposition: form-data; filename="b"; name="a"',
            'Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=ascii',
            'Content-Disposition: form-data; name="a"; filename="b"\nContent-Type: x/y',
            'Content-Disposition: form-data;\r\n name="a"',
            "Content-Disposition: form-data; name*=utf-8''x; name=\"a\"",
            "X: y",
            "",
        ]
    ),
).map(lambda text: text.encode())
parts = st.tuples(headers, content).map(lambda part: b"%b\r\n\r\n%b" % part)
bodies = st.tuples(
    st.lists(parts, max_size=4),
    st.sampled_from([b"", b"preamble\r\n", b"\r\n"]),
    st.sampled_from([b"--\r\n", b"--", b"--\r\nepilogue" + DELIMITER, b"\r\n", b"", b"x"]),
).map(
    lambda body: (
        body[1]
        + b"".join(DELIMITER + b"\r\n" + part + b"\r\n" for part in body[0])
        + DELIMITER
        + body[2]
    )
)
PLAIN = b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
FILE = b'\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\n'


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formparsing, "_BLOCK", 256)
        patch.setattr(formparsing, "_WRITTEN", 64)
        yield


@pytest.mark.parametrize("long", [1, 100], ids=["by find", "by a pattern"])
@settings(deadline=None)
@given(body=bodies, most=st.sampled_from([1, 7, 100, 255, 10**6]))
@example(DELIMITER + PLAIN + DELIMITER + b"--", 10**6)
@example(DELIMITER + FILE + DELIMITER + b"--", 10**6)
@example(DELIMITER + PLAIN + b"\r\n" + DELIMITER + b"--", 10**6)
@example(DELIMITER + FILE + b"\r\n" + DELIMITER + b"--", 1)
@example(DELIMITER + FILE + b"x" * 600 + b"\n" + DELIMITER + b"--", 10**6)
@example(DELIMITER + FILE + b"x" * 600 + b"\r\n" + DELIMITER + b"y\r\n" + DELIMITER + b"--", 10**6)
@example(DELIMITER + FILE + (b"x" * 300 + DELIMITER[:9]) * 3 + b"\r\n" + DELIMITER + b"--", 7)
@example(DELIMITER + FILE + b"-\r" * 400 + b"\r\n" + DELIMITER + b"\r\n" + b"x" * 400, 100)
def test_a_form_is_what_the_decoder_makes_of_it(long: int, body: bytes, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formparsing, "_LONG_DELIMITER", long)
        short = outcome(body, most, long_way=False)
    assert short == outcome(body, most, long_way=True)


@given(bodies, st.integers(0, 400), st.binary(max_size=2), st.booleans())
def test_a_damaged_form_is_too(body: bytes, place: int, other: bytes, cut: bool) -> None:
    place = min(place, len(body))
    damaged = body[:place] + other + (b"" if cut else body[place + 1 :])
    assert outcome(damaged, 10**6, long_way=False) == outcome(damaged, 10**6, long_way=True)


@given(bodies, st.integers(0, 4), st.integers(0, 60))
def test_the_limits_are_the_same(body: bytes, most_parts: int, most_bytes: int) -> None:
    limits = {"max_form_parts": most_parts, "max_form_memory_size": most_bytes}
    assert outcome(body, 10**6, False, **limits) == outcome(body, 10**6, True, **limits)


def test_a_plain_form_is_not_shown_to_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart.MultipartDecoder, "receive_data", None)
    body = b"".join(
        DELIMITER + start + content + b"\r\n"
        for start in (PLAIN, FILE)
        for content in (b"", b"x", b"\r\r\n\n", b"x" * 2000)
        if start is FILE or len(content) < 100
    )
    form, files, rest = outcome(body + DELIMITER + b"--\r\nepilogue", 100, long_way=False)
    assert [value for _, value in form] == ["", "x", "\r\r\n\n"]
    assert [file[2] for file in files] == [b"", b"x", b"\r\r\n\n", b"x" * 2000]
    assert rest == b""


def test_a_stream_that_is_not_werkzeugs_is_given_bytes() -> None:
    class Own(io.BytesIO):
        def write(self, data: Any, /) -> int:
            assert type(data) is bytes
            return super().write(data)

    content = bytes(range(256)) * 20
    body = DELIMITER + FILE + content + b"\r\n" + DELIMITER + b"--"
    parser = FormParser(stream_factory=lambda *_args, **_options: Own())
    _, _, files = parser.parse(
        io.BytesIO(body), "multipart/form-data", len(body), {"boundary": BOUNDARY.decode()}
    )
    assert files["f"].read() == content
