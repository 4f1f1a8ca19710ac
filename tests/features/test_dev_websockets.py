"""WebSockets and async views on the development server."""

from __future__ import annotations

import base64
import socket
import ssl
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.server, pytest.mark.beyond]

APP = """\
import asyncio
from carboy import Carboy, websocket

app = Carboy(__name__)
app.secret_key = "of a test"

@app.get("/")
async def index():
    await asyncio.sleep(0)
    return "async"

@app.websocket("/echo/<name>")
async def echo(name):
    await websocket.accept()
    await websocket.send(f"hello {name}, {websocket.query_string.decode()}")
    try:
        async for message in websocket:
            await websocket.send(message)
    finally:
        print(f"<closed {websocket.close_code}>", flush=True)

@app.websocket("/sync")
def sync():
    for message in websocket:
        websocket.send(message.upper())
    print("<over>", flush=True)

@app.websocket("/boom")
async def boom():
    await websocket.accept()
    raise ValueError("the cause")
"""


def handshake(path: str, more: str = "") -> bytes:
    key = base64.b64encode(bytes(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    ).encode()


def open_socket(server: Any, path: str, more: str = "") -> tuple[socket.socket, bytes]:
    """The connection, and the head of the answer to the handshake."""
    connection = socket.create_connection(("127.0.0.1", server.port), 20)
    return connection, shake(connection, path, more)


def shake(connection: socket.socket, path: str, more: str = "") -> bytes:
    connection.sendall(handshake(path, more))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = connection.recv(1)
        assert data, head
        head += data
    return head


def frame(opcode: int, payload: bytes, final: bool = True) -> bytes:
    """A frame as clients send it, masked with zeros."""
    return bytes((final << 7 | opcode, 0x80 | len(payload))) + bytes(4) + payload


def read_frame(connection: socket.socket) -> tuple[int, bytes]:
    head = connection.recv(
        2, socket.MSG_WAITALL if not isinstance(connection, ssl.SSLSocket) else 0
    )
    size = head[1]
    payload = b""
    while len(payload) < size:
        payload += connection.recv(size - len(payload))
    return head[0] & 15, payload


CLOSE = frame(8, struct.pack("!H", 1000))


@pytest.mark.beyond
@pytest.mark.parametrize("options", [(), ("--debug",), ("--debug", "--no-reload")])
def test_a_websocket(start_server: Any, options: tuple[str, ...]) -> None:
    """Messages, fragments, a ping, and the close; with debugger and reloader, too."""
    server = start_server(APP, "run", "--port", "0", *options)
    connection, head = open_socket(server, "/echo/ann?a=1")
    with connection:
        assert head.startswith(b"HTTP/1.1 101")
        assert read_frame(connection) == (1, b"hello ann, a=1")
        connection.sendall(frame(1, b"one") + frame(2, b"\xff"))
        assert read_frame(connection) == (1, b"one")
        assert read_frame(connection) == (2, b"\xff")
        connection.sendall(frame(9, b"?"))
        assert read_frame(connection) == (10, b"?")
        connection.sendall(frame(1, b"in ", final=False) + frame(0, b"pieces"))
        assert read_frame(connection) == (1, b"in pieces")
        connection.sendall(CLOSE)
        assert read_frame(connection) == (8, struct.pack("!H", 1000))
        assert connection.recv(1) == b""
    server.wait_for("<closed 1000>")
    server.wait_for(r'"GET /echo/ann\?a=1 WebSocket" 101')
    assert server.get("/")[2] == b"async"


def test_a_websocket_of_a_sync_view(start_server: Any) -> None:
    """It notices that the client has gone."""
    server = start_server(APP, "run", "--port", "0")
    connection, _ = open_socket(server, "/sync")
    with connection:
        connection.sendall(frame(1, b"loud"))
        assert read_frame(connection) == (1, b"LOUD")
    server.wait_for("<over>")


@pytest.mark.parametrize("first", [b"\xf1\x80" + bytes(4), frame(1, b"\xff")])
def test_what_is_no_websocket_protocol(start_server: Any, first: bytes) -> None:
    """The client is told, and the view ends."""
    server = start_server(APP, "run", "--port", "0")
    connection, _ = open_socket(server, "/sync")
    with connection:
        connection.sendall(first)
        assert read_frame(connection)[0] == 8
        connection.sendall(CLOSE)
        assert connection.recv(1) == b""
    server.wait_for("<over>")


def test_pages_of_other_sites_are_refused(start_server: Any) -> None:
    """403, as on other servers."""
    server = start_server(APP, "run", "--port", "0")
    connection, head = open_socket(server, "/sync", "Origin: http://evil.test\r\n")
    connection.close()
    assert head.startswith(b"HTTP/1.1 403")


def test_an_error_in_a_websocket(start_server: Any) -> None:
    """1011 for the client, the traceback for the developer, the next request works."""
    server = start_server(APP, "run", "--port", "0", "--debug", "--no-reload")
    connection, _ = open_socket(server, "/boom")
    with connection:
        assert read_frame(connection)[1][:2] == struct.pack("!H", 1011)
        connection.sendall(CLOSE)
    server.wait_for("ValueError: the cause")
    assert server.get("/")[2] == b"async"


def test_an_ordinary_request_for_a_websocket(start_server: Any) -> None:
    """426 where it is none, 404 where there is none."""
    server = start_server(APP, "run", "--port", "0")
    assert server.get("/sync")[0] == 426
    connection, head = open_socket(server, "/nothing")
    connection.close()
    assert head.startswith(b"HTTP/1.1 404")


def test_wsproto_is_an_extra(start_server: Any, tmp_path: Path) -> None:
    """Without it the rest is served, and the output says what to install."""
    (tmp_path / "wsproto.py").write_text("raise ImportError\n")
    server = start_server(APP, "run", "--port", "0", PYTHONPATH=str(tmp_path))
    assert "pip install 'carboy[dev]'" in server.output
    assert server.get("/")[2] == b"async"
    connection, head = open_socket(server, "/sync")
    connection.close()
    assert head.startswith(b"HTTP/1.1 426")


def test_websockets_with_tls(start_server: Any, tmp_path: Path) -> None:
    """wss, with a certificate."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run([*command.split(), *subject], cwd=tmp_path, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("needs the openssl command to make a certificate")
    server = start_server(APP, "run", "--port", "0", "--cert", "cert.pem", "--key", "key.pem")
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    plain = socket.create_connection(("127.0.0.1", server.port), 20)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        assert shake(connection, "/sync").startswith(b"HTTP/1.1 101")
        connection.sendall(frame(1, b"secret"))
        assert read_frame(connection) == (1, b"SECRET")
        connection.sendall(CLOSE)
        assert read_frame(connection)[0] == 8
    server.wait_for("<over>")
