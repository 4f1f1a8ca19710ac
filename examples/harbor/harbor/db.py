"""The database: one engine per application, one session per application context."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, cast

from sqlalchemy import create_engine, event, insert, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.orm import Session

from carboy import Carboy, current_app, g


class Database:
    """Holds the engine and hands out the session of the current context."""

    def __init__(self, app: Carboy) -> None:
        timeout = app.config["DATABASE_TIMEOUT"]
        url = database_url(app.config["DATABASE_URL"], app.instance_path)
        options: dict[str, Any] = {}
        if url.database not in {None, "", ":memory:"}:  # SQLite in memory has no queue to wait in
            options["pool_timeout"] = timeout
        if url.get_backend_name() == "sqlite":
            options["connect_args"] = {"timeout": timeout}
        else:
            options["connect_args"] = {"connect_timeout": timeout}
            options["pool_pre_ping"] = True  # a restarted server costs a ping, not an error
        self.engine: Engine = create_engine(url, **options)
        if url.get_backend_name() == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
        app.teardown_appcontext(self.close_session)
        app.extensions["harbor.database"] = self

    @property
    def session(self) -> Session:
        """The session of this context, opened on first use and closed with the context."""
        if "database_session" not in g:
            g.database_session = Session(self.engine, expire_on_commit=False)
        return cast(Session, g.database_session)

    @staticmethod
    def close_session(_error: BaseException | None = None) -> None:
        session = g.pop("database_session", None)
        if session is not None:
            session.close()

    def ping(self) -> None:
        """Asks the database a question; raises `SQLAlchemyError` when it does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))


def database_url(configured: str | None, instance_path: str) -> URL:
    """The URL to connect to: as configured, or a SQLite file in the instance folder.

    `postgres://` and `postgresql://`, as hosting services write them, mean psycopg 3.
    """
    if not configured:
        folder = Path(instance_path)
        folder.mkdir(parents=True, exist_ok=True)
        return URL.create("sqlite", database=str(folder / "harbor.sqlite3"))
    url = make_url(configured)
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    return url


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    # Readers do not wait for the writer, and a crash of the process loses nothing.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def insert_or_skip(session: Session, model: Any) -> Any:
    """An INSERT for `model` that leaves an existing row alone instead of failing.

    Two writers with the same key both succeed and one row exists: the database decides, so no
    race is left between looking and writing.
    """
    match session.get_bind().dialect.name:
        case "sqlite":
            return sqlite.insert(model).on_conflict_do_nothing()
        case "postgresql":
            return postgresql.insert(model).on_conflict_do_nothing()
        case _:
            return insert(model)


def database() -> Database:
    """The database of the current application."""
    return cast(Database, current_app.extensions["harbor.database"])


def db_session() -> Session:
    """The session of the current context."""
    return database().session
