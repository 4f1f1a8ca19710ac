"""What keeps an application safe, each part in a room of its own.

`cors` says which sites may read answers, `csrf` refuses forged requests, `headers` tells browsers
what to refuse, `passwords` hashes and checks them, `proxies` finds the client behind them,
`rate_limits` counts requests, `redirects` keeps visitors on the site, `request_limits` bounds headers, JSON and
compressed bodies, `uploads` sends back what users sent, `sign_ins` bounds guessing
and begins sessions, `signed_urls` makes links that expire, `secrets` judges keys.
:func:`install` opens the rooms that settings ask for.
"""

from __future__ import annotations

import threading
import typing as t
from importlib import import_module

if t.TYPE_CHECKING:
    from carboy.app import Carboy

    from .cors import CORS as CORS
    from .csrf import CSRF as CSRF
    from .csrf import CSRFError as CSRFError
    from .csrf import csrf_exempt as csrf_exempt
    from .csrf import csrf_token as csrf_token
    from .headers import NONCE as NONCE
    from .headers import STRICT_CSP as STRICT_CSP
    from .headers import SecurityHeaders as SecurityHeaders
    from .headers import csp_nonce as csp_nonce
    from .passwords import PasswordCheck as PasswordCheck
    from .passwords import check_password as check_password
    from .passwords import hash_password as hash_password
    from .proxies import TrustedProxies as TrustedProxies
    from .rate_limits import RateLimitExceeded as RateLimitExceeded
    from .rate_limits import RateLimits as RateLimits
    from .redirects import safe_redirect as safe_redirect
    from .redirects import url_has_allowed_host as url_has_allowed_host
    from .request_limits import RequestLimits as RequestLimits
    from .sign_ins import SignIns as SignIns
    from .sign_ins import SignInThrottled as SignInThrottled
    from .sign_ins import sign_in as sign_in
    from .sign_ins import sign_out as sign_out
    from .signed_urls import sign_url as sign_url
    from .signed_urls import verify_url as verify_url
    from .uploads import send_upload as send_upload

# The first request of an application with the stock settings opens two of the rooms, not nine.
_ROOMS = {
    "CORS": "cors",
    "CSRF": "csrf",
    "CSRFError": "csrf",
    "NONCE": "headers",
    "PasswordCheck": "passwords",
    "RateLimitExceeded": "rate_limits",
    "RateLimits": "rate_limits",
    "RequestLimits": "request_limits",
    "STRICT_CSP": "headers",
    "SecurityHeaders": "headers",
    "SignInThrottled": "sign_ins",
    "SignIns": "sign_ins",
    "TrustedProxies": "proxies",
    "check_password": "passwords",
    "csp_nonce": "headers",
    "csrf_exempt": "csrf",
    "csrf_token": "csrf",
    "hash_password": "passwords",
    "safe_redirect": "redirects",
    "send_upload": "uploads",
    "sign_in": "sign_ins",
    "sign_out": "sign_ins",
    "sign_url": "signed_urls",
    "url_has_allowed_host": "redirects",
    "verify_url": "signed_urls",
}


def __getattr__(name: str) -> t.Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})


_lock = threading.Lock()


def install(app: Carboy) -> None:
    """Add what the settings of ``app`` switch on, once; called before its first request."""
    with _lock:
        if app.config.get("CSRF_PROTECT"):
            from .csrf import CSRF

            CSRF(app)
        if app.config.get("SECURITY_HEADERS"):
            from .headers import SecurityHeaders

            SecurityHeaders(app)
        if app.config.get("RATE_LIMITS"):
            from .rate_limits import RateLimits

            RateLimits(app)
