"""A server that is told to stop, on which event streams are open: they end, and so does it."""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from carboy import EventChannel, EventStream

pytestmark = [pytest.mark.server, pytest.mark.slow]

APP = """\
from carboy import Carboy, EventChannel, EventStream, ServerSentEvent

app = Carboy(__name__)
channel = EventChannel()

@app.get("/events")
def events():
    subscription = channel.subscribe()
    subscription.begin_with("ready")
    return EventStream(subscription)

@app.after_serving
def down():
    print("<down>", flush=True)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Uvicorn, which would wait for its connections forever."""
    if importlib.util.find_spec("uvicorn") is None:
        pytest.skip("not installed; `make servers` installs it")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "events_app.py").write_text(APP)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "events_app:app", f"--port={port}"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process.port = port  # type: ignore[attr-defined]
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def connected(server: subprocess.Popen[bytes]) -> http.client.HTTPConnection:
    port = server.port  # type: ignore[attr-defined]
    for _ in range(400):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.connect()
        except OSError:
            assert server.poll() is None
            try:
                server.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        else:
            return connection
    pytest.fail("the server did not start")


def test_a_stop_ends_event_streams(server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """At once, and properly: a browser then connects to the next server."""
    connection = connected(server)
    connection.request("GET", "/events")
    response = connection.getresponse()
    begun = b"".join(response.readline() for _ in range(3))
    assert begun == b":\n\ndata: ready\n"
    server.send_signal(signal.SIGTERM)
    # Read to its proper end: a cut answer would raise IncompleteRead.
    assert response.read() == b"\n"
    connection.close()
    server.wait(20)
    assert "<down>" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_client_that_vanishes_from_an_idle_stream_is_noticed(app: Any, kind: str) -> None:
    """HOSTILE-222: by the next heartbeats, on a threaded WSGI server: the generator is closed."""
    from werkzeug.serving import make_server

    channel = EventChannel()
    closed = threading.Event()

    def here() -> Iterator[Any]:
        try:
            yield from channel.subscribe()
        finally:
            closed.set()

    async def there() -> AsyncIterator[Any]:
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            closed.set()

    make: Any = here if kind == "sync" else there
    app.add_url_rule("/", "view", lambda: EventStream(make(), heartbeat=0.01))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with socket.create_connection(("127.0.0.1", server.server_port), 20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            got = b""
            while got.count(b":\n\n") < 3:
                got += client.recv(4096)
        assert closed.wait(20)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
