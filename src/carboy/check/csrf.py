"""Rules on requests that another site makes a visitor's browser send."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from carboy.security.csrf import settings_problem

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

#: Extensions that protect, by the names under which they register.
_PROTECTORS = ("csrf", "carboy.csrf", "seasurf")


def _protects_itself(subject: Subject) -> bool:
    """Whether templates know a token: somebody makes it, so somebody may check it."""
    app = subject.app
    environment = vars(app).get("jinja_env")
    return environment is not None and "csrf_token" in environment.globals


@rule(
    "csrf-off",
    "Nothing refuses forged requests",
    why="Any page that a signed-in user opens can"
    " send forms here in their name. SameSite cookies do not cover other hosts of the same site.",
    remedy="Set CSRF_PROTECT = True; see docs/security.md. An API that takes only an Authorization"
    " header and no cookies can say CHECK_IGNORE = ['csrf-off'].",
)
def off(subject: Subject) -> Iterator[Hit]:
    if not subject.takes_forms or subject.get("CSRF_PROTECT"):
        return
    loaded = any(name in subject.app.extensions for name in _PROTECTORS)
    if subject.get("CSRF_PROTECT") is False and "csrf" not in subject.app.extensions:
        yield "CSRF_PROTECT", "it is False"
    elif not loaded and not _protects_itself(subject):
        yield "CSRF_PROTECT", "it is not set, and no extension that protects is there"
    elif "csrf" in subject.app.extensions and subject.get("WTF_CSRF_ENABLED", True) is False:
        yield "WTF_CSRF_ENABLED", "Flask-WTF's protection is switched off"


@rule(
    "csrf-loose",
    "The settings of CSRF protection let forged requests pass, or contradict themselves",
    deploy=False,
    why="Origins that are no exact origins match nothing or anybody, and schemes that browsers send"
    " by themselves prove nothing. Each unsafe request is a 500 until this is corrected.",
    remedy="List exact origins in CSRF_TRUSTED_ORIGINS, and in CSRF_EXEMPT_SCHEMES only schemes such"
    " as 'Bearer'. CSRF_ALLOWED_SITES never holds 'cross-site'.",
)
def loose(subject: Subject) -> Iterator[Hit]:
    problem = settings_problem(subject.config)
    if problem is not None:
        yield "CSRF_PROTECT", problem.partition(". ")[0]


RULES = (off, loose)
