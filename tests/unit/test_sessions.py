"""The session interface: signing, clocks, planted cookies, sizes, caches."""

from __future__ import annotations

import hashlib
import logging
import time
import warnings
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.datastructures import ImmutableMultiDict

from carboy import Carboy, Response
from carboy.json.tag import TaggedJSONSerializer
from carboy.sessions import (
    CLOCK_TOLERANCE,
    NullSession,
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    SessionMixin,
)

KEY = "a key for tests"


def make_app(**config: Any) -> Carboy:
    app = Carboy("sessions_app")
    app.config.update({"SECRET_KEY": KEY} | config)
    return app


def reference(*keys: str) -> Any:
    """The serializer as ItsDangerous has it and Flask uses it."""
    return URLSafeTimedSerializer(
        list(keys) or KEY,
        salt="cookie-session",
        serializer=TaggedJSONSerializer(),
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    )


def opened(app: Carboy, *values: str) -> Any:
    request: Any = SimpleNamespace(cookies=ImmutableMultiDict([("session", v) for v in values]))
    return app.session_interface.open_session(app, request)


def saved(app: Carboy, session: Any) -> Response:
    response = app.response_class()
    app.session_interface.save_session(app, session, response)
    return response


def filled(**values: Any) -> SecureCookieSession:
    session = SecureCookieSession()
    session.update(values)
    return session


def signed_at(monkeypatch: pytest.MonkeyPatch, seconds: float, *keys: str) -> str:
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now + seconds)
        cookie: str = reference(*keys).dumps({"a": 1})
    return cookie


@given(st.dictionaries(st.text(), st.text() | st.binary() | st.integers(), max_size=3))
def test_the_kept_serializer_and_its_original_read_each_other(value: dict[str, Any]) -> None:
    app = make_app()
    mine = SecureCookieSessionInterface().get_signing_serializer(app)
    assert mine is not None
    assert reference().loads(mine.dumps(value), max_age=10) == value
    assert mine.loads(reference().dumps(value), max_age=10) == value
    assert mine.loads(mine.dumps(value)) == mine.loads(mine.dumps(value), salt="cookie-session")


def test_the_kept_serializer_has_the_rest_of_its_base_s_interface() -> None:
    mine: Any = SecureCookieSessionInterface().get_signing_serializer(make_app())
    other = mine.dumps({"a": 1}, salt="other")
    assert mine.loads(other, max_age=10, salt="other") == {"a": 1}
    with pytest.raises(BadSignature):
        mine.loads(other, max_age=10)
    value, signed = mine.loads(mine.dumps({"a": 1}), max_age=10, return_timestamp=True)
    assert value == {"a": 1}
    assert abs(signed.timestamp() - time.time()) < 5
    assert mine.loads_unsafe("x.y.z") == (False, None)


def test_the_serializer_is_made_once_for_a_recipe() -> None:
    interface, app = SecureCookieSessionInterface(), make_app()
    first = interface.get_signing_serializer(app)
    assert interface.get_signing_serializer(app) is first
    app.config["SECRET_KEY_FALLBACKS"] = ["old"]
    second = interface.get_signing_serializer(app)
    assert second is not first
    app.config["SECRET_KEY_FALLBACKS"].append("older")
    assert interface.get_signing_serializer(app) is not second
    app.secret_key = b"\xff bytes"
    third = interface.get_signing_serializer(app)
    interface.serializer = TaggedJSONSerializer()
    assert interface.get_signing_serializer(app) is not third


def test_many_keys_do_not_pile_up() -> None:
    interface, app = SecureCookieSessionInterface(), make_app()
    for number in range(200):
        app.secret_key = f"key {number}"
        interface.get_signing_serializer(app)
    assert len(interface._serializers) <= 64


def test_another_digest_and_derivation_are_used() -> None:
    class Interface(SecureCookieSessionInterface):
        digest_method = staticmethod(hashlib.sha256)
        key_derivation = "concat"
        salt = "mine"

    app = make_app()
    app.session_interface = Interface()
    cookie = saved(app, filled(a=1)).headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    expected = URLSafeTimedSerializer(
        KEY,
        salt="mine",
        serializer=TaggedJSONSerializer(),
        signer_kwargs={"key_derivation": "concat", "digest_method": hashlib.sha256},
    )
    assert expected.loads(cookie) == {"a": 1}
    assert opened(app, cookie) == {"a": 1}


def test_fallback_keys_are_read_while_listed_and_never_sign() -> None:
    """HOSTILE-133."""
    app = make_app(SECRET_KEY_FALLBACKS=["oldest", "old"])
    for key in ("old", "oldest", KEY):
        assert opened(app, reference(key).dumps({"a": 1})) == {"a": 1}
    cookie = saved(app, filled(a=1)).headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    assert reference(KEY).loads(cookie) == {"a": 1}
    app.config["SECRET_KEY_FALLBACKS"] = ["old"]
    assert opened(app, reference("oldest").dumps({"a": 1})) == {}


@pytest.mark.parametrize("ahead", [1, 2, CLOCK_TOLERANCE - 1])
def test_a_cookie_of_the_near_future_is_kept(monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    """HOSTILE-136: the clock was set back, or another host's runs ahead."""
    assert opened(make_app(), signed_at(monkeypatch, ahead)) == {"a": 1}


@pytest.mark.parametrize(
    "offset", [CLOCK_TOLERANCE + 5, 3600, 30 * 365 * 86400, -32 * 86400, -50 * 365 * 86400]
)
def test_a_cookie_of_another_time_is_empty(monkeypatch: pytest.MonkeyPatch, offset: int) -> None:
    """HOSTILE-135."""
    assert opened(make_app(), signed_at(monkeypatch, offset)) == {}


def test_the_near_future_needs_a_good_signature_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(make_app(), signed_at(monkeypatch, 2, "another key")) == {}


def test_lifetime_bounds_the_age(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(PERMANENT_SESSION_LIFETIME=timedelta(seconds=100))
    assert opened(app, signed_at(monkeypatch, -90)) == {"a": 1}
    assert opened(app, signed_at(monkeypatch, -110)) == {}


def test_the_cookie_that_verifies_is_found_behind_planted_ones() -> None:
    """HOSTILE-142."""
    app, good = make_app(), reference().dumps({"a": 1})
    planted = ["", "x", "a.b.c", reference("stranger").dumps({"a": 2}), good[:-3], "\xff"]
    assert opened(app, *planted, good) == {"a": 1}
    assert opened(app, *planted) == {}


def test_a_plain_dict_of_cookies_will_do() -> None:
    app: Any = make_app()
    request: Any = SimpleNamespace(cookies={"session": reference().dumps({"a": 1})})
    assert app.session_interface.open_session(app, request) == {"a": 1}


def test_a_signed_value_without_a_time_is_empty() -> None:
    app = make_app()
    mine: Any = SecureCookieSessionInterface().get_signing_serializer(app)
    for value in (b"payload", b"payload.$$$", b".", b"payload."):
        signature = mine.make_signer().get_signature(value)
        assert opened(app, (value + b"." + signature).decode()) == {}


def test_without_a_key_there_is_no_session_and_saving_one_says_so() -> None:
    app = make_app(SECRET_KEY=None)
    assert opened(app, "x") is None
    with pytest.raises(RuntimeError, match="no secret key was set"):
        saved(app, filled(a=1))


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(a=1),
        lambda s: s.__setitem__("a", 1),
        lambda s: s.setdefault("a"),
        lambda s: s.pop("a", None),
        lambda s: s.popitem(),
        lambda s: s.clear(),
        lambda s: s.__delitem__("a"),
        lambda s: setattr(s, "permanent", True),
    ],
)
def test_a_null_session_refuses_each_change_and_can_be_read(change: Any) -> None:
    session = NullSession()
    assert session.get("a") is None
    with pytest.raises(RuntimeError, match="token_hex"):
        change(session)


def test_a_session_notices_changes_and_only_those() -> None:
    session = SecureCookieSession({"a": [1], "b": 2})
    assert session["a"] and session.get("b") and "c" not in session and len(session) == 2
    session["a"].append(2)
    assert not session.modified
    session.pop("b")
    assert session.modified
    assert not SecureCookieSession().modified, "a session must not change its class"


def test_an_own_session_class_needs_a_dict_and_the_mixin() -> None:
    class Session(dict[str, Any], SessionMixin):
        pass

    session = Session()
    session.permanent = 1  # type: ignore[assignment]
    assert session == {"_permanent": True} and session.permanent is True
    assert (session.new, session.modified, session.accessed) == (False, True, False)


def test_the_base_interface_leaves_opening_and_saving_to_subclasses() -> None:
    interface: Any = SessionInterface()
    assert interface.lazy is False and SecureCookieSessionInterface.lazy is True
    with pytest.raises(NotImplementedError):
        interface.open_session(None, None)
    with pytest.raises(NotImplementedError):
        interface.save_session(None, None, None)
    null = interface.make_null_session(None)
    assert interface.is_null_session(null) and not interface.is_null_session({})


def test_a_session_over_the_limit_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """HOSTILE-140."""
    app = make_app()
    text = "".join(hashlib.sha512(bytes([n])).hexdigest() for n in range(80))
    with app.test_request_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        response = saved(app, filled(text=text))
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    size = len(response.headers["Set-Cookie"])
    assert size > 4093
    assert record.name == "sessions_app"
    assert f"is {size} bytes long" in record.getMessage()


def test_a_session_just_under_the_limit_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    with app.test_request_context():
        size = len(saved(app, filled(a="x")).headers["Set-Cookie"])
        app.config["MAX_COOKIE_SIZE"] = size
        saved(app, filled(a="x"))
        assert caplog.records == []
        app.config["MAX_COOKIE_SIZE"] = size - 1
        with pytest.warns(UserWarning, match="too large"):
            saved(app, filled(a="x"))
    assert len(caplog.records) == 1


@pytest.mark.parametrize("control", ["public, max-age=60", "s-maxage=60", "max-age=60, public"])
def test_a_response_with_the_cookie_is_for_no_shared_cache(control: str) -> None:
    """HOSTILE-138."""
    app = make_app()
    for session in (filled(a=1), SecureCookieSession()):
        session.modified = True
        response = app.response_class(headers={"Cache-Control": control})
        app.session_interface.save_session(app, session, response)
        found = response.cache_control
        assert found.private and not found.public and found.s_maxage is None
        assert "Cookie" in response.vary


def test_a_response_without_the_cookie_keeps_its_cache_control() -> None:
    app = make_app()
    response = app.response_class(headers={"Cache-Control": "public"})
    app.session_interface.save_session(app, SecureCookieSession({"a": 1}), response)
    assert response.headers["Cache-Control"] == "public"
    assert "Vary" not in response.headers


def test_vary_is_said_once_beside_what_is_there() -> None:
    app, session = make_app(), SecureCookieSession({"a": 1})
    session.accessed = True
    session.modified = True
    response = app.response_class(headers={"Vary": "Accept"})
    app.session_interface.save_session(app, session, response)
    assert response.headers["Vary"] == "Accept, Cookie"


def test_overridden_cookie_options_are_asked() -> None:
    class Interface(SecureCookieSessionInterface):
        def get_cookie_name(self, app: Carboy) -> str:
            return "mine"

        def get_cookie_secure(self, app: Carboy) -> bool:
            return True

        def should_set_cookie(self, app: Carboy, session: SessionMixin) -> bool:
            return bool(session.get("wanted"))

    app = make_app()
    app.session_interface = Interface()
    assert "Set-Cookie" not in saved(app, filled(a=1)).headers
    cookie = saved(app, filled(wanted=1)).headers["Set-Cookie"]
    assert cookie.startswith("mine=") and "Secure" in cookie
