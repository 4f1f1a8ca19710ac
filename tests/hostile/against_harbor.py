"""Schemathesis against Harbor, through each door: requests made from its own description.

``python tests/hostile/against_harbor.py --examples 500``; one line of JSON comes out. Valid
requests must be taken, invalid ones refused, every answer must be as described, and none a 500.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy.orm import Session

HARBOR = Path(__file__).parents[2] / "examples" / "harbor"
sys.path.insert(0, str(HARBOR))

from harbor import auth, create_app  # noqa: E402
from harbor.config import TestingConfig  # noqa: E402
from harbor.models import Base, Vessel  # noqa: E402

from carboy.testing.doors import through_door  # noqa: E402

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def make_harbor(folder: Path) -> tuple[Any, str]:
    """A Harbor with one vessel and one partner, and the partner's key."""
    app = create_app(
        TestingConfig(),
        {
            "DATABASE_URL": f"sqlite:///{folder}/harbor.sqlite3",
            "PARTNER_REQUESTS_PER_MINUTE": 10**9,
            "PROPAGATE_EXCEPTIONS": False,
        },
    )
    logging.disable(logging.CRITICAL)
    engine = app.extensions["harbor.database"].engine
    Base.metadata.create_all(engine)
    with Session(engine) as session, app.app_context():
        session.add(Vessel(name="Test Vessel", imo=9074729))
        key, secret = auth.new_api_key("a partner")
        session.add(key)
        session.commit()
    return app, secret


def signed(app: Any, key: str) -> Any:
    """Middleware that signs bodies and brings the key, so that requests get past the door."""
    inner = app.wsgi_app
    secret = app.config["TRACKER_SECRET"].encode()

    def call(environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        import io

        environ["wsgi.input"] = io.BytesIO(body)
        digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
        environ["HTTP_X_SIGNATURE"] = f"sha256={digest}"
        environ["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return inner(environ, start_response)

    return call


def run(door: str, examples: int, folder: Path) -> dict[str, Any]:
    """Every operation through one door, with good and with bad data, signed and not."""
    app, key = make_harbor(folder)
    answered: Counter[str] = Counter()
    broken: list[str] = []
    for with_keys in (True, False):
        target = signed(app, key) if with_keys else app.wsgi_app
        if door != "wsgi":
            app.wsgi_app = target
            target = through_door(app, door)
        schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", target)
        for found in schema.get_all_operations():
            operation = found.ok()
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                try:
                    try_operation(operation, mode, examples, answered)
                except Unsatisfiable:
                    pass  # an operation that takes nothing has no bad data
                except Exception as error:
                    broken.append(f"{operation.label} {mode}: {error!r}"[:1500])
        app, key = make_harbor(folder / "again") if with_keys else (app, key)
    return {"door": door, "cases": answered.total(), "statuses": answered, "broken": broken}


def try_operation(operation: Any, mode: Any, examples: int, answered: Counter[str]) -> None:
    """Send what hypothesis makes of an operation."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        for _ in range(2):
            response = case.call()
            answered[str(response.status_code)] += 1
            case.validate_response(response, checks=CHECKS)
            if not (isinstance(case.body, dict) and type(case.body.get("imo")) is int):
                break
            # The description cannot say which ships there are; this one is.
            case.body.update(imo=9074729, recorded_at="2026-01-31T12:00:00Z")

    send()


def main() -> int:
    """Run them all; 1 if anything was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200)
    options = parser.parse_args()
    begun = time.monotonic()
    results = []
    for door in ("wsgi", "asgi", "rsgi"):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            (Path(folder) / "again").mkdir()
            results.append(run(door, options.examples, Path(folder)))
    print(
        json.dumps(
            {
                "schemathesis": schemathesis.__version__,
                "seconds": round(time.monotonic() - begun),
                "doors": results,
            }
        )
    )
    return 1 if any(result["broken"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
