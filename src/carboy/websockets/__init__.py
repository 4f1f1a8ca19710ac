"""WebSockets: what a view talks to, and the life of one conversation.

A WebSocket is a request whose answer is the handshake. It goes through the same pipeline as any
other: ``before_request`` may refuse it, the view is called, an error has its handler, teardown
runs at the end. The response that ``after_request`` and the session see is the 101 of
:meth:`WebSocket.accept`, or the one that refuses.

The verbs know where they are called. On an event loop, so in an async view, each gives a coroutine
to await; in a thread, so in a sync view, each blocks until it is done.
"""

from __future__ import annotations

from carboy.errors import WebSocketDataError as WebSocketDataError
from carboy.errors import WebSocketDisconnect as WebSocketDisconnect
from carboy.errors import WebSocketError as WebSocketError

from .conversation import WebSocket as WebSocket
from .conversation import check_close as check_close
