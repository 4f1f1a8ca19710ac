"""OpenTelemetry: `FlaskInstrumentor().instrument()` and `instrument_app(app)`; spans and metrics.

As the documentation of opentelemetry-instrumentation-flask has it; spans are kept in memory.
"""

from __future__ import annotations

import json

import flask
import pytest
from flask import Flask, abort, request, stream_with_context
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter):
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


@pytest.fixture
def spans(exporter):
    """`spans()`: what has been recorded, of the server's side."""
    return lambda: [s for s in exporter.get_finished_spans() if s.kind is SpanKind.SERVER]


def create_app(make=Flask) -> Flask:
    app = make("recipe")

    @app.get("/")
    def hello():
        return "Hello!"

    @app.get("/orders/<int:number>")
    def order(number):
        return {"sampled": trace.get_current_span().get_span_context().is_valid}

    @app.get("/broken")
    def broken():
        raise ValueError("no paper")

    @app.get("/gone")
    def gone():
        abort(410)

    @app.get("/async")
    async def async_view():
        trace.get_current_span().set_attribute("recipe.seen", "async")
        return "async"

    @app.get("/stream")
    def stream():
        @stream_with_context
        def rows():
            for number in range(3):
                yield f"{request.path} {number}\n"

        return rows()

    @app.get("/health")
    def health():
        return "up"

    return app


@pytest.fixture(params=["instrument", "instrument_app"])
def app(request, provider):
    """The same application, made under `instrument()`, or handed to `instrument_app`."""
    instrumentor = FlaskInstrumentor()
    if request.param == "instrument":
        instrumentor.instrument(tracer_provider=provider, excluded_urls="health,metrics")
        # The documentation's way: `flask.Flask` after `instrument()`.
        yield create_app(flask.Flask)
        instrumentor.uninstrument()
    else:
        made = create_app()
        instrumentor.instrument_app(made, tracer_provider=provider, excluded_urls="health,metrics")
        yield made
        instrumentor.uninstrument_app(made)


def test_a_span_is_named_by_method_and_rule(app, spans):
    client = app.test_client()
    assert client.get("/orders/3").json == {"sampled": True}
    client.get("/")
    assert [span.name for span in spans()] == ["GET /orders/<int:number>", "GET /"]
    assert spans()[0].attributes["http.route"] == "/orders/<int:number>"


def test_a_span_has_what_is_known_of_the_request_and_the_answer(app, spans):
    app.test_client().get("/orders/3?page=2", headers={"User-Agent": "recipe"})
    [span] = spans()
    known = dict(span.attributes)
    assert known["http.method"] == "GET"
    assert known["http.target"] == "/orders/3?page=2"
    assert known["http.host"] == "localhost"
    assert known["http.scheme"] == "http"
    assert known["http.user_agent"] == "recipe"
    assert known["http.status_code"] == 200
    assert span.status.status_code is StatusCode.UNSET


def test_an_unhandled_error_is_recorded_and_the_span_is_an_error(app, spans):
    assert app.test_client().get("/broken").status_code == 500
    [span] = spans()
    assert (span.name, span.attributes["http.status_code"]) == ("GET /broken", 500)
    assert span.status.status_code is StatusCode.ERROR
    [event] = [event for event in span.events if event.name == "exception"]
    assert event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.message"] == "no paper"


def test_an_error_that_propagates_ends_the_span(app, spans):
    app.testing = True
    with pytest.raises(ValueError, match="no paper"):
        app.test_client().get("/broken")
    [span] = spans()
    assert span.events[0].attributes["exception.type"] == "ValueError"


def test_an_http_error_is_no_error_of_the_span(app, spans):
    app.test_client().get("/gone")
    [span] = spans()
    assert (span.attributes["http.status_code"], span.status.status_code) == (410, StatusCode.UNSET)
    assert span.events == ()


def test_what_no_rule_matches_is_named_by_the_method(app, spans):
    assert app.test_client().get("/nowhere").status_code == 404
    [span] = spans()
    assert span.name.split()[0] == "GET"
    assert "http.route" not in span.attributes
    assert span.attributes["http.status_code"] == 404


def test_a_method_that_is_not_allowed_has_its_status(app, spans):
    assert app.test_client().post("/").status_code == 405
    [span] = spans()
    assert span.attributes["http.status_code"] == 405


def test_excluded_addresses_have_no_span(app, spans):
    client = app.test_client()
    assert client.get("/health").text == "up"
    client.get("/")
    assert [span.name for span in spans()] == ["GET /"]


def test_the_callers_trace_goes_on(app, spans):
    caller = f"00-{'a' * 32}-{'b' * 16}-01"
    app.test_client().get("/", headers={"traceparent": caller})
    [span] = spans()
    assert trace.format_trace_id(span.context.trace_id) == "a" * 32
    assert trace.format_span_id(span.parent.span_id) == "b" * 16


def test_spans_made_in_a_view_are_children_of_the_requests(app, spans, exporter, provider):
    tracer = provider.get_tracer("recipe")

    @app.get("/work")
    def work():
        with tracer.start_as_current_span("counting"):
            return "counted"

    app.test_client().get("/work")
    [server] = spans()
    [inner] = [span for span in exporter.get_finished_spans() if span.name == "counting"]
    assert inner.parent.span_id == server.context.span_id


def test_an_async_view_runs_inside_the_span(app, spans):
    assert app.test_client().get("/async").text == "async"
    [span] = spans()
    assert (span.name, span.attributes["recipe.seen"]) == ("GET /async", "async")


def test_a_span_ends_with_the_stream(app, spans):
    with app.test_client().get("/stream") as answer:
        assert answer.text == "/stream 0\n/stream 1\n/stream 2\n"
    assert [span.name for span in spans()] == ["GET /stream"]
    assert not trace.get_current_span().get_span_context().is_valid


def test_no_span_is_current_after_a_request(app):
    client = app.test_client()
    for path in ("/", "/broken", "/nowhere", "/async"):
        client.get(path)
        assert not trace.get_current_span().get_span_context().is_valid


def test_a_client_that_keeps_the_context_ends_the_span_with_it(app, spans):
    with app.test_client() as client:
        client.get("/orders/3")
        assert request.path == "/orders/3"
    assert [span.name for span in spans()] == ["GET /orders/<int:number>"]


def test_a_test_request_context_makes_no_span(app, spans):
    with app.test_request_context("/orders/3"):
        assert request.endpoint == "order"
    assert spans() == []


def test_a_copied_context_in_the_view_does_not_end_the_span(app, spans):
    @app.get("/copied")
    def copied():
        path = flask.copy_current_request_context(lambda: request.path)()
        trace.get_current_span().set_attribute("recipe.after", path)
        return path

    assert app.test_client().get("/copied").text == "/copied"
    [span] = spans()
    assert span.attributes["recipe.after"] == "/copied"


def test_a_failing_before_request_function_ends_the_span(app, spans):
    @app.before_request
    def refuse():
        raise ValueError("not today")

    assert app.test_client().get("/").status_code == 500
    [span] = spans()
    assert span.attributes["http.status_code"] == 500


def test_hooks_see_the_request_and_the_answer(spans, provider):
    def request_hook(span, environ):
        span.set_attribute("recipe.path", environ["PATH_INFO"])

    def response_hook(span, status, headers):
        span.set_attribute("recipe.status", status)

    app = create_app()
    instrumentor = FlaskInstrumentor()
    hooks = {"request_hook": request_hook, "response_hook": response_hook}
    instrumentor.instrument_app(app, tracer_provider=provider, **hooks)
    app.test_client().get("/orders/3")
    [span] = spans()
    assert span.attributes["recipe.path"] == "/orders/3"
    assert span.attributes["recipe.status"] == "200 OK"


def test_requests_are_counted_and_timed():
    reader = InMemoryMetricReader()
    app = create_app()
    FlaskInstrumentor().instrument_app(app, meter_provider=MeterProvider([reader]))
    app.test_client().get("/orders/3")
    app.test_client().get("/orders/4")
    [resource] = reader.get_metrics_data().resource_metrics
    found = {m.name: m for scope in resource.scope_metrics for m in scope.metrics}
    assert sum(p.value for p in found["http.server.active_requests"].data.data_points) == 0
    [point] = found["http.server.duration"].data.data_points
    assert point.count == 2
    assert point.attributes["http.status_code"] == 200


def test_an_application_is_not_traced_any_more_after_uninstrument_app(spans, provider):
    app = create_app()
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
    client = app.test_client()
    client.get("/")
    FlaskInstrumentor.uninstrument_app(app)
    assert client.get("/").text == "Hello!"
    assert len(spans()) == 1


def test_an_application_may_be_instrumented_again(spans, provider):
    app = create_app()
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
    FlaskInstrumentor.uninstrument_app(app)
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
    app.test_client().get("/orders/3")
    assert [span.name for span in spans()] == ["GET /orders/<int:number>"]


def test_uninstrument_gives_the_class_back(spans, provider):
    before = flask.Flask
    instrumentor = FlaskInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    assert flask.Flask is not before and issubclass(flask.Flask, before)
    instrumentor.uninstrument()
    assert flask.Flask is before
    create_app(flask.Flask).test_client().get("/")
    assert spans() == []


def test_an_application_is_instrumented_once(app, spans, provider, caplog):
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
    assert "already instrumented" in caplog.text
    app.test_client().get("/")
    assert len(spans()) == 1


PROGRAM = """
import json
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
FlaskInstrumentor().instrument(tracer_provider=provider)

from flask import Flask

app = Flask(__name__)

@app.route("/<name>")
def page(name):
    return name

assert app.test_client().get("/one").text == "one"
print(json.dumps([span.name for span in exporter.get_finished_spans()]))
"""


def test_a_program_that_instruments_before_it_imports_flask_is_traced(run_child):
    assert json.loads(run_child(PROGRAM)) == ["GET /<name>"]
