"""The interface between the pipeline and a store of sessions."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
import typing as t
from datetime import UTC, datetime, timedelta

from carboy.audit import record as audit
from carboy.globals import _cv, _get_app
from carboy.sessions import SecureCookieSessionInterface, session_json_serializer

from .session import ServerSession, SessionInfo, SessionStoreUnavailable, UnavailableSession
from .stores import Change, Record, Store, store_from

if t.TYPE_CHECKING:
    from carboy.app import Carboy
    from carboy.sessions import SessionMixin
    from carboy.wrappers import Request, Response

_ID = re.compile(r"[A-Za-z0-9_-]{43}")
#: A session's time of use is written at most this often, in seconds.
_TOUCH = 60
#: Seconds for which a store that failed is left alone.
_REST = 2
#: Of cookies with the session's name, so many are looked up.
_TRIES = 4


class ServerSessions(SecureCookieSessionInterface):
    """``ServerSessions(app)``: sessions in the store that ``SESSION_STORE`` names.

    :param app: The application; without it call :meth:`init_app` later.
    :param store: A :class:`~carboy.server_sessions.Store` instead of the setting.
    """

    #: Opening blocks, so the pipeline does it ahead, and off the event loop.
    lazy = False
    session_class: type[ServerSession] = ServerSession

    def __init__(self, app: Carboy | None = None, store: Store | None = None) -> None:
        self._store: t.Any = store
        self._rest_until = 0.0
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Carboy) -> None:
        """Make this the application's session interface.

        Raises ValueError without a store, RuntimeError if the store's library is missing.
        """
        for name, value in _DEFAULTS.items():
            app.config.setdefault(name, value)
        if self._store is None:
            uri = app.config.get("SESSION_STORE")
            if not uri:
                raise ValueError(
                    "SESSION_STORE is not set. Name the store of the sessions, such as"
                    " 'redis://localhost/0', or pass ServerSessions a store."
                )
            self._store = store_from(uri)
        app.extensions["carboy.server_sessions"] = self
        app.session_interface = self

    # -- opening ------------------------------------------------------------------------------

    def open_session(self, app: Carboy, request: Request) -> ServerSession:
        """Return the session that the request's cookie names, or a new one.

        Only an id that this application issued, and that is still in the store, is taken over.
        While the store is away the session raises a 503 when it is looked at.
        """
        ids = request.cookies.getlist(self.get_cookie_name(app))[:_TRIES]
        for session_id in ids:
            if _ID.fullmatch(session_id) is None:
                continue
            try:
                record = self._ask(app, "load", _key(session_id))
            except SessionStoreUnavailable:
                return UnavailableSession(session_id=session_id)
            if record is None:
                continue
            reason = self._over(app, record)
            if reason is None:
                items = {name: _loads(text) for name, text in record.items.items()}
                return self.session_class(items, session_id=session_id, record=record)
            audit(app, "session_expired", user=record.user, reason=reason)
            self._try_to_delete(app, _key(session_id))
        return self.session_class()

    def _over(self, app: Carboy, record: Record) -> str | None:
        now = time.time()
        if record.expires <= now:
            return "idle"
        longest = _seconds(app.config["SESSION_ABSOLUTE_LIFETIME"])
        return "absolute" if longest is not None and record.created + longest <= now else None

    # -- saving -------------------------------------------------------------------------------

    def save_session(self, app: Carboy, session: SessionMixin, response: Response) -> None:
        """Store what changed, item by item, and set the cookie where its id is new.

        If the store does not take it, the answer becomes a 503: nothing is lost in silence.
        """
        assert isinstance(session, ServerSession)
        if session.accessed:
            self._mark(app, response)
        if isinstance(session, UnavailableSession):
            return
        try:
            self._save(app, session, response)
        except SessionStoreUnavailable as error:
            _become(response, error)

    def _save(self, app: Carboy, session: ServerSession, response: Response) -> None:
        if not session:
            if session.id is not None and session.modified:
                self._ask(app, "delete", _key(session.id))
                self._delete_cookie(app, response)
            return
        now = time.time()
        texts = {str(name): _dumps(value) for name, value in session.items()}
        record = session._record
        if session.id is None or record is None or session._regenerates:
            self._create(app, session, texts, now, response)
            return
        changed = {name: text for name, text in texts.items() if record.items.get(name) != text}
        removed = [name for name in record.items if name not in texts]
        is_due = now - record.used >= _TOUCH
        if changed or removed or is_due or session.user != record.user:
            expires = self._expiry(app, record.created, now)
            change = Change(changed, removed, now, expires, session.user)
            if not self._ask(app, "merge", _key(session.id), change):
                self._was_revoked(app, bool(changed or removed), response)
                return
        refresh = app.config["SESSION_REFRESH_EACH_REQUEST"] and session.permanent
        if refresh and (is_due or changed):
            self._give(app, session, session.id, response)

    def _create(
        self,
        app: Carboy,
        session: ServerSession,
        texts: dict[str, str],
        now: float,
        response: Response,
    ) -> None:
        """Store the session under a new id; the one that it had, if any, ends."""
        session_id = secrets.token_urlsafe(32)
        record = Record(texts, now, now, self._expiry(app, now, now), session.user)
        if app.config["SESSION_RECORD_CLIENT"]:
            record.address, record.agent = _client()
        old = session.id
        self._ask(app, "create", _key(session_id), record)
        if old is not None:
            self._ask(app, "delete", _key(old))
        session.id, session._record, session._regenerates = session_id, record, False
        if old is not None:
            audit(app, "session_regenerated", user=session.user)
        self._give(app, session, session_id, response)

    def _was_revoked(self, app: Carboy, changed: bool, response: Response) -> None:
        """The session ended while the request ran; it must not come back by being saved."""
        if changed:
            app.logger.warning(
                "A session was revoked or given another id while a request ran that changed it;"
                " the change ends with it."
            )
        self._delete_cookie(app, response)

    def _expiry(self, app: Carboy, created: float, now: float) -> float:
        idle = _seconds(app.config["SESSION_IDLE_LIFETIME"])
        if idle is None:
            idle = app.permanent_session_lifetime.total_seconds()
        longest = _seconds(app.config["SESSION_ABSOLUTE_LIFETIME"])
        return now + idle if longest is None else min(now + idle, created + longest)

    def _mark(self, app: Carboy, response: Response) -> None:
        response.vary.add("Cookie")
        control = app.config["SESSION_CACHE_CONTROL"]
        if control and "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = control

    def _options(self, app: Carboy) -> dict[str, t.Any]:
        return {
            "path": self.get_cookie_path(app),
            "domain": self.get_cookie_domain(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
            "partitioned": self.get_cookie_partitioned(app),
        }

    def _give(self, app: Carboy, session: ServerSession, value: str, response: Response) -> None:
        expires = self.get_expiration_time(app, session)
        response.set_cookie(self.get_cookie_name(app), value, expires=expires, **self._options(app))
        self._keep_private(response)

    def _delete_cookie(self, app: Carboy, response: Response) -> None:
        response.delete_cookie(self.get_cookie_name(app), **self._options(app))
        self._keep_private(response)

    def _keep_private(self, response: Response) -> None:
        response.vary.add("Cookie")
        control = response.cache_control
        if control.public or control.s_maxage is not None:  # RFC 9111 section 3.5
            control.public = False
            control.s_maxage = None
            control.private = True

    # -- a user's sessions --------------------------------------------------------------------

    def sessions_of(self, user: str | int) -> list[SessionInfo]:
        """The sessions of a user that have not expired, last used first.

        This and what follows need an application's context, and block: from an async view, call
        them in a thread.
        """
        app, current = _get_app(), _current_key()
        found = [
            SessionInfo(
                key,
                datetime.fromtimestamp(record.created, UTC),
                datetime.fromtimestamp(record.used, UTC),
                record.address,
                record.agent,
                key == current,
            )
            for key, record in self._ask(app, "of_user", str(user)).items()
            if self._over(app, record) is None
        ]
        return sorted(found, key=lambda info: info.last_used, reverse=True)

    def revoke(self, user: str | int, handle: str) -> bool:
        """End one session of a user; whether it was theirs. A handle of another user's is none."""
        app = _get_app()
        if handle not in self._ask(app, "of_user", str(user)):
            return False
        ended = bool(self._ask(app, "delete", handle))
        audit(app, "session_revoked", user=str(user), count=int(ended))
        return ended

    def revoke_all(self, user: str | int, *, keep_current: bool = False) -> int:
        """End all sessions of a user, after a change of password, say; how many there were.

        ``keep_current`` leaves the one of the current request.
        """
        app = _get_app()
        keep = _current_key() if keep_current else None
        keys = [key for key in self._ask(app, "of_user", str(user)) if key != keep]
        count = sum(bool(self._ask(app, "delete", key)) for key in keys)
        audit(app, "session_revoked", user=str(user), count=count)
        return count

    def sweep(self) -> int:
        """Remove what has expired from the store; how many. `carboy sessions sweep` does this."""
        return int(self._ask(_get_app(), "sweep", time.time()))

    # -- the store ----------------------------------------------------------------------------

    def _ask(self, app: Carboy, method: str, *arguments: t.Any) -> t.Any:
        """Call the store. SessionStoreUnavailable for whatever it raises."""
        if time.monotonic() < self._rest_until:
            raise SessionStoreUnavailable
        try:
            return getattr(self._store, method)(*arguments)
        except Exception as error:  # each store's library has its own
            self._rest_until = time.monotonic() + _REST
            # Its text may hold an item of the session; its kind and the library say enough.
            app.logger.error(
                "The store of sessions does not answer (%s: %s): requests that need their session"
                " get a 503 meanwhile.",
                method,
                f"{type(error).__module__}.{type(error).__name__}",
            )
            raise SessionStoreUnavailable from None

    def _try_to_delete(self, app: Carboy, key: str) -> None:
        try:
            self._ask(app, "delete", key)
        except SessionStoreUnavailable:
            pass  # it has expired in any case


_DEFAULTS: t.Mapping[str, t.Any] = {
    "SESSION_STORE": None,
    "SESSION_IDLE_LIFETIME": None,
    "SESSION_ABSOLUTE_LIFETIME": timedelta(days=90),
    "SESSION_RECORD_CLIENT": False,
    "SESSION_CACHE_CONTROL": None,
}


def _key(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def _current_key() -> str | None:
    ctx = _cv.get(None)
    request = None if ctx is None else ctx._request_context
    session = None if request is None else request._opened
    session_id = getattr(session, "id", None)
    return None if session_id is None else _key(session_id)


def _client() -> tuple[str | None, str | None]:
    ctx = _cv.get(None)
    request = None if ctx is None else ctx._request_context
    if request is None:
        return None, None
    environ = request.head.environ
    agent = environ.get("HTTP_USER_AGENT", "")[:255]
    return (environ.get("REMOTE_ADDR") or "")[:64] or None, agent or None


def _seconds(value: timedelta | float | None) -> float | None:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _dumps(value: t.Any) -> str:
    return session_json_serializer.dumps(value)


def _loads(text: str) -> t.Any:
    return session_json_serializer.loads(text)


def _become(response: Response, error: SessionStoreUnavailable) -> None:
    """Turn the answer into a 503, whatever it was: what it says was not saved."""
    close = getattr(response.response, "close", None)
    if close is not None:
        close()
    made = error.get_response()
    response.status_code = 503
    response.headers.clear()
    response.headers.extend(made.headers)
    response.direct_passthrough = False
    response.set_data(made.get_data())
