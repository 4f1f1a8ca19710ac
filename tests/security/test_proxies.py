"""Trusted proxies, attacked: nobody but they decides who the client is."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy import Carboy, request
from carboy.check import Subject
from carboy.security import TrustedProxies
from carboy.security.proxies import parse_forwarded

pytestmark = pytest.mark.beyond

PROXY = "10.0.0.1"
NETWORKS = ["10.0.0.0/8", "2001:db8::/32"]


def make_app(proxies: Any = tuple(NETWORKS), **options: Any) -> Carboy:
    app = Carboy("proxied")

    @app.get("/")
    def index() -> dict[str, Any]:
        return {
            "client": request.remote_addr,
            "route": list(request.access_route),
            "scheme": request.scheme,
            "host": request.host,
            "told": sorted(k for k in request.environ if "FORWARDED" in k or "REAL_IP" in k),
        }

    TrustedProxies(app, proxies, **options)
    return app


def ask(app: Carboy, peer: str = PROXY, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    client = app.test_client()
    return client.get("/", headers=sent, environ_base={"REMOTE_ADDR": peer}).json


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),  # the client wrote the first itself
        ("10.9.9.9, 203.0.113.7", "203.0.113.7"),  # even an address of a proxy
        ("203.0.113.7, 10.0.0.2", "203.0.113.7"),  # two proxies
        ("1.1.1.1, 203.0.113.7, 10.0.0.3, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),  # a client inside of the network
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:db9::7", "2001:db9::7"),
        ("[2001:db9::7]:4711", "2001:db9::7"),
        ("203.0.113.7, 2001:db8::2", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("nonsense", PROXY),
        ("203.0.113.7, nonsense", PROXY),
        ("203.0.113.7, nonsense, 10.0.0.2", "10.0.0.2"),
        ("203.0.113.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("010.1.1.1", PROXY),
        ("203.0.113.7:x", PROXY),
        ("[2001:db9::7", PROXY),
        ("[2001:db9::7]x", PROXY),
        ("203.0.113.7\t", "203.0.113.7"),
        (",,203.0.113.7,,", "203.0.113.7"),
        ("", PROXY),
        (",", PROXY),
    ],
)
def test_the_client_is_whom_a_trusted_proxy_saw(forwarded: str, client: str) -> None:
    """HOSTILE-223: read from the end, for as long as the speaker is trusted (CVE-2021-33571)."""
    found = ask(make_app(), X_Forwarded_For=forwarded)
    assert found["client"] == client
    assert found["route"][0] == client


def test_a_stranger_is_not_believed() -> None:
    """What does not come from a proxy is removed, so that nobody reads it by mistake."""
    found = ask(
        make_app(host=True),
        "203.0.113.7",
        X_Forwarded_For="1.1.1.1",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="evil.test",
        X_Forwarded_Prefix="/evil",
        X_Real_IP="1.1.1.1",
        Forwarded="for=1.1.1.1;proto=https",
    )
    assert found == {
        "client": "203.0.113.7",
        "route": ["203.0.113.7"],
        "scheme": "http",
        "host": "localhost",
        "told": [],
    }


@pytest.mark.parametrize(
    ("clients", "protos", "scheme"),
    [
        ("203.0.113.7", "https", "https"),
        ("203.0.113.7, 10.0.0.2", "https", "https"),  # the outer one said it for both
        ("203.0.113.7, 10.0.0.2", "https, http", "https"),
        ("1.1.1.1, 203.0.113.7", "https, http", "http"),  # the first is the client's lie
        ("203.0.113.7", "javascript", "http"),
        ("203.0.113.7", "https\x0b", "http"),
        ("203.0.113.7", "", "http"),
    ],
)
def test_the_scheme_is_the_outermost_proxys(clients: str, protos: str, scheme: str) -> None:
    """CVE-2019-12781: https or http, from the same proxy as the address."""
    app = make_app()
    assert ask(app, X_Forwarded_For=clients, X_Forwarded_Proto=protos)["scheme"] == scheme


def test_the_host_is_believed_only_where_that_was_said() -> None:
    """Most proxies pass X-Forwarded-Host on as the client wrote it."""
    headers = {"X_Forwarded_For": "203.0.113.7", "X_Forwarded_Host": "public.test"}
    assert ask(make_app(), **headers)["host"] == "localhost"
    assert ask(make_app(host=True), **headers)["host"] == "public.test"


def test_a_forwarded_host_is_checked_like_any() -> None:
    """CVE-2026-48710: a malformed one is a 400, and TRUSTED_HOSTS sees it, too."""
    app = make_app(host=True)
    environ = {"REMOTE_ADDR": PROXY}
    for host in ("localhost/admin?x=", "a b", "@evil"):
        headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": host}
        response = app.test_client().get("/", headers=headers, environ_base=environ)
        assert response.status_code == 400
    app.config["TRUSTED_HOSTS"] = ["localhost"]
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": "evil.test"}
    assert app.test_client().get("/", headers=headers, environ_base=environ).status_code == 400


class TestForwarded:
    """RFC 7239, for proxies that set it."""

    @pytest.mark.parametrize(
        ("text", "client"),
        [
            ("for=203.0.113.7", "203.0.113.7"),
            ('For="203.0.113.7:4711";proto=HTTPS', "203.0.113.7"),
            ('for="[2001:db9::7]:4711"', "2001:db9::7"),
            ("for=1.1.1.1, for=203.0.113.7;by=10.0.0.1", "203.0.113.7"),
            ("for=203.0.113.7, for=10.0.0.2", "203.0.113.7"),
            ('for="1.1.1.1, for=203.0.113.7', "203.0.113.7"),  # a quote left open by the client
            ('for="x, for="[2001:db9::7]"', "2001:db9::7"),
            ('for="\\, for=203.0.113.7', "203.0.113.7"),
            ("for=unknown", PROXY),
            ("for=_hidden, for=10.0.0.2", "10.0.0.2"),
            ("by=10.0.0.1", PROXY),
            ("=;,", PROXY),
            ("for", PROXY),
            ("", PROXY),
        ],
    )
    def test_it_is_read_from_the_end(self, text: str, client: str) -> None:
        """As the other header is; garbage in front cannot change what a proxy added."""
        assert ask(make_app(header="forwarded"), Forwarded=text)["client"] == client

    def test_only_one_kind_of_header_is_believed(self) -> None:
        """The proxies would pass the other kind on as the client wrote it."""
        headers = {"X_Forwarded_For": "1.1.1.1", "Forwarded": "for=203.0.113.7"}
        assert ask(make_app(header="forwarded"), **headers)["client"] == "203.0.113.7"
        assert ask(make_app(), **headers)["client"] == "1.1.1.1"

    def test_scheme_and_host_come_with_it(self) -> None:
        """In the element of the same proxy."""
        text = 'for=1.1.1.1;proto=ftp, for=203.0.113.7;proto=https;host="public.test:8443"'
        found = ask(make_app(header="forwarded", host=True), Forwarded=text)
        assert (found["scheme"], found["host"]) == ("https", "public.test:8443")

    @given(st.text(max_size=60))
    def test_no_text_is_an_error(self, text: str) -> None:
        """Property: any header is read to its end, and what a proxy added is the last."""
        parse_forwarded(text)
        if not text.endswith("\\"):
            assert parse_forwarded(f"{text}, for=203.0.113.7")[-1].client == "203.0.113.7"

    @pytest.mark.parametrize(
        "unit", ['for="', 'for="\\"', ",", ";", "for=a;", "a=\\", '"', 'a="b",']
    )
    def test_it_is_linear(self, unit: str) -> None:
        """HOSTILE-27: 64 kB of anything take no time."""
        before = time.process_time()
        parse_forwarded(unit * (64_000 // len(unit)))
        assert time.process_time() - before < 1.5


def test_a_unix_socket_can_be_trusted() -> None:
    """It has no address; without the word it is a stranger."""
    headers = {"X_Forwarded_For": "203.0.113.7"}
    assert ask(make_app(["unix"]), "", **headers)["client"] == "203.0.113.7"
    assert ask(make_app(), "", **headers)["client"] == ""


def test_an_ipv6_socket_shows_ipv4_proxies() -> None:
    """The mapped form of an address is the address."""
    assert ask(make_app(), "::ffff:10.0.0.1", X_Forwarded_For="203.0.113.7")["client"] == (
        "203.0.113.7"
    )


def test_the_setting_is_read_at_the_first_request() -> None:
    """TrustedProxies(app) may come before the configuration is loaded."""
    app = make_app(None)
    app.config["TRUSTED_PROXIES"] = [PROXY]
    assert ask(app, X_Forwarded_For="203.0.113.7")["client"] == "203.0.113.7"
    assert ask(make_app(None), X_Forwarded_For="203.0.113.7")["client"] == PROXY


@pytest.mark.parametrize("network", ["*", "0.0.0.0/0", "::/0", "proxy.internal", "10.0.0.1/8", ""])
def test_what_is_no_network_is_an_error(network: str) -> None:
    """Nor one that holds everybody, nor one with bits behind its mask."""
    with pytest.raises(ValueError, match=r"proxy|everybody"):
        TrustedProxies(Carboy("x"), [network])


@pytest.mark.parametrize("proxies", ["10.0.0.1", 1])
def test_a_list_is_a_list(proxies: Any) -> None:
    """A number of hops is ProxyFix's way, and says so."""
    with pytest.raises(TypeError, match="list"):
        TrustedProxies(Carboy("x"), proxies)


def test_what_the_server_saw_is_kept() -> None:
    """For logs: the peer's own address, scheme and host."""
    app = make_app()
    seen: list[Any] = []
    app.before_request(lambda: seen.append(request.environ["carboy.proxies.orig"]))
    ask(app, X_Forwarded_For="203.0.113.7", X_Forwarded_Proto="https")
    assert seen == [
        {"REMOTE_ADDR": PROXY, "wsgi.url_scheme": "http", "HTTP_HOST": "localhost"},
    ]


def test_the_check_sees_through_it() -> None:
    """Middleware below it is still found by `carboy check`."""
    app = make_app()
    assert [type(item).__name__ for item in Subject(app).middleware()] == ["TrustedProxies"]
