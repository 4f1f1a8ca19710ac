"""Templates: the environment, the loader, rendering and streaming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader, TemplateNotFound
from jinja2.runtime import missing

from carboy import (
    Blueprint,
    Carboy,
    before_render_template,
    g,
    render_template,
    render_template_string,
    request,
    session,
    stream_template,
    stream_template_string,
    template_rendered,
)
from carboy.templating import (
    DispatchingJinjaLoader,
    Environment,
    _Template,
    make_environment,
    select_autoescape,
)


@pytest.fixture
def app(tmp_path: Path) -> Carboy:
    (tmp_path / "templates").mkdir()
    app = Carboy("templating_app", root_path=str(tmp_path))
    app.secret_key = "key"
    return app


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(name: str, text: str) -> None:
        (tmp_path / "templates" / name).write_text(text)

    return write


ESCAPED = [None, *["a.html", "a.htm", "a.xml", "a.xhtml", "a.svg", "dir.txt/a.html"]]
ESCAPED_BEYOND = [
    "a.HTML",
    "A.Svg",
    "a.html.j2",
    "a.jinja",
    "a.jinja2",
    "a.j2",
    "a.v2.jinja",
    "x/a.HTML.J2",
]
UNESCAPED = [
    "a.txt",
    "a.js",
    "a.json",
    "a",
    "mail.txt.j2",
    "conf.yaml.jinja",
    "dir.html/readme",
    "html",
]


@pytest.mark.parametrize("name", ESCAPED)
def test_markup_is_escaped_as_in_flask(name: str | None) -> None:
    """HOSTILE-163."""
    assert select_autoescape(name) is True


@pytest.mark.parametrize("name", ESCAPED_BEYOND)
def test_markup_by_other_names_is_escaped_too(name: str) -> None:
    """HOSTILE-164."""
    assert select_autoescape(name) is True


@pytest.mark.parametrize("name", UNESCAPED)
def test_plain_text_is_not_escaped(name: str) -> None:
    assert select_autoescape(name) is False


def test_break_and_continue_work_in_loops(app: Carboy) -> None:
    """D-33."""
    source = "{% for n in range(9) %}{% if n == 1 %}{% continue %}{% endif %}{{ n }}"
    source += "{% if n == 3 %}{% break %}{% endif %}{% endfor %}"
    with app.app_context():
        assert render_template_string(source) == "023"


def test_options_of_the_application_reach_jinja(app: Carboy) -> None:
    app.jinja_options = {"extensions": ["jinja2.ext.do"], "line_statement_prefix": "%"}
    environment = make_environment(app)
    assert isinstance(environment, Environment)
    assert environment.app is app
    assert environment.line_statement_prefix == "%"
    assert len(environment.extensions) == 2
    assert app.jinja_options["extensions"] == ["jinja2.ext.do"]


@pytest.mark.parametrize(
    ("setting", "debug", "expected"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
def test_templates_auto_reload_follows_debug_unless_set(
    app: Carboy, setting: bool | None, debug: bool, expected: bool
) -> None:
    app.config.update(TEMPLATES_AUTO_RELOAD=setting, DEBUG=debug)
    assert make_environment(app).auto_reload is expected


def test_tojson_goes_through_the_provider(app: Carboy) -> None:
    app.json.sort_keys = False  # type: ignore[attr-defined]
    with app.app_context():
        text = render_template_string("{{ {'b': '</script>', 'a': app}|tojson }}", app=1)
    assert text == '{"a": 1, "b": "\\u003c/script\\u003e"}'


def test_the_application_s_folder_comes_before_the_blueprints(app: Carboy, write: Any) -> None:
    write("both.html", "app")
    bp = Blueprint("bp", "bp", root_path="/nowhere")
    bp.jinja_loader = DictLoader({"both.html": "bp", "one.html": "bp"})  # type: ignore[assignment]
    app.register_blueprint(bp)
    with app.app_context():
        assert render_template("both.html") == "app"
        assert render_template("one.html") == "bp"
        assert render_template(["none.html", "one.html"]) == "bp"
        with pytest.raises(TemplateNotFound):
            render_template("none.html")
    assert sorted(DispatchingJinjaLoader(app).list_templates()) == ["both.html", "one.html"]


def test_an_overridden_loader_is_used(tmp_path: Path) -> None:
    class Mine(Carboy):
        def create_global_jinja_loader(self) -> Any:
            return DictLoader({"a.html": "mine"})

    app = Mine("mine", root_path=str(tmp_path))
    with app.app_context():
        assert render_template("a.html") == "mine"


def test_templates_see_the_context_and_the_caller_s_values_win(app: Carboy, write: Any) -> None:
    app.context_processor(lambda: {"a": "processor", "b": "processor"})
    write("page.html", "{{ a }} {{ b }} {{ g.name }} {{ request.path }} {{ session.user }}")
    with app.test_request_context("/path"):
        g.name = "g"
        session["user"] = "ada"
        assert render_template("page.html", a="caller") == "caller processor g /path ada"


def test_a_template_that_looks_at_the_session_makes_the_response_vary(
    app: Carboy, write: Any
) -> None:
    write("plain.html", "{{ request.path }}")
    write("session.html", "{{ session.user }}")

    @app.get("/<name>")
    def page(name: str) -> str:
        return render_template(name)

    client = app.test_client()
    assert "Vary" not in client.get("/plain.html").headers
    assert client.get("/session.html").headers["Vary"] == "Cookie"


def test_signals_carry_template_and_context(app: Carboy) -> None:
    heard: list[Any] = []

    def before(sender: Any, template: Any, context: Any, **_: Any) -> None:
        heard.append("before")
        context["late"] = "late"

    def after(sender: Any, template: Any, context: Any, **_: Any) -> None:
        heard.append((sender, template.name, context["a"]))

    with (
        before_render_template.connected_to(before, app),
        template_rendered.connected_to(after, app),
        app.app_context(),
    ):
        assert render_template_string("{{ late }}", a=1) == "late"
        assert heard == ["before", (app, None, 1)]
        parts = stream_template_string("{{ a }}", a=2)
        assert heard[2:] == ["before"]
        assert "".join(parts) == "2"
        assert heard[3:] == [(app, None, 2)]


def test_a_streamed_template_keeps_the_request_and_tears_down_after_it(
    app: Carboy, write: Any
) -> None:
    seen: list[Any] = []
    app.teardown_request(seen.append)
    write("rows.html", "{% for n in rows %}{{ n }}{{ request.args.x }}{% endfor %}")

    @app.get("/")
    def page() -> Any:
        def rows() -> Iterator[str]:
            yield "a"
            assert seen == []
            yield request.args["x"]

        return stream_template("rows.html", rows=rows())

    response = app.test_client().get("/?x=1", buffered=False)
    assert seen == []
    assert b"".join(response.response) == b"a111"
    response.close()
    assert seen == [None]


def test_streaming_works_in_a_bare_application_context(app: Carboy) -> None:
    with app.app_context():
        assert "".join(stream_template_string("{{ a }}", a="<")) == "&lt;"


def test_rendering_needs_an_application() -> None:
    with pytest.raises(RuntimeError, match="outside of application context"):
        render_template_string("")


# -- the short ways -----------------------------------------------------------------------------

TEMPLATES = {
    "base.html": "<{{ site }}>{% block body %}{{ x }}{% endblock %}{{ self.body() }}",
    "child.html": "{% extends 'base.html' %}{% set y = 3 %}{% block body %}{{ super() }}"
    "{% for n in rows %}{% include 'part.html' %}{% endfor %}{{ y }}{% endblock %}",
    "part.html": "[{{ n }}{{ x }}{{ site }}]",
    "macros.html": "{% macro m(a) %}{{ a }}{{ site }}{{ x }}{% endmacro %}{% set z = site %}",
    "imports.html": "{% import 'macros.html' as m %}{{ m.m('<') }}{{ m.z }}"
    "{% from 'macros.html' import m as n with context %}{{ n(1) }}{{ range(2)|list }}",
    "unset.html": "{{ x is defined }}{{ site is defined }}{{ nothing is defined }}",
}
NAMES = ("x", "rows", "site", "n", "range")


def environments(site: Any) -> tuple[jinja2.Environment, jinja2.Environment]:
    """Jinja's templates, and those of Carboy, in environments that are otherwise the same."""
    pair = (jinja2.Environment(), jinja2.Environment())
    for environment in pair:
        environment.loader = jinja2.DictLoader(TEMPLATES)
        environment.globals["site"] = site
    pair[1].template_class = _Template
    return pair


@given(
    values=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["<v>", [1, 2], None])),
    own=st.none() | st.dictionaries(st.sampled_from(NAMES), st.just("own")),
    later=st.none() | st.dictionaries(st.sampled_from(NAMES), st.just("later")),
)
def test_a_template_renders_what_jinjas_does(
    values: dict[str, Any], own: dict[str, Any] | None, later: dict[str, Any] | None
) -> None:
    """Inherited, included, imported; with globals of its own, and some that come later."""
    for name in TEMPLATES:
        seen = []
        for environment in environments("S"):
            template = environment.get_template(name, globals=own)
            environment.globals["n"] = "late"
            if later is not None:
                template.globals.update(later)
            assert repr(template) == f"<Template {name!r}>"
            for arguments in ({}, {"shared": True}, {"locals": {"x": "l", "n": missing}}):
                context = template.new_context(values, **arguments)  # type: ignore[arg-type]
                parts = [*context.parent.items()] if name == "unset.html" else [*context.parent]
                seen.append((parts, context.globals_keys, [*context.blocks], context.name))
            try:
                seen.append(template.render(values))
                seen.append(sorted(template.make_module(values).__dict__))
            except (TypeError, jinja2.UndefinedError) as error:
                seen.append(str(error))
            with pytest.raises(TypeError):
                template.render({1: 2})
        half = len(seen) // 2
        assert seen[:half] == seen[half:]


def test_context_processors_of_all_and_of_blueprints_and_what_is_given_go_in_order() -> None:
    app = Carboy("ordered", static_folder=None)
    outer, inner = Blueprint("outer", "ordered"), Blueprint("inner", "ordered")
    source = "{{ a }} {{ b }} {{ c }} {{ request.path }}"
    app.context_processor(lambda: {"a": "app", "b": "app", "c": "app"})
    outer.context_processor(lambda: {"b": "outer", "c": "outer"})

    @inner.context_processor
    async def of_inner() -> dict[str, str]:
        return {"c": "inner", "request": "mine"}

    for owner, path in ((app, "/app"), (outer, "/outer"), (inner, "/inner")):
        owner.add_url_rule(path, "v", lambda: render_template_string(source))
    app.add_url_rule("/given", "g", lambda: render_template_string(source, a=1, request=g))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    texts = [app.test_client().get(f"/{name}").text for name in ("app", "outer", "inner", "given")]
    assert texts == ["app app app /app", "app outer outer /outer", "app outer inner ", "1 app app "]


def test_processors_are_found_in_a_table_that_was_replaced() -> None:
    app = Carboy("replaced", static_folder=None)
    part = Blueprint("part", "replaced")
    part.add_url_rule("/", "v", lambda: render_template_string("{{ a }}"))
    app.register_blueprint(part)
    app.template_context_processors = {"part": [lambda: {"a": "part"}]}  # type: ignore[assignment]
    assert app.test_client().get("/").text == "part"
    app.template_context_processors = {None: [lambda: {"a": "all"}]}  # type: ignore[assignment]
    assert app.test_client().get("/").text == "all"


def test_an_application_that_replaces_the_ways_of_templates_is_asked() -> None:
    class Own(Carboy):
        def update_template_context(self, context: dict[str, Any]) -> None:
            super().update_template_context(context)
            context["a"] = "own"

        def select_jinja_autoescape(self, filename: str | None) -> bool:
            return False

    app = Own("own", static_folder=None)
    with app.app_context():
        assert render_template_string("{{ a }}{{ b }}", a=1, b="<") == "own<"
