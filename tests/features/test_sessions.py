"""Sessions: the signed cookie, its settings, and its exchange with Flask."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import pathlib
import time
import uuid
import zlib
from typing import Any

import pytest
from itsdangerous import BadSignature, URLSafeTimedSerializer
from markupsafe import Markup

from carboy import Carboy, Response, request, session
from carboy.json.tag import TaggedJSONSerializer
from carboy.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin

GOLDEN = json.loads(
    pathlib.Path(__file__).with_name("data").joinpath("session_cookies.json").read_text("utf-8")
)
GOLDEN_VALUES: dict[str, dict[str, Any]] = {
    "plain": {"user": "ada", "count": 3, "ratio": 0.5, "on": True, "none": None},
    "unicode": {"name": "Zoë 東京", "emoji": "⚓"},
    "list": {"cart": [1, [2, {"three": 3}]]},
    "tuple": {"point": (1, "two", (3.0,))},
    "bytes": {"raw": b"\x00\xffabc"},
    "markup": {"html": Markup("<b>bold</b>")},
    "uuid": {"id": uuid.UUID("12345678-1234-5678-1234-567812345678")},
    "datetime": {"at": datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)},
    "tag-like": {"a": {" t": [1, 2]}, "b": {" t__": "x"}, "c": {" b": "AA=="}},
    "permanent": {"_permanent": True, "user": "ada"},
    "flashes": {"_flashes": [("message", "saved"), ("error", "lost")]},
    "long": {"text": "vessel " * 200},
}
CENTURY = datetime.timedelta(days=36_500)


def make_app(**config: Any) -> Carboy:
    app = Carboy("sessions")
    app.secret_key = "test key"
    app.config.update(config)

    @app.post("/set")
    def set_values() -> str:
        session.update(request.get_json())
        return "set"

    @app.get("/get")
    def get_values() -> dict[str, Any]:
        return dict(session)

    @app.get("/none")
    def touch_nothing() -> str:
        return "nothing"

    @app.get("/seen")
    def look() -> str:
        app.extensions["seen"] = dict(session)
        return ""

    return app


def flask_serializer(key: str) -> URLSafeTimedSerializer:
    """The serializer that Flask documents for the session cookie."""
    return URLSafeTimedSerializer(
        key,
        salt="cookie-session",
        serializer=TaggedJSONSerializer(),
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    )


def seen_session(app: Carboy, cookie: str) -> dict[str, Any]:
    """What a view of `app` finds in `session` when the client sends `cookie`."""
    client = app.test_client(use_cookies=False)
    assert client.get("/seen", headers={"Cookie": f"session={cookie}"}).status_code == 200
    return app.extensions["seen"]


# SESS-01


def test_session_values_come_back_in_the_next_request() -> None:
    """SESS-01: the session is a dict that a cookie carries from request to request."""
    client = make_app().test_client()
    client.post("/set", json={"user": "ada", "cart": [1, 2]})
    assert client.get("/get").json == {"user": "ada", "cart": [1, 2]}


def test_session_has_the_methods_of_a_dict() -> None:
    """SESS-01: lookup, membership, length, iteration, update, setdefault and deletion work."""
    app = make_app()

    @app.get("/dict")
    def use() -> str:
        session["a"] = 1
        session.update(b=2)
        assert session.setdefault("c", 3) == 3
        assert "a" in session and "z" not in session
        assert len(session) == 3
        assert list(session) == ["a", "b", "c"]
        assert session == {"a": 1, "b": 2, "c": 3}
        del session["a"]
        with pytest.raises(KeyError):
            session["a"]
        assert isinstance(session._get_current_object(), dict)
        return "ok"

    client = app.test_client()
    assert client.get("/dict").text == "ok"
    assert client.get("/get").json == {"b": 2, "c": 3}


def test_two_clients_have_sessions_of_their_own() -> None:
    """SESS-01: what one client stores never shows in another's session."""
    app = make_app()
    first, second = app.test_client(), app.test_client()
    first.post("/set", json={"user": "ada"})
    second.post("/set", json={"user": "bob"})
    assert first.get("/get").json == {"user": "ada"}
    assert second.get("/get").json == {"user": "bob"}


# SESS-02


def test_secret_key_attribute_and_setting_are_one() -> None:
    """SESS-02: app.secret_key and config["SECRET_KEY"] mirror each other."""
    app = Carboy("sessions")
    assert app.secret_key is None
    app.secret_key = "one"
    assert app.config["SECRET_KEY"] == "one"
    app.config["SECRET_KEY"] = b"two"
    assert app.secret_key == b"two"


def test_writing_without_a_secret_key_is_an_error_that_says_so() -> None:
    """SESS-02: storing without a key raises RuntimeError, reading finds an empty session."""
    app = make_app(SECRET_KEY=None, TESTING=True)

    @app.get("/read")
    def read() -> str:
        return str(session.get("user", "nobody"))

    client = app.test_client()
    assert client.get("/read").text == "nobody"
    with pytest.raises(RuntimeError, match="The session is unavailable because no secret key"):
        client.post("/set", json={"user": "ada"})


@pytest.mark.parametrize(
    "write",
    [
        lambda: session.__setitem__("a", 1),
        lambda: session.update(a=1),
        lambda: session.setdefault("a", 1),
        lambda: session.pop("a", None),
        lambda: session.popitem(),
        lambda: session.clear(),
        lambda: session.__delitem__("a"),
    ],
    ids=["setitem", "update", "setdefault", "pop", "popitem", "clear", "delitem"],
)
def test_each_way_of_writing_without_a_key_is_refused(write: Any) -> None:
    """SESS-02: no mutation passes silently when there is no secret key."""
    app = make_app(SECRET_KEY=None)
    with (
        app.test_request_context(),
        pytest.raises(RuntimeError, match="The session is unavailable"),
    ):
        write()


# SESS-03


def test_session_cookie_is_readable_without_the_key() -> None:
    """SESS-03: the payload is base64 JSON that anyone can read; it is signed, not encrypted."""
    client = make_app().test_client()
    client.post("/set", json={"user": "ada"})
    payload = client.get_cookie("session").value.split(".")[0]
    raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    assert json.loads(raw) == {"user": "ada"}


def test_long_session_is_compressed_in_the_cookie() -> None:
    """SESS-03: a payload that compresses well starts with a dot and is zlib data."""
    client = make_app().test_client()
    client.post("/set", json={"text": "x" * 2000})
    value = client.get_cookie("session").value
    assert value.startswith(".")
    payload = value[1:].split(".")[0]
    raw = zlib.decompress(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert json.loads(raw) == {"text": "x" * 2000}


def test_tampered_cookie_gives_an_empty_session() -> None:
    """SESS-03: a payload exchanged under an old signature is ignored without an error."""
    app = make_app()
    client = app.test_client()
    client.post("/set", json={"user": "ada"})
    _, stamp, signature = client.get_cookie("session").value.split(".")
    forged = base64.urlsafe_b64encode(b'{"user":"eve"}').decode().rstrip("=")
    assert seen_session(app, f"{forged}.{stamp}.{signature}") == {}


# SESS-04


def test_changing_the_key_logs_everyone_out() -> None:
    """SESS-04: cookies of the former key are worth nothing under a new one."""
    app = make_app()
    client = app.test_client()
    client.post("/set", json={"user": "ada"})
    assert client.get("/get").json == {"user": "ada"}
    app.secret_key = "another key"
    assert client.get("/get").json == {}


def test_fallback_keys_read_old_cookies_and_sign_with_the_new_key() -> None:
    """SESS-04: SECRET_KEY_FALLBACKS keeps old sessions; what is written is signed anew."""
    app = make_app()
    client = app.test_client()
    client.post("/set", json={"user": "ada"})
    app.config.update(SECRET_KEY="new key", SECRET_KEY_FALLBACKS=["test key"])
    assert client.get("/get").json == {"user": "ada"}
    client.post("/set", json={"count": 1})
    cookie = client.get_cookie("session").value
    assert flask_serializer("new key").loads(cookie) == {"user": "ada", "count": 1}
    with pytest.raises(BadSignature):
        flask_serializer("test key").loads(cookie)


# SESS-05


def test_session_ends_with_the_browser_unless_permanent() -> None:
    """SESS-05: without session.permanent the cookie has no expiry."""
    client = make_app().test_client()
    header = client.post("/set", json={"user": "ada"}).headers["Set-Cookie"]
    assert "Expires" not in header and "Max-Age" not in header


def test_permanent_session_expires_after_thirty_one_days_by_default() -> None:
    """SESS-05: session.permanent sets the cookie's expiry from PERMANENT_SESSION_LIFETIME."""
    app = make_app()

    @app.get("/login")
    def login() -> str:
        assert session.permanent is False
        session.permanent = True
        session["user"] = "ada"
        return "ok"

    assert app.permanent_session_lifetime == datetime.timedelta(days=31)
    client = app.test_client()
    client.get("/login")
    cookie = client.get_cookie("session")
    wanted = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=31)
    assert abs(cookie.expires - wanted) < datetime.timedelta(minutes=1)
    assert client.get("/get").json == {"_permanent": True, "user": "ada"}


@pytest.mark.parametrize("lifetime", [3600, datetime.timedelta(hours=1)])
def test_lifetime_may_be_seconds_or_a_timedelta(lifetime: Any) -> None:
    """SESS-05: PERMANENT_SESSION_LIFETIME takes an int of seconds or a timedelta."""
    app = make_app(PERMANENT_SESSION_LIFETIME=lifetime)
    assert app.permanent_session_lifetime == datetime.timedelta(hours=1)
    client = app.test_client()
    client.post("/set", json={"_permanent": True})
    wanted = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    assert abs(client.get_cookie("session").expires - wanted) < datetime.timedelta(minutes=1)


def test_old_signature_is_refused_whatever_the_browser_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SESS-05: the signature's own time is checked against the lifetime, not only the cookie's."""
    app = make_app(PERMANENT_SESSION_LIFETIME=60)
    client = app.test_client()
    client.post("/set", json={"user": "ada"})
    cookie = client.get_cookie("session").value
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 55)
    assert seen_session(app, cookie) == {"user": "ada"}
    monkeypatch.setattr(time, "time", lambda: now + 65)
    assert seen_session(app, cookie) == {}


# SESS-06 and SESS-07


def test_cookie_name_is_a_setting() -> None:
    """SESS-06: SESSION_COOKIE_NAME names the cookie; the default is `session`."""
    app = make_app(SESSION_COOKIE_NAME="crate")
    client = app.test_client()
    client.post("/set", json={"user": "ada"})
    assert client.get_cookie("crate") is not None
    assert client.get_cookie("session") is None
    assert client.get("/get").json == {"user": "ada"}
    assert make_app().config["SESSION_COOKIE_NAME"] == "session"


@pytest.mark.parametrize(
    ("config", "present", "absent"),
    [
        ({}, ["HttpOnly", "Path=/"], ["Domain"]),
        ({"SESSION_COOKIE_HTTPONLY": False}, [], ["HttpOnly"]),
        ({"SESSION_COOKIE_SECURE": True}, ["Secure"], []),
        ({"SESSION_COOKIE_SECURE": False}, [], ["Secure"]),
        ({"SESSION_COOKIE_SAMESITE": "Lax"}, ["SameSite=Lax"], []),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, ["SameSite=Strict"], []),
        ({"SESSION_COOKIE_SAMESITE": "None"}, ["SameSite=None"], []),
        ({"SESSION_COOKIE_DOMAIN": "example.com"}, ["Domain=example.com"], []),
        ({"SESSION_COOKIE_PATH": "/shop"}, ["Path=/shop"], []),
        ({"APPLICATION_ROOT": "/mounted"}, ["Path=/mounted"], []),
        (
            {"APPLICATION_ROOT": "/mounted", "SESSION_COOKIE_PATH": "/other"},
            ["Path=/other"],
            ["Path=/mounted"],
        ),
        (
            {"SESSION_COOKIE_PARTITIONED": True, "SESSION_COOKIE_SECURE": True},
            ["Partitioned", "Secure"],
            [],
        ),
    ],
)
def test_cookie_attributes_follow_the_settings(
    config: dict[str, Any], present: list[str], absent: list[str]
) -> None:
    """SESS-07: SECURE, HTTPONLY, SAMESITE, DOMAIN, PATH and PARTITIONED reach the cookie."""
    app = make_app(**config)
    client = app.test_client()
    header = client.post("/set", json={"user": "ada"}, base_url="https://example.com").headers[
        "Set-Cookie"
    ]
    attributes = [part.strip() for part in header.split(";")[1:]]
    names = [part.split("=")[0] for part in attributes]
    for wanted in present:
        assert wanted in attributes
    for unwanted in absent:
        assert unwanted not in attributes and unwanted not in names


def test_wrong_samesite_value_is_refused() -> None:
    """SESS-07: a SameSite value that browsers do not know is a ValueError."""
    app = make_app(SESSION_COOKIE_SAMESITE="Sometimes", TESTING=True)
    with pytest.raises(ValueError, match="SameSite"):
        app.test_client().post("/set", json={"user": "ada"})


def test_deleted_cookie_carries_the_same_attributes() -> None:
    """SESS-07: clearing the session deletes the cookie under its own path, domain and flags."""
    app = make_app(
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_DOMAIN="example.com",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )

    @app.get("/logout")
    def logout() -> str:
        session.clear()
        return "bye"

    client = app.test_client()
    client.post("/set", json={"user": "ada"}, base_url="https://example.com")
    header = client.get("/logout", base_url="https://example.com").headers["Set-Cookie"]
    assert header.startswith("session=;")
    for part in ("Domain=example.com", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"):
        assert part in header


# SESS-08


def test_pop_and_get_work_like_a_dicts() -> None:
    """SESS-08: session.get has a default, session.pop removes for good."""
    app = make_app()

    @app.get("/pop")
    def pop() -> list[Any]:
        return [session.get("user"), session.pop("user"), session.get("user", "gone")]

    client = app.test_client()
    client.post("/set", json={"user": "ada", "keep": 1})
    assert client.get("/pop").json == ["ada", "ada", "gone"]
    assert client.get("/get").json == {"keep": 1}


def test_clear_deletes_the_cookie() -> None:
    """SESS-08: an emptied session expires its cookie."""
    app = make_app()

    @app.get("/logout")
    def logout() -> str:
        session.clear()
        return "bye"

    client = app.test_client()
    client.post("/set", json={"user": "ada"})
    response = client.get("/logout")
    assert "Max-Age=0" in response.headers["Set-Cookie"]
    assert client.get_cookie("session") is None
    assert client.get("/get").json == {}


def test_clearing_an_empty_session_sets_no_cookie() -> None:
    """SESS-08: nothing is deleted where nothing was stored."""
    app = make_app()

    @app.get("/logout")
    def logout() -> str:
        session.clear()
        return "bye"

    response = app.test_client().get("/logout")
    # A clear() counts as a change, so the deletion goes out even if there was no cookie.
    assert [h for h in response.headers.getlist("Set-Cookie") if "Max-Age=0" not in h] == []


# SESS-09


def test_changes_inside_a_mutable_value_need_modified() -> None:
    """SESS-09: appending to a stored list is saved only after session.modified = True."""
    app = make_app()

    @app.get("/append/<int:mark>")
    def append(mark: int) -> str:
        session["cart"].append(1)
        if mark:
            session.modified = True
        return "ok"

    client = app.test_client()
    client.post("/set", json={"cart": []})
    client.get("/append/0")
    assert client.get("/get").json == {"cart": []}
    client.get("/append/1")
    assert client.get("/get").json == {"cart": [1]}


def test_flags_new_modified_and_accessed() -> None:
    """SESS-09: `modified` and `accessed` tell what the request did with the session."""
    app = make_app()
    flags: list[Any] = []

    def state() -> tuple[bool, bool]:
        from carboy.globals import request_ctx

        current = request_ctx._session
        return current.accessed, current.modified

    @app.get("/flags")
    def view() -> str:
        flags.append(state())
        session.get("x")
        flags.append(state())
        session["x"] = 1
        flags.append(state())
        assert session.new is False
        return ""

    app.test_client().get("/flags")
    assert flags == [(False, False), (True, False), (True, True)]


def test_storing_marks_the_session_modified() -> None:
    """SESS-09: each mutating method sets `modified`, a lookup does not."""
    app = make_app()
    with app.test_request_context():
        session.get("a")
        assert session.modified is False
        session["a"] = 1
        assert session.modified is True
    with app.test_request_context():
        session.setdefault("a", 1)
        assert session.modified is True
    with app.test_request_context():
        session.pop("a", None)
        assert session.modified is False


# SESS-10


@pytest.mark.parametrize("name", ["tuple", "bytes", "markup", "uuid", "datetime", "tag-like"])
def test_richer_types_survive_the_cookie(name: str) -> None:
    """SESS-10: tuple, bytes, Markup, UUID, datetime come back as they were, tag-like dicts too."""
    app = make_app()
    values = GOLDEN_VALUES[name]

    @app.get("/store")
    def store() -> str:
        session.update(values)
        return ""

    client = app.test_client()
    client.get("/store")
    found = seen_session(app, client.get_cookie("session").value)
    assert found == values
    assert {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in values.items()}


def test_other_types_are_a_type_error() -> None:
    """SESS-10: a value that JSON cannot carry is an error, never a silent loss."""
    app = make_app(TESTING=True)

    @app.get("/store")
    def store() -> str:
        session["x"] = object()
        return ""

    with pytest.raises(TypeError):
        app.test_client().get("/store")


# SESS-11


def test_no_cookie_and_no_vary_unless_touched() -> None:
    """SESS-11: a request that leaves the session alone answers without Set-Cookie and Vary."""
    client = make_app().test_client()
    response = client.get("/none")
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers


def test_reading_sets_vary_but_no_cookie() -> None:
    """SESS-11: reading the session makes the answer vary by cookie."""
    response = make_app().test_client().get("/get")
    assert "Set-Cookie" not in response.headers
    assert response.headers["Vary"] == "Cookie"


def test_writing_sets_vary_and_cookie() -> None:
    """SESS-11: writing the session sends the cookie and `Vary: Cookie`."""
    response = make_app().test_client().post("/set", json={"a": 1})
    assert "Set-Cookie" in response.headers
    assert response.headers["Vary"] == "Cookie"


def test_vary_is_added_to_what_the_view_set() -> None:
    """SESS-11: the view's own Vary values are kept beside `Cookie`."""
    app = make_app()

    @app.get("/vary")
    def vary() -> Response:
        session.get("a")
        response = Response("x")
        response.vary.add("Accept-Encoding")
        return response

    assert set(app.test_client().get("/vary").vary) == {"Accept-Encoding", "Cookie"}


@pytest.mark.parametrize(("refresh", "sent"), [(True, True), (False, False)])
def test_permanent_session_is_refreshed_each_request(refresh: bool, sent: bool) -> None:
    """SESS-11: SESSION_REFRESH_EACH_REQUEST renews a permanent session's cookie, with Vary."""
    client = make_app(SESSION_REFRESH_EACH_REQUEST=refresh).test_client()
    client.post("/set", json={"_permanent": True, "user": "ada"})
    response = client.get("/none")
    assert ("Set-Cookie" in response.headers) is sent
    assert ("Cookie" in response.vary) is sent


def test_ordinary_session_is_not_refreshed() -> None:
    """SESS-11: a session that is not permanent is sent again only when it changed."""
    client = make_app().test_client()
    client.post("/set", json={"user": "ada"})
    assert "Set-Cookie" not in client.get("/none").headers
    assert "Set-Cookie" not in client.get("/get").headers


# SESS-12


def test_session_outside_a_request_is_an_error() -> None:
    """SESS-12: the session exists only in a request, not in an application context."""
    app = make_app()
    with pytest.raises(RuntimeError, match="Working outside of request context"):
        session["a"]
    with (
        app.app_context(),
        pytest.raises(RuntimeError, match="Working outside of request context"),
    ):
        session["a"] = 1


# SESS-13


class MemorySession(dict[str, Any], SessionMixin):
    def __init__(self, values: dict[str, Any], sid: str) -> None:
        super().__init__(values)
        self.sid = sid


class MemoryInterface(SessionInterface):
    """Keeps sessions in a dict; the cookie has only a number."""

    def __init__(self) -> None:
        self.store: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []

    def open_session(self, app: Any, request: Any) -> MemorySession:
        self.calls.append("open")
        sid = request.cookies.get(self.get_cookie_name(app)) or str(len(self.store) + 1)
        return MemorySession(self.store.get(sid, {}), sid)

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        self.calls.append("save")
        self.store[session.sid] = dict(session)
        response.set_cookie(self.get_cookie_name(app), session.sid)


def test_custom_session_interface_opens_and_saves_each_request() -> None:
    """SESS-13: app.session_interface is asked to open and to save, once a request each."""
    app = make_app()
    interface = MemoryInterface()
    app.session_interface = interface
    client = app.test_client()
    client.post("/set", json={"user": "ada"})
    assert client.get_cookie("session").value == "1"
    assert client.get("/get").json == {"user": "ada"}
    assert interface.store == {"1": {"user": "ada"}}
    client.get("/none")
    assert interface.calls == ["open", "save"] * 3


def test_interface_that_opens_nothing_gives_a_null_session() -> None:
    """SESS-13: when open_session answers None, a null session that refuses writes stands in."""

    class Closed(SessionInterface):
        saved = 0

        def open_session(self, app: Any, request: Any) -> None:
            return None

        def save_session(self, app: Any, session: Any, response: Any) -> None:
            Closed.saved += 1

    app = make_app(TESTING=True)
    app.session_interface = Closed()
    client = app.test_client()
    assert client.get("/get").json == {}
    with pytest.raises(RuntimeError, match="The session is unavailable"):
        client.post("/set", json={"a": 1})
    assert Closed.saved == 0


def test_subclass_of_the_cookie_interface_decides_about_the_cookie() -> None:
    """SESS-13: overriding single methods of SecureCookieSessionInterface is honoured."""

    class Chosen(SecureCookieSessionInterface):
        salt = "another-salt"

        def get_cookie_name(self, app: Any) -> str:
            return "chosen"

        def get_cookie_samesite(self, app: Any) -> str:
            return "Strict"

        def should_set_cookie(self, app: Any, session: Any) -> bool:
            return bool(session.modified) and "secret" not in session

    app = make_app()
    app.session_interface = Chosen()
    client = app.test_client()
    header = client.post("/set", json={"a": 1}).headers["Set-Cookie"]
    assert header.startswith("chosen=") and "SameSite=Strict" in header
    assert client.get("/get").json == {"a": 1}
    assert "Set-Cookie" not in client.post("/set", json={"secret": 1}).headers
    with pytest.raises(BadSignature):
        flask_serializer("test key").loads(client.get_cookie("chosen").value)


def test_session_is_open_before_the_url_is_matched() -> None:
    """SESS-13: URL converters and failing matches may use the session."""
    app = make_app()

    @app.errorhandler(404)
    def missing(error: Exception) -> tuple[str, int]:
        return f"no page for {session.get('user')}", 404

    client = app.test_client()
    client.post("/set", json={"user": "ada"})
    assert client.get("/nowhere").text == "no page for ada"


# Exchange with Flask


@pytest.mark.parametrize("name", sorted(GOLDEN["cookies"]))
def test_a_cookie_that_flask_signed_is_read(name: str) -> None:
    """SESS-01, SESS-10: cookies written by Flask open as the same values."""
    app = make_app(PERMANENT_SESSION_LIFETIME=CENTURY, SECRET_KEY=GOLDEN["key"])
    assert seen_session(app, GOLDEN["cookies"][name]) == GOLDEN_VALUES[name]


def test_a_cookie_of_flask_s_old_key_is_read_by_fallback() -> None:
    """SESS-04: key rotation reads what Flask signed with the former key."""
    app = make_app(PERMANENT_SESSION_LIFETIME=CENTURY, SECRET_KEY=GOLDEN["key"])
    assert seen_session(app, GOLDEN["cookie_of_old_key"]) == {}
    app = make_app(
        PERMANENT_SESSION_LIFETIME=CENTURY,
        SECRET_KEY=GOLDEN["key"],
        SECRET_KEY_FALLBACKS=["unrelated", GOLDEN["old_key"]],
    )
    assert seen_session(app, GOLDEN["cookie_of_old_key"]) == GOLDEN_VALUES["plain"]


@pytest.mark.parametrize("name", sorted(GOLDEN_VALUES))
def test_the_cookie_opens_with_flask_s_documented_serializer(name: str) -> None:
    """SESS-03: itsdangerous, set up as Flask documents, reads the cookie."""
    app = make_app()

    @app.get("/store")
    def store() -> str:
        session.update(GOLDEN_VALUES[name])
        return ""

    client = app.test_client()
    client.get("/store")
    cookie = client.get_cookie("session").value
    assert flask_serializer("test key").loads(cookie, max_age=60) == GOLDEN_VALUES[name]


@pytest.mark.parametrize("name", sorted(GOLDEN_VALUES))
def test_payload_is_byte_for_byte_flask_s(name: str) -> None:
    """SESS-03: the same values make the same payload as in Flask, so caches and tests agree."""
    app = make_app(SECRET_KEY=GOLDEN["key"])

    @app.get("/store")
    def store() -> str:
        session.update(GOLDEN_VALUES[name])
        return ""

    client = app.test_client()
    client.get("/store")
    mine = client.get_cookie("session").value.rsplit(".", 2)[0]
    assert mine == GOLDEN["cookies"][name].rsplit(".", 2)[0]
