"""`carboy.testing.lint` finds what is planted: one wrong application for each rule."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from carboy import Carboy, Response
from carboy.testing import lint

OK = "200 OK"


# -- WSGI ----------------------------------------------------------------------------------------


def call_wsgi(app: Any, method: str = "GET") -> bytes:
    environ = {"REQUEST_METHOD": method}
    body = lint.wsgi(app)(environ, lambda status, headers, exc_info=None: lambda data: None)
    try:
        return b"".join(body)
    finally:
        body.close()  # type: ignore[attr-defined]


def wsgi_app(status: Any = OK, headers: Any = None, body: Any = (b"x",)) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, [] if headers is None else headers)
        return body

    return app


def twice(environ: Any, start_response: Any) -> Any:
    start_response(OK, [])
    start_response(OK, [])
    return []


def never(environ: Any, start_response: Any) -> Any:
    return []


def late(environ: Any, start_response: Any) -> Any:
    yield b"x"
    start_response(OK, [])


def swallowing(environ: Any, start_response: Any) -> Any:
    try:
        start_response(200, [])
    except Exception:
        start_response(OK, [])
    return []


def writing(environ: Any, start_response: Any) -> Any:
    start_response(OK, [])("text")
    return []


WRONG_WSGI = {
    "status without reason": (wsgi_app("200"), "three digits"),
    "status as a number": (wsgi_app(200), "three digits"),
    "status that ends nothing": (wsgi_app("101 Switching Protocols"), "200 to 999"),
    "headers in a tuple": (wsgi_app(headers=()), "list of"),
    "header as a list": (wsgi_app(headers=[["A", "b"]]), "tuples of two str"),
    "header of bytes": (wsgi_app(headers=[("A", b"b")]), "tuples of two str"),
    "header named Status": (wsgi_app(headers=[("Status", "200")]), "named Status"),
    "header with a bad name": (wsgi_app(headers=[("A B", "b")]), "no header name"),
    "header with a line break": (wsgi_app(headers=[("A", "b\r\nC: d")]), "control character"),
    "header beyond latin-1": (wsgi_app(headers=[("A", "→")]), "latin-1"),
    "hop-by-hop header": (wsgi_app(headers=[("Connection", "close")]), "server's to set"),
    "length that is no number": (wsgi_app(headers=[("Content-Length", "+1")]), "decimal digits"),
    "two lengths": (
        wsgi_app(headers=[("Content-Length", "1"), ("Content-Length", "2")]),
        "two Content-Length",
    ),
    "body longer than its length": (wsgi_app(headers=[("Content-Length", "0")]), "1 bytes already"),
    "body shorter than its length": (wsgi_app(headers=[("Content-Length", "2")]), "after 1 bytes"),
    "204 with a body": (wsgi_app("204 No Content"), "A 204 has a body"),
    "204 with a length": (
        wsgi_app("204 No Content", [("Content-Length", "0")], ()),
        "204 has a Content-Length",
    ),
    "body of text": (wsgi_app(body=["x"]), "encode text"),
    "bytes instead of a list": (wsgi_app(body=b"x"), "byte by byte"),
    "nothing returned": (wsgi_app(body=None), "an iterable"),
    "start_response twice": (twice, "called twice"),
    "start_response never": (never, "never called"),
    "body before start_response": (late, "before start_response"),
    "a mistake that is swallowed": (swallowing, "three digits"),
    "text written": (writing, "encode text"),
}


@pytest.mark.parametrize("name", WRONG_WSGI)
def test_a_wrong_wsgi_application_is_found(name: str) -> None:
    app, told = WRONG_WSGI[name]
    with pytest.raises(lint.LintError, match=told) as caught:
        call_wsgi(app)
    assert "Rule: " in str(caught.value) and "Fix: " in str(caught.value)
    assert caught.value.rule.startswith(("PEP 3333", "RFC 91"))


def test_a_body_for_head_is_found() -> None:
    with pytest.raises(lint.LintError, match="HEAD has a body"):
        call_wsgi(wsgi_app(), "HEAD")


def test_a_right_wsgi_application_passes() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "9")])
        start_response("500 Oh", [("Content-Length", "4")], (None, None, None))(b"ab")
        return iter([b"", b"cd"])

    assert call_wsgi(app) == b"cd"
    assert call_wsgi(wsgi_app(headers=[("Content-Length", "5")], body=[]), "HEAD") == b""


# -- ASGI ----------------------------------------------------------------------------------------

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"x"}
PART = {**BODY, "more_body": True}


def http(*messages: Any, **scope: Any) -> None:
    """Run an application that sends ``messages``."""
    run_asgi({"type": "http", "method": "GET", **scope}, messages, {"type": "http.request"})


def run_asgi(scope: Any, messages: Any, received: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            if message == "receive":
                await receive()
            else:
                await send(message)

    async def receive() -> Any:
        return received

    async def send(message: Any) -> None:
        pass

    asyncio.run(lint.asgi(app)(scope, receive, send))  # type: ignore[arg-type]


def headed(*headers: Any) -> Any:
    return {**START, "headers": headers}


WRONG_HTTP: dict[str, tuple[list[Any], str]] = {
    "no message": (["text"], 'a dict with a "type"'),
    "no type": ([{"status": 200}], 'a dict with a "type"'),
    "unknown message": ([{"type": "http.response.head"}], "It may send"),
    "body first": ([BODY], "before the start"),
    "start twice": ([START, START], "begun twice"),
    "part after the end": ([START, BODY, BODY], "after the last part"),
    "no answer": ([], "without an answer"),
    "half an answer": ([START, PART], "middle of its answer"),
    "status as text": ([{**START, "status": "200"}], "200 to 999"),
    "header of text": ([headed(["a", "b"])], "pairs of bytes"),
    "header of three": ([headed([b"a", b"b", b"c"])], "pairs of bytes"),
    "capitals": ([headed((b"A", b"b"))], "lower case"),
    "line break": ([headed((b"a", b"b\nc"))], "control character"),
    "chunked": ([headed((b"transfer-encoding", b"chunked"))], "server's to set"),
    "text body": ([START, {**BODY, "body": "x"}], "encode text"),
    "too long": ([headed((b"content-length", b"0")), BODY], "1 bytes already"),
    "too short": ([headed((b"content-length", b"2")), BODY], "after 1 bytes"),
    "304 with a body": ([{**START, "status": 304}, BODY], "A 304 has a body"),
}


@pytest.mark.parametrize("name", WRONG_HTTP)
def test_a_wrong_asgi_application_is_found(name: str) -> None:
    messages, told = WRONG_HTTP[name]
    with pytest.raises(lint.LintError, match=told) as caught:
        http(*messages)
    assert caught.value.rule.startswith(("ASGI 3", "RFC 91"))


def test_an_application_that_is_not_async_is_found() -> None:
    async def run() -> None:
        await lint.asgi(lambda *args: None)({"type": "http"}, None, None)  # type: ignore

    with pytest.raises(lint.LintError, match="async function"):
        asyncio.run(run())


def test_right_asgi_applications_pass() -> None:
    http(START, PART, PART, BODY)
    http(headed((b"content-length", b"5")), {**BODY, "body": b""}, method="HEAD")
    # The client has gone: an answer need not be finished.
    scope = {"type": "http", "method": "GET"}
    run_asgi(scope, [START, PART, "receive"], {"type": "http.disconnect"})


ACCEPT = {"type": "websocket.accept"}
SEND = {"type": "websocket.send", "text": "x"}
CLOSE = {"type": "websocket.close"}
DENY = {"type": "websocket.http.response.start", "status": 403, "headers": []}

WRONG_WEBSOCKET: dict[str, tuple[list[Any], str]] = {
    "no answer": ([], "left a WebSocket unanswered"),
    "unknown message": ([{"type": "websocket.ping"}], "It may send"),
    "data first": ([SEND], "Accept first"),
    "accept twice": ([ACCEPT, ACCEPT], "Accept once"),
    "unasked subprotocol": ([{**ACCEPT, "subprotocol": "b"}], "none of the client's"),
    "subprotocol header": (
        [{**ACCEPT, "headers": [(b"sec-websocket-protocol", b"a")]}],
        "is a header",
    ),
    "bytes and text": ([ACCEPT, {**SEND, "bytes": b"x"}], "bytes or text"),
    "neither": ([ACCEPT, {"type": "websocket.send"}], "bytes or text"),
    "text as bytes": ([ACCEPT, {**SEND, "text": b"x"}], "mixes types"),
    "after the close": ([ACCEPT, CLOSE, SEND], "Accept first"),
    "close twice": ([ACCEPT, CLOSE, CLOSE], "closed twice"),
    "reserved code": ([ACCEPT, {**CLOSE, "code": 1006}], "close code"),
    "long reason": ([ACCEPT, {**CLOSE, "reason": "ä" * 62}], "123 bytes"),
    "denied without the extension": ([DENY], "extensions"),
}


def websocket(*messages: Any, **scope: Any) -> None:
    scope = {"type": "websocket", "subprotocols": ["a"], **scope}
    run_asgi(scope, messages, {"type": "websocket.connect"})


@pytest.mark.parametrize("name", WRONG_WEBSOCKET)
def test_a_wrong_asgi_websocket_is_found(name: str) -> None:
    messages, told = WRONG_WEBSOCKET[name]
    with pytest.raises(lint.LintError, match=told):
        websocket(*messages)


def test_right_asgi_websockets_pass() -> None:
    websocket("receive", {**ACCEPT, "subprotocol": "a"}, SEND, {**CLOSE, "code": 3001})
    websocket(CLOSE)
    body = {"type": "websocket.http.response.body"}
    websocket(DENY, body, extensions={"websocket.http.response": {}})


WRONG_LIFESPAN: dict[str, tuple[list[Any], str]] = {
    "too early": ([{"type": "lifespan.startup.complete"}], "came before"),
    "unknown": (["receive", {"type": "lifespan.startup.done"}], "It may send"),
    "twice": (["receive", *[{"type": "lifespan.startup.complete"}] * 2], "told of twice"),
}


@pytest.mark.parametrize("name", WRONG_LIFESPAN)
def test_a_wrong_lifespan_is_found(name: str) -> None:
    messages, told = WRONG_LIFESPAN[name]
    with pytest.raises(lint.LintError, match=told):
        run_asgi({"type": "lifespan"}, messages, {"type": "lifespan.startup"})


# -- RSGI ----------------------------------------------------------------------------------------


class Server:
    """A server's protocol object that takes everything."""

    def __getattr__(self, name: str) -> Any:
        if name in ("accept", "send_bytes", "send_str"):

            async def later(*args: Any) -> Any:
                return self

            return later
        return lambda *args: self


def call_rsgi(app: Any, method: str = "GET", proto: str = "http") -> None:
    scope = SimpleNamespace(proto=proto, method=method, headers={})
    asyncio.run(lint.rsgi(app).__rsgi__(scope, Server()))


def rsgi_app(*calls: Any) -> Any:
    """An application that makes these calls, each on what the last one gave that is a stream."""

    async def app(scope: Any, protocol: Any) -> None:
        transport = None
        for name, *args in calls:
            on = transport if name.startswith("send") else protocol
            given = getattr(on, name)(*args)
            if asyncio.iscoroutine(given):
                given = await given
            transport = transport or given

    return app


EMPTY = ("response_empty", 200, [])
STREAM = ("response_stream", 200, [("content-length", "2")])

WRONG_RSGI: dict[str, tuple[list[Any], str]] = {
    "no answer": ([], "without an answer"),
    "two answers": ([EMPTY, EMPTY], "answered twice"),
    "status as text": ([("response_empty", "200", [])], "200 to 999"),
    "header of bytes": ([("response_empty", 200, [(b"a", b"b")])], "pairs of str"),
    "capitals": ([("response_empty", 200, [("A", "b")])], "lower case"),
    "line break": ([("response_empty", 200, [("a", "b\nc")])], "control character"),
    "text as bytes": ([("response_bytes", 200, [], "x")], "sends bytes"),
    "bytes as text": ([("response_str", 200, [], b"x")], "sends str"),
    "too short": ([("response_bytes", 200, [("content-length", "2")], b"x")], "after 1 bytes"),
    "204 with a body": ([("response_str", 204, [], "x")], "A 204 has a body"),
    "text in a stream of bytes": ([STREAM, ("send_bytes", "x")], "takes bytes"),
    "a stream that is too short": ([STREAM, ("send_bytes", b"x")], "after 1 bytes"),
    "a stream that is too long": ([STREAM, ("send_str", "äb")], "3 bytes already"),
}


@pytest.mark.parametrize("name", WRONG_RSGI)
def test_a_wrong_rsgi_application_is_found(name: str) -> None:
    calls, told = WRONG_RSGI[name]
    with pytest.raises(lint.LintError, match=told) as caught:
        call_rsgi(rsgi_app(*calls))
    assert caught.value.rule.startswith(("RSGI 1", "RFC 91"))


def test_right_rsgi_applications_pass() -> None:
    call_rsgi(rsgi_app(EMPTY))
    call_rsgi(rsgi_app(("response_str", 200, [("content-length", "2")], "ä")))
    call_rsgi(rsgi_app(STREAM, ("send_bytes", b"x"), ("send_str", "y")))
    call_rsgi(rsgi_app(("response_empty", 200, [("content-length", "9")])), "HEAD")
    call_rsgi(rsgi_app(("response_file", 200, [("content-length", "9")], "/a/file")))


WRONG_RSGI_WEBSOCKET: dict[str, tuple[list[Any], str]] = {
    "no answer": ([], "left a WebSocket unanswered"),
    "accept twice": ([("accept",), ("accept",)], "Accept once"),
    "text as bytes": ([("accept",), ("send_bytes", "x")], "takes bytes"),
    "after the close": ([("accept",), ("close", 1000), ("send_str", "x")], "Close last"),
    "close twice": ([("close", 403), ("close", 403)], "closed twice"),
    "a code that is text": ([("close", "403")], "int or None"),
}


@pytest.mark.parametrize("name", WRONG_RSGI_WEBSOCKET)
def test_a_wrong_rsgi_websocket_is_found(name: str) -> None:
    calls, told = WRONG_RSGI_WEBSOCKET[name]
    with pytest.raises(lint.LintError, match=told):
        call_rsgi(rsgi_app(*calls), proto="ws")


def test_a_right_rsgi_websocket_passes() -> None:
    call_rsgi(rsgi_app(("accept",), ("send_str", "x"), ("close", 1000)), proto="ws")


# -- driving -------------------------------------------------------------------------------------


def test_check_drives_each_door(app: Carboy) -> None:
    """A request goes through each door, and the answers are the same."""
    seen: list[str] = []

    @app.post("/")
    def view() -> Any:
        from carboy import request

        seen.append(request.get_json()["name"])
        return {"hello": "ann"}, 201

    answer = lint.check(app, "/", method="POST", json={"name": "ann"})
    assert (answer.status, answer.body) == (201, b'{"hello":"ann"}\n')
    assert ("content-type", "application/json") in answer.headers
    assert seen == ["ann"] * 3


def test_check_tells_when_doors_differ(app: Carboy) -> None:
    """The doors and both answers are named."""
    count = iter(range(3))
    app.add_url_rule("/", "view", lambda: str(next(count)))
    with pytest.raises(lint.LintError, match=r"wsgi answered .*b'0'.* asgi answered .*b'1'"):
        lint.check(app)


@pytest.mark.parametrize("door", ["wsgi", "asgi", "rsgi"])
def test_a_client_with_lint_finds_a_wrong_answer(app: Carboy, door: str) -> None:
    """A length that is wrong would leave a browser waiting."""
    app.add_url_rule("/", "view", lambda: Response(iter(["x"]), headers={"Content-Length": "2"}))
    client = app.test_client(door=door, lint=True)
    with pytest.raises(lint.LintError, match="after 1 bytes"):
        client.get("/").get_data()
    assert client.get("/nowhere").status_code == 404


def test_a_wrong_door_is_told_about(app: Carboy) -> None:
    with pytest.raises(ValueError, match="There is no door 'front'"):
        app.test_client(door="front")
