"""CORS, attacked: an origin that was not meant never reads an answer, nor does a cache's next user."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy import Blueprint, Carboy, Response, abort
from carboy.check import check
from carboy.security import CORS
from carboy.security.cors import Policy
from carboy.views import MethodView

pytestmark = pytest.mark.beyond

SITE = "https://app.example.org"
ALLOW = "Access-Control-Allow-Origin"


def make_app(origins: Any = (SITE,), **options: Any) -> Carboy:
    app = Carboy("cors_app")
    if origins is None:
        app.extensions["test.cors"] = CORS(app)
    else:
        app.extensions["test.cors"] = CORS(app, origins, **options)

    @app.get("/")
    def index() -> str:
        return "read"

    @app.route("/item", methods=["GET", "PUT", "DELETE"])
    def item() -> str:
        return "item"

    return app


def read(app: Carboy, origin: str | None = SITE, path: str = "/", **options: Any) -> Any:
    headers = {} if origin is None else {"Origin": origin}
    return app.test_client().get(path, headers=headers, **options).headers


def preflight(
    app: Carboy, path: str = "/item", method: str = "PUT", origin: str = SITE, **headers: str
) -> Any:
    sent = {"Origin": origin, "Access-Control-Request-Method": method}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().options(path, headers=sent)


@pytest.mark.parametrize("credentials", [True, False])
def test_an_allowed_origin_may_read(credentials: bool) -> None:
    """It is named in the answer, and only it; cookies may come along where that was said."""
    found = read(make_app(credentials=credentials))
    assert found.getlist(ALLOW) == [SITE]
    assert found.get("Access-Control-Allow-Credentials") == ("true" if credentials else None)
    assert found["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "*",
        "https://evil.test",
        "https://app.example.org.evil.test",
        "https://xapp.example.org",
        "https://x.app.example.org",
        "https://app.example.orgx",
        "https://app-example.org",
        "https://appxexample.org",
        "http://app.example.org",
        "ftp://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org:",
        "https://app.example.org/",
        "https://app.example.org/x",
        "https://app.example.org?x",
        "https://app.example.org#x",
        "https://app.example.org.",
        "https://user@app.example.org",
        "https://app.example.org@evil.test",
        "https://app.example.org, https://evil.test",
        "https://evil.test, https://app.example.org",
        "https://app.example.org https://evil.test",
        " https://app.example.org",
        "https://app.example.org\\",
        "https://app%2eexample.org",
        "//app.example.org",
        "app.example.org",
    ],
)
@pytest.mark.parametrize("pattern", [False, True])
def test_no_other_origin_may(origin: str, pattern: bool) -> None:
    """HOSTILE-158, HOSTILE-159: not reflected, by list or pattern; the answer varies with it."""
    app = make_app([re.compile(r"https://app\.example\.org")] if pattern else [SITE])
    found = read(app, origin)
    assert ALLOW not in found
    assert "Access-Control-Allow-Credentials" not in found
    assert found["Vary"] == "Origin"
    assert ALLOW not in preflight(app, origin=origin).headers


def test_an_answer_without_origin_varies_too() -> None:
    """A cache that stored it must not give it to a page that asks with Origin."""
    found = read(make_app(), None)
    assert found["Vary"] == "Origin"
    assert ALLOW not in found


@given(st.text(max_size=40).map(lambda text: f"https://{text}") | st.text(max_size=40))
def test_a_pattern_matches_whole_origins(origin: str) -> None:
    """HOSTILE-159: whatever the pattern lets through is one host below the domain, and no more."""
    policy = Policy([re.compile(r"https://([a-z0-9-]+\.)*example\.org")])
    if policy.allows(origin):
        assert re.fullmatch(r"https://([a-z0-9-]+\.)*example\.org", origin.lower())
    assert policy.allows("https://a.b.example.org")
    assert not policy.allows(f"https://a.b.example.org{origin}") or not origin


def test_all_origins_are_a_star() -> None:
    """For public data nothing is reflected, and caches may keep one answer."""
    found = read(make_app("*"), "https://anybody.test")
    assert found[ALLOW] == "*"
    assert "Vary" not in found


@pytest.mark.parametrize("origins", ["*", ["*"], [SITE, "*"]])
def test_all_origins_with_credentials_are_refused(origins: Any) -> None:
    """HOSTILE-160: when it is configured, not when it is too late."""
    with pytest.raises(ValueError, match="credentials"):
        CORS(origins=origins, credentials=True)


@pytest.mark.parametrize("origin", ["null", "https://*.example.org", SITE + "/", "example.org", ""])
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    """Entries that would match nothing, or everybody's sandbox, are errors."""
    with pytest.raises(ValueError, match="origin"):
        CORS(origins=[origin])


def test_lists_are_lists() -> None:
    """One text where a list belongs would be taken apart letter by letter."""
    with pytest.raises(TypeError, match="list"):
        CORS(origins=[SITE], methods="PUT")
    with pytest.raises(TypeError, match="list"):
        CORS(origins=[SITE], allow_headers="X-Token")
    with pytest.raises(TypeError, match="no origins"):
        CORS(credentials=True)
    with pytest.raises(ValueError, match="listed"):
        CORS(origins=[SITE], allow_headers=["*"], credentials=True)


class TestPreflight:
    def test_it_is_answered_with_what_is_allowed(self) -> None:
        """204, the method that was asked for, the listed headers that were asked for, a time."""
        app = make_app(allow_headers=["X-Token", "Content-Type"], credentials=True, max_age=60)
        response = preflight(app, Access_Control_Request_Headers="x-token,x-other")
        assert response.status_code == 204
        assert response.headers[ALLOW] == SITE
        assert response.headers["Access-Control-Allow-Methods"] == "PUT"
        assert response.headers["Access-Control-Allow-Headers"] == "x-token"
        assert response.headers["Access-Control-Max-Age"] == "60"
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert {name.strip() for name in response.headers["Vary"].split(",")} == {
            "Origin",
            "Access-Control-Request-Method",
            "Access-Control-Request-Headers",
        }

    def test_methods_can_be_narrowed(self) -> None:
        """What is not listed is not allowed, though the address answers it."""
        app = make_app(methods=["put"])
        assert preflight(app).headers["Access-Control-Allow-Methods"] == "PUT"
        assert ALLOW not in preflight(app, method="DELETE").headers

    @pytest.mark.parametrize("method", ["DELETE", "put", "PUT, DELETE", "*", ""])
    def test_a_method_that_the_address_has_not_is_not_allowed(self, method: str) -> None:
        """Nothing is claimed that would end in a 405, and nothing is reflected."""
        app = make_app()
        app.add_url_rule("/put", view_func=lambda: "", methods=["PUT"])
        response = preflight(app, "/put", method)
        assert ALLOW not in response.headers
        assert "Access-Control-Allow-Methods" not in response.headers

    def test_a_browser_remembers_one_method_only(self) -> None:
        """The answer for GET must not let a PUT pass whose view has another policy."""
        response = preflight(make_app(), method="GET")
        assert response.headers["Access-Control-Allow-Methods"] == "GET"

    def test_headers_of_the_request_are_not_reflected(self) -> None:
        """Only names from the list are ever sent back."""
        response = preflight(make_app(), Access_Control_Request_Headers="x-evil, authorization")
        assert "Access-Control-Allow-Headers" not in response.headers

    def test_it_is_answered_before_the_hooks(self) -> None:
        """A preflight carries no credentials, so a hook that wants some must not see it."""
        app = make_app()
        app.before_request(lambda: abort(401))
        assert preflight(app).status_code == 204
        assert app.test_client().put("/item").status_code == 401
        assert preflight(app, origin="https://evil.test").status_code == 401

    def test_an_ordinary_options_request_is_the_applications(self) -> None:
        """Without the two headers of a preflight it is no preflight."""
        app = make_app()
        response = app.test_client().options("/item", headers={"Origin": SITE})
        assert "PUT" in response.headers["Allow"]
        assert response.status_code == 200

    @pytest.mark.parametrize(("allowed", "expected"), [(False, None), (True, "true")])
    def test_private_networks_are_closed(self, allowed: bool, expected: str | None) -> None:
        """HOSTILE-161, CVE-2024-6221: a public page asks an intranet's host only where allowed."""
        response = preflight(
            make_app(private_network=allowed), Access_Control_Request_Private_Network="true"
        )
        assert response.headers.get("Access-Control-Allow-Private-Network") == expected


class TestReach:
    def test_errors_may_be_read(self) -> None:
        """A script learns that a page is not there, and not that something is forbidden."""
        app = make_app()
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.add_url_rule("/crash", view_func=lambda: 1 / 0)
        assert read(app, path="/nowhere")[ALLOW] == SITE
        assert read(app, path="/crash")[ALLOW] == SITE

    def test_a_view_has_its_own(self) -> None:
        """The innermost policy counts; others keep theirs."""
        app = make_app(None)
        cors = app.extensions["test.cors"]

        @app.get("/open")
        @cors.allow("*")
        def shared() -> str:
            return "data"

        @app.put("/open")
        def change() -> str:
            return "changed"

        assert read(app, path="/open")[ALLOW] == "*"
        assert ALLOW not in read(app, path="/")
        assert ALLOW in preflight(app, "/open", "GET").headers
        assert ALLOW not in preflight(app, "/open", "PUT").headers

    def test_a_blueprint_has_its_own(self) -> None:
        """With those inside of it, unless they have one; an empty list means nobody."""
        app = make_app()
        cors = app.extensions["test.cors"]
        outer, inner = Blueprint("outer", "outer"), Blueprint("inner", "inner")
        for blueprint in (outer, inner):
            blueprint.add_url_rule("/", "view", lambda: "seen")
        cors.allow(["https://partner.test"])(outer)
        cors.allow([])(inner)
        outer.register_blueprint(inner, url_prefix="/inner")
        app.register_blueprint(outer, url_prefix="/outer")
        assert read(app, "https://partner.test", "/outer/")[ALLOW] == "https://partner.test"
        assert ALLOW not in read(app, SITE, "/outer/")
        assert ALLOW not in read(app, "https://partner.test", "/outer/inner/")
        assert read(app, SITE, "/")[ALLOW] == SITE

    def test_a_view_class_has_its_own(self) -> None:
        """The mark on a class counts for the views made of it."""
        app = make_app(None)

        @app.extensions["test.cors"].allow([SITE])
        class Item(MethodView):
            def get(self) -> str:
                return "item"

        app.add_url_rule("/class", view_func=Item.as_view("class"))
        assert read(app, path="/class")[ALLOW] == SITE

    @pytest.mark.parametrize(
        "path", ["/OPEN", "/open/", "/%6fpen", "/x/../open", "/x/%2e%2e/open", "//open", "/open+"]
    )
    def test_no_spelling_of_a_path_changes_the_policy(self, path: str) -> None:
        """It belongs to the view that answers.

        CVE-2020-25032, CVE-2024-6839, CVE-2024-6844, CVE-2024-6866.
        """
        app = make_app(None)
        view = app.extensions["test.cors"].allow([SITE])(lambda: "open")
        app.add_url_rule("/open", "open", view)
        app.add_url_rule("/<path:other>", "other", lambda other: "other")
        response = app.test_client().get(path, headers={"Origin": SITE})
        assert (ALLOW in response.headers) == (response.text == "open")

    def test_what_a_view_says_itself_stays(self) -> None:
        """An answer that has the header already is left alone."""
        app = make_app()
        own = {ALLOW: "https://other.test"}
        app.add_url_rule("/own", view_func=lambda: Response("", headers=own))
        assert read(app, path="/own").getlist(ALLOW) == ["https://other.test"]

    def test_vary_keeps_what_was_there(self) -> None:
        """Origin is added to the names that the view varies with."""
        app = make_app()
        app.add_url_rule("/own", view_func=lambda: Response("", headers={"Vary": "Accept"}))
        assert read(app, path="/own")["Vary"] == "Accept, Origin"

    def test_response_headers_can_be_exposed(self) -> None:
        """And are named on answers that may be read."""
        app = make_app(expose_headers=["X-Total", "X-Page"])
        assert read(app)["Access-Control-Expose-Headers"] == "X-Total, X-Page"
        assert "Access-Control-Expose-Headers" not in read(app, "https://evil.test")

    def test_twice_is_an_error(self) -> None:
        """Two policies for everything contradict each other."""
        with pytest.raises(RuntimeError, match="before"):
            CORS(make_app(), [SITE])


def test_it_is_no_protection_against_writing() -> None:
    """A refused origin's simple request still runs: that is for CSRF protection to refuse."""
    app = make_app(credentials=True)
    app.add_url_rule("/write", view_func=lambda: "written", methods=["POST"])
    app.config.update(CSRF_PROTECT=True)
    headers = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    assert app.test_client().post("/write", headers=headers).status_code == 400
    app.config["CSRF_PROTECT"] = False
    assert app.test_client().post("/write", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("origins", "options", "expected"),
    [
        ([SITE], {"credentials": True}, set()),
        ("*", {}, {"cors-wildcard"}),
        ([re.compile(".*")], {"credentials": True}, {"cors-wildcard-credentials"}),
        ([re.compile(r"https://.*example\.org")], {}, {"cors-open-pattern"}),
        ([re.compile(r"https://([a-z0-9-]+\.)*example\.org")], {}, set()),
    ],
)
def test_the_check_sees_it(origins: Any, options: Any, expected: set[str]) -> None:
    """`carboy check --deploy` names policies that take more than they show."""
    found = {finding.rule.id for finding in check(make_app(origins, **options), deploy=True)}
    assert {name for name in found if name.startswith("cors")} == expected
