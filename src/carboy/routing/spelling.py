"""One function per rule that spells its address from values.

The functions are generated: rules of one shape (the kinds of their variables, in order) share their
code, and what differs is in the function's namespace. ``Spelling.source`` shows the code. For
``/users/<int:id>/files/<path:name>`` it is::

    def spell(values):
        v0 = values.get(name0)
        if v0 is None: return UNSUITED
        v1 = values.get(name1)
        if v1 is None: return UNSUITED
        kind = type(v0)
        if kind is int: t0 = v0
        else: t0 = checked(to_url0(v0))
        ...
        path = f"{front}{t0}{after0}{t1}{after1}"
        return path if len(values) == 2 else add_query(path, values)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import CodeType
from typing import Any
from urllib.parse import quote, quote_plus

from werkzeug.routing import Rule
from werkzeug.routing.converters import BaseConverter, NumberConverter

# The characters that Werkzeug leaves as they are in a path and in a query string, after
# https://url.spec.whatwg.org: the property tests hold both sets against Werkzeug's own quoting.
_SAFE_IN_PATH = "!$&'()*+,/:;=@"
_SAFE_IN_QUERY = "!$'()*,/:;?@"

# Texts are remembered with their quoted form. Both bounds keep strangers' values from filling memory.
_MAX_REMEMBERED = 1024
_MAX_LENGTH = 128


class _Unsuited:
    __slots__ = ()


#: Returned by a spelling when the values are not enough for its rule or contradict its defaults.
UNSUITED = _Unsuited()

Spell = Callable[[dict[str, Any]], "str | _Unsuited | None"]


class _Quoted:
    """Texts and what they are in an address; ``known`` may be asked directly."""

    __slots__ = ("_plain", "_quote", "known")

    def __init__(self, safe: str, quoting: Callable[[str, str], str]) -> None:
        self.known: dict[str, str] = {}
        self._plain = re.compile(rf"[A-Za-z0-9_.~\-{re.escape(safe)}]*\Z").match
        self._quote: Callable[[str], str] = lambda text: quoting(text, safe)

    def __call__(self, text: str) -> str:
        quoted = text if self._plain(text) else self._quote(text)
        if len(text) <= _MAX_LENGTH:
            if len(self.known) >= _MAX_REMEMBERED:
                self.known.clear()
            self.known[text] = quoted
        return quoted


_path_text = _Quoted(_SAFE_IN_PATH, quote)
_query_text = _Quoted(_SAFE_IN_QUERY, quote_plus)


class Spelling:
    """A rule, taken apart into what is known beforehand and what the values decide.

    - ``domain``: the domain part, None when it has variables;
    - ``spell``: values (none of them under a name that is no string) → the path with the query string,
      `UNSUITED`, or None when only Werkzeug can tell.
    """

    __slots__ = ("domain", "rule", "source", "spell")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        trace = list(rule._trace)
        # The first bar ends the domain, whatever is in the rule.
        bar = next(at for at, (_, data) in enumerate(trace) if data == "|")
        domain, domain_steps = _parts(rule, trace[:bar])
        self.domain = None if domain_steps else domain
        front, steps = _parts(rule, trace[bar + 1 :])
        defaults = dict(rule.defaults or {})
        in_path = {name for name, _ in steps}
        only_needed = [
            name for name in rule.arguments if name not in defaults and name not in in_path
        ]
        # An adapter leaves one slash in front of the path; only a first variable can bring more.
        bare = bool(steps) and not front.strip("/")
        if not bare:
            front = "/" + front.lstrip("/")
        kinds = "".join(_kind(rule._converters[name]) for name, _ in steps)
        shape = (kinds, len(defaults), len(only_needed), bare)
        self.source = _source(*shape)
        names: dict[str, Any] = {**_COMMON, "front": front, "add_query": _query_adder(rule)}
        for number, (name, after) in enumerate(steps):
            names[f"name{number}"] = name
            names[f"to_url{number}"] = rule._converters[name].to_url
            names[f"after{number}"] = after
        for number, (name, value) in enumerate(defaults.items()):
            names[f"default_name{number}"] = name
            names[f"default{number}"] = value
        for number, name in enumerate(only_needed):
            names[f"needed{number}"] = name
        exec(_code(*shape), names)
        self.spell: Spell = names["spell"]


def _parts(rule: Rule, trace: Iterable[tuple[bool, str]]) -> tuple[str, list[tuple[str, str]]]:
    """The literal text in front, and each variable with the literal text behind it."""
    constants = rule.defaults or {}
    front = ""
    steps: list[tuple[str, str]] = []
    for is_variable, data in trace:
        if is_variable and data not in constants:
            steps.append((data, ""))
            continue
        if is_variable:
            text = _checked(rule._converters[data].to_url(constants[data]))
        else:
            text = quote(data, safe=_SAFE_IN_PATH)
        if steps:
            name, after = steps[-1]
            steps[-1] = (name, after + text)
        else:
            front += text
    return front, steps


def _kind(converter: BaseConverter) -> str:
    """How values become text: ``t`` strings are quoted, ``i`` integers are digits, ``c`` by a call."""
    method: Any = None if "to_url" in vars(converter) else type(converter).to_url
    if method is BaseConverter.to_url:
        return "t"
    number: Any = getattr(converter, "num_convert", None)
    if (
        method is NumberConverter.to_url
        and number is int
        and not getattr(converter, "fixed_digits", 1)
    ):
        return "i"
    return "c"


def _source(kinds: str, defaults: int, needed: int, bare: bool) -> str:
    lines = ["def spell(values):"]
    for number in range(needed):
        lines.append(f"    if values.get(needed{number}) is None: return UNSUITED")
    for number in range(len(kinds)):
        lines.append(f"    v{number} = values.get(name{number})")
        lines.append(f"    if v{number} is None: return UNSUITED")
    for number in range(defaults):
        lines.append(f"    given = values.get(default_name{number})")
        lines.append(f"    if given is not None and default{number} != given: return UNSUITED")
    for number, kind in enumerate(kinds):
        branch = "if"
        if kind != "c":
            lines.append(f"    kind = type(v{number})")
        if kind == "t":
            lines.append(
                f"    if kind is str: t{number} = known_path.get(v{number}) or path_text(v{number})"
            )
            branch = "elif"
        if kind != "c":
            lines.append(f"    {branch} kind is int: t{number} = v{number}")
        indent = "    " if kind == "c" else "    else: "
        lines.append(f"{indent}t{number} = checked(to_url{number}(v{number}))")
    if kinds:
        texts = "".join(f"{{t{number}}}{{after{number}}}" for number in range(len(kinds)))
        lines.append(f'    path = f"{{front}}{texts}"')
    else:
        lines.append("    path = front")
    if bare:
        lines.append('    if path[1:2] == "/": path = "/" + path.lstrip("/")')
    lines.append(f"    return path if len(values) == {len(kinds)} else add_query(path, values)")
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=256)
def _code(kinds: str, defaults: int, needed: int, bare: bool) -> CodeType:
    return compile(_source(kinds, defaults, needed, bare), "<carboy url builder>", "exec")


def _checked(text: Any) -> str:
    """The plain text of what a converter gave; raises `TypeError` if that is no string."""
    return "".join((text,))


def _query_adder(rule: Rule) -> Callable[[str, dict[str, Any]], str | None]:
    """A function that puts the values that the rule does not know behind a path."""
    known = frozenset(rule.arguments)
    known_texts = _query_text.known
    url_map = rule.map

    def add_query(path: str, values: dict[str, Any]) -> str | None:
        pairs: list[str] | None = []
        for name, value in values.items():
            if name in known or value is None:
                continue
            # Names with a dot in front are what Werkzeug's builder of a rule calls things of its own.
            if type(name) is not str or name[:1] == ".":
                return None
            kind = type(value)
            if kind is str:
                text = known_texts.get(value) or _query_text(value)
            elif kind is int:
                text = value
            else:
                pairs = None
            if pairs is not None:
                pairs.append(f"{known_texts.get(name) or _query_text(name)}={text}")
        if pairs is None or url_map.sort_parameters:
            extras = {n: v for n, v in values.items() if v is not None and n not in known}
            query = rule._encode_query_vars(extras)
        else:
            query = "&".join(pairs)
        return f"{path}?{query}" if query else path

    return add_query


_COMMON: dict[str, Any] = {
    "UNSUITED": UNSUITED,
    "checked": _checked,
    "known_path": _path_text.known,
    "path_text": _path_text,
}
