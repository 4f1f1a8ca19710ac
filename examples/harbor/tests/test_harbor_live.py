"""The live feed: the fleet by server-sent events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harbor.live import LiveFeed
from harbor.models import Vessel
from harbor_helpers import IMO, OTHER_IMO, Clock, ping, post_ping
from sqlalchemy.orm import Session

from carboy import Carboy
from carboy.testing import FlaskClient

EVENTS = "/fleet/positions.events"


def vessel_after(response: Any, moment: str) -> Any:
    """The first vessel event that tells of this moment."""
    for event in response.events():
        if event.event == "vessel" and (event.json["recorded_at"] or "").startswith(moment):
            return event
    raise AssertionError("the stream ended")


def test_the_feed_begins_with_the_fleet(dispatcher: FlaskClient, clock: Clock):
    """All vessels, as the page has them, and the server's time."""
    post_ping(dispatcher)
    with dispatcher.stream(EVENTS) as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        event = next(response.events())
    assert event.event == "fleet"
    polled = dispatcher.get("/fleet/positions.json").get_json()["vessels"]
    assert event.json == {"vessels": polled, "now": clock.now().isoformat()}


def test_a_ping_reaches_every_map(dispatcher: FlaskClient):
    """Each of them at once, with the course."""
    post_ping(dispatcher)
    with dispatcher.stream(EVENTS) as one, dispatcher.stream(EVENTS) as two:
        post_ping(dispatcher, ping(lat=52.95, recorded_at="2030-06-01T11:59:30Z"))
        for response in (one, two):
            vessel = vessel_after(response, "2030-06-01T11:59:30").json
            assert (vessel["imo"], vessel["lat"], vessel["course"]) == (IMO, 52.95, 0.0)


def test_a_map_that_comes_back_gets_what_it_missed(dispatcher: FlaskClient):
    """And not the whole fleet again."""
    with dispatcher.stream(EVENTS) as response:
        post_ping(dispatcher)
        last = vessel_after(response, "2030-06-01T11:59:00").id
    post_ping(dispatcher, ping(lat=52.0, recorded_at="2030-06-01T11:59:30Z"))
    with dispatcher.stream(EVENTS, headers={"Last-Event-ID": last}) as response:
        event = next(response.events())
    assert (event.event, event.json["lat"]) == ("vessel", 52.0)


def test_a_map_that_was_away_for_too_long_begins_anew(dispatcher: FlaskClient):
    """As after a restart of Harbor."""
    with dispatcher.stream(EVENTS, headers={"Last-Event-ID": "of another process"}) as response:
        assert next(response.events()).event == "fleet"


def test_what_another_process_took_is_told_too(
    make_app: Callable[..., Carboy],
    dispatcher: FlaskClient,
    app: Carboy,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
):
    """Pings and new vessels, as soon as the database is looked at again."""
    live: LiveFeed = app.extensions["harbor.services"].live
    monkeypatch.setattr(live, "_interval", 0.01)
    other = make_app()
    with dispatcher.stream(EVENTS) as response:
        assert next(response.events()).event == "fleet"
        with Session(other.extensions["harbor.database"].engine) as session:
            session.add(Vessel(name="Newcomer", imo=OTHER_IMO))
            session.commit()
        post_ping(other.test_client(), ping(imo=OTHER_IMO))
        clock.pass_(2)
        vessel = vessel_after(response, "2030-06-01T11:59:00").json
    assert (vessel["imo"], vessel["name"]) == (OTHER_IMO, "Newcomer")


def test_a_database_that_is_away_does_not_end_the_feed(
    dispatcher: FlaskClient, app: Carboy, monkeypatch: pytest.MonkeyPatch
):
    """The map goes on when it is back."""
    import harbor.live

    live: LiveFeed = app.extensions["harbor.services"].live
    monkeypatch.setattr(live, "_interval", 0.01)
    failures = iter([OSError("away"), OSError("away")])
    read = harbor.live.fleet_status

    def unsteady() -> Any:
        for failure in failures:
            raise failure
        return read()

    monkeypatch.setattr(harbor.live, "fleet_status", unsteady)
    with dispatcher.stream(EVENTS) as response:
        post_ping(dispatcher)
        assert vessel_after(response, "2030-06-01T11:59:00").json["imo"] == IMO


def test_nobody_listens_nobody_looks(dispatcher: FlaskClient, app: Carboy):
    """The thread ends when the last map is closed."""
    live: LiveFeed = app.extensions["harbor.services"].live
    with dispatcher.stream(EVENTS) as response:
        assert next(response.events()).event == "fleet"
        watcher = live._watcher
        assert watcher is not None
    live.wake()
    watcher.join(20)
    assert not watcher.is_alive()


def test_the_feed_ends_by_itself(app: Carboy, dispatcher: FlaskClient):
    """So that a dispatcher who signed out sees a few minutes more at most."""
    app.config["LIVE_SECONDS"] = 0.01
    with dispatcher.stream(EVENTS) as response:
        assert {event.event for event in response.events()} <= {"fleet", "vessel"}
    dispatcher.set_cookie("harbor_session", "none")
    assert dispatcher.get(EVENTS).status_code == 401


def test_the_feed_is_for_dispatchers(client: FlaskClient):
    """A script gets a 401, not a page."""
    answer = client.get(EVENTS)
    assert answer.status_code == 401
