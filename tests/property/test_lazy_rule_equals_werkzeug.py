"""The rules that ``add_url_rule`` makes are Werkzeug's rules, whatever happens to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter, RequestRedirect, Rule

from carboy.routing import LazyRule, Router, UrlBuilder
from carboy.routing import rule as rule_module

from . import strategies as own

EXAMPLES = 150

#: Rules that Werkzeug refuses, and odd ones that it takes.
ODD_PATHS = (
    "/<a>/<a>",
    "/<a>/<int:a>",
    "/x<a>/<a>",
    "/<None>",
    "/x<True>",
    "/<int:class>/<path:self>",
    "/<__debug__>",
    "/\ud800",
    "/\ud800/<a>",
    "/<:a>",
    "/<a:>",
    "/<a-b:c>",
    "/<nope:x>",
    "/a/<nope:x>",
    "/<int:a",
    "/<>",
    "/< a>",
    "/<é>",
    "/a>b",
    "/<a>>",
    "/<<a>",
    "/<int:a>/",
    "//",
    "/a//b",
    "/<a>//<b>/",
    "/<path:a>/",
    "/<path:a>/b",
    "/<int:a>/<path:b>",
    "/a|b/<x>",
    "/é/<x>",
    "/.*/(x)",
    "/a\nb",
    "/a b/%/<x>",
    "/<int():a>",
    "/<int(min=1:2):a>",
    "/" + "<x>/" * 3,
    "/".join(f"<a{number}>" for number in range(12)).join(("/", "")),
)

odd_specs = st.builds(
    own.RuleSpec,
    st.sampled_from(ODD_PATHS),
    st.fixed_dictionaries(
        {"endpoint": st.sampled_from(("one", "two"))},
        optional={
            "subdomain": st.sampled_from(("api", "<a>", "a.b", "é", "\ud800", "a/b", "<sub>.x")),
            "host": st.sampled_from((own.SERVER, "<a>.org")),
            "defaults": st.sampled_from(({}, {"a": "x"}, {"a": 1}, {"other": 1})),
            "merge_slashes": st.booleans(),
            "strict_slashes": st.booleans(),
            "methods": st.sampled_from((["GET"], ["POST"], [])),
        },
    ),
)
specs = st.one_of(own.rule_specs(), own.rule_specs(ordinary=True), odd_specs)


def outcome(act: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What came of it: the value, or the kind of the error and what it says."""
    try:
        return act(*arguments, **options)
    except RequestRedirect as error:
        return type(error), error.new_url
    except HTTPException as error:
        return type(error), sorted(getattr(error, "valid_methods", None) or ())
    except Exception as error:
        # A builder made late is named after the text that its rule has by then.
        return type(error), re.sub(r"<builder:.*>\(\)", "", str(error))


def state(rule: Rule) -> dict[str, Any]:
    """All that is known of a rule, less what builds and what is only Carboy's."""
    names = set(vars(Rule("/"))) | {"_parts"}
    found = {name: getattr(rule, name) for name in names - {"map", "_build", "_build_unknown"}}
    found["_converters"] = [
        (name, type(converter), {key: v for key, v in vars(converter).items() if key != "map"})
        for name, converter in rule._converters.items()
    ]
    return found


@settings(max_examples=EXAMPLES * 2, deadline=None)
@given(options=own.map_options(), spec=specs)
def test_it_is_taken_apart_or_refused_as_werkzeug_does(
    options: dict[str, Any], spec: own.RuleSpec
) -> None:
    found = []
    for kind in own.KINDS:
        url_map = Map(**options)
        rule = outcome(spec.make, kind)
        refused = outcome(url_map.add, rule) if isinstance(rule, Rule) else rule
        found.append((refused, None if refused else state(rule)))
    assert found[0] == found[1]


# Each changes a rule that is bound; not all that Werkzeug lets one do is wise.
MUTATIONS: tuple[Callable[[Rule], Any], ...] = (
    lambda rule: rule.refresh(),
    lambda rule: rule.methods is not None and rule.methods.add("PURGE"),
    lambda rule: rule.methods is not None and rule.methods.discard("GET"),
    lambda rule: setattr(rule, "methods", None),
    lambda rule: setattr(rule, "defaults", {"v0": "a"}),
    lambda rule: setattr(rule, "defaults", {"v0": "a", "q": 2}),
    lambda rule: setattr(rule, "defaults", None),
    lambda rule: setattr(rule, "strict_slashes", not rule.strict_slashes),
    lambda rule: setattr(rule, "merge_slashes", not rule.merge_slashes),
    lambda rule: setattr(rule, "alias", not rule.alias),
    lambda rule: setattr(rule, "rule", "/other/<v1>"),
    lambda rule: (setattr(rule, "rule", "/other/<int:v1>"), rule.refresh()),
    lambda rule: (setattr(rule, "rule", "/other/<v0>-<v1>/"), rule.refresh()),
    lambda rule: (setattr(rule, "defaults", {"v0": "a"}), rule.refresh()),
    lambda rule: (setattr(rule, "defaults", {}), rule.refresh()),
    lambda rule: (setattr(rule, "subdomain", "api"), rule.refresh()),
    lambda rule: rule.arguments.add("q"),
    lambda rule: rule.map.add(rule.empty()),
    lambda rule: (rule.map._matcher.add(rule), setattr(rule.map, "_remap", True)),
    lambda rule: rule.build({"v0": "a", "v1": 1, "q": "x y"}, True),
    lambda rule: rule.build({"v0": "a", "v1": 1, "q": "x y"}, False),
)


class Side:
    """A map whose rules are all of one kind, and what reads it."""

    def __init__(self, kind: type[Rule], options: dict[str, Any]) -> None:
        self.kind = kind
        self.map = Map(**options)
        self.rules: list[Rule] = []
        self.router, self.builder = Router(self.map), UrlBuilder(self.map)

    def add(self, spec: own.RuleSpec) -> bool:
        rule = own.add_rule(self.map, spec, self.kind)
        if rule is not None:
            self.rules.append(rule)
        return rule is not None

    def mutate(self, at: int, change: Callable[[Rule], Any]) -> Any:
        self.router.forget()
        self.builder.forget()
        return outcome(change, self.rules[at])

    def matches(self, method: str, path: str, domain: str) -> Any:
        theirs = outcome(self._adapter(domain).match, path, method, return_rule=True)
        return [self._named(found) for found in (self.router.match(method, path, domain), theirs)]

    def addresses(self, endpoint: str, values: dict[str, Any], domain: str) -> Any:
        return (
            self.builder.build(endpoint, values, None, "GET", domain),
            outcome(self._adapter(domain).build, endpoint, values),
            [outcome(rule.build, values) for rule in self.rules],
        )

    def _adapter(self, domain: str) -> MapAdapter:
        if self.map.host_matching:
            return self.map.bind(domain)
        return self.map.bind(own.SERVER, subdomain=domain)

    def _named(self, found: Any) -> Any:
        if not isinstance(found, tuple) or not isinstance(found[0], Rule):
            return found
        rule, arguments = found
        # A copy that a mutation has added is in none of the places.
        places = [place for place, known in enumerate(self.rules) if known is rule]
        return places, rule.rule, arguments


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_maps_of_both_kinds_answer_alike_whatever_is_done_to_their_rules(
    data: st.DataObject,
) -> None:
    options = data.draw(own.map_options())
    sides = [Side(kind, options) for kind in own.KINDS]
    rules = sides[0].rules
    for _ in range(data.draw(st.integers(2, 7))):
        if not rules or data.draw(st.booleans()):
            spec = data.draw(specs)
            first, second = [side.add(spec) for side in sides]
            assert first == second
        if rules and data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(rules) - 1))
            change = data.draw(st.sampled_from(MUTATIONS))
            done, as_done = [side.mutate(at, change) for side in sides]
            assert done == as_done
        domain = data.draw(st.sampled_from(("", "api")))
        if sides[0].map.host_matching:
            domain = own.SERVER
        path = data.draw(own.paths(sides[0].map))
        method = data.draw(own.request_methods)
        found, as_found = [side.matches(method, path, domain) for side in sides]
        assert found == as_found
        endpoint = data.draw(st.sampled_from(("one", "two", "three")))
        values = data.draw(own.build_values)
        built, as_built = [side.addresses(endpoint, values, domain) for side in sides]
        assert built == as_built


@pytest.mark.parametrize("path", ["/a/<int:id>", "/<x>/b/", "/<path:rest>"])
def test_the_short_way_is_the_one_that_is_tested(path: str) -> None:
    bound = LazyRule(path, endpoint="e")
    Map([bound])
    assert bound._is_plain is rule_module._plain_is_right()
    assert bound._is_plain is not rule_module.SLOW


def test_another_way_to_take_rules_apart_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = rule_module._plain_is_right.__wrapped__
    assert fresh() is not rule_module.SLOW
    monkeypatch.setattr(rule_module, "_SLASH", (False, "|"))
    assert not fresh()


def test_a_rule_of_a_subclass_goes_the_long_way() -> None:
    class Own(LazyRule):
        def get_converter(self, *arguments: Any) -> Any:
            asked.append(arguments[0])
            return super().get_converter(*arguments)

    asked: list[str] = []
    Map([Own("/<a>/<int:b>", endpoint="e")])
    assert asked == ["a", "b"]
