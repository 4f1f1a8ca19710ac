"""Random URL maps, and paths and values that often fit them."""

from __future__ import annotations

import enum
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.routing import BaseConverter, IntegerConverter, Map, Rule, ValidationError

from carboy.routing import LazyRule

UUID_TEXT = "12345678-1234-5678-1234-56781234ABcd"
SERVER = "example.org"


class Upper(BaseConverter):
    """Its own expression and both conversions."""

    regex = "[A-Z]+"
    weight = 60

    def to_python(self, value: str) -> str:
        return value.lower()

    def to_url(self, value: Any) -> str:
        return str(value).upper()


class Items(BaseConverter):
    """A list in one segment; refuses some texts by ValidationError."""

    def to_python(self, value: str) -> list[str]:
        if "b" in value:
            raise ValidationError(value)
        return value.split("+")

    def to_url(self, value: Any) -> str:
        return "+".join(value) if isinstance(value, list) else super().to_url(value)


class Pair(BaseConverter):
    """Its expression holds a slash, so it is not kept to one segment."""

    regex = "[a-z]+/[a-z]+|index"


class Optional(BaseConverter):
    """Takes an empty text too, and has groups of its own."""

    regex = "((a|b)*)"
    weight = 90


class Early(IntegerConverter):
    """Comes before everything else; its fault is not a ValidationError."""

    weight = 1

    def to_python(self, value: str) -> Any:
        return {"1": "one", "42": "many"}[value]


class Even(IntegerConverter):
    """A built-in converter with checks on top, in both directions."""

    def to_python(self, value: str) -> int:
        number = super().to_python(value)
        if number % 2:
            raise ValidationError
        return int(number)

    def to_url(self, value: Any) -> str:
        if int(value) % 2:
            raise ValidationError
        return super().to_url(value)


CUSTOM: dict[str, type[BaseConverter]] = {
    "upper": Upper,
    "items": Items,
    "pair": Pair,
    "optional": Optional,
    "early": Early,
    "even": Even,
}

CONVERTERS = (
    "",
    "string:",
    "string(length=2):",
    "string(minlength=2):",
    "default(minlength=2, maxlength=3):",
    "int:",
    "int:",
    "int(fixed_digits=2):",
    "int(min=2, max=50):",
    "int(signed=True):",
    "float:",
    "float(signed=True):",
    "float(min=1.0, max=2.0):",
    "uuid:",
    'any(a, b, "x y"):',
    "path:",
    "path:",
    *(f"{name}:" for name in CUSTOM),
)

STATIC = ("a", "b", "users", "é", "a.b", "1", "x-y", "index", "a|b")

#: Texts that fit a converter or a static segment here and there, and some that fit none.
TEXTS = (
    *STATIC,
    "42",
    "07",
    "-3",
    "1.5",
    "-1.5",
    "٣",
    "²",
    "x y",
    "A",
    "ABC",
    "c",
    "a\n",
    "\n",
    "1-2",
    "x1",
    "xa",
    "a+c",
    "a/b",
    "b/index/a",
    "index/",
    "/a",
    "",
    "a?b",
    "%2F",
    UUID_TEXT,
    "1" * 5000,
)

METHODS = ("GET", "POST", "HEAD", "PURGE")


@dataclass(frozen=True)
class RuleSpec:
    """The arguments of a rule; each call of `make` gives a new, unbound one."""

    path: str
    options: dict[str, Any] = field(default_factory=dict)

    def make(self, kind: type[Rule] = Rule) -> Rule:
        return kind(self.path, **self.options)


#: Werkzeug's own rules, and those that ``add_url_rule`` makes.
KINDS: tuple[type[Rule], ...] = (Rule, LazyRule)
kinds = st.sampled_from(KINDS)


def add_rule(url_map: Map, spec: RuleSpec, kind: type[Rule]) -> Rule | None:
    """Add a rule, or nothing if Werkzeug refuses the combination."""
    try:
        rule = spec.make(kind)
        url_map.add(rule)
    except (ValueError, SyntaxError, LookupError):
        return None
    return rule


@st.composite
def segments(draw: st.DrawFn, first_variable: int) -> tuple[str, int]:
    """One segment of a rule, and the number of variables in it."""
    kind = draw(st.sampled_from(("static",) * 4 + ("variable",) * 5 + ("mixed", "two", "empty")))
    converter = draw(st.sampled_from(CONVERTERS))
    variable = f"<{converter}v{first_variable}>"
    if kind == "static":
        return draw(st.sampled_from(STATIC)), 0
    if kind == "variable":
        return variable, 1
    if kind == "mixed":
        return draw(st.sampled_from(("x{}", "{}b", "a.{}-1"))).format(variable), 1
    if kind == "two":
        other = f"<{draw(st.sampled_from(CONVERTERS))}v{first_variable + 1}>"
        return variable + draw(st.sampled_from(("", "-", "."))) + other, 2
    return "", 0


@st.composite
def rule_specs(draw: st.DrawFn, ordinary: bool = False) -> RuleSpec:
    """A rule with options; ``ordinary`` ones redirect nowhere and are on a fixed domain."""
    path, variables = "", 0
    for _ in range(draw(st.integers(0, 3))):
        segment, more = draw(segments(variables))
        path += "/" + segment
        variables += more
    if not path or draw(st.booleans()):
        path += "/"
    options: dict[str, Any] = {
        "endpoint": draw(st.sampled_from(("one", "two", "three"))),
        "methods": draw(
            st.one_of(st.none(), st.sets(st.sampled_from(METHODS), min_size=1, max_size=3))
        ),
        "strict_slashes": draw(st.sampled_from((None, None, True, False))),
        "merge_slashes": draw(st.sampled_from((None, None, None, True, False))),
    }
    names = [f"v{number}" for number in range(variables + 1)]
    if draw(st.integers(0, 3)) == 0:
        options["defaults"] = draw(
            st.dictionaries(st.sampled_from(names), st.sampled_from((1, 42, "a", "ab")), max_size=2)
        )
    extra = draw(st.integers(0, 30))
    options["subdomain"] = draw(st.sampled_from((None, None, None, None, "api")))
    if extra == 1:
        options["build_only"] = True
    elif extra == 2:
        options["websocket"] = True
    if not ordinary:
        if extra == 3:
            options["redirect_to"] = "somewhere/else"
        elif extra in (4, 5):
            options["alias"] = True
        elif extra in (6, 7):
            options["subdomain"] = "<sub>"
        elif extra == 8:
            options["host"] = draw(st.sampled_from((SERVER, "<name>.org")))
    return RuleSpec(path, options)


@st.composite
def map_options(draw: st.DrawFn, ordinary: bool = False) -> dict[str, Any]:
    """The keyword arguments of a map."""
    options: dict[str, Any] = {"converters": CUSTOM}
    for name, value in (
        ("strict_slashes", False),
        ("merge_slashes", False),
        ("redirect_defaults", False),
        ("sort_parameters", True),
    ):
        if draw(st.integers(0, 3)) == 0:
            options[name] = value
    if not ordinary:
        options["host_matching"] = draw(st.integers(0, 5)) == 0
        options["default_subdomain"] = draw(st.sampled_from(("", "", "", "api")))
    return options


#: Values that one of the texts of the same converter below stands for.
FITTING_VALUES: dict[str, tuple[Any, ...]] = {
    "v": ("a", "users"),
    "int": (42, 7),
    "float": (1.5,),
    "path": ("a", "a/b"),
    "uuid": (uuid.UUID(UUID_TEXT),),
    "upper": ("a", "abc"),
}


@st.composite
def rivals(draw: st.DrawFn, spec: RuleSpec) -> RuleSpec:
    """A rule for many of the same paths: other converters, or a fixed text, for the variables.

    Or one that leaves the last variable out and has a default for it.
    """
    path = spec.path
    shorter = re.fullmatch(r"(.*/)<(?:(\w+)[^>]*:)?(v\d)>/?", path)
    if shorter and draw(st.booleans()):
        value = draw(st.sampled_from(FITTING_VALUES.get(shorter[2] or "v", ("a",))))
        return RuleSpec(shorter[1], {**spec.options, "defaults": {shorter[3]: value}})
    for variable in re.findall("<[^>]*>", path):
        name = variable.strip("<>").split(":")[-1]
        other = draw(st.sampled_from((f"<{name}>", f"<int:{name}>", f"<path:{name}>", "a", "42")))
        if draw(st.booleans()):
            other = f"<{draw(st.sampled_from(CONVERTERS))}{name}>"
        path = path.replace(variable, other)
    endpoint = draw(st.sampled_from((spec.options["endpoint"], "rival")))
    return RuleSpec(path, {**spec.options, "endpoint": endpoint})


@st.composite
def url_maps(draw: st.DrawFn, ordinary: bool = False, max_size: int = 5) -> Map:
    """A map with some rules that compete for the same paths."""
    url_map = Map(**draw(map_options(ordinary)))
    specs = draw(st.lists(rule_specs(ordinary), min_size=1, max_size=max_size))
    for spec in specs:
        add_rule(url_map, spec, draw(kinds))
        if draw(st.booleans()):
            add_rule(url_map, draw(rivals(spec)), draw(kinds))
    if draw(st.integers(0, 4)) == 0:
        add_rule(url_map, specs[0], draw(kinds))
    return url_map


#: Texts that the converters take, mostly.
FITTING = {
    "v": ("a", "users", "x y", "é", "1"),
    "string": ("ab", "42", "éé"),
    "default": ("ab", "abc"),
    "int": ("42", "07", "7", "٣", "-3"),
    "float": ("1.5", "-1.5", "٣.٣"),
    "uuid": (UUID_TEXT,),
    "any": ("a", "b", "x y"),
    "path": ("a", "a/b", "a/b/", "index/a", "x\ny"),
    "upper": ("A", "ABC"),
    "items": ("a", "a+c"),
    "pair": ("a/b", "index"),
    "optional": ("", "ab"),
    "early": ("1", "42", "7"),
    "even": ("42", "7"),
}


def _texts(rule: str) -> list[tuple[str, ...]]:
    """For each literal text and variable of a rule in turn, the texts to stand for it."""
    texts: list[tuple[str, ...]] = []
    for number, piece in enumerate(rule.replace(">", "<").split("<")):
        name = piece.split("(")[0].split(":")[0].rstrip("0123456789")
        texts.append(FITTING.get(name, TEXTS) if number % 2 else (piece,))
    return texts


@st.composite
def paths(draw: st.DrawFn, url_map: Map) -> str:
    """A path that fits a rule of the map, or nearly does."""
    rules = [str(rule) for rule in url_map.iter_rules()] or ["/"]
    filled = ""
    for texts in _texts(draw(st.sampled_from(rules))):
        odd = len(texts) > 1 and draw(st.integers(0, 5)) == 0
        filled += draw(st.sampled_from(TEXTS if odd else texts))
    change = draw(st.integers(0, 13))
    at = draw(st.integers(0, max(len(filled) - 1, 0)))
    if change == 0:
        filled += "/"
    elif change == 1:
        filled = filled.rstrip("/")
    elif change == 2:
        filled = filled[:at] + "/" + filled[at:]
    elif change == 3:
        filled = filled[:at] + draw(st.sampled_from(TEXTS)) + filled[at:]
    elif change == 4:
        filled += "/" + draw(st.sampled_from(TEXTS))
    elif change == 5:
        filled = filled[:at] + filled[at + 1 :]
    return filled


request_methods = st.sampled_from((*METHODS, "GET", "GET", "GET", "get", "OPTIONS", ""))


class Colour(enum.IntEnum):
    """An integer that is not exactly an ``int``."""

    RED = 42


VALUES = (
    0,
    1,
    2,
    42,
    -3,
    1.5,
    True,
    "a",
    "ab",
    "42",
    "hello-world",
    "x y",
    "é/ü",
    "/evil",
    "//evil",
    "a\r\nb",
    "a&b=c#d?e",
    "",
    None,
    uuid.UUID(UUID_TEXT),
    Colour.RED,
    Markup("<b>"),
    ["a", "b"],
    ("a", 1),
    [],
    b"bytes",
    "\ud800",
)

NAMES = ("v0", "v1", "v2", "v3", "q", "é", "page size", "self", "kwargs", ".self")

build_values = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=5)
