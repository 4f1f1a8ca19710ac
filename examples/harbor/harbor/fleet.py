"""What Harbor knows about the fleet: recording pings, latest positions, tracks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased
from werkzeug.exceptions import NotFound

from .cache import Latest
from .db import db_session, insert_or_skip
from .models import Position, Vessel
from .services import services
from .validation import Ping


@dataclass(frozen=True, slots=True)
class VesselStatus:
    """A vessel and where it was last seen, if it ever was."""

    name: str
    imo: int
    latest: Latest | None


def find_vessel(imo: int) -> Vessel:
    vessel = db_session().scalar(select(Vessel).where(Vessel.imo == imo))
    if vessel is None:
        raise NotFound("No vessel with this IMO number is in the fleet.")
    return vessel


def record_ping(ping: Ping) -> bool:
    """Stores a ping; False if the vessel's position at that moment is already known.

    Raises 404 for a vessel that is not in the fleet.
    """
    vessel = find_vessel(ping.imo)
    session = db_session()
    statement = (
        insert_or_skip(session, Position)
        .values(vessel_id=vessel.id, lat=ping.lat, lon=ping.lon, recorded_at=ping.recorded_at)
        .returning(Position.id)
    )
    created = session.execute(statement).scalar_one_or_none() is not None
    session.commit()
    if created:
        _remember(vessel, ping)
        services().live.wake()
    return created


def _remember(vessel: Vessel, ping: Ping) -> None:
    cache = services().cache
    known = cache.get(ping.imo)
    if known is None:
        latest = next(iter(load_latest(db_session(), only=vessel)), None)
    elif known.recorded_at < ping.recorded_at:
        latest = Latest.after(known, ping.imo, ping.lat, ping.lon, ping.recorded_at)
    else:
        return  # an old ping that arrived late
    if latest is not None:
        cache.put(latest)


def load_latest(session: Session, only: Vessel | None = None) -> list[Latest]:
    """Latest positions from the database, with the course from the position before.

    Two rows per vessel are read through the index, however long its track is.
    """
    recent = aliased(Position)
    last_two = (
        select(recent.id)
        .where(recent.vessel_id == Vessel.id)
        .order_by(recent.recorded_at.desc())
        .limit(2)
        .correlate(Vessel)
    )
    query = (
        select(Vessel.imo, Position.lat, Position.lon, Position.recorded_at)
        .join(Position, Position.vessel_id == Vessel.id)
        .where(Position.id.in_(last_two.scalar_subquery()))
        .order_by(Vessel.imo, Position.recorded_at)
    )
    if only is not None:
        query = query.where(Vessel.id == only.id)
    found: dict[int, Latest] = {}
    for imo, lat, lon, recorded_at in session.execute(query):
        found[imo] = Latest.after(found.get(imo), imo, lat, lon, recorded_at)
    return list(found.values())


def fleet_status() -> list[VesselStatus]:
    """All vessels by name, with their latest positions."""
    latest = services().cache.all(lambda: load_latest(db_session()))
    vessels = db_session().execute(select(Vessel.name, Vessel.imo).order_by(Vessel.name))
    return [VesselStatus(name, imo, latest.get(imo)) for name, imo in vessels]


def vessel_status(vessel: Vessel) -> VesselStatus:
    latest = services().cache.all(lambda: load_latest(db_session()))
    return VesselStatus(vessel.name, vessel.imo, latest.get(vessel.imo))


@dataclass(frozen=True, slots=True)
class TrackPoint:
    lat: float
    lon: float
    recorded_at: datetime


def track_of(vessel: Vessel, since: timedelta, most: int = 400) -> list[TrackPoint]:
    """A vessel's way, oldest point first: at most about `most` points, evenly thinned."""
    where = (
        Position.vessel_id == vessel.id,
        Position.recorded_at >= services().now() - since,
    )
    count = db_session().scalar(select(func.count()).select_from(Position).where(*where)) or 0
    step = max(1, -(-count // most))
    # Counted from the newest, so that the newest point is always part of the track.
    rank = func.row_number().over(order_by=Position.recorded_at.desc())
    ranked = select(Position.lat, Position.lon, Position.recorded_at, rank.label("rank"))
    rows = ranked.where(*where).subquery()
    query = (
        select(rows.c.lat, rows.c.lon, rows.c.recorded_at)
        .where((rows.c.rank - 1) % step == 0)
        .order_by(rows.c.recorded_at)
    )
    return [TrackPoint(*row) for row in db_session().execute(query)]
