"""Sentry's SDK with its Flask integration, events kept in memory; runs on Flask and on Carboy."""

from __future__ import annotations

import pytest
import sentry_sdk
from flask import Flask, abort, render_template_string, request
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.transport import Transport


class Memory(Transport):
    def __init__(self, options=None):
        super().__init__(options)
        self.events = []

    def capture_envelope(self, envelope):
        for item in envelope.items:
            if item.type in ("event", "transaction"):
                self.events.append(item.payload.json)


@pytest.fixture
def sent():
    memory = Memory()
    sentry_sdk.init(
        dsn="http://key@localhost/1",
        transport=memory,
        integrations=[FlaskIntegration(transaction_style="url")],
        traces_sample_rate=1.0,
        send_default_pii=True,
        auto_enabling_integrations=False,
    )
    yield memory.events
    sentry_sdk.init()


@pytest.fixture
def app(sent):
    app = Flask("watched")

    @app.get("/fine/<int:number>")
    def fine(number):
        return f"fine {number}"

    @app.route("/crash", methods=["GET", "POST"])
    def crash():
        raise ValueError("on purpose")

    @app.get("/refused")
    def refused():
        abort(403)

    @app.get("/page")
    def page():
        return render_template_string("<html><head>{{ sentry_trace_meta }}</head></html>")

    @app.get("/message")
    def message():
        sentry_sdk.set_tag("own", "tag")
        sentry_sdk.capture_message("a message")
        return request.path

    return app


def of_type(sent, kind):
    return [event for event in sent if event.get("type", "error") == kind]


def test_an_unhandled_error_is_sent_with_its_request(app, sent):
    response = app.test_client().post("/crash?q=1", json={"a": 1}, headers={"X-Own": "yes"})
    assert response.status_code == 500
    [event] = of_type(sent, "error")
    [error] = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "on purpose")
    assert error["mechanism"]["type"] == "flask" and error["mechanism"]["handled"] is False
    assert event["transaction"] == "/crash"
    assert event["request"]["url"] == "http://localhost/crash"
    assert event["request"]["query_string"] == "q=1"
    assert event["request"]["method"] == "POST"
    assert event["request"]["headers"]["X-Own"] == "yes"
    assert event["request"]["data"] == {"a": 1}


def test_a_request_is_a_transaction_named_by_its_rule(app, sent):
    assert app.test_client().get("/fine/7").text == "fine 7"
    [event] = of_type(sent, "transaction")
    assert event["transaction"] == "/fine/<int:number>"
    assert event["contexts"]["trace"]["op"] == "http.server"
    assert event["contexts"]["trace"]["status"] == "ok"


def test_http_errors_are_no_events(app, sent):
    client = app.test_client()
    assert client.get("/refused").status_code == 403
    assert client.get("/nowhere").status_code == 404
    assert of_type(sent, "error") == []


def test_templates_get_the_trace(app, sent):
    assert '<meta name="sentry-trace"' in app.test_client().get("/page").text


def test_a_message_carries_the_request_and_the_scope_ends_with_it(app, sent):
    client = app.test_client()
    client.get("/message")
    [event] = of_type(sent, "error")
    assert event["message"] == "a message" and event["tags"]["own"] == "tag"
    assert event["request"]["url"] == "http://localhost/message"
    client.get("/crash")
    assert "own" not in (of_type(sent, "error")[1].get("tags") or {})


def test_a_failing_request_s_transaction_is_an_internal_error(app, sent):
    app.test_client().get("/crash")
    [event] = of_type(sent, "transaction")
    assert event["contexts"]["trace"]["status"] == "internal_error"
