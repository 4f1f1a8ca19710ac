"""Bodies that are checked field by field: by types of msgspec's, and as one does it by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from werkzeug.exceptions import UnprocessableEntity


class Nested(msgspec.Struct):
    x: float
    y: float | None


class Message(msgspec.Struct):
    id: int
    text: str
    tags: list[str]
    nested: Nested


class Vessel(msgspec.Struct):
    id: int
    name: str
    imo: int
    lat: float
    lon: float
    active: bool


Kinds = frozenset[type]
INT, TEXT, TRUTH, LIST, DICT = map(frozenset, ([int], [str], [bool], [list], [dict]))
NUMBER = frozenset([int, float])
VESSEL = {"id": INT, "name": TEXT, "imo": INT, "lat": NUMBER, "lon": NUMBER, "active": TRUTH}
MESSAGE = {"id": INT, "text": TEXT, "tags": LIST, "nested": DICT}
NESTED = {"x": NUMBER, "y": NUMBER | {type(None)}}


def _refuse(*place: object) -> None:
    raise UnprocessableEntity(f"Not what is expected at ${''.join(map(str, place))}")


def _check_fields(row: Any, fields: dict[str, Kinds], *place: object) -> None:
    if type(row) is not dict:
        _refuse(*place)
    for name, kinds in fields.items():
        if type(row.get(name)) not in kinds:
            _refuse(*place, ".", name)


def check_message(value: Any) -> Any:
    """The same fields and types as `Message`, without the objects: the value itself."""
    _check_fields(value, MESSAGE)
    for number, tag in enumerate(value["tags"]):
        if type(tag) is not str:
            _refuse(".tags[", number, "]")
    _check_fields(value["nested"], NESTED, ".nested")
    return value


def check_vessels(value: Any) -> Any:
    """As a list of `Vessel` would be."""
    if type(value) is not list:
        _refuse()
    for number, row in enumerate(value):
        _check_fields(row, VESSEL, "[", number, "]")
    return value


def of(number: int) -> tuple[Any, Callable[[Any], Any]]:
    """The type for a message (1) or rows (more), and the function that checks the same by hand."""
    return (Message, check_message) if number == 1 else (list[Vessel], check_vessels)
