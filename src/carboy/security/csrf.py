"""Cross-site request forgery: unsafe requests are answered only if this site's pages made them.

Browsers say where a request comes from, in headers that no page can set: ``Sec-Fetch-Site``
(Fetch Metadata, W3C), and ``Origin`` (RFC 6454) where that is missing. Clients that send neither
must show a token that a page of this session carried.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
import sys
import typing as t
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from time import time

from werkzeug.exceptions import BadRequest

from carboy.audit import record
from carboy.config import default_config
from carboy.globals import _get_request_context
from carboy.logging import printable
from carboy.origins import Origin, is_own_origin, origins_of, parse_origin
from carboy.sessions import CLOCK_TOLERANCE

from .template_names import offer

if t.TYPE_CHECKING:
    from carboy.app import Carboy
    from carboy.ctx import RequestContext
    from carboy.wrappers import Request

T = t.TypeVar("T")

#: Methods that change nothing (RFC 9110 section 9.2.1).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
FORM_FIELD = "csrf_token"
HEADERS = ("X-CSRF-Token", "X-CSRFToken")
SESSION_KEY = "_csrf"

_EXEMPT = "_csrf_exempt"
_STAMP = 5  # bytes of a time in seconds: enough for 34 000 years
_LENGTH = _STAMP + hashlib.sha256().digest_size
_ENCODED = len(urlsafe_b64encode(bytes(2 * _LENGTH)).rstrip(b"="))

#: Schemes of ``Authorization`` that browsers send by themselves, so that they prove nothing.
_AMBIENT = frozenset({"basic", "digest", "negotiate", "ntlm"})


class CSRFError(BadRequest):
    """The 400 for a request that no page of this site made; ``reason`` is for the log."""

    description = (
        "This request did not come from a current page of this site. Reload the page and send it"
        " again."
    )

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class CSRF:
    """Protects an application: ``CSRF(app)``, or ``init_app`` later; ``CSRF_PROTECT`` does the same.

    ``CSRF_PROTECT = False`` switches it off. The other settings stand in docs/security.md.
    """

    def __init__(self, app: Carboy | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Carboy) -> None:
        """Check each request of ``app`` before its hooks, and give templates ``csrf_token()``.

        Raises TypeError or ValueError for settings that would let anybody in.
        """
        if "carboy.csrf" not in app.extensions:
            app.extensions["carboy.csrf"] = self
            for name, value in default_config().items():
                if name.startswith("CSRF_"):
                    app.config.setdefault(name, value)
            _settings(app.config)
            app._gate = self
            offer(app, "csrf_token", csrf_token)

    def passes(self, ctx: RequestContext) -> bool:
        """Whether the headers of an unsafe request show at once that it may pass."""
        config = ctx.app.config
        if config["CSRF_TOKEN_REQUIRED"]:
            return False
        site = ctx.head.get("HTTP_SEC_FETCH_SITE")
        if site is None:
            return config["CSRF_ALLOW_BARE"] is True and _is_bare(ctx.head.get)
        return bool(site == "same-origin")

    def protect(self) -> None:
        """Raise :exc:`CSRFError` if the current request is unsafe and another site's."""
        ctx = _get_request_context()
        if ctx.head.method in SAFE_METHODS or ctx.app.config["CSRF_PROTECT"] is False:
            return
        request = ctx.request
        if request.endpoint is None or _is_exempt(ctx.app, request):
            return
        reason = _refusal(ctx)
        if reason is not None:
            where = printable(f"{request.method} {request.path}")
            ctx.app.logger.warning("CSRF protection refused %s: %s", where, printable(reason))
            record(ctx.app, "csrf_refused", reason=reason)
            raise CSRFError(reason)


def csrf_exempt(target: T) -> T:
    """Leave a view function, a view class or a blueprint without CSRF protection.

    For requests that bring their own proof, such as a webhook's signature. Raises TypeError for
    what cannot carry the mark.
    """
    try:
        setattr(target, _EXEMPT, True)
    except AttributeError:
        raise TypeError(
            f"{target!r} cannot be marked as exempt. Put @csrf_exempt directly above the function"
            " or class, below @app.route(...)."
        ) from None
    return target


def _is_exempt(app: Carboy, request: Request) -> bool:
    view: t.Any = app.view_functions.get(request.endpoint or "")
    if getattr(view, _EXEMPT, False) or getattr(getattr(view, "view_class", None), _EXEMPT, False):
        return True
    return any(getattr(app.blueprints.get(name), _EXEMPT, False) for name in request.blueprints)


def _refusal(ctx: RequestContext) -> str | None:
    """Why the request is refused, or None for one that may pass."""
    config = ctx.app.config
    trusted, schemes, sites = _settings(config)
    environ = ctx.head.environ
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    if schemes and authorization.partition(" ")[0].lower() in schemes:
        return None
    origin = environ.get("HTTP_ORIGIN")
    if trusted and origin is not None and parse_origin(origin) in trusted:
        return None
    known, reason = _provenance(ctx, origin, sites)
    if reason is not None or (known and not config["CSRF_TOKEN_REQUIRED"]):
        return reason
    if config["CSRF_ALLOW_BARE"] and not config["CSRF_TOKEN_REQUIRED"] and _is_bare(environ.get):
        return None
    return _token_refusal(ctx.request, config["CSRF_TOKEN_MAX_AGE"])


def _is_bare(read: t.Callable[[str], t.Any]) -> bool:
    """Whether nothing says where a request comes from, as from scripts. Every browser of today
    sends one of the three with an unsafe request that another site makes."""
    return (
        read("HTTP_SEC_FETCH_SITE") is None
        and read("HTTP_ORIGIN") is None
        and read("HTTP_REFERER") is None
    )


def _provenance(
    ctx: RequestContext, origin: str | None, sites: frozenset[str]
) -> tuple[bool, str | None]:
    """Whether the browser said where the request comes from, and why that is not good enough."""
    environ = ctx.head.environ
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return True, None if site in sites else f"Sec-Fetch-Site is {site[:40]!r}"
    source = "Origin" if origin is not None else "Referer"
    if origin is None:
        referer = environ.get("HTTP_REFERER")
        if referer is None:
            return False, None
        origin = "/".join(referer.split("/", 3)[:3])
    if is_own_origin(origin, environ.get("wsgi.url_scheme", "http"), ctx.request.host):
        # A Referer says too little to stand for a token: pages choose what it tells.
        return source == "Origin", None
    return True, (
        f"{source} is {origin[:80]!r}, and the request was for {ctx.request.host!r}. If they are the"
        " same site, the proxy in front changes the Host header: see ProxyFix"
    )


def _token_refusal(request: Request, max_age: int | None) -> str | None:
    token = next((text for name in HEADERS if (text := request.headers.get(name))), None)
    if token is None:
        token = request.form.get(FORM_FIELD) or _prefixed(request)
    if not token:
        return "it has neither Sec-Fetch-Site nor Origin, and no token"
    problem = token_problem(token, max_age)
    if problem is None or _is_flask_wtf_token(token):
        return None
    return problem


def _prefixed(request: Request) -> str | None:
    """The token of a form whose fields have a prefix, as Flask-WTF's may."""
    ending = f"-{FORM_FIELD}"
    return next((value for name, value in request.form.items() if name.endswith(ending)), None)


def _is_flask_wtf_token(token: str) -> bool:
    """Whether Flask-WTF, where it is in use, made this token for this session."""
    module: t.Any = sys.modules.get("flask_wtf.csrf")
    if module is None:
        return False
    try:
        module.validate_csrf(token)
    except (ValueError, RuntimeError):  # WTForms' error is a ValueError; no key is a RuntimeError
        return False
    return True


def csrf_token() -> str:
    """A token for a form or script of the current page: another text each time it is asked for.

    It is good for this session only, and for ``CSRF_TOKEN_MAX_AGE`` seconds. Raises RuntimeError
    without a secret key, since there is no session then.
    """
    session = _get_request_context().session
    secret = session.get(SESSION_KEY)
    if not isinstance(secret, str) or not secret:
        secret = session[SESSION_KEY] = urlsafe_b64encode(os.urandom(32)).decode("ascii")
    stamp = int(time()).to_bytes(_STAMP, "big")
    plain = stamp + _signature(secret, stamp)
    # Compressed pages tell by their size what repeats in them (BREACH): so nothing does.
    mask = os.urandom(_LENGTH)
    return urlsafe_b64encode(mask + _xor(mask, plain)).rstrip(b"=").decode("ascii")


def token_problem(token: str, max_age: int | None) -> str | None:
    """What is wrong with a token in the current session, or None. ``max_age`` is in seconds."""
    secret = _get_request_context().session.get(SESSION_KEY)
    if not isinstance(secret, str):
        return "the session has no token: it is new, or its cookie did not come along"
    if len(token) != _ENCODED or not token.isascii():
        return "the token is malformed"
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return "the token is malformed"
    if len(raw) != 2 * _LENGTH:
        return "the token is malformed"
    plain = _xor(raw[:_LENGTH], raw[_LENGTH:])
    stamp = plain[:_STAMP]
    if not hmac.compare_digest(plain[_STAMP:], _signature(secret, stamp)):
        return "the token is not this session's"
    age = int(time()) - int.from_bytes(stamp, "big")
    if max_age is not None and not -CLOCK_TOLERANCE <= age <= max_age:
        return f"the token is {age} seconds old"
    return None


def _signature(secret: str, stamp: bytes) -> bytes:
    return hmac.digest(secret.encode(), b"carboy.csrf" + stamp, "sha256")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


_Checked = tuple[frozenset[Origin], frozenset[str], frozenset[str]]


def _settings(config: t.Mapping[str, t.Any]) -> _Checked:
    """The trusted origins, exempt schemes and allowed sites. ValueError or TypeError for bad ones."""
    names = ("CSRF_TRUSTED_ORIGINS", "CSRF_EXEMPT_SCHEMES", "CSRF_ALLOWED_SITES")
    given = [config.get(name) or () for name in names]
    # A text stays one, to be complained of.
    return _checked(*(value if isinstance(value, str) else tuple(value) for value in given))


@lru_cache(maxsize=64)
def _checked(origins: t.Any, schemes: t.Any, sites: t.Any) -> _Checked:
    for name, value in (("CSRF_EXEMPT_SCHEMES", schemes), ("CSRF_ALLOWED_SITES", sites)):
        if isinstance(value, str):
            raise TypeError(f"{name} is a list; write [{value!r}].")
    names = frozenset(name.lower() for name in schemes)
    if ambient := sorted(names & _AMBIENT):
        raise ValueError(
            f"CSRF_EXEMPT_SCHEMES has {ambient[0]!r}, which browsers send with forged requests, too."
            " Only schemes that a script must add by itself, such as 'Bearer', may be exempt."
        )
    if "cross-site" in sites:
        raise ValueError(
            "CSRF_ALLOWED_SITES has 'cross-site', which is what the protection refuses. List the"
            " sites that may send forms here in CSRF_TRUSTED_ORIGINS."
        )
    return origins_of(origins, "CSRF_TRUSTED_ORIGINS"), names, frozenset(sites)


def settings_problem(config: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with the settings of this module, or None; for ``carboy check``."""
    try:
        _settings(config)
    except (TypeError, ValueError) as error:
        return str(error)
    return None
