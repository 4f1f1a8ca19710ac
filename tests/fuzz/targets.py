"""What is fuzzed: each target takes bytes, and raises if a promise is broken.

A target returns a word for what became of the input (a status, "taken", "refused"): a fuzzer that
only ever sees one word tests nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_options_header
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.sansio.utils import get_content_length

from carboy import Carboy, Request
from carboy.body import parse_cookies, parse_query
from carboy.json.tag import TaggedJSONSerializer
from carboy.origins import is_own_origin, parse_origin
from carboy.routing import Router
from carboy.security import url_has_allowed_host
from carboy.security.proxies import parse_forwarded
from carboy.security.signed_urls import verify_url
from carboy.sessions import SecureCookieSessionInterface

from .application import ATTRIBUTES, make_app
from .doors import DOORS, Written

Target = Callable[[bytes], str]
TARGETS: dict[str, Target] = {}


def target(function: Target) -> Target:
    """Enter a target under its name, with dashes."""
    TARGETS[function.__name__.replace("_", "-")] = function
    return function


@cache
def application() -> Carboy:
    """The application, made once."""
    return make_app(Path(tempfile.mkdtemp(prefix="carboy-fuzz-")))


def _request(environ: dict[str, Any], body: bytes = b"") -> Request:
    import io

    return Request(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
            **environ,
        }
    )


# -- whole requests ------------------------------------------------------------------------------


def _through(door: str, data: bytes) -> str:
    written = Written(data)
    answer = DOORS[door](application(), written)
    if not answer.status and door == "rsgi" and written.is_cut():
        return "cut"  # the client is taken to have gone, as this protocol does not tell
    return str(answer.check(written.method).status)


@target
def wsgi_request(data: bytes) -> str:
    """A whole request through the WSGI door."""
    return _through("wsgi", data)


@target
def asgi_request(data: bytes) -> str:
    """A whole request through the ASGI door."""
    return _through("asgi", data)


@target
def rsgi_request(data: bytes) -> str:
    """A whole request through the RSGI door."""
    return _through("rsgi", data)


@target
def doors_agree(data: bytes) -> str:
    """WSGI and ASGI give the same answer to the same request."""
    written = Written(data)
    if not written.is_framed():
        return "unframed"
    one = DOORS["wsgi"](application(), written)
    other = DOORS["asgi"](application(), written)
    assert one.status == other.status, (one.status, other.status, written.__dict__)
    timed = b"session=" in str(one.headers).encode() or written.path == "/signed"
    if not timed:  # a signature holds the time
        assert one.body == other.body, (one.body, other.body)
        names = sorted(name.lower() for name, _ in one.headers)
        assert names == sorted(name for name, _ in other.headers), (one.headers, other.headers)
    return str(one.status)


# -- parsers -------------------------------------------------------------------------------------


@target
def query(data: bytes) -> str:
    """A query string: every pair that has one comes out, in order, as often as it was sent."""
    found = parse_query(data, MultiDict)
    pieces = [piece for piece in data.split(b"&") if piece]
    assert sum(len(values) for values in found.listvalues()) == len(pieces)
    return "taken" if found else "empty"


@target
def cookies(data: bytes) -> str:
    """A Cookie header: no nameless cookie, and never more of them than pieces."""
    text = data.decode("latin-1")
    found = parse_cookies(text, MultiDict)
    assert "" not in found
    assert sum(len(values) for values in found.listvalues()) <= text.count(";") + 1
    return "taken" if found else "empty"


def _form(content_type: str, data: bytes) -> str:
    request = _request({"CONTENT_TYPE": content_type}, data)
    request.max_content_length = 20_000
    request.max_form_memory_size = 4_000
    request.max_form_parts = 20
    try:
        form, files = request.form, request.files
    except HTTPException as error:
        assert error.code is not None and 400 <= error.code < 500, error
        return str(error.code)
    size = 0
    for name, value in form.items(multi=True):
        assert isinstance(name, str) and isinstance(value, str)
        size += len(value)
    assert size <= 4_000 * 3
    for name, file in files.items(multi=True):
        assert isinstance(name, str)
        assert not file.filename or not set(file.filename) & set("/\\\0"), file.filename
    request.close()
    return "taken"


@target
def urlencoded_form(data: bytes) -> str:
    """A body of application/x-www-form-urlencoded."""
    return _form("application/x-www-form-urlencoded", data)


@target
def multipart_form(data: bytes) -> str:
    """A body of multipart/form-data, whose boundary is the first line, if that can be one."""
    first, _, rest = data.partition(b"\r\n")
    boundary = first.removeprefix(b"--").decode("latin-1") if len(first) < 80 else "b"
    safe = boundary.replace('"', "").replace("\\", "") or "b"
    return _form(f'multipart/form-data; boundary="{safe}"', data if rest else b"--b\r\n" + data)


@target
def multipart_content(data: bytes) -> str:
    """Whatever a file holds comes out of multipart as it went in, however blocks fall."""
    boundary = b"b" + bytes(str(len(data) % 7), "ascii")
    if b"\r\n--" + boundary in b"\r\n" + data:
        return "ambiguous"
    body = b"--%s\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n%s\r\n--%s--\r\n" % (
        boundary,
        data,
        boundary,
    )
    request = _request({"CONTENT_TYPE": f"multipart/form-data; boundary={boundary.decode()}"}, body)
    with request.files["f"].stream as file:
        assert file.read() == data
    return "equal"


@target
def json_body(data: bytes) -> str:
    """A JSON body: what the parser of the standard library takes, or a 4xx."""
    with application().test_request_context(
        "/json", method="POST", data=data, content_type="application/json"
    ) as context:
        try:
            value = context.request.get_json()
        except HTTPException as error:
            assert error.code == 400, error
            return "400"
    try:
        text = json.dumps(value)
    except ValueError:
        return "taken"  # an integer of too many digits to be written
    assert "NaN" not in json.dumps(_numbers(value)), text
    return "taken"


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, float) else []


@target
def header_values(data: bytes) -> str:
    """One value in each header that the request parses: each attribute can be read."""
    name, _, value = data.decode("latin-1").partition(":")
    keys = [
        "ACCEPT",
        "ACCEPT_CHARSET",
        "ACCEPT_ENCODING",
        "ACCEPT_LANGUAGE",
        "AUTHORIZATION",
        "CACHE_CONTROL",
        "COOKIE",
        "DATE",
        "HOST",
        "IF_MATCH",
        "IF_MODIFIED_SINCE",
        "IF_NONE_MATCH",
        "IF_RANGE",
        "IF_UNMODIFIED_SINCE",
        "MAX_FORWARDS",
        "ORIGIN",
        "PRAGMA",
        "RANGE",
        "REFERER",
        "USER_AGENT",
        "X_FORWARDED_FOR",
        "X_FORWARDED_HOST",
        "FORWARDED",
    ]
    environ: dict[str, Any] = {f"HTTP_{key}": value for key in keys}
    if name.isascii() and name.isidentifier():
        environ = {f"HTTP_{name.upper()}": value}
    environ["CONTENT_TYPE"] = value
    request = _request(environ)
    for attribute in ATTRIBUTES:
        try:
            getattr(request, attribute, None)
        except HTTPException as error:
            assert error.code is not None and 400 <= error.code < 500, (attribute, error)
    parse_options_header(value)
    get_content_length(value)
    return "read"


@target
def route(data: bytes) -> str:
    """A path: the compiled router gives what Werkzeug's map gives, or leaves it open."""
    url_map, router = _maps()
    path = "/" + data.decode("utf-8", "replace")
    found = router.match("GET", path, "")
    adapter = url_map.bind("localhost")
    try:
        rule, args = adapter.match(path, return_rule=True)
    except RequestRedirect:
        assert found is None, found
        return "redirect"
    except HTTPException:
        assert found is None, found
        return "404"
    assert found is None or found == (rule, args), (found, rule, args)
    return "open" if found is None else "found"


@cache
def _maps() -> tuple[Map, Router]:
    rules = [
        "/",
        "/a",
        "/a/",
        "/a/<x>",
        "/a/<int:x>/b",
        "/a/<path:p>/end",
        "/f/<float(signed=True):x>",
        "/u/<uuid:u>",
        "/<any(one,two):w>/z",
        "/<lang>/<int(fixed_digits=3):n>",
        "/x-<a>-<b>/c",
        "/<path:rest>/last/",
    ]
    url_map = Map([Rule(rule, endpoint=rule, methods=["GET"]) for rule in rules])
    return url_map, Router(url_map)


@target
def session_cookie(data: bytes) -> str:
    """A session cookie that we did not sign is an empty session, never an error."""
    app = application()
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    with app.test_request_context(
        "/", environ_overrides={"HTTP_COOKIE": f"session={data.decode('latin-1')}"}
    ) as context:
        assert dict(context.session) == {}
    good = serializer.dumps({"name": data.decode("latin-1")})
    text = good if isinstance(good, str) else good.decode()
    with app.test_request_context("/", environ_overrides={"HTTP_COOKIE": f"session={text}"}) as own:
        assert dict(own.session) == {"name": data.decode("latin-1")}
    return "round"


@target
def tagged_json(data: bytes) -> str:
    """Tagged JSON as sessions hold it: data shaped like tags comes back as it was."""
    serializer = TaggedJSONSerializer()
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return "no JSON"
    if isinstance(value, float | int) or "NaN" in repr(value) or "nan" in repr(value):
        return "number"
    try:
        text = serializer.dumps(value)
    except (ValueError, RecursionError):
        return "refused"
    assert serializer.loads(text) == value
    return "round"


@target
def redirect_target(data: bytes) -> str:
    """What `url_has_allowed_host` lets through leads a browser to no foreign host."""
    text = data.decode("utf-8", "replace")
    if not url_has_allowed_host(text, {"example.com"}, require_https=False):
        return "refused"
    seen = "".join(c for c in text if c not in "\t\r\n").strip("".join(map(chr, range(33))))
    seen = seen.replace("\\", "/")
    if seen.startswith("//"):
        seen = "http:" + seen
    parts = urlsplit(seen)
    assert not parts.scheme or parts.scheme in ("http", "https"), text
    assert not parts.netloc or (parts.hostname or "") == "example.com", text
    assert not (parts.scheme and not parts.netloc), text
    return "local" if not parts.netloc else "allowed"


@target
def origin_header(data: bytes) -> str:
    """An Origin header is our own only if it is, to the letter, scheme, host and port."""
    text = data.decode("latin-1")
    found = parse_origin(text)
    if is_own_origin(text, "https", "example.com"):
        assert text.lower() in ("https://example.com", "https://example.com:443"), text
        return "own"
    return "other" if found else "none"


@target
def forwarded_header(data: bytes) -> str:
    """A Forwarded header can be read, whatever it holds."""
    return "hops" if parse_forwarded(data.decode("latin-1")) else "none"


@target
def signed_url(data: bytes) -> str:
    """A URL that we did not sign is refused."""
    with application().test_request_context("/"):
        assert not verify_url("/" + data.decode("utf-8", "replace"))
    return "refused"
