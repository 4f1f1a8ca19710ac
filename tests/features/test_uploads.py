from __future__ import annotations

import io

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.utils import secure_filename

from carboy import request


def upload(**parts):
    return {"data": parts, "content_type": "multipart/form-data"}


def file(content=b"content", name="a.txt", kind="text/plain"):
    return (io.BytesIO(content), name, kind)


@pytest.fixture
def post(app):
    """``post(function, **parts)``: what the view's *function* returns for such an upload."""
    current, found = [], []

    @app.post("/")
    def view():
        found.append(current[-1]())
        return "ok"

    client = app.test_client()

    def send(function, **parts):
        current.append(function)
        found.clear()
        response = client.post("/", **upload(**parts))
        assert response.status_code == 200, response.text
        return found[0]

    return send


def test_an_uploaded_file_has_name_type_and_content(post):
    """UP-01: filename, content type, headers, read, stream."""

    def look():
        found = request.files["photo"]
        assert isinstance(found, FileStorage)
        return (
            found.name,
            found.filename,
            found.content_type,
            found.mimetype,
            found.headers["Content-Type"],
            found.read(3),
            found.stream.read(),
            found.seek(0),
            found.read(),
        )

    assert post(look, photo=file(b"\x00\xff\r\n--", "me.png", "image/png")) == (
        "photo",
        "me.png",
        "image/png",
        "image/png",
        "image/png",
        b"\x00\xff\r",
        b"\n--",
        0,
        b"\x00\xff\r\n--",
    )


def test_an_uploaded_file_keeps_a_unicode_name(post):
    """UP-01: sent as UTF-8."""
    assert post(lambda: request.files["f"].filename, f=file(name="Übung 1.txt")) == "Übung 1.txt"


def test_save_writes_the_file(post, tmp_path):
    """UP-02: to a path or an open file."""
    content = bytes(range(256)) * 1000

    def save():
        request.files["f"].save(tmp_path / "saved.bin")
        request.files["f"].seek(0)
        with (tmp_path / "again.bin").open("wb") as target:
            request.files["f"].save(target)

    post(save, f=file(content))
    assert (tmp_path / "saved.bin").read_bytes() == content
    assert (tmp_path / "again.bin").read_bytes() == content


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("My cool movie.mov", "My_cool_movie.mov"),
        ("..\\..\\windows\\system.ini", "windowssystem.ini"),
        ("i contain cool \xfcml\xe4uts.txt", "i_contain_cool_umlauts.txt"),
        (".htaccess", "htaccess"),
        ("日本", ""),
        ("..", ""),
    ],
)
def test_secure_filename_neutralises_traversal(name, safe):
    """UP-04: letters, digits, dots and dashes stay."""
    assert secure_filename(name) == safe


def test_a_body_over_max_content_length_is_413(app, client):
    """UP-06: exactly the limit is allowed; form, files, JSON and raw data alike."""
    app.config["MAX_CONTENT_LENGTH"] = 100

    @app.post("/<kind>")
    def view(kind):
        if kind == "json":
            return {"got": request.json}
        if kind == "form":
            return dict(request.form)
        return str(len(request.get_data()))

    assert client.post("/raw", data=b"x" * 100).text == "100"
    response = client.post("/raw", data=b"x" * 101)
    assert response.status_code == 413
    assert "<h1>Request Entity Too Large</h1>" in response.text
    assert client.post("/json", json={"a": "x" * 100}).status_code == 413
    assert client.post("/form", data={"a": "x" * 100}).status_code == 413
    assert client.post("/form", **upload(a=file(b"x" * 100))).status_code == 413


def test_a_413_can_be_handled(app, client):
    """UP-06: an errorhandler answers."""
    app.config["MAX_CONTENT_LENGTH"] = 1
    app.add_url_rule("/", "view", lambda: request.get_data(), methods=["POST"])
    app.register_error_handler(413, lambda error: ({"error": error.name}, 413))
    response = client.post("/", data=b"xx")
    assert (response.status_code, response.json) == (413, {"error": "Request Entity Too Large"})


def test_a_view_that_reads_nothing_is_not_limited(app, client):
    """UP-06: the limit is checked when the body is read."""
    app.config["MAX_CONTENT_LENGTH"] = 1
    app.add_url_rule("/", "view", lambda: "unread", methods=["POST"])
    assert client.post("/", data=b"xxxx").text == "unread"


def test_max_form_memory_size_limits_fields_that_are_not_files(app, client):
    """UP-07: 500 000 bytes by default; files do not count."""
    assert app.config["MAX_FORM_MEMORY_SIZE"] == 500_000
    app.config["MAX_FORM_MEMORY_SIZE"] = 100_000
    app.add_url_rule(
        "/", "view", lambda: f"{len(request.form)} {len(request.files)}", methods=["POST"]
    )
    assert client.post("/", **upload(a="x" * 50_000)).text == "1 0"
    assert client.post("/", **upload(a="x" * 100_001)).status_code == 413
    assert client.post("/", **upload(f=file(b"x" * 300_000))).text == "0 1"


def test_max_form_parts_limits_the_number_of_parts(app, client):
    """UP-07: 1000 by default."""
    assert app.config["MAX_FORM_PARTS"] == 1000
    app.config["MAX_FORM_PARTS"] = 3
    app.add_url_rule("/", "view", lambda: str(len(request.form)), methods=["POST"])
    assert client.post("/", **upload(**{str(n): "x" for n in range(3)})).text == "3"
    assert client.post("/", **upload(**{str(n): "x" for n in range(4)})).status_code == 413


@pytest.mark.parametrize(
    ("attribute", "value", "parts"),
    [
        ("max_content_length", 10, {"a": "x"}),
        ("max_form_memory_size", 10, {"a": "x" * 11}),
        ("max_form_parts", 1, {"a": "x", "b": "x"}),
    ],
)
def test_each_limit_may_be_lowered_or_raised_for_one_request(app, client, attribute, value, parts):
    """UP-07: on the request, before the form is read."""

    @app.post("/<which>")
    def view(which):
        if which == "limited":
            setattr(request, attribute, value)
        return str(len(request.form))

    assert client.post("/free", **upload(**parts)).text == str(len(parts))
    assert client.post("/limited", **upload(**parts)).status_code == 413
    app.config[attribute.upper()] = value

    assert client.post("/free", **upload(**parts)).status_code == 413


def test_a_request_may_raise_the_applications_limit(app, client):
    """UP-07: for one upload view."""
    app.config["MAX_CONTENT_LENGTH"] = 5

    @app.post("/")
    def view():
        request.max_content_length = 50
        return str(len(request.get_data()))

    assert client.post("/", data=b"x" * 20).text == "20"


def test_without_multipart_there_are_no_files(app, client):
    """UP-08: the file's name arrives as a field instead."""
    app.add_url_rule(
        "/", "view", lambda: [len(request.files), request.form.get("f")], methods=["POST"]
    )
    assert client.post("/", data={"f": "me.png"}).json == [0, "me.png"]


def test_several_files_under_one_name_and_fields_beside(post):
    """UP-09: ``getlist``, in the order sent."""

    def look():
        return (
            [(f.filename, f.read()) for f in request.files.getlist("f")],
            request.form["title"],
            request.form.getlist("tag"),
            list(request.files),
        )

    found = post(
        look, f=[file(b"1", "a.txt"), file(b"2", "b.txt")], title="two files", tag=["x", "y"]
    )
    assert found == ([("a.txt", b"1"), ("b.txt", b"2")], "two files", ["x", "y"], ["f"])


def test_an_empty_file_field_has_an_empty_name(post):
    """UP-09: what a browser sends when no file was chosen."""
    ask = lambda: (request.files["f"].filename, request.files["f"].read())  # noqa: E731
    assert post(ask, f=file(b"", "", "application/octet-stream")) == ("", b"")


def test_a_large_upload_is_spooled_and_complete(app, raw):
    """UP-01: more than is kept in memory; closed with the request."""
    content = b"0123456789abcdef" * 65536  # 1 MiB
    body = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n'
        + content
        + b"\r\n--b--\r\n"
    )
    files = []

    @app.post("/")
    def view():
        files.append(request.files["f"])
        return files[0].read()

    kind = "multipart/form-data; boundary=b"
    assert raw("/", "POST", body=body, headers={"Content-Type": kind}).body == content
    assert files[0].stream.closed
