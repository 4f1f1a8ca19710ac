"""OpenTelemetry's Flask instrumentation, spans kept in memory; runs on Flask and on Carboy."""

from __future__ import annotations

import flask
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def add_pages(app):
    @app.get("/hello/<name>")
    def hello(name):
        span = trace.get_current_span()
        span.set_attribute("own", name)
        return f"hello {name}"

    @app.get("/crash")
    def crash():
        raise ValueError("on purpose")

    @app.get("/stream")
    def stream():
        return flask.Response(flask.stream_with_context(iter(["a", "b"])))

    return app


@pytest.fixture
def app(provider):
    app = add_pages(flask.Flask("traced"))
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider, excluded_urls="healthz")
    app.add_url_rule("/healthz", view_func=lambda: "well")
    yield app
    FlaskInstrumentor().uninstrument_app(app)


def test_a_request_is_a_server_span_named_by_its_rule(app, exporter):
    assert app.test_client().get("/hello/ada").text == "hello ada"
    [span] = exporter.get_finished_spans()
    assert span.name == "GET /hello/<name>" and span.kind is SpanKind.SERVER
    assert span.attributes["http.route"] == "/hello/<name>"
    assert span.attributes["http.method"] == "GET"
    assert span.attributes["http.status_code"] == 200
    assert span.attributes["own"] == "ada"


def test_the_caller_s_trace_goes_on(app, exporter):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    app.test_client().get("/hello/ada", headers={"traceparent": parent})
    [span] = exporter.get_finished_spans()
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"


def test_an_error_is_the_span_s_status(app, exporter):
    assert app.test_client().get("/crash").status_code == 500
    [span] = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["http.status_code"] == 500


def test_a_page_that_is_not_there_is_a_span_too(app, exporter):
    assert app.test_client().get("/nowhere").status_code == 404
    [span] = exporter.get_finished_spans()
    assert span.attributes["http.status_code"] == 404


def test_excluded_urls_are_no_spans(app, exporter):
    assert app.test_client().get("/healthz").text == "well"
    assert exporter.get_finished_spans() == ()


def test_a_stream_is_one_span(app, exporter):
    assert app.test_client().get("/stream").text == "ab"
    assert len(exporter.get_finished_spans()) == 1


def test_no_span_stays_current_after_a_request(app):
    app.test_client().get("/hello/ada")
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_applications_made_after_instrument_are_traced(provider, exporter):
    FlaskInstrumentor().instrument(tracer_provider=provider)
    try:
        app = add_pages(flask.Flask("traced later"))
        assert app.test_client().get("/hello/ada").text == "hello ada"
        [span] = exporter.get_finished_spans()
        assert span.name == "GET /hello/<name>"
    finally:
        FlaskInstrumentor().uninstrument()
    app = add_pages(flask.Flask("not traced"))
    exporter.clear()
    app.test_client().get("/hello/ada")
    assert exporter.get_finished_spans() == ()
