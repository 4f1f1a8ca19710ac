"""The live feed: tells every open map where the vessels are, and every chat what was said."""

from __future__ import annotations

import logging
import threading
from typing import Any

from carboy import Carboy, EventChannel
from carboy.sse import Subscription

from .fleet import VesselStatus, fleet_status
from .messages import recent

log = logging.getLogger(__name__)


class LiveFeed:
    """One channel for all maps that this process serves, one for all chats.

    While anybody listens, one thread compares the database with what it told last: at once when
    this process took a ping or a message, and every `interval` seconds for what others took.
    """

    def __init__(self, app: Carboy, interval: float = 1.0) -> None:
        # A map needs each vessel's newest position only, however slow its connection is.
        self.channel = EventChannel(history=500, queue=500, slow="coalesce")
        # Of a chat nothing may be missing: who does not keep up is cut off, and asks again.
        self.chat = EventChannel(history=0, queue=200, slow="disconnect")
        self._app = app
        self._interval = interval
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None
        self._told: dict[int, VesselStatus] = {}
        self._said = 0  # the number of the last message that was told

    def subscribe(self, last_event_id: str | None) -> Subscription:
        """What happens from now on, and what happened since the event with this id."""
        subscription = self.channel.subscribe(last_event_id)
        self._start_watching()
        return subscription

    def subscribe_to_chat(self) -> Subscription:
        """What is said from now on."""
        subscription = self.chat.subscribe()
        self._start_watching()
        return subscription

    def _start_watching(self) -> None:
        with self._lock:
            if self._watcher is None and not self.channel.closed:
                self._watcher = threading.Thread(
                    target=self._watch, name="harbor-live", daemon=True
                )
                self._watcher.start()

    def wake(self) -> None:
        """Something has changed: look now."""
        self._news.set()

    def close(self) -> None:
        """Ends the streams and the thread."""
        self.channel.close()
        self.chat.close()
        self.wake()
        watcher = self._watcher
        if watcher is not None:
            watcher.join()

    def _watch(self) -> None:
        while True:
            self._news.clear()
            try:
                with self._app.app_context():
                    if len(self.channel):
                        self._tell(fleet_status())
                    if len(self.chat):
                        self._tell_chat(recent(self._said))
            except Exception:
                # The database may be away for a moment; the maps show the age of what they know.
                log.warning("the live feed could not read the fleet", exc_info=True)
            self._news.wait(self._interval)
            with self._lock:
                if self.channel.closed or not (len(self.channel) or len(self.chat)):
                    self._watcher = None
                    return

    def _tell(self, fleet: list[VesselStatus]) -> None:
        for status in fleet:
            if self._told.get(status.imo) != status and not self.channel.closed:
                self._told[status.imo] = status
                self.channel.publish(facts_of(status), event="vessel", key=status.imo)

    def _tell_chat(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self._said = message["id"]
            if not self.chat.closed:
                self.chat.publish(message, event="message")


def facts_of(status: VesselStatus) -> dict[str, Any]:
    """A vessel as the map's script knows it."""
    latest = status.latest
    return {
        "name": status.name,
        "imo": status.imo,
        "lat": latest and latest.lat,
        "lon": latest and latest.lon,
        "course": latest and latest.course,
        "recorded_at": latest and latest.recorded_at.isoformat(),
    }
