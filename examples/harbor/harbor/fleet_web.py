"""The pages for dispatchers: sign in, the live map, a page for each vessel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import TooManyRequests

from carboy import (
    Blueprint,
    EventStream,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from carboy.typing import ResponseReturnValue

from . import auth
from .db import db_session
from .fleet import VesselStatus, find_vessel, fleet_status, track_of, vessel_status
from .live import facts_of
from .models import Vessel
from .services import services
from .validation import parse_vessel_form

fleet_web = Blueprint("fleet_web", __name__)


@fleet_web.get("/")
def home() -> ResponseReturnValue:
    return redirect(url_for("fleet_web.map_page"))


# Signing in and out --------------------------------------------------------------------------


@fleet_web.get("/sign-in")
def sign_in_page() -> ResponseReturnValue:
    wanted = auth.safe_next(request.args.get("next"))
    if auth.current_user() is not None:
        return redirect(wanted or url_for("fleet_web.map_page"))
    return render_template("sign_in.html", next=wanted, name="", problem=None)


@fleet_web.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    name = request.form.get("name", "").strip()
    wanted = auth.safe_next(request.form.get("next"))
    _count_attempt(name)
    user = auth.check_password(name, request.form.get("password", ""))
    if user is None:
        problem = "This name and password do not belong together."
        return render_template("sign_in.html", next=wanted, name=name, problem=problem), 422
    auth.sign_in(user)
    flash(f"Welcome aboard, {user.name}.", "success")
    return redirect(wanted or url_for("fleet_web.map_page"), 303)


@fleet_web.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    auth.sign_out()
    flash("You are signed out.", "info")
    return redirect(url_for("fleet_web.sign_in_page"), 303)


def _count_attempt(name: str) -> None:
    """Slows down guessing: against one name from anywhere, and from one address."""
    limit = current_app.config["SIGN_IN_ATTEMPTS_PER_MINUTE"]
    limiter = services().limiter
    for key, most in (
        (f"sign-in:name:{auth.digest_of(name)}", limit),
        (f"sign-in:from:{request.remote_addr}", limit * 5),
    ):
        verdict = limiter.hit(key, most)
        if not verdict.allowed:
            raise TooManyRequests(
                "Too many attempts to sign in. Wait a minute and try again.",
                retry_after=verdict.reset_after,
            )


# The fleet -----------------------------------------------------------------------------------


@fleet_web.get("/fleet/map")
@auth.dispatchers_only
def map_page() -> ResponseReturnValue:
    return render_template("map.html", fleet=[_public(status) for status in fleet_status()])


@fleet_web.get("/fleet/positions.json")
@auth.dispatchers_only
def positions() -> ResponseReturnValue:
    """What the map asks for while it gets no events; 304 while nothing has moved."""
    response = jsonify(vessels=[_public(status) for status in fleet_status()])
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    return response.make_conditional(request)


@fleet_web.get("/fleet/positions.events")
@auth.dispatchers_only
def position_events() -> ResponseReturnValue:
    """The live map's feed: the whole fleet first, then each vessel as it moves.

    It ends every few minutes, so that whoever has signed out meanwhile is not let in again.
    """
    last = request.headers.get("Last-Event-ID")
    subscription = services().live.subscribe(last)
    if last is None or subscription.gap:
        fleet = [_public(status) for status in fleet_status()]
        subscription.begin_with(
            {"vessels": fleet, "now": services().now().isoformat()}, event="fleet"
        )
    lifetime = current_app.config["LIVE_SECONDS"]
    return EventStream(subscription, lifetime=lifetime, retry=500)


@fleet_web.get("/fleet/vessels/<imo:imo>")
@auth.dispatchers_only
def vessel_page(imo: int) -> ResponseReturnValue:
    vessel = find_vessel(imo)
    hours = current_app.config["TRACK_HOURS"]
    track = track_of(vessel, timedelta(hours=hours))
    return render_template(
        "vessel.html",
        vessel=vessel,
        status=_public(vessel_status(vessel)),
        track=[[point.lat, point.lon] for point in track],
        recent=track[:-9:-1],
        hours=hours,
    )


@fleet_web.get("/fleet/vessels/new")
@auth.dispatchers_only
def new_vessel_page() -> ResponseReturnValue:
    return render_template("vessel_new.html", form={}, errors={})


@fleet_web.post("/fleet/vessels/new")
@auth.dispatchers_only
def add_vessel() -> ResponseReturnValue:
    form, errors = parse_vessel_form(request.form)
    if form is not None:
        vessel = Vessel(name=form.name, imo=form.imo)
        db_session().add(vessel)
        try:
            db_session().commit()
        except IntegrityError:
            db_session().rollback()
            errors = {"imo": "A vessel with this IMO number is already in the fleet."}
        else:
            flash(f"{vessel.name} joined the fleet.", "success")
            return redirect(url_for("fleet_web.vessel_page", imo=vessel.imo), 303)
    return render_template("vessel_new.html", form=request.form, errors=errors), 422


def _public(status: VesselStatus) -> dict[str, Any]:
    """A vessel with the address of its page."""
    return facts_of(status) | {"url": url_for("fleet_web.vessel_page", imo=status.imo)}
