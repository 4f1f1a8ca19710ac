"""Bad request targets, paths, queries and methods."""

from __future__ import annotations

import logging
import math
from urllib.parse import urlsplit

import pytest

from carboy import request, url_for
from carboy.views import MethodView

CONTROL = "\0\r\n\x7f\x1b\u0085\u2028\u202e"


@pytest.fixture
def site(app):
    """A rule for every converter; what a view saw is in its JSON answer."""

    def seen(**values):
        return {"endpoint": request.endpoint, "values": {k: str(v) for k, v in values.items()}}

    for endpoint, rule in {
        "index": "/",
        "plain": "/plain",
        "branch": "/branch/",
        "string": "/s/<x>",
        "int": "/i/<int:x>",
        "float": "/f/<float:x>",
        "path": "/p/<path:x>",
        "uuid": "/u/<uuid:x>",
        "any": "/a/<any(one, two):x>",
        "late": "/late/<path:x>/",
    }.items():
        app.add_url_rule(rule, endpoint, seen)
    return app


@pytest.fixture
def send(site, call):
    """One raw request; afterwards a plain one must still be answered."""

    def send(path="/", method="GET", **options):
        reply = call(site, path, method, **options)
        assert call(site, "/plain").code == 200
        return reply

    return send


@pytest.mark.parametrize("path", ["/%", "/%zz", "/%2", "/%u0041", "/s/%zz"])
def test_a_bad_percent_escape_is_data_or_404(site, client, path):
    """HOSTILE-1: never a 500."""
    assert client.get(path).status_code in (200, 404)


@pytest.mark.parametrize("octets", [b"\xff", b"\xc0\xae", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"])
def test_invalid_utf8_in_the_path_becomes_replacement_characters(send, octets):
    """HOSTILE-2: overlong forms and surrogates too."""
    assert send("/" + octets.decode("latin-1")).code == 404
    reply = send("/s/" + octets.decode("latin-1"))
    assert reply.code in (200, 404)
    if reply.code == 200:
        assert b"\\ufffd" in reply.body
        assert b"\\ud8" not in reply.body


@pytest.mark.parametrize("character", CONTROL)
def test_a_control_character_in_the_path_is_data(send, character):
    """HOSTILE-3: or 404; never raw in a header, of a redirect neither."""
    text = f"a{character}X-Evil: 1"
    wire = text.encode().decode("latin-1")
    assert send(f"/s/{wire}").code in (200, 404)
    reply = send(f"/late/{wire}")
    assert reply.code in (200, 308, 404)
    for name, value in reply.headers:
        assert not set(name + value) & set(CONTROL), (name, value)
    assert reply.get("X-Evil") is None


@pytest.mark.beyond
@pytest.mark.parametrize("character", CONTROL)
def test_a_log_line_has_no_raw_control_character(app, raw, caplog, character):
    """HOSTILE-3, HOSTILE-191: of the path of a failing request."""
    app.before_request(lambda: 1 / 0)
    wire = f"/a{character}forged line".encode().decode("latin-1")
    with caplog.at_level(logging.ERROR):
        assert raw(wire).code == 500
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1
    assert "forged line" in messages[0]
    assert not set(messages[0]) & set(CONTROL)


@pytest.mark.parametrize("path", ["*", "", ".", "..", "//", "///", "/;a=b", "/.", "/..", "?", "#"])
def test_odd_targets_are_answered(send, path):
    """HOSTILE-4: 200, 404 or a redirect."""
    assert send(path).code in (200, 308, 404)


@pytest.mark.parametrize("path", ["@evil.test", "evil.test:80", "\\evil.test", "http://evil.test/"])
def test_a_target_without_a_slash_does_not_move_the_host(app, raw, path):
    """HOSTILE-5, CVE-2026-54282: ``request.url`` keeps the Host header's host."""
    seen = []
    app.before_request(lambda: seen.extend([request.url, request.base_url, request.url_root]))
    assert raw(path).code in (400, 404)
    for url in seen:
        assert urlsplit(url).hostname == "localhost", url


def test_a_very_long_path_is_404(send, within_cpu_seconds):
    """HOSTILE-6: 100 000 segments, one segment of a megabyte."""
    with within_cpu_seconds():
        assert send("/a" * 100_000).code in (404, 414)
        assert send("/" + "a" * 1_000_000).code in (404, 414)
        assert send("/i/" + "a/" * 100_000).code in (404, 414)


@pytest.mark.parametrize(
    ("query", "key", "value"),
    [
        ("%ff=%ff&ok=1", "%FF", "%FF"),
        ("=&ok=1", "", ""),
        ("&&&ok=1", "ok", "1"),
        ("a&ok=1", "a", ""),
        ("a=%&ok=1", "a", "%"),
        ("a=%zz&ok=1", "a", "%zz"),
    ],
)
def test_an_odd_query_keeps_its_pairs(app, raw, query, key, value):
    """HOSTILE-7: what cannot be decoded stays as it is, other pairs too."""
    seen = {}
    app.add_url_rule("/", "view", lambda: seen.update(request.args.to_dict()) or "")
    assert raw("/", query=query).code == 200
    assert seen["ok"] == "1"
    assert seen[key] == value


def test_a_surrogate_in_the_query_is_not_decoded(app, raw):
    """HOSTILE-7: the text can be encoded again."""
    app.add_url_rule("/", "view", lambda: request.args["a"])
    reply = raw("/", query="a=%ed%a0%80")
    assert (reply.code, reply.body) == (200, b"%ED%A0%80")


@pytest.mark.beyond
@pytest.mark.parametrize("octets", [b"a=\xff", b"\xff=\xfe", b"\xed\xa0\x80"])
def test_raw_octets_in_the_query_are_no_500(app, raw, octets):
    """HOSTILE-8: 200 or 400 from ``request.url`` and its siblings."""
    names = ["url", "full_path", "args", "query_string", "base_url"]
    app.add_url_rule("/", "view", lambda: "".join(str(getattr(request, n)) for n in names))
    assert raw("/", query=octets.decode("latin-1")).code in (200, 400)


def test_a_semicolon_does_not_separate_pairs(app, raw):
    """HOSTILE-9, CVE-2021-23336: one key."""
    app.add_url_rule("/", "view", lambda: request.args.to_dict())
    assert raw("/", query="a=1;b=2").body == b'{"a":"1;b=2"}\n'


def test_repeated_keys_keep_their_order(app, raw):
    """HOSTILE-10: all of them."""
    app.add_url_rule("/", "view", lambda: request.args.to_dict(flat=False))
    assert raw("/", query="a=1&b=0&a=2&a=1").body == b'{"a":["1","2","1"],"b":["0"]}\n'


def test_an_int_of_5000_digits_is_404(send):
    """HOSTILE-11: beyond what Python converts."""
    assert send("/i/" + "9" * 5000).code == 404
    assert send("/i/" + "9" * 4000).code in (200, 404)


@pytest.mark.beyond
@pytest.mark.parametrize("digits", ["\u0661\u0662", "\uff11\uff12", "\u0967\u0968", "\u00b2"])
@pytest.mark.parametrize("kind", ["i", "f"])
def test_digits_are_ascii_digits(send, digits, kind):
    """HOSTILE-12: a proxy's rule for the path sees other text."""
    text = digits if kind == "i" else f"{digits}.5"
    assert send(f"/{kind}/" + text.encode().decode("latin-1")).code == 404


@pytest.mark.parametrize("text", ["+1", "-1", "1_0", "0x1", " 1", "1 ", "1.", "1e5", ""])
def test_an_int_has_digits_only(send, text):
    """HOSTILE-13: whatever Python's int() takes."""
    assert send(f"/i/{text}").code == 404


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "NaN", "1e400", "1_0.5", " 1.5", "+1.5"])
def test_a_float_is_digits_dot_digits(send, text):
    """HOSTILE-14: nothing else that float() takes."""
    assert send(f"/f/{text}").code == 404


def test_a_float_of_400_digits_is_no_500(app, raw):
    """HOSTILE-14: a finite number, infinity or 404."""
    seen = []
    app.add_url_rule("/f/<float:x>", "float", lambda x: seen.append(x) or "")
    assert raw(f"/f/{'9' * 400}.5").code in (200, 404)
    assert all(not math.isnan(x) for x in seen)


@pytest.mark.parametrize(
    "path",
    ["/plain\n", "/i/5\n", "/f/1.5\n", "/a/one\n", "/u/12345678-1234-5678-1234-567812345678\n"],
)
def test_a_final_newline_is_part_of_the_path(send, path):
    """HOSTILE-15, CVE-2021-44420: 404; ``$`` does not match before it."""
    assert send(path.rstrip("\n")).code == 200
    assert send(path).code == 404


@pytest.mark.parametrize("kind", ["s", "i", "f", "p", "u", "a", "late"])
@pytest.mark.parametrize("unit", ["9", "a-", "1.", "%", "/a", "//", "\n", "\xff", "one,"])
def test_hostile_units_against_each_converter(send, within_cpu_seconds, kind, unit):
    """HOSTILE-16: 20 000 of them take no time to speak of."""
    with within_cpu_seconds():
        reply = send(f"/{kind}/{unit * 20_000}")
        assert reply.code in (200, 308, 404, 414)
        reply = send(f"/{kind}/{unit * 20_000}!")
        assert reply.code in (200, 308, 404, 414)


def test_the_method_is_not_overridden_by_data(app, client):
    """HOSTILE-17: neither by a header nor by a form field."""
    app.add_url_rule("/", "view", lambda: request.method, methods=["GET", "POST", "DELETE"])
    headers = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"}
    assert client.post("/?_method=DELETE", data={"_method": "DELETE"}, headers=headers).text == (
        "POST"
    )


@pytest.mark.parametrize(
    "method", ["", "BREW", "X" * 5000, "\xc9", "GE T", "GET\n", "TRACE", "CONNECT", "*", "GET/1"]
)
def test_odd_methods_are_refused(send, method):
    """HOSTILE-18: with a correct Allow."""
    reply = send("/plain", method)
    assert reply.code in (400, 405, 501)
    if reply.code == 405:
        assert set(reply.get("Allow").split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.beyond
@pytest.mark.parametrize("method", ["get", "Get", "head", "options", "gEt"])
def test_methods_have_a_case(send, method):
    """HOSTILE-19: RFC 9110 section 9.1; a proxy's rule for GET does not see ``get``."""
    assert send("/plain", method).code in (405, 501)


@pytest.mark.parametrize(
    "method", ["DISPATCH_REQUEST", "__INIT__", "HELPER", "AS_VIEW", "METHODS", "DECORATORS"]
)
def test_a_method_view_has_no_other_methods(app, raw, method):
    """HOSTILE-20, CVE-2026-48817: an attribute is never taken for a handler."""
    reached = []

    class Page(MethodView):
        def get(self):
            return "x"

        def helper(self):
            reached.append(1)
            return "never"

    app.add_url_rule("/", view_func=Page.as_view("page"))
    reply = raw("/", method)
    assert reply.code in (405, 501)
    assert reached == []
    assert raw("/").code == 200


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/x",
        "///evil.example/x",
        "//evil.example//x//",
        "/\\evil.example/x",
        "\\\\evil.example/x",
        "/\t/evil.example/x",
        "//evil.example/%2f..",
        "/\r\n/evil.example/x",
        "//localhost@evil.example/x",
    ],
)
def test_a_routing_redirect_stays_on_this_host(app, raw, path):
    """HOSTILE-21, CVE-2020-28724: for merged and for appended slashes."""
    app.add_url_rule("/<path:rest>/", "any", lambda rest: "x")
    app.add_url_rule("/evil.example/x/", "x", lambda: "x")
    reply = raw(path)
    for _ in range(3):
        if reply.code != 308:
            break
        location = reply.get("Location")
        assert location.startswith("http://localhost/"), location
        after = location.removeprefix("http://localhost")
        assert not after.startswith(("//", "/\\")), location
        assert not set(location) & set("\r\n\t\\"), location
        reply = raw(urlsplit(location).path)
    assert reply.code in (200, 308, 404)


@pytest.mark.parametrize("value", ["/evil.test", "//evil.test", "///evil.test", "/\\evil.test"])
def test_a_built_url_is_not_scheme_relative(app, value):
    """HOSTILE-22: for a path that is the whole rule."""
    app.add_url_rule("/<path:p>", "p", lambda p: "")
    with app.test_request_context():
        built = url_for("p", p=value)
    assert built.startswith("/")
    assert not built.startswith(("//", "/\\"))
    assert urlsplit(built).netloc == ""


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\u2028", "\\", " ", "\t"])
def test_built_urls_quote_odd_characters(app, character):
    """HOSTILE-23: in values, query and anchor."""
    app.add_url_rule("/<x>", "view", lambda x: "")
    with app.test_request_context():
        built = url_for("view", x=f"a{character}b", q=f"a{character}b", _anchor=f"a{character}b")
    assert character not in built
    assert built.startswith("/a%")


@pytest.mark.parametrize(
    "key",
    [
        "PATH_INFO",
        "HTTP_HOST",
        "QUERY_STRING",
        "SCRIPT_NAME",
        "REMOTE_ADDR",
        "SERVER_PROTOCOL",
        "wsgi.multithread",
        "wsgi.run_once",
    ],
)
def test_a_missing_optional_key_has_a_default(app, raw, key):
    """HOSTILE-24: no 500 from any of the usual attributes."""
    names = [
        "method",
        "path",
        "url",
        "host",
        "args",
        "form",
        "data",
        "cookies",
        "remote_addr",
        "full_path",
        "url_root",
    ]

    @app.route("/")
    def view():
        return {name: str(getattr(request, name)) for name in names}

    assert raw("/", remove=(key,)).code == 200


@pytest.mark.beyond
@pytest.mark.parametrize("query", ["a\rb", "a\nb", "a\0b", "\x1b[2J"])
def test_a_slash_redirect_quotes_control_characters_of_the_query(app, raw, query):
    """A server that lets them through would otherwise cause a 500, or a broken header."""
    app.add_url_rule("/there/", "there", lambda: "there")
    reply = raw("/there", query=query)
    assert reply.code == 308
    assert reply.get("Location").isprintable()
