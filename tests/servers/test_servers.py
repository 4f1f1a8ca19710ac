"""One application under each WSGI server: pages, forms, uploads, streams, sessions, files, errors.

A server that is not installed is skipped; `make compat-servers` installs all of them, and sets
`CARBOY_SERVERS=all`, with which a missing one fails; and `CARBOY_MOD_WSGI`, the path of
mod_wsgi-express, where there is an Apache to compile it for.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import importlib.util
import json
import os
import pwd
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SITE = Path(__file__).parent / "site"
PYTHON = [sys.executable, "-m"]
GUNICORN = [*PYTHON, "gunicorn", "--bind=127.0.0.1:0", "--workers=1", "--log-level=info"]
UWSGI = str(Path(sys.executable).with_name("uwsgi"))
MOD_WSGI = os.environ.get("CARBOY_MOD_WSGI", "")
ALL_WANTED = os.environ.get("CARBOY_SERVERS") == "all"
#: Apache will not serve as root; as another user it stays that user.
WEB_USER = "www-data" if os.geteuid() == 0 else None

#: Name -> the command, and the module that has to be installed for it. `{port}` is a free port,
#: `{scratch}` the folder that is the server's own.
COMMANDS: dict[str, tuple[list[str], str]] = {
    "werkzeug": ([*PYTHON, "carboy", "--app=app", "run", "--port=0"], "werkzeug"),
    "gunicorn-sync": ([*GUNICORN, "--worker-class=sync", "app:app"], "gunicorn"),
    "gunicorn-gthread": (
        [*GUNICORN, "--worker-class=gthread", "--threads=4", "app:app"],
        "gunicorn",
    ),
    "gunicorn-gevent": ([*GUNICORN, "--worker-class=gevent", "app:app"], "gevent"),
    "waitress": (
        # ProxyFix decides what of a proxy's headers counts; Waitress would drop them.
        [*PYTHON, "waitress", "--listen=127.0.0.1:0", "--no-clear-untrusted-proxy-headers"]
        + ["app:app"],
        "waitress",
    ),
    "uwsgi": (
        [UWSGI, "--http-socket=127.0.0.1:0", "--module=app:app", "--master", "--die-on-term"]
        + ["--enable-threads", "--need-app", "--buffer-size=16384"]
        + ["--hook-master-start=print:the master listens to signals"],
        "pyuwsgi",
    ),
    "mod_wsgi": (
        [MOD_WSGI, "start-server", "--application-type=module", "--callable-object=app"]
        + ["--host=127.0.0.1", "--port={port}", "--server-root={scratch}/apache"]
        + ["--log-to-terminal", "--startup-log", "--locale=C.UTF-8"]
        + ([f"--user={WEB_USER}", f"--group={WEB_USER}"] if WEB_USER else [])
        + ["app"],
        "mod_wsgi",
    ),
}
STARTED = re.compile(
    r"(?:Running on|Listening at:|Serving on|Server URL +:) http://127\.0\.0\.1:(\d+)"
    r"|bound to TCP address 127\.0\.0\.1:(\d+)"
)
#: These name the port before they load the application; the line that says they have.
LOADED = {UWSGI: "(the master listens to signals)", MOD_WSGI: "(resuming normal operations)"}
GRACEFUL = ("gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent")

pytestmark = [pytest.mark.server, pytest.mark.slow]


def need(module: str) -> None:
    if module == "mod_wsgi":
        if not MOD_WSGI:
            pytest.skip(
                "mod_wsgi is not installed; `apt-get install apache2 apache2-dev python3-dev gcc`"
                " and `make compat-servers` install it"
            )
        return
    if importlib.util.find_spec(module) is None:
        if ALL_WANTED:
            pytest.fail(f"{module} is not installed, and all servers are wanted")
        pytest.skip(f"{module} is not installed; make compat-servers installs it")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def libraries_of(python: Path) -> str:
    """Where its libpython is; Apache could find that of another Python of the same version."""
    ask = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    return subprocess.check_output([python, "-c", ask], text=True, timeout=30).strip()


class Server:
    """A server process; `port` is what it chose."""

    def __init__(self, command: list[str], scratch: Path, **env: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLASK_", "CARBOY_"))}
        kept |= {"PYTHONUNBUFFERED": "1", "SITE_SCRATCH": str(scratch), **env}
        if command[0] == UWSGI:
            kept["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        if command[0] == MOD_WSGI:
            kept["LD_LIBRARY_PATH"] = libraries_of(Path(MOD_WSGI).with_name("python"))
        self.scratch = scratch
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [part.format(port=free_port(), scratch=scratch) for part in command],
            cwd=scratch / "site",
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(self._wait_for(STARTED))
        if command[0] in LOADED:
            self._wait_for(re.compile(LOADED[command[0]]))

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._queue.put(line)
        self._queue.put(None)

    def _wait_for(self, pattern: re.Pattern[str]) -> str:
        while True:
            try:
                line = self._queue.get(timeout=30)
            except queue.Empty:
                line = None
            if line is None:
                self.stop()
                pytest.fail("the server did not start:\n" + "".join(self.lines))
            if found := pattern.search(line):
                return next(filter(None, found.groups()))

    @contextlib.contextmanager
    def connect(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            yield connection
        finally:
            connection.close()

    def ask(
        self, path: str, method: str = "GET", body: bytes = b"", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request; `_` in a header's name stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with self.connect() as connection:
            connection.request(method, path, body or None, named)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A server's folder with the site in it; pytest's own no other user may enter."""
    with tempfile.TemporaryDirectory(prefix="carboy-site-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)
        fill(scratch)
        if WEB_USER in {entry.pw_name for entry in pwd.getpwall()}:
            for path in (scratch, *scratch.rglob("*")):
                shutil.chown(path, WEB_USER)
        yield scratch


def fill(scratch: Path) -> None:
    shutil.copytree(SITE, scratch / "site", ignore=shutil.ignore_patterns("__pycache__"))
    (scratch / "static").mkdir()
    (scratch / "static" / "file.txt").write_text("0123456789")
    (scratch / "big.bin").write_bytes(os.urandom(1 << 20) * 4)


@pytest.fixture(scope="module", params=COMMANDS)
def server(request: Any) -> Iterator[Server]:
    """Each server in turn, running for all tests of this file."""
    command, module = COMMANDS[request.param]
    need(module)
    with own_folder() as scratch:
        running = Server(command, scratch)
        yield running
        running.stop()


Start = Callable[..., Server]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start("waitress")`: a server of a test's own."""
    rest = contextlib.ExitStack()

    def begin(name: str, application: str = "app", **env: str) -> Server:
        command, module = COMMANDS[name]
        need(module)
        other = {"app:app": f"{application}:app", "--app=app": f"--app={application}"}
        other["--module=app:app"] = f"--module={application}:app"
        other["app"] = application
        scratch = rest.enter_context(own_folder())
        server = Server([other.get(part, part) for part in command], scratch, **env)
        rest.callback(server.stop)
        return server

    with rest:
        yield begin


# -- pages --------------------------------------------------------------------------------------


def test_a_page_has_its_length_and_type(server: Server) -> None:
    status, headers, body = server.ask("/")
    assert (status, body) == (200, b"front page")
    assert headers["Content-Length"] == "10"
    assert headers["Content-Type"] == "text/html; charset=utf-8"


def test_head_has_the_headers_and_no_body(server: Server) -> None:
    status, headers, body = server.ask("/", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "10", b"")


def test_paths_and_queries_are_unicode(server: Server) -> None:
    _, _, body = server.ask("/hello/Z%C3%BCrich?q=%E2%82%AC")
    assert body.decode() == "Grüezi Zürich €"


def test_options_and_wrong_methods(server: Server) -> None:
    status, headers, _ = server.ask("/form", "OPTIONS")
    assert status == 200 and set(headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert server.ask("/form")[0] == 405


def test_a_connection_serves_several_requests(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(3):
            connection.request("GET", "/")
            try:
                answer = connection.getresponse()
            except ConnectionError:
                # A server may close after any response; clients then ask again (RFC 9112 §9.3.1).
                connection.close()
                connection.request("GET", "/")
                answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"front page")


def test_requests_at_once_are_all_answered(server: Server) -> None:
    answers: list[Any] = []

    def visit(number: int) -> None:
        answers.append(server.ask(f"/hello/{number}")[2].decode().strip())

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == sorted(f"Grüezi {number}" for number in range(8))


# -- bodies -------------------------------------------------------------------------------------


def test_a_form(server: Server) -> None:
    kind = "application/x-www-form-urlencoded"
    _, _, body = server.ask("/form", "POST", b"a=1&a=2&b=%C3%BC", Content_Type=kind)
    assert json.loads(body) == {"a": ["1", "2"], "b": ["ü"]}


def test_an_upload_of_two_megabytes(server: Server) -> None:
    data = bytes(range(256)) * 8192
    head = '--edge\r\nContent-Disposition: form-data; name="file"; filename="a b.bin"\r\n\r\n'
    body = head.encode() + data + b"\r\n--edge--\r\n"
    kind = "multipart/form-data; boundary=edge"
    status, _, answer = server.ask("/upload", "POST", body, Content_Type=kind)
    wanted = {"name": "a b.bin", "size": len(data), "hash": hashlib.sha256(data).hexdigest()}
    assert (status, json.loads(answer)) == (200, wanted)


def test_a_raw_body_comes_back(server: Server) -> None:
    data = bytes(range(256)) * 100
    assert server.ask("/echo", "POST", data)[2] == data
    assert server.ask("/echo", "POST", b"", Content_Length="0")[2] == b""


# -- streams ------------------------------------------------------------------------------------


def test_a_stream_comes_whole_with_the_request_at_hand(server: Server) -> None:
    status, headers, body = server.ask("/stream?q=three")
    assert (status, body) == (200, b"part 0 of three\npart 1 of three\npart 2 of three\n")
    assert headers["Content-Length"] is None


def test_a_stream_ends_when_the_client_goes_away(server: Server) -> None:
    (server.scratch / "closed").unlink(missing_ok=True)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1000)
    for _ in range(2000):
        if json.loads(server.ask("/closed")[2])["closed"]:
            return
    pytest.fail("the stream's generator was not closed")


# -- sessions, files, errors --------------------------------------------------------------------


def test_a_session_goes_on_with_its_cookie(server: Server) -> None:
    _, headers, body = server.ask("/count")
    assert json.loads(body) == {"count": 1}
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert json.loads(server.ask("/count", Cookie=cookie)[2]) == {"count": 2}


def test_a_static_file_its_range_and_its_etag(server: Server) -> None:
    status, headers, body = server.ask("/static/file.txt")
    assert (status, body) == (200, b"0123456789")
    assert server.ask("/static/file.txt", If_None_Match=headers["ETag"])[0::2] == (304, b"")
    status, headers, body = server.ask("/static/file.txt", Range="bytes=2-4")
    assert (status, headers["Content-Range"], body) == (206, "bytes 2-4/10", b"234")
    assert server.ask("/static/none.txt")[0] == 404


def test_a_big_file_is_sent_whole(server: Server) -> None:
    _, headers, body = server.ask("/download")
    assert headers["Content-Length"] == str(4 << 20)
    assert body == (server.scratch / "big.bin").read_bytes()


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/crash", 500), ("/forbidden", 403)]
)
def test_errors_are_pages_and_the_server_goes_on(server: Server, path: str, status: int) -> None:
    found, headers, body = server.ask(path)
    assert found == status and b"on purpose" not in body
    assert headers["Content-Type"].startswith("text/html")
    assert server.ask("/")[0] == 200


def test_the_server_tells_the_client_s_address_and_scheme(server: Server) -> None:
    where = json.loads(server.ask("/where")[2])
    host = f"127.0.0.1:{server.port}"
    assert where == {
        "remote_addr": "127.0.0.1",
        "scheme": "http",
        "host": host,
        "root": "",
        "url": f"http://{host}/where",
    }


# -- stopping, and a proxy in front -------------------------------------------------------------


@pytest.mark.parametrize("name", GRACEFUL)
def test_a_stop_lets_the_running_request_finish(start: Start, name: str) -> None:
    server = start(name)
    answers: list[Any] = []
    visit = threading.Thread(target=lambda: answers.append(server.ask("/slow")))
    visit.start()
    watch = threading.Event()
    while not (server.scratch / "slow-began").exists():
        assert visit.is_alive(), answers
        watch.wait(0.01)
    server.process.send_signal(signal.SIGTERM)
    (server.scratch / "go-on").touch()
    visit.join(30)
    assert answers[0][0::2] == (200, b"finished")
    assert server.process.wait(30) == 0


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in GRACEFUL])
def test_an_idle_server_stops_at_a_signal(start: Start, name: str) -> None:
    server = start(name)
    assert server.ask("/")[0] == 200
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unmodified_flask_application_with_the_one_line(start: Start, name: str) -> None:
    server = start(name, application="wsgi")
    assert json.loads(server.ask("/")[2]) == {"core": "carboy.app", "name": "wsgi"}


NGINX = """
{user} daemon off; pid {here}/nginx.pid; error_log {here}/error.log;
events {{ }}
http {{
  access_log off; client_body_temp_path {here}/b; proxy_temp_path {here}/p;
  fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
  server {{
    listen 127.0.0.1:{port};
    location /prefix/ {{
      proxy_pass http://127.0.0.1:{behind}/;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For 203.0.113.7;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-Host shop.example;
      proxy_set_header X-Forwarded-Prefix /prefix;
    }}
  }}
}}
"""


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[[int], int]]:
    """`nginx(behind)` puts nginx before the port `behind` and gives its own."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    here = tmp_path / "nginx"
    here.mkdir()
    running: list[subprocess.Popen[bytes]] = []

    def begin(behind: int) -> int:
        port = free_port()
        # Its workers write large bodies into the folder, which is this user's.
        user = "user root;" if os.geteuid() == 0 else ""
        places = {"here": here, "port": port, "behind": behind, "user": user}
        (here / "nginx.conf").write_text(NGINX.format(**places))
        running.append(subprocess.Popen([program, "-p", str(here), "-c", str(here / "nginx.conf")]))
        watch = threading.Event()
        for _ in range(1000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return port
            watch.wait(0.01)
        pytest.fail((here / "error.log").read_text())

    yield begin
    for process in running:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("name", ["werkzeug", "gunicorn-gthread", "waitress", "mod_wsgi"])
def test_behind_nginx_proxy_fix_gives_the_client_s_view(
    start: Start, nginx: Callable[[int], int], name: str
) -> None:
    server = start(name, SITE_BEHIND_PROXY="1")
    server.port = nginx(server.port)
    assert json.loads(server.ask("/prefix/where")[2]) == {
        "remote_addr": "203.0.113.7",
        "scheme": "https",
        "host": "shop.example",
        "root": "/prefix",
        "url": "https://shop.example/prefix/where",
    }
    data = os.urandom(300_000)
    assert server.ask("/prefix/echo", "POST", data)[2] == data
    assert server.ask("/prefix/stream?q=nginx")[2].count(b"nginx") == 3
