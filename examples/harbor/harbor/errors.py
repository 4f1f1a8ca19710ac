"""What a client sees when something is wrong: JSON for programs, a page for people."""

from __future__ import annotations

import json
import logging
from typing import Any

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import (
    HTTPException,
    SecurityError,
    ServiceUnavailable,
    UnprocessableEntity,
)
from werkzeug.wrappers import Response

from carboy import Carboy, render_template, request

from .observability import request_id

log = logging.getLogger(__name__)


class InvalidFields(UnprocessableEntity):
    """422 with what is wrong, field by field.  Never holds what was sent."""

    description = "Some fields are missing or wrong."

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__()
        self.fields = fields


def init_app(app: Carboy) -> None:
    app.register_error_handler(HTTPException, show_error)
    for database_is_away in (OperationalError, InterfaceError, PoolTimeoutError):
        app.register_error_handler(database_is_away, show_database_error)


def wants_json() -> bool:
    """Programs ask below /api/ or for .json, or prefer JSON to HTML; browsers do not."""
    if request.path.startswith("/api/") or request.path.endswith(".json"):
        return True
    accepted = request.accept_mimetypes
    best = accepted.best_match(["text/html", "application/json"], default="text/html")
    return best == "application/json" and accepted[best] > accepted["text/html"]


def show_error(error: HTTPException) -> Response:
    response = error.get_response()  # keeps Allow, Retry-After, WWW-Authenticate
    if response.status_code < 400:
        return response  # a redirect, such as the one that adds a slash
    if wants_json():
        body: dict[str, Any] = {
            "status": error.code,
            "title": error.name,
            "detail": error.description,
            "request_id": request_id(),
        }
        if isinstance(error, InvalidFields):
            body["fields"] = error.fields
        response.data = json.dumps({"error": body}) + "\n"
        response.content_type = "application/json"
    elif isinstance(error, SecurityError):
        # A host that Harbor does not answer for: no page of its own, and no link to build.
        response.data = "This is not a host name of Harbor's.\n"
        response.content_type = "text/plain; charset=utf-8"
    else:
        response.data = render_template("error.html", error=error, request_id=request_id())
        response.content_type = "text/html; charset=utf-8"
    return response


def show_database_error(error: Exception) -> Response:
    log.error("database unavailable", exc_info=error)
    return show_error(
        ServiceUnavailable("Harbor's database does not answer. Try again shortly.", retry_after=5)
    )
