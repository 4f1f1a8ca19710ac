"""Rules on sessions that lie on the server, and on signing in."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from urllib.parse import urlsplit

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

_LOCAL = ("localhost", "127.0.0.1", "::1")


def _is_used(subject: Subject) -> bool:
    return "carboy.server_sessions" in subject.app.extensions


@rule(
    "session-store-memory",
    "Sessions lie in the memory of one process",
    why="Every restart signs everybody out, and with several workers each has sessions of its own:"
    " users are signed in with one request and not with the next.",
    remedy="Set SESSION_STORE to 'redis://…', an address of a database, or 'file:///folder' for the"
    " workers of one machine.",
)
def in_memory(subject: Subject) -> Iterator[Hit]:
    if _is_used(subject) and str(subject.get("SESSION_STORE") or "").startswith("memory:"):
        yield "SESSION_STORE", "it is 'memory:'"


@rule(
    "session-store-open",
    "Sessions travel to their store without encryption or password",
    level="warning",
    why="Whoever is in between reads what the sessions hold; and a Redis without a password gives it"
    " to everybody who reaches it.",
    remedy="Use rediss:// and a password where the store is on another machine.",
)
def open_store(subject: Subject) -> Iterator[Hit]:
    try:
        parts = urlsplit(str(subject.get("SESSION_STORE") or ""))
        host, password = parts.hostname, parts.password
    except ValueError:
        return
    if not _is_used(subject) or parts.scheme not in ("redis", "rediss") or host in (None, *_LOCAL):
        return
    if parts.scheme == "redis":
        yield "SESSION_STORE", f"it is redis:// to {host}"
    elif password is None:
        yield "SESSION_STORE", f"it has no password for {host}"


@rule(
    "session-endless",
    "A session that is used never ends",
    level="warning",
    why="Who has copied a session's cookie keeps it alive by using it.",
    remedy="Leave SESSION_ABSOLUTE_LIFETIME at its default of 90 days, or set what users bear.",
)
def endless(subject: Subject) -> Iterator[Hit]:
    if _is_used(subject) and subject.get("SESSION_ABSOLUTE_LIFETIME", 0) is None:
        yield "SESSION_ABSOLUTE_LIFETIME", "it is None"


@rule(
    "sign-in-unlimited",
    "Passwords may be guessed as often as one likes",
    why="Lists of passwords from other sites are tried at machine speed.",
    remedy="Leave SIGN_IN_PER_ACCOUNT and SIGN_IN_PER_ADDRESS at their defaults.",
)
def guessing(subject: Subject) -> Iterator[Hit]:
    if "carboy.sign_ins" in subject.app.extensions:
        for name in ("SIGN_IN_PER_ACCOUNT", "SIGN_IN_PER_ADDRESS"):
            if not subject.get(name):
                yield name, "it is off"


@rule(
    "setting-unused",
    "A setting is made that nothing reads",
    deploy=False,
    why="What was meant to be on is off, and nothing says so.",
    remedy="Call ServerSessions(app) for SESSION_STORE, SignIns(app) for the limits of signing in, and"
    " RequestLimits(app) for MAX_HEADER_SIZE, MAX_JSON_DEPTH, MAX_JSON_INTEGER_LENGTH and"
    " REQUEST_DECOMPRESSION.",
)
def unused(subject: Subject) -> Iterator[Hit]:
    for extension, (caller, names) in _READERS.items():
        if extension not in subject.app.extensions:
            for name in names:
                if subject.get(name):
                    yield name, f"{caller}(app) was not called"


_READERS = {
    "carboy.server_sessions": ("ServerSessions", ("SESSION_STORE",)),
    "carboy.sign_ins": ("SignIns", ("SIGN_IN_PER_ACCOUNT", "SIGN_IN_PER_ADDRESS")),
    "carboy.request_limits": (
        "RequestLimits",
        (
            "MAX_HEADER_SIZE",
            "MAX_JSON_DEPTH",
            "MAX_JSON_INTEGER_LENGTH",
            "REQUEST_DECOMPRESSION",
        ),
    ),
}

RULES = (in_memory, open_store, endless, guessing, unused)
