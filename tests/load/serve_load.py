"""`carboy serve` under load, signals and slow clients: `make serve-load`.

Prints a table in Markdown; with `--write` it replaces the one in docs/serve.md. What is counted as
lost: a request that the application has carried out, and whose answer never came.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import contextlib
import datetime
import importlib.metadata
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "serve.md"
BEGIN, END = "<!-- load: written by make serve-load -->", "<!-- end of load -->"

APP = """\
import asyncio, os, time
from carboy import Carboy, request, websocket
from carboy.sse import EventStream

app = Carboy(__name__)
done = os.open("done", os.O_CREAT | os.O_APPEND | os.O_WRONLY)

@app.get("/pid")
def pid():
    return str(os.getpid())

@app.get("/sync/<name>")
def sync(name):
    time.sleep(0.005)
    os.write(done, name.encode() + b"\\n")
    return name

@app.get("/async/<name>")
async def asynchronous(name):
    await asyncio.sleep(0.005)
    os.write(done, name.encode() + b"\\n")
    return name

@app.post("/body")
def body():
    return str(len(request.get_data()))

@app.get("/stream")
async def stream():
    async def make():
        for _ in range(500):
            yield bytes(10_000)
    return make()

@app.get("/file")
def file():
    from carboy import send_file
    return send_file(os.path.abspath("large"))

async def silence():
    await asyncio.Event().wait()
    yield ""

@app.get("/events")
async def events():
    return EventStream(silence())

@app.websocket("/socket")
async def socket():
    async for message in websocket:
        await websocket.send(message)
"""


class Server:
    """`carboy serve`, in a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        (folder / "load_app.py").write_text(APP)
        with (folder / "large").open("wb") as large:
            large.truncate(5_000_000)
        (folder / "done").unlink(missing_ok=True)
        self.folder = folder
        self.log = folder / "log"
        command = [sys.executable, "-m", "carboy", "serve", "load_app:app", "--port", "0"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.port = 0
        # Also when the run fails.
        atexit.register(self.kill)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def up(self) -> Server:
        while not (found := re.search(r"Running on http://.*:(\d+)", self.log.read_text())):
            if self.process.poll() is not None:
                sys.exit(f"the server did not start:\n{self.log.read_text()}")
            await asyncio.sleep(0.05)
        self.port = int(found[1])
        await self.get("/pid")
        return self

    async def get(self, path: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(_request(path))
            return await _answer(reader)
        finally:
            writer.close()

    async def stop(self, signalled: bool = False) -> int:
        if not signalled and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self.process.wait, 60)
        finally:
            self.kill()
            atexit.unregister(self.kill)

    def memory(self) -> int:
        """Bytes of all its processes, what they share counted once."""
        total = 0
        for pid in _children(self.process.pid):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *(child for one in map(int, text.split()) for child in _children(one))]


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    size = re.search(rb"content-length: (\d+)", head)
    body = await reader.readexactly(int(size[1]) if size else 0)
    if not head.startswith(b"HTTP/1.1 200"):
        raise ValueError(head)
    return body


# -- signals ---------------------------------------------------------------------------------------


class Clients:
    """Clients on kept connections that ask on and on, each name once."""

    def __init__(self, server: Server, clients: int, requests: int) -> None:
        self.server = server
        self.names = iter(range(requests))
        self.clients = clients
        self.answered: set[str] = set()
        self.count: Counter[str] = Counter()
        self.ending = False
        self.writers: list[asyncio.StreamWriter] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.clients):
                group.create_task(self._client())
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.sleep(0.1)  # transports close in the loop's next turns

    async def _client(self) -> None:
        writer = None
        for number in self.names:
            name = f"{number}"
            path = f"/{'async' if number % 2 else 'sync'}/{name}"
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
                    self.writers.append(writer)
            except OSError:
                self.count["not connected"] += 1
                if self.ending:
                    return
                continue
            try:
                writer.write(_request(path))
                assert await _answer(reader) == name.encode()
                self.answered.add(name)
                self.count["answered"] += 1
            except (OSError, asyncio.IncompleteReadError):
                self.count["closed before an answer"] += 1
                writer.close()
                writer = None
            except ValueError:
                self.count["refused"] += 1

    def outcome(self) -> str:
        done = (self.server.folder / "done").read_text().split()
        lost = len(set(done) - self.answered)
        twice = len(done) - len(set(done))
        false = len(self.answered - set(done))
        rest = ", ".join(
            f"{self.count[key]} {key}" for key in sorted(self.count) if key != "answered"
        )
        return (
            f"{self.count['answered']:,} answered, **{lost} lost**, {twice} done twice,"
            f" {false} answered but not done" + (f"; {rest}" if rest else "")
        )


async def under(name: str, folder: Path, requests: int) -> tuple[str, str]:
    """The outcome of a run during which something happens to the server."""
    server = await Server(folder, "--workers", "2").up()
    clients = Clients(server, 32, requests)
    running = asyncio.create_task(clients.run())

    async def reached(share: float) -> None:
        while sum(clients.count.values()) < requests * share and not running.done():  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    if name == "SIGTERM":
        await reached(0.5)
        clients.ending = True
        server.process.send_signal(signal.SIGTERM)
    elif name == "SIGHUP":
        for share in (0.2, 0.6):
            await reached(share)
            server.process.send_signal(signal.SIGHUP)
    elif name == "SIGKILL of a worker":
        for share in (0.2, 0.4, 0.6, 0.8):
            await reached(share)
            os.kill(_children(server.process.pid)[1], signal.SIGKILL)
    await running
    code = await server.stop(signalled=clients.ending)
    return f"{requests:,} requests, 32 clients: {name}", f"{clients.outcome()}; exit code {code}"


# -- slow clients ----------------------------------------------------------------------------------


async def slow(folder: Path, number: int, request: bytes, what: str) -> tuple[str, str]:
    """How others fare while clients are slow, and what that takes."""
    server = await Server(folder, "--workers", "1", "--threads", "8").up()
    before = server.memory()
    writers = []
    for _ in range(number):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(request)
        await writer.drain()
        writer.transport.pause_reading()
        writers.append(writer)
    await asyncio.sleep(1)
    begun, answered = time.perf_counter(), 0
    for turn in range(200):
        async with asyncio.timeout(5):
            answered += bool(await server.get(f"/sync/{turn}"))
    took = (time.perf_counter() - begun) / 200
    grown = (server.memory() - before) / 1e6
    for writer in writers:
        writer.transport.abort()
    await server.stop()
    return (
        f"{number} {what}",
        f"{answered} of 200 others answered, {took * 1000:.1f} ms each; memory {grown:+.0f} MB",
    )


# -- idle connections ------------------------------------------------------------------------------


async def idle(folder: Path, kind: str, number: int) -> tuple[str, str]:
    """What an idle connection takes."""
    server = await Server(folder, "--workers", "1").up()
    for _ in range(20):
        await server.get("/async/x")
    before = server.memory()
    writers = []
    for _ in range(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        if kind == "event streams":
            writer.write(_request("/events"))
            status = b"200"
        else:
            key = base64.b64encode(bytes(16)).decode()
            writer.write(
                f"GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection:"
                f" Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            status = b"101"
        assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == status
        writers.append((reader, writer))
    await asyncio.sleep(1)
    each = (server.memory() - before) / number / 1000
    begun = time.perf_counter()
    await server.get("/async/y")
    answer = (time.perf_counter() - begun) * 1000
    begun = time.perf_counter()
    code = await server.stop()
    took = time.perf_counter() - begun
    ended = 0
    for reader, writer in writers:
        last = await reader.read()
        ended += last.endswith(b"0\r\n\r\n") or last[2:4] == b"\x03\xe9"
        writer.transport.abort()
    await asyncio.sleep(0.1)
    return (
        f"{number:,} idle {kind}, one worker",
        f"{each:.1f} kB each; another request takes {answer:.1f} ms; SIGTERM: {ended:,} told,"
        f" exit code {code} after {took:.1f} s",
    )


# -- the page --------------------------------------------------------------------------------------


async def main(arguments: list[str]) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    small = "--small" in arguments
    requests, many = (1_000, 100) if small else (10_000, 1_000)
    rows = []
    half = b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nabc"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = [
            *(
                lambda signal=signal: under(signal, folder, requests)
                for signal in ("nothing happens", "SIGTERM", "SIGHUP", "SIGKILL of a worker")
            ),
            lambda: slow(folder, 100, b"GET / HTTP/1.1\r\nHost: local", "slow heads"),
            lambda: slow(folder, 64, half, "slow bodies"),
            lambda: slow(folder, 48, _request("/stream"), "slow readers of a stream of 5 MB"),
            lambda: slow(folder, 48, _request("/file"), "slow readers of a file of 5 MB"),
            lambda: idle(folder, "event streams", many),
            lambda: idle(folder, "WebSockets", many),
        ]
        for job in jobs:
            row = await job()
            print(f"{row[0]}: {row[1]}", flush=True)
            rows.append(row)
    if "--write" in arguments:
        write(rows)


def write(rows: list[tuple[str, str]]) -> None:
    when = datetime.datetime.now(datetime.UTC).date().isoformat()
    version = importlib.metadata.version("granian")
    where = f"CPython {platform.python_version()}, Granian {version}, {os.cpu_count()} processors"
    table = "\n".join(f"| {what} | {found} |" for what, found in rows)
    text = f"{BEGIN}\n{when}: {where}.\n\n| what | found |\n|---|---|\n{table}\n{END}"
    page = PAGE.read_text()
    PAGE.write_text(page[: page.index(BEGIN)] + text + page[page.index(END) + len(END) :])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
