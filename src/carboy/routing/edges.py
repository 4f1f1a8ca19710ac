"""How the text of a path is judged: one variable part of a rule, and the converters behind it.

Werkzeug joins the regular expressions of a part's converters and lets ``re`` decide. The expressions
of the usual converters have an exact equivalent that is cheaper; each one here is checked against
Werkzeug's expression for every Unicode character in the property tests.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from werkzeug.routing.converters import BaseConverter, NumberConverter, UUIDConverter

if TYPE_CHECKING:
    from werkzeug.routing.rules import RulePart

    from .tree import Node

#: Returns something true when it takes the text.
Accepts = Callable[[str], Any]

_GROUP = "__werkzeug_"
_OPEN = "(?P<__werkzeug_0>"
_CLOSE = r")\Z"

#: Expressions of a converter that fills a segment (which has no slash in it) → the same judgement.
_SEGMENT_JUDGES: dict[str, Accepts] = {
    r"[^/]{1,}": len,
    r"[^/]+": len,
    r"\d+": str.isdecimal,
}

#: Expressions of a converter that takes the rest of the path. Lazy ``.*?`` tries the end of the text at
#: each character; counting characters that are not a newline gives the same answer.
_REST_JUDGES: dict[str, Accepts] = {
    r"[^/].*?": re.compile(r"[^/][^\n]*\Z").match,
}

# Werkzeug before 3.1.9 sorts the groups of a part by their name, later ones by number.
_MAX_GROUPS = 10


class Undecided(ValueError):
    """Raised inside a match when only Werkzeug can tell what the answer is."""


class Edge:
    """One variable transition of the state machine.

    ``accepts`` judges the text: a segment, or when ``final`` the rest of the path from segment number
    ``depth`` on. ``whole`` says that the text as it stands is the one value; otherwise `values` takes
    the values from the judgement.
    """

    __slots__ = ("accepts", "content", "depth", "final", "groups", "node", "suffixed", "whole")

    def __init__(self, part: RulePart, node: Node, depth: int) -> None:
        self.content = part.content
        self.depth = depth
        self.final = part.final
        self.suffixed = part.suffixed
        self.node = node
        variables = -part.weight.number_argument_weights
        self.groups = tuple(f"{_GROUP}{number}" for number in range(variables))
        self.whole = (
            variables == 1
            and part.weight.number_static_weights == 0
            and not part.suffixed
            and part.content.startswith(_OPEN)
            and part.content.endswith(_CLOSE)
        )
        self.accepts: Accepts = self._settle
        if self.whole:
            judges = _REST_JUDGES if part.final else _SEGMENT_JUDGES
            self.accepts = judges.get(self._inner(), self._settle)

    def values(self, judgement: Any) -> tuple[str, ...]:
        """The texts of the variables in a positive judgement of a part that is not ``whole``."""
        found = judgement.group(0, *self.groups)
        return tuple(found[1:])

    def _inner(self) -> str:
        return self.content[len(_OPEN) : -len(_CLOSE)]

    def _settle(self, text: str) -> Any:
        # Compiled when first asked: among thousands of rules most are never tried.
        self.accepts = self._compiled()
        return self.accepts(text)

    def _compiled(self) -> Accepts:
        try:
            pattern = re.compile(self.content)
            if self.whole:
                # An expression that is not one closed piece could end the group around it early.
                re.compile(self._inner())
        except re.error:
            return _undecidable
        named = {name for name in pattern.groupindex if name.startswith(_GROUP)}
        if named != set(self.groups) or len(named) > _MAX_GROUPS:
            return _undecidable
        return pattern.match


def _undecidable(text: str) -> Any:
    raise Undecided


def python_converter(converter: BaseConverter) -> Callable[[str], Any]:
    """The cheapest callable that does what ``converter.to_python`` does.

    What it raises for text that the converter refuses is always a `ValueError`, unless a converter of
    the application raises something else.
    """
    if "to_python" not in vars(converter):
        method: Any = type(converter).to_python
        if method is BaseConverter.to_python:
            return str
        if method is UUIDConverter.to_python:
            return uuid.UUID
        if method is NumberConverter.to_python and isinstance(converter, NumberConverter):
            unbounded = converter.min is None and converter.max is None
            number: Any = converter.num_convert
            if unbounded and not converter.fixed_digits and (number is int or number is float):
                return number
    return converter.to_python
