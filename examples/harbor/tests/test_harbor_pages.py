"""The map, the vessels' pages, forms and errors (EX-16, EX-18, FORM-04, FORM-09)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from harbor.models import Vessel
from harbor_helpers import IMO, OTHER_IMO, ping, post_ping, token_on
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from carboy import Carboy
from carboy.testing import FlaskClient


def data_block(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found.group(1))


@pytest.mark.parametrize("path", ["/fleet/map", f"/fleet/vessels/{IMO}", "/fleet/vessels/new"])
def test_pages_are_for_dispatchers(client: FlaskClient, path: str):
    """EX-16: Pages are for dispatchers."""
    assert client.get(path).location == f"/sign-in?next={path}"


def test_the_front_page_leads_to_the_map(client: FlaskClient):
    assert client.get("/").location == "/fleet/map"


def test_the_map_page_carries_the_fleet_as_data(dispatcher: FlaskClient):
    """EX-16: The map page carries the fleet as data."""
    post_ping(dispatcher)
    (vessel,) = data_block(dispatcher.get("/fleet/map").text, "fleet")
    assert vessel == {
        "name": "Test Vessel",
        "imo": IMO,
        "url": f"/fleet/vessels/{IMO}",
        "lat": 51.95,
        "lon": 4.14,
        "course": None,
        "recorded_at": "2030-06-01T11:59:00+00:00",
    }


def test_a_hostile_name_cannot_leave_the_data_block(dispatcher: FlaskClient, engine: Any):
    """EX-16, SEC-20: A hostile name cannot leave the data block."""
    name = "</script><img src=x onerror=alert(1)>'\"&"
    with Session(engine) as session:
        session.scalars(select(Vessel)).one().name = name
        session.commit()
    page = dispatcher.get("/fleet/map").text
    assert data_block(page, "fleet")[0]["name"] == name
    assert "<img src=x" not in page + dispatcher.get(f"/fleet/vessels/{IMO}").text


def test_positions_are_polled_as_json(dispatcher: FlaskClient):
    post_ping(dispatcher)
    answer = dispatcher.get("/fleet/positions.json")
    assert answer.json["vessels"][0]["lat"] == 51.95
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Cookie" in answer.headers["Vary"]


def test_a_poll_gets_304_until_a_vessel_moves(dispatcher: FlaskClient):
    post_ping(dispatcher)
    etag = {"If-None-Match": dispatcher.get("/fleet/positions.json").headers["ETag"]}
    same = dispatcher.get("/fleet/positions.json", headers=etag)
    assert (same.status_code, same.data) == (304, b"")
    post_ping(dispatcher, ping(lat=52, recorded_at="2030-06-01T11:59:01Z"))
    assert dispatcher.get("/fleet/positions.json", headers=etag).status_code == 200


def test_a_vessel_has_a_page_with_its_track(dispatcher: FlaskClient):
    for minute in range(3):
        post_ping(dispatcher, ping(lat=50 + minute, recorded_at=f"2030-06-01T11:5{minute}:00Z"))
    page = dispatcher.get(f"/fleet/vessels/{IMO}").text
    assert data_block(page, "track") == [[50.0, 4.14], [51.0, 4.14], [52.0, 4.14]]
    assert "52° 00.0′ N" in page  # noqa: RUF001
    assert "004° 08.4′ E" in page  # noqa: RUF001
    assert "000° N" in page
    assert page.index("11:52:00") < page.index("11:51:00")


def test_a_track_is_no_older_than_a_day_and_is_thinned(
    app: Carboy, dispatcher: FlaskClient, engine: Any
):
    from datetime import timedelta

    from harbor.fleet import find_vessel, track_of
    from harbor.models import Position
    from harbor_helpers import NOW

    with Session(engine) as session:
        vessel = session.scalars(select(Vessel)).one()
        session.add_all(
            Position(
                vessel_id=vessel.id,
                lat=0,
                lon=minute / 10,
                recorded_at=NOW - timedelta(minutes=minute),
            )
            for minute in range(1500)
        )
        session.commit()
    with app.app_context():
        track = track_of(find_vessel(IMO), timedelta(hours=24), most=400)
    assert 350 <= len(track) <= 400
    assert track[-1].recorded_at == NOW
    assert track[0].recorded_at >= NOW - timedelta(hours=24)
    assert track == sorted(track, key=lambda point: point.recorded_at)


def test_a_vessel_that_was_never_seen_has_a_page_too(dispatcher: FlaskClient):
    page = dispatcher.get(f"/fleet/vessels/{IMO}").text
    assert "No position has been received yet." in page
    assert data_block(page, "vessel")["lat"] is None


@pytest.mark.parametrize(
    "path",
    [
        f"/fleet/vessels/{OTHER_IMO}",
        "/fleet/vessels/1",
        "/fleet/vessels/x",
        "/fleet/vessels/90747290",
        "/fleet/vessels/٩٠٧٤٧٢٩",
        "/fleet/vessels/9074729%0a",
        "/nothing",
        "/static/nothing.js",
        "/static/../models.py",
        "/static/..%2fmodels.py",
    ],
)
def test_what_does_not_exist_gets_a_404_page(dispatcher: FlaskClient, path: str):
    answer = dispatcher.get(path)
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert "There is nothing at this address" in answer.text


def add(client: FlaskClient, **form: str) -> Any:
    token = token_on(client.get("/fleet/vessels/new").text)
    return client.post("/fleet/vessels/new", data={"csrf_token": token} | form)


def test_a_dispatcher_adds_a_vessel(dispatcher: FlaskClient):
    """FORM-09: A dispatcher adds a vessel."""
    answer = add(dispatcher, name="  Maas  bloem ", imo=f"IMO {OTHER_IMO}")
    assert (answer.status_code, answer.location) == (303, f"/fleet/vessels/{OTHER_IMO}")
    page = dispatcher.get(answer.location).text
    assert "Maas bloem joined the fleet." in page
    assert "Maas bloem joined the fleet." not in dispatcher.get(answer.location).text


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"name": "A", "imo": "9990014"}, "2 to 80 characters"),
        ({"name": "A" * 81, "imo": "9990014"}, "2 to 80 characters"),
        ({"name": "A\0B", "imo": "9990014"}, "control characters"),
        ({"name": "A\u202eB", "imo": "9990014"}, "control characters"),
        ({"name": "Good", "imo": ""}, "seven digits"),
        ({"name": "Good", "imo": "99900140"}, "seven digits"),
        ({"name": "Good", "imo": "٩٩٩٠٠١٤"}, "seven digits"),
        ({"name": "Good", "imo": "9990015"}, "check digit"),
        ({"name": "Good", "imo": str(IMO)}, "already in the fleet"),
    ],
)
def test_a_wrong_form_is_shown_again_with_what_was_typed(
    dispatcher: FlaskClient, form: dict[str, str], message: str
):
    """FORM-04: A wrong form is shown again with what was typed."""
    answer = add(dispatcher, **form)
    assert answer.status_code == 422
    assert message in answer.text
    assert f'value="{form["imo"]}"' in answer.text


def test_the_database_is_usable_after_a_refused_vessel(dispatcher: FlaskClient):
    add(dispatcher, name="Twice", imo=str(IMO))
    assert add(dispatcher, name="Once", imo=str(OTHER_IMO)).status_code == 303


@pytest.mark.parametrize(
    ("path", "accept", "mimetype"),
    [
        ("/nothing", None, "text/html"),
        ("/nothing", "*/*", "text/html"),
        ("/nothing", "text/html,application/json;q=0.9", "text/html"),
        ("/nothing", "application/json", "application/json"),
        ("/nothing", "garbage;;;q=x", "text/html"),
        ("/api/nothing", "text/html", "application/json"),
        ("/api/v1/positions", None, "application/json"),
    ],
)
def test_errors_are_json_for_programs_and_pages_for_people(
    client: FlaskClient, path: str, accept: str | None, mimetype: str
):
    """EX-18: Errors are json for programs and pages for people."""
    answer = client.get(path, headers={"Accept": accept} if accept else {})
    assert answer.status_code in {404, 405}
    assert answer.mimetype == mimetype
    assert answer.headers["X-Request-ID"] in answer.text


@pytest.mark.parametrize("path", ["/api/fails", "/fails"])
def test_an_unexpected_error_tells_its_number_and_nothing_else(
    make_app: Any, path: str, caplog: Any
):
    app = make_app(PROPAGATE_EXCEPTIONS=False)

    @app.get(path)
    def fails() -> str:
        raise RuntimeError("the secret ingredient")

    answer = app.test_client().get(path)
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] in answer.text
    assert "ingredient" not in answer.text
    assert "the secret ingredient" in caplog.text


@pytest.mark.parametrize("path", ["/fleet/map", "/fleet/positions.json", "/api/v1/vessels"])
def test_a_database_that_is_away_gets_503(
    app: Carboy, dispatcher: FlaskClient, api_key: str, path: str, monkeypatch: Any
):
    """HOSTILE-220."""

    def away(*_args: Any, **_options: Any) -> Any:
        raise OperationalError("SELECT secret", {}, Exception("could not connect to db.internal"))

    monkeypatch.setattr("sqlalchemy.orm.Session.execute", away)
    monkeypatch.setattr("sqlalchemy.orm.Session.scalar", away)
    answer = dispatcher.get(path, headers={"Authorization": f"Bearer {api_key}"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "secret" not in answer.text
    assert "db.internal" not in answer.text


def test_a_form_beyond_the_limit_gets_413(dispatcher: FlaskClient):
    answer = dispatcher.post("/fleet/vessels/new", data={"name": "x" * 70_000})
    assert answer.status_code == 413


def test_a_head_request_has_no_body(dispatcher: FlaskClient):
    answer = dispatcher.head("/fleet/map")
    assert (answer.status_code, answer.data) == (200, b"")


def test_leaflet_and_the_base_layer_come_with_harbor_and_their_licences(client: FlaskClient):
    for path in ("vendor/leaflet/leaflet.js", "vendor/leaflet/leaflet.css", "data/land.json"):
        with client.get(f"/static/{path}") as answer:
            assert answer.status_code == 200
            assert answer.content_length
    for path in ("vendor/leaflet/LICENSE", "data/SOURCE.md"):
        with client.get(f"/static/{path}") as answer:
            assert answer.status_code == 200
