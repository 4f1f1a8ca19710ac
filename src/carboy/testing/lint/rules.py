"""What holds for an answer whichever protocol it goes through, and how a broken rule is told."""

from __future__ import annotations

import re
from typing import NoReturn

#: RFC 9110 section 5.6.2.
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: RFC 9110 section 7.6.1: they are between the server and its client.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class LintError(AssertionError):
    """An application broke a rule of its protocol; `rule` is where the rule stands."""

    def __init__(self, rule: str, found: str, fix: str) -> None:
        super().__init__(f"{found}\n  Rule: {rule}\n  Fix:  {fix}")
        self.rule = rule


class Checker:
    """Keeps the first broken rule, so that an application that swallows it does not pass."""

    def __init__(self) -> None:
        self.broken: LintError | None = None

    def fail(self, rule: str, found: str, fix: str) -> NoReturn:
        """Note a broken rule, and raise it."""
        error = LintError(rule, found, fix)
        if self.broken is None:
            self.broken = error
        raise error

    def again(self) -> None:
        """Raise what was noted."""
        if self.broken is not None:
            raise self.broken


class AnswerChecker(Checker):
    """The rules of HTTP that an answer to `method` must keep; text is text, whatever the door."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method
        self.status = 0
        self.length: int | None = None
        self.sent = 0

    def check_status(self, status: object, rule: str) -> None:
        """The code is a whole number that ends a request."""
        if type(status) is not int or not 200 <= status <= 999:
            self.fail(rule, f"The status is {status!r}.", "Send an int from 200 to 999.")
        self.status = status

    def check_header(self, name: str, value: str, rule: str) -> None:
        """One header, as text."""
        if not TOKEN.fullmatch(name):
            self.fail(
                f"{rule}; RFC 9110 section 5.1",
                f"{name!r} is no header name.",
                "Use letters, digits and hyphens.",
            )
        if _CONTROLS.search(value):
            self.fail(
                f"{rule}; RFC 9110 section 5.5",
                f"The header {name} has a control character in its value {value!r}.",
                "Take line breaks out: whoever puts one there adds headers of his own.",
            )
        lowered = name.lower()
        # RFC 9110 section 15.5.22: a 426 names what to upgrade to.
        if lowered in HOP_BY_HOP and not (lowered == "upgrade" and self.status == 426):
            self.fail(
                f"{rule}; RFC 9110 section 7.6.1",
                f"The application sets {name}, which is the server's to set.",
                "Leave it out.",
            )
        if lowered == "content-length":
            self._note_length(value)

    def _note_length(self, value: str) -> None:
        if not (value.isascii() and value.isdigit()):
            self.fail(
                "RFC 9110 section 8.6",
                f"Content-Length is {value!r}.",
                "It is a number of bytes in decimal digits.",
            )
        if self.length is not None and self.length != int(value):
            self.fail(
                "RFC 9110 section 8.6",
                f"There are two Content-Length headers, {self.length} and {value}.",
                "Send one.",
            )
        self.length = int(value)

    @property
    def may_have_body(self) -> bool:
        """RFC 9110 section 6.4.1."""
        return self.method != "HEAD" and self.status not in (204, 304)

    def check_head(self) -> None:
        """Status and headers together."""
        if self.status == 204 and self.length is not None:
            self.fail(
                "RFC 9110 section 8.6",
                "A 204 has a Content-Length.",
                "Leave it out: a 204 has no body.",
            )

    def count(self, size: int) -> None:
        """So many bytes of a body were sent."""
        self.sent += size
        if size and not self.may_have_body:
            what = "The answer to HEAD" if self.method == "HEAD" else f"A {self.status}"
            self.fail(
                "RFC 9110 section 6.4.1",
                f"{what} has a body.",
                "Send no body: the client would take it for the next answer.",
            )
        if self.length is not None and self.sent > self.length:
            self.fail(
                "RFC 9112 section 6.3",
                f"The body has {self.sent} bytes already, and Content-Length is {self.length}.",
                "Leave Content-Length out, or count bytes, not characters.",
            )

    def check_whole(self) -> None:
        """The body has ended."""
        if self.length is not None and self.may_have_body and self.sent < self.length:
            self.fail(
                "RFC 9112 section 6.3",
                f"The body ended after {self.sent} bytes, and Content-Length is {self.length}.",
                "Leave Content-Length out, or count bytes, not characters. The client would wait"
                " for the rest.",
            )
