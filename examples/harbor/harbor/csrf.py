"""Forms are accepted only from pages that Harbor itself served to this browser.

Each session holds one secret.  A page carries it masked with random bytes, so that no two pages
have the same token and nothing can be learned from the size of compressed pages (BREACH).
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest
from urllib.parse import urlsplit

from werkzeug.exceptions import BadRequest

from carboy import Blueprint, Carboy, request, session

SESSION_KEY = "csrf"
FORM_FIELD = "csrf_token"
HEADER = "X-CSRF-Token"
LENGTH = 32  # bytes
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CSRFError(BadRequest):
    description = (
        "This form was not sent from a current page of Harbor. Go back, reload the page and send "
        "it again."
    )


def csrf_token() -> str:
    """A token for a form on the current page; a new one each time, valid while the session is."""
    if SESSION_KEY not in session:
        session[SESSION_KEY] = secrets.token_hex(LENGTH)
    secret = bytes.fromhex(session[SESSION_KEY])
    mask = secrets.token_bytes(LENGTH)
    return urlsafe_b64encode(mask + _xor(mask, secret)).decode("ascii")


def is_valid(token: str) -> bool:
    """Whether `token` was made by `csrf_token` in this session."""
    if SESSION_KEY not in session:
        return False
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
    except ValueError:
        return False
    if len(raw) != 2 * LENGTH:
        return False
    return compare_digest(_xor(raw[:LENGTH], raw[LENGTH:]), bytes.fromhex(session[SESSION_KEY]))


def init_app(app: Carboy, *, exempt: tuple[Blueprint, ...] = ()) -> None:
    """Protects every unsafe request but those to `exempt` blueprints, which use no cookies."""
    exempt_names = {blueprint.name for blueprint in exempt}

    @app.before_request
    def protect() -> None:
        if request.method in SAFE_METHODS or request.endpoint is None:
            return
        if request.blueprint in exempt_names:
            return
        if _comes_from_another_site() or not is_valid(
            request.form.get(FORM_FIELD) or request.headers.get(HEADER, "")
        ):
            raise CSRFError()

    app.jinja_env.globals["csrf_token"] = csrf_token


def _comes_from_another_site() -> bool:
    """What the browser says about the sender; older browsers and tools say nothing."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return True
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
