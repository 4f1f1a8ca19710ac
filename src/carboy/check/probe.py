"""One request through the whole application, to see what its answers carry."""

from __future__ import annotations

import io
import secrets
import typing as t

if t.TYPE_CHECKING:
    from carboy.app import Carboy


def headers_of_an_answer(app: Carboy) -> dict[str, str]:
    """The headers, by lower-case name, of the answer to a GET for an address that is not there.

    The request comes by https and names a trusted host, so that nothing special is in its way.
    """
    trusted = [name for name in app.config.get("TRUSTED_HOSTS") or () if isinstance(name, str)]
    host = trusted[0].lstrip(".") if trusted else app.config.get("SERVER_NAME") or "localhost"
    environ: dict[str, t.Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": f"/{secrets.token_hex(8)}",
        "QUERY_STRING": "",
        "SERVER_NAME": host,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": host,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": True,
    }
    seen: dict[str, str] = {}

    def start(status: str, headers: list[tuple[str, str]], exc_info: t.Any = None) -> t.Any:
        seen.update((name.lower(), value) for name, value in headers)
        return lambda data: None

    body: t.Any = app(environ, start)
    try:
        for _ in body:
            pass
    finally:
        if hasattr(body, "close"):
            body.close()
    return seen
