"""Passwords, cookies, headers by hand, escaping."""

from __future__ import annotations

import html.parser
import json
from typing import Any

import pytest
from werkzeug.security import check_password_hash, generate_password_hash

from carboy import Carboy, Response, make_response, render_template_string, session

PAYLOADS = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "-->",
    "' onmouseover='alert(1)",
    '" onmouseover="alert(1)',
    "&lt;script&gt;",
    "\\u003cscript\\u003e",
    "\u2028alert(1)\u2029",
    "]]><script>",
    "{{ 7 * 7 }}",
    "javascript:alert(1)//",
]


class Tags(html.parser.HTMLParser):
    """Collects the elements and attributes that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_password_hash_is_salted_scrypt() -> None:
    """SEC-01: generate_password_hash makes salted scrypt hashes that check_password_hash reads."""
    first, second = generate_password_hash("pässword"), generate_password_hash("pässword")
    assert first != second
    assert first.startswith("scrypt:")
    assert check_password_hash(first, "pässword")
    assert not check_password_hash(first, "password")


def test_pbkdf2_works_and_weak_methods_are_refused() -> None:
    """SEC-02: pbkdf2 is available; md5, sha1 and plain are a ValueError."""
    hashed = generate_password_hash("x", method="pbkdf2:sha256:1000")
    assert hashed.startswith("pbkdf2:sha256:1000$")
    assert check_password_hash(hashed, "x")
    for method in ("md5", "sha1", "plain"):
        with pytest.raises(ValueError):
            generate_password_hash("x", method=method)


def test_hash_has_162_characters() -> None:
    """SEC-03: a column for the default hash needs 162 characters, whatever the password."""
    assert {len(generate_password_hash(word)) for word in ("", "x", "x" * 500)} == {162}


@pytest.mark.parametrize("value", ["Lax", "Strict"])
def test_session_cookie_can_be_same_site(value: str) -> None:
    """SEC-11: SESSION_COOKIE_SAMESITE sets the attribute on the session cookie."""
    app = Carboy("security")
    app.config.update(SECRET_KEY="test key", SESSION_COOKIE_SAMESITE=value)

    @app.get("/")
    def index() -> str:
        session["user"] = "ada"
        return ""

    assert f"SameSite={value}" in app.test_client().get("/").headers["Set-Cookie"]


def test_other_cookies_take_every_flag(app: Carboy) -> None:
    """SEC-11: set_cookie has secure, httponly and samesite."""

    @app.get("/")
    def index() -> Response:
        response = make_response("x")
        response.set_cookie("a", "1", secure=True, httponly=True, samesite="Strict")
        return response

    header = app.test_client().get("/").headers["Set-Cookie"]
    assert {"Secure", "HttpOnly", "SameSite=Strict"} <= {p.strip() for p in header.split(";")}


def test_security_headers_by_hand(app: Carboy) -> None:
    """SEC-17: headers set in after_request reach every answer, errors and static files too."""
    wanted = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Content-Security-Policy": "default-src 'self'",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "Referrer-Policy": "same-origin",
    }

    @app.after_request
    def secure(response: Response) -> Response:
        response.headers.update(wanted)
        return response

    app.add_url_rule("/", "index", lambda: "x")
    app.add_url_rule("/crash", "crash", lambda: str(1 / 0))
    client = app.test_client()
    for path in ("/", "/nowhere", "/crash", "/static/none.css"):
        headers = client.get(path).headers
        assert {name: headers.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_and_quoted_attributes_are_escaped(app: Carboy, payload: str) -> None:
    """SEC-20: autoescaping keeps hostile text inside its element and its quoted attribute."""
    page = "<p>{{ x }}</p><a title=\"{{ x }}\">a</a><a title='{{ x }}'>b</a><textarea>{{ x }}</textarea>"
    with app.app_context():
        text = render_template_string(page, x=payload)
    tags = Tags(text).tags
    assert [tag for tag, _ in tags] == ["p", "a", "a", "textarea"]
    assert tags[1][1] == tags[2][1] == {"title": payload}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_tojson_in_scripts_and_attributes(app: Carboy, payload: str) -> None:
    """SEC-20: tojson is safe in a script element and in a single-quoted attribute."""
    page = "<script>var x = {{ x|tojson }};</script><a data-x='{{ x|tojson }}'>a</a>"
    with app.app_context():
        text = render_template_string(page, x={"v": payload})
    parsed = Tags(text)
    assert [tag for tag, _ in parsed.tags] == ["script", "a"]
    attribute: Any = parsed.tags[1][1]["data-x"]
    assert json.loads(attribute) == {"v": payload}
    script = text.split("var x = ")[1].split(";</script>")[0]
    assert json.loads(script) == {"v": payload}
