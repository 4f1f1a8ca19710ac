"""Forms: Werkzeug's results for well-formed ones, a 400 or 413 for the others, no file left open."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser, default_stream_factory
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartEncoder, Preamble

from carboy import Carboy, Request, request
from carboy.body import BodyStream
from carboy.formparsing import MAX_PART_HEADERS, FormParser

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
BOUNDARY = "a-boundary"

# -- as Werkzeug's ------------------------------------------------------------------------------

NAME = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters='"\\'),
    min_size=1,
    max_size=8,
)
FILE_NAME = NAME.filter(lambda name: "/" not in name and name not in {".", ".."})
FIELD = st.tuples(NAME, st.binary(max_size=60))
FILE = st.tuples(
    NAME,
    FILE_NAME,
    st.binary(max_size=3000),
    st.sampled_from([None, "text/plain", "a/b; charset=x"]),
)
PARTS = st.lists(st.one_of(FIELD, FILE), max_size=5)


def encoded(parts: list[Any], preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    encoder = MultipartEncoder(BOUNDARY.encode())
    found = [encoder.send_event(Preamble(preamble))]
    for part in parts:
        if len(part) == 2:
            found.append(encoder.send_event(Field(name=part[0], headers=Headers())))
        else:
            headers = Headers({"Content-Type": part[3]} if part[3] else {})
            found.append(encoder.send_event(File(name=part[0], filename=part[1], headers=headers)))
        found.append(
            encoder.send_event(Data(data=part[-2 if len(part) == 4 else -1], more_data=False))
        )
    found.append(encoder.send_event(Epilogue(epilogue)))
    return b"".join(found)


class Dripping(io.BytesIO):
    """A stream that never gives all it was asked for."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.most if size is None or size < 0 else min(size, self.most))


def parsed(cls: type[FormDataParser], body: bytes, most: int, mimetype: str) -> Any:
    stream: Any = BodyStream(Dripping(body, most), len(body), None)
    _, form, files = cls().parse(stream, mimetype, len(body), {"boundary": BOUNDARY})
    uploads = []
    for name, file in files.items(multi=True):
        uploads.append(
            (name, file.name, file.filename, file.content_type, list(file.headers), file.read())
        )
        file.close()
    return type(form), list(form.lists()), type(files), uploads


@settings(max_examples=150, deadline=None)
@given(PARTS, st.integers(1, 4000), st.binary(max_size=20), st.binary(max_size=20))
def test_a_multipart_form_is_read_as_werkzeug_reads_it(
    parts: list[Any], most: int, preamble: bytes, epilogue: bytes
) -> None:
    body = encoded(parts, preamble.replace(b"-", b"_"), epilogue)
    ours = parsed(FormParser, body, most, MULTIPART)
    assert ours == parsed(FormDataParser, body, len(body), MULTIPART)
    assert sum(len(values) for _, values in ours[1]) + len(ours[3]) == len(parts)


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab=&+%20CFé"), max_size=30), st.integers(1, 9))
def test_an_urlencoded_form_is_read_as_werkzeug_reads_it(text: str, most: int) -> None:
    body = text.encode()
    assert parsed(FormParser, body, most, URLENCODED) == parsed(
        FormDataParser, body, 99, URLENCODED
    )


@pytest.mark.parametrize("mimetype", ["text/plain", "application/json", ""])
def test_another_type_leaves_the_stream_alone(mimetype: str) -> None:
    stream = io.BytesIO(b"a=1")
    same, form, files = FormParser().parse(stream, mimetype, 3)
    assert same is stream
    assert stream.read() == b"a=1"
    assert not form
    assert not files


# -- through a request --------------------------------------------------------------------------


class Watched(Request):
    """A request that remembers the files it spooled."""

    spooled: list[Any]

    def _get_file_stream(self, *args: Any, **kwargs: Any) -> Any:
        stream = default_stream_factory(*args, **kwargs)
        self.spooled.append(stream)
        return stream


@pytest.fixture
def send() -> Any:
    app = Carboy("forms")
    app.request_class = Watched
    seen: list[Any] = []

    @app.post("/")
    def view() -> Any:
        request.spooled = seen  # type: ignore[attr-defined]
        files = {name: upload.filename for name, upload in request.files.items()}
        return {"form": request.form.to_dict(flat=False), "files": files}

    def send(
        body: bytes, content_type: str = f"{MULTIPART}; boundary={BOUNDARY}", **config: Any
    ) -> Any:
        app.config |= config
        response = app.test_client().post("/", data=body, content_type=content_type)
        assert all(file.closed for file in seen)
        return response

    return send


UPLOAD = ("f", "name.txt", b"x" * 1000, None)


def test_a_form_with_an_upload_arrives_and_its_file_is_closed(send: Any) -> None:
    response = send(encoded([("a", b"1"), UPLOAD, ("a", b"2")]))
    assert response.json == {"form": {"a": ["1", "2"]}, "files": {"f": "name.txt"}}


@pytest.mark.parametrize("cut", [3, 5, 40, 500, 1100])
def test_a_cut_form_is_a_400_and_its_files_are_closed(send: Any, cut: int) -> None:
    assert send(encoded([UPLOAD, UPLOAD, ("a", b"1")])[:-cut]).status_code == 400


@pytest.mark.parametrize(
    "body",
    [b"x", b"--a-boundary", b"--a-boundary\r\n\r\n", b"--other\r\n\r\n--other--\r\n",
     b"--a-boundary\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a-boundary--\r\n",
     b"--a-boundary\r\nX: y\r\n\r\nx\r\n--a-boundary--\r\n"],
)  # fmt: skip
def test_a_malformed_form_is_a_400(send: Any, body: bytes) -> None:
    assert send(body).status_code == 400


@pytest.mark.parametrize("boundary", ["", '""', "b" * 129, "ü"])
def test_a_bad_boundary_is_a_400(send: Any, boundary: str) -> None:
    assert send(b"--x", f"{MULTIPART}; boundary={boundary}").status_code == 400


def test_the_boundary_may_be_missing_from_an_empty_body(send: Any) -> None:
    assert send(b"", MULTIPART).json == {"form": {}, "files": {}}


@pytest.mark.parametrize(
    ("parts", "config"),
    [
        ([("a", b"x" * 11)], {"MAX_FORM_MEMORY_SIZE": 10}),
        ([("a", b"x" * 6), ("b", b"x" * 6)], {"MAX_FORM_MEMORY_SIZE": 10}),
        ([UPLOAD, ("b", b"x" * 60)], {"MAX_FORM_MEMORY_SIZE": 50}),
        ([("a", b"")] * 3, {"MAX_FORM_PARTS": 2}),
        ([UPLOAD, UPLOAD, ("a", b"")], {"MAX_FORM_PARTS": 2}),
        ([UPLOAD], {"MAX_CONTENT_LENGTH": 500}),
    ],
)
def test_a_form_over_a_limit_is_a_413_and_its_files_are_closed(
    send: Any, parts: list[Any], config: dict[str, int]
) -> None:
    assert send(encoded(parts), **config).status_code == 413


@pytest.mark.parametrize(
    ("parts", "config"),
    [
        ([("a", b"x" * 5), ("b", b"x" * 5), UPLOAD], {"MAX_FORM_MEMORY_SIZE": 10}),
        ([("a", b""), UPLOAD], {"MAX_FORM_PARTS": 2}),
        ([("a", b"x" * 1000)], {"MAX_FORM_MEMORY_SIZE": None, "MAX_FORM_PARTS": None}),
    ],
)
def test_a_form_at_its_limits_is_read(send: Any, parts: list[Any], config: dict[str, Any]) -> None:
    assert send(encoded(parts), **config).status_code == 200


@pytest.mark.parametrize(
    ("body", "config", "status"),
    [
        (b"a=12345678", {"MAX_FORM_MEMORY_SIZE": 10}, 200),
        (b"a=123456789", {"MAX_FORM_MEMORY_SIZE": 10}, 413),
        (b"a=1&b=2", {"MAX_FORM_PARTS": 2}, 200),
        (b"a=1&b=2&c", {"MAX_FORM_PARTS": 2}, 413),
        (b"a=1&b=2&c", {"MAX_FORM_PARTS": None, "MAX_FORM_MEMORY_SIZE": None}, 200),
    ],
)
def test_an_urlencoded_form_has_the_same_limits(
    send: Any, body: bytes, config: dict[str, Any], status: int
) -> None:
    assert send(body, URLENCODED, **config).status_code == status


def test_an_urlencoded_form_without_a_length_is_limited_while_it_is_read() -> None:
    stream: Any = BodyStream(io.BytesIO(b"a=" + b"x" * 100_000), None, None)
    with pytest.raises(RequestEntityTooLarge):
        FormParser(max_form_memory_size=70_000).parse(stream, URLENCODED, None)
    assert stream.tell() <= 3 * 64 * 1024


def test_the_headers_of_a_part_are_limited(send: Any) -> None:
    head = b'--a-boundary\r\nContent-Disposition: form-data; name="a"\r\nX: '
    assert send(head + b"y" * 100 + b"\r\n\r\n1\r\n--a-boundary--\r\n").status_code == 200
    assert (
        send(head + b"y" * MAX_PART_HEADERS + b"\r\n\r\n1\r\n--a-boundary--\r\n").status_code == 413
    )
    assert send(head + b"y" * 500_000).status_code == 413


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\a\\\\b.txt", "b.txt"),
        ("a/..", ""),
        ("..", ""),
        ("a\0b", "ab"),
        ("ü", "ü"),
    ],
)
def test_a_file_name_has_no_folders(send: Any, sent: str, kept: str) -> None:
    head = f'--a-boundary\r\nContent-Disposition: form-data; name="f"; filename="{sent}"\r\n\r\n'
    assert send(head.encode() + b"x\r\n--a-boundary--\r\n").json["files"] == {"f": kept}


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [("utf-8", b"\xc3\xa9", "é"), ("iso-8859-1", b"\xe9", "é"), ("utf-7", b"+AOk-", "+AOk-"),
     ("nonsense", b"\xc3\xa9", "é"), ("idna", b"a", "a"), ("utf-8", b"\xff", "\ufffd")],
)  # fmt: skip
def test_only_harmless_charsets_of_a_field_are_used(
    send: Any, charset: str, body: bytes, text: str
) -> None:
    head = (
        '--a-boundary\r\nContent-Disposition: form-data; name="a"\r\n'
        f"Content-Type: text/plain; charset={charset}\r\n\r\n"
    )
    response = send(head.encode() + body + b"\r\n--a-boundary--\r\n")
    assert response.json["form"] == {"a": [text]}


def test_text_around_the_form_does_not_pile_up() -> None:
    body = bytes(1_000_000) + b"\r\n" + encoded([("a", b"1")]) + bytes(1_000_000)
    _, form, _ = FormParser(max_form_memory_size=10).parse(
        io.BytesIO(body), MULTIPART, len(body), {"boundary": BOUNDARY}
    )
    assert form.to_dict() == {"a": "1"}


def test_a_stream_that_breaks_closes_the_files() -> None:
    spooled: list[Any] = []

    def factory(**kwargs: Any) -> Any:
        spooled.append(io.BytesIO())
        return spooled[-1]

    body = encoded([UPLOAD, UPLOAD])

    class Broken(Dripping):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            if not data:
                raise ConnectionResetError
            return data

    parser = FormParser(stream_factory=factory)  # type: ignore[arg-type]
    with pytest.raises(BadRequest):
        parser.parse(
            BodyStream(Broken(body[:-30], 100), len(body), None),  # type: ignore[arg-type]
            MULTIPART,
            len(body),
            {"boundary": BOUNDARY},
        )
    assert len(spooled) == 2
    assert all(file.closed for file in spooled)


@pytest.mark.parametrize("ending", [b"--\r\n", b"--"])
def test_a_boundary_across_two_blocks_is_no_data(ending: bytes) -> None:
    """Werkzeug's decoder alone would add a carriage return to a field, or mix fields up."""
    head = encoded([("f", "n", b"", None)]).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    tail = encoded([("empty", b""), ("last", b"1")]).removesuffix(b"--\r\n") + ending
    for shift in range(len(tail) + 4):
        data = b"x" * (64 * 1024 - len(head) - shift)
        body = head + data + tail
        _, form, files = FormParser().parse(
            io.BytesIO(body), MULTIPART, len(body), {"boundary": BOUNDARY}
        )
        assert files["f"].read() == data, shift
        assert form.to_dict() == {"empty": "", "last": "1"}, shift
        files["f"].close()
