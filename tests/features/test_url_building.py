from __future__ import annotations

import uuid

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BuildError

from carboy import Blueprint, Carboy, current_app, g, render_template_string, request, url_for
from carboy.views import MethodView, View


@pytest.fixture
def site(app):
    """An application with a few pages; ``site.url_for`` is used in a request context."""

    @app.route("/")
    def index():
        return ""

    @app.route("/login", methods=["GET", "POST"])
    def login():
        return ""

    @app.route("/user/<username>")
    def profile(username):
        return ""

    return app


@pytest.fixture
def inside(site):
    with site.test_request_context():
        yield site


def test_url_for_takes_the_endpoint_and_its_variables(inside):
    """URL-01: a relative URL of the rule."""
    assert url_for("index") == "/"
    assert url_for("login") == "/login"
    assert url_for("profile", username="ann") == "/user/ann"
    assert inside.url_for("login") == "/login"


@pytest.mark.parametrize(
    ("values", "query"),
    [
        ({"next": "/a b"}, "?next=/a+b"),
        ({"a": 1, "b": "x&y=z"}, "?a=1&b=x%26y%3Dz"),
        ({"tag": ["x", "y"]}, "?tag=x&tag=y"),
        ({"empty": ""}, "?empty="),
        ({"none": None}, ""),
        ({"q": "Jürg"}, "?q=J%C3%BCrg"),
        ({"truth": True}, "?truth=True"),
    ],
)
def test_extra_arguments_become_the_query(inside, values, query):
    """URL-02: lists repeat the key, None is left out."""
    assert url_for("login", **values) == "/login" + query


def test_url_for_static_files(inside):
    """URL-03: ``filename`` may lie in a folder."""
    assert url_for("static", filename="style.css") == "/static/style.css"
    assert url_for("static", filename="js/app.js") == "/static/js/app.js"


def test_nothing_is_added_to_static_urls_in_any_mode(inside):
    """STAT-09, D-06: debug or not, no query string."""
    inside.debug = True
    assert url_for("static", filename="style.css") == "/static/style.css"


@pytest.mark.parametrize(
    ("value", "built"),
    [
        ("John Doe", "John%20Doe"),
        ("Jürg", "J%C3%BCrg"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("a/b", "a/b"),
        ("a?b#c", "a%3Fb%23c"),
        ("100%", "100%25"),
        ("<&>", "%3C&%3E"),
        ("~-._", "~-._"),
    ],
)
def test_special_characters_are_percent_encoded(inside, value, built):
    """URL-04: and come back as they were."""
    assert url_for("profile", username=value) == f"/user/{built}"


def test_encoded_values_come_back(site, client):
    """URL-04: the built URL reaches the view with the same text."""
    site.view_functions["profile"] = lambda username: username
    with site.test_request_context():
        urls = {v: url_for("profile", username=v) for v in ("Jürg x", "a?b#c", "100%", "<&>")}
    assert {v: client.get(u).text for v, u in urls.items()} == {v: v for v in urls}


def test_external_urls_have_scheme_and_host_of_the_request(site):
    """URL-05: from the request that is being handled."""
    with site.test_request_context(base_url="https://shop.test:8443/"):
        assert url_for("login", _external=True) == "https://shop.test:8443/login"
        assert url_for("login") == "/login"
    with site.test_request_context():
        assert url_for("login", _external=True) == "http://localhost/login"


def test_scheme_anchor_and_method(inside):
    """URL-06: _scheme makes the URL external, _anchor is quoted."""
    assert url_for("login", _scheme="https", _external=True) == "https://localhost/login"
    assert url_for("login", _scheme="https") == "https://localhost/login"
    assert url_for("login", _scheme="", _external=True) == "//localhost/login"
    assert url_for("login", _anchor="a b") == "/login#a%20b"
    assert url_for("login", _anchor="x()y", q=1) == "/login?q=1#x()y"


def test_scheme_without_external_is_refused(inside):
    """URL-06: a scheme on a relative URL makes no sense."""
    with pytest.raises(ValueError, match="_external"):
        url_for("login", _scheme="https", _external=False)


def test_method_chooses_between_rules_of_an_endpoint(app):
    """URL-06: ``_method``."""
    app.add_url_rule("/read/<int:x>", "item", lambda x: "", methods=["GET"])
    app.add_url_rule("/write/<int:x>", "item", methods=["POST"])
    with app.test_request_context():
        assert url_for("item", x=1, _method="GET") == "/read/1"
        assert url_for("item", x=1, _method="POST") == "/write/1"


def test_class_views_rules_are_chosen_by_method(app):
    """URL-06: two rules of one MethodView."""

    class Items(MethodView):
        def get(self, id=None):
            return ""

        def post(self):
            return ""

    view = Items.as_view("items")
    app.add_url_rule("/items", methods=["GET"], view_func=view)
    app.add_url_rule("/items/<int:id>", methods=["GET"], view_func=view)
    app.add_url_rule("/items/create", methods=["POST"], view_func=view)
    with app.test_request_context():
        assert url_for("items", _method="GET") == "/items"
        assert url_for("items", id=5, _method="GET") == "/items/5"
        assert url_for("items", _method="POST") == "/items/create"


def test_an_unknown_endpoint_is_a_build_error(inside):
    """URL-07: a LookupError; it suggests the nearest name."""
    with pytest.raises(BuildError, match=r"Could not build url for endpoint 'logn'.*'login'"):
        url_for("logn")
    assert issubclass(BuildError, LookupError)


def test_a_missing_value_is_a_build_error(inside):
    """URL-07: it names the value."""
    with pytest.raises(BuildError, match="username"):
        url_for("profile")


def test_a_value_the_converter_refuses_is_an_error(app):
    """URL-07: text for an int."""
    app.add_url_rule("/n/<int:x>", "n", lambda x: "")
    with app.test_request_context(), pytest.raises((BuildError, ValueError)):
        url_for("n", x="abc")


def test_url_for_outside_any_context_is_a_runtime_error():
    """URL-08: "Working outside of application context"."""
    with pytest.raises(RuntimeError, match="outside of application context"):
        url_for("login")


def test_url_for_in_an_app_context_needs_server_name(site):
    """URL-08, D-15: RuntimeError that names the settings; a request context does not."""
    with site.app_context(), pytest.raises(RuntimeError, match="SERVER_NAME"):
        url_for("login")
    with site.test_request_context():
        assert url_for("login") == "/login"


def test_server_name_allows_urls_without_a_request(site):
    """URL-09, D-15: absolute unless ``_external=False``."""
    site.config["SERVER_NAME"] = "shop.test:5000"
    with site.app_context():
        assert url_for("login") == "http://shop.test:5000/login"
        assert url_for("login", _external=False) == "/login"


def test_scheme_and_root_of_urls_without_a_request(site):
    """URL-09, CONF-24: PREFERRED_URL_SCHEME and APPLICATION_ROOT."""
    site.config.update(
        SERVER_NAME="shop.test", PREFERRED_URL_SCHEME="https", APPLICATION_ROOT="/shop"
    )
    with site.app_context():
        assert url_for("login") == "https://shop.test/shop/login"
        assert url_for("login", _external=False) == "/shop/login"
        assert url_for("login", _scheme="http") == "http://shop.test/shop/login"


def test_urls_carry_the_prefix_of_the_mount(site, raw):
    """URL-10: SCRIPT_NAME is in front of every URL."""
    site.view_functions["index"] = lambda: f"{url_for('login')} {url_for('login', _external=True)}"
    reply = raw("/", SCRIPT_NAME="/shop")
    assert reply.body == b"/shop/login http://localhost/shop/login"


def test_urls_follow_a_trusted_proxy(site, call):
    """URL-10: ProxyFix sets scheme, host and prefix."""
    site.view_functions["index"] = lambda: url_for("login", _external=True)
    site.wsgi_app = ProxyFix(site.wsgi_app, x_proto=1, x_host=1, x_prefix=1)
    headers = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.test",
        "X-Forwarded-Prefix": "/p",
    }
    assert call(site, "/", headers=headers).body == b"https://shop.test/p/login"


@pytest.fixture
def with_blueprint(site):
    bp = Blueprint("blog", __name__, url_prefix="/blog", static_folder="files")

    @bp.route("/")
    def index():
        return " ".join([url_for(".index"), url_for("blog.index"), url_for("index")])

    @bp.route("/<int:number>")
    def post(number):
        return url_for(".post", number=number + 1)

    site.register_blueprint(bp)
    return site


def test_blueprint_endpoints_have_the_blueprints_name(with_blueprint):
    """URL-11: ``bp.view`` from anywhere."""
    with with_blueprint.test_request_context():
        assert url_for("blog.index") == "/blog/"
        assert url_for("blog.post", number=5) == "/blog/5"
        assert url_for("blog.static", filename="a.css") == "/blog/files/a.css"


def test_a_leading_dot_means_the_same_blueprint(with_blueprint, client):
    """URL-11: ``.view`` within it."""
    assert client.get("/blog/").text == "/blog/ /blog/ /"
    assert client.get("/blog/5").text == "/blog/6"


def test_a_leading_dot_outside_a_blueprint_is_the_applications_view(site, client):
    """URL-11: outside a blueprint ``.login`` is ``login``."""
    site.view_functions["index"] = lambda: url_for(".login")
    assert client.get("/").text == "/login"


def test_nested_blueprints_build_relative_names(app, client):
    """URL-11: a dot stays in the innermost blueprint."""
    parent = Blueprint("parent", __name__, url_prefix="/parent")
    child = Blueprint("child", __name__, url_prefix="/child")
    child.add_url_rule("/", "here", lambda: f"{url_for('.here')} {url_for('parent.child.here')}")
    parent.register_blueprint(child)
    app.register_blueprint(parent)
    assert client.get("/parent/child/").text == "/parent/child/ /parent/child/"


def test_url_for_is_a_template_global(inside):
    """URL-12: escaped like any value."""
    assert render_template_string("{{ url_for('login') }}") == "/login"
    text = "<a href='{{ url_for('login', a=1, b=2) }}'>"
    assert render_template_string(text) == "<a href='/login?a=1&amp;b=2'>"


def test_class_based_views_have_the_name_of_as_view(app):
    """URL-13: not the name of the class."""

    class Page(View):
        def dispatch_request(self):
            return ""

    app.add_url_rule("/page", view_func=Page.as_view("the_page"))
    with app.test_request_context():
        assert url_for("the_page") == "/page"
        with pytest.raises(BuildError):
            url_for("Page")


@pytest.mark.parametrize("rule", ["/login", "/account/sign-in", "/x/y/z/"])
def test_changing_the_rule_changes_every_built_url(app, rule):
    """URL-14: the endpoint stays."""
    app.add_url_rule(rule, "login", lambda: "")
    with app.test_request_context():
        assert url_for("login") == rule
        assert render_template_string("{{ url_for('login', q=1) }}") == f"{rule}?q=1"


@pytest.mark.parametrize(
    ("rule", "value", "built"),
    [
        ("<int:x>", 5, "5"),
        ("<int:x>", "7", "7"),
        ("<int(fixed_digits=4):x>", 5, "0005"),
        ("<int(signed=True):x>", -5, "-5"),
        ("<float:x>", 2.5, "2.5"),
        ("<float:x>", 2, "2.0"),
        ("<path:x>", "a/b c", "a/b%20c"),
        ("<any(one, two):x>", "two", "two"),
        (
            "<uuid:x>",
            uuid.UUID("12345678-1234-5678-1234-56781234abcd"),
            "12345678-1234-5678-1234-56781234abcd",
        ),
    ],
)
def test_converters_build_urls_too(app, rule, value, built):
    """URL-15: int, float, path, any, uuid."""
    app.add_url_rule(f"/c/{rule}", "view", lambda x: "")
    with app.test_request_context():
        assert url_for("view", x=value) == f"/c/{built}"


def test_any_refuses_to_build_other_words(app):
    """URL-15: ValueError."""
    app.add_url_rule("/c/<any(one, two):x>", "view", lambda x: "")
    with app.test_request_context(), pytest.raises(ValueError, match="'three' is not one of"):
        url_for("view", x="three")


def test_defaults_choose_the_shorter_rule(app):
    """URL-15: the rule whose defaults fit."""
    app.add_url_rule("/p/", "p", lambda page: "", defaults={"page": 1})
    app.add_url_rule("/p/<int:page>", "p")
    with app.test_request_context():
        assert url_for("p", page=1) == "/p/"
        assert url_for("p", page=2) == "/p/2"


def test_url_defaults_and_value_preprocessor(app, client):
    """URL-16: a language code taken from every URL and put into every URL."""

    @app.url_value_preprocessor
    def take(endpoint, values):
        g.lang = values.pop("lang", None) if values else None

    @app.url_defaults
    def put(endpoint, values):
        if app.url_map.is_endpoint_expecting(endpoint, "lang"):
            values.setdefault("lang", g.get("lang"))

    @app.route("/<lang>/about")
    def about():
        return f"{g.lang} {url_for('about')} {url_for('about', lang='de')} {url_for('plain')}"

    app.add_url_rule("/plain", "plain", lambda: "")
    assert client.get("/fr/about").text == "fr /fr/about /de/about /plain"


def test_blueprint_url_defaults_touch_its_own_endpoints_only(app, client):
    """URL-16: and ``app_url_defaults`` all of them."""
    bp = Blueprint("bp", __name__, url_prefix="/bp")
    seen = []
    bp.url_defaults(lambda endpoint, values: seen.append(("bp", endpoint)))
    bp.app_url_defaults(lambda endpoint, values: seen.append(("app", endpoint)))
    bp.add_url_rule("/", "view", lambda: "")
    app.register_blueprint(bp)
    app.add_url_rule("/", "view", lambda: "")
    with app.test_request_context():
        url_for("view")
        url_for("bp.view")
    assert seen == [("app", "view"), ("app", "bp.view"), ("bp", "bp.view")]


def test_cache_busting_by_url_defaults(app, tmp_path):
    """STAT-09, D-06: the application adds a version to static URLs itself."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static/a.css").write_text("")

    @app.url_defaults
    def version(endpoint, values):
        if endpoint == "static":
            values["v"] = (tmp_path / "static" / values["filename"]).stat().st_size

    with app.test_request_context():
        assert url_for("static", filename="a.css") == "/static/a.css?v=0"


def test_url_for_inside_a_view_with_path_and_query(site, client):
    """URL-17: and its value works as a redirect target."""
    site.view_functions["index"] = lambda: url_for("profile", username="a b", page=2)
    assert client.get("/").text == "/user/a%20b?page=2"


def test_build_error_handlers_may_answer(inside):
    """URL-18: endpoint and values arrive; None leaves it to the next."""
    calls = []

    def first(error, endpoint, values):
        calls.append((type(error).__name__, endpoint, values))
        return None

    inside.url_build_error_handlers.append(first)
    inside.url_build_error_handlers.append(lambda error, endpoint, values: f"/ext/{values['x']}")
    assert url_for("external", x=1) == "/ext/1"
    name, endpoint, values = calls[0]
    assert (name, endpoint, values["x"]) == ("BuildError", "external", 1)


def test_build_errors_are_raised_when_no_handler_answers(inside):
    """URL-18: the original BuildError."""
    inside.url_build_error_handlers.append(lambda error, endpoint, values: None)
    with pytest.raises(BuildError):
        url_for("external")


def test_handle_url_build_error_may_be_overridden(tmp_path):
    """URL-18: the method on the application."""

    class Lenient(Carboy):
        def handle_url_build_error(self, error, endpoint, values):
            return f"#{endpoint}"

    app = Lenient("t", root_path=str(tmp_path))
    with app.test_request_context():
        assert url_for("nowhere") == "#nowhere"


def test_url_for_may_be_overridden_on_the_application(tmp_path):
    """URL-01: the function delegates to ``current_app.url_for``."""

    class Tagged(Carboy):
        def url_for(self, endpoint, **values):
            return super().url_for(endpoint, **values) + "!"

    app = Tagged("t", root_path=str(tmp_path))
    app.add_url_rule("/", "index", lambda: url_for("index"))
    assert app.test_client().get("/").text == "/!"


def test_url_for_belongs_to_the_application_of_the_context(app):
    """URL-01: pushing another application's context changes the map."""
    other = Carboy("other")
    app.add_url_rule("/mine", "page", lambda: "")
    other.add_url_rule("/others", "page", lambda: "")
    with app.test_request_context():
        assert url_for("page") == "/mine"
        with other.test_request_context():
            assert current_app.name == "other"
            assert url_for("page") == "/others"
        assert url_for("page") == "/mine"
        assert request.path == "/"
