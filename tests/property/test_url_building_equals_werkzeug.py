"""The compiled URL builder gives Werkzeug's address, or none."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import unquote

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from werkzeug.routing import Map, Rule
from werkzeug.routing.converters import BaseConverter

from carboy.routing import Router, UrlBuilder

from . import strategies as own

EXAMPLES = 120


def ask_werkzeug(
    url_map: Map, endpoint: str, values: Any, method: str | None, default: str, domain: str
) -> str | None:
    """Werkzeug's address without the script root if it is on the same domain, else None."""
    root = "/app/root"
    if url_map.host_matching:
        adapter = url_map.bind(domain, root, default_method=default)
    else:
        adapter = url_map.bind(own.SERVER, root, subdomain=domain, default_method=default)
    try:
        address = adapter.build(endpoint, values, method)
    except Exception:
        return None
    return address.removeprefix(root) if address.startswith(root) else None


asked_methods = st.sampled_from((None, None, None, "GET", "POST", "get"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_each_address_is_werkzeugs(data: st.DataObject) -> None:
    url_map = data.draw(own.url_maps())
    builder = UrlBuilder(url_map)
    domain = own.SERVER if url_map.host_matching else data.draw(st.sampled_from(("", "api")))
    for _ in range(8):
        endpoint = data.draw(st.sampled_from(("one", "two", "three", "four")))
        values = data.draw(own.build_values)
        method, default = data.draw(asked_methods), data.draw(st.sampled_from(own.METHODS))
        address = builder.build(endpoint, values, method, default, domain)
        if address is not None:
            assert address == ask_werkzeug(url_map, endpoint, values, method, default, domain)


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_each_address_on_an_ordinary_map_is_built(data: st.DataObject) -> None:
    url_map = data.draw(own.url_maps(ordinary=True))
    builder = UrlBuilder(url_map)
    domain = data.draw(st.sampled_from(("", "", "api")))
    for _ in range(8):
        endpoint = data.draw(st.sampled_from(("one", "two", "three")))
        # A refusal by ValidationError sends Werkzeug to the next rule: that is left to it.
        assume(not any(has_refusing_converter(rule) for rule in url_map.iter_rules()))
        values = data.draw(own.build_values)
        method, default = data.draw(asked_methods), data.draw(st.sampled_from(own.METHODS))
        expected = ask_werkzeug(url_map, endpoint, values, method, default, domain)
        assert builder.build(endpoint, values, method, default, domain) == expected


def has_refusing_converter(rule: Rule) -> bool:
    return any(isinstance(converter, own.Even) for converter in rule._converters.values())


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(data=st.data())
def test_a_change_of_the_map_is_noticed_by_the_next_address(data: st.DataObject) -> None:
    url_map = data.draw(own.url_maps(ordinary=True, max_size=3))
    builder, router = UrlBuilder(url_map), Router(url_map)
    for _ in range(6):
        spec = data.draw(own.rule_specs(ordinary=True))
        own.add_rule(url_map, spec, data.draw(own.kinds))
        if data.draw(st.booleans()):
            router.match("GET", "/a")
        url_map.sort_parameters = data.draw(st.booleans())
        values = data.draw(own.build_values)
        address = builder.build("one", values, None, "GET", "")
        if address is not None:
            assert address == ask_werkzeug(url_map, "one", values, None, "GET", "")


segment_text = st.text(min_size=1, max_size=8).filter(lambda text: "/" not in text)
VALID: dict[str, st.SearchStrategy[Any]] = {
    "": segment_text,
    "string(length=3):": st.text(min_size=3, max_size=3).filter(lambda text: "/" not in text),
    "int:": st.integers(min_value=0),
    "int(signed=True):": st.integers(),
    "int(min=3, max=9):": st.integers(3, 9),
    "int(fixed_digits=4):": st.integers(0, 9999),
    "float(signed=True):": st.floats(-(10**6), 10**6).filter(lambda number: "e" not in str(number)),
    "uuid:": st.uuids(),
    'any(a, "x y"):': st.sampled_from(("a", "x y")),
}


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_what_is_built_matches_the_same_rule_with_the_same_values(data: st.DataObject) -> None:
    converters = data.draw(st.lists(st.sampled_from(sorted(VALID)), min_size=1, max_size=3))
    path = "".join(f"/é{number}/<{name}v{number}>" for number, name in enumerate(converters))
    values = {f"v{number}": data.draw(VALID[name]) for number, name in enumerate(converters)}
    url_map = Map([rule := Rule(path, endpoint="e"), Rule("/<path:other>", endpoint="other")])
    try:
        for value in values.values():
            str(value).encode()
    except UnicodeEncodeError:
        assume(False)
    address = UrlBuilder(url_map).build("e", values, None, "GET", "")
    assert address is not None
    assert Router(url_map).match("GET", unquote(address)) == (rule, values)


def test_each_character_is_quoted_in_a_path_as_werkzeug_quotes_it() -> None:
    url_map = Map([Rule("/x<name>", endpoint="e")])
    builder, converter = UrlBuilder(url_map), BaseConverter(url_map)
    for character in map(chr, range(0x250)):
        assert builder.build("e", {"name": character}, None, "GET", "") == (
            f"/x{converter.to_url(character)}"
        )


def test_each_character_is_quoted_in_a_query_as_werkzeug_quotes_it() -> None:
    url_map = Map([Rule("/", endpoint="e")])
    builder = UrlBuilder(url_map)
    for character in map(chr, range(0x250)):
        values = {f"k{character}": f"v{character}"}
        assert builder.build("e", values, None, "GET", "") == (
            ask_werkzeug(url_map, "e", values, None, "GET", "")
        )


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(texts=st.lists(st.text(max_size=200), min_size=1, max_size=5))
def test_a_text_is_quoted_the_same_each_time(texts: list[str]) -> None:
    url_map = Map([Rule("/x<path:name>", endpoint="e")])
    builder = UrlBuilder(url_map)
    for text in texts * 2:
        values = {"name": text, "again": text}
        assert builder.build("e", values, None, "GET", "") == (
            ask_werkzeug(url_map, "e", values, None, "GET", "")
        )


def test_a_uuid_may_be_given_as_text() -> None:
    url_map = Map([Rule("/<uuid:id>", endpoint="e")])
    builder = UrlBuilder(url_map)
    for value in (uuid.UUID(own.UUID_TEXT), own.UUID_TEXT):
        assert builder.build("e", {"id": value}, None, "GET", "") == f"/{value}"
