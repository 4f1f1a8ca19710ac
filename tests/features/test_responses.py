from __future__ import annotations

import dataclasses
import decimal
import uuid
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from markupsafe import Markup
from werkzeug.exceptions import Conflict, Forbidden, HTTPException, NotFound
from werkzeug.exceptions import abort as bare_abort

import carboy.json
from carboy import (
    Carboy,
    Response,
    abort,
    current_app,
    g,
    json,
    jsonify,
    make_response,
    redirect,
    request,
    session,
    url_for,
)
from carboy.json.provider import DefaultJSONProvider


@pytest.fixture
def answer(app):
    """``answer(value)``: the response to a view that returns *value*, or what *value()* gives."""
    values = []

    def view():
        return values[-1]() if callable(values[-1]) else values[-1]

    app.add_url_rule("/", "the_view", view, methods=["GET", "POST"])
    client = app.test_client()

    def get(value, **options):
        values.append(value)
        return client.open("/", **options)

    return get


def test_a_string_is_html(answer):
    """RESP-01: 200, text/html, UTF-8, with its length in bytes."""
    response = answer("<b>é</b>")
    assert response.status == "200 OK"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Length"] == str(len("<b>é</b>".encode()))
    assert response.text == "<b>é</b>"


def test_an_empty_string_is_an_empty_200(answer):
    """RESP-01: with length 0."""
    response = answer("")
    assert (response.status_code, response.headers["Content-Length"]) == (200, "0")


@pytest.mark.parametrize("value", [{"a": [1, None]}, [{"b": "é"}, 2], {}, []])
def test_dict_and_list_become_json(answer, value):
    """RESP-02, D-41: lists too."""
    response = answer(value)
    assert response.headers["Content-Type"] == "application/json"
    assert response.json == value


def test_body_and_status(answer):
    """RESP-03: an int or an HTTPStatus."""
    from http import HTTPStatus

    assert answer(("made", 201)).status == "201 CREATED"
    assert answer(("made", HTTPStatus.CREATED)).status_code == 201
    assert answer(("tea", 418)).status == "418 I'M A TEAPOT"


def test_body_status_and_headers(answer):
    """RESP-04: a dict body is JSON here too."""
    response = answer(({"a": 1}, 202, {"X-Job": "7", "Location": "/jobs/7"}))
    assert (response.status_code, response.json) == (202, {"a": 1})
    assert response.headers["X-Job"] == "7"
    assert response.headers["Location"] == "/jobs/7"


def test_body_and_headers(answer):
    """RESP-05: without a status it stays 200."""
    response = answer(("x", {"X-A": "1", "Content-Type": "text/plain"}))
    assert (response.status_code, response.headers["X-A"]) == (200, "1")
    assert response.headers.getlist("Content-Type") == ["text/plain"]


def test_header_lists_and_status_strings(answer):
    """RESP-05: repeated headers are kept."""
    response = answer(("x", "404 GONE FISHING", [("X-A", "1"), ("X-A", "2")]))
    assert response.status == "404 GONE FISHING"
    assert response.headers.getlist("X-A") == ["1", "2"]


def test_headers_of_a_tuple_override_those_of_a_response(answer):
    """RESP-05: a Response inside a tuple gets status and headers."""

    def view():
        return Response("x", headers={"X-A": "old", "X-B": "kept"}), 201, {"X-A": "new"}

    response = answer(view)
    assert response.status_code == 201
    assert (response.headers["X-A"], response.headers["X-B"]) == ("new", "kept")


@pytest.mark.parametrize(
    "value", [None, 5, 1.5, object(), ("a",), ("a", 200, {}, 1), (), (None, 200), {1, 2}]
)
def test_other_values_are_a_type_error(app, answer, value):
    """RESP-06: None, numbers, wrong tuples; a 500 where errors are handled."""
    assert answer(value).status_code == 500
    app.testing = True
    with pytest.raises(TypeError, match=r"valid response"):
        answer(value)


def test_none_is_explained(app, answer):
    """RESP-06: the message names the endpoint and the forgotten return."""
    app.testing = True
    with pytest.raises(TypeError, match=r"'the_view'.*return(ed)? None.*return"):
        answer(None)


def test_a_wrong_tuple_is_explained(app, answer):
    """RESP-06: with the forms that are allowed."""
    app.testing = True
    with pytest.raises(TypeError, match=r"\(body, status, headers\)"):
        answer(("a", 200, {}, 1))


def test_a_response_object_is_used_as_it_is(app, answer):
    """RESP-07: the very object arrives in after_request."""
    made = Response("x", 203, {"X-A": "1"}, mimetype="text/plain")
    seen = []

    @app.after_request
    def look(response):
        seen.append(response)
        return response

    response = answer(lambda: made)
    assert seen == [made]
    assert (response.status_code, response.mimetype, response.text) == (203, "text/plain", "x")


def test_a_wsgi_callable_is_called(answer):
    """RESP-07: with the environ of the request."""

    def wsgi(environ, start_response):
        start_response("299 WSGI", [("Content-Type", "text/x"), ("X-A", environ["PATH_INFO"])])
        return [b"from ", b"wsgi"]

    response = answer(lambda: wsgi)
    assert response.status == "299 WSGI"
    assert (response.headers["X-A"], response.data) == ("/", b"from wsgi")


@pytest.mark.parametrize("value", [b"\x00\xff", bytearray(b"\x00\xff")])
def test_bytes_are_sent_as_they_are(answer, value):
    """RESP-07: bytes and bytearray."""
    response = answer(value)
    assert response.data == b"\x00\xff"
    assert response.headers["Content-Length"] == "2"


def test_a_generator_is_streamed(answer):
    """RESP-07: str and bytes pieces, no length."""

    def pieces():
        yield "a"
        yield b"b"
        yield "é"

    response = answer(lambda: pieces())
    assert response.text == "abé"
    assert "Content-Length" not in response.headers
    assert response.mimetype == "text/html"


def test_a_werkzeug_response_becomes_the_applications_class(app, answer):
    """RESP-07: ``force_type`` keeps status, headers and body."""
    from werkzeug.wrappers import Response as Plain

    kinds = []
    app.after_request(lambda response: kinds.append(type(response)) or response)
    response = answer(lambda: Plain("x", 201, {"X-A": "1"}))
    assert (response.status_code, response.text, response.headers["X-A"]) == (201, "x", "1")
    assert kinds == [Response]


def test_make_response_wraps_any_return_value(app):
    """RESP-08: nothing, a string, a tuple, several arguments, a Response."""
    with app.test_request_context():
        assert make_response().data == b""
        assert make_response("x").data == b"x"
        assert make_response({"a": 1}).json == {"a": 1}
        assert make_response("x", 404).status_code == 404
        assert make_response(("x", 404)).status_code == 404
        assert make_response("x", 201, {"X-A": "1"}).headers["X-A"] == "1"
        made = Response("x")
        assert make_response(made) is made
        assert isinstance(make_response("x"), app.response_class)


def test_a_response_can_be_changed(answer):
    """RESP-09: status_code, headers, mimetype, content_type, data."""

    def view():
        response = make_response("x")
        response.status_code = 202
        response.headers["X-A"] = "1"
        response.mimetype = "text/plain"
        response.data = "changed"
        return response

    response = answer(view)
    assert response.status == "202 ACCEPTED"
    assert response.headers["X-A"] == "1"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.text == "changed"
    assert response.headers["Content-Length"] == "7"


def test_content_type_replaces_the_whole_header(answer):
    """RESP-09: and ``status`` takes a string."""

    def view():
        response = Response("x", content_type="text/csv")
        response.status = "499 OWN"
        return response

    response = answer(view)
    assert response.status == "499 OWN"
    assert response.status_code == 499
    assert response.headers["Content-Type"] == "text/csv"


def test_response_has_json(app):
    """RESP-09: ``is_json``, ``json``, ``get_json`` on responses."""
    with app.test_request_context():
        response = jsonify(a=1)
        assert response.is_json
        assert response.json == {"a": 1}
        assert response.get_json() == {"a": 1}
        assert Response("x").get_json(silent=True) is None


def test_jsonify_takes_keywords_or_values(answer):
    """RESP-10: several values make a list, nothing makes an empty object's null."""
    assert answer(lambda: jsonify(a=1, b="x")).json == {"a": 1, "b": "x"}
    assert answer(lambda: jsonify({"a": 1})).json == {"a": 1}
    assert answer(lambda: jsonify([1, 2])).json == [1, 2]
    assert answer(lambda: jsonify(1, 2)).json == [1, 2]
    assert answer(lambda: jsonify("x")).json == "x"
    assert answer(lambda: jsonify(None)).data == b"null\n"
    assert answer(lambda: jsonify()).data == b"null\n"
    assert answer(lambda: jsonify(5)).headers["Content-Type"] == "application/json"


def test_jsonify_refuses_values_and_keywords_together(app):
    """RESP-10: TypeError."""
    with app.test_request_context(), pytest.raises(TypeError):
        jsonify({"a": 1}, b=2)


def test_json_is_compact_sorted_and_ends_with_a_newline(answer):
    """RESP-11: indented in debug."""
    assert answer(lambda: {"b": [1, 2], "a": "é"}).data == b'{"a":"\\u00e9","b":[1,2]}\n'


def test_json_is_indented_in_debug(app, answer):
    """RESP-11: two spaces."""
    app.debug = True
    assert answer(lambda: {"b": [1], "a": 1}).data == b'{\n  "a": 1,\n  "b": [\n    1\n  ]\n}\n'


def test_the_json_provider_has_settings(app, answer):
    """RESP-12: sort_keys, compact, mimetype, ensure_ascii."""
    app.json.sort_keys = False
    app.json.ensure_ascii = False
    app.json.compact = False
    app.json.mimetype = "application/vnd.api+json"
    response = answer(lambda: {"b": 1, "a": "é"})
    assert response.data == '{\n  "b": 1,\n  "a": "é"\n}\n'.encode()
    assert response.mimetype == "application/vnd.api+json"


def test_keys_of_different_types_fail_to_sort_and_may_be_left(app, answer):
    """RESP-12: with ``sort_keys`` off."""
    app.json.sort_keys = False
    assert answer(lambda: {"b": 1, 2: "x"}).data == b'{"b":1,"2":"x"}\n'


def test_a_json_provider_may_be_replaced(tmp_path):
    """RESP-12: ``json_provider_class``; used for dict values, jsonify and request.json."""

    class Shouting(DefaultJSONProvider):
        def dumps(self, obj, **kwargs):
            return super().dumps(obj, **kwargs).upper()

        def loads(self, text, **kwargs):
            return {"loaded": True}

    class Loud(Carboy):
        json_provider_class = Shouting

    app = Loud("t", root_path=str(tmp_path))
    app.add_url_rule("/a", "a", lambda: {"a": "x"})
    app.add_url_rule("/b", "b", lambda: jsonify(a="x"))
    app.add_url_rule("/c", "c", lambda: Response(str(request.json)), methods=["POST"])
    client = app.test_client()
    assert client.get("/a").data == b'{"A":"X"}\n'
    assert client.get("/b").data == b'{"A":"X"}\n'
    assert client.post("/c", json={"a": 1}).text == "{'loaded': True}"


def test_the_default_function_of_the_provider(app, answer):
    """RESP-12: ``app.json.default`` serialises own types."""

    class Money:
        pass

    def default(value):
        if isinstance(value, Money):
            return "5 EUR"
        return DefaultJSONProvider.default(value)

    app.json.default = default
    assert answer(lambda: {"m": Money()}).json == {"m": "5 EUR"}


@dataclasses.dataclass
class Point:
    x: int
    when: date


class Page:
    def __html__(self):
        return "<b>page</b>"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2024, 5, 1, 10, 30), "Wed, 01 May 2024 10:30:00 GMT"),
        (datetime(2024, 5, 1, 10, 30, tzinfo=UTC), "Wed, 01 May 2024 10:30:00 GMT"),
        (
            datetime(2024, 5, 1, 10, 30, tzinfo=timezone(timedelta(hours=2))),
            "Wed, 01 May 2024 08:30:00 GMT",
        ),
        (date(2024, 5, 1), "Wed, 01 May 2024 00:00:00 GMT"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (decimal.Decimal("1.50"), "1.50"),
        (Point(1, date(2024, 5, 1)), {"x": 1, "when": "Wed, 01 May 2024 00:00:00 GMT"}),
        (Page(), "<b>page</b>"),
        (Markup("<i>"), "<i>"),
        ((1, 2), [1, 2]),
    ],
)
def test_json_of_other_types(answer, value, text):
    """RESP-13: dates as HTTP dates, Decimal and UUID as text, dataclasses as objects."""
    assert answer(lambda: {"v": value}).json == {"v": text}
    assert answer(lambda: jsonify(value)).json == text


def test_json_of_an_unknown_type_is_a_type_error(app):
    """RESP-13: naming the type."""
    with app.test_request_context(), pytest.raises(TypeError, match="complex"):
        jsonify(1j)


def test_json_functions_use_the_provider(app):
    """RESP-14: dumps, loads, dump, load of ``carboy.json``."""
    import io

    with app.app_context():
        app.json.sort_keys = False
        assert json.dumps({"b": 1, "a": uuid.UUID(int=1)}) == (
            '{"b": 1, "a": "00000000-0000-0000-0000-000000000001"}'
        )
        assert json.loads('{"a": 1}') == json.loads(b'{"a": 1}') == {"a": 1}
        target = io.StringIO()
        json.dump({"a": 1}, target)
        assert json.load(io.StringIO(target.getvalue())) == {"a": 1}
        assert json.dumps({"a": 1}, indent=1) == '{\n "a": 1\n}'


def test_json_functions_work_without_an_application():
    """RESP-14: dates and the like are known, keys stay in their order."""
    assert carboy.json.dumps({"b": date(2024, 5, 1), "a": 1}) == (
        '{"b": "Wed, 01 May 2024 00:00:00 GMT", "a": 1}'
    )
    assert carboy.json.loads("[1]") == [1]


def test_redirect_is_a_302(answer):
    """RESP-15, D-38: the location stays as it was given, relative."""
    response = answer(lambda: redirect("/login"))
    assert response.status_code == 302
    assert response.headers["Location"] == "/login"
    assert response.mimetype == "text/html"
    assert '<a href="/login">/login</a>' in response.text


@pytest.mark.parametrize("code", [301, 302, 303, 305, 307, 308])
def test_redirect_codes(answer, code):
    """RESP-15: given as ``code``."""
    response = answer(lambda: redirect("https://other.test/x?a=b", code))
    assert response.status_code == code
    assert response.headers["Location"] == "https://other.test/x?a=b"


@pytest.mark.parametrize(
    ("code", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
def test_what_a_client_does_with_a_redirected_post(app, code, method):
    """RESP-16: 303 turns it into GET, 307 and 308 keep it with its body."""
    app.add_url_rule("/from", "from", lambda: redirect("/to", code), methods=["POST"])
    app.add_url_rule(
        "/to", "to", lambda: f"{request.method} {request.form.get('a')}", methods=["GET", "POST"]
    )
    response = app.test_client().post("/from", data={"a": "1"}, follow_redirects=True)
    assert response.text == f"{method} {'1' if method == 'POST' else None}"


class Special(Response):
    pass


def test_redirect_takes_a_response_class_outside_an_application():
    """RESP-17: without an active application the argument counts."""
    assert type(redirect("/x", Response=Special)) is Special


def test_in_an_application_its_response_class_is_used(app):
    """RESP-17, D-27: the argument is ignored."""
    with app.test_request_context():
        assert type(redirect("/x", Response=Special)) is app.response_class
        app.response_class = Special
        assert type(redirect("/x")) is Special


def test_redirect_of_the_application_may_be_overridden(tmp_path):
    """RESP-17: ``app.redirect``."""

    class Marked(Carboy):
        def redirect(self, location, code=303):
            return super().redirect(location + "#top", code)

    app = Marked("t", root_path=str(tmp_path))
    app.add_url_rule("/", "v", lambda: redirect("/x"))
    response = app.test_client().get("/")
    assert response.headers["Location"] == "/x#top"


def test_the_redirect_page_escapes_the_location(answer):
    """RESP-18: no script through the address."""
    response = answer(lambda: redirect('/"><script>alert(1)</script>'))
    assert "<script>" not in response.text


def test_a_redirect_location_is_encoded(answer):
    """RESP-18: non-ASCII letters and spaces become a URI."""
    response = answer(lambda: redirect("/ü b?q=é"))
    assert response.headers["Location"] == "/%C3%BC%20b?q=%C3%A9"


def test_post_redirect_get(app, client):
    """RESP-19: ``redirect(url_for(...))`` and the page behind it."""
    saved = []

    @app.post("/save")
    def save():
        saved.append(request.form["name"])
        return redirect(url_for("done", name=saved[-1]), 303)

    app.add_url_rule("/done/<name>", "done", lambda name: f"saved {name}")
    assert client.post("/save", data={"name": "ann"}, follow_redirects=True).text == "saved ann"
    assert saved == ["ann"]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (410, "Gone"),
        (413, "Request Entity Too Large"),
        (429, "Too Many Requests"),
        (500, "Internal Server Error"),
        (503, "Service Unavailable"),
    ],
)
def test_abort_stops_the_view(answer, code, name):
    """RESP-20, D-25: a small HTML page with the error's name."""
    reached = []

    def view():
        abort(code)
        reached.append(1)

    response = answer(view)
    assert response.status_code == code
    assert response.mimetype == "text/html"
    assert response.text.startswith("<!doctype html>\n<html lang=en>\n")
    assert f"<title>{code} {name}</title>" in response.text
    assert f"<h1>{name}</h1>" in response.text
    assert reached == []


def test_abort_with_a_description(answer):
    """RESP-21: shown on the page, escaped."""
    response = answer(lambda: abort(400, description="bad <script> & co"))
    assert response.status_code == 400
    assert "<p>bad &lt;script&gt; &amp; co</p>" in response.text


def test_abort_with_a_response(answer):
    """RESP-22: it is the answer."""
    response = answer(lambda: abort(make_response(jsonify(error="who?"), 401)))
    assert (response.status_code, response.json) == (401, {"error": "who?"})


def test_abort_with_an_unknown_code_is_a_lookup_error(app, answer):
    """RESP-23: a 500 for the client."""
    assert answer(lambda: abort(999)).status_code == 500
    app.testing = True
    with pytest.raises(LookupError, match="999"):
        answer(lambda: abort(999))


def test_the_applications_aborter_knows_own_codes(app, answer):
    """RESP-23: ``app.aborter.mapping``; Werkzeug's own does not."""

    class Tea(HTTPException):
        code = 499
        description = "own"

    app.aborter.mapping[499] = Tea
    app.testing = True
    response = answer(lambda: abort(499))
    assert response.status_code == 499
    with pytest.raises(LookupError):
        bare_abort(499)


def test_aborter_class_of_a_subclass(tmp_path):
    """RESP-23: made by ``make_aborter``."""
    from werkzeug.exceptions import Aborter

    class Mine(Aborter):
        def __call__(self, code, *args, **kwargs):
            super().__call__(403 if code == 404 else code, *args, **kwargs)

    class App(Carboy):
        aborter_class = Mine

    app = App("t", root_path=str(tmp_path))
    app.add_url_rule("/", "v", lambda: abort(404))
    assert app.test_client().get("/").status_code == 403


def test_a_response_class_for_the_whole_application(app, answer):
    """RESP-24: default MIME type, and JSON made with it."""

    class Xml(Response):
        default_mimetype = "application/xml"

    app.response_class = Xml
    assert answer("<a/>").headers["Content-Type"] == "application/xml; charset=utf-8"
    assert answer(lambda: {"a": 1}).mimetype == "application/json"
    assert answer(lambda: redirect("/x")).mimetype == "text/html"


def test_content_length_is_set(answer):
    """RESP-25: in bytes; a HEAD answer has it too."""
    assert answer("é€").headers["Content-Length"] == "5"
    head = answer("é€", method="HEAD")
    assert (head.data, head.headers["Content-Length"]) == (b"", "5")


@pytest.mark.parametrize("code", [204, 304])
def test_204_and_304_have_no_body(answer, raw, code):
    """RESP-25: whatever the view returned."""
    answer(("ignored", code))
    reply = raw("/")
    assert (reply.code, reply.body) == (code, b"")
    assert reply.get("Content-Length") is None


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb"])
def test_line_breaks_in_header_values_are_refused(app, answer, value):
    """RESP-26: ValueError when set, in tuples and on responses."""
    app.testing = True
    with pytest.raises(ValueError, match="newline"):
        answer(("x", {"X-A": value}))
    with pytest.raises(ValueError, match="newline"):
        Response("x").headers["X-A"] = value


def test_caching_and_download_headers(answer):
    """RESP-29: Cache-Control, Expires, ETag, Content-Disposition, Location, Vary, Retry-After."""

    def view():
        response = make_response("x")
        response.cache_control.max_age = 60
        response.cache_control.public = True
        response.set_etag("abc")
        response.headers.set("Content-Disposition", "attachment", filename="a b.csv")
        response.location = "/here"
        response.vary.add("Accept")
        response.retry_after = 5
        response.expires = datetime(2024, 5, 1, tzinfo=UTC)
        return response

    headers = answer(view).headers
    assert headers["Cache-Control"] == "max-age=60, public"
    assert headers["ETag"] == '"abc"'
    assert headers["Content-Disposition"] == 'attachment; filename="a b.csv"'
    assert headers["Location"] == "/here"
    assert headers["Vary"] == "Accept"
    assert headers["Retry-After"] == "5"
    assert headers["Expires"] == "Wed, 01 May 2024 00:00:00 GMT"


def test_make_conditional_answers_304(answer):
    """RESP-29: for the ETag of any response."""

    def view():
        response = make_response("content")
        response.add_etag()
        return response.make_conditional(request)

    etag = answer(view).headers["ETag"]
    assert answer(view, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("error", [NotFound(), Forbidden("no <b>"), Conflict()])
def test_an_http_exception_may_be_raised(answer, error):
    """RESP-30: from ``werkzeug.exceptions``."""

    def view():
        raise error

    response = answer(view)
    assert response.status_code == error.code
    assert "<b>" not in response.text


def test_an_http_exception_may_be_returned(answer):
    """RESP-30: it is a WSGI application."""
    assert answer(lambda: NotFound()).status_code == 404


def test_an_http_exception_with_a_response_sends_that(answer):
    """RESP-30: as ``abort(response)`` does; unhandled by handlers for its code."""

    def view():
        raise HTTPException(response=Response("mine", 299))

    response = answer(view)
    assert (response.status_code, response.text) == (299, "mine")


def test_the_view_sees_the_context_of_its_request(app, answer):
    """RESP-07: current_app, g and request while the value is made."""

    def view():
        g.x = 1
        return f"{current_app.name} {g.x} {request.method}"

    assert answer(view).text == f"{app.name} 1 GET"


def test_a_response_in_a_session_view_is_signed_once(app, answer):
    """RESP-07: a ready Response still gets the session's cookie."""
    app.secret_key = "k"

    def view():
        session["a"] = 1
        return Response("x")

    assert len(answer(view).headers.getlist("Set-Cookie")) == 1
