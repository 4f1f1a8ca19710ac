"""IMO numbers, moments, constraints, migrations (EX-20's migrations)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from alembic import command
from harbor.commands import alembic_config
from harbor.models import Base, Position, Vessel, is_imo_number
from harbor_helpers import IMO, NOW, positions
from sqlalchemy import inspect, select
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from carboy import Carboy


@pytest.mark.parametrize("number", [9074729, 9990014, 9319466, 1000019])
def test_a_number_with_its_check_digit_is_an_imo_number(number: int):
    assert is_imo_number(number)


@pytest.mark.parametrize("number", [0, -9074729, 907472, 9074728, 90747290, 1234568, 9047729])
def test_a_number_without_its_check_digit_is_not(number: int):
    assert not is_imo_number(number)


def test_each_last_digit_but_one_is_wrong():
    assert [digit for digit in range(10) if is_imo_number(9074720 + digit)] == [9]


def test_a_vessel_with_a_wrong_number_cannot_be_made():
    with pytest.raises(ValueError, match="check digit"):
        Vessel(name="Wrong", imo=9074728)


def put(engine: Any, **changes: Any) -> None:
    with Session(engine) as session:
        vessel = session.scalars(select(Vessel)).one()
        values = {"lat": 1.0, "lon": 2.0, "recorded_at": NOW} | changes
        session.add(Position(vessel_id=vessel.id, **values))
        session.commit()


def test_a_moment_comes_back_in_utc_whatever_zone_it_had(engine: Any):
    put(engine, recorded_at=datetime(2030, 1, 1, 2, tzinfo=timezone(timedelta(hours=5))))
    (stored,) = positions(engine)
    assert stored.recorded_at == datetime(2029, 12, 31, 21, tzinfo=UTC)
    assert stored.recorded_at.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(engine: Any):
    with pytest.raises(StatementError, match="without a time zone"):
        put(engine, recorded_at=datetime(2030, 1, 1))


def test_a_vessel_is_at_one_place_at_a_time(engine: Any):
    put(engine)
    with pytest.raises(IntegrityError):
        put(engine, lat=3.0)


@pytest.mark.parametrize("wrong", [{"lat": 91.0}, {"lat": -91.0}, {"lon": 181.0}, {"lon": -181.0}])
def test_the_database_refuses_a_place_off_the_earth(engine: Any, wrong: dict[str, float]):
    with pytest.raises(IntegrityError):
        put(engine, **wrong)


def test_the_database_refuses_a_second_vessel_with_the_number(engine: Any):
    with Session(engine) as session:
        session.add(Vessel(name="Twin", imo=IMO))
        with pytest.raises(IntegrityError):
            session.commit()


def test_a_vessels_positions_go_with_it(engine: Any):
    put(engine)
    with Session(engine) as session:
        session.delete(session.scalars(select(Vessel)).one())
        session.commit()
    assert positions(engine) == []


def test_migrations_make_the_tables_of_the_models_and_unmake_them(app: Carboy, engine: Any):
    Base.metadata.drop_all(engine)
    with app.app_context():
        config = alembic_config()
        command.upgrade(config, "head")
        assert set(Base.metadata.tables) < set(inspect(engine).get_table_names())
        command.check(config)  # raises where models and tables differ
        command.downgrade(config, "base")
        assert inspect(engine).get_table_names() == ["alembic_version"]
