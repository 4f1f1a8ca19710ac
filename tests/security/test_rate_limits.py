"""Rate limits, attacked: by floods, by many addresses, by forged ones, by a store that is away."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy import Blueprint, Carboy, request
from carboy.security import RateLimits, TrustedProxies, rate_limits
from carboy.security.windows import Limit, MemoryWindows, SharedWindows, parse_limit
from carboy.views import MethodView

pytestmark = pytest.mark.beyond


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_app(clock: Clock, *limits: str, **settings: Any) -> Any:
    app: Any = Carboy("limited")
    app.config.update(settings)
    app.limits = RateLimits(app, *limits)
    app.limits._windows.memory = MemoryWindows(clock=clock)

    @app.route("/", methods=["GET", "POST"])
    def index() -> str:
        return "ok"

    return app


def get(app: Any, path: str = "/", peer: str = "192.0.2.1", **options: Any) -> Any:
    return app.test_client().open(path, environ_base={"REMOTE_ADDR": peer}, **options)


def codes(app: Any, times: int, *arguments: Any, **options: Any) -> list[int]:
    return [get(app, *arguments, **options).status_code for _ in range(times)]


def test_what_is_over_the_limit_is_refused(clock: Clock) -> None:
    """So many pass, the next is a 429 that says when to come again; then it passes."""
    app = make_app(clock, "3 per minute")
    assert codes(app, 4) == [200, 200, 200, 429]
    refused = get(app)
    wait = int(refused.headers["Retry-After"])
    clock.now += wait
    assert get(app).status_code == 200


def test_answers_say_what_is_left(clock: Clock) -> None:
    """The three RateLimit headers, on good answers and on refusals."""
    app = make_app(clock, "2 per minute")
    found = [get(app).headers for _ in range(3)]
    assert [each["RateLimit-Limit"] for each in found] == ["2", "2", "2"]
    assert [each["RateLimit-Remaining"] for each in found] == ["1", "0", "0"]
    assert all(0 < int(each["RateLimit-Reset"]) <= 120 for each in found)
    assert "Retry-After" not in found[0]


def test_clients_are_apart(clock: Clock) -> None:
    """One that floods takes nothing from another."""
    app = make_app(clock, "1 per minute")
    assert codes(app, 2) == [200, 429]
    assert codes(app, 2, peer="192.0.2.2") == [200, 429]


@given(
    amount=st.integers(1, 8),
    gaps=st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=60),
)
def test_no_window_holds_twice_the_limit(amount: int, gaps: list[float]) -> None:
    """Property: where two windows meet, no more than the limit and one part of it gets through."""
    clock = Clock()
    windows = MemoryWindows(clock=clock)
    limit = Limit(amount, 10)
    passed = []
    for gap in gaps:
        clock.now += gap
        if windows.hit(limit, "client").allowed:
            passed.append(clock.now)
    for start in range(int(clock.now) // 10 * 10 - 1000, int(clock.now) + 10, 10):
        assert sum(start <= moment < start + 10 for moment in passed) <= amount
    for moment in passed:
        assert sum(moment <= other < moment + 10 for other in passed) < 2 * amount + 1


@given(amount=st.integers(1, 20), start=st.floats(0, 59.9), extra=st.integers(0, 30))
def test_the_wait_is_long_enough(amount: int, start: float, extra: int) -> None:
    """Property: whoever comes again after Retry-After is let in."""
    clock = Clock()
    clock.now += start
    windows = MemoryWindows(clock=clock)
    limit = Limit(amount, 60)
    for _ in range(amount + extra):
        counted = windows.hit(limit, "client")
    counted = windows.hit(limit, "client")
    assert not counted.allowed
    clock.now += max(int(counted.reset + 0.999999), 1)
    assert windows.hit(limit, "client").allowed


def test_a_flood_does_not_lock_its_client_out_forever(clock: Clock) -> None:
    """Refused requests are not counted, so an impatient client gets its share still."""
    app = make_app(clock, "2 per minute")
    for _ in range(10):
        clock.now += 15
        get(app)
        get(app)
    clock.now += 120
    assert codes(app, 3) == [200, 200, 429]


class TestKeys:
    @pytest.mark.parametrize(
        "other", ["2001:db8:1:2::2", "2001:db8:1:2:ffff::", "2001:db8:1:2::1%eth0"]
    )
    def test_an_ipv6_household_is_one_client(self, clock: Clock, other: str) -> None:
        """Its 2**64 addresses would be as many limits."""
        app = make_app(clock, "1 per minute")
        assert get(app, peer="2001:db8:1:2::1").status_code == 200
        assert get(app, peer=other).status_code == 429
        assert get(app, peer="2001:db8:1:3::1").status_code == 200

    def test_an_ipv4_client_is_the_same_in_ipv6(self, clock: Clock) -> None:
        """The mapped form of an address is no second one."""
        app = make_app(clock, "1 per minute")
        assert get(app, peer="192.0.2.1").status_code == 200
        assert get(app, peer="::ffff:192.0.2.1").status_code == 429

    def test_a_forged_address_is_not_believed(self, clock: Clock) -> None:
        """HOSTILE-223: without a trusted proxy X-Forwarded-For changes nothing."""
        app = make_app(clock, "1 per minute")
        statuses = [
            get(app, headers={"X-Forwarded-For": f"203.0.113.{n}"}).status_code for n in range(3)
        ]
        assert statuses == [200, 429, 429]

    def test_behind_a_trusted_proxy_clients_are_apart(self, clock: Clock) -> None:
        """TrustedProxies says who asked."""
        app = make_app(clock, "1 per minute")
        TrustedProxies(app, ["192.0.2.1"])
        for address in ("203.0.113.1", "203.0.113.2"):
            assert codes(app, 2, headers={"X-Forwarded-For": address}) == [200, 429]

    def test_a_key_may_be_anything(self, clock: Clock) -> None:
        """A user, an API key; None leaves a request uncounted."""
        app = make_app(clock)
        by_name = app.limits.limit("1 per minute", key=lambda: request.args.get("name"))
        app.add_url_rule("/name", view_func=by_name(lambda: "ok"))
        assert codes(app, 2, "/name?name=a") == [200, 429]
        assert codes(app, 2, "/name?name=b%00%0a") == [200, 429]
        assert codes(app, 3, "/name") == [200, 200, 200]

    def test_keys_do_not_meet(self, clock: Clock) -> None:
        """A name that looks like somebody's address takes nothing from that address."""
        app = make_app(clock)

        @app.get("/sign-in")
        @app.limits.limit("2 per minute")
        @app.limits.limit("2 per minute", key=lambda: request.args.get("name"))
        def sign_in() -> str:
            return "ok"

        assert codes(app, 2, "/sign-in?name=192.0.2.1", peer="192.0.2.9") == [200, 200]
        assert codes(app, 2, "/sign-in?name=ada") == [200, 200]
        assert codes(app, 1, "/sign-in?name=ada", peer="192.0.2.7") == [429]


class TestReach:
    def test_a_view_has_its_own_besides(self, clock: Clock) -> None:
        """Both count: the application's and the view's."""
        app = make_app(clock, "4 per minute")

        @app.post("/sign-in")
        @app.limits.limit("2 per minute")
        def sign_in() -> str:
            return "ok"

        assert codes(app, 3, "/sign-in", method="POST") == [200, 200, 429]
        assert codes(app, 2) == [200, 429]

    def test_methods_can_be_chosen(self, clock: Clock) -> None:
        """A form may be looked at more often than sent."""
        app = make_app(clock)
        view = app.limits.limit("1 per minute", methods=["post"])(lambda: "ok")
        app.add_url_rule("/form", view_func=view, methods=["GET", "POST"])
        assert codes(app, 2, "/form", method="POST") == [200, 429]
        assert codes(app, 2, "/form") == [200, 200]
        with pytest.raises(TypeError, match="list"):
            app.limits.limit("1 per minute", methods="POST")

    def test_a_blueprint_is_counted_together(self, clock: Clock) -> None:
        """Its views share one limit, those of blueprints inside of it too."""
        app = make_app(clock)
        outer, inner = Blueprint("outer", "outer"), Blueprint("inner", "inner")
        for blueprint in (outer, inner):
            blueprint.add_url_rule("/", "view", lambda: "ok")
        app.limits.limit("2 per minute")(outer)
        outer.register_blueprint(inner, url_prefix="/inner")
        app.register_blueprint(outer, url_prefix="/outer")
        assert codes(app, 1, "/outer/") + codes(app, 2, "/outer/inner/") == [200, 200, 429]

    def test_a_view_class_is_counted(self, clock: Clock) -> None:
        """The mark on a class counts for the views made of it."""
        app = make_app(clock)

        @app.limits.limit("1 per minute")
        class Item(MethodView):
            def get(self) -> str:
                return "ok"

        app.add_url_rule("/class", view_func=Item.as_view("class"))
        assert codes(app, 2, "/class") == [200, 429]

    def test_several_limits_hold_together(self, clock: Clock) -> None:
        """A burst and a day: the first that is over refuses."""
        app = make_app(clock, "2 per second", "3 per hour")
        assert codes(app, 3) == [200, 200, 429]
        clock.now += 2
        assert get(app).status_code == 200
        assert "per hour" in get(app).text

    def test_a_health_check_can_be_exempt(self, clock: Clock) -> None:
        """Neither counted nor refused."""
        app = make_app(clock, "1 per minute")
        app.add_url_rule("/health", view_func=app.limits.exempt(lambda: "ok"))
        assert codes(app, 3, "/health") == [200, 200, 200]
        assert codes(app, 2) == [200, 429]

    def test_what_is_not_there_is_counted_too(self, clock: Clock) -> None:
        """Scanning for addresses is asking."""
        assert codes(make_app(clock, "2 per minute"), 3, "/nowhere") == [404, 404, 429]

    def test_no_hook_and_no_view_runs_for_a_refused_request(self, clock: Clock) -> None:
        """It costs as little as can be."""
        app = make_app(clock, "1 per minute")
        seen: list[int] = []
        app.before_request(lambda: seen.append(1))
        assert codes(app, 3) == [200, 429, 429]
        assert seen == [1]


class TestTable:
    def test_a_million_addresses_do_not_fill_the_memory(self, clock: Clock) -> None:
        """HOSTILE-223: the table keeps its size; who is known stays known, newcomers share."""
        windows = MemoryWindows(most=100, clock=clock)
        limit = Limit(2, 60)
        assert [windows.hit(limit, "known").allowed for _ in range(2)] == [True, True]
        passed = sum(windows.hit(limit, f"new {n}").allowed for n in range(5000))
        assert len(windows) <= 101
        assert passed <= 100 + 2
        assert not windows.hit(limit, "known").allowed

    def test_a_full_table_empties_itself(self, clock: Clock) -> None:
        """Once the flood is over, newcomers are told apart again."""
        windows = MemoryWindows(most=100, clock=clock)
        for n in range(200):
            windows.hit(Limit(2, 60), f"new {n}")
        clock.now += 180
        assert all(windows.hit(Limit(1, 60), f"later {n}").allowed for n in range(50))
        assert len(windows) <= 60

    def test_threads_do_not_let_more_through(self) -> None:
        """Sixteen at once: exactly the limit passes."""
        windows = MemoryWindows(clock=Clock())
        passed: list[bool] = []
        barrier = threading.Barrier(16)

        def flood() -> None:
            barrier.wait()
            for _ in range(200):
                passed.append(windows.hit(Limit(100, 60), "client").allowed)

        threads = [threading.Thread(target=flood) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert passed.count(True) == 100

    def test_the_clock_cannot_be_set_back(self) -> None:
        """HOSTILE-223: it is the monotonic one."""
        import time

        assert MemoryWindows()._clock is time.monotonic


class Away:
    """A store that does not answer."""

    def __init__(self) -> None:
        self.asked = 0

    def hit(self, limit: Limit, client: str) -> Any:
        self.asked += 1
        raise ConnectionError("refused")


class TestSharedStore:
    def test_it_counts_as_the_other_does(self) -> None:
        """By the `limits` library: so many pass, and the client's name is never sent as it is."""
        pytest.importorskip("limits")
        windows = SharedWindows("memory://")
        counted = [windows.hit(Limit(2, 3600), "a\r\nflush_all") for _ in range(3)]
        assert [each.allowed for each in counted] == [True, True, False]
        assert [each.remaining for each in counted] == [1, 0, 0]
        assert all(0 < each.reset <= 3600 for each in counted)
        assert windows.hit(Limit(2, 3600), "another").allowed
        assert not any("flush" in key for key in windows._limiter.storage.storage)

    def test_while_it_is_away_this_process_counts(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """HOSTILE-223: requests go on, are limited still, and the store is left alone a while."""
        app = make_app(clock, "2 per minute")
        app.limits._windows._shared = store = Away()
        assert codes(app, 3) == [200, 200, 429]
        assert store.asked == 1
        assert [r.name for r in caplog.records].count("limited") == 1

    def test_it_is_asked_again(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        """After some seconds."""
        app = make_app(clock, "9 per minute")
        app.limits._windows._shared = store = Away()
        get(app)
        monkeypatch.setattr(rate_limits, "_REST", 0)
        app.limits._windows._rest_until = 0.0
        get(app)
        assert store.asked == 2

    def test_or_requests_are_refused(self, clock: Clock) -> None:
        """RATE_LIMIT_ON_ERROR = "refuse", for what must not be tried without a limit."""
        app = make_app(clock, "2 per minute", RATE_LIMIT_ON_ERROR="refuse")
        app.limits._windows._shared = Away()
        refused = get(app)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")

    def test_without_the_library_the_error_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Which extra to install, and no password of the store's address."""
        import sys

        monkeypatch.setitem(sys.modules, "limits", None)
        app = Carboy("limited")
        app.config["RATE_LIMIT_STORAGE"] = "redis://:hunter2@localhost"
        with pytest.raises(RuntimeError, match=r"carboy\[limits\]") as caught:
            RateLimits(app, "1 per minute")
        assert "hunter2" not in str(caught.value)


class TestSwitch:
    def test_the_setting_switches_it_on(self) -> None:
        """RATE_LIMITS does what RateLimits(app, ...) does."""
        app = Carboy("limited")
        app.config["RATE_LIMITS"] = ["1 per day"]
        app.add_url_rule("/", view_func=lambda: "ok")
        assert codes(app, 2) == [200, 429]

    def test_one_text_is_one_limit(self) -> None:
        """RATE_LIMITS may be a text."""
        app = Carboy("limited")
        app.config["RATE_LIMITS"] = "1 per day"
        app.add_url_rule("/", view_func=lambda: "ok")
        assert codes(app, 2) == [200, 429]

    def test_false_switches_it_off(self, clock: Clock) -> None:
        """For tests; also after the first request."""
        app = make_app(clock, "1 per minute")
        assert codes(app, 2) == [200, 429]
        app.config["RATE_LIMITS"] = False
        assert codes(app, 2) == [200, 200]

    @pytest.mark.parametrize(
        ("text", "limit"),
        [
            ("5 per minute", (5, 60)),
            ("100/hour", (100, 3600)),
            ("10 per 30 seconds", (10, 30)),
            ("1/day", (1, 86400)),
            (" 7 PER 2 Minutes ", (7, 120)),
        ],
    )
    def test_limits_are_words(self, text: str, limit: tuple[int, int]) -> None:
        """As Flask-Limiter has them."""
        assert parse_limit(text) == limit
        assert parse_limit(str(parse_limit(text))) == limit

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "5",
            "5 per",
            "0 per minute",
            "-1 per minute",
            "5 per 0 seconds",
            "5 per 000 days",
            "5 per week",
            5,
        ],
    )
    def test_what_is_no_limit_is_an_error(self, text: Any) -> None:
        """When it is configured, and never a limit of nothing."""
        with pytest.raises(ValueError, match="no limit"):
            RateLimits(Carboy("limited"), text)
