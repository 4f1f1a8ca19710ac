"""Whether this Harbor can do its work: for load balancers and orchestrators."""

from __future__ import annotations

import logging

from sqlalchemy.exc import SQLAlchemyError

from carboy import Blueprint
from carboy.typing import ResponseReturnValue

from .db import database

health = Blueprint("health", __name__)
log = logging.getLogger(__name__)


@health.get("/health")
def check() -> ResponseReturnValue:
    """200 while the database answers, 503 while it does not; says no more than that."""
    try:
        database().ping()
    except SQLAlchemyError as error:
        log.error("health check failed", extra={"reason": type(error).__name__})
        return {"status": "unavailable", "database": "unavailable"}, 503, {"Retry-After": "5"}
    return {"status": "ok", "database": "ok"}
