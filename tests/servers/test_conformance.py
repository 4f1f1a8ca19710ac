"""The conformance suite inside real servers: what it sends goes over a socket, through the server.

Each server runs the suite's own cases (`conformance_site.py`) in its worker process and holds the
answers equal to those of the WSGI door, byte for byte but for the server's own headers. A server
that is not installed is skipped; `make servers` installs all of them.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = [pytest.mark.server, pytest.mark.slow]

FOLDER = Path(__file__).parent
SITE = "conformance_site:app"
GRANIAN = ["granian", "--host=127.0.0.1", "--no-ws", "--port={port}", SITE]
GUNICORN = ["gunicorn", "--bind=127.0.0.1:{port}", "--no-control-socket", SITE]
COMMANDS = {
    "uvicorn": ["uvicorn", SITE, "--port={port}", "--no-proxy-headers"],
    "hypercorn": ["hypercorn", f"asgi:{SITE}", "--bind=127.0.0.1:{port}"],
    "gunicorn-wsgi": [*GUNICORN, "--worker-class=gthread", "--threads=4"],
    "gunicorn-asgi": [*GUNICORN, "--worker-class=asgi"],
    "daphne": ["daphne", SITE, "--port={port}"],
    "granian-rsgi": [*GRANIAN, "--interface=rsgi"],
    "granian-asgi": [*GRANIAN, "--interface=asgi"],
    "granian-wsgi": [*GRANIAN, "--interface=wsgi"],
}
NOT_ASCII = ["latin-1 header", "test_each_fact[live-sync-header]", "-async-header]", "all headers"]
OF_GRANIANS_WSGI = ["reading_in_parts", "readline", "middleware_that_changes_the_answer"]
#: Cases that a server cannot pass, by a part of their names; docs/compat-servers.md says why.
LIMITS: dict[str, list[str]] = {
    "uvicorn": ["unusual code"],
    "granian-rsgi": [*NOT_ASCII],
    "granian-wsgi": [*NOT_ASCII, *OF_GRANIANS_WSGI],
}


def run(name: str, folder: Path) -> Path:
    """Run the suite inside the server and return its report."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    report, log = folder / "report.xml", folder / "log"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLASK_", "CARBOY_"))}
    kept |= {
        "CONFORMANCE_PORT": str(port),
        "CONFORMANCE_REPORT": str(report),
        "CONFORMANCE_LIMITS": "|".join(LIMITS.get(name, [])),
        "CONFORMANCE_ASGI": "1" if not name.endswith("wsgi") else "",
        "PYTHONPATH": str(FOLDER),
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(port=port) for part in COMMANDS[name])],
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        begin(process, f"http://127.0.0.1:{port}/start", log)
        for _ in range(1200):
            if report.exists() or process.poll() is not None:
                break
            wait(process, 0.1)
        if not report.exists():
            pytest.fail(f"the suite did not come to its end:\n{log.read_text()[-4000:]}")
        return report
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(10)


def begin(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            wait(process, 0.1)
    pytest.fail(f"the server did not start:\n{log.read_text()[-4000:]}")


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", COMMANDS)
def test_the_suite_inside(name: str, tmp_path: Path) -> None:
    """At least 150 cases pass, and none fails."""
    if importlib.util.find_spec(name.partition("-")[0]) is None:
        pytest.skip("not installed; `make servers` installs it")
    text = run(name, tmp_path).read_text()
    assert text, (tmp_path / "log").read_text()[-4000:]
    cases = list(ElementTree.fromstring(text).iter("testcase"))
    failed = {
        f"{case.get('classname')}::{case.get('name')}": problem.get("message", "")[:500]
        for case in cases
        for problem in (*case.findall("failure"), *case.findall("error"))
    }
    assert failed == {}
    skipped = [case for case in cases if case.find("skipped") is not None]
    assert len(cases) - len(skipped) >= 150
