"""How templates show things: coordinates, moments, the dispatcher's name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from carboy import Carboy, g

COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


def init_app(app: Carboy) -> None:
    app.add_template_filter(latitude)
    app.add_template_filter(longitude)
    app.add_template_filter(course)
    app.add_template_filter(moment)

    @app.context_processor
    def dispatcher() -> dict[str, Any]:
        # Only if a view has asked who it is: an error page must not need the database.
        return {"user": g.get("user")}


def latitude(degrees: float) -> str:
    """`51.955` as `51° 57.3′ N`, as charts have it."""  # noqa: RUF002
    return _angle(degrees, "N", "S", 2)


def longitude(degrees: float) -> str:
    return _angle(degrees, "E", "W", 3)


def course(degrees: float | None) -> str:
    """`92.4` as `092° E`."""
    if degrees is None:
        return "–"  # noqa: RUF001
    return f"{round(degrees) % 360:03d}° {COMPASS[round(degrees / 45) % 8]}"


def moment(value: datetime | str) -> str:
    """A moment in UTC, to the second."""
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    return when.astimezone(UTC).strftime("%-d %b %Y, %H:%M:%S UTC")


def _angle(value: float, positive: str, negative: str, digits: int) -> str:
    tenths = round(abs(value) * 600)  # tenths of a minute, rounded before they are split
    degrees, rest = divmod(tenths, 600)
    return f"{degrees:0{digits}d}° {rest / 10:04.1f}′ {positive if value >= 0 else negative}"  # noqa: RUF001
