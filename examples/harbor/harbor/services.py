"""What an application holds besides its database: cache, limiter, live feed and clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from carboy import current_app

from .cache import Cache
from .limits import Limiter

if TYPE_CHECKING:
    from .live import LiveFeed


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Services:
    """One object per application; tests put their own parts into it."""

    cache: Cache
    limiter: Limiter
    live: LiveFeed
    now: Callable[[], datetime] = utc_now


def services() -> Services:
    """The services of the current application."""
    return cast(Services, current_app.extensions["harbor.services"])
