"""Are two answers to one request the same, as far as they have to be?"""

from __future__ import annotations

import base64
import json
import re
from http.cookies import SimpleCookie
from typing import Any

from bench.cases import Case

Reply = dict[str, Any]

# Signed values and dates change with the second in which they are made.
_CHANGING = ("expires",)


def differences(case: Case, flask: Reply, other: Reply, *, strict: bool) -> list[str]:
    """What is wrong with `other`; with `strict` every header and byte must be as Flask's."""
    found = []
    if flask["status"].split()[0] != other["status"].split()[0]:
        found.append(f"status {other['status']}, Flask's is {flask['status']}")
    if (strict or case.same_body) and _body(flask, strict) != _body(other, strict):
        found.append(
            f"body {_body(other, strict)!r:.200}, Flask's is {_body(flask, strict)!r:.200}"
        )
    theirs, ours = _headers(flask, strict), _headers(other, strict)
    names = sorted({*theirs, *ours}) if strict else case.compared
    for name in names:
        if theirs.get(name) != ours.get(name):
            found.append(f"{name}: {ours.get(name)}, Flask's is {theirs.get(name)}")
    return found


def _body(reply: Reply, strict: bool) -> Any:
    raw = base64.b64decode(reply["body"])
    if not strict and (_headers(reply).get("content-type") or [""])[0].startswith(
        "application/json"
    ):
        return json.loads(raw)
    return raw


def _headers(reply: Reply, strict: bool = True) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in reply["headers"]:
        name = name.lower()
        if name == "set-cookie":
            value = _cookie(value, strict)
        elif name == "content-type":
            value = re.sub(r"\s*;\s*", "; ", value.lower())
            value = value.replace("json; charset=utf-8", "json")
        elif name == "date":
            continue
        found.setdefault(name, []).append(value)
    return {name: sorted(values) for name, values in found.items()}


def _cookie(text: str, strict: bool) -> str:
    """A cookie with its attributes in one order; a signed value gives way to `…`.

    Other frameworks have other defaults for a session cookie's attributes.
    """
    (name, morsel), *_ = SimpleCookie(text).items()
    value = "…" if name == "session" else morsel.value
    if name == "session" and not strict:
        return name
    attributes = {k: v for k, v in morsel.items() if v and k not in _CHANGING}
    return f"{name}={value}; {sorted(attributes.items())}"
