"""What a view returns, and what goes out: status, headers, body; HEAD, 204 and 304."""

from __future__ import annotations

from typing import Any

import pytest

from carboy import Response, abort, jsonify, make_response, redirect

VALUES: dict[str, Any] = {
    "text": lambda: "Hällo",
    "empty text": lambda: "",
    "bytes": lambda: b"\x00\xff",
    "dict": lambda: {"a": 1, "ä": "ö"},
    "list": lambda: [1, None, "x"],
    "text and code": lambda: ("made", 201),
    "text, code and headers": lambda: ("made", 201, {"X-Made": "yes", "Location": "/x"}),
    "text and headers": lambda: ("text", {"Content-Type": "text/plain"}),
    "header pairs": lambda: ("text", 200, [("X-Two", "1"), ("X-Two", "2")]),
    "code as text": lambda: ("teapot", "418 I'M A TEAPOT"),
    "unusual code": lambda: ("what", 799),
    "dict and code": lambda: ({"error": "no"}, 422),
    "response": lambda: Response("own", 202, {"X-Own": "1"}, mimetype="text/x-own"),
    "response of many parts": lambda: Response(["a", b"b", "c"]),
    "made response": lambda: make_response(("x", 400)),
    "json": lambda: jsonify(a=[1, 2]),
    "redirect": lambda: redirect("/elsewhere?a=b"),
    "permanent redirect": lambda: redirect("https://example.com/", 308),
    "no content": lambda: ("", 204),
    "no content, with text": lambda: ("ignored", 204),
    "not modified": lambda: ("ignored", 304),
    "wsgi callable": lambda: (
        lambda environ, start: (
            start("203 Fine", [("Content-Length", "2"), ("X-A", "b")]),
            [b"ok"],
        )[1]
    ),
    "latin-1 header": lambda: ("x", {"X-Name": "Zoë"}),
    "two cookies": lambda: _cookies(),
    "large": lambda: "x" * 300_000,
    "error": lambda: abort(410),
    "error with words": lambda: abort(409, "twice"),
    "unauthorized": lambda: abort(401),
}


def _cookies() -> Response:
    response = Response("c")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True, samesite="Lax")
    return response


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", VALUES)
def test_each_kind_of_value(app: Any, visit: Any, dye: Any, name: str, method: str) -> None:
    """A value makes the same answer through each door, from a sync and an async view."""
    app.add_url_rule("/", "view", dye(VALUES[name]))
    answer = visit("/", method)
    if method == "HEAD" or answer.code in (204, 304):
        assert answer.body == b""
    elif length := answer.get("content-length"):
        assert int(length) == len(answer.body)


def test_a_text(app: Any, visit: Any, dye: Any) -> None:
    """Text is HTML in UTF-8, with its length in bytes."""
    app.config["SECURITY_HEADERS"] = False
    app.add_url_rule("/", "view", dye(lambda: "Hällo"))
    answer = visit()
    assert (answer.code, answer.body) == (200, "Hällo".encode())
    assert answer.headers == [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "6"),
    ]


def test_head_has_the_length_of_get(app: Any, visit: Any, dye: Any) -> None:
    """HEAD: the headers of GET, no body (RFC 9110 section 9.3.2)."""
    app.add_url_rule("/", "view", dye(lambda: "four"))
    answer = visit("/", "HEAD")
    assert (answer.get("content-length"), answer.body) == ("4", b"")


@pytest.mark.parametrize("code", [204, 304])
def test_codes_without_a_body(app: Any, visit: Any, dye: Any, code: int) -> None:
    """204 and 304 have neither a body nor a length."""
    app.add_url_rule("/", "view", dye(lambda: ("text", code)))
    answer = visit()
    assert (answer.code, answer.body, answer.get("content-length")) == (code, b"", None)


def test_automatic_options(app: Any, visit: Any, dye: Any) -> None:
    """OPTIONS is answered with the methods of the rule."""
    app.add_url_rule("/", "view", dye(lambda: "x"), methods=["GET", "PUT"])
    answer = visit("/", "OPTIONS")
    assert sorted((answer.get("allow") or "").split(", ")) == ["GET", "HEAD", "OPTIONS", "PUT"]


def test_method_not_allowed(app: Any, visit: Any, dye: Any) -> None:
    """405 names the methods."""
    app.add_url_rule("/", "view", dye(lambda: "x"))
    answer = visit("/", "DELETE")
    assert answer.code == 405
    assert "GET" in (answer.get("allow") or "")


def test_not_found(app: Any, visit: Any) -> None:
    """404 for a path without a rule."""
    assert visit("/nothing").code == 404


def test_slash_redirect(app: Any, visit: Any, dye: Any) -> None:
    """A branch without its slash is redirected, with the query."""
    app.add_url_rule("/branch/", "view", dye(lambda: "x"))
    answer = visit("/branch", query="a=%20b")
    assert (answer.code, answer.get("location")) == (308, "http://localhost/branch/?a=%20b")


def test_nothing_returned(app: Any, visit: Any, dye: Any) -> None:
    """A view that returns None is a 500."""
    app.add_url_rule("/", "view", dye(lambda: None))
    assert visit().code == 500
