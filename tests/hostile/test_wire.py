"""What `carboy serve` makes of bytes that are meant to mislead it, alone and behind nginx."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from .wire import CASES, Answer, send

pytestmark = [
    pytest.mark.beyond,
    pytest.mark.server,
    pytest.mark.skipif(
        importlib.util.find_spec("granian") is None,
        reason="Granian is not installed: pip install 'carboy[serve]'",
    ),
]

APPLICATION = """
from carboy import Carboy, request, websocket

app = Carboy(__name__)
app.config["CSRF_PROTECT"] = False
ran = []

@app.route("/", methods=["GET", "POST"])
def index():
    return {"method": request.method, "length": len(request.get_data())}

@app.get("/user")
def user():
    return {"user": request.headers.get("X-Auth-User", "nobody")}

@app.websocket("/talk")
async def talk():
    async for message in websocket:
        await websocket.send(message)

@app.get("/hidden/<int:number>")
def hidden(number):
    ran.append(number)
    return "HIDDEN"

@app.get("/seen")
def seen():
    return {"ran": ran}
"""

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream carboy {{ server 127.0.0.1:{behind}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://carboy;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }}
    }}
}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of `carboy serve`, one worker."""
    folder = tmp_path_factory.mktemp("wire")
    (folder / "wire_site.py").write_text(APPLICATION)
    command = [
        sys.executable,
        "-m",
        "carboy",
        "serve",
        "wire_site:app",
        "--port",
        "0",
        "--workers",
        "1",
    ]
    process = subprocess.Popen(
        [*command, "--timeout", "2"], cwd=folder, stderr=subprocess.STDOUT, stdout=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
    )  # fmt: skip
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            port = int(found[1])
            break
    else:
        raise AssertionError("".join(lines))
    _wait_for(port)
    yield port
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def proxied(server: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of nginx in front of it, which keeps its connections."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed (Debian: apt install nginx-light)")
    folder = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = folder / "nginx.conf"
    settings.write_text(NGINX.format(folder=folder, port=port, behind=server))
    log = (folder / "output").open("w")
    process = subprocess.Popen([nginx, "-c", str(settings), "-p", str(folder)], stderr=log)
    _wait_for(port)
    yield port
    process.terminate()
    process.wait(10)
    log.close()


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            if send(port, LOOK).statuses:
                return
        except OSError:
            pass
        with socket.create_server(("127.0.0.1", 0)) as nobody:  # a pause
            nobody.settimeout(0.05)
            with pytest.raises(TimeoutError):
                nobody.accept()
    raise AssertionError("the server did not start")


LOOK = b"GET /seen HTTP/1.1\r\nHost: wire\r\nConnection: close\r\n\r\n"

Told = tuple[list[Answer], set[int]]


#: Where the numbers begin of the cases that go through nginx.
PROXIED = 5000


def _tell(port: int, behind: int, first: int = 0) -> Told:
    """Send every case, many at once: what came back, and the hidden requests that were run."""
    with ThreadPoolExecutor(24) as pool:
        answers = list(
            pool.map(lambda item: send(port, item[1].numbered(item[0])), enumerate(CASES, first))
        )
    seen = send(behind, LOOK).received.rpartition(b"\r\n\r\n")[2]
    return answers, set(json.loads(seen)["ran"])


@pytest.fixture(scope="module")
def direct(server: int) -> Told:
    return _tell(server, server)


@pytest.fixture(scope="module")
def through_nginx(proxied: int, server: int) -> Told:
    return _tell(proxied, server, PROXIED)


def check(answer: Answer) -> None:
    """What holds for any server."""
    assert answer.statuses or answer.ended, "neither an answer nor the end of the connection"
    assert b'"user":"admin"' not in answer.received.replace(b" ", b"")


EACH = pytest.mark.parametrize(
    "number", range(len(CASES)), ids=[case.name.replace("/", "") for case in CASES]
)


@EACH
def test_bytes_that_mislead_are_refused_or_taken_for_what_they_are(
    direct: Told, number: int
) -> None:
    """HOSTILE-36, HOSTILE-40, HOSTILE-41, HOSTILE-44, HOSTILE-57, HOSTILE-85 to HOSTILE-96.

    CVE-2024-1135, CVE-2024-6827, KNOWN-gunicorn-framing, CVE-2025-43859, CVE-2023-30589,
    CVE-2022-32213, CVE-2019-16785, CVE-2019-16786, CVE-2019-16789, CVE-2019-16792,
    CVE-2022-24761, CVE-2020-5236, CVE-2023-37276, CVE-2023-47627, CVE-2023-47641,
    CVE-2024-23829, CVE-2024-52304, CVE-2025-53643, CVE-2026-22815, GHSA-mfx4-hv73-q22v,
    GHSA-753j-mpmx-qq6g, CVE-2025-55315, CVE-2022-24790, GHSA-48w2-rm65-62xx,
    KNOWN-connect-accepted, CVE-2026-34525.
    """
    answer, case = direct[0][number], CASES[number]
    check(answer)
    assert set(answer.statuses[:1]) <= case.statuses, answer.received[:500]
    assert number not in direct[1] or case.follows == "all", answer.received[:500]


@EACH
def test_nginx_and_carboy_serve_agree_where_a_request_ends(
    through_nginx: Told, number: int
) -> None:
    """The same bytes through a proxy that keeps its connections to the server."""
    answer, case = through_nginx[0][number], CASES[number]
    check(answer)
    assert all(status < 500 or status in (501, 505) for status in answer.statuses)
    assert PROXIED + number not in through_nginx[1] or case.follows, answer.received[:500]


@pytest.mark.parametrize("body", [b"5\r\nhel", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n"])
def test_a_chunked_body_that_is_cut_never_reaches_the_view_as_complete(
    server: int, body: bytes
) -> None:
    """HOSTILE-57: the client has closed its half before the last chunk."""
    head = b"POST / HTTP/1.1\r\nHost: wire\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert set(send(server, head + body, half=True).statuses) <= {400}
