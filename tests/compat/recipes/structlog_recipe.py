"""structlog: a request id bound for each request, JSON lines, standard logging through it.

As the pages "Frameworks" and "Standard Library Logging" of its documentation have it.
"""

from __future__ import annotations

import io
import json
import logging
import logging.config
import threading
import uuid

import flask
import pytest
import structlog
from flask import Flask, request, stream_with_context

logger = structlog.get_logger("recipe.views")


def some_function():
    logger.info("in a function")


def create_app(forget: bool = True) -> Flask:
    """`forget` clears what is bound with the request; the documentation does so before the next."""
    app = Flask("recipe")

    @app.before_request
    def bind_request():
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            view=flask.request.path,
            request_id=flask.request.headers.get("X-Request-ID", str(uuid.uuid4())),
            peer=flask.request.access_route[0],
        )

    @app.after_request
    def name_the_request(response):
        bound = structlog.contextvars.get_contextvars()
        response.headers["X-Request-ID"] = bound["request_id"]
        logger.info("answered", status=response.status_code)
        return response

    @app.teardown_request
    def forget_the_request(error):
        if forget:
            structlog.contextvars.clear_contextvars()

    @app.route("/login", methods=["POST", "GET"])
    def some_route():
        log = logger.bind()
        log.info("user logged in", user="test-user")
        some_function()
        return "logged in!"

    @app.get("/bind")
    def bind():
        structlog.contextvars.bind_contextvars(user="ada")
        some_function()
        return "bound"

    @app.get("/async")
    async def async_route():
        logger.info("in an async view")
        structlog.contextvars.bind_contextvars(user="ada")
        await logger.ainfo("awaited")
        return "async"

    @app.get("/stream")
    def stream():
        @stream_with_context
        def rows():
            for number in range(2):
                logger.info("row", number=number, path=request.path)
                yield f"{number}\n"

        return rows()

    @app.get("/logger")
    def own_logger():
        app.logger.warning("by %s", "app.logger")
        return "logged"

    @app.get("/broken")
    def broken():
        raise ValueError("no paper")

    return app


@pytest.fixture
def lines():
    """`lines()`: what has been logged, each line read as JSON."""
    output = io.StringIO()
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": shared,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
    }
    handler = {"class": "logging.StreamHandler", "stream": output, "formatter": "json"}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": formatter},
            "handlers": {"all": handler},
            "root": {"handlers": ["all"], "level": "INFO"},
        }
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )

    def read():
        return [json.loads(line) for line in output.getvalue().splitlines()]

    yield read
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.getLogger().handlers.clear()


def test_each_line_is_json_with_the_request_in_it(lines):
    create_app().test_client().get("/login", headers={"X-Request-ID": "one"})
    seen = [(line["event"], line["request_id"], line["view"], line["peer"]) for line in lines()]
    assert seen == [
        (event, "one", "/login", "127.0.0.1")
        for event in ("user logged in", "in a function", "answered")
    ]
    assert lines()[0]["user"] == "test-user"
    assert {line["level"] for line in lines()} == {"info"}
    assert {line["logger"] for line in lines()} == {"recipe.views"}


def test_each_request_has_an_id_of_its_own_which_the_answer_names(lines):
    client = create_app().test_client()
    ids = [client.get("/login").headers["X-Request-ID"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert [line["request_id"] for line in lines()] == [each for each in ids for _ in range(3)]


def test_what_a_view_binds_is_on_the_lines_after_it_and_gone_with_the_request(lines):
    client = create_app().test_client()
    client.get("/bind")
    client.get("/login")
    assert [line.get("user") for line in lines()] == ["ada", "ada", "test-user", None, None]


def test_clearing_before_the_next_request_is_enough(lines):
    client = create_app(forget=False).test_client()
    client.get("/bind")
    client.get("/login")
    assert [line.get("user") for line in lines()] == ["ada", "ada", "test-user", None, None]


def test_nothing_is_bound_after_the_request(lines):
    client = create_app().test_client()
    client.get("/bind")
    assert structlog.contextvars.get_contextvars() == {}
    logger.info("outside")
    assert set(lines()[-1]) == {"event", "level", "logger", "timestamp"}


def test_an_async_view_logs_with_the_request_and_binds_for_the_functions_after_it(lines):
    create_app().test_client().get("/async", headers={"X-Request-ID": "one"})
    seen = [(line["event"], line["request_id"], line.get("user")) for line in lines()]
    assert seen == [
        ("in an async view", "one", None),
        ("awaited", "one", "ada"),
        ("answered", "one", "ada"),
    ]
    assert structlog.contextvars.get_contextvars() == {}


def test_async_functions_around_a_view_bind_too(lines):
    app = create_app()

    @app.before_request
    async def bind_more():
        structlog.contextvars.bind_contextvars(tenant="north")

    @app.after_request
    async def log_more(response):
        await logger.ainfo("async after")
        return response

    app.test_client().get("/login")
    assert [line["tenant"] for line in lines()] == ["north"] * 4


def test_a_streams_lines_have_the_request_they_belong_to(lines):
    app = create_app(forget=False)
    with app.test_client().get("/stream", headers={"X-Request-ID": "one"}) as answer:
        assert answer.text == "0\n1\n"
    rows = [line for line in lines() if line["event"] == "row"]
    assert [(row["number"], row["path"], row["request_id"]) for row in rows] == [
        (0, "/stream", "one"),
        (1, "/stream", "one"),
    ]


def test_the_applications_own_logger_writes_through_structlog(lines):
    create_app().test_client().get("/logger", headers={"X-Request-ID": "one"})
    line = lines()[0]
    assert (line["event"], line["logger"], line["level"]) == ("by app.logger", "recipe", "warning")
    assert (line["request_id"], line["view"]) == ("one", "/logger")


def test_the_log_of_an_unhandled_error_has_the_request_and_the_traceback(lines):
    answer = create_app().test_client().get("/broken", headers={"X-Request-ID": "one"})
    assert answer.status_code == 500
    [line] = [line for line in lines() if line["level"] == "error"]
    assert line["event"] == "Exception on /broken [GET]"
    assert line["request_id"] == "one"
    assert (line["exception"][0]["exc_type"], line["exception"][0]["exc_value"]) == (
        "ValueError",
        "no paper",
    )


def test_requests_in_threads_do_not_see_each_others_values(lines):
    app = create_app()
    meeting = threading.Barrier(4, timeout=20)

    @app.get("/meet/<name>")
    def meet(name):
        structlog.contextvars.bind_contextvars(user=name)
        meeting.wait()
        some_function()
        return name

    def visit(name):
        app.test_client().get(f"/meet/{name}", headers={"X-Request-ID": name})

    threads = [threading.Thread(target=visit, args=(f"user-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    seen = [line for line in lines() if line["event"] == "in a function"]
    assert len(seen) == 4
    for line in seen:
        assert line["user"] == line["request_id"] == line["view"].rpartition("/")[2]
