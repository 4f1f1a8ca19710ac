"""Signing in and out: passwords checked at a bounded rate, sessions begun and ended, events told.

Guessing is slowed down for each account and for each address. Whether an account exists cannot be
told from the answer, its time or its limits.
"""

from __future__ import annotations

import math
import typing as t
import unicodedata

from werkzeug.exceptions import TooManyRequests

from carboy.audit import record
from carboy.globals import _get_app, _get_request_context

from .passwords import PasswordCheck, check_password
from .rate_limits import Windows, client_address
from .windows import Limit, parse_limit

if t.TYPE_CHECKING:
    from carboy.app import Carboy

#: The item of the session that holds the user's id, as Flask's tutorial has it.
USER_KEY = "user_id"

_DEFAULTS: t.Mapping[str, str] = {
    "SIGN_IN_PER_ACCOUNT": "10 per 15 minutes",
    "SIGN_IN_PER_ADDRESS": "100 per 15 minutes",
}


class SignInThrottled(TooManyRequests):
    """The 429 for too many attempts; in ``retry_after`` the seconds until it is worth trying."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too many attempts to sign in. Try again later.", retry_after=retry_after)


class SignIns:
    """Checks passwords at sign-in: ``sign_ins = SignIns(app)``, then :meth:`check` in the view.

    ``SIGN_IN_PER_ACCOUNT`` and ``SIGN_IN_PER_ADDRESS`` are the limits in words; None switches one
    off. They are counted where ``RATE_LIMIT_STORAGE`` says.
    """

    def __init__(self, app: Carboy | None = None) -> None:
        self._windows = Windows()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Carboy) -> None:
        """Read the settings of ``app``. ValueError for a limit that is none."""
        for name, value in _DEFAULTS.items():
            app.config.setdefault(name, value)
            _limit(app, name)
        self._windows = Windows(app)
        app.extensions["carboy.sign_ins"] = self

    def check(self, account: str, stored: str | None, password: str) -> PasswordCheck:
        """Check a password as :func:`~carboy.security.check_password` does, at a bounded rate.

        ``account`` is what was typed as the user's name, ``stored`` the hash of its password or
        None for an account that does not exist. It blocks for as long as hashing takes. Raises
        :exc:`SignInThrottled`, whether the password was right or not, and RuntimeError outside a
        request::

            check = sign_ins.check(name, user.password_hash if user else None, password)
            if not check:
                abort(401)
            if check.new_hash:
                user.password_hash = check.new_hash
            sign_in(user.id)
        """
        app = _get_request_context().app
        name = _folded(account)
        self._count(app, "SIGN_IN_PER_ADDRESS", f"sign-in from|{client_address()}", account)
        self._count(app, "SIGN_IN_PER_ACCOUNT", f"sign-in to|{name}", account)
        check = check_password(stored, password)
        if not check:
            record(app, "sign_in_failed", account=account)
            return check
        if (limit := _limit(app, "SIGN_IN_PER_ACCOUNT")) is not None:
            self._windows.clear(app, limit, f"sign-in to|{name}")
        if check.new_hash is not None:
            record(app, "password_rehashed", account=account)
        return check

    def _count(self, app: Carboy, setting: str, client: str, account: str) -> None:
        limit = _limit(app, setting)
        if limit is None:
            return
        # Before the password is looked at, so that guesses sent at once count one by one.
        counted = self._windows.hit(app, limit, client)
        if not counted.allowed:
            record(app, "sign_in_throttled", account=account, limit=str(limit))
            raise SignInThrottled(max(math.ceil(counted.reset), 1))


def sign_in(user_id: str | int, *, permanent: bool | None = None) -> None:
    """Begin a session of a user: nothing of the one before stays, and its id is a new one.

    The id stands in ``session["user_id"]``. ``permanent`` sets ``session.permanent``. RuntimeError
    outside a request and without a session.
    """
    ctx = _get_request_context()
    session: t.Any = ctx.session
    session.clear()
    if hasattr(session, "regenerate"):
        session.user = user_id
    session[USER_KEY] = user_id
    if permanent is not None:
        session.permanent = permanent
    record(ctx.app, "signed_in", user=user_id)


def sign_out() -> None:
    """End the session of the current request, on the server, too, where it lies there."""
    ctx = _get_request_context()
    session = ctx.session
    user_id = session.get(USER_KEY)
    session.clear()
    if user_id is not None:
        record(_get_app(), "signed_out", user=user_id)


def _folded(account: str) -> str:
    """One name for all spellings that a look-up may take for the same account."""
    return unicodedata.normalize("NFKC", account).strip().casefold()


def _limit(app: Carboy, setting: str) -> Limit | None:
    text = app.config.get(setting)
    return None if text is None or text is False else parse_limit(text)
