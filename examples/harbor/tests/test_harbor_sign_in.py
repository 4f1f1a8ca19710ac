"""Signing in and out, sessions, CSRF, `next` (LOGIN-02 to LOGIN-04, SEC-04, SEC-06, SEC-07, SEC-22)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from harbor import auth
from harbor.models import SignIn, User
from harbor_helpers import PASSWORD, Clock, sign_in, token_on
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from carboy import Carboy
from carboy.security import csrf_token
from carboy.security.csrf import token_problem
from carboy.testing import FlaskClient


def test_the_right_password_opens_the_map(client: FlaskClient, user: str):
    answer = sign_in(client, user)
    assert (answer.status_code, answer.location) == (303, "/fleet/map")
    page = client.get("/fleet/map")
    assert page.status_code == 200
    assert f"Welcome aboard, {user}." in page.get_data(as_text=True)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("Ada", "wrong"),
        ("Ada", ""),
        ("Nobody", PASSWORD),
        ("", ""),
        ("ada", PASSWORD),
        ("Ada\0", PASSWORD),
        ("A" * 5000, "x"),
        ("Ada", "x" * 5000),
        ("' OR 1=1 --", PASSWORD),
    ],
)
def test_a_wrong_name_or_password_shows_the_form_again(
    client: FlaskClient, user: str, name: str, password: str
):
    answer = sign_in(client, name, password)
    assert answer.status_code == 422
    text = answer.get_data(as_text=True)
    assert "do not belong together" in text
    assert password not in text or password in {"", "x"}
    assert client.get("/fleet/positions.json").status_code == 401


def test_a_form_without_its_fields_shows_the_form_again(client: FlaskClient, user: str):
    token = token_on(client.get("/sign-in").text)
    assert client.post("/sign-in", data={"csrf_token": token}).status_code == 422


def test_a_typed_name_is_kept_and_escaped(client: FlaskClient, user: str):
    text = sign_in(client, '"><script>x', "wrong password").text
    assert "<script>x" not in text
    assert "&#34;&gt;&lt;script&gt;x" in text


def test_a_name_that_nobody_has_costs_a_hash_too(
    client: FlaskClient, user: str, monkeypatch: pytest.MonkeyPatch
):
    checked: list[str] = []

    def check(stored: str, password: str) -> bool:
        checked.append(stored)
        return False

    monkeypatch.setattr("harbor.auth.check_password_hash", check)
    sign_in(client, "Nobody")
    sign_in(client, user)
    assert len(checked) == 2


def test_a_hash_with_older_parameters_is_renewed_at_sign_in(
    app: Carboy, client: FlaskClient, user: str, engine: Any
):
    """SEC-04: A hash with older parameters is renewed at sign in."""
    with Session(engine) as session:
        old = generate_password_hash(PASSWORD, "pbkdf2:sha256:1000")
        session.scalars(select(User)).one().password_hash = old
        session.commit()
    assert sign_in(client, user).status_code == 303
    with Session(engine) as session:
        renewed = session.scalars(select(User)).one().password_hash
    assert renewed.startswith("scrypt:")
    assert sign_in(app.test_client(), user).status_code == 303


def test_attempts_to_sign_in_are_limited_per_name(client: FlaskClient, user: str, clock: Clock):
    for _ in range(10):
        assert sign_in(client, user, "wrong").status_code == 422
    refused = sign_in(client, user)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "60"
    clock.pass_(60)
    assert sign_in(client, user).status_code == 303


def test_a_planted_session_is_replaced_at_sign_in(app: Carboy, user: str):
    """HOSTILE-145."""
    attacker, victim = app.test_client(), app.test_client()  # session fixation
    attacker.get("/sign-in")
    planted = attacker.get_cookie("harbor_session")
    assert planted is not None
    victim.set_cookie("harbor_session", planted.value)
    with victim.session_transaction() as session:
        session["planted"] = True
        before = dict(session)
    assert sign_in(victim, user).status_code == 303
    with victim.session_transaction() as session:
        assert "planted" not in session
        assert session["sign_in"] != before.get("sign_in")
        assert session.get("_csrf") != before["_csrf"]
    assert attacker.get("/fleet/positions.json").status_code == 401


@pytest.mark.parametrize("value", ["chosen by somebody", 7, None, ["x"], {"a": 1}])
def test_a_session_token_that_harbor_did_not_give_opens_nothing(client: FlaskClient, value: Any):
    with client.session_transaction() as session:
        session["sign_in"] = value
    assert client.get("/fleet/positions.json").status_code == 401


def test_signing_out_ends_copies_of_the_cookie_too(app: Carboy, dispatcher: FlaskClient):
    """HOSTILE-147."""
    stolen = dispatcher.get_cookie("harbor_session")
    assert stolen is not None
    token = token_on(dispatcher.get("/fleet/map").text)
    answer = dispatcher.post("/sign-out", data={"csrf_token": token})
    assert (answer.status_code, answer.location) == (303, "/sign-in")
    assert "You are signed out." in dispatcher.get("/sign-in").text
    thief = app.test_client()
    thief.set_cookie("harbor_session", stolen.value)
    assert thief.get("/fleet/positions.json").status_code == 401


def test_a_session_ends_after_twelve_hours(dispatcher: FlaskClient, clock: Clock):
    clock.moment += timedelta(hours=11, minutes=59)
    assert dispatcher.get("/fleet/positions.json").status_code == 200
    clock.moment += timedelta(minutes=1)
    assert dispatcher.get("/fleet/positions.json").status_code == 401


def test_old_sign_ins_are_cleared_away(
    dispatcher: FlaskClient, user: str, clock: Clock, engine: Any
):
    clock.moment += timedelta(hours=13)
    sign_in(dispatcher, user)
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(SignIn)) == 1


def test_the_database_holds_neither_password_nor_token(dispatcher: FlaskClient, engine: Any):
    with dispatcher.session_transaction() as session:
        token = session["sign_in"]
    with Session(engine) as session:
        assert PASSWORD not in session.scalars(select(User)).one().password_hash
        assert session.scalars(select(SignIn)).one().token_digest == auth.digest_of(token)


def test_the_session_cookie_is_http_only_and_lax(client: FlaskClient, user: str):
    cookie = sign_in(client, user).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Expires" in cookie


def test_visitors_are_sent_to_the_sign_in_page_and_back(client: FlaskClient, user: str):
    """LOGIN-03, LOGIN-04: Visitors are sent to the sign in page and back."""
    answer = client.get("/fleet/vessels/9074729?a=1")
    assert answer.status_code == 302
    page = client.get(answer.location)
    assert "Please sign in to continue." in page.text
    form = {"csrf_token": token_on(page.text), "name": user, "password": PASSWORD}
    form["next"] = "/fleet/vessels/9074729?a=1"
    assert form["next"].replace("&", "&amp;") in page.text
    assert client.post("/sign-in", data=form).location == "/fleet/vessels/9074729?a=1"


def test_scripts_get_401_instead_of_a_redirect(client: FlaskClient):
    answer = client.get("/fleet/positions.json")
    assert answer.status_code == 401
    assert answer.is_json


def test_a_dispatcher_who_is_signed_in_skips_the_sign_in_page(dispatcher: FlaskClient):
    assert dispatcher.get("/sign-in").location == "/fleet/map"
    assert dispatcher.get("/sign-in?next=//evil.example").location == "/fleet/map"


BAD_TARGETS = [
    None,
    "",
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "javascript:alert(1)",
    "evil.example",
    "/fleet\\..\\x",
    "/x\x00y",
    "/x\x7f",
    "http:/fleet/map",
    "//[",
]


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_a_next_that_leaves_this_host_is_refused(target: str | None):
    """SEC-22: A next that leaves this host is refused."""
    assert auth.safe_next(target) is None


@pytest.mark.parametrize(
    "target", ["/", "/fleet/map", "/fleet/map?a=//x#y", "/é", "/@evil", "/a:b"]
)
def test_a_next_on_this_host_is_followed(target: str):
    assert auth.safe_next(target) == target


@pytest.mark.parametrize("target", [target for target in BAD_TARGETS if target])
def test_signing_in_never_redirects_to_another_host(client: FlaskClient, user: str, target: str):
    assert sign_in(client, user, next=target).location == "/fleet/map"


# CSRF ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token", [None, "", "x", "é", "A" * 88, "A" * 86 + "==", "====", "A" * 5000]
)
def test_a_form_without_a_valid_token_gets_400(client: FlaskClient, user: str, token: str | None):
    """SEC-06: A form without a valid token gets 400."""
    client.get("/sign-in")
    form = {"name": user, "password": PASSWORD} | ({} if token is None else {"csrf_token": token})
    answer = client.post("/sign-in", data=form)
    assert answer.status_code == 400
    assert "Reload the page" in answer.text


def test_a_token_of_another_session_gets_400(app: Carboy, client: FlaskClient, user: str):
    client.get("/sign-in")
    foreign = token_on(app.test_client().get("/sign-in").text)
    form = {"csrf_token": foreign, "name": user, "password": PASSWORD}
    assert client.post("/sign-in", data=form).status_code == 400


def test_a_token_without_its_session_gets_400(app: Carboy, client: FlaskClient, user: str):
    token = token_on(client.get("/sign-in").text)
    form = {"csrf_token": token, "name": user, "password": PASSWORD}
    assert app.test_client().post("/sign-in", data=form).status_code == 400


def test_a_token_in_the_query_does_not_count(client: FlaskClient, user: str):
    token = token_on(client.get("/sign-in").text)
    form = {"name": user, "password": PASSWORD}
    answer = client.post("/sign-in", query_string={"csrf_token": token}, data=form)
    assert answer.status_code == 400


def test_a_token_from_before_signing_in_is_void_after_it(client: FlaskClient, user: str):
    early = token_on(client.get("/sign-in").text)
    sign_in(client, user)
    assert client.post("/sign-out", data={"csrf_token": early}).status_code == 400


def test_a_token_in_the_header_counts(dispatcher: FlaskClient):
    token = token_on(dispatcher.get("/fleet/map").text)
    answer = dispatcher.post("/sign-out", headers={"X-CSRF-Token": token})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:81"},
        {"Origin": ""},
    ],
)
def test_a_form_from_another_site_is_refused_even_with_a_token(
    dispatcher: FlaskClient, headers: dict[str, str]
):
    token = token_on(dispatcher.get("/fleet/map").text)
    answer = dispatcher.post("/sign-out", data={"csrf_token": token}, headers=headers)
    assert answer.status_code == 400


def test_a_form_from_this_site_is_accepted(dispatcher: FlaskClient):
    token = token_on(dispatcher.get("/fleet/map").text)
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    answer = dispatcher.post("/sign-out", data={"csrf_token": token}, headers=headers)
    assert answer.status_code == 303


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_unsafe_methods_never_reach_a_page(dispatcher: FlaskClient, method: str):
    """SEC-07: Other unsafe methods never reach a page."""
    assert dispatcher.open("/fleet/map", method=method).status_code in {400, 405}


def test_each_page_masks_the_token_anew(app: Carboy):
    with app.test_request_context():
        tokens = {csrf_token() for _ in range(20)}
        assert len(tokens) == 20
        assert all(token_problem(token, None) is None for token in tokens)
