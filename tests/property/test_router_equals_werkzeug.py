"""The compiled router gives Werkzeug's answer, or none."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule

from carboy.routing import Router

from . import strategies as own

EXAMPLES = 120


def ask_werkzeug(url_map: Map, method: str, path: str, domain: str) -> Any:
    """Werkzeug's plain success, or None for any other outcome."""
    if url_map.host_matching:
        adapter = url_map.bind(domain)
    else:
        adapter = url_map.bind(own.SERVER, subdomain=domain)
    try:
        return adapter.match(path, method, return_rule=True, websocket=False)
    except Exception:
        return None


def typed(arguments: Any) -> Any:
    return [(name, type(value), value) for name, value in sorted(arguments.items())]


def assert_same(answer: Any, expected: Any) -> None:
    assert expected is not None, f"the router decides {answer}, Werkzeug does not"
    assert answer[0] is expected[0]
    assert typed(answer[1]) == typed(expected[1])


def domains(url_map: Map) -> st.SearchStrategy[str]:
    if url_map.host_matching:
        return st.sampled_from((own.SERVER, "other.org"))
    return st.sampled_from(("", "", "", "api", "unknown"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_each_answer_is_werkzeugs(data: st.DataObject) -> None:
    url_map = data.draw(own.url_maps())
    router = Router(url_map)
    for _ in range(8):
        path = data.draw(own.paths(url_map))
        method = data.draw(own.request_methods)
        domain = data.draw(domains(url_map))
        expected = ask_werkzeug(url_map, method, path, domain)
        for _ in range(2):  # for the second question the tree has grown
            answer = router.match(method, path, domain)
            if answer is not None:
                assert_same(answer, expected)


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_each_success_on_an_ordinary_map_is_decided(data: st.DataObject) -> None:
    url_map = data.draw(own.url_maps(ordinary=True))
    router = Router(url_map)
    for _ in range(8):
        path = "/" + data.draw(own.paths(url_map)).lstrip("/")
        method = data.draw(st.sampled_from((*own.METHODS, "OPTIONS")))
        domain = data.draw(st.sampled_from(("", "", "api")))
        expected = ask_werkzeug(url_map, method, path, domain)
        for _ in range(2):
            answer = router.match(method, path, domain)
            if expected is None:
                assert answer is None
            else:
                assert answer is not None, f"undecided: {method} {path!r} for {expected}"
                assert_same(answer, expected)


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_what_is_nowhere_is_nowhere_for_werkzeug(data: st.DataObject) -> None:
    url_map = data.draw(own.url_maps())
    router = Router(url_map)
    for _ in range(8):
        path = data.draw(own.paths(url_map))
        domain = data.draw(domains(url_map))
        if router.is_nowhere(path, domain):
            methods = ("GET", "POST", "X")
            assert {outcome_of(url_map, method, path, domain) for method in methods} == {NotFound}


def test_a_variable_subdomain_may_have_what_a_named_one_lacks() -> None:
    url_map = Map([Rule("/a", subdomain="<sub>", endpoint="a"), Rule("/", subdomain="api")])
    assert not Router(url_map).is_nowhere("/a", "api")
    assert outcome_of(url_map, "GET", "/a", "api") is not NotFound


def test_a_path_without_a_rule_is_nowhere() -> None:
    url_map = Map([Rule("/"), Rule("/a/<int:b>/"), Rule("/c", methods=["POST"]), Rule("/d/")])
    router = Router(url_map)
    assert [path for path in PLACES if router.is_nowhere(path)] == ["/x", "/a/b", "/a", "/c/d"]


PLACES = [
    "/",
    "//",
    "/x",
    "/a/1",
    "/a/1/",
    "/a/b",
    "/a",
    "/c",
    "/c/d",
    "/c/",
    "/d",
    "/d/",
    "//x",
    "",
]


def outcome_of(url_map: Map, method: str, path: str, domain: str) -> Any:
    """The type of what Werkzeug raises, or of the match."""
    if url_map.host_matching:
        adapter = url_map.bind(domain)
    else:
        adapter = url_map.bind(own.SERVER, subdomain=domain)
    try:
        return type(adapter.match(path, method, return_rule=True, websocket=False))
    except Exception as error:
        return type(error)


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(data=st.data())
def test_a_change_of_the_map_is_noticed_by_the_next_match(data: st.DataObject) -> None:
    url_map = data.draw(own.url_maps(max_size=3))
    router = Router(url_map)
    for _ in range(6):
        change = data.draw(st.integers(0, 4))
        if change == 0:
            url_map.merge_slashes = not url_map.merge_slashes
        elif change == 1:
            url_map.strict_slashes = not url_map.strict_slashes
        elif change == 2:
            url_map.redirect_defaults = not url_map.redirect_defaults
        else:
            own.add_rule(url_map, data.draw(own.rule_specs()), data.draw(own.kinds))
            if change == 3:
                url_map.update()
        path = data.draw(own.paths(url_map))
        domain = data.draw(domains(url_map))
        expected = ask_werkzeug(url_map, "GET", path, domain)
        answer = router.match("GET", path, domain)
        if answer is not None:
            assert_same(answer, expected)
        elif expected is not None:
            # Undecided only for what can never be decided: slashes in front, a domain with variables.
            assert (
                not path.startswith("/") or path.startswith("//") or "<" in domain_of(expected[0])
            )


def domain_of(rule: Rule) -> str:
    return (rule.host if rule.map.host_matching else rule.subdomain) or ""


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(
    converter=st.sampled_from(own.CONVERTERS),
    text=st.one_of(
        st.text(max_size=4),
        st.text(alphabet="0123456789.-/\n٣²é", max_size=6),
        st.floats(allow_nan=False, allow_infinity=False).map(str),
        st.uuids().map(str),
    ),
    frame=st.sampled_from(("/{}", "/{}/", "/x/{}", "/x/{}/y", "/{}-x")),
)
def test_a_converter_takes_the_texts_that_werkzeug_lets_it_take(
    converter: str, text: str, frame: str
) -> None:
    rule = Rule(frame.format(f"<{converter}name>"), endpoint="e")
    url_map = Map([rule], converters=own.CUSTOM)
    path = frame.format(text)
    router = Router(url_map)
    expected = ask_werkzeug(url_map, "GET", path, "")
    for _ in range(2):
        answer = router.match("GET", path)
        if expected is None or path.startswith("//"):
            assert answer is None
        else:
            assert_same(answer, expected)


def test_the_digits_of_the_int_converter_are_those_of_its_expression() -> None:
    characters = "".join(map(chr, range(sys.maxunicode + 1)))
    assert re.findall(r"\d", characters) == [c for c in characters if c.isdecimal()]


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=st.text(alphabet="a/\n\r\u2028\x85é", max_size=6))
def test_the_path_converters_cheaper_expression_takes_the_same_texts(text: str) -> None:
    werkzeugs, ours = re.compile(r"[^/].*?\Z"), re.compile(r"[^/][^\n]*\Z")
    assert bool(werkzeugs.match(text)) == bool(ours.match(text))


@pytest.mark.parametrize("count", [10, 600])
def test_among_many_rules_the_answer_stays_werkzeugs(count: int) -> None:
    rules = [Rule(f"/s{n}/page", endpoint="s") for n in range(count)]
    rules += [Rule(f"/r{n}/<int:id>", endpoint="r") for n in range(count)]
    rules += [Rule(f"/r{n}/<name>/x", endpoint="x") for n in range(0, count, 3)]
    url_map = Map(rules)
    router = Router(url_map)
    for n in (0, 1, count // 2, count - 1):
        for path in (f"/s{n}/page", f"/r{n}/7", f"/r{n}/seven", f"/r{n}/7/x"):
            expected = ask_werkzeug(url_map, "GET", path, "")
            answer = router.match("GET", path)
            assert (answer is None) == (expected is None)
            if answer is not None:
                assert_same(answer, expected)
