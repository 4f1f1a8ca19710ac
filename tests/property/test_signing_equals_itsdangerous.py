"""The session cookie is made and read by short ways; ItsDangerous' own way says what is right."""

from __future__ import annotations

import hashlib
import hmac
import pickle
import time
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from itsdangerous import BadData, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.sansio.http import parse_cookie

from carboy import Carboy, Request, Response
from carboy.body import cookies_named, parse_cookies
from carboy.json.tag import TaggedJSONSerializer
from carboy.sessions import SecureCookieSession, SecureCookieSessionInterface
from carboy.signing import Hmac, KeptSigners, pack

NOW = 1_763_700_000
DIGESTS = [hashlib.sha1, hashlib.sha256, hashlib.sha512, hashlib.sha3_256, hashlib.blake2s]
KEYS = st.lists(st.text(min_size=1) | st.binary(min_size=1, max_size=200), min_size=1, max_size=3)

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.uuids()
    | st.datetimes(min_value=datetime(1970, 1, 2)).map(lambda d: d.replace(microsecond=0))
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts | st.sampled_from([" t", " di", " b"]), inner, max_size=3)
    ),
    max_leaves=12,
)
sessions = st.dictionaries(texts, values, max_size=4)


@pytest.fixture(autouse=True)
def _clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW + 0.5)


def pair(
    keys: list[Any],
    digest: Any = hashlib.sha1,
    derivation: str = "hmac",
    salt: str = "cookie-session",
    serializer: Any = None,
) -> tuple[KeptSigners, Any]:
    """Carboy's serializer and the one it stands for."""
    serializer = serializer or TaggedJSONSerializer()
    return KeptSigners(keys, digest, derivation, salt, serializer), URLSafeTimedSerializer(
        keys,
        salt=salt,
        serializer=serializer,
        signer_kwargs={"key_derivation": derivation, "digest_method": digest},
    )


@given(
    sessions,
    KEYS,
    st.sampled_from(DIGESTS),
    st.sampled_from(["concat", "django-concat", "hmac", "none"]),
    st.text(min_size=1),
)
@example({"text": "x" * 3000}, ["key"], hashlib.sha1, "hmac", "cookie-session")
@example({"_user_id": "1", "_fresh": True}, ["k" * 300], hashlib.sha1, "hmac", "cookie-session")
def test_the_same_bytes_are_written_and_the_same_value_is_read(
    value: Any, keys: list[Any], digest: Any, derivation: str, salt: str
) -> None:
    assume(salt.isprintable())
    mine, reference = pair(keys, digest, derivation, salt)
    cookie = mine.dumps(value)
    assert cookie == reference.dumps(value)
    assert mine.loads(cookie, max_age=5) == reference.loads(cookie, max_age=5)
    assert mine.loads(cookie.encode(), max_age=5) == mine.loads(cookie)


@given(KEYS, st.integers(0, 2))
def test_each_key_of_a_rotation_reads_and_the_last_one_signs(keys: list[Any], number: int) -> None:
    mine, reference = pair(keys)
    assert mine.dumps({"a": 1}) == reference.dumps({"a": 1})
    _, old = pair([keys[number % len(keys)]])
    assert mine.loads(old.dumps({"a": 1}), max_age=5) == {"a": 1}


def outcome(serializer: Any, cookie: Any, max_age: int) -> Any:
    """What reading gives: the value, or the error with all that it says."""
    try:
        return serializer.loads(cookie, max_age=max_age)
    except (BadData, OSError, OverflowError, ValueError) as error:
        return type(error), str(error), vars(error).keys()


@given(
    sessions,
    st.integers(-1_000, 1_000),
    st.integers(0, 500),
    st.lists(st.tuples(st.integers(0, 500), st.sampled_from("=.-_Aa 9\xff\n"), st.booleans())),
)
def test_a_damaged_or_old_cookie_is_refused_in_the_same_words(
    value: Any, offset: int, max_age: int, damage: list[tuple[int, str, bool]]
) -> None:
    mine, reference = pair(["old", "new"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: NOW + offset)
        cookie = reference.dumps(value)
    for place, character, replaces in damage:
        place %= len(cookie) + 1
        cookie = cookie[:place] + character + cookie[place + replaces :]
    assert outcome(mine, cookie, max_age) == outcome(reference, cookie, max_age)


@given(st.binary(max_size=40), st.binary(max_size=12))
def test_any_signed_value_is_read_or_refused_alike(payload: bytes, stamp: bytes) -> None:
    mine, reference = pair(["key"])
    for part in (payload, base64_encode(payload), b"." + base64_encode(zlib.compress(payload))):
        value = b".".join((part, base64_encode(stamp)))
        signed = value + b"." + reference.make_signer().get_signature(value)
        assert outcome(mine, signed, 10**9) == outcome(reference, signed, 10**9)


@given(sessions)
def test_a_serializer_of_bytes_has_cookies_of_bytes(value: Any) -> None:
    mine, reference = pair(["key"], serializer=pickle)
    cookie: Any = mine.dumps(value)
    assert isinstance(cookie, bytes)
    assert cookie == reference.dumps(value)
    assert mine.loads(cookie, max_age=5) == value


def test_another_salt_and_other_settings_go_the_base_s_way() -> None:
    mine, reference = pair(["key"])
    other = mine.dumps({"a": 1}, salt="other")
    assert other == reference.dumps({"a": 1}, salt="other")
    assert mine.loads(other, max_age=5, salt="other") == {"a": 1}
    assert outcome(mine, other, 5) == outcome(reference, other, 5)


def test_the_time_stamp_follows_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, reference = pair(["key"])
    for second in (0, 0, 1, 300, 0, 70_000):
        monkeypatch.setattr(time, "time", lambda second=second: NOW + second)
        assert mine.dumps({"a": 1}) == reference.dumps({"a": 1})


@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from(DIGESTS))
def test_the_kept_hashes_give_rfc_2104_s_code(key: bytes, value: bytes, digest: Any) -> None:
    code = Hmac(key, digest)
    for _ in range(2):
        assert code.text(value) == base64_encode(hmac.digest(key, value, digest().name))


repetitive = st.lists(st.sampled_from([b"a", b"ab", b'"', b"\xff", b'":"']), max_size=30).map(
    b"".join
)


@given(st.binary(max_size=40) | repetitive)
@example(b"a" * 9)
@example(b"a" * 16)
@example(b"ab" * 8)
@example(b"abc" * 8)
def test_a_payload_is_compressed_exactly_when_that_is_shorter(data: bytes) -> None:
    class Raw:
        dumps = staticmethod(bytes)
        loads = staticmethod(bytes)

    reference = URLSafeTimedSerializer("key", serializer=Raw)
    assert pack(data) == reference.dump_payload(data)


names = st.sampled_from(["session", "sess", "session2", "s"])
parts = st.tuples(
    names | st.text(max_size=5), st.sampled_from(["=", "", " = ", "=="]), st.text(max_size=8)
)


@given(st.lists(parts.map("".join), max_size=5), st.sampled_from([";", "; ", ";  ", ";\t"]), names)
def test_the_values_of_one_cookie_are_those_among_all(
    listed: list[str], separator: str, name: str
) -> None:
    header = separator.join(listed)
    found = cookies_named(name, header)
    if found is not None:
        for cookies in (
            parse_cookies(header, ImmutableMultiDict),
            parse_cookie(header, cls=ImmutableMultiDict),
        ):
            assert [*filter(None, found)] == [*filter(None, cookies.getlist(name))]


class OtherResponse(Response):
    """Not the stock way of setting a cookie, so sessions are saved by the long one."""

    def set_cookie(self, *args: Any, **kwargs: Any) -> None:
        super().set_cookie(*args, **kwargs)


class OtherInterface(SecureCookieSessionInterface):
    def get_cookie_path(self, app: Carboy) -> str:
        return super().get_cookie_path(app)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "SESSION_COOKIE_NAME": st.sampled_from(["s", "__Host-s", "weird!name"]),
            "SESSION_COOKIE_PATH": st.sampled_from([None, "/", "/a b/ü"]),
            "APPLICATION_ROOT": st.sampled_from(["/", "/app"]),
            "SESSION_COOKIE_DOMAIN": st.sampled_from([None, "example.org", ".bücher.example"]),
            "SESSION_COOKIE_SECURE": st.sampled_from([None, False, True]),
            "SESSION_COOKIE_HTTPONLY": st.booleans(),
            "SESSION_COOKIE_SAMESITE": st.sampled_from([None, "lax", "Strict", "None"]),
            "SESSION_COOKIE_PARTITIONED": st.booleans(),
            "SESSION_REFRESH_EACH_REQUEST": st.booleans(),
            "PERMANENT_SESSION_LIFETIME": st.sampled_from([60, timedelta(days=3)]),
        },
    ),
    st.dictionaries(st.sampled_from(["a", "_permanent"]), st.integers(0, 1), max_size=2),
    st.booleans(),
    st.booleans(),
    st.lists(
        st.sampled_from(
            [("Vary", "Accept"), ("vary", "Cookie"), ("Cache-Control", "public, max-age=5"),
             ("Cache-Control", "no-store"), ("X-13-letters-", "x"), ("Link", "x")]
        ),
        max_size=3,
    ),
)  # fmt: skip
def test_saving_a_session_sets_the_same_headers_as_the_long_way(
    config: dict[str, Any],
    content: dict[str, Any],
    modified: bool,
    accessed: bool,
    headers: list[tuple[str, str]],
) -> None:
    def saved(response_class: type[Response], interface: SecureCookieSessionInterface) -> Any:
        app = Carboy("saving", static_folder=None)
        app.config.update({"SECRET_KEY": "key"} | config)
        session = SecureCookieSession(content)
        session.modified, session.accessed = modified, accessed
        response = response_class(headers=headers)
        interface.save_session(app, session, response)
        return list(response.headers)

    found: list[Any] = []
    moment = None
    while moment != datetime.now(UTC).replace(microsecond=0):
        # Again, if the second of Expires has changed in between.
        moment = datetime.now(UTC).replace(microsecond=0)
        found = [
            saved(Response, SecureCookieSessionInterface()),
            saved(OtherResponse, OtherInterface()),
        ]
    assert found[0] == found[1]


def test_what_is_replaced_on_the_interface_itself_counts() -> None:
    app = Carboy("replaced", static_folder=None)
    app.secret_key = "key"
    interface: Any = SecureCookieSessionInterface()
    interface.get_cookie_path = lambda app: "/own"
    response = Response()
    interface.save_session(app, _changed(), response)
    assert "; Path=/own" in response.headers["Set-Cookie"]


def test_the_other_cookies_and_a_request_class_of_its_own_are_left_alone() -> None:
    class Spy(Request):
        @property
        def cookies(self) -> Any:
            return ImmutableMultiDict({"session": cookie})

    app = Carboy("spied", static_folder=None)
    app.secret_key = "key"
    interface: Any = app.session_interface
    cookie = interface.get_signing_serializer(app).dumps({"a": 1})
    environ = {"HTTP_COOKIE": f"a=b; session={cookie}; c=d"}
    request = Request(dict(environ))
    assert interface.open_session(app, request) == {"a": 1}
    assert request.cookies.getlist("c") == ["d"]
    assert interface.open_session(app, Spy({})) == {"a": 1}
    changed = Request(dict(environ))
    changed.__dict__["cookies"] = ImmutableMultiDict()
    assert interface.open_session(app, changed) == {}


def _changed() -> SecureCookieSession:
    session = SecureCookieSession()
    session["a"] = UUID(int=1)
    return session
