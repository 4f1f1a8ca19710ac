"""Single keys of a request behind an async door are what its environ has under them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import EnvironHeaders

from carboy import Carboy, Request
from carboy.gateways.asgi import AsgiHead
from carboy.gateways.rsgi import RsgiHead
from carboy.shortcuts import SLOW
from carboy.transport import RequestHead

NAMES = [
    "host",
    "cookie",
    "accept",
    "content-type",
    "x-real-ip",
    "x_real_ip",
    "x-forwarded-for",
    "transfer-encoding",
    "content_length",
    "1",
]
VALUES = st.sampled_from(["", "a", "b=c; d=e", "localhost", "text/html", "caf\xe9", "x, y"])
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=8)
KEYS = [
    *(f"HTTP_{name.upper().replace('-', '_')}" for name in NAMES),
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "HTTP_CONTENT_TYPE",
    "HTTP_X-REAL-IP",
    "HTTP_x_real_ip",
    "HTTP_",
    "X_REAL_IP",
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "SERVER_NAME",
    "SERVER_PROTOCOL",
    "wsgi.url_scheme",
    "wsgi.input_terminated",
    "wsgi.multithread",
    "carboy.none",
]
FACTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "get"]),
        "scheme": st.sampled_from(["http", "https"]),
        "path": st.sampled_from(["/", "/a b", "/\xe4", "//x", "*", ""]),
        "query": st.sampled_from(["", "a=1&b=%20", "a=\xe4"]),
        "client": st.sampled_from([None, ("127.0.0.1", 1234), ("::1", 5)]),
        "root": st.sampled_from(["", "/app"]),
    }
)

APP = Carboy("heads")


class Headers:
    """As Granian's."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = [(name.lower(), value) for name, value in pairs]

    def get(self, name: str) -> str | None:
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]

    def items(self) -> list[tuple[str, str]]:
        return self._pairs

    def __contains__(self, name: str) -> bool:
        return bool(self.get_all(name))


def asgi(headers: list[tuple[str, str]], facts: dict[str, Any]) -> AsgiHead:
    async def receive() -> dict[str, Any]:
        raise AssertionError

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": facts["method"],
        "scheme": facts["scheme"],
        "path": facts["path"],
        "root_path": facts["root"],
        "query_string": facts["query"].encode("latin-1"),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "client": facts["client"],
        "server": ("localhost", 80),
    }
    return AsgiHead(APP, scope, receive)


def rsgi(headers: list[tuple[str, str]], facts: dict[str, Any]) -> RsgiHead:
    host, port = facts["client"] or ("", 0)
    scope = SimpleNamespace(
        proto="http",
        http_version="1.1",
        method=facts["method"],
        scheme=facts["scheme"],
        path=facts["path"],
        query_string=facts["query"],
        authority=None,
        headers=Headers(headers),
        client=f"{host}:{port}",
        server="localhost:80",
    )
    return RsgiHead(APP, scope, None)


@pytest.mark.parametrize("door", [asgi, rsgi])
@given(HEADERS, FACTS, st.lists(st.sampled_from(KEYS), min_size=1))
def test_single_keys(
    door: Any, headers: list[tuple[str, str]], facts: dict[str, Any], keys: list[str]
) -> None:
    """Whether the environ was made or not, and whichever keys were asked for before."""
    head = door(headers, facts)
    alone = [head.get(key, "none") for key in keys]
    environ = door(headers, facts).environ
    assert alone == [environ.get(key, "none") for key in keys]
    assert head.environ is head.environ is head.made
    assert alone == [head.get(key, "none") for key in keys]
    head.environ["carboy.none"] = "changed"
    assert head.get("carboy.none") == "changed"


@pytest.mark.parametrize("door", [asgi, rsgi])
@given(HEADERS, FACTS)
def test_what_a_request_is_routed_by(
    door: Any, headers: list[tuple[str, str]], facts: dict[str, Any]
) -> None:
    """Method, path, host and cookies, and the scheme."""
    head = door(headers, facts)
    plain = RequestHead(door(headers, facts).environ)
    for name in ("method", "path", "host", "cookie", "scheme"):
        assert getattr(head, name) == getattr(plain, name)


def test_names_in_capitals() -> None:
    """ASGI does not allow them, and the environ has them all the same."""
    head = asgi([("host", "localhost"), ("X-Name", "value")], FACTS_OF_ALL)
    assert SLOW or head.made is None
    assert head.get("HTTP_X_NAME") == "value"


FACTS_OF_ALL = {
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "query": "",
    "client": None,
    "root": "",
}


@pytest.mark.parametrize("name", ["x-\xdf", "\xfcber"])
def test_names_outside_ascii_are_dropped(name: str) -> None:
    """In capitals they could be taken for another's."""
    from carboy.gateways.environ import key_of

    assert key_of(name) is None


@pytest.mark.parametrize("door", [asgi, rsgi])
@given(HEADERS, FACTS)
def test_the_headers_of_a_request(
    door: Any, headers: list[tuple[str, str]], facts: dict[str, Any]
) -> None:
    """Each by itself, those that are not there, and all of them."""
    lazy = Request.of(door(headers, facts)).headers
    plain = EnvironHeaders(door(headers, facts).environ)
    names = [*NAMES, "Content-Type", "Content-Length", "X-Real-IP", "none", "HTTP_HOST"]
    for _ in "alone", "with the environ":
        for name in names:
            assert (lazy.get(name), name in lazy) == (plain.get(name), name in plain)
            try:
                expected: Any = plain[name]
            except KeyError as error:
                with pytest.raises(type(error)):
                    lazy[name]
            else:
                assert lazy[name] == expected
        assert [lazy.getlist(name) for name in names] == [plain.getlist(name) for name in names]
        assert (list(lazy), len(lazy), str(lazy)) == (list(plain), len(plain), str(plain))
    assert isinstance(lazy, EnvironHeaders)
