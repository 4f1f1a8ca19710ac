"""Rules on which other sites may read answers: Carboy's own CORS, and Flask-CORS."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Iterator
from inspect import getclosurevars

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

#: Characters that make Flask-CORS take an origin for a regular expression.
_PATTERN = re.compile(r"[*\\\]?$^\[()]")


def _many(value: t.Any) -> list[t.Any]:
    if value is None:
        return []
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return list(value)
    return [value]


class _Options:
    """Flask-CORS's options of a resource: a dict in its older versions, an object since."""

    def __init__(self, given: t.Any) -> None:
        self._given = given if isinstance(given, dict) else None
        self._object = given

    def __getitem__(self, name: str) -> t.Any:
        return getattr(self._object, name, None) if self._given is None else self._given.get(name)


def _flask_cors(subject: Subject) -> Iterator[tuple[str, _Options]]:
    """What Flask-CORS was told, by resource: its function of the after_request hooks keeps it."""
    for function in subject.hooks("after_request_funcs"):
        if getattr(function, "__name__", "") != "cors_after_request":
            continue
        for resource, options in getclosurevars(function).nonlocals.get("resources", ()):
            yield getattr(resource, "pattern", str(resource)), _Options(options)


def _policies(subject: Subject) -> Iterator[tuple[str, list[t.Any], bool]]:
    """Each policy: a name for it, its origins, and whether cookies may come along."""
    own = subject.app.extensions.get("carboy.cors")
    if own is not None:
        for name, policy in own.policies(subject.app):
            patterns = [f"{pattern.pattern}$" for pattern in policy.patterns]  # whole, as it is
            yield name, ["*"] if policy.any_origin else patterns, policy.credentials
    found = False
    for resource, options in _flask_cors(subject):
        found = True
        yield resource, _many(options["origins"]), bool(options["supports_credentials"])
    if not found and subject.get("CORS_ORIGINS") is not None:
        credentials = subject.get("CORS_SUPPORTS_CREDENTIALS") or subject.get("CORS_CREDENTIALS")
        yield "CORS_ORIGINS", _many(subject.get("CORS_ORIGINS")), bool(credentials)


def _takes_all(origin: t.Any) -> bool:
    text = getattr(origin, "pattern", origin)
    return text in ("*", ".*", ".*$", "^.*$", "https?://.*", "https?://.*$", "null")


@rule(
    "cors-wildcard-credentials",
    "Every site may read answers in the user's name",
    deploy=False,
    why="The origin of whoever asks is reflected and cookies are allowed, so that any page reads"
    " what the signed-in user could read.",
    remedy="List the origins that need it, as in ['https://app.example.org'], or leave credentials"
    " off.",
)
def with_credentials(subject: Subject) -> Iterator[Hit]:
    for name, origins, credentials in _policies(subject):
        if credentials and any(map(_takes_all, origins)):
            yield "CORS_ORIGINS", f"{name}: all origins, with credentials"


@rule(
    "cors-wildcard",
    "Every site may read answers",
    level="warning",
    why="Right for data that is"
    " public. On an internal network it hands out what the firewall was to keep.",
    remedy="List the origins that need it; for public data say CHECK_IGNORE = ['cors-wildcard'].",
)
def wildcard(subject: Subject) -> Iterator[Hit]:
    for name, origins, credentials in _policies(subject):
        if not credentials and any(map(_takes_all, origins)):
            yield "CORS_ORIGINS", f"{name}: all origins"


@rule(
    "cors-open-pattern",
    "A pattern of origins takes more than it shows",
    deploy=False,
    why="Flask-CORS matches patterns from the start only: 'https://.*example.org' also takes"
    " https://evil-example.org, and https://example.org.evil.test.",
    remedy="End the pattern with $, begin the host behind '://' with a name or '([a-z0-9-]+\\\\.)*',"
    " and write each dot of a name as '\\\\.'.",
)
def open_pattern(subject: Subject) -> Iterator[Hit]:
    for name, origins, _ in _policies(subject):
        for origin in origins:
            text = getattr(origin, "pattern", origin)
            if not isinstance(text, str) or _takes_all(origin) or not _PATTERN.search(text):
                continue
            if not text.endswith(("$", r"\Z")) or re.search(r"(?<!\\)\.\*[^.\\$]", text):
                yield "CORS_ORIGINS", f"{name}: {text!r}"


RULES = (with_credentials, wildcard, open_pattern)
