"""The compiled router and the compiled URL builder, by example."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, MapAdapter, RequestRedirect, Rule, Subdomain

from carboy.routing import LazyRule, Router, UrlBuilder
from carboy.routing.spelling import _path_text
from carboy.routing.version import Version, current_version


def rule(path: str, endpoint: str = "e", **options: Any) -> Rule:
    return Rule(path, endpoint=endpoint, **options)


def matched(router: Router, path: str, method: str = "GET", domain: str = "") -> Any:
    answer = router.match(method, path, domain)
    return None if answer is None else (answer[0].endpoint, answer[1])


def built(builder: UrlBuilder, endpoint: str, method: str | None = None, **values: Any) -> Any:
    return builder.build(endpoint, values, method, "GET", "")


class Maybe(BaseConverter):
    """Takes an empty text too."""

    regex = "[a-z]*"


class Bad(BaseConverter):
    """No regular expression at all."""

    regex = "("


class Slashed(BaseConverter):
    """Takes what no path can bring."""

    part_isolating = False
    regex = "/.*|x"


class TestMatching:
    def test_a_static_rule_gives_no_arguments(self) -> None:
        assert matched(Router(Map([rule("/about", "about")])), "/about") == ("about", {})

    @pytest.mark.parametrize(
        ("pattern", "path", "value"),
        [
            ("/u/<name>", "/u/ann", "ann"),
            ("/u/<int:name>", "/u/007", 7),
            ("/u/<int(signed=True):name>", "/u/-7", -7),
            ("/u/<int:name>", "/u/٣", 3),
            ("/u/<float:name>", "/u/1.5", 1.5),
            ("/u/<path:name>", "/u/a/b/c", "a/b/c"),
            ("/u/<path:name>/edit", "/u/a/b/edit", "a/b"),
            ("/u/<any(a, b):name>", "/u/b", "b"),
            ("/u/<string(length=2):name>", "/u/xy", "xy"),
            ("/u/v<int:name>.txt", "/u/v3.txt", 3),
            ("/u/<int:name>(x)", "/u/3(x)", 3),
        ],
    )
    def test_a_converter_makes_the_value(self, pattern: str, path: str, value: Any) -> None:
        endpoint, arguments = matched(Router(Map([rule(pattern)])), path)
        assert (endpoint, arguments) == ("e", {"name": value})
        assert type(arguments["name"]) is type(value)

    @pytest.mark.parametrize(
        ("pattern", "path"),
        [
            ("/u/<int:n>", "/u/-1"),
            ("/u/<int:n>", "/u/²"),
            ("/u/<int:n>", "/u/1\n"),
            ("/u/<int:n>", "/u/"),
            ("/u/<int(max=5):n>", "/u/6"),
            ("/u/<int(fixed_digits=2):n>", "/u/6"),
            ("/u/<string(maxlength=2):n>", "/u/abc"),
            ("/u/<uuid:n>", "/u/1234"),
            ("/u/<path:n>", "/u//a"),
            ("/u/<int:n>", "/u/" + "1" * 5000),
            ("/u", "u"),
            ("/<n>", ""),
            ("/<path:n>", "//evil"),
        ],
    )
    def test_what_does_not_fit_is_left_to_werkzeug(self, pattern: str, path: str) -> None:
        assert Router(Map([rule(pattern)])).match("GET", path) is None

    def test_each_answer_has_a_dict_of_its_own(self) -> None:
        router = Router(Map([rule("/a", defaults={"page": 1}), rule("/b"), rule("/<int:n>")]))
        for path in ("/a", "/b", "/7"):
            router.match("GET", path)[1]["spoiled"] = True  # type: ignore[index]
            assert "spoiled" not in router.match("GET", path)[1]  # type: ignore[index]

    def test_a_static_rule_goes_before_a_variable_one(self) -> None:
        router = Router(Map([rule("/u/<name>", "any"), rule("/u/me", "me")]))
        assert matched(router, "/u/me") == ("me", {})
        assert matched(router, "/u/you") == ("any", {"name": "you"})

    def test_a_heavier_converter_waits_for_a_lighter_one(self) -> None:
        router = Router(
            Map([rule("/<path:p>", "path"), rule("/<s>", "text"), rule("/<int:i>", "int")])
        )
        assert [matched(router, path)[0] for path in ("/1", "/a", "/a/b")] == [
            "int",
            "text",
            "path",
        ]

    def test_a_digit_that_is_no_number_is_a_text(self) -> None:
        router = Router(Map([rule("/<int:i>", "int"), rule("/<s>", "text")]))
        assert matched(router, "/²") == ("text", {"s": "²"})
        assert matched(router, "/٣") == ("int", {"i": 3})

    def test_a_way_that_leads_nowhere_is_gone_back(self) -> None:
        router = Router(Map([rule("/u/me/edit", "edit"), rule("/u/<name>/show", "show")]))
        assert matched(router, "/u/me/show") == ("show", {"name": "me"})

    def test_a_rule_for_another_method_does_not_hide_a_later_one(self) -> None:
        router = Router(
            Map([rule("/u/me", "post", methods=["POST"]), rule("/u/<n>", "get", methods=["GET"])])
        )
        assert matched(router, "/u/me") == ("get", {"n": "me"})
        assert matched(router, "/u/me", "HEAD") == ("get", {"n": "me"})
        assert matched(router, "/u/me", "POST") == ("post", {})
        assert matched(router, "/u/me", "PUT") is None

    def test_a_rule_without_methods_takes_any_in_capitals(self) -> None:
        router = Router(Map([rule("/a"), rule("/<int:n>")]))
        assert matched(router, "/a", "PURGE") == ("e", {})
        assert matched(router, "/7", "PURGE") == ("e", {"n": 7})
        assert matched(router, "/a", "purge") is None

    def test_a_missing_slash_is_left_to_werkzeugs_redirect(self) -> None:
        router = Router(Map([rule("/a/"), rule("/<int:n>/"), rule("/f/<path:p>/")]))
        assert [matched(router, path) for path in ("/a", "/7", "/f/x")] == [None] * 3
        assert matched(router, "/f/x/") == ("e", {"p": "x"})

    def test_a_rule_that_is_not_strict_takes_either_form(self) -> None:
        router = Router(Map([rule("/a/", "a"), rule("/b", "b")], strict_slashes=False))
        assert [matched(router, path) for path in ("/a", "/a/", "/b", "/b/")] == [
            ("a", {}),
            ("a", {}),
            ("b", {}),
            ("b", {}),
        ]

    def test_redirects_are_left_to_werkzeug(self) -> None:
        url_map = Map(
            [
                rule("/old", redirect_to="/new"),
                rule("/all/", "all", defaults={"page": 1}),
                rule("/all/<int:page>", "all"),
                rule("/main", "main"),
                rule("/alias", "main", alias=True),
            ]
        )
        router = Router(url_map)
        assert [matched(router, path) for path in ("/old", "/all/1", "/alias", "/a//b")] == [
            None
        ] * 4
        assert matched(router, "/all/2") == ("all", {"page": 2})
        assert matched(router, "/all/") == ("all", {"page": 1})

    def test_without_redirect_defaults_the_second_address_is_as_good(self) -> None:
        url_map = Map([rule("/", "all", defaults={"page": 1}), rule("/<int:page>", "all")])
        router = Router(url_map)
        assert matched(router, "/1") is None
        url_map.redirect_defaults = False
        assert matched(router, "/1") == ("all", {"page": 1})

    def test_an_empty_text_for_a_variable_goes_before_a_slash_left_over(self) -> None:
        url_map = Map(
            [rule("/a", "a", strict_slashes=False), rule("/a/<maybe:v>", "maybe")],
            converters={"maybe": Maybe},
        )
        assert matched(Router(url_map), "/a/") == ("maybe", {"v": ""})

    def test_no_path_is_not_taken_for_the_path_of_one_slash(self) -> None:
        url_map = Map([rule("/<maybe:v>"), rule("/<maybe:v>/x")], converters={"maybe": Maybe})
        router = Router(url_map)
        assert matched(router, "/") == ("e", {"v": ""})
        assert [matched(router, path) for path in ("", "//", "//x")] == [None] * 3

    def test_two_slashes_in_front_are_left_to_werkzeug(self) -> None:
        router = Router(Map([rule("/"), rule("//x"), rule("//<int:n>")], merge_slashes=False))
        assert matched(router, "/") == ("e", {})
        assert [matched(router, path) for path in ("//x", "//7")] == [None] * 2

    def test_a_rule_with_a_slash_goes_before_one_that_is_not_strict_about_it(self) -> None:
        url_map = Map(
            [rule("/a", "leaf", strict_slashes=False), rule("/a/", "branch", methods=["POST"])]
        )
        router = Router(url_map)
        assert matched(router, "/a/", "POST")[0] == "branch"
        assert matched(router, "/a/", "GET")[0] == "leaf"

    def test_a_domain_has_rules_of_its_own(self) -> None:
        url_map = Map([rule("/", "home"), Subdomain("api", [rule("/", "api")])])
        router = Router(url_map)
        assert matched(router, "/")[0] == "home"
        assert matched(router, "/", domain="api")[0] == "api"
        assert matched(router, "/", domain="other") is None

    def test_a_domain_with_variables_is_left_to_werkzeug(self) -> None:
        router = Router(Map([Subdomain("<user>", [rule("/")])]))
        assert matched(router, "/", domain="ann") is None

    def test_a_websocket_rule_answers_no_http_request(self) -> None:
        router = Router(Map([rule("/ws", "ws", websocket=True), rule("/<name>", "page")]))
        assert matched(router, "/ws") == ("page", {"name": "ws"})

    def test_a_fault_of_a_converter_is_left_to_werkzeug(self) -> None:
        class Faulty(BaseConverter):
            def to_python(self, value: str) -> Any:
                raise RuntimeError

        router = Router(Map([rule("/<faulty:x>")], converters={"faulty": Faulty}))
        assert router.match("GET", "/x") is None

    def test_a_broken_expression_is_left_to_werkzeug(self) -> None:
        class Broken(BaseConverter):
            regex = "("

        router = Router(Map([rule("/a/<broken:x>"), rule("/b")], converters={"broken": Broken}))
        assert router.match("GET", "/a/x") is None
        assert matched(router, "/b") == ("e", {})

    def test_an_expression_that_closes_the_group_around_it_is_left_to_werkzeug(self) -> None:
        class Sly(BaseConverter):
            regex = "a)|(b"

        router = Router(Map([rule("/x/<sly:x>")], converters={"sly": Sly}))
        assert router.match("GET", "/x/b") is None

    def test_a_map_with_its_own_adapters_is_left_alone(self) -> None:
        class OwnAdapters(Map):
            def bind(self, *args: Any, **kwargs: Any) -> MapAdapter:
                return super().bind(*args, **kwargs)

        url_map = OwnAdapters([rule("/a")])
        assert Router(url_map).match("GET", "/a") is None
        assert UrlBuilder(url_map).build("e", {}, None, "GET", "") is None

    def test_an_object_that_is_no_known_map_is_left_alone(self) -> None:
        assert Router(object()).match("GET", "/") is None  # type: ignore[arg-type]
        assert UrlBuilder(object()).build("e", {}, None, "GET", "") is None  # type: ignore[arg-type]


class TestChanges:
    def test_an_added_rule_is_seen_by_the_next_match(self) -> None:
        url_map = Map([rule("/<name>", "any")])
        router = Router(url_map)
        assert matched(router, "/a")[0] == "any"
        url_map.add(rule("/a", "a"))
        assert matched(router, "/a")[0] == "a"

    def test_an_added_rule_is_seen_though_werkzeug_has_sorted_it_in_already(self) -> None:
        url_map = Map([rule("/<name>", "any")])
        url_map.update()
        router, builder = Router(url_map), UrlBuilder(url_map)
        matched(router, "/a"), built(builder, "a")
        url_map.add(rule("/a", "a"))
        url_map.bind("localhost").match("/a")
        assert matched(router, "/a")[0] == "a"
        assert built(builder, "a") == "/a"

    def test_readers_of_one_map_share_its_version(self) -> None:
        url_map = Map([rule("/a")])
        first, second, builder = Router(url_map), Router(url_map), UrlBuilder(url_map)
        matched(first, "/a"), matched(second, "/a"), built(builder, "e")
        version = current_version(url_map)
        matched(first, "/a"), built(builder, "e"), matched(second, "/a")
        assert url_map._remap is version  # type: ignore[comparison-overlap]

    def test_a_version_looks_sorted_to_werkzeug(self) -> None:
        url_map = Map([rule("/a")])
        version = current_version(url_map)
        assert not version
        url_map.update()
        assert url_map._remap is version  # type: ignore[comparison-overlap]

    def test_a_rule_that_comes_while_the_version_is_made_is_not_lost(self) -> None:
        class Busy(Map):
            late: list[Rule]

            def update(self) -> None:
                super().update()
                if self.late:
                    self.add(self.late.pop())

        Busy.late = []
        url_map = Busy([rule("/<path:p>", "path")])
        Busy.late = [rule("/<int:n>", "int"), rule("/<s>", "text")]
        current_version(url_map)
        adapter = url_map.bind("localhost")
        assert [adapter.match(path)[0] for path in ("/1", "/a", "/a/b")] == ["int", "text", "path"]
        assert matched(Router(url_map), "/1")[0] == "int"

    def test_a_map_that_grows_while_werkzeug_sorts_it_is_sorted_again(self) -> None:
        class Growing(Map):
            faults = 0

            def update(self) -> None:
                if self.faults:
                    self.faults -= 1
                    raise RuntimeError("dictionary changed size during iteration")
                super().update()

        url_map = Growing([rule("/<path:p>", "path"), rule("/<int:n>", "int")])
        url_map.faults = 3
        assert matched(Router(url_map), "/1") == ("int", {"n": 1})

    def test_forget_makes_an_edit_of_a_bound_rule_known(self) -> None:
        url_map = Map([only := rule("/a", methods=["GET"])])
        router = Router(url_map)
        assert matched(router, "/a", "POST") is None
        assert only.methods is not None
        only.methods.add("POST")
        router.forget()
        assert matched(router, "/a", "POST") == ("e", {})

    def test_threads_that_match_while_rules_come_see_only_whole_answers(self) -> None:
        url_map = Map([rule("/<path:p>", "path")])
        router, builder = Router(url_map), UrlBuilder(url_map)
        wrong: list[Any] = []
        done = threading.Event()

        faults: list[Exception] = []

        def ask() -> None:
            try:
                keep_asking()
            except Exception as fault:
                faults.append(fault)

        def keep_asking() -> None:
            while not done.is_set():
                answer = matched(router, "/r5/7")
                if answer not in (None, ("path", {"p": "r5/7"}), ("r5", {"n": 7})):
                    wrong.append(answer)
                if built(builder, "path", p="x") != "/x":
                    wrong.append("address")

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=ask) for _ in range(3)]
        try:
            for thread in threads:
                thread.start()
            for number in range(60):
                url_map.add(rule(f"/r{number}/<int:n>", f"r{number}"))
        finally:
            done.set()
            for thread in threads:
                thread.join()
            sys.setswitchinterval(interval)
        assert not wrong
        assert not faults
        assert matched(router, "/r59/7") == ("r59", {"n": 7})


class TestBuilding:
    def test_values_fill_the_rule_and_the_others_become_the_query(self) -> None:
        builder = UrlBuilder(Map([rule("/u/<int:id>/<name>")]))
        assert built(builder, "e", id=7, name="x y") == "/u/7/x%20y"
        assert built(builder, "e", id="7", name="é", q="a b", n=2) == "/u/7/%C3%A9?q=a+b&n=2"

    def test_a_missing_value_is_left_to_werkzeugs_error(self) -> None:
        builder = UrlBuilder(Map([rule("/u/<int:id>")]))
        assert built(builder, "e") is None
        assert built(builder, "e", id=None) is None
        assert built(builder, "unknown") is None
        assert built(builder, "e", id="seven") is None

    def test_values_of_none_are_dropped(self) -> None:
        assert built(UrlBuilder(Map([rule("/a")])), "e", q=None, p=1) == "/a?p=1"

    def test_a_list_becomes_several_parameters(self) -> None:
        assert built(UrlBuilder(Map([rule("/a")])), "e", q=[1, "b"], p=1) == "/a?q=1&q=b&p=1"

    def test_a_sorting_map_sorts_the_query(self) -> None:
        builder = UrlBuilder(Map([rule("/a")], sort_parameters=True))
        assert built(builder, "e", b=1, a=2) == "/a?a=2&b=1"

    def test_a_path_never_begins_with_two_slashes(self) -> None:
        builder = UrlBuilder(Map([rule("/<path:p>")]))
        assert built(builder, "e", p="//evil.example/x") == "/evil.example/x"

    def test_line_breaks_and_backslashes_are_quoted(self) -> None:
        builder = UrlBuilder(Map([rule("/<p>")]))
        assert built(builder, "e", p="a\r\n\\\u2028") == "/a%0D%0A%5C%E2%80%A8"

    def test_defaults_choose_among_the_rules_of_an_endpoint(self) -> None:
        builder = UrlBuilder(Map([rule("/all/<int:page>"), rule("/all/", defaults={"page": 1})]))
        assert built(builder, "e", page=1) == "/all/"
        assert built(builder, "e", page=2) == "/all/2"
        assert built(builder, "e") == "/all/"

    def test_the_method_chooses_among_the_rules_of_an_endpoint(self) -> None:
        builder = UrlBuilder(Map([rule("/new", methods=["POST"]), rule("/list", methods=["GET"])]))
        assert built(builder, "e") == "/list"
        assert built(builder, "e", "POST") == "/new"
        assert builder.build("e", {}, None, "POST", "") == "/new"
        assert builder.build("e", {}, None, "PUT", "") == "/new"
        assert built(builder, "e", "PUT") is None

    def test_an_address_on_another_domain_is_left_to_werkzeug(self) -> None:
        builder = UrlBuilder(Map([Subdomain("api", [rule("/")])]))
        assert builder.build("e", {}, None, "GET", "") is None
        assert builder.build("e", {}, None, "GET", "api") == "/"

    def test_a_websocket_rule_is_left_to_werkzeug(self) -> None:
        assert built(UrlBuilder(Map([rule("/ws", websocket=True)])), "e") is None

    def test_a_rule_with_its_own_way_of_building_is_left_alone(self) -> None:
        class OwnRule(Rule):
            def suitable_for(self, values: Any, method: str | None = None) -> bool:
                return False

        assert built(UrlBuilder(Map([OwnRule("/a", endpoint="e")])), "e") is None

    def test_the_generated_code_can_be_read(self) -> None:
        builder = UrlBuilder(Map([rule("/u/<int:id>")]))
        (source,) = builder.source("e")
        assert source.startswith("def make(")
        compile(source, "source", "exec")

    def test_rules_of_one_shape_share_their_code(self) -> None:
        builder = UrlBuilder(Map([rule("/a/<int:x>", "a"), rule("/b/c/<int:y>", "b")]))
        assert builder.source("a") == builder.source("b")
        assert (built(builder, "a", x=1), built(builder, "b", y=2)) == ("/a/1", "/b/c/2")

    def test_remembered_texts_are_bounded_in_number_and_length(self) -> None:
        builder = UrlBuilder(Map([rule("/<p>")]))
        for number in range(3000):
            built(builder, "e", p=f"text-{number}")
        built(builder, "e", p="x" * 100_000)
        assert len(_path_text.known) <= 1024
        assert max(map(len, _path_text.known)) < 1000


def test_a_version_is_false_and_equal_to_itself_only() -> None:
    assert not Version()
    assert Version() != Version()


class TestGrowing:
    """A tree grows where paths lead: what was asked before must not change an answer."""

    RULES: ClassVar = [
        ("/", "home", {}),
        ("/<name>", "any", {}),
        ("/<name>/x", "any_x", {"methods": ["GET"]}),
        ("/me", "me", {}),
        ("/me/x", "me_x", {"methods": ["POST"]}),
        ("/me/<int:n>", "me_n", {}),
        ("/me/<int:n>/x", "me_n_x", {}),
        ("/me/7/x", "me_7_x", {}),
        ("/me/<path:rest>", "me_rest", {}),
        ("/loose", "loose", {"strict_slashes": False}),
        ("/loose/", "slashed", {"methods": ["GET"]}),
        ("/loose/x", "loose_x", {}),
        ("/maybe", "maybe", {"strict_slashes": False}),
        ("/maybe/<maybe:v>", "nothing", {}),
        ("/deep/a/b/c/<n>", "deep", {}),
        ("/deep/a/<n>/c/d", "deeper", {"methods": ["GET"]}),
        ("/deep/a/b", "b", {"methods": ["POST"]}),
        ("/two/<a>/x/<int:b>", "two", {}),
        ("/mixed/x<int:n>/y", "mixed", {}),
    ]
    PATHS = (
        "/",
        "/ann",
        "/me",
        "/me/7",
        "/me/7/x",
        "/me/8/x",
        "/me/x",
        "/ann/x",
        "/me/x/y",
        "/loose",
        "/loose/",
        "/loose/x",
        "/maybe",
        "/maybe/",
        "/maybe/v",
        "/deep/a/b/c/d",
        "/deep/a/e/c/d",
        "/deep/a/b",
        "/deep/a",
        "/two/1/x/2",
        "/mixed/x3/y",
        "//me",
        "me",
        "",
    )

    def map(self) -> Map:
        rules = [LazyRule(path, endpoint=name, **more) for path, name, more in self.RULES]
        return Map(rules, converters={"maybe": Maybe}, merge_slashes=False)

    @pytest.mark.parametrize("before", PATHS)
    def test_the_order_of_the_questions_does_not_matter(self, before: str) -> None:
        url_map = self.map()
        for path in self.PATHS:
            for method in ("GET", "POST", "PURGE"):
                router = Router(url_map)
                for asked in ("GET", "POST"):
                    router.match(asked, before)
                expected = None
                if path[:1] == "/" and path[:2] != "//":
                    with suppress(HTTPException, RequestRedirect):
                        expected = url_map.bind("localhost").match(path, method)
                assert matched(router, path, method) == expected
                assert matched(router, path, method) == expected

    def test_a_request_makes_only_the_nodes_on_its_way(self) -> None:
        url_map = Map([rule(f"/a{n}/<int:id>/b", f"a{n}") for n in range(100)])
        router = Router(url_map)
        assert matched(router, "/a7/1/b") == ("a7", {"id": 1})
        assert router._home is not None
        first = router._home.root.static[""]
        assert list(first.static) == ["a7"]
        assert first.bud is None

    def test_an_expression_that_cannot_be_compiled_is_left_to_werkzeug(self) -> None:
        url_map = Map(
            [rule("/a", strict_slashes=False), rule("/a/<bad:x>", "bad"), rule("/b", "b")],
            converters={"bad": Bad},
        )
        router = Router(url_map)
        for path in ("/a/", "/a/x", "/a/"):
            assert router.match("GET", path) is None
        assert matched(router, "/b") == ("b", {})

    def test_two_slashes_in_front_are_never_asked_for(self) -> None:
        url_map = Map([rule("/<slashed:x>")], converters={"slashed": Slashed})
        router = Router(url_map)
        assert matched(router, "/x") == ("e", {"x": "x"})
        for _ in range(2):
            assert router.match("GET", "//evil") is None


@pytest.mark.parametrize("kind", [Rule, LazyRule])
@pytest.mark.parametrize("append_unknown", [True, False])
def test_a_lazy_rule_builds_what_a_rule_builds_each_time(
    kind: type[Rule], append_unknown: bool
) -> None:
    bound = kind("/ä/<int:id>/<path:rest>", endpoint="e", subdomain="x")
    Map([bound])
    values = {"id": 3, "rest": "a b/c", "q": ["1", "ü"], "rule": "r"}
    query = "?q=1&q=%C3%BC&rule=r" if append_unknown else ""
    for _ in range(2):
        assert bound.build(values, append_unknown) == ("x", f"/%C3%A4/3/a%20b/c{query}")


@pytest.mark.parametrize("kind", [Rule, LazyRule])
def test_a_default_that_its_converter_refuses_fails_when_the_rule_is_bound(
    kind: type[Rule],
) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Map([kind("/<int:id>", endpoint="e", defaults={"id": "no"})])
