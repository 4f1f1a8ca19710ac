"""The protections hold whatever the protocol and the colour of the view."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from carboy import Carboy, render_template_string, request
from carboy.security import (
    CORS,
    NONCE,
    RateLimits,
    TrustedProxies,
    csp_nonce,
    csrf_token,
    sign_url,
    verify_url,
)

pytestmark = pytest.mark.beyond

SITE = "https://app.example.org"


@pytest.fixture(params=["wsgi", "asgi", "rsgi"])
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sync", "async"])
def app(request: pytest.FixtureRequest) -> Carboy:
    app = Carboy("each_door")
    app.config.update(SECRET_KEY="for these tests only", SECURITY_HEADERS=True)

    if request.param == "sync":

        @app.route("/", methods=["GET", "POST"])
        def index() -> str:
            return "ok"

    else:

        @app.route("/", methods=["GET", "POST"])
        async def index() -> str:
            await asyncio.sleep(0)
            return "ok"

    return app


def test_forged_requests_are_refused(app: Any, door: str) -> None:
    """From the first request on."""
    app.config["CSRF_ALLOW_BARE"] = False
    client = app.test_client(door=door)
    for _ in range(2):
        forged = client.post("/", headers={"Sec-Fetch-Site": "cross-site"})
        assert forged.status_code == 400
        assert forged.headers["X-Content-Type-Options"] == "nosniff"
    assert client.post("/", headers={"Sec-Fetch-Site": "same-origin"}).text == "ok"
    app.view_functions["index"] = csrf_token
    token = client.get("/").text
    assert client.post("/", data={"csrf_token": token}).status_code == 200
    assert client.post("/", data={"csrf_token": token[::-1]}).status_code == 400


def test_headers_and_nonces_are_there(app: Any, door: str) -> None:
    """The page and its policy agree."""
    app.config["SECURITY_HEADERS"] = {"Content-Security-Policy": f"script-src {NONCE}"}

    @app.get("/page")
    def page() -> str:
        return render_template_string("{{ csp_nonce() }}") + csp_nonce()

    client = app.test_client(door=door)
    for _ in range(2):
        response = client.get("/page", base_url="https://localhost")
        nonce = response.text[:22]
        assert response.text == nonce * 2
        assert response.headers["Content-Security-Policy"] == f"script-src 'nonce-{nonce}'"
        assert "Strict-Transport-Security" in response.headers
    assert client.get("/").headers["X-Frame-Options"] == "SAMEORIGIN"


def test_origins_are_exact(app: Any, door: str) -> None:
    """Preflight and answer."""
    CORS(app, [SITE])
    client = app.test_client(door=door)
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
    assert client.options("/", headers=asked).headers["Access-Control-Allow-Origin"] == SITE
    assert client.get("/", headers={"Origin": SITE}).headers["Access-Control-Allow-Origin"] == SITE
    foreign = client.get("/", headers={"Origin": SITE + ".evil.test"})
    assert "Access-Control-Allow-Origin" not in foreign.headers


def test_requests_are_counted(app: Any, door: str) -> None:
    """The limit and its headers."""
    RateLimits(app, "2 per hour")
    client = app.test_client(door=door)
    found = [client.get("/") for _ in range(3)]
    assert [each.status_code for each in found] == [200, 200, 429]
    assert [each.headers["RateLimit-Remaining"] for each in found] == ["1", "0", "0"]


def test_the_client_is_whom_a_proxy_saw(app: Any, door: str) -> None:
    """And a stranger's word is removed."""
    TrustedProxies(app, ["127.0.0.1"])
    app.view_functions["index"] = lambda: f"{request.remote_addr} {request.scheme}"
    client = app.test_client(door=door)
    headers = {"X-Forwarded-For": "1.1.1.1, 203.0.113.7", "X-Forwarded-Proto": "https"}
    assert client.get("/", headers=headers).text == "203.0.113.7 https"
    app.view_functions["index"] = lambda: f"{request.remote_addr} {request.access_route}"
    environ = {"REMOTE_ADDR": "203.0.113.9"}
    found = client.get("/", headers=headers, environ_base=environ).text
    assert found == "203.0.113.9 ImmutableList(['203.0.113.9'])"


def test_signed_addresses_verify(app: Any, door: str) -> None:
    """Whatever the server decodes before it hands the path on."""
    app.add_url_rule("/file/<name>", view_func=lambda name: str(verify_url()))
    with app.app_context():
        link = sign_url("/file/caf%C3%A9%20x?q=%C3%BC+1&a=%26")
    client = app.test_client(door=door)
    assert client.get(link).text == "True"
    assert client.get(link.replace("q=", "q=1")).text == "False"
