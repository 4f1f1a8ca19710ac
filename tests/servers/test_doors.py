"""The three doors on real servers: uvicorn, hypercorn, Gunicorn, daphne, and Granian.

A server that is not installed is skipped; `make servers` installs all of them.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.server, pytest.mark.slow]

APP = """\
import asyncio
from carboy import Carboy, request, session

app = Carboy(__name__)
app.secret_key = "test key"

def say(word):
    print(f"<{word}>", flush=True)

@app.before_serving
async def up():
    say("up")

@app.after_serving
def down():
    say("down")

@app.teardown_request
def torn(error):
    if request.path == "/endless":
        say("torn")

@app.get("/sync/<path:rest>")
def sync(rest):
    return {"path": request.path, "query": request.query_string.decode(), "rest": rest}

@app.get("/async/<path:rest>")
async def asynchronous(rest):
    await asyncio.sleep(0)
    return {"path": request.path, "query": request.query_string.decode(), "rest": rest}

@app.post("/length")
def length():
    return str(len(request.get_data()))

@app.get("/parts")
def parts():
    return (str(number) for number in range(3))

@app.get("/async-parts")
async def async_parts():
    async def make():
        for number in range(3):
            await asyncio.sleep(0)
            yield str(number)
    return make()

@app.get("/session")
def count():
    session["n"] = session.get("n", 0) + 1
    return str(session["n"])

@app.get("/cut")
async def cut():
    async def make():
        yield "part"
        raise ValueError("midway")
    return make()

@app.get("/endless")
async def endless():
    async def make():
        try:
            while True:
                yield "x" * 1000
                await asyncio.sleep(0.01)
        finally:
            say("closed")
    return make()
"""

GUNICORN = ["gunicorn", "--bind=127.0.0.1:{port}", "--no-control-socket", "doors_app:app"]
GRANIAN = ["granian", "--host", "127.0.0.1", "--no-ws"]
COMMANDS = {
    "uvicorn": ["uvicorn", "doors_app:app", "--port={port}"],
    "hypercorn": ["hypercorn", "asgi:doors_app:app", "--bind=127.0.0.1:{port}"],
    "gunicorn-asgi": [*GUNICORN, "--worker-class=asgi"],
    "daphne": ["daphne", "doors_app:app", "--port={port}"],
    "granian-rsgi": [*GRANIAN, "--interface=rsgi", "--port={port}", "doors_app:app"],
    "granian-asgi": [*GRANIAN, "--interface=asgi", "--port={port}", "doors_app:app"],
    "granian-wsgi": [*GRANIAN, "--interface=wsgi", "--port={port}", "doors_app:app"],
}
#: Those that end a chunked answer properly although the application has failed in the midst.
HIDES_CUTS = ("granian-rsgi", "granian-wsgi")
#: Cases that a server cannot pass; docs/compat-servers.md says why.
LIMITS = {("daphne", "a stream that fails"), ("daphne", "the end")}


class Server:
    """A server process on a port of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [part.format(port=self.port) for part in COMMANDS[name]]
        (folder / "doors_app.py").write_text(APP)
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

    def wait_until_up(self) -> None:
        for _ in range(400):
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", self.port), 0.1):
                    return
            except OSError:
                self.wait(0.05)
        pytest.fail(f"the server did not start:\n{self.log.read_text()}")

    def wait(self, seconds: float) -> None:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    def wait_for(self, word: str) -> None:
        """Until the application has said the word."""
        for _ in range(400):
            if f"<{word}>" in self.log.read_text():
                return
            self.wait(0.05)
        pytest.fail(f"the application never said {word!r}:\n{self.log.read_text()}")

    def send(self, request: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 20)
        connection.sendall(request)
        return connection

    def visit(
        self, target: str, method: str = "GET", head: str = "", body: bytes = b""
    ) -> tuple[bytes, bytes]:
        """The head and the body of an answer, as they came."""
        lines = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n"
        with self.send(lines.encode() + body) as connection:
            answer = b""
            while data := connection.recv(65536):
                answer += data
        head_of_answer, _, rest = answer.partition(b"\r\n\r\n")
        return head_of_answer, rest

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


def skip_if_limited(name: str, case: str) -> None:
    if (name, case) in LIMITS:
        pytest.skip("a limit of this server: docs/compat-servers.md")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_page(server: Server, kind: str) -> None:
    """Path and query arrive decoded, and the answer has its length."""
    head, body = server.visit(f"/{kind}/a%20b/%C3%A4?q=%20x")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == (
        b'{"path":"/%s/a b/\\u00e4","query":"q=%%20x","rest":"a b/\\u00e4"}\n' % kind.encode()
    )
    assert f"content-length: {len(body)}".encode() in head.lower()


def test_head(server: Server) -> None:
    """HEAD has the headers only."""
    head, body = server.visit("/sync/x", "HEAD")
    assert body == b""
    assert b"content-length: " in head.lower()


@pytest.mark.parametrize("size", [0, 5, 700_000])
def test_a_body(server: Server, size: int) -> None:
    """A body with a length, in memory and spooled."""
    head = f"Content-Length: {size}\r\n"
    assert server.visit("/length", "POST", head, b"x" * size)[1] == str(size).encode()


def test_a_chunked_body(server: Server) -> None:
    """A body without a length."""
    chunks = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    answer = server.visit("/length", "POST", "Transfer-Encoding: chunked\r\n", chunks)
    assert answer[1] == b"7"


@pytest.mark.parametrize("path", ["/parts", "/async-parts"])
def test_a_stream(server: Server, path: str) -> None:
    """Each part is one chunk, in order, with a proper end."""
    assert server.visit(path)[1] == b"1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n"


def test_a_session(server: Server) -> None:
    """The cookie comes back."""
    head, body = server.visit("/session")
    cookie = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"set-cookie"))
    value = cookie.partition(b": ")[2].partition(b";")[0].decode()
    assert body == b"1"
    assert server.visit("/session", head=f"Cookie: {value}\r\n")[1] == b"2"


def test_no_page(server: Server) -> None:
    """404."""
    assert server.visit("/nothing")[0].startswith(b"HTTP/1.1 404")


def test_a_stream_that_fails(server: Server, name: str) -> None:
    """A cut answer does not look complete, where the server lets the door say so."""
    skip_if_limited(name, "a stream that fails")
    body = server.visit("/cut")[1]
    assert body.startswith(b"4\r\npart\r\n")
    assert body.endswith(b"0\r\n\r\n") is (name in HIDES_CUTS)


def test_a_client_that_leaves(server: Server) -> None:
    """An endless stream is closed and torn down when its client has gone."""
    with server.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert connection.recv(2000)
    server.wait_for("closed")
    server.wait_for("torn")
    assert server.log.read_text().count("<torn>") == 1


def test_the_end(name: str, tmp_path: Path) -> None:
    """before_serving and after_serving run once, and SIGTERM ends the server."""
    skip_if_limited(name, "the end")
    server = Server(name, tmp_path)
    try:
        server.wait_until_up()
        assert server.visit("/sync/x")[0].startswith(b"HTTP/1.1 200")
        server.wait_for("up")
    finally:
        code = server.stop()
    assert code in (0, -signal.SIGTERM)
    said = server.log.read_text()
    assert (said.count("<up>"), said.count("<down>")) == (1, 1)
