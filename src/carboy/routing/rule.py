"""A Werkzeug rule that is cheap to register: parts are shared, builders are made when first needed.

Werkzeug's own compilation of a rule is most of the cost of a registration: it generates two functions
that only ``MapAdapter.build`` calls, and leaves some forty objects for the garbage collector to look at
in each of its rounds, so that ten thousand rules cost more than ten times a thousand. Here the parts of
rules are shared where they are equal. What the rule is in the end, Werkzeug's code would have made it.
"""

from __future__ import annotations

import re
from copy import copy
from functools import cache, lru_cache
from typing import Any

from werkzeug.routing import (
    FloatConverter,
    IntegerConverter,
    Map,
    PathConverter,
    Rule,
    UnicodeConverter,
    UUIDConverter,
)
from werkzeug.routing.rules import RulePart, Weighting

from carboy.shortcuts import SLOW

_BUILT_IN = {FloatConverter, IntegerConverter, PathConverter, UnicodeConverter, UUIDConverter}

# No function has a parameter of that name, so Werkzeug refuses the rule.
_NO_NAMES = {"None", "True", "False", "__debug__"}

# Static parts that many rules have; the bound is for rules that are made without end.
_MAX_KNOWN = 512


class LazyRule(Rule):
    """A rule whose registration does not pay for code that may never run.

    It equals ``werkzeug.routing.Rule`` in all that it answers, and in what it refuses, and when: a
    rule that may be refused by Werkzeug's builders, as one with defaults by its converters, gets them
    at once.
    """

    #: Whether `_compile_plain` has taken it apart, which can do so again at any time.
    _is_plain = False
    _made_parts: list[RulePart] | None

    @property
    def _parts(self) -> list[RulePart]:
        # Only the map's matcher asks, once, when the rule is added. Then nobody keeps them.
        parts = self._made_parts
        if parts is None:
            again = copy(self)
            again.arguments, again._is_plain = set(), False
            Rule.compile(again)
            return again._parts
        if self._is_plain:
            self._made_parts = None
        return parts

    @_parts.setter
    def _parts(self, parts: list[RulePart]) -> None:
        self._made_parts = parts

    def compile(self) -> None:
        """Take the rule apart, as Werkzeug does. Raises what ``Rule.compile`` raises."""
        again = bool(self._trace)
        if again:
            # Werkzeug leaves the old builders where it refuses the new text.
            self._make_builders()
        # PERF: "routes" of bench/growth.py; a third of the time, and of the tracked objects.
        self._is_plain = type(self) is LazyRule and _plain_is_right() and _compile_plain(self)
        if not self._is_plain:
            super().compile()
        elif again:
            del self._build, self._build_unknown

    def _compile_builder(self, append_unknown: bool = True) -> Any:
        if self._may_be_refused():
            return super()._compile_builder(append_unknown)
        return LazyRule._build_unknown if append_unknown else LazyRule._build

    def _may_be_refused(self) -> bool:
        if self.defaults or not _NO_NAMES.isdisjoint(self._converters):
            return True
        if sum(is_variable for is_variable, _ in self._trace) != len(self._converters):
            return True  # one name twice
        try:
            "".join(data for _, data in self._trace).encode()
        except UnicodeEncodeError:
            return True
        return False

    # Werkzeug sets both of these on each rule; here the class has them until one is needed.
    def _build(self, /, **values: Any) -> tuple[str, str]:
        self._build = self._made(False)  # type: ignore[method-assign]
        return self._build(**values)

    def _build_unknown(self, /, **values: Any) -> tuple[str, str]:
        self._build_unknown = self._made(True)  # type: ignore[method-assign]
        return self._build_unknown(**values)

    def _make_builders(self) -> None:
        for name, append_unknown in (("_build", False), ("_build_unknown", True)):
            if getattr(self, name).__func__ is getattr(LazyRule, name):
                setattr(self, name, self._made(append_unknown))

    def _made(self, append_unknown: bool) -> Any:
        # As it was when it was bound: it had no defaults then.
        bound = copy(self)
        bound.defaults = None
        return super(LazyRule, bound)._compile_builder(append_unknown).__get__(self, None)


_Step = tuple[bool, str]
_SLASH = (False, "/")
_BAR = (False, "|")


def _compile_plain(rule: Rule) -> bool:
    """Compile a rule whose segments are text or one variable of a built-in kind each.

    False if it is another one, which is left as it is. Raises nothing.
    """
    url_map, text = rule.map, rule.rule
    domain = (rule.host if url_map.host_matching else rule.subdomain) or ""
    if rule.defaults or not text.isascii() or not domain.isascii():
        return False
    if "<" in domain or "/" in domain:
        return False
    first, *segments = text.split("/")
    if first or not segments:
        return False
    part, step = _static(domain)
    parts = [part, _EMPTY]
    trace = [step, _BAR] if domain else [_BAR]
    converters: dict[str, Any] = {}
    last = len(segments)
    for number, segment in enumerate(segments, 1):
        trace.append(_SLASH)
        if "<" not in segment:
            part, step = _static(segment)
            parts.append(part)
            if segment:
                trace.append(step)
            elif number < last:
                return False
            continue
        kind_name, name, step = _variable(segment)
        kind = url_map.converters.get(kind_name)
        if kind not in _BUILT_IN or name in converters:
            return False
        converters[name] = converter = kind(url_map)
        isolating = converter.part_isolating
        if not isolating and number < last:
            return False
        parts.append(_variable_part(converter.regex, converter.weight, isolating))
        trace.append(step)
    rule._parts = parts
    rule._trace = trace
    rule._converters = converters
    rule.arguments.update(converters)
    return True


@lru_cache(maxsize=256)
def _variable(segment: str) -> tuple[str, str, _Step]:
    """The names of the converter and of the variable that fill a segment; empty if others do."""
    found = _VARIABLE.fullmatch(segment)
    if found is None or found[2] in _NO_NAMES:
        return "", "", _SLASH
    return found[1] or "default", found[2], (True, found[2])


_VARIABLE = re.compile(r"<(?:([A-Za-z_]\w*):)?([A-Za-z_]\w*)>", re.ASCII)


def _static(text: str) -> tuple[RulePart, _Step]:
    known = _known.get(text)
    if known is None:
        known = RulePart(text, False, True, False, _static_weight(len(text))), (False, text)
        if len(_known) < _MAX_KNOWN:
            _known[text] = known
    return known


_known: dict[str, tuple[RulePart, _Step]] = {}


@lru_cache(maxsize=256)
def _variable_part(regex: str, weight: int, isolating: bool) -> RulePart:
    content = rf"(?P<__werkzeug_0>{regex})\Z"
    return RulePart(content, not isolating, False, False, Weighting(0, [], -1, [weight]))


@lru_cache(maxsize=256)
def _static_weight(length: int) -> Weighting:
    return Weighting(-1, [(0, -length)], 0, []) if length else Weighting(0, [], 0, [])


_EMPTY = _static("")[0]


# To a user it is Werkzeug's class; its repr says so.
LazyRule.__name__ = LazyRule.__qualname__ = "Rule"


class _Sample(Rule):
    def _compile_builder(self, append_unknown: bool = True) -> Any:
        return LazyRule._build  # never asked: it is not the builders that are compared


@cache
def _plain_is_right() -> bool:
    """Whether the installed Werkzeug takes rules apart as `_compile_plain` does."""
    if SLOW:
        return False
    url_map = Map()
    for text in ("/a-b/<int:x>/", "/<path:x>"):
        theirs, ours = _Sample(text), _Sample(text)
        theirs.bind(url_map)
        for name in ("map", "strict_slashes", "merge_slashes", "subdomain"):
            setattr(ours, name, getattr(theirs, name))
        try:
            if not _compile_plain(ours):
                return False
        except (AttributeError, TypeError):
            return False
        found, expected = vars(ours), vars(theirs)
        for made in ("_build", "_build_unknown"):
            expected.pop(made, None)
        kinds = [{n: type(c) for n, c in v.pop("_converters").items()} for v in (found, expected)]
        if kinds[0] != kinds[1] or found != expected:
            return False
    return True
