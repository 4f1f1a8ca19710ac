from __future__ import annotations

import uuid

import pytest
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import BaseConverter, RequestRedirect
from werkzeug.test import ClientRedirectError

from carboy import Carboy, redirect, request, url_for


@pytest.fixture
def match(app):
    """``match("/<int:x>")`` binds a rule; the answer gives (status, value seen by the view)."""
    client = app.test_client()

    def bind(rule, **options):
        seen = []

        def view(**values):
            seen.append(values)
            return "matched"

        app.add_url_rule(rule, f"rule{len(list(app.url_map.iter_rules()))}", view, **options)

        def visit(path):
            seen.clear()
            status = client.get(path).status_code
            return (status, seen[0] if seen else None)

        return visit

    return bind


def test_route_binds_a_rule_and_returns_the_function(app, client):
    """ROUT-01: the decorated name is still the plain function."""

    def view():
        return "here"

    assert app.route("/here")(view) is view
    assert client.get("/here").text == "here"


def test_several_routes_on_one_view(app, client):
    """ROUT-02: each rule reaches it."""

    @app.route("/")
    @app.route("/index")
    @app.route("/home/<name>")
    def view(name="nobody"):
        return name

    assert [client.get(p).text for p in ("/", "/index", "/home/ann")] == ["nobody", "nobody", "ann"]


def test_a_rule_must_start_with_a_slash(app):
    """ROUT-03: ValueError at registration."""
    with pytest.raises(ValueError, match=r"slash|'/'"):
        app.route("about")(lambda: "")


def test_the_endpoint_is_the_name_of_the_function(app, client):
    """ROUT-04: and url_for takes it."""

    @app.route("/a-page")
    def some_page():
        return f"{request.endpoint} {url_for('some_page')}"

    assert client.get("/a-page").text == "some_page /a-page"
    assert app.view_functions["some_page"] is some_page


def test_endpoint_names_a_rule_for_url_for(app, client):
    """ROUT-04: ``endpoint=`` replaces the function's name."""

    @app.route("/a-page", endpoint="other")
    def some_page():
        return f"{request.endpoint} {url_for('other')}"

    assert client.get("/a-page").text == "other /a-page"
    assert "some_page" not in app.view_functions


def test_two_functions_on_one_endpoint_are_refused(app, client):
    """ROUT-05: AssertionError that names the endpoint; the first stays."""
    app.add_url_rule("/one", "page", lambda: "first")
    with pytest.raises(AssertionError, match="overwriting an existing endpoint function: page"):
        app.add_url_rule("/two", "page", lambda: "second")
    assert client.get("/one").text == "first"


def test_one_function_may_be_registered_twice_on_its_endpoint(app, client):
    """ROUT-05: the same function is no conflict."""

    def page():
        return "x"

    app.add_url_rule("/one", "page", page)
    app.add_url_rule("/two", "page", page)
    assert client.get("/two").text == "x"


@pytest.mark.parametrize("rule", ["/u/<name>", "/u/<string:name>"])
def test_a_string_variable_is_one_segment_of_text(match, rule):
    """ROUT-06, D-46: at least one character, no slash, passed by keyword."""
    visit = match(rule)
    assert visit("/u/ann") == (200, {"name": "ann"})
    assert visit("/u/42") == (200, {"name": "42"})
    assert visit("/u/J%C3%BCrg%20x") == (200, {"name": "Jürg x"})
    assert visit("/u/a/b") == (404, None)
    assert visit("/u/") == (404, None)
    assert visit("/u") == (404, None)


def test_an_int_variable_is_a_python_int(match):
    """ROUT-07, D-46: zero and leading zeros too; anything else is 404 before the view."""
    visit = match("/n/<int:x>")
    assert visit("/n/42") == (200, {"x": 42})
    assert visit("/n/0") == (200, {"x": 0})
    assert visit("/n/007") == (200, {"x": 7})
    for text in ("abc", "4.2", "", "4a", "+4", "0x1", "1e3", "1_0", "%204"):
        assert visit(f"/n/{text}") == (404, None), text


def test_a_float_variable_is_a_python_float(match):
    """ROUT-08: integers and text are 404."""
    visit = match("/n/<float:x>")
    assert visit("/n/3.14") == (200, {"x": 3.14})
    assert visit("/n/0.0") == (200, {"x": 0.0})
    for text in ("3", "abc", ".5", "5.", "1.2.3", "1e3", "nan", "inf"):
        assert visit(f"/n/{text}") == (404, None), text


def test_a_path_variable_keeps_slashes(match):
    """ROUT-09: at least one character, not beginning with a slash."""
    visit = match("/files/<path:name>")
    assert visit("/files/a") == (200, {"name": "a"})
    assert visit("/files/a/b/c.txt") == (200, {"name": "a/b/c.txt"})
    assert visit("/files/a/b/") == (200, {"name": "a/b/"})
    assert visit("/files/") == (404, None)


def test_a_path_variable_between_static_parts(match):
    """ROUT-09: the rest of the rule still has to match."""
    visit = match("/wiki/<path:page>/edit")
    assert visit("/wiki/a/b/edit") == (200, {"page": "a/b"})
    assert visit("/wiki/edit") == (404, None)
    assert visit("/wiki/a/b") == (404, None)


def test_a_uuid_variable_is_a_uuid(match):
    """ROUT-10: hyphens in their places, either case; others are 404."""
    visit = match("/o/<uuid:x>")
    text = "12345678-1234-5678-1234-56781234abcd"
    assert visit(f"/o/{text}") == (200, {"x": uuid.UUID(text)})
    assert visit(f"/o/{text.upper()}") == (200, {"x": uuid.UUID(text)})
    for other in ("abc", text[:-1], text.replace("-", ""), text.replace("a", "g"), f"{{{text}}}"):
        assert visit(f"/o/{other}") == (404, None), other


def test_an_any_variable_is_one_of_the_listed_words(match):
    """ROUT-11: whole words, in their case."""
    visit = match("/<any(about, help, contact):page>")
    for word in ("about", "help", "contact"):
        assert visit(f"/{word}") == (200, {"page": word})
    for other in ("hel", "helps", "Help", "other"):
        assert visit(f"/{other}") == (404, None), other


def test_numbers_refuse_a_sign(match):
    """ROUT-12: negative numbers are 404 with int and float."""
    ints, floats = match("/i/<int:x>"), match("/f/<float:x>")
    assert ints("/i/-5") == (404, None)
    assert floats("/f/-5.5") == (404, None)
    assert ints("/i/5") == (200, {"x": 5})


def test_several_variables_in_one_rule(match):
    """ROUT-06, ROUT-13: in one segment and in several, each by its name."""
    visit = match("/<user>/posts/<int:year>-<int:month>/<path:rest>")
    assert visit("/ann/posts/2024-05/a/b") == (
        200,
        {"user": "ann", "year": 2024, "month": 5, "rest": "a/b"},
    )
    assert visit("/ann/posts/2024/a/b") == (404, None)


def test_a_view_without_the_variables_parameter_is_a_type_error(app, client):
    """ROUT-14: raised by the call, visible in tests, a 500 elsewhere."""
    app.add_url_rule("/<name>", "view", lambda other: "never")
    assert client.get("/x").status_code == 500
    app.testing = True
    with pytest.raises(TypeError, match="name"):
        client.get("/x")


def test_string_converter_arguments(match):
    """ROUT-15: length, minlength, maxlength."""
    exact = match("/l/<string(length=2):x>")
    between = match("/m/<string(minlength=2, maxlength=3):x>")
    assert [exact(f"/l/{t}")[0] for t in ("a", "ab", "abc")] == [404, 200, 404]
    assert [between(f"/m/{t}")[0] for t in ("a", "ab", "abc", "abcd")] == [404, 200, 200, 404]


def test_number_converter_arguments(match):
    """ROUT-15: min, max, fixed_digits, signed."""
    bounded = match("/a/<int(min=5, max=10):x>")
    fixed = match("/b/<int(fixed_digits=3):x>")
    signed = match("/c/<int(signed=True):x>")
    signed_float = match("/d/<float(signed=True, max=1.5):x>")
    assert [bounded(f"/a/{n}")[0] for n in (4, 5, 10, 11)] == [404, 200, 200, 404]
    assert fixed("/b/007") == (200, {"x": 7})
    assert fixed("/b/7") == (404, None)
    assert signed("/c/-5") == (200, {"x": -5})
    assert signed("/c/5") == (200, {"x": 5})
    assert signed_float("/d/-2.5") == (200, {"x": -2.5})
    assert signed_float("/d/1.6") == (404, None)


class ListConverter(BaseConverter):
    def to_python(self, value):
        return value.split(",")

    def to_url(self, value):
        return ",".join(super(ListConverter, self).to_url(v) for v in value)


def test_a_custom_converter_makes_values_and_urls(app, match):
    """ROUT-16: registered in ``app.url_map.converters``."""
    app.url_map.converters["list"] = ListConverter
    app.add_url_rule("/t/<list:tags>", "tags", lambda tags: "")
    visit = match("/tags/<list:tags>")
    assert visit("/tags/a,b%20c") == (200, {"tags": ["a", "b c"]})
    with app.test_request_context():
        assert url_for("tags", tags=["x", "y z"]) == "/t/x,y%20z"


def test_a_custom_converter_may_span_segments_and_refuse_values(app, match):
    """ROUT-16: ``regex``, ``part_isolating`` and ValidationError count."""
    from werkzeug.routing import ValidationError

    class Pair(BaseConverter):
        regex = r"[a-z]+/[a-z]+"
        part_isolating = False

        def to_python(self, value):
            left, right = value.split("/")
            if left == right:
                raise ValidationError
            return left, right

    app.url_map.converters["pair"] = Pair
    visit = match("/p/<pair:x>")
    assert visit("/p/ab/cd") == (200, {"x": ("ab", "cd")})
    assert visit("/p/ab/ab") == (404, None)
    assert visit("/p/ab") == (404, None)


def test_a_converter_that_returns_another_type_may_use_the_application(app, match):
    """ROUT-16: to_python runs inside the request's application context."""
    from carboy import current_app

    class Named(BaseConverter):
        def to_python(self, value):
            return current_app.config["NAMES"][int(value)]

    app.config["NAMES"] = ["zero", "one"]
    app.url_map.converters["named"] = Named
    assert match("/n/<named:x>")("/n/1") == (200, {"x": "one"})


def test_an_unknown_converter_is_a_lookup_error(app):
    """ROUT-16: at registration, naming the converter."""
    with pytest.raises(LookupError, match="nothing"):
        app.route("/<nothing:x>")(lambda x: "")


@pytest.mark.parametrize("order", [1, -1])
def test_the_specific_rule_wins_whatever_the_order(app, client, order):
    """ROUT-17, D-01: fixed text before int before string before path."""
    rules = {
        "word": "/items/new",
        "int": "/items/<int:x>",
        "string": "/items/<x>",
        "path": "/items/<path:x>",
    }
    for name, rule in list(rules.items())[::order]:
        app.add_url_rule(rule, name, lambda name=name, x=None: name)
    paths = ("/items/new", "/items/5", "/items/other", "/items/a/b")
    assert [client.get(p).text for p in paths] == ["word", "int", "string", "path"]


def test_of_two_identical_rules_the_first_answers(app, client):
    """ROUT-18, D-01: order decides between equal rules only."""
    app.add_url_rule("/same/<x>", "first", lambda x: "first")
    app.add_url_rule("/same/<y>", "second", lambda y: "second")
    assert client.get("/same/1").text == "first"


def test_identical_rules_with_different_methods_both_answer(app, client):
    """ROUT-18: the method is part of the match."""
    app.add_url_rule("/same", "read", lambda: "read", methods=["GET"])
    app.add_url_rule("/same", "write", lambda: "write", methods=["POST"])
    assert client.get("/same").text == "read"
    assert client.post("/same").text == "write"
    response = client.delete("/same")
    assert response.status_code == 405
    assert response.allow.as_set() >= {"get", "post"}


def test_a_missing_trailing_slash_redirects(app, client):
    """ROUT-19, D-02, D-38: 308 to the absolute URL, query kept, the view not run."""
    app.add_url_rule("/projects/", "projects", lambda: "list", methods=["GET", "POST"])
    response = client.get("/projects?a=1&b=%20x")
    assert response.status_code == 308
    assert response.headers["Location"] == "http://localhost/projects/?a=1&b=%20x"
    assert client.post("/projects", data={"a": "1"}).status_code == 308


def test_a_slash_redirect_keeps_method_and_body(app, client):
    """ROUT-19, D-02: followed, a POST arrives as a POST with its form."""
    app.add_url_rule(
        "/in/", "view", lambda: f"{request.method} {request.form['a']}", methods=["POST"]
    )
    assert client.post("/in", data={"a": "1"}, follow_redirects=True).text == "POST 1"


def test_a_rule_without_trailing_slash_does_not_answer_with_one(match):
    """ROUT-20, D-03: 404 and no redirect."""
    visit = match("/about")
    assert visit("/about") == (200, {})
    assert visit("/about/") == (404, None)


def test_strict_slashes_off_for_one_rule(match, client):
    """ROUT-21: both forms answer, without a redirect."""
    leaf, strict = match("/a", strict_slashes=False), match("/c")
    branch = match("/b/", strict_slashes=False)
    assert (leaf("/a"), leaf("/a/")) == ((200, {}), (200, {}))
    assert (branch("/b"), branch("/b/")) == ((200, {}), (200, {}))
    assert strict("/c/") == (404, None)


def test_strict_slashes_off_for_the_application(app, match):
    """ROUT-22: ``app.url_map.strict_slashes = False`` before the rules."""
    app.url_map.strict_slashes = False
    leaf, branch = match("/a/<x>"), match("/b/")
    assert (leaf("/a/1"), leaf("/a/1/")) == ((200, {"x": "1"}), (200, {"x": "1"}))
    assert (branch("/b"), branch("/b/")) == ((200, {}), (200, {}))


def test_a_rule_takes_get_head_and_options_by_default(app, client):
    """ROUT-23: HEAD answers GET's headers without a body."""
    app.add_url_rule("/", "view", lambda: "hello")
    assert client.get("/").text == "hello"
    head = client.head("/")
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", "5")
    assert client.options("/").status_code == 200
    assert next(r for r in app.url_map.iter_rules("view")).methods == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_a_method_that_is_not_listed_is_405(app, client, method):
    """ROUT-24: with the methods that are, in Allow."""
    app.add_url_rule("/", "view", lambda: "hello")
    response = client.open("/", method=method)
    assert response.status_code == 405
    assert response.allow.as_set() == {"get", "head", "options"}


def test_head_is_405_where_get_is(app, client):
    """ROUT-24: a POST-only rule has no HEAD."""
    app.add_url_rule("/", "view", lambda: "x", methods=["POST"])
    response = client.head("/")
    assert response.status_code == 405
    assert response.allow.as_set() == {"post", "options"}


def test_methods_lets_a_view_branch(app, client):
    """ROUT-25: ``request.method`` tells which it was; case of the list does not matter."""

    @app.route("/login", methods=["get", "POST"])
    def login():
        return "checked" if request.method == "POST" else "form"

    assert client.get("/login").text == "form"
    assert client.post("/login").text == "checked"


def test_rest_verbs_reach_their_views(app, client):
    """ROUT-26: one resource, five verbs."""
    users = {1: "ann"}

    @app.route("/users/<int:key>", methods=["GET", "PUT", "PATCH", "DELETE"])
    def user(key):
        if request.method == "DELETE":
            users.pop(key)
            return "", 204
        if request.method in ("PUT", "PATCH"):
            users[key] = request.json["name"]
        return {"name": users[key]}

    assert client.get("/users/1").json == {"name": "ann"}
    assert client.put("/users/1", json={"name": "bob"}).json == {"name": "bob"}
    assert client.patch("/users/1", json={"name": "cid"}).json == {"name": "cid"}
    assert client.delete("/users/1").status_code == 204
    assert users == {}


def test_options_lists_the_verbs_of_every_rule_of_the_url(app, client):
    """ROUT-27: answered without a view, empty, 200."""
    app.add_url_rule("/", "read", lambda: "x")
    app.add_url_rule("/", "write", lambda: "x", methods=["PUT", "DELETE"])
    response = client.options("/")
    assert response.status_code == 200
    assert response.allow.as_set() == {"get", "head", "options", "put", "delete"}
    assert response.data == b""


def test_options_may_be_written_by_hand(app, client):
    """ROUT-27: listed in ``methods`` the view answers; switched off it is 405."""
    app.add_url_rule("/own", "own", lambda: "mine", methods=["GET", "OPTIONS"])
    app.add_url_rule("/none", "none", lambda: "x", provide_automatic_options=False)
    assert client.options("/own").text == "mine"
    assert client.options("/none").status_code == 405


@pytest.mark.parametrize("verb", ["get", "post", "put", "delete", "patch"])
def test_verb_shortcuts_bind_one_method(app, client, verb):
    """ROUT-28: ``@app.post(...)`` and its siblings; others are 405."""

    @getattr(app, verb)("/")
    def view():
        return request.method

    assert client.open("/", method=verb.upper()).text == verb.upper()
    other = "GET" if verb != "get" else "POST"
    assert client.open("/", method=other).status_code == 405


@pytest.mark.parametrize("verb", ["get", "post", "put", "delete", "patch"])
def test_verb_shortcuts_refuse_methods(app, verb):
    """ROUT-28: ``methods=`` is a TypeError that sends to ``route``."""
    with pytest.raises(TypeError, match="route"):
        getattr(app, verb)("/", methods=["GET"])


def test_methods_as_a_string_is_a_type_error(app):
    """ROUT-29: it would be taken letter by letter."""
    with pytest.raises(TypeError, match="list of strings"):
        app.route("/", methods="POST")(lambda: "")


def test_a_middleware_overrides_the_method(app, client):
    """ROUT-30: by header or form field, before the routing; only because it was added."""
    from werkzeug.formparser import parse_form_data

    class MethodOverride:
        def __init__(self, wsgi_app):
            self.wsgi_app = wsgi_app

        def __call__(self, environ, start_response):
            if environ["REQUEST_METHOD"] == "POST":
                wanted = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE")
                if wanted is None and "form" in environ.get("CONTENT_TYPE", ""):
                    wanted = parse_form_data(environ)[1].get("_method")
                if wanted in ("PUT", "PATCH", "DELETE"):
                    environ["REQUEST_METHOD"] = wanted
            return self.wsgi_app(environ, start_response)

    app.add_url_rule("/item", "delete", lambda: "deleted", methods=["DELETE"])
    app.add_url_rule("/item", "post", lambda: "posted", methods=["POST"])
    override = {"X-HTTP-Method-Override": "DELETE"}
    assert client.post("/item", headers=override).text == "posted"
    app.wsgi_app = MethodOverride(app.wsgi_app)
    assert client.post("/item", headers=override).text == "deleted"
    assert client.post("/item", data={"_method": "DELETE"}).text == "deleted"
    assert client.post("/item").text == "posted"


def test_redirect_to_a_string_and_a_function(app, client):
    """ROUT-31: with the variables filled in."""
    app.add_url_rule("/old/<int:x>", "old", redirect_to="/new/<x>")
    app.add_url_rule("/f/<int:x>", "f", redirect_to=lambda adapter, x: f"/new/{x + 1}")
    app.add_url_rule("/new/<int:x>", "new", lambda x: str(x))
    response = client.get("/old/5")
    assert response.status_code == 308
    assert response.headers["Location"] == "http://localhost/new/5"
    assert client.get("/f/5", follow_redirects=True).text == "6"


def test_defaults_fill_values_and_make_one_url_canonical(app, client):
    """ROUT-32: the longer form of the default redirects to the shorter rule."""

    @app.route("/posts/", defaults={"page": 1})
    @app.route("/posts/page/<int:page>")
    def posts(page):
        return str(page)

    assert client.get("/posts/").text == "1"
    assert client.get("/posts/page/2").text == "2"
    response = client.get("/posts/page/1")
    assert response.status_code == 308
    assert response.headers["Location"] == "http://localhost/posts/"
    with app.test_request_context():
        assert url_for("posts", page=1) == "/posts/"
        assert url_for("posts", page=3) == "/posts/page/3"


def test_add_url_rule_and_endpoint(app, client):
    """ROUT-33: a rule without a function finds the one that ``@app.endpoint`` registered."""
    app.add_url_rule("/page", endpoint="page")
    app.add_url_rule("/more", endpoint="page")

    @app.endpoint("page")
    def anything():
        return "found"

    assert client.get("/page").text == "found"
    assert client.get("/more").text == "found"


def test_add_url_rule_takes_a_rule_factorys_options(app, client):
    """ROUT-33: extra options go to Werkzeug's Rule."""
    app.add_url_rule("/a", "a", lambda: "x", merge_slashes=False, alias=False)
    with pytest.raises(TypeError):
        app.add_url_rule("/b", "b", lambda: "x", no_such_option=True)
    assert client.get("/a").text == "x"


def test_a_build_only_rule_is_not_matched(app, client):
    """ROUT-34: url_for knows it, requests do not."""
    app.add_url_rule("/cdn/<path:name>", "cdn", build_only=True)
    with app.test_request_context():
        assert url_for("cdn", name="a.js") == "/cdn/a.js"
    assert client.get("/cdn/a.js").status_code == 404


def test_subdomain_rules(tmp_path):
    """ROUT-35: with SERVER_NAME and ``subdomain_matching`` the host decides."""
    app = Carboy("t", root_path=str(tmp_path), subdomain_matching=True, static_folder=None)
    app.config["SERVER_NAME"] = "example.test"
    app.add_url_rule("/", "home", lambda: "home")
    app.add_url_rule("/", "api", lambda: "api", subdomain="api")
    app.add_url_rule("/", "user", lambda user: f"user {user}", subdomain="<user>")
    client = app.test_client()
    assert client.get("/", base_url="http://example.test").text == "home"
    assert client.get("/", base_url="http://api.example.test").text == "api"
    assert client.get("/", base_url="http://ann.example.test").text == "user ann"
    with app.test_request_context("/", base_url="http://example.test"):
        assert url_for("home") == "/"
        assert url_for("api") == "http://api.example.test/"
        assert url_for("user", user="bob") == "http://bob.example.test/"


def test_a_host_outside_server_name_matches_no_subdomain_rule(tmp_path):
    """ROUT-35: 404, with a warning for the developer."""
    app = Carboy("t", root_path=str(tmp_path), subdomain_matching=True, static_folder=None)
    app.config["SERVER_NAME"] = "example.test"
    app.add_url_rule("/", "home", lambda: "home")
    with pytest.warns(UserWarning, match="doesn't match configured server name"):
        response = app.test_client().get("/", base_url="http://other.test")
    assert response.status_code == 404


def test_without_subdomain_matching_every_host_is_served(app, client):
    """ROUT-35: SERVER_NAME alone does not restrict requests."""
    app.config["SERVER_NAME"] = "example.test"
    app.add_url_rule("/", "home", lambda: "home")
    assert client.get("/", base_url="http://elsewhere.test").text == "home"


def test_host_matching(tmp_path):
    """ROUT-35: ``host_matching=True`` takes whole hosts."""
    app = Carboy("t", root_path=str(tmp_path), host_matching=True, static_host="static.test")
    app.add_url_rule("/", "one", lambda: "one", host="one.test")
    app.add_url_rule("/", "two", lambda n: f"two {n}", host="<n>.two.test:8080")
    client = app.test_client()
    assert client.get("/", base_url="http://one.test").text == "one"
    assert client.get("/", base_url="http://x.two.test:8080").text == "two x"
    assert client.get("/", base_url="http://three.test").status_code == 404


def test_an_unknown_url_is_404(app, client):
    """ROUT-36: a small HTML page; case counts."""
    app.add_url_rule("/page", "page", lambda: "x")
    response = client.get("/none")
    assert response.status_code == 404
    assert response.mimetype == "text/html"
    assert "<h1>Not Found</h1>" in response.text
    assert client.get("/Page").status_code == 404


def test_repeated_slashes_redirect_to_the_merged_url(app, client):
    """ROUT-37: 308; off with ``merge_slashes=False``."""
    app.add_url_rule("/a/b", "ab", lambda: "ab")
    app.add_url_rule("/raw/<path:x>", "raw", lambda x: x, merge_slashes=False)
    response = client.get("/a//b?x=1")
    assert response.status_code == 308
    assert response.headers["Location"] == "http://localhost/a/b?x=1"
    assert client.get("/raw/a//b").text == "a//b"


def test_a_405_handler_sees_the_valid_methods(app, client):
    """ROUT-38: for logging scans; Allow can be kept."""

    @app.errorhandler(405)
    def scan(error):
        assert isinstance(error, MethodNotAllowed)
        return f"{request.method} {','.join(sorted(error.valid_methods))}", 405

    app.add_url_rule("/", "view", lambda: "x")
    assert client.delete("/").text == "DELETE GET,HEAD,OPTIONS"


def test_iter_rules_lists_every_rule(app):
    """ROUT-39: ``static`` among them, and by endpoint."""
    app.add_url_rule("/a", "a", lambda: "")
    app.add_url_rule("/b", "a")
    rules = {(r.rule, r.endpoint) for r in app.url_map.iter_rules()}
    assert rules == {("/static/<path:filename>", "static"), ("/a", "a"), ("/b", "a")}
    assert [r.rule for r in app.url_map.iter_rules("a")] == ["/a", "/b"]


def test_a_redirect_loop_is_noticed_by_the_test_client(app, client):
    """ROUT-41: ClientRedirectError instead of an endless loop."""
    app.add_url_rule("/a", "a", lambda: redirect("/b"))
    app.add_url_rule("/b", "b", lambda: redirect("/a"))
    with pytest.raises(ClientRedirectError):
        client.get("/a", follow_redirects=True)


def test_in_debug_a_redirect_that_would_lose_a_body_is_an_error(app, client):
    """ROUT-19: FormDataRoutingRedirect is not raised for 308, which keeps the body."""
    app.debug = True
    app.add_url_rule("/in/", "view", lambda: request.form["a"], methods=["POST"])
    response = client.post("/in", data={"a": "1"})
    assert response.status_code == 308


def test_in_debug_an_external_301_for_a_post_is_explained(app, client):
    """ROUT-31: a redirect that drops the form raises an AssertionError that says why."""
    app.debug = True

    class Moved(BaseConverter):
        def to_python(self, value):
            error = RequestRedirect("http://localhost/elsewhere")
            error.code = 301
            raise error

    app.url_map.converters["moved"] = Moved
    app.add_url_rule("/<moved:x>", "x", lambda x: "", methods=["POST"])
    with pytest.raises(AssertionError, match="http://localhost/elsewhere"):
        client.post("/a", data={"a": "1"})


def test_url_value_of_a_rule_is_seen_in_view_args(app, client):
    """ROUT-13: ``request.view_args`` and ``request.url_rule``."""
    app.add_url_rule("/<a>/<int:b>", "v", lambda a, b: [request.view_args, request.url_rule.rule])
    assert client.get("/x/5").json == [{"a": "x", "b": 5}, "/<a>/<int:b>"]


def test_a_rule_added_to_the_map_directly_is_matched(app, client):
    """ROUT-33: ``app.url_map.add`` after others have been used."""
    from werkzeug.routing import Rule

    app.add_url_rule("/one", "one", lambda: "one")
    assert client.get("/one").text == "one"
    app.url_map.add(Rule("/two", endpoint="two"))
    app.view_functions["two"] = lambda: "two"
    assert client.get("/two").text == "two"


def test_a_replaced_view_function_is_used_at_once(app, client):
    """ROUT-33: extensions write into ``app.view_functions`` at any time."""
    app.add_url_rule("/", "view", lambda: "old")
    assert client.get("/").text == "old"
    app.view_functions["view"] = lambda: "new"
    assert client.get("/").text == "new"
