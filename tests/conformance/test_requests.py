"""What a view sees of a request."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from carboy import request

FACTS: dict[str, Any] = {
    "method": lambda: request.method,
    "path": lambda: request.path,
    "full path": lambda: request.full_path,
    "url": lambda: request.url,
    "base url": lambda: request.base_url,
    "host": lambda: request.host,
    "host url": lambda: request.host_url,
    "root path": lambda: request.root_path,
    "root url": lambda: request.root_url,
    "scheme": lambda: request.scheme,
    "is secure": lambda: str(request.is_secure),
    "query string": lambda: request.query_string,
    "args": lambda: request.args.to_dict(flat=False),
    "remote address": lambda: request.remote_addr or "none",
    "access route": lambda: list(request.access_route),
    "user agent": lambda: str(request.user_agent),
    "header": lambda: request.headers.get("X-One", "none"),
    "doubled header": lambda: request.headers["X-Two"],
    "all headers": lambda: dict(request.headers),
    "cookies": lambda: request.cookies.to_dict(flat=False),
    "accept": lambda: request.accept_mimetypes.best or "none",
    "authorization": lambda: str(request.authorization and request.authorization.username),
    "endpoint": lambda: str(request.endpoint),
    "rule": lambda: str(request.url_rule),
    "content length": lambda: str(request.content_length),
    "mimetype": lambda: request.mimetype,
    "data": lambda: request.get_data(),
    "protocol": lambda: request.environ["SERVER_PROTOCOL"],
    "server": lambda: str(request.server),
}


@pytest.mark.parametrize("name", FACTS)
def test_each_fact(app: Any, visit: Any, dye: Any, name: str) -> None:
    """An attribute of the request has the same value behind each door."""
    app.add_url_rule("/<path:rest>", "view", dye(lambda rest: FACTS[name]()))
    answer = visit(
        "/a b/ä",
        query="q=1&q=%C3%A4&empty=&flag",
        headers={
            "X-One": "Zoë".encode().decode("latin-1"),
            "X-Two": "1,2",
            "Cookie": "a=1; b=zwei; a=3",
            "User-Agent": "test/1",
            "Accept": "text/html;q=0.5, application/json",
            "Authorization": "Basic YWRhOnB3",
            "X-Forwarded-For": "10.0.0.1, 10.0.0.2",
        },
    )
    assert answer.code == 200


def test_variables_of_the_rule(app: Any, visit: Any, dye: Any) -> None:
    """Converters give the same values."""

    def view(number: int, part: float, rest: str) -> dict[str, Any]:
        return {"number": number, "part": part, "rest": rest}

    app.add_url_rule("/<int:number>/<float:part>/<path:rest>", "view", dye(view))
    assert json.loads(visit("/7/1.5/a/b c/ü").body) == {"number": 7, "part": 1.5, "rest": "a/b c/ü"}


@pytest.mark.parametrize("path", ["/%", "/a+b", "/ü/ß", "/a//b", "/a;b=c", "/a?b", "/a#b", "/😀"])
def test_unusual_paths(app: Any, visit: Any, dye: Any, path: str) -> None:
    """A decoded path arrives as it is."""
    app.add_url_rule("/<path:rest>", "view", dye(lambda rest: request.path))
    app.url_map.merge_slashes = False
    assert visit(path).text == path


def test_a_path_that_is_not_utf8(app: Any, visit: Any, dye: Any) -> None:
    """Bytes that are no UTF-8 become U+FFFD, which is no reason for an error."""
    app.add_url_rule("/<path:rest>", "view", dye(lambda rest: ascii(request.path)))
    answer = visit("", PATH_INFO="/a\xff")
    assert answer.code in (200, 404)


def test_below_a_prefix(app: Any, visit: Any, dye: Any, door: str) -> None:
    """An application that is mounted below a prefix knows it."""
    if door == "rsgi":
        pytest.skip("RSGI has no notion of a prefix")
    app.add_url_rule("/page", "view", dye(lambda: [request.root_path, request.path, request.url]))
    answer = visit("/page", SCRIPT_NAME="/app")
    assert json.loads(answer.body) == ["/app", "/page", "http://localhost/app/page"]


def test_form(app: Any, visit: Any, dye: Any) -> None:
    """An urlencoded form."""

    def view() -> Any:
        return request.form.to_dict(flat=False)

    app.add_url_rule("/", "view", dye(view), methods=["POST"])
    answer = visit(
        "/",
        "POST",
        body=b"a=1&a=2&b=%C3%A4+x",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert json.loads(answer.body) == {"a": ["1", "2"], "b": ["ä x"]}


@pytest.mark.parametrize("size", [0, 10, 700_000])
def test_uploaded_file(app: Any, visit: Any, dye: Any, size: int) -> None:
    """A file of a multipart form, small and larger than what is kept in memory."""

    def view() -> Any:
        file = request.files["file"]
        return [file.filename, file.mimetype, len(file.read()), request.form["note"]]

    app.add_url_rule("/", "view", dye(view), methods=["POST"])
    body = (
        b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
        b"Content-Type: application/x-bin\r\n\r\n" + b"\x00" * size + b"\r\n--b--\r\n"
    )
    answer = visit(
        "/", "POST", body=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert json.loads(answer.body) == ["a.bin", "application/x-bin", size, "hi"]


@pytest.mark.parametrize("text", ['{"a": [1, 2]}', "[]", "null", '"ü"', "{", "", "NaN"])
def test_json(app: Any, visit: Any, dye: Any, text: str) -> None:
    """A JSON body, or the 400 for one that is none."""

    def view() -> Any:
        return {"got": request.get_json()}

    app.add_url_rule("/", "view", dye(view), methods=["POST"])
    visit("/", "POST", body=text.encode(), headers={"Content-Type": "application/json"})


def test_not_json(app: Any, visit: Any, dye: Any) -> None:
    """415 for another content type."""

    def view() -> Any:
        return {"got": request.json}

    app.add_url_rule("/", "view", dye(view), methods=["POST"])
    assert visit("/", "POST", body=b"{}", headers={"Content-Type": "text/plain"}).code == 415


@pytest.mark.parametrize("name", ["X_Forwarded_For", "Content_Length"])
def test_a_name_that_passes_for_another(door: str, name: str) -> None:
    """A header with an underscore is dropped by the async doors, as servers of WSGI drop it."""
    from carboy.gateways.environ import Facts, environ_of

    facts = Facts("GET", "http", "", "/", "", "1.1", [(name, "1")], None, None)
    environ = environ_of(facts, None)
    assert not [key for key, value in environ.items() if value == "1"]


def test_repeated_headers_are_joined(door: str) -> None:
    """Repeated headers are one, with commas; cookies with semicolons."""
    from carboy.gateways.environ import Facts, environ_of

    headers = [("accept", "a"), ("cookie", "x=1"), ("accept", "b"), ("cookie", "y=2")]
    facts = Facts("GET", "http", "", "/", "", "1.1", headers, None, None)
    environ = environ_of(facts, None)
    assert environ["HTTP_ACCEPT"] == "a,b"
    assert environ["HTTP_COOKIE"] == "x=1; y=2"


def test_quoting_of_the_query(app: Any, visit: Any, dye: Any) -> None:
    """The query string stays as it was sent."""
    app.add_url_rule("/", "view", dye(lambda: request.query_string))
    query = quote("ä=ö&x=/?", safe="=&/?")
    assert visit(query=query).text == query
