"""What Harbor's tests share besides fixtures."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from harbor import auth
from harbor.models import Position
from sqlalchemy import select
from sqlalchemy.orm import Session

from carboy.testing import FlaskClient

NOW = datetime(2030, 6, 1, 12, 0, tzinfo=UTC)
SECRET = "testing-tracker-secret"
IMO = 9074729  # the example of the IMO's own resolution
OTHER_IMO = 9990014
PASSWORD = "correct horse battery"


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.moment = NOW
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.moment += timedelta(seconds=seconds)


def token_on(page: str) -> str:
    """The CSRF token of a page's form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, "the page has no form with a token"
    return found.group(1)


def sign_in(client: FlaskClient, name: str, password: str = PASSWORD, **extra: str) -> Any:
    page = client.get("/sign-in").get_data(as_text=True)
    form = {"csrf_token": token_on(page), "name": name, "password": password} | extra
    return client.post("/sign-in", data=form)


def ping(**changes: Any) -> dict[str, Any]:
    return {
        "imo": IMO,
        "lat": 51.95,
        "lon": 4.14,
        "recorded_at": "2030-06-01T11:59:00Z",
    } | changes


def post_raw(client: FlaskClient, body: bytes, secret: str = SECRET, **options: Any) -> Any:
    headers = {"X-Signature": auth.signature_of(body, secret), **options.pop("headers", {})}
    options.setdefault("content_type", "application/json")
    return client.post("/api/v1/positions", data=body, headers=headers, **options)


def post_ping(client: FlaskClient, payload: Any = None, **options: Any) -> Any:
    return post_raw(client, json.dumps(ping() if payload is None else payload).encode(), **options)


def positions(engine: Any) -> list[Position]:
    with Session(engine) as session:
        return list(session.scalars(select(Position).order_by(Position.recorded_at)))
