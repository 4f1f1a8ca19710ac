from __future__ import annotations

import io
import json

import pytest
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import BadRequestKeyError, RequestEntityTooLarge

from carboy import Blueprint, Request, request

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def see(app):
    """``see(function, path, ...)``: what *function* returns inside a view for such a request."""
    found = []
    current = []

    @app.route("/", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    @app.route("/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def view(rest=""):
        found.append(current[-1]())
        return "ok"

    client = app.test_client(use_cookies=False)

    def look(function, path="/", *, method="GET", **options):
        current.append(function)
        found.clear()
        response = client.open(path, method=method, **options)
        assert response.status_code == 200, response.text
        return found[0]

    return look


def test_args_is_an_immutable_multidict_of_strings(see):
    """REQ-01: values are text whatever they look like."""
    args = see(lambda: request.args, "/?q=a%20b&page=2&flag")
    assert isinstance(args, ImmutableMultiDict)
    assert args.to_dict() == {"q": "a b", "page": "2", "flag": ""}
    with pytest.raises(TypeError):
        args["q"] = "x"


def test_args_decode_plus_and_utf8(see):
    """REQ-01: ``+`` is a space, ``%2B`` a plus."""
    assert see(lambda: request.args["q"], "/?q=J%C3%BCrg+a%2Bb") == "Jürg a+b"


def test_get_with_type_falls_back_to_the_default(see):
    """REQ-02: missing or not convertible."""
    ask = lambda: (  # noqa: E731
        request.args.get("page", 1, type=int),
        request.args.get("size", 10, type=int),
        request.args.get("none"),
        request.args.get("none", "x"),
    )
    assert see(ask, "/?page=3&size=big") == (3, 10, None, "x")


def test_getlist_gives_all_values(see):
    """REQ-03: ``get`` the first only."""
    ask = lambda: (  # noqa: E731
        request.args.get("a"),
        request.args.getlist("a"),
        request.args.getlist("n", type=int),
        request.args.getlist("none"),
    )
    assert see(ask, "/?a=1&a=2&n=1&n=x&n=3") == ("1", ["1", "2"], [1, 3], [])


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_args_are_filled_for_any_method(see, method):
    """REQ-04: beside the body."""
    assert see(lambda: request.args["a"], "/?a=1", method=method, data={"b": "2"}) == "1"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("kind", [FORM, "multipart/form-data"])
def test_form_is_read_from_both_kinds_of_body(see, method, kind):
    """REQ-05: urlencoded and multipart."""
    data = MultiDict([("name", "Jürg & Co"), ("tag", "a"), ("tag", "b")])
    ask = lambda: (request.form["name"], request.form.getlist("tag"))  # noqa: E731
    assert see(ask, method=method, data=data, content_type=kind) == ("Jürg & Co", ["a", "b"])


def test_form_is_an_immutable_multidict(see):
    """REQ-05: like args."""
    form = see(lambda: request.form, method="POST", data={"a": "1"})
    assert isinstance(form, ImmutableMultiDict)
    with pytest.raises(TypeError):
        form["a"] = "2"


def test_a_missing_form_key_is_a_400(app, client):
    """REQ-06: args, form, cookies, headers, files alike; no name of the key."""
    for name in ("args", "form", "cookies", "files"):
        app.add_url_rule(
            f"/{name}",
            name,
            lambda name=name: getattr(request, name)["secret_key_name"],
            methods=["POST"],
        )
    for name in ("args", "form", "cookies", "files"):
        response = client.post(f"/{name}", data={"a": "1"})
        assert response.status_code == 400, name
        assert "<h1>Bad Request</h1>" in response.text
        assert "secret_key_name" not in response.text


def test_the_error_of_a_missing_key_is_a_key_error(app):
    """REQ-06: ``except KeyError`` works as well."""
    with app.test_request_context(method="POST", data={"a": "1"}):
        with pytest.raises(BadRequestKeyError):
            request.form["b"]
        with pytest.raises(KeyError):
            request.form["b"]


def test_in_debug_the_400_names_the_key(app, client):
    """REQ-07: to help the developer; with TRAP_BAD_REQUEST_ERRORS too."""
    app.add_url_rule("/", "view", lambda: request.form["missing"], methods=["POST"])
    app.debug = True
    app.config["TRAP_BAD_REQUEST_ERRORS"] = False
    response = client.post("/", data={"a": "1"})
    assert response.status_code == 400
    assert "missing" in response.text


def test_in_debug_a_missing_upload_explains_the_encoding(app, client):
    """REQ-07: the form was sent without ``multipart/form-data``."""
    app.add_url_rule("/", "view", lambda: request.files["photo"].filename, methods=["POST"])
    app.debug = True
    with pytest.raises(KeyError, match="multipart/form-data"):
        client.post("/", data={"photo": "me.jpg"})


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "", "application/xml"])
def test_another_content_type_leaves_form_empty(see, kind):
    """REQ-08: the body stays in ``data``."""
    ask = lambda: (request.form.to_dict(), request.get_data())  # noqa: E731
    assert see(ask, method="POST", data=b"a=1", content_type=kind) == ({}, b"a=1")


def test_a_json_body_fills_neither_args_nor_form(see):
    """REQ-09: only ``json``."""
    ask = lambda: (request.args.to_dict(), request.form.to_dict(), request.json)  # noqa: E731
    assert see(ask, method="POST", json={"a": 1}) == ({}, {}, {"a": 1})


def test_values_combines_args_and_form(see):
    """REQ-10: args first, GET bodies not read."""
    ask = lambda: (request.values["a"], request.values.getlist("a"), request.values["b"])  # noqa: E731
    assert see(ask, "/?a=1", method="POST", data={"a": "2", "b": "3"}) == ("1", ["1", "2"], "3")
    assert see(lambda: request.values.to_dict(), "/?a=1") == {"a": "1"}


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, None, True]}, [1], "text", 5, None, {"ü": "日本 \U0001f600"}]
)
def test_get_json_parses_the_body(see, value):
    """REQ-11, D-41: any JSON value; ``request.json`` is the same."""
    ask = lambda: (request.get_json(), request.json)  # noqa: E731
    options = {"data": json.dumps(value), "content_type": "application/json"}
    assert see(ask, method="POST", **options) == (value, value)


def test_json_may_be_utf16(see):
    """REQ-11: the encodings of RFC 4627 are noticed."""
    body = '{"a": "é"}'.encode("utf-16")
    options = {"data": body, "content_type": "application/json"}
    assert see(lambda: request.json, method="POST", **options) == {"a": "é"}


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b"a=1", b"[1,]", b"\xff", b"{} x"])
def test_malformed_json_is_a_400(app, client, body):
    """REQ-12: the text of the error does not repeat the body."""
    app.add_url_rule("/", "view", lambda: {"got": request.get_json()}, methods=["POST"])
    response = client.post("/", data=body, content_type="application/json")
    assert response.status_code == 400
    assert "<h1>Bad Request</h1>" in response.text


def test_in_debug_the_400_says_what_is_wrong_with_the_json(app, client):
    """REQ-12: "Failed to decode JSON object" with the position."""
    app.add_url_rule("/", "view", lambda: {"got": request.get_json()}, methods=["POST"])
    app.debug = True
    app.config["TRAP_BAD_REQUEST_ERRORS"] = False
    response = client.post("/", data=b"{", content_type="application/json")
    assert response.status_code == 400
    assert "Failed to decode JSON object" in response.text


@pytest.mark.parametrize("kind", ["text/plain", FORM, "", "text/json", "application/jsonx"])
def test_json_of_another_content_type_is_a_415(app, client, kind):
    """REQ-13, D-07: for ``get_json()`` and ``request.json``."""
    app.add_url_rule("/a", "a", lambda: {"got": request.get_json()}, methods=["POST"])
    app.add_url_rule("/b", "b", lambda: {"got": request.json}, methods=["POST"])
    for path in ("/a", "/b"):
        response = client.post(path, data=b"{}", content_type=kind)
        assert response.status_code == 415
        assert "<h1>Unsupported Media Type</h1>" in response.text


def test_a_get_without_a_body_has_no_json(app, client):
    """REQ-13, D-07: 415 as well, since there is no content type."""
    app.add_url_rule("/", "view", lambda: {"got": request.json})
    assert client.get("/").status_code == 415


def test_force_ignores_the_content_type(see):
    """REQ-14: malformed JSON is still a 400."""
    options = {"method": "POST", "content_type": "text/plain"}
    assert see(lambda: request.get_json(force=True), data=b'{"a": 1}', **options) == {"a": 1}


def test_forced_malformed_json_is_a_400(app, client):
    """REQ-14: force does not silence errors."""
    app.add_url_rule("/", "view", lambda: {"x": request.get_json(force=True)}, methods=["POST"])
    assert client.post("/", data=b"{").status_code == 400


def test_silent_gives_none(see):
    """REQ-15, D-07: for malformed JSON and for another content type."""
    ask = lambda: request.get_json(silent=True)  # noqa: E731
    assert see(ask, method="POST", data=b"{", content_type="application/json") is None
    assert see(ask, method="POST", data=b"{}", content_type="text/plain") is None
    assert see(ask, method="POST", data=b'{"a":1}', content_type="application/json") == {"a": 1}


def test_json_is_parsed_once(see):
    """REQ-16: the same object after; ``cache=False`` parses anew."""

    def ask():
        first = request.get_json()
        first["mark"] = True
        again = request.get_json()
        fresh = request.get_json(cache=False)
        return first is again, first is request.json, "mark" in fresh

    assert see(ask, method="POST", json={"a": 1}) == (True, True, False)


def test_a_silent_failure_does_not_hide_a_later_error(app, client):
    """REQ-16: after ``silent=True`` the plain call still raises."""

    @app.post("/")
    def view():
        assert request.get_json(silent=True) is None
        return {"x": request.get_json()}

    assert client.post("/", data=b"{", content_type="application/json").status_code == 400


def test_data_stays_available_after_get_json(see):
    """REQ-17, D-08: the body is kept unless ``cache=False``."""
    ask = lambda: (request.get_json(), request.data, request.get_data(as_text=True))  # noqa: E731
    found = see(ask, method="POST", data=b'{"a":1}', content_type="application/json")
    assert found == ({"a": 1}, b'{"a":1}', '{"a":1}')


def test_data_is_gone_after_json_without_cache(see):
    """REQ-17, D-08: the stream has been read."""
    ask = lambda: (request.get_json(cache=False), request.get_data())  # noqa: E731
    found = see(ask, method="POST", data=b'{"a":1}', content_type="application/json")
    assert found == ({"a": 1}, b"")


@pytest.mark.parametrize(
    ("kind", "is_json"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("application/vnd.api+json", True),
        ("APPLICATION/JSON", True),
        ("application/jsonlines", False),
        ("text/json", False),
        ("", False),
    ],
)
def test_is_json_looks_at_the_content_type(see, kind, is_json):
    """REQ-18: and get_json takes ``application/*+json``."""
    ask = lambda: (request.is_json, request.get_json(silent=True))  # noqa: E731
    found = see(ask, method="POST", data=b"[1]", content_type=kind)
    assert found == (is_json, [1] if is_json else None)


def test_on_json_loading_failed_may_be_overridden(app, client):
    """REQ-19: its value becomes the JSON; None stands for a wrong content type."""
    errors = []

    class Lenient(Request):
        def on_json_loading_failed(self, error):
            errors.append(type(error).__name__ if error else None)
            return {"fallback": True}

    app.request_class = Lenient
    app.add_url_rule("/", "view", lambda: {"got": request.get_json()}, methods=["POST"])
    response = client.post("/", data=b"{", content_type="application/json")
    assert response.json == {"got": {"fallback": True}}
    response = client.post("/", data=b"{", content_type="text/plain")
    assert response.json == {"got": {"fallback": True}}
    assert errors == ["JSONDecodeError", None]


def test_membership_in_form(see):
    """REQ-20: ``in`` asks without an error."""
    ask = lambda: ("a" in request.form, "b" in request.form, "c" in request.args)  # noqa: E731
    assert see(ask, "/?c=1", method="POST", data={"a": ""}) == (True, False, True)


def test_the_facts_of_a_request(see):
    """REQ-21: method, url, path, host, headers, content_type, remote_addr, cookies."""

    def ask():
        return {
            "method": request.method,
            "url": request.url,
            "path": request.path,
            "host": request.host,
            "agent": request.headers["User-Agent"],
            "content_type": request.content_type,
            "mimetype": request.mimetype,
            "params": request.mimetype_params,
            "remote_addr": request.remote_addr,
            "cookies": dict(request.cookies),
        }

    assert see(
        ask,
        "/a%20b/%C3%BC?x=1&y=%20",
        method="POST",
        base_url="https://shop.test:8443",
        headers={"User-Agent": "me"},
        content_type="Text/Plain; charset=utf-8",
        environ_overrides={"REMOTE_ADDR": "10.0.0.1", "HTTP_COOKIE": "a=1; b=2"},
    ) == {
        "method": "POST",
        "url": "https://shop.test:8443/a%20b/ü?x=1&y=%20",
        "path": "/a b/ü",
        "host": "shop.test:8443",
        "agent": "me",
        "content_type": "Text/Plain; charset=utf-8",
        "mimetype": "text/plain",
        "params": {"charset": "utf-8"},
        "remote_addr": "10.0.0.1",
        "cookies": {"a": "1", "b": "2"},
    }


def test_the_parts_of_the_url(raw, app):
    """REQ-22: base_url, full_path, url_root, host_url, scheme, script_root, query_string."""
    found = {}
    names = [
        "url",
        "base_url",
        "full_path",
        "url_root",
        "root_url",
        "host_url",
        "scheme",
        "script_root",
        "root_path",
        "path",
        "query_string",
        "is_secure",
    ]

    @app.route("/a/b")
    def view():
        found.update({name: getattr(request, name) for name in names})
        return ""

    raw("/a/b", query="x=1", SCRIPT_NAME="/shop", **{"wsgi.url_scheme": "https"})
    assert found == {
        "url": "https://localhost/shop/a/b?x=1",
        "base_url": "https://localhost/shop/a/b",
        "full_path": "/a/b?x=1",
        "url_root": "https://localhost/shop/",
        "root_url": "https://localhost/shop/",
        "host_url": "https://localhost/",
        "scheme": "https",
        "script_root": "/shop",
        "root_path": "/shop",
        "path": "/a/b",
        "query_string": b"x=1",
        "is_secure": True,
    }


def test_full_path_ends_with_a_question_mark_without_query(see):
    """REQ-22: and ``url`` does not."""
    assert see(lambda: (request.full_path, request.url), "/a") == ("/a?", "http://localhost/a")


def test_what_was_matched(app, client):
    """REQ-23: endpoint, url_rule, view_args, blueprint, blueprints."""
    parent = Blueprint("parent", __name__, url_prefix="/p")
    child = Blueprint("child", __name__)

    def view(x=None):
        return [
            request.endpoint,
            request.url_rule.rule,
            request.view_args,
            request.blueprint,
            request.blueprints,
        ]

    child.add_url_rule("/<int:x>", "view", view)
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    app.add_url_rule("/top", "top", view)
    assert client.get("/p/5").json == [
        "parent.child.view",
        "/p/<int:x>",
        {"x": 5},
        "parent.child",
        ["parent.child", "parent"],
    ]
    assert client.get("/top").json == ["top", "/top", {}, None, []]


def test_nothing_is_matched_for_an_unknown_url(app, client):
    """REQ-23: None, and the routing error is kept."""
    seen = []

    @app.before_request
    def look():
        seen.append((request.endpoint, request.url_rule, request.view_args, request.blueprint))
        seen.append(type(request.routing_exception).__name__)

    client.get("/none")
    assert seen == [(None, None, None, None), "NotFound"]


def test_headers_ignore_case(see):
    """REQ-24: ``get`` with a default."""
    ask = lambda: (  # noqa: E731
        request.headers["x-token"],
        request.headers.get("X-TOKEN"),
        request.headers.get("X-None", "default"),
        request.headers.get("X-Number", type=int),
        "x-Token" in request.headers,
        "Content-Type" in request.headers,
    )
    headers = {"X-Token": "abc", "X-Number": "5"}
    assert see(ask, headers=headers) == ("abc", "abc", "default", 5, True, False)


def test_a_missing_header_is_a_key_error(app):
    """REQ-24: asked for with brackets."""
    with app.test_request_context(), pytest.raises(KeyError):
        request.headers["X-Token"]


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        ("application/json", "application/json"),
        ("text/html,application/json;q=0.9", "text/html"),
        ("text/html;q=0.5,application/json", "application/json"),
        ("image/png", None),
        ("*/*", "text/html"),
    ],
)
def test_accept_mimetypes_chooses_a_representation(see, accept, best):
    """REQ-25: with the client's preferences."""
    ask = lambda: request.accept_mimetypes.best_match(["text/html", "application/json"])  # noqa: E731
    assert see(ask, headers={"Accept": accept}) == best


def test_accept_mimetypes_knows_json_and_html(see):
    """REQ-25: ``accept_json``, ``accept_html``, quality."""
    ask = lambda: (  # noqa: E731
        request.accept_mimetypes.accept_json,
        request.accept_mimetypes.accept_html,
        request.accept_mimetypes["application/json"],
        list(request.accept_languages.values()),
    )
    headers = {"Accept": "application/json;q=0.5", "Accept-Language": "de;q=0.5, fr"}
    assert see(ask, headers=headers) == (True, False, 0.5, ["fr", "de"])


def test_basic_authorization(see):
    """REQ-26: user name and password."""
    ask = lambda: (  # noqa: E731
        request.authorization.type,
        request.authorization.username,
        request.authorization.password,
    )
    assert see(ask, auth=("ann", "p:w ü")) == ("basic", "ann", "p:w ü")


def test_bearer_authorization(see):
    """REQ-26: the token; nothing without the header."""
    ask = lambda: (request.authorization.type, request.authorization.token)  # noqa: E731
    assert see(ask, headers={"Authorization": "Bearer abc.def=="}) == ("bearer", "abc.def==")
    assert see(lambda: request.authorization) is None


def test_user_agent(see):
    """REQ-26: the string, empty without the header."""
    ask = lambda: request.user_agent.string  # noqa: E731
    assert see(ask, headers={"User-Agent": "me/1.0"}) == "me/1.0"


def test_the_body_as_a_stream(see):
    """REQ-27: ``content_length``, ``stream``, read in pieces and once only."""
    ask = lambda: (  # noqa: E731
        request.content_length,
        request.stream.read(3),
        request.stream.read(),
        request.stream.read(),
    )
    options = {"data": b"abcdef", "content_type": "application/octet-stream"}
    assert see(ask, method="POST", **options) == (6, b"abc", b"def", b"")


def test_get_data_caches_and_decodes(see):
    """REQ-27: called again it gives the same; ``as_text`` decodes UTF-8."""
    ask = lambda: (request.get_data(), request.get_data(as_text=True), request.data)  # noqa: E731
    body = "é".encode()
    options = {"data": body, "content_type": "text/plain"}
    assert see(ask, method="POST", **options) == (body, "é", body)


def test_get_data_before_form_keeps_the_body_and_loses_the_form(see):
    """REQ-27: with ``parse_form_data=True`` it is the other way round."""
    plain = lambda: (request.get_data(), request.form.to_dict())  # noqa: E731
    parsed = lambda: (  # noqa: E731
        request.get_data(parse_form_data=True),
        request.form.to_dict(),
    )
    assert see(plain, method="POST", data={"a": "1"}) == (b"a=1", {"a": "1"})
    assert see(parsed, method="POST", data={"a": "1"}) == (b"", {"a": "1"})


def test_a_body_without_length_is_empty_unless_the_server_ends_it(app, raw):
    """REQ-27: ``wsgi.input_terminated`` allows chunked bodies."""
    app.add_url_rule("/", "view", lambda: request.get_data(), methods=["POST"])
    stream = {"wsgi.input": io.BytesIO(b"chunked body")}
    assert raw("/", "POST", **stream).body == b""
    stream = {"wsgi.input": io.BytesIO(b"chunked body"), "wsgi.input_terminated": True}
    reply = raw("/", "POST", headers={"Transfer-Encoding": "chunked"}, **stream)
    assert reply.body == b"chunked body"


def test_request_wants_conditions(see):
    """REQ-27: If-None-Match, If-Modified-Since and Range are parsed."""
    ask = lambda: (  # noqa: E731
        request.if_none_match.contains("x"),
        request.if_modified_since.year,
        request.range.ranges,
        request.max_forwards,
    )
    headers = {
        "If-None-Match": 'W/"y", "x"',
        "If-Modified-Since": "Wed, 01 May 2024 10:00:00 GMT",
        "Range": "bytes=0-4",
    }
    assert see(ask, headers=headers) == (True, 2024, [(0, 5)], None)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("shop.test", 200),
        ("shop.test:8080", 200),
        ("www.example.test", 200),
        ("example.test", 200),
        ("evil.test", 400),
        ("shop.test.evil.test", 400),
        ("notexample.test", 400),
        ("localhost", 400),
    ],
)
def test_trusted_hosts(app, client, host, status):
    """REQ-30: other hosts get 400; a leading dot takes subdomains."""
    app.config["TRUSTED_HOSTS"] = ["shop.test", ".example.test"]
    app.add_url_rule("/", "view", lambda: request.host)
    response = client.get("/", headers={"Host": host})
    assert response.status_code == status
    if status == 200:
        assert response.text == host


def test_without_trusted_hosts_any_host_is_answered(app, client):
    """REQ-30: the default is None."""
    assert app.config["TRUSTED_HOSTS"] is None
    app.add_url_rule("/", "view", lambda: request.host)
    assert client.get("/", headers={"Host": "any.test"}).text == "any.test"


def test_limits_can_be_set_for_one_request(app, client):
    """UP-07: assigned on ``request`` before the body is read."""

    @app.post("/")
    def view():
        request.max_content_length = 5
        with pytest.raises(RequestEntityTooLarge):
            request.get_data()
        return "too large"

    assert client.post("/", data=b"123456").text == "too large"
    assert app.config["MAX_CONTENT_LENGTH"] is None


def test_request_is_a_proxy_of_the_request_class(app):
    """REQ-21: isinstance, equality and the real object."""
    with app.test_request_context("/x"):
        assert isinstance(request, Request)
        assert type(request._get_current_object()) is Request
        assert request == request._get_current_object()
        assert "/x" in repr(request)
