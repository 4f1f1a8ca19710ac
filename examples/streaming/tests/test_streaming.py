"""STRM-01, STRM-03, STRM-04, STRM-05, STRM-07: a CSV export and server-sent events."""

import csv
import json

import pytest


@pytest.fixture
def streaming(load):
    module = load()
    module.app.config.update(TICK_SECONDS=0, TRACK_LENGTH=3)
    return module


@pytest.fixture
def client(streaming):
    return streaming.app.test_client()


def test_the_export_is_a_csv_attachment(client):
    """STRM-03: the export is a CSV attachment."""
    response = client.get("/track.csv")
    assert response.mimetype == "text/csv"
    assert response.headers["Content-Disposition"] == "attachment; filename=track.csv"
    rows = list(csv.reader(response.text.splitlines()))
    assert rows[0] == ["number", "lat", "lon", "note"]
    assert rows[1] == ["0", "48.0", "-4.0", "turn, hard"]
    assert len(rows) == 4


def test_the_export_has_no_length_and_is_made_while_it_is_read(streaming, client):
    """STRM-01: the export has no length and is made while it is read."""
    made = []

    def track(length):
        for number in range(length):
            made.append(number)
            yield number, 1.0, 2.0, ""

    streaming.track = track
    streaming.app.config["TRACK_LENGTH"] = 1000
    response = client.get("/track.csv", buffered=False)
    assert "Content-Length" not in response.headers
    lines = response.iter_encoded()
    assert next(lines) == b"number,lat,lon,note\r\n"
    assert next(lines) == b"0,1.0,2.0,\r\n"
    assert len(made) < 5
    response.close()


def test_closing_the_response_closes_the_generator(streaming, client):
    """STRM-07: closing the response closes the generator."""
    closed = []

    def track(length):
        try:
            while True:
                yield 0, 1.0, 2.0, ""
        finally:
            closed.append(True)

    streaming.track = track
    response = client.get("/track.csv", buffered=False)
    lines = response.iter_encoded()
    next(lines)
    next(lines)
    response.close()
    lines.close()
    assert closed == [True]


def events(text):
    """Each event as a dict of its fields."""
    blocks = text.strip("\n").split("\n\n")
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def test_events_have_their_type_and_reach_the_browser_unbuffered(client):
    """STRM-05: events have their type and reach the browser unbuffered."""
    response = client.get("/events")
    assert response.mimetype == "text/event-stream"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["Cache-Control"] == "no-cache"


def test_each_position_is_an_event_with_its_number(client):
    """STRM-05: each position is an event with its number."""
    hello, *positions = events(client.get("/events").text)
    assert hello["event"] == "hello"
    assert [position["id"] for position in positions] == ["0", "1", "2"]
    assert json.loads(positions[0]["data"]) == {"lat": 48.0, "lon": -4.0}


def test_the_generator_still_sees_the_request(client):
    """STRM-04: the generator still sees the request."""
    hello = events(client.get("/events?ship=Ada").text)[0]
    assert json.loads(hello["data"]) == {"for": "Ada"}


@pytest.mark.parametrize(("seen", "expected"), [("0", ["1", "2"]), ("x", ["0", "1", "2"])])
def test_a_browser_that_reconnects_continues_after_what_it_saw(client, seen, expected):
    response = client.get("/events", headers={"Last-Event-ID": seen})
    assert [found["id"] for found in events(response.text)[1:]] == expected
