"""How often somebody may ask: so many requests in a window that begins with the first one."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a limiter says about one request."""

    limit: int
    used: int
    reset_after: int  # seconds until the window ends, at least 1

    @property
    def allowed(self) -> bool:
        return self.used <= self.limit

    def headers(self) -> dict[str, str]:
        found = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "X-RateLimit-Reset": str(self.reset_after),
        }
        if not self.allowed:
            found["Retry-After"] = str(self.reset_after)
        return found


class Limiter(Protocol):
    def hit(self, key: str, limit: int, window: int = 60) -> Verdict:
        """Counts one request of `key` against `limit` requests in `window` seconds."""


class MemoryLimiter:
    """Counts in this process.  Remembers at most `max_keys` keys, the latest ones."""

    def __init__(self, max_keys: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()  # key: end, used
        self._max_keys = max_keys
        self._clock = clock
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._windows)

    def hit(self, key: str, limit: int, window: int = 60) -> Verdict:
        now = self._clock()
        with self._lock:
            end, used = self._windows.get(key, (0.0, 0))
            if used == 0 or end <= now:
                end, used = now + window, 0
            self._windows[key] = (end, used + 1)
            self._windows.move_to_end(key)
            while len(self._windows) > self._max_keys:
                self._windows.popitem(last=False)
        return Verdict(limit, used + 1, max(1, math.ceil(end - now)))


class RedisLimiter:
    """Counts in Redis, for all processes together; in this process while Redis is away."""

    def __init__(self, client: Any, fallback: Limiter | None = None) -> None:
        from redis import RedisError  # only here: without REDIS_URL redis need not be installed

        self._errors = RedisError
        self._redis = client
        self._fallback = fallback or MemoryLimiter()

    def hit(self, key: str, limit: int, window: int = 60) -> Verdict:
        name = f"harbor:limit:{key}"
        try:
            with self._redis.pipeline(transaction=True) as commands:
                commands.set(name, 0, ex=window, nx=True)
                commands.incr(name)
                commands.ttl(name)
                _, used, left = commands.execute()
        except self._errors as error:
            log.warning("counting requests in this process", extra={"reason": str(error)})
            return self._fallback.hit(key, limit, window)
        return Verdict(limit, int(used), max(1, int(left)))
