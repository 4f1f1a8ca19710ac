"""Request and Response against Werkzeug's: other moments of work, the same results."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import ETags, IfRange, ImmutableMultiDict, MultiDict, Range
from werkzeug.datastructures import Headers as WerkzeugHeaders
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.http import dump_cookie
from werkzeug.user_agent import UserAgent
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response as WerkzeugResponse

from carboy import Carboy, Request, Response
from carboy.headers import Headers, is_token

# -- the request --------------------------------------------------------------------------------

ATTRIBUTES = [
    "method", "scheme", "server", "root_path", "path", "query_string", "remote_addr", "cookies", "args",
    "full_path", "url", "base_url", "host", "host_url", "root_url", "url_root", "script_root", "mimetype",
    "mimetype_params", "content_type", "content_length", "is_json", "is_secure", "referrer", "origin",
    "authorization", "accept_mimetypes", "accept_languages", "accept_encodings", "accept_charsets",
    "cache_control", "if_match", "if_none_match", "if_modified_since", "if_unmodified_since", "if_range",
    "range", "date", "user_agent", "access_route", "pragma", "max_forwards", "content_encoding",
    "content_md5", "remote_user", "is_multithread", "is_multiprocess", "is_run_once", "values", "form",
    "files", "want_form_data_parsed", "access_control_request_headers", "access_control_request_method",
]  # fmt: skip

LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)
HOST = st.sampled_from(["localhost", "example.org:8080", "[::1]:80", "EXAMPLE.org", "münchen.de"])
DATE = st.sampled_from(["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "soon"])
COOKIE = st.one_of(
    LATIN,
    st.lists(
        st.sampled_from(
            ["a=1", "b=2", "a=3", "c", "=4", "d=", 'e="q;r"', 'f="\\303\\274"', "g = 5", " h=6", "i=7 ", "",
             "j=k=l", "m\t=8", "n=9\t", "o=p q", "ü=ü", "r=a,b", '"', "s='t'", "u=v\x0b"]
        ),
        max_size=6,
    ).map(";".join),
)  # fmt: skip
QUERY = st.one_of(
    LATIN,
    st.lists(
        st.sampled_from(
            ["a=1", "b=2", "a=3", "c", "=4", "", "d=%20", "e+f=+", "%C3%BC=%c3%bc", "%FF=%ff", "g=%", "h=%4",
             "i=j=k", "ü=\xc3\xbc", "l;m=n", "%26=%3D", "o=%E4%BD", "p=+%2B"]
        ),
        max_size=6,
    ).map("&".join),
)  # fmt: skip

ENVIRONS = st.fixed_dictionaries(
    {
        "REQUEST_METHOD": st.sampled_from(["GET", "POST", "PUT", "get", "HEAD"]),
        "wsgi.url_scheme": st.sampled_from(["http", "https"]),
        "SERVER_NAME": HOST,
        "SERVER_PORT": st.sampled_from(["80", "443", "8000"]),
    },
    optional={
        "SCRIPT_NAME": st.sampled_from(["", "/app", "/app/", "/\xc3\xbc", "/\xff"]),
        "PATH_INFO": st.one_of(LATIN, st.sampled_from(["", "/", "//a", "/a/b", "/\xc3\xbc"])),
        "QUERY_STRING": QUERY,
        "REMOTE_ADDR": st.sampled_from(["127.0.0.1", "::1", ""]),
        "REMOTE_USER": LATIN,
        "CONTENT_TYPE": st.sampled_from(
            ["", "text/plain", "Application/JSON", "application/ld+json; charset=utf-8", " a/b ; c=d",
             "application/x-www-form-urlencoded", ";", "text/html;"]
        ),
        "CONTENT_LENGTH": st.sampled_from(["", "0", "3", "10"]),
        "HTTP_TRANSFER_ENCODING": st.sampled_from(["chunked", "gzip, Chunked", "gzip"]),
        "HTTP_HOST": HOST,
        "HTTP_COOKIE": COOKIE,
        "HTTP_DATE": DATE,
        "HTTP_IF_MODIFIED_SINCE": DATE,
        "HTTP_IF_UNMODIFIED_SINCE": DATE,
        "HTTP_IF_RANGE": st.one_of(DATE, st.sampled_from(['"etag"', 'W/"etag"'])),
        "HTTP_IF_NONE_MATCH": st.sampled_from(['"a", W/"b"', "*", ""]),
        "HTTP_AUTHORIZATION": st.sampled_from(
            ["Basic YTpi", "Basic !", "Bearer token", 'Digest a="b", c=d', "Basic /w=="]
        ),
        "HTTP_ACCEPT": st.sampled_from(["text/html,*/*;q=0.5", "", "a/b;q=x"]),
        "HTTP_X_FORWARDED_FOR": st.sampled_from(["10.0.0.1, 10.0.0.2", "a"]),
        "HTTP_CACHE_CONTROL": st.sampled_from(["no-cache, max-age=5", "max-age=x"]),
        "HTTP_RANGE": st.sampled_from(["bytes=0-4", "bytes=-5", "x"]),
        "HTTP_USER_AGENT": LATIN,
        "HTTP_REFERER": LATIN,
    },
)  # fmt: skip


def complete(environ: dict[str, Any]) -> dict[str, Any]:
    fixed = {
        "wsgi.input": io.BytesIO(b"a=1&b=%20&a=2"),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    return fixed | environ


def seen(request: Any, name: str) -> Any:
    """The attribute in a form that can be compared, or the type of the error."""
    try:
        value = getattr(request, name)
    except Exception as error:
        return type(error)
    if isinstance(value, MultiDict):
        return type(value).__name__, list(value.lists())
    return str(value) if isinstance(value, ETags | IfRange | Range | UserAgent) else value


def is_error(value: Any) -> bool:
    return isinstance(value, type)


@settings(max_examples=300, deadline=None)
@given(environ=ENVIRONS, order=st.permutations(ATTRIBUTES))
def test_lazy_attributes_are_werkzeugs_eager_ones(
    environ: dict[str, Any], order: list[str]
) -> None:
    if "hunked" in environ.get("HTTP_TRANSFER_ENCODING", ""):
        environ.pop("CONTENT_LENGTH", None)  # both at once are a 400 here
    ours, theirs = Request(complete(environ)), WerkzeugRequest(complete(environ))
    pairs = {name: (seen(ours, name), seen(theirs, name)) for name in order}
    # Where Werkzeug raises, on bytes that are not UTF-8, there may be a value.
    better = {n for n, (our, their) in pairs.items() if is_error(their) and not is_error(our)}
    assert {n: pair for n, pair in pairs.items() if n not in better and pair[0] != pair[1]} == {}
    assert list(ours.headers) == list(theirs.headers)
    assert ours.get_data() == theirs.get_data()


def test_an_attribute_that_was_set_stays_set() -> None:
    request = Request(complete({"REQUEST_METHOD": "GET"}))
    request.method = "PUT"
    request.path = "/other"
    assert (request.method, request.path, request.full_path) == ("PUT", "/other", "/other?")


def test_a_query_that_was_set_is_what_args_are_made_of() -> None:
    request = Request(complete({"QUERY_STRING": "a=1"}))
    request.query_string = b"b=2"
    assert request.args.to_dict() == {"b": "2"}


@pytest.mark.parametrize("name", ["args", "cookies"])
def test_another_storage_class_is_used(name: str) -> None:
    class Storage(ImmutableMultiDict[str, str]):
        pass

    class Own(Request):
        parameter_storage_class = dict_storage_class = Storage

    request = Own(complete({"QUERY_STRING": "a=1&b=2", "HTTP_COOKIE": "a=1; b=2"}))
    value = getattr(request, name)
    assert type(value) is Storage
    assert list(value.items()) == [("a", "1"), ("b", "2")]


def test_a_shallow_request_gives_no_body() -> None:
    request = Request(complete({}), shallow=True)
    with pytest.raises(RuntimeError, match="shallow"):
        request.get_data()


# -- the response -------------------------------------------------------------------------------


class Reference(WerkzeugResponse):
    """Werkzeug's class with Flask's defaults."""

    default_mimetype = "text/html"
    autocorrect_location_header = False


BODIES = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.lists(st.binary(max_size=4), max_size=3),
    st.lists(st.text(max_size=4), max_size=3),
    st.tuples(st.binary(max_size=4), st.text(max_size=4)),
    st.binary(max_size=4).map(bytearray),
    st.just(iter),
).filter(lambda body: "\\ud" not in ascii(body))
HEADER_PAIRS = st.lists(
    st.tuples(
        st.sampled_from(["X-A", "x-a", "X-B", "Content-Type", "content-length", "Location",
                         "Content-Location", "Vary", "ETag", "Expires", "allow", "Content-Range",
                         "LAST-MODIFIED"]),
        st.sampled_from(["1", "/x", "/ü?ö", "text/css"]),
    ),
    max_size=4,
)  # fmt: skip
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(
            [None, 200, 201, 204, 304, 404, 799, 101, "200", "404 Nothing", "418 ", HTTPStatus.CREATED]
        ),
        "headers": st.one_of(
            st.none(),
            HEADER_PAIRS,
            HEADER_PAIRS.map(dict),
            HEADER_PAIRS.map(WerkzeugHeaders),
            HEADER_PAIRS.map(Headers),
            st.just({"X-Many": ["1", "2"]}),
        ),
        "mimetype": st.sampled_from([None, "", "text/plain", "application/json", "text/x;y=z"]),
        "content_type": st.sampled_from([None, "a/b", "text/html; charset=latin1"]),
        "direct_passthrough": st.booleans(),
    },
)  # fmt: skip


def made(cls: type[Any], body: Any, arguments: dict[str, Any]) -> Any:
    if body is iter:
        body = iter([b"a", "b"])
    headers = arguments.get("headers")
    if isinstance(headers, WerkzeugHeaders):
        arguments = arguments | {"headers": type(headers)(headers)}
    return cls(body, **arguments)


def sent(response: Any, method: str) -> Any:
    body, status, headers = response.get_wsgi_response({"REQUEST_METHOD": method})
    chunks = list(body)
    if hasattr(body, "close"):
        body.close()
    return chunks, status, list(headers)


@settings(max_examples=500, deadline=None)
@given(body=BODIES, arguments=ARGUMENTS, method=st.sampled_from(["GET", "HEAD", "POST"]))
@example(body="", arguments={"mimetype": ""}, method="GET")
@example(body="a", arguments={"status": 304, "headers": [("Expires", "0")]}, method="GET")
@example(body=iter, arguments={"status": 304, "direct_passthrough": True}, method="POST")
def test_a_response_is_made_and_sent_as_werkzeugs(
    body: Any, arguments: dict[str, Any], method: str
) -> None:
    ours, theirs = made(Response, body, arguments), made(Reference, body, arguments)
    assert list(ours.headers) == list(theirs.headers)
    assert (ours.status, ours.status_code) == (theirs.status, theirs.status_code)
    assert (ours.mimetype, ours.is_streamed) == (theirs.mimetype, theirs.is_streamed)
    assert sent(ours, method) == sent(theirs, method)


@settings(max_examples=100, deadline=None)
@given(body=BODIES, arguments=ARGUMENTS)
def test_a_subclass_is_made_as_werkzeugs(body: Any, arguments: dict[str, Any]) -> None:
    class Ours(Response):
        automatically_set_content_length = False
        default_status = 202
        default_mimetype = None

    class Theirs(Reference):
        automatically_set_content_length = False
        default_status = 202
        default_mimetype = None

    assert sent(made(Ours, body, arguments), "GET") == sent(made(Theirs, body, arguments), "GET")


def test_a_subclass_may_take_the_body_in_its_own_way() -> None:
    class Shouting(Response):
        def set_data(self, value: Any) -> None:
            super().set_data(value.upper())

    assert Shouting("a").get_data() == b"A"


class Body:
    """An iterable that says whether it was closed."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"x"])

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("status", [200, 304])
def test_the_body_is_closed_once_sent(method: str, direct: bool, status: int) -> None:
    body = Body()
    ran: list[str] = []
    response = Response(body, status, direct_passthrough=direct)
    response.call_on_close(lambda: ran.append("yes"))
    sent(response, method)
    assert body.closed
    assert ran == ["yes"]


def test_headers_of_werkzeugs_class_are_checked_before_they_are_sent() -> None:
    body = Body()
    response = Response(body, headers=WerkzeugHeaders([("X-A", "a\0b")]))
    with pytest.raises(ValueError, match="X-A"):
        response.get_wsgi_response({"REQUEST_METHOD": "GET"})
    assert body.closed


def test_headers_that_are_handed_over_stay_the_callers_object() -> None:
    headers = WerkzeugHeaders()
    response = Response("x", headers=headers)
    headers["X-Late"] = "1"
    assert response.headers is headers
    assert ("X-Late", "1") in sent(response, "GET")[2]


def test_a_response_of_another_class_is_checked_when_it_is_taken_over() -> None:
    class Odd(NotFound):
        code = 1000

    with pytest.raises(ValueError, match="1000"):
        Response.force_type(Odd().get_response())
    taken = Response.force_type(NotFound().get_response())
    with pytest.raises(ValueError, match="control"):
        taken.headers["X-A"] = "\0"


def test_an_error_with_a_code_that_is_none_is_a_500() -> None:
    class Odd(HTTPException):
        code = 20

    app = Carboy("t")

    @app.route("/")
    def view() -> Any:
        raise Odd

    assert app.test_client().get("/").status == "500 INTERNAL SERVER ERROR"


# -- cookies ------------------------------------------------------------------------------------

NOW = 1_700_000_000.75
COOKIE_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "max_age": st.sampled_from([None, 0, 60, timedelta(hours=1), -5, True, 1.5]),
        "expires": st.sampled_from(
            [None, 0, NOW, "Sun, 06 Nov 1994 08:49:37 GMT", datetime(2030, 1, 2, tzinfo=UTC)]
        ),
        "path": st.sampled_from([None, "/", "", "/a b;c", "/ü", "/%20"]),
        "domain": st.sampled_from(
            [None, "", "example.org", ".example.org", "münchen.de", "a.b:80"]
        ),
        "secure": st.booleans(),
        "httponly": st.booleans(),
        "samesite": st.sampled_from([None, "Lax", "strict", "NONE"]),
        "partitioned": st.booleans(),
    },
)


@settings(max_examples=300, deadline=None)
@given(
    name=st.text(st.characters(max_codepoint=127), min_size=1, max_size=5).filter(is_token),
    value=st.text(max_size=12).filter(lambda text: text.isascii() or text.isprintable()),
    options=COOKIE_OPTIONS,
)
def test_a_cookie_is_werkzeugs_with_every_control_character_in_octal(
    name: str, value: str, options: dict[str, Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("carboy.headers.time.time", lambda: NOW)
        patch.setattr("werkzeug.http.datetime", Clock)
        response = Response()
        response.set_cookie(name, value, **options)
        theirs = dump_cookie(name, value, **options)
        for code in range(0x1A, 0x20):  # which Werkzeug leaves as they are
            theirs = theirs.replace(chr(code), f"\\{code:03o}")
        assert response.headers["Set-Cookie"] == theirs


class Clock(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.fromtimestamp(NOW, tz)


def test_a_cookie_that_is_too_large_is_warned_about() -> None:
    response = Response()
    with pytest.warns(UserWarning, match="'a' cookie is too large"):
        response.set_cookie("a", "v" * 5000)
    assert len(response.headers["Set-Cookie"]) > 5000


@pytest.mark.parametrize("name", ["a b", "", "a=b", "ü", "a;b", "a\n"])
def test_a_bad_cookie_is_refused_also_the_second_time(name: str) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="cookie"):
            Response().set_cookie(name, "v")
        with pytest.raises(ValueError, match="cookie"):
            Response().delete_cookie(name)


def test_a_samesite_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="SameSite"):
        Response().set_cookie("a", "v", samesite="Lax; Secure")
