"""The latest position of each vessel, ready for a map that asks every second.

Two caches with one interface.  `MemoryCache` is for one process or a few: what another process
wrote is seen after `max_age` seconds at the latest.  `RedisCache` is shared by all processes.
The database stays the truth: a cache that fails is asked again later and costs only speed.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Latest:
    """Where a vessel was last seen, and its course there."""

    imo: int
    lat: float
    lon: float
    recorded_at: datetime
    course: float | None = None  # degrees clockwise from north; None while it has one position

    @classmethod
    def after(
        cls, previous: Latest | None, imo: int, lat: float, lon: float, recorded_at: datetime
    ) -> Latest:
        """The next position of a vessel; its course is the way it came."""
        if previous is None:
            course = None
        elif (previous.lat, previous.lon) == (lat, lon):
            course = previous.course  # a ship that lies still keeps its heading
        else:
            course = bearing(previous.lat, previous.lon, lat, lon)
        return cls(imo, lat, lon, recorded_at, course)


def bearing(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """The initial great-circle course from one place to another, in degrees from north."""
    here, there, turn = math.radians(lat1), math.radians(lat2), math.radians(lon2 - lon1)
    east = math.sin(turn) * math.cos(there)
    north = math.cos(here) * math.sin(there) - math.sin(here) * math.cos(there) * math.cos(turn)
    return round(math.degrees(math.atan2(east, north)) % 360, 1) % 360


Load = Callable[[], Iterable[Latest]]


class Cache(Protocol):
    def put(self, latest: Latest) -> None:
        """Remembers a position unless a newer one is known."""

    def get(self, imo: int) -> Latest | None:
        """A vessel's latest position, if the cache knows it."""

    def all(self, load: Load) -> dict[int, Latest]:
        """All latest positions by IMO number; `load` reads them from the database if needed."""


class MemoryCache:
    """Kept in this process, and compared with the database every `max_age` seconds."""

    def __init__(self, max_age: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._latest: dict[int, Latest] = {}
        self._loaded_at: float | None = None
        self._max_age = max_age
        self._clock = clock
        self._lock = threading.Lock()

    def put(self, latest: Latest) -> None:
        with self._lock:
            known = self._latest.get(latest.imo)
            if known is None or known.recorded_at < latest.recorded_at:
                self._latest[latest.imo] = latest

    def get(self, imo: int) -> Latest | None:
        with self._lock:
            return self._latest.get(imo)

    def all(self, load: Load) -> dict[int, Latest]:
        with self._lock:
            now = self._clock()
            if self._loaded_at is not None and now - self._loaded_at < self._max_age:
                return dict(self._latest)
        fresh = {latest.imo: latest for latest in load()}
        with self._lock:
            # A ping may have arrived while we were reading: the newer one stays.
            for imo, known in self._latest.items():
                if imo in fresh and fresh[imo].recorded_at < known.recorded_at:
                    fresh[imo] = known
            self._latest = fresh
            self._loaded_at = now
            return dict(fresh)


class RedisCache:
    """Kept in Redis, in one hash: IMO number → microseconds and JSON."""

    KEY = "harbor:latest"
    LOADED = "harbor:latest:loaded"
    # Only a newer position replaces an older one, whatever order the writers come in.
    PUT = """
        local known = redis.call('HGET', KEYS[1], ARGV[1])
        if known and tonumber(string.match(known, '^%d+')) >= tonumber(ARGV[2]) then return 0 end
        redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
        return 1
    """

    def __init__(self, client: Any, reload_after: int = 60) -> None:
        from redis import RedisError  # only here: without REDIS_URL redis need not be installed

        self._errors = RedisError
        self._redis = client
        self._put = client.register_script(self.PUT)
        self._reload_after = reload_after

    def put(self, latest: Latest) -> None:
        try:
            self._write(latest)
        except self._errors as error:
            log.warning("latest position not cached", extra={"reason": str(error)})

    def get(self, imo: int) -> Latest | None:
        try:
            stored = self._redis.hget(self.KEY, str(imo))
        except self._errors as error:
            log.warning("latest position not read from cache", extra={"reason": str(error)})
            return None
        return None if stored is None else self._decode(stored)

    def all(self, load: Load) -> dict[int, Latest]:
        try:
            # One process a minute compares with the database; `put` keeps the newer position.
            if self._redis.set(self.LOADED, "1", nx=True, ex=self._reload_after):
                for latest in load():
                    self._write(latest)
            found = [self._decode(stored) for stored in self._redis.hvals(self.KEY)]
        except self._errors as error:
            log.warning("latest positions read from the database", extra={"reason": str(error)})
            found = list(load())
        return {latest.imo: latest for latest in found}

    def _write(self, latest: Latest) -> None:
        micros = int(latest.recorded_at.timestamp() * 1_000_000)
        document = asdict(latest) | {"recorded_at": latest.recorded_at.isoformat()}
        self._put(keys=[self.KEY], args=[latest.imo, micros, json.dumps(document)])

    @staticmethod
    def _decode(stored: bytes | str) -> Latest:
        text = stored.decode() if isinstance(stored, bytes) else stored
        document = json.loads(text.partition(" ")[2])
        moment = datetime.fromisoformat(document.pop("recorded_at")).astimezone(UTC)
        return Latest(**document, recorded_at=moment)


def connect_redis(url: str, timeout: float = 0.5) -> Any:
    """A Redis client that gives up after `timeout` seconds instead of holding a request."""
    try:
        import redis
    except ImportError:
        raise RuntimeError(
            "REDIS_URL is set but the redis package is missing. Install it: pip install redis"
        ) from None
    return redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)
