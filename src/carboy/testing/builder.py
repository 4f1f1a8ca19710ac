"""`EnvironBuilder`: a WSGI environ whose host, root and scheme come from the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import werkzeug.test

if TYPE_CHECKING:
    from carboy.app import Carboy


class EnvironBuilder(werkzeug.test.EnvironBuilder):
    """Builds the environ of a test request to `app`.

    `path` may be an absolute URL. Without `base_url` the address is composed of
    `PREFERRED_URL_SCHEME` (or `url_scheme`), `subdomain`, `SERVER_NAME` (or `localhost`) and
    `APPLICATION_ROOT`. All further arguments are those of `werkzeug.test.EnvironBuilder`;
    `json=` is written by the application's JSON provider.

    Raises `AssertionError` when `base_url` stands beside `subdomain` or `url_scheme`.
    """

    def __init__(
        self,
        app: Carboy,
        path: str = "/",
        base_url: str | None = None,
        subdomain: str | None = None,
        url_scheme: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        # The parent's constructor already writes JSON bodies through the application.
        self.app = app
        if base_url is None:
            base_url, path = _split_address(app, path, subdomain, url_scheme)
        elif subdomain or url_scheme:
            raise AssertionError('Cannot pass "subdomain" or "url_scheme" with "base_url".')
        super().__init__(path, base_url, *args, **kwargs)

    def json_dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return `obj` as JSON text, written by the application's provider."""
        return self.app.json.dumps(obj, **kwargs)


def _split_address(
    app: Carboy, address: str, subdomain: str | None, url_scheme: str | None
) -> tuple[str, str]:
    """Return the base URL of a request to `address`, and the path that remains below it."""
    config = app.config
    parts = urlsplit(address)
    scheme = parts.scheme or (config["PREFERRED_URL_SCHEME"] if url_scheme is None else url_scheme)
    host = parts.netloc
    if not host:
        names = (subdomain, config.get("SERVER_NAME") or "localhost")
        host = ".".join(name for name in names if name)
    root = config["APPLICATION_ROOT"].lstrip("/")
    path = parts.path if not parts.query else f"{parts.path}?{parts.query}"
    return f"{scheme}://{host}/{root}", path
