"""Files: the answers are Werkzeug's, but for what is said to be better."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import werkzeug.utils
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.http import http_date, parse_date
from werkzeug.wrappers import Response as WerkzeugResponse
from werkzeug.wsgi import FileWrapper

from carboy import Carboy, Response, send_file, send_from_directory
from carboy.config import default_config
from carboy.sending import FileBody, Source, find, guess_type, send

DIGITS = b"0123456789"
NAMES = ["a.txt", "a.css", "a.tar.gz", "a.TXT", "a.tgz", "a", "a.unknown", "ü.html", "日本.json", 'q".txt',
         "a;b.js", "a b.svg", "a.min.js", ".hidden.txt", "a.", "a.br", "x:y.txt"]  # fmt: skip
MODIFIED = 1_700_000_000.25

Answer = tuple[str, list[tuple[str, str]], bytes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name in NAMES:
        path = folder / name
        path.write_bytes(DIGITS)
        os.utime(path, (MODIFIED, MODIFIED))
    (folder / "empty").touch()
    return folder


def environ_of(method: str = "GET", **headers: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": method} | {f"HTTP_{name}": value for name, value in headers.items()}


def answer(make: Callable[[], Any], environ: dict[str, Any]) -> Answer:
    """Status, headers and body; the two headers that tell the current time have no value."""
    try:
        response = make()
    except HTTPException as error:
        response = error.get_response(environ)
    body, status, headers = response.get_wsgi_response(environ)
    try:
        sent = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    timeless = [(k, "" if k in ("Date", "Expires") else v) for k, v in headers]
    return status, timeless, sent


def lean(source: Any, environ: dict[str, Any], cls: type = Response, **options: Any) -> Answer:
    def make() -> Any:
        return send(opened(source), environ, cls, **options)

    return answer(make, environ)


def opened(source: Any) -> Source:
    from carboy.sending import source_of

    return source_of(source, "/", False)


def long(source: Any, environ: dict[str, Any], **options: Any) -> Answer:
    return answer(lambda: werkzeug.utils.send_file(source, environ, **options), environ)


ETAG = f'"{MODIFIED}-10-'

#: The same second and its neighbours in the obsolete forms (RFC 9110 section 5.6.7), and no dates.
OTHER_DATES = ["nonsense", "", "Tuesday, 14-Nov-23 22:13:20 GMT", "Tue Nov 14 22:13:19 2023",
               "Tue, 14 Nov 2023 22:13:20 +0000", "Tue, 14 Nov 2023 23:13:20 +0100",
               "Mon, 14 Nov 2023 22:13:20 GMT", " Tue, 14 Nov 2023 22:13:20 GMT"]  # fmt: skip


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, str]:
    """Request headers; ``ETAG`` stands for the file's. Only dates that there are, and no suffix
    range longer than the file: there Carboy is on purpose not Werkzeug."""
    date = st.sampled_from([MODIFIED - 5, MODIFIED, MODIFIED + 5]).map(http_date)
    tag = st.sampled_from(
        [
            "ETAG",
            '"other"',
            'W/"other"',
            "*",
            '"other", ETAG',
            "W/ETAG",
            "x",
            "",
            "ETAG",
            '""',
            " ETAG",
            "ETAG,",
            "w/ETAG",
            "ETAG x",
            'W/"other", W/ETAG',
        ]
    )
    span = st.one_of(
        st.builds("bytes={}-{}".format, st.integers(0, 12), st.one_of(st.just(""), st.integers(0, 12))),
        st.builds("bytes=-{}".format, st.integers(0, 10)),
        st.sampled_from(["bytes=", "items=0-1", "bytes=0-1,3-4", "0-1", "Bytes=0-1", "bytes=a-b",
                         "bytes=00-01", "bytes= 0-1", "bytes=0 -1", "bytes=-0", "bytes=3-2", "",
                         "bytes=0-99999999999999999999", "bytes=9-", "bytes=10-", "bytes=--1"]),
    )  # fmt: skip
    headers = {
        "RANGE": span,
        "IF_RANGE": st.one_of(date, tag),
        "IF_NONE_MATCH": tag,
        "IF_MATCH": tag,
        "IF_MODIFIED_SINCE": st.one_of(date, date, st.sampled_from(OTHER_DATES)),
        "IF_UNMODIFIED_SINCE": date,
    }
    chosen = draw(st.sets(st.sampled_from(sorted(headers)), max_size=4))
    return {name: draw(headers[name]) for name in sorted(chosen)}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from([*NAMES, "empty"]),
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]),
    headers=conditions(),
    options=st.fixed_dictionaries(
        {},
        optional={
            "mimetype": st.sampled_from(["text/plain", "image/png", "application/x-y"]),
            "as_attachment": st.booleans(),
            "download_name": st.sampled_from(["given.txt", "gegeben ü.txt", "a.tar.gz", "q\\.x"]),
            "conditional": st.booleans(),
            "etag": st.sampled_from([True, False, "own"]),
            "last_modified": st.sampled_from([1_000_000_000, MODIFIED + 0.5]),
            "max_age": st.sampled_from([0, 60, lambda path: 5, lambda path: None]),
        },
    ),
)
def test_an_answer_with_a_file_is_werkzeugs(
    folder: Path, name: str, method: str, headers: dict[str, str], options: dict[str, Any]
) -> None:
    path = str(folder / name)
    plain = dict(long(path, environ_of())[1])
    headers = {k: v.replace("ETAG", plain["ETag"]) for k, v in headers.items()}
    environ = environ_of(method, **headers)
    assert lean(path, environ, **options) == long(path, environ, **options)


SPANS = [f"bytes={a}-{b}" for a in (0, 3, 9, 10, 11) for b in ("", 0, 3, 8, 9, 10, 12)]
SPANS += [f"bytes=-{n}" for n in range(11)]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_each_plain_range_is_answered_as_by_werkzeug(folder: Path, method: str) -> None:
    path = str(folder / "a.txt")
    for span in SPANS:
        environ = environ_of(method, RANGE=span)
        assert lean(path, environ) == long(path, environ), span


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=50),
    headers=conditions(),
    options=st.fixed_dictionaries(
        {"download_name": st.sampled_from(["a.txt", "b.zip"])},
        optional={"etag": st.just("own"), "as_attachment": st.booleans()},
    ),
)
def test_an_answer_with_bytes_in_memory_is_werkzeugs(
    data: bytes, headers: dict[str, str], options: dict[str, Any]
) -> None:
    headers = {k: v.replace("ETAG", '"own"') for k, v in headers.items()}
    if len(data) < 10:
        headers.pop("RANGE", None)
    environ = environ_of(**headers)
    assert lean(io.BytesIO(data), environ, **options) == long(io.BytesIO(data), environ, **options)


@pytest.mark.parametrize("headers", [{}, {"RANGE": "bytes=2-4"}, {"IF_NONE_MATCH": "*"}])
def test_another_response_class_gets_the_same_headers(
    folder: Path, headers: dict[str, str]
) -> None:
    class Own(Response):
        pass

    environ = environ_of(**headers)
    path = str(folder / "a.txt")
    assert lean(path, environ, Own, max_age=3) == lean(path, environ, max_age=3)


def test_the_cache_control_of_a_response_class_is_kept(folder: Path) -> None:
    class Private(Response):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.cache_control.private = True

    _, headers, _ = lean(str(folder / "a.txt"), environ_of(), Private)
    assert dict(headers)["Cache-Control"] == "private, no-cache"


@given(st.sampled_from(NAMES) | st.text(max_size=12).map(lambda t: f"{t}.txt"))
def test_types_are_those_of_mimetypes(name: str) -> None:
    import mimetypes

    mimetypes.init()
    kind, encoding = mimetypes.guess_type(name)
    assert guess_type(name) == (kind or "application/octet-stream", encoding)


def test_a_type_that_is_added_later_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    import mimetypes

    mimetypes.init()
    assert guess_type("a.carboytest")[0] == "application/octet-stream"
    monkeypatch.setitem(mimetypes.types_map, ".carboytest", "text/x-test")
    assert guess_type("a.carboytest")[0] == "text/x-test"


def test_expires_is_as_many_seconds_ahead_as_the_age(folder: Path) -> None:
    before = int(time.time())
    environ = environ_of()
    response = send(opened(str(folder / "a.txt")), environ, Response, max_age=100)
    response.close()
    expires = parse_date(response.headers["Expires"])
    assert expires is not None
    assert before + 100 <= expires.timestamp() <= time.time() + 100


class Counted(io.BytesIO):
    """A file that knows how it was read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[int | None] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.asked.append(size)
        return super().read(size)


@given(
    data=st.binary(min_size=1, max_size=200_000), start=st.integers(0, 300), share=st.floats(0, 1)
)
@settings(max_examples=40, deadline=None)
def test_a_body_is_never_longer_than_announced(data: bytes, start: int, share: float) -> None:
    size = int(len(data) * share)
    body = FileBody(io.BytesIO(data), size)
    assert b"".join(body) == data[:size]
    body.narrow(start, size)
    assert b"".join(body) == data[start : start + size]


def test_a_body_is_read_in_blocks_and_not_beyond_its_end() -> None:
    file = Counted(bytes(200_000))
    assert sum(map(len, FileBody(file, 200_000))) == 200_000
    assert file.asked == [65536, 65536, 65536, 3392]


def test_a_file_that_shrinks_ends_where_it_ends() -> None:
    assert list(FileBody(io.BytesIO(b"abc"), 10)) == [b"abc"]


def test_the_servers_way_of_sending_files_is_used(folder: Path) -> None:
    class Wrapper(list[Any]):
        pass

    environ = environ_of() | {"wsgi.file_wrapper": lambda file, size: Wrapper([file])}
    response = send(opened(str(folder / "a.txt")), environ, Response)
    body, _, headers = response.get_wsgi_response(environ)
    assert type(body) is Wrapper
    assert dict(headers)["Content-Length"] == "10"
    body[0].close()


def test_a_range_is_not_left_to_the_servers_way(folder: Path) -> None:
    environ = environ_of(RANGE="bytes=3-4") | {"wsgi.file_wrapper": lambda file, size: None}
    assert lean(str(folder / "a.txt"), environ)[2] == b"34"


def test_functions_for_the_close_of_a_file_run() -> None:
    closed: list[str] = []
    environ = environ_of()
    response = send(Source(io.BytesIO(b"x"), None, 1, None), environ, Response, mimetype="a/b")
    response.call_on_close(lambda: closed.append("yes"))
    body = response.get_wsgi_response(environ)[0]
    assert list(body) == [b"x"]
    body.close()  # type: ignore[attr-defined]
    assert closed == ["yes"]


@pytest.mark.parametrize(
    "options",
    [
        {"mimetype": "a\0b"},
        {"etag": 'a"b'},
        {"mimetype": "a/b", "as_attachment": True},
        {},
    ],
)
def test_a_refused_file_is_closed(options: dict[str, Any]) -> None:
    file = io.BytesIO(b"x")
    with pytest.raises((ValueError, TypeError)):
        send(Source(file, None, 1, None), environ_of(), Response, **options)
    assert file.closed


# -- folders ------------------------------------------------------------------------------------

SAFE = default_config("carboy")
AS_FLASK = default_config("flask")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "in/a.txt",
        "in/.env",
        "in/sub/.git/x",
        "in/.well-known/x",
        "in/.well-known/.x",
        "out.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "in/link").symlink_to(tmp_path / "out.txt")
    (tmp_path / "in/up").symlink_to(tmp_path)
    (tmp_path / "in/self").symlink_to("a.txt")
    (tmp_path / "in/sub/back").symlink_to("../a.txt")
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    return tmp_path


def found(tree: Path, name: str, config: dict[str, Any], directory: str = "in") -> bool:
    try:
        path = find(directory, name, str(tree), config)
    except NotFound:
        return False
    assert os.path.samefile(path, tree / directory / name)
    return True


@pytest.mark.parametrize(
    "name", ["a.txt", "./a.txt", "sub/../a.txt", "self", "sub/back", ".well-known/x"]
)
@pytest.mark.parametrize("config", [SAFE, AS_FLASK])
def test_a_file_inside_is_found(tree: Path, name: str, config: dict[str, Any]) -> None:
    assert found(tree, name, config)


@pytest.mark.parametrize(
    "name",
    [".env", "sub/.git/x", ".well-known/.x", "link", "up/out.txt", "up/in/a.txt/../../out.txt"],
)
def test_hidden_files_and_links_out_are_found_in_flasks_profile_only(tree: Path, name: str) -> None:
    assert not found(tree, name, SAFE)
    if ".." not in name:
        assert found(tree, name, AS_FLASK)


@pytest.mark.parametrize(
    "name", ["", ".", "sub", "none", "../out.txt", "/etc/passwd", "a.txt/x", "a\0", "x" * 300]
)
@pytest.mark.parametrize("config", [SAFE, AS_FLASK])
def test_anything_else_is_not_found(tree: Path, name: str, config: dict[str, Any]) -> None:
    assert not found(tree, name, config)


def test_a_link_through_the_parent_back_inside_is_no_way_out(tree: Path) -> None:
    assert found(tree, "up/in/a.txt", SAFE)


def test_the_folder_itself_may_be_a_link(tree: Path) -> None:
    assert found(tree, "a.txt", SAFE, "alias")
    assert not found(tree, "link", SAFE, "alias")


def test_a_folder_whose_name_begins_like_another_is_another(tree: Path) -> None:
    (tree / "in-private").mkdir()
    (tree / "in-private/x").write_text("x")
    (tree / "in/near").symlink_to(tree / "in-private/x")
    assert not found(tree, "near", SAFE)


# -- through the application --------------------------------------------------------------------


@pytest.fixture
def app(tree: Path) -> Iterator[Carboy]:
    app = Carboy("files", root_path=str(tree), static_folder="in")
    with app.test_request_context():
        yield app


def test_the_settings_open_what_is_closed_by_default(app: Carboy) -> None:
    with pytest.raises(NotFound):
        send_from_directory("in", ".env")
    app.config["SEND_FILE_HIDDEN"] = app.config["SEND_FILE_LINKS"] = True
    send_from_directory("in", ".env").close()
    send_from_directory("in", "link").close()


def test_a_file_that_changes_is_described_anew(app: Carboy, tree: Path) -> None:
    """What is remembered of a file is remembered of its size and its time."""

    def seen() -> list[str | None]:
        with send_from_directory("in", "a.txt") as response:
            return [response.headers[name] for name in ("Content-Length", "Last-Modified", "ETag")]

    first = seen()
    assert seen() == first
    (tree / "in/a.txt").write_text("another text")
    longer = seen()
    assert longer[0] == "12"
    os.utime(tree / "in/a.txt", (5, 5))
    older = seen()
    assert older[1] == "Thu, 01 Jan 1970 00:00:05 GMT"
    assert len({first[2], longer[2], older[2]}) == 3


def test_a_file_that_turns_into_a_link_out_is_found_no_more(app: Carboy, tree: Path) -> None:
    """What is remembered of a name is where it would be, not what is there."""
    send_from_directory("in", "a.txt").close()
    (tree / "in/a.txt").unlink()
    with pytest.raises(NotFound):
        send_from_directory("in", "a.txt")
    (tree / "in/a.txt").symlink_to(tree / "out.txt")
    with pytest.raises(NotFound):
        send_from_directory("in", "a.txt")
    app.config["SEND_FILE_LINKS"] = True
    send_from_directory("in", "a.txt").close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("conditional", [{}, {"RANGE": "bytes=2-4"}, {"IF_NONE_MATCH": "ETAG"}])
def test_a_servers_way_of_sending_is_closed_whatever_the_answer(
    folder: Path, method: str, conditional: dict[str, str]
) -> None:
    """With ``wsgi.file_wrapper``, as Werkzeug's answer; and the file is closed at the end."""
    path = str(folder / "a.txt")
    etag = dict(long(path, environ_of())[1])["ETag"]
    headers = {k: v.replace("ETAG", etag) for k, v in conditional.items()}
    environ = environ_of(method, **headers) | {"wsgi.file_wrapper": FileWrapper}
    source = opened(path)
    assert answer(lambda: send(source, environ, Response), environ) == long(path, environ)
    assert source.file.closed


def test_a_path_is_relative_to_the_application(app: Carboy) -> None:
    with send_file("out.txt") as response:
        assert response.headers["Content-Disposition"] == "inline; filename=out.txt"


def test_an_application_with_werkzeugs_response_class_sends_files(app: Carboy) -> None:
    app.response_class = WerkzeugResponse  # type: ignore[assignment]
    with send_file("out.txt") as response:
        assert type(response) is WerkzeugResponse
        assert response.content_length == 1


def test_x_sendfile_leaves_the_file_closed(app: Carboy, tree: Path) -> None:
    app.config["USE_X_SENDFILE"] = True
    response = send_file("out.txt")
    assert response.headers["X-Sendfile"] == str(tree / "out.txt")
    assert response.response == []


def test_x_sendfile_is_not_sent_with_304(tree: Path) -> None:
    app = Carboy("files", root_path=str(tree))
    app.config["USE_X_SENDFILE"] = True
    with app.test_request_context(headers={"If-Modified-Since": http_date(2_000_000_000)}):
        response = send_file("out.txt")
    assert response.status_code == 304
    assert "X-Sendfile" not in response.headers
