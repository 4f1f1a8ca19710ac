"""Rules on settings that do nothing, because nobody reads a setting of that name."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from difflib import get_close_matches

from carboy.config import default_config

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

#: How alike two names are (difflib's ratio) for one to be taken for a slip of the other.
_ALIKE = 0.9


@rule(
    "setting-misspelt",
    "A setting's name is nearly one of Carboy's",
    level="warning",
    deploy=False,
    why="What was meant to be on is off, and nothing says so.",
    remedy="Correct the name. If the application itself reads a setting of this name, say"
    " CHECK_IGNORE = ['setting-misspelt'] or choose one that is less alike.",
)
def misspelt(subject: Subject) -> Iterator[Hit]:
    known = set(default_config())
    for name in subject.config:
        if name not in known:
            close = get_close_matches(name, known, n=1, cutoff=_ALIKE)
            if close:
                yield name, f"did you mean {close[0]}?"


RULES = (misspelt,)
