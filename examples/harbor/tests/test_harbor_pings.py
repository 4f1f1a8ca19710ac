"""POST /api/v1/positions (EX-10 to EX-13, SEC-19)."""

from __future__ import annotations

import hmac
import json
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest
from harbor import auth
from harbor.models import Base, Vessel
from harbor_helpers import IMO, OTHER_IMO, SECRET, ping, positions, post_ping, post_raw
from sqlalchemy.orm import Session

from carboy import Carboy
from carboy.testing import FlaskClient


def test_a_new_signed_ping_is_stored_and_answered_with_201(client: FlaskClient, engine: Any):
    """EX-10: A new signed ping is stored and answered with 201."""
    answer = post_ping(client)
    assert answer.status_code == 201
    assert answer.json == {
        "imo": IMO,
        "recorded_at": "2030-06-01T11:59:00+00:00",
        "created": True,
    }
    (stored,) = positions(engine)
    assert (stored.lat, stored.lon) == (51.95, 4.14)
    assert stored.recorded_at.isoformat() == "2030-06-01T11:59:00+00:00"


def test_a_ping_reaches_the_cache_of_latest_positions(app: Carboy, client: FlaskClient):
    """EX-10: A ping reaches the cache of latest positions."""
    post_ping(client)
    assert app.extensions["harbor.services"].cache.get(IMO).lat == 51.95


def test_a_repeated_ping_gets_200_and_no_second_row(client: FlaskClient, engine: Any):
    """EX-11: A repeated ping gets 200 and no second row."""
    assert post_ping(client).status_code == 201
    again = post_ping(client)
    assert (again.status_code, again.json["created"]) == (200, False)
    assert len(positions(engine)) == 1


def test_the_same_moment_in_another_zone_is_the_same_ping(client: FlaskClient, engine: Any):
    post_ping(client)
    assert post_ping(client, ping(recorded_at="2030-06-01T13:59:00+02:00")).status_code == 200
    assert len(positions(engine)) == 1


def test_eight_simultaneous_duplicates_make_one_row_and_one_201(app: Carboy, engine: Any):
    """EX-11: Eight simultaneous duplicates make one row and one 201."""
    barrier = threading.Barrier(8)
    codes: list[int] = []

    def send() -> None:
        with app.test_client() as client:
            barrier.wait()
            codes.append(post_ping(client).status_code)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] * 7 + [201]
    assert len(positions(engine)) == 1


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        "SHA256=" + "0" * 64,
        "sha256=é" + "0" * 63,
        "sha256=" + "0" * 5000,
    ],
)
def test_a_bad_or_missing_signature_gets_401(client: FlaskClient, engine: Any, signature: Any):
    """EX-12: A bad or missing signature gets 401."""
    headers = {} if signature is None else {"X-Signature": signature}
    answer = client.post("/api/v1/positions", json=ping(), headers=headers)
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers
    assert positions(engine) == []


def test_a_signature_of_another_body_gets_401(client: FlaskClient):
    headers = {"X-Signature": auth.signature_of(b"{}", SECRET)}
    assert client.post("/api/v1/positions", json=ping(), headers=headers).status_code == 401


def test_a_signature_in_capital_hex_gets_401(client: FlaskClient):
    body = json.dumps(ping()).encode()
    signature = auth.signature_of(body, SECRET).replace("sha256=", "").upper()
    assert post_raw(client, body, headers={"X-Signature": f"sha256={signature}"}).status_code == 401


def test_the_signature_is_judged_before_the_json_is_parsed(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    """SEC-19: The signature is judged before the json is parsed."""

    def parsed(*_args: Any, **_options: Any) -> Any:
        raise AssertionError("the body was parsed")

    monkeypatch.setattr("harbor.fleet_api.parse_ping", parsed)
    monkeypatch.setattr(client.application.json, "loads", parsed)
    answer = client.post("/api/v1/positions", data=b"{not json", content_type="application/json")
    assert answer.status_code == 401


def test_signatures_are_compared_in_constant_time(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    class Spy:
        new = staticmethod(hmac.new)
        compare_digest = staticmethod(compare)

    monkeypatch.setattr("harbor.auth.hmac", Spy)
    assert post_ping(client).status_code == 201
    assert len(compared) == 1


def test_the_previous_secret_is_valid_while_trackers_are_rekeyed(app: Carboy, client: FlaskClient):
    assert post_ping(client, secret="the old one").status_code == 401
    app.config["TRACKER_SECRET_PREVIOUS"] = "the old one"
    assert post_ping(client, secret="the old one").status_code == 201
    assert post_ping(client).status_code == 200


WRONG_FIELDS: list[tuple[str, Any]] = [
    ("imo", None),
    ("imo", True),
    ("imo", "9074729"),
    ("imo", 9074728),
    ("imo", 907472),
    ("imo", -9074729),
    ("imo", 9074729.0),
    ("imo", 10**400),
    ("imo", [9074729]),
    ("lat", None),
    ("lat", True),
    ("lat", "51.9"),
    ("lat", 90.0001),
    ("lat", -91),
    ("lat", 10**400),
    ("lat", {}),
    ("lon", False),
    ("lon", 180.5),
    ("lon", -(10**30)),
    ("lon", [[[[1]]]]),
    ("recorded_at", None),
    ("recorded_at", 1900000000),
    ("recorded_at", ""),
    ("recorded_at", "yesterday"),
    ("recorded_at", "2030-06-01"),
    ("recorded_at", "2030-06-01T11:59:00"),
    ("recorded_at", "2030-06-01 11:59:00Z"),
    ("recorded_at", "2030-02-31T11:59:00Z"),
    ("recorded_at", "2030-06-01T11:59:60Z"),
    ("recorded_at", "2030-W22-6T11:59:00Z"),
    ("recorded_at", "٢٠٣٠-06-01T11:59:00Z"),
    ("recorded_at", "2030-06-01T11:59:00+99:99"),
    ("recorded_at", "2030-06-01T11:59:00Z\n"),
    ("recorded_at", "0001-01-01T00:00:00+23:59"),
    ("recorded_at", "9999-12-31T23:59:59-23:59"),
    ("recorded_at", "1999-12-31T23:59:59Z"),
    ("recorded_at", "2030-06-01T12:05:01Z"),
    ("recorded_at", "9999-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(("field", "value"), WRONG_FIELDS, ids=lambda value: repr(value)[:30])
def test_a_wrong_field_gets_422_that_names_it(
    client: FlaskClient, engine: Any, field: str, value: Any
):
    """EX-13: A wrong field gets 422 that names it."""
    answer = post_ping(client, ping(**{field: value}))
    assert answer.status_code == 422
    assert list(answer.json["error"]["fields"]) == [field]
    assert positions(engine) == []


@pytest.mark.parametrize("field", ["imo", "lat", "lon", "recorded_at"])
def test_a_missing_field_gets_422(client: FlaskClient, field: str):
    payload = ping()
    del payload[field]
    answer = post_ping(client, payload)
    assert (answer.status_code, answer.json["error"]["fields"]) == (422, {field: "is required"})


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_beyond_a_float_gets_422(client: FlaskClient, number: str):
    body = json.dumps(ping()).replace("51.95", number).encode()
    assert post_raw(client, body).status_code == 422


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_words_that_json_has_no_numbers_for_are_refused(client: FlaskClient, word: str):
    body = json.dumps(ping()).replace("51.95", word).encode()
    # 400 where the parser knows that they are not JSON, 422 where the field is judged.
    assert post_raw(client, body).status_code in {400, 422}


@pytest.mark.parametrize("payload", [[], "text", 1, True, None, [[ping()]]])
def test_a_document_that_is_no_object_gets_422(client: FlaskClient, payload: Any):
    answer = post_raw(client, json.dumps(payload).encode())
    assert answer.status_code == 422
    assert list(answer.json["error"]["fields"]) == ["body"]


def test_unknown_fields_get_422_without_being_echoed(client: FlaskClient):
    """HOSTILE-224."""
    answer = post_ping(client, ping(**{f"<script>{n}": n for n in range(50)}))
    assert answer.status_code == 422
    assert "script" not in answer.get_data(as_text=True)
    assert len(answer.json["error"]["fields"]) == 1


def test_what_was_sent_is_not_echoed(client: FlaskClient):
    """HOSTILE-224."""
    answer = post_ping(client, dict.fromkeys(ping(), "<b>secret</b>"))
    assert list(answer.json["error"]["fields"]) == ["imo", "lat", "lon", "recorded_at"]
    assert "secret" not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'imo': 1}",
        b"\xff\xfe",
        b"[" * 1000,
        b'{"imo":' * 290,
        b"[" * 1000 + b"]" * 1000,
        b'{"imo": ' + b"9" * 1900 + b"}",
    ],
    ids=["empty", "cut", "quotes", "not text", "open", "open objects", "deep", "long number"],
)
def test_a_malformed_document_gets_a_4xx_and_no_row(client: FlaskClient, engine: Any, body: bytes):
    """EX-13: A malformed document gets a 4xx and no row."""
    answer = post_raw(client, body)
    assert answer.status_code in {400, 422}
    assert answer.is_json
    assert positions(engine) == []


def test_a_number_of_digits_beyond_the_interpreters_limit_gets_400(make_app, app: Carboy):
    app.config["MAX_PING_BYTES"] = 20_000
    body = json.dumps(ping()).replace("51.95", "9" * 6000).encode()
    assert post_raw(app.test_client(), body).status_code == 400


def test_a_document_nested_too_deeply_gets_400(app: Carboy):
    app.config["MAX_PING_BYTES"] = 400_000
    app.config["MAX_CONTENT_LENGTH"] = 400_000
    body = b"[" * 100_000 + b"]" * 100_000
    assert post_raw(app.test_client(), body).status_code in {400, 422}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_gets_415(client: FlaskClient, content_type: str):
    answer = post_ping(client, content_type=content_type)
    assert answer.status_code == 415


def test_a_body_over_the_limit_gets_413_before_its_signature_is_judged(
    client: FlaskClient, engine: Any
):
    """EX-13: A body over the limit gets 413 before its signature is judged."""
    body = json.dumps(ping()).encode() + b" " * 2048
    assert post_raw(client, body).status_code == 413
    assert post_raw(client, body, secret="wrong").status_code == 413
    assert positions(engine) == []


def test_a_body_just_within_the_limit_is_taken(client: FlaskClient):
    body = json.dumps(ping()).encode()
    assert post_raw(client, body + b" " * (2048 - len(body))).status_code == 201


def test_a_vessel_outside_the_fleet_gets_404(client: FlaskClient, engine: Any):
    """EX-13: A vessel outside the fleet gets 404."""
    answer = post_ping(client, ping(imo=OTHER_IMO))
    assert answer.status_code == 404
    assert answer.json["error"]["title"] == "Not Found"
    assert positions(engine) == []


@pytest.mark.parametrize(
    "moment",
    [
        "2030-06-01T12:05:00Z",
        "2030-06-01T11:59:00.123456Z",
        "2030-06-01T13:59:00+02:00",
        "2030-06-01t11:59:00z",
        "2000-01-01T00:00:00Z",
    ],
)
def test_moments_with_a_zone_are_accepted(client: FlaskClient, moment: str):
    assert post_ping(client, ping(recorded_at=moment)).status_code == 201


@pytest.mark.parametrize(("lat", "lon"), [(90, 180), (-90, -180), (0, 0), (-0.0, 0.0)])
def test_the_ends_of_the_earth_are_accepted(client: FlaskClient, lat: float, lon: float):
    assert post_ping(client, ping(lat=lat, lon=lon)).status_code == 201


def test_an_old_ping_is_stored_but_does_not_move_the_vessel_back(
    app: Carboy, client: FlaskClient, engine: Any
):
    post_ping(client)
    assert post_ping(client, ping(lat=10, recorded_at="2030-06-01T10:00:00Z")).status_code == 201
    assert len(positions(engine)) == 2
    assert app.extensions["harbor.services"].cache.get(IMO).lat == 51.95


def test_a_get_gets_405_that_names_the_methods(client: FlaskClient):
    answer = client.get("/api/v1/positions")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.is_json


def test_a_ping_sets_no_cookie_and_needs_no_csrf_token(client: FlaskClient):
    assert "Set-Cookie" not in post_ping(client).headers


def test_pings_of_two_applications_meet_in_one_database(
    app: Carboy, make_app: Callable[..., Carboy], clock: Any, api_key: str
):
    other = make_app()  # another worker, with a cache of its own
    headers = {"Authorization": f"Bearer {api_key}"}
    assert other.test_client().get("/api/v1/vessels", headers=headers).status_code == 200
    post_ping(app.test_client())
    clock.pass_(1)
    features = other.test_client().get("/api/v1/vessels", headers=headers).get_json(force=True)
    assert features["features"][0]["geometry"]["coordinates"] == [4.14, 51.95]


def test_a_database_that_is_locked_gets_503_in_time_and_serves_again(make_app: Any):
    """HOSTILE-220: twenty requests wait no longer than they may; the pool is whole afterwards."""
    app = make_app(DATABASE_TIMEOUT=0.05)
    engine = app.extensions["harbor.database"].engine
    if engine.dialect.name != "sqlite":
        pytest.skip("the lock is SQLite's")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Vessel(name="Test Vessel", imo=IMO))
        session.commit()
    client = app.test_client()
    locked = sqlite3.connect(engine.url.database, isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    answers = [post_ping(client) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {503}
    assert not any(word in answers[0].text for word in ("locked", "INSERT", "positions"))
    locked.execute("ROLLBACK")
    locked.close()
    assert post_ping(client).status_code == 201
    assert engine.pool.checkedout() == 0
    assert len(positions(engine)) == 1
