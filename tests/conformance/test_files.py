"""Files: static ones, sent ones, in parts, unchanged."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from carboy import send_file, send_from_directory


@pytest.fixture
def app(app: Any, tmp_path: Path) -> Any:
    (tmp_path / "static").mkdir()
    (tmp_path / "static/small.txt").write_text("small text")
    (tmp_path / "static/large.bin").write_bytes(bytes(range(256)) * 1024)
    (tmp_path / "static/empty.css").write_text("")
    return app


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", ["small.txt", "large.bin", "empty.css", "none.txt", "../app.py"])
def test_static_files(app: Any, visit: Any, name: str, method: str) -> None:
    """The file, or 404."""
    answer = visit(f"/static/{name}", method, compare=False)
    if answer.code == 200:
        size = len((Path(app.static_folder) / name).read_bytes())
        assert answer.get("content-length") == str(size)
        assert len(answer.body) == (size if method == "GET" else 0)


@pytest.mark.parametrize(
    "wanted", ["bytes=0-3", "bytes=5-", "bytes=-4", "bytes=2-2", "bytes=900000-", "bytes=x"]
)
@pytest.mark.parametrize("name", ["small.txt", "large.bin"])
def test_ranges(app: Any, visit: Any, name: str, wanted: str) -> None:
    """A part of a file: 206 with its bytes, or 416."""
    answer = visit(f"/static/{name}", headers={"Range": wanted}, compare=False)
    whole = (Path(app.static_folder) / name).read_bytes()
    if answer.code == 206:
        first, last = (answer.get("content-range") or "")[6:].partition("/")[0].split("-")
        assert answer.body == whole[int(first) : int(last) + 1]
    else:
        assert answer.code in (200, 416)


def test_unchanged(app: Any, visit: Any) -> None:
    """A file that the client has is 304."""
    etag = visit("/static/small.txt", compare=False).get("etag")
    answer = visit("/static/small.txt", headers={"If-None-Match": etag}, compare=False)
    assert (answer.code, answer.body) == (304, b"")


def test_send_file(app: Any, visit: Any, dye: Any) -> None:
    """A file from memory, as an attachment."""

    def view() -> Any:
        return send_file(io.BytesIO(b"in memory"), "text/x-own", True, "name.txt")

    app.add_url_rule("/", "view", dye(view))
    answer = visit(compare=False)
    assert answer.body == b"in memory"
    assert answer.get("content-disposition") == "attachment; filename=name.txt"


def test_send_from_directory(app: Any, visit: Any, dye: Any) -> None:
    """A large file from a folder, from a sync and an async view."""
    app.add_url_rule("/", "view", dye(lambda: send_from_directory("static", "large.bin")))
    assert visit(compare=False).body == bytes(range(256)) * 1024


def test_the_file_is_closed(app: Any, door: str, dye: Any) -> None:
    """Whether it was read to its end, or the client left."""
    files = []

    def view() -> Any:
        file = io.BytesIO(b"x" * 500_000)
        files.append(file)
        return send_file(file, "text/plain")

    app.add_url_rule("/", "view", dye(view))
    client = app.test_client(door=door)
    client.get("/").close()
    response = client.get("/", buffered=False)
    next(iter(response.response))
    response.close()
    client.head("/").close()
    assert [file.closed for file in files[:2]] == [True, True]
