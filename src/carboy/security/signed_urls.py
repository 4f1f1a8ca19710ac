"""Addresses that only the application could have made, and that expire.

For links in mails and downloads: whoever has the link has what it leads to, until it expires. The
signature is an HMAC-SHA256 over the path and the query, keyed by ``SECRET_KEY``; the keys of
``SECRET_KEY_FALLBACKS`` verify, too.
"""

from __future__ import annotations

import hmac
import re
import typing as t
from base64 import urlsafe_b64encode
from datetime import timedelta
from time import time
from urllib.parse import unquote_to_bytes, urlsplit

from carboy.globals import _get_app, _get_request_context

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from carboy.app import Carboy

EXPIRES = "expires"
SIGNATURE = "signature"

_SECONDS = re.compile(rb"[0-9]{1,12}")
_Pair = tuple[bytes, bytes]


def sign_url(url: str, expires_in: int | timedelta | None = 3600, *, purpose: str = "") -> str:
    """Return ``url`` with an expiry and a signature added to its query.

    ``expires_in`` is in seconds; None makes a link that never expires. A link of one ``purpose``
    is worth nothing for another. Host and fragment are not signed. Raises ValueError for an
    address that has these parameters already or an expiry that is not positive, RuntimeError
    without a secret key or outside an application's context.
    """
    parts = urlsplit(url)
    if {name for name, _ in _pairs(parts.query.encode())} & {EXPIRES.encode(), SIGNATURE.encode()}:
        raise ValueError(f"{url!r} has a parameter named {EXPIRES!r} or {SIGNATURE!r} already.")
    query = [parts.query] if parts.query else []
    if expires_in is not None:
        seconds = expires_in.total_seconds() if isinstance(expires_in, timedelta) else expires_in
        if seconds <= 0:
            raise ValueError(f"A link that expires in {seconds} seconds is of no use to anybody.")
        query.append(f"{EXPIRES}={int(time() + seconds)}")
    signed = _signed_bytes(unquote_to_bytes(parts.path), _pairs("&".join(query).encode()))
    query.append(f"{SIGNATURE}={_signature(_keys(_get_app())[0], purpose, signed).decode()}")
    return parts._replace(query="&".join(query)).geturl()


def verify_url(url: str | None = None, *, purpose: str = "") -> bool:
    """Whether ``url``, or the current request's, was signed for ``purpose`` and has not expired.

    The order of the parameters counts, and none may be added: all of them are signed.
    """
    if url is None:
        environ = _get_request_context().head.environ
        text = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        path = text.encode("latin-1", "replace")  # PEP 3333: each character is one byte
        query = environ.get("QUERY_STRING", "").encode("latin-1", "replace")
    else:
        try:
            parts = urlsplit(url)
        except ValueError:  # half an IPv6 address, for one
            return False
        path = unquote_to_bytes(parts.path.encode("utf-8", "surrogatepass"))
        query = parts.query.encode("utf-8", "surrogatepass")
    pairs = list(_pairs(query))
    given = [value for name, value in pairs if name == SIGNATURE.encode()]
    expiries = [value for name, value in pairs if name == EXPIRES.encode()]
    if len(given) != 1 or len(expiries) > 1:
        return False
    signed = _signed_bytes(path, (pair for pair in pairs if pair[0] != SIGNATURE.encode()))
    # Each key is tried, so that the time taken does not tell which one it was.
    good = [
        hmac.compare_digest(_signature(key, purpose, signed), given[0]) for key in _keys(_get_app())
    ]
    if not any(good):
        return False
    return not expiries or (
        _SECONDS.fullmatch(expiries[0]) is not None and time() < int(expiries[0])
    )


def _pairs(query: bytes) -> Iterator[_Pair]:
    """The decoded parameters of a query: browsers differ in what they percent-encode."""
    for item in query.split(b"&"):
        if item:
            name, _, value = item.partition(b"=")
            yield (
                unquote_to_bytes(name.replace(b"+", b" ")),
                unquote_to_bytes(value.replace(b"+", b" ")),
            )


def _signed_bytes(path: bytes, pairs: t.Iterable[_Pair]) -> bytes:
    """Path and parameters as one text, with lengths, so that no two of them read the same."""
    parts = [path]
    for pair in pairs:
        parts.extend(pair)
    return b"".join(b"%d:%s" % (len(part), part) for part in parts)


def _signature(key: bytes, purpose: str, signed: bytes) -> bytes:
    derived = hmac.digest(key, b"carboy.signed-url:" + purpose.encode(), "sha256")
    return urlsafe_b64encode(hmac.digest(derived, signed, "sha256")).rstrip(b"=")


def _keys(app: Carboy) -> list[bytes]:
    """The secret keys, the current one first. RuntimeError if there is none."""
    key = app.secret_key
    if not key:
        raise RuntimeError(
            "URLs cannot be signed because no secret key is set. Set SECRET_KEY; `carboy secret`"
            " makes one."
        )
    keys = [key, *(app.config.get("SECRET_KEY_FALLBACKS") or ())]
    return [item.encode() if isinstance(item, str) else bytes(item) for item in keys if item]
