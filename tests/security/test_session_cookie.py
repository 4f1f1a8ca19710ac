"""The session cookie's safe defaults, and what caches are told."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from carboy import Carboy, session

pytestmark = pytest.mark.beyond


def make_app(**settings: Any) -> Carboy:
    app = Carboy("cookie_app")
    app.config.update({"SECRET_KEY": "for these tests only"} | settings)

    @app.get("/set")
    def set_() -> str:
        session["user"] = "ada"
        return "set"

    @app.get("/look")
    def look() -> Any:
        return str(session.get("user"))

    @app.get("/own")
    def own() -> Any:
        return str(session.get("user")), {"Cache-Control": "max-age=60"}

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    return app


def cookie(app: Carboy, base_url: str, **headers: str) -> str:
    client = app.test_client()
    return client.get("/set", base_url=base_url, headers=headers).headers["Set-Cookie"]


@pytest.mark.parametrize(
    "base_url",
    [
        "http://localhost",
        "http://localhost:5000",
        "http://app.localhost:5000",
        "http://127.0.0.1:5000",
        "http://127.8.0.1",
        "http://[::1]:5000",
    ],
)
def test_a_tutorial_on_this_machine_stays_signed_in(base_url: str) -> None:
    """By plain http to a loopback address the cookie is not Secure: not every browser keeps it."""
    assert "Secure" not in cookie(make_app(), base_url)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://localhost",
        "https://example.org",
        "http://example.org",
        "http://192.168.1.5:5000",
        "http://localhost.evil.test",
        "http://127.0.0.1.evil.test",
    ],
)
def test_elsewhere_the_cookie_is_secure(base_url: str) -> None:
    """HOSTILE-139: by http, too, since a proxy may have taken the encryption off."""
    text = cookie(make_app(), base_url)
    assert "Secure" in text and "SameSite=Lax" in text and "HttpOnly" in text


def test_in_debug_mode_http_is_enough() -> None:
    """A phone that looks at the developer's machine comes by http."""
    app = make_app(DEBUG=True)
    assert "Secure" not in cookie(app, "http://192.168.1.5:5000")
    assert "Secure" in cookie(app, "https://192.168.1.5:5000")


@pytest.mark.parametrize("secure", [True, False])
def test_the_setting_decides(secure: bool) -> None:
    """SESSION_COOKIE_SECURE as True or False is what it always was."""
    app = make_app(SESSION_COOKIE_SECURE=secure)
    for base_url in ("http://localhost", "https://example.org"):
        assert ("Secure" in cookie(app, base_url)) is secure


@pytest.mark.parametrize(
    "settings",
    [
        {"SESSION_COOKIE_NAME": "__Host-session"},
        {"SESSION_COOKIE_NAME": "__Secure-session"},
        {"SESSION_COOKIE_SAMESITE": "None"},
        {"SESSION_COOKIE_PARTITIONED": True},
    ],
    ids=str,
)
def test_a_cookie_that_browsers_drop_without_secure_has_it(settings: dict[str, Any]) -> None:
    """RFC 6265bis sections 4.1.3 and 5.7."""
    assert "Secure" in cookie(make_app(**settings), "http://localhost")


def test_plain_http_to_other_machines_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Who serves by http to others would see nobody stay signed in: the log says why."""
    app = make_app()
    with caplog.at_level(logging.WARNING):
        cookie(app, "http://example.org", **{"Sec-Fetch-Site": "none"})  # by https, to a proxy
        assert caplog.records == []
        cookie(app, "http://example.org")
        cookie(app, "http://example.org")
    (record,) = caplog.records
    assert "SESSION_COOKIE_SECURE = False" in record.getMessage()


def test_answers_that_know_the_user_are_private() -> None:
    """HOSTILE-138: where the session was looked at, and nothing else is said."""
    client = make_app().test_client()
    for path in ("/set", "/look"):
        assert client.get(path).headers["Cache-Control"] == "private"
    assert client.get("/own").headers["Cache-Control"] == "max-age=60"
    assert "Cache-Control" not in client.get("/plain").headers


@pytest.mark.parametrize(("value", "expected"), [("no-store", "no-store"), (None, None)])
def test_the_word_for_caches_is_a_setting(value: str | None, expected: str | None) -> None:
    """SESSION_CACHE_CONTROL."""
    client = make_app(SESSION_CACHE_CONTROL=value).test_client()
    assert client.get("/look").headers.get("Cache-Control") == expected
