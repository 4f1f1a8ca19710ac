"""Hostile session cookies, keys, clocks and values."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import hmac
import json
import logging
import time
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from itsdangerous import URLSafeTimedSerializer
from markupsafe import Markup

from carboy import (
    Carboy,
    Response,
    flash,
    get_flashed_messages,
    render_template_string,
    session,
)
from carboy.json.tag import TaggedJSONSerializer


def make_app(**config: Any) -> Carboy:
    app = Carboy("hostile_sessions")
    app.secret_key = "test key"
    app.config.update(config)

    @app.get("/set")
    def set_values() -> str:
        session["user"] = "ada"
        session["role"] = "admin"
        return "set"

    @app.get("/get")
    def get_values() -> dict[str, Any]:
        return dict(session)

    return app


def cookie_of(app: Carboy) -> str:
    client = app.test_client()
    client.get("/set")
    found = client.get_cookie("session")
    assert found is not None
    return found.value


def read(app: Carboy, cookie: str) -> Any:
    """Status and session that the application sees for a raw Cookie value."""
    client = app.test_client(use_cookies=False)
    response = client.get("/get", headers={"Cookie": f"session={cookie}"})
    return response.status_code, response.json


def serializer(key: str, salt: str = "cookie-session") -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        key,
        salt=salt,
        serializer=TaggedJSONSerializer(),
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    )


def test_no_changed_character_is_accepted() -> None:
    """HOSTILE-130: a cookie changed in any one character opens as an empty session."""
    app = make_app()
    cookie = cookie_of(app)
    accepted = []
    last = len(cookie) - 1
    for index, char in enumerate(cookie):
        # Two neighbours in the alphabet differ in the bits that base64 keeps, but for the last
        # character of a part whose final bits mean nothing.
        other = "A" if char != "A" else "b"
        changed = cookie[:index] + other + cookie[index + 1 :]
        status, found = read(app, changed)
        assert status == 200
        if found:
            accepted.append(index)
    assert [index for index in accepted if index != last] == []


def test_no_truncated_or_extended_cookie_is_accepted() -> None:
    """HOSTILE-130: truncations and extensions open as an empty session."""
    app = make_app()
    cookie = cookie_of(app)
    for length in range(len(cookie)):
        assert read(app, cookie[:length]) == (200, {})
    for extra in ("x", ".", "AA", ".x", "..", ".AAAA.BBBB", "-", "_A"):
        assert read(app, cookie + extra) == (200, {})
    for ignored in ("%", "\u00ff", "~"):  # base64 may skip these: the content cannot change by it
        assert read(app, cookie + ignored) in ((200, {}), (200, {"user": "ada", "role": "admin"}))


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "null",
        "{}",
        "eyJ1c2VyIjoiYWRhIn0",
        "eyJ1c2VyIjoiYWRhIn0.",
        "eyJ1c2VyIjoiYWRhIn0..",
        "\u00ff\u00fe",
        "%ff%fe",
        '"quoted"',
        '"\\303\\244"',
        "=" * 100,
        "A" * 5000,
        "." * 5000,
        "eyJhbGciOiJub25lIn0.eyJ1c2VyIjoiYWRhIn0.",
        serializer("other key").dumps({"user": "eve"}),
        serializer("test key", salt="other-salt").dumps({"user": "eve"}),
        serializer("").dumps({"user": "eve"}),
        URLSafeTimedSerializer("test key", salt="cookie-session").dumps({"user": "eve"}) + "x",
    ],
)
def test_garbage_and_foreign_signatures_open_empty(value: str) -> None:
    """HOSTILE-131: garbage, another key, another salt and unsigned tokens are an empty session.

    KNOWN-unsigned-tokens.
    """
    assert read(make_app(), value) == (200, {})


@pytest.mark.parametrize("payload", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_signed_payload_that_is_no_dict_is_no_server_error(payload: bytes) -> None:
    """HOSTILE-131: a correctly signed value that is no object never makes the view fail oddly."""
    app = make_app()
    signed = serializer("test key").dumps(json.loads(payload))
    client = app.test_client(use_cookies=False)
    response = client.get("/set", headers={"Cookie": f"session={signed}"})
    assert response.status_code in (200, 500)  # only the key's owner can sign such a thing
    assert client.get("/set").status_code == 200


def test_unsigned_compressed_payload_is_never_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOSTILE-132: a zip bomb without a valid signature is refused before decompression."""
    bomb = base64.urlsafe_b64encode(zlib.compress(b'"' + b"0" * 1_000_000 + b'"')).decode()
    inflated: list[int] = []
    real = zlib.decompress

    def spy(data: bytes, *args: Any, **kwargs: Any) -> bytes:
        inflated.append(len(data))
        return real(data, *args, **kwargs)

    monkeypatch.setattr(zlib, "decompress", spy)
    app = make_app()
    stamp = base64.urlsafe_b64encode(int(time.time()).to_bytes(4, "big")).decode().rstrip("=")
    for signature in ("AAAAAAAAAAAAAAAAAAAAAAAAAAA", "", "x"):
        assert read(app, f".{bomb.rstrip('=')}.{stamp}.{signature}") == (200, {})
    assert inflated == []


def test_rotation_signs_new_reads_old_and_only_while_listed() -> None:
    """HOSTILE-133, CVE-2025-47278: the current key signs; a fallback reads only while listed."""
    old = cookie_of(make_app(SECRET_KEY="old key"))
    app = make_app(SECRET_KEY="new key", SECRET_KEY_FALLBACKS=["older key", "old key"])
    assert read(app, old) == (200, {"user": "ada", "role": "admin"})
    fresh = cookie_of(app)
    assert serializer("new key").loads(fresh)["user"] == "ada"
    assert read(make_app(SECRET_KEY="old key"), fresh) == (200, {})
    assert read(make_app(SECRET_KEY="older key"), fresh) == (200, {})
    app.config["SECRET_KEY_FALLBACKS"] = ["older key"]
    assert read(app, old) == (200, {})
    app.config["SECRET_KEY_FALLBACKS"] = None
    assert read(app, old) == (200, {})


def test_without_a_key_reading_is_empty_and_writing_fails_loudly() -> None:
    """HOSTILE-134: no key: reads find nothing, even with a cookie; writes are a 500."""
    cookie = cookie_of(make_app())
    app = make_app(SECRET_KEY=None, SECRET_KEY_FALLBACKS=["test key"])
    assert read(app, cookie) == (200, {})
    assert app.test_client().get("/set").status_code == 500


@pytest.mark.parametrize("years", [30, -30])
def test_a_wild_clock_empties_the_session_without_an_error(
    years: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HOSTILE-135: a clock thirty years off makes the session empty, never a 500.

    KNOWN-unsigned-tokens.
    """
    app = make_app()
    cookie = cookie_of(app)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + years * 365 * 86_400)
    assert read(app, cookie) == (200, {})


def test_an_expired_cookie_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOSTILE-135: past its lifetime the cookie is worth nothing."""
    app = make_app(PERMANENT_SESSION_LIFETIME=datetime.timedelta(days=1))
    cookie = cookie_of(app)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400 + 5)
    assert read(app, cookie) == (200, {})


@pytest.mark.beyond
def test_a_clock_two_seconds_behind_keeps_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOSTILE-136: hosts whose clocks differ by seconds do not log users out."""
    app = make_app()
    cookie = cookie_of(app)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 2)
    assert read(app, cookie) == (200, {"user": "ada", "role": "admin"})


def look_up(key: str) -> None:
    with contextlib.suppress(KeyError):
        session[key]


TOUCHES: dict[str, Callable[[], Any]] = {
    "getitem": lambda: look_up("a"),
    "get": lambda: session.get("a"),
    "contains": lambda: "a" in session,
    "len": lambda: len(session),
    "bool": lambda: bool(session),
    "iter": lambda: list(session),
    "reversed": lambda: list(reversed(session._get_current_object())),
    "keys": lambda: list(session.keys()),
    "values": lambda: list(session.values()),
    "items": lambda: list(session.items()),
    "copy": lambda: session.copy(),
    "eq": lambda: session == {},
    "or": lambda: session | {},
    "permanent": lambda: session.permanent,
    "flash reading": lambda: get_flashed_messages(),
    "setitem": lambda: session.__setitem__("a", 1),
    "setdefault": lambda: session.setdefault("a", 1),
    "pop": lambda: session.pop("a", None),
    "update": lambda: session.update(a=1),
    "clear": lambda: session.clear(),
    "flash": lambda: flash("hello"),
    "set permanent": lambda: setattr(session, "permanent", True),
    "in a template": lambda: render_template_string("{{ session.user }}"),
    "str": lambda: str(session),
    "repr": lambda: repr(session._get_current_object()),
}


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=list(TOUCHES))
def test_any_touch_of_the_session_sets_vary(touch: Callable[[], Any]) -> None:
    """HOSTILE-137, CVE-2026-27205: whatever way the session is used, caches are told."""
    app = make_app()

    @app.get("/touch")
    def view() -> str:
        touch()
        return "touched"

    client = app.test_client()
    assert "Cookie" in client.get("/touch").vary
    client.get("/set")
    assert "Cookie" in client.get("/touch").vary


def test_refreshed_session_cookie_varies() -> None:
    """HOSTILE-137, CVE-2023-30861: a refresh of a permanent session's cookie sets Vary."""
    app = make_app()

    @app.get("/permanent")
    def permanent() -> str:
        session.permanent = True
        return ""

    @app.get("/plain")
    def plain() -> str:
        return "cacheable by mistake"

    client = app.test_client()
    client.get("/permanent")
    response = client.get("/plain")
    assert "Set-Cookie" in response.headers
    assert "Cookie" in response.vary


@pytest.mark.beyond
def test_session_cookie_is_never_publicly_cacheable() -> None:
    """HOSTILE-138: a session cookie on a public answer is withheld, or the answer made private."""
    app = make_app()

    @app.get("/public")
    def public() -> Response:
        session["user"] = "ada"
        response = Response("x")
        response.cache_control.public = True
        response.cache_control.max_age = 3600
        return response

    response = app.test_client().get("/public")
    assert "Set-Cookie" not in response.headers or "public" not in response.headers["Cache-Control"]


@pytest.mark.beyond
def test_session_cookie_is_lax_and_secure_on_https_by_default() -> None:
    """HOSTILE-139: SameSite is Lax by default; over https the cookie is Secure."""
    header = (
        make_app().test_client().get("/set", base_url="https://localhost").headers["Set-Cookie"]
    )
    assert "SameSite=Lax" in header and "Secure" in header


@pytest.mark.beyond
@pytest.mark.filterwarnings("ignore")  # in production nobody sees a warning
def test_a_session_over_the_cookie_limit_is_never_lost_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """HOSTILE-140: over 4 kB browsers drop the cookie: the request fails or the log tells."""
    app = make_app()

    @app.get("/big")
    def big() -> str:
        session["blob"] = hashlib.sha512(b"seed").hexdigest() + "".join(
            hashlib.sha512(str(i).encode()).hexdigest() for i in range(60)
        )
        return "saved?"

    with caplog.at_level(logging.WARNING):
        response = app.test_client().get("/big")
    logged = [r for r in caplog.records if r.name == app.logger.name]
    assert response.status_code == 500 or logged
    assert any("session" in r.getMessage().lower() or r.exc_info for r in logged)


@pytest.mark.beyond
def test_a_planted_duplicate_cookie_does_not_hide_the_valid_one() -> None:
    """HOSTILE-142: of several session cookies the one with a valid signature counts."""
    app = make_app()
    cookie = cookie_of(app)
    client = app.test_client(use_cookies=False)
    for header in (
        f"session=planted; session={cookie}",
        f"session={cookie}; session=planted",
        f"session=; session=a.b.c; session={cookie}",
    ):
        assert client.get("/get", headers={"Cookie": header}).json == {
            "user": "ada",
            "role": "admin",
        }


@pytest.mark.parametrize(
    "value",
    [
        {" t": [1, 2]},
        {" b": "not base64 !!"},
        {" m": "<script>"},
        {" u": "zz"},
        {" d": "yesterday"},
        {" di": {" t": 1}},
        {" t__": 1},
        {" t": 1, "other": 2},
        {"": ""},
        {" ": {" ": {" t": []}}},
        [{" t": [{" b": "x"}]}],
        "\x00\x1f\u2028\u202e",
        "',\"</script>",
        2**70,
        -0.0,
    ],
)
def test_values_shaped_like_tags_come_back_as_they_were(value: Any) -> None:
    """HOSTILE-143: user data that looks like the serializer's tags is not interpreted."""
    app = make_app()
    found: list[Any] = []

    @app.get("/put")
    def put() -> str:
        session["value"] = value
        return ""

    @app.get("/take")
    def take() -> str:
        found.append(session["value"])
        return ""

    client = app.test_client()
    assert client.get("/put").status_code == 200
    assert client.get("/take").status_code == 200
    assert found == [value]
    assert type(found[0]) is type(value)


def test_rich_values_deep_inside_come_back() -> None:
    """HOSTILE-143: tags nest: each type keeps its identity inside lists and dicts."""
    value = {
        "deep": [
            (b"\x00", Markup("<b>")),
            {"id": uuid.UUID(int=7), "at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)},
            ((), [()]),
        ]
    }
    app = make_app()
    found: list[Any] = []

    @app.get("/put")
    def put() -> str:
        session["value"] = value
        return ""

    @app.get("/take")
    def take() -> str:
        found.append(session["value"])
        return ""

    client = app.test_client()
    client.get("/put")
    client.get("/take")
    assert found == [value]


def test_unserialisable_value_fails_alone() -> None:
    """HOSTILE-144: a value that cannot be stored is a 500; the next request is fine."""
    app = make_app()

    @app.get("/bad")
    def bad() -> str:
        session["bad"] = {object()}
        return ""

    client = app.test_client()
    client.get("/set")
    assert client.get("/bad").status_code == 500
    assert client.get("/get").json == {"user": "ada", "role": "admin"}


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """HOSTILE-148: the check of a cookie goes through hmac.compare_digest."""
    calls: list[int] = []
    real = hmac.compare_digest

    def spy(a: Any, b: Any) -> bool:
        calls.append(1)
        return real(a, b)

    import itsdangerous.signer

    for module in (hmac, itsdangerous.signer.hmac):
        monkeypatch.setattr(module, "compare_digest", spy)
    app = make_app()
    cookie = cookie_of(app)
    for sent in (cookie, cookie[:-4] + "AAAA"):
        calls.clear()
        read(app, sent)
        assert calls, "the signature was compared another way"


def test_a_session_payload_is_never_unpickled() -> None:
    """HOSTILE-150: a signed pickle is not executed: the payload is JSON or nothing."""
    import pickle

    class Boom:
        def __reduce__(self) -> Any:
            return (exec, ("raise SystemExit('unpickled')",))

    raw = base64.urlsafe_b64encode(pickle.dumps(Boom())).rstrip(b"=")
    signed = serializer("test key").make_signer("cookie-session").sign(raw).decode()
    status, found = read(make_app(), signed)
    assert (status, found) in ((200, {}), (500, None))
