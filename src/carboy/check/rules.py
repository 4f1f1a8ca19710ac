"""What a rule is, and what it finds.

A rule is a function that looks at a :class:`~carboy.check.subject.Subject` and yields a text for
each fault: one clause that says what is there. The decorator adds what is the same each time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from .subject import Place, Subject

Level = t.Literal["error", "warning", "note"]

#: What a rule yields: the setting (or other name) that is at fault, and what is wrong with it.
Hit = tuple[str, str]
Test = Callable[["Subject"], Iterator[Hit]]


@dataclass(frozen=True)
class Rule:
    """One thing that is looked for.

    ``deploy`` rules hold for what strangers can reach; the others hold everywhere, because what
    they find works nowhere as it was meant.
    """

    id: str
    level: Level
    title: str
    why: str
    remedy: str
    deploy: bool
    test: Test

    @property
    def family(self) -> str:
        """The name of the file that the rule stands in."""
        return self.test.__module__.rpartition(".")[2]


@dataclass(frozen=True)
class Finding:
    """A fault: its rule, what was seen, and where in the application's source it comes from."""

    rule: Rule
    subject: str
    seen: str
    place: Place


def rule(
    id: str, title: str, *, why: str, remedy: str, level: Level = "error", deploy: bool = True
) -> Callable[[Test], Rule]:
    """Make a :class:`Rule` of the decorated function; see there for the parameters."""

    def make(test: Test) -> Rule:
        return Rule(id, level, title, why, remedy, deploy, test)

    return make
