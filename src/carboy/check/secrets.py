"""Rules on the keys that sign sessions, tokens and URLs."""

from __future__ import annotations

import ast
import typing as t
from collections.abc import Iterator

from carboy.security.secrets import weakness

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

_STAKES = (
    "Whoever has the key writes session cookies of their own and so is signed in as anybody, and"
    " signs tokens and URLs."
)
_NEW = (
    "Make one with `carboy secret`, keep it out of the repository, and give it to the application"
    " by the environment or a secret store. Put the old key into SECRET_KEY_FALLBACKS for as long"
    " as sessions live, unless it is known to somebody."
)


def _weak(subject: Subject, *kinds: str) -> Iterator[Hit]:
    found = weakness(subject.get("SECRET_KEY"))
    if found is not None and found.kind in kinds:
        yield "SECRET_KEY", found.text


@rule(
    "secret-key-missing",
    "There is no secret key",
    why=_STAKES + " Without a key, sessions, flashed messages and CSRF tokens cannot work at all.",
    remedy=_NEW,
)
def missing(subject: Subject) -> Iterator[Hit]:
    yield from _weak(subject, "missing")


@rule(
    "secret-key-known",
    "The secret key is printed in tutorials",
    why=_STAKES + " Cracking tools try the keys of tutorials and templates before all others.",
    remedy=_NEW,
)
def known(subject: Subject) -> Iterator[Hit]:
    yield from _weak(subject, "known")


@rule(
    "secret-key-weak",
    "The secret key can be guessed",
    why=_STAKES + " A cookie is enough to"
    " try keys against, on the attacker's own machine, billions a second.",
    remedy=_NEW,
)
def weak(subject: Subject) -> Iterator[Hit]:
    yield from _weak(subject, "short", "weak")


@rule(
    "secret-key-fallback-weak",
    "An old secret key that is still accepted can be guessed",
    why="A cookie signed with any key of SECRET_KEY_FALLBACKS is accepted, so the weakest of them"
    " decides.",
    remedy="Remove the weak key from SECRET_KEY_FALLBACKS: its sessions end, which is"
    " the point. Old keys belong there for as long as sessions live, and no longer.",
)
def fallbacks(subject: Subject) -> Iterator[Hit]:
    keys = subject.get("SECRET_KEY_FALLBACKS") or ()
    if isinstance(keys, str | bytes):
        yield "SECRET_KEY_FALLBACKS", "it is one text and not a list, so each character is a key"
        return
    for number, key in enumerate(keys):
        found = weakness(key)
        if found is not None:
            yield "SECRET_KEY_FALLBACKS", f"number {number}: {found.text}"
        elif key == subject.get("SECRET_KEY"):
            yield "SECRET_KEY_FALLBACKS", f"number {number} is SECRET_KEY itself: nothing rotated"


@rule(
    "secret-key-in-source",
    "The secret key stands in the source",
    why=_STAKES + " Source goes to repositories, images, laptops and error pages.",
    remedy="Read it from the environment:"
    " app.config.from_prefixed_env() takes FLASK_SECRET_KEY. " + _NEW,
)
def in_source(subject: Subject) -> Iterator[Hit]:
    key = subject.get("SECRET_KEY")
    found = weakness(key)
    if not key or (found is not None and found.kind == "known"):
        return  # a key of a tutorial is reported as that
    for file, tree in subject.sources:
        for node in ast.walk(tree):
            value = node.value if isinstance(node, ast.Constant) else None
            if type(value) is type(key) and value == key:
                yield (
                    "SECRET_KEY",
                    f"it is written out in {file}, line {getattr(node, 'lineno', 1)}",
                )
                return


RULES = (missing, known, weak, fallbacks, in_source)
