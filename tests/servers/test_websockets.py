"""WebSockets on real servers: uvicorn, hypercorn, and Granian with both async interfaces.

The cases follow the chapters of the Autobahn test suite, as far as an application has a part in
them: framing, pings, fragmentation, UTF-8, limits, the closing handshake and its codes. A server
that is not installed is skipped; `make servers` installs all of them.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

websockets = pytest.importorskip("websockets.sync.client", reason="`make servers` installs it")
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import ClientConnection  # noqa: E402

pytestmark = [pytest.mark.server, pytest.mark.slow]

APP = """\
import asyncio
from carboy import Carboy, session, websocket

app = Carboy(__name__)
app.secret_key = "test key"
app.config["WEBSOCKET_DISCONNECT_GRACE"] = 0

def say(word):
    print(f"<{word}>", flush=True)

@app.teardown_request
def torn(error):
    say("torn" + websocket.path)

@app.websocket("/async", max_message_size=None)
async def asynchronous():
    async for message in websocket:
        await websocket.send(message)
    say(f"over {websocket.close_code}")

@app.websocket("/sync", max_message_size=None)
def synchronous():
    for message in websocket:
        websocket.send(message)
    say(f"over {websocket.close_code}")

@app.websocket("/facts")
async def facts():
    session["n"] = session.get("n", 0) + 1
    await websocket.accept(headers={"X-Own": "1"})
    await websocket.send_json([websocket.url, session["n"], websocket.headers["X-Sent"]])

@app.websocket("/chat")
async def chat():
    await websocket.accept("chat")
    await websocket.receive()

@app.websocket("/close/<int:code>")
async def close(code):
    await websocket.accept()
    await websocket.close(code, "because")

@app.websocket("/refused")
async def refused():
    return "no", 402

@app.websocket("/small", max_message_size=1000)
async def small():
    async for message in websocket:
        await websocket.send(message)

@app.websocket("/fails")
async def fails():
    await websocket.accept()
    raise ValueError("lost")

@app.websocket("/waits")
async def waits():
    await websocket.accept()
    say("waits")
    try:
        await asyncio.Event().wait()
    finally:
        say("cancelled")

@app.websocket("/flood")
async def flood():
    say("floods")
    while True:
        await websocket.send("x" * 100_000)

@app.get("/page")
def page():
    return "page"
"""

GRANIAN = ["granian", "--host", "127.0.0.1"]
COMMANDS = {
    "uvicorn": ["uvicorn", "ws_app:app", "--port={port}"],
    "hypercorn": ["hypercorn", "asgi:ws_app:app", "--bind=127.0.0.1:{port}"],
    "granian-asgi": [*GRANIAN, "--interface=asgi", "--port={port}", "ws_app:app"],
    "granian-rsgi": [*GRANIAN, "--interface=rsgi", "--port={port}", "ws_app:app"],
}
#: RSGI carries neither headers nor a subprotocol in the handshake, and no code in a close; Granian
#: leaves the headers out over ASGI, too.
NO_CODES = ("granian-rsgi",)
NO_HEADERS = ("granian-asgi", "granian-rsgi")
#: It tells the application of no code that a client closes with.
ALWAYS_1006 = ("hypercorn",)
#: They end at SIGTERM before the application hears of it.
ENDS_FIRST = ("granian-asgi", "granian-rsgi")

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Server:
    """A server process on a port of its own."""

    def __init__(self, name: str, folder: Path, source: str = APP) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [part.format(port=self.port) for part in COMMANDS[name]]
        (folder / "ws_app.py").write_text(source)
        self.name = name
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def until(self, good: Callable[[], bool], what: str) -> None:
        for _ in range(400):
            if good():
                return
            try:
                self.process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                pass
        pytest.fail(f"{what}:\n{self.log.read_text()}")

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.1).close()
        except OSError:
            return False
        return True

    def wait_until_up(self) -> None:
        self.until(self._answers, "the server did not start")

    def count(self, word: str) -> int:
        return self.log.read_text().count(f"<{word}>")

    def wait_for(self, word: str, more_than: int = 0) -> None:
        """Until the application has said the word, once more than before."""
        self.until(lambda: self.count(word) > more_than, f"it never said {word!r}")

    def connect(self, path: str, **options: Any) -> ClientConnection:
        options = {"compression": None, "max_size": None, "open_timeout": 20} | options
        return websockets.connect(f"ws://127.0.0.1:{self.port}{path}", **options)

    def refusal(self, path: str, **options: Any) -> int:
        with pytest.raises(InvalidStatus) as caught, self.connect(path, **options):
            pass
        return int(caught.value.response.status_code)

    def code(self, code: int) -> int:
        return 1005 if self.name in NO_CODES else code

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait(10)


class Wire:
    """A client that makes its frames by hand, also wrong ones."""

    def __init__(self, port: int, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "\r\n".encode()
        )
        self.file = self.socket.makefile("rb")
        assert b" 101 " in self.file.readline()
        while self.file.readline().strip():
            pass

    def send(
        self, code: int, data: bytes, fin: bool = True, mask: bool = True, rsv: int = 0
    ) -> None:
        head = bytes([(fin << 7) | rsv | code])
        bit = 0x80 if mask else 0
        if len(data) < 126:
            head += bytes([bit | len(data)])
        elif len(data) < 65_536:
            head += bytes([bit | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", len(data))
        # A mask of zeros leaves the data as they are.
        self.socket.sendall(head + (b"\0\0\0\0" if mask else b"") + data)

    def receive(self) -> tuple[int, bytes]:
        """The code and the data of the next message or control frame; -1 when the line has ended."""
        whole = b""
        code = 0
        while True:
            try:
                head = self.file.read(2)
            except ConnectionError:
                return -1, b""
            if len(head) < 2:
                return -1, b""
            length = head[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self.file.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.file.read(8))
            whole += self.file.read(length)
            code = code or head[0] & 0x0F
            if head[0] & 0x80:
                return code, whole

    def closed_with(self) -> int:
        """The code of the close that comes next, after whatever else; 1006 without one."""
        while True:
            code, data = self.receive()
            if code == -1:
                return 1006
            if code == CLOSE:
                return int(struct.unpack(">H", data[:2])[0]) if data else 1005

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc: object) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture(scope="module", params=COMMANDS)
def name(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if importlib.util.find_spec(name.partition("-")[0]) is None:
        pytest.skip("not installed; `make servers` installs it")
    return name


@pytest.fixture(scope="module")
def server(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(name, tmp_path_factory.mktemp(name))
    try:
        server.wait_until_up()
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["async", "sync"])
def echo(request: pytest.FixtureRequest) -> str:
    return f"/{request.param}"


class TestMessages:
    """Chapters 1, 5, 6 and 9: framing, fragmentation, UTF-8, sizes."""

    @pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65_535, 65_536, 1_000_000])
    @pytest.mark.parametrize("kind", ["text", "binary"])
    def test_any_size_comes_back(self, server: Server, echo: str, kind: str, size: int) -> None:
        message: str | bytes = "*" * size if kind == "text" else b"\xfe" * size
        with server.connect(echo) as ws:
            ws.send(message)
            assert ws.recv(20) == message

    def test_a_message_of_12_megabytes(self, server: Server) -> None:
        with server.connect("/async") as ws:
            ws.send("x" * 12_000_000)
            assert len(ws.recv(20)) == 12_000_000

    @pytest.mark.parametrize("text", ["Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\U0010ffff", "\0", "🎉"])
    def test_text_comes_back(self, server: Server, echo: str, text: str) -> None:
        with server.connect(echo) as ws:
            ws.send(text)
            assert ws.recv(20) == text

    def test_fragments_are_one_message(self, server: Server, echo: str) -> None:
        with server.connect(echo) as ws:
            ws.send(["fr", "", "ag", "ments"])
            assert ws.recv(20) == "fragments"
            ws.send([b"\x00", b"\xff"])
            assert ws.recv(20) == b"\x00\xff"

    def test_a_character_may_be_cut_between_fragments(self, server: Server) -> None:
        with Wire(server.port, "/async") as wire:
            wire.send(TEXT, b"\xce", fin=False)
            wire.send(0, b"\xba")
            assert wire.receive() == (TEXT, "κ".encode())

    def test_a_ping_between_fragments_is_answered(self, server: Server) -> None:
        with Wire(server.port, "/async") as wire:
            wire.send(TEXT, b"one ", fin=False)
            wire.send(PING, b"are you there?")
            wire.send(0, b"message")
            answers = {wire.receive(), wire.receive()}
            assert answers == {(PONG, b"are you there?"), (TEXT, b"one message")}

    def test_a_thousand_messages_in_order(self, server: Server, echo: str) -> None:
        with server.connect(echo) as ws:

            def push() -> None:
                for number in range(1000):
                    ws.send(str(number))

            sender = threading.Thread(target=push)
            sender.start()
            assert [ws.recv(20) for _ in range(1000)] == [str(n) for n in range(1000)]
            sender.join()


class TestPings:
    """Chapter 2."""

    @pytest.mark.parametrize("data", [b"", b"payload", b"\x00\xff" * 62])
    def test_a_ping_is_answered(self, server: Server, data: bytes) -> None:
        with server.connect("/async") as ws:
            assert ws.ping(data).wait(20)

    def test_an_unasked_pong_is_passed_over(self, server: Server) -> None:
        with Wire(server.port, "/async") as wire:
            wire.send(PONG, b"nobody asked")
            wire.send(TEXT, b"x")
            assert wire.receive() == (TEXT, b"x")


class TestViolations:
    """Chapters 3, 4, 6 and 7: what breaks the protocol ends the conversation, and the view."""

    @pytest.mark.parametrize(
        "frame",
        [
            {"code": TEXT, "data": b"\xce\xba\xff\xfe"},  # no UTF-8
            {"code": TEXT, "data": b"\xed\xa0\x80"},  # a surrogate
            {"code": TEXT, "data": b"x", "rsv": 0x40},  # compressed, which was not agreed on
            {"code": 3, "data": b"x"},  # a reserved opcode
            {"code": 11, "data": b"x"},
            {"code": PING, "data": b"x" * 126},  # a control frame is short
            {"code": PING, "data": b"x", "fin": False},  # and whole
            {"code": 0, "data": b"x"},  # goes on with nothing
            {"code": TEXT, "data": b"x", "mask": False},  # clients mask
            {"code": CLOSE, "data": b"\x03"},  # half a code
            {"code": CLOSE, "data": struct.pack(">H", 1005)},  # may not be sent
        ],
        ids=str,
    )
    def test_a_bad_frame(self, server: Server, frame: dict[str, Any]) -> None:
        """HOSTILE-221."""
        before = server.count("torn/async")
        with Wire(server.port, "/async") as wire:
            wire.send(**frame)
            assert wire.closed_with() in (1002, 1005, 1006, 1007)
        server.wait_for("torn/async", before)

    def test_a_server_that_sees_one_serves_on(self, server: Server) -> None:
        with server.connect("/async") as ws:
            ws.send("x")
            assert ws.recv(20) == "x"


class TestClosing:
    """Chapter 7."""

    @pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 3000, 4999])
    def test_the_view_closes(self, server: Server, code: int) -> None:
        with server.connect(f"/close/{code}") as ws:
            with pytest.raises(ConnectionClosed) as caught:
                ws.recv(20)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == server.code(code)
            assert caught.value.rcvd.reason == ("" if server.name in NO_CODES else "because")

    @pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
    def test_the_client_closes(self, server: Server, echo: str, code: int) -> None:
        heard = 1006 if server.name in ALWAYS_1006 else server.code(code)
        word = f"over {heard}"
        before = server.count(word)
        with server.connect(echo) as ws:
            ws.send("x")
            ws.recv(20)
            ws.close(code, "because")
        server.wait_for(word, before)

    def test_the_client_closes_with_nothing_to_say(self, server: Server) -> None:
        before = server.count("torn/async")
        with Wire(server.port, "/async") as wire:
            wire.send(CLOSE, b"")
            assert wire.closed_with() in (1000, 1005)
        server.wait_for("torn/async", before)

    def test_the_client_vanishes(self, server: Server, echo: str) -> None:
        before = server.count(f"torn{echo}")
        with Wire(server.port, echo) as wire:
            wire.send(TEXT, b"x")
            wire.receive()
        server.wait_for(f"torn{echo}", before)

    def test_the_client_vanishes_in_the_midst_of_a_message(self, server: Server) -> None:
        """HOSTILE-221."""
        before = server.count("torn/async")
        with Wire(server.port, "/async") as wire:
            wire.send(TEXT, b"x", fin=False)
        server.wait_for("torn/async", before)

    def test_a_view_that_waits_for_something_else_is_cancelled(self, server: Server) -> None:
        before = server.count("cancelled")
        with server.connect("/waits"):
            server.wait_for("waits", before)
        server.wait_for("cancelled", before)
        server.wait_for("torn/waits", before)

    def test_a_client_that_does_not_read_stops_the_view_alone(self, server: Server) -> None:
        before = server.count("torn/flood")
        with Wire(server.port, "/flood"):
            server.wait_for("floods", before)
            with server.connect("/async") as ws:
                ws.send("x")
                assert ws.recv(20) == "x"
        server.wait_for("torn/flood", before)

    def test_an_exception(self, server: Server) -> None:
        with server.connect("/fails") as ws:
            with pytest.raises(ConnectionClosed) as caught:
                ws.recv(20)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == server.code(1011)

    @pytest.mark.parametrize("fragments", [1, 11])
    def test_a_message_over_the_limit(self, server: Server, fragments: int) -> None:
        """HOSTILE-221."""
        with server.connect("/small") as ws:
            ws.send("x" * 1000)
            assert ws.recv(20) == "x" * 1000
            ws.send(["x" * (1100 // fragments)] * fragments)
            with pytest.raises(ConnectionClosed) as caught:
                ws.recv(20)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == server.code(1009)


class TestHandshake:
    def test_headers_and_session(self, server: Server) -> None:
        with server.connect("/facts?a=%20b", additional_headers={"X-Sent": "2"}) as ws:
            url = f"ws://127.0.0.1:{server.port}/facts?a=%20b"
            assert json.loads(ws.recv(20)) == [url, 1, "2"]
            assert ws.response is not None
            headers = ws.response.headers
            if server.name not in NO_HEADERS:
                assert headers["X-Own"] == "1"
                assert re.match(r"session=.+; HttpOnly", headers["Set-Cookie"])

    def test_a_subprotocol(self, server: Server) -> None:
        with server.connect("/chat", subprotocols=["other", "chat"]) as ws:
            assert ws.subprotocol == (None if server.name in NO_CODES else "chat")

    def test_refusals(self, server: Server) -> None:
        """HOSTILE-162."""
        assert server.refusal("/nothing") == 404
        assert server.refusal("/refused") == 402
        assert server.refusal("/page") == 400
        assert server.refusal("/async", origin="http://evil.example") == 403

    def test_the_own_site_is_let_in(self, server: Server) -> None:
        with server.connect("/async", origin=f"http://127.0.0.1:{server.port}") as ws:
            ws.send("x")
            assert ws.recv(20) == "x"

    def test_a_request_for_a_websocket(self, server: Server) -> None:
        with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
            connection.sendall(
                b"GET /async HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            answer = b""
            while data := connection.recv(65_536):
                answer += data
        assert answer.startswith(b"HTTP/1.1 426")
        assert b"\r\nupgrade: websocket\r\n" in answer.lower()

    def test_two_hundred_at_once(self, server: Server) -> None:
        open_ones = [Wire(server.port, "/async") for _ in range(200)]
        for number, wire in enumerate(open_ones):
            wire.send(TEXT, str(number).encode())
        for number, wire in enumerate(open_ones):
            with wire:
                assert wire.receive() == (TEXT, str(number).encode())


SOCKET_APP = """\
from carboy import Carboy, request
from simple_websocket import ConnectionClosed, Server

app = Carboy(__name__)

@app.route("/echo", websocket=True)
def echo():
    ws = Server(request.environ)
    try:
        while True:
            ws.send(ws.receive())
    except ConnectionClosed:
        return ""
"""
SOCKET_COMMANDS = {
    "gunicorn": ["gunicorn", "-k", "gthread", "-b", "127.0.0.1:{port}", "ws_app:app"],
    "carboy": ["carboy", "--app", "ws_app", "run", "--port", "{port}"],
}


@pytest.mark.parametrize("server_name", SOCKET_COMMANDS)
def test_simple_websocket_on_servers_that_give_a_socket(
    server_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Flask-Sock and Flask-SocketIO are built on."""
    pytest.importorskip("simple_websocket")
    pytest.importorskip(server_name)
    monkeypatch.setitem(COMMANDS, server_name, SOCKET_COMMANDS[server_name])
    server = Server(server_name, tmp_path, SOCKET_APP)
    try:
        server.wait_until_up()
        with server.connect("/echo") as ws:
            ws.send("hello")
            assert ws.recv(20) == "hello"
    finally:
        server.stop()


def test_the_end(name: str, tmp_path: Path) -> None:
    """At SIGTERM clients are told, views end, and each is torn down."""
    server = Server(name, tmp_path)
    try:
        server.wait_until_up()
        with server.connect("/async") as one, server.connect("/sync") as two:
            for ws in (one, two):
                ws.send("x")
                assert ws.recv(20) == "x"
            server.process.send_signal(signal.SIGTERM)
            for ws in (one, two):
                with pytest.raises(ConnectionClosed) as caught:
                    ws.recv(20)
                told = caught.value.rcvd
                assert name in ENDS_FIRST or (told is not None and told.code in (1001, 1012))
    finally:
        server.stop()
    assert server.count("torn/async") == 1
    assert server.count("torn/sync") <= 1
