from __future__ import annotations

import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from werkzeug.http import http_date, parse_date

from carboy import Blueprint, Carboy, current_app, send_file, send_from_directory, url_for

CSS = b"body { color: #123 }\r\n/* \xc3\xa9 \xff */\n"


@pytest.fixture
def static(app, tmp_path):
    """The folder of the application's static files, with some in it."""
    folder = tmp_path / "static"
    (folder / "js").mkdir(parents=True)
    (folder / "style.css").write_bytes(CSS)
    (folder / "js/app.js").write_text("1")
    (folder / "index.html").write_text("<p>hi")
    (folder / "digits.bin").write_bytes(b"0123456789")
    (folder / "Case.txt").write_text("upper")
    (tmp_path / "secret.txt").write_text("SECRET")
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("style.css", "text/css; charset=utf-8"),
        ("index.html", "text/html; charset=utf-8"),
        ("digits.bin", "application/octet-stream"),
        ("Case.txt", "text/plain; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.unknownending", "application/octet-stream"),
    ],
)
def test_a_static_file_has_its_mime_type(static, raw, name, kind):
    """STAT-01: guessed from the name."""
    (static / name).touch()
    reply = raw(f"/static/{name}")
    assert (reply.code, reply.get("Content-Type")) == (200, kind)


def test_javascript_has_a_javascript_type(static, raw):
    """STAT-01: text/javascript, with subfolders in the path."""
    reply = raw("/static/js/app.js")
    assert reply.body == b"1"
    assert reply.get("Content-Type").split(";")[0] in ("text/javascript", "application/javascript")


def test_a_static_file_arrives_byte_for_byte(static, raw):
    """STAT-01, STAT-16: with its length."""
    reply = raw("/static/style.css")
    assert reply.body == CSS
    assert reply.get("Content-Length") == str(len(CSS))


def test_a_file_written_after_the_first_request_is_found(static, raw):
    """STAT-01: the folder is not listed in advance."""
    assert raw("/static/new.txt").code == 404
    (static / "new.txt").write_text("new")
    assert raw("/static/new.txt").body == b"new"


def test_folder_and_url_path_are_constructor_arguments(tmp_path, call):
    """STAT-02, D-22: ``static_folder``, ``static_url_path``."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/a.txt").write_text("a")
    app = Carboy("t", root_path=str(tmp_path), static_folder="assets", static_url_path="/public")
    assert call(app, "/public/a.txt").body == b"a"
    assert call(app, "/static/a.txt").code == 404
    assert (app.static_url_path, Path(app.static_folder)) == ("/public", tmp_path / "assets")
    with app.test_request_context():
        assert url_for("static", filename="a.txt") == "/public/a.txt"


def test_the_url_path_follows_the_folders_name(tmp_path, call):
    """STAT-02: without ``static_url_path``."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/a.txt").write_text("a")
    app = Carboy("t", root_path=str(tmp_path), static_folder="assets")
    assert app.static_url_path == "/assets"
    assert call(app, "/assets/a.txt").body == b"a"


def test_an_empty_url_path_serves_from_the_root(tmp_path, call):
    """STAT-03, D-22: routes still win over files."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static/robots.txt").write_text("robots")
    (tmp_path / "static/page").write_text("never")
    app = Carboy("t", root_path=str(tmp_path), static_url_path="")
    app.add_url_rule("/page", "page", lambda: "the view")
    assert call(app, "/robots.txt").body == b"robots"
    assert call(app, "/page").body == b"the view"


def test_an_absolute_static_folder(tmp_path, call):
    """STAT-04: outside the root path."""
    folder = tmp_path / "elsewhere" / "files"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    app = Carboy("t", root_path=str(tmp_path / "root"), static_folder=str(folder))
    assert call(app, "/files/a.txt").body == b"a"
    app = Carboy("t", root_path=str(tmp_path / "root"), static_folder=folder)  # a Path works too
    assert call(app, "/files/a.txt").body == b"a"


def test_no_static_folder_means_no_route(tmp_path, call):
    """STAT-04: ``static_folder=None``."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static/a.txt").write_text("a")
    app = Carboy("t", root_path=str(tmp_path), static_folder=None)
    assert not app.has_static_folder
    assert list(app.url_map.iter_rules()) == []
    assert call(app, "/static/a.txt").code == 404
    with pytest.raises(RuntimeError, match="static_folder"):
        app.send_static_file("a.txt")


@pytest.mark.parametrize("path", ["/static/none.txt", "/static/js", "/static/js/", "/static/"])
def test_a_missing_file_or_a_folder_is_404(static, raw, path):
    """STAT-05: and no listing."""
    reply = raw(path)
    assert reply.code == 404
    assert b"app.js" not in reply.body


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret.txt",
        "/static/js/../../secret.txt",
        "/static/..%2fsecret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/..\\secret.txt",
        "/static/..%5csecret.txt",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/....//secret.txt",
        "/static/\0",
    ],
)
def test_path_traversal_is_refused(static, client, path):
    """STAT-06: plain, encoded, with back-slashes, absolute."""
    response = client.get(path)
    assert response.status_code in (308, 404)
    if response.status_code == 308:
        response = client.get(response.location)
        assert response.status_code == 404
    assert b"SECRET" not in response.data


def test_a_static_file_has_an_etag_and_a_date(static, raw):
    """STAT-07: and an If-None-Match or If-Modified-Since that fits is answered with 304."""
    first = raw("/static/style.css")
    etag, date = first.get("ETag"), first.get("Last-Modified")
    assert etag.startswith('"')
    assert parse_date(date) is not None
    for headers in ({"If-None-Match": etag}, {"If-Modified-Since": date}):
        reply = raw("/static/style.css", headers=headers)
        assert (reply.code, reply.body) == (304, b""), headers
        assert reply.get("Content-Length") is None
        assert reply.get("ETag") == etag


def test_a_changed_file_is_sent_again(static, raw):
    """STAT-07: the old ETag does not fit, an old date neither."""
    etag = raw("/static/style.css").get("ETag")
    (static / "style.css").write_bytes(b"other")
    os.utime(static / "style.css", (1_700_000_000, 1_700_000_000))
    reply = raw("/static/style.css", headers={"If-None-Match": etag})
    assert (reply.code, reply.body) == (200, b"other")
    old = http_date(1_600_000_000)
    assert raw("/static/style.css", headers={"If-Modified-Since": old}).code == 200


@pytest.mark.parametrize(
    ("wanted", "content_range", "body"),
    [
        ("bytes=0-3", "bytes 0-3/10", b"0123"),
        ("bytes=4-", "bytes 4-9/10", b"456789"),
        ("bytes=-3", "bytes 7-9/10", b"789"),
        ("bytes=8-100", "bytes 8-9/10", b"89"),
    ],
)
def test_a_range_is_answered_with_206(static, raw, wanted, content_range, body):
    """STAT-07: from, to, suffix."""
    reply = raw("/static/digits.bin", headers={"Range": wanted})
    assert (reply.code, reply.body) == (206, body)
    assert reply.get("Content-Range") == content_range
    assert reply.get("Content-Length") == str(len(body))


def test_a_range_outside_the_file_is_416(static, raw):
    """STAT-07: with the size."""
    reply = raw("/static/digits.bin", headers={"Range": "bytes=50-60"})
    assert reply.code == 416
    assert reply.get("Content-Range") == "bytes */10"


def test_if_range_decides_between_part_and_whole(static, raw):
    """STAT-07: a validator that does not fit gives the whole file."""
    etag = raw("/static/digits.bin").get("ETag")
    headers = {"Range": "bytes=0-3", "If-Range": etag}
    assert raw("/static/digits.bin", headers=headers).code == 206
    reply = raw("/static/digits.bin", headers=headers | {"If-Range": '"other"'})
    assert (reply.code, reply.body) == (200, b"0123456789")


def test_without_a_cache_time_the_client_asks_again(static, raw):
    """STAT-08: ``no-cache`` is the default."""
    reply = raw("/static/style.css")
    assert reply.get("Cache-Control") == "no-cache"
    assert reply.get("Expires") is None


@pytest.mark.parametrize("age", [3600, timedelta(hours=1)])
def test_send_file_max_age_default_sets_the_cache_time(app, static, raw, age):
    """STAT-08: seconds or a timedelta; Expires too."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = age
    reply = raw("/static/style.css")
    assert "max-age=3600" in reply.get("Cache-Control")
    assert parse_date(reply.get("Expires")) > datetime.now(UTC)


def test_get_send_file_max_age_decides_for_each_file(tmp_path, call):
    """STAT-08: overridden in a subclass."""

    class Long(Carboy):
        def get_send_file_max_age(self, filename):
            return 10 if filename.endswith(".js") else None

    (tmp_path / "static").mkdir()
    (tmp_path / "static/a.js").touch()
    (tmp_path / "static/a.css").touch()
    app = Long("t", root_path=str(tmp_path))
    assert "max-age=10" in call(app, "/static/a.js").get("Cache-Control")
    assert call(app, "/static/a.css").get("Cache-Control") == "no-cache"


def test_file_names_are_case_sensitive(static, raw):
    """STAT-10: on a file system that is."""
    assert raw("/static/Case.txt").code == 200
    assert raw("/static/case.txt").code == 404
    assert raw("/Static/Case.txt").code == 404


def test_only_get_head_and_options_on_static_files(static, raw):
    """STAT-11: others are 405; HEAD has the length and no body."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        reply = raw("/static/style.css", method)
        assert reply.code == 405
        assert set(reply.get("Allow").split(", ")) == {"GET", "HEAD", "OPTIONS"}
    head = raw("/static/style.css", "HEAD")
    assert (head.code, head.body, head.get("Content-Length")) == (200, b"", str(len(CSS)))
    assert raw("/static/style.css", "OPTIONS").code == 200


def test_blueprints_serve_their_own_static_files(app, tmp_path, raw):
    """STAT-01: below the blueprint's prefix."""
    (tmp_path / "blog/files").mkdir(parents=True)
    (tmp_path / "blog/files/a.txt").write_text("the blog's")
    app.register_blueprint(
        Blueprint(
            "blog",
            __name__,
            url_prefix="/blog",
            static_folder="files",
            root_path=str(tmp_path / "blog"),
        )
    )
    assert raw("/blog/files/a.txt").body == b"the blog's"


def view(app, function):
    app.add_url_rule("/f", "f", function)


def test_send_file_takes_a_path(app, raw, static):
    """STAT-14: str or Path, relative ones below the root path."""
    app.add_url_rule("/a", "a", lambda: send_file(str(static / "style.css")))
    app.add_url_rule("/b", "b", lambda: send_file(static / "style.css"))
    app.add_url_rule("/c", "c", lambda: send_file("static/style.css"))
    for path in ("/a", "/b", "/c"):
        reply = raw(path)
        assert reply.body == CSS
        assert reply.get("Content-Type") == "text/css; charset=utf-8"


def test_send_file_takes_a_file_object(app, raw):
    """STAT-14: it needs a MIME type or a download name."""
    view(app, lambda: send_file(io.BytesIO(b"csv"), mimetype="text/csv"))
    reply = raw("/f")
    assert (reply.body, reply.get("Content-Type")) == (b"csv", "text/csv; charset=utf-8")


def test_send_file_of_a_file_object_without_a_type_is_refused(app):
    """STAT-14: TypeError; a text file is a ValueError."""
    with app.test_request_context():
        with pytest.raises(TypeError, match="MIME type"):
            send_file(io.BytesIO(b"x"))
        with pytest.raises(ValueError, match="binary mode"):
            send_file(io.StringIO("x"), mimetype="text/plain")


def test_send_file_as_attachment_names_the_file(app, raw, static):
    """STAT-14: quoted, and with RFC 5987 for other letters."""
    names = iter([None, "my report.csv", "Übung.csv"])
    view(
        app,
        lambda: send_file(static / "style.css", as_attachment=True, download_name=next(names)),
    )
    assert raw("/f").get("Content-Disposition") == "attachment; filename=style.css"
    assert raw("/f").get("Content-Disposition") == 'attachment; filename="my report.csv"'
    found = raw("/f").get("Content-Disposition")
    assert found == "attachment; filename=Ubung.csv; filename*=UTF-8''%C3%9Cbung.csv"


def test_an_attachment_without_a_name_is_a_type_error(app):
    """STAT-14: for a file object without ``download_name``."""
    with app.test_request_context(), pytest.raises(TypeError, match="download_name"):
        send_file(io.BytesIO(b"x"), mimetype="text/plain", as_attachment=True)


def test_send_file_options(app, raw, static):
    """STAT-14: conditional, etag, last_modified, max_age."""
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    options = {"etag": "mine", "last_modified": moment, "max_age": 60}
    view(app, lambda: send_file(static / "style.css", **options))
    reply = raw("/f")
    assert reply.get("ETag") == '"mine"'
    assert parse_date(reply.get("Last-Modified")) == moment
    assert "max-age=60" in reply.get("Cache-Control")
    assert raw("/f", headers={"If-None-Match": '"mine"'}).code == 304


def test_send_file_max_age_may_be_a_function_of_the_name(app, raw, static):
    """STAT-14: called with the path."""
    view(app, lambda: send_file(static / "style.css", max_age=lambda path: len(Path(path).name)))
    assert "max-age=9" in raw("/f").get("Cache-Control")


def test_send_file_without_conditions(app, raw, static):
    """STAT-14: ``conditional=False, etag=False``."""
    view(app, lambda: send_file(static / "digits.bin", conditional=False, etag=False))
    reply = raw("/f", headers={"Range": "bytes=0-3"})
    assert (reply.code, reply.body, reply.get("ETag")) == (200, b"0123456789", None)


def test_send_from_directory_finds_files_below_the_folder(app, raw, static):
    """STAT-14: relative folders are below the root path; options as in send_file."""
    app.add_url_rule(
        "/d/<path:name>",
        "d",
        lambda name: send_from_directory("static", name, as_attachment=True, download_name="x"),
    )
    reply = raw("/d/js/app.js")
    assert reply.body == b"1"
    assert reply.get("Content-Disposition") == "attachment; filename=x"


@pytest.mark.parametrize("name", ["../secret.txt", "js", "none", "/etc/passwd", "a\0b", ""])
def test_send_from_directory_joins_safely(app, raw, static, name):
    """STAT-14, STAT-06: anything outside, missing or not a file is 404."""
    view(app, lambda: send_from_directory(static, name))
    assert raw("/f").code == 404


def test_send_static_file_from_a_view(app, raw, static):
    """STAT-14: ``app.send_static_file`` for a favicon or an index page."""
    view(app, lambda: current_app.send_static_file("index.html"))
    reply = raw("/f")
    assert (reply.body, reply.get("Content-Type")) == (b"<p>hi", "text/html; charset=utf-8")


def test_use_x_sendfile_leaves_the_file_to_the_front_server(app, raw, static):
    """STAT-15: the path in a header, no body."""
    app.config["USE_X_SENDFILE"] = True
    view(app, lambda: send_file(static / "style.css"))
    reply = raw("/f")
    assert reply.get("X-Sendfile") == str(static / "style.css")
    assert reply.body == b""


def test_the_file_is_closed_after_the_response(app, static):
    """STAT-14: read to its end or closed by the server at once."""
    opened = []

    def send():
        file = (static / "style.css").open("rb")
        opened.append(file)
        return send_file(file, mimetype="text/css")

    view(app, send)
    client = app.test_client()
    with client.get("/f") as response:
        assert response.data == CSS
    client.get("/f", buffered=False).close()
    assert [file.closed for file in opened] == [True, True]


def test_debug_mode_serves_the_same_static_files(app, static, raw):
    """STAT-09, D-06: no different headers or names in debug."""
    plain = raw("/static/style.css")
    app.debug = True
    debug = raw("/static/style.css")
    assert debug.body == plain.body
    assert debug.get("ETag") == plain.get("ETag")
    assert debug.get("Cache-Control") == plain.get("Cache-Control")
