"""Rules on what answers tell browsers to refuse."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

_EXPECTED = ("x-content-type-options", "referrer-policy", "strict-transport-security")


@rule(
    "headers-off",
    "Answers carry no security headers",
    level="warning",
    why="Without them browsers"
    " guess content types, let other sites frame pages and steal clicks, tell addresses to"
    " everybody, and take http where https was meant.",
    remedy="Set SECURITY_HEADERS = True; see docs/security.md. `carboy check --deploy --probe`"
    " looks at a real answer, for applications that set them by themselves.",
)
def off(subject: Subject) -> Iterator[Hit]:
    if subject.probed is not None:
        for name in _EXPECTED:
            if name not in subject.probed:
                yield "SECURITY_HEADERS", f"an answer had no {name.title()}"
        policy = subject.probed.get("content-security-policy", "")
        if "frame-ancestors" not in policy and "x-frame-options" not in subject.probed:
            yield "SECURITY_HEADERS", "an answer had neither X-Frame-Options nor frame-ancestors"
    elif subject.get("SECURITY_HEADERS") is False:
        yield "SECURITY_HEADERS", "it is False"
    elif not subject.get("SECURITY_HEADERS") and not _may_set_them(subject):
        yield "SECURITY_HEADERS", "it is not set, and nothing else can set them"


def _may_set_them(subject: Subject) -> bool:
    """Whether a function sees every response, or Flask-Talisman is there: only a probe can tell."""
    registered = {"carboy.security_headers", "talisman"} & set(subject.app.extensions)
    return bool(registered or subject.app.after_request_funcs.get(None))


RULES = (off,)
