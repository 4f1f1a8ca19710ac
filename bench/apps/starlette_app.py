"""The same applications on Starlette; the routes of its sister FastAPI reuse the parts below."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from bench import cases
from bench.apps.common import HERE, TITLE


def build(name: str) -> Any:
    routes, middleware = BUILDERS[name]()
    return Starlette(routes=routes, middleware=middleware)


def _text() -> Any:
    async def text(request: Request) -> Response:
        return HTMLResponse("Hello, World!")

    return [Route("/text", text)], []


def _json() -> Any:
    async def message(request: Request) -> Response:
        return JSONResponse({"message": "Hello, World!", "id": 17})

    return [Route("/json", message)], []


def _path() -> Any:
    async def track(request: Request) -> Response:
        number = request.path_params["number"]
        since = request.query_params["since"]
        limit = int(request.query_params.get("limit", 10))
        return HTMLResponse(f"{number + 1} {since} {limit + 1}")

    return [Route("/vessels/{number:int}/track", track)], []


def _echo() -> Any:
    async def echo(request: Request) -> Response:
        return JSONResponse(await request.json())

    return [Route("/echo", echo, methods=["POST"])], []


def _form() -> Any:
    async def form(request: Request) -> Response:
        async with request.form() as fields:
            return HTMLResponse(
                f"{fields['name']} {fields['email']} {fields['topic']} {fields['age']}"
            )

    return [Route("/form", form, methods=["POST"])], []


def _multipart() -> Any:
    async def upload(request: Request) -> Response:
        async with request.form() as fields:
            chart: Any = fields["chart"]
            data = await chart.read()
            return HTMLResponse(f"{fields['title']} {chart.filename} {len(data)}")

    return [Route("/upload", upload, methods=["POST"])], []


def _session() -> Any:
    async def visit(request: Request) -> Response:
        name = request.session.get("name", "Ada")
        request.session["name"] = name
        return HTMLResponse(f"Hello, {name}")

    signed = Middleware(SessionMiddleware, secret_key=cases.SECRET_KEY, max_age=None)
    return [Route("/session", visit)], [signed]


def _template() -> Any:
    templates = Jinja2Templates(HERE / "templates")

    async def people(request: Request) -> Response:
        context = {"title": TITLE, "people": cases.PEOPLE}
        return templates.TemplateResponse(request, "people.html", context)

    return [Route("/people", people)], []


def _rows() -> Any:
    async def rows(request: Request) -> Response:
        return JSONResponse(cases.ROWS)

    return [Route("/rows", rows)], []


async def lines() -> AsyncIterator[str]:
    for number in range(cases.CHUNKS):
        yield f"{number},Vessel {number},48.5\n"


def _stream() -> Any:
    async def stream(request: Request) -> Response:
        return StreamingResponse(lines(), media_type="text/csv")

    return [Route("/stream", stream)], []


def urls_of(app: Any) -> str:
    found = [str(app.url_path_for(f"page{number}")) for number in range(4)]
    found += [str(app.url_path_for(f"item{n}", id=n, name_="a%20b")) for n in range(4)]
    found.append(str(app.url_path_for("page1")) + "?q=sail+%26+oar&page=2")
    found.append(str(app.url_path_for("static", path="style.css")))
    return "\n".join(found)


def named_routes() -> list[Any]:
    async def nothing(request: Request) -> Response:
        return Response()

    found: list[Any] = [Route(f"/page{n}", nothing, name=f"page{n}") for n in range(4)]
    found += [Route(f"/item{n}/{{id:int}}/{{name_}}", nothing, name=f"item{n}") for n in range(4)]
    return [*found, Mount("/static", StaticFiles(directory=HERE / "static"), name="static")]


def _urls() -> Any:
    async def urls(request: Request) -> Response:
        return HTMLResponse(urls_of(request.app))

    return [*named_routes(), Route("/urls", urls)], []


def answer_cookies(request: Any, response: Any, theme: str) -> None:
    response.headers["X-Request-ID"] = request.headers["X-Request-ID"]
    response.headers["X-Theme"] = theme
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie("theme", "light", max_age=3600, httponly=True, samesite="lax")
    response.set_cookie("seen", "1", path="/cookies", samesite=None)


def _cookies() -> Any:
    async def cookies(request: Request) -> Response:
        theme = request.cookies.get("theme", "light")
        response = HTMLResponse(f"{theme} {request.cookies['token']}")
        answer_cookies(request, response, theme)
        return response

    return [Route("/cookies", cookies)], []


class First:
    """Pure ASGI middleware, which Starlette's documentation prefers for speed."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["steps"] = ["first"]
        await self.app(scope, receive, send)


class Second(First):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["state"]["steps"].append("second")
        await self.app(scope, receive, send)


class Third(First):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                scope["state"]["steps"].append("third")
            await send(message)

        await self.app(scope, receive, sending)


class Fourth(First):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                steps = " ".join(scope["state"]["steps"]).encode()
                message["headers"] = [*message["headers"], (b"x-steps", steps)]
            await send(message)

        await self.app(scope, receive, sending)


class Fifth(First):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            del scope["state"]["steps"]


STEPS = [Middleware(step) for step in (Fifth, First, Fourth, Third, Second)]


def _hooks() -> Any:
    async def hooked(request: Request) -> Response:
        return HTMLResponse("hooked")

    return [Mount("/part", routes=[Route("/hooked", hooked)])], STEPS


async def _area(request: Request) -> Response:
    return HTMLResponse(f"area {request.path_params.get('number')}")


def _routes() -> Any:
    routes = []
    for number in range(cases.ROUTES // 2):
        routes.append(Route(f"/area{number + 500}/{{number:int}}/end", _area))
        routes.append(Route(f"/page{number}", _area))
    return routes, []


def _one_route() -> Any:
    return [Route("/area743/{number:int}/end", _area)], []


def _static() -> Any:
    return [Mount("/static", StaticFiles(directory=HERE / "static"), name="static")], []


BUILDERS: dict[str, Callable[[], Any]] = {
    "text": _text,
    "json": _json,
    "path": _path,
    "echo": _echo,
    "form": _form,
    "multipart": _multipart,
    "session": _session,
    "template": _template,
    "rows": _rows,
    "stream": _stream,
    "urls": _urls,
    "cookies": _cookies,
    "hooks": _hooks,
    "routes": _routes,
    "one_route": _one_route,
    "static": _static,
    "missing": _text,
}
