"""Sentry's SDK: `sentry_sdk.init()` with `FlaskIntegration`; errors, users, traces, feedback.

As the page "Flask" of its documentation has it; what would be sent is kept in memory.
"""

from __future__ import annotations

import json
import logging

import flask_login
import pytest
import sentry_sdk
from flask import Flask, abort, render_template_string, request
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport
from werkzeug.exceptions import Forbidden

DSN = "https://key@sentry.example/1"


class Kept(Transport):
    """A transport that sends nothing."""

    def __init__(self, options=None):
        super().__init__(options)
        self.envelopes = []

    def capture_envelope(self, envelope):
        self.envelopes.append(envelope)

    def items(self, kind):
        items = [item for envelope in self.envelopes for item in envelope.items]
        return [item.payload.json for item in items if item.type == kind]

    @property
    def events(self):
        return self.items("event")

    @property
    def transactions(self):
        return self.items("transaction")


@pytest.fixture
def init():
    """`init(**options)` as an application calls it; gives the transport."""

    def start(**options):
        transport = Kept()
        options.setdefault("integrations", [FlaskIntegration()])
        sentry_sdk.init(dsn=DSN, transport=transport, **options)
        return transport

    yield start
    sentry_sdk.init()


def create_app() -> Flask:
    app = Flask("recipe")
    app.secret_key = "recipe"

    @app.get("/")
    def hello_world():
        1 / 0  # raises an error
        return "<p>Hello, World!</p>"

    @app.get("/orders/<int:number>")
    def order(number):
        if number == 0:
            raise ValueError("no such order")
        return f"order {number}"

    @app.post("/form")
    def form():
        raise ValueError(request.form["name"])

    @app.post("/json")
    def takes_json():
        raise ValueError(request.json["name"])

    @app.get("/async/<name>")
    async def async_view(name):
        raise ValueError(name)

    @app.get("/gone")
    def gone():
        abort(410)

    @app.get("/forbidden")
    def forbidden():
        raise Forbidden("not yours")

    @app.get("/message")
    def message():
        sentry_sdk.set_tag("page", "message")
        sentry_sdk.capture_message("something happened")
        return "noted"

    @app.get("/log")
    def log():
        app.logger.error("the printer is %s", "out of paper")
        return "logged"

    @app.get("/page")
    def page():
        return render_template_string("{{ sentry_trace_meta }}")

    @app.get("/stream")
    def stream():
        def rows():
            yield "first"
            raise ValueError("in the stream")

        return rows()

    return app


def error_of(event):
    value = event["exception"]["values"][-1]
    return value["type"], value["value"]


def test_an_unhandled_error_is_captured_once(init):
    kept = init()
    assert create_app().test_client().get("/").status_code == 500
    [event] = kept.events
    assert error_of(event) == ("ZeroDivisionError", "division by zero")
    mechanism = event["exception"]["values"][-1]["mechanism"]
    assert mechanism == {"type": "flask", "handled": False}
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "hello_world"
    assert frames[-1]["context_line"].strip().startswith("1 / 0")


def test_the_event_names_the_endpoint_and_shows_the_request(init):
    kept = init()
    client = create_app().test_client()
    client.get("/orders/0?page=2", headers={"X-Shop": "north", "Authorization": "secret"})
    [event] = kept.events
    assert (event["transaction"], event["transaction_info"]) == ("order", {"source": "component"})
    shown = event["request"]
    assert (shown["method"], shown["url"]) == ("GET", "http://localhost/orders/0")
    assert shown["query_string"] == "page=2"
    assert shown["headers"]["X-Shop"] == "north"
    assert shown["headers"]["Authorization"] == "[Filtered]"
    assert "cookies" not in shown


def test_the_transaction_may_be_named_by_the_rule(init):
    kept = init(integrations=[FlaskIntegration(transaction_style="url")])
    create_app().test_client().get("/orders/0")
    [event] = kept.events
    assert event["transaction"] == "/orders/<int:number>"
    assert event["transaction_info"] == {"source": "route"}


def test_a_forms_fields_are_on_the_event(init):
    kept = init(max_request_body_size="always")
    client = create_app().test_client()
    client.post("/form", data={"name": "ada", "password": "secret"})
    [event] = kept.events
    assert error_of(event) == ("ValueError", "ada")
    assert event["request"]["data"] == {"name": "ada", "password": "[Filtered]"}


def test_a_json_body_is_on_the_event(init):
    kept = init(max_request_body_size="always")
    create_app().test_client().post("/json", json={"name": "ada"})
    [event] = kept.events
    assert event["request"]["data"] == {"name": "ada"}


def test_with_personal_data_cookies_and_the_address_are_shown(init):
    kept = init(send_default_pii=True)
    client = create_app().test_client()
    client.set_cookie("flavour", "oat")
    client.get("/")
    [event] = kept.events
    assert event["request"]["cookies"] == {"flavour": "oat"}
    assert event["request"]["env"]["REMOTE_ADDR"] == "127.0.0.1"
    assert event["user"]["ip_address"] == "127.0.0.1"


def test_before_send_changes_an_event_or_drops_it(init):
    def before_send(event, hint):
        kind, error, _ = hint["exc_info"]
        if kind is ZeroDivisionError:
            return None
        event["fingerprint"] = [str(error)]
        return event

    kept = init(before_send=before_send)
    client = create_app().test_client()
    client.get("/")
    client.get("/orders/0")
    assert [event["fingerprint"] for event in kept.events] == [["no such order"]]


def test_an_error_that_a_handler_answers_is_not_captured(init):
    kept = init()
    app = create_app()

    @app.errorhandler(ValueError)
    def sorry(error):
        return "sorry", 503

    assert app.test_client().get("/orders/0").status_code == 503
    assert kept.events == []


def test_a_handler_of_500_gets_the_error_and_sentry_the_event(init):
    kept = init()
    app = create_app()

    @app.errorhandler(500)
    def server_error_handler(error):
        # As the documentation's page on user feedback shows the event to the visitor.
        return {"id": sentry_sdk.last_event_id(), "why": str(error.original_exception)}, 500

    answer = app.test_client().get("/")
    [event] = kept.events
    assert answer.json == {"id": event["event_id"], "why": "division by zero"}


@pytest.mark.parametrize("path", ["/gone", "/forbidden", "/nowhere"])
def test_http_errors_are_not_captured(init, path):
    kept = init()
    assert create_app().test_client().get(path).status_code in (410, 403, 404)
    assert kept.events == []


def test_an_error_in_an_async_view_is_captured_once(init):
    kept = init()
    assert create_app().test_client().get("/async/ada").status_code == 500
    [event] = kept.events
    assert (error_of(event), event["transaction"]) == (("ValueError", "ada"), "async_view")


def test_an_error_that_propagates_is_captured_once(init):
    kept = init()
    app = create_app()
    app.testing = True
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/")
    assert [error_of(event)[0] for event in kept.events] == ["ZeroDivisionError"]


def test_an_error_while_a_response_streams_is_captured(init):
    kept = init()
    with pytest.raises(ValueError, match="in the stream"):
        create_app().test_client().get("/stream").get_data()
    assert [error_of(event) for event in kept.events] == [("ValueError", "in the stream")]


def test_the_user_set_before_the_request_is_on_its_event_and_not_on_the_next(init):
    kept = init()
    app = create_app()

    @app.before_request
    def who():
        if "user" in request.args:
            sentry_sdk.set_user({"id": request.args["user"]})

    client = app.test_client()
    client.get("/?user=ada")
    client.get("/")
    assert [event.get("user", {}).get("id") for event in kept.events] == ["ada", None]


def test_the_user_of_flask_login_is_on_the_event(init):
    kept = init(send_default_pii=True)
    app = create_app()
    manager = flask_login.LoginManager(app)

    @manager.user_loader
    def load(name):
        user = flask_login.UserMixin()
        user.id = name
        user.email = f"{name}@example.org"
        return user

    @app.get("/login/<name>")
    def login(name):
        flask_login.login_user(load(name))
        return "welcome"

    client = app.test_client()
    client.get("/login/ada")
    client.get("/")
    [event] = kept.events
    assert (event["user"]["id"], event["user"]["email"]) == ("ada", "ada@example.org")


def test_tags_and_messages_belong_to_their_request(init):
    kept = init()
    client = create_app().test_client()
    client.get("/message")
    client.get("/")
    message, error = kept.events
    assert (message["message"], message["tags"]) == ("something happened", {"page": "message"})
    assert message["request"]["url"] == "http://localhost/message"
    assert message["transaction"] == "message"
    assert "page" not in error.get("tags", {})


def test_an_error_in_the_log_is_an_event_and_warnings_are_its_breadcrumbs(init):
    kept = init(integrations=[FlaskIntegration(), LoggingIntegration(level=logging.INFO)])
    app = create_app()

    @app.before_request
    def warn():
        app.logger.warning("paper is low")

    app.test_client().get("/log")
    [event] = kept.events
    assert event["logentry"]["formatted"] == "the printer is out of paper"
    assert event["transaction"] == "log"
    crumbs = [crumb["message"] for crumb in event["breadcrumbs"]["values"]]
    assert "paper is low" in crumbs


def test_each_request_is_a_transaction_named_by_its_endpoint(init):
    kept = init(traces_sample_rate=1.0)
    client = create_app().test_client()
    assert client.get("/orders/3").text == "order 3"
    client.get("/")
    client.get("/nowhere")
    seen = [
        (each["transaction"], each["contexts"]["trace"]["op"], each["contexts"]["trace"]["status"])
        for each in kept.transactions
    ]
    assert seen[:2] == [
        ("order", "http.server", "ok"),
        ("hello_world", "http.server", "internal_error"),
    ]
    assert seen[2][2] == "not_found"
    assert kept.transactions[0]["contexts"]["trace"]["origin"] == "auto.http.flask"
    [event] = kept.events
    trace = kept.transactions[1]["contexts"]["trace"]
    assert event["contexts"]["trace"]["trace_id"] == trace["trace_id"]


def test_a_trace_of_the_callers_goes_on(init):
    kept = init(traces_sample_rate=1.0)
    trace = f"{'a' * 32}-{'b' * 16}-1"
    create_app().test_client().get("/orders/3", headers={"sentry-trace": trace})
    [transaction] = kept.transactions
    assert transaction["contexts"]["trace"]["trace_id"] == "a" * 32
    assert transaction["contexts"]["trace"]["parent_span_id"] == "b" * 16


def test_spans_of_a_view_are_in_its_transaction(init):
    kept = init(traces_sample_rate=1.0)
    app = create_app()

    @app.get("/spans")
    def spans():
        with sentry_sdk.start_span(op="work", name="counting"):
            return "counted"

    app.test_client().get("/spans")
    [transaction] = kept.transactions
    assert [(s["op"], s["description"]) for s in transaction["spans"]] == [("work", "counting")]


def test_templates_get_the_trace_for_the_browser(init):
    init(traces_sample_rate=1.0)
    page = create_app().test_client().get("/page").text
    assert page.startswith('<meta name="sentry-trace" content="')
    assert '<meta name="baggage" content="' in page


def test_an_application_made_before_init_is_covered_too(init):
    app = create_app()
    kept = init()
    app.test_client().get("/orders/0")
    assert [event["transaction"] for event in kept.events] == ["order"]


def test_after_a_client_without_the_integration_nothing_is_captured(init):
    kept = init(integrations=[], default_integrations=False)
    create_app().test_client().get("/")
    assert kept.events == []


# In a process of their own: which of the two is imported, and does its work, first.
PROGRAM = """
import json
{first}
class Kept(sentry_sdk.transport.Transport):
    seen = []
    def capture_envelope(self, envelope):
        self.seen += [item.payload.json for item in envelope.items if item.type == "event"]
{second}
@app.get("/<name>")
def page(name):
    raise ValueError(name)
assert {how}.get("/one").status_code == 500
print(json.dumps([[e["transaction"], e["request"]["url"]] for e in Kept.seen]))
"""
INIT = "sentry_sdk.init(dsn='https://key@sentry.example/1', transport=Kept())"
APP = "app = Flask('recipe')"
SENTRY, FLASK = "import sentry_sdk", "from flask import Flask"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([SENTRY], [INIT, FLASK, APP]),
        ([SENTRY, FLASK], [INIT, APP]),
        ([FLASK, SENTRY], [APP, INIT]),
        ([FLASK, "app = Flask('recipe')", SENTRY], [INIT]),
    ],
    ids=["init-then-flask", "imports-then-init", "app-then-init", "app-then-sentry"],
)
@pytest.mark.parametrize(
    "how", ["app.test_client()", "__import__('werkzeug.test').test.Client(app)"]
)
def test_the_order_of_imports_and_of_init_does_not_matter(run_child, first, second, how):
    source = PROGRAM.format(first="\n".join(first), second="\n".join(second), how=how)
    assert json.loads(run_child(source)) == [["page", "http://localhost/one"]]


def test_an_application_of_a_class_of_its_own_is_covered(init):
    kept = init()

    class Shop(Flask):
        def wsgi_app(self, environ, start_response):
            environ["shop.seen"] = True
            return super().wsgi_app(environ, start_response)

    app = Shop("recipe")

    @app.get("/")
    def index():
        raise ValueError(str(request.environ["shop.seen"]))

    app.test_client().get("/")
    assert [error_of(event) for event in kept.events] == [("ValueError", "True")]
