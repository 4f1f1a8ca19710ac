"""The same applications on Falcon, written as its documentation writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import falcon
import jinja2
from itsdangerous import BadSignature, URLSafeTimedSerializer

from bench import cases

HERE = Path(__file__).parent


class Resource:
    """A resource whose one responder is given as a function."""

    def __init__(self, responder: Callable[..., None], method: str = "get") -> None:
        setattr(self, f"on_{method}", responder)


def build(name: str) -> Any:
    """The WSGI application that answers the case called `name`."""
    if name == "hooks":
        return _hooks()
    app = falcon.App()
    _BUILDERS[name](app)
    return app


def _text(app: Any) -> None:
    def text(req: Any, resp: Any) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = "Hello, World!"

    app.add_route("/text", Resource(text))


def _json(app: Any) -> None:
    def message(req: Any, resp: Any) -> None:
        resp.media = {"message": "Hello, World!", "id": 17}

    app.add_route("/json", Resource(message))


def _path(app: Any) -> None:
    def track(req: Any, resp: Any, number: int) -> None:
        since = req.get_param("since", required=True)
        limit = req.get_param_as_int("limit", default=10)
        resp.content_type = falcon.MEDIA_HTML
        resp.text = f"{number + 1} {since} {limit + 1}"

    app.add_route("/vessels/{number:int}/track", Resource(track))


def _echo(app: Any) -> None:
    def echo(req: Any, resp: Any) -> None:
        resp.media = req.get_media()

    app.add_route("/echo", Resource(echo, "post"))


def _form(app: Any) -> None:
    def form(req: Any, resp: Any) -> None:
        fields = req.get_media()
        resp.content_type = falcon.MEDIA_HTML
        resp.text = f"{fields['name']} {fields['email']} {fields['topic']} {fields['age']}"

    app.add_route("/form", Resource(form, "post"))


def _multipart(app: Any) -> None:
    def upload(req: Any, resp: Any) -> None:
        fields = {}
        for part in req.get_media():
            if part.name == "chart":
                chart, size = part.filename, len(part.stream.read())
            else:
                fields[part.name] = part.text
        resp.content_type = falcon.MEDIA_HTML
        resp.text = f"{fields['title']} {chart} {size}"

    app.add_route("/upload", Resource(upload, "post"))


def _session(app: Any) -> None:
    serializer = URLSafeTimedSerializer(cases.SECRET_KEY, salt=cases.SALT)

    def visit(req: Any, resp: Any) -> None:
        try:
            session = serializer.loads(req.cookies.get("session", ""))
        except BadSignature:
            session = {}
        name = session.get("name", "Ada")
        session["name"] = name
        value = serializer.dumps(session)
        resp.set_cookie("session", value, http_only=True, secure=False, path="/")
        resp.content_type = falcon.MEDIA_HTML
        resp.text = f"Hello, {name}"

    app.add_route("/session", Resource(visit))


def _template(app: Any) -> None:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, auto_reload=False
    )

    def people(req: Any, resp: Any) -> None:
        template = environment.get_template("people.html")
        resp.content_type = falcon.MEDIA_HTML
        resp.text = template.render(title="People & more", people=cases.PEOPLE)

    app.add_route("/people", Resource(people))


def _rows(app: Any) -> None:
    def rows(req: Any, resp: Any) -> None:
        resp.media = cases.ROWS

    app.add_route("/rows", Resource(rows))


def _stream(app: Any) -> None:
    def stream(req: Any, resp: Any) -> None:
        def lines() -> Iterator[bytes]:
            for number in range(cases.CHUNKS):
                yield f"{number},Vessel {number},48.5\n".encode()

        resp.content_type = "text/csv; charset=utf-8"
        resp.stream = lines()

    app.add_route("/stream", Resource(stream))


def _cookies(app: Any) -> None:
    def cookies(req: Any, resp: Any) -> None:
        theme = req.cookies.get("theme", "light")
        resp.content_type = falcon.MEDIA_HTML
        resp.text = f"{theme} {req.cookies['token']}"
        resp.set_header("X-Request-ID", req.get_header("X-Request-ID"))
        resp.set_header("X-Theme", theme)
        resp.cache_control = ["no-store"]
        resp.set_cookie(
            "theme", "light", max_age=3600, http_only=True, secure=False, same_site="Lax", path="/"
        )
        resp.set_cookie("seen", "1", path="/cookies", http_only=False, secure=False)

    app.add_route("/cookies", Resource(cookies))


def _hooks() -> Any:
    class First:
        def process_request(self, req: Any, resp: Any) -> None:
            req.context.steps = ["first"]

    class Second:
        def process_resource(self, req: Any, resp: Any, resource: Any, params: Any) -> None:
            req.context.steps.append("second")

    class Third:
        def process_response(self, req: Any, resp: Any, resource: Any, succeeded: bool) -> None:
            req.context.steps.append("third")

    class Fourth:
        def process_response(self, req: Any, resp: Any, resource: Any, succeeded: bool) -> None:
            resp.set_header("X-Steps", " ".join(req.context.steps))

    class Fifth:
        def process_response(self, req: Any, resp: Any, resource: Any, succeeded: bool) -> None:
            del req.context.steps

    def hooked(req: Any, resp: Any) -> None:
        resp.content_type = falcon.MEDIA_HTML
        resp.text = "hooked"

    # Response steps run from the last to the first.
    app = falcon.App(middleware=[First(), Second(), Fifth(), Fourth(), Third()])
    app.add_route("/part/hooked", Resource(hooked))
    return app


def _routes(app: Any) -> None:
    for number in range(cases.ROUTES // 2):
        app.add_route(f"/area{number + 500}/{{number:int}}/end", Resource(_area))
        app.add_route(f"/page{number}", Resource(_area))


def _one_route(app: Any) -> None:
    app.add_route("/area743/{number:int}/end", Resource(_area))


def _area(req: Any, resp: Any, number: int = 0) -> None:
    resp.content_type = falcon.MEDIA_HTML
    resp.text = f"area {number}"


def _static(app: Any) -> None:
    app.add_static_route("/static", str(HERE / "static"))


_BUILDERS: dict[str, Callable[[Any], None]] = {
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
    "routes": _routes,
    "one_route": _one_route,
    "static": _static,
    "missing": _text,
}
