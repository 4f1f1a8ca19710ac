"""JSON providers: what is written and read, whose settings count, and that the short ways agree
with the long ones."""

from __future__ import annotations

import io
import json
import math
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

import carboy.json
from carboy import Carboy, Response
from carboy.json.provider import DefaultJSONProvider, JSONProvider, _default


@dataclass
class Point:
    x: int
    y: Any


@pytest.fixture
def app() -> Carboy:
    return Carboy("json_app")


@pytest.fixture
def provider(app: Carboy) -> DefaultJSONProvider:
    assert isinstance(app.json, DefaultJSONProvider)
    return app.json


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans(), st.booleans())
def test_the_kept_encoder_writes_what_json_dumps_writes(
    value: Any, ensure_ascii: bool, sort_keys: bool
) -> None:
    app = Carboy("json_app")
    provider = DefaultJSONProvider(app)
    provider.ensure_ascii = ensure_ascii
    provider.sort_keys = sort_keys
    options: dict[str, Any] = {"ensure_ascii": ensure_ascii, "sort_keys": sort_keys}
    assert provider.dumps(value) == json.dumps(value, **options)
    for more in ({"separators": (",", ":")}, {"indent": 2}, {"sort_keys": True}):
        assert provider.dumps(value, **more) == json.dumps(value, **options | more)


@given(VALUES, st.booleans(), st.sampled_from([None, True, False]), st.booleans())
def test_body_is_what_the_response_carries(
    value: Any, ensure_ascii: bool, compact: bool | None, debug: bool
) -> None:
    app = Carboy("json_app")
    app.config["DEBUG"] = debug
    provider = DefaultJSONProvider(app)
    provider.ensure_ascii = ensure_ascii
    provider.compact = compact
    assert provider.body(value) == provider.response(value).get_data()
    assert provider.reply(value) == (provider.body(value), "application/json")


DOCUMENTS = st.one_of(
    VALUES.map(json.dumps),
    st.text(),
    st.sampled_from(["", " 1", "1 ", "\ufeff1", "nul", "[1,]", "NaN", "-Infinity", '"\\ud800"']),
)


@given(DOCUMENTS, st.sampled_from([None, "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"]))
def test_the_scanner_reads_what_json_loads_reads(text: str, encoding: str | None) -> None:
    document = text if encoding is None else text.encode(encoding, "surrogatepass")
    provider = DefaultJSONProvider(Carboy("json_app"))
    try:
        expected = json.loads(document)
    except ValueError as error:
        with pytest.raises(type(error)) as caught:
            provider.loads(document)
        assert str(caught.value) == str(error)
    else:
        assert json.dumps(provider.loads(document)) == json.dumps(expected)


@given(st.binary(max_size=20))
def test_arbitrary_bytes_are_read_as_json_loads_reads_them(document: bytes) -> None:
    provider = DefaultJSONProvider(Carboy("json_app"))
    try:
        expected = json.loads(document)
    except ValueError as error:
        with pytest.raises(type(error)):
            provider.loads(document)
    else:
        assert json.dumps(provider.loads(document)) == json.dumps(expected)


def test_a_document_nested_too_deep_is_a_value_error(provider: DefaultJSONProvider) -> None:
    """HOSTILE-47."""
    with pytest.raises(ValueError, match="nested too deep"):
        provider.loads("[" * 100_000)


def test_extra_types_have_a_json_form(provider: DefaultJSONProvider) -> None:
    ident = uuid.UUID(int=7)
    written = json.loads(
        provider.dumps(
            [
                datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
                date(2024, 5, 6),
                ident,
                Decimal("1.10"),
                Point(1, Point(2, None)),
                Markup("<b>"),
            ]
        )
    )
    assert written == [
        "Mon, 06 May 2024 07:08:09 GMT",
        "Mon, 06 May 2024 00:00:00 GMT",
        str(ident),
        "1.10",
        {"x": 1, "y": {"x": 2, "y": None}},
        "<b>",
    ]


def test_other_types_are_refused_with_a_way_out(provider: DefaultJSONProvider) -> None:
    with pytest.raises(TypeError, match="Object of type object is not JSON serializable") as caught:
        provider.dumps({"a": object()})
    assert "json_provider_class" in caught.value.__notes__[0]


def test_a_value_that_contains_itself_is_named(provider: DefaultJSONProvider) -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        provider.dumps(circle)
    with pytest.raises(ValueError, match="Circular"):
        provider.body(circle)


def test_not_a_number_becomes_null_in_a_response(provider: DefaultJSONProvider) -> None:
    """HOSTILE-48: NaN and Infinity are not JSON and are never sent."""
    value = {"a": [math.nan, (math.inf, 1.5)], "b": Point(0, -math.inf), "c": {math.nan: 1}}
    assert json.loads(provider.body(value), parse_constant=pytest.fail) == {
        "a": [None, [None, 1.5]],
        "b": {"x": 0, "y": None},
        "c": {"NaN": 1},
    }
    provider.allow_nan = True
    assert provider.body(math.nan) == b"NaN\n"
    provider.allow_nan = False
    with pytest.raises(ValueError, match="Out of range float"):
        provider.body(math.nan)


def test_dumps_itself_writes_not_a_number_as_python_does(provider: DefaultJSONProvider) -> None:
    assert provider.dumps([math.nan, math.inf]) == "[NaN, Infinity]"


def test_an_error_of_default_is_not_taken_for_a_number(provider: DefaultJSONProvider) -> None:
    def fail(_: Any) -> Any:
        raise ValueError("no such thing")

    provider.default = fail
    with pytest.raises(ValueError, match="no such thing"):
        provider.body(object())


def test_a_lone_surrogate_is_sent_as_its_escape(provider: DefaultJSONProvider) -> None:
    """HOSTILE-51."""
    provider.ensure_ascii = False
    assert provider.body("é\ud800") == '"é'.encode() + b'\\ud800"\n'
    assert provider.response("é\ud800").get_data() == provider.body("é\ud800")


def test_settings_changed_later_count(
    provider: DefaultJSONProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = {"b": "é", "a": {1}}
    provider.default = list
    assert provider.dumps(value) == '{"a": [1], "b": "\\u00e9"}'
    provider.sort_keys = False
    provider.ensure_ascii = False
    provider.default = sorted
    assert provider.dumps(value) == '{"b": "é", "a": [1]}'
    monkeypatch.setattr(DefaultJSONProvider, "compact", False)
    assert provider.body([1]) == b"[\n  1\n]\n"


def test_the_json_sort_keys_setting_is_honoured(app: Carboy) -> None:
    """D-05: the key decides where the application sets it, and app.json.sort_keys before it."""
    provider = app.json
    assert isinstance(provider, DefaultJSONProvider)
    value = {"b": 1, "a": 2}
    assert provider.dumps(value) == '{"a": 2, "b": 1}'
    app.config["JSON_SORT_KEYS"] = False
    assert provider.dumps(value) == '{"b": 1, "a": 2}'
    assert provider.dumps(value, sort_keys=True) == '{"a": 2, "b": 1}'
    provider.sort_keys = True
    assert provider.dumps(value) == '{"a": 2, "b": 1}'


def test_options_that_cannot_be_remembered_work_too(provider: DefaultJSONProvider) -> None:
    assert provider.dumps([1, 2], separators=[";", ":"]) == "[1;2]"
    assert provider.dumps({1}, default=list) == "[1]"
    for width in range(1, 40):
        assert provider.dumps([1], indent=width) == f"[\n{' ' * width}1\n]"


def test_unknown_options_are_a_type_error(provider: DefaultJSONProvider) -> None:
    with pytest.raises(TypeError):
        provider.dumps([1], colour="red")


def test_a_subclass_s_default_is_used(app: Carboy) -> None:
    class Provider(DefaultJSONProvider):
        def default(self, o: Any) -> Any:  # type: ignore[override]
            return sorted(o) if isinstance(o, set) else _default(o)

    app.json = Provider(app)
    assert app.json.body({2, 1}) == b"[1,2]\n"


def test_a_subclass_s_dumps_is_gone_through(app: Carboy) -> None:
    class Provider(DefaultJSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return f"{obj!r} {sorted(kwargs)}"

    app.json = Provider(app)
    assert app.json.body(1) == b"1 ['separators']\n"
    assert app.json.response(1).get_data() == app.json.body(1)


def test_a_response_class_of_the_application_gets_text_where_it_did(app: Carboy) -> None:
    given: list[Any] = []

    class Own(Response):
        def __init__(self, response: Any = None, *args: Any, **kwargs: Any) -> None:
            given.append(response)
            super().__init__(response, *args, **kwargs)

    app.response_class = Own
    for _ in range(2):
        app.json.response([1])
    assert isinstance(app.json, DefaultJSONProvider)
    app.json.ensure_ascii = False
    app.json.response(["é"])
    assert given == ["[1]\n", "[1]\n", '["é"]\n'.encode()]


def test_a_replaced_response_is_gone_through(app: Carboy) -> None:
    def answer(*args: Any) -> Any:
        return app.response_class("mine", mimetype="text/plain")

    provider = app.json
    provider.response = answer  # type: ignore[method-assign, assignment]
    assert provider.body(1) == b"mine"
    assert provider.reply(1) is None

    class Provider(DefaultJSONProvider):
        def response(self, *args: Any, **kwargs: Any) -> Any:
            return super().response({"wrapped": args[0]})

    assert Provider(app).body(1) == b'{"wrapped":1}\n'
    assert Provider(app).reply(1) is None


def test_a_provider_of_another_library_needs_two_methods(app: Carboy) -> None:
    class Provider(JSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return repr(obj)

        def loads(self, s: str | bytes, **kwargs: Any) -> Any:
            return s[::-1]

    provider = Provider(app)
    file = io.StringIO()
    provider.dump([1], file)
    assert file.getvalue() == "[1]"
    assert provider.load(io.StringIO("ab")) == "ba"
    assert provider.reply([1]) == (b"[1]", "application/json")
    response = provider.response(1, 2)
    assert (response.get_data(), response.mimetype) == (b"(1, 2)", "application/json")


def test_the_base_class_has_no_json_of_its_own(app: Carboy) -> None:
    for call in (lambda: JSONProvider(app).dumps(1), lambda: JSONProvider(app).loads("1")):
        with pytest.raises(NotImplementedError):
            call()


def test_jsonify_takes_one_value_several_or_keywords(app: Carboy) -> None:
    with app.app_context():
        assert carboy.json.jsonify().get_data() == b"null\n"
        assert carboy.json.jsonify(1).get_data() == b"1\n"
        assert carboy.json.jsonify(1, 2).get_data() == b"[1,2]\n"
        assert carboy.json.jsonify(a=1).get_data() == b'{"a":1}\n'
        with pytest.raises(TypeError, match="either args or kwargs, not both"):
            carboy.json.jsonify(1, a=1)


def test_jsonify_needs_an_application() -> None:
    with pytest.raises(RuntimeError, match="outside of application context"):
        carboy.json.jsonify(1)


def test_the_functions_go_through_the_current_provider(app: Carboy) -> None:
    app.json.dumps = lambda obj, **kwargs: f"mine {kwargs}"  # type: ignore[method-assign]
    app.json.loads = lambda s, **kwargs: ("mine", s)  # type: ignore[method-assign]
    with app.app_context():
        file = io.StringIO()
        carboy.json.dump(1, file, indent=1)
        assert file.getvalue() == carboy.json.dumps(1, indent=1) == "mine {'indent': 1}"
        assert carboy.json.load(io.StringIO("x")) == carboy.json.loads("x") == ("mine", "x")


def test_without_an_application_the_functions_are_the_standard_library_s() -> None:
    file = io.StringIO()
    carboy.json.dump({"b": Decimal("1.5"), "a": 1}, file)
    assert file.getvalue() == '{"b": "1.5", "a": 1}'
    assert carboy.json.dumps({1}, default=list) == "[1]"
    assert carboy.json.loads(b"[1]") == carboy.json.load(io.StringIO("[1]")) == [1]


def test_a_provider_does_not_keep_its_application_alive() -> None:
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        app = Carboy("short_lived")
        app.json.body({"a": 1})
        dead = weakref.ref(app)
        del app
        assert dead() is None
    finally:
        gc.enable()
