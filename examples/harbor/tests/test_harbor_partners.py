"""GET /api/v1/vessels (EX-14, EX-15, SEC-18)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harbor.models import ApiKey
from harbor_helpers import IMO, NOW, Clock, ping, post_ping
from sqlalchemy import update
from sqlalchemy.orm import Session

from carboy import Carboy
from carboy.testing import FlaskClient


def ask(client: FlaskClient, key: str) -> Any:
    return client.get("/api/v1/vessels", headers={"Authorization": f"Bearer {key}"})


def test_the_fleet_is_a_geojson_feature_collection(client: FlaskClient, api_key: str):
    """EX-14: The fleet is a geojson feature collection."""
    post_ping(client, ping(lat=51, lon=4, recorded_at="2030-06-01T11:00:00Z"))
    post_ping(client, ping(lat=52, lon=4, recorded_at="2030-06-01T11:30:00Z"))
    answer = ask(client, api_key)
    assert answer.status_code == 200
    assert answer.mimetype == "application/geo+json"
    assert json.loads(answer.data) == {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": IMO,
                "geometry": {"type": "Point", "coordinates": [4.0, 52.0]},
                "properties": {
                    "name": "Test Vessel",
                    "imo": IMO,
                    "course": 0.0,
                    "recorded_at": "2030-06-01T11:30:00+00:00",
                },
            }
        ],
    }


def test_a_vessel_that_was_never_seen_has_no_geometry(client: FlaskClient, api_key: str):
    (feature,) = json.loads(ask(client, api_key).data)["features"]
    assert feature["geometry"] is None
    assert feature["properties"]["recorded_at"] is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer wrong",
        "Bearer \xff",
        "bearer\tx",
        "x" * 9000,
    ],
)
def test_without_a_valid_key_the_answer_is_401(client: FlaskClient, header: str | None):
    """SEC-18: Without a valid key the answer is 401."""
    headers = {} if header is None else {"Authorization": header}
    answer = client.get("/api/v1/vessels", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].lower().startswith("bearer")
    assert answer.json["error"]["status"] == 401


def test_a_revoked_key_gets_401(client: FlaskClient, api_key: str, engine: Any):
    with Session(engine) as session:
        session.execute(update(ApiKey).values(revoked_at=NOW))
        session.commit()
    assert ask(client, api_key).status_code == 401


def test_the_key_itself_is_not_in_the_database(api_key: str, engine: Any):
    with Session(engine) as session:
        stored = session.query(ApiKey).one()
    assert api_key not in {stored.digest, stored.name}
    assert len(stored.digest) == 64


def test_a_session_cookie_does_not_open_the_api(dispatcher: FlaskClient):
    assert dispatcher.get("/api/v1/vessels").status_code == 401


def test_the_61st_request_in_a_minute_gets_429_with_retry_after(
    client: FlaskClient, api_key: str, clock: Clock
):
    """EX-15: The 61st request in a minute gets 429 with retry after."""
    for left in range(59, -1, -1):
        answer = ask(client, api_key)
        assert answer.status_code == 200
        assert answer.headers["X-RateLimit-Remaining"] == str(left)
    clock.pass_(20)
    refused = ask(client, api_key)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "40"
    assert refused.json["error"]["title"] == "Too Many Requests"
    clock.pass_(40)
    assert ask(client, api_key).status_code == 200


def test_each_key_has_a_limit_of_its_own(app: Carboy, client: FlaskClient, api_key: str):
    from harbor import auth

    app.config["PARTNER_REQUESTS_PER_MINUTE"] = 1
    with app.app_context():
        key, other = auth.new_api_key("another partner")
        session = app.extensions["harbor.database"].session
        session.add(key)
        session.commit()
    assert ask(client, api_key).status_code == 200
    assert ask(client, api_key).status_code == 429
    assert ask(client, other).status_code == 200


def test_requests_with_wrong_keys_do_not_fill_the_limiter(app: Carboy, client: FlaskClient):
    for number in range(50):
        ask(client, f"wrong-{number}")
    assert len(app.extensions["harbor.services"].limiter) == 0


def test_the_api_describes_itself(app: Carboy, client: FlaskClient):
    """Every route of the API stands in its OpenAPI description, with the methods it has."""
    with client.get("/api/v1/openapi.json") as answer:
        assert answer.mimetype == "application/json"
        paths = answer.get_json()["paths"]
    described = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    routes = {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(("/api/", "/health")) and not rule.rule.endswith(".json")
    }
    assert described == routes
