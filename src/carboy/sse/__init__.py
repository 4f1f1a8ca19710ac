"""Server-sent events (WHATWG HTML section 9.2): an endless answer that a browser listens to.

::

    @app.get("/clock")
    async def clock():
        async def ticks():
            while True:
                yield {"now": time.time()}
                await asyncio.sleep(1)

        return EventStream(ticks())

:class:`EventStream` is the response, :class:`ServerSentEvent` one event with a name or an id,
and :class:`EventChannel` brings what happens anywhere in the process to all who listen.
"""

from __future__ import annotations

from .channels import EventChannel as EventChannel
from .channels import Subscription as Subscription
from .events import ServerSentEvent as ServerSentEvent
from .streams import EventStream as EventStream

__all__ = ["EventChannel", "EventStream", "ServerSentEvent", "Subscription"]

# The package is the public address of these names.
for _public in (EventChannel, EventStream, ServerSentEvent, Subscription):
    _public.__module__ = __name__
del _public
