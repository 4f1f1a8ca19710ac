"""Bad requests for files, and files that change."""

from __future__ import annotations

import gc
import os
import re
from pathlib import Path

import pytest

from carboy import Carboy, abort, make_response, send_file, send_from_directory

DIGITS = b"0123456789"


@pytest.fixture
def root(tmp_path):
    """The application's root: a static folder, and secrets around it."""
    folder = tmp_path / "static"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("inside")
    (folder / "digits").write_bytes(DIGITS)
    (folder / "sub/b.txt").write_text("sub")
    (tmp_path / "secret.txt").write_text("SECRET")
    (tmp_path / "static-private").mkdir()
    (tmp_path / "static-private/c.txt").write_text("SECRET")
    return tmp_path


@pytest.fixture
def app(root):
    """Three ways to a file: the static route, ``send_from_directory``, ``send_static_file``."""
    app = Carboy("files", root_path=str(root))
    app.add_url_rule("/d/<path:name>", "d", lambda name: send_from_directory("static", name))
    app.add_url_rule("/s/<path:name>", "s", lambda name: app.send_static_file(name))
    return app


@pytest.fixture
def fetch(app, call):
    """A raw request; afterwards a file must still be served."""

    def fetch(path, method="GET", **options):
        reply = call(app, path, method, **options)
        assert call(app, "/static/a.txt").body == b"inside"
        return reply

    return fetch


UP = "secret.txt"
TRAVERSALS = [
    f"../{UP}", f"../../{UP}", f"sub/../../{UP}", f"./../{UP}", f".././{UP}", f"..//{UP}",
    f"../static/../{UP}", f"sub/../../static/../{UP}", f"..\\{UP}", f"..\\..\\{UP}", f"sub\\..\\..\\{UP}",
    f"%2e%2e/{UP}", f"%2e%2e%2f{UP}", f"..%2f{UP}", f"..%5c{UP}", f"%252e%252e/{UP}", f"..%252f{UP}",
    f"..%c0%af{UP}", f"..%c1%9c{UP}", f"..\xc0\xaf{UP}", f"\xc0\xae\xc0\xae/{UP}", f"....//{UP}",
    f"..../{UP}", f"...//{UP}", f"..;/{UP}", f"..\0/{UP}", f"../{UP}\0.txt", f"../{UP}%00",
    f"\uff0e\uff0e/{UP}", f"..\u2215{UP}", f"..\u2044{UP}", f"..\n/{UP}", f".. /{UP}", f" ../{UP}",
    f"..\t/{UP}", "/etc/passwd", "//etc/passwd", "///etc/passwd", "\\etc\\passwd", "file:///etc/passwd",
    "C:\\secret.txt", "../static-private/c.txt", "..", "../", ".", "sub/..", "~/secret.txt",
]  # fmt: skip


@pytest.mark.parametrize("way", ["static", "d", "s"])
@pytest.mark.parametrize("name", TRAVERSALS)
def test_no_spelling_leaves_the_folder(fetch, way, name):
    """HOSTILE-114, CVE-2017-16762, CVE-2023-29159, CVE-2022-35920: 404 and nothing from outside."""
    reply = fetch(f"/{way}/" + name.encode().decode("latin-1"))
    assert reply.code in (308, 404)
    assert b"SECRET" not in reply.body
    assert b"root:" not in reply.body


@pytest.mark.beyond
@pytest.mark.parametrize("path", ["/static/a.txt/", "/static/sub/b.txt/", "/static/a.txt//"])
def test_a_file_with_a_slash_after_it_is_404(fetch, path):
    """HOSTILE-115: a cache must not take it for another thing (cache deception)."""
    assert fetch(path).code in (308, 404)
    assert fetch(path).body != b"inside"


@pytest.mark.parametrize(
    "name",
    ["a\0.txt", "n" * 5000, "a/" * 3000, "\xff\xfe", "\x01\x02", "a.txt\n", " a.txt", "a.txt "],
)
def test_odd_names_are_404(fetch, name):
    """HOSTILE-116: NUL, too long, not UTF-8, control characters."""
    assert fetch(f"/static/{name}").code == 404


@pytest.mark.parametrize(
    "name",
    ["CON", "con", "NUL", "nul.txt", "COM1", "LPT1.txt", "AUX ", "sub/CON", "sub/nul.txt", "CON/a.txt",
     "\\\\host\\share", "//host/share", "CONIN$", "a.txt:stream", "a.txt::$DATA"],
)  # fmt: skip
def test_windows_names_are_404(fetch, name):
    """HOSTILE-117, CVE-2025-66221, CVE-2024-49766, CVE-2026-48818: devices, UNC, streams.

    CVE-2026-21860, CVE-2026-27199, CVE-2026-34515.
    """
    assert fetch(f"/static/{name}").code in (308, 404)
    assert fetch(f"/d/{name}").code in (308, 404)


@pytest.mark.beyond
def test_a_link_out_of_the_folder_is_404(root, fetch):
    """HOSTILE-118, CVE-2024-23334: of a file, of a folder, to /proc."""
    (root / "static/out.txt").symlink_to(root / "secret.txt")
    (root / "static/out").symlink_to(root)
    (root / "static/proc").symlink_to("/proc/self")
    for way in ("static", "d", "s"):
        for name in ("out.txt", "out/secret.txt", "proc/environ"):
            reply = fetch(f"/{way}/{name}")
            assert reply.code == 404, (way, name)
            assert b"SECRET" not in reply.body


def test_links_within_the_folder_work_and_loops_do_not(root, fetch):
    """HOSTILE-119: 200, 404."""
    (root / "static/link.txt").symlink_to(root / "static/a.txt")
    (root / "static/loop").symlink_to(root / "static/loop")
    assert fetch("/static/link.txt").body == b"inside"
    assert fetch("/static/loop").code == 404
    assert fetch("/static/loop/a.txt").code == 404


def test_a_fifo_is_404_and_does_not_block(root, fetch, within_cpu_seconds):
    """HOSTILE-120: nor a device."""
    os.mkfifo(root / "static/fifo")
    with within_cpu_seconds():
        assert fetch("/static/fifo").code == 404
        assert fetch("/d/fifo").code == 404


@pytest.mark.beyond
def test_hidden_files_are_404_and_well_known_is_served(root, fetch):
    """HOSTILE-121: .env and its like were never meant to be there."""
    for name in (".env", ".git/config", ".htpasswd", "sub/.env", ".well-known/security.txt"):
        path = root / "static" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("hidden")
    for name in (".env", ".git/config", ".htpasswd", "sub/.env"):
        assert fetch(f"/static/{name}").code == 404, name
    assert fetch("/static/.well-known/security.txt").body == b"hidden"


@pytest.mark.parametrize("path", ["/static", "/static/", "/static/sub", "/static/sub/", "/d/sub"])
def test_a_folder_is_not_listed(fetch, path):
    """HOSTILE-122, CVE-2024-27306: 404."""
    reply = fetch(path)
    assert reply.code in (308, 404)
    assert b"b.txt" not in reply.body


RANGES = [
    "bytes=0-0", "bytes=0-", "bytes=-1", "bytes=9-9", "bytes=9-", "bytes=10-", "bytes=-0", "bytes=", "bytes",
    "bytes=-", "bytes=a-b", "bytes=0-a", "bytes=5-3", "bytes=0-99999999999999999999", "bytes=--5",
    "bytes=0--1", "bytes= 0-1", "bytes=0 -1", "bytes=+0-1", "bytes=0x0-0x1", "bytes=0-1,5-6", "bytes=0-1,",
    "bytes=,0-1", "bytes=0-1;5-6", "items=0-1", "Bytes=0-1", "bytes:0-1", "bytes=1e0-2", "bytes=\xb2-",
    "bytes=0-1,0-1", "", "bytes=-99999999999999999999", "bytes=" + "0" * 5000 + "-1",
]  # fmt: skip


@pytest.mark.parametrize("wanted", RANGES)
def test_a_range_gives_exact_octets(fetch, wanted):
    """HOSTILE-123: 200 whole, 206 what Content-Range says, 416."""
    reply = fetch("/static/digits", headers={"Range": wanted})
    assert reply.code in (200, 206, 416)
    if reply.code == 200:
        assert reply.body == DIGITS
    elif reply.code == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/10", reply.get("Content-Range"))
        assert reply.body == DIGITS[int(found[1]) : int(found[2]) + 1]
        assert reply.get("Content-Length") == str(len(reply.body))
    else:
        assert reply.get("Content-Range") == "bytes */10"


@pytest.mark.parametrize(
    "wanted",
    ["bytes=" + ",".join(["0-9"] * 5000), "bytes=" + "," * 50_000, "bytes=" + "0-," * 5000],
)
def test_many_ranges_are_never_more_than_the_file(fetch, within_cpu_seconds, wanted):
    """HOSTILE-124, CVE-2025-62727, CVE-2024-26141, CVE-2011-3192: overlapping ones, empty ones."""
    with within_cpu_seconds():
        reply = fetch("/static/digits", headers={"Range": wanted})
    assert reply.code in (200, 206, 416)
    assert len(reply.body) <= 400 if reply.code == 416 else len(reply.body) <= len(DIGITS)


@pytest.mark.beyond
def test_a_suffix_longer_than_the_file_is_the_whole_file(fetch):
    """HOSTILE-125: RFC 9110 section 14.1.2."""
    reply = fetch("/static/digits", headers={"Range": "bytes=-50"})
    assert (reply.code, reply.body) == (206, DIGITS)
    assert reply.get("Content-Range") == "bytes 0-9/10"


@pytest.mark.parametrize("condition", ['"other"', "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_a_failed_if_range_gives_the_whole_file(fetch, condition):
    """HOSTILE-126: an ETag or a date that does not fit."""
    reply = fetch("/static/digits", headers={"Range": "bytes=0-1", "If-Range": condition})
    assert (reply.code, reply.body) == (200, DIGITS)


@pytest.fixture
def open_files():
    """The number of this process' descriptors below the test's folder, without collecting."""

    def count(folder):
        found = 0
        for entry in Path("/proc/self/fd").iterdir():
            try:
                found += str(folder) in os.readlink(entry)
            except OSError:
                continue
        return found

    gc.disable()
    yield count
    gc.enable()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # says: unclosed
def test_files_are_closed_whatever_the_answer(app, root, call, open_files):
    """HOSTILE-127: HEAD, 206, 304, 416, replaced and aborted responses, early disconnect."""
    app.add_url_rule("/aborted", "aborted", lambda: send_file("static/digits") and abort(404))
    app.add_url_rule(
        "/replaced", "replaced", lambda: send_file("static/digits") and make_response("other")
    )
    etag = call(app, "/static/digits").get("ETag")
    answers = [
        call(app, "/static/digits", "HEAD").code,
        call(app, "/static/digits", headers={"Range": "bytes=0-1"}).code,
        call(app, "/static/digits", headers={"If-None-Match": etag}).code,
        call(app, "/static/digits", headers={"Range": "bytes=50-60"}).code,
    ]
    assert answers == [200, 206, 304, 416]
    call(app, "/replaced")
    call(app, "/aborted")
    client = app.test_client()
    response = client.get("/static/digits", buffered=False)
    response.close()
    assert open_files(root) == 0


def test_a_file_that_an_after_request_function_replaces_is_closed(app, root, call, open_files):
    """HOSTILE-127: no collector is needed."""

    @app.after_request
    def replace(response):
        response.close()
        return make_response("other")

    assert call(app, "/static/digits").body == b"other"
    assert open_files(root) == 0


def test_a_file_that_vanishes_or_changes(root, fetch):
    """HOSTILE-128: 404; a new ETag."""
    path = root / "static/new.txt"
    path.write_text("one")
    first = fetch("/static/new.txt").get("ETag")
    path.write_text("longer")
    second = fetch("/static/new.txt", headers={"If-None-Match": first})
    assert (second.code, second.body) == (200, b"longer")
    assert second.get("ETag") != first
    path.unlink()
    assert fetch("/static/new.txt").code == 404


@pytest.mark.beyond
def test_a_file_that_grows_is_sent_as_long_as_announced(app, root):
    """HOSTILE-128: never more than Content-Length."""
    path = root / "static/grows"
    path.write_bytes(b"x" * 100_000)
    response = app.test_client().get("/static/grows", buffered=False)
    with path.open("ab") as file:
        file.write(b"y" * 100_000)
    sent = b"".join(response.response)
    response.close()
    assert sent == b"x" * 100_000


def test_a_big_file_is_sent_in_pieces(app, root):
    """HOSTILE-129, CVE-2015-0221: of a megabyte at most; never read whole."""
    (root / "static/big").write_bytes(bytes(3_000_000))
    response = app.test_client().get("/static/big", buffered=False)
    sizes = [len(piece) for piece in response.response]
    response.close()
    assert sum(sizes) == 3_000_000
    assert max(sizes) <= 1_048_576
