"""Bare protocol callables that do the same work with the standard library and the same libraries.

No routing, no request object, no hooks: the limit that a framework can come close to. `work` has
the work of each case; `wsgi`, `asgi` and `rsgi` are the shortest door of each protocol around it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from bench import cases
from bench.apps.common import HERE, TITLE, Sessions, people_page

HTML = ("content-type", "text/html; charset=utf-8")
JSON = ("content-type", "application/json")
Headers = list[tuple[str, str]]
# path, query, cookie header, X-Request-ID, body → status, headers, body
Work = Callable[[str, str, str, str, bytes], tuple[int, Headers, Any]]


def _html(text: str, *more: tuple[str, str]) -> tuple[int, Headers, bytes]:
    body = text.encode()
    return 200, [HTML, ("content-length", str(len(body))), *more], body


def _json(value: Any, compact: bool = True) -> tuple[int, Headers, bytes]:
    body = json.dumps(value, separators=(",", ":")).encode()
    return 200, [JSON, ("content-length", str(len(body)))], body


def text() -> Work:
    return lambda path, query, cookie, rid, body: _html("Hello, World!")


def message() -> Work:
    return lambda path, query, cookie, rid, body: _json({"message": "Hello, World!", "id": 17})


def path() -> Work:
    def work(path: str, query: str, cookie: str, rid: str, body: bytes) -> Any:
        number = int(path.split("/", 3)[2])
        args = dict(parse_qsl(query))
        return _html(f"{number + 1} {args['since']} {int(args.get('limit', 10)) + 1}")

    return work


def echo() -> Work:
    return lambda path, query, cookie, rid, body: _json(json.loads(body))


def form() -> Work:
    def work(path: str, query: str, cookie: str, rid: str, body: bytes) -> Any:
        fields = dict(parse_qsl(body.decode()))
        return _html(f"{fields['name']} {fields['email']} {fields['topic']} {fields['age']}")

    return work


def multipart() -> Work:
    from werkzeug.formparser import FormDataParser

    kind = cases.BY_NAME["multipart"].content_type
    parser, length = FormDataParser(), len(cases.BY_NAME["multipart"].body)
    options = {"boundary": kind.partition("boundary=")[2]}

    def work(path: str, query: str, cookie: str, rid: str, body: bytes) -> Any:
        _, fields, files = parser.parse(BytesIO(body), "multipart/form-data", length, options)
        chart = files["chart"]
        return _html(f"{fields['title']} {chart.filename} {len(chart.read())}")

    return work


def session() -> Work:
    sessions = Sessions()

    def work(path: str, query: str, cookie: str, rid: str, body: bytes) -> Any:
        name, value = sessions.visit(cookie.partition("session=")[2])
        return _html(f"Hello, {name}", ("set-cookie", f"session={value}; HttpOnly; Path=/"))

    return work


def template() -> Work:
    page = people_page()
    return lambda path, query, cookie, rid, body: _html(
        page.render(title=TITLE, people=cases.PEOPLE)
    )


def rows() -> Work:
    return lambda path, query, cookie, rid, body: _json(cases.ROWS)


def stream() -> Work:
    def lines() -> Iterator[bytes]:
        for number in range(cases.CHUNKS):
            yield f"{number},Vessel {number},48.5\n".encode()

    headers = [("content-type", "text/csv; charset=utf-8")]
    return lambda path, query, cookie, rid, body: (200, headers, lines())


def urls() -> Work:
    def work(path: str, query: str, cookie: str, rid: str, body: bytes) -> Any:
        found = [f"/page{number}" for number in range(4)]
        found += [f"/item{number}/{number}/{quote('a b')}" for number in range(4)]
        found.append("/page1?" + urlencode({"q": "sail & oar", "page": 2}))
        found.append("/static/" + quote("style.css"))
        return _html("\n".join(found))

    return work


def cookies() -> Work:
    later = ("set-cookie", "seen=1; Path=/cookies")

    def work(path: str, query: str, cookie: str, rid: str, body: bytes) -> Any:
        jar = SimpleCookie(cookie)
        theme = jar["theme"].value
        expires = formatdate(usegmt=True)
        return _html(
            f"{theme} {jar['token'].value}",
            ("x-request-id", rid),
            ("x-theme", theme),
            ("cache-control", "no-store"),
            (
                "set-cookie",
                f"theme=light; Expires={expires}; Max-Age=3600; HttpOnly; Path=/; SameSite=Lax",
            ),
            later,
        )

    return work


def hooks() -> Work:
    def work(path: str, query: str, cookie: str, rid: str, body: bytes) -> Any:
        steps = ["first"]
        steps.append("second")
        steps.append("third")
        return _html("hooked", ("x-steps", " ".join(steps)))

    return work


def routes() -> Work:
    return lambda path, query, cookie, rid, body: _html(f"area {int(path.split('/', 3)[2])}")


def static() -> Work:
    file = HERE / "static" / "style.css"

    def work(path: str, query: str, cookie: str, rid: str, body: bytes) -> Any:
        with open(file, "rb") as opened:
            data = opened.read()
        return 200, [("content-type", "text/css"), ("content-length", str(len(data)))], data

    return work


def missing() -> Work:
    body = b"<!doctype html>\n<title>404 Not Found</title>\n"
    headers = [HTML, ("content-length", str(len(body)))]
    return lambda path, query, cookie, rid, sent: (404, headers, body)


def work(name: str) -> Work:
    made: Work = globals()[{"json": "message", "one_route": "routes"}.get(name, name)]()
    return made


STATUS = {200: "200 OK", 404: "404 Not Found"}


def wsgi(name: str) -> Any:
    do = work(name)

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Any:
        length = environ.get("CONTENT_LENGTH")
        status, headers, body = do(
            environ["PATH_INFO"],
            environ["QUERY_STRING"],
            environ.get("HTTP_COOKIE", ""),
            environ.get("HTTP_X_REQUEST_ID", ""),
            environ["wsgi.input"].read(int(length)) if length else b"",
        )
        start_response(STATUS[status], headers)
        return [body] if type(body) is bytes else body

    return app


def asgi(name: str) -> Any:
    do = work(name)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await lifespan(receive, send)
        parts = []
        if scope["method"] == "POST":
            while True:
                message = await receive()
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    break
        cookie = rid = ""
        for key, value in scope["headers"]:
            if key == b"cookie":
                cookie = value.decode("latin-1")
            elif key == b"x-request-id":
                rid = value.decode("latin-1")
        status, headers, body = do(
            scope["path"], scope["query_string"].decode("latin-1"), cookie, rid, b"".join(parts)
        )
        pairs = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        if type(body) is bytes:
            await send({"type": "http.response.body", "body": body})
            return
        for chunk in body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def rsgi(name: str) -> Any:
    do = work(name)

    class App:
        async def __rsgi__(self, scope: Any, protocol: Any) -> None:
            status, headers, body = do(
                scope.path,
                scope.query_string,
                scope.headers.get("cookie") or "",
                scope.headers.get("x-request-id") or "",
                await protocol() if scope.method == "POST" else b"",
            )
            if type(body) is bytes:
                protocol.response_bytes(status, headers, body)
                return
            transport = protocol.response_stream(status, headers)
            for chunk in body:
                await transport.send_bytes(chunk)

    return App()
