"""`AsyncClient`: the test client for tests that are coroutines themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import ExitStack, asynccontextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from carboy.bridges import Portal
from carboy.errors import WebSocketDisconnect

from .streams import AsyncStreamedResponse, StreamedResponse

if TYPE_CHECKING:
    from types import TracebackType

    from werkzeug.test import Cookie, TestResponse

    from carboy.sessions import SessionMixin

    from .client import FlaskClient
    from .websocket import WebSocketConversation

T = TypeVar("T")


async def in_new_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """What `function` returns, called in a thread of its own: it may wait for the event loop."""
    done: Future[T] = Future()
    context = copy_context()

    def work() -> None:
        try:
            done.set_result(context.run(function, *args, **kwargs))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, name="carboy-async-client", daemon=True).start()
    return await asyncio.wrap_future(done)


class AsyncWebSocketConversation:
    """A WebSocket that a coroutine has opened; from `client.websocket_connect`.

    It has what a `WebSocketConversation` has, with methods that are awaited.
    """

    def __init__(self, inner: WebSocketConversation) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, message: str | bytes) -> None:
        """Send a message: text if it is a str, binary if bytes."""
        await in_new_thread(self._inner.send, message)

    async def receive(self) -> str | bytes:
        """The next message. Raises WebSocketDisconnect when the application has closed."""
        return await in_new_thread(self._inner.receive)

    async def send_json(self, value: Any) -> None:
        """Send a value as JSON text."""
        await in_new_thread(self._inner.send_json, value)

    async def receive_json(self) -> Any:
        """The next message, read as JSON."""
        return await in_new_thread(self._inner.receive_json)

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Close, and wait until the view has ended. `code=1006` breaks the line instead."""
        await in_new_thread(self._inner.close, code, reason)

    def __aiter__(self) -> AsyncWebSocketConversation:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> AsyncWebSocketConversation:
        await in_new_thread(self._inner.open)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await in_new_thread(self._inner.__exit__, exc_type, exc_value, tb)


class AsyncClient:
    """A test client whose requests are awaited; usually from `app.async_test_client()`.

    ::

        async def test_hello(app):
            client = app.async_test_client()
            response = await client.get("/")
            assert response.json == {"hello": "world"}

    The application runs on the test's own event loop, as behind an async server. Arguments and
    responses are those of the other client; bodies are complete, so reading them needs no await.
    Inside `async with client:` the context of the latest request stays current.
    """

    def __init__(self, client: FlaskClient) -> None:
        self._client = client
        client._enters_contexts = False
        self._contexts = ExitStack()

    @property
    def application(self) -> Any:
        """The application under test."""
        return self._client.application

    @property
    def environ_base(self) -> dict[str, Any]:
        """What every request of this client sends along."""
        return self._client.environ_base

    async def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send one request and return its response; see `FlaskClient.open`."""
        kwargs["buffered"] = True
        return await self._open(*args, **kwargs)

    async def _open(self, *args: Any, **kwargs: Any) -> TestResponse:
        client = self._client
        client._server = Portal(asyncio.get_running_loop())
        self._contexts.close()
        client._new_contexts.clear()
        response = await in_new_thread(client.open, *args, **kwargs)
        if client.preserve_context:
            for context in client._new_contexts:
                self._contexts.enter_context(context.active())  # type: ignore[attr-defined]
        client._new_contexts.clear()
        return response

    def websocket_connect(self, *args: Any, **kwargs: Any) -> AsyncWebSocketConversation:
        """Open a WebSocket: `async with client.websocket_connect("/echo") as ws:`.

        See `FlaskClient.websocket_connect`; what is said is awaited.
        """
        self._client._server = Portal(asyncio.get_running_loop())
        return AsyncWebSocketConversation(self._client.websocket_connect(*args, **kwargs))

    async def get(self, *args: Any, **kwargs: Any) -> TestResponse:
        """`open` with GET."""
        return await self.open(*args, method="GET", **kwargs)

    async def post(self, *args: Any, **kwargs: Any) -> TestResponse:
        """`open` with POST."""
        return await self.open(*args, method="POST", **kwargs)

    async def put(self, *args: Any, **kwargs: Any) -> TestResponse:
        """`open` with PUT."""
        return await self.open(*args, method="PUT", **kwargs)

    async def patch(self, *args: Any, **kwargs: Any) -> TestResponse:
        """`open` with PATCH."""
        return await self.open(*args, method="PATCH", **kwargs)

    async def delete(self, *args: Any, **kwargs: Any) -> TestResponse:
        """`open` with DELETE."""
        return await self.open(*args, method="DELETE", **kwargs)

    async def head(self, *args: Any, **kwargs: Any) -> TestResponse:
        """`open` with HEAD."""
        return await self.open(*args, method="HEAD", **kwargs)

    async def options(self, *args: Any, **kwargs: Any) -> TestResponse:
        """`open` with OPTIONS."""
        return await self.open(*args, method="OPTIONS", **kwargs)

    async def trace(self, *args: Any, **kwargs: Any) -> TestResponse:
        """`open` with TRACE."""
        return await self.open(*args, method="TRACE", **kwargs)

    @asynccontextmanager
    async def stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[AsyncStreamedResponse]:
        """Send a request whose answer may be endless, and leave when the block ends.

        ::

            async with client.stream("/events") as response:
                assert (await anext(response.events())).data == "hello"
        """
        response = await self._open(*args, buffered=False, **kwargs)
        streamed = AsyncStreamedResponse(StreamedResponse(response), in_new_thread)
        try:
            yield streamed
        finally:
            await streamed.close()

    @asynccontextmanager
    async def session_transaction(self, *args: Any, **kwargs: Any) -> AsyncIterator[SessionMixin]:
        """Open the client's session: `async with client.session_transaction() as session:`.

        See `FlaskClient.session_transaction`.
        """
        with self._client.session_transaction(*args, **kwargs) as session:
            yield session

    # -- cookies ------------------------------------------------------------------------------

    def get_cookie(self, *args: Any, **kwargs: Any) -> Cookie | None:
        """A cookie of this client, by its key, or None."""
        return self._client.get_cookie(*args, **kwargs)

    def set_cookie(self, *args: Any, **kwargs: Any) -> None:
        """Give this client a cookie."""
        self._client.set_cookie(*args, **kwargs)

    def delete_cookie(self, *args: Any, **kwargs: Any) -> None:
        """Take a cookie from this client."""
        self._client.delete_cookie(*args, **kwargs)

    # -- context ------------------------------------------------------------------------------

    async def __aenter__(self) -> AsyncClient:
        if self._client.preserve_context:
            raise RuntimeError("Cannot nest client invocations")
        self._client.preserve_context = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._client.preserve_context = False
        self._contexts.close()
