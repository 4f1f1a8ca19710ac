"""Audit events: what happens to an application's safety, as signals and as records of a log.

Each event of :data:`EVENTS` is a signal of its own, ``audit.signal("sign_in_failed")``, whose
receivers get ``event``, and a record of the logger ``carboy.audit``, in one line without control
characters, with the event as ``record.audit``. No event holds a password, a key, a session's id or
a token. Refused hosts and 403s are plain HTTP errors to an application that has not asked for audit
records: they are logged once ``carboy.audit`` has a level or a handler of its own.
"""

from __future__ import annotations

import logging
import os
import re
import typing as t
from dataclasses import dataclass

from blinker import Namespace
from werkzeug.exceptions import SecurityError

from .globals import _cv
from .logging import printable

if t.TYPE_CHECKING:
    from blinker import Signal
    from werkzeug.exceptions import HTTPException

    from .app import Carboy
    from .ctx import RequestContext

#: Every event, with its level and the fields it has besides those of all.
EVENTS: t.Mapping[str, tuple[int, tuple[str, ...]]] = {
    "signed_in": (logging.INFO, ("user",)),
    "signed_out": (logging.INFO, ("user",)),
    "sign_in_failed": (logging.WARNING, ("account",)),
    "sign_in_throttled": (logging.WARNING, ("account", "limit")),
    "password_rehashed": (logging.INFO, ("account",)),
    "session_regenerated": (logging.INFO, ("user",)),
    "session_revoked": (logging.INFO, ("user", "count")),
    "session_expired": (logging.INFO, ("user", "reason")),
    "csrf_refused": (logging.WARNING, ("reason",)),
    "rate_limited": (logging.WARNING, ("limit",)),
    "host_refused": (logging.WARNING, ("host",)),
    "permission_denied": (logging.INFO, ()),
    "debugger_pin_failed": (logging.WARNING, ("tries",)),
}

#: What any application answers without a protection of Carboy's taking part: plain HTTP errors,
#: which Flask does not log. They get a record only if somebody has set up the logger itself.
_PLAIN = frozenset({"host_refused", "permission_denied"})

logger = logging.getLogger("carboy.audit")
# Silent until logging is configured, and not an application's business on stderr.
_silence = logging.NullHandler()
logger.addHandler(_silence)

_LONGEST = 200
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_ID_KEY = "carboy.request_id"
_signals = Namespace()


@dataclass(frozen=True)
class AuditEvent:
    """One thing that happened: its name, who asked for what, and the fields of its kind.

    The texts come from clients; they are cut at 200 characters and hold nothing unprintable.
    """

    name: str
    request_id: str | None
    address: str | None
    method: str | None
    path: str | None
    fields: t.Mapping[str, str | int | None]

    def as_dict(self) -> dict[str, str | int | None]:
        """All of it in one flat dict, for a log that takes JSON."""
        own = {"event": self.name, "request_id": self.request_id, "address": self.address}
        return {**own, "method": self.method, "path": self.path, **self.fields}

    def __str__(self) -> str:
        parts = self.as_dict()
        del parts["event"]
        words = (f"{key}={value!r}" for key, value in parts.items() if value is not None)
        return " ".join((self.name, *words))


def signal(name: str) -> Signal:
    """The signal of an event; its sender is the application. KeyError for a name that is none."""
    if name not in EVENTS:
        raise KeyError(f"There is no audit event {name!r}; there are {', '.join(EVENTS)}.")
    return _signals.signal(name)


def request_id() -> str | None:
    """What log lines of the current request are known by, or None outside a request.

    The header ``X-Request-ID`` if a proxy in front has set a sensible one, else 64 random bits.
    """
    ctx = _cv.get(None)
    found = None if ctx is None else ctx._request_context
    if found is None:
        return None
    environ = found.head.environ
    known: str | None = environ.get(_ID_KEY)
    if known is None:
        known = environ.get("HTTP_X_REQUEST_ID", "")
        if _REQUEST_ID.fullmatch(known) is None:
            known = os.urandom(8).hex()
        environ[_ID_KEY] = known
    return known


def record(app: Carboy | None, name: str, **fields: t.Any) -> None:
    """Tell of an event, with the fields that :data:`EVENTS` names.

    ``app`` is None for what happens outside of any application. Nothing is made if nobody listens.
    What a receiver raises is logged by the application and does not reach the client.
    """
    level, expected = EVENTS[name]
    wanted = _signals.signal(name)
    logged = logger.isEnabledFor(level) and (name not in _PLAIN or _is_set_up())
    if not wanted.receivers and not logged:
        return
    if fields.keys() != set(expected):
        raise TypeError(f"The audit event {name!r} has the fields {expected}, not {[*fields]}.")
    ctx = _cv.get(None)
    request = None if ctx is None else ctx._request_context
    environ = {} if request is None else request.head.environ
    event = AuditEvent(
        name,
        request_id(),
        _clean(environ.get("REMOTE_ADDR")),
        _clean(environ.get("REQUEST_METHOD")),
        None if request is None else _clean(request.head.path),
        {key: _clean(value) for key, value in fields.items()},
    )
    if logged:
        logger.log(level, "%s", event, extra={"audit": event.as_dict()})
    if wanted.receivers:
        try:
            wrapper = None if app is None else app.ensure_sync
            wanted.send(app, _async_wrapper=wrapper, event=event)
        except Exception:
            log = logger if app is None else app.logger
            log.exception("A receiver of the audit event %s failed", name)


def note_refusal(ctx: RequestContext, error: HTTPException) -> None:
    """Tell of an error that says no: a host that is refused, a permission that is missing."""
    if type(error) is SecurityError:
        record(ctx.app, "host_refused", host=ctx.head.host)
    elif error.code == 403:
        record(ctx.app, "permission_denied")


def _is_set_up() -> bool:
    """Whether ``carboy.audit`` was given a level or a handler of its own."""
    return logger.level != logging.NOTSET or logger.handlers != [_silence]


def _clean(value: t.Any) -> t.Any:
    if value is None or isinstance(value, int):
        return value
    return printable(str(value)[:_LONGEST])
