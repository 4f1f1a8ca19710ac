"""Rules on the session's cookie and on the cookies of extensions that sign people in."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from datetime import timedelta

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

_LONGEST = timedelta(days=366)

#: Prefixes of the settings of a cookie that signs somebody in, and what says that it is used.
_COOKIES = {"SESSION_COOKIE": None, "REMEMBER_COOKIE": "login_manager"}


def _cookies(subject: Subject) -> Iterator[str]:
    for prefix, attribute in _COOKIES.items():
        if attribute is None or hasattr(subject.app, attribute):
            yield prefix


@rule(
    "cookie-not-secure",
    "A cookie that signs people in travels without encryption",
    why="One link to an http address of the site is enough for anybody on the way to read it.",
    remedy="Set SESSION_COOKIE_SECURE = True, or None, Carboy's default (and REMEMBER_COOKIE_SECURE with Flask-Login), and"
    " serve the site by https only.",
)
def not_secure(subject: Subject) -> Iterator[Hit]:
    for cookie in _cookies(subject):
        value = subject.get(f"{cookie}_SECURE", False)
        # The session's may be None: Secure wherever the request did not come to this machine.
        if not value and (value is not None or cookie != "SESSION_COOKIE"):
            yield f"{cookie}_SECURE", "it is off"


@rule(
    "cookie-readable",
    "Scripts can read a cookie that signs people in",
    why="A single script"
    " injected into a page then takes the account away instead of using it for a moment.",
    remedy="Set SESSION_COOKIE_HTTPONLY = True, its default.",
)
def readable(subject: Subject) -> Iterator[Hit]:
    for cookie in _cookies(subject):
        if not subject.get(f"{cookie}_HTTPONLY", cookie == "REMEMBER_COOKIE"):
            yield f"{cookie}_HTTPONLY", "it is off"


@rule(
    "cookie-samesite",
    "A cookie that signs people in is sent with other sites' requests",
    why="It is what cross-site request forgery lives on. Browsers differ in what they assume for"
    " a cookie that says nothing.",
    remedy="Set SESSION_COOKIE_SAMESITE = 'Lax', or 'Strict' where no link leads in from outside."
    " 'None' is for pages that other sites embed, and needs CSRF protection.",
)
def same_site(subject: Subject) -> Iterator[Hit]:
    for cookie in _cookies(subject):
        value = subject.get(f"{cookie}_SAMESITE")
        if value is None:
            yield f"{cookie}_SAMESITE", "it is not set"
        elif isinstance(value, str) and value.lower() == "none":
            yield f"{cookie}_SAMESITE", "it is 'None'"


@rule(
    "cookie-rejected",
    "Browsers drop this cookie",
    deploy=False,
    why="A cookie whose attributes"
    " contradict its name or each other is ignored, so nobody stays signed in.",
    remedy="__Host- wants Secure, the path / and no domain; __Secure- wants Secure; SameSite=None"
    " and Partitioned want Secure (RFC 6265bis section 4.1.3).",
)
def rejected(subject: Subject) -> Iterator[Hit]:
    name = str(subject.get("SESSION_COOKIE_NAME") or "").lower()
    secure = subject.get("SESSION_COOKIE_SECURE", False)
    secure = secure is None or secure or subject.get("SESSION_COOKIE_PARTITIONED")
    if name.startswith(("__host-", "__secure-")) and not secure:
        yield "SESSION_COOKIE_NAME", "its prefix wants SESSION_COOKIE_SECURE"
    if name.startswith("__host-"):
        path = subject.get("SESSION_COOKIE_PATH") or subject.get("APPLICATION_ROOT")
        if subject.get("SESSION_COOKIE_DOMAIN"):
            yield "SESSION_COOKIE_DOMAIN", "the name's prefix __Host- allows no domain"
        if path != "/":
            yield "SESSION_COOKIE_PATH", f"it is {path!r}, and the prefix __Host- wants '/'"
    same_site = subject.get("SESSION_COOKIE_SAMESITE")
    if isinstance(same_site, str) and same_site.lower() == "none" and not secure:
        yield "SESSION_COOKIE_SAMESITE", "'None' wants SESSION_COOKIE_SECURE"


@rule(
    "session-long",
    "Sessions live for more than a year",
    level="warning",
    why="A cookie copied from a lost laptop or a backup signs in for as long.",
    remedy="Set PERMANENT_SESSION_LIFETIME to what the users need; 31 days is the default.",
)
def long_lived(subject: Subject) -> Iterator[Hit]:
    value = subject.get("PERMANENT_SESSION_LIFETIME")
    life = timedelta(seconds=value) if isinstance(value, int | float) else value
    if isinstance(life, timedelta) and life > _LONGEST:
        yield "PERMANENT_SESSION_LIFETIME", f"it is {life.days} days"


RULES = (not_secure, readable, same_site, rejected, long_lived)
