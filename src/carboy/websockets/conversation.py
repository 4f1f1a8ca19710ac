"""The conversation: its verbs, its limits, its end."""

from __future__ import annotations

import asyncio
import collections.abc as cabc
import typing as t
from asyncio import _get_running_loop
from collections import deque
from types import CoroutineType

from werkzeug.exceptions import Forbidden, HTTPException

from carboy.bridges import LOOP_BRIDGE, WSGI_BRIDGE, current_portal, drive, in_thread, settled
from carboy.errors import WebSocketDataError, WebSocketDisconnect, WebSocketError
from carboy.pipeline import finalize
from carboy.wrappers import Response

from .handshake import Handshake

if t.TYPE_CHECKING:
    from carboy.app import Carboy
    from carboy.ctx import RequestContext
    from carboy.transport import Bridge, WebSocketTransport

Message = str | bytes
HeaderPairs = t.Mapping[str, str] | t.Iterable[tuple[str, str]]

# The states of a conversation, in order.
CONNECTING = "connecting"  # the handshake waits for its answer
OPEN = "open"
CLOSED = "closed"  # by the application
GONE = "gone"  # by the client, or by a limit

#: How far messages are received before somebody asks for them: number, and bytes.
_AHEAD = 16
_AHEAD_SIZE = 65_536
#: How many messages a view sends before the event loop has a turn.
_TURN = 16
#: Seconds that a server has for the closing handshake.
_CLOSING = 5.0

#: Headers of the answer that belong to the server, or to a body.
_SERVERS_OWN = frozenset({"connection", "content-length", "content-type", "upgrade"})

MISUSED = {
    "accept": (
        "This WebSocket was accepted before: by accept(), or by the first receive() or send(),"
        " which accept by themselves. Call accept() once, and before them."
    ),
    "closed": (
        "{verb}() was called after this WebSocket was closed with close(). Leave the view, or"
        " end its loop, where you close."
    ),
    "over": "{verb}() was called after the view of this WebSocket had ended; its connection too.",
    "refused": (
        "{verb}() was called after close(), which refused the handshake, since nothing had been"
        " accepted before."
    ),
}


def check_close(code: t.Any, reason: str) -> None:
    """Raise ValueError for what no close frame may carry (RFC 6455 sections 5.5 and 7.4)."""
    good = isinstance(code, int) and (
        1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
    )
    if not good:
        raise ValueError(
            f"{code!r} is no close code that may be sent. There are 1000 (the normal one) to 1003"
            " and 1007 to 1014; 4000 to 4999 are the application's own (RFC 6455 section 7.4)."
        )
    if len(reason.encode()) > 123:
        raise ValueError("The reason of a close has room for 123 bytes (RFC 6455 section 5.5).")


class WebSocket(Handshake):
    """One conversation with a client; a view finds it as ``carboy.websocket``.

    Iterating gives the messages until the client closes: ``async for`` in an async view, ``for`` in
    a sync one. What the handshake has brought is readable as on ``request``, which is there, too.
    """

    def __init__(self, app: Carboy, transport: WebSocketTransport) -> None:
        self.app = app
        #: ``"connecting"``, ``"open"``, ``"closed"`` (here) or ``"gone"`` (there, or by a limit).
        self.state = CONNECTING
        #: The close code, once the conversation is over: 1005 without one, 1006 if the line broke.
        self.close_code: int | None = None
        self.close_reason = ""
        #: The subprotocol that was accepted, or None.
        self.subprotocol: str | None = None
        #: The 101 that was sent, after ``after_request``; None before.
        self.response: Response | None = None
        self._transport = transport
        self._ctx: RequestContext | None = None
        self._portal = current_portal()
        self._loop = asyncio.get_running_loop()
        #: How the pipeline of this request runs steps of the other colour.
        self.bridge: Bridge = LOOP_BRIDGE
        #: What middleware adds to the answer.
        self.extra_headers: list[tuple[str, str]] = []
        self._handshake = asyncio.Lock()
        self._over = False
        # What has come and was not asked for yet.
        self._inbox: deque[Message] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._receiving = 0
        self._sent = 0
        self._pump: asyncio.Task[None] | None = None
        # How it ends.
        self._task: asyncio.Task[t.Any] | None = None
        self._cancelled = False
        self._final = (1000, "")
        self._closing: asyncio.Task[None] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._active_at = 0.0

    def attach(self, ctx: RequestContext) -> None:
        """Belong to a request that the pipeline is about to handle."""
        self._ctx = ctx
        ctx._websocket = self
        self.request = ctx.request

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url!r} {self.state}>"

    # -- the handshake ------------------------------------------------------------------------

    def accept(self, subprotocol: str | None = None, headers: HeaderPairs | None = None) -> t.Any:
        """Answer the handshake: from now on messages go both ways.

        The first ``receive`` or ``send`` accepts by itself. ``after_request`` functions run now,
        and a changed session is saved: later its cookie can no longer be sent.

        :param subprotocol: One of :attr:`requested_subprotocols`.
        :param headers: More headers of the answer.

        Raises WebSocketError when it was accepted before, ValueError for a subprotocol that the
        client has not offered, and what an ``after_request`` function raises.
        """
        if _get_running_loop() is not None:
            return self._accept_once(subprotocol, headers)
        self._must_connect()
        ctx, response = self._answer(subprotocol, headers)
        response = _finalized(ctx, response)
        return self._portal.run(self._open(subprotocol, response))

    async def _accept_once(
        self, subprotocol: str | None = None, headers: HeaderPairs | None = None
    ) -> None:
        async with self._handshake:
            self._must_connect()
            await self._accept(subprotocol, headers)

    async def _accept(self, subprotocol: str | None, headers: HeaderPairs | None) -> None:
        ctx, response = self._answer(subprotocol, headers)
        if self.bridge is LOOP_BRIDGE:
            response = await settled(finalize(ctx, response, LOOP_BRIDGE, ctx.over))
        else:
            response = await in_thread(_finalized, ctx, response)
        await self._open(subprotocol, response)

    def _must_connect(self) -> None:
        if self.response is not None:
            raise WebSocketError(MISUSED["accept"])
        self._check("accept", (CONNECTING,))

    def _answer(
        self, subprotocol: str | None, headers: HeaderPairs | None
    ) -> tuple[RequestContext, Response]:
        self._check_origin()
        if subprotocol is not None and subprotocol not in self.requested_subprotocols:
            raise ValueError(
                f"The client has not offered the subprotocol {subprotocol!r}, so it would break"
                f" off (RFC 6455 section 4.1). It offers {self.requested_subprotocols!r}."
            )
        assert self._ctx is not None
        response = self.app.response_class(status=101)
        response.headers.pop("Content-Type", None)
        response.headers.extend(self.extra_headers)
        for name, value in headers.items() if isinstance(headers, cabc.Mapping) else headers or ():
            response.headers.add(name, value)
        return self._ctx, response

    async def _open(self, subprotocol: str | None, response: Response) -> None:
        self.response = response
        self.subprotocol = subprotocol
        headers = [
            (name, value)
            for name, value in response.get_wsgi_headers(self.environ)
            if name.lower() not in _SERVERS_OWN and not name.lower().startswith("sec-websocket-")
        ]
        self._tell_what_is_lost(headers)
        await self._transport.accept(subprotocol, headers)
        if self.state != CONNECTING:
            return
        self.state = OPEN
        session = None if self._ctx is None else self._ctx._opened
        if session is not None and type(session).modified is False:
            session.modified = False  # it is saved; what changes from now on is told at the end
        self._pump = self._loop.create_task(self._receive_ahead())
        if self._idle_limit is not None:
            self._active_at = self._loop.time()
            self._after("idle", self._idle_limit, self._look_for_life)
        self.app._serving.tell_at_close(self._server_stops)

    def _tell_what_is_lost(self, headers: list[tuple[str, str]]) -> None:
        lost = []
        if self.subprotocol is not None and "subprotocol" in self._transport.lacks:
            lost.append("its subprotocol")
        if "headers" in self._transport.lacks and any(
            n.lower() == "set-cookie" for n, _ in headers
        ):
            lost.append("its cookies")
        if lost:
            self.app.logger.warning(
                "The handshake of the WebSocket %s was sent without %s, which the server's"
                " interface does not carry (uvicorn and Hypercorn do).",
                self.request.path,
                " and ".join(lost),
            )

    # -- the verbs ----------------------------------------------------------------------------

    def receive(self) -> t.Any:
        """Wait for the next message: a str or bytes.

        Raises WebSocketDisconnect when the client has closed, or a limit ended the conversation;
        WebSocketError after :meth:`close`.
        """
        return self._do(self._receive)

    def send(self, message: Message) -> t.Any:
        """Send a message: text if it is a str, binary if bytes.

        Returns when the server has taken it, so that a slow client slows the view down. Raises
        as :meth:`receive` does, TypeError for another type, ValueError for a lone surrogate.
        """
        return self._do(self._send, message)

    def receive_json(self) -> t.Any:
        """Wait for the next message and read it as JSON.

        Raises WebSocketDataError for what is no JSON; uncaught, that closes with code 1007.
        """
        return self._do(self._receive_json)

    def send_json(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Send a value as JSON text, by the application's provider; arguments as of ``jsonify``."""
        if args and kwargs:
            raise TypeError("send_json takes one value, or names and values, but not both.")
        value = kwargs if not args else args[0] if len(args) == 1 else list(args)
        return self._do(self._send, self.app.json.dumps(value))

    def close(self, code: int = 1000, reason: str = "") -> t.Any:
        """End the conversation; before it was accepted, refuse it with a 403.

        :param code: 1000 to 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455 section 7.4).
        :param reason: At most 123 bytes.

        Does nothing when it has ended already. Raises ValueError for another code or a longer
        reason.
        """
        check_close(code, reason)
        if _get_running_loop() is not None:
            return self._close(code, reason)
        return self._portal.run(self._close(code, reason))

    def _do(self, verb: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
        if _get_running_loop() is not None:
            return verb(*args)
        if self.state == CONNECTING and self.response is None and not self._over:
            self.accept()
        return self._portal.run(verb(*args))

    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self._receive()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None

    def __iter__(self) -> t.Self:
        if _get_running_loop() is not None:
            raise TypeError("Write `async for message in websocket`: this view is async.")
        return self

    def __next__(self) -> Message:
        try:
            message: Message = self.receive()
        except WebSocketDisconnect:
            raise StopIteration from None
        return message

    def _check(self, verb: str, good: tuple[str, ...] = (OPEN,)) -> None:
        if self.state in good and not self._over:
            return
        if self.state == GONE:
            raise WebSocketDisconnect(self.close_code or 1005, self.close_reason)
        if self.state == CLOSED:
            which = "refused" if self.response is None else "closed"
            raise WebSocketError(MISUSED[which].format(verb=verb))
        raise WebSocketError(MISUSED["over"].format(verb=verb))

    async def _ready(self) -> None:
        if self.state == CONNECTING and not self._over:
            async with self._handshake:
                if self.response is None and self.state == CONNECTING:
                    await self._accept(None, None)

    async def _receive(self) -> Message:
        await self._ready()
        self._receiving += 1
        try:
            while not self._inbox:
                self._check("receive")
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._receiving -= 1
        if self.state == CLOSED:
            self._check("receive")
        message = self._inbox.popleft()
        self._waiting_bytes -= len(message)
        self._room.set()
        return message

    async def _send(self, message: Message) -> None:
        if not isinstance(message, str | bytes | bytearray | memoryview):
            raise TypeError(
                f"A WebSocket sends str or bytes, not {type(message).__name__}. Use send_json()"
                " for values."
            )
        if isinstance(message, str):
            if not message.isascii():
                message.encode()  # a lone surrogate has no UTF-8
        elif not isinstance(message, bytes):
            message = bytes(message)
        await self._ready()
        self._check("send")
        try:
            await self._transport.send(message)
        except WebSocketDisconnect as gone:
            self._gone(gone.code, gone.reason)
            raise
        self._active_at = self._loop.time()
        self._sent += 1
        if not self._sent % _TURN:
            # A server may take messages, or drop those for a client that has gone, without ever
            # waiting: others, and the news of the end, get their turn.
            await asyncio.sleep(0)

    async def _receive_json(self) -> t.Any:
        message = await self._receive()
        try:
            return self.app.json.loads(message, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise WebSocketDataError("A message is not the JSON that was expected.") from error

    async def _close(self, code: int = 1000, reason: str = "") -> None:
        if self.state == CONNECTING:
            self.state = CLOSED  # the pipeline's answer refuses it
        if self.state != OPEN:
            return
        self._enter(CLOSED, code, reason)
        await self._say_goodbye(code, reason)

    # -- what happens by itself ---------------------------------------------------------------

    async def _receive_ahead(self) -> None:
        """Receive messages until the end, not far ahead of the view, and so notice the end."""
        try:
            while self.state == OPEN:
                message = await self._transport.receive()
                self._active_at = self._loop.time()
                if self._is_too_large(message):
                    self.end_with(1009, f"over {self._size_limit} bytes")
                    return
                self._inbox.append(message)
                self._waiting_bytes += len(message)
                self._arrived.set()
                while len(self._inbox) >= _AHEAD or self._waiting_bytes >= _AHEAD_SIZE:
                    self._room.clear()
                    await self._room.wait()
        except WebSocketDisconnect as gone:
            self._gone(gone.code, gone.reason)
        except Exception:
            self.app.logger.exception("The server failed to receive from a WebSocket")
            self._gone(1006, "")

    def _is_too_large(self, message: Message) -> bool:
        limit = self._size_limit
        if limit is None or len(message) * 4 <= limit:
            return False
        if isinstance(message, str) and not message.isascii():
            message = message.encode(errors="surrogatepass")
        return len(message) > limit

    def _enter(self, state: str, code: int, reason: str) -> None:
        self.state = state
        self.close_code = code
        self.close_reason = reason
        self._arrived.set()
        self._room.set()

    def _gone(self, code: int, reason: str) -> None:
        """The client has closed, or the line broke."""
        if self.state == CLOSED:
            return
        if self.state != GONE:
            self._enter(GONE, code, reason)
            self._give_notice()

    def end_with(self, code: int, reason: str) -> None:
        """Close for a reason that is not the view's."""
        if self.state != OPEN:
            return
        self._inbox.clear()
        self._enter(GONE, code, reason)
        self._closing = self._loop.create_task(self._say_goodbye(code, reason))
        self._give_notice()

    def _give_notice(self) -> None:
        """The view learns of the end from its next verb. One that uses none is cancelled."""
        grace = self.app.config["WEBSOCKET_DISCONNECT_GRACE"]
        if grace:
            self._after("grace", grace, self._cancel)
        elif grace is not None and not self._receiving:
            self._cancel()

    def _cancel(self) -> None:
        if self._task is not None and not self._over:
            self._cancelled = True
            self._task.cancel()

    def _server_stops(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self.end_with, 1001, "the server is shutting down")
        except RuntimeError:  # its loop is closed already
            pass

    def _look_for_life(self) -> None:
        assert self._idle_limit is not None
        left = self._active_at + self._idle_limit - self._loop.time()
        if left > 0:
            self._after("idle", left, self._look_for_life)
        else:
            self.end_with(1001, "idle for too long")

    def _after(self, name: str, seconds: float, function: t.Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(seconds, function)

    async def _say_goodbye(self, code: int, reason: str) -> None:
        await self._stop_receiving()  # Granian closes nothing while somebody receives
        try:
            async with asyncio.timeout(_CLOSING):
                await self._transport.close(code, reason)
        except (TimeoutError, WebSocketDisconnect):
            pass

    async def _stop_receiving(self) -> None:
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
            await asyncio.wait([self._pump], timeout=_CLOSING)

    # -- the view, called by the pipeline -----------------------------------------------------

    def call(self, view: t.Callable[..., t.Any], args: dict[str, t.Any] | None) -> t.Any:
        """Call the view, and give its answer or its coroutine, as any step does."""
        self._check_origin()
        try:
            rv = view(**args) if args else view()
        except Exception as error:
            self._failed(error)
            return self._ended(None)
        return self._awaited(rv) if type(rv) is CoroutineType else self._ended(rv)

    async def _awaited(self, coroutine: t.Coroutine[t.Any, t.Any, t.Any]) -> t.Any:
        task = self._task = t.cast("asyncio.Task[t.Any]", asyncio.current_task())
        rv = None
        try:
            rv = await coroutine
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
        except Exception as error:
            self._failed(error)
        finally:
            self._task = None
            if self._cancelled:
                task.uncancel()
        return self._ended(rv)

    def _failed(self, error: Exception) -> None:
        """Choose the close code for what the view raised, and raise it, if it is an error."""
        if isinstance(error, WebSocketDisconnect):
            return
        if self.response is None:
            raise error
        if isinstance(error, WebSocketDataError):
            self._final = (error.code, str(error)[:123])
            return
        self._final = (1011, "")
        if isinstance(error, HTTPException):
            if error.code is not None and 400 <= error.code < 500:
                self._final = (1008, error.name)
            self.app.logger.warning(
                "The view of the WebSocket %s raised %s after it had accepted: closed with %s.",
                self.request.path,
                error,
                self._final[0],
            )
        raise error

    def _ended(self, rv: t.Any) -> t.Any:
        """The answer that refuses, where nothing was accepted; else one that nobody sees."""
        if self.response is not None:
            return ""
        if rv is None:
            raise Forbidden()
        return rv

    async def refuse(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer the handshake with an error."""
        self.state = CLOSED
        try:
            await self._transport.refuse(status if status >= 200 else 403, headers, body)
        except WebSocketDisconnect:
            self._gone(1006, "")

    async def finish(self) -> None:
        """The request is over: close what is open, and leave nothing behind."""
        self._over = True
        self.app._serving.forget_at_close(self._server_stops)
        self._check_session()
        for timer in self._timers.values():
            timer.cancel()
        if self.state == OPEN:
            await self._close(*self._final)
        if self._closing is not None:
            await self._closing
        await self._stop_receiving()
        self._inbox.clear()
        self._arrived.set()
        self._ctx = None
        del self._transport  # Granian keeps the connection as long as somebody has it

    def _check_session(self) -> None:
        session = None if self._ctx is None else self._ctx._opened
        if (
            self.response is not None
            and session is not None
            and type(session).modified is False
            and session.modified
        ):
            self.app.logger.warning(
                "The session was changed after the WebSocket %s was accepted. Its cookie went out"
                " with the handshake, so the change is lost: change it before accept(), or in a"
                " request.",
                self.request.path,
            )


def _finalized(ctx: RequestContext, response: Response) -> Response:
    finalized: Response = drive(finalize(ctx, response, WSGI_BRIDGE, ctx.over))
    return finalized


def _refuse_constant(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is not a JSON value (RFC 8259 section 6).")
