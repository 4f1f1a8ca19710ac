"""What may be chosen about serving, and what is taken where nothing is."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

#: A line of the access log; `accesslog` says what may stand in it.
DEFAULT_ACCESS_FORMAT = (
    '%(addr)s [%(time)s] "%(method)s %(path)s %(protocol)s" %(status)s %(size)s %(ms)sms %(id)s'
)

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class CannotServe(Exception):
    """What was asked for cannot be served; the text says why, and what to do."""


@dataclass(frozen=True)
class Options:
    """How to serve. Times are in seconds, sizes in the unit that is named."""

    host: str = "127.0.0.1"
    port: int = 8000
    #: The path of a Unix socket to listen on instead of host and port, and its mode bits.
    uds: Path | None = None
    uds_mode: int | None = None
    #: ``auto``, ``asgi``, ``rsgi`` or ``wsgi``.
    interface: str = "auto"
    workers: int = 1
    #: Threads of each worker for sync views.
    threads: int = 40
    #: Threads of each worker for reading and writing on the network.
    network_threads: int = 1
    loop: str = "auto"
    #: ``auto``, ``1`` or ``2``.
    http: str = "auto"
    cert: Path | None = None
    key: Path | None = None
    key_password: str | None = None
    tls: str = "1.2"
    #: Certificates of authorities; only clients with a certificate of theirs are served.
    client_ca: Path | None = None
    #: How many connections may wait for being accepted, and be open in each worker.
    backlog: int = 1024
    connections: int = 2048
    #: How long the next piece of a request, or the room for the next piece of an answer, may take.
    timeout: float = 30.0
    #: How long requests in flight have when the server stops.
    graceful_timeout: float = 30.0
    #: A path that is answered although all threads are busy.
    health: str | None = None
    worker_lifetime: int | None = None
    #: In MiB.
    worker_memory: int | None = None
    pid_file: Path | None = None
    access_log: bool = False
    access_format: str = DEFAULT_ACCESS_FORMAT
    log_level: str = "info"
    log_config: dict[str, t.Any] = field(default_factory=dict)
    reload: bool = False
    reload_paths: tuple[Path, ...] = ()

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        if self.uds is not None:
            return f"unix:{self.uds}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.cert else 'http'}://{host}:{self.port}"


def cpus() -> int:
    """How many processors this process may use: its affinity, and the quota of its container."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        count = os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        count = min(count, -(-int(quota) // int(period)))
    except (OSError, ValueError):  # no container, or no quota: "max"
        pass
    return max(count, 1)
