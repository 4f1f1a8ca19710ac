from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.http import dump_cookie, parse_cookie

from carboy import Response, make_response, request


@pytest.fixture
def set_cookie(app, raw):
    """``set_cookie(key, value, ...)``: the Set-Cookie header that a view's call makes."""
    calls = []

    def view():
        response = make_response("x")
        args, options = calls[-1]
        response.set_cookie(*args, **options)
        return response

    app.add_url_rule("/", "view", view)

    def call(*args, **options):
        calls.append((args, options))
        return raw("/").get("Set-Cookie")

    return call


def test_set_cookie_sends_name_value_and_path(set_cookie):
    """COOK-01: path ``/`` by default, nothing else."""
    assert set_cookie("theme", "dark") == "theme=dark; Path=/"
    assert set_cookie("empty") == "empty=; Path=/"


@pytest.mark.parametrize("age", [3600, timedelta(hours=1)])
def test_max_age_and_httponly(set_cookie, age):
    """COOK-01: seconds or a timedelta."""
    header = set_cookie("a", "1", max_age=age, httponly=True)
    assert "; Max-Age=3600" in header
    assert "; HttpOnly" in header


@pytest.mark.parametrize(
    ("options", "attribute"),
    [
        ({"expires": datetime(2030, 5, 1, tzinfo=UTC)}, "Expires=Wed, 01 May 2030 00:00:00 GMT"),
        ({"expires": 0}, "Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
        ({"secure": True}, "Secure"),
        ({"samesite": "Lax"}, "SameSite=Lax"),
        ({"samesite": "strict"}, "SameSite=Strict"),
        ({"samesite": "None", "secure": True}, "SameSite=None"),
        ({"path": "/app"}, "Path=/app"),
        ({"domain": "example.test"}, "Domain=example.test"),
        ({"domain": ".example.test"}, "Domain=example.test"),
        ({"partitioned": True}, "Partitioned"),
    ],
)
def test_attributes_of_a_cookie(set_cookie, options, attribute):
    """COOK-02: expires, secure, samesite, path, domain, partitioned."""
    assert attribute in set_cookie("a", "1", **options).split("; ")


def test_samesite_refuses_other_words(app):
    """COOK-02: ValueError."""
    with pytest.raises(ValueError, match="SameSite"):
        Response().set_cookie("a", "1", samesite="sometimes")


def test_each_cookie_is_a_header_of_its_own(app, raw):
    """COOK-01: two cookies, two headers, in order."""

    @app.route("/")
    def view():
        response = make_response("x")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    assert raw("/").all("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]


@pytest.mark.parametrize("value", ["a b", "a;b,c", 'q"uote', "é 日本", "back\\slash", "=", ""])
def test_any_value_survives_the_cookie(set_cookie, app, value):
    """COOK-01, COOK-03: quoted when sent, back as it was."""
    header = set_cookie("a", value)
    assert "\n" not in header
    assert parse_cookie(header.split("; Path")[0])["a"] == value


def test_cookies_of_the_request(app, raw):
    """COOK-03: ``get`` with a default, read-only, a missing one is a 400."""
    seen = []

    @app.route("/")
    def view():
        seen.append(request.cookies.get("theme", "light"))
        seen.append(request.cookies.get("none", "default"))
        seen.append("theme" in request.cookies)
        with pytest.raises(TypeError):
            request.cookies["theme"] = "x"
        return request.cookies["none"]

    reply = raw("/", headers={"Cookie": "theme=dark; other=1"})
    assert seen == ["dark", "default", True]
    assert reply.code == 400


def test_delete_cookie_expires_it(app, raw):
    """COOK-04: empty, in 1970, for the same path and domain."""

    @app.route("/")
    def view():
        response = make_response("x")
        response.delete_cookie("a", path="/app", domain="example.test", secure=True)
        return response

    parts = raw("/").get("Set-Cookie").split("; ")
    assert parts[0] == "a="
    assert set(parts[1:]) == {
        "Domain=example.test",
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Max-Age=0",
        "Secure",
        "Path=/app",
    }


def test_a_deleted_cookie_is_gone_from_the_client(app, client):
    """COOK-04: what a browser does."""

    @app.route("/<do>")
    def view(do):
        response = make_response(request.cookies.get("a", "none"))
        if do == "set":
            response.set_cookie("a", "1")
        elif do == "delete":
            response.delete_cookie("a")
        return response

    assert [client.get(f"/{do}").text for do in ("set", "look", "delete", "look")] == [
        "none",
        "1",
        "1",
        "none",
    ]


def test_a_cookie_over_4_kilobytes_warns(app):
    """COOK-05: browsers would drop it silently."""
    assert app.config["MAX_COOKIE_SIZE"] == 4093
    with app.test_request_context():
        response = make_response("x")
        response.set_cookie("fits", "x" * 4000)
        with pytest.warns(UserWarning, match=r"'big' cookie is too large"):
            response.set_cookie("big", "x" * 4093)


def test_max_cookie_size_sets_the_limit(app):
    """COOK-05: 0 turns the warning off."""
    with app.test_request_context():
        app.config["MAX_COOKIE_SIZE"] = 20
        with pytest.warns(UserWarning, match="too large"):
            make_response("x").set_cookie("a", "x" * 20)
        app.config["MAX_COOKIE_SIZE"] = 0
        make_response("x").set_cookie("a", "x" * 5000)


def test_what_dump_cookie_writes_parse_cookie_reads():
    """COOK-02: attributes do not become cookies."""
    header = dump_cookie("a", "1", max_age=5, path="/x", httponly=True)
    assert parse_cookie("a=1; b=2").to_dict() == {"a": "1", "b": "2"}
    assert header.startswith("a=1; ")
