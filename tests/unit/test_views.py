"""Views as classes."""

from __future__ import annotations

from typing import Any

import pytest

from carboy import Carboy, request
from carboy.views import MethodView, View, http_method_funcs


@pytest.fixture
def app() -> Carboy:
    return Carboy("views_app")


def add(app: Carboy, cls: Any, *args: Any, **kwargs: Any) -> Any:
    view = cls.as_view("view", *args, **kwargs)
    app.add_url_rule("/", view_func=view)
    return view


def test_each_request_gets_an_instance_with_the_arguments(app: Carboy) -> None:
    class Counter(View):
        def __init__(self, start: int, step: int = 1) -> None:
            self.value, self.step = start, step

        def dispatch_request(self) -> str:
            self.value += self.step
            return str(self.value)

    add(app, Counter, 1, step=2)
    client = app.test_client()
    assert [client.get("/").text for _ in range(2)] == ["3", "3"]


def test_one_instance_serves_all_requests_when_asked(app: Carboy) -> None:
    class Counter(View):
        init_every_request = False
        value = 0

        def dispatch_request(self) -> str:
            self.value += 1
            return str(self.value)

    add(app, Counter)
    client = app.test_client()
    assert [client.get("/").text for _ in range(2)] == ["1", "2"]


def test_the_view_function_is_described_by_the_class() -> None:
    class Page(View):
        """A page."""

        methods = ["PUT"]
        provide_automatic_options = False

    view: Any = Page.as_view("page")
    assert (view.__name__, view.__doc__, view.__module__) == ("page", "A page.", __name__)
    assert (view.view_class, view.methods, view.provide_automatic_options) == (Page, ["PUT"], False)


def test_decorators_wrap_in_order_and_see_the_name(app: Carboy) -> None:
    seen = []

    def mark(letter: str) -> Any:
        def decorate(function: Any) -> Any:
            seen.append((function.__name__, function.__module__))
            return lambda **values: letter + function(**values)

        return decorate

    class Page(View):
        decorators = [mark("a"), mark("b")]

        def dispatch_request(self) -> str:
            return "page"

    view = add(app, Page)
    assert app.test_client().get("/").text == "bapage"
    assert seen == [("view", __name__)] * 2
    assert view.view_class is Page and view.__name__ == "view"


@pytest.mark.parametrize("decorators", [[], [lambda function: lambda **values: function(**values)]])
def test_replacing_view_class_changes_what_is_made(app: Carboy, decorators: list[Any]) -> None:
    class Page(View):
        def dispatch_request(self) -> str:
            return "page"

    Page.decorators = decorators

    class Other(View):
        def dispatch_request(self) -> str:
            return "other"

    add(app, Page).view_class = Other
    assert app.test_client().get("/").text == "other"


def test_a_view_without_a_body_says_so(app: Carboy) -> None:
    class Empty(View):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty.*dispatch_request"):
        Empty().dispatch_request()


def test_methods_are_collected_from_the_class_and_its_bases() -> None:
    class Reads(MethodView):
        def get(self) -> str:
            return "get"

    class Writes(MethodView):
        methods = {"LINK"}

        def post(self) -> str:
            return "post"

    class Both(Reads, Writes):
        def delete(self) -> str:
            return "delete"

    class Nothing(MethodView):
        pass

    assert Reads.methods == {"GET"}
    assert Writes.methods == {"LINK"}
    assert Both.methods == {"GET", "POST", "LINK", "DELETE"}
    assert Nothing.methods is None


def test_head_is_answered_by_get_unless_there_is_a_head(app: Carboy) -> None:
    class Page(MethodView):
        def get(self) -> Any:
            return "", {"X-By": f"get {request.method}"}

    class Own(Page):
        def head(self) -> Any:
            return "", {"X-By": "head"}

    add(app, Page)
    app.add_url_rule("/own", view_func=Own.as_view("own"))
    client = app.test_client()
    assert client.head("/").headers["X-By"] == "get HEAD"
    assert client.head("/own").headers["X-By"] == "head"


@pytest.mark.parametrize("method", ["DISPATCH_REQUEST", "__INIT__", "HELPER", "AS_VIEW", "METHODS"])
def test_no_request_reaches_an_attribute_by_its_name(app: Carboy, method: str) -> None:
    """HOSTILE-20."""

    class Page(MethodView):
        def get(self) -> str:
            return "get"

        def helper(self) -> str:
            raise AssertionError("reached")

    add(app, Page)
    assert app.test_client().open("/", method=method).status_code == 405
    with app.test_request_context(method=method), pytest.raises(AssertionError, match=method):
        Page().dispatch_request()


def test_a_declared_method_of_an_extension_is_served(app: Carboy) -> None:
    class Folder(MethodView):
        methods = ["PROPFIND", "AS_VIEW"]

        def propfind(self) -> str:
            return "properties"

    add(app, Folder)
    assert app.test_client().open("/", method="PROPFIND").text == "properties"
    with app.test_request_context(method="AS_VIEW"), pytest.raises(AssertionError):
        Folder().dispatch_request()


def test_async_methods_are_awaited(app: Carboy) -> None:
    class Page(MethodView):
        async def get(self) -> str:
            return "async"

        def post(self) -> str:
            return "sync"

    add(app, Page)
    client = app.test_client()
    assert (client.get("/").text, client.post("/").text) == ("async", "sync")


def test_the_standard_methods_are_these_eight() -> None:
    assert sorted(http_method_funcs) == [
        "delete",
        "get",
        "head",
        "options",
        "patch",
        "post",
        "put",
        "trace",
    ]
