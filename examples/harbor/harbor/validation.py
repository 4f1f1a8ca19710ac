"""What Harbor accepts: pings from trackers, vessels from dispatchers.

Messages say what a field must be and never repeat what was sent.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .errors import InvalidFields
from .models import is_imo_number

PING_FIELDS = ("imo", "lat", "lon", "recorded_at")
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
CLOCK_ERROR = timedelta(minutes=5)  # how far a tracker's clock may be ahead
# RFC 3339 with a zone; `fromisoformat` alone also takes week dates, commas and no zone.
MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Ping:
    imo: int
    lat: float
    lon: float
    recorded_at: datetime  # in UTC


def parse_ping(payload: object, now: datetime) -> Ping:
    """The ping in a JSON document; raises `InvalidFields` with every field that is wrong."""
    if not isinstance(payload, dict):
        raise InvalidFields({"body": "must be a JSON object"})
    errors: dict[str, str] = {name: "is required" for name in PING_FIELDS if name not in payload}
    if len(payload.keys() - set(PING_FIELDS)) > 0:
        errors["body"] = "has unknown fields; known are " + ", ".join(PING_FIELDS)
    imo, lat, lon = payload.get("imo"), payload.get("lat"), payload.get("lon")
    # type(), not isinstance(): true and false are numbers to Python and to nobody else.
    if "imo" in payload and not (type(imo) is int and is_imo_number(imo)):
        errors["imo"] = "must be an IMO number: an integer of 7 digits with a valid check digit"
    for name, value, bound in (("lat", lat, 90), ("lon", lon, 180)):
        if name in payload and not _is_within(value, bound):
            errors[name] = f"must be a number from -{bound} to {bound}"
    moment = None
    if "recorded_at" in payload:
        moment = _moment(payload["recorded_at"])
        if moment is None:
            errors["recorded_at"] = "must be a date and time like 2030-01-31T12:00:00Z, with zone"
        elif moment > now + CLOCK_ERROR:
            errors["recorded_at"] = "must not lie in the future"
        elif moment < EARLIEST:
            errors["recorded_at"] = f"must not be before {EARLIEST.year}"
    if errors or moment is None or not isinstance(imo, int):
        raise InvalidFields(errors)
    return Ping(imo, float(payload["lat"]), float(payload["lon"]), moment)


def _is_within(value: object, bound: int) -> bool:
    # A range check holds for integers of any size; NaN fails it, but is named for the reader.
    if type(value) is float:
        return math.isfinite(value) and -bound <= value <= bound
    return type(value) is int and -bound <= value <= bound


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or not MOMENT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # the 31st of February; a zone beyond the year 9999
        return None


@dataclass(frozen=True, slots=True)
class VesselForm:
    name: str
    imo: int


def parse_vessel_form(form: Mapping[str, str]) -> tuple[VesselForm | None, dict[str, str]]:
    """The vessel that a dispatcher typed, or what is wrong with it, field by field."""
    errors: dict[str, str] = {}
    name = " ".join(form.get("name", "").split())
    if not 2 <= len(name) <= 80:
        errors["name"] = "Please give a name of 2 to 80 characters."
    elif any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"} for char in name):
        errors["name"] = "A name cannot hold control characters."
    typed = form.get("imo", "").strip().upper().removeprefix("IMO").strip()
    if not re.fullmatch(r"[0-9]{7}", typed):
        errors["imo"] = "An IMO number has seven digits, like 9074729."
    elif not is_imo_number(int(typed)):
        errors["imo"] = "The check digit does not match; please compare with the ship's papers."
    return (None, errors) if errors else (VesselForm(name, int(typed)), {})
