"""Bad request headers."""

from __future__ import annotations

import io
import zlib
from urllib.parse import urlsplit

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from carboy import redirect, request, url_for

ATTRIBUTES = [
    "accept_mimetypes",
    "accept_charsets",
    "accept_encodings",
    "accept_languages",
    "authorization",
    "cache_control",
    "if_match",
    "if_none_match",
    "if_modified_since",
    "if_unmodified_since",
    "if_range",
    "range",
    "cookies",
    "content_type",
    "content_length",
    "content_encoding",
    "content_md5",
    "mimetype",
    "mimetype_params",
    "date",
    "max_forwards",
    "referrer",
    "origin",
    "user_agent",
    "access_route",
    "is_json",
    "remote_addr",
    "remote_user",
    "host",
    "url",
    "base_url",
    "url_root",
    "host_url",
    "root_url",
    "pragma",
    "access_control_request_headers",
    "access_control_request_method",
    "args",
    "values",
    "form",
]


@pytest.fixture
def site(app):
    """A view that looks at everything that is parsed from headers."""
    app.testing = True  # an error of the parsers must be seen here, not as a 500

    @app.route("/", methods=["GET", "POST"])
    def look():
        for name in ATTRIBUTES:
            getattr(request, name)
        request.accept_mimetypes.best_match(["text/html", "application/json"])
        request.accept_languages.best_match(["de", "en"])
        str(request.if_none_match.contains("x"))
        return "seen"

    @app.route("/f")
    def file():
        from carboy import send_file

        return send_file(io.BytesIO(b"0123456789"), mimetype="text/plain", etag="x")

    return app


@pytest.fixture
def send(site, call):
    def send(path="/", **options):
        reply = call(site, path, **options)
        assert call(site, "/").body == b"seen"
        return reply

    return send


MALFORMED = {
    "Accept": ["", ",", ";", ";q=", "a/b;q=2", "a/b;q=-1", "a/b;q=nan", "*", "a", "/", "a/b;;;", '"'],
    "Accept-Language": ["", "-", "de-", ";q=1", "*-x", "de;q=1e400", "a" * 300],
    "Accept-Encoding": ["", ",,,", "gzip;q=x", "\xff"],
    "Accept-Charset": ["utf-8;q=", "\0"],
    "Authorization": [
        "", "Basic", "Basic ", "Basic !!!", "Basic YQ==", "Basic /w==", "Bearer", "Digest",
        'Digest a="', "Digest =,=", "  ", "\xff \xff", "Basic " + "A" * 4001, "Negotiate a b c",
    ],
    "Cache-Control": ["", "max-age", "max-age=x", "max-age=99999999999999999999", "=,=", '"', "a=b=c"],
    "If-None-Match": ["", "W/", '"', 'W/"', "*,*", 'W/"a', "a b c", ","],
    "If-Match": ["", '"', "**", 'w/"x"'],
    "If-Modified-Since": ["", "x", "99", "Mon, 99 Foo 9999", "Sun, 06 Nov 1994 08:49:37 +9999", "0"],
    "If-Unmodified-Since": ["yesterday", "Sun, 06 Nov 0000 00:00:00 GMT"],
    "If-Range": ["", '"', "Sun", "W/"],
    "Range": ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-1", "bytes=--1", "x=1-2",
              "bytes=1-2,", "bytes=-0", "bytes=1-2-3", "bytes=" + "9" * 5000 + "-"],
    "Cookie": ["", ";", "=", "=;=", "a", "a=;b", '"', 'a="', 'a="\\', "a=\xff", ";;;;", "a==b", "\0=\0"],
    "Content-Type": ["", ";", "/", "a/b;", "a/b;=", 'a/b;x="', "a/b;charset=nope", "multipart/", "\xff"],
    "Content-Encoding": ["nope", ","],
    "Content-Md5": ["\xff"],
    "Date": ["", "x", "Sun, 06 Nov 1994", "1"],
    "Referer": ["", "javascript:x", "//", "\xff", "http://["],
    "Origin": ["", "null", "http://[", "\xff"],
    "Forwarded": ["for=", "for=;", '"', "for=\xff"],
    "Max-Forwards": ["", "x", "-1", "9" * 5000, "1.5"],
    "X-Forwarded-For": ["", ",", "x" * 3000, "\xff"],
    "Pragma": ["", '"'],
    "Access-Control-Request-Headers": ["", ",", '"'],
}  # fmt: skip
PAIRS = [(name, value) for name, values in MALFORMED.items() for value in values]


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_a_malformed_header_is_empty_or_none(send, number):
    """HOSTILE-25: nothing raises; the view sees None or nothing."""
    name, value = PAIRS[number]
    reply = send(headers={name: value})
    assert reply.code == 200
    assert reply.body == b"seen"


@pytest.mark.parametrize("value", MALFORMED["Range"] + MALFORMED["If-Range"])
def test_a_malformed_range_of_a_file_is_ignored_or_416(send, value):
    """HOSTILE-25: the whole file, a part of it, or 416."""
    reply = send("/f", headers={"Range": value, "If-Range": value})
    assert reply.code in (200, 206, 416)


@pytest.mark.beyond
@pytest.mark.parametrize(
    "date",
    [
        "Sun, 99999999999999999999 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        "Sun, 06 Nov 1994 99999999999999999999:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +99999999999999999999",
        "Sun, 2147483648 Nov 1994 08:49:37 GMT",
    ],
)
@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since", "If-Range", "Date"])
def test_a_date_out_of_range_is_none(send, name, date):
    """HOSTILE-26: days and years beyond a C int."""
    assert send(headers={name: date}).body == b"seen"
    assert send("/f", headers={name: date, "Range": "bytes=0-1"}).code in (200, 206)


UNITS = [";", '"\\', "a=b;", ",", ";q=", 'W/"', "0-0,", "(", "\xff", "a/b,", "=", "\\", " ", 'a="']


LONG = [
    "Accept", "Accept-Language", "Authorization", "Cache-Control", "If-None-Match", "If-Range",
    "Range", "Cookie", "Content-Type", "Date", "X-Forwarded-For", "User-Agent", "Content-Length",
]  # fmt: skip


@pytest.mark.beyond
@pytest.mark.parametrize("value", ["Basic \xff", "Basic \xc3\xa9", "Basic " + "\xff" * 65536])
def test_basic_credentials_that_are_not_ascii_are_none(send, value):
    """HOSTILE-25: no ValueError from the decoder."""
    assert send(headers={"Authorization": value}).code == 200


@pytest.mark.parametrize(
    ("name", "unit"),
    [(n, u) for n in LONG for u in UNITS if (n, u) != ("Authorization", "\xff")],
)
def test_64_kilobytes_of_a_hostile_unit(send, within_cpu_seconds, name, unit):
    """HOSTILE-27, CVE-2024-24762, CVE-2024-52804, CVE-2024-39316: no quadratic parser, no 500."""
    value = unit * (65536 // len(unit))
    with within_cpu_seconds():
        assert send(headers={name: value}).code in (200, 400)
        if name in ("Authorization", "Range", "Content-Type"):
            start = {"Authorization": "Basic ", "Range": "bytes=", "Content-Type": "a/b;"}[name]
            assert send(headers={name: start + value}).code in (200, 400)


def test_thousands_of_cookies_and_headers(send, within_cpu_seconds):
    """HOSTILE-28: 10 000 cookies, 5000 headers."""
    with within_cpu_seconds():
        assert send(headers={"Cookie": "; ".join(f"n{n}=v" for n in range(10_000))}).code == 200
        assert send(headers={f"X-Header-{n}": "v" for n in range(5000)}).code == 200


@pytest.mark.parametrize("cookie", ["=__Host-session=bad", "=__Host-session=bad; a=1", "==a=b"])
def test_a_nameless_cookie_never_gets_a_name(app, raw, cookie):
    """HOSTILE-29, CVE-2023-23934: ``__Host-session`` is not made of it."""
    app.add_url_rule("/", "view", lambda: dict(request.cookies))
    reply = raw("/", headers={"Cookie": cookie})
    assert b'__Host-session":' not in reply.body
    assert b'"a":"b' not in reply.body


def test_duplicate_cookies_keep_their_order(app, raw):
    """HOSTILE-30: the first wins, both can be reached."""
    app.add_url_rule("/", "view", lambda: [request.cookies["a"], request.cookies.getlist("a")])
    reply = raw("/", headers={"Cookie": "a=1; b=x; a=2"})
    assert reply.body == b'["1",["1","2"]]\n'


def test_forwarding_headers_are_ignored(app, raw):
    """HOSTILE-31: unless a middleware that the application adds trusts them."""

    @app.route("/")
    def view():
        return [request.remote_addr, request.url, request.scheme, url_for("view", _external=True)]

    plain = raw("/").body
    for name in [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "Forwarded",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Client-IP",
        "X-Forwarded-Scheme",
    ]:
        for value in ("https", "evil.test", "10.9.9.9", "/admin", "for=10.9.9.9;proto=https"):
            assert raw("/", headers={name: value}).body == plain, (name, value)


@pytest.fixture
def proxied(app, raw):
    """``proxied(headers)``: address, scheme and host behind ``ProxyFix`` with one hop."""
    app.add_url_rule(
        "/", "view", lambda: [request.remote_addr, request.scheme, request.host, request.root_path]
    )
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)
    import json

    def ask(**headers):
        named = {f"X-Forwarded-{name.title()}": value for name, value in headers.items()}
        reply = raw("/", headers=named)
        return json.loads(reply.body) if reply.code == 200 else reply.code

    return ask


def test_proxy_fix_takes_the_rightmost_entry(proxied):
    """HOSTILE-32, DEPL-03: what a client put in front is not believed."""
    found = proxied(
        **{"for": "6.6.6.6, 10.0.0.1", "proto": "http, https", "host": "evil.test, shop.test"},
        prefix="/evil, /shop",
    )
    assert found == ["10.0.0.1", "https", "shop.test", "/shop"]


def test_proxy_fix_with_fewer_entries_than_hops_trusts_none(app, call):
    """HOSTILE-32: two hops expected, one entry there."""
    app.add_url_rule("/", "view", lambda: str(request.remote_addr))
    wrapped = ProxyFix(app, x_for=2)
    assert call(wrapped, "/", headers={"X-Forwarded-For": "6.6.6.6"}).body == b"127.0.0.1"
    two = {"X-Forwarded-For": "6.6.6.6, 10.0.0.1, 10.0.0.2"}
    assert call(wrapped, "/", headers=two).body == b"10.0.0.1"


@pytest.mark.parametrize("value", ["", ",", "javascript", "x" * 3000, "https,", "\xff", "a b"])
def test_an_odd_forwarded_scheme_is_no_500(proxied, value):
    """HOSTILE-33: a list of nothing leaves the scheme."""
    found = proxied(proto=value)
    assert found == 400 or isinstance(found, list)


HOSTS = [
    "evil.test/path",
    "evil.test?x=",
    "evil.test#",
    "evil test",
    "user@evil.test",
    "evil\\test",
    "<evil>",
    "a.test,b.test",
    "a:1:2",
    "a:port",
    "a:99999999",
    "[::1",
    "localhost/admin?x=",
    "\xff",
    "a\tb",
]


@pytest.mark.parametrize("host", HOSTS)
def test_an_odd_host_moves_no_part_of_a_url(app, raw, host):
    """HOSTILE-34, CVE-2026-48710: path and query of every URL stay the request's."""
    seen = []

    @app.route("/the-path/")
    def view():
        seen.append(request.url)
        seen.append(url_for("view", _external=True))
        return "x"

    app.add_url_rule("/away", "away", lambda: redirect("/login"))
    assert raw("/the-path/", query="q=1", headers={"Host": host}).code in (200, 400)
    for url in seen:
        parts = urlsplit(url)
        assert parts.path == "/the-path/", url
        assert parts.query in ("", "q=1"), url
    moved = raw("/the-path", headers={"Host": host})
    assert moved.code in (308, 400)
    if moved.code == 308:
        assert urlsplit(moved.get("Location")).path == "/the-path/"
    assert raw("/away", headers={"Host": host}).get("Location") in ("/login", None)


@pytest.mark.beyond
@pytest.mark.parametrize("host", [*HOSTS, "a..b/", ":80", "a b:80"])
def test_an_invalid_host_is_a_400(app, raw, host):
    """HOSTILE-35: RFC 9112 section 3.2."""
    app.add_url_rule("/", "view", lambda: request.host)
    assert raw("/", headers={"Host": host}).code == 400


@pytest.mark.parametrize(
    "host",
    ["shop.test", "SHOP.test:8080", "127.0.0.1:5000", "[::1]:5000", "a-b.c-d.test", "shop.test."],
)
def test_a_valid_host_is_served(app, raw, host):
    """HOSTILE-35: names, addresses, ports."""
    app.add_url_rule("/", "view", lambda: request.host)
    reply = raw("/", headers={"Host": host})
    assert reply.code == 200
    assert reply.body.decode().lower() == host.lower()


@pytest.mark.parametrize(
    "host",
    [
        "shop.test.evil.test",
        "evilshop.test",
        "shop.test@evil.test",
        "shop.test,evil.test",
        "evil.test,shop.test",
        "shop.test/evil",
        "ѕhop.test",  # noqa: RUF001
        "xn--hop-9wd.test",
        "shop.test evil.test",
        "",
    ],
)
def test_trusted_hosts_refuse_look_alikes(app, raw, host):
    """HOSTILE-37, CVE-2016-9014: suffix, prefix, userinfo, list, IDN."""
    app.config["TRUSTED_HOSTS"] = ["shop.test", ".sub.shop.test"]
    app.add_url_rule("/", "view", lambda: "x")
    wire = host.encode().decode("latin-1")
    assert raw("/", headers={"Host": wire}).code == 400
    assert raw("/", headers={"Host": "shop.test"}).code == 200


@pytest.mark.beyond
@pytest.mark.parametrize(
    ("trusted", "host"),
    [("shop.test", "Shop.TEST"), ("Shop.Test", "shop.test"), (".SHOP.test", "a.shop.TEST")],
)
def test_trusted_hosts_have_no_case(app, raw, trusted, host):
    """HOSTILE-38: as host names have none."""
    app.config["TRUSTED_HOSTS"] = [trusted]
    app.add_url_rule("/", "view", lambda: "x")
    assert raw("/", headers={"Host": host}).code == 200


def test_a_forwarded_host_is_checked_too(app, call):
    """HOSTILE-39: TRUSTED_HOSTS applies to what ProxyFix sets."""
    app.config["TRUSTED_HOSTS"] = ["shop.test"]
    app.add_url_rule("/", "view", lambda: request.host)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)
    good = {"Host": "inner", "X-Forwarded-Host": "shop.test"}
    bad = {"Host": "shop.test", "X-Forwarded-Host": "evil.test"}
    assert call(app, "/", headers=good).code == 200
    assert call(app, "/", headers=bad).code == 400


def test_a_compressed_body_is_not_inflated(app, raw, peak_memory):
    """HOSTILE-42: 50 MB of zeros in 50 kB stay 50 kB."""
    packed = zlib.compress(bytes(50_000_000), 9)
    app.add_url_rule("/", "view", lambda: str(len(request.get_data())), methods=["POST"])
    raw("/", "POST", body=b"x")
    with peak_memory() as peak:
        reply = raw("/", "POST", body=packed, headers={"Content-Encoding": "deflate"})
    assert reply.body == str(len(packed)).encode()
    assert peak.bytes < 2_000_000


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "text/x;json"],
)
def test_json_of_a_cors_simple_type_is_not_read(app, raw, kind):
    """HOSTILE-43, CVE-2021-32677: 415, so that a foreign page cannot post it."""
    app.add_url_rule("/", "view", lambda: {"got": request.get_json()}, methods=["POST"])
    assert raw("/", "POST", body=b'{"a":1}', headers={"Content-Type": kind}).code == 415
