"""The same applications on Bottle, written as its documentation writes them.

Its URLs are built without escaping, which is less work: the case is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bottle import Bottle, request, response, static_file

from bench import cases
from bench.apps.common import HERE, TITLE, Sessions, people_page

HTML = "text/html; charset=UTF-8"


def build(name: str) -> Any:
    app = Bottle(catchall=True)
    BUILDERS[name](app)
    return app


def _text(app: Any) -> None:
    @app.get("/text")
    def text() -> str:
        return "Hello, World!"


def _json(app: Any) -> None:
    @app.get("/json")
    def message() -> dict[str, Any]:
        return {"message": "Hello, World!", "id": 17}


def _path(app: Any) -> None:
    @app.get("/vessels/<number:int>/track")
    def track(number: int) -> str:
        since = request.query["since"]
        limit = request.query.get("limit", default=10, type=int)
        return f"{number + 1} {since} {limit + 1}"


def _echo(app: Any) -> None:
    @app.post("/echo")
    def echo() -> Any:
        return request.json


def _form(app: Any) -> None:
    @app.post("/form")
    def form() -> str:
        fields = request.forms
        return f"{fields['name']} {fields['email']} {fields['topic']} {fields['age']}"


def _multipart(app: Any) -> None:
    @app.post("/upload")
    def upload() -> str:
        chart = request.files["chart"]
        return f"{request.forms['title']} {chart.filename} {len(chart.file.read())}"


def _session(app: Any) -> None:
    sessions = Sessions()

    @app.get("/session")
    def visit() -> str:
        name, value = sessions.visit(request.get_cookie("session", ""))
        response.set_cookie("session", value, httponly=True, path="/")
        return f"Hello, {name}"


def _template(app: Any) -> None:
    page = people_page()

    @app.get("/people")
    def people() -> str:
        return str(page.render(title=TITLE, people=cases.PEOPLE))


def _rows(app: Any) -> None:
    from json import dumps

    @app.get("/rows")
    def rows() -> str:  # Bottle turns dicts alone into JSON
        response.content_type = "application/json"
        return dumps(cases.ROWS)


def _stream(app: Any) -> None:
    @app.get("/stream")
    def stream() -> Iterator[str]:
        response.content_type = "text/csv; charset=utf-8"
        for number in range(cases.CHUNKS):
            yield f"{number},Vessel {number},48.5\n"


def _cookies(app: Any) -> None:
    @app.get("/cookies")
    def cookies() -> str:
        theme = request.get_cookie("theme", "light")
        response.set_header("X-Request-ID", request.get_header("X-Request-ID"))
        response.set_header("X-Theme", theme)
        response.set_header("Cache-Control", "no-store")
        response.set_cookie("theme", "light", max_age=3600, httponly=True, samesite="lax", path="/")
        response.set_cookie("seen", "1", path="/cookies")
        return f"{theme} {request.get_cookie('token')}"


def _hooks(app: Any) -> None:
    @app.hook("before_request")
    def first() -> None:
        request.steps = ["first"]

    @app.hook("before_request")
    def second() -> None:
        request.steps.append("second")

    @app.hook("after_request")  # these run from the last to the first
    def fifth() -> None:
        request.steps.clear()

    @app.hook("after_request")
    def fourth() -> None:
        response.set_header("X-Steps", " ".join(request.steps))

    @app.hook("after_request")
    def third() -> None:
        request.steps.append("third")

    @app.get("/part/hooked")
    def hooked() -> str:
        return "hooked"


def _routes(app: Any) -> None:
    def area(number: int = 0) -> str:
        return f"area {number}"

    for number in range(cases.ROUTES // 2):
        app.route(f"/area{number + 500}/<number:int>/end", callback=area)
        app.route(f"/page{number}", callback=area)


def _one_route(app: Any) -> None:
    @app.get("/area743/<number:int>/end")
    def area(number: int) -> str:
        return f"area {number}"


def _static(app: Any) -> None:
    @app.get("/static/<filename:path>")
    def static(filename: str) -> Any:
        return static_file(filename, root=str(HERE / "static"))


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
    "missing": _text,
}
