"""Werkzeug's debugger, fenced in.

What it promises, whatever the switches say:

1. Traceback page, console, PIN and the debugger's own files exist only for a request that was
   made on this machine, for this machine, through nothing: loopback peer address, loopback
   `Host`, no header of a proxy. Everybody else gets the application's answer or a plain 500.
2. The console asks for a PIN that is new for each process, and cannot be switched to need none.
3. Other sites' pages cannot drive the console through the browser.
4. Values that look secret, in the environment or in the configuration, are masked on the page;
   the page holds neither the environment nor local variables.

The caller (`serving.serve`) adds that it is not there at all unless the server listens on a
loopback address outside of production.
"""

from __future__ import annotations

import os
import secrets
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from werkzeug.debug import DebuggedApplication
from werkzeug.debug.tbtools import DebugTraceback
from werkzeug.exceptions import InternalServerError
from werkzeug.wrappers import Request, Response

from carboy.audit import record

from .masking import mask, secret_values
from .surroundings import is_local_request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Commands of the debugger's pages. Files such as its style sheet are needed without a console.
_CONSOLE_FREE = frozenset(("resource",))


class SafeDebugger(DebuggedApplication):
    """WSGI middleware: traceback pages, and with `evalex` a console, for local requests only.

    `config` is the application's configuration, in which secrets to mask are looked for.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        config: Mapping[str, Any] | None = None,
        evalex: bool = True,
    ) -> None:
        # Set before the parent asks: its own PIN is computed from facts about the machine, and
        # whoever can read files can compute it too.
        self._pin = _choose_pin(os.environ.get("WERKZEUG_DEBUG_PIN", ""))
        self._pin_cookie = f"__wzd{secrets.token_hex(10)}"
        self._config = {} if config is None else config
        super().__init__(app, evalex=evalex)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; the debugger sees it only if it is local."""
        if not is_local_request(environ):
            return self._answer_stranger(environ, start_response)
        if self._asks_debugger(environ):
            return super().__call__(environ, start_response)
        return self.debug_application(environ, start_response)

    def _fail_pin_auth(self) -> None:
        """Count a wrong PIN, wait, and tell."""
        super()._fail_pin_auth()
        record(None, "debugger_pin_failed", tries=self._failed_pin_auth.value)

    def check_host_trust(self, environ: WSGIEnvironment) -> bool:
        """Whether Werkzeug may answer; asked again by each of its endpoints."""
        return is_local_request(environ)

    def _asks_debugger(self, environ: WSGIEnvironment) -> bool:
        """Whether the request is for the debugger itself, and allowed to be."""
        request = Request(environ, populate_request=False)
        if request.args.get("__debugger__") == "yes":
            allowed = self.evalex or request.args.get("cmd") in _CONSOLE_FREE
        else:
            allowed = self.evalex and request.path == self.console_path
        # https://www.w3.org/TR/fetch-metadata/: where the request comes from, set by browsers.
        return allowed and environ.get("HTTP_SEC_FETCH_SITE") not in ("cross-site", "same-site")

    def _answer_stranger(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterator[bytes]:
        """Let the application answer; an error becomes a plain 500 and goes to the log."""
        try:
            yield from _closing(self.app(environ, start_response))
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            yield from _last_words(InternalServerError().get_response(environ), start_response)
            environ["wsgi.errors"].write(text)

    def debug_application(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterator[bytes]:
        """Let the application answer a local request; an error becomes the traceback page."""
        contexts: list[AbstractContextManager[Any]] = []
        if self.evalex:
            # The core hands its context over, and the console enters it for each command.
            environ["werkzeug.debug.preserve_context"] = partial(_keep, contexts)
        # Middleware of the application may rewrite the environ on its way.
        pin_is_known = bool(self.check_pin_trust(environ))
        try:
            yield from _closing(self.app(environ, start_response))
        except Exception as error:
            trace = DebugTraceback(error, skip=1, hide=not self.show_hidden_frames)
            if self.evalex:
                for frame in trace.all_frames:
                    self.frames[id(frame)] = frame
                    self.frame_contexts[id(frame)] = contexts
            page = self._page(trace, pin_is_known=pin_is_known)
            yield from _last_words(page, start_response)
            environ["wsgi.errors"].write(trace.render_traceback_text())

    def _page(self, trace: DebugTraceback, *, pin_is_known: bool) -> Response:
        rendered = trace.render_debugger_html(
            evalex=self.evalex,
            secret=self.secret if self.evalex else "",
            evalex_trusted=pin_is_known,
        )
        hidden = secret_values(os.environ, self._config)
        # The page's own key to the console is made of letters that a short secret may match.
        head, body_tag, body = rendered.partition("<body")
        page = Response(
            f"{mask_title(head, hidden)}{body_tag}{mask(body, hidden)}",
            status=500,
            mimetype="text/html",
        )
        page.headers["Cache-Control"] = "no-store"
        page.headers["Referrer-Policy"] = "no-referrer"
        page.headers["X-Content-Type-Options"] = "nosniff"
        # No other site may put the console into a frame and lead the developer's clicks to it.
        page.headers["X-Frame-Options"] = "DENY"
        return page


def _keep(contexts: list[AbstractContextManager[Any]], context: Any) -> None:
    """Keep `context` for the console, to be shown again without its teardown running again."""
    again = getattr(context, "active", None)
    contexts.append(context if again is None else again())


def mask_title(head: str, hidden: Iterable[str]) -> str:
    """Mask the title in the page's head, and leave its scripts as they are."""
    before, end, after = head.partition("</title>")
    return f"{mask(before, hidden)}{end}{after}"


def _choose_pin(wanted: str) -> str:
    """Return the PIN of this process: the `wanted` digits, else nine random ones.

    Werkzeug's value `off`, which opens the console to everyone, counts as none.
    """
    if wanted.replace("-", "").isdecimal():
        return wanted
    digits = f"{secrets.randbelow(10**9):09d}"
    return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"


def _closing(body: Iterable[bytes]) -> Iterator[bytes]:
    """Iterate `body` and close it, as WSGI servers do (PEP 3333)."""
    __traceback_hide__ = True  # noqa: F841  (Werkzeug leaves such frames out of the page)
    try:
        yield from body
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def _last_words(page: Response, start_response: StartResponse) -> Iterator[bytes]:
    """Send `page` instead of an answer that failed, if nothing of that has been sent yet.

    The exception in flight is given to the server, which raises it when headers are out (PEP
    3333, "Error Handling").
    """
    start_response(page.status, page.headers.to_wsgi_list(), sys.exc_info())
    yield page.get_data()
