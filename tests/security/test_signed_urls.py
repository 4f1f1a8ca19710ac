"""Signed addresses: nothing in them can be changed, and they end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy import Carboy, request, url_for
from carboy.security import sign_url, signed_urls, verify_url

pytestmark = pytest.mark.beyond


def make_app() -> Carboy:
    app = Carboy("signing")
    app.secret_key = "for these tests only"

    @app.get("/file/<path:name>")
    def file(name: str) -> tuple[str, int]:
        return (name, 200) if verify_url() else ("no", 403)

    return app


@pytest.fixture
def app() -> Carboy:
    return make_app()


def signed(app: Carboy, url: str = "/file/a?x=1", **options: Any) -> str:
    with app.app_context():
        return sign_url(url, **options)


def status(app: Carboy, url: str) -> int:
    return app.test_client().get(url).status_code


@pytest.mark.parametrize(
    "url",
    [
        "/file/a",
        "/file/a?x=1",
        "/file/a?x=1&x=2&y",
        "/file/a%20b?q=a%20b",
        "/file/a b?q=a+b",
        "/file/caf%C3%A9?q=%C3%A9",
        "/file/caf\u00e9?q=\u00e9",
        "/file/a?q=%26%3D",
        "/file/a?q='\"",
        "/file/a#part",
        "http://localhost/file/a?x=1",
    ],
    ids=ascii,
)
def test_a_signed_address_works(app: Any, url: str) -> None:
    """Whatever its path and query hold, and however a browser spells it."""
    link = signed(app, url)
    with app.app_context():
        assert verify_url(link)
    assert status(app, link) == 200


def test_url_for_and_sign_url_go_together(app: Any) -> None:
    """The usual way: the application's own address, signed."""
    with app.test_request_context():
        link = sign_url(url_for("file", name="a/b c"), expires_in=timedelta(minutes=5))
    response = app.test_client().get(link)
    assert (response.status_code, response.text) == (200, "a/b c")


def test_no_changed_character_is_accepted(app: Any) -> None:
    """Every character of path, query, expiry and signature counts."""
    link = signed(app)
    assert status(app, link) == 200
    accepted = []
    for place in range(len("/file/"), len(link) - 1):
        other = "A" if link[place] != "A" else "B"
        if status(app, link[:place] + other + link[place + 1 :]) == 200:
            accepted.append(place)
    assert accepted == []


@pytest.mark.parametrize(
    "change",
    [
        lambda link: link + "&x=2",
        lambda link: link.replace("?", "?x=2&"),
        lambda link: link.replace("x=1&", ""),
        lambda link: link.replace("?x=1", "?x=1&x=1"),
        lambda link: link.partition("&signature")[0],
        lambda link: link + "&signature=" + link.rpartition("=")[2],
        lambda link: link.replace("&signature=", "&signature=x&signature="),
        lambda link: link.replace("&expires=", "&expires=99999999999&expires="),
        lambda link: link + "&expires=99999999999",
        lambda link: link.replace("expires", "EXPIRES"),
        lambda link: link.rpartition("=")[0] + "=",
        lambda link: link + "=",
        lambda link: link + "%3D",
        lambda link: link.replace("/file/a", "/file/b"),
        lambda link: link.replace("/file/a", "/file//a"),
        lambda link: link.replace("x=1", "x%3D1="),
        lambda link: link.replace("x=1&", "x=1;"),
        lambda link: link.replace("x=1", "y=1"),
        lambda link: "?".join(("/file/a", "&".join(reversed(link.partition("?")[2].split("&"))))),
    ],
)
def test_no_rearranged_address_is_accepted(app: Any, change: Any) -> None:
    """Parameters added, removed, doubled, renamed or moved make another address of it."""
    link = signed(app)
    changed = change(link)
    assert changed != link
    assert status(app, changed) != 200


def test_other_spellings_of_the_same_address_work(app: Any) -> None:
    """Mail programs and browsers percent-encode as they like; the meaning is what is signed."""
    link = signed(app, "/file/a?q='x y'")
    assert status(app, link.replace("'", "%27").replace(" ", "%20")) == 200
    assert status(app, link.replace(" ", "+")) == 200


@pytest.mark.parametrize(("later", "expected"), [(0, 200), (59, 200), (60, 403), (10**6, 403)])
def test_addresses_expire(
    app: Any, monkeypatch: pytest.MonkeyPatch, later: int, expected: int
) -> None:
    """After expires_in seconds, to the second."""
    now = 1_800_000_000
    monkeypatch.setattr(signed_urls, "time", lambda: now)
    link = signed(app, expires_in=60)
    monkeypatch.setattr(signed_urls, "time", lambda: now + later)
    assert status(app, link) == expected


def test_an_address_may_live_forever(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """expires_in=None, and nobody can add an expiry later to confuse things."""
    link = signed(app, expires_in=None)
    assert "expires" not in link
    monkeypatch.setattr(signed_urls, "time", lambda: 9_000_000_000)
    assert status(app, link) == 200
    assert status(app, link + "&expires=9999999999") == 403


def test_a_purpose_is_not_another(app: Any) -> None:
    """A link for downloading does not reset a password."""
    link = signed(app, purpose="download")
    with app.app_context():
        assert verify_url(link, purpose="download")
        assert not verify_url(link, purpose="reset")
        assert not verify_url(link)


def test_keys_rotate(app: Any) -> None:
    """CVE-2025-47278: the current key signs, those of SECRET_KEY_FALLBACKS still verify."""
    old = signed(app)
    app.config.update(SECRET_KEY="the next one", SECRET_KEY_FALLBACKS=["for these tests only"])
    new = signed(app)
    assert status(app, old) == 200
    app.config["SECRET_KEY_FALLBACKS"] = []
    assert status(app, old) == 403
    assert status(app, new) == 200


def test_the_signature_is_worth_nothing_elsewhere(app: Any) -> None:
    """Another key is derived for it, so that no session can be forged with what it signs."""
    link = signed(app, "/file/a")
    signature = link.rpartition("=")[2]
    found = app.session_interface.get_signing_serializer(app)
    assert found is not None
    assert found.loads_unsafe(f"/file/a.{signature}")[0] is False


def test_signatures_are_compared_in_constant_time(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hmac.compare_digest decides, for each key, also after one has matched."""
    seen: list[int] = []
    compare = signed_urls.hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        seen.append(1)
        return compare(one, other)

    app.config["SECRET_KEY_FALLBACKS"] = ["another", "third"]
    link = signed(app)
    monkeypatch.setattr(signed_urls.hmac, "compare_digest", counted)
    with app.app_context():
        assert verify_url(link)
    assert len(seen) == 3


@pytest.mark.parametrize("name", ["expires", "signature", "%65xpires"])
def test_an_address_cannot_be_signed_twice(app: Any, name: str) -> None:
    """The parameters' names are taken."""
    with app.app_context(), pytest.raises(ValueError, match="already"):
        sign_url(f"/file/a?{name}=1")


@pytest.mark.parametrize("seconds", [0, -1, timedelta(seconds=-5)])
def test_an_expiry_lies_ahead(app: Any, seconds: Any) -> None:
    """A link that has expired when it is made is a mistake."""
    with app.app_context(), pytest.raises(ValueError, match="no use"):
        sign_url("/", seconds)


def test_without_a_key_nothing_is_signed(app: Any) -> None:
    """Nor verified: an empty key would be known to everybody."""
    app.secret_key = None
    with app.app_context():
        with pytest.raises(RuntimeError, match="secret key"):
            sign_url("/")
        with pytest.raises(RuntimeError, match="secret key"):
            verify_url("/?signature=x")


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_is_an_error(path: str, query: str) -> None:
    """Bad input is not verified, and never raises."""
    app = make_app()
    with app.app_context():
        assert not verify_url("/" + path.replace("?", "").replace("#", "") + "?" + query)
        assert not verify_url("//[" + path)
        assert not verify_url("/\ud800" + path + "?\udfff=1&signature=x")

    def wsgi(text: str) -> str:
        return text.encode("utf-8", "surrogatepass").decode("latin-1")

    query = wsgi(query) + "&signature=x&expires=\xd9\xa4"
    environ = {"PATH_INFO": wsgi("/" + path), "QUERY_STRING": query}
    with app.test_request_context(environ_overrides=environ):
        assert request.environ["QUERY_STRING"] == query
        assert not verify_url()
