"""The access log: a line for each request, in which no client can forge another one."""

from __future__ import annotations

import logging
import re
import time
import typing as t

logger = logging.getLogger("carboy.access")

#: What a format may hold, besides ``%(in:NAME)s`` and ``%(out:NAME)s`` for headers.
FIELDS = frozenset(
    ("addr", "time", "method", "path", "query", "scheme", "protocol", "status", "size", "ms", "id")
)

_FIELD = re.compile(r"%\(([^)]*)\)s|%(.?)", re.DOTALL)
_UNSAFE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e\xa1-\u2027\u202f-\u205f\u2070-\U0010ffff]")


class BadFormat(ValueError):
    """The format of the access log cannot be written."""


def check_format(form: str) -> list[str]:
    """The fields of a format. Raises BadFormat for one that is not known."""
    fields = []
    for match in _FIELD.finditer(form):
        name, escape = match[1], match[2]
        if name is None:
            if escape != "%":
                raise BadFormat(f"{match[0]!r} is no field: fields are %(name)s, a percent is %%.")
            continue
        if name not in FIELDS and not re.fullmatch(r"(in|out):[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise BadFormat(
                f"%({name})s is no field. There are {', '.join(sorted(FIELDS))}, and in:NAME and"
                " out:NAME for a header of the request and of the answer."
            )
        fields.append(name)
    return fields


def safe(text: str) -> str:
    """Text on one line: control characters, quotes and backslashes are spelt out."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text).replace(
        '"', '\\"'
    )


class AccessLog:
    """Writes the lines of one format."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._headers = [name for name in check_format(form) if ":" in name]

    def write(
        self,
        scope: t.Mapping[str, t.Any],
        status: int,
        headers: t.Iterable[tuple[bytes, bytes]],
        size: int,
        seconds: float,
    ) -> None:
        """One line; ``status`` is 0 where nobody was answered."""
        answered = _dict(headers)
        asked = _dict(scope["headers"])
        request_id = answered.get("x-request-id") or asked.get("x-request-id") or "-"
        client = scope.get("client")
        fields: dict[str, t.Any] = {
            "addr": client[0] if client else "-",
            "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "method": safe(scope.get("method", "GET")),
            "path": safe(scope["path"]),
            "query": safe(scope.get("query_string", b"").decode("latin-1")),
            "scheme": scope.get("scheme", "http"),
            "protocol": f"HTTP/{scope.get('http_version', '1.1')}",
            "status": status or "-",
            "size": size,
            "ms": f"{seconds * 1000:.1f}",
            "id": safe(request_id),
        }
        for name in self._headers:
            side, _, header = name.partition(":")
            found = asked if side == "in" else answered
            fields[name] = safe(found.get(header.lower(), "-"))
        logger.info(self._form, fields)


def _dict(headers: t.Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
