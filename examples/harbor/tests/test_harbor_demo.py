"""`make demo`: the script that it runs, as a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

HARBOR = Path(__file__).resolve().parents[1]
DEMO = HARBOR / "demo.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(instance: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DEMO)],
        env=os.environ | {"HARBOR_DEMO_FOLDER": str(instance)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A running demo: the process, its address and what it has printed."""
    port = free_port()
    process = start(tmp_path, PORT=str(port))
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "Ctrl-C" in line:
            break
    yield process, f"http://127.0.0.1:{port}", printed
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=20)


def get(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def children_of(pid: int) -> set[int]:
    """From /proc where there is one, since small systems have no `ps`."""
    if Path("/proc/self/stat").exists():
        pairs = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # a process that has just ended
                # "pid (name) state parent …"; a name may hold spaces and brackets.
                pairs.append((path.parent.name, path.read_text().rpartition(")")[2].split()[1]))
    else:
        listing = subprocess.check_output(["ps", "-eo", "pid=,ppid="], text=True)
        pairs = [(line.split()[0], line.split()[1]) for line in listing.splitlines()]
    return {int(child) for child, parent in pairs if int(parent) == pid}


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_the_demo_serves_says_where_and_stops_with_its_children(
    demo: tuple[subprocess.Popen[str], str, str], number: signal.Signals
):
    process, address, printed = demo
    assert f"{address}/fleet/map" in printed
    assert re.search(r"Sign in +dispatcher / \S+", printed)
    assert json.loads(get(f"{address}/health"))["status"] == "ok"
    assert "Sign in" in get(f"{address}/fleet/map")
    children = children_of(process.pid)
    assert len(children) == 2  # the server and the simulator
    process.send_signal(number)
    rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Stopped." in rest
    assert not [child for child in children if is_running(child)]


@pytest.mark.server
@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "٨٠٠٠"])
def test_a_port_that_is_none_is_explained(tmp_path: Path, port: str):
    process = start(tmp_path, PORT=port)
    printed, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "PORT must be a number" in printed
    assert "Traceback" not in printed


@pytest.mark.server
def test_a_port_that_is_taken_is_explained(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(tmp_path, PORT=str(taken.getsockname()[1]))
        printed, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "PORT=8001 make demo" in printed
