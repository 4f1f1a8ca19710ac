"""Commands: `carboy --app harbor …`."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from alembic import command as alembic
from alembic.config import Config as AlembicConfig
from sqlalchemy import delete, select

from carboy import Carboy, current_app
from carboy.cli import AppGroup, with_appcontext

from . import auth
from .db import database, db_session, insert_or_skip
from .models import ApiKey, Position, User, Vessel
from .simulator import SPEEDUP, VOYAGES, PingRefused, Tracker

SHORTEST_PASSWORD = 10

db_group = AppGroup("db", help="Create and change the database's tables (Alembic).")


def init_app(app: Carboy) -> None:
    app.cli.add_command(db_group)
    for command in (seed, simulate, create_user, create_key, revoke_key, prune):
        app.cli.add_command(command)


def alembic_config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = database().engine
    return config


@db_group.command("upgrade")
@click.argument("revision", default="head")
def db_upgrade(revision: str) -> None:
    """Bring the tables up to REVISION, the newest one by default."""
    alembic.upgrade(alembic_config(), revision)
    click.echo(f"The database is at {revision}.")


@db_group.command("downgrade")
@click.argument("revision")
def db_downgrade(revision: str) -> None:
    """Take the tables back to REVISION (-1: one step, base: to nothing)."""
    alembic.downgrade(alembic_config(), revision)


@db_group.command("revision")
@click.option("-m", "--message", required=True, help="What changes, in a few words.")
def db_revision(message: str) -> None:
    """Write a new migration from what differs between models and tables."""
    alembic.revision(alembic_config(), message, autogenerate=True)


@db_group.command("check")
def db_check() -> None:
    """Fail if the tables differ from the models."""
    alembic.check(alembic_config())


@click.command("seed")
@click.option(
    "--minutes", default=0, type=click.IntRange(0, 1440), help="Minutes of past positions."
)
@with_appcontext
def seed(minutes: int) -> None:
    """Add the simulator's twelve vessels, and some history if asked.  Harmless to repeat."""
    session = db_session()
    for voyage in VOYAGES:
        session.execute(insert_or_skip(session, Vessel).values(name=voyage.name, imo=voyage.imo))
    ids = {imo: id_ for id_, imo in session.execute(select(Vessel.id, Vessel.imo))}
    now = datetime.now(UTC).replace(microsecond=0)
    rows = []
    for seconds in range(minutes * 60, 0, -5):
        moment = now - timedelta(seconds=seconds)
        for voyage in VOYAGES:
            lon, lat = voyage.place_at(moment)
            rows.append(
                {"vessel_id": ids[voyage.imo], "lat": lat, "lon": lon, "recorded_at": moment}
            )
    if rows:
        session.execute(insert_or_skip(session, Position), rows)
    session.commit()
    click.echo(f"The fleet has {len(VOYAGES)} vessels and {len(rows)} past positions.")


@click.command("create-user")
@click.argument("name")
@click.password_option(envvar="HARBOR_PASSWORD", help="Asked for if neither given nor set.")
@with_appcontext
def create_user(name: str, password: str) -> None:
    """Create the dispatcher NAME, or give NAME a new password."""
    if len(password) < SHORTEST_PASSWORD:
        raise click.UsageError(f"A password needs at least {SHORTEST_PASSWORD} characters.")
    if not name.strip() or len(name) > auth.LONGEST_NAME:
        raise click.UsageError(f"A name has 1 to {auth.LONGEST_NAME} characters.")
    session = db_session()
    user = session.scalar(select(User).where(User.name == name.strip()))
    if user is None:
        user = User(name=name.strip(), password_hash="")
        session.add(user)
    user.password_hash = auth.hash_password(password)
    session.commit()
    click.echo(f"{user.name} can sign in.")


@click.command("create-key")
@click.argument("partner")
@with_appcontext
def create_key(partner: str) -> None:
    """Create an API key for PARTNER and print it, this once."""
    key, secret = auth.new_api_key(partner)
    db_session().add(key)
    db_session().commit()
    click.echo(f"Key {key.id} for {partner}; it is shown only now:", err=True)
    click.echo(secret)


@click.command("revoke-key")
@click.argument("key_id", type=int)
@with_appcontext
def revoke_key(key_id: int) -> None:
    """Revoke the API key with this number."""
    key = db_session().get(ApiKey, key_id)
    if key is None:
        raise click.UsageError(f"There is no key {key_id}.")
    key.revoked_at = key.revoked_at or datetime.now(UTC)
    db_session().commit()
    click.echo(f"Key {key_id} of {key.name} is revoked.")


@click.command("prune")
@click.option("--keep-days", default=90, type=click.IntRange(1), show_default=True)
@with_appcontext
def prune(keep_days: int) -> None:
    """Delete positions older than some days."""
    limit = datetime.now(UTC) - timedelta(days=keep_days)
    gone = db_session().execute(delete(Position).where(Position.recorded_at < limit))
    db_session().commit()
    click.echo(f"{getattr(gone, 'rowcount', 0)} old positions deleted.")


@click.command("simulate")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Harbor's address.")
@click.option(
    "--interval", default=1.0, type=click.FloatRange(0.1), show_default=True, help="In seconds."
)
@click.option("--rounds", type=click.IntRange(1), help="Stop after so many pings of each vessel.")
@click.option("--speedup", default=SPEEDUP, type=click.FloatRange(1), show_default=True)
@click.option(
    "--patience",
    type=click.FloatRange(0),
    help="Give up when Harbor has not answered for so many seconds; never by default.",
)
@with_appcontext
def simulate(
    url: str, interval: float, rounds: int | None, speedup: float, patience: float | None
) -> None:
    """Sail twelve vessels along real sea routes, posting a signed ping of each per interval."""
    try:
        tracker = Tracker(url, current_app.config["TRACKER_SECRET"])
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from None
    connected: bool | None = None
    last_answer = time.monotonic()
    finished = 0
    with _stop_on_signal() as stop:
        while not stop.is_set() and finished != rounds:
            try:
                _send_round(tracker, speedup, stop)
            except PingRefused as error:
                raise click.ClickException(str(error)) from None
            except OSError as error:
                if patience is not None and time.monotonic() - last_answer >= patience:
                    raise click.ClickException(f"No answer from {url} ({error}).") from None
                if connected is not False:
                    click.echo(f"No answer from {url} ({error}); trying again …", err=True)
                connected = False
            else:
                if not connected:
                    click.echo(f"{len(VOYAGES)} vessels report to {url}.", err=True)
                connected = True
                last_answer = time.monotonic()
                finished += 1
            if finished != rounds:
                stop.wait(interval)


def _send_round(tracker: Tracker, speedup: float, stop: threading.Event) -> None:
    for voyage in VOYAGES:
        if stop.is_set():
            return
        moment = datetime.now(UTC)
        tracker.send(voyage.imo, voyage.place_at(moment, speedup), moment)


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, so that a round ends between two pings."""
    stop = threading.Event()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
