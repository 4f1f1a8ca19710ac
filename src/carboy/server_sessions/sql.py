"""Sessions in a database, by SQLAlchemy 2: one row a session, and one row an item of it."""

from __future__ import annotations

import time
import typing as t

import sqlalchemy as sa

from .stores import Change, Record

if t.TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

_metadata = sa.MetaData()

#: The tables, for migrations of your own; :class:`SQLStore` makes them where they are missing.
SESSIONS = sa.Table(
    "carboy_sessions",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("user", sa.String(255), index=True),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("used", sa.Double, nullable=False),
    sa.Column("expires", sa.Double, nullable=False, index=True),
    sa.Column("address", sa.String(64)),
    sa.Column("agent", sa.String(255)),
)
ITEMS = sa.Table(
    "carboy_session_items",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)


class SQLStore:
    """Sessions in the database of an engine of SQLAlchemy."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ready = False

    @classmethod
    def from_uri(cls, uri: str) -> t.Self:
        """An engine of its own, which asks whether a connection still lives before it uses it."""
        return cls(sa.create_engine(uri, pool_pre_ping=True))

    def load(self, key: str) -> Record | None:
        with self._begin() as connection:
            row = connection.execute(sa.select(SESSIONS).where(SESSIONS.c.key == key)).first()
            if row is None:
                return None
            found = connection.execute(
                sa.select(ITEMS.c.name, ITEMS.c.value).where(ITEMS.c.key == key)
            )
            return _record(row, {row.name: row.value for row in found})

    def create(self, key: str, record: Record) -> None:
        with self._begin() as connection:
            connection.execute(
                sa.insert(SESSIONS).values(
                    key=key,
                    user=record.user,
                    created=record.created,
                    used=record.used,
                    expires=record.expires,
                    address=record.address,
                    agent=record.agent,
                )
            )
            _insert(connection, key, record.items)

    def merge(self, key: str, change: Change) -> bool:
        with self._begin() as connection:
            # First of all: it keeps the row locked, so that changes of a session queue up.
            done = connection.execute(
                sa.update(SESSIONS)
                .where(SESSIONS.c.key == key)
                .values(used=change.used, expires=change.expires, user=change.user)
            )
            if not done.rowcount:
                return False
            names = [*change.items, *change.removed]
            if names:
                connection.execute(
                    sa.delete(ITEMS).where(ITEMS.c.key == key, ITEMS.c.name.in_(names))
                )
            _insert(connection, key, change.items)
            return True

    def delete(self, key: str) -> bool:
        with self._begin() as connection:
            there = connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.key == key)).rowcount
            connection.execute(sa.delete(ITEMS).where(ITEMS.c.key == key))
            return bool(there)

    def of_user(self, user: str) -> dict[str, Record]:
        with self._begin() as connection:
            rows = connection.execute(sa.select(SESSIONS).where(SESSIONS.c.user == user))
            return {row.key: _record(row, {}) for row in rows}

    def sweep(self, now: float | None = None) -> int:
        over = SESSIONS.c.expires < (time.time() if now is None else now)
        with self._begin() as connection:
            keys = list(connection.scalars(sa.select(SESSIONS.c.key).where(over)))
            for start in range(0, len(keys), 500):
                some = keys[start : start + 500]
                connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.key.in_(some), over))
                connection.execute(
                    sa.delete(ITEMS).where(
                        ITEMS.c.key.in_(some), ITEMS.c.key.not_in(sa.select(SESSIONS.c.key))
                    )
                )
            return len(keys)

    def _begin(self) -> t.ContextManager[Connection]:
        if not self._ready:  # not before: the database may come up after the application
            try:
                _metadata.create_all(self._engine)
            except sa.exc.SQLAlchemyError:
                _metadata.create_all(self._engine)  # another worker made them at the same moment
            self._ready = True
        return self._engine.begin()


def _insert(connection: Connection, key: str, items: t.Mapping[str, str]) -> None:
    if items:
        rows = [{"key": key, "name": name, "value": value} for name, value in items.items()]
        connection.execute(sa.insert(ITEMS), rows)


def _record(row: t.Any, items: dict[str, str]) -> Record:
    return Record(items, row.created, row.used, row.expires, row.user, row.address, row.agent)
