"""Faults that other frameworks had, each at the layer where Carboy would have it.

The ones that belong to a larger subject (bodies, headers, static files, sessions) are beside it.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading

import pytest
from fuzz.doors import DOORS as SENT_BY
from fuzz.doors import Written
from jinja2 import DictLoader
from jinja2.exceptions import UndefinedError

from carboy import redirect, render_template, request, session

MULTIPART = "multipart/form-data; boundary=b"


def post(raw, body, content_type=MULTIPART, **environ):
    length = {"CONTENT_LENGTH": str(len(body))}
    return raw("/", "POST", body=body, CONTENT_TYPE=content_type, **(length | environ))


@pytest.fixture
def form(app):
    """A view that says what the form held."""

    @app.post("/")
    def view():
        names = [[key, file.filename] for key, file in request.files.items(multi=True)]
        return {"form": request.form.to_dict(flat=False), "files": names}

    return app


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog.records


def test_templates_are_not_compiled_into_a_shared_folder(app):
    """CVE-2014-1402, CVE-2014-0012: no bytecode cache in a place that others can write to."""
    assert app.jinja_env.bytecode_cache is None


def test_stray_bytes_in_a_form_are_not_logged(form, raw, records):
    """CVE-2024-53981, CVE-2025-47287: no log line for a stray byte or for a bad part."""
    stray = (
        b"x" * 50_000 + b'\r\n--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
    )
    assert post(raw, stray + b"y" * 50_000).code in (200, 400)
    bad = b"".join(b"--b\r\nno colon %d\r\n\r\nx\r\n" % number for number in range(500))
    assert post(raw, bad + b"--b--\r\n").code in (200, 400, 413)
    assert records == []


def test_bad_cookies_are_not_logged(app, raw, records):
    """CVE-2025-69230: nor is a line written for each bad cookie."""
    app.add_url_rule("/", "view", lambda: str(len(request.cookies)))
    assert raw("/", headers={"Cookie": '=x; "; a=\\777; \0=b; ' * 500}).code == 200
    assert records == []


@pytest.mark.beyond
def test_the_extended_file_name_does_not_override_the_plain_one(form, raw):
    """PYSEC-2026-3041: RFC 7578 section 4.2 forbids ``filename*`` in forms."""
    head = b"Content-Disposition: form-data; name=f; filename=\"a.txt\"; filename*=utf-8''b.php"
    body = b"--b\r\n" + head + b"\r\n\r\nx\r\n--b--\r\n"
    assert b'"a.txt"' in post(raw, body).body
    assert b"b.php" not in post(raw, body).body
    broken = b'--b\r\nContent-Disposition:ata;name*0*=orm-data; name=";\r\nname="f"; f\r\n\r\nx\r\n--b--\r\n'
    assert post(raw, broken).code in (200, 400)


def test_semicolons_separate_no_fields_and_cost_no_square(form, raw, within_cpu_seconds):
    """GHSA-5rvq-cxj2-64vf, GHSA-6jv3-5f52-599m, CVE-2021-23336: ``;`` is data."""
    kind = "application/x-www-form-urlencoded"
    assert b'"1;b=2"' in post(raw, b"a=1;b=2", kind).body
    with within_cpu_seconds():
        assert post(raw, b"a=" + b";" * 400_000, kind).code == 200


def test_a_cookie_cannot_be_smuggled_into_another_by_a_comma_or_a_quote(app, raw):
    """CVE-2016-7401: only ``;`` separates cookies."""
    app.add_url_rule("/", "view", lambda: dict(request.cookies))
    reply = raw("/", headers={"Cookie": 'a=b,token=evil; c="d; token=worse; e'})
    assert b'"token":"evil"' not in reply.body.replace(b" ", b"")
    assert b'"a":"b,token=evil"' in reply.body.replace(b" ", b"")


def test_base64_parts_are_not_decoded(form, raw, within_cpu_seconds):
    """CVE-2026-33033: RFC 7578 section 4.7 deprecates transfer encodings; white space is data."""
    head = b"Content-Disposition: form-data; name=f\r\nContent-Transfer-Encoding: base64"
    spaces = b" \r\n" * 100_000
    with within_cpu_seconds():
        assert (
            post(raw, b"--b\r\n" + head + b"\r\n\r\n" + spaces + b"eA==\r\n--b--\r\n").code == 200
        )


@pytest.mark.parametrize("unit", [b"\xff", b"\xc0", b"\xed\xa0\x80", b"\xf0\x9f"])
def test_a_path_of_invalid_utf8_is_linear_and_no_recursion(app, raw, within_cpu_seconds, unit):
    """CVE-2019-14235, CVE-2023-41164."""
    app.add_url_rule("/<path:p>", "view", lambda p: "found")
    with within_cpu_seconds():
        assert raw("/" + (unit * 300_000).decode("latin-1")).code in (200, 404)


@pytest.mark.beyond
@pytest.mark.parametrize(
    "host", ["[::1", "::1]", "[zz]", "[::1]x", "[]", "[::1]:x", "[v1.x]:99999999"]
)
def test_a_host_that_is_no_address_is_a_400(app, raw, host):
    """CVE-2022-33124: and no exception while the URL is put together."""
    app.add_url_rule("/", "view", lambda: request.url)
    assert raw("/", headers={"Host": host}).code == 400


def test_a_path_that_looks_like_a_host_is_not_redirected_to(app, raw):
    """CVE-2021-21330, CVE-2023-28370, CVE-2018-14574: neither by slashes nor by static files.

    CVE-2017-7234.
    """
    app.add_url_rule("/<path:p>/", "view", lambda p: "found")
    for path in ("//evil.example/%2f..", "//evil.example", "/\\evil.example", "/static//evil/.."):
        location = raw(path).get("Location") or "/"
        assert location.startswith(("http://localhost/", "/"))
        assert not location.startswith(("//", "/\\", "http://localhost//"))


@pytest.mark.beyond
def test_a_shared_cache_does_not_get_a_cookie(app, raw):
    """CVE-2026-48588: an answer that sets the session says that it is private or names Cookie."""
    app.secret_key = "k"

    @app.get("/")
    def view():
        session["a"] = 1
        return "x", {"Cache-Control": "public, max-age=60"}

    reply = raw("/")
    assert "Cookie" in (reply.get("Vary") or "")
    assert "public" not in (reply.get("Cache-Control") or "") or not reply.get("Set-Cookie")


# -- what an async server joins ------------------------------------------------------------------


def through(door, app, headers):
    """The status and body that a door gives for a GET with these headers."""
    lines = "".join(f"{name}: {value}\n" for name, value in headers)
    answer = SENT_BY[door](app, Written(f"GET / HTTP/1.1\n{lines}\n".encode()))
    return answer.status, answer.body


DOORS = pytest.mark.parametrize("door", ["asgi", "rsgi"])


@pytest.mark.beyond
@DOORS
def test_a_header_sent_ten_thousand_times_is_joined_in_linear_time(app, door, within_cpu_seconds):
    """HOSTILE-45, CVE-2025-14550, CVE-2025-67725, CVE-2025-67726."""

    @app.get("/")
    async def view():
        return str(len(request.headers["X-A"]))

    headers = [("host", "localhost"), *[("x-a", "v" * 200)] * 30_000]
    with within_cpu_seconds():
        assert through(door, app, headers) == (200, str(30_000 * 201 - 1).encode())


@pytest.mark.beyond
@DOORS
def test_two_hosts_are_a_400(app, door):
    """HOSTILE-36, CVE-2026-34525: RFC 9112 section 3.2."""

    @app.get("/")
    async def view():
        return request.url

    assert through(door, app, [("host", "localhost"), ("host", "evil.example")])[0] == 400


@pytest.mark.beyond
@DOORS
def test_a_header_with_an_underscore_does_not_pass_for_the_one_with_a_hyphen(app, door):
    """HOSTILE-40, CVE-2015-0219, CVE-2026-3902: the proxy's own header wins."""

    @app.get("/")
    async def view():
        return request.headers.get("X-Auth-User", "nobody")

    alone = [("host", "localhost"), ("x_auth_user", "admin")]
    assert through(door, app, alone) == (200, b"nobody")
    assert through(door, app, [("x-auth-user", "anon"), *alone]) == (200, b"anon")


@pytest.mark.beyond
@DOORS
def test_answers_of_requests_that_run_together_are_not_mixed(app, door):
    """Channels CVE-2020-35681: on a loop each request has its own context."""

    @app.get("/")
    async def view():
        mine = request.headers["X-Mine"]
        session_like = []
        for _ in range(5):
            await asyncio.sleep(0)
            session_like.append(request.headers["X-Mine"])
        assert set(session_like) == {mine}
        return mine

    async def all_of_them():
        async def one(number):
            pairs = [("host", "localhost"), ("x-mine", str(number))]
            return await asyncio.to_thread(through, door, app, pairs)

        return await asyncio.gather(*map(one, range(40)))

    assert asyncio.run(all_of_them()) == [(200, str(number).encode()) for number in range(40)]


def test_a_redirect_does_not_carry_a_newline_that_a_validator_let_through(app, raw):
    """CVE-2021-32052, CVE-2026-53878."""
    app.add_url_rule("/", "view", lambda: redirect("https://example.com/\nX-Evil: 1"))
    reply = raw("/")
    assert not any(name.lower() == "x-evil" for name, _ in reply.headers)
    assert all("\n" not in value for _, value in reply.headers)


def test_the_name_of_a_template_is_no_code(app, raw):
    """CVE-2024-56201: it stands in messages of the compiled template."""
    app.config["PROPAGATE_EXCEPTIONS"] = True
    name = '{1/0}{{1/0}}\'"+str(1/0)+".html'
    app.jinja_loader = DictLoader(
        {
            name: "{% from 'other.html' import missing %}{{ missing() }}",
            "other.html": "fine",
        }
    )
    app.add_url_rule("/", "view", lambda: render_template(name))
    with pytest.raises(UndefinedError, match="does not export the requested name"):
        raw("/")


@pytest.fixture
def written_by(monkeypatch):
    """The threads that open or write temporary files, and the one of the loop."""
    threads = {"loop": set(), "disk": set()}
    real = tempfile.TemporaryFile

    class Noted:
        def __init__(self, *args, **kwargs):
            self._note()
            self._file = real(*args, **kwargs)

        @staticmethod
        def _note():
            threads["disk"].add(threading.get_ident())

        def write(self, *args):
            self._note()
            return self._file.write(*args)

        def writelines(self, *args):
            self._note()
            return self._file.writelines(*args)

        def __getattr__(self, name):
            return getattr(self._file, name)

    for module in ("tempfile", "werkzeug.formparser", "carboy.formparsing"):
        monkeypatch.setattr(f"{module}.TemporaryFile", Noted, raising=False)
    return threads


@pytest.mark.beyond
@pytest.mark.parametrize("door", ["asgi", "rsgi"])
@pytest.mark.parametrize("size", [3_000_000, 524_289, 600_000])
def test_a_body_that_goes_to_disk_does_not_hold_up_the_loop(app, written_by, door, size):
    """CVE-2025-54121: it is written by other threads while it is received."""

    @app.post("/")
    async def view():
        written_by["loop"].add(threading.get_ident())
        data = request.get_data()
        return str(len(data)) + str(data == bytes(range(256)) * (size // 256) + b"x" * (size % 256))

    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert app.test_client(door=door).post("/", data=body).text == f"{size}True"
    assert written_by["disk"]
    assert not written_by["disk"] & written_by["loop"]


@pytest.mark.beyond
@pytest.mark.xfail(strict=True, reason="request.files is parsed where the view runs")
def test_a_form_that_an_async_view_reads_does_not_hold_up_the_loop(app, written_by):
    """Its files are copied to temporary files of their own."""

    @app.post("/")
    async def view():
        written_by["loop"].add(threading.get_ident())
        return str(len(request.files))

    head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    body = head + bytes(3_000_000) + b"\r\n--b--\r\n"
    client = app.test_client(door="asgi")
    assert client.post("/", data=body, content_type=MULTIPART).text == "1"
    assert not written_by["disk"] & written_by["loop"]
