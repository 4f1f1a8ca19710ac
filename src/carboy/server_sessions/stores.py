"""What a store of sessions has to do, and how one is named in ``SESSION_STORE``.

A store knows a session by the hash of its id, so that whoever reads the store gets no cookie out of
it. It holds texts only (JSON), nothing that is run when it is read.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


@dataclass
class Record:
    """A session as it is stored: its items as JSON texts by name, and what is known of it.

    Times are seconds since 1970.
    """

    items: dict[str, str] = field(default_factory=dict)
    created: float = 0.0
    used: float = 0.0
    #: When it ends if it is not used any more.
    expires: float = 0.0
    user: str | None = None
    address: str | None = None
    agent: str | None = None


class Change(t.NamedTuple):
    """What a request did to a session: items set and removed, and the new times and owner."""

    items: dict[str, str]
    removed: list[str]
    used: float
    expires: float
    user: str | None


class Store(t.Protocol):
    """Where sessions lie. Its methods block, may be called by any thread, and raise whatever the
    library behind them raises when the store cannot be reached; that becomes a 503."""

    def load(self, key: str) -> Record | None:
        """The session, or None if there is none. It may have expired."""

    def create(self, key: str, record: Record) -> None:
        """Store a new session."""

    def merge(self, key: str, change: Change) -> bool:
        """Apply a change in one step, and leave the items it does not name as they are.

        False, and nothing done, if the session is gone.
        """

    def delete(self, key: str) -> bool:
        """Remove a session; whether there was one."""

    def of_user(self, user: str) -> dict[str, Record]:
        """The sessions of a user by key; their items may be left out."""

    def sweep(self, now: float) -> int:
        """Remove what has expired; how many. A store that does so by itself returns 0."""


def store_from(uri: str) -> Store:
    """The store that ``uri`` names.

    ``memory:`` (this process only) and ``file:///folder`` need ``cachelib``, ``redis://`` needs
    ``redis``, and any other is an address of a database for ``SQLAlchemy``. RuntimeError names the
    extra of a library that is missing; ValueError is for what is no address.
    """
    scheme, colon, _ = uri.partition(":")
    if not colon:
        raise ValueError(
            f"SESSION_STORE is {uri!r}, which is no address. Use 'file:///var/lib/site/sessions',"
            " 'redis://localhost/0', 'postgresql+psycopg://…' or 'memory:'."
        )
    try:
        if scheme in ("memory", "file"):
            from .caches import CacheStore

            return CacheStore.from_uri(uri)
        if scheme in ("redis", "rediss", "unix"):
            from .redis_store import RedisStore

            return RedisStore.from_uri(uri)
        from .sql import SQLStore

        return SQLStore.from_uri(uri)
    except ImportError as error:
        extra = {"memory": "cachelib", "file": "cachelib"}.get(scheme, "sqlalchemy")
        extra = "redis" if scheme in ("redis", "rediss", "unix") else extra
        raise RuntimeError(
            f"SESSION_STORE is {scheme}:…, which needs a library that is not installed"
            f" ({error.name}): pip install carboy[{extra}]."
        ) from None
