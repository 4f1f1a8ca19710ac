"""`app.async_test_client()`: requests that are awaited, on the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from carboy import (
    Carboy,
    EventChannel,
    EventStream,
    abort,
    g,
    redirect,
    request,
    session,
    websocket,
)
from carboy.testing import AsyncClient, FlaskClient, WebSocketRefused


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@pytest.fixture(params=["asgi", "rsgi", "wsgi"])
def client(app: Carboy, request: pytest.FixtureRequest) -> AsyncClient:
    app.secret_key = "testing"
    return app.async_test_client(door=request.param, lint=True)


@on_loop
async def test_each_method_sends_itself(app: Carboy, client: AsyncClient) -> None:
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

    @app.route("/", methods=methods, provide_automatic_options=False)
    def view() -> str:
        return request.method

    for method in methods:
        response = await getattr(client, method.lower())("/")
        assert response.text == method
    assert (await client.head("/")).data == b""
    assert (await client.open("/", method="PUT")).text == "PUT"


@on_loop
async def test_json_goes_both_ways(app: Carboy, client: AsyncClient) -> None:
    """Arguments and responses are those of the other client."""
    app.add_url_rule("/", "view", lambda: {"got": request.get_json()}, methods=["POST"])
    response = await client.post("/", json=[1], headers={"X-A": "b"})
    assert response.get_json() == {"got": [1]}
    assert response.request.headers["X-A"] == "b"


@on_loop
async def test_cookies_sessions_and_redirects(app: Carboy, client: AsyncClient) -> None:
    """A client keeps its cookies, and follows when asked to."""

    @app.get("/in")
    async def sign_in() -> Any:
        session["name"] = "ann"
        return redirect("/who")

    @app.get("/who")
    def who() -> str:
        return str(session.get("name"))

    app.add_url_rule("/theme", "theme", lambda: request.cookies["theme"])
    assert (await client.get("/in")).status_code == 302
    response = await client.get("/in", follow_redirects=True)
    assert (response.text, len(response.history)) == ("ann", 1)
    async with client.session_transaction() as kept:
        kept["name"] = "bob"
    assert (await client.get("/who")).text == "bob"
    assert client.get_cookie("session") is not None
    client.delete_cookie("session")
    assert (await client.get("/who")).text == "None"
    client.set_cookie("theme", "dark")
    assert (await client.get("/theme")).text == "dark"


@on_loop
async def test_the_context_of_the_latest_request(app: Carboy, client: AsyncClient) -> None:
    """Inside the block request and g can be looked at; after it they are gone."""

    @app.get("/<name>")
    def view(name: str) -> str:
        g.name = name
        return name

    async with client:
        await client.get("/ann")
        assert (g.name, request.path) == ("ann", "/ann")
        await client.get("/bob")
        assert (g.name, request.path) == ("bob", "/bob")
        with pytest.raises(RuntimeError, match="nest"):
            await client.__aenter__()
    assert not request


@pytest.mark.parametrize("door", ["asgi", "rsgi"])
def test_the_application_runs_on_the_loop_of_the_test(app: Carboy, door: str) -> None:
    """So that a test can hold a view up, and meet it."""

    async def test() -> None:
        arrived, go_on = asyncio.Event(), asyncio.Event()

        @app.get("/")
        async def view() -> str:
            arrived.set()
            await go_on.wait()
            return "done"

        waiting = asyncio.create_task(app.async_test_client(door=door).get("/"))
        await arrived.wait()
        go_on.set()
        assert (await waiting).text == "done"

    asyncio.run(test())


@on_loop
async def test_an_endless_stream(app: Carboy, client: AsyncClient) -> None:
    """Its parts come one by one, and leaving the block is leaving the server."""
    log: list[str] = []

    @app.get("/")
    async def view() -> Any:
        async def parts() -> AsyncIterator[str]:
            try:
                while True:
                    yield "part"
            finally:
                log.append("closed")

        return parts()

    async with client.stream("/") as response:
        assert response.status_code == 200
        chunks = response.chunks()
        assert [await anext(chunks) for _ in range(3)] == [b"part"] * 3
    assert log == ["closed"]


@on_loop
async def test_events_of_many_streams_at_once(app: Carboy, client: AsyncClient) -> None:
    """More of them than a pool has threads."""
    channel = EventChannel()
    app.add_url_rule("/", "view", lambda: EventStream(channel))
    async with asyncio.TaskGroup() as group:
        ready = asyncio.Semaphore(0)

        async def listen() -> str:
            async with client.stream("/") as response:
                ready.release()
                return (await anext(response.events())).data

        listeners = [group.create_task(listen()) for _ in range(50)]
        for _ in listeners:
            await ready.acquire()
        channel.publish("news")
    assert [listener.result() for listener in listeners] == ["news"] * 50
    assert len(channel) == 0


@on_loop
async def test_a_websocket(app: Carboy, client: AsyncClient) -> None:
    """A conversation that is awaited, on the loop of the test."""

    @app.websocket("/echo")
    async def echo() -> None:
        await websocket.accept()
        async for message in websocket:
            await websocket.send(message)
            if message == "bye":
                return

    async with client.websocket_connect("/echo") as ws:
        await ws.send("hello")
        assert await ws.receive() == "hello"
        await ws.send_json({"a": 1})
        assert await ws.receive_json() == {"a": 1}
        await ws.send("bye")
        assert [message async for message in ws] == ["bye"]
    assert ws.close_code in (1000, 1005)  # RSGI knows of no codes


@pytest.mark.parametrize("door", ["asgi", "rsgi"])
@on_loop
async def test_a_websocket_that_is_refused(app: Carboy, door: str) -> None:
    """The answer is there to be looked at."""

    @app.websocket("/no")
    async def no() -> None:
        abort(403)

    client = app.async_test_client(door=door, lint=True)
    with pytest.raises(WebSocketRefused) as caught:
        async with client.websocket_connect("/no"):
            pass
    assert caught.value.response.status_code == 403


@on_loop
async def test_errors_of_the_application_reach_the_test(app: Carboy, client: AsyncClient) -> None:
    app.testing = True

    @app.get("/")
    async def view() -> str:
        raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        await client.get("/")


@on_loop
async def test_the_class_of_test_clients_is_honoured(app: Carboy) -> None:
    class Client(FlaskClient):
        def open(self, *args: Any, **kwargs: Any) -> Any:
            return super().open(*args, headers={"X-Key": "secret"}, **kwargs)

    app.test_client_class = Client
    app.add_url_rule("/", "view", lambda: request.headers["X-Key"])
    client = app.async_test_client()
    assert (await client.get("/")).text == "secret"
    assert client.application is app
    client.environ_base["HTTP_X_MORE"] = "more"
    assert (await client.get("/")).request.headers["X-More"] == "more"
