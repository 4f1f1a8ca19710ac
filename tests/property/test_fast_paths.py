"""The short ways through the pipeline give what the long way gives.

Each value is returned by the same view in applications that differ in one thing that nobody should
notice: hooks that do nothing, a listener, a subclass that changes nothing, an async view.
"""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import BadRequestKeyError, default_exceptions

from carboy import Carboy, Response, request, request_finished
from carboy.body import Values, parse_pairs

Answer = tuple[str, list[tuple[str, str]], bytes]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
bodies = (
    st.text()
    | st.binary()
    | st.dictionaries(st.text(), json_values, max_size=4)
    | st.lists(json_values, max_size=4)
)
codes = st.integers(100, 599)
values = bodies | st.tuples(bodies, codes)


def plain(app: Carboy) -> None:
    """Nothing: the short way."""


def hooked(app: Carboy) -> None:
    """Hooks that change nothing."""
    app.before_request(lambda: None)
    app.after_request(lambda response: response)
    app.teardown_request(lambda error: None)


def url_values(app: Carboy) -> None:
    """A preprocessor that looks at nothing, so that a request object is made."""
    app.url_value_preprocessor(lambda endpoint, values: None)


class Same(Carboy):
    """Replaces a method by one that does the same."""

    def full_dispatch_request(self) -> Response:
        return super().full_dispatch_request()

    def dispatch_request(self) -> Any:
        return super().dispatch_request()

    def preprocess_request(self) -> Any:
        return super().preprocess_request()

    def make_response(self, rv: Any) -> Response:
        return super().make_response(rv)

    def finalize_request(self, rv: Any, from_error_handler: bool = False) -> Response:
        return super().finalize_request(rv, from_error_handler)

    def process_response(self, response: Response) -> Response:
        return super().process_response(response)

    def handle_user_exception(self, e: Exception) -> Any:
        return super().handle_user_exception(e)

    def handle_exception(self, e: Exception) -> Response:
        return super().handle_exception(e)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return super().ensure_sync(func)


class Cell:
    """What the views return, or raise."""

    value: Any = ""


def build(
    cell: Cell, change: Callable[[Carboy], None], cls: type[Carboy], coloured: bool
) -> Carboy:
    app = cls("fast")
    change(app)

    def answer() -> Any:
        if isinstance(cell.value, Exception):
            raise cell.value
        return cell.value

    async def async_answer() -> Any:
        return answer()

    app.add_url_rule("/x", "x", async_answer if coloured else answer)
    app.add_url_rule("/x/<int:number>", "y", lambda number: answer())
    return app


def ask(app: Carboy, method: str, path: str) -> Answer:
    """One raw WSGI call."""
    seen: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    body = app(environ, lambda status, headers, exc_info=None: seen.extend((status, headers)))
    chunks = b"".join(body)
    getattr(body, "close", lambda: None)()
    return seen[0], sorted(seen[1]), chunks


CELL = Cell()
SHORT = build(CELL, plain, Carboy, False)
LONG = {
    "hooks": build(CELL, hooked, Carboy, False),
    "url values": build(CELL, url_values, Carboy, False),
    "replaced methods": build(CELL, plain, Same, False),
    "async view": build(CELL, plain, Carboy, True),
    "async view, replaced methods": build(CELL, hooked, Same, True),
}


@pytest.mark.parametrize("way", LONG)
@settings(max_examples=60, deadline=None)
@given(value=values, method=st.sampled_from(["GET", "HEAD", "OPTIONS", "POST"]))
def test_a_value_is_answered_alike_on_each_way(way: str, value: Any, method: str) -> None:
    """Text, bytes, JSON and codes: same status, headers and body."""
    CELL.value = value
    for path in ("/x", "/x/7", "/nowhere", "/x/"):
        assert ask(SHORT, method, path) == ask(LONG[way], method, path)


@pytest.mark.parametrize("way", LONG)
@pytest.mark.parametrize("code", default_exceptions)
def test_an_http_error_is_answered_alike_on_each_way(way: str, code: int) -> None:
    """Each error class, with its own words and with the application's."""
    for description in (None, "because <of> this"):
        CELL.value = default_exceptions[code](description)
        assert ask(SHORT, "GET", "/x") == ask(LONG[way], "GET", "/x")


def test_a_listener_gets_the_response_of_a_value_that_would_go_the_short_way() -> None:
    """A signal's receiver sees what is sent, and takes nothing from it."""
    CELL.value = {"a": [1, 2]}
    before = ask(SHORT, "GET", "/x")
    seen: list[Response] = []

    def receive(sender: Carboy, response: Response, **more: Any) -> None:
        seen.append(response)

    with request_finished.connected_to(receive, SHORT):
        assert ask(SHORT, "GET", "/x") == before
    assert seen[0].get_data() == before[2]


def test_a_view_that_asks_for_its_response_after_the_fact_gets_it() -> None:
    """``after_this_request`` in the view leaves the short way."""
    app = Carboy("fast")

    @app.get("/")
    def index() -> str:
        from carboy import after_this_request

        @after_this_request
        def add(response: Response) -> Response:
            response.headers["X-Method"] = request.method
            return response

        return "x"

    assert ("X-Method", "GET") in ask(app, "GET", "/")[1]


QUERY_PARTS = st.lists(
    st.sampled_from(
        ["a", "b", "a=1", "b=2", "=", "", "a=%20x", "b+c=d+e", "a=1=2", "é=ü", "c;d=e"]
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(parts=QUERY_PARTS)
def test_values_of_a_query_are_what_werkzeugs_own_class_makes_of_them(parts: list[str]) -> None:
    """Each way to ask for a value: the same one, or the same error."""
    text = "&".join(parts)
    values = parse_pairs(text, Values)
    whole = parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote")
    expected: ImmutableMultiDict[str, str] = ImmutableMultiDict(whole)
    assert values == expected
    assert list(values.items(multi=True)) == list(expected.items(multi=True))
    assert pickle.loads(pickle.dumps(values)) == expected
    for key in ("a", "b", "b c", "", "é", "missing"):
        assert (key in values) is (key in expected)
        assert values.get(key, 5) == expected.get(key, 5)
        assert values.get(key, 5, type=int) == expected.get(key, 5, type=int)
        assert values.getlist(key) == expected.getlist(key)
        if key in expected:
            assert values[key] == expected[key]
        else:
            with pytest.raises(BadRequestKeyError) as caught:
                values[key]
            assert caught.value.args == (key,)
    with pytest.raises(TypeError):
        values["a"] = "x"


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "%",
                "%%",
                "%4",
                "%4g",
                "%41",
                "%2b",
                "%2B",
                "+",
                "%26",
                "%3d",
                "&",
                "=",
                "%C3%BC",
                "%c3",
                "%ff",
                "%FF",
                "%00",
                "%E2%82",
                "%E2%82%AC",
                "%ED%A0%80",
                "a",
                "\u00fc",
                "\u20ac",
                "%\u00fc",
                ";",
            ]
        ),
        max_size=12,
    ).map("".join)
    | st.text()
)
def test_escapes_are_decoded_as_the_standard_library_does(text: str) -> None:
    """Whole, broken and cut ones, and bytes that are not UTF-8."""
    whole = parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote")
    expected: ImmutableMultiDict[str, str] = ImmutableMultiDict(whole)
    for cls in (Values, ImmutableMultiDict):
        values = parse_pairs(text, cls)
        assert type(values) is cls
        assert list(values.items(multi=True)) == list(expected.items(multi=True))


PROBE = """
import io, sys
from carboy import Carboy, request, shortcuts, url_for
app = Carboy("probe")
@app.route("/v/<int:number>/t", methods=["GET", "POST"])
def track(number):
    return {"n": number, "q": request.args.to_dict(flat=False), "u": url_for("track", number=3)}
@app.route("/text")
def text():
    return "x", 201
out = []
for method, path, query in [
    ("GET", "/v/7/t", "a=1&a=2&b=%20"), ("HEAD", "/text", ""), ("GET", "/text", ""),
    ("GET", "/v/x/t", ""), ("PUT", "/text", ""), ("OPTIONS", "/v/1/t", ""), ("GET", "/no", ""),
]:
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query,
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost",
        "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr}
    body = app(environ, lambda s, h, e=None: out.append((s, sorted(h))))
    out.append(b"".join(body))
print(shortcuts.SLOW)
print(out)
"""


def test_without_shortcuts_each_answer_is_the_same() -> None:
    """``CARBOY_SLOW=1``: the switch is seen, and nothing else is."""
    answers = {}
    for slow in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", PROBE],
            env={**os.environ, "CARBOY_SLOW": slow, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=True,
        )
        switch, answers[slow] = run.stdout.splitlines()
        assert switch == str(slow == "1")
    assert answers["0"] == answers["1"]
