"""The same applications on BlackSheep, written as its documentation writes them."""
# No `from __future__ import annotations`: BlackSheep reads the annotations of its handlers.

from collections.abc import AsyncIterator, Callable
from typing import Any

from blacksheep import (
    Application,
    Cookie,
    CookieSameSiteMode,
    Request,
    Response,
    StreamedContent,
    html,
    json,
)

from bench import cases
from bench.apps.common import HERE, TITLE, people_page


def build(name: str) -> Any:
    app = Application()
    BUILDERS[name](app)
    app.bench_start = app.start  # an ASGI server would start it by its lifespan
    return app


def _text(app: Any) -> None:
    @app.router.get("/text")
    async def text() -> Response:
        return html("Hello, World!")


def _json(app: Any) -> None:
    @app.router.get("/json")
    async def message() -> Response:
        return json({"message": "Hello, World!", "id": 17})


def _path(app: Any) -> None:
    @app.router.get("/vessels/{int:number}/track")
    async def track(number: int, since: str, limit: int = 10) -> Response:
        return html(f"{number + 1} {since} {limit + 1}")


def _echo(app: Any) -> None:
    @app.router.post("/echo")
    async def echo(request: Request) -> Response:
        return json(await request.json())


def _form(app: Any) -> None:
    @app.router.post("/form")
    async def form(request: Request) -> Response:
        fields: Any = await request.form()
        return html(f"{fields['name']} {fields['email']} {fields['topic']} {fields['age']}")


def _multipart(app: Any) -> None:
    @app.router.post("/upload")
    async def upload(request: Request) -> Response:
        fields: dict[str, Any] = {}
        for part in await request.multipart():  # type: ignore[union-attr]
            fields[part.name.decode()] = part
        title, chart = fields["title"], fields["chart"]
        data = chart.data if isinstance(chart.data, bytes) else await chart.read()
        return html(f"{_words(title.data)} {_words(chart.file_name)} {len(data)}")


def _words(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _session(app: Any) -> None:
    app.use_sessions(cases.SECRET_KEY)

    @app.router.get("/session")
    async def visit(request: Request) -> Response:
        name = request.session.get("name", "Ada")
        request.session["name"] = name
        return html(f"Hello, {name}")


def _template(app: Any) -> None:
    page = people_page()

    @app.router.get("/people")
    async def people() -> Response:
        return html(page.render(title=TITLE, people=cases.PEOPLE))


def _rows(app: Any) -> None:
    @app.router.get("/rows")
    async def rows() -> Response:
        return json(cases.ROWS)


def _stream(app: Any) -> None:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(cases.CHUNKS):
            yield f"{number},Vessel {number},48.5\n".encode()

    @app.router.get("/stream")
    async def stream() -> Response:
        return Response(200, content=StreamedContent(b"text/csv; charset=utf-8", lines))


def _cookies(app: Any) -> None:
    @app.router.get("/cookies")
    async def cookies(request: Request) -> Response:
        theme = request.cookies.get("theme", "light")
        response = html(f"{theme} {request.cookies['token']}")
        response.add_header(b"X-Request-ID", request.get_first_header(b"X-Request-ID") or b"")
        response.add_header(b"X-Theme", theme.encode())
        response.add_header(b"Cache-Control", b"no-store")
        response.set_cookie(
            Cookie(
                "theme",
                "light",
                path="/",
                max_age=3600,
                http_only=True,
                same_site=CookieSameSiteMode.LAX,
            )
        )
        response.set_cookie(Cookie("seen", "1", path="/cookies"))
        return response


def _hooks(app: Any) -> None:
    async def first(request: Any, handler: Any) -> Response:
        request.steps = ["first"]
        answer: Response = await handler(request)
        return answer

    async def second(request: Any, handler: Any) -> Response:
        request.steps.append("second")
        answer: Response = await handler(request)
        return answer

    async def third(request: Any, handler: Any) -> Response:
        answer: Response = await handler(request)
        request.steps.append("third")
        return answer

    async def fourth(request: Any, handler: Any) -> Response:
        answer: Response = await handler(request)
        answer.add_header(b"X-Steps", " ".join(request.steps).encode())
        return answer

    async def fifth(request: Any, handler: Any) -> Response:
        answer: Response = await handler(request)
        request.steps = []
        return answer

    app.middlewares.extend([fifth, first, fourth, third, second])

    @app.router.get("/part/hooked")
    async def hooked() -> Response:
        return html("hooked")


async def _area(number: int) -> Response:
    return html(f"area {number}")


async def _page() -> Response:
    return html("page")


def _routes(app: Any) -> None:
    for number in range(cases.ROUTES // 2):
        app.router.add_get(f"/area{number + 500}/{{int:number}}/end", _area)
        app.router.add_get(f"/page{number}", _page)


def _one_route(app: Any) -> None:
    app.router.add_get("/area743/{int:number}/end", _area)


def _static(app: Any) -> None:
    app.serve_files(HERE / "static", root_path="static", extensions={".css"})


def _missing(app: Any) -> None:
    _text(app)


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
    "cookies": _cookies,
    "hooks": _hooks,
    "routes": _routes,
    "one_route": _one_route,
    "static": _static,
    "missing": _missing,
}
