"""WebSockets: the same conversations through both async doors, with async and sync views."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carboy import (
    Blueprint,
    Carboy,
    WebSocketDisconnect,
    abort,
    current_app,
    g,
    has_websocket_context,
    request,
    session,
    websocket,
)
from carboy.testing import WebSocketRefused
from carboy.testing.websocket import AsgiPeer, WebSocketConversation
from carboy.websockets import WebSocketDataError, WebSocketError

from .conftest import environ_for, through_wsgi

Connect = Callable[..., WebSocketConversation]


@pytest.fixture(params=["asgi", "rsgi"])
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connect(app: Carboy, door: str) -> Connect:
    """``with connect("/path", ...) as ws:`` through the door under test."""
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def connect(path: str, **options: Any) -> WebSocketConversation:
        client = options.pop("client", None) or app.test_client()
        return client.websocket_connect(path, door=door, **options)

    return connect


@pytest.fixture
def refused(connect: Connect) -> Callable[..., Any]:
    """``refused("/path")``: the response that a handshake is refused with."""

    def refused(path: str, **options: Any) -> Any:
        with pytest.raises(WebSocketRefused) as caught, connect(path, **options):
            pass
        return caught.value.response

    return refused


@pytest.fixture
def told(app: Carboy) -> list[str]:
    """What the hooks of each request note, in order."""
    told: list[str] = []

    @app.before_request
    def before() -> None:
        told.append("before")

    @app.after_request
    def after(response: Any) -> Any:
        told.append(f"after {response.status_code}")
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        told.append(f"teardown {type(error).__name__}")

    return told


def ended(ws: WebSocketConversation) -> tuple[int | None, str]:
    """The code and the reason that the application closes with."""
    with pytest.raises(WebSocketDisconnect) as caught:
        ws.receive()
    assert (caught.value.code, caught.value.reason) == (ws.close_code, ws.close_reason)
    return caught.value.code, caught.value.reason


def code_through(door: str, code: int) -> int:
    """What the client learns of a close code: RSGI has none."""
    return code if door == "asgi" else 1005


@pytest.fixture
def echo(app: Carboy, colour: str) -> None:
    """Echoes at ``/echo/<name>``, in both colours."""
    if colour == "async":

        @app.websocket("/echo/<name>")
        async def asynchronous(name: str) -> None:
            async for message in websocket:
                await websocket.send(message)

    else:

        @app.websocket("/echo/<name>")
        def synchronous(name: str) -> None:
            for message in websocket:
                websocket.send(message)


@pytest.fixture
def talk(app: Carboy, colour: str) -> Callable[..., None]:
    """``talk(*steps)`` registers ``/talk``, a view of the test's colour.

    A step is a verb and its arguments; what the verbs give is kept in ``app.seen``.
    """

    def talk(*steps: Any, **options: Any) -> None:
        app.seen = []  # type: ignore[attr-defined]

        async def asynchronous() -> None:
            for verb, *args in steps:
                app.seen.append(await getattr(websocket, verb)(*args))  # type: ignore[attr-defined]

        def synchronous() -> None:
            for verb, *args in steps:
                app.seen.append(getattr(websocket, verb)(*args))  # type: ignore[attr-defined]

        view = asynchronous if colour == "async" else synchronous
        app.add_websocket("/talk", "talk", view, **options)

    return talk


def caught_by(app: Carboy, colour: str, error: type[Exception], *steps: Any) -> None:
    """Register ``/talk`` so that what its last step raises is sent as text, before the end."""

    async def asynchronous() -> None:
        try:
            for verb, *args in steps:
                await getattr(websocket, verb)(*args)
        except error as raised:
            app.raised = raised  # type: ignore[attr-defined]

    def synchronous() -> None:
        try:
            for verb, *args in steps:
                getattr(websocket, verb)(*args)
        except error as raised:
            app.raised = raised  # type: ignore[attr-defined]

    app.add_websocket("/talk", "talk", asynchronous if colour == "async" else synchronous)


class TestTalking:
    @pytest.mark.parametrize("message", ["hello", "", "häh? ☃ 🎉", b"", b"\x00\xff", "x" * 300_000])
    def test_a_message_comes_back_as_it_was(
        self, echo: None, connect: Connect, message: str | bytes
    ) -> None:
        with connect("/echo/a") as ws:
            ws.send(message)
            assert ws.receive() == message

    def test_messages_keep_their_order(self, echo: None, connect: Connect) -> None:
        with connect("/echo/a") as ws:
            for number in range(100):
                ws.send(str(number))
            assert [ws.receive() for _ in range(100)] == [str(number) for number in range(100)]

    def test_json_goes_both_ways(self, talk: Any, app: Carboy, connect: Connect) -> None:
        talk(("receive_json",), ("send_json", {"b": [1, None]}), ("send_json", 1, 2))
        with connect("/talk") as ws:
            ws.send_json({"a": "ä"})
            assert ws.receive_json() == {"b": [1, None]}
            assert ws.receive_json() == [1, 2]
        assert app.seen[0] == {"a": "ä"}  # type: ignore[attr-defined]

    def test_the_first_verb_accepts(self, talk: Any, connect: Connect) -> None:
        talk(("send", "first"))
        with connect("/talk") as ws:
            assert ws.receive() == "first"

    def test_a_view_that_ends_closes_with_1000(
        self, talk: Any, connect: Connect, door: str
    ) -> None:
        talk(("accept",))
        with connect("/talk") as ws:
            assert ended(ws) == (code_through(door, 1000), "")

    def test_two_tasks_of_a_view_send_and_receive(self, app: Carboy, connect: Connect) -> None:
        @app.websocket("/both")
        async def both() -> None:
            async def push() -> None:
                for number in range(3):
                    await websocket.send(str(number))

            async def pull() -> None:
                assert await websocket.receive() == "stop"

            await asyncio.gather(push(), pull())

        with connect("/both") as ws:
            assert [ws.receive() for _ in range(3)] == ["0", "1", "2"]
            ws.send("stop")

    def test_many_conversations_at_once(self, echo: None, connect: Connect) -> None:
        open_ones = [connect("/echo/a").open() for _ in range(60)]
        for number, ws in enumerate(open_ones):
            ws.send(str(number))
        assert [ws.receive() for ws in open_ones] == [str(number) for number in range(60)]
        for ws in open_ones:
            ws.close()

    def test_sync_conversations_take_no_thread_from_requests(
        self, app: Carboy, connect: Connect, door: str
    ) -> None:
        @app.websocket("/echo")
        def echo() -> None:
            for message in websocket:
                websocket.send(message)

        @app.get("/page")
        def page() -> str:
            return "page"

        open_ones = [connect("/echo").open() for _ in range(45)]
        assert app.test_client(door=door).get("/page").text == "page"
        for ws in open_ones:
            ws.close()

    def test_more_sync_conversations_than_allowed_are_refused(
        self, app: Carboy, refused: Any, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        app.config["WEBSOCKET_MAX_THREADS"] = 1

        @app.websocket("/echo")
        def echo() -> None:
            websocket.receive()

        with connect("/echo"):
            pass  # the view may begin after the handshake of the next one
        app.config["WEBSOCKET_MAX_THREADS"] = 0
        assert refused("/echo").status_code == 503
        assert "WEBSOCKET_MAX_THREADS" in caplog.text


class TestHandshake:
    def test_its_facts_are_readable(self, app: Carboy, connect: Connect) -> None:
        @app.websocket("/room/<int:number>")
        async def room(number: int) -> None:
            await websocket.send_json(
                {
                    "number": number,
                    "args": websocket.args["a"],
                    "header": websocket.headers["X-Own"],
                    "cookie": websocket.cookies["c"],
                    "path": websocket.path,
                    "url": websocket.url,
                    "scheme": websocket.scheme,
                    "host": websocket.host,
                    "endpoint": websocket.endpoint,
                    "view_args": websocket.view_args,
                    "addr": websocket.remote_addr,
                    "offered": websocket.requested_subprotocols,
                    "request": [request.path, request.method],
                    "app": current_app.name,
                    "there": has_websocket_context(),
                }
            )

        client = app.test_client()
        client.set_cookie("c", "5")
        options = {"headers": {"X-Own": "1"}, "subprotocols": ["a", "b"], "client": client}
        with connect("/room/7?a=%C3%A4", **options) as ws:
            assert ws.receive_json() == {
                "number": 7,
                "args": "ä",
                "header": "1",
                "cookie": "5",
                "path": "/room/7",
                "url": "ws://localhost/room/7?a=ä",
                "scheme": "ws",
                "host": "localhost",
                "endpoint": "room",
                "view_args": {"number": 7},
                "addr": "127.0.0.1",
                "offered": ["a", "b"],
                "request": ["/room/7", "GET"],
                "app": app.name,
                "there": True,
            }

    def test_an_encrypted_one_is_wss(self, app: Carboy, connect: Connect) -> None:
        @app.websocket("/x")
        async def x() -> None:
            await websocket.send(websocket.url)

        with connect("/x", base_url="https://example.org") as ws:
            assert ws.receive() == "wss://example.org/x"

    def test_the_answer_has_the_headers_and_the_subprotocol(
        self, talk: Any, connect: Connect, door: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        talk(("accept", "chat", {"X-Own": "1"}))
        with connect("/talk", subprotocols=["other", "chat"]) as ws:
            if door == "asgi":
                assert ws.subprotocol == "chat"
                assert ws.headers == [("x-own", "1")]
            else:
                assert "without its subprotocol" in caplog.text

    def test_a_subprotocol_that_was_not_offered(
        self, app: Carboy, colour: str, refused: Any
    ) -> None:
        """KNOWN-granian-panics."""
        caught_by(app, colour, ValueError, ("accept", "chat"))
        assert refused("/talk", subprotocols=["other"]).status_code == 403
        assert "'chat'" in str(app.raised)  # type: ignore[attr-defined]

    def test_a_second_accept(self, app: Carboy, colour: str, connect: Connect) -> None:
        caught_by(app, colour, WebSocketError, ("send", "x"), ("accept",))
        with connect("/talk") as ws:
            assert ws.receive() == "x"
        assert "accepted before" in str(app.raised)  # type: ignore[attr-defined]

    def test_a_view_that_never_accepts_refuses(self, talk: Any, refused: Any) -> None:
        talk()
        assert refused("/talk").status_code == 403

    def test_close_before_accept_refuses(self, talk: Any, refused: Any) -> None:
        talk(("close",))
        assert refused("/talk").status_code == 403

    def test_receive_after_a_refusing_close(self, app: Carboy, colour: str, refused: Any) -> None:
        caught_by(app, colour, WebSocketError, ("close",), ("receive",))
        assert refused("/talk").status_code == 403
        assert "refused the handshake" in str(app.raised)  # type: ignore[attr-defined]

    def test_what_a_view_returns_without_accepting_is_the_answer(
        self, app: Carboy, refused: Any, dye: Any, door: str
    ) -> None:
        @app.websocket("/x")
        @dye
        def x() -> Any:
            return {"why": "tea"}, 418, {"X-Own": "1"}

        response = refused("/x")
        assert response.status_code == 418
        if door == "asgi":
            assert response.json == {"why": "tea"}
            assert response.headers["X-Own"] == "1"

    def test_abort_before_accept_refuses_with_its_status(
        self, app: Carboy, refused: Any, dye: Any
    ) -> None:
        @app.websocket("/x")
        @dye
        def x() -> None:
            abort(401)

        assert refused("/x").status_code == 401

    def test_an_exception_before_accept_is_a_logged_500(
        self, app: Carboy, refused: Any, dye: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        @app.websocket("/x")
        @dye
        def x() -> None:
            raise KeyError("lost")

        assert refused("/x").status_code == 500
        assert caplog.text.count("KeyError: 'lost'") == 1

    def test_a_server_that_cannot_say_more_refuses_with_403(
        self, app: Carboy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(AsgiPeer, "denial", False)
        with (
            pytest.raises(WebSocketRefused) as caught,
            app.test_client().websocket_connect("/nothing"),
        ):
            pass
        assert caught.value.response.status_code == 403


class TestRouting:
    def test_no_rule_is_a_404(self, refused: Any) -> None:
        assert refused("/nothing").status_code == 404

    def test_a_page_is_no_websocket(self, app: Carboy, refused: Any) -> None:
        called = []
        app.add_url_rule("/page", "page", lambda: called.append(1) or "page")
        assert refused("/page").status_code == 400
        assert not called

    def test_a_page_and_a_websocket_share_a_url(
        self, app: Carboy, connect: Connect, door: str
    ) -> None:
        @app.get("/both")
        def page() -> str:
            return "page"

        @app.websocket("/both")
        async def talk() -> None:
            await websocket.send("talk")

        with connect("/both") as ws:
            assert ws.receive() == "talk"
        assert app.test_client(door=door).get("/both").text == "page"

    def test_a_blueprint_has_websockets(self, app: Carboy, connect: Connect) -> None:
        inner, outer = Blueprint("inner", __name__), Blueprint("outer", __name__)

        @inner.websocket("/room/<name>")
        async def room(name: str) -> None:
            await websocket.send(f"{name} {websocket.blueprint} {g.told}")

        @inner.before_request
        def tell() -> None:
            g.told = "told"

        outer.register_blueprint(inner, url_prefix="/in")
        app.register_blueprint(outer, url_prefix="/out")
        with connect("/out/in/room/a") as ws:
            assert ws.receive() == "a outer.inner told"

    def test_url_for_builds_ws_and_wss(self, app: Carboy) -> None:
        app.add_websocket("/room/<name>", "room", lambda name: None)
        with app.test_request_context("/"):
            assert app.url_for("room", name="a b") == "ws://localhost/room/a%20b"
        with app.test_request_context("/", base_url="https://example.org"):
            assert app.url_for("room", name="a") == "wss://example.org/room/a"

    def test_url_for_inside_builds_pages(self, app: Carboy, connect: Connect) -> None:
        app.add_url_rule("/page", "page", lambda: "page")

        @app.websocket("/x")
        async def x() -> None:
            await websocket.send(app.url_for("page", _external=True))

        with connect("/x") as ws:
            assert ws.receive() == "http://localhost/page"

    def test_a_rule_made_by_add_url_rule(self, app: Carboy, connect: Connect) -> None:
        async def x() -> None:
            await websocket.send("x")

        app.add_url_rule("/x", view_func=x, websocket=True)
        with connect("/x") as ws:
            assert ws.receive() == "x"

    def test_a_view_given_later(self, app: Carboy, connect: Connect) -> None:
        app.add_websocket("/x", "x")

        @app.endpoint("x")
        async def x() -> None:
            await websocket.send("x")

        with connect("/x") as ws:
            assert ws.receive() == "x"

    def test_methods_are_refused(self, app: Carboy) -> None:
        with pytest.raises(TypeError, match="no methods"):
            app.add_websocket("/x", "x", methods=["POST"])

    @pytest.mark.parametrize("door", ["wsgi", "asgi", "rsgi"])
    def test_a_request_for_a_websocket_is_a_426(self, app: Carboy, door: str) -> None:
        app.add_websocket("/x", "x", lambda: None)
        response = app.test_client(door=door).get("/x")
        assert response.status_code == 426
        assert response.headers["Upgrade"] == "websocket"

    def test_a_handshake_over_wsgi_is_a_426_that_names_servers(self, app: Carboy) -> None:
        app.add_websocket("/x", "x", lambda: None)
        headers = {"Connection": "keep-alive, Upgrade", "Upgrade": "websocket"}
        answer = through_wsgi(app, environ_for("/x", headers=headers))
        assert answer.code == 426
        assert "carboy serve" in answer.text

    @pytest.mark.parametrize("server", ["waitress", "WSGIServer/0.2 CPython/3.11.7"])
    def test_a_426_has_no_header_that_the_server_refuses(self, app: Carboy, server: str) -> None:
        app.add_websocket("/x", "x", lambda: None)
        answer = through_wsgi(app, environ_for("/x", SERVER_SOFTWARE=server))
        assert answer.code == 426
        assert answer.get("upgrade") is None

    def test_an_extension_talks_over_the_servers_socket(self, app: Carboy) -> None:
        """Flask-Sock's routes are rules with ``websocket=True`` whose sync views do it all."""
        app.add_url_rule("/x", "x", lambda: request.environ["werkzeug.socket"], websocket=True)
        headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
        environ = environ_for("/x", headers=headers) | {"werkzeug.socket": "the socket"}
        assert through_wsgi(app, environ).text == "the socket"

    def test_an_answer_over_the_servers_socket_ends_as_gunicorn_wants(self, app: Carboy) -> None:
        """Flask-Sock's response ends a finished conversation by StopIteration."""

        class Over(app.response_class):  # type: ignore[name-defined, misc]
            def __call__(self, *args: Any) -> Any:
                raise StopIteration

        torn = []
        app.teardown_request(torn.append)
        app.add_url_rule("/x", "x", lambda: Over(), websocket=True)
        headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
        body = app(environ_for("/x", headers=headers), lambda status, headers, exc_info=None: None)
        with pytest.raises(StopIteration):
            iter(body)
        assert torn == [None]

    def test_the_name_outside_of_a_websocket(self, app: Carboy) -> None:
        with app.test_request_context("/"), pytest.raises(RuntimeError, match=r"app\.websocket"):
            websocket.path


class TestHooks:
    def test_each_runs_once_in_order(self, told: list[str], echo: None, connect: Connect) -> None:
        with connect("/echo/a") as ws:
            ws.send("x")
            assert ws.receive() == "x"
            assert told == ["before", "after 101"]
        assert told == ["before", "after 101", "teardown NoneType"]

    def test_a_refusal_goes_through_them(self, told: list[str], refused: Any) -> None:
        refused("/nothing")
        assert told == ["before", "after 404", "teardown NoneType"]

    def test_before_request_refuses(self, app: Carboy, talk: Any, refused: Any, dye: Any) -> None:
        @app.before_request
        @dye
        def no() -> Any:
            return "no", 402

        talk(("accept",))
        assert refused("/talk").status_code == 402
        assert not app.seen  # type: ignore[attr-defined]

    def test_after_request_adds_headers(
        self, app: Carboy, talk: Any, connect: Connect, door: str, dye: Any
    ) -> None:
        @app.after_request
        @dye
        def own(response: Any) -> Any:
            response.headers["X-Own"] = "1"
            return response

        talk(("accept",))
        with connect("/talk") as ws:
            assert door == "rsgi" or ws.headers == [("x-own", "1")]

    def test_after_request_that_fails_is_a_500(
        self, app: Carboy, talk: Any, refused: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        @app.after_request
        def fail(response: Any) -> Any:
            raise ValueError("after")

        talk(("accept",))
        assert refused("/talk").status_code == 500

    def test_async_hooks_around_any_view(self, app: Carboy, talk: Any, connect: Connect) -> None:
        @app.before_request
        async def before() -> None:
            await asyncio.sleep(0)
            g.told = ["before"]

        @app.after_request
        async def after(response: Any) -> Any:
            await asyncio.sleep(0)
            g.told.append("after")
            return response

        @app.teardown_request
        async def teardown(error: BaseException | None) -> None:
            await asyncio.sleep(0)
            app.told = g.told  # type: ignore[attr-defined]

        talk(("accept",))
        with connect("/talk"):
            pass
        assert app.told == ["before", "after"]  # type: ignore[attr-defined]

    def test_a_replaced_lifecycle_method_is_honoured(
        self, app: Carboy, echo: None, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        called = []
        original = Carboy.preprocess_request

        def preprocess(self: Carboy) -> Any:
            called.append("preprocess")
            return original(self)

        monkeypatch.setattr(Carboy, "preprocess_request", preprocess)
        with connect("/echo/a") as ws:
            ws.send("x")
            assert ws.receive() == "x"
        assert called == ["preprocess"]

    def test_middleware_sees_the_handshake(
        self, app: Carboy, echo: None, connect: Connect, door: str
    ) -> None:
        inner = app.wsgi_app
        statuses = []

        def middleware(environ: Any, start_response: Any) -> Any:
            def start(status: str, headers: Any, exc_info: Any = None) -> Any:
                statuses.append(status)
                return start_response(status, [*headers, ("X-Middleware", "1")])

            environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/prefix")
            return inner(environ, start)

        app.wsgi_app = middleware  # type: ignore[method-assign]
        with connect("/prefix/echo/a") as ws:
            ws.send("x")
            assert ws.receive() == "x"
            assert door == "rsgi" or ws.headers == [("x-middleware", "1")]
        assert statuses == ["101 Switching Protocols"]

    def test_middleware_refuses(self, app: Carboy, echo: None, refused: Any) -> None:
        def middleware(environ: Any, start_response: Any) -> Any:
            start_response("407 No", [("Content-Length", "2")])
            return [b"no"]

        app.wsgi_app = middleware  # type: ignore[method-assign]
        assert refused("/echo/a").status_code == 407

    def test_middleware_that_fails_is_a_500(
        self, app: Carboy, echo: None, connect: Connect
    ) -> None:
        def middleware(environ: Any, start_response: Any) -> Any:
            raise ValueError("middleware")

        app.wsgi_app = middleware  # type: ignore[method-assign]
        with pytest.raises((WebSocketRefused, ValueError)), connect("/echo/a"):
            pass

    def test_g_and_the_application_context_last_as_long_as_the_talk(
        self, app: Carboy, connect: Connect
    ) -> None:
        torn = []
        app.teardown_appcontext(lambda error: torn.append(g.count))

        @app.websocket("/x")
        async def x() -> None:
            g.count = 0
            async for _ in websocket:
                g.count += 1
                await websocket.send(str(g.count))

        with connect("/x") as ws:
            for _ in range(3):
                ws.send("x")
                ws.receive()
            assert not torn
        assert torn == [3]


class TestErrors:
    def test_an_exception_closes_with_1011_and_is_logged_once(
        self,
        app: Carboy,
        told: list[str],
        connect: Connect,
        door: str,
        dye: Any,
        colour: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async def asynchronous() -> None:
            await websocket.accept()
            raise KeyError("lost")

        def synchronous() -> None:
            websocket.accept()
            raise KeyError("lost")

        app.add_websocket("/x", "x", asynchronous if colour == "async" else synchronous)
        with connect("/x") as ws:
            assert ended(ws) == (code_through(door, 1011), "")
        assert caplog.text.count("KeyError: 'lost'") == 1
        assert told == ["before", "after 101", "teardown KeyError"]

    def test_an_exception_propagates_to_a_test(self, app: Carboy, door: str) -> None:
        app.testing = True

        @app.websocket("/x")
        async def x() -> None:
            await websocket.accept()
            raise KeyError("lost")

        with (
            pytest.raises(KeyError),
            app.test_client().websocket_connect("/x", door=door) as ws,
        ):
            assert ended(ws)[0] == code_through(door, 1011)

    @pytest.mark.parametrize("code, closed", [(403, 1008), (404, 1008), (503, 1011)])
    def test_an_http_error_after_accept(
        self,
        app: Carboy,
        connect: Connect,
        door: str,
        code: int,
        closed: int,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        @app.websocket("/x")
        async def x() -> None:
            await websocket.accept()
            abort(code)

        with connect("/x") as ws:
            assert ended(ws)[0] == code_through(door, closed)
        assert f"raised {code}" in caplog.text

    def test_a_handler_may_talk_before_the_end(
        self, app: Carboy, connect: Connect, door: str
    ) -> None:
        @app.errorhandler(KeyError)
        async def handle(error: KeyError) -> str:
            await websocket.send_json({"lost": error.args[0]})
            await websocket.close(4000, "lost")
            return "nobody sees this"

        @app.websocket("/x")
        async def x() -> None:
            await websocket.accept()
            raise KeyError("key")

        with connect("/x") as ws:
            assert ws.receive_json() == {"lost": "key"}
            assert ended(ws)[0] == code_through(door, 4000)

    def test_a_handler_refuses_with_its_own_answer(self, app: Carboy, refused: Any) -> None:
        @app.errorhandler(KeyError)
        def handle(error: KeyError) -> Any:
            return "lost", 410

        @app.websocket("/x")
        async def x() -> None:
            raise KeyError("key")

        assert refused("/x").status_code == 410

    @pytest.mark.parametrize("text", ["{", "NaN", "[" * 100_000, b"\xff"])
    def test_what_is_no_json_closes_with_1007(
        self, talk: Any, connect: Connect, door: str, text: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        talk(("receive_json",))
        with connect("/talk") as ws:
            ws.send(text)
            assert ended(ws)[0] == code_through(door, 1007)
        assert "Traceback" not in caplog.text

    def test_what_is_no_json_can_be_caught(self, app: Carboy, connect: Connect) -> None:
        @app.websocket("/x")
        async def x() -> None:
            try:
                await websocket.receive_json()
            except WebSocketDataError:
                await websocket.send("again")
            await websocket.send_json(await websocket.receive_json())

        with connect("/x") as ws:
            ws.send("{")
            assert ws.receive() == "again"
            ws.send("1")
            assert ws.receive_json() == 1

    @pytest.mark.parametrize("verb", ["send", "receive"])
    def test_a_verb_after_close(
        self, app: Carboy, colour: str, connect: Connect, verb: str
    ) -> None:
        args = ("x",) if verb == "send" else ()
        caught_by(app, colour, WebSocketError, ("accept",), ("close", 4001, "done"), (verb, *args))
        with connect("/talk") as ws:
            ended(ws)
        assert f"{verb}() was called after" in str(app.raised)  # type: ignore[attr-defined]

    def test_a_second_close_does_nothing(self, talk: Any, connect: Connect, door: str) -> None:
        talk(("accept",), ("close", 4001, "done"), ("close", 4002, "again"))
        with connect("/talk") as ws:
            assert ended(ws)[0] == code_through(door, 4001)

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2000, 2999, 5000, "1000"])
    def test_a_close_code_that_may_not_be_sent(
        self, app: Carboy, connect: Connect, code: Any
    ) -> None:
        caught_by(app, "async", ValueError, ("accept",), ("close", code))
        with connect("/talk"):
            pass
        assert "close code" in str(app.raised)  # type: ignore[attr-defined]

    @pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999])
    def test_a_close_code_that_may_be_sent(
        self, talk: Any, connect: Connect, door: str, code: int
    ) -> None:
        talk(("accept",), ("close", code, "ä" * 61))
        with connect("/talk") as ws:
            assert ended(ws) == ((code, "ä" * 61) if door == "asgi" else (1005, ""))

    def test_a_reason_that_is_too_long(self, app: Carboy, connect: Connect) -> None:
        caught_by(app, "async", ValueError, ("accept",), ("close", 1000, "ä" * 62))
        with connect("/talk"):
            pass
        assert "123 bytes" in str(app.raised)  # type: ignore[attr-defined]

    @pytest.mark.parametrize("message", [None, 5, {"a": 1}])
    def test_what_is_no_message(
        self, app: Carboy, colour: str, connect: Connect, message: Any
    ) -> None:
        caught_by(app, colour, TypeError, ("accept",), ("send", message))
        with connect("/talk"):
            pass
        assert "send_json" in str(app.raised)  # type: ignore[attr-defined]

    def test_a_lone_surrogate_is_no_text(self, app: Carboy, connect: Connect) -> None:
        caught_by(app, "async", ValueError, ("accept",), ("send", "\ud800"))
        with connect("/talk"):
            pass
        assert isinstance(app.raised, UnicodeEncodeError)  # type: ignore[attr-defined]

    def test_a_for_loop_in_an_async_view(self, app: Carboy, connect: Connect) -> None:
        @app.websocket("/x")
        async def x() -> None:
            await websocket.accept()
            try:
                for _ in websocket:
                    pass
            except TypeError as error:
                await websocket.send(str(error))

        with connect("/x") as ws:
            assert "async for" in str(ws.receive())


class TestSession:
    def test_it_is_readable_and_saved_with_the_handshake(
        self, app: Carboy, connect: Connect, door: str, dye: Any, colour: str
    ) -> None:
        app.secret_key = "key"

        async def asynchronous() -> None:
            session["n"] = session.get("n", 0) + 1
            await websocket.send(str(session["n"]))

        def synchronous() -> None:
            session["n"] = session.get("n", 0) + 1
            websocket.send(str(session["n"]))

        app.add_websocket("/x", "x", asynchronous if colour == "async" else synchronous)
        client = app.test_client()
        with client.session_transaction() as stored:
            stored["n"] = 4
        with connect("/x", client=client) as ws:
            assert ws.receive() == "5"
        with client.session_transaction() as stored:
            assert stored["n"] == (5 if door == "asgi" else 4)

    def test_a_change_after_accept_is_told(
        self, app: Carboy, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        app.secret_key = "key"

        @app.websocket("/x")
        async def x() -> None:
            session["a"] = 1
            await websocket.accept()
            session["a"] = 2

        with connect("/x") as ws:
            ended(ws)
        assert "changed after" in caplog.text

    def test_a_change_before_accept_is_no_fault(
        self, app: Carboy, connect: Connect, door: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        app.secret_key = "key"

        @app.websocket("/x")
        async def x() -> None:
            session["a"] = 1
            await websocket.accept()

        with connect("/x") as ws:
            ended(ws)
        assert "changed after" not in caplog.text


class TestOrigin:
    def visit(self, connect: Connect, origin: str, base: str = "http://localhost") -> int:
        try:
            with connect("/talk", headers={"Origin": origin}, base_url=base):
                return 101
        except WebSocketRefused as error:
            return error.response.status_code

    @pytest.mark.parametrize(
        "origin, base",
        [
            ("http://localhost", "http://localhost"),
            ("HTTP://LocalHost:80", "http://localhost"),
            ("https://localhost", "http://localhost"),  # a proxy has taken the encryption off
            ("https://example.org:8443", "https://example.org:8443"),
            ("http://[::1]:5000", "http://[::1]:5000"),
        ],
    )
    def test_the_own_site_may(self, talk: Any, connect: Connect, origin: str, base: str) -> None:
        talk(("accept",))
        assert self.visit(connect, origin, base) == 101

    @pytest.mark.parametrize(
        "origin",
        [
            "http://evil.example",
            "http://localhost:8080",
            "http://localhost.evil.example",
            "http://evil.example/localhost",
            "http://localhost@evil.example",
            "null",
            "",
            "http://localhost, http://evil.example",
            "chrome-extension://localhost",
        ],
    )
    def test_another_site_may_not(
        self, told: list[str], talk: Any, app: Carboy, connect: Connect, origin: str
    ) -> None:
        """HOSTILE-162, CVE-2019-13611."""
        talk(("accept",))
        assert self.visit(connect, origin) == 403
        assert not app.seen  # type: ignore[attr-defined]
        assert told == ["before", "after 403", "teardown NoneType"]

    def test_an_unencrypted_page_may_not_talk_to_an_encrypted_site(
        self, talk: Any, connect: Connect
    ) -> None:
        talk(("accept",))
        assert self.visit(connect, "http://localhost", "https://localhost") == 403

    def test_a_list_adds_sites(self, app: Carboy, talk: Any, connect: Connect) -> None:
        app.config["WEBSOCKET_ORIGINS"] = ["https://app.example.org"]
        talk(("accept",))
        assert self.visit(connect, "https://app.example.org") == 101
        assert self.visit(connect, "http://localhost") == 101
        assert self.visit(connect, "https://other.example.org") == 403

    def test_a_route_has_its_own_list(self, talk: Any, connect: Connect) -> None:
        talk(("accept",), origins=["https://app.example.org"])
        assert self.visit(connect, "https://app.example.org") == 101
        assert self.visit(connect, "https://other.example.org") == 403

    def test_a_star_lets_all_in(self, talk: Any, connect: Connect) -> None:
        talk(("accept",), origins="*")
        assert self.visit(connect, "https://evil.example") == 101

    def test_before_request_cannot_accept_for_another_site(
        self, app: Carboy, talk: Any, connect: Connect
    ) -> None:
        @app.before_request
        async def eager() -> None:
            await websocket.accept()

        talk()
        assert self.visit(connect, "https://evil.example") == 403


class TestLimits:
    @pytest.mark.parametrize("message", ["x" * 11, "ä" * 6, b"x" * 11])
    def test_a_message_over_the_limit_closes_with_1009(
        self, app: Carboy, echo: None, connect: Connect, door: str, message: Any
    ) -> None:
        """HOSTILE-221."""
        app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = 10
        with connect("/echo/a") as ws:
            ws.send("x" * 10)
            ws.send("ä" * 5)
            assert [ws.receive(), ws.receive()] == ["x" * 10, "ä" * 5]
            ws.send(message)
            assert ended(ws)[0] == code_through(door, 1009)

    def test_a_route_has_its_own_limit(self, talk: Any, connect: Connect, door: str) -> None:
        talk(("receive",), max_message_size=3)
        with connect("/talk") as ws:
            ws.send("long")
            assert ended(ws)[0] == code_through(door, 1009)

    def test_a_route_may_have_none(self, talk: Any, app: Carboy, connect: Connect) -> None:
        talk(("receive",), max_message_size=None)
        with connect("/talk") as ws:
            ws.send("x" * 2_000_000)
            ended(ws)
        assert len(app.seen[0]) == 2_000_000  # type: ignore[attr-defined]

    def test_an_idle_client_is_closed_with_1001(
        self, talk: Any, connect: Connect, door: str
    ) -> None:
        talk(("accept",), ("receive",), idle_timeout=0.05)
        with connect("/talk") as ws:
            assert ended(ws)[0] == code_through(door, 1001)

    def test_a_view_that_does_not_read_stops_the_receiving(
        self, app: Carboy, connect: Connect
    ) -> None:
        """HOSTILE-221."""
        go = threading.Event()

        @app.websocket("/x")
        async def x() -> None:
            await websocket.accept()
            await asyncio.to_thread(go.wait, 10)
            async for message in websocket:
                await websocket.send(str(len(message)))

        with connect("/x") as ws:
            for _ in range(40):
                ws.send("x" * 10_000)
            waiting = ws._peer._to_app.qsize()
            go.set()
            assert [ws.receive() for _ in range(40)] == ["10000"] * 40
        assert waiting >= 40 - 16


class TestTheEnd:
    def test_receive_tells_how_the_client_has_closed(
        self, app: Carboy, colour: str, told: list[str], connect: Connect, door: str
    ) -> None:
        caught_by(app, colour, WebSocketDisconnect, ("accept",), ("receive",))
        with connect("/talk") as ws:
            ws.close(4005, "enough")
        assert app.raised.code == code_through(door, 4005)  # type: ignore[attr-defined]
        assert told[-1] == "teardown NoneType"

    def test_a_broken_line_is_1006(self, app: Carboy, colour: str, connect: Connect) -> None:
        caught_by(app, colour, WebSocketDisconnect, ("accept",), ("receive",))
        with connect("/talk") as ws:
            ws.close(1006)
        assert app.raised.code == 1006  # type: ignore[attr-defined]

    def test_a_disconnect_that_nobody_catches_is_no_fault(
        self, talk: Any, told: list[str], connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        talk(("accept",), ("receive",))
        with connect("/talk"):
            pass
        assert not caplog.records
        assert told == ["before", "after 101", "teardown NoneType"]

    def test_what_was_sent_before_the_close_is_received(
        self, app: Carboy, talk: Any, connect: Connect
    ) -> None:
        talk(("receive",), ("receive",), ("receive",))
        with connect("/talk") as ws:
            ws.send("1")
            ws.send("2")
        assert app.seen == ["1", "2"]  # type: ignore[attr-defined]

    def test_a_view_that_waits_for_something_else_is_cancelled(
        self, app: Carboy, told: list[str], connect: Connect
    ) -> None:
        app.config["WEBSOCKET_DISCONNECT_GRACE"] = 0
        cancelled = []

        @app.websocket("/x")
        async def x() -> None:
            await websocket.accept()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(websocket.state)
                raise

        with connect("/x"):
            pass
        assert cancelled == ["gone"]
        assert told == ["before", "after 101", "teardown NoneType"]

    def test_send_tells_that_the_client_has_gone(self, app: Carboy, connect: Connect) -> None:
        raised = []

        @app.websocket("/x")
        async def x() -> None:
            await websocket.accept()
            try:
                while True:
                    await websocket.send("x")
                    await asyncio.sleep(0)
            except WebSocketDisconnect as error:
                raised.append(error)

        with connect("/x") as ws:
            assert ws.receive() == "x"
        assert len(raised) == 1

    def test_a_flood_into_the_void_ends(self, app: Carboy, monkeypatch: Any) -> None:
        """Hypercorn and Granian drop what is sent to a client that has gone, without waiting."""
        original = AsgiPeer._send

        async def drop(self: AsgiPeer, message: Any) -> None:
            if message["type"] != "websocket.send" or not self._left:
                await original(self, message)

        monkeypatch.setattr(AsgiPeer, "_send", drop)

        @app.websocket("/x")
        async def x() -> None:
            while True:
                await websocket.send("x")

        with app.test_client().websocket_connect("/x") as ws:
            assert ws.receive() == "x"

    def test_a_stopping_server_closes_with_1001(
        self, app: Carboy, colour: str, told: list[str], connect: Connect, door: str
    ) -> None:
        caught_by(app, colour, WebSocketDisconnect, ("send", "x"), ("receive",))
        with connect("/talk") as ws:
            assert ws.receive() == "x"
            app._serving.close_connections()
            assert ended(ws)[0] == code_through(door, 1001)
        assert app.raised.code == 1001  # type: ignore[attr-defined]
        assert told.count("teardown NoneType") == 1

    @pytest.mark.parametrize("at", ["before", "accept", "view", "send"])
    def test_the_task_of_the_server_is_cancelled_anywhere(
        self, app: Carboy, told: list[str], door: str, at: str
    ) -> None:
        from carboy.testing.websocket import PEERS

        async def forever(here: str) -> None:
            if here == at:
                reached.set()
                await asyncio.Event().wait()

        @app.before_request
        async def before() -> None:
            await forever("before")

        @app.after_request
        async def after(response: Any) -> Any:
            if response.status_code == 101:
                await forever("accept")
            return response

        @app.websocket("/x")
        async def x() -> None:
            await websocket.accept()
            await forever("view")
            reached.set()
            await websocket.receive()

        async def main() -> None:
            nonlocal reached
            reached = asyncio.Event()
            peer = PEERS[door](app, environ_for("/x"))
            task = asyncio.ensure_future(peer.connect(10))
            await reached.wait()
            peer._task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await peer._task
            task.cancel()
            await asyncio.wait([task])
            assert {t for t in asyncio.all_tasks() if t is not asyncio.current_task()} == set()

        reached: Any = None
        asyncio.run(main())
        assert told.count("before") == 1
        assert sum(word.startswith("teardown") for word in told) == 1

    def test_nothing_is_left_behind(self, app: Carboy, echo: None, connect: Connect) -> None:
        kept: list[Any] = []

        @app.before_request
        def keep() -> None:
            kept.append(weakref.ref(request._get_current_object()))  # type: ignore[attr-defined]
            kept.append(weakref.ref(websocket._get_current_object()))  # type: ignore[attr-defined]

        with connect("/echo/a") as ws:
            ws.send("x")
            ws.receive()
        del ws
        gc.collect()
        assert [ref() for ref in kept] == [None, None]
        assert not app._serving._to_close

    def test_a_verb_after_the_view_has_ended(self, app: Carboy, connect: Connect) -> None:
        @app.websocket("/x")
        async def x() -> None:
            await websocket.accept()
            app.kept = websocket._get_current_object()  # type: ignore[attr-defined]

        with connect("/x") as ws:
            ended(ws)
        with pytest.raises((WebSocketError, WebSocketDisconnect)):
            app.kept.send("x")  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _served(app: Carboy) -> Iterator[None]:
    yield
    assert not app._serving._to_close
