"""A WebSocket of an RSGI server."""

from __future__ import annotations

import asyncio
import typing as t

from carboy.errors import WebSocketDisconnect

#: The kinds of a message.
_CLOSE, _BYTES, _TEXT = 0, 1, 2


class RsgiTransport:
    """Speaks the ``ws`` protocol of RSGI 1.

    It can say neither headers nor a subprotocol in its answer, and no code when it closes.
    """

    def __init__(self, protocol: t.Any) -> None:
        self.lacks = frozenset({"headers", "subprotocol", "close code"})
        self._protocol = protocol
        self._transport: t.Any = None
        self._sending = asyncio.Lock()  # the protocol refuses a message while it sends another

    async def accept(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> None:
        """Answer the handshake with 101."""
        try:
            self._transport = await self._protocol.accept()
        except RuntimeError:  # RSGIProtocolError: the client has gone
            raise WebSocketDisconnect(1006) from None

    async def refuse(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer the handshake with an error, of which the protocol has the status only."""
        self._protocol.close(status)

    async def receive(self) -> str | bytes:
        """Wait for the next message."""
        try:
            message = await self._transport.receive()
        except RuntimeError:  # RSGIProtocolClosed
            self._let_go()
            raise WebSocketDisconnect(1006) from None
        if message.kind == _CLOSE:
            self._let_go()
            raise WebSocketDisconnect(1005)
        return t.cast("str | bytes", message.data)

    async def send(self, message: str | bytes) -> None:
        """Send a message."""
        try:
            async with self._sending:
                if self._transport is None:  # closed while this message waited
                    raise WebSocketDisconnect(1006)
                if isinstance(message, str):
                    await self._transport.send_str(message)
                else:
                    await self._transport.send_bytes(message)
        except RuntimeError:
            raise WebSocketDisconnect(1006) from None

    async def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, in which the protocol can say no code."""
        self._let_go()

    def _let_go(self) -> None:
        if self._protocol is not None:
            self._protocol.close()
        # Granian sends the frame, and ends the connection, when nobody has these any more.
        self._transport = self._protocol = None
