"""Bodies that are checked against types, by the extra `fast`: what does not fit is a small 422."""

# ruff: noqa: UP031 (bodies are full of braces)
from __future__ import annotations

import enum
from typing import Any, Literal

import pytest

from carboy import Carboy, jsonify, request

msgspec = pytest.importorskip("msgspec")

from carboy.json.fast import MsgspecProvider  # noqa: E402

pytestmark = pytest.mark.beyond

SECRET = "<b>hunter2</b>"


class Kind(enum.Enum):
    CARGO = "cargo"


class Cat(msgspec.Struct, tag="cat", forbid_unknown_fields=True):
    lives: int


class Dog(msgspec.Struct, tag="dog", forbid_unknown_fields=True):
    name: str


class Order(msgspec.Struct, forbid_unknown_fields=True):
    count: int
    price: float = 0.0
    paid: bool = False
    kind: Kind = Kind.CARGO
    size: Literal["s", "m"] = "s"
    lines: list[int] = []
    tags: dict[str, int] = {}
    pet: Cat | Dog | None = None


@pytest.fixture
def post(app: Carboy) -> Any:
    app.json = MsgspecProvider(app)

    @app.post("/")
    def view() -> Any:
        return jsonify(app.json.decode(request.get_data(), Order))

    return lambda body: app.test_client().post("/", data=body)


@pytest.mark.parametrize(
    "body",
    [
        '{"count": "3"}',
        '{"count": true}',
        '{"count": 1.5}',
        '{"count": "\\u0663"}',
        '{"count": null}',
        '{"count": 1, "paid": 1}',
        '{"count": 1, "price": "1"}',
        '{"count": 1, "price": true}',
        '{"count": 1, "%s": 1}' % SECRET,
        '{"count": 1, "%s": 1}' % (SECRET + "x" * 500_000),
        '{"count": 1, "kind": "%s"}' % SECRET,
        '{"count": 1, "kind": "%s"}' % (SECRET + "x" * 500_000),
        '{"count": 1, "size": "%s"}' % SECRET,
        '{"count": 1, "tags": {"%s": "%s"}}' % (SECRET, SECRET),
        '{"count": 1, "pet": {"type": "%s"}}' % SECRET,
        '{"count": 1, "pet": {"type": "%s"}}' % (SECRET + "x" * 500_000),
        '{"count": 1, "pet": {"type": "cat", "lives": 9, "%s": 1}}' % SECRET,
        '{"count": 1, "lines": [%s]}' % ", ".join(['"%s"' % SECRET] * 10_000),
        '{"count": 1, "lines": [1, [1]]}',
        '{"count": "%s"}' % SECRET,
        '["%s"]' % SECRET,
        '"%s"' % SECRET,
        "{}",
        '{"count": 1, "lines": ' + "[" * 200 + "]" * 200 + "}",
    ],
    ids=lambda body: body[:40].replace("/", ""),
)
def test_a_value_that_does_not_fit_is_a_422_that_is_short_and_echoes_nothing(
    post: Any, body: str
) -> None:
    """HOSTILE-224: wrong types, unknown fields, ten thousand wrong values."""
    answer = post(body)
    assert answer.status_code == 422
    assert "hunter2" not in answer.text
    assert len(answer.data) < 1000


@pytest.mark.parametrize(
    "body",
    [
        '{"count": NaN}',
        '{"count": 1, "price": NaN}',
        '{"count": 1, "price": 1e400}',
        '{"count": \u0663}',
        '{"count": %s}' % ("9" * 5000),
        '{"count": 1, "lines": ' + "[" * 100_000,
        '{"count": 1, "lines": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"count": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"count": 1e400}',
    ],
    ids=lambda body: body[:40].replace("/", ""),
)
def test_a_value_that_json_has_not_is_a_4xx(post: Any, body: str) -> None:
    """HOSTILE-224: NaN, 1e400, digits of other scripts, great depth."""
    answer = post(body.encode())
    assert answer.status_code in (400, 422)
    assert len(answer.data) < 1000


def test_a_huge_array_that_fits_is_read(post: Any) -> None:
    """HOSTILE-224: there is nothing wrong with it."""
    assert len(post(b'{"count": 1, "lines": [%s1]}' % (b"1," * 49_999)).json["lines"]) == 50_000
