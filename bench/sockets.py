"""Carboy and its peers over a socket: one worker on one core, the load generator on another.

    python -m bench.sockets [--rounds 3] [--seconds 1] [--case text ...] [--only NAME ...]

Every server is started first and stays; the rounds then go from one to the next, so that what
disturbs the machine disturbs all. 32 keep-alive connections, by `wrk` if it is installed and by a
small client of the bench's own otherwise. Writes `bench/results/sockets.json` and
`docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench import report, results
from bench.cases import BY_NAME, Case
from bench.contestants import NAMED

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 32
BIN = Path(sys.executable).parent
GRANIAN = "granian --interface {0} --workers 1 --runtime-threads 1 --blocking-threads 1"
GRANIAN_ASYNC = "granian --interface {0} --workers 1 --runtime-threads 1"
COMMANDS = {
    "granian wsgi": GRANIAN.format("wsgi") + " --host 127.0.0.1 --port {port} {app}",
    "granian asgi": GRANIAN_ASYNC.format("asgi") + " --host 127.0.0.1 --port {port} {app}",
    "granian rsgi": GRANIAN_ASYNC.format("rsgi") + " --host 127.0.0.1 --port {port} {app}",
    "gunicorn gthread": (
        "gunicorn --workers 1 --worker-class gthread --threads 4 --keep-alive 30"
        " --bind 127.0.0.1:{port} --log-level warning --no-control-socket {app}"
    ),
    "uvicorn": (
        "uvicorn --workers 1 --no-access-log --log-level warning --host 127.0.0.1 --port {port} {app}"
    ),
    "hypercorn": "hypercorn --workers 1 --bind 127.0.0.1:{port} {app}",
}
PAIRS = [
    ("carboy", "granian wsgi"),
    ("carboy-defaults", "granian wsgi"),
    ("carboy-rsgi", "granian rsgi"),
    ("carboy-rsgi-sync", "granian rsgi"),
    ("carboy-asgi", "granian asgi"),
    ("carboy-asgi-sync", "granian asgi"),
    ("carboy", "gunicorn gthread"),
    ("carboy-asgi", "uvicorn"),
    ("carboy-asgi-sync", "uvicorn"),
    ("bare", "granian wsgi"),
    ("bare-rsgi", "granian rsgi"),
    ("bare-asgi", "granian asgi"),
    ("bare", "gunicorn gthread"),
    ("bare-asgi", "uvicorn"),
    *[
        (name, server)
        for name in ("flask", "falcon", "bottle", "django")
        for server in ("gunicorn gthread", "granian wsgi")
    ],
    *[
        (name, server)
        for name in ("starlette", "fastapi", "litestar", "blacksheep")
        for server in ("uvicorn", "granian asgi")
    ],
    ("quart", "hypercorn"),
    ("quart", "granian asgi"),
]


@dataclass
class Load:
    """What one round of load found."""

    rate: float  # requests a second
    p99: float  # seconds
    errors: int


class Server:
    """One server process group, pinned to one core."""

    def __init__(self, name: str, server: str, case: Case, core: int) -> None:
        self.key = f"{name} | {server} | {case.name}"
        self.name, self.server, self.case = name, server, case
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        command = COMMANDS[server].format(port=self.port, app="bench.serving:application").split()
        # hypercorn, uvicorn and the rest stand beside the interpreter.
        command[0] = str(BIN / command[0])
        env = os.environ | {
            "BENCH_SERVE": f"{name}:{case.name}",
            "PYTHONPATH": str(ROOT),
        }
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            preexec_fn=lambda: pin(core),
        )

    def wait(self, seconds: float = 20) -> None:
        """Until it answers. SystemExit with its log if it does not."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.ask()
                return
            time.sleep(0.1)
        self.log.seek(0)
        log = self.log.read().decode(errors="replace")
        self.stop()
        sys.exit(f"{self.key} does not answer:\n{log[-2000:]}")

    def ask(self) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            headers = dict(header_lines(self.case))
            path = self.case.path + (f"?{self.case.query}" if self.case.query else "")
            connection.request(self.case.method, path, self.case.body or None, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def memory(self) -> int:
        """Resident bytes of the process and its children."""
        total = 0
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError, ValueError):
                if os.getsid(int(status.parent.name)) == self.process.pid:
                    found = re.search(r"VmRSS:\s+(\d+)", status.read_text())
                    total += int(found.group(1)) * 1024 if found else 0
        return total

    def stop(self) -> None:
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
                break
        self.log.close()


def pin(core: int) -> None:
    """This process and its children on one core, where there is more than one."""
    if hasattr(os, "sched_setaffinity"):
        available = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {available[core % len(available)]})


def header_lines(case: Case) -> list[tuple[str, str]]:
    pairs = list(case.headers.items())
    if case.content_type:
        pairs.append(("Content-Type", case.content_type))
    return pairs


def generate(server: Server, seconds: float, core: int) -> Load:
    """One round of load on `server` from another core."""
    if shutil.which("wrk"):
        return _wrk(server, seconds, core)
    return _own(server, seconds, core)


_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def _wrk(server: Server, seconds: float, core: int) -> Load:
    case = server.case
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        body = "".join(f"\\{byte:03d}" for byte in case.body)
        script.write(f'wrk.method = "{case.method}"\n')
        if case.body:
            script.write(f'wrk.body = "{body}"\n')
        for name, value in header_lines(case):
            script.write(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n")
        # wrk's own duration is whole seconds.
        script.write(
            "done = function(summary, latency, requests)\n"
            "  local e = summary.errors\n"
            '  print(string.format("FOUND %d %d %d %d", summary.requests, summary.duration,'
            " latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))\n"
            "end\n"
        )
        script.flush()
        query = f"?{case.query}" if case.query else ""
        url = f"http://127.0.0.1:{server.port}{case.path}{query}"
        run = subprocess.run(
            [
                "wrk",
                "-t1",
                f"-c{CONNECTIONS}",
                f"-d{max(1, round(seconds))}s",
                "-s",
                script.name,
                url,
            ],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda: pin(core),
        )
    found = re.search(r"FOUND (\d+) (\d+) (\d+) (\d+)", run.stdout)
    if found is None:
        sys.exit(f"wrk said something unknown:\n{run.stdout}")
    requests, duration, p99, errors = map(int, found.groups())
    return Load(requests / (duration / 1e6), p99 / 1e6, errors)


def _own(server: Server, seconds: float, core: int) -> Load:
    command = [sys.executable, "-m", "bench.sockets", "--generate", str(server.port)]
    command += ["--seconds", str(seconds), "--case", server.case.name]
    run = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: pin(core),
    )
    return Load(**json.loads(run.stdout))


async def own_generator(port: int, case: Case, seconds: float) -> Load:
    """The bench's own load: small, and so only for servers slower than itself."""
    lines = [f"{case.method} {case.path}{'?' if case.query else ''}{case.query} HTTP/1.1"]
    lines += ["Host: localhost", *(f"{n}: {v}" for n, v in header_lines(case))]
    if case.body:
        lines.append(f"Content-Length: {len(case.body)}")
    request = "\r\n".join([*lines, "", ""]).encode() + case.body
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    times: list[float] = []
    errors = 0

    async def talk() -> None:
        nonlocal errors
        while loop.time() < end:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                while loop.time() < end:
                    begun = loop.time()
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    await _skip_body(reader, head.lower())
                    times.append(loop.time() - begun)
                    errors += not head.startswith(b"HTTP/1.1 2")
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                errors += 1

    begun = loop.time()
    await asyncio.gather(*(talk() for _ in range(CONNECTIONS)))
    times.sort()
    p99 = times[int(len(times) * 0.99)] if times else 0.0
    return Load(len(times) / (loop.time() - begun), p99, errors)


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    found = re.search(rb"content-length: *(\d+)", head)
    if found:
        await reader.readexactly(int(found.group(1)))
        return
    while True:
        size = int(await reader.readline(), 16)
        await reader.readexactly(size + 2)
        if not size:
            return


def measure(pairs: list[tuple[str, str]], chosen: list[Case], options: Any) -> dict[str, Any]:
    """Rate and 99th percentile of every pair, case and round."""
    servers: list[Server] = []
    found: dict[str, Any] = {}
    try:
        for case in chosen:
            for name, server in pairs:
                if NAMED[name].runs(case):
                    servers.append(Server(name, server, case, 0))
        for server in servers:
            server.wait()
            status, body = server.ask()
            expected = 404 if server.case.name == "missing" else 200
            if status != expected:
                sys.exit(f"{server.key} answers {status}: {body[:300]!r}")
            generate(server, min(1, options.seconds), 1)  # warm
        for number in range(options.rounds):
            first = number % len(servers)
            for server in servers[first:] + servers[:first]:
                load = generate(server, options.seconds, 1)
                entry = found.setdefault(
                    server.key,
                    {
                        "name": server.name,
                        "server": server.server,
                        "case": server.case.name,
                        "rates": [],
                        "p99": [],
                        "errors": 0,
                    },
                )
                entry["rates"].append(load.rate)
                entry["p99"].append(load.p99)
                entry["errors"] += load.errors
            print(f"  round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for server in servers:
            found[server.key]["memory"] = server.memory()
    finally:
        for server in servers:
            server.stop()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.sockets", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--case", nargs="*", choices=sorted(BY_NAME), default=["text", "path"])
    parser.add_argument("--only", nargs="*", choices=sorted(NAMED), metavar="NAME")
    parser.add_argument("--generate", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = [BY_NAME[name] for name in options.case]
    if options.generate:
        load = asyncio.run(own_generator(options.generate, chosen[0], options.seconds))
        print(json.dumps(vars(load)))
        return 0
    pairs = [pair for pair in PAIRS if not options.only or pair[0] in options.only]
    found = measure(pairs, chosen, options)
    generator = "wrk" if shutil.which("wrk") else "the bench's own client"
    kept = {"rounds": options.rounds, "seconds": options.seconds, "generator": generator}
    kept["cores"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    if options.only:
        print(json.dumps(found, indent=1))
        return 0
    results.save("sockets", kept | {"found": found})
    report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
