"""Class-based views."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from carboy import Blueprint, Carboy, render_template_string, request, url_for
from carboy.views import MethodView, View


class Index(View):
    def dispatch_request(self, **values: Any) -> Any:
        return f"{request.method} {type(self).__name__} {values}"


def test_view_class_answers(app: Carboy) -> None:
    """VIEW-01: as_view(name) makes a view function of a class with dispatch_request."""
    app.add_url_rule("/", view_func=Index.as_view("index"))
    app.add_url_rule("/<int:n>", view_func=Index.as_view("number"))
    client = app.test_client()
    assert client.get("/").text == "GET Index {}"
    assert client.get("/7").text == "GET Index {'n': 7}"
    assert client.post("/").status_code == 405
    with app.test_request_context():
        assert url_for("number", n=7) == "/7"


def test_view_function_knows_its_class() -> None:
    """VIEW-01: the function carries name, docstring, module, class, methods of its class."""

    class Documented(View):
        """Says what it shows."""

        methods = ["GET", "POST"]

        def dispatch_request(self) -> str:
            return ""

    view = Documented.as_view("shown")
    assert view.__name__ == "shown"
    assert view.__doc__ == "Says what it shows."
    assert view.__module__ == __name__
    assert view.view_class is Documented
    assert list(view.methods) == ["GET", "POST"]


def test_dispatch_request_must_be_written(app: Carboy) -> None:
    """VIEW-01: a View without dispatch_request raises NotImplementedError."""
    app.testing = True
    app.add_url_rule("/", view_func=View.as_view("empty"))
    with pytest.raises(NotImplementedError):
        app.test_client().get("/")


class Crud(MethodView):
    def get(self, key: int | None = None) -> str:
        return f"get {key}"

    def post(self) -> tuple[str, int]:
        return "made", 201

    def put(self, key: int) -> str:
        return f"put {key}"

    def patch(self, key: int) -> str:
        return f"patch {key}"

    def delete(self, key: int) -> tuple[str, int]:
        return "", 204


@pytest.fixture
def crud(app: Carboy) -> Carboy:
    view = Crud.as_view("users")
    app.add_url_rule("/users", defaults={"key": None}, view_func=view, methods=["GET"])
    app.add_url_rule("/users", view_func=view, methods=["POST"])
    app.add_url_rule("/users/<int:key>", view_func=view, methods=["GET", "PUT", "PATCH", "DELETE"])
    return app


def test_method_view_chooses_by_verb(crud: Carboy) -> None:
    """VIEW-02, VIEW-03: each verb has its method; one view serves rules with other methods."""
    client = crud.test_client()
    assert client.get("/users").text == "get None"
    assert client.post("/users").status_code == 201
    assert client.get("/users/3").text == "get 3"
    assert client.put("/users/3").text == "put 3"
    assert client.patch("/users/3").text == "patch 3"
    assert client.delete("/users/3").status_code == 204


def test_other_verbs_are_405(crud: Carboy) -> None:
    """VIEW-02, VIEW-03: a verb without a method, or not listed for the rule, is 405 with Allow."""
    client = crud.test_client()
    response = client.delete("/users")
    assert response.status_code == 405
    assert set(response.allow) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert client.post("/users/3").status_code == 405
    assert client.open("/users", method="TRACE").status_code == 405


def test_methods_are_collected_from_the_class() -> None:
    """VIEW-02: the methods of a MethodView are those it defines, its bases' too."""

    class Base(MethodView):
        def get(self) -> str:
            return "base"

    class Child(Base):
        def propfind(self) -> str:
            return "child"

        def post(self) -> str:
            return "post"

    assert Child.methods == {"GET", "POST"}
    assert Crud.methods == {"GET", "POST", "PUT", "PATCH", "DELETE"}
    assert MethodView.methods is None


def test_explicit_methods_win(app: Carboy) -> None:
    """VIEW-02: methods given on the class replace the collected ones."""

    class Fixed(MethodView):
        methods = ["GET", "PROPFIND"]

        def get(self) -> str:
            return "get"

        def propfind(self) -> str:
            return "found"

        def post(self) -> str:
            return "never"

    app.add_url_rule("/", view_func=Fixed.as_view("fixed"))
    client = app.test_client()
    assert client.open("/", method="PROPFIND").text == "found"
    assert client.post("/").status_code == 405


def test_options_and_head_come_by_themselves(crud: Carboy) -> None:
    """VIEW-04: OPTIONS lists the verbs; HEAD is answered by get, without a body."""
    client = crud.test_client()
    response = client.options("/users/3")
    assert response.status_code == 200
    assert set(response.allow) == {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}
    head = client.head("/users/3")
    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Length"] == str(len("get 3"))


def test_own_head_method_wins(app: Carboy) -> None:
    """VIEW-04: a class may answer HEAD itself."""

    class Both(MethodView):
        def get(self) -> str:
            return "get"

        def head(self) -> tuple[str, int, dict[str, str]]:
            return "", 200, {"X-By": "head"}

    app.add_url_rule("/", view_func=Both.as_view("both"))
    assert app.test_client().head("/").headers["X-By"] == "head"


def test_automatic_options_can_be_turned_off(app: Carboy) -> None:
    """VIEW-04: provide_automatic_options = False leaves OPTIONS to the class."""

    class Without(View):
        methods = ["GET"]
        provide_automatic_options = False

        def dispatch_request(self) -> str:
            return "x"

    class Own(View):
        methods = ["GET", "OPTIONS"]
        provide_automatic_options = False

        def dispatch_request(self) -> str:
            return f"own {request.method}"

    app.add_url_rule("/without", view_func=Without.as_view("without"))
    app.add_url_rule("/own", view_func=Own.as_view("own"))
    client = app.test_client()
    assert client.options("/without").status_code == 405
    assert client.options("/own").text == "own OPTIONS"


def add_header(name: str) -> Callable[..., Any]:
    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return f"{name}({view(*args, **kwargs)})"

        return wrapper

    return decorate


def test_decorators_wrap_the_view_in_order(app: Carboy) -> None:
    """VIEW-05: decorators = [a, b] apply a first, so b is outermost."""

    class Decorated(View):
        decorators = [add_header("a"), add_header("b")]

        def dispatch_request(self) -> str:
            return "x"

    view = Decorated.as_view("decorated")
    assert view.__name__ == "decorated"
    assert view.__module__ == __name__
    app.add_url_rule("/", view_func=view)
    assert app.test_client().get("/").text == "b(a(x))"


def test_arguments_of_as_view_reach_the_constructor(app: Carboy) -> None:
    """VIEW-06: one generic class serves many models by as_view(name, **kwargs)."""

    class ListView(View):
        def __init__(self, model: list[str], template: str) -> None:
            self.model = model
            self.template = template

        def dispatch_request(self) -> str:
            return render_template_string(self.template, items=self.model)

    app.add_url_rule(
        "/a", view_func=ListView.as_view("a", ["x", "y"], template="A {{ items|join }}")
    )
    app.add_url_rule("/b", view_func=ListView.as_view("b", ["z"], template="B {{ items|join }}"))
    client = app.test_client()
    assert client.get("/a").text == "A xy"
    assert client.get("/b").text == "B z"


def test_inheritance_from_a_base_resource(app: Carboy) -> None:
    """VIEW-07: a base class's verbs and decorators are inherited and can be overridden."""

    class Base(MethodView):
        decorators = [add_header("checked")]

        def get(self) -> str:
            return f"list of {self.name}"

        def delete(self) -> str:
            return "gone"

    class Posts(Base):
        name = "posts"

        def delete(self) -> str:
            return "kept"

    app.add_url_rule("/posts", view_func=Posts.as_view("posts"))
    client = app.test_client()
    assert client.get("/posts").text == "checked(list of posts)"
    assert client.delete("/posts").text == "checked(kept)"


def test_methods_attribute(app: Carboy) -> None:
    """VIEW-08: methods on a View names the verbs; add_url_rule's methods= wins."""

    class Form(View):
        methods = ["GET", "POST"]

        def dispatch_request(self) -> str:
            return request.method

    app.add_url_rule("/form", view_func=Form.as_view("form"))
    app.add_url_rule("/put", view_func=Form.as_view("put"), methods=["PUT"])
    client = app.test_client()
    assert client.post("/form").text == "POST"
    assert client.put("/form").status_code == 405
    assert client.put("/put").text == "PUT"
    assert client.get("/put").status_code == 405


@pytest.mark.parametrize(("every", "made"), [(True, [1, 1]), (False, [1, 2])])
def test_init_every_request(app: Carboy, every: bool, made: list[int]) -> None:
    """VIEW-08: init_every_request = False keeps one instance for all requests."""

    class Counting(View):
        init_every_request = every

        def __init__(self) -> None:
            self.count = 0

        def dispatch_request(self) -> str:
            self.count += 1
            return str(self.count)

    app.add_url_rule("/", view_func=Counting.as_view("counting"))
    client = app.test_client()
    assert [int(client.get("/").text) for _ in range(2)] == made


def test_class_views_on_blueprints(app: Carboy) -> None:
    """VIEW-09: bp.add_url_rule takes class views like functions."""
    bp = Blueprint("api", __name__, url_prefix="/api")
    bp.add_url_rule("/users/<int:key>", view_func=Crud.as_view("users"))
    app.register_blueprint(bp)
    client = app.test_client()
    assert client.get("/api/users/3").text == "get 3"
    with app.test_request_context():
        assert url_for("api.users", key=3) == "/api/users/3"
