"""Who is asking: dispatchers with a password, partners with a key, trackers with a signature."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import joinedload
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response

from carboy import current_app, flash, g, redirect, request, session, url_for

from .db import db_session
from .models import ApiKey, SignIn, User
from .services import services, utc_now

P = ParamSpec("P")
R = TypeVar("R")

SESSION_KEY = "sign_in"
SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII)
LONGEST_NAME = 80  # characters, as the table has it
LONGEST_PASSWORD = 1024  # characters; hashing more is work for nobody


def digest_of(secret: str) -> str:
    """How keys and session tokens are stored: they are random, so a plain hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


# Dispatchers ---------------------------------------------------------------------------------


def hash_password(password: str) -> str:
    return generate_password_hash(password)


@lru_cache(maxsize=1)
def _hash_of_nobody() -> str:
    return hash_password(secrets.token_hex())


def check_password(name: str, password: str) -> User | None:
    """The user with this name and password.

    A wrong name takes as long as a wrong password.  A hash made with older parameters than
    Werkzeug's current ones is renewed on the way.
    """
    if len(password) > LONGEST_PASSWORD or len(name) > LONGEST_NAME or "\0" in name:
        return None  # nobody is called so, and PostgreSQL refuses a NUL
    user = db_session().scalar(select(User).where(User.name == name))
    stored = _hash_of_nobody() if user is None else user.password_hash
    if not check_password_hash(stored, password) or user is None:
        return None
    if _method(stored) != _method(_hash_of_nobody()):
        user.password_hash = hash_password(password)
        db_session().commit()
    return user


def _method(password_hash: str) -> str:
    return password_hash.partition("$")[0]


def sign_in(user: User) -> None:
    """Begins a new session for `user`; whatever the visitor's old session held is gone.

    The cookie carries a random token that nobody could have planted before (session fixation),
    and the database its digest, so that signing out ends copies of the cookie too.
    """
    token = secrets.token_urlsafe(32)
    now = services().now()
    database = db_session()
    database.execute(delete(SignIn).where(SignIn.expires_at <= now))
    database.add(
        SignIn(
            token_digest=digest_of(token),
            user_id=user.id,
            expires_at=now + current_app.permanent_session_lifetime,
        )
    )
    database.commit()
    session.clear()
    session.permanent = True
    session[SESSION_KEY] = token
    g.user = user


def sign_out() -> None:
    token = session.get(SESSION_KEY)
    if isinstance(token, str):
        db_session().execute(delete(SignIn).where(SignIn.token_digest == digest_of(token)))
        db_session().commit()
    session.clear()
    g.user = None


def current_user() -> User | None:
    """The dispatcher who sent this request, looked up once per request."""
    if "user" not in g:
        g.user = _user_of_session()
    user: User | None = g.user
    return user


def _user_of_session() -> User | None:
    token = session.get(SESSION_KEY)
    if not isinstance(token, str):
        return None
    found = db_session().scalar(
        select(SignIn)
        .options(joinedload(SignIn.user))
        .where(SignIn.token_digest == digest_of(token), SignIn.expires_at > services().now())
    )
    return None if found is None else found.user


def dispatchers_only(view: Callable[P, R]) -> Callable[P, R | Response]:
    """Lets dispatchers in; sends others to the sign-in page, and scripts a 401."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | Response:
        if current_user() is not None:
            return view(*args, **kwargs)
        if request.path.endswith((".json", ".events")):
            raise Unauthorized("Sign in first.")
        flash("Please sign in to continue.", "info")
        # full_path always has a "?"; without a query it would look odd in the address bar.
        wanted = request.full_path if request.query_string else request.path
        return redirect(url_for("fleet_web.sign_in_page", next=wanted))

    return guarded


def safe_next(target: str | None) -> str | None:
    """`target` if it is a path on this host, else None.

    Browsers drop tabs and newlines inside an address and read `\\` as `/`, so both are refused,
    as is anything that `//` would send to another host.
    """
    if not target or not target.startswith("/") or target[1:2] in {"/", "\\"}:
        return None
    if "\\" in target or any(ord(char) <= 0x20 or ord(char) == 0x7F for char in target):
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return None if parts.scheme or parts.netloc else target


# Partners ------------------------------------------------------------------------------------


def new_api_key(name: str) -> tuple[ApiKey, str]:
    """A key for a partner and its secret text, which is shown once and kept nowhere."""
    secret = "hbr_" + secrets.token_urlsafe(32)
    return ApiKey(name=name, digest=digest_of(secret), created_at=utc_now()), secret


def bearer_key_required(view: Callable[P, R]) -> Callable[P, R]:
    """Lets requests with a valid `Authorization: Bearer` key in; the key is then `g.api_key`."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        g.api_key = _api_key_of_request()
        return view(*args, **kwargs)

    return guarded


def _api_key_of_request() -> ApiKey:
    offered = request.authorization
    if offered is None or offered.type != "bearer" or not offered.token:
        raise Unauthorized(
            "Send your API key as 'Authorization: Bearer <key>'.",
            www_authenticate=WWWAuthenticate("bearer", {"realm": "harbor"}),
        )
    key = db_session().scalar(
        select(ApiKey).where(ApiKey.digest == digest_of(offered.token), ApiKey.revoked_at.is_(None))
    )
    if key is None:
        raise Unauthorized(
            "This API key is unknown or revoked.",
            www_authenticate=WWWAuthenticate(
                "bearer", {"realm": "harbor", "error": "invalid_token"}
            ),
        )
    return key


# Trackers ------------------------------------------------------------------------------------


def signature_of(body: bytes, secret: str) -> str:
    """The value of X-Signature for a body: `sha256=` and the hex HMAC."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def require_signature() -> None:
    """Raises 401 unless the raw body carries a tracker's signature.  Nothing is parsed before."""
    offered = SIGNATURE.fullmatch(request.headers.get("X-Signature", ""))
    body = request.get_data()
    secrets_in_use: list[Any] = [
        current_app.config["TRACKER_SECRET"],
        current_app.config["TRACKER_SECRET_PREVIOUS"],
    ]
    matches = [
        hmac.compare_digest(signature_of(body, secret), offered.group())
        for secret in secrets_in_use
        if secret and offered
    ]
    if not any(matches):
        raise Unauthorized(
            "X-Signature must be 'sha256=' and the hex HMAC-SHA256 of the body.",
            www_authenticate=WWWAuthenticate("signature", {"realm": "harbor"}),
        )
