"""app.logger, its handler and what the framework writes to it."""

from __future__ import annotations

import contextlib
import io
import logging
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carboy import Carboy, abort, current_app
from carboy.logging import default_handler, has_level_handler, wsgi_errors_stream

from .child import run_python

NAMES = ("test_app", "logged", "other_logged")


@pytest.fixture(autouse=True)
def clean_loggers() -> Iterator[None]:
    """Give the applications of this file loggers without level and handlers."""

    def clean() -> None:
        for name in NAMES:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.setLevel(logging.NOTSET)

    clean()
    yield
    clean()


@contextlib.contextmanager
def bare_root() -> Iterator[None]:
    """Take away the handlers that the test runner puts on the root logger while a test runs."""
    root = logging.getLogger()
    kept = root.handlers[:]
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = kept


def test_logger_is_named_after_the_app() -> None:
    """LOG-01: app.logger is the logger of the application's name, one for one name."""
    app = Carboy("logged")
    assert app.logger.name == app.name == "logged"
    assert app.logger is logging.getLogger("logged")
    assert app.logger is Carboy("logged").logger
    assert app.logger is not Carboy("other_logged").logger


def test_all_levels_work_in_a_view(caplog: pytest.LogCaptureFixture) -> None:
    """LOG-01: debug, info, warning, error and critical of app.logger and current_app.logger."""
    app = Carboy("logged")

    @app.get("/")
    def index() -> str:
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(current_app.logger, level)("at %s", level)
        return ""

    with caplog.at_level(logging.DEBUG, "logged"):
        app.test_client().get("/")
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        (level.upper(), f"at {level}")
        for level in ("debug", "info", "warning", "error", "critical")
    ]


def test_debug_mode_logs_debug() -> None:
    """LOG-02: in debug mode the logger's level is DEBUG, otherwise it is left unset."""
    app = Carboy("logged")
    app.debug = True
    assert app.logger.level == logging.DEBUG
    other = Carboy("other_logged")
    assert other.logger.level == logging.NOTSET


def test_a_level_set_before_is_kept() -> None:
    """LOG-02: debug mode does not change a level that the user has set."""
    logging.getLogger("logged").setLevel(logging.WARNING)
    app = Carboy("logged")
    app.debug = True
    assert app.logger.level == logging.WARNING


def test_unhandled_exceptions_are_logged_with_traceback_and_path(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """LOG-03: a crash makes one ERROR record with method, path and traceback."""
    app = Carboy("logged")
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0), methods=["POST"])
    app.test_client().post("/crash")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("logged", "ERROR")
    assert record.getMessage() == "Exception on /crash [POST]"
    assert record.exc_info is not None and record.exc_info[0] is ZeroDivisionError
    assert "ZeroDivisionError" in caplog.text


def test_http_errors_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """LOG-03: a 404, 405 or abort is an answer, not an incident."""
    app = Carboy("logged")
    app.add_url_rule("/abort", "abort", lambda: abort(403))
    with caplog.at_level(logging.DEBUG):
        client = app.test_client()
        client.get("/nowhere")
        client.get("/abort")
        client.post("/abort")
    assert caplog.records == []


def test_propagated_exceptions_are_left_to_the_server(caplog: pytest.LogCaptureFixture) -> None:
    """LOG-03: what leaves the application is not logged by it as well."""
    app = Carboy("logged")
    app.testing = True
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/crash")
    assert caplog.records == []


def test_log_exception_can_be_overridden() -> None:
    """LOG-03: a subclass's log_exception gets the exc_info triple."""
    seen: list[Any] = []

    class Own(Carboy):
        def log_exception(self, exc_info: Any) -> None:
            seen.append(exc_info[0])

    app = Own("logged")
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    app.test_client().get("/crash")
    assert seen == [ZeroDivisionError]


@bare_root()
def test_default_handler_is_added_when_nobody_listens() -> None:
    """LOG-05: without any handler the logger gets the default one, in the documented format."""
    app = Carboy("logged")
    assert app.logger.handlers == [default_handler]
    record = logging.LogRecord("n", logging.INFO, "/x/module.py", 1, "hello", None, None)
    assert re.fullmatch(r"\[\d{4}-[^]]+\] INFO in module: hello", default_handler.format(record))


@bare_root()
def test_default_handler_writes_to_the_request_s_error_stream(
    call: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """LOG-05: within a request to wsgi.errors, outside to stderr."""
    app = Carboy("logged")
    app.add_url_rule("/", "index", lambda: app.logger.error("in the request") or "ok")
    reply = call(app, "/")
    assert "in the request" in reply.errors
    assert "in the request" not in capsys.readouterr().err
    app.logger.error("outside")
    assert "outside" in capsys.readouterr().err


def test_wsgi_errors_stream_is_a_proxy(app: Carboy) -> None:
    """LOG-05: wsgi_errors_stream is the error stream of the current request."""
    stream = io.StringIO()
    with app.test_request_context(errors_stream=stream):
        assert wsgi_errors_stream._get_current_object() is stream


@bare_root()
def test_existing_configuration_is_respected() -> None:
    """LOG-06: when the root logger has a handler, no other is added."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    app = Carboy("logged")
    assert app.logger.handlers == []
    assert has_level_handler(app.logger)
    app.logger.error("heard once")
    assert stream.getvalue() == "heard once\n"


@bare_root()
def test_handler_with_a_higher_level_does_not_count() -> None:
    """LOG-06: a handler that would drop the logger's own level is not enough."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setLevel(logging.CRITICAL)
    logging.getLogger().addHandler(handler)
    logger = logging.getLogger("logged")
    logger.setLevel(logging.DEBUG)
    assert not has_level_handler(logger)
    assert Carboy("logged").logger.handlers == [default_handler]


@bare_root()
def test_non_propagating_loggers_stand_alone() -> None:
    """LOG-06: the search for handlers ends where propagation ends."""
    logger = logging.getLogger("logged")
    assert not has_level_handler(logger)
    logging.getLogger().addHandler(logging.StreamHandler(io.StringIO()))
    assert has_level_handler(logger)
    logger.propagate = False
    try:
        assert not has_level_handler(logger)
    finally:
        logger.propagate = True


def test_basicconfig_before_the_app_in_a_fresh_process(tmp_path: pathlib.Path) -> None:
    """LOG-06: logging.basicConfig called before the app decides format and level."""
    code = (
        "import logging\n"
        "logging.basicConfig(level=logging.INFO, format='MINE %(levelname)s %(message)s')\n"
        "from carboy import Carboy\n"
        "app = Carboy('x')\n"
        "app.logger.info('hello')\n"
        "app.logger.debug('hidden')\n"
        "print(app.logger.handlers)\n"
    )
    done = run_python("-c", code, cwd=tmp_path)
    assert done.stderr == "MINE INFO hello\n"
    assert done.stdout == "[]\n"


def test_importing_configures_no_logging(tmp_path: pathlib.Path) -> None:
    """LOG-05: importing the package and making an app adds nothing to the root logger."""
    code = (
        "import logging, carboy\n"
        "app = carboy.Carboy('x')\n"
        "print(logging.getLogger().handlers, logging.getLogger().level)\n"
    )
    assert run_python("-c", code, cwd=tmp_path).stdout == "[] 30\n"


def test_werkzeug_logger_can_be_silenced(caplog: pytest.LogCaptureFixture) -> None:
    """LOG-11: the development server logs to the `werkzeug` logger, apart from app.logger."""
    from werkzeug._internal import _log

    app = Carboy("logged")
    logger = logging.getLogger("werkzeug")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        _log("info", "access line")
        app.logger.error("application line")
    finally:
        logger.setLevel(before)
    assert [r.name for r in caplog.records] == ["logged"]
