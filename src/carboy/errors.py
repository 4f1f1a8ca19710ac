"""Carboy's own exceptions, and texts of mistakes, written for whoever made them."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import HTTPException

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SETUP_FINISHED = """\
The setup method '{name}' can no longer be called on the {kind} '{owner}'. It has already {event}, \
any changes will not be applied consistently.
Make sure all imports, decorators, functions, etc. needed to set up the {kind} are done before \
{before}.\
"""


def setup_finished(name: str, kind: str, owner: str, event: str, before: str) -> AssertionError:
    """The error for a registration that comes too late to be seen by every request."""
    return AssertionError(
        SETUP_FINISHED.format(name=name, kind=kind, owner=owner, event=event, before=before)
    )


class FirstError:
    """Runs steps that must all run, and raises the first error of theirs at last.

    ::

        errors = FirstError(log)
        for step in steps:
            try:
                step()
            except BaseException as error:
                errors.note(error)
        errors.reraise()

    Later errors are given to ``log`` as an ``exc_info`` triple, or dropped without it.
    """

    def __init__(self, log: t.Callable[[t.Any], None] | None = None) -> None:
        self._log = log
        self._first: BaseException | None = None

    def note(self, error: BaseException) -> None:
        """Keep the first error, and log a later one."""
        if self._first is None:
            self._first = error
        elif self._log is not None:
            self._log((type(error), error, error.__traceback__))

    def reraise(self) -> None:
        """Raise the first error, if there was one."""
        if self._first is not None:
            try:
                raise self._first
            finally:
                # The traceback knows this frame, which must not know the error in turn.
                self._first = None


class WebSocketError(RuntimeError):
    """A verb of a WebSocket was used at a moment at which it cannot be."""


class WebSocketDisconnect(Exception):
    """The connection has ended; raised by ``receive`` and ``send``.

    A view need not catch it: it is the usual end of a conversation, and no fault.
    """

    def __init__(self, code: int = 1005, reason: str = "") -> None:
        super().__init__(code, reason)
        #: The close code (RFC 6455 section 7.4): 1005 without one, 1006 if the line broke.
        self.code = code
        #: What the closing side says of it.
        self.reason = reason

    def __str__(self) -> str:
        return f"The WebSocket was closed with code {self.code}: {self.reason or 'no reason given'}"


class WebSocketDataError(ValueError):
    """A message was not what the view asked for. Uncaught, it closes with :attr:`code`."""

    #: Data that is not of its type (RFC 6455 section 7.4.1).
    code = 1007


class UpgradeRequired(HTTPException):
    """426: the URL is that of a WebSocket (RFC 9110 section 15.5.22)."""

    code = 426
    description = (
        "This URL is that of a WebSocket. Open it with `new WebSocket(...)` or another WebSocket"
        " client."
    )

    def get_headers(
        self,
        environ: WSGIEnvironment | None = None,
        scope: dict[str, t.Any] | None = None,
    ) -> list[tuple[str, str]]:
        """The headers of the error page, with ``Upgrade``."""
        headers = super().get_headers(environ, scope)
        server = "" if environ is None else environ.get("SERVER_SOFTWARE", "")
        # PEP 3333 keeps this header from applications, and these two raise an error for it.
        if not server.startswith(("waitress", "WSGIServer")):
            headers.append(("Upgrade", "websocket"))
        return headers


NO_WEBSOCKETS_HERE = (
    "This URL is that of a WebSocket, and the application is served over WSGI, which has none."
    " Serve it with an ASGI or RSGI server: `carboy serve`, Granian, uvicorn or Hypercorn."
)


class Admitted(BaseException):
    """A WebSocket's handshake has come through the middleware. Never leaves the WSGI door."""
