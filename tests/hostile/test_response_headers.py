"""What an application may write into headers, status lines, cookies and redirects by accident."""

from __future__ import annotations

import io
import json
import re
from urllib.parse import urlsplit

import pytest

from carboy import (
    Response,
    abort,
    flash,
    jsonify,
    make_response,
    redirect,
    request,
    send_file,
    session,
    url_for,
)

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
STATUS_LINE = re.compile(r"[1-9][0-9]{2} [\t -~\x80-\xff]*")  # RFC 9112 section 4


def response_with(change):
    response = make_response("x")
    change(response)
    return response


def with_cookie(**options):
    return response_with(lambda r: r.set_cookie(**{"key": "a", "value": "1"} | options))


def setting(name, value):
    return response_with(lambda r: setattr(r, name, value))


WRITERS = {
    "tuple": lambda v: ("x", {"X-A": v}),
    "tuple list": lambda v: ("x", 200, [("X-A", v)]),
    "constructor": lambda v: Response("x", headers={"X-A": v}),
    "constructor list": lambda v: Response("x", headers=[("X-A", v)]),
    "setitem": lambda v: response_with(lambda r: r.headers.__setitem__("X-A", v)),
    "add": lambda v: response_with(lambda r: r.headers.add("X-A", v)),
    "add parameter": lambda v: response_with(lambda r: r.headers.add("X-A", "x", p=v)),
    "set": lambda v: response_with(lambda r: r.headers.set("X-A", v)),
    "set parameter": lambda v: response_with(lambda r: r.headers.set("X-A", "x", filename=v)),
    "setdefault": lambda v: response_with(lambda r: r.headers.setdefault("X-A", v)),
    "setlist": lambda v: response_with(lambda r: r.headers.setlist("X-A", [v])),
    "extend": lambda v: response_with(lambda r: r.headers.extend({"X-A": v})),
    "update": lambda v: response_with(lambda r: r.headers.update({"X-A": v})),
    "make_response": lambda v: make_response("x", {"X-A": v}),
    "content_type": lambda v: Response("x", content_type=v),
    "content_type attribute": lambda v: setting("content_type", v),
    "mimetype": lambda v: Response("x", mimetype=v),
    "mimetype attribute": lambda v: setting("mimetype", v),
    "location": lambda v: setting("location", v),
    "content_location": lambda v: setting("content_location", v),
    "content_language": lambda v: response_with(lambda r: r.content_language.add(v)),
    "vary": lambda v: response_with(lambda r: r.vary.add(v)),
    "allow": lambda v: response_with(lambda r: r.allow.add(v)),
    "cache_control": lambda v: response_with(lambda r: r.cache_control.__setitem__("x", v)),
    "etag": lambda v: response_with(lambda r: r.set_etag(v)),
    "www_authenticate": lambda v: response_with(
        lambda r: r.headers.set("WWW-Authenticate", f'Basic realm="{v}"')
    ),
    "csp": lambda v: response_with(lambda r: setattr(r.content_security_policy, "img_src", v)),
    "accept_ranges": lambda v: setting("accept_ranges", v),
    "content_encoding": lambda v: setting("content_encoding", v),
    "retry_after": lambda v: response_with(lambda r: r.headers.set("Retry-After", v)),
    "cookie value": lambda v: with_cookie(value=v),
    "cookie path": lambda v: with_cookie(path=v),
    "redirect": lambda v: redirect("/" + v),
    "redirect query": lambda v: redirect("/x?q=" + v),
    "redirect url_for": lambda v: redirect(url_for("view", q=v)),
    "download name": lambda v: send_file(
        io.BytesIO(b"x"), mimetype="text/plain", as_attachment=True, download_name=v
    ),
    "send_file type": lambda v: send_file(io.BytesIO(b"x"), mimetype=v),
    "send_file etag": lambda v: send_file(io.BytesIO(b"x"), mimetype="text/plain", etag=v),
    "abort response": lambda v: abort(make_response("x", 400, {"X-A": v})),
    "session": lambda v: session.__setitem__("k", v) or "x",
    "flash": lambda v: flash(v) or "x",
    "jsonify": lambda v: (jsonify(v), {"X-A": json.dumps(v)}),
}


@pytest.fixture
def answer(app, raw):
    """``answer(function)``: the raw reply to a view that returns what *function* gives."""
    app.secret_key = "k"
    functions = []
    app.add_url_rule("/", "view", lambda: functions[-1]())

    def get(function, **options):
        functions.append(function)
        reply = raw("/", **options)
        functions.append(lambda: "fine")
        assert raw("/").body == b"fine"
        return reply

    return get


def assert_clean(reply, characters):
    for name, value in reply.headers:
        assert not set(name + value) & set(characters), (name, value)
        assert not name.lower().startswith("x-evil")
    assert not set(reply.status) & set(characters)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("breaks", ["\r\n", "\n", "\r"])
def test_a_line_break_never_reaches_a_header(answer, name, breaks):
    """HOSTILE-98, CVE-2020-7695, CVE-2012-2374: quoted, or a 500 without the header.

    CVE-2018-1000164.
    """
    assert_clean(answer(lambda: WRITERS[name](f"a{breaks}X-Evil: 1")), "\r\n")


@pytest.mark.beyond
@pytest.mark.parametrize("name", WRITERS)
def test_a_nul_never_reaches_a_header(answer, name):
    """HOSTILE-99: the same."""
    assert_clean(answer(lambda: WRITERS[name]("a\0b")), "\0")


@pytest.mark.beyond
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("character", ["\x07", "\x1b", "\x7f"])
def test_a_control_character_never_reaches_a_header(answer, name, character):
    """KNOWN-granian-panics: RFC 9110 section 5.5: servers refuse such a header, some by failing."""
    assert_clean(answer(lambda: WRITERS[name](f"a{character}b")), character)


BAD_NAMES = [
    "X\r\nEvil",
    "X\nEvil",
    "X:Evil",
    "X Evil",
    "X\0",
    "Ü-Header",
    "",
    "X\t",
    "(x)",
    "日本",
]


@pytest.mark.beyond
@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_header_name_is_refused_when_set(app, name):
    """HOSTILE-100: ValueError where the mistake is made."""
    with app.test_request_context():
        response = make_response("x")
        with pytest.raises(ValueError, match=r"(?i)header"):
            response.headers[name] = "v"
        with pytest.raises(ValueError, match=r"(?i)header"):
            response.headers.add(name, "v")
        with pytest.raises(ValueError, match=r"(?i)header"):
            make_response("x", 200, {name: "v"})


@pytest.mark.beyond
@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_header_name_never_leaves(answer, name):
    """HOSTILE-100: a 500 with good headers."""
    reply = answer(lambda: ("x", {name: "v"}))
    assert reply.code == 500
    assert all(HEADER_NAME.fullmatch(key) for key, _ in reply.headers)


@pytest.mark.beyond
@pytest.mark.parametrize("name", ["a;b", "a=b", "a b", "", "a,b", "a\r\nb", "ü", 'a"b', "a\tb"])
def test_a_bad_cookie_name_is_refused_when_set(name):
    """HOSTILE-101: RFC 6265 section 4.1.1."""
    with pytest.raises(ValueError, match=r"(?i)cookie|name|key"):
        Response("x").set_cookie(name, "v")


@pytest.mark.beyond
@pytest.mark.parametrize("domain", ["a.test; Path=/x", "a.test;Secure", "a.test\r\nX: y", "a, b"])
def test_a_bad_cookie_domain_is_refused(domain):
    """HOSTILE-102, KNOWN-cookie-attributes-inject: no attribute is injected."""
    with pytest.raises(ValueError, match=r"(?i)domain|cookie|invalid|newline"):
        Response("x").set_cookie("a", "1", domain=domain)


@pytest.mark.parametrize(
    "options",
    [
        {"path": "/x; Secure"},
        {"path": "/; HttpOnly; Domain=evil.test"},
        {"samesite": "Lax; Secure"},
        {"value": "1; Secure"},
        {"value": '1"; Secure'},
        {"value": "1\r\nSet-Cookie: b=2"},
    ],
)
def test_attributes_are_not_injected_into_a_cookie(answer, options):
    """HOSTILE-103, KNOWN-cookie-attributes-inject: quoted or refused."""
    reply = answer(lambda: with_cookie(**options))
    cookies = reply.all("Set-Cookie")
    assert reply.code == 500 or len(cookies) == 1
    for cookie in cookies:
        attributes = {part.strip().split("=")[0].lower() for part in cookie.split(";")[1:]}
        assert attributes <= {"path"}, cookie


@pytest.mark.beyond
@pytest.mark.parametrize("status", ["200 OK\r\nX-Evil: 1", "200 O\nK", "200 O\rK", "200 O\0K"])
def test_a_line_break_in_a_reason_phrase_never_leaves(answer, status):
    """HOSTILE-104, CVE-2025-67724: refused or stripped."""
    for function in (lambda: ("x", status), lambda: Response("x", status=status)):
        reply = answer(function)
        assert not set(reply.status) & set("\r\n\0")
        assert STATUS_LINE.fullmatch(reply.status)


@pytest.mark.beyond
@pytest.mark.parametrize("status", [0, -1, 99, 1000, "abc", 10**30, "", "20", "2000 X", " 200"])
def test_a_status_out_of_range_is_a_500(answer, status):
    """HOSTILE-105: with a valid status line."""
    reply = answer(lambda: ("x", status))
    assert reply.code == 500
    assert STATUS_LINE.fullmatch(reply.status)


@pytest.mark.parametrize(
    "name",
    ['a"b.txt', "a;b.txt", "a\\b.txt", "\u202etxt.exe", "n" * 3000, "a=b", "a,b", "é.txt", "日本.txt",
     "a%0d%0ab", "a'b.txt", "a\tb", "/etc/passwd"],
)  # fmt: skip
def test_a_download_name_is_one_filename(answer, name):
    """HOSTILE-106, CVE-2022-36359: quoted; RFC 5987 for what is not ASCII."""
    from werkzeug.http import parse_options_header

    reply = answer(
        lambda: send_file(
            io.BytesIO(b"x"), mimetype="text/plain", as_attachment=True, download_name=name
        )
    )
    assert reply.code == 200
    (header,) = reply.all("Content-Disposition")
    header.encode("ascii")
    kind, options = parse_options_header(header)
    assert kind == "attachment"
    assert set(options) == {"filename"}
    assert re.findall(r"(?<!\w)filename=", header)[1:] == []


def test_a_download_name_with_a_surrogate_is_no_bad_header(answer):
    """HOSTILE-106: quoted, or a 500."""
    reply = answer(
        lambda: send_file(
            io.BytesIO(b"x"), mimetype="text/plain", as_attachment=True, download_name="a\ud800b"
        )
    )
    for _, value in reply.headers:
        value.encode("latin-1")


@pytest.mark.beyond
@pytest.mark.parametrize(
    "location",
    ["javascript:alert(1)", "JavaScript:alert(1)", " javascript:x", "java\tscript:x", "data:text/html,x",
     "vbscript:x", "\x01javascript:x"],
)  # fmt: skip
def test_a_redirect_to_a_script_is_refused(answer, location):
    """HOSTILE-107: no such Location leaves."""
    reply = answer(lambda: redirect(location))
    found = re.sub(r"[\x00-\x20]|%0[0-9a-f]|%20", "", reply.get("Location") or "", flags=re.I)
    assert not found.lower().startswith(("javascript:", "data:", "vbscript:"))
    assert b'href="javascript' not in reply.body.lower()


def assert_local(location):
    assert urlsplit(location).netloc == "", location
    assert not re.match(r"[/\\]{2}", re.sub(r"[\t\r\n]", "", location)), location


@pytest.mark.parametrize(
    "location", ["/\\evil.test", "\\\\evil.test", "/\n/evil.test", "/\r/evil.test"]
)
def test_a_redirect_with_odd_slashes_stays_local(answer, location):
    """HOSTILE-108, CVE-2021-32618: what browsers take for ``//`` is quoted or refused."""
    reply = answer(lambda: redirect(location))
    if reply.code == 302:
        assert_local(reply.get("Location"))
    else:
        assert reply.code == 500


@pytest.mark.beyond
@pytest.mark.parametrize("location", ["/\t/evil.test", "\t//evil.test", "/\t\\evil.test"])
def test_a_redirect_with_a_tab_stays_local(answer, location):
    """HOSTILE-109, CVE-2023-49438: browsers drop tabs."""
    reply = answer(lambda: redirect(location))
    if reply.code == 302:
        assert_local(reply.get("Location"))
    else:
        assert reply.code == 500


@pytest.mark.parametrize("location", ['/"><script>alert(1)</script>', "/'onclick='x", "/<b>&x"])
def test_the_body_of_a_redirect_is_escaped(answer, location):
    """HOSTILE-110: as text and as attribute."""
    reply = answer(lambda: redirect(location))
    assert reply.code == 302
    assert b"<script" not in reply.body
    assert b"<b>" not in reply.body
    assert b"'onclick" not in reply.body


@pytest.mark.beyond
def test_nosniff_is_on_every_response(app, answer, raw, tmp_path):
    """HOSTILE-111: views, errors, redirects, files; the application's own value is kept."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static/a.txt").write_text("x")
    for reply in (
        answer(lambda: "x"),
        answer(lambda: {"a": 1}),
        answer(lambda: redirect("/")),
        answer(lambda: 1 / 0),
        answer(lambda: Response(iter(["x"]))),
        raw("/none"),
        raw("/", "OPTIONS"),
        raw("/static/a.txt"),
    ):
        assert reply.all("X-Content-Type-Options") == ["nosniff"], reply
    own = answer(lambda: ("x", {"X-Content-Type-Options": "mine"}))
    assert own.all("X-Content-Type-Options") == ["mine"]


def test_no_header_names_the_framework(answer, raw):
    """HOSTILE-112: nor its version."""
    for reply in (answer(lambda: "x"), answer(lambda: 1 / 0), raw("/none")):
        assert reply.all("Server") == []
        assert reply.all("X-Powered-By") == []
        text = str(reply.headers).lower()
        assert not any(word in text for word in ("carboy", "flask", "werkzeug", "python"))
        assert b"Werkzeug" not in reply.body


@pytest.mark.parametrize("value", ["é", "日本", "\U0001f600", "\x80"])
def test_a_header_that_is_not_latin_is_no_broken_reply(answer, value):
    """HOSTILE-98: WSGI carries latin-1 only."""
    reply = answer(lambda: ("x", {"X-A": value}))
    assert reply.code in (200, 500)


def test_lengths_are_counted_in_octets(answer):
    """HOSTILE-97, CVE-2026-34831: and a length of one's own is not believed for HEAD."""
    reply = answer(lambda: "é" * 10)
    assert reply.get("Content-Length") == "20" == str(len(reply.body))


def test_request_data_in_a_header_is_data(app, raw):
    """HOSTILE-98: a decoded query value put into a header."""
    app.add_url_rule("/", "view", lambda: ("x", {"X-Q": request.args["q"]}))
    reply = raw("/", query="q=a%0d%0aX-Evil:%201")
    assert_clean(reply, "\r\n")
    assert reply.code == 500
