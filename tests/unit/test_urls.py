"""``url_for``'s short way: that it is gone, and left as soon as something else decides."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.routing import BuildError, Map, MapAdapter, Rule
from werkzeug.wrappers import Request as BaseRequest

from carboy import (
    Blueprint,
    Carboy,
    g,
    helpers,
    render_template_string,
    shortcuts,
    url_for,
    urls,
)

not_slow = pytest.mark.skipif(shortcuts.SLOW, reason="CARBOY_SLOW takes no short way")


def make(cls: type[Carboy] = Carboy, **options: Any) -> Carboy:
    app = cls("urls", static_folder=None, **options)
    app.add_url_rule("/", "index", lambda: "")
    app.add_url_rule("/item/<int:id>/<name>", "item", lambda id, name: "")
    app.add_url_rule("/all/", "all", lambda page: "", defaults={"page": 1})
    app.add_url_rule("/all/<int:page>", "all")
    return app


@pytest.fixture
def app() -> Iterator[Carboy]:
    """An application in a request, which has built each URL once."""
    app = make()
    with app.test_request_context("/"):
        build_all()
        yield app


def build_all() -> list[str]:
    return [
        url_for("index"),
        url_for("index", q="a b", page=2),
        url_for("item", id=1, name="x y"),
        url_for("item", id=1, name="x", _anchor="a b"),
        url_for("item", id=1, name="x", q=5, _external=True),
        url_for("all"),
        url_for("all", page=2),
    ]


URLS = [
    "/",
    "/?q=a+b&page=2",
    "/item/1/x%20y",
    "/item/1/x#a%20b",
    "http://localhost/item/1/x?q=5",
    "/all/",
    "/all/2",
]


class Forbidden(AssertionError):
    """The long way was gone."""


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> str:
        raise Forbidden

    monkeypatch.setattr(helpers, "build_url", refuse)
    monkeypatch.setattr("carboy.app.url_for", refuse)


@not_slow
def test_usual_calls_go_the_short_way(app: Carboy, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)
    assert build_all() == URLS
    assert app.url_for("item", id=2, name="é") == "/item/2/%C3%A9"
    template = "{{ url_for('item', id=2, name='é') }}"
    assert render_template_string(template) == "/item/2/%C3%A9"
    for options in ({"_method": "GET"}, {"_scheme": "https"}, {"_external": None, "_method": None}):
        with pytest.raises(Forbidden):
            url_for("index", **options)


def test_the_long_way_gives_the_same(app: Carboy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "_addresses_for", lambda ctx: None)
    app._url_builder.forget()
    assert build_all() == URLS


def test_the_signature_names_the_options() -> None:
    for function in (url_for, Carboy.url_for):
        options = ["_anchor", "_method", "_scheme", "_external", "values"]
        assert list(inspect.signature(function).parameters)[-6:] == ["endpoint", *options]
        assert function.__name__ == "url_for"
    assert url_for.__module__ == "carboy.helpers"


def test_values_may_have_the_names_of_parameters(app: Carboy) -> None:
    names = {"self": 1, "values": 2, "long": 3, "ctx": 4, "app": 5}
    query = "/?self=1&values=2&long=3&ctx=4&app=5"
    assert url_for("index", **names) == app.url_for("index", **names) == query
    assert url_for(endpoint="index") == app.url_for(endpoint="index") == "/"


def test_an_option_is_none_of_the_values_whatever_a_rule_says(app: Carboy) -> None:
    app.url_map.add(Rule("/odd/<_anchor>", endpoint="odd"))
    for _ in range(2):
        with pytest.raises(BuildError):
            url_for("odd", _anchor="x")


class TestReplacements:
    """Methods, tables and maps, replaced in the midst of a request."""

    def test_url_for_of_a_subclass(self) -> None:
        class Own(Carboy):
            def url_for(self, endpoint: str, **values: Any) -> str:  # type: ignore[override]
                return "own:" + super().url_for(endpoint, **values)

        with make(Own).test_request_context("/"):
            assert [build_all(), build_all()] == [["own:" + url for url in URLS]] * 2

    def test_url_for_of_the_object(self, app: Carboy) -> None:
        original = app.url_for
        app.url_for = lambda endpoint, **values: f"own:{original(endpoint, **values)}"  # type: ignore[method-assign]
        assert build_all() == ["own:" + url for url in URLS]
        del app.url_for
        assert build_all() == URLS

    def test_url_for_of_the_class(self, app: Carboy, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Carboy, "url_for", lambda self, endpoint, **values: "own")
            assert build_all() == ["own"] * len(URLS)
        assert build_all() == URLS

    def test_inject_url_defaults_of_a_subclass_and_of_the_object(self, app: Carboy) -> None:
        def inject(endpoint: str, values: dict[str, Any]) -> None:
            values["extra"] = 1

        class Own(Carboy):
            def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None:
                inject(endpoint, values)

        app.inject_url_defaults = inject  # type: ignore[method-assign]
        assert url_for("index") == url_for("index") == "/?extra=1"
        with make(Own).test_request_context("/"):
            assert url_for("index") == url_for("index") == app.url_for("index") == "/?extra=1"

    def test_url_defaults_that_come_and_go(self, app: Carboy) -> None:
        app.url_defaults(lambda endpoint, values: values.setdefault("lang", "fr"))
        assert url_for("index") == "/?lang=fr"
        assert url_for("item", id=1, name="x") == "/item/1/x?lang=fr"
        app.url_default_functions = {}
        assert url_for("index") == "/"
        app.url_default_functions[None].append(lambda endpoint, values: values.update(a=1))
        assert url_for("index") == app.url_for("index") == "/?a=1"
        app.url_default_functions.clear()
        assert url_for("index") == "/"
        table = app.url_default_functions
        table |= {None: [lambda endpoint, values: values.update(b=1)]}
        assert url_for("index") == app.url_for("index") == "/?b=1"

    def test_create_url_adapter_of_a_subclass(self) -> None:
        class Own(Carboy):
            def create_url_adapter(self, request: BaseRequest | None) -> MapAdapter | None:  # type: ignore[override]
                return self.url_map.bind("own.example", "/own", url_scheme="https")

        with make(Own).test_request_context("/"):
            for _ in range(2):
                assert url_for("index") == "/own/"
                assert url_for("index", _external=True) == "https://own.example/own/"

    def test_create_url_adapter_of_the_object(self, app: Carboy) -> None:
        app.create_url_adapter = lambda request: app.url_map.bind("x", "/own")  # type: ignore[method-assign]
        with app.test_request_context("/"):
            assert url_for("index") == url_for("index") == "/own/"

    def test_the_map(self, app: Carboy) -> None:
        app.url_map = Map([Rule("/new", endpoint="index")])
        with app.test_request_context("/"):
            assert url_for("index") == url_for("index") == "/new"
            with pytest.raises(BuildError):
                url_for("item", id=1, name="x")

    def test_the_default_subdomain(self, app: Carboy) -> None:
        app.url_map.default_subdomain = "www"
        with app.test_request_context("/"):
            for _ in range(2):
                assert url_for("index") == "http://localhost/"

    def test_building_of_the_adapter(self, app: Carboy, monkeypatch: pytest.MonkeyPatch) -> None:
        assert url_for("index", _external=True) == "http://localhost/"
        monkeypatch.setattr(MapAdapter, "build", lambda self, endpoint, *args, **options: "own")
        assert url_for("index", _external=True) == "own"

    def test_the_adapters_attributes(self, app: Carboy) -> None:
        from carboy.globals import request_ctx

        adapter = request_ctx.url_adapter
        assert adapter is not None
        adapter.server_name, adapter.url_scheme, adapter.script_name = "a.b:1", "wss", "/r/"
        assert url_for("index", _external=True) == "https://a.b:1/r/"
        adapter.get_host = lambda domain: "own"  # type: ignore[method-assign]
        assert url_for("index", _external=True) == "https://own/r/"

    def test_the_methods_of_a_rule(self, app: Carboy) -> None:
        app.url_map.add(Rule("/a/<int:x>", endpoint="two", methods=["GET"]))
        app.url_map.add(Rule("/b/<int:x>", endpoint="two", methods=["GET"]))
        assert url_for("two", x=1) == url_for("two", x=1) == "/a/1"
        first = app.url_map._rules_by_endpoint["two"][0]
        first.methods = {"POST"}
        assert url_for("two", x=1) == "/b/1"


class TestRequests:
    @pytest.mark.parametrize("root", ["/root", "/root/", "/%C3%A9/x"])
    def test_a_root_is_in_front(self, root: str) -> None:
        with make().test_request_context("/", base_url=f"http://localhost{root}"):
            for _ in range(2):
                assert url_for("index") == root.rstrip("/").replace("%C3%A9", "é") + "/"

    def test_another_applications_request(self, app: Carboy) -> None:
        other = make()
        other.add_url_rule("/other", "other", lambda: "")
        # As in Flask, a request decides for the applications that are asked within it.
        for _ in range(2):
            assert other.url_for("index") == "/"
            with pytest.raises(BuildError):
                other.url_for("other")
        with other.test_request_context("/"):
            assert url_for("other") == url_for("other") == "/other"

    def test_an_application_context_within_a_request(self, app: Carboy) -> None:
        with app.app_context():
            assert build_all() == build_all() == URLS

    def test_a_relative_endpoint_in_a_blueprint(self) -> None:
        app = make()
        app.add_url_rule("/dotted", ".index", lambda: "")
        blueprint = Blueprint("bp", "urls", url_prefix="/bp")
        blueprint.add_url_rule("/", "index", lambda: " ".join(url_for(".index") for _ in range(2)))
        app.register_blueprint(blueprint)
        assert app.test_client().get("/bp/").text == "/bp/ /bp/"
        with app.test_request_context("/"):
            app._url_builder.build(".index", {}, None, "GET", "")
            assert url_for(".index") == url_for(".index") == "/"

    def test_subdomains_and_hosts(self) -> None:
        app = make(subdomain_matching=True)
        app.config["SERVER_NAME"] = "example.org"
        app.add_url_rule("/", "api", lambda: "", subdomain="api")
        with app.test_request_context("/", base_url="http://api.example.org"):
            for _ in range(2):
                assert (url_for("api"), url_for("index")) == ("/", "http://example.org/")
                assert url_for("api", _external=True) == "http://api.example.org/"
        app = Carboy("hosts", static_folder=None, host_matching=True)
        app.add_url_rule("/", "here", lambda: "", host="a.example")
        app.add_url_rule("/", "there", lambda: "", host="b.example")
        with app.test_request_context("/", base_url="http://a.example"):
            for _ in range(2):
                assert (url_for("here"), url_for("there")) == ("/", "http://b.example/")
                assert url_for("here", _external=True) == "http://a.example/"

    def test_a_refused_host_is_named_in_no_url(self) -> None:
        app = make()
        app.config["TRUSTED_HOSTS"] = ["good.example"]
        with app.test_request_context("/", base_url="http://evil.example"):
            for _ in range(2):
                assert url_for("index") == url_for("index", _external=True) == "/"

    def test_a_websockets_address_is_a_whole_one(self, app: Carboy) -> None:
        app.url_map.add(Rule("/ws", endpoint="ws", websocket=True))
        for _ in range(2):
            assert url_for("ws") == "ws://localhost/ws"


class TestRegistration:
    def test_a_rule_that_comes_later_is_seen(self, app: Carboy) -> None:
        with pytest.raises(BuildError):
            url_for("late")
        app.add_url_rule("/late", "late", lambda: "")
        assert url_for("late") == "/late"
        app.url_map.add(Rule("/early", endpoint="all", defaults={"page": 2}))
        assert url_for("all", page=2) == "/early"

    def test_a_rule_that_comes_from_another_thread_is_seen(self, app: Carboy) -> None:
        rule = Rule("/early", endpoint="all", defaults={"page": 2})
        thread = threading.Thread(target=app.url_map.add, args=[rule])
        thread.start()
        thread.join()
        # Somebody else uses the map first.
        with app.test_request_context("/early"):
            pass
        assert url_for("all", page=2) == "/early"

    def test_threads_that_build_while_rules_come_get_right_urls(self, app: Carboy) -> None:
        wrong: list[Any] = []
        done = threading.Event()

        def keep_asking() -> None:
            with app.test_request_context("/"):
                while not done.is_set():
                    try:
                        if (found := build_all()) != URLS:
                            wrong.append(found)
                    except Exception as error:
                        wrong.append(error)

        threads = [threading.Thread(target=keep_asking) for _ in range(3)]
        try:
            for thread in threads:
                thread.start()
            for number in range(40):
                app.url_map.add(Rule(f"/r{number}/<int:n>", endpoint=f"r{number}"))
                assert url_for(f"r{number}", n=1) == f"/r{number}/1"
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert not wrong

    def test_each_name_of_a_query_may_be_new(self, app: Carboy) -> None:
        for number in range(300):
            assert url_for("index", **{f"é{number}": number}) == f"/?%C3%A9{number}={number}"
        assert url_for("index", q=1, _anchor="x") == "/?q=1#x"
        assert url_for("item", q=1, id=1, name="x") == "/item/1/x?q=1"

    def test_a_converter_that_builds_urls_itself(self, app: Carboy) -> None:
        from werkzeug.routing import BaseConverter

        class Nested(BaseConverter):
            def to_url(self, value: Any) -> str:
                g.count = g.get("count", 0) + 1
                return url_for("index") + super().to_url(value)

        app.url_map.converters["nested"] = Nested
        app.add_url_rule("/n<nested:x>", "nested", lambda x: "")
        assert url_for("nested", x="y") == url_for("nested", x="y") == "/n/y"
        assert g.count == 2
