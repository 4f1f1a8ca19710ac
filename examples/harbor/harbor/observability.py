"""Request ids and logs: what each request gets without a view's doing."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import uuid
from datetime import UTC, datetime

from carboy import Carboy, Response, g, has_request_context, request

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
# What the standard library puts on every record; anything else came from `extra=`.
PLAIN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

access_log = logging.getLogger("harbor.access")


class JSONFormatter(logging.Formatter):
    """One JSON object a line; control characters cannot break out of it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context():
            line["request_id"] = request_id()
        line |= {key: value for key, value in vars(record).items() if key not in PLAIN_ATTRIBUTES}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """For people: the same facts, as `key=value` after the message."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        extra = {key: value for key, value in vars(record).items() if key not in PLAIN_ATTRIBUTES}
        facts = "".join(f" {key}={json.dumps(value, default=str)}" for key, value in extra.items())
        line = f"{moment} {record.levelname:<7} {record.getMessage()}{facts}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def request_id() -> str:
    """This request's id: the client's X-Request-ID if it is a sane one, else a new one."""
    if "request_id" not in g:
        offered = request.headers.get("X-Request-ID", "")
        g.request_id = offered if SANE_REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex
    return str(g.request_id)


def init_app(app: Carboy) -> None:
    _configure_logging(app)
    app.before_request(_start)
    app.after_request(_finish)


def _configure_logging(app: Carboy) -> None:
    logger = logging.getLogger("harbor")
    logger.setLevel(app.config["LOG_LEVEL"])
    app.logger.setLevel(app.config["LOG_LEVEL"])
    if app.testing:
        return  # pytest captures records itself
    handler = logging.StreamHandler(sys.stderr)
    as_json = app.config["LOG_FORMAT"] == "json"
    handler.setFormatter(JSONFormatter() if as_json else TextFormatter())
    for target in {logger, app.logger}:
        target.handlers[:] = [handler]
        target.propagate = False
    # Harbor writes its own access log, with request ids; the development server's would repeat it.
    logging.getLogger("werkzeug").addFilter(_is_no_access_line)


def _is_no_access_line(record: logging.LogRecord) -> bool:
    return " - - [" not in str(record.msg)


def _start() -> None:
    g.started_at = time.perf_counter()
    request_id()


def _finish(response: Response) -> Response:
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Request-ID"] = request_id()
    started = g.get("started_at")
    access_log.log(
        logging.DEBUG if request.endpoint == "static" else logging.INFO,
        "%s %s %s",
        request.method,
        # As text with escapes, never raw: a path may hold anything.
        request.path.encode("unicode_escape").decode("ascii"),
        response.status_code,
        extra={
            "method": request.method.encode("unicode_escape").decode("ascii"),
            "status": response.status_code,
            "duration_ms": None
            if started is None
            else round((time.perf_counter() - started) * 1000, 1),
            "client": request.remote_addr,
        },
    )
    return response
