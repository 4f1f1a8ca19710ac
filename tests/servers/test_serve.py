"""`carboy serve`: what it refuses, what it notices, how it stops. On real Granian."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.server, pytest.mark.beyond]

if importlib.util.find_spec("granian") is None:
    pytest.skip("granian is not installed; `make setup` installs it", allow_module_level=True)

APP = """\
import asyncio, os, threading
from carboy import Carboy, request, websocket

app = Carboy(__name__)

def say(word):
    print(f"<{word}>", flush=True)

@app.after_serving
def down():
    say("down")

@app.get("/")
def index():
    return "hello"

@app.get("/pid")
def pid():
    return str(os.getpid())

@app.get("/async")
async def asynchronous():
    return "hello"

@app.get("/headers")
def headers():
    return dict(request.headers)

@app.post("/length")
def length():
    data = request.get_data()
    say(f"body of {len(data)}")
    return str(len(data))

@app.get("/block")
def block():
    say("blocked")
    while not os.path.exists("go"):
        threading.Event().wait(0.02)
    return "released"

@app.get("/wait")
async def wait():
    say("waiting")
    while not os.path.exists("go"):
        await asyncio.sleep(0.02)
    return "released"

@app.get("/health")
def health():
    return {"status": "well"}

@app.get("/stream/<int:parts>")
async def stream(parts):
    async def make():
        try:
            for _ in range(parts):
                yield b"x" * 10_000
                await asyncio.sleep(0)
        finally:
            say("closed")
    return make()

@app.get("/failing")
async def failing():
    async def make():
        yield "part"
        raise ValueError("midway")
    return make()

@app.get("/endless")
async def endless():
    async def make():
        try:
            while True:
                yield "x"
                await asyncio.sleep(0.05)
        finally:
            say("closed")
    return make()
"""

Serve = Callable[..., Any]


def connect(server: Any, data: bytes, buffer: int | None = None) -> socket.socket:
    connection = socket.socket()
    connection.settimeout(20)
    if buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(data)
    return connection


def read(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    answer = b""
    while data := connection.recv(65536):
        answer += data
    return answer


def asking(path: str, head: str = "", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode("latin-1")


def ask(server: Any, data: bytes) -> bytes:
    with connect(server, data) as connection:
        return read(connection)


CLOSE = "Connection: close\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"


# -- requests that are cut, slow or malformed ------------------------------------------------------


def test_the_start_lines_say_what_and_why(serve: Serve) -> None:
    """The interface and its reason, the kinds of routes, the address."""
    server = serve()
    assert server.get("/")[2] == b"hello"
    assert re.search(r"Serving 'app' with Granian \d", server.output)
    assert re.search(r"Interface ASGI: .*cut requests.*; routes: \d+ sync, \d async", server.output)


def test_a_cut_body_never_reaches_a_view(serve: Serve) -> None:
    """With a length and chunked, by a client that has gone and by one that still listens: 400.

    HOSTILE-57, KNOWN-granian-cut-chunks.
    """
    server = serve()
    for head, body in (
        ("Content-Length: 100\r\n", b"half"),
        (CHUNKED, b"4\r\nhalf\r\n"),
        (CHUNKED, b"4\r\nhalf\r\nzz\r\n"),
    ):
        request = asking("/length", head, "POST") + body
        connect(server, request).close()
        with connect(server, request) as connection:
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(12) == b"HTTP/1.1 400"
    assert ask(server, asking("/length", CLOSE + "Content-Length: 3\r\n", "POST") + b"abc")
    server.wait_for("<body of")
    assert re.findall("<body of .*>", server.output) == ["<body of 3>"]


def test_a_failed_stream_does_not_look_complete(serve: Serve) -> None:
    """The last chunk is missing."""
    body = ask(serve(), asking("/failing", CLOSE)).partition(b"\r\n\r\n")[2]
    assert body == b"4\r\npart\r\n"


def test_a_slow_body_is_a_408(serve: Serve) -> None:
    """HOSTILE-217: the next piece has to come in time."""
    server = serve("--timeout", "1")
    answer = ask(server, asking("/length", "Content-Length: 100\r\n", "POST") + b"half")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer


def test_a_reader_that_stops_is_given_up(serve: Serve) -> None:
    """A stream is closed when its client does not read for too long."""
    server = serve("--timeout", "1")
    with connect(server, asking("/stream/5000"), 4096):
        server.wait_for("<closed>")


def test_slow_clients_do_not_starve_others(serve: Serve) -> None:
    """Half heads, half bodies and streams that nobody reads, on one worker with two threads.

    HOSTILE-216, HOSTILE-217.
    """
    server = serve("--threads", "2")
    slow = [connect(server, b"GET / HTTP/1.1\r\nHost: loc") for _ in range(100)]
    half = asking("/length", "Content-Length: 1000000\r\n", "POST") + b"abc"
    slow += [connect(server, half) for _ in range(64)]
    slow += [connect(server, asking("/stream/500"), 4096) for _ in range(48)]
    for _ in range(16):
        assert server.get("/")[0] == 200
        assert server.get("/async")[0] == 200
    for connection in slow:
        connection.close()


def test_streams_that_nobody_reads_take_little_memory(serve: Serve) -> None:
    """HOSTILE-218: 48 of 20 MB each: they wait, and are not kept."""
    server = serve()
    worker = int(server.get("/pid")[2])

    def memory() -> int:
        status = Path(f"/proc/{worker}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])

    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    before = memory()
    readers = [connect(server, asking("/stream/2000"), 4096) for _ in range(48)]
    for reader in readers:
        assert reader.recv(15) == b"HTTP/1.1 200 OK"
    for _ in range(50):
        assert server.get("/async")[0] == 200
    assert memory() - before < 100_000
    for reader in readers:
        reader.close()


@pytest.mark.parametrize(
    "head",
    [b"", b"Host: a\r\nHost: b\r\n", b"Host: a b\r\n"],
    ids=["none", "two", "malformed"],
)
def test_a_request_has_one_host(serve: Serve, head: bytes) -> None:
    """HOSTILE-36, CVE-2026-34525: RFC 9112 section 3.2: else 400."""
    answer = ask(serve(), b"GET /headers HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")


def test_headers_arrive_as_they_were_sent(serve: Serve) -> None:
    """HOSTILE-40: octets that are not ASCII; an underscore does not pass for a hyphen."""
    head = CLOSE + "X-Name: \xe4\r\nX-Auth-User: real\r\nX_Auth_User: forged\r\n"
    answer = ask(serve(), asking("/headers", head))
    headers = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert headers["X-Name"] == "\xe4"
    assert headers["X-Auth-User"] == "real"


# -- health ----------------------------------------------------------------------------------------


def test_health_is_answered_while_all_threads_are_busy(serve: Serve, tmp_path: Path) -> None:
    """By the application's own view."""
    server = serve("--threads", "1", "--health", "/health")
    with connect(server, asking("/block", CLOSE)) as blocked:
        server.wait_for("<blocked>")
        for _ in range(3):
            status, headers, body = server.get("/health")
            assert (status, json.loads(body)) == (200, {"status": "well"})
            assert headers["Content-Type"] == "application/json"
        (tmp_path / "go").touch()
        assert read(blocked).endswith(b"released")


def test_health_without_a_view_of_its_own(serve: Serve) -> None:
    """The server answers; other paths are the application's."""
    server = serve("--health", "/alive")
    assert server.get("/alive")[2] == b"ok\n"
    assert server.get("/health")[2] == b'{"status":"well"}\n'
    assert ask(server, asking("/alive", CLOSE, "HEAD")).endswith(b"\r\n\r\n")


# -- the end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/block", "/wait"], ids=["sync", "async"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_requests_in_flight_are_finished(
    serve: Serve, tmp_path: Path, path: str, number: signal.Signals
) -> None:
    """HOSTILE-211: the server accepts no more, answers what has begun, and ends with 0."""
    server = serve()
    with connect(server, asking(path)) as connection, connect(server, asking("/")) as idle:
        server.wait_for("<(blocked|waiting)>")
        assert idle.recv(15) == b"HTTP/1.1 200 OK"
        os.killpg(server.process.pid, number)
        server.wait_for("Stopping worker")
        assert read(idle)  # the rest, and then its end
        (tmp_path / "go").touch()
        assert read(connection).endswith(b"released")
    assert server.wait_until_ended() == 0
    assert server.output.count("<down>") == 1


def test_endless_answers_are_cut_after_the_graceful_time(serve: Serve) -> None:
    """What does not end by itself is closed, and after_serving runs; 0."""
    server = serve("--graceful-timeout", "1")
    with connect(server, asking("/endless")) as connection:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        server.process.send_signal(signal.SIGTERM)
        assert not read(connection).endswith(b"0\r\n\r\n")
    assert server.wait_until_ended() == 0
    assert server.output.count("<closed>") == 1
    assert server.output.count("<down>") == 1


EVENTS = """\
import asyncio
from carboy import Carboy
from carboy.sse import EventStream

app = Carboy(__name__)

async def events():
    yield "first"
    await asyncio.Event().wait()

@app.get("/events")
async def stream():
    return EventStream(events())

def sync_events():
    yield "first"
    while True:
        __import__("time").sleep(0.05)
        yield "more"

@app.get("/sync-events")
def sync_stream():
    return EventStream(sync_events())
"""


@pytest.mark.parametrize("path", ["/events", "/sync-events"])
def test_event_streams_end_at_once(serve: Serve, path: str) -> None:
    """They are told, and end like a stream that is complete."""
    server = serve("--graceful-timeout", "600", source=EVENTS)
    with connect(server, asking(path)) as connection:
        answer = connection.recv(65536)
        while b"first" not in answer:
            answer += connection.recv(65536)
        server.process.send_signal(signal.SIGTERM)
        assert read(connection).endswith(b"0\r\n\r\n")
    assert server.wait_until_ended() == 0


ECHO = """\
from carboy import Carboy, websocket
app = Carboy(__name__)

@app.websocket("/echo")
async def echo():
    async for message in websocket:
        await websocket.send(message)

@app.websocket("/sync")
def sync():
    for message in websocket:
        websocket.send(message)
"""


def open_websocket(server: Any, path: str) -> socket.socket:
    key = base64.b64encode(bytes(16)).decode()
    head = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
    connection = connect(server, asking(path, head + "Sec-WebSocket-Version: 13\r\n"))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return connection


def frame(opcode: int, payload: bytes) -> bytes:
    """A frame as clients send it, masked with zeros."""
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


@pytest.mark.parametrize("path", ["/echo", "/sync"])
def test_websockets_are_told_that_the_server_goes(serve: Serve, path: str) -> None:
    """A close frame with 1001."""
    server = serve("--graceful-timeout", "600", source=ECHO)
    with open_websocket(server, path) as connection:
        connection.sendall(frame(1, b"hello"))
        assert connection.recv(7) == b"\x81\x05hello"
        server.process.send_signal(signal.SIGTERM)
        assert connection.recv(2)[0] == 0x88
        assert struct.unpack("!H", connection.recv(2)) == (1001,)
        connection.sendall(frame(8, struct.pack("!H", 1001)))
        read(connection)
    assert server.wait_until_ended() == 0


def test_a_second_signal_forces_the_end(serve: Serve) -> None:
    """Also with a request that would take for ever; not 0."""
    server = serve("--graceful-timeout", "600")
    with connect(server, asking("/block")):
        server.wait_for("<blocked>")
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("Stopping worker")
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_until_ended() == 1


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_dead_worker_is_replaced(serve: Serve) -> None:
    """HOSTILE-213: again and again, where Granian gives up at the second time."""
    server = serve()
    seen = set()
    for _ in range(3):
        worker = int(server.get("/pid")[2])
        seen.add(worker)
        os.kill(worker, signal.SIGKILL)
        server.wait_for("Started worker-1")
    assert server.get("/")[0] == 200
    assert len(seen) == 3


def test_workers_end_with_their_parent(serve: Serve) -> None:
    """Nobody serves on unwatched."""
    server = serve(workers=2)
    server.process.kill()
    # The output is at its end when the last process that has it is.
    assert server.wait_until_ended() == -signal.SIGKILL
    assert server.output.count("<down>") == 2


# -- what is not served ----------------------------------------------------------------------------


def test_an_application_that_fails_to_load(ends: Any) -> None:
    """Its traceback, once, and 1."""
    code, output = ends("import carboy\n1 / 0\n")
    assert code == 1
    assert output.count("ZeroDivisionError") == 1
    assert "worker" not in output


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\n", "Failed to find attribute 'app'"),
        ("import nowhere\n", "No module named 'nowhere'"),
        ("raise SystemExit(3)\n", "exit code 3"),
    ],
    ids=["no application", "no module", "exit"],
)
def test_no_application(ends: Any, source: str, words: str) -> None:
    """What is wrong, and 1."""
    code, output = ends(source)
    assert (code, words in output) == (1, True), output


KEYED = """\
from carboy import Carboy, session
app = Carboy(__name__)
app.secret_key = {key!r}

@app.get("/")
def index():
    {body}
    return "x"
"""


@pytest.mark.parametrize(
    ("key", "body", "words"),
    [
        ("dev", "pass", "one that tutorials and templates print"),
        ("aQ4x", "pass", "has 4 characters"),
        ("correct horse battery staple", "pass", "made of words"),
        (None, "session['n'] = 1", "no secret key is set"),
    ],
    ids=["known", "short", "weak", "missing"],
)
def test_a_weak_key_is_not_served(ends: Any, key: str, body: str, words: str) -> None:
    """HOSTILE-141: it says why, how to make one, and not the key."""
    code, output = ends(KEYED.format(key=key, body=body))
    assert code == 1
    assert words in output
    assert "carboy secret" in output


def test_an_old_weak_key_is_not_served(ends: Any) -> None:
    """It is accepted as well as the new one."""
    source = APP + f"app.secret_key = {'0f9ac3' * 4 + os.urandom(24).hex()!r}\n"
    code, output = ends(source + "app.config['SECRET_KEY_FALLBACKS'] = ['dev']\n")
    assert (code, "SECRET_KEY_FALLBACKS" in output) == (1, True)


def test_no_key_is_needed_without_sessions(serve: Serve) -> None:
    """The application above has none."""
    assert serve().get("/")[0] == 200


@pytest.mark.parametrize(
    ("options", "env", "words"),
    [
        ([], {"CARBOY_DEBUG": "1"}, "Debug mode was refused"),
        (["--debug"], {}, "Debug mode was refused"),
        (["--debug", "--reload"], {"APP_ENV": "production"}, "APP_ENV=production"),
        (["--debug", "--reload", "--host", "0.0.0.0"], {}, "this machine only"),
    ],
    ids=["environment", "option", "production", "strangers"],
)
def test_debug_mode_is_refused(ends: Any, options: Any, env: Any, words: str) -> None:
    """Outside of `--reload` on this machine."""
    code, output = ends(APP, *options, **env)
    assert (code, words in output) == (2, True), output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--health", "health"], "begins with a slash"),
        (["--health", "/h", "--interface", "wsgi"], "--health needs the interface ASGI"),
        (["--access-format", "%(nothing)s"], "%(nothing)s is no field"),
        (["--access-format", "100%"], "a percent is %%"),
        (["--unix-mode", "9"], "octal"),
        (["--host", "256.0.0.1"], "is no address"),
        (["--host", "192.0.2.1"], "Nothing can listen on http://192.0.2.1:0"),
    ],
)
def test_options_that_are_wrong(ends: Any, options: list[str], words: str) -> None:
    """Each is told what it lacks."""
    code, output = ends(APP, *options)
    assert code in (1, 2)
    assert words in output


def test_granian_is_an_extra(ends: Any, tmp_path: Path) -> None:
    """Without it, what to install."""
    (tmp_path / "granian.py").write_text("raise ImportError\n")
    code, output = ends(APP, PYTHONPATH=str(tmp_path))
    assert code == 1
    assert "pip install 'carboy[serve]'" in output


@pytest.mark.parametrize(("interface", "gap"), [("wsgi", "X_Auth_User"), ("rsgi", "not ASCII")])
def test_the_other_interfaces_say_what_they_lack(serve: Serve, interface: str, gap: str) -> None:
    """They serve, end gracefully, and warn."""
    server = serve("--interface", interface)
    assert server.get("/")[2] == b"hello"
    assert gap in server.output
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_until_ended() == 0


@pytest.mark.parametrize("interface", ["wsgi", "rsgi"])
def test_the_gaps_are_still_there(serve: Serve, interface: str) -> None:
    """Why ASGI is chosen: docs/serve.md has the table. A Granian that mends one fails here."""
    server = serve("--interface", interface)
    answer = ask(server, asking("/length", CLOSE + CHUNKED, "POST") + b"4\r\nhalf\r\nzz\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    server.wait_for("<body of 4>")
    assert ask(server, asking("/failing", CLOSE)).endswith(b"part\r\n0\r\n\r\n")
    head = CLOSE + "X-Name: \xe4\r\nX-Auth-User: real\r\nX_Auth_User: forged\r\n"
    headers = json.loads(ask(server, asking("/headers", head)).partition(b"\r\n\r\n")[2])
    assert headers.get("X-Name", "") == ""
    assert headers["X-Auth-User"] == ("forged" if interface == "wsgi" else "real")


def test_a_half_closed_client_is_not_answered(serve: Serve) -> None:
    """What Granian does over any interface; a Granian that answers fails here."""
    server = serve()
    with connect(server, asking("/wait")) as connection:
        server.wait_for("<waiting>")
        connection.shutdown(socket.SHUT_WR)
        assert read(connection) == b""


# -- addresses -------------------------------------------------------------------------------------


def test_options_come_from_the_environment(start_server: Any) -> None:
    """CARBOY_SERVE_*, and PORT as platforms set it."""
    env = {"CARBOY_SERVE_WORKERS": "1", "CARBOY_SERVE_THREADS": "3", "PORT": "0"}
    server = start_server(APP, "--app", "app", "serve", **env)
    server.wait_for("Started worker-1")
    assert "Workers: 1, each with 3 threads" in server.output
    assert server.get("/")[2] == b"hello"


def test_a_unix_socket(start_server: Any, tmp_path: Path) -> None:
    """With its mode bits, gone afterwards."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    options = ["--unix", str(path), "--unix-mode", "600", "--workers", "2"]
    server = start_server(APP, "serve", "app:app", *options, wait=False)
    server.wait_for("Started worker-")
    server.wait_for("Started worker-")
    assert path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(asking("/", CLOSE))
        assert read(connection).endswith(b"hello")
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_until_ended() == 0
    assert not path.exists()


# -- logs ------------------------------------------------------------------------------------------


def test_the_access_log_cannot_be_forged(serve: Serve) -> None:
    """One line a request, with the request's id; what clients send is spelt out.

    HOSTILE-3, CVE-2020-7694, CVE-2025-48432.
    """
    server = serve("--access-log")
    head = CLOSE + 'X-Request-ID: id"\x85 1\r\n'
    ask(server, asking("/%0A127.0.0.1%20-%22%1b", head))
    line = server.wait_for(r"GET")[0] and server.lines[-1]
    assert '"GET /\\n127.0.0.1 -\\"\\x1b HTTP/1.1" 404' in line
    assert line.endswith('ms id\\"\\x85 1')


def test_the_access_log_has_websockets(serve: Serve) -> None:
    """When they are over: 101, what was sent; 403 where they were refused."""
    server = serve("--access-log", source=ECHO)
    with open_websocket(server, "/echo") as connection:
        connection.sendall(frame(1, b"hello"))
        assert connection.recv(7) == b"\x81\x05hello"
        connection.sendall(frame(8, struct.pack("!H", 1000)))
        read(connection)
    server.wait_for('"GET /echo HTTP/1.1" 101 5 ')
    key = base64.b64encode(bytes(16)).decode()
    head = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
    head += "Sec-WebSocket-Version: 13\r\nOrigin: http://evil.test\r\n"
    with connect(server, asking("/echo", head)) as connection:
        assert connection.recv(12) == b"HTTP/1.1 403"
    server.wait_for('"GET /echo HTTP/1.1" 403 ')


def test_the_access_log_has_a_format(serve: Serve) -> None:
    """Headers of the request and of the answer, the query, the size."""
    form = "<%(method)s %(query)s %(size)s %(in:X-One)s %(out:content-type)s %(in:none)s>"
    server = serve("--access-log", "--access-format", form)
    ask(server, asking("/?a=%20", CLOSE + "X-One: 1\r\n"))
    assert server.wait_for("<GET.*>")[0] == "<GET a=%20 5 1 text/html; charset=utf-8 ->"


def test_the_log_is_configured(serve: Serve, tmp_path: Path) -> None:
    """A formatter of one's own, for the access log."""
    config = {"formatters": {"access": {"format": "mine: %(message)s"}}}
    (tmp_path / "log.json").write_text(json.dumps(config))
    server = serve("--access-log", "--log-config", "log.json")
    server.get("/")
    assert server.wait_for("mine: .*GET /")


# -- reloading -------------------------------------------------------------------------------------


def test_sighup_brings_in_new_code(serve: Serve, tmp_path: Path) -> None:
    """Not what fails to load: then the workers stay."""
    server = serve()
    before = server.get("/pid")[2]
    (tmp_path / "app.py").write_text("1 / 0\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("Not reloaded", timeout=60)
    assert server.get("/pid")[2] == before
    (tmp_path / "app.py").write_text(APP.replace("hello", "welcome"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("Stopped old worker-1", timeout=60)
    assert server.get("/")[2] == b"welcome"


def test_reload_for_development(serve: Serve, tmp_path: Path) -> None:
    """A weak key is only a warning, debug mode is allowed, and changes are seen."""
    pytest.importorskip("watchfiles")
    source = APP + "app.secret_key = 'dev'\n"
    server = serve("--reload", "--debug", source=source)
    assert server.get("/")[2] == b"hello"
    assert "WARNING: the key is one that tutorials" in server.output
    (tmp_path / "app.py").write_text(source.replace("hello", "welcome"))
    server.wait_for("Changes detected")
    server.wait_for("Started worker-1")
    assert server.get("/")[2] == b"welcome"


@pytest.fixture(autouse=True)
def _no_port_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("PORT", raising=False)
    yield
