"""One function per rule that spells its address from values.

The functions are generated: rules of one shape (the kinds of their variables, in order) share their
code, and what differs is in the cells around it. ``Spelling.source`` shows the code. For
``/users/<int:id>/files/<path:name>`` it is::

    def make(front, add_query, defaults, needed, name0, to_url0, after0, name1, to_url1, after1):
        def spell(values):
            try:
                v0 = values[name0]
                v1 = values[name1]
            except KeyError: return UNSUITED
            if not (type(v0) is int and type(v1) is str): return spell_any(values)
            path = f"{front}{v0}{after0}{known_path.get(v1) or path_text(v1)}"
            return path if len(values) == 2 else add_query(path, values)
        def spell_any(values):
            ...
            t0 = v0 if type(v0) is int else checked(to_url0(v0))
            ...
            path = f"{front}{t0}{after0}{t1}"
            return path if len(values) == 2 else add_query(path, values)
        return spell
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from werkzeug.routing import Rule
from werkzeug.routing.converters import BaseConverter, NumberConverter

# The characters that Werkzeug leaves as they are in a path and in a query string, after
# https://url.spec.whatwg.org: the property tests hold both sets against Werkzeug's own quoting.
_SAFE_IN_PATH = "!$&'()*+,/:;=@"
_SAFE_IN_QUERY = "!$'()*,/:;?@"

#: Names of values that are none to Flask's ``url_for``, which takes them for itself.
OPTIONS = frozenset({"_anchor", "_method", "_scheme", "_external"})

# Texts are remembered with their quoted form. Both bounds keep strangers' values from filling memory.
_MAX_REMEMBERED = 1024
_MAX_NAMES = 64
_MAX_LENGTH = 128


#: Returned by a spelling when the values are not enough for its rule or contradict its defaults. No
#: address is empty.
UNSUITED = ""

Spell = Callable[[dict[str, Any]], str | None]


class Quoted:
    """Calls give texts as they are in an address; of the last ones, ``known`` may be asked directly.

    ``quoting`` is one of the functions of :mod:`urllib.parse`, and ``safe`` its argument.
    """

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


_path_text = Quoted(_SAFE_IN_PATH, quote)
_query_text = Quoted(_SAFE_IN_QUERY, quote_plus)


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
        ends_in_value = bool(steps) and not steps[-1][1]
        kinds = "".join(_kind(rule._converters[name]) for name, _ in steps)
        shape = (kinds, bool(defaults), bool(only_needed), bare, ends_in_value)
        self.source = _source(*shape)
        each: list[Any] = []
        for name, after in steps:
            each += (name, rule._converters[name].to_url, after)
        given = (tuple(defaults.items()), tuple(only_needed))
        self.spell: Spell = _maker(*shape)(front, _query_adder(rule), *given, *each)


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


def _source(kinds: str, defaults: bool, needed: bool, bare: bool, ends_in_value: bool) -> str:
    numbers = range(len(kinds))
    each = "".join(f", name{n}, to_url{n}, after{n}" for n in numbers)
    take = ["  try:", *(f"   v{n} = values[name{n}]" for n in numbers)]
    take.append("  except KeyError: return UNSUITED")
    end = ['  if path[1:2] == "/": path = "/" + path.lstrip("/")'] if bare else []
    end.append(f"  return path if len(values) == {len(kinds)} else add_query(path, values)")

    lines = [f"def make(front, add_query, defaults, needed{each}):", " def spell(values):"]
    # PERF: values of the usual types need no look at the others; bench case "ten url_for".
    if kinds and "c" not in kinds and not defaults and not needed:
        tests = " and ".join(f"type(v{n}) is {_USUAL[kind]}" for n, kind in enumerate(kinds))
        texts = [_QUICK[kind].format(n) for n, kind in enumerate(kinds)]
        lines += [*take, f"  if not ({tests}): return spell_any(values)"]
        lines += [f"  path = {_joined(texts, ends_in_value)}", *end, " def spell_any(values):"]
    if needed:
        lines.append("  for name in needed:")
        lines.append("   if values.get(name) is None: return UNSUITED")
    if kinds:
        lines += take
    lines += [f"  if v{n} is None: return UNSUITED" for n in numbers]
    if defaults:
        lines.append("  for name, default in defaults:")
        lines.append("   given = values.get(name)")
        lines.append("   if given is not None and default != given: return UNSUITED")
    for n, kind in enumerate(kinds):
        lines.append(f"  t{n} = {_ANY[kind].format(n)}")
    lines += [f"  path = {_joined([f't{n}' for n in numbers], ends_in_value)}", *end]
    lines.append(" return spell")
    return "\n".join(lines) + "\n"


def _joined(texts: list[str], ends_in_value: bool) -> str:
    """An expression for the path, where those for the values' texts are given."""
    if not texts:
        return "front"
    parts = "".join(f"{{{text}}}{{after{n}}}" for n, text in enumerate(texts))
    return f'f"{{front}}{parts.rpartition("{")[0] if ends_in_value else parts}"'


#: The usual type of a value by the kind of its converter; its text, and that of any value.
_USUAL = {"i": "int", "t": "str"}
_QUICK = {"i": "v{0}", "t": "known_path.get(v{0}) or path_text(v{0})"}
_ANY = {
    "c": "checked(to_url{0}(v{0}))",
    "i": "v{0} if type(v{0}) is int else checked(to_url{0}(v{0}))",
    "t": "known_path.get(v{0}) or path_text(v{0}) if type(v{0}) is str else v{0} if type(v{0}) is int"
    " else checked(to_url{0}(v{0}))",
}


@lru_cache(maxsize=256)
def _maker(*shape: Any) -> Callable[..., Spell]:
    names: dict[str, Any] = dict(_COMMON)
    exec(compile(_source(*shape), "<carboy url builder>", "exec"), names)
    make: Callable[..., Spell] = names["make"]
    return make


def _checked(text: Any) -> str:
    """The plain text of what a converter gave; raises `TypeError` if that is no string."""
    return "".join((text,))


def _query_adder(rule: Rule) -> Callable[[str, dict[str, Any]], str | None]:
    """A function that puts the values that the rule does not know behind a path."""
    known = frozenset(rule.arguments)
    texts = _query_text.known
    url_map = rule.map
    #: What stands for a name: "name=", nothing for those that the rule knows, None for an option.
    first_keys: dict[str, str | None] = {**dict.fromkeys(known, ""), **dict.fromkeys(OPTIONS)}
    keys = first_keys.copy()

    def add_query(path: str, values: dict[str, Any]) -> str | None:
        address = path
        mark = "?"
        # PERF: names that came before, with texts and numbers: bench case "ten url_for".
        try:
            for name, value in values.items():
                key = keys[name]
                if not key:
                    if key is None:
                        return None
                    continue
                kind = type(value)
                if kind is str:
                    value = texts.get(value) or _query_text(value)
                elif kind is not int:
                    return add_odd(path, values)
                if type(name) is not str:
                    return None
                address = f"{address}{mark}{key}{value}"
                mark = "&"
        except KeyError:
            return add_odd(path, values)
        return add_odd(path, values) if url_map.sort_parameters else address

    def add_odd(path: str, values: dict[str, Any]) -> str | None:
        nonlocal keys
        extras = {n: v for n, v in values.items() if v is not None and n not in known}
        for name in extras:
            # Names with a dot in front are what Werkzeug's builder of a rule calls things of its own.
            if type(name) is not str or name[:1] == "." or name in OPTIONS:
                return None
            if name not in keys and len(name) <= _MAX_LENGTH:
                if len(keys) >= _MAX_NAMES:
                    keys = first_keys.copy()
                keys[name] = f"{_query_text(name)}="
        query = rule._encode_query_vars(extras)
        return f"{path}?{query}" if query else path

    return add_query


_COMMON: dict[str, Any] = {
    "UNSUITED": UNSUITED,
    "checked": _checked,
    "known_path": _path_text.known,
    "path_text": _path_text,
}
