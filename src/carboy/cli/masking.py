"""Secrets out of error pages: which values are secret, and how a text is freed of them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

MASK = "[hidden]"

#: Names whose values are taken for secret, in the environment and in the configuration.
_SECRET_NAME = re.compile(
    r"KEY|SECRET|TOKEN|PASS|PWD|DSN|CREDENTIAL|PRIVATE|SIGNATURE|CERTIFICATE"
    r"|(?:^|_)(?:AUTH|SALT|PIN|CONNECTION_STRING)(?:_|$)",
    re.IGNORECASE,
)
#: Names that look like it and hold nothing but a folder or a socket of the shell.
_NOT_SECRET = frozenset(("PWD", "OLDPWD", "SSH_AUTH_SOCK"))

# RFC 3986 §3.2.1: scheme://user:password@host. The user may be empty, as Redis has it.
_URL_WITH_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:(?P<password>[^\s/@]+)@\S*")

# A shorter value ("dev", "1") may be part of any word: only where it stands in quotes.
_LONG_ENOUGH = 6
_SHORTEST = 2
_DEPTH = 4


def secret_values(*tables: Mapping[str, Any]) -> set[str]:
    """Return the values in `tables` that look secret, by their name or because a URL in them
    holds a password. Lists and dictionaries are searched as well."""
    found: set[str] = set()
    for table in tables:
        for name, value in table.items():
            found.update(_secrets_in(str(name), value, secret=False, depth=_DEPTH))
    return {value for value in found if len(value) >= _SHORTEST}


def _secrets_in(name: str, value: object, *, secret: bool, depth: int) -> Iterator[str]:
    secret = secret or (name not in _NOT_SECRET and _SECRET_NAME.search(name) is not None)
    if isinstance(value, (bytes, bytearray)):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        if secret:
            yield from _whole_and_lines(value)
        for url in _URL_WITH_PASSWORD.finditer(value):
            password = url["password"]
            yield from (url[0], password, unquote(password), f":{password}@")
    elif isinstance(value, Mapping) and depth:
        for key, item in list(value.items()):
            yield from _secrets_in(str(key), item, secret=secret, depth=depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)) and depth:
        for item in list(value):
            yield from _secrets_in("", item, secret=secret, depth=depth - 1)
    elif secret and isinstance(value, int) and not isinstance(value, bool):
        yield str(value)


def _whole_and_lines(value: str) -> Iterator[str]:
    """A secret of several lines, such as a PEM key, may be shown a line at a time."""
    yield value
    if value.strip() != value:
        yield value.strip()
    lines = value.strip().splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if not line.startswith("-----"))


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return `text`, plain or HTML, with each of `secrets` replaced by a mark.

    The forms that a value takes in HTML, in a `repr`, in JSON and in a URL are found too.
    """
    patterns: dict[str, None] = {}
    for secret in sorted(secrets, key=len, reverse=True):
        for form in _forms(secret):
            if len(form) >= _LONG_ENOUGH:
                patterns[re.escape(form)] = None
            else:
                patterns[rf"(?<=[\"']){re.escape(form)}(?=[\"'])"] = None
                patterns[rf"(?<=&#3[49];){re.escape(form)}(?=&#3[49];)"] = None
    if not patterns:
        return text
    return re.sub("|".join(patterns), MASK, text)


def _forms(secret: str) -> dict[str, None]:
    """The spellings of `secret` on a page, the longest first so that none is half replaced."""
    plain = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe="")}
    # Werkzeug writes the text version into an HTML comment, where it shortens runs of hyphens.
    plain |= {re.sub("-{2,}", "-", form) for form in plain}
    # html.escape writes the apostrophe as &#x27;, MarkupSafe as &#39;, and the quote as &#34;.
    escaped = {html.escape(form, quote=False) for form in plain}
    escaped |= {form.replace("'", "&#39;").replace('"', "&#34;") for form in escaped}
    return dict.fromkeys(sorted(plain | escaped, key=len, reverse=True))
