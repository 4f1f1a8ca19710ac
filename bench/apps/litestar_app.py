"""The same applications on Litestar, written as its documentation writes them.

Its cookie sessions are encrypted, which is other work than signing: the case is left out.
"""
# No `from __future__ import annotations`: Litestar reads the annotations of local models.

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Litestar, MediaType, Request, Response, Router, get, post
from litestar.datastructures import Cookie, UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Stream
from litestar.static_files import create_static_files_router

from bench import cases
from bench.apps.common import HERE, TITLE, people_page


@dataclass
class Contact:
    name: str
    email: str
    topic: str
    age: str


@dataclass
class Upload:
    title: str
    author: str
    chart: UploadFile


def build(name: str) -> Any:
    handlers, more = BUILDERS[name]()
    return Litestar(route_handlers=handlers, openapi_config=None, **more)


def _text() -> Any:
    @get("/text", media_type=MediaType.HTML)
    async def text() -> str:
        return "Hello, World!"

    return [text], {}


def _json() -> Any:
    @get("/json")
    async def message() -> dict[str, Any]:
        return {"message": "Hello, World!", "id": 17}

    return [message], {}


def _path() -> Any:
    @get("/vessels/{number:int}/track", media_type=MediaType.HTML)
    async def track(number: int, since: str, limit: int = 10) -> str:
        return f"{number + 1} {since} {limit + 1}"

    return [track], {}


def _echo() -> Any:
    @post("/echo", status_code=200)
    async def echo(data: dict[str, Any]) -> dict[str, Any]:
        return data

    return [echo], {}


def _form() -> Any:
    @post("/form", status_code=200, media_type=MediaType.HTML)
    async def form(
        data: Annotated[Contact, Body(media_type=RequestEncodingType.URL_ENCODED)],
    ) -> str:
        return f"{data.name} {data.email} {data.topic} {data.age}"

    return [form], {}


def _multipart() -> Any:
    @post("/upload", status_code=200, media_type=MediaType.HTML)
    async def upload(
        data: Annotated[Upload, Body(media_type=RequestEncodingType.MULTI_PART)],
    ) -> str:
        return f"{data.title} {data.chart.filename} {len(await data.chart.read())}"

    return [upload], {}


def _template() -> Any:
    page = people_page()

    @get("/people", media_type=MediaType.HTML)
    async def people() -> str:
        return str(page.render(title=TITLE, people=cases.PEOPLE))

    return [people], {}


def _rows() -> Any:
    @get("/rows")
    async def rows() -> list[dict[str, Any]]:
        return cases.ROWS

    return [rows], {}


def _stream() -> Any:
    async def lines() -> AsyncIterator[str]:
        for number in range(cases.CHUNKS):
            yield f"{number},Vessel {number},48.5\n"

    @get("/stream")
    async def stream() -> Stream:
        return Stream(lines(), media_type="text/csv")

    return [stream], {}


def _cookies() -> Any:
    @get("/cookies", media_type=MediaType.HTML)
    async def cookies(request: Request) -> Response[str]:
        theme = request.cookies.get("theme", "light")
        return Response(
            f"{theme} {request.cookies['token']}",
            headers={
                "X-Request-ID": request.headers["X-Request-ID"],
                "X-Theme": theme,
                "Cache-Control": "no-store",
            },
            cookies=[
                Cookie("theme", value="light", max_age=3600, httponly=True, samesite="lax"),
                Cookie("seen", value="1", path="/cookies"),
            ],
        )

    return [cookies], {}


def _hooks() -> Any:
    async def first(request: Request) -> None:
        request.state.steps = ["first"]

    async def second(request: Request) -> None:
        request.state.steps.append("second")

    def middle(app: Any) -> Any:
        # Litestar runs the innermost `before_request` only: the outer one is middleware.
        async def middleware(scope: Any, receive: Any, send: Any) -> None:
            await first(Request(scope))
            await app(scope, receive, send)

        return middleware

    async def third(message: Any, scope: Any) -> None:
        if message["type"] == "http.response.start":
            scope["state"]["steps"].append("third")

    async def fourth(message: Any, scope: Any) -> None:
        if message["type"] == "http.response.start":
            steps = " ".join(scope["state"]["steps"]).encode()
            message["headers"] = [*message["headers"], (b"x-steps", steps)]

    async def fifth(request: Request) -> None:
        request.state.steps = []

    @get("/hooked", media_type=MediaType.HTML)
    async def hooked() -> str:
        return "hooked"

    part = Router("/part", route_handlers=[hooked], before_request=second, after_response=fifth)
    return [part], {"middleware": [middle], "before_send": [third, fourth]}


def _routes() -> Any:
    handlers = []

    async def area(number: int) -> str:
        return f"area {number}"

    async def page() -> str:
        return "page"

    for number in range(cases.ROUTES // 2):
        place = f"/area{number + 500}/{{number:int}}/end"
        handlers.append(get(place, media_type=MediaType.HTML)(area))
        handlers.append(get(f"/page{number}", media_type=MediaType.HTML)(page))
    return handlers, {}


def _one_route() -> Any:
    @get("/area743/{number:int}/end", media_type=MediaType.HTML)
    async def area(number: int) -> str:
        return f"area {number}"

    return [area], {}


def _static() -> Any:
    return [create_static_files_router("/static", directories=[HERE / "static"])], {}


BUILDERS: dict[str, Callable[[], Any]] = {
    "text": _text,
    "json": _json,
    "path": _path,
    "echo": _echo,
    "form": _form,
    "multipart": _multipart,
    "template": _template,
    "rows": _rows,
    "stream": _stream,
    "cookies": _cookies,
    "hooks": _hooks,
    "routes": _routes,
    "one_route": _one_route,
    "static": _static,
    "missing": _text,
}
