"""Granian, as Carboy wants it: which interface, what is refused, how it stops."""

from __future__ import annotations

import contextlib
import copy
import socket
import time
import typing as t

import click

from .listening import give_up, identity, listen
from .looking import Findings, look_at
from .options import CannotServe, Options
from .tls import checked_tls
from .worker import Loader

if t.TYPE_CHECKING:
    from pathlib import Path

    from carboy.cli import ScriptInfo

#: Seconds between the end of patience with requests in flight and SIGKILL.
_LAST_WORDS = 5
#: Deaths of one worker, within so many seconds, that end the server: it cannot work.
_DEATHS, _WITHIN = 5, 30.0
#: Bytes of a request's head, and of a connection's read buffer.
_HEAD_SIZE = 128 * 1024

NOT_INSTALLED = """\
`carboy serve` serves with Granian, which is not installed.

    pip install 'carboy[serve]'

`carboy run` needs nothing more, for developing.\
"""
NO_WATCHER = """\
`--reload` watches files with watchfiles, which is not installed.

    pip install 'carboy[reload]'\
"""
WEAK_KEY = """\
The application is not served, because of its secret key: {weakness}.

Whoever guesses the key signs session cookies of their own, and so is anybody. Make a key with
`carboy secret`, keep it out of the repository, and give it to the application from the
environment:  app.config.from_prefixed_env()  reads FLASK_SECRET_KEY.\
"""

#: What is missing in the interfaces that are not chosen by themselves.
GAPS = {
    "wsgi": (
        "over WSGI Granian hands a chunked body that was cut over as a whole one, ends a failed"
        " stream as if it were complete, and lets X_Auth_User pass for X-Auth-User; slow clients"
        " occupy its threads. A buffering proxy must stand in front."
    ),
    "rsgi": (
        "over RSGI Granian hands a chunked body that was cut over as a whole one, ends a failed"
        " stream as if it were complete, and drops request headers that are not ASCII. A buffering"
        " proxy must stand in front."
    ),
}


def run(info: ScriptInfo, options: Options, *, relaxed: bool = False) -> int:
    """Serve until a signal says to stop, and return the exit code.

    ``relaxed`` only warns of a weak secret key, for development. Raises CannotServe.
    """
    granian = _granian(options)
    found = look_at(info)
    if found.failure:
        if not found.expected:
            click.echo(found.failure, err=True, nl=False)
            raise CannotServe("The application could not be loaded; the traceback is above.")
        raise CannotServe(found.failure)
    if found.weakness and not relaxed:
        raise CannotServe(WEAK_KEY.format(weakness=found.weakness))
    interface, reason = choose(options.interface)
    _refuse_contradictions(interface, options)
    options = checked_tls(options, granian.__version__)
    listening, options = listen(options)
    server = _server_class(granian)(**_settings(interface, options))
    server.listening = listening
    server.look = lambda: look_at(info)
    _announce(found, interface, reason, options, granian.__version__)
    if found.weakness:
        click.secho(f" * WARNING: {found.weakness}.", fg="red", err=True)
    _raise_descriptor_limit()
    server.serve(
        target_loader=Loader(info, options, interface, listening.fileno()), wrap_loader=False
    )
    return 1 if server.forced else 0


def _granian(options: Options) -> t.Any:
    try:
        import granian
    except ImportError:
        raise CannotServe(NOT_INSTALLED) from None
    if options.reload:
        try:
            import watchfiles  # noqa: F401
        except ImportError:
            raise CannotServe(NO_WATCHER) from None
    return granian


def choose(wanted: str) -> tuple[str, str]:
    """The interface, and why."""
    if wanted in ("auto", "asgi"):
        why = "the one that reports cut requests and can break off an answer"
        return "asgi", why if wanted == "auto" else "asked for"
    return wanted, "asked for"


def _refuse_contradictions(interface: str, options: Options) -> None:
    if options.health is not None and interface != "asgi":
        raise CannotServe("--health needs the interface ASGI; the others have no place for it.")


def _announce(found: Findings, interface: str, reason: str, options: Options, version: str) -> None:
    kinds = [f"{found.sync} sync", f"{found.asynchronous} async"]
    if found.websockets:
        kinds.append(f"{found.websockets} WebSocket")
    click.echo(f" * Serving '{found.name}' with Granian {version}")
    click.echo(f" * Interface {interface.upper()}: {reason}; routes: {', '.join(kinds)}")
    click.echo(f" * Workers: {options.workers}, each with {options.threads} threads for sync views")
    click.echo(f" * Running on {options.address}")
    if interface in GAPS:
        click.secho(f" * WARNING: {GAPS[interface]}", fg="red", err=True)
    if interface == "wsgi" and found.websockets:
        click.secho(" * WARNING: over WSGI, WebSockets get a 426.", fg="red", err=True)
    elif options.http == "2" and found.websockets:
        click.secho(
            " * WARNING: WebSockets need HTTP/1.1; --http auto has both.", fg="red", err=True
        )


def _raise_descriptor_limit() -> None:
    """Each connection takes a descriptor, and shells allow 1,024 of them."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        wanted = 65_536 if hard == resource.RLIM_INFINITY else hard
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _settings(interface: str, options: Options) -> dict[str, t.Any]:
    """The options in Granian's words."""
    from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    milliseconds = max(1000, int(options.timeout * 1000))
    settings: dict[str, t.Any] = {
        "target": "carboy",
        "address": options.host,
        "port": options.port,
        "uds": options.uds,
        "uds_permissions": options.uds_mode,
        "interface": Interfaces(interface),
        "workers": options.workers,
        "blocking_threads": options.threads if interface == "wsgi" else 1,
        "runtime_threads": options.network_threads,
        "loop": Loops(options.loop),
        "http": HTTPModes(options.http),
        "backlog": options.backlog,
        "backpressure": options.connections,
        "http1_settings": HTTP1Settings(
            header_read_timeout=milliseconds, max_buffer_size=_HEAD_SIZE
        ),
        "log_level": LogLevels(options.log_level),
        "log_dictconfig": log_config(options.log_config),
        # Over ASGI the guard writes it, with the request's id and nothing that a client forges.
        "log_access": options.access_log and interface != "asgi",
        "ssl_cert": options.cert,
        "ssl_key": options.key,
        "ssl_key_password": options.key_password,
        "ssl_ca": options.client_ca,
        "ssl_client_verify": options.client_ca is not None,
        "ssl_protocol_min": SSLProtocols(f"tls{options.tls}"),
        "respawn_failed_workers": True,
        "respawn_interval": 1.0,
        "workers_lifetime": options.worker_lifetime,
        "workers_max_rss": options.worker_memory,
        "workers_kill_timeout": max(1, int(options.graceful_timeout) + _LAST_WORDS),
        "pid_file": options.pid_file,
        "reload": options.reload,
        "reload_paths": list(options.reload_paths) or None,
        "reload_ignore_worker_failure": True,
    }
    if options.reload:
        import watchfiles

        settings["reload_filter"] = watchfiles.PythonFilter
    return settings


def log_config(wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    """A configuration of `logging.config`: Granian's with ours, and what is ``wanted`` over it."""
    from granian.log import LOGGING_CONFIG

    config: dict[str, t.Any] = copy.deepcopy(LOGGING_CONFIG)
    access = {"handlers": ["access"], "level": "INFO", "propagate": False}
    config["loggers"]["carboy.access"] = access
    for section, value in wanted.items():
        known = config.get(section)
        config[section] = known | value if isinstance(known, dict) else value
    return config


def _server_class(granian: t.Any) -> t.Any:
    """Granian's server, less eager to give up, and with one listening socket for all workers."""
    from granian import _granian

    holder: t.Any = _granian.SocketHolder

    class Server(granian.Granian):  # type: ignore[misc]
        forced = False
        listening: socket.socket
        look: t.Callable[[], Findings]

        def __init__(self, **settings: t.Any) -> None:
            super().__init__(**settings)
            # A worker that dies twice within seconds is no reason to end all the others.
            self.respawned_wrks = _Respawns()

        def _init_shared_socket(self) -> None:
            self.listening.set_inheritable(True)
            self._sso = self.listening
            self._sfd = self.listening.fileno()
            self._shd = holder(self._sfd, self.bind_uds is not None, self.backlog)

        def _drop_shared_socket(self) -> None:
            # Each worker gives its own copy up when it accepts no more.
            give_up(self._sfd, identity(self._sfd))

        def _write_pidfile(self) -> None:
            _write_number(super()._write_pidfile, self.pid_file)

        def signal_handler_interrupt(self, *args: t.Any, **kwargs: t.Any) -> None:
            """The first signal stops gracefully, the second at once."""
            if self.interrupt_signal:
                self.forced = True
                for worker in list(self.wrks):
                    worker.kill()
            super().signal_handler_interrupt(*args, **kwargs)

        def _reload(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
            """SIGHUP: what cannot be loaded does not take the place of what works.

            The flags are cleared before the look: a signal that comes during it counts.
            """
            self.reload_signal = False
            self.main_loop_interrupt.clear()
            failure = self.look().failure
            if failure:
                click.secho(
                    f"{failure}\n * Not reloaded: the application fails to load. The workers that"
                    " run stay.",
                    fg="red",
                    err=True,
                )
                return None
            if self.reload_signal or self.interrupt_signal:
                return None  # the main loop looks again, or stops
            done = super()._reload(*args, **kwargs)
            if self.interrupt_signal:
                self.main_loop_interrupt.set()
            return done

    return Server


def _write_number(write: t.Callable[[], None], path: Path | None) -> None:
    """Have Granian write the file with the number of its process. Raises CannotServe."""
    from granian.errors import PidFileError

    try:
        write()
    except OSError as error:
        reason = error.strerror
    except PidFileError:
        reason = "it has the number of a process that runs, or something that is no number"
    else:
        return
    raise CannotServe(f"--pid-file {path} cannot be written: {reason}.")


class _Respawns(dict[int, float]):
    """When workers were replaced. Granian gives up where ``get`` tells a recent time."""

    def __init__(self) -> None:
        super().__init__()
        self._deaths: dict[int, list[float]] = {}

    def __setitem__(self, worker: int, now: float) -> None:
        recent = [then for then in self._deaths.get(worker, ()) if now - then < _WITHIN]
        self._deaths[worker] = [*recent, now]

    def get(self, worker: int, default: t.Any = None) -> t.Any:
        """Now, for a worker that dies again and again."""
        recent = [
            then for then in self._deaths.get(worker, ()) if time.monotonic() - then < _WITHIN
        ]
        return recent[-1] if len(recent) >= _DEATHS else 0

    def clear(self) -> None:
        """Nothing is forgotten but by time."""
