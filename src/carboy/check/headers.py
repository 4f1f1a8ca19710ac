"""Rules on what answers tell browsers to refuse."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from carboy.security.headers import CSP, NONCE, compile_headers, settings_problem

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


@rule(
    "headers-invalid",
    "SECURITY_HEADERS cannot be sent",
    deploy=False,
    why="Each request is a 500 until this is corrected.",
    remedy="It is True, False or a dict of header names and texts; see docs/security.md.",
)
def invalid(subject: Subject) -> Iterator[Hit]:
    problem = settings_problem(subject.config)
    if problem is not None:
        yield "SECURITY_HEADERS", problem.partition(". ")[0]


@rule(
    "csp-unsafe",
    "The content security policy lets injected scripts run",
    level="warning",
    why="'unsafe-inline' for scripts, or a wildcard, allows what an attacker would inject, so the"
    " policy protects against nothing.",
    remedy='Give your own scripts nonce="{{ csp_nonce() }}" and use STRICT_CSP of carboy.security.',
)
def unsafe_policy(subject: Subject) -> Iterator[Hit]:
    if settings_problem(subject.config) is not None or not subject.get("SECURITY_HEADERS"):
        return
    compiled = compile_headers(subject.get("SECURITY_HEADERS"))
    for name, (_, policy) in (*compiled.https, *compiled.policies):
        if name != CSP.lower():
            continue
        for directive in policy.lower().split(";"):
            words = directive.split()
            if words[:1] in (["script-src"], ["script-src-elem"], ["default-src"]):
                trusts_nonce = NONCE in words or "'strict-dynamic'" in words
                open_to_all = {"*", "https:", "http:", "data:"} & set(words)
                if not trusts_nonce and ("'unsafe-inline'" in words or open_to_all):
                    yield "SECURITY_HEADERS", f"{' '.join(words)}"


RULES = (off, invalid, unsafe_policy)
