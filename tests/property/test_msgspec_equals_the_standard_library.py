"""The msgspec provider answers what the default provider answers."""

from __future__ import annotations

import enum
import json
import subprocess
import sys
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.exceptions import BadRequest

from carboy import Carboy, jsonify, request
from carboy.json.fast import MsgspecProvider, ValidationFailed
from carboy.json.provider import DefaultJSONProvider


def providers(**settings: Any) -> tuple[Any, Any]:
    app = Carboy("providers", static_folder=None)
    pair = MsgspecProvider(app), DefaultJSONProvider(app)
    for provider in pair:
        provider._test_app = app  # type: ignore[attr-defined]  # it only holds a weak reference
        for name, value in settings.items():
            setattr(provider, name, value)
    return pair


@dataclass
class Place:
    name: str
    when: Any = None
    _hidden: int = 1


class Text(str):
    def __str__(self) -> str:
        return "another text"


class Number(enum.IntEnum):
    ONE = 1


class Colour(enum.StrEnum):
    RED = "red"


class Ratio(float):
    def __repr__(self) -> str:
        return "another number"


class Html:
    def __html__(self) -> str:
        return "<b>ü</b>"


Point = namedtuple("Point", "x y")
Rows = list[dict[str, Any]]

atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**90), 2**90)
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs"]), max_size=1)
)
other = (
    st.dates()
    | st.datetimes(timezones=st.sampled_from([None, UTC]))
    | st.uuids()
    | st.decimals()
    | st.sampled_from([Html(), Text("ü"), Number.ONE, Colour.RED, Ratio(1.5), Markup("<i>")])
    | st.sampled_from([b"x", {1}, 1j, object(), enum.Enum("E", "A"), timedelta(1), range(3)])
)
keys = st.text() | st.text(max_size=3).map(Text) | st.integers() | st.none() | st.booleans()
values = st.recursive(
    atoms | other,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=2)
        | st.dictionaries(st.text(), inner, max_size=3).map(OrderedDict)
        | st.dictionaries(st.text(), inner, max_size=3).map(lambda d: defaultdict(int, d))
        | st.tuples(inner, inner).map(lambda pair: Point(*pair))
        | st.builds(Place, st.text(), inner)
    ),
    max_leaves=15,
)
plain = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def written(provider: Any, value: Any) -> Any:
    """The value that a body has, keys in order; or the error."""
    try:
        body = provider.body(value)
    except Exception as error:
        return type(error), str(error)
    assert body.endswith(b"\n")
    return json.loads(body, object_pairs_hook=lambda pairs: ("object", pairs))


@given(values | plain, st.booleans())
@example([{"a": 1, "b": [{"c": None}, ()]}, {}], True)
@example([datetime(2026, 1, 2, 3, 4, 5), {"day": date(2026, 1, 2)}], True)
@example({"x": Place("a", datetime(2026, 1, 2)), "y": UUID(int=1), "z": Decimal("1.50")}, True)
@example([float("nan"), float("inf"), {"a": -float("inf")}], False)
@example([2**64, -(2**63) - 1, 1e16, 1e22, -0.0], True)
@example({1: 2, 10: 3, 9: 4}, True)
def test_a_body_means_what_the_default_provider_s_means(value: Any, sort_keys: bool) -> None:
    fast, default = providers(sort_keys=sort_keys)
    assert written(fast, value) == written(default, value)


tables = st.builds(
    lambda rows, times: rows * times,
    st.lists(st.dictionaries(keys, atoms | other, max_size=4) | atoms | values, max_size=3),
    st.integers(7, 12),
)


@given(tables, st.booleans(), st.booleans())
@example([{"a": 1, "b": [2]}] * 20, True, False)
@example([{"a": 1, "b": UUID(int=1)}] * 20 + [{"a": date(2026, 1, 1)}], False, True)
@example([{1: 2, 10: 3}] * 20, True, True)
@example([{2: 1, "a": 3}] * 20, False, False)
@example([{date(2026, 1, 1): 1}] * 20, False, False)
@example([{date(2026, 1, 1): 1}, 1], False, False)
@example([*range(20), b"x"], True, False)
@example([Text("a")] * 20, True, True)
def test_so_does_a_long_one(value: list[Any], sort_keys: bool, within: bool) -> None:
    """Many values are looked at together."""
    fast, default = providers(sort_keys=sort_keys)
    obj: Any = {"rows": tuple(value), "n": {str(i): row for i, row in enumerate(value)}}
    obj = obj if within else value
    assert written(fast, obj) == written(default, obj)


def test_what_the_standard_library_wrote_once_says_nothing_of_the_next_value() -> None:
    fast, default = providers()
    fast._app.config["JSON_SORT_KEYS"] = True
    for value in ([1], {1: 2}, ["ü"], [date(2026, 1, 1)], [2**70], "\ud800", ["ü"]):
        body = default.body(value)
        ours = '["ü"]\n'.encode() if value == ["ü"] else body
        assert fast.reply(value) == (ours, "application/json")
    fast._app.config["JSON_SORT_KEYS"] = False
    assert fast.reply({"b": 1, "a": 2})[0] == b'{"b":1,"a":2}\n'
    fast._app.config["DEBUG"] = True
    assert fast.reply(["ü"]) == (b'[\n  "\xc3\xbc"\n]\n', "application/json")
    fast._app.config["DEBUG"] = False
    assert fast.reply(["ü"]) == (b'["\xc3\xbc"]\n', "application/json")


@given(plain)
def test_a_response_and_a_reply_have_that_body(value: Any) -> None:
    fast, _ = providers()
    body = fast.body(value)
    assert fast.reply(value) == (body, "application/json")
    assert fast.response(value).get_data() == body


def test_structs_are_written_wherever_they_are() -> None:
    fast, _ = providers()
    place = Position(1.5, 2.0, datetime(2026, 1, 2))
    text = '{"at":"2026-01-02T00:00:00","lat":1.5,"lon":2.0}'
    for count in (1, 40):
        rows = ",".join([text] * count)
        assert fast.body([place] * count) == f"[{rows}]\n".encode()
        assert fast.reply({"rows": [place] * count})[0] == f'{{"rows":[{rows}]}}\n'.encode()
        mixed = [{"d": date(2026, 1, 2)}, *[place] * count]
        dated = '{"d":"Fri, 02 Jan 2026 00:00:00 GMT"}'
        assert fast.body(mixed) == f"[{dated},{rows}]\n".encode()
    assert fast.body(place) == f"{text}\n".encode()


class Odd(msgspec.Struct, tag="odd", rename="camel", omit_defaults=True):
    a_name: str
    ratio: float = 1.0
    data: bytes = b""
    kinds: dict[int, Colour] = {}
    inner: list[Odd] = []


@given(
    st.recursive(
        st.builds(Odd, st.text(), st.floats(), st.binary(), st.dictionaries(st.integers(0, 9), st.just(Colour.RED))),
        lambda inner: st.builds(Odd, st.text(), inner=st.lists(inner, max_size=3)),
        max_leaves=5,
    ),
    st.sampled_from(["compact", "ensure_ascii"]),
)  # fmt: skip
def test_a_struct_means_the_same_where_the_standard_library_writes(value: Any, way: str) -> None:
    """As in debug mode, whose answers are indented; and in ``dumps``."""
    fast, _ = providers()
    expected = written(fast, [value, {"a": value}])
    setattr(fast, way, way != "compact")
    assert written(fast, [value, {"a": value}]) == expected
    assert json.loads(fast.dumps(Odd("ü", 0.5))) == {"type": "odd", "aName": "ü", "ratio": 0.5}
    with pytest.raises(TypeError, match="not JSON serializable"):
        fast.body([value, object()])


@pytest.mark.parametrize(
    "settings",
    [
        {"compact": False},
        {"ensure_ascii": True},
        {"allow_nan": True},
        {"allow_nan": False},
        {"mimetype": "application/geo+json"},
        {"default": lambda o: "mine"},
        {"dumps": lambda o, **kwargs: '"dumped"'},
    ],
    ids=lambda settings: next(iter(settings)),
)
@pytest.mark.parametrize(
    "value", [{"b": 1.5, "a": "ü"}, [date(2026, 1, 1), UUID(int=3)], float("nan")], ids=str
)
def test_each_setting_of_the_default_provider_holds(settings: Any, value: Any) -> None:
    fast, default = providers(**{"ensure_ascii": False} | settings)
    assert repr(written(fast, value)) == repr(written(default, value))
    if value == value:
        assert fast.reply(value) == default.reply(value)
        assert fast.response(value).get_data() == default.response(value).get_data()
        assert fast.response(value).mimetype == default.response(value).mimetype


def test_debug_mode_indents_and_a_subclass_with_a_response_of_its_own_is_called() -> None:
    class Wrapping(MsgspecProvider):
        def response(self, *args: Any, **kwargs: Any) -> Any:
            return super().response({"data": args[0]})

    app = Carboy("wrapping", static_folder=None)
    app.json = Wrapping(app)
    assert app.json.reply([1]) is None
    app.get("/")(lambda: [1])
    assert app.test_client().get("/").get_json() == {"data": [1]}
    app.debug = True
    assert app.test_client().get("/").data == b'{\n  "data": [\n    1\n  ]\n}\n'


def test_a_value_that_contains_itself_is_refused_as_by_default() -> None:
    fast, default = providers()
    narrow: list[Any] = []
    narrow.append(narrow)
    wide: list[Any] = []
    wide += [wide] * 2000
    table: dict[str, Any] = {}
    table["self"] = [table, date(2026, 1, 1)]
    for value in (narrow, wide, table):
        assert written(fast, value) == written(default, value)


@given(plain | values.map(lambda value: str(value)))
def test_what_was_written_is_read_back_alike(value: Any) -> None:
    fast, default = providers()
    for text in (default.body(value), fast.body(value), fast.body(value).decode()):
        assert repr(fast.loads(text)) == repr(default.loads(text))


def read(provider: Any, text: Any) -> Any:
    try:
        return repr(provider.loads(text))
    except ValueError as error:
        return type(error), str(error)


documents = st.text(st.sampled_from('{}[]",:0123456789.-+eE truefalsn\\ud8\n\té'))


@given(documents | documents.map(str.encode) | st.binary())
@example(b"1e400")
@example(b"-0")
@example(b"-0.0")
@example(b'"\\ud800"')
@example(b"NaN")
@example(b"\xef\xbb\xbf1")
@example("\ufeff1")
@example("[1]".encode("utf-16"))
@example(b"1" * 5000)
@example(b"[" * 100_000)
@example(b'{"a":1,"a":2}')
def test_any_document_is_read_or_refused_as_by_default(text: Any) -> None:
    fast, default = providers()
    assert read(fast, text) == read(default, text)


def test_nan_in_a_body_stays_a_400() -> None:
    app = Carboy("strict", static_folder=None)
    app.json = MsgspecProvider(app)
    app.post("/")(lambda: jsonify(request.get_json()))
    client = app.test_client()
    assert client.post("/", data="[NaN]", content_type="application/json").status_code == 400
    assert client.post("/", data="[1, ", content_type="application/json").status_code == 400
    assert client.post("/", json={"a": [1.5]}).get_json() == {"a": [1.5]}


class Position(msgspec.Struct):
    lat: float
    lon: float
    at: datetime | None = None


class Vessel(msgspec.Struct):
    name: str
    track: list[Position] = []


@pytest.fixture
def vessels() -> Any:
    app = Carboy("vessels", static_folder=None)
    app.json = MsgspecProvider(app)

    @app.post("/vessels")
    def add() -> Any:
        vessel = app.json.decode(request.get_data(), Vessel)
        return jsonify(vessel), 201

    return app


def test_a_struct_is_read_checked_and_written(vessels: Any) -> None:
    document = {"name": "Ada", "track": [{"lat": 1.5, "lon": 2.0, "at": "2026-01-02T03:04:05Z"}]}
    answer = vessels.test_client().post("/vessels", json=document)
    assert (answer.status_code, answer.get_json()) == (201, document)


@pytest.mark.parametrize(
    ("document", "reason", "field"),
    [
        ('{"name": 1}', "Expected `str`, got `int`", "$.name"),
        ('{"name": "A", "track": [{"lat": "x", "lon": 1}]}', "Expected `float`", "$.track[0].lat"),
        ("{}", "missing required field `name`", "$"),
    ],
)
def test_a_value_that_does_not_fit_is_a_422_that_names_the_field(
    vessels: Any, document: str, reason: str, field: str
) -> None:
    answer = vessels.test_client().post("/vessels", data=document)
    assert answer.status_code == 422
    assert reason.replace("`", "") in answer.text.replace("`", "")
    with pytest.raises(ValidationFailed) as caught:
        vessels.json.decode(document, Vessel)
    assert reason in caught.value.reason
    assert caught.value.field == field


@pytest.mark.parametrize("door", ["wsgi", "asgi"])
@pytest.mark.parametrize("debug", [False, True])
def test_it_is_so_in_async_views_and_in_debug_mode(door: Any, debug: bool) -> None:
    app = Carboy("vessels", static_folder=None)
    app.json = MsgspecProvider(app)
    app.debug = debug

    @app.post("/vessels")
    async def add() -> Any:
        vessels = app.json.decode(request.get_data(), list[Vessel])
        return jsonify(vessels)

    client = app.test_client(door=door)
    document = [{"name": "Ada", "track": [{"lat": 1.5, "lon": 2.0, "at": None}]}]
    assert client.post("/vessels", json=document).get_json() == document
    document[0]["track"][0]["lat"] = "north"  # type: ignore[index]
    answer = client.post("/vessels", json=document)
    assert answer.status_code == 422
    assert "Expected `float`, got `str` - at `$[0].track[0].lat`" in answer.text
    assert "Traceback" not in answer.text
    assert client.post("/vessels", data=b"[").status_code == 400


@pytest.mark.parametrize(
    "document", [b"", b"{", b"\xff", b'{"other":' + b"[" * 100_000, b'{"name": NaN}']
)
def test_what_is_no_json_is_a_400(vessels: Any, document: bytes) -> None:
    assert vessels.test_client().post("/vessels", data=document).status_code == 400
    with pytest.raises(BadRequest):
        vessels.json.decode(document, Vessel)


def test_strictness_can_be_lifted_and_a_type_that_cannot_be_read_is_the_programmer_s(
    vessels: Any,
) -> None:
    with pytest.raises(ValidationFailed):
        vessels.json.decode('"3"', int)
    assert vessels.json.decode('"3"', int, strict=False) == 3
    assert vessels.json.decode('{"name": "a"}', Place) == Place("a")
    assert vessels.json.decode(b"[1]", list[int]) == [1]
    with pytest.raises(TypeError):
        vessels.json.decode("1", list[int] | set[int])


def test_without_msgspec_the_error_names_the_extra() -> None:
    code = "import sys; sys.modules['msgspec'] = None; import carboy; import carboy.json.fast"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'carboy[fast]'" in done.stderr.splitlines()[-1]
