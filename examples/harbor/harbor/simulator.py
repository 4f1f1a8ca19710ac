"""A dozen made-up ships on real sea routes of Europe, sending real, signed pings over HTTP.

A ship's place is a function of time alone, so the history that `seed` writes and the pings that
`simulate` sends join without a gap.  Time runs faster here than at sea (`SPEEDUP`), or nobody
would see a ship move.
"""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from urllib.parse import urlsplit

from .auth import signature_of

SPEEDUP = 240.0
EARTH_RADIUS = 6_371_000  # metres
KNOT = 1852 / 3600  # metres a second

Place = tuple[float, float]  # longitude, latitude


def distance(one: Place, other: Place) -> float:
    """Metres between two places along the great circle (haversine formula)."""
    lon1, lat1, lon2, lat2 = map(math.radians, (*one, *other))
    half = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    )
    return 2 * EARTH_RADIUS * math.asin(math.sqrt(half))


@dataclass(frozen=True)
class Voyage:
    """A ship that goes back and forth along its waypoints at a steady speed."""

    name: str
    imo: int
    knots: float
    start: float  # where on the way it is at time zero: 0 first port, 1 last port, 2 first again
    route: Sequence[Place]
    _marks: list[float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        legs = (distance(one, other) for one, other in pairwise(self.route))
        object.__setattr__(self, "_marks", list(accumulate(legs, initial=0.0)))

    @property
    def length(self) -> float:
        """Metres from the first port to the last."""
        return self._marks[-1]

    def place_at(self, moment: datetime, speedup: float = SPEEDUP) -> Place:
        sailed = self.knots * KNOT * moment.timestamp() * speedup
        along = (sailed + self.start * self.length) % (2 * self.length)
        if along > self.length:
            along = 2 * self.length - along
        leg = min(bisect_right(self._marks, along), len(self._marks) - 1)
        before, after = self._marks[leg - 1], self._marks[leg]
        share = (along - before) / (after - before)
        (lon1, lat1), (lon2, lat2) = self.route[leg - 1], self.route[leg]
        return lon1 + (lon2 - lon1) * share, lat1 + (lat2 - lat1) * share


# Names and numbers are invented; the numbers have valid check digits.
VOYAGES: tuple[Voyage, ...] = (
    Voyage("Maasbloem", 9990014, 18, 0.3, ((3.95, 52.02), (2.6, 52.0), (1.45, 51.9))),
    Voyage(
        "Nordlys Trader",
        9990026,
        15,
        0.55,
        ((3.9, 52.1), (3.5, 53.5), (3.8, 57.5), (4.5, 59.6), (4.7, 60.4)),
    ),
    Voyage(
        "Elbe Pioneer",
        9990038,
        16,
        0.35,
        ((8.2, 54.0), (7.5, 54.6), (7.4, 56.6), (8.6, 57.4), (10.5, 57.95), (11.4, 57.6)),
    ),
    Voyage(
        "Amber Coast",
        9990040,
        17,
        0.6,
        (
            (10.3, 54.5),
            (11.15, 54.57),
            (11.7, 54.45),
            (12.2, 54.5),
            (12.6, 54.8),
            (13.5, 54.9),
            (15.0, 54.75),
            (18.3, 55.1),
            (20.8, 55.7),
        ),
    ),
    Voyage(
        "Aurora Fennica",
        9990052,
        20,
        0.45,
        ((19.3, 59.25), (20.5, 59.3), (22.5, 59.4), (24.3, 59.75), (24.95, 60.05)),
    ),
    Voyage(
        "Visby Lantern",
        9990064,
        15,
        0.4,
        ((18.95, 54.65), (18.9, 55.2), (17.6, 56.6), (17.7, 57.8), (18.1, 58.6)),
    ),
    Voyage(
        "Scheldt Guardian",
        9990076,
        18,
        0.42,
        (
            (3.1, 51.5),
            (2.0, 51.35),
            (1.5, 51.0),
            (0.7, 50.6),
            (-2.5, 49.95),
            (-5.8, 48.95),
            (-6.0, 48.2),
            (-4.8, 46.5),
            (-3.1, 43.5),
        ),
    ),
    Voyage(
        "Celtic Heron",
        9990088,
        14,
        0.62,
        (
            (-5.95, 53.35),
            (-5.75, 52.4),
            (-6.2, 51.4),
            (-6.4, 50.0),
            (-6.6, 48.5),
            (-9.9, 43.5),
            (-10.0, 39.2),
            (-9.45, 38.6),
        ),
    ),
    Voyage(
        "Costa Serena II",
        9990090,
        19,
        0.5,
        ((-5.3, 36.0), (-2.0, 36.4), (-0.2, 37.6), (0.7, 38.75), (1.0, 40.2), (2.25, 41.3)),
    ),
    Voyage(
        "Mistral Express",
        9990105,
        21,
        0.25,
        ((5.2, 43.1), (4.9, 41.0), (4.9, 39.8), (3.2, 36.95)),
    ),
    Voyage(
        "Stella Tirrena",
        9990117,
        17,
        0.7,
        ((8.9, 44.3), (9.62, 43.3), (9.8, 42.2), (10.8, 40.6), (13.2, 38.35)),
    ),
    Voyage(
        "Aegean Kestrel",
        9990129,
        16,
        0.3,
        ((23.6, 37.8), (23.8, 37.4), (24.1, 37.0), (24.2, 36.4), (25.1, 35.45)),
    ),
)


class PingRefused(Exception):
    """Harbor answered, but not with 200 or 201; asking again would not help."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        cause = {
            401: "the tracker secret differs from the server's: set TRACKER_SECRET alike for both",
            404: "the server does not know the vessel: run 'carboy --app harbor seed' first",
            422: "the server does not accept the ping: compare the clocks of both machines",
        }.get(self.status, "is this address a Harbor?")
        return f"Harbor answered {self.status}; {cause}."


class Tracker:
    """Sends signed pings to a Harbor at `base_url` (http or https)."""

    def __init__(self, base_url: str, secret: str, timeout: float = 5) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the address must look like http://127.0.0.1:8000")
        self._url = base_url.rstrip("/") + "/api/v1/positions"
        self._secret = secret
        self._timeout = timeout
        handlers: list[urllib.request.BaseHandler] = []
        if parts.hostname in {"127.0.0.1", "localhost", "::1"}:
            handlers.append(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
        self._opener = urllib.request.build_opener(*handlers)

    def send(self, imo: int, place: Place, moment: datetime) -> bool:
        """Posts one ping; True if it was new.

        Raises `PingRefused` for another answer than 200 or 201, `OSError` when there is none.
        """
        lon, lat = place
        document = {
            "imo": imo,
            "lat": round(lat, 6),
            "lon": round(lon, 6),
            "recorded_at": moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        }
        body = json.dumps(document).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Signature": signature_of(body, self._secret),
        }
        ping = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with self._opener.open(ping, timeout=self._timeout) as answer:
                return bool(answer.status == 201)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code >= 500:
                raise OSError(f"Harbor answered {error.code}") from None
            raise PingRefused(error.code) from None
