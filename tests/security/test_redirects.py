"""Redirects to where a client asked for: whatever is accepted stays on the site, in a browser."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy import Carboy, request
from carboy.security import safe_redirect, url_has_allowed_host

pytestmark = pytest.mark.beyond

HOST = "localhost"

#: CVE-2021-32618, CVE-2023-49438, CVE-2021-23401, CVE-2021-32805, CVE-2018-14574, CVE-2017-7233.
ATTACKS = [
    "",
    "https://evil.test",
    "http://evil.test/",
    "HTTPS://EVIL.TEST",
    "//evil.test",
    "///evil.test",
    "////evil.test",
    "/\\evil.test",
    "\\/evil.test",
    "\\\\evil.test",
    "/\\/evil.test",
    "/\t/evil.test",
    "/\n/evil.test",
    "/\r\n/evil.test",
    "\t//evil.test",
    " //evil.test",
    "\x00//evil.test",
    "\x0b//evil.test",
    "\x1f//evil.test",
    "\u00a0//evil.test",
    "\u3000//evil.test",
    "\ufeff//evil.test",
    "/\ufeff/evil.test",
    "\u200e//evil.test",
    "/\u2028/evil.test",
    "ht\ntps://evil.test",
    "https:evil.test",
    "https:/evil.test",
    "https:///evil.test",
    "https:\\\\evil.test",
    "https://localhost@evil.test",
    "https://localhost:x@evil.test",
    "https://user@localhost",
    "//localhost@evil.test",
    "https://localhost\\@evil.test",
    "https://localhost\\.evil.test",
    "https://localhost.evil.test",
    "https://evil.test#localhost",
    "https://evil.test?localhost",
    "https://evil.test/localhost",
    "https://evil-localhost",
    "https://localhost%2eevil.test",
    "https://localhost%00.evil.test",
    "https://localhost\u3002evil.test",
    "https://localhost\uff0eevil.test",
    "https://evil.test\uff0flocalhost",
    "https://localho\u017ft",
    "https://\uff4cocalhost",
    "https://localhost:8080",
    "https://localhost:",
    "https://localhost:443:443",
    "https://localhost:999999",
    "http:999999999",
    "https:1029415385",
    "ftp:9999999999",
    "https://localhost.",
    "https://[::1]",
    "https://2130706433",
    "https://[localhost]",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\nscript:alert(1)",
    " javascript:alert(1)",
    "javascript://localhost/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "ftp://localhost",
    "file:///etc/passwd",
    "mailto:x@localhost",
    "evil.test",
    "evil.test/path",
    "localhost",
    "@evil.test",
    ":80",
    "?next",
    "#top",
    ".",
    "../x",
    "/" + "a" * 5000,
]

GOOD = [
    "/",
    "/path",
    "/path/to?query=1&next=//evil.test#part",
    "/path//double",
    "/%5cevil.test",
    "/%2f/evil.test",
    "/@evil.test",
    "/caf\u00e9?q=a b",
    "/:80",
    "/.//evil.test",
    "http://localhost",
    "https://localhost/",
    "https://LOCALHOST/path?x",
    "https://localhost:443/",
    "http://localhost:80/",
    "//localhost/path",
    "https://localhost?x",
    "https://localhost#x",
]


def browser_host(base: str, location: str) -> str | None:
    """The host that a browser would ask next (WHATWG URL standard, sections 4.1 and 4.4)."""
    location = re.sub(r"^[\x00-\x20]+|[\x00-\x20]+$", "", location)
    location = re.sub(r"[\t\r\n]", "", location)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", location)
    if scheme is not None and scheme[1].lower() not in ("http", "https"):
        return None
    rest = location[scheme.end() :] if scheme else location
    head = re.match(r"[^?#]*", rest)
    assert head is not None
    rest = head[0].replace("\\", "/") + rest[head.end() :]
    if scheme is not None or rest.startswith("//"):
        return urlsplit("http://" + rest.lstrip("/")).hostname
    return urlsplit(urljoin(base, rest)).hostname


def location_of(target: str) -> str:
    """The Location header that a redirect to ``target`` sends."""
    app = Carboy("redirecting")
    app.add_url_rule("/", view_func=lambda: safe_redirect(request.environ["target"], "/home"))
    environ = {"target": target}
    return app.test_client().get("/", environ_base=environ).headers["Location"]


@pytest.mark.parametrize("target", ATTACKS, ids=ascii)
def test_an_address_elsewhere_is_refused(target: str) -> None:
    """No spelling of another host, or of a script, is taken for this one's.

    HOSTILE-107 to HOSTILE-109, CVE-2021-23401, CVE-2021-32805, CVE-2017-7233.
    """
    assert not url_has_allowed_host(target, HOST)
    assert location_of(target) == "/home"


@pytest.mark.parametrize("target", GOOD, ids=ascii)
def test_an_address_on_this_host_is_accepted(target: str) -> None:
    """Paths, and whole addresses with the host's own name and port; the browser agrees."""
    assert url_has_allowed_host(target, HOST)
    sent = location_of(target)
    assert browser_host("http://localhost/", sent) == "localhost"
    assert sent != "/home"


PIECES = st.sampled_from(
    [
        *"/\\:@?#.%[] \t\n\r\x00\x0b\x7f",
        "//",
        "http",
        "https",
        "javascript",
        "localhost",
        "evil.test",
        "%2f",
        "%5c",
        "%0a",
        "\u3002",
        "\uff0f",
        "\u00ad",
        "\u2028",
        "\ufeff",
        "x",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40))
def test_what_is_accepted_stays(target: str) -> None:
    """Property: for any text, a browser that follows the redirect asks this host again."""
    if url_has_allowed_host(target, HOST):
        assert browser_host("http://localhost/at/here", target) == "localhost"


def test_none_is_refused() -> None:
    """A missing parameter leads to the fallback."""
    assert not url_has_allowed_host(None, HOST)


@pytest.mark.parametrize(
    ("hosts", "target", "allowed"),
    [
        (["a.test", "b.test"], "https://b.test/", True),
        (["a.test", "b.test"], "https://c.test/", False),
        ([".a.test"], "https://x.y.a.test/", True),
        ([".a.test"], "https://a.test/", True),
        ([".a.test"], "https://xa.test/", False),
        (["a.test"], "https://x.a.test/", False),
        (["a.test:8000"], "https://a.test:8000/", True),
        (["a.test:8000"], "https://a.test/", False),
        (["[::1]:8000"], "http://[::1]:8000/", True),
        ([], "https://a.test/", False),
        ([], "/path", True),
        (["*"], "https://a.test/", False),
        ([""], "https://a.test/", False),
        (["."], "https://a.test/", False),
    ],
)
def test_hosts_can_be_named(hosts: list[str], target: str, allowed: bool) -> None:
    """Exactly, with port, or with all that is below by a leading dot; nothing means any host."""
    assert url_has_allowed_host(target, hosts) is allowed


def test_https_can_be_required() -> None:
    """A visitor who came encrypted is not sent away in the clear."""
    assert url_has_allowed_host("http://localhost/", HOST)
    assert not url_has_allowed_host("http://localhost/", HOST, require_https=True)
    assert url_has_allowed_host("//localhost/", HOST, require_https=True)
    app = Carboy("redirecting")
    app.add_url_rule("/", view_func=lambda: safe_redirect("http://localhost/x", "/home"))
    assert app.test_client().get("/").location == "http://localhost/x"
    assert app.test_client().get("/", base_url="https://localhost").location == "/home"


def test_the_requests_host_is_the_default(app: Any) -> None:
    """Without hosts the current request's own counts, with its port."""
    with app.test_request_context(base_url="http://site.test:8000"):
        assert url_has_allowed_host("http://site.test:8000/x")
        assert not url_has_allowed_host("http://site.test/x")
        assert not url_has_allowed_host("http://localhost/x")


def test_the_code_and_hosts_are_passed_on(app: Any) -> None:
    """safe_redirect takes further hosts and another status."""
    with app.test_request_context():
        response = safe_redirect("https://b.test/x", hosts=["b.test"], code=303)
        assert (response.status_code, response.location) == (303, "https://b.test/x")


@pytest.mark.parametrize(
    "unit", ["/", "\\", "//", "https://", "@", ":", "[", ".", "a.", "%2f", "\t"]
)
def test_long_addresses_cost_no_time(unit: str) -> None:
    """No pattern here goes back and forth: 20 000 units are decided at once."""
    before = time.process_time()
    for prefix in ("", "/", "//", "https://"):
        url_has_allowed_host(prefix + unit * (4000 // len(unit)), HOST)
        url_has_allowed_host(prefix + unit * 20_000, HOST)
    assert time.process_time() - before < 1.5
