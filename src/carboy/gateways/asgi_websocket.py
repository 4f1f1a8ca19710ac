"""A WebSocket of an ASGI server."""

from __future__ import annotations

import typing as t

from carboy.errors import WebSocketDisconnect

Message = t.MutableMapping[str, t.Any]

_DENIAL = "websocket.http.response"


class AsgiTransport:
    """Speaks the ``websocket`` messages of ASGI 3."""

    def __init__(
        self,
        scope: Message,
        receive: t.Callable[[], t.Awaitable[Message]],
        send: t.Callable[[Message], t.Awaitable[None]],
    ) -> None:
        self._denies = _DENIAL in (scope.get("extensions") or ())
        self._receive = receive
        self._send = send
        self._connected = False
        # Granian passes over the headers, and says so nowhere.
        server = type(getattr(send, "__self__", None)).__module__
        self.lacks = frozenset({"headers"} if server.startswith("granian") else ())

    async def _tell(self, message: Message) -> None:
        try:
            if not self._connected:
                self._connected = True
                if (await self._receive())["type"] != "websocket.connect":
                    raise WebSocketDisconnect(1006)
            await self._send(message)
        except (OSError, RuntimeError) as error:
            # OSError from ASGI 2.4 on. Servers say "after close" in a RuntimeError when the client
            # has closed: what the application itself did is known before.
            raise WebSocketDisconnect(1006) from error

    async def accept(self, subprotocol: str | None, headers: list[tuple[str, str]]) -> None:
        """Answer the handshake with 101."""
        pairs = _encoded(headers)
        await self._tell({"type": "websocket.accept", "subprotocol": subprotocol, "headers": pairs})

    async def refuse(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer the handshake with an error: 403, unless the server can send another one."""
        if not self._denies:
            await self._tell({"type": "websocket.close"})
            return
        pairs = _encoded(headers)
        await self._tell({"type": f"{_DENIAL}.start", "status": status, "headers": pairs})
        await self._tell({"type": f"{_DENIAL}.body", "body": body, "more_body": False})

    async def receive(self) -> str | bytes:
        """Wait for the next message."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code")
            reason = message.get("reason")
            raise WebSocketDisconnect(1005 if code is None else code, reason or "")
        text: str | None = message.get("text")
        return t.cast(bytes, message["bytes"]) if text is None else text

    async def send(self, message: str | bytes) -> None:
        """Send a message."""
        kind = "text" if isinstance(message, str) else "bytes"
        await self._tell({"type": "websocket.send", kind: message})

    async def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        await self._tell({"type": "websocket.close", "code": code, "reason": reason})


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
