"""What clients do to `carboy serve` and `carboy run`: leaving, stalling, flooding, smuggling."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .wire import HIDDEN, HOST

pytestmark = [pytest.mark.server, pytest.mark.beyond]

SERVE = pytest.mark.skipif(
    importlib.util.find_spec("granian") is None,
    reason="Granian is not installed: pip install 'carboy[serve]'",
)
NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")

APPLICATION = """
import os, threading
from carboy import Carboy, request, websocket

app = Carboy(__name__)
app.config["CSRF_PROTECT"] = False
ran = []

@app.route("/", methods=["GET", "POST"])
def index():
    return "hello"

@app.post("/body")
def body():
    return str(len(request.get_data()))

@app.get("/pid")
def pid():
    return str(os.getpid())

@app.get("/block")
def block():
    print("<blocked>", flush=True)
    while not os.path.exists("go"):
        threading.Event().wait(0.02)
    return "released"

@app.get("/stream")
async def stream():
    async def make():
        for _ in range(500):
            yield b"x" * 10_000
    return make()

@app.get("/hidden/<int:number>")
def hidden(number):
    ran.append(number)
    return "HIDDEN"

@app.get("/seen")
def seen():
    return {"ran": ran}

@app.websocket("/echo")
async def echo():
    async for message in websocket:
        await websocket.send(str(len(message)))

if __name__ == "__main__":
    app.run(port=0)
"""

Start = Callable[..., Any]


@pytest.fixture
def serve(start_server: Any) -> Start:
    """``serve(*options)``: the application above on `carboy serve`, one worker."""

    def start(*options: str) -> Any:
        server = start_server(
            APPLICATION, "serve", "app:app", "--port", "0", "--workers", "1", *options
        )
        server.wait_for("Started worker-")
        return server

    return start


def connect(port: int, data: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(data)
    return connection


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read(connection: socket.socket) -> bytes:
    """All until the end, however the server closes."""
    answer = b""
    try:
        while data := connection.recv(65_536):
            answer += data
    except ConnectionResetError:
        pass
    return answer


def asking(path: str, fields: bytes = b"", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\n".encode() + HOST + fields + b"\r\n"


def memory(pid: int) -> int:
    """Bytes of a process that are in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@SERVE
@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: wi",
        pytest.param(
            b"", marks=pytest.mark.xfail(strict=True, reason="Granian waits for the first octet")
        ),
    ],
    ids=["request line", "field", "nothing"],
)
def test_a_head_that_never_ends_is_given_up(serve: Start, begun: bytes) -> None:
    """HOSTILE-216, KNOWN-granian-no-head-timeout: the connection is closed, no view is called."""
    server = serve("--timeout", "1")
    with connect(server.port, begun) as connection:
        connection.settimeout(20 if begun else 4)
        answer = read(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")


@SERVE
@NEEDS_PROC
def test_clients_that_leave_take_nothing_with_them(serve: Start) -> None:
    """HOSTILE-214, CVE-2022-31015: FIN and RST, before, in and after a request.

    The worker is still the same, has no descriptor more, and serves others meanwhile.
    """
    server = serve()
    worker = int(server.get("/pid")[2])
    descriptors = Path(f"/proc/{worker}/fd")
    server.get("/stream")
    before = len(list(descriptors.iterdir()))
    beginnings = [
        b"",
        b"GET / HT",
        asking("/"),
        asking("/stream"),
        asking("/body", b"Content-Length: 100000\r\n", "POST") + b"half",
        asking("/body", b"Transfer-Encoding: chunked\r\n", "POST") + b"4\r\nhalf\r\n",
    ]
    for begun in beginnings:
        connections = [connect(server.port, begun) for _ in range(40)]
        for number, connection in enumerate(connections):
            connection.close() if number % 2 else reset(connection)
        assert server.get("/")[2] == b"hello"
    for _ in range(500):
        if len(list(descriptors.iterdir())) <= before + 2:
            break
        assert int(server.get("/pid")[2]) == worker
    assert len(list(descriptors.iterdir())) <= before + 2


@SERVE
@NEEDS_PROC
def test_pipelined_requests_are_not_collected(serve: Start, tmp_path: Path) -> None:
    """GHSA-4fvr-rgm6-gqmc: while one is answered, those behind it stay with their client."""
    server = serve()
    worker = int(server.get("/pid")[2])
    with connect(server.port, asking("/block")) as connection:
        server.wait_for("<blocked>")
        before = memory(worker)
        connection.settimeout(1)
        request = asking("/", b"X-A: " + b"a" * 8000 + b"\r\n")
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 128_000_000:
                sent += connection.send(request * 100)
        assert memory(worker) - before < 16_000_000
        (tmp_path / "go").touch()
        connection.settimeout(20)
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def h2_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113 section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


@SERVE
@NEEDS_PROC
def test_streams_that_are_opened_and_reset_end_their_connection(serve: Start) -> None:
    """CVE-2023-44487: by HTTP/2, thirty thousand of them; others are served."""
    server = serve()
    worker = int(server.get("/pid")[2])
    before = memory(worker)
    # GET http://wire/ by the static table of RFC 7541, and the word for "I do not want it".
    head = b"\x82\x86\x84\x41\x04wire"
    with connect(
        server.port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0, b"")
    ) as client:
        # A single one is served: what follows is refused for its number alone.
        client.sendall(h2_frame(1, 5, 1, head))
        answer = b""
        while b"hello" not in answer:
            answer += client.recv(65_536)
        for first in range(3, 60_003, 600):
            burst = b"".join(
                h2_frame(1, 5, stream, head) + h2_frame(3, 0, stream, bytes((0, 0, 0, 8)))
                for stream in range(first, first + 600, 2)
            )
            try:
                client.sendall(burst)
            except OSError:
                break
        read(client)  # to its end; a connection that stays is a TimeoutError
    assert server.get("/")[2] == b"hello"
    assert memory(worker) - before < 32_000_000


HANDSHAKE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
)


def open_websocket(port: int) -> tuple[socket.socket, bytes]:
    """A WebSocket whose client can compress, and the head of the answer."""
    connection = connect(port, asking("/echo", HANDSHAKE))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return connection, head


@SERVE
def test_compressed_messages_are_not_agreed_on(serve: Start) -> None:
    """CVE-2018-1000518, HOSTILE-221: so a bomb is a frame that breaks the protocol."""
    connection, head = open_websocket(serve().port)
    with connection:
        assert b"permessage-deflate" not in head.lower()
        connection.sendall(b"\xc1\x81" + bytes(4) + b"x")
        answer = read(connection)
    assert b"\x811" not in answer  # the view was told of no message


@SERVE
@NEEDS_PROC
@pytest.mark.parametrize("size", [0, 1])
def test_small_fragments_without_end_take_no_memory(serve: Start, size: int) -> None:
    """CVE-2026-48779, HOSTILE-221: a million of them; beyond the limit the server closes."""
    server = serve()
    worker = int(server.get("/pid")[2])
    connection, _ = open_websocket(server.port)
    before = memory(worker)
    with connection:
        connection.sendall(b"\x01\x81" + bytes(4) + b"x")
        fragment = bytes((0, 0x80 | size)) + bytes(4) + b"x" * size
        try:
            for _ in range(1200):
                connection.sendall(fragment * 1000)
        except OSError:
            pass  # it has closed
        assert server.get("/")[2] == b"hello"
        assert memory(worker) - before < 32_000_000


def test_an_unread_body_is_no_request_on_the_development_server(start_server: Any) -> None:
    """CVE-2022-29361, HOSTILE-94: nor what follows a wrong length."""
    server = start_server(APPLICATION, "run", "--port", "0")
    length = b"Content-Length: %d\r\nConnection: keep-alive\r\n" % len(HIDDEN)
    kept = b"Connection: keep-alive\r\n"
    for sent in (
        asking("/", length, "POST") + HIDDEN,
        asking("/", length) + HIDDEN,
        asking("/none", length, "POST") + HIDDEN,
        asking("/seen", length, "POST") + HIDDEN,
        asking("/", kept + b"Content-Length: -1\r\n", "POST") + HIDDEN,
        asking("/", kept + b"Content-Length: 0x10\r\n", "POST") + HIDDEN,
        asking("/", kept + b"Transfer-Encoding: chunked\r\n" + length, "POST")
        + b"0\r\n\r\n"
        + HIDDEN,
        asking("/", kept + b"Transfer-Encoding: xchunked\r\n", "POST") + HIDDEN,
    ):
        with connect(server.port, sent) as connection:
            connection.shutdown(socket.SHUT_WR)
            assert b"HIDDEN" not in read(connection)
    assert json.loads(server.get("/seen")[2]) == {"ran": []}
