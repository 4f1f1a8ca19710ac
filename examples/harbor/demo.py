"""Harbor with twelve ships under way, in one command: `python examples/harbor/demo.py`.

Makes a fresh SQLite database beside this file, starts Harbor and the simulator, prints where to
look and how to sign in.  Ctrl-C or SIGTERM stops all of it.  PORT chooses another port than 8000,
HARBOR_DEMO_FOLDER another place for the database and the log than `instance` beside this file.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType
from typing import BinaryIO

HERE = Path(__file__).resolve().parent
INSTANCE = Path(os.environ.get("HARBOR_DEMO_FOLDER") or HERE / "instance").resolve()
DATABASE = INSTANCE / "demo.sqlite3"
LOG = INSTANCE / "demo.log"
HOST = "127.0.0.1"
USER, PASSWORD = "dispatcher", "anchors-aweigh"
PATIENCE = 30  # seconds for Harbor to come up
GRACE = 5  # seconds for a child to end before it is killed


class DemoError(Exception):
    """Something that the user can put right; the text says how."""


def main() -> int:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), on_signal)
    children: list[subprocess.Popen[bytes]] = []
    try:
        return run(stop, children)
    except DemoError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    finally:
        end(children)


def run(stop: threading.Event, children: list[subprocess.Popen[bytes]]) -> int:
    port = read_port()
    environment = make_environment()
    prepare(environment)
    if stop.is_set():
        return 0
    with LOG.open("wb") as log:
        children.append(
            start(environment, log, "serve", "--host", HOST, "--port", str(port), "--workers", "1")
        )
        address = f"http://{HOST}:{port}"
        wait_until_up(address, children[0], stop)
        if stop.is_set():
            return 0
        children.append(start(environment, log, "simulate", "--url", address))
        print(banner(address), flush=True)
        while not stop.wait(0.5):
            for child in children:
                if child.poll() is not None:
                    raise DemoError(
                        f"A part of the demo ended by itself ({describe(child)}).\n{log_tail()}"
                    )
    print("\nStopped.", flush=True)
    return 0


def read_port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise DemoError(f"PORT must be a number from 1 to 65535, not {text!r}.")
    port = int(text)
    with socket.socket() as probe:
        # As servers do, or a port that was in use a moment ago would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DemoError(
                f"Port {port} cannot be used: {error.strerror}. "
                "Stop what listens there, or choose another: PORT=8001 make demo"
            ) from None
    return port


def make_environment() -> dict[str, str]:
    """Development settings whatever the shell has; secrets that live as long as the demo."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CARBOY_", "FLASK_"))
        and name not in {"REDIS_URL", "TRUSTED_HOSTS", "TRUSTED_PROXIES", "TRACKER_SECRET_PREVIOUS"}
    }
    return kept | {
        "HARBOR_ENV": "development",
        "DATABASE_URL": f"sqlite:///{DATABASE}",
        "SECRET_KEY": secrets.token_hex(32),
        "TRACKER_SECRET": secrets.token_hex(32),
        "HARBOR_PASSWORD": PASSWORD,
        "LOG_FORMAT": "json",
        "PYTHONUNBUFFERED": "1",
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "carboy", "--app", "harbor", *arguments]


def prepare(environment: dict[str, str]) -> None:
    """A fresh database with the fleet, ten minutes of its past, and a dispatcher."""
    print("Preparing the database …", flush=True)
    INSTANCE.mkdir(exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        DATABASE.with_name(DATABASE.name + suffix).unlink(missing_ok=True)
    for arguments in (("db", "upgrade"), ("seed", "--minutes", "10"), ("create-user", USER)):
        done = subprocess.run(
            command(*arguments),
            cwd=HERE,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode < 0:  # Ctrl-C reached it too
            return
        if done.returncode != 0:
            raise DemoError(f"'carboy {' '.join(arguments)}' failed:\n{done.stderr or done.stdout}")


def start(environment: dict[str, str], log: BinaryIO, *arguments: str) -> subprocess.Popen[bytes]:
    """A child in a session of its own: Ctrl-C reaches only this script, which ends the children."""
    return subprocess.Popen(
        command(*arguments),
        cwd=HERE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def wait_until_up(address: str, server: subprocess.Popen[bytes], stop: threading.Event) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE
    while not stop.wait(0.1):
        if server.poll() is not None:
            raise DemoError(f"Harbor did not start ({describe(server)}).\n{log_tail()}")
        try:
            with opener.open(f"{address}/health", timeout=2) as answer:
                if json.load(answer)["status"] == "ok":
                    return
        except (urllib.error.URLError, OSError, ValueError):
            pass
        if time.monotonic() > deadline:
            raise DemoError(f"Harbor did not answer within {PATIENCE} seconds.\n{log_tail()}")


def banner(address: str) -> str:
    return f"""
  Harbor Fleet is under way, with twelve vessels reporting every second.

    Map       {address}/fleet/map
    Sign in   {USER} / {PASSWORD}
    Log       {LOG}

  Ctrl-C stops it.
"""


def describe(child: subprocess.Popen[bytes]) -> str:
    name = child.args[5] if isinstance(child.args, list) else "a child"
    return f"{name}, exit status {child.returncode}"


def log_tail(lines: int = 15) -> str:
    try:
        return "\n".join(LOG.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def end(children: list[subprocess.Popen[bytes]]) -> None:
    """Asks the children to end, the last one first, and ends those that do not listen."""
    for child in reversed(children):
        if child.poll() is None:
            child.terminate()
    for child in reversed(children):
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


if __name__ == "__main__":
    sys.exit(main())
