"""Counting requests in windows of time: in this process, or in a store that workers share.

Both count by the sliding window: the requests of the running window, and those of the one before
it in proportion to how much of it still lies within reach. So twice the limit is never let through
where two windows meet.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import typing as t

_LIMIT = re.compile(
    r"\s*(?P<amount>[0-9]{1,9})\s*(?:/|per)\s*(?P<many>[0-9]{1,6})?\s*"
    r"(?P<unit>second|minute|hour|day)s?\s*",
    re.IGNORECASE,
)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}

#: Newcomers are counted under this name while the table is full.
OTHERS = "\0others"


class Limit(t.NamedTuple):
    """So many requests in so many seconds."""

    amount: int
    seconds: int

    def __str__(self) -> str:
        for name, size in reversed(_SECONDS.items()):
            if self.seconds % size == 0:
                many = self.seconds // size
                return f"{self.amount} per {name if many == 1 else f'{many} {name}s'}"
        return f"{self.amount} per {self.seconds} seconds"


class Count(t.NamedTuple):
    """How a request was counted: whether it may pass, how many more may, seconds until more may."""

    allowed: bool
    remaining: int
    reset: float


def parse_limit(text: str) -> Limit:
    """Read ``"5 per minute"``, ``"100/hour"`` or ``"10 per 30 seconds"``. ValueError otherwise."""
    found = _LIMIT.fullmatch(text) if isinstance(text, str) else None
    if found is None or int(found["amount"]) == 0 or int(found["many"] or 1) == 0:
        raise ValueError(
            f"{text!r} is no limit. Write '5 per minute', '100/hour' or '10 per 30 seconds', with"
            " second, minute, hour or day; to let nothing pass, remove the route."
        )
    return Limit(int(found["amount"]), int(found["many"] or 1) * _SECONDS[found["unit"].lower()])


class MemoryWindows:
    """Counts in this process. Its clock cannot be set back, and its table does not outgrow ``most``.

    When the table is full of clients that still count, newcomers share one entry: they are slowed
    down together, and nobody who is known is forgotten.
    """

    def __init__(self, most: int = 100_000, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        #: (client, seconds) -> number of the window, requests in it, requests in the one before
        self._table: dict[tuple[str, int], list[int]] = {}
        self._cleaned = clock()

    def __len__(self) -> int:
        return len(self._table)

    def hit(self, limit: Limit, client: str) -> Count:
        """Count one request of ``client`` and say whether it may pass. A refused one counts not."""
        with self._lock:
            now = self._clock()
            amount, seconds = limit
            window, inside = divmod(now, seconds)
            part = inside / seconds
            entry = self._entry(client, seconds, int(window), now)
            _, current, previous = entry
            weighted = previous * (1 - part) + current
            if weighted + 1 <= amount:
                entry[1] = current + 1
                return Count(True, int(amount - weighted - 1), seconds - inside)
        return Count(False, 0, _wait(amount, seconds, part, current, previous))

    def clear(self, limit: Limit, client: str) -> None:
        """Forget what was counted of ``client`` for this limit."""
        with self._lock:
            self._table.pop((client, limit.seconds), None)

    def _entry(self, client: str, seconds: int, window: int, now: float) -> list[int]:
        key = (client, seconds)
        entry = self._table.get(key)
        if entry is None:
            if len(self._table) >= self._most:
                self._clean(now)
            if len(self._table) >= self._most:
                key = (OTHERS, seconds)
                entry = self._table.get(key)
            if entry is None:
                entry = self._table[key] = [window, 0, 0]
        if entry[0] != window:
            entry[:] = window, 0, entry[1] if entry[0] == window - 1 else 0
        return entry

    def _clean(self, now: float) -> None:
        """Forget whom no window reaches any more; at most once a second, since it takes a while."""
        if now - self._cleaned < 1:
            return
        self._cleaned = now
        self._table = {
            key: entry for key, entry in self._table.items() if entry[0] >= now // key[1] - 1
        }


def _wait(amount: int, seconds: int, part: float, current: int, previous: int) -> float:
    """Seconds until one more request fits under the limit, if none comes in between."""
    if current < amount:
        return max((1 - (amount - 1 - current) / previous - part) * seconds, 0.0)
    return (1 - part + max(1 - (amount - 1) / current, 0)) * seconds


class SharedWindows:
    """Counts in a store that the ``limits`` library reaches: Redis, Valkey, Memcached, MongoDB."""

    def __init__(self, uri: str) -> None:
        try:
            import limits
            from limits.storage import storage_from_string
            from limits.strategies import SlidingWindowCounterRateLimiter
        except ImportError:
            raise RuntimeError(
                f"RATE_LIMIT_STORAGE is {uri.partition('://')[0]}://..., which needs the library"
                " `limits`: pip install carboy[limits]. Without it use 'memory://', which counts in"
                " each worker by itself."
            ) from None
        options: dict[str, t.Any] = {}
        if uri.startswith(("redis", "valkey")):
            # A store that hangs must not hang the application.
            options = {"socket_timeout": 1, "socket_connect_timeout": 1}
        self._per_second = limits.RateLimitItemPerSecond
        self._limiter = SlidingWindowCounterRateLimiter(storage_from_string(uri, **options))

    def hit(self, limit: Limit, client: str) -> Count:
        """Count one request of ``client``. Raises what the store's library raises."""
        item = self._per_second(limit.amount, limit.seconds)
        name = _name(client)
        allowed = self._limiter.hit(item, name)
        stats = self._limiter.get_window_stats(item, name)
        reset = stats.reset_time - time.time()
        return Count(allowed, stats.remaining, reset if reset > 0 else float(limit.seconds))

    def clear(self, limit: Limit, client: str) -> None:
        """Forget what was counted of ``client`` for this limit."""
        self._limiter.clear(self._per_second(limit.amount, limit.seconds), _name(client))


def _name(client: str) -> str:
    """CVE-2020-13254: what a client chose may hold characters that mean something to the store."""
    return hashlib.sha256(client.encode("utf-8", "surrogatepass")).hexdigest()
