"""Request ids, logs, headers, health (EX-17, EX-18, DEPL-09, SEC-17)."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from harbor.observability import JSONFormatter, TextFormatter
from harbor_helpers import post_ping
from sqlalchemy.exc import OperationalError

from carboy import Carboy
from carboy.testing import FlaskClient


def test_health_is_ok_while_the_database_answers(client: FlaskClient):
    """EX-17, DEPL-09: Health is ok while the database answers."""
    answer = client.get("/health")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "database": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert client.head("/health").status_code == 200


def test_health_is_503_while_the_database_is_away(
    client: FlaskClient, monkeypatch: Any, caplog: Any
):
    def away(_self: Any) -> None:
        raise OperationalError("SELECT 1", {}, Exception("could not connect to db.internal"))

    monkeypatch.setattr("harbor.db.Database.ping", away)
    answer = client.get("/health")
    assert (answer.status_code, answer.json["status"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert "db.internal" not in answer.text
    assert "health check failed" in caplog.text


def test_health_is_503_when_the_database_file_is_gone(make_app: Any, tmp_path: Any):
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/no/such/folder/x.sqlite3")
    assert app.test_client().get("/health").status_code == 503


@pytest.mark.parametrize(
    "given", ["abcdefgh", "0f8fad5b-d9cb-469f-a165-70867728950e", "A.b_c-1234"]
)
def test_a_sane_request_id_is_honoured(client: FlaskClient, given: str):
    """EX-18: A sane request id is honoured."""
    answer = client.get("/health", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given", ["", "short", "a" * 65, "with space", "<script>x", "é" * 10, "a;b=c12345"]
)
def test_another_request_id_is_replaced(client: FlaskClient, given: str):
    answer = client.get("/health", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] != given
    assert len(answer.headers["X-Request-ID"]) == 32


def test_every_request_has_an_id_of_its_own(client: FlaskClient):
    assert len({client.get("/health").headers["X-Request-ID"] for _ in range(5)}) == 5


def test_each_request_is_logged_with_what_it_took(client: FlaskClient, caplog: Any):
    with caplog.at_level("INFO", "harbor"):
        client.get("/nothing")
    record = caplog.records[-1]
    assert record.getMessage() == "GET /nothing 404"
    assert (record.status, record.method) == (404, "GET")
    assert record.duration_ms >= 0


def test_control_characters_of_a_path_do_not_reach_the_log(client: FlaskClient, caplog: Any):
    with caplog.at_level("INFO", "harbor"):
        client.get("/a%0d%0aforged%1b[31m%e2%80%a8line")
    message = caplog.records[-1].getMessage()
    assert message.isprintable()
    assert "\\r\\n" in message


def test_a_log_line_is_one_json_object_with_the_request_id(app: Carboy):
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("harbor", 40, "f", 1, "it %s\nbroke", ("all",), sys.exc_info())
    record.imo = 9074729
    with app.test_request_context(headers={"X-Request-ID": "my-request-1"}):
        line = JSONFormatter().format(record)
    assert "\n" not in line
    document = json.loads(line)
    assert document["message"] == "it all\nbroke"
    assert (document["level"], document["request_id"]) == ("error", "my-request-1")
    assert document["imo"] == 9074729
    assert "ValueError" in document["exception"]


def test_a_log_line_outside_a_request_has_no_request_id():
    record = logging.makeLogRecord({"msg": "hello", "levelname": "INFO", "object": object()})
    document = json.loads(JSONFormatter().format(record))
    assert "request_id" not in document
    assert document["message"] == "hello"


def test_the_text_format_shows_the_same_facts():
    record = logging.makeLogRecord({"msg": "hello", "levelname": "INFO", "status": 200})
    assert TextFormatter().format(record).endswith("hello status=200")


@pytest.mark.parametrize(
    "path", ["/health", "/sign-in", "/nothing", "/static/css/harbor.css", "/api/v1/vessels"]
)
def test_every_response_has_the_security_headers(client: FlaskClient, path: str):
    """SEC-17: Every response has the security headers."""
    with client.get(path) as answer:
        headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "Strict-Transport-Security" not in headers


def test_hsts_is_sent_where_cookies_are_secure(make_app: Any):
    app = make_app(SESSION_COOKIE_SECURE=True)
    answer = app.test_client().get("/health", base_url="https://localhost")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_pages_are_not_stored_and_static_files_are(client: FlaskClient):
    assert client.get("/sign-in").headers["Cache-Control"] == "no-store"
    with client.get("/static/css/harbor.css") as answer:
        assert answer.headers["Cache-Control"] != "no-store"
        assert answer.headers["ETag"]


def test_a_failing_request_is_logged_with_its_id(make_app: Any, caplog: Any):
    app = make_app(PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/fails", view_func=lambda: 1 // 0)
    with caplog.at_level("INFO", "harbor"):
        answer = app.test_client().get("/fails")
    assert answer.status_code == 500
    assert any(record.exc_info for record in caplog.records)
    assert caplog.records[-1].getMessage() == "GET /fails 500"


def test_a_ping_is_logged_without_its_signature(client: FlaskClient, caplog: Any):
    with caplog.at_level("DEBUG"):
        post_ping(client)
    assert "sha256=" not in caplog.text


def test_logging_is_configured_as_the_settings_say(monkeypatch: Any):
    from harbor import create_app
    from harbor.config import DevelopmentConfig

    logger = logging.getLogger("harbor")
    kept = (logger.handlers[:], logger.level, logger.propagate)
    werkzeug = logging.getLogger("werkzeug")
    filters = werkzeug.filters[:]
    try:
        config = DevelopmentConfig(
            {"LOG_FORMAT": "json", "LOG_LEVEL": "warning", "DATABASE_URL": "sqlite://"}
        )
        app = create_app(config)
        app.extensions["harbor.database"].engine.dispose()
        (handler,) = logger.handlers
        assert isinstance(handler.formatter, JSONFormatter)
        assert logger.level == logging.WARNING
    finally:
        logger.handlers[:], logger.propagate = kept[0], kept[2]
        logger.setLevel(kept[1])
        werkzeug.filters[:] = filters
