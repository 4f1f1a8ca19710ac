"""The sixteen requests that are measured, as WSGI environs; nothing here knows a framework."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

ROWS_IN_TEMPLATE = 12
ROWS_IN_JSON = 100
CHUNKS = 20
ROUTES = 1000
SECRET_KEY = "a key for the benchmark only"
SALT = "cookie-session"

PEOPLE = [
    {"id": number, "name": f"Person <{number}>", "email": f"person{number}@example.org"}
    for number in range(ROWS_IN_TEMPLATE)
]
ROWS = [
    {
        "id": number,
        "name": f"Vessel {number}",
        "imo": 9_000_000 + number,
        "lat": 48.5 + number / 100,
        "lon": -4.5 - number / 100,
        "active": number % 3 == 0,
    }
    for number in range(ROWS_IN_JSON)
]
CONTACT = {"name": "Ada Lovelace", "email": "ada@example.org", "topic": "engines", "age": "36"}
MESSAGE = {"id": 17, "text": "Hello, harbour", "tags": ["a", "b"], "nested": {"x": 1.5, "y": None}}


@dataclass(frozen=True)
class Case:
    """One request and what may differ between two right answers to it."""

    name: str
    title: str
    path: str
    method: str = "GET"
    query: str = ""
    body: bytes = b""
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    # Response headers that the peers' answers must share with Flask's (Carboy's must share all).
    compared: tuple[str, ...] = ("content-type",)
    same_body: bool = True
    # The cookies of a first response are sent with every later request.
    keeps_cookies: bool = False
    # Carboy may take this share of Flask's time.
    limit: float = 1 / 5
    # Carboy may take this share of Falcon's time, where that is a goal.
    falcon_limit: float = 0
    # Name of the function in `libraries.py` that does the library's part of the work alone.
    library: str = ""

    def environ(self) -> dict[str, Any]:
        """A new environ, without `wsgi.input`."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": self.path,
            "QUERY_STRING": self.query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "54321",
            "HTTP_HOST": "localhost:8000",
            "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0",
            "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.5",
            "HTTP_CONNECTION": "keep-alive",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": BytesIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if self.body:
            environ["CONTENT_LENGTH"] = str(len(self.body))
            environ["CONTENT_TYPE"] = self.content_type
        environ |= {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in self.headers.items()}
        return environ


def _multipart() -> bytes:
    boundary = b"--benchmark-boundary\r\n"
    part = boundary + b'Content-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    upload = (
        boundary + b'Content-Disposition: form-data; name="chart"; filename="chart.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + bytes(range(256)) * 64 + b"\r\n"
    )
    end = b"--benchmark-boundary--\r\n"
    return part % (b"title", b"A chart") + part % (b"author", b"Ada") + upload + end


CASES = [
    Case("text", "text", "/text", limit=1 / 15, falcon_limit=1.0),
    Case("json", "JSON", "/json", limit=1 / 15, falcon_limit=1.0),
    Case(
        "path",
        "path parameter + query",
        "/vessels/4711/track",
        query="since=2024-01-01&limit=50",
        limit=1 / 15,
        falcon_limit=1.0,
    ),
    Case(
        "echo",
        "JSON echo",
        "/echo",
        method="POST",
        body=json.dumps(MESSAGE).encode(),
        content_type="application/json",
        limit=1 / 15,
        falcon_limit=1.0,
    ),
    Case(
        "form",
        "form",
        "/form",
        method="POST",
        body=b"name=Ada+Lovelace&email=ada%40example.org&topic=engines&age=36",
        content_type="application/x-www-form-urlencoded",
    ),
    Case(
        "multipart",
        "multipart upload, 16 KiB",
        "/upload",
        method="POST",
        body=_multipart(),
        content_type="multipart/form-data; boundary=benchmark-boundary",
        library="multipart",
    ),
    Case(
        "session",
        "session read and write",
        "/session",
        keeps_cookies=True,
        compared=("content-type", "set-cookie"),
        library="session",
    ),
    Case("template", f"template with {ROWS_IN_TEMPLATE} rows", "/people", library="template"),
    Case("rows", f"{ROWS_IN_JSON}-row JSON", "/rows", library="rows"),
    Case("stream", f"streaming, {CHUNKS} chunks", "/stream"),
    Case("urls", "ten url_for", "/urls"),
    Case(
        "cookies",
        "cookies and headers",
        "/cookies",
        headers={"Cookie": "theme=dark; lang=en; token=abc123", "X-Request-ID": "r-17"},
        compared=("content-type", "x-request-id", "x-theme", "cache-control"),
    ),
    Case(
        "hooks",
        "blueprint with five hooks",
        "/part/hooked",
        compared=("content-type", "x-steps"),
    ),
    Case("routes", f"{ROUTES:,} routes", "/area743/4711/end"),
    Case(
        "static",
        "static file, 8 KiB",
        "/static/style.css",
        compared=(),  # Falcon leaves the charset out, others the length
        library="static",
    ),
    Case("missing", "404", "/nowhere", compared=(), same_body=False),
]

# Not one of the sixteen: what `routes` is held against, and measured right after it.
ONE_ROUTE = Case("one_route", "one route", "/area743/4711/end")
_after = [case.name for case in CASES].index("routes") + 1
ALL = [*CASES[:_after], ONE_ROUTE, *CASES[_after:]]
BY_NAME = {case.name: case for case in ALL}
