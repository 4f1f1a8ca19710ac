"""The same applications on Quart: Flask's API, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from quart import (
    Blueprint,
    Quart,
    Response,
    g,
    jsonify,
    make_response,
    render_template,
    request,
    session,
    url_for,
)

from bench import cases
from bench.apps.common import HERE, TITLE


def build(name: str) -> Any:
    app = Quart("bench_app", root_path=str(HERE))
    BUILDERS[name](app)
    return app


def _text(app: Any) -> None:
    @app.get("/text")
    async def text() -> str:
        return "Hello, World!"


def _json(app: Any) -> None:
    @app.get("/json")
    async def message() -> dict[str, Any]:
        return {"message": "Hello, World!", "id": 17}


def _path(app: Any) -> None:
    @app.get("/vessels/<int:number>/track")
    async def track(number: int) -> str:
        since = request.args["since"]
        limit = request.args.get("limit", 10, type=int)
        return f"{number + 1} {since} {limit + 1}"


def _echo(app: Any) -> None:
    @app.post("/echo")
    async def echo() -> Any:
        return await request.get_json()


def _form(app: Any) -> None:
    @app.post("/form")
    async def form() -> str:
        fields = await request.form
        return f"{fields['name']} {fields['email']} {fields['topic']} {fields['age']}"


def _multipart(app: Any) -> None:
    @app.post("/upload")
    async def upload() -> str:
        chart = (await request.files)["chart"]
        return f"{(await request.form)['title']} {chart.filename} {len(chart.read())}"


def _session(app: Any) -> None:
    app.secret_key = cases.SECRET_KEY

    @app.get("/session")
    async def visit() -> str:
        name = session.get("name", "Ada")
        session["name"] = name
        return f"Hello, {name}"


def _template(app: Any) -> None:
    @app.get("/people")
    async def people() -> str:
        return await render_template("people.html", title=TITLE, people=cases.PEOPLE)


def _rows(app: Any) -> None:
    @app.get("/rows")
    async def rows() -> Response:
        return jsonify(cases.ROWS)


def _stream(app: Any) -> None:
    @app.get("/stream")
    async def stream() -> Response:
        async def lines() -> AsyncIterator[str]:
            for number in range(cases.CHUNKS):
                yield f"{number},Vessel {number},48.5\n"

        return Response(lines(), mimetype="text/csv")


def _urls(app: Any) -> None:
    async def nothing(**values: Any) -> str:
        return ""

    for number in range(4):
        app.add_url_rule(f"/page{number}", f"page{number}", nothing)
        app.add_url_rule(f"/item{number}/<int:id>/<name>", f"item{number}", nothing)

    @app.get("/urls")
    async def urls() -> str:
        found = [url_for(f"page{number}") for number in range(4)]
        found += [url_for(f"item{number}", id=number, name="a b") for number in range(4)]
        found.append(url_for("page1", q="sail & oar", page=2))
        found.append(url_for("static", filename="style.css"))
        return "\n".join(found)


def _cookies(app: Any) -> None:
    @app.get("/cookies")
    async def cookies() -> Any:
        theme = request.cookies.get("theme", "light")
        response = await make_response(f"{theme} {request.cookies['token']}")
        response.headers["X-Request-ID"] = request.headers["X-Request-ID"]
        response.headers["X-Theme"] = theme
        response.headers["Cache-Control"] = "no-store"
        response.set_cookie("theme", "light", max_age=3600, httponly=True, samesite="Lax")
        response.set_cookie("seen", "1", path="/cookies")
        return response


def _hooks(app: Any) -> None:
    part = Blueprint("part", "bench_app", url_prefix="/part")

    @app.before_request
    async def first() -> None:
        g.steps = ["first"]

    @part.before_request
    async def second() -> None:
        g.steps.append("second")

    @part.after_request
    async def third(response: Any) -> Any:
        g.steps.append("third")
        return response

    @app.after_request
    async def fourth(response: Any) -> Any:
        response.headers["X-Steps"] = " ".join(g.steps)
        return response

    @app.teardown_request
    async def fifth(error: BaseException | None) -> None:
        g.pop("steps", None)

    @part.get("/hooked")
    async def hooked() -> str:
        return "hooked"

    app.register_blueprint(part)


def _routes(app: Any) -> None:
    async def area(number: int) -> str:
        return f"area {number}"

    async def page() -> str:
        return "page"

    for number in range(cases.ROUTES // 2):
        app.add_url_rule(f"/area{number + 500}/<int:number>/end", f"area{number}", area)
        app.add_url_rule(f"/page{number}", f"page{number}", page)


def _one_route(app: Any) -> None:
    @app.get("/area743/<int:number>/end")
    async def area(number: int) -> str:
        return f"area {number}"


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
    "static": _text,
    "missing": _text,
}
