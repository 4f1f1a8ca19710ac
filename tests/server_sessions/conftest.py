"""Each store, on this machine: memory, files, SQLite, and a Redis of the tests' own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from carboy.server_sessions import store_from


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running_redis(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a Redis that holds nothing else. Skips where none is installed."""
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    redis = pytest.importorskip("redis")
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    address = f"redis://127.0.0.1:{port}/0"
    with redis.Redis.from_url(address, retry=redis.retry.Retry(_backoff(), 100)) as client:
        client.ping()
    try:
        yield address, server
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis for all tests."""
    with running_redis(tmp_path_factory.mktemp("redis")) as (address, _):
        yield address


def _backoff() -> Any:
    from redis.backoff import ConstantBackoff

    return ConstantBackoff(0.1)


@pytest.fixture(params=["memory", "file", "sqlite", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What ``SESSION_STORE`` says, for each store."""
    if request.param == "redis":
        found: str = request.getfixturevalue("redis_server")
        return found
    places = {
        "memory": "memory:",
        "file": f"file://{tmp_path}/sessions",
        "sqlite": f"sqlite:///{tmp_path}/sessions.db",
    }
    return places[request.param]


@pytest.fixture
def store(address: str) -> Iterator[Any]:
    made = store_from(address)
    yield made
    engine = getattr(made, "_engine", None)
    if engine is not None:
        engine.dispose()
    client = getattr(made, "_client", None)
    if client is not None:
        client.close()
