"""Tagged JSON, and that its short way writes what the long way writes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from carboy.json.tag import JSONTag, TaggedJSONSerializer

KEYS = st.text(max_size=5) | st.sampled_from([" t", " b", " di", " t__", " d__", " di__", "x"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | st.text().map(Markup)
    | st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)).map(
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=15,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    """HOSTILE-143: data shaped like the serializer's tags too."""
    serializer = TaggedJSONSerializer()
    assert serializer.loads(serializer.dumps(value)) == value


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_the_short_way_writes_what_the_tags_write(value: dict[str, Any]) -> None:
    class Thorough(TaggedJSONSerializer):
        def _needs_no_tag(self, value: Any) -> bool:
            return False

    assert TaggedJSONSerializer().dumps(value) == Thorough().dumps(value)


WIRE = [
    ((1, "a"), '{" t":[1,"a"]}'),
    ({" t": 1}, '{" di":{" t__":1}}'),
    (b"\x00\xff", '{" b":"AP8="}'),
    (Markup("<b>"), '{" m":"<b>"}'),
    (uuid.UUID(int=1), '{" u":"00000000000000000000000000000001"}'),
    (datetime(2024, 5, 6, tzinfo=UTC), '{" d":"Mon, 06 May 2024 00:00:00 GMT"}'),
    ([{"a": (1,)}], '[{"a":{" t":[1]}}]'),
]


@pytest.mark.parametrize(("value", "text"), WIRE)
def test_tags_are_spelled_as_flask_spells_them(value: Any, text: str) -> None:
    serializer = TaggedJSONSerializer()
    assert serializer.dumps(value) == text
    assert serializer.loads(text) == value


class TagUpper(JSONTag):
    key = " up"

    def check(self, value: Any) -> bool:
        return isinstance(value, str) and value.isupper()

    def to_json(self, value: Any) -> Any:
        return value.lower()

    def to_python(self, value: Any) -> Any:
        return value.upper()


def test_a_registered_tag_is_asked_even_for_plain_types() -> None:
    serializer = TaggedJSONSerializer()
    serializer.register(TagUpper)
    assert serializer.dumps({"a": "SHOUT"}) == '{"a":{" up":"shout"}}'
    assert serializer.loads('{"a":{" up":"shout"}}') == {"a": "SHOUT"}


def test_index_puts_a_tag_before_another_that_accepts_its_type() -> None:
    class TagOne(TagUpper):
        key = " one"

        def check(self, value: Any) -> bool:
            return value == {}

        def to_json(self, value: Any) -> Any:
            return 1

        def to_python(self, value: Any) -> Any:
            return {}

    serializer = TaggedJSONSerializer()
    serializer.register(TagOne, index=0)
    assert serializer.dumps({"a": {}}) == '{"a":{" one":1}}'
    assert isinstance(serializer.order[0], TagOne)


def test_a_taken_key_needs_force() -> None:
    serializer = TaggedJSONSerializer()
    serializer.register(TagUpper)
    with pytest.raises(KeyError, match="Tag ' up' is already registered"):
        serializer.register(TagUpper)
    before = serializer.tags[" up"]
    serializer.register(TagUpper, force=True)
    assert serializer.tags[" up"] is not before


def test_serializers_do_not_share_tags() -> None:
    one, other = TaggedJSONSerializer(), TaggedJSONSerializer()
    one.register(TagUpper)
    assert " up" not in other.tags


def test_the_base_tag_has_nothing_to_say() -> None:
    tag = JSONTag(TaggedJSONSerializer())
    for method in (tag.check, tag.to_json, tag.to_python):
        with pytest.raises(NotImplementedError):
            method(None)
