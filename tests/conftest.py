"""What every behaviour test shares: an application, a client, a raw WSGI call, a real server.

``CARBOY_TEST_ON_FLASK=1 pytest tests/features tests/hostile`` in an environment that has Flask
(and not Carboy) runs the same tests against Flask: what they say is Flask's behaviour is then
measured. Tests marked ``beyond`` say where Carboy does better; they are skipped there.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

ON_FLASK = os.environ.get("CARBOY_TEST_ON_FLASK") == "1"
STAND_IN = Path(__file__).parent / "on_flask"

if ON_FLASK:
    sys.path.insert(0, str(STAND_IN))

# One of these in the developer's shell would change what an application does.
_SETTINGS = ("FLASK_", "CARBOY_", "WERKZEUG_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if ON_FLASK:
        skip = pytest.mark.skip(reason="beyond what Flask does")
        # Flask leaves the spooled files of refused uploads to the collector.
        lenient = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
        for item in items:
            if item.path.parent.name == "hostile":
                item.add_marker(lenient)
            if item.get_closest_marker("beyond"):
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def _no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_SETTINGS) and name != "CARBOY_TEST_ON_FLASK":
            monkeypatch.delenv(name)


@pytest.fixture
def app(tmp_path: Path) -> Any:
    """A bare application whose templates, static files and instance folder lie in ``tmp_path``.

    Neither ``TESTING`` nor ``SECRET_KEY`` is set: a test says so where it needs them.
    """
    from carboy import Carboy

    return Carboy("test_app", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))


@pytest.fixture
def client(app: Any) -> Any:
    return app.test_client()


@dataclass
class RawReply:
    """What a WSGI server would have been given."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    environ: dict[str, Any] = field(repr=False)
    errors: str

    @property
    def code(self) -> int:
        return int(self.status.split(" ", 1)[0])

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        found = self.all(name)
        return found[0] if found else None


def call_wsgi(
    app: Any,
    path: str = "/",
    method: str = "GET",
    *,
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    remove: tuple[str, ...] = (),
    **environ: Any,
) -> RawReply:
    """One request as a WSGI server makes it, without the test client.

    *path* is the decoded path as WSGI carries it (each character one byte). *environ* overrides
    keys, *remove* deletes them. The iterable is read to its end and closed.
    """
    errors = io.StringIO()
    full: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": errors,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body:
        full["CONTENT_LENGTH"] = str(len(body))
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        full[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    full.update(environ)
    for key in remove:
        full.pop(key, None)
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started.append((status, list(fields)))
        return written.append

    iterable = app(full, start_response)
    try:
        for chunk in iterable:
            assert isinstance(chunk, bytes)
            written.append(chunk)
    finally:
        if hasattr(iterable, "close"):
            iterable.close()
    status, fields = started[-1]
    return RawReply(status, fields, b"".join(written), full, errors.getvalue())


@pytest.fixture(name="call")
def _call() -> Callable[..., RawReply]:
    """``call(app, "/path", "GET", ...)``: ``raw`` for any application."""
    return call_wsgi


@pytest.fixture
def raw(app: Any) -> Callable[..., RawReply]:
    """``raw("/path", "GET", query=..., headers=..., body=...)`` on the fixture ``app``."""

    def call(path: str = "/", method: str = "GET", **options: Any) -> RawReply:
        return call_wsgi(app, path, method, **options)

    return call


def child_environ(**extra: str) -> dict[str, str]:
    """Environment for a child process: no settings of the shell, the stand-in on Flask."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
    kept["PYTHONUNBUFFERED"] = "1"
    if ON_FLASK:
        kept["PYTHONPATH"] = str(STAND_IN)
    return kept | extra


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``run_python("script.py", "argument", NAME="value")``: a child interpreter in ``tmp_path``."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=child_environ(**env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


class ServerProcess:
    """A process that serves on loopback; its output is collected line by line."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a reloader's child ends with its parent
        )
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, timeout: float = 20) -> re.Match[str]:
        """Read output until a line matches; fail with all output when none does."""
        while True:
            try:
                line = self._queue.get(timeout=timeout)
            except queue.Empty:
                line = None
            if line is None:
                pytest.fail(f"no line matches {pattern!r} in:\n{self.output}")
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found

    def wait_until_up(self) -> ServerProcess:
        self.port = int(self.wait_for(r"Running on https?://[^\s]+:(\d+)")[1])
        return self

    def wait_until_ended(self, timeout: float = 20) -> int:
        code = self.process.wait(timeout)
        while (line := self._queue.get(timeout=timeout)) is not None:
            self.lines.append(line)
        return code

    def get(self, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One GET; ``_`` in a header's name stands for ``-``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers=named)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """``start_server(source, *arguments, wait=True, **env)`` runs a script until the test ends.

    *source* is written to ``tmp_path/app.py``. With arguments, ``python -m carboy ARGUMENTS`` is
    run beside it, else ``python app.py``. Use port 0: the real one is read from the banner.
    """
    running: list[ServerProcess] = []

    def start(source: str, *arguments: str, wait: bool = True, **env: str) -> ServerProcess:
        (tmp_path / "app.py").write_text(source)
        command = [sys.executable, *(("-m", "carboy", *arguments) if arguments else ("app.py",))]
        server = ServerProcess(command, tmp_path, child_environ(**env))
        running.append(server)
        return server.wait_until_up() if wait else server

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def within_cpu_seconds() -> Callable[[], AbstractContextManager[None]]:
    """A net for work that explodes: ``with within_cpu_seconds():`` fails instead of hanging.

    Twenty seconds of this process' processor time, a hundred times what the work should take: it
    is no measurement.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        pytest.fail("not done after 20 s of processor time")

    @contextlib.contextmanager
    def limit() -> Iterator[None]:
        before = signal.signal(signal.SIGPROF, stop)
        signal.setitimer(signal.ITIMER_PROF, 20)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)

    return limit


@dataclass
class Peak:
    bytes: int = 0


@pytest.fixture
def peak_memory() -> Callable[[], AbstractContextManager[Peak]]:
    """``with peak_memory() as peak:`` then ``peak.bytes``: the most that Python held inside."""

    @contextlib.contextmanager
    def measure() -> Iterator[Peak]:
        peak = Peak()
        tracemalloc.start()
        try:
            yield peak
            peak.bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure
