"""HTTP dates are written and read by short ways; Werkzeug says what is right."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug import http

from carboy.dates import http_date, parse_date

zones = st.none() | st.just(UTC) | st.integers(-1439, 1439).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)  # fmt: skip
moments = st.datetimes(timezones=zones)


def outcome(function: Any, value: Any) -> Any:
    try:
        return function(value)
    except Exception as error:
        return type(error), str(error)


@given(moments | st.dates() | st.integers() | st.floats() | st.booleans())
@example(0)
@example(-1.5)
@example(253402300800)
@example(date(2026, 1, 1))
@example(time.gmtime(0))
def test_any_time_is_written_as_werkzeug_writes_it(value: Any) -> None:
    assert outcome(http_date, value) == outcome(http.http_date, value)


def test_no_time_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    before = int(time.time())
    written = parse_date(http_date())
    assert written is not None
    assert before <= written.timestamp() <= time.time()


texts = moments.map(lambda moment: http.http_date(moment.replace(tzinfo=None)))


@given(texts)
@example("Sun, 06 Nov 0050 08:49:37 GMT")
@example("Sun, 06 Nov 1994 24:00:00 GMT")
@example("Sun, 06 Nov 1994 08:49:60 GMT")
@example("Mon, 06 Nov 1994 08:49:37 GMT")
@example("Sun,  6 Nov 1994 08:49:37 GMT")
@example("Sun, 06 Nov 1994 08:49:37 EST")
@example("Sunday, 06-Nov-94 08:49:37 GMT")
@example("Sun Nov  6 08:49:37 1994")
@example("Sun, 31 Feb 1994 08:49:37 GMT")
def test_a_date_is_read_as_werkzeug_reads_it(text: str) -> None:
    assert outcome(parse_date, text) == outcome(http.parse_date, text)


@given(texts, st.integers(0, 28), st.characters())
def test_a_damaged_date_is_read_as_werkzeug_reads_it(text: str, place: int, other: str) -> None:
    damaged = text[:place] + other + text[place + 1 :]
    assert outcome(parse_date, damaged) == outcome(http.parse_date, damaged)


def test_what_is_read_is_aware_and_nothing_is_nothing() -> None:
    read = parse_date("Sun, 06 Nov 1994 08:49:37 GMT")
    assert read == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert read is not None and read.tzinfo is UTC
    assert parse_date(None) is None
    assert parse_date("") is None
