"""The API: trackers post pings, partners read the fleet."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import BadRequest, TooManyRequests

from carboy import (
    Blueprint,
    Response,
    after_this_request,
    current_app,
    g,
    jsonify,
    request,
    send_from_directory,
)
from carboy.typing import ResponseReturnValue

from .auth import bearer_key_required, require_signature
from .fleet import VesselStatus, fleet_status, record_ping
from .services import services
from .validation import parse_ping

fleet_api = Blueprint("fleet_api", __name__)


@fleet_api.get("/openapi.json")
def get_description() -> ResponseReturnValue:
    """What this API takes and gives, for programs (OpenAPI 3.1)."""
    return send_from_directory(fleet_api.root_path, "openapi.json", max_age=3600)


@fleet_api.post("/positions")
def post_position() -> ResponseReturnValue:
    """Takes a tracker's ping: 201 when it is new, 200 when it is known already."""
    request.max_content_length = current_app.config["MAX_PING_BYTES"]
    require_signature()
    try:
        payload = request.get_json()
    except RecursionError:
        raise BadRequest("The JSON document is nested too deeply.") from None
    ping = parse_ping(payload, services().now())
    created = record_ping(ping)
    answer = {"imo": ping.imo, "recorded_at": ping.recorded_at.isoformat(), "created": created}
    return answer, 201 if created else 200


@fleet_api.get("/vessels")
@bearer_key_required
def get_vessels() -> ResponseReturnValue:
    """The fleet as a GeoJSON FeatureCollection (RFC 7946)."""
    _count_request_of_partner()
    response = jsonify(
        type="FeatureCollection", features=[_feature(status) for status in fleet_status()]
    )
    response.mimetype = "application/geo+json"
    return response


def _count_request_of_partner() -> None:
    limit = current_app.config["PARTNER_REQUESTS_PER_MINUTE"]
    verdict = services().limiter.hit(f"api-key:{g.api_key.id}", limit)

    @after_this_request
    def tell(response: Response) -> Response:
        response.headers.update(verdict.headers())
        return response

    if not verdict.allowed:
        raise TooManyRequests(f"At most {limit} requests a minute for each key.")


def _feature(status: VesselStatus) -> dict[str, Any]:
    latest = status.latest
    return {
        "type": "Feature",
        "id": status.imo,
        # GeoJSON puts the longitude first.
        "geometry": latest and {"type": "Point", "coordinates": [latest.lon, latest.lat]},
        "properties": {
            "name": status.name,
            "imo": status.imo,
            "course": latest and latest.course,
            "recorded_at": latest and latest.recorded_at.isoformat(),
        },
    }
