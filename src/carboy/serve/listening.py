"""The socket that all workers accept from.

Granian gives each worker a socket of its own: then what waits for a worker that dies is reset, and
while the only one is being replaced nobody can connect.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

from .options import CannotServe, Options


def listen(options: Options) -> tuple[socket.socket, Options]:
    """A socket that listens, and the options with its port. Raises CannotServe."""
    try:
        if options.uds is not None:
            return _listen_unix(options.uds, options.uds_mode, options.backlog), options
        listening = _listen_tcp(options.host, options.port, options.backlog)
    except socket.gaierror as error:
        raise CannotServe(f"--host {options.host} is no address: {error.strerror}.") from None
    except OSError as error:
        raise CannotServe(
            f"Nothing can listen on {options.address}: {error.strerror}. Does another server run?"
            " --port chooses another port, 0 any free one."
        ) from None
    return listening, replace(options, port=listening.getsockname()[1])


def _listen_tcp(host: str, port: int, backlog: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    listening = socket.socket(family)
    try:
        if os.name == "posix":  # elsewhere it would allow two servers on one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(backlog)
    except OSError:
        listening.close()
        raise
    return listening


def _listen_unix(path: Path, mode: int | None, backlog: int) -> socket.socket:
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX)
    # Nobody may connect before the mode is set.
    umask = os.umask(0o177) if mode is not None else None
    try:
        listening.bind(str(path))
        if mode is not None:
            path.chmod(mode)
        listening.listen(backlog)
    except OSError:
        listening.close()
        raise
    finally:
        if umask is not None:
            os.umask(umask)
    return listening


def _remove_stale(path: Path) -> None:
    """Remove the socket of a server that was killed; one that is alive stays, and is an error."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.stat().st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink()


def identity(descriptor: int) -> tuple[int, int] | None:
    """What a descriptor stands for; None if it is not open."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def give_up(descriptor: int, expected: tuple[int, int] | None) -> None:
    """Close this process's copy of the socket, in a way that lets its other owners close it again.

    When the last process has done so, connections are refused instead of waiting for nobody.
    """
    if expected is None or identity(descriptor) != expected:
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(nothing, descriptor, inheritable=False)
    finally:
        os.close(nothing)
