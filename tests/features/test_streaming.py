from __future__ import annotations

import pytest

from carboy import (
    Response,
    current_app,
    g,
    request,
    session,
    stream_template,
    stream_template_string,
    stream_with_context,
)


def test_a_generator_is_streamed_lazily(app):
    """STRM-01: no length; nothing is made before it is asked for."""
    made = []

    def rows():
        for n in range(3):
            made.append(n)
            yield f"{n}\n"

    app.add_url_rule("/", "view", lambda: Response(rows(), mimetype="text/csv"))
    response = app.test_client().get("/", buffered=False)
    assert "Content-Length" not in response.headers
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.is_streamed
    pieces = iter(response.response)
    assert next(pieces) == b"0\n"
    assert len(made) <= 2  # the client looks one piece ahead
    assert b"".join(pieces) == b"1\n2\n"
    assert made == [0, 1, 2]
    response.close()


def test_an_infinite_generator_can_be_streamed(app):
    """STRM-01: the client may stop reading."""

    def endless():
        while True:
            yield "x"

    app.add_url_rule("/", "view", lambda: endless())
    response = app.test_client().get("/", buffered=False)
    pieces = iter(response.response)
    assert [next(pieces) for _ in range(3)] == [b"x"] * 3
    response.close()


def test_without_stream_with_context_the_request_is_gone(app, call):
    """STRM-04: RuntimeError "outside of request context" when the generator runs."""

    def rows():
        yield "first "
        yield request.args["name"]

    app.add_url_rule("/", "view", lambda: Response(rows()))
    with pytest.raises(RuntimeError, match="outside of request context"):
        call(app, "/", query="name=ann")


def test_stream_with_context_as_a_function(app, raw):
    """STRM-04: around a generator; request, session, g and the application stay."""
    app.secret_key = "k"

    @app.route("/")
    def view():
        g.word = "hello"
        session["seen"] = "yes"

        def rows():
            yield g.word
            yield f" {request.args['name']}"
            yield f" {session['seen']}"
            yield f" {current_app.name}"

        return Response(stream_with_context(rows()))

    assert raw("/", query="name=ann").body == b"hello ann yes test_app"


def test_stream_with_context_as_a_decorator(app, raw):
    """STRM-04: on the generator function, with arguments."""

    @app.route("/")
    def view():
        @stream_with_context
        def rows(greeting):
            yield greeting
            yield request.args["name"]

        return Response(rows("hi "))

    assert raw("/", query="name=ann").body == b"hi ann"


def test_stream_with_context_needs_a_request(app):
    """STRM-04: RuntimeError when called outside."""
    with pytest.raises(RuntimeError, match=r"stream_with_context|request context"):
        next(iter(stream_with_context(iter(["x"]))))


def test_stream_with_context_closes_the_generator(app):
    """STRM-04: when the client leaves early."""
    closed = []

    @app.route("/")
    def view():
        def rows():
            try:
                while True:
                    yield request.path
            finally:
                closed.append(request.path)

        return Response(stream_with_context(rows()))

    response = app.test_client().get("/", buffered=False)
    assert next(iter(response.response)) == b"/"
    response.close()
    assert closed == ["/"]


@pytest.mark.beyond
def test_teardown_runs_once_after_the_stream(app, raw):
    """STRM-04: functions of ``teardown_request`` see the request after its last piece."""
    order = []
    app.teardown_request(lambda error: order.append("teardown"))

    @app.route("/")
    def view():
        def rows():
            yield "a"
            order.append("a")
            yield "b"
            order.append("b")

        return Response(stream_with_context(rows()))

    assert raw("/").body == b"ab"
    assert order == ["a", "b", "teardown"]


def test_stream_template(app, tmp_path, raw):
    """STRM-06: pieces of a template, with the context."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/page.html").write_text(
        "{% for n in numbers %}{{ n }},{% endfor %}{{ request.path }}{{ '<' }}"
    )
    made = []

    def numbers():
        for n in range(3):
            made.append(n)
            yield n

    app.add_url_rule("/", "view", lambda: stream_template("page.html", numbers=numbers()))
    reply = raw("/")
    assert reply.body == b"0,1,2,/&lt;"
    assert reply.get("Content-Length") is None
    assert reply.get("Content-Type") == "text/html; charset=utf-8"


def test_stream_template_string(app, raw):
    """STRM-06: from text; lazily."""
    app.add_url_rule(
        "/", "view", lambda: stream_template_string("{{ x }}{{ request.path }}", x="<")
    )
    reply = raw("/")
    assert reply.body == b"&lt;/"


def test_the_iterators_close_is_called(app, raw):
    """STRM-07: after the last piece, once."""
    closed = []

    class Rows:
        def __init__(self):
            self.left = [b"a", b"b"]

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                raise StopIteration
            return self.left.pop(0)

        def close(self):
            closed.append(len(self.left))

    app.add_url_rule("/", "view", lambda: Response(Rows()))
    assert raw("/").body == b"ab"
    assert closed == [0]


def test_call_on_close_runs_after_the_response(app, raw):
    """STRM-07: functions given to ``call_on_close`` too."""
    order = []

    @app.route("/")
    def view():
        def rows():
            yield "x"
            order.append("sent")

        response = Response(rows())
        response.call_on_close(lambda: order.append("closed"))
        return response

    assert raw("/").body == b"x"
    assert order == ["sent", "closed"]


def test_head_does_not_run_the_generator(app, raw):
    """STRM-07: closed without a piece."""
    made = []

    def rows():
        made.append(1)
        yield "x"

    app.add_url_rule("/", "view", lambda: Response(rows()))
    reply = raw("/", "HEAD")
    assert (reply.code, reply.body, made) == (200, b"", [])


@pytest.mark.beyond
def test_an_event_stream_is_a_response(app, client):
    """STRM-05: text, JSON and named events, with the headers that proxies need."""
    from carboy import EventStream, ServerSentEvent

    def events():
        yield "two\nlines"
        yield ServerSentEvent({"lat": 51.95}, event="position", id=7)

    app.add_url_rule("/", "view", lambda: EventStream(events()))
    response = client.get("/")
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.text == (
        ':\n\ndata: two\ndata: lines\n\nevent: position\nid: 7\ndata: {"lat": 51.95}\n\n'
    )


CHUNKS = """
from carboy import Carboy, Response
from werkzeug.serving import WSGIRequestHandler
app = Carboy(__name__)
@app.route("/")
def view():
    return Response(iter(["first", "second"]), mimetype="text/plain")
if __name__ == "__main__":
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    app.run(port=0)
"""


@pytest.mark.server
def test_pieces_are_chunks_on_the_wire(start_server):
    """STRM-02: ``Transfer-Encoding: chunked`` on HTTP/1.1."""
    import socket

    server = start_server(CHUNKS)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        data = b""
        while piece := wire.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert body == b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
