"""The live feed: tells every open map where the vessels are, by server-sent events."""

from __future__ import annotations

import logging
import threading
from typing import Any

from carboy import Carboy, EventChannel
from carboy.sse import Subscription

from .fleet import VesselStatus, fleet_status

log = logging.getLogger(__name__)


class LiveFeed:
    """One channel for all maps that this process serves.

    While anybody listens, one thread compares the fleet with what it told last: at once when this
    process took a ping, and every `interval` seconds for what other processes took.
    """

    def __init__(self, app: Carboy, interval: float = 1.0) -> None:
        # A map needs each vessel's newest position only, however slow its connection is.
        self.channel = EventChannel(history=500, queue=500, slow="coalesce")
        self._app = app
        self._interval = interval
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None
        self._told: dict[int, VesselStatus] = {}

    def subscribe(self, last_event_id: str | None) -> Subscription:
        """What happens from now on, and what happened since the event with this id."""
        subscription = self.channel.subscribe(last_event_id)
        with self._lock:
            if self._watcher is None and not self.channel.closed:
                self._watcher = threading.Thread(
                    target=self._watch, name="harbor-live", daemon=True
                )
                self._watcher.start()
        return subscription

    def wake(self) -> None:
        """Something has changed: look now."""
        self._news.set()

    def close(self) -> None:
        """Ends the streams and the thread."""
        self.channel.close()
        self.wake()
        watcher = self._watcher
        if watcher is not None:
            watcher.join()

    def _watch(self) -> None:
        while True:
            self._news.clear()
            try:
                with self._app.app_context():
                    self._tell(fleet_status())
            except Exception:
                # The database may be away for a moment; the maps show the age of what they know.
                log.warning("the live feed could not read the fleet", exc_info=True)
            self._news.wait(self._interval)
            with self._lock:
                if self.channel.closed or not len(self.channel):
                    self._watcher = None
                    return

    def _tell(self, fleet: list[VesselStatus]) -> None:
        for status in fleet:
            if self._told.get(status.imo) != status and not self.channel.closed:
                self._told[status.imo] = status
                self.channel.publish(facts_of(status), event="vessel", key=status.imo)


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
