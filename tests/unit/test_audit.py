"""Audit events: each is told, in one line, and none tells a secret."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from carboy import Carboy, abort, audit, request, session
from carboy.security import RateLimits, SignIns, sign_in, sign_out
from carboy.server_sessions import ServerSessions, store_from

pytestmark = pytest.mark.beyond


@pytest.fixture
def events() -> Iterator[list[audit.AuditEvent]]:
    """What the signals told."""
    seen: list[audit.AuditEvent] = []

    def note(sender: Any, event: audit.AuditEvent) -> None:
        seen.append(event)

    for name in audit.EVENTS:
        audit.signal(name).connect(note)
    yield seen
    for name in audit.EVENTS:
        audit.signal(name).disconnect(note)


@pytest.fixture
def site() -> Carboy:
    app = Carboy("audited")
    app.config.update(SECRET_KEY="for these tests only", TRUSTED_HOSTS=["localhost"])
    app.config["SIGN_IN_PER_ACCOUNT"] = "2 per minute"
    sign_ins = SignIns(app)
    sessions = ServerSessions(app, store_from("memory:"))
    limits = RateLimits(app)

    @app.post("/in")
    def enter() -> Any:
        if not sign_ins.check(request.form["name"], None, request.form["password"]):
            abort(401)

    @app.get("/in-already")
    def already() -> str:
        session["seen"] = 1
        sign_in("ada")
        return ""

    @app.get("/out")
    def leave() -> str:
        sign_out()
        return ""

    @app.get("/revoke")
    def revoke() -> str:
        return str(sessions.revoke_all("ada"))

    @app.get("/forbidden")
    def forbidden() -> Any:
        abort(403)

    @app.get("/rare")
    @limits.limit("1 per minute")
    def rare() -> str:
        return ""

    return app


def names(events: list[audit.AuditEvent]) -> list[str]:
    return [event.name for event in events]


def test_sign_in_sign_out_and_revocation_are_told(site: Carboy, events: Any) -> None:
    """With the user."""
    client = site.test_client()
    client.get("/in-already")
    client.get("/in-already")
    client.get("/revoke")
    client.get("/in-already")
    client.get("/out")
    assert names(events) == [
        "signed_in",
        "signed_in",
        "session_regenerated",
        "session_revoked",
        "signed_in",
        "signed_out",
    ]
    assert all(event.fields["user"] == "ada" for event in events)
    assert events[3].fields["count"] == 1


def test_refusals_are_told(site: Carboy, events: Any) -> None:
    """Forged, unknown host, forbidden, too often."""
    client = site.test_client()
    client.post("/in", headers={"Sec-Fetch-Site": "cross-site"})
    client.get("/", headers={"Host": "evil.test"})
    client.get("/forbidden")
    client.get("/rare")
    client.get("/rare")
    assert names(events) == ["csrf_refused", "host_refused", "permission_denied", "rate_limited"]
    assert events[1].fields == {"host": "evil.test"}
    assert events[2].path == "/forbidden"
    assert events[3].fields == {"limit": "1 per minute"}


@pytest.mark.parametrize("how", ["level", "handler"])
def test_plain_refusals_are_logged_once_the_logger_is_set_up(
    site: Carboy, events: Any, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """Before that they are what they are in Flask, HTTP errors; the signals are sent always."""
    caplog.set_level(logging.DEBUG)
    told = ["host_refused", "permission_denied"]
    handler = logging.StreamHandler(io.StringIO())

    def refuse() -> list[Any]:
        events.clear()
        caplog.clear()
        client = site.test_client()
        client.get("/", headers={"Host": "evil.test"})
        client.get("/forbidden")
        assert names(events) == told
        return [r.audit["event"] for r in caplog.records]  # type: ignore[attr-defined]

    assert refuse() == []
    try:
        if how == "level":
            audit.logger.setLevel(logging.INFO)
        else:
            audit.logger.addHandler(handler)
        assert refuse() == told
    finally:
        audit.logger.setLevel(logging.NOTSET)
        audit.logger.removeHandler(handler)
    assert refuse() == []


def test_failed_and_throttled_sign_ins_are_told_without_the_password(
    site: Carboy, events: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Account, address, method and path."""
    caplog.set_level(logging.INFO)
    for _ in range(3):
        site.test_client().post("/in", data={"name": "ada", "password": "hunter2-hunter2"})
    assert names(events) == ["sign_in_failed"] * 2 + ["sign_in_throttled"]
    event = events[0]
    assert (event.method, event.path, event.address) == ("POST", "/in", "127.0.0.1")
    assert "hunter2" not in caplog.text
    records = [r for r in caplog.records if r.name == "carboy.audit"]
    assert [r.audit["event"] for r in records] == names(events)  # type: ignore[attr-defined]
    assert records[0].levelno == logging.WARNING


def test_a_line_of_the_log_cannot_be_forged(site: Carboy, caplog: pytest.LogCaptureFixture) -> None:
    """HOSTILE-191, CVE-2024-1681, CVE-2025-48432: line ends, escapes and directions of a stranger's words are escaped, and cut."""
    evil = "ada\r\nsigned_in user='root'\x1b[2J\u202e" + "x" * 500
    site.test_client().post("/in", data={"name": evil, "password": "x"})
    site.test_client().get("/\r\n\x1b", headers={"X-Request-ID": "a b\tc"})
    for record in caplog.records:
        if record.name == "carboy.audit":
            line = record.getMessage()
            assert line.isprintable() and len(line) < 600
            assert line.startswith("sign_in_failed")


@pytest.mark.parametrize(
    ("sent", "kept"), [("req-1.A_b:c", True), ("a b", False), ("x" * 129, False), ("", False)]
)
def test_the_request_id_is_the_proxys_or_a_new_one(
    site: Carboy, events: Any, sent: str, kept: bool
) -> None:
    """X-Request-ID, if it is one."""
    site.test_client().get("/forbidden", headers={"X-Request-ID": sent})
    (event,) = events
    assert (event.request_id == sent) is kept
    assert event.request_id and len(event.request_id) >= 11


def test_the_request_id_stays_during_a_request(site: Carboy) -> None:
    """And there is none outside."""
    assert audit.request_id() is None
    with site.test_request_context():
        assert audit.request_id() == audit.request_id()


def test_a_failing_receiver_does_not_reach_the_client(
    site: Carboy, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged."""

    def fail(sender: Any, event: Any) -> None:
        raise RuntimeError("the audit log is full")

    with audit.signal("permission_denied").connected_to(fail):
        assert site.test_client().get("/forbidden").status_code == 403
    assert "the audit log is full" in caplog.text


def test_unknown_events_and_fields_are_errors() -> None:
    """For those who record events of their own kind."""
    with pytest.raises(KeyError, match="signed_in"):
        audit.signal("sing_in")
    with pytest.raises(TypeError, match="account"):
        audit.record(None, "sign_in_failed", user="ada")


def test_a_wrong_pin_of_the_debugger_is_told(events: Any, monkeypatch: Any) -> None:
    """With how many there were."""
    from carboy.cli.debugger import SafeDebugger

    monkeypatch.setattr("werkzeug.debug.time", SimpleNamespace(sleep=lambda seconds: None))
    debugger = SafeDebugger(Carboy("x"), evalex=True)
    debugger._fail_pin_auth()
    (event,) = events
    assert (event.name, event.fields) == ("debugger_pin_failed", {"tries": 1})
