"""The simulator and the other commands (EX-19, EX-23)."""

from __future__ import annotations

import itertools
import json
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from harbor import auth, simulator
from harbor.models import ApiKey, Base, User, Vessel, is_imo_number
from harbor_helpers import NOW, SECRET, ping, positions, post_ping
from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from carboy import Carboy

LAND = Path(simulator.__file__).parent / "static" / "data" / "land.json"
Ring = list[list[float]]


def on_land(lon: float, lat: float, polygons: list[list[Ring]]) -> bool:
    """Even-odd rule over all rings."""
    inside = False
    for polygon in polygons:
        for ring in polygon:
            for (x1, y1), (x2, y2) in itertools.pairwise(ring):
                if (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) * (x2 - x1) / (y2 - y1):
                    inside = not inside
    return inside


@pytest.fixture(scope="module")
def polygons() -> list[list[Ring]]:
    features = json.loads(LAND.read_text())["features"]
    found: list[list[Ring]] = features[0]["geometry"]["coordinates"]
    return found


def test_there_are_a_dozen_vessels_with_names_and_numbers_of_their_own():
    assert len(simulator.VOYAGES) == 12
    assert len({voyage.name for voyage in simulator.VOYAGES}) == 12
    assert len({voyage.imo for voyage in simulator.VOYAGES}) == 12
    assert all(is_imo_number(voyage.imo) for voyage in simulator.VOYAGES)


def test_the_base_layer_knows_land_from_sea(polygons: Any):
    assert on_land(2.35, 48.85, polygons)  # Paris
    assert on_land(-100, 40, polygons)  # Kansas
    assert on_land(170, 67, polygons)  # Chukotka, on both sides of the date line
    assert on_land(-175, 66.5, polygons)
    assert on_land(0, -85, polygons)  # Antarctica
    assert not on_land(-30, 45, polygons)  # the Atlantic
    assert not on_land(3, 56, polygons)  # the North Sea


@pytest.mark.parametrize("voyage", simulator.VOYAGES, ids=lambda voyage: voyage.name)
def test_no_vessel_sails_over_land(voyage: simulator.Voyage, polygons: Any):
    west, east = (f(lon for lon, _ in voyage.route) for f in (min, max))
    south, north = (f(lat for _, lat in voyage.route) for f in (min, max))
    near = [
        polygon
        for polygon in polygons
        if min(lon for lon, _ in polygon[0]) < east
        and max(lon for lon, _ in polygon[0]) > west
        and min(lat for _, lat in polygon[0]) < north
        and max(lat for _, lat in polygon[0]) > south
    ]
    ashore = []
    for (lon1, lat1), (lon2, lat2) in zip(voyage.route, voyage.route[1:], strict=False):
        for step in range(30):
            place = (lon1 + (lon2 - lon1) * step / 30, lat1 + (lat2 - lat1) * step / 30)
            if on_land(*place, near):
                ashore.append(place)
    assert ashore == []


@pytest.mark.parametrize("voyage", simulator.VOYAGES, ids=lambda voyage: voyage.name)
def test_a_vessel_stays_on_its_way_at_its_speed(voyage: simulator.Voyage):
    places = [voyage.place_at(NOW + timedelta(seconds=second)) for second in range(0, 3000, 7)]
    steps = [simulator.distance(a, b) for a, b in itertools.pairwise(places)]
    assert max(steps) <= voyage.knots * simulator.KNOT * 7 * simulator.SPEEDUP * 1.02
    turned = min(steps)
    assert sum(step > 0.5 * max(steps) for step in steps) > 0.8 * len(steps)
    assert turned >= 0


def test_a_distance_is_measured_along_the_earth():
    assert simulator.distance((0, 0), (0, 1)) == pytest.approx(111_195, rel=1e-3)
    assert simulator.distance((4.14, 51.95), (1.35, 51.96)) == pytest.approx(191_000, rel=1e-2)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://host", "file:///etc/passwd", "http://"]
)
def test_an_address_that_is_no_harbor_is_refused(url: str):
    with pytest.raises(ValueError, match="must look like"):
        simulator.Tracker(url, SECRET)


@pytest.fixture
def address(app: Carboy) -> Iterator[str]:
    """The address of a server for `app`, on loopback."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def invoke(app: Carboy, *arguments: str, **options: Any) -> Result:
    return app.test_cli_runner().invoke(args=list(arguments), **options)


def test_seed_adds_the_fleet_with_a_past_and_is_harmless_to_repeat(app: Carboy, engine: Any):
    for _ in range(2):
        done = invoke(app, "seed", "--minutes", "1")
        assert done.exit_code == 0, done.output
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(Vessel)) == 13
    assert 12 * 12 <= len(positions(engine)) <= 2 * 12 * 12


def test_simulate_posts_signed_pings_of_every_vessel(
    app: Carboy, engine: Any, address: str, monkeypatch: Any
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # never asked for loopback
    app.extensions["harbor.services"].now = simulator_now
    invoke(app, "seed")
    done = invoke(
        app, "simulate", "--url", address, "--rounds", "2", "--interval", "0.1", "--patience", "5"
    )
    assert done.exit_code == 0, done.output
    assert f"12 vessels report to {address}." in done.output
    assert len(positions(engine)) == 24
    assert len({position.vessel_id for position in positions(engine)}) == 12


@pytest.mark.parametrize(
    ("change", "explanation"),
    [("secret", "set TRACKER_SECRET alike"), ("fleet", "seed' first"), ("clock", "the clocks")],
)
def test_simulate_explains_why_it_is_refused(
    app: Carboy, address: str, monkeypatch: Any, change: str, explanation: str
):
    if change != "fleet":
        invoke(app, "seed")
    if change != "clock":
        monkeypatch.setattr(app.extensions["harbor.services"], "now", simulator_now)
    else:
        monkeypatch.setattr(
            app.extensions["harbor.services"], "now", lambda: simulator_now() - timedelta(days=1)
        )
    if change == "secret":
        monkeypatch.setattr(
            "harbor.simulator.signature_of", lambda body, _: auth.signature_of(body, "wrong")
        )
    done = invoke(app, "simulate", "--url", address, "--rounds", "1", "--patience", "5")
    assert done.exit_code == 1
    assert explanation in done.output


def simulator_now() -> Any:
    return simulator.datetime.now(simulator.UTC)


def test_simulate_waits_for_a_harbor_that_is_away(app: Carboy, monkeypatch: Any):
    answers = iter([OSError("refused"), OSError("refused"), *[True] * 24])

    def send(*_args: Any) -> bool:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr("harbor.simulator.Tracker.send", send)
    done = invoke(app, "simulate", "--rounds", "1", "--interval", "0.1")
    assert done.exit_code == 0
    assert done.output.count("trying again") == 1
    assert "12 vessels report" in done.output


def test_simulate_gives_up_when_told_to(app: Carboy, monkeypatch: Any):
    def send(*_args: Any) -> bool:
        raise OSError("refused")

    monkeypatch.setattr("harbor.simulator.Tracker.send", send)
    done = invoke(app, "simulate", "--patience", "0")
    assert done.exit_code == 1
    assert "No answer from http://127.0.0.1:8000 (refused)." in done.output


def test_simulate_leaves_signal_handlers_as_they_were(app: Carboy, monkeypatch: Any):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr("harbor.simulator.Tracker.send", lambda *_: True)
    assert invoke(app, "simulate", "--rounds", "1").exit_code == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_simulate_refuses_a_wrong_address(app: Carboy):
    done = invoke(app, "simulate", "--url", "nonsense")
    assert done.exit_code == 2
    assert "must look like" in done.output


def test_create_user_makes_somebody_who_can_sign_in(app: Carboy, engine: Any):
    done = invoke(app, "create-user", "Grace", input="a good password\na good password\n")
    assert done.exit_code == 0, done.output
    assert "a good password" not in done.output
    with app.app_context():
        assert auth.check_password("Grace", "a good password")
    environment = {"HARBOR_PASSWORD": "a better password"}
    assert invoke(app, "create-user", "Grace", env=environment).exit_code == 0
    with app.app_context():
        assert not auth.check_password("Grace", "a good password")
        assert auth.check_password("Grace", "a better password")
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(User)) == 1


@pytest.mark.parametrize(
    ("name", "password"), [("Grace", "short"), (" ", "long enough"), ("G" * 81, "long enough")]
)
def test_create_user_refuses_what_would_not_work(app: Carboy, name: str, password: str):
    assert invoke(app, "create-user", name, "--password", password).exit_code == 2


def test_create_key_prints_a_key_that_works_until_it_is_revoked(app: Carboy, engine: Any):
    done = invoke(app, "create-key", "Acme")
    key = done.stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    client = app.test_client()
    assert client.get("/api/v1/vessels", headers=headers).status_code == 200
    with Session(engine) as session:
        number = session.scalars(select(ApiKey)).one().id
    assert "of Acme is revoked" in invoke(app, "revoke-key", str(number)).output
    assert client.get("/api/v1/vessels", headers=headers).status_code == 401
    assert invoke(app, "revoke-key", "999").exit_code == 2


def test_prune_deletes_old_positions_only(app: Carboy, engine: Any, monkeypatch: Any):
    client = app.test_client()
    post_ping(client, ping(recorded_at="2020-01-01T00:00:00Z"))
    post_ping(client)
    assert "1 old positions deleted." in invoke(app, "prune", "--keep-days", "30").output
    assert len(positions(engine)) == 1


def test_the_db_commands_migrate_an_empty_database(app: Carboy, engine: Any):
    """DEPL-10: The db commands migrate an empty database."""
    Base.metadata.drop_all(engine)
    assert "is at head" in invoke(app, "db", "upgrade").output
    assert invoke(app, "db", "check").exit_code == 0
    assert inspect(engine).has_table("positions")
    assert invoke(app, "db", "downgrade", "base").exit_code == 0
    assert not inspect(engine).has_table("positions")


def test_db_check_fails_where_the_tables_differ(app: Carboy, engine: Any):
    Base.metadata.drop_all(engine)
    assert invoke(app, "db", "check").exit_code != 0


@pytest.mark.parametrize(
    "command", ["db", "seed", "simulate", "create-user", "create-key", "prune"]
)
def test_every_command_explains_itself(app: Carboy, command: str):
    done = invoke(app, command, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.output
