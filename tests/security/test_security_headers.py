"""Security headers: on every answer, never over a view's own, and with a nonce for scripts."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from carboy import (
    Carboy,
    Response,
    abort,
    redirect,
    render_template_string,
    send_file,
    stream_template_string,
)
from carboy.security import NONCE, STRICT_CSP, SecurityHeaders, csp_nonce
from carboy.security.headers import CSP, DEFAULTS, HSTS, REPORT_ONLY

pytestmark = pytest.mark.beyond

HTTPS = "https://localhost"


def make_app(setting: Any = True, **settings: Any) -> Carboy:
    app = Carboy("headers_app")
    app.config.update({"SECURITY_HEADERS": setting} | settings)

    @app.get("/")
    def index() -> str:
        return "page"

    @app.get("/script")
    def script() -> str:
        return render_template_string("{{ csp_nonce() }} {{ csp_nonce() }}")

    @app.get("/stream")
    def stream() -> Any:
        return stream_template_string("{% for i in range(2) %}{{ csp_nonce() }} {% endfor %}")

    return app


def headers(app: Carboy, path: str = "/", **options: Any) -> Any:
    return app.test_client().get(path, **({"base_url": HTTPS} | options)).headers


def test_every_answer_has_them(tmp_path: Any) -> None:
    """HOSTILE-111, HOSTILE-113: pages, errors, redirects, files, streams and crashes alike."""
    app = make_app()
    app.add_url_rule("/json", view_func=lambda: {"a": 1}, endpoint="json")
    app.add_url_rule("/gone", view_func=lambda: abort(410), endpoint="gone")
    app.add_url_rule("/away", view_func=lambda: redirect("/"), endpoint="away")
    app.add_url_rule("/crash", view_func=lambda: 1 / 0, endpoint="crash")
    (tmp_path / "f.txt").write_text("text")
    app.add_url_rule("/file", view_func=lambda: send_file(tmp_path / "f.txt"), endpoint="file")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    for path in ("/", "/json", "/gone", "/away", "/crash", "/file", "/stream", "/no", "/static/no"):
        response = app.test_client().get(path, base_url=HTTPS)
        assert {name: response.headers.get(name) for name in DEFAULTS} == DEFAULTS, path
        response.close()


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "TRACE"])
def test_other_methods_have_them(method: str) -> None:
    """Whatever the method, answered or refused."""
    response = make_app().test_client().open("/", method=method)
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_refused_host_has_them() -> None:
    """The answer to a host that is not trusted is an answer, too."""
    app = make_app(TRUSTED_HOSTS=["example.org"])
    assert headers(app)["X-Frame-Options"] == "SAMEORIGIN"


def test_hsts_is_for_https_only() -> None:
    """RFC 6797 section 7.2: it is not sent by http."""
    app = make_app()
    assert headers(app)[HSTS] == "max-age=31536000"
    assert HSTS not in headers(app, base_url="http://localhost")


@pytest.mark.parametrize("by", ["view", "hook", "this request"])
def test_what_the_application_sets_stays(by: str) -> None:
    """A header that is there is left alone, in whatever case it was written."""
    app = make_app()

    def change(response: Any) -> Any:
        response.headers["x-frame-options"] = "DENY"
        response.headers["content-security-policy"] = "default-src 'none'"
        return response

    if by == "view":
        app.add_url_rule("/own", view_func=lambda: change(Response("own")), endpoint="own")
    else:
        app.add_url_rule("/own", view_func=lambda: "own", endpoint="own")
        app.after_request(change)
    found = headers(app, "/own")
    assert found.getlist("X-Frame-Options") == ["DENY"]
    assert found.getlist(CSP) == ["default-src 'none'"]
    assert found["Referrer-Policy"] == DEFAULTS["Referrer-Policy"]


def test_a_dict_changes_the_defaults() -> None:
    """A text replaces, False and None remove, other names are added; case makes no difference."""
    app = make_app(
        {
            "x-frame-options": "DENY",
            "Referrer-Policy": False,
            "Cross-Origin-Opener-Policy": None,
            "X-Content-Type-Options": True,
            "Permissions-Policy": "camera=()",
        }
    )
    found = headers(app)
    assert found.getlist("X-Frame-Options") == ["DENY"]
    assert "Referrer-Policy" not in found
    assert "Cross-Origin-Opener-Policy" not in found
    assert found["X-Content-Type-Options"] == "nosniff"
    assert found["Permissions-Policy"] == "camera=()"
    assert HSTS in found


def test_a_policy_can_be_a_dict() -> None:
    """Directives by name: a text, a list, True for a name alone, False for none."""
    policy = {
        "default-src": ["'self'", "https://cdn.example.org"],
        "img-src": "* data:",
        "upgrade-insecure-requests": True,
        "object-src": False,
    }
    found = headers(make_app({CSP: policy}))[CSP]
    assert found == (
        "default-src 'self' https://cdn.example.org; img-src * data:; upgrade-insecure-requests"
    )


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ({"X-Frame-Options": 1}, TypeError),
        ({"X-Frame-Options": {"a": "b"}}, TypeError),
        ({"X-Unknown": True}, TypeError),
        ("on", TypeError),
        (["nosniff"], TypeError),
        ({"X-Frame-Options": "DENY\r\nSet-Cookie: a=b"}, ValueError),
        ({"X Frame": "DENY"}, ValueError),
        ({CSP: {"script-src": "'self'; object-src *"}}, ValueError),
        ({CSP: {"script-src": ["a.test,b.test"]}}, ValueError),
    ],
)
def test_what_cannot_be_sent_is_an_error(setting: Any, error: type[Exception]) -> None:
    """At SecurityHeaders(app), or at the first request; never a page without its headers."""
    with pytest.raises(error):
        SecurityHeaders(make_app(setting))
    app = make_app(setting)
    for _ in range(2):
        assert app.test_client().get("/").status_code == 500


class TestNonce:
    POLICY = {CSP: STRICT_CSP}

    def test_the_page_and_the_policy_agree(self) -> None:
        """Scripts of the page carry what its policy allows, twice the same."""
        response = make_app(self.POLICY).test_client().get("/script")
        one, other = response.text.split()
        assert one == other
        assert f"script-src 'nonce-{one}' 'strict-dynamic'" in response.headers[CSP]

    def test_it_is_new_for_each_request(self) -> None:
        """128 bits, never guessed or met again."""
        app = make_app(self.POLICY)
        with app.app_context():  # which requests of a test share
            found = {app.test_client().get("/script").text.split()[0] for _ in range(50)}
        assert len(found) == 50
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", nonce) for nonce in found)

    def test_a_page_without_scripts_allows_none(self) -> None:
        """If nobody asked for the nonce, no script may run."""
        found = headers(make_app(self.POLICY))[CSP]
        assert "nonce" not in found
        assert "script-src  'strict-dynamic'" in found

    def test_a_stream_has_it_from_the_start(self) -> None:
        """Headers go first, so the policy of a stream names the nonce that the rest will use."""
        response = make_app(self.POLICY).test_client().get("/stream")
        nonce = response.text.split()[0]
        assert f"'nonce-{nonce}'" in response.headers[CSP]

    def test_a_304_leaves_the_stored_policy(self) -> None:
        """The page in the browser's cache has its own nonce; headers of a 304 would replace it."""
        app = make_app(self.POLICY)
        app.add_url_rule("/same", view_func=lambda: (csp_nonce(), 304), endpoint="same")
        found = headers(app, "/same")
        assert CSP not in found
        assert found["X-Content-Type-Options"] == "nosniff"

    def test_a_policy_can_only_report(self) -> None:
        """Both policies side by side, each with the nonce where it asks for it."""
        app = make_app({REPORT_ONLY: f"script-src {NONCE}; report-to csp"})
        response = app.test_client().get("/script")
        nonce = response.text.split()[0]
        assert response.headers[REPORT_ONLY] == f"script-src 'nonce-{nonce}'; report-to csp"
        assert response.headers[CSP] == DEFAULTS[CSP]

    def test_a_view_may_use_it_in_a_policy_of_its_own(self) -> None:
        """The nonce is there for Python, too, and the view's policy stays as it is."""
        app = make_app(self.POLICY)

        def own() -> Response:
            return Response("", headers={CSP: f"script-src 'nonce-{csp_nonce()}' a.test"})

        app.add_url_rule("/own", view_func=own)
        (found,) = headers(app, "/own").getlist(CSP)
        assert found.endswith("a.test")

    def test_the_client_cannot_choose_it(self) -> None:
        """No header of the request becomes the nonce."""
        names = ("Carboy.Csp-Nonce", "Carboy-Csp-Nonce", "Csp-Nonce")
        app = make_app(self.POLICY)
        sent = app.test_client().get("/script", headers=dict.fromkeys(names, "chosen"))
        assert "chosen" not in sent.headers[CSP] + sent.text

    def test_it_needs_a_request(self) -> None:
        """Outside of one there is no answer to belong to."""
        with pytest.raises(RuntimeError):
            csp_nonce()


class TestSwitch:
    def test_they_are_on_by_default(self) -> None:
        """Nothing need be set, neither for plain answers nor for Response objects."""
        app = Carboy("unset")
        app.add_url_rule("/", view_func=lambda: "ok", endpoint="index")
        app.add_url_rule("/own", view_func=lambda: Response("ok"), endpoint="own")
        for path in ("/", "/own", "/none"):
            assert {name: headers(app, path).get(name) for name in DEFAULTS} == DEFAULTS

    def test_they_are_off_under_the_alias(self) -> None:
        """In the profile `flask` an answer is as it was, and nothing is imported."""
        code = (
            "import sys, carboy, carboy.config\n"
            "carboy.config.use_profile('flask'); app = carboy.Carboy('x')\n"
            "app.add_url_rule('/', view_func=lambda: 'ok')\n"
            "assert 'X-Frame-Options' not in app.test_client().get('/').headers\n"
            "print([m for m in sys.modules if m.startswith('carboy.security')])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == "[]\n", done.stderr

    def test_the_call_switches_it_on(self) -> None:
        """SecurityHeaders(app) does what SECURITY_HEADERS = True does."""
        app = make_app(None)
        SecurityHeaders(app)
        assert headers(app)["X-Content-Type-Options"] == "nosniff"

    def test_false_switches_it_off(self) -> None:
        """Also after the call, and after the first request."""
        app = make_app()
        SecurityHeaders(app)
        assert "X-Content-Type-Options" in headers(app)
        app.config["SECURITY_HEADERS"] = False
        assert not set(DEFAULTS) & set(headers(app).keys())

    def test_twice_is_once(self) -> None:
        """The call and the setting together add each header one time."""
        app = make_app()
        SecurityHeaders(app)
        SecurityHeaders(app)
        found = headers(app)
        assert all(len(found.getlist(name)) == 1 for name in DEFAULTS)
