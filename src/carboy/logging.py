"""The application's logger: where it writes, and when it is given a handler of its own."""

from __future__ import annotations

import logging
import sys
import typing as t

from werkzeug.local import LocalProxy

from .globals import request

if t.TYPE_CHECKING:
    from .app import Carboy


def _errors_stream() -> t.TextIO:
    if not request:
        return sys.stderr
    stream: t.TextIO = request.environ["wsgi.errors"]
    return stream


#: The server's error stream during a request, else ``sys.stderr``. For handlers of your own;
#: configuration files reach it as ``ext://carboy.logging.wsgi_errors_stream``.
wsgi_errors_stream = t.cast(t.TextIO, LocalProxy(_errors_stream))

#: The handler an application's logger is given where nothing else would handle its records.
default_handler = logging.StreamHandler(wsgi_errors_stream)
default_handler.setFormatter(
    logging.Formatter("[%(asctime)s] %(levelname)s in %(module)s: %(message)s")
)


def has_level_handler(logger: logging.Logger) -> bool:
    """Whether the logger or one it hands on to has a handler for the logger's level."""
    level = logger.getEffectiveLevel()
    here: logging.Logger | None = logger
    while here is not None:
        for handler in here.handlers:
            if handler.level <= level:
                return True
        here = here.parent if here.propagate else None
    return False


def create_logger(app: Carboy) -> logging.Logger:
    """Return the logger named like the application, made ready.

    In debug mode it logs from ``DEBUG`` on, unless it has a level; it gets
    :data:`default_handler` unless some handler is there.
    """
    logger = logging.getLogger(app.name)
    if app.debug and logger.level == logging.NOTSET:
        logger.setLevel(logging.DEBUG)
    if not has_level_handler(logger):
        logger.addHandler(default_handler)
    return logger


def printable(text: str) -> str:
    """Return the text with everything that is not printable as a backslash escape.

    For words of a stranger in a log line: line ends, terminal escapes, direction marks and lone
    surrogates cannot forge or garble lines any more.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
