"""What is a host, and which hosts are one's own."""

from __future__ import annotations

import pytest
from werkzeug.exceptions import SecurityError

from carboy import hosts


@pytest.mark.parametrize(
    "host",
    [None, "", "localhost", "localhost:5000", "example.org", "a-b.example.org.", "127.0.0.1:80", "[::1]",
     "[2001:db8::1]:8080", "EXAMPLE.org", "xn--mnchen-3ya.de", "日本.example", "under_score", "~user"],
)  # fmt: skip
def test_a_host_is_well_formed(host: str | None) -> None:
    assert hosts.is_well_formed(host)
    assert hosts.is_well_formed(host)  # the second time from memory


@pytest.mark.parametrize(
    "host",
    ["a b", "a/b", "a\\b", "a@b", "a?b", "a#b", "a,b", "a;b", "a\r\nb", "a\0", "a\n", "[::1", "::1", "[x]",
     "a:b", "a:", "a:123456", "a:80:80", "<a>", '"', "%41", "m\xfcnchen.de", "a" * 263, "*", "a:-1"],
)  # fmt: skip
def test_anything_else_is_not(host: str) -> None:
    assert not hosts.is_well_formed(host)
    assert not hosts.is_well_formed(host)


def test_hosts_that_are_remembered_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "well_formed", known := set(hosts.well_formed))
    for number in range(3000):
        assert hosts.is_well_formed(f"host{number}")
    assert len(known) <= 1024


def environ_of(host: str) -> dict[str, str]:
    return {"HTTP_HOST": host, "wsgi.url_scheme": "http"}


@pytest.mark.parametrize("trusted", [None, []])
def test_without_a_list_any_host_is_trusted(trusted: list[str] | None) -> None:
    hosts.check_trusted(environ_of("anything.test"), trusted)


@pytest.mark.parametrize("host", ["example.org", "EXAMPLE.org", "example.org:80", "a.Sub.org"])
def test_a_trusted_host_may_be_spelled_in_any_case(host: str) -> None:
    hosts.check_trusted(environ_of(host), ["Example.org", ".sub.org"])


@pytest.mark.parametrize("host", ["evil.test", "example.org.evil.test", "xexample.org", "xsub.org"])
def test_another_host_is_a_400(host: str) -> None:
    with pytest.raises(SecurityError) as caught:
        hosts.check_trusted(environ_of(host), ["example.org", ".sub.org"])
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("host", "server", "scheme", "below"),
    [
        ("example.org", "example.org", "http", True),
        ("A.Example.org", "example.ORG", "http", True),
        ("example.org:80", "example.org", "http", True),
        ("example.org", "example.org:443", "https", True),
        ("example.org:443", "example.org", "wss", True),
        ("example.org:443", "example.org", "http", False),
        ("example.org:8080", "example.org", "http", False),
        ("a.example.org:8080", "example.org:8080", "http", True),
        ("badexample.org", "example.org", "http", False),
        ("example.org.evil", "example.org", "http", False),
    ],
)
def test_a_host_is_below_the_servers_name(host: str, server: str, scheme: str, below: bool) -> None:
    assert hosts.is_below(host, server, scheme) is below
