"""The application's logger."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator

import pytest

from carboy import Carboy
from carboy.logging import (
    create_logger,
    default_handler,
    has_level_handler,
    printable,
    wsgi_errors_stream,
)


@pytest.fixture
def app() -> Iterator[Carboy]:
    app = Carboy("logging_app")
    yield app
    logger = logging.getLogger("logging_app")
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


def forget_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Called in the test's body: pytest puts its own handler there just before."""
    monkeypatch.setattr(logging.root, "handlers", [])


def test_the_logger_has_the_application_s_name_and_one_handler(
    app: Carboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_handlers(monkeypatch)
    logger = create_logger(app)
    assert logger.name == "logging_app"
    assert create_logger(app).handlers == [default_handler]


def test_a_logger_that_is_handled_already_gets_no_handler(
    app: Carboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_handlers(monkeypatch)
    logging.root.addHandler(logging.NullHandler())
    assert create_logger(app).handlers == []


def test_debug_mode_logs_from_debug_on_unless_a_level_is_set(
    app: Carboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_handlers(monkeypatch)
    app.debug = True
    assert create_logger(app).level == logging.DEBUG
    logging.getLogger("logging_app").setLevel(logging.ERROR)
    assert create_logger(app).level == logging.ERROR


def test_only_a_handler_for_the_level_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_handlers(monkeypatch)
    parent, child = logging.getLogger("levels"), logging.getLogger("levels.child")
    handler = logging.NullHandler()
    handler.setLevel(logging.ERROR)
    parent.addHandler(handler)
    child.setLevel(logging.INFO)
    assert not has_level_handler(child)
    handler.setLevel(logging.INFO)
    assert has_level_handler(child)
    child.propagate = False
    assert not has_level_handler(child)


def test_the_stream_is_the_server_s_within_a_request(app: Carboy) -> None:
    assert wsgi_errors_stream._get_current_object() is sys.stderr  # type: ignore[attr-defined]
    errors = io.StringIO()
    with app.test_request_context(errors_stream=errors):
        wsgi_errors_stream.write("during")
    assert errors.getvalue() == "during"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/plain/ä/東", "/plain/ä/東"),
        ("a\r\nFORGED", r"a\r\nFORGED"),
        ("\x1b[2J\x00\x7f\x85", r"\x1b[2J\x00\x7f\x85"),
        ("\u2028\u202e\ud800", r"\u2028\u202e\ud800"),
    ],
)
def test_printable_leaves_no_control_character(text: str, shown: str) -> None:
    """HOSTILE-191."""
    assert printable(text) == shown
