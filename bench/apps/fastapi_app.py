"""The same applications on FastAPI, with its own parameters and models where it has them."""
# No `from __future__ import annotations`: FastAPI reads the annotations of local models.

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, File, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware

from bench import cases
from bench.apps import starlette_app
from bench.apps.common import HERE, TITLE


class Nested(BaseModel):
    x: float
    y: float | None


class Message(BaseModel):
    id: int
    text: str
    tags: list[str]
    nested: Nested


def build(name: str) -> Any:
    app = FastAPI(openapi_url=None)
    BUILDERS[name](app)
    return app


def _text(app: Any) -> None:
    @app.get("/text", response_class=HTMLResponse)
    async def text() -> str:
        return "Hello, World!"


def _json(app: Any) -> None:
    @app.get("/json")
    async def message() -> dict[str, Any]:
        return {"message": "Hello, World!", "id": 17}


def _path(app: Any) -> None:
    @app.get("/vessels/{number}/track", response_class=HTMLResponse)
    async def track(number: int, since: str, limit: int = 10) -> str:
        return f"{number + 1} {since} {limit + 1}"


def _echo(app: Any) -> None:
    @app.post("/echo")
    async def echo(message: Message) -> Message:
        return message


def _form(app: Any) -> None:
    @app.post("/form", response_class=HTMLResponse)
    async def form(
        name: Annotated[str, Form()],
        email: Annotated[str, Form()],
        topic: Annotated[str, Form()],
        age: Annotated[str, Form()],
    ) -> str:
        return f"{name} {email} {topic} {age}"


def _multipart(app: Any) -> None:
    @app.post("/upload", response_class=HTMLResponse)
    async def upload(title: Annotated[str, Form()], chart: Annotated[UploadFile, File()]) -> str:
        return f"{title} {chart.filename} {len(await chart.read())}"


def _session(app: Any) -> None:
    app.add_middleware(SessionMiddleware, secret_key=cases.SECRET_KEY, max_age=None)

    @app.get("/session", response_class=HTMLResponse)
    async def visit(request: Request) -> str:
        name: str = request.session.get("name", "Ada")
        request.session["name"] = name
        return f"Hello, {name}"


def _template(app: Any) -> None:
    templates = Jinja2Templates(HERE / "templates")

    @app.get("/people", response_class=HTMLResponse)
    async def people(request: Request) -> Response:
        context = {"title": TITLE, "people": cases.PEOPLE}
        return templates.TemplateResponse(request, "people.html", context)


def _rows(app: Any) -> None:
    @app.get("/rows")
    async def rows() -> list[dict[str, Any]]:
        return cases.ROWS


def _stream(app: Any) -> None:
    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(starlette_app.lines(), media_type="text/csv")


def _urls(app: Any) -> None:
    app.router.routes.extend(starlette_app.named_routes())

    @app.get("/urls", response_class=HTMLResponse)
    async def urls() -> str:
        return starlette_app.urls_of(app)


def _cookies(app: Any) -> None:
    @app.get("/cookies", response_class=HTMLResponse)
    async def cookies(request: Request) -> Response:
        theme = request.cookies.get("theme", "light")
        response = HTMLResponse(f"{theme} {request.cookies['token']}")
        starlette_app.answer_cookies(request, response, theme)
        return response


def _hooks(app: Any) -> None:
    for step in reversed(starlette_app.STEPS):
        app.add_middleware(step.cls)
    part = APIRouter(prefix="/part")

    @part.get("/hooked", response_class=HTMLResponse)
    async def hooked() -> str:
        return "hooked"

    app.include_router(part)


async def _area(number: int = 0) -> str:
    return f"area {number}"


def _routes(app: Any) -> None:
    for number in range(cases.ROUTES // 2):
        app.get(f"/area{number + 500}/{{number}}/end", response_class=HTMLResponse)(_area)
        app.get(f"/page{number}", response_class=HTMLResponse)(_area)


def _one_route(app: Any) -> None:
    app.get("/area743/{number}/end", response_class=HTMLResponse)(_area)


def _static(app: Any) -> None:
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


BUILDERS: dict[str, Callable[[Any], None]] = {
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
