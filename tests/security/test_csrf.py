"""CSRF protection, attacked: what another site can make a browser send is refused."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import threading
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy import Blueprint, Carboy, render_template_string, session
from carboy.security import CSRF, CSRFError, csrf, csrf_exempt, csrf_token
from carboy.views import MethodView

pytestmark = pytest.mark.beyond

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
SAME = {"Sec-Fetch-Site": "same-origin"}


def make_app(**settings: Any) -> Carboy:
    app = Carboy("csrf_app")
    app.config.update({"SECRET_KEY": "for these tests only", "CSRF_ALLOW_BARE": False} | settings)
    app.done = []  # type: ignore[attr-defined]

    @app.route("/", methods=["GET", "HEAD", "OPTIONS", *UNSAFE])
    def index() -> str:
        app.done.append("index")  # type: ignore[attr-defined]
        return "done"

    @app.get("/token")
    def token() -> str:
        return csrf_token()

    @app.get("/form")
    def form() -> str:
        return render_template_string("{{ csrf_token() }} {{ csrf_token() }}")

    @app.get("/leave")
    def leave() -> str:
        session.clear()
        return ""

    @app.post("/hook")
    @csrf_exempt
    def hook() -> str:
        return "hooked"

    return app


def post(app: Carboy, headers: dict[str, str] | None = None, **options: Any) -> int:
    client = app.test_client(use_cookies=False)
    return client.post("/", headers=headers, **options).status_code


@pytest.fixture
def app() -> Carboy:
    return make_app()


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "same-origin, cross-site", "SAME"])
def test_other_sites_are_refused(app: Any, method: str, site: str) -> None:
    """HOSTILE-156: what the browser says came from elsewhere is refused, and the view never runs."""
    response = app.test_client().open("/", method=method, headers={"Sec-Fetch-Site": site})
    assert response.status_code == 400
    assert app.done == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_token_does_not_help_another_site(app: Any, site: str) -> None:
    """HOSTILE-156: with a good token, too, since it may have leaked."""
    client = app.test_client()
    token = client.get("/token").text
    headers = {"Sec-Fetch-Site": site, "X-CSRF-Token": token}
    assert client.post("/", headers=headers).status_code == 400
    headers = {"Origin": "https://evil.test", "X-CSRF-Token": token}
    assert client.post("/", headers=headers).status_code == 400


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_this_sites_pages_need_no_token(app: Any, site: str) -> None:
    """What the browser vouches for passes as it is, without a session."""
    response = app.test_client().post("/", headers={"Sec-Fetch-Site": site})
    assert (response.status_code, response.headers.get("Vary")) == (200, None)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_methods_are_free(app: Any, method: str) -> None:
    """HOSTILE-152: links from anywhere work."""
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}
    assert app.test_client().open("/", method=method, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.test",
        "http://localhost.evil.test",
        "http://evil-localhost",
        "http://localhost:8000",
        "http://localhost@evil.test",
        "http://evil@localhost",
        "http://localhost/",
        "http://localhost,http://localhost",
        "http://localhost http://localhost",
        "http://localhost\\",
        "//localhost",
        "localhost",
        "file://localhost",
        "chrome-extension://localhost",
        "http://localhost.",
        "http://[::1]",
        "http://localhost:",
        "http://LOCALHOST.",
    ],
)
def test_foreign_origins_are_refused(app: Any, origin: str) -> None:
    """HOSTILE-153: without Fetch Metadata the Origin decides, exactly and to its end."""
    assert post(app, {"Origin": origin}) == 400
    assert app.done == []


@pytest.mark.parametrize(
    ("base", "origin", "status"),
    [
        ("http://localhost", "http://localhost", 200),
        ("http://localhost", "HTTP://LocalHost", 200),
        ("http://localhost", "http://localhost:80", 200),
        ("http://localhost", "https://localhost", 200),  # a proxy took the encryption off
        ("https://localhost", "https://localhost", 200),
        ("https://localhost", "https://localhost:443", 200),
        ("https://localhost", "http://localhost", 400),
        ("http://localhost:8000", "http://localhost:8000", 200),
        ("http://localhost:8000", "http://localhost", 400),
        ("http://[::1]:8000", "http://[::1]:8000", 200),
    ],
)
def test_the_own_origin_passes(app: Any, base: str, origin: str, status: int) -> None:
    """Scheme, host and port are compared; a scheme's own port may be left out."""
    assert post(app, {"Origin": origin}, base_url=base) == status


@pytest.mark.parametrize(
    "referer", ["https://evil.test/x", "http://localhost.evil.test/", "nonsense"]
)
def test_a_foreign_referer_spoils_a_token(app: Any, referer: str) -> None:
    """HOSTILE-153: clients without Origin still tell by Referer that they come from elsewhere."""
    client = app.test_client()
    headers = {"X-CSRF-Token": client.get("/token").text, "Referer": referer}
    assert client.post("/", headers=headers).status_code == 400


def test_an_own_referer_is_not_enough(app: Any) -> None:
    """A Referer alone passes for nothing: it is the token that counts then."""
    assert post(app, {"Referer": "http://localhost/form"}) == 400


@pytest.mark.parametrize("where", ["form", "X-CSRF-Token", "X-CSRFToken", "prefixed form"])
def test_old_clients_pass_with_a_token(app: Any, where: str) -> None:
    """What says nothing of its origin needs the token of a page, in a field or a header."""
    client = app.test_client()
    token = client.get("/token").text
    if "form" in where:
        name = "csrf_token" if where == "form" else "login-csrf_token"
        response = client.post("/", data={name: token})
    else:
        response = client.post("/", headers={where: token})
    assert response.status_code == 200


def test_a_token_in_the_query_is_none(app: Any) -> None:
    """HOSTILE-151: addresses are logged and sent on, so no token is read from one."""
    client = app.test_client()
    token = client.get("/token").text
    assert client.post(f"/?csrf_token={token}").status_code == 400


def test_json_needs_the_header(app: Any) -> None:
    """HOSTILE-154: a token inside of JSON is not looked for."""
    client = app.test_client()
    token = client.get("/token").text
    assert client.post("/", json={"csrf_token": token}).status_code == 400
    assert client.post("/", json={}, headers={"X-CSRF-Token": token}).status_code == 200


def test_no_changed_token_is_accepted(app: Any) -> None:
    """HOSTILE-151: a token changed in any character, cut or lengthened is refused."""
    client = app.test_client()
    token = client.get("/token").text

    def status(text: str) -> int:
        code: int = client.post("/", headers={"X-CSRF-Token": text}).status_code
        return code

    assert status(token) == 200
    for place, char in enumerate(token[:-1]):
        other = "A" if char != "A" else "B"
        assert status(token[:place] + other + token[place + 1 :]) == 400
    for text in (token[:-1], token + "A", token + "=", token.lower(), token[::-1], "A" * 99, "x"):
        assert status(text) == 400


@given(st.text(max_size=120) | st.binary(min_size=74, max_size=74).map(base64.urlsafe_b64encode))
def test_no_other_token_is_accepted(token: str | bytes) -> None:
    """HOSTILE-151: garbage is refused with a reason, and is never an error."""
    text = token.decode().rstrip("=") if isinstance(token, bytes) else token
    app = make_app()
    with app.test_request_context():
        csrf_token()
        assert csrf.token_problem(text, 100)


def test_another_sessions_token_is_refused(app: Any) -> None:
    """HOSTILE-151: an attacker's own token is worth nothing in the victim's browser."""
    attacker, victim = app.test_client(), app.test_client()
    stolen = attacker.get("/token").text
    victim.get("/token")
    assert victim.post("/", data={"csrf_token": stolen}).status_code == 400
    assert app.test_client().post("/", data={"csrf_token": stolen}).status_code == 400


def test_a_token_ends_with_its_session(app: Any) -> None:
    """Clearing the session, as at sign-in, ends all tokens of its pages."""
    client = app.test_client()
    token = client.get("/token").text
    client.get("/leave")
    client.get("/token")
    assert client.post("/", data={"csrf_token": token}).status_code == 400


@pytest.mark.parametrize(
    ("later", "limit", "status"),
    [(50, 60, 200), (61, 60, 400), (10**6, None, 200), (-20, 60, 200), (-4000, 60, 400)],
)
def test_tokens_expire(
    monkeypatch: pytest.MonkeyPatch, later: int, limit: int | None, status: int
) -> None:
    """HOSTILE-151: after CSRF_TOKEN_MAX_AGE seconds; a clock that was set back a little is borne."""
    app = make_app(CSRF_TOKEN_MAX_AGE=limit)
    client = app.test_client()
    token = client.get("/token").text
    now = csrf.time()
    monkeypatch.setattr(csrf, "time", lambda: now + later)
    assert client.post("/", data={"csrf_token": token}).status_code == status


def test_tokens_follow_the_rotation_of_the_key(app: Any) -> None:
    """A token lives as long as its session: over a new SECRET_KEY, too, while the old is listed."""
    client = app.test_client()
    token = client.get("/token").text
    app.config.update(SECRET_KEY="the next one", SECRET_KEY_FALLBACKS=["for these tests only"])
    assert client.post("/", data={"csrf_token": token}).status_code == 200
    app.config["SECRET_KEY_FALLBACKS"] = []
    assert client.post("/", data={"csrf_token": token}).status_code == 400


def test_no_two_tokens_look_alike(app: Any) -> None:
    """HOSTILE-155 (CVE-2014-9720): masked for each rendering, so compression tells nothing."""
    client = app.test_client()
    tokens = [token for _ in range(20) for token in client.get("/form").text.split()]
    assert len(set(tokens)) == 40
    for place in range(0, 98, 7):
        assert len({token[place : place + 7] for token in tokens}) > 35


def test_a_page_with_a_token_is_the_sessions_own(app: Any) -> None:
    """A cache must not hand one user's token to another: the page varies with the cookie."""
    response = app.test_client().get("/form")
    assert response.headers["Vary"] == "Cookie"


def test_tokens_are_compared_in_constant_time(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOSTILE-157: hmac.compare_digest decides, once a token."""
    seen: list[int] = []
    compare = csrf.hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        seen.append(len(one))
        return compare(one, other)

    client = app.test_client()
    token = client.get("/token").text
    # The session's own signature is compared by it as well: 20 bytes of SHA-1.
    monkeypatch.setattr(csrf.hmac, "compare_digest", counted)
    client.post("/", data={"csrf_token": token})
    assert seen.count(32) == 1


def test_a_refusal_is_logged_without_control_characters(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """CVE-2024-1681: what the client sent cannot forge a line of the log."""
    app.add_url_rule("/<path:any>", view_func=lambda any: "", methods=["POST"])
    headers = {"Origin": "https://evil.test\x1b[2J\x85\x0bforged"}
    assert app.test_client().post("/a%1b%c2%9bforged", headers=headers).status_code == 400
    assert app.test_client().post("/", headers={"Sec-Fetch-Site": "\x1b[2J"}).status_code == 400
    messages = [r.getMessage() for r in caplog.records if r.name == "csrf_app"]
    assert len(messages) == 2
    assert all(message.isprintable() for message in messages)
    assert "Origin is" in messages[0]


def test_the_answer_tells_the_attacker_nothing(app: Any) -> None:
    """The page for a refused request reflects nothing of it."""
    response = app.test_client().post("/", headers={"Origin": "https://<b>evil</b>"})
    assert response.status_code == 400
    assert "evil" not in response.text


def test_the_error_can_be_handled(app: Any) -> None:
    """A handler for CSRFError sees the reason."""
    app.register_error_handler(CSRFError, lambda error: (f"no: {error.reason}", 403))
    response = app.test_client().post("/", headers={"Sec-Fetch-Site": "cross-site"})
    assert (response.status_code, response.text) == (403, "no: Sec-Fetch-Site is 'cross-site'")


def test_a_page_that_is_not_there_is_a_404(app: Any) -> None:
    """Nothing is protected where nothing is."""
    assert app.test_client().post("/nowhere").status_code == 404
    assert app.test_client().post("/token").status_code == 405


def test_hooks_run_after_the_protection(app: Any) -> None:
    """A before_request function never sees a forged request, wherever it was registered."""
    seen: list[str] = []
    app.before_request(lambda: seen.append("before"))
    post(app, {"Sec-Fetch-Site": "cross-site"})
    assert seen == []
    post(app, SAME)
    assert seen == ["before"]


class TestExemptions:
    def test_a_view_can_be_exempt(self, app: Any) -> None:
        """A webhook brings its own proof; its neighbours stay protected."""
        assert app.test_client().post("/hook").text == "hooked"
        assert post(app) == 400

    def test_a_view_class_can_be_exempt(self, app: Any) -> None:
        """The mark on a class counts for the views made of it."""

        @csrf_exempt
        class Hook(MethodView):
            def post(self) -> str:
                return "hooked"

        app.add_url_rule("/class", view_func=Hook.as_view("class"))
        assert app.test_client().post("/class").text == "hooked"

    def test_a_blueprint_can_be_exempt(self, app: Any) -> None:
        """With the blueprints inside of it, and not with the one around it."""
        outer, inner, innermost = (
            Blueprint(name, name) for name in ("outer", "inner", "innermost")
        )
        for blueprint in (outer, inner, innermost):
            blueprint.add_url_rule("/", "view", lambda: "seen", methods=["POST"])
        csrf_exempt(inner)
        inner.register_blueprint(innermost, url_prefix="/innermost")
        outer.register_blueprint(inner, url_prefix="/inner")
        app.register_blueprint(outer, url_prefix="/outer")
        client = app.test_client()
        assert client.post("/outer/").status_code == 400
        assert client.post("/outer/inner/").status_code == 200
        assert client.post("/outer/inner/innermost/").status_code == 200

    def test_what_cannot_carry_the_mark_is_an_error(self) -> None:
        """A bound method has no attributes of its own; silence would leave it protected or not."""
        with pytest.raises(TypeError, match="directly above"):
            csrf_exempt(make_app().route)

    @pytest.mark.parametrize("header", ["Bearer x", "bearer x"])
    def test_a_scheme_that_scripts_add_can_be_exempt(self, header: str) -> None:
        """A page of another site cannot add an Authorization header without CORS."""
        app = make_app(CSRF_EXEMPT_SCHEMES=["Bearer"])
        assert post(app, {"Authorization": header, "Sec-Fetch-Site": "cross-site"}) == 200
        assert post(app, {"Authorization": "Basic eDp5", "Sec-Fetch-Site": "cross-site"}) == 400
        assert post(app, {"Authorization": "Bearerx", "Sec-Fetch-Site": "cross-site"}) == 400
        assert post(make_app(), {"Authorization": header}) == 400

    @pytest.mark.parametrize("scheme", ["Basic", "digest", "Negotiate", "NTLM"])
    def test_a_scheme_that_browsers_add_cannot(self, scheme: str) -> None:
        """Browsers send passwords that they know with forged requests, too."""
        app = make_app(CSRF_EXEMPT_SCHEMES=[scheme], TESTING=True)
        with pytest.raises(ValueError, match="browsers send"):
            post(app, SAME)

    def test_trusted_origins_are_exact(self) -> None:
        """Another site can be let in, by scheme, host and port."""
        app = make_app(CSRF_TRUSTED_ORIGINS=["https://pay.example.org", "app://localhost"])
        for origin, status in (
            ("https://pay.example.org", 200),
            ("https://pay.example.org:443", 200),
            ("app://localhost", 200),
            ("http://pay.example.org", 400),
            ("https://pay.example.org:444", 400),
            ("https://xpay.example.org", 400),
            ("https://pay.example.org.evil.test", 400),
        ):
            assert post(app, {"Origin": origin, "Sec-Fetch-Site": "cross-site"}) == status, origin

    @pytest.mark.parametrize(
        "setting",
        [
            ["*"],
            ["null"],
            ["https://*.example.org"],
            ["https://a.test/"],
            ["a.test"],
            "https://a.test",
        ],
    )
    def test_an_inexact_trusted_origin_is_an_error(self, setting: Any) -> None:
        """A setting that would let anybody in, or nobody, says so."""
        app = make_app(CSRF_TRUSTED_ORIGINS=setting, TESTING=True)
        with pytest.raises((TypeError, ValueError), match="CSRF_TRUSTED_ORIGINS"):
            post(app, SAME)

    def test_sites_can_be_allowed(self) -> None:
        """Other hosts of the same site, where an application spans several; never other sites."""
        app = make_app(CSRF_ALLOWED_SITES=["same-origin", "same-site", "none"])
        assert post(app, {"Sec-Fetch-Site": "same-site"}) == 200
        assert post(app, {"Sec-Fetch-Site": "cross-site"}) == 400
        with pytest.raises(ValueError, match="cross-site"):
            post(make_app(CSRF_ALLOWED_SITES=["cross-site"], TESTING=True), SAME)
        with pytest.raises(TypeError, match="list"):
            post(make_app(CSRF_ALLOWED_SITES="same-origin", TESTING=True), SAME)


def test_a_token_can_be_required_always() -> None:
    """CSRF_TOKEN_REQUIRED wants a token besides what the browser says."""
    app = make_app(CSRF_TOKEN_REQUIRED=True)
    client = app.test_client()
    token = client.get("/token").text
    assert client.post("/", headers=SAME).status_code == 400
    assert client.post("/", headers=SAME, data={"csrf_token": token}).status_code == 200
    assert (
        client.post("/", headers={"Sec-Fetch-Site": "cross-site"}, data={"csrf_token": token})
    ).status_code == 400


def test_bare_clients_can_be_let_in() -> None:
    """CSRF_ALLOW_BARE, the default: what says nothing of where it comes from is no browser."""
    app = make_app(CSRF_ALLOW_BARE=True)
    assert post(app) == 200
    assert post(app, {"Cookie": "session=x"}) == 200
    assert post(app, {"Origin": "https://evil.test"}) == 400
    assert post(app, {"Referer": "https://evil.test/page"}) == 400
    assert post(app, {"Referer": "http://localhost/page"}) == 400  # proves too little: a token
    assert post(app, {"Sec-Fetch-Site": "cross-site"}) == 400
    assert post(make_app()) == 400
    assert post(make_app(CSRF_ALLOW_BARE=True, CSRF_TOKEN_REQUIRED=True)) == 400


def test_without_a_session_a_token_is_an_error_that_teaches() -> None:
    """Fetch Metadata needs no secret key; a token does, and says so."""
    app = make_app(SECRET_KEY=None, TESTING=True)
    assert post(app, SAME) == 200
    assert post(app) == 400
    with pytest.raises(RuntimeError, match="secret key"):
        app.test_client().get("/token")


class TestSwitch:
    def test_it_is_on_by_default(self) -> None:
        """Nothing need be set: forged requests are refused, and scripts are let in."""
        app = Carboy("unset")
        app.add_url_rule("/", view_func=lambda: "ok", methods=["POST"], endpoint="index")
        assert post(app) == 200
        assert post(app, SAME) == 200
        assert post(app, {"Sec-Fetch-Site": "cross-site"}) == 400
        assert post(app, {"Origin": "https://evil.test"}) == 400

    def test_it_is_off_under_the_alias(self) -> None:
        """In the profile `flask` nothing is refused, and nothing imported, until it is set."""
        code = (
            "import sys, carboy, carboy.config\n"
            "carboy.config.use_profile('flask'); app = carboy.Carboy('x')\n"
            "app.add_url_rule('/', view_func=lambda: 'ok', methods=['POST'])\n"
            "forged = {'Sec-Fetch-Site': 'cross-site'}\n"
            "assert app.test_client().post('/', headers=forged).status_code == 200\n"
            "print([m for m in sys.modules if m.startswith('carboy.security')])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == "[]\n", done.stderr

    def test_the_call_switches_it_on(self) -> None:
        """CSRF(app) does what CSRF_PROTECT = True does."""
        app = make_app(CSRF_PROTECT=None)
        CSRF(app)
        assert post(app) == 400
        assert post(app, SAME) == 200

    def test_false_switches_it_off(self) -> None:
        """For tests, also after the first request."""
        app = make_app()
        CSRF(app)
        assert post(app) == 400
        app.config["CSRF_PROTECT"] = False
        assert post(app) == 200

    def test_twice_is_once(self, app: Any) -> None:
        """The call and the setting together protect one time."""
        first = CSRF(app)
        CSRF(app)
        post(app)
        assert app.extensions["carboy.csrf"] is app._gate is first

    def test_applications_are_apart(self) -> None:
        """One protected application says nothing about the next."""
        assert post(make_app()) == 400
        assert post(make_app(CSRF_PROTECT=None)) == 200

    def test_templates_do_not_make_jinja_early(self, app: Any) -> None:
        """Options for Jinja may still be set after CSRF(app)."""
        CSRF(app)
        assert "jinja_env" not in vars(app)
        app.jinja_options["trim_blocks"] = True
        assert len(app.test_client().get("/form").text.split()) == 2
        assert app.jinja_env.trim_blocks


class TestBesideFlaskWTF:
    """Flask-WTF has the same field and the same name in templates."""

    @pytest.fixture
    def wtf(self, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        module = ModuleType("flask_wtf.csrf")

        def validate_csrf(data: str) -> None:
            if data != "a token of Flask-WTF":
                raise ValueError("The CSRF token is invalid.")

        module.validate_csrf = validate_csrf  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "flask_wtf.csrf", module)
        return module

    def test_its_tokens_count(self, app: Any, wtf: ModuleType) -> None:
        """A form of Flask-WTF's, sent by an old client, passes; garbage does not."""
        assert post(app, data={"csrf_token": "a token of Flask-WTF"}) == 200
        assert post(app, data={"csrf_token": "another"}) == 400

    def test_its_tokens_do_not_help_another_site(self, app: Any, wtf: ModuleType) -> None:
        """The browser's word comes first here, too."""
        headers = {"Sec-Fetch-Site": "cross-site"}
        assert post(app, headers, data={"csrf_token": "a token of Flask-WTF"}) == 400

    @pytest.mark.parametrize("first", ["carboy", "wtf"])
    def test_its_name_in_templates_stays_its_own(self, app: Any, first: str) -> None:
        """Flask-WTF checks its own tokens only, so pages must carry those, whoever came first."""
        if first == "carboy":
            CSRF(app)
        app.jinja_env.globals["csrf_token"] = lambda: "a token of Flask-WTF"
        CSRF(app)
        assert "a token of Flask-WTF" in app.test_client().get("/form").text


def test_a_form_in_a_page_passes(app: Any) -> None:
    """The whole way of an old browser: page, field, request."""
    client = app.test_client()
    (field, _) = client.get("/form").text.split()
    assert re.fullmatch(r"[A-Za-z0-9_-]{99}", field)
    assert client.post("/", data={"csrf_token": field, "amount": "5"}).text == "done"


def test_the_very_first_requests_are_protected_too() -> None:
    """Eight at once on a fresh application: none slips through while it is being set up."""
    for _ in range(20):
        app = make_app()
        barrier = threading.Barrier(8)
        statuses: list[int] = []

        def attack(app: Carboy = app, barrier: Any = barrier, found: Any = statuses) -> None:
            client = app.test_client()
            barrier.wait()
            found.append(client.post("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code)

        threads = [threading.Thread(target=attack) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [400] * 8
