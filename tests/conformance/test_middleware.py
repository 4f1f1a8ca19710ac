"""WSGI middleware around ``app.wsgi_app`` sees each request, whichever door it came through."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from carboy import Carboy, request
from carboy.testing.doors import DOORS

from .conftest import environ_for, through


def test_proxy_fix(app: Any, visit: Any, dye: Any) -> None:
    """The address and the scheme are those that the proxy tells."""
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)
    app.add_url_rule("/", "view", dye(lambda: f"{request.remote_addr} {request.scheme}"))
    headers = {"X-Forwarded-For": "10.1.1.1", "X-Forwarded-Proto": "https"}
    assert visit(headers=headers).text == "10.1.1.1 https"


def test_middleware_that_changes_the_answer(app: Any, visit: Any, dye: Any) -> None:
    """Status, headers and body are the middleware's."""
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response("299 Own", [*headers, ("X-Middleware", "1")], exc_info)

        yield from inner(environ, start)
        yield b" and more"

    app.wsgi_app = middleware
    app.add_url_rule("/", "view", dye(lambda: iter(["stream"])))
    answer = visit()
    assert (answer.code, answer.text, answer.get("x-middleware")) == (299, "stream and more", "1")


def test_a_subclass_with_its_own_wsgi_app(door: str, dye: Any) -> None:
    """It is gone through."""
    seen = []

    class Own(Carboy):
        def wsgi_app(self, environ: Any, start_response: Any) -> Any:
            seen.append(environ["PATH_INFO"])
            return super().wsgi_app(environ, start_response)

    app = Own("own")
    app.add_url_rule("/", "view", dye(lambda: "view"))
    assert through(door, app, environ_for()).text == "view"
    assert seen == ["/"]


@pytest.mark.parametrize("door", sorted(DOORS))
def test_middleware_that_fails(app: Any, door: str) -> None:
    """Its error comes out of the door."""

    def middleware(environ: Any, start_response: Any) -> Any:
        raise KeyError("middleware")

    app.wsgi_app = middleware
    with pytest.raises(KeyError, match="middleware"):
        through(door, app, environ_for())
