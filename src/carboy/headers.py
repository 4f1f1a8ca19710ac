"""Response headers that refuse, when they are set, what HTTP cannot carry.

A line break in a value would begin another header, and a NUL, or a name that is no name, makes
servers and proxies disagree about where one ends. The mistake is reported where it is made.
"""

from __future__ import annotations

import re
import time
import typing as t
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

from werkzeug.datastructures import Headers as HeadersBase
from werkzeug.http import HTTP_STATUS_CODES, dump_options_header
from werkzeug.utils import get_content_type

from .dates import http_date

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 section 5.5
_REASON = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9112 section 4

#: What browsers drop from an address before they look at it (the WHATWG URL standard), and DEL.
_DROPPED = re.compile(r"^[\x00-\x20]+|[\x00-\x1f\x7f]")
_ADDRESSES = frozenset({"location", "content-location"})
_SCRIPTS = frozenset({"javascript", "vbscript", "data"})

_DOMAIN = re.compile(r"[^\s;,=\"\\\x00-\x20\x7f]*")

#: Names that were looked at and found good: an application has few.
_good_names: set[str] = set()
_KEPT = 1024


def is_token(name: t.Any) -> bool:
    """Whether ``name`` may be the name of a header or a cookie (RFC 9110, RFC 6265)."""
    if name in _good_names:
        return True
    if not isinstance(name, str) or _TOKEN.fullmatch(name) is None:
        return False
    if len(_good_names) < _KEPT:
        _good_names.add(name)
    return True


def check_name(name: t.Any) -> None:
    """Raise ValueError for a text that cannot be a header's name."""
    if not is_token(name):
        raise ValueError(
            f"{name!r} cannot be the name of a header: only ASCII letters, digits and"
            " !#$%&'*+-.^_`|~ may be in it (RFC 9110 section 5.1). Is the name taken from"
            " something that a client sent?"
        )


def value_of(name: str, value: t.Any) -> str:
    """The text of a header value. Raises ValueError for characters that it cannot have.

    These are control characters but for the tab (RFC 9110 section 5.5: servers refuse them, some by
    failing) and what is not Latin-1 (PEP 3333); an address may have the latter, because it is
    encoded when it is sent.
    """
    text: str = value if isinstance(value, str) else str(value)
    # PERF: nearly always true, and a third of a search; 0.1 µs a header.
    if text.isascii() and text.isprintable():
        return text
    if _CONTROL.search(text) is not None:
        raise ValueError(
            f"Header values must not contain newline or control characters, but {name!r} was to be"
            f" {text[:200]!r}. Quote or drop what came from outside before it goes into a header."
        )
    if max(text, default="") > "\xff" and name.lower() not in _ADDRESSES:
        raise ValueError(
            f"Header values are sent as Latin-1, but {name!r} was to be {text[:200]!r}."
            " Percent-encode it, for instance with urllib.parse.quote."
        )
    return text


def location_of(value: t.Any) -> str:
    """The address that ``Location`` may carry, as browsers will understand it.

    Control characters, which browsers drop, are percent-encoded, so that ``/\\t/evil.test`` does
    not turn into ``//evil.test``. Raises ValueError for an address that runs a script.
    """
    text: str = value if isinstance(value, str) else str(value)
    if not text.isprintable() or text[:1] == " ":
        text = _DROPPED.sub(lambda found: "".join(f"%{ord(c):02X}" for c in found[0]), text)
        bare = re.sub(r"%[01][0-9A-F]|%20|%7F", "", text)
    else:
        bare = text
    scheme, colon, _ = bare.partition(":")
    if colon and scheme.lower() in _SCRIPTS:
        raise ValueError(
            f"A redirect to {text[:80]!r} is refused: {scheme.lower()}: addresses run what they"
            " contain. If the address came from the client, compare it with those that you expect."
        )
    return text


def check_pairs(pairs: t.Iterable[tuple[str, str]]) -> None:
    """Raise ValueError if one of these headers could not have been set here."""
    for name, value in pairs:
        check_name(name)
        value_of(name, value)


def status_of(value: t.Any) -> tuple[str, int]:
    """The status line's end and the code of ``404``, ``"404"`` or ``"404 Not here"``.

    Raises ValueError outside 100 to 999 and for a reason phrase with control characters, and
    TypeError for what is neither a number nor a text.
    """
    if isinstance(value, int):
        code, reason = int(value), ""
    elif isinstance(value, str):
        if not value.strip():
            raise ValueError("Empty status argument")
        digits, _, reason = value.rstrip(" ").partition(" ")
        code = int(digits) if len(digits) == 3 and digits.isascii() and digits.isdigit() else 0
    else:
        raise TypeError(f"A status is a number or a text, not a {type(value).__name__}.")
    if not 100 <= code <= 999 or _REASON.fullmatch(reason) is None:
        raise ValueError(
            f"{value!r} is not a status: it is a number from 100 to 999, or a text such as"
            " '404 Not Found' that begins with one and has no control characters"
            " (RFC 9110 section 15)."
        )
    return f"{code} {reason or HTTP_STATUS_CODES.get(code, 'unknown').upper()}", code


#: A date of HTTP (RFC 9110 section 5.6.7), of seconds since 1970.
date_of = lru_cache(maxsize=512)(http_date)

_COOKIE_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")  # RFC 6265 section 4.1.1, cookie-octet
_COOKIE_PATH = "%!$&'()*+,/:=@"
_SAME_SITE = frozenset({"Strict", "Lax", "None"})


#: The control characters that Werkzeug leaves as they are in a quoted cookie, in octal.
LEFT_BARE = {code: f"\\{code:03o}" for code in range(0x1A, 0x20)}


#: The plain form of a CookieScope.
Scope = tuple[str | None, str | None, bool, bool, str | None, bool]


class CookieScope(t.NamedTuple):
    """Where a cookie is sent and who may read it: the attributes that seldom change."""

    path: str | None
    domain: str | None
    secure: bool
    httponly: bool
    samesite: str | None
    partitioned: bool


@lru_cache(maxsize=256)
def cookie_attributes(name: str, scope: CookieScope | Scope) -> tuple[str, str]:
    """The attributes of a cookie before and after its expiry. Raises ValueError for bad ones."""
    path, domain, secure, httponly, samesite, partitioned = scope
    if not is_token(name):
        raise ValueError(
            f"{name!r} cannot be the name of a cookie: only ASCII letters, digits and"
            " !#$%&'*+-.^_`|~ may be in it (RFC 6265 section 4.1.1)."
        )
    if domain is not None and _DOMAIN.fullmatch(domain) is None:
        raise ValueError(
            f"{domain!r} cannot be a cookie's domain: it is a host name such as 'example.org'."
        )
    if samesite is not None and (samesite := samesite.title()) not in _SAME_SITE:
        raise ValueError("SameSite must be 'Strict', 'Lax', or 'None'.")
    before = ""
    if domain is not None:
        host = domain.partition(":")[0].lstrip(".").encode("idna").decode("ascii")
        before = f"; Domain={host}"
    after = "; Secure" if secure or partitioned else ""
    if httponly:
        after += "; HttpOnly"
    if path is not None:
        after += f"; Path={quote(path, safe=_COOKIE_PATH)}"
    if samesite is not None:
        after += f"; SameSite={samesite}"
    if partitioned:
        after += "; Partitioned"
    return before, after


def plain_cookie(
    name: str,
    value: str,
    max_age: timedelta | int | None,
    expires: str | datetime | float | None,
    scope: CookieScope | Scope,
) -> str | None:
    """The Set-Cookie header for a value that needs no quotes, or None: ask Werkzeug.

    Raises ValueError for a name, domain or ``samesite`` that would add attributes of its own.
    """
    before, after = cookie_attributes(name, scope)
    if isinstance(max_age, timedelta):
        max_age = int(max_age.total_seconds())
    if not isinstance(value, str) or _COOKIE_VALUE.fullmatch(value) is None:
        return None
    until = ""
    if expires is not None:
        if isinstance(expires, str):
            return None
        until = f"; Expires={http_date(expires)}"
    if max_age is not None:
        if type(max_age) is not int:
            return None
        if expires is None:
            until = f"; Expires={date_of(int(time.time() + max_age))}"
        until += f"; Max-Age={max_age}"
    return f"{name}={value}{before}{until}{after}"


class Headers(HeadersBase):
    """The headers of a response, in order: Werkzeug's class with checks of what is set.

    Setting a name or a value that HTTP cannot carry raises :exc:`ValueError`.
    """

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HeadersBase):
            return NotImplemented
        mine, others = ({(k.lower(), v) for k, v in pairs} for pairs in (self, other))
        return mine == others

    def add(self, key: str, value: t.Any, /, **kwargs: t.Any) -> None:
        """Append a header, also where there is one of this name.

        Further arguments become the value's parameters, ``_`` as ``-`` in their names.
        """
        self._list.append(_pair(key, value, kwargs))

    def set(self, key: str, value: t.Any, /, **kwargs: t.Any) -> None:
        """Put one header in the place of those of this name; else as :meth:`add` does."""
        if (
            type(value) is str
            and key in _good_names
            and len(key) != 8
            and not kwargs
            and value.isascii()
            and value.isprintable()
        ):
            # PERF: as _pair sees it, without the calls; bench case "cookies and headers".
            pair = (key, value)
        else:
            pair = _pair(key, value, kwargs)
        listed = self._list
        lowered = key.lower()
        size = len(key)
        for name, _ in listed:
            if len(name) == size and name.lower() == lowered:
                break
        else:
            listed.append(pair)
            return
        places = [place for place, (name, _) in enumerate(listed) if name.lower() == lowered]
        listed[places[0]] = pair
        for place in reversed(places[1:]):
            del listed[place]

    def __setitem__(self, key: t.Any, value: t.Any) -> None:
        if isinstance(key, str):
            self.set(key, value)
        elif isinstance(key, int):
            self._list[key] = _pair(*value)
        else:
            self._list[key] = [_pair(*pair) for pair in value]

    if not t.TYPE_CHECKING:
        # PERF: Werkzeug's way raises a 400 for a name that is not there, and catches it; 2 µs,
        # bench case "session".

        def get(self, key: str, default: t.Any = None, type: t.Any = None) -> t.Any:
            """The first value of ``key``, passed through ``type``; without it ``default``."""
            lowered = key.lower()
            for name, value in self._list:
                if name.lower() == lowered:
                    try:
                        return value if type is None else type(value)
                    except ValueError:
                        return default
            return default

        def __contains__(self, key: object) -> bool:
            if not isinstance(key, str):
                return False
            lowered = key.lower()
            return any(name.lower() == lowered for name, _ in self._list)

    def copy(self) -> t.Self:
        """Another object with the same headers."""
        made = type(self)()
        made._list = list(self._list)
        return made


def _pair(key: str, value: t.Any, parameters: dict[str, t.Any] | None = None) -> tuple[str, str]:
    if key not in _good_names:
        check_name(key)
    if parameters:
        options = {name.replace("_", "-"): text for name, text in parameters.items()}
        value = dump_options_header(value, options)
    if len(key) == 8 and key.lower() == "location":
        value = location_of(value)
    return key, value_of(key, value)


@lru_cache(maxsize=128)
def content_type_of(mimetype: str, charset: str) -> str:
    """The Content-Type of a media type: text has the charset in it. ValueError for a bad one."""
    return value_of("Content-Type", get_content_type(mimetype, charset))


class _ContentTypes(dict[str, tuple[str, str]]):
    def __missing__(self, mimetype: str) -> tuple[str, str]:
        pair = ("Content-Type", content_type_of(mimetype, "utf-8"))
        if len(self) < 128:
            self[mimetype] = pair
        return pair


#: The Content-Type header of each media type, as UTF-8 where it is text. ValueError for a bad one.
CONTENT_TYPES = _ContentTypes()


class _Lengths(dict[int, tuple[str, str]]):
    def __missing__(self, size: int) -> tuple[str, str]:
        return "Content-Length", str(size)


# PERF: a number takes 0.06 µs to write; bench case "text".
#: The Content-Length header of each size of a body; those of short ones are kept.
LENGTHS = _Lengths((size, ("Content-Length", str(size))) for size in range(512))
