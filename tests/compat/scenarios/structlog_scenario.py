"""structlog as its documentation binds a request's values; runs on Flask and on Carboy."""

from __future__ import annotations

import json
import logging
import threading
import uuid

import pytest
import structlog
from flask import Flask, request


@pytest.fixture
def app():
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    app = Flask("logging_app")
    log = structlog.get_logger("logging_app")

    @app.before_request
    def bind():
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            view=request.path,
            request_id=request.headers.get("X-Request-Id", str(uuid.uuid4())),
            peer=request.access_route[0],
        )

    @app.get("/hello/<name>")
    def hello(name):
        log.info("greeting", name=name)
        structlog.contextvars.bind_contextvars(greeted=name)
        log.info("greeted")
        return "hello"

    @app.get("/crash")
    def crash():
        raise ValueError("on purpose")

    @app.errorhandler(Exception)
    def failed(error):
        log.exception("failed")
        return "sorry", 500

    yield app
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [
        json.loads(record.getMessage()) for record in caplog.records if record.name == "logging_app"
    ]


def test_values_bound_before_a_request_are_in_its_lines(app, lines):
    app.test_client().get("/hello/ada", headers={"X-Request-Id": "r1"})
    first, second = lines()
    assert first == {
        "view": "/hello/ada",
        "request_id": "r1",
        "peer": "127.0.0.1",
        "name": "ada",
        "event": "greeting",
        "level": "info",
    }
    assert second["greeted"] == "ada"


def test_the_next_request_begins_anew(app, lines):
    client = app.test_client()
    client.get("/hello/ada")
    client.get("/hello/ben")
    assert [line.get("greeted") for line in lines()] == [None, "ada", None, "ben"]


def test_an_error_handler_has_the_request_s_values(app, lines):
    assert app.test_client().get("/crash").status_code == 500
    [line] = lines()
    assert line["view"] == "/crash" and "ValueError: on purpose" in line["exception"]


def test_requests_in_threads_do_not_mix(app, lines):
    barrier = threading.Barrier(4)

    def visit(number):
        barrier.wait(10)
        app.test_client().get(f"/hello/{number}", headers={"X-Request-Id": f"r{number}"})

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    found = [line for line in lines() if line["event"] == "greeted"]
    assert len(found) == 4
    assert all(line["request_id"] == f"r{line['greeted']}" for line in found)
