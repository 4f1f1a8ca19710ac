"""Who is measured: a name, the protocol it is called by, and where its applications are built."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cases import BY_NAME, Case


@dataclass(frozen=True)
class Contestant:
    name: str
    title: str
    # wsgi, asgi, rsgi, or call: a plain function without a request
    door: str
    # Module of `bench.apps` that builds its applications.
    module: str
    package: str = ""
    # Its answers must be Flask's, every header and byte.
    exact: bool = False
    # Plain functions or `async def`; "defaults": plain, on Carboy's own default settings.
    views: str = "sync"
    # Installed by bench/requirements.txt; the others by bench/requirements-peers.txt.
    quick: bool = False
    without: frozenset[str] = frozenset()

    def runs(self, case: Case) -> bool:
        if self.door == "call":
            return bool(case.library)
        return case.name not in self.without

    @property
    def is_carboy(self) -> bool:
        return self.package == "carboy"


def _carboy(name: str, title: str, door: str, views: str) -> Contestant:
    return Contestant(name, title, door, "flask_like", "carboy", True, views, quick=True)


_NO_URLS = frozenset({"urls"})
ALL = [
    _carboy("carboy", "Carboy", "wsgi", "sync"),
    Contestant("flask", "Flask", "wsgi", "flask_like", "flask", True, quick=True),
    Contestant("falcon", "Falcon", "wsgi", "falcon_app", quick=True, without=_NO_URLS),
    Contestant("bottle", "Bottle", "wsgi", "bottle_app", without=_NO_URLS),
    Contestant("django", "Django", "wsgi", "django_app", without=frozenset({"static"})),
    Contestant("bare", "bare WSGI", "wsgi", "bare", quick=True),
    Contestant("library", "library", "call", "libraries", quick=True),
    _carboy("carboy-asgi", "Carboy ASGI", "asgi", "async"),
    _carboy("carboy-asgi-sync", "Carboy ASGI, sync views", "asgi", "sync"),
    Contestant("starlette", "Starlette", "asgi", "starlette_app"),
    Contestant("fastapi", "FastAPI", "asgi", "fastapi_app"),
    Contestant(
        "litestar", "Litestar", "asgi", "litestar_app", without=frozenset({"urls", "session"})
    ),
    Contestant("blacksheep", "BlackSheep", "asgi", "blacksheep_app", without=_NO_URLS),
    Contestant("quart", "Quart", "asgi", "quart_app"),
    Contestant("bare-asgi", "bare ASGI", "asgi", "bare", quick=True),
    _carboy("carboy-rsgi", "Carboy RSGI", "rsgi", "async"),
    _carboy("carboy-rsgi-sync", "Carboy RSGI, sync views", "rsgi", "sync"),
    Contestant("bare-rsgi", "bare RSGI", "rsgi", "bare", quick=True),
    # Flask's own way to an `async def` view: a loop and a thread for each request.
    Contestant(
        "flask-async",
        "Flask, async views",
        "wsgi",
        "flask_like",
        "flask",
        True,
        "async",
        without=frozenset(BY_NAME) - {"text", "json", "path"},
    ),
    Contestant(
        "carboy-defaults",
        "Carboy, own defaults",
        "wsgi",
        "flask_like",
        "carboy",
        views="defaults",
        quick=True,
    ),
    _carboy("carboy-async", "Carboy WSGI, async views", "wsgi", "async"),
]
NAMED = {each.name: each for each in ALL}
