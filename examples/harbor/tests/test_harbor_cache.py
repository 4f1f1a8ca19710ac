"""The latest positions: in memory, and in Redis where a server can be started."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from harbor.cache import Latest, MemoryCache, RedisCache, bearing, connect_redis
from harbor.limits import MemoryLimiter, RedisLimiter
from harbor_helpers import IMO, NOW, Clock, post_ping


def at(seconds: int, lat: float = 1.0, imo: int = IMO) -> Latest:
    return Latest(imo, lat, 2.0, NOW + timedelta(seconds=seconds), 45.5)


@pytest.mark.parametrize(
    ("there", "course"),
    [((1, 0), 0), ((0, 1), 90), ((-1, 0), 180), ((0, -1), 270), ((0, 179), 90)],
)
def test_a_course_is_the_bearing_from_the_last_place(there: tuple[float, float], course: float):
    assert bearing(0, 0, *there) == course


def test_a_course_across_the_date_line_is_the_short_way():
    assert bearing(0, 179, 0, -179) == 90


def test_a_course_is_never_360():
    assert 0 <= bearing(0, 0, 10, -0.0001) < 360


def test_a_ship_that_lies_still_keeps_its_course():
    first = Latest.after(None, IMO, 0, 0, NOW)
    moved = Latest.after(first, IMO, 0, 1, NOW)
    assert (first.course, moved.course) == (None, 90)
    assert Latest.after(moved, IMO, 0, 1, NOW).course == 90


# In memory -----------------------------------------------------------------------------------


def test_the_newer_position_stays_whatever_order_they_come_in():
    cache = MemoryCache()
    cache.put(at(2, lat=2))
    cache.put(at(1, lat=1))
    cache.put(at(2, lat=3))
    assert cache.get(IMO) == at(2, lat=2)


def test_the_database_is_asked_once_in_a_second(clock: Clock):
    cache = MemoryCache(max_age=1, clock=clock.monotonic)
    loads: list[int] = []

    def load() -> list[Latest]:
        loads.append(1)
        return [at(0)]

    for _ in range(3):
        assert cache.all(load) == {IMO: at(0)}
    assert len(loads) == 1
    clock.pass_(1)
    cache.all(load)
    assert len(loads) == 2


def test_a_ping_during_a_load_is_not_lost():
    cache = MemoryCache(max_age=0)
    cache.put(at(1))

    def load() -> list[Latest]:
        cache.put(at(5))
        return [at(1)]

    assert cache.all(load) == {IMO: at(5)}


def test_a_vessel_that_left_the_fleet_leaves_the_cache():
    cache = MemoryCache(max_age=0)
    cache.put(at(1))
    assert cache.all(list) == {}


def test_the_caller_cannot_change_the_cache():
    cache = MemoryCache()
    cache.all(lambda: [at(0)]).clear()
    assert cache.get(IMO) == at(0)


# The memory limiter --------------------------------------------------------------------------


def test_a_window_begins_with_the_first_request(clock: Clock):
    limiter = MemoryLimiter(clock=clock.monotonic)
    assert limiter.hit("a", 2).allowed
    clock.pass_(59)
    assert limiter.hit("a", 2).allowed
    refused = limiter.hit("a", 2)
    assert (refused.allowed, refused.reset_after) == (False, 1)
    clock.pass_(1)
    assert limiter.hit("a", 2).headers() == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "1",
        "X-RateLimit-Reset": "60",
    }


def test_keys_do_not_share_a_window(clock: Clock):
    limiter = MemoryLimiter(clock=clock.monotonic)
    limiter.hit("a", 1)
    assert limiter.hit("b", 1).allowed
    assert not limiter.hit("a", 1).allowed


def test_a_clock_that_starts_at_zero_is_a_clock():
    limiter = MemoryLimiter(clock=lambda: 0.0)
    assert [limiter.hit("a", 1).allowed for _ in range(2)] == [True, False]


def test_a_million_keys_need_bounded_memory():
    limiter = MemoryLimiter(max_keys=100)
    for number in range(5000):
        limiter.hit(f"key-{number}", 1)
    assert len(limiter) == 100


def test_simultaneous_requests_are_all_counted(clock: Clock):
    limiter = MemoryLimiter(clock=clock.monotonic)
    barrier = threading.Barrier(8)
    allowed: list[bool] = []

    def ask() -> None:
        barrier.wait()
        allowed.extend(limiter.hit("a", 100).allowed for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed.count(True) == 100


# In Redis ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("redis", reason="pip install -r examples/harbor/requirements-dev.txt")
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("needs a Redis server: apt-get install redis-server")
    folder: Path = tmp_path_factory.mktemp("redis")
    path = folder / "redis.sock"
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "ready to accept connections" in line.lower():
            break
    yield f"unix://{path}"
    process.terminate()
    process.communicate(timeout=10)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Any]:
    client = connect_redis(redis_url)
    client.flushall()
    yield client
    client.close()


def test_redis_keeps_the_newer_position_too(redis: Any):
    cache, other = RedisCache(redis), RedisCache(redis)
    cache.put(at(2, lat=2))
    other.put(at(1, lat=1))
    assert cache.get(IMO) == other.get(IMO) == at(2, lat=2)
    assert cache.get(1) is None


def test_redis_is_filled_from_the_database_once_a_minute(redis: Any):
    cache = RedisCache(redis)
    cache.put(at(9, imo=9990014))
    assert cache.all(lambda: [at(0), at(5, imo=9990014)]) == {
        IMO: at(0),
        9990014: at(9, imo=9990014),
    }

    def load() -> list[Latest]:
        raise AssertionError("asked again")

    assert len(RedisCache(redis).all(load)) == 2


def test_redis_counts_for_all_processes(redis: Any):
    one, other = RedisLimiter(redis), RedisLimiter(redis)
    assert one.hit("a", 2).allowed
    assert other.hit("a", 2).allowed
    refused = one.hit("a", 2)
    assert not refused.allowed
    assert 1 <= refused.reset_after <= 60
    assert one.hit("b", 2).allowed


def test_two_workers_share_a_limit_and_a_position(
    app: Any, make_app: Callable[..., Any], redis_url: str, redis: Any, api_key: str
):
    workers = [make_app(REDIS_URL=redis_url, PARTNER_REQUESTS_PER_MINUTE=2) for _ in range(2)]
    headers = {"Authorization": f"Bearer {api_key}"}
    clients = [worker.test_client() for worker in workers]  # EX-20's shared limits
    post_ping(clients[0])
    codes = [client.get("/api/v1/vessels", headers=headers).status_code for client in clients * 2]
    assert codes == [200, 200, 429, 429]
    assert workers[1].extensions["harbor.services"].cache.get(IMO).lat == 51.95
    for worker in workers:
        worker.extensions["harbor.services"].cache._redis.close()


# Without Redis -------------------------------------------------------------------------------


@pytest.fixture
def nowhere() -> Iterator[Any]:
    pytest.importorskip("redis", reason="pip install -r examples/harbor/requirements-dev.txt")
    with socket.socket() as reserved:  # bound, but nobody listens
        reserved.bind(("127.0.0.1", 0))
        client = connect_redis(f"redis://127.0.0.1:{reserved.getsockname()[1]}")
        yield client
        client.close()


def test_the_database_answers_while_redis_is_away(nowhere: Any, caplog: Any):
    cache = RedisCache(nowhere)
    cache.put(at(0))
    assert cache.get(IMO) is None
    assert cache.all(lambda: [at(3)]) == {IMO: at(3)}
    assert "read from the database" in caplog.text


def test_requests_are_counted_in_the_process_while_redis_is_away(nowhere: Any):
    limiter = RedisLimiter(nowhere)
    assert [limiter.hit("a", 1).allowed for _ in range(2)] == [True, False]


def test_a_missing_redis_package_is_explained(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(RuntimeError, match="pip install redis"):
        connect_redis("redis://localhost")
