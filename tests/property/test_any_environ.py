"""Whatever a server hands over: a valid reply or a 4xx, never an exception and never a 500."""

from __future__ import annotations

import io
import json
import re
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.http import parse_cookie

from carboy import Carboy, Response, make_response, redirect, request, url_for

# Flask answers some of these with a 500, with a broken header or with half of the data.
beyond = pytest.mark.beyond

LATIN = st.characters(max_codepoint=255)
HEADER = st.text(LATIN, max_size=60)
TOKENS = st.sampled_from(
    ["/", "?", "&", "=", ";", ",", '"', "\\", "%", "%ff", "%0a", "\0", "\r\n", "\n", " ", "\t", "*",
     "\xff", "\xc3\xa9", "\xed\xa0\x80", "..", "bytes=", "0-", "q=0.5", "W/", "é", "utf-8''", "boundary=b",
     "application/json", "multipart/form-data", "application/x-www-form-urlencoded", "Basic ", "Bearer ",
     "localhost", ":80", "http://", "//", "a", "b", "1", "-1", "9" * 30, "--b", "{", "[", "name=", "s", "i"]
)  # fmt: skip
PIECES = st.lists(TOKENS, max_size=12).map("".join)
TEXT = st.one_of(HEADER, PIECES).map(lambda s: s.encode("latin-1", "ignore").decode("latin-1"))

NAMES = [
    "HTTP_ACCEPT", "HTTP_ACCEPT_LANGUAGE", "HTTP_AUTHORIZATION", "HTTP_CACHE_CONTROL", "HTTP_COOKIE",
    "HTTP_HOST", "HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_IF_RANGE",
    "HTTP_RANGE", "HTTP_REFERER", "HTTP_USER_AGENT", "HTTP_X_FORWARDED_FOR", "HTTP_TRANSFER_ENCODING",
    "CONTENT_TYPE", "CONTENT_LENGTH", "SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR",
]  # fmt: skip

ATTRIBUTES = [
    "args", "form", "files", "values", "cookies", "headers", "url", "base_url", "full_path", "host",
    "host_url", "url_root", "method", "mimetype", "authorization", "accept_mimetypes", "range",
    "if_none_match", "if_modified_since", "if_range", "cache_control", "content_length", "referrer",
    "user_agent", "access_route", "is_json", "scheme", "blueprint", "endpoint", "view_args", "date",
]  # fmt: skip


def make_app(tmp_path: Any) -> Carboy:
    app = Carboy("any", root_path=str(tmp_path))
    app.secret_key = "k"
    app.config["MAX_CONTENT_LENGTH"] = 10_000
    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]

    @app.route("/", methods=every)
    @app.route("/s/<x>/", methods=every)
    @app.route("/i/<int:x>", methods=every)
    @app.route("/f/<float:x>", methods=every)
    @app.route("/p/<path:x>", methods=every)
    def look(x: object = None) -> Any:
        for name in ATTRIBUTES:
            getattr(request, name)
        return [str(x), url_for("look", x=x, _external=True) if x is not None else ""]

    @app.route("/json", methods=every)
    def as_json() -> Any:
        return {"got": request.get_json()}

    @app.route("/data", methods=every)
    def data() -> Any:
        return request.get_data()

    @app.route("/away")
    def away() -> Any:
        return redirect(request.args.get("to", "/"))

    return app


@pytest.fixture(scope="module")
def app(tmp_path_factory: Any) -> Carboy:
    return make_app(tmp_path_factory.mktemp("any"))


STATUS = re.compile(r"[1-5][0-9]{2} [ -~]*")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[^\0\r\n\u0100-\U0010ffff]*")


def assert_valid(reply: Any, method: str) -> None:
    """A status line, header fields and a length that a server can send as they are."""
    assert STATUS.fullmatch(reply.status), reply.status
    for name, value in reply.headers:
        assert NAME.fullmatch(name), (name, value)
        assert VALUE.fullmatch(value), (name, value)
    length = reply.get("Content-Length")
    if length is not None and method != "HEAD":
        assert int(length) == len(reply.body)
    if method == "HEAD" or reply.code in (204, 304):
        assert reply.body == b""


@beyond
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    method=st.one_of(st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT"]), TEXT),
    path=st.one_of(
        st.sampled_from(["/", "/json", "/data", "/away", "/static/x"]),
        TEXT,
        TEXT.map(lambda t: "/" + t),
        st.tuples(st.sampled_from(["/s/", "/i/", "/f/", "/p/"]), TEXT).map("".join),
    ),
    query=TEXT.map(lambda t: re.sub(r"[\r\n]", "", t)),  # no server passes a line break on
    environ=st.dictionaries(st.sampled_from(NAMES), TEXT, max_size=6),
    body=st.one_of(st.binary(max_size=200), PIECES.map(lambda t: t.encode("latin-1"))),
    terminated=st.booleans(),
)
def test_any_environ_gives_a_valid_reply(
    app: Carboy,
    call: Any,
    method: str,
    path: str,
    query: str,
    environ: dict[str, str],
    body: bytes,
    terminated: bool,
) -> None:
    """HOSTILE-24: any method, path, query, headers and body."""
    extra: dict[str, Any] = {"wsgi.input_terminated": True} if terminated else {}
    reply = call(app, path, method, query=query, body=body, **(environ | extra))
    assert_valid(reply, method)
    assert reply.code < 500 or reply.code == 501
    after = call(app, "/data", "POST", body=b"still alive")
    assert after.body == b"still alive"


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=8))
def test_any_query_comes_back(app: Carboy, pairs: list[tuple[str, str]]) -> None:
    """REQ-01: encoded by the client's encoder, decoded to the same pairs in their order."""
    from urllib.parse import urlencode

    pairs = [(k, v) for k, v in pairs if (k + v).isprintable()]
    with app.test_request_context("/", query_string=urlencode(pairs)):
        wanted: dict[str, list[str]] = {}
        for key, value in pairs:
            wanted.setdefault(key, []).append(value)
        assert request.args.to_dict(flat=False) == wanted


FORM_TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    fields=st.dictionaries(FORM_TEXT.filter(bool), FORM_TEXT, max_size=5),
    kind=st.sampled_from(["application/x-www-form-urlencoded", "multipart/form-data"]),
)
def test_any_form_comes_back(app: Carboy, fields: dict[str, str], kind: str) -> None:
    """REQ-05: in both encodings."""
    if kind.startswith("multipart"):
        quoted = set('"\\\r\n\0')
        fields = {k: v for k, v in fields.items() if not set(k) & quoted and k.isprintable()}
    if not fields:
        return
    with app.test_request_context("/", method="POST", data=fields, content_type=kind):
        assert request.form.to_dict() == fields


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(JSON)
def test_any_json_comes_back(app: Carboy, call: Any, value: Any) -> None:
    """REQ-11, RESP-02: read and written again."""
    body = json.dumps(value).encode()
    headers = {"Content-Type": "application/json"}
    reply = call(app, "/json", "POST", body=body, headers=headers)
    if reply.code == 200:
        assert json.loads(reply.body) == {"got": json.loads(body)}
    else:
        assert reply.code == 400
        assert "\\ud" in body.decode()  # a lone surrogate is all that may be refused


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=10),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=30),
)
def test_any_cookie_value_comes_back(app: Carboy, name: str, value: str) -> None:
    """COOK-01, COOK-03: whatever text it is, one header and the same text again."""
    with app.test_request_context("/"):
        response = make_response("x")
        response.set_cookie(name, value)
    header = response.headers["Set-Cookie"]
    assert VALUE.fullmatch(header)
    assert parse_cookie(header.partition("; Path=/")[0]).to_dict() == {name: value}


@beyond
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.one_of(TEXT, st.text(max_size=10)), value=st.one_of(TEXT, st.text(max_size=30)))
def test_any_header_of_a_response_is_valid_or_refused(
    tmp_path: Any, call: Any, name: str, value: str
) -> None:
    """HOSTILE-98, HOSTILE-99, HOSTILE-100: a valid reply, if need be a 500."""
    app = Carboy("headers", root_path=str(tmp_path))
    app.add_url_rule("/", "view", lambda: Response("x", headers=[(name, value)]))
    assert_valid(call(app, "/"), "GET")


@beyond
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(TEXT)
def test_any_redirect_target_is_valid_or_refused(app: Carboy, call: Any, to: str) -> None:
    """HOSTILE-108: the reply can be sent as it is."""
    from urllib.parse import quote

    assert_valid(call(app, "/away", query="to=" + quote(to)), "GET")


@beyond
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary(max_size=300), cut=st.integers(0, 300))
def test_any_cut_of_a_multipart_body_is_complete_or_a_400(
    app: Carboy, call: Any, body: bytes, cut: int
) -> None:
    """HOSTILE-71: what arrives as 200 is the whole content."""
    whole = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        + body
        + b"\r\n--b--\r\n"
    )
    seen = []
    sub = Carboy("cut", static_folder=None)
    sub.add_url_rule(
        "/", "v", lambda: seen.append(request.files["f"].read()) or "", methods=["POST"]
    )
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    part = whole[:cut] if cut < len(whole) else whole
    reply = call(sub, "/", "POST", headers=kind, CONTENT_LENGTH=str(len(part)),
                 **{"wsgi.input": io.BytesIO(part)})  # fmt: skip
    if b"\r\n--b" in body:
        return
    assert reply.code in (200, 400)
    if reply.code == 200:
        assert seen == [body]
