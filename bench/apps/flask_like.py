"""Each case's application, for Flask and for Carboy: the module is the only difference."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import cases

HERE = Path(__file__).parent


def build(framework: ModuleType, name: str, views: str = "sync") -> Any:
    """The application that answers the case called `name`; `views` is sync or async.

    Carboy runs with Flask's default settings (the profile `flask`), so that the answers are equal;
    with `views` as "defaults" it runs with its own, which add headers for safety.
    """
    if framework.__name__ == "carboy":
        from carboy import config

        config.use_profile("carboy" if views == "defaults" else "flask")
    app = framework.Flask("bench_app", root_path=str(HERE))
    _BUILDERS[name](framework, app)
    if views == "async":
        if name == "stream":
            _stream_async(framework, app)
        _all_async(framework, app)
    return app


def _stream_async(fw: Any, app: Any) -> None:
    def stream() -> Any:
        async def lines() -> AsyncIterator[str]:
            for number in range(cases.CHUNKS):
                yield f"{number},Vessel {number},48.5\n"

        return fw.Response(lines(), mimetype="text/csv")

    app.view_functions["stream"] = stream


def _all_async(fw: Any, app: Any) -> None:
    """Give every view and hook of the application that is not async an `async def` around it.

    That adds one call to what the same view written as `async def` would cost. The framework's own
    view of static files stays as it is.
    """
    for endpoint, view in _ASYNC_VIEWS.items():
        if endpoint in app.view_functions:
            app.view_functions[endpoint] = (
                view(fw) if fw.__name__ == "carboy" else app.ensure_sync(view(fw))
            )

    def wrapped(function: Any) -> Any:
        async def step(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return step if fw.__name__ == "carboy" else app.ensure_sync(step)

    for endpoint, view in app.view_functions.items():
        if endpoint != "static" and endpoint not in _ASYNC_VIEWS:
            app.view_functions[endpoint] = wrapped(view)
    tables = ("before_request_funcs", "after_request_funcs", "teardown_request_funcs")
    for table in tables:
        for functions in getattr(app, table).values():
            functions[:] = [wrapped(function) for function in functions]


def _text(fw: Any, app: Any) -> None:
    @app.get("/text")
    def text() -> str:
        return "Hello, World!"


def _async_text(fw: Any) -> Any:
    async def text() -> str:
        return "Hello, World!"

    return text


def _json(fw: Any, app: Any) -> None:
    @app.get("/json")
    def message() -> dict[str, Any]:
        return {"message": "Hello, World!", "id": 17}


def _async_json(fw: Any) -> Any:
    async def message() -> dict[str, Any]:
        return {"message": "Hello, World!", "id": 17}

    return message


def _path(fw: Any, app: Any) -> None:
    request = fw.request

    @app.get("/vessels/<int:number>/track")
    def track(number: int) -> str:
        since = request.args["since"]
        limit = request.args.get("limit", 10, type=int)
        return f"{number + 1} {since} {limit + 1}"


def _async_path(fw: Any) -> Any:
    request = fw.request

    async def track(number: int) -> str:
        since = request.args["since"]
        limit = request.args.get("limit", 10, type=int)
        return f"{number + 1} {since} {limit + 1}"

    return track


# The views of the goal "an async view costs at most 1.3 times a sync one", written as such.
_ASYNC_VIEWS = {"text": _async_text, "message": _async_json, "track": _async_path}


def _echo(fw: Any, app: Any) -> None:
    request = fw.request

    @app.post("/echo")
    def echo() -> Any:
        return request.get_json()


def _form(fw: Any, app: Any) -> None:
    request = fw.request

    @app.post("/form")
    def form() -> str:
        fields = request.form
        return f"{fields['name']} {fields['email']} {fields['topic']} {fields['age']}"


def _multipart(fw: Any, app: Any) -> None:
    request = fw.request

    @app.post("/upload")
    def upload() -> str:
        chart = request.files["chart"]
        return f"{request.form['title']} {chart.filename} {len(chart.read())}"


def _session(fw: Any, app: Any) -> None:
    app.secret_key = cases.SECRET_KEY
    session = fw.session

    @app.get("/session")
    def visit() -> str:
        name = session.get("name", "Ada")
        session["name"] = name
        return f"Hello, {name}"


def _template(fw: Any, app: Any) -> None:
    @app.get("/people")
    def people() -> str:
        page: str = fw.render_template("people.html", title="People & more", people=cases.PEOPLE)
        return page


def _rows(fw: Any, app: Any) -> None:
    @app.get("/rows")
    def rows() -> Any:
        return fw.jsonify(cases.ROWS)


def _stream(fw: Any, app: Any) -> None:
    @app.get("/stream")
    def stream() -> Any:
        def lines() -> Iterator[str]:
            for number in range(cases.CHUNKS):
                yield f"{number},Vessel {number},48.5\n"

        return fw.Response(lines(), mimetype="text/csv")


def _urls(fw: Any, app: Any) -> None:
    url_for = fw.url_for

    def nothing(**values: Any) -> str:
        return ""

    for number in range(4):
        app.add_url_rule(f"/page{number}", f"page{number}", nothing)
    for number in range(4):
        app.add_url_rule(f"/item{number}/<int:id>/<name>", f"item{number}", nothing)

    @app.get("/urls")
    def urls() -> str:
        found = [url_for(f"page{number}") for number in range(4)]
        found += [url_for(f"item{number}", id=number, name="a b") for number in range(4)]
        found.append(url_for("page1", q="sail & oar", page=2))
        found.append(url_for("static", filename="style.css"))
        return "\n".join(found)


def _cookies(fw: Any, app: Any) -> None:
    request = fw.request

    @app.get("/cookies")
    def cookies() -> Any:
        theme = request.cookies.get("theme", "light")
        response = fw.make_response(f"{theme} {request.cookies['token']}")
        response.headers["X-Request-ID"] = request.headers["X-Request-ID"]
        response.headers["X-Theme"] = theme
        response.headers["Cache-Control"] = "no-store"
        response.set_cookie("theme", "light", max_age=3600, httponly=True, samesite="Lax")
        response.set_cookie("seen", "1", path="/cookies")
        return response


def _hooks(fw: Any, app: Any) -> None:
    part = fw.Blueprint("part", "bench_app", url_prefix="/part")
    g = fw.g

    @app.before_request
    def first() -> None:
        g.steps = ["first"]

    @part.before_request
    def second() -> None:
        g.steps.append("second")

    @part.after_request
    def third(response: Any) -> Any:
        g.steps.append("third")
        return response

    @app.after_request
    def fourth(response: Any) -> Any:
        response.headers["X-Steps"] = " ".join(g.steps)
        return response

    @app.teardown_request
    def fifth(error: BaseException | None) -> None:
        g.pop("steps", None)

    @part.get("/hooked")
    def hooked() -> str:
        return "hooked"

    app.register_blueprint(part)


def _routes(fw: Any, app: Any) -> None:
    def area(number: int) -> str:
        return f"area {number}"

    def page() -> str:
        return "page"

    for number in range(cases.ROUTES // 2):
        app.add_url_rule(f"/area{number + 500}/<int:number>/end", f"area{number}", area)
        app.add_url_rule(f"/page{number}", f"page{number}", page)


def _one_route(fw: Any, app: Any) -> None:
    @app.get("/area743/<int:number>/end")
    def area(number: int) -> str:
        return f"area {number}"


_BUILDERS: dict[str, Callable[[Any, Any], None]] = {
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
