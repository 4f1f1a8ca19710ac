"""Signing in: guesses are bounded, nobody learns who has an account, and each step is told."""

from __future__ import annotations

from typing import Any

import pytest

from carboy import Carboy, request, session
from carboy.security import SignIns, hash_password, passwords, sign_in, sign_out
from carboy.security.windows import MemoryWindows
from carboy.server_sessions import ServerSessions, store_from

pytestmark = pytest.mark.beyond

PASSWORD = "a good long password"
HASH = hash_password(PASSWORD)
USERS = {"ada": HASH, "grace": HASH}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_app(clock: Clock | None = None, **settings: Any) -> Carboy:
    app = Carboy("sign_in_app")
    app.config.update({"SECRET_KEY": "for these tests only"} | settings)
    sign_ins = SignIns(app)
    if clock is not None:
        sign_ins._windows.memory = MemoryWindows(clock=clock)

    @app.post("/in")
    def enter() -> Any:
        name = request.form["name"]
        if not sign_ins.check(name, USERS.get(name), request.form["password"]):
            return "No.", 401
        sign_in(name)
        return "Welcome."

    @app.post("/out")
    def leave() -> str:
        sign_out()
        return "Bye."

    @app.get("/")
    def index() -> str:
        return str(session.get("user_id"))

    @app.get("/cart")
    def cart() -> str:
        session["cart"] = "full"
        return ""

    return app


def attempt(app: Carboy, name: str, password: str = "wrong", address: str = "192.0.2.1") -> Any:
    return app.test_client().post(
        "/in",
        data={"name": name, "password": password},
        environ_base={"REMOTE_ADDR": address},
    )


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing takes what it takes; these tests are about counting."""
    monkeypatch.setattr(passwords, "_matches", lambda stored, given: given == PASSWORD)


def test_the_right_password_signs_in() -> None:
    """And sign_out() out."""
    client = make_app().test_client()
    data = {"name": "ada", "password": PASSWORD}
    assert client.post("/in", data=data).text == "Welcome."
    assert client.get("/").text == "ada"
    client.post("/out")
    assert client.get("/").text == "None"


def test_guesses_for_one_account_are_bounded_wherever_they_come_from() -> None:
    """SIGN_IN_PER_ACCOUNT: a thousand addresses get no more than one."""
    app = make_app(Clock(), SIGN_IN_PER_ACCOUNT="3 per minute")
    codes = [attempt(app, "ada", address=f"192.0.2.{n}").status_code for n in range(5)]
    assert codes == [401, 401, 401, 429, 429]
    answer = attempt(app, "ada", PASSWORD, "192.0.2.99")
    assert answer.status_code == 429 and 0 < int(answer.headers["Retry-After"]) <= 120
    assert attempt(app, "grace", PASSWORD).status_code == 200


def test_guesses_from_one_address_are_bounded_whomever_they_are_for() -> None:
    """SIGN_IN_PER_ADDRESS: one password tried on all accounts."""
    app = make_app(Clock(), SIGN_IN_PER_ADDRESS="3 per minute")
    codes = [attempt(app, f"user{n}").status_code for n in range(5)]
    assert codes == [401, 401, 401, 429, 429]
    assert attempt(app, "ada", PASSWORD, "198.51.100.7").status_code == 200


def test_after_a_while_one_may_try_again() -> None:
    """Accounts are slowed down, and never locked."""
    clock = Clock()
    app = make_app(clock, SIGN_IN_PER_ACCOUNT="3 per minute")
    for _ in range(4):
        attempt(app, "ada")
    clock.now += 120
    assert attempt(app, "ada", PASSWORD).status_code == 200


def test_signing_in_forgets_the_mistakes_before() -> None:
    """The account's, and not the address's: an own account must not buy more guesses."""
    limits = {"SIGN_IN_PER_ACCOUNT": "3 per minute", "SIGN_IN_PER_ADDRESS": "7 per minute"}
    app = make_app(Clock(), **limits)
    codes = []
    for password in ("wrong", "wrong", PASSWORD, "wrong", "wrong", PASSWORD, "wrong", PASSWORD):
        codes.append(attempt(app, "ada", password).status_code)
    assert codes == [401, 401, 200, 401, 401, 200, 401, 429]


@pytest.mark.parametrize("spelling", ["ADA", " ada ", "\uff41da", "Ada"])
def test_other_spellings_of_an_account_are_counted_with_it(spelling: str) -> None:
    """Databases that compare without case would give each spelling guesses of its own."""
    app = make_app(Clock(), SIGN_IN_PER_ACCOUNT="2 per minute")
    attempt(app, "ada")
    attempt(app, spelling)
    assert attempt(app, "ada").status_code == 429


def test_an_unknown_account_is_like_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2016-2513, CVE-2021-29621: the same answers, limits, and a hash in any case."""
    hashed: list[str] = []
    monkeypatch.setattr(passwords, "_matches", lambda stored, given: hashed.append(stored))
    answers = {}
    for name in ("ada", "nobody"):
        app = make_app(Clock(), SIGN_IN_PER_ACCOUNT="2 per minute")
        found = [attempt(app, name) for _ in range(3)]
        answers[name] = [(a.status_code, a.text, sorted(a.headers)) for a in found]
        assert len(hashed) == 2
        hashed.clear()
    assert answers["ada"] == answers["nobody"]


def test_a_throttled_attempt_is_not_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing is dear, and a flood must not pay with it."""
    app = make_app(Clock(), SIGN_IN_PER_ACCOUNT="1 per minute")
    attempt(app, "ada")
    monkeypatch.setattr(passwords, "_matches", lambda *args: pytest.fail("hashed"))
    assert attempt(app, "ada").status_code == 429


def test_limits_can_be_switched_off() -> None:
    """None for either."""
    app = make_app(SIGN_IN_PER_ACCOUNT=None, SIGN_IN_PER_ADDRESS=None)
    assert {attempt(app, "ada").status_code for _ in range(30)} == {401}


def test_a_limit_that_is_none_is_an_error_at_the_start() -> None:
    """Not at the first attempt."""
    with pytest.raises(ValueError, match="no limit"):
        make_app(SIGN_IN_PER_ACCOUNT="often")


@pytest.mark.parametrize("server", [False, True])
def test_nothing_of_the_session_before_stays(server: bool) -> None:
    """Session fixation, and the token of the anonymous session."""
    app = make_app()
    if server:
        ServerSessions(app, store_from("memory:"))
    client = app.test_client()
    client.get("/cart")
    before = client.get_cookie("session")
    client.post("/in", data={"name": "ada", "password": PASSWORD})
    after = client.get_cookie("session")
    assert before is not None and after is not None and before.value != after.value
    with client.session_transaction() as opened:
        assert dict(opened) == {"user_id": "ada"}
    if server:
        with app.app_context():
            assert len(app.session_interface.sessions_of("ada")) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["\ud800", "\0", "a" * 100_000, "x\r\nSet-Cookie: a=b", "💥"])
def test_no_name_is_an_error(name: str) -> None:
    """Whatever is typed."""
    app = make_app()
    with app.test_request_context("/in", method="POST"):
        check = app.extensions["carboy.sign_ins"].check(name, None, "x")
    assert not check
