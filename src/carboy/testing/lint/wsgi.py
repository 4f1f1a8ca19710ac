"""PEP 3333, for applications."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .rules import AnswerChecker

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

START = "PEP 3333, 'The start_response() Callable'"
BODY = "PEP 3333, 'Specification Details'"
_STATUS = re.compile(r"[1-9][0-9]{2} [\x20-\x7e\x80-\xff]*")


def wsgi(app: WSGIApplication) -> WSGIApplication:
    """`app`, held to PEP 3333: what breaks a rule raises `LintError`."""

    def linted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        check = _Wsgi(environ["REQUEST_METHOD"], start_response)
        body = app(environ, check.start_response)
        check.again()
        check.check_body_type(body)
        return _Body(check, body)

    return linted


class _Wsgi(AnswerChecker):
    def __init__(self, method: str, start_response: StartResponse) -> None:
        super().__init__(method)
        self._start = start_response
        self._started = False

    def start_response(self, status: Any, headers: Any, exc_info: Any = None) -> Any:
        if self._started and exc_info is None:
            self.fail(
                START,
                "start_response was called twice.",
                "Only an error may replace an answer: start_response(..., sys.exc_info()).",
            )
        if not isinstance(status, str) or not _STATUS.fullmatch(status):
            self.fail(
                START,
                f"The status line is {status!r}.",
                'Send text of three digits, a space and a reason, such as "200 OK".',
            )
        self.check_status(int(status[:3]), START)
        if type(headers) is not list:
            self.fail(
                START,
                f"The headers are a {type(headers).__name__}.",
                "Send a list of (name, value) tuples: the server may change it.",
            )
        self.length = None
        for pair in headers:
            self._check_pair(pair)
        self.check_head()
        self._started = True
        write = self._start(status, headers, *([] if exc_info is None else [exc_info]))
        return self._checked_write(write)

    def _check_pair(self, pair: Any) -> None:
        if not (type(pair) is tuple and len(pair) == 2 and all(type(part) is str for part in pair)):
            self.fail(START, f"{pair!r} is no header.", "Send (name, value) tuples of two str.")
        name, value = pair
        if name.lower() == "status":
            self.fail(START, "There is a header named Status.", "The status line says it.")
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            self.fail(
                "PEP 3333, 'A Note On String Types'",
                f"The header {name} has characters beyond latin-1: {value!r}.",
                "Text in headers stands for bytes: value.encode().decode('latin-1').",
            )
        self.check_header(name, value, START)

    def _checked_write(self, write: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        def checked(data: bytes) -> Any:
            self.check_chunk(data)
            return write(data)

        return checked

    def check_body_type(self, body: Any) -> None:
        if isinstance(body, str | bytes):
            self.fail(
                BODY,
                f"The application returned {type(body).__name__}, which is iterated byte by byte.",
                "Return a list with it: [data].",
            )
        if not hasattr(body, "__iter__"):
            self.fail(BODY, f"The application returned {body!r}.", "Return an iterable of bytes.")

    def check_chunk(self, chunk: Any) -> None:
        if type(chunk) is not bytes:
            self.fail(BODY, f"A part of the body is {chunk!r}.", "Each part is bytes: encode text.")
        if chunk and not self._started:
            self.fail(
                START,
                "A part of the body came before start_response was called.",
                "Call start_response first.",
            )
        self.count(len(chunk))

    def check_end(self) -> None:
        if not self._started:
            self.fail(START, "start_response was never called.", "Call it once for each request.")
        self.check_whole()
        self.again()


class _Body(Iterator[bytes]):
    def __init__(self, check: _Wsgi, body: Iterable[bytes]) -> None:
        self._check = check
        self._body = body
        self._chunks: Iterator[bytes] | None = None

    def __next__(self) -> bytes:
        if self._chunks is None:
            self._chunks = iter(self._body)
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._check.check_end()
            raise
        self._check.check_chunk(chunk)
        return chunk

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
