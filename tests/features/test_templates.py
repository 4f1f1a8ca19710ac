"""Templates: rendering, the names every template has, escaping, filters, folders."""

from __future__ import annotations

import collections
import pathlib
from typing import Any

import jinja2
import pytest
from markupsafe import Markup

from carboy import (
    Blueprint,
    Carboy,
    current_app,
    g,
    get_template_attribute,
    render_template,
    render_template_string,
    session,
    stream_template,
    stream_template_string,
)
from carboy.templating import Environment

Templates = dict[str, str]


def make_app(tmp_path: pathlib.Path, templates: Templates | None = None, **options: Any) -> Carboy:
    app = Carboy("templates_app", root_path=str(tmp_path), **options)
    app.secret_key = "test key"
    write(tmp_path / "templates", templates or {})
    return app


def write(folder: pathlib.Path, templates: Templates) -> None:
    for name, text in templates.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def app(tmp_path: pathlib.Path) -> Carboy:
    return make_app(tmp_path)


def render(app: Carboy, source: str, **values: Any) -> str:
    with app.test_request_context("/page?q=1"):
        return render_template_string(source, **values)


# Rendering


def test_render_template_finds_files_and_subfolders(tmp_path: pathlib.Path) -> None:
    """TMPL-01: templates come from templates/, in subfolders by a path with slashes."""
    app = make_app(tmp_path, {"a.html": "A {{ x }}", "sub/b.html": "B {{ x }}"})

    @app.get("/<path:name>")
    def show(name: str) -> str:
        return render_template(name, x=7)

    client = app.test_client()
    assert client.get("/a.html").text == "A 7"
    assert client.get("/sub/b.html").text == "B 7"


def test_render_template_keeps_unicode(tmp_path: pathlib.Path) -> None:
    """TMPL-01: template files are UTF-8."""
    app = make_app(tmp_path, {"u.html": "Grüße {{ name }}"})
    with app.app_context():
        assert render_template("u.html", name="東京") == "Grüße 東京"


def test_missing_template_is_template_not_found(tmp_path: pathlib.Path) -> None:
    """TMPL-02: a missing name, or one in the wrong case, raises TemplateNotFound."""
    app = make_app(tmp_path, {"index.html": "x"})
    with app.app_context():
        with pytest.raises(jinja2.TemplateNotFound) as caught:
            render_template("missing.html")
        assert caught.value.name == "missing.html"
        with pytest.raises(jinja2.TemplateNotFound):
            render_template("Index.html")


def test_list_of_names_renders_the_first_that_exists(tmp_path: pathlib.Path) -> None:
    """TMPL-03: a list of names gives the first one found; none is TemplatesNotFound."""
    app = make_app(tmp_path, {"found.html": "found", "later.html": "later"})
    with app.app_context():
        assert render_template(["missing.html", "found.html", "later.html"]) == "found"
        with pytest.raises(jinja2.TemplatesNotFound):
            render_template(["no.html", "neither.html"])


def test_render_template_accepts_a_template_object(app: Carboy) -> None:
    """TMPL-03: a compiled template may be given in place of a name."""
    with app.app_context():
        template = app.jinja_env.from_string("{{ x }}")
        assert render_template(template, x=1) == "1"


def test_render_template_string_escapes(app: Carboy) -> None:
    """TMPL-03: render_template_string renders a source, with autoescaping."""
    assert render(app, "<p>{{ x }}</p>", x="<b>") == "<p>&lt;b&gt;</p>"


def test_get_template_attribute_gives_macros_and_variables(tmp_path: pathlib.Path) -> None:
    """TMPL-03: get_template_attribute exports a template's macro or variable."""
    app = make_app(
        tmp_path, {"_m.html": "{% macro hello(n) %}Hello {{ n }}!{% endmacro %}{% set v = 42 %}"}
    )
    with app.app_context():
        assert get_template_attribute("_m.html", "hello")("World") == "Hello World!"
        assert get_template_attribute("_m.html", "v") == 42
        with pytest.raises(AttributeError):
            get_template_attribute("_m.html", "nothing")


def test_streamed_templates_come_in_pieces_with_the_context(tmp_path: pathlib.Path) -> None:
    """TMPL-03: stream_template and stream_template_string yield the rendered text."""
    app = make_app(
        tmp_path, {"s.html": "{{ request.path }} {{ x }} {% for i in n %}{{i}}{% endfor %}"}
    )

    @app.get("/file")
    def file() -> Any:
        return stream_template("s.html", x="<", n=range(3))

    @app.get("/string")
    def string() -> Any:
        return stream_template_string("{{ session.get('a') }} {{ x }}", x="<")

    client = app.test_client()
    assert client.get("/file").text == "/file &lt; 012"
    assert client.get("/string").text == "None &lt;"


def test_templates_are_not_served_as_files(tmp_path: pathlib.Path) -> None:
    """TMPL-04: no URL reaches the template folder."""
    app = make_app(tmp_path, {"secret.html": "secret source"})
    (tmp_path / "static").mkdir()
    client = app.test_client()
    for path in (
        "/templates/secret.html",
        "/secret.html",
        "/static/../templates/secret.html",
        "/static/%2e%2e/templates/secret.html",
    ):
        assert client.get(path).status_code == 404


def test_rendering_outside_a_context_is_an_error() -> None:
    """TMPL-05: render_template needs an application context and says so."""
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        render_template("x.html")
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        render_template_string("x")


# The language


@pytest.mark.parametrize(
    ("ids", "source", "values", "wanted"),
    [
        ("TMPL-06 expression", "{{ 1 + 1 }}", {}, "2"),
        ("TMPL-06 statement", "{% if x %}y{% endif %}", {"x": 1}, "y"),
        ("TMPL-06 comment", "a{# {{ hidden }} #}b", {}, "ab"),
        ("TMPL-06 trim", "a  {%- if true -%}  b  {%- endif %}", {}, "ab"),
        ("TMPL-06 raw", "{% raw %}{{ x }}{% endraw %}", {}, "{{ x }}"),
        ("TMPL-07 undefined", "[{{ missing }}]", {}, "[]"),
        ("TMPL-07 undefined key", "[{{ d.missing }}]", {"d": {}}, "[]"),
        ("TMPL-08 dot", "{{ d.a }}", {"d": {"a": 1}}, "1"),
        ("TMPL-08 bracket", "{{ d['a b'] }}", {"d": {"a b": 1}}, "1"),
        ("TMPL-08 index", "{{ l[0] }}{{ l[-1] }}", {"l": [1, 2, 3]}, "13"),
        ("TMPL-08 call", "{{ s.upper() }}", {"s": "abc"}, "ABC"),
        ("TMPL-08 maths", "{{ 7 // 2 }} {{ 7 % 2 }} {{ 2 ** 3 }} {{ 'a' ~ 1 }}", {}, "3 1 8 a1"),
        ("TMPL-10 set", "{% set x = 5 %}{{ x }}", {}, "5"),
        ("TMPL-10 set block", "{% set x %}<b>{% endset %}{{ x }}", {}, "<b>"),
        ("TMPL-10 with", "{% with x = 1 %}{{ x }}{% endwith %}[{{ x }}]", {}, "1[]"),
        (
            "TMPL-10 loop scope",
            "{% set n = 0 %}{% for i in [1, 2] %}{% set n = n + i %}{% endfor %}{{ n }}",
            {},
            "0",
        ),
        (
            "TMPL-10 namespace",
            "{% set s = namespace(n=0) %}{% for i in [1, 2] %}{% set s.n = s.n + i %}"
            "{% endfor %}{{ s.n }}",
            {},
            "3",
        ),
        (
            "TMPL-11 if",
            "{% if x > 2 %}big{% elif x == 2 %}two{% else %}small{% endif %}",
            {"x": 2},
            "two",
        ),
        ("TMPL-11 inline", "{{ 'yes' if x else 'no' }}", {"x": 0}, "no"),
        (
            "TMPL-11 tests",
            "{{ x is defined }} {{ y is defined }} {{ 3 is odd }}",
            {"x": 1},
            "True False True",
        ),
        ("TMPL-12 else", "{% for i in [] %}{{ i }}{% else %}none{% endfor %}", {}, "none"),
        (
            "TMPL-12 undefined",
            "{% for i in missing %}{{ i }}{% else %}none{% endfor %}",
            {},
            "none",
        ),
        (
            "TMPL-13 loop",
            "{% for i in 'abc' %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}"
            "{{ loop.length }}{{ loop.cycle('x', 'y') }} {% endfor %}",
            {},
            "10TrueFalse3x 21FalseFalse3y 32FalseTrue3x ",
        ),
        (
            "TMPL-14 dictsort",
            "{% for k, v in d|dictsort %}{{ k }}{{ v }}{% endfor %}",
            {"d": {"b": 1, "a": 2}},
            "a2b1",
        ),
        (
            "TMPL-14 batch",
            "{% for r in range(5)|batch(2) %}{{ r }}{% endfor %}",
            {},
            "[0, 1][2, 3][4]",
        ),
        ("TMPL-14 reverse", "{{ [1, 2, 3]|reverse|join }}", {}, "321"),
        ("TMPL-14 filter", "{% for i in range(6) if i is even %}{{ i }}{% endfor %}", {}, "024"),
        ("TMPL-16 upper", "{{ 'ab'|upper }}{{ 'AB'|lower }}", {}, "ABab"),
        ("TMPL-16 title", "{{ 'ab cd'|title }} {{ 'ab cd'|capitalize }}", {}, "Ab Cd Ab cd"),
        ("TMPL-16 default", "{{ x|default('d') }} {{ ''|default('e', true) }}", {}, "d e"),
        ("TMPL-16 truncate", "{{ 'one two three'|truncate(9, leeway=0) }}", {}, "one..."),
        ("TMPL-16 replace", "{{ 'aXb'|replace('X', '-') }}", {}, "a-b"),
        ("TMPL-16 safe", "{{ x|safe }}", {"x": "<b>"}, "<b>"),
        ("TMPL-16 length", "{{ [1, 2]|length }}{{ 'abc'|count }}", {}, "23"),
        ("TMPL-16 first last", "{{ [1, 2]|first }}{{ [1, 2]|last }}", {}, "12"),
        ("TMPL-16 join", "{{ [1, 2]|join(', ') }}", {}, "1, 2"),
        ("TMPL-16 round", "{{ 2.567|round(2) }} {{ 2.5|int }}", {}, "2.57 2"),
        ("TMPL-16 int", "{{ 'x'|int }}{{ 'x'|int(7) }}", {}, "07"),
        ("TMPL-16 format", "{{ '%.2f'|format(3.14159) }}", {}, "3.14"),
        ("TMPL-16 trim", "[{{ '  x '|trim }}]", {}, "[x]"),
        ("TMPL-16 striptags", "{{ '<p>Hi <b>you</b></p>'|striptags }}", {}, "Hi you"),
        ("TMPL-16 sort", "{{ [3, 1, 2]|sort|join }}", {}, "123"),
    ],
)
def test_the_template_language(
    app: Carboy, ids: str, source: str, values: dict[str, Any], wanted: str
) -> None:
    """TMPL-06, TMPL-07, TMPL-08, TMPL-10, TMPL-11, TMPL-12, TMPL-13, TMPL-14, TMPL-16: as Jinja."""
    assert render(app, source, **values) == wanted


def test_attribute_of_undefined_raises(app: Carboy) -> None:
    """TMPL-07: looking into an undefined value is an UndefinedError."""
    with pytest.raises(jinja2.UndefinedError, match="'missing' is undefined"):
        render(app, "{{ missing.name }}")


def test_strict_undefined_can_be_chosen(app: Carboy) -> None:
    """TMPL-07: jinja_options choose another undefined class."""
    app.jinja_options = {"undefined": jinja2.StrictUndefined}
    with pytest.raises(jinja2.UndefinedError):
        render(app, "{{ missing }}")


def test_names_of_every_template(app: Carboy) -> None:
    """TMPL-09: config, request, session, g, url_for, get_flashed_messages are always there."""

    @app.get("/home")
    def home() -> str:
        session["user"] = "ada"
        g.role = "admin"
        return render_template_string(
            "{{ config.SECRET_KEY is defined }} {{ config['DEBUG'] }} {{ request.path }} "
            "{{ session.user }} {{ g.role }} {{ url_for('home') }} {{ get_flashed_messages() }}"
        )

    assert app.test_client().get("/home").text == "True False /home ada admin /home []"


def test_without_a_request_g_and_config_stay(app: Carboy) -> None:
    """TMPL-09: in a bare application context `g` and `config` are there, `request` raises."""
    with app.app_context():
        g.role = "admin"
        assert render_template_string("{{ g.role }} {{ config.TESTING }}") == "admin False"
        with pytest.raises(RuntimeError, match="Working outside of request context"):
            render_template_string("{{ request.path }}")


def test_imported_macros_see_the_globals(tmp_path: pathlib.Path) -> None:
    """TMPL-09, TMPL-23: request, session, g and config reach imported templates as well."""
    app = make_app(
        tmp_path,
        {
            "_m.html": "{% macro show() %}{{ g.role }} {{ config.DEBUG }} "
            "{{ url_for('static', filename='x') }} {{ request.path }}{% endmacro %}",
            "page.html": "{% from '_m.html' import show %}{{ show() }}",
        },
    )
    with app.test_request_context("/p"):
        g.role = "admin"
        assert render_template("page.html") == "admin False /static/x /p"


def test_loopcontrols_need_their_extension(tmp_path: pathlib.Path) -> None:
    """TMPL-15: with jinja2.ext.loopcontrols, break and continue work in loops."""
    app = make_app(tmp_path)
    app.jinja_env.add_extension("jinja2.ext.loopcontrols")
    source = (
        "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}"
        "{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}"
    )
    assert render(app, source) == "023"


# Inheritance

BASE = "<title>{% block title %}Base{% endblock %}</title>{% block body %}default{% endblock %}"


def test_child_fills_blocks_of_its_parents(tmp_path: pathlib.Path) -> None:
    """TMPL-17: extends and block over three levels; unfilled blocks keep their default."""
    app = make_app(
        tmp_path,
        {
            "base.html": BASE,
            "mid.html": "{% extends 'base.html' %}{% block title %}Mid{% endblock %}",
            "leaf.html": "{% extends 'mid.html' %}{% block body %}Leaf{% endblock %}",
        },
    )
    with app.app_context():
        assert render_template("base.html") == "<title>Base</title>default"
        assert render_template("mid.html") == "<title>Mid</title>default"
        assert render_template("leaf.html") == "<title>Mid</title>Leaf"


def test_super_prepends_and_appends(tmp_path: pathlib.Path) -> None:
    """TMPL-18: super() gives the parent's block."""
    app = make_app(
        tmp_path,
        {
            "base.html": BASE,
            "leaf.html": "{% extends 'base.html' %}{% block title %}A {{ super() }} B{% endblock %}",
        },
    )
    with app.app_context():
        assert render_template("leaf.html") == "<title>A Base B</title>default"


def test_content_outside_blocks_is_dropped(tmp_path: pathlib.Path) -> None:
    """TMPL-19: a child's text outside its blocks is not output."""
    app = make_app(
        tmp_path,
        {
            "base.html": BASE,
            "leaf.html": "{% extends 'base.html' %}lost{% block body %}b{% endblock %}lost",
        },
    )
    with app.app_context():
        assert render_template("leaf.html") == "<title>Base</title>b"


def test_duplicate_blocks_are_an_error_and_endblock_may_be_named(app: Carboy) -> None:
    """TMPL-20: a block name stands once in a template; endblock may repeat it."""
    with pytest.raises(jinja2.TemplateAssertionError, match="defined twice"):
        render(app, "{% block a %}{% endblock %}{% block a %}{% endblock %}")
    assert render(app, "{% block a %}x{% endblock a %}") == "x"


def test_circular_inheritance_fails(tmp_path: pathlib.Path) -> None:
    """TMPL-21: two templates that extend each other end in a RecursionError, not in a hang."""
    app = make_app(
        tmp_path, {"a.html": "{% extends 'b.html' %}", "b.html": "{% extends 'a.html' %}"}
    )
    with app.app_context(), pytest.raises(RecursionError):
        render_template("a.html")


def test_include_sees_the_context(tmp_path: pathlib.Path) -> None:
    """TMPL-22: include renders another template with the same values; missing can be ignored."""
    app = make_app(tmp_path, {"_part.html": "<{{ x }}>", "a.html": "{% include '_part.html' %}"})
    with app.app_context():
        assert render_template("a.html", x=1) == "<1>"
        assert render_template_string("[{% include 'no.html' ignore missing %}]") == "[]"
        with pytest.raises(jinja2.TemplateNotFound):
            render_template_string("{% include 'no.html' %}")


def test_macros_are_imported(tmp_path: pathlib.Path) -> None:
    """TMPL-23: macros, import as, from import, with default arguments and caller."""
    app = make_app(
        tmp_path,
        {
            "forms.html": "{% macro input(name, type='text') %}<input type={{ type }} name={{ name }}>"
            "{% endmacro %}{% macro box() %}[{{ caller() }}]{% endmacro %}"
        },
    )
    with app.app_context():
        assert (
            render_template_string("{% import 'forms.html' as f %}{{ f.input('a') }}")
            == "<input type=text name=a>"
        )
        assert (
            render_template_string(
                "{% from 'forms.html' import input as i, box %}{{ i('b', type='hidden') }}"
                "{% call box() %}in{% endcall %}"
            )
            == "<input type=hidden name=b>[in]"
        )


# Context processors and values


def test_context_processor_reaches_every_render(app: Carboy) -> None:
    """TMPL-24: what a context processor returns is in each template, functions too."""

    @app.context_processor
    def inject() -> dict[str, Any]:
        return {"site": "Harbor", "double": lambda x: 2 * x}

    assert render(app, "{{ site }} {{ double(4) }}") == "Harbor 8"
    with app.app_context():
        assert render_template_string("{{ site }}") == "Harbor"


def test_given_values_win_over_processors(app: Carboy) -> None:
    """TMPL-25: a value given to render_template beats a processor's and the standard names."""

    @app.context_processor
    def inject() -> dict[str, Any]:
        return {"x": "processor", "y": "processor", "g": "other g"}

    assert render(app, "{{ x }} {{ y }} {{ g }}", x="given") == "given processor other g"
    assert render(app, "{{ g }} {{ request }}", g=1, request=2) == "1 2"


def test_blueprint_processors_are_scoped_and_app_processors_global(app: Carboy) -> None:
    """TMPL-26: context_processor of a blueprint serves its own views; app_context_processor all."""
    bp = Blueprint("bp", __name__)

    @bp.context_processor
    def own() -> dict[str, str]:
        return {"own": "own"}

    @bp.app_context_processor
    def everywhere() -> dict[str, str]:
        return {"everywhere": "everywhere"}

    text = "[{{ own }}] [{{ everywhere }}]"
    bp.add_url_rule("/bp", "view", lambda: render_template_string(text))
    app.add_url_rule("/app", "view", lambda: render_template_string(text))
    app.register_blueprint(bp)
    client = app.test_client()
    assert client.get("/bp").text == "[own] [everywhere]"
    assert client.get("/app").text == "[] [everywhere]"


def test_functions_make_values_lazy(app: Carboy) -> None:
    """TMPL-27: a function given to a template runs only when the template calls it."""
    calls: list[int] = []

    @app.context_processor
    def inject() -> dict[str, Any]:
        return {"costly": lambda: calls.append(1) or "paid"}

    assert render(app, "nothing") == "nothing"
    assert calls == []
    assert render(app, "{{ costly() }}") == "paid"
    assert calls == [1]


def test_filters_globals_and_tests_of_the_app(app: Carboy) -> None:
    """TMPL-28: template_filter, template_global and template_test, with and without a name."""

    @app.template_filter()
    def shout(text: str) -> str:
        return text.upper() + "!"

    @app.template_filter("backwards")
    def reverse(text: str) -> str:
        return text[::-1]

    @app.template_global()
    def answer() -> int:
        return 42

    @app.template_global("question")
    def named() -> str:
        return "?"

    @app.template_test()
    def positive(number: int) -> bool:
        return number > 0

    @app.template_test("less_than_ten")
    def small(number: int) -> bool:
        return number < 10

    assert shout("x") == "X!"  # decorators give the function back
    source = (
        "{{ 'hi'|shout }} {{ 'abc'|backwards }} {{ answer() }} {{ question() }} "
        "{{ 3 is positive }} {{ 30 is less_than_ten }}"
    )
    assert render(app, source) == "HI! cba 42 ? True False"


def test_add_methods_for_filters_globals_and_tests(app: Carboy) -> None:
    """TMPL-28: add_template_filter/global/test take the function itself."""
    app.add_template_filter(len, "size")
    app.add_template_global(max, "biggest")
    app.add_template_test(str.isdigit, "digits")
    assert render(app, "{{ 'abc'|size }} {{ biggest(1, 3) }} {{ '12' is digits }}") == "3 3 True"


def test_blueprint_forms_register_on_the_app(app: Carboy) -> None:
    """TMPL-28: app_template_filter/global/test of a blueprint serve the whole application."""
    bp = Blueprint("bp", __name__)

    @bp.app_template_filter("loud")
    def loud(text: str) -> str:
        return text.upper()

    @bp.app_template_global()
    def one() -> int:
        return 1

    @bp.app_template_test("two")
    def two(number: int) -> bool:
        return number == 2

    bp.add_app_template_filter(len, "size")
    bp.add_app_template_global(min, "least")
    bp.add_app_template_test(str.isalpha, "letters")
    app.register_blueprint(bp)
    source = "{{ 'a'|loud }}{{ one() }}{{ 2 is two }}{{ 'ab'|size }}{{ least(3, 2) }}{{ 'a' is letters }}"
    assert render(app, source) == "A1True22True"


# Escaping

HOSTILE = "<\"'&>"
ESCAPED = "&lt;&#34;&#39;&amp;&gt;"


@pytest.mark.parametrize("extension", ["html", "htm", "xml", "xhtml", "svg"])
def test_markup_files_are_escaped(tmp_path: pathlib.Path, extension: str) -> None:
    """TMPL-29: html, htm, xml, xhtml and svg templates escape < > & " '."""
    app = make_app(tmp_path, {f"t.{extension}": "{{ x }}"})
    with app.app_context():
        assert render_template(f"t.{extension}", x=HOSTILE) == ESCAPED


@pytest.mark.parametrize("extension", ["txt", "js", "css", "json"])
def test_other_files_are_not_escaped(tmp_path: pathlib.Path, extension: str) -> None:
    """TMPL-29: text templates are printed as they are."""
    app = make_app(tmp_path, {f"t.{extension}": "{{ x }}"})
    with app.app_context():
        assert render_template(f"t.{extension}", x=HOSTILE) == HOSTILE


def test_string_templates_are_escaped(app: Carboy) -> None:
    """TMPL-29: a template without a file name is escaped."""
    assert render(app, "{{ x }}", x=HOSTILE) == ESCAPED


def test_select_jinja_autoescape_decides_by_name(app: Carboy) -> None:
    """TMPL-30: the method tells which names are escaped; strings (None) always are."""
    assert app.select_jinja_autoescape("a.html") is True
    assert app.select_jinja_autoescape("a.svg") is True
    assert app.select_jinja_autoescape("a.txt") is False
    assert app.select_jinja_autoescape(None) is True


def test_select_jinja_autoescape_can_be_overridden(tmp_path: pathlib.Path) -> None:
    """TMPL-30: a subclass escapes other extensions too."""

    class Wider(Carboy):
        def select_jinja_autoescape(self, filename: str | None) -> bool:
            return filename is None or filename.endswith((".html", ".tmpl"))

    write(tmp_path / "templates", {"t.tmpl": "{{ x }}", "t.txt": "{{ x }}"})
    app = Wider("wider", root_path=str(tmp_path))
    with app.app_context():
        assert render_template("t.tmpl", x="<") == "&lt;"
        assert render_template("t.txt", x="<") == "<"


def test_three_ways_to_mark_text_as_safe(app: Carboy) -> None:
    """TMPL-31: the safe filter, Markup and autoescape false print markup as it is."""
    assert render(app, "{{ x|safe }}", x="<b>") == "<b>"
    assert render(app, "{{ x }}", x=Markup("<b>")) == "<b>"
    source = "{% autoescape false %}{{ x }}{% endautoescape %}{{ x }}"
    assert render(app, source, x="<b>") == "<b>&lt;b&gt;"


def test_tojson_is_safe_inside_a_script(app: Carboy) -> None:
    """TMPL-32: tojson leaves no < > & ' and yet means the same value."""
    import json

    value = {"text": "</script><!-- & 'quoted' \u2028", "list": [1, None, True]}
    text = render(app, "{{ x|tojson }}", x=value)
    assert not set("<>&'") & set(text)
    assert json.loads(text) == value


def test_tojson_uses_the_app_s_json_provider(app: Carboy) -> None:
    """TMPL-32: tojson writes what the application's provider can, in its key order."""
    import datetime

    assert render(app, "{{ x|tojson }}", x={"b": 1, "a": datetime.date(2024, 5, 6)}) == (
        '{"a": "Mon, 06 May 2024 00:00:00 GMT", "b": 1}'
    )


def test_quoted_attributes_cannot_be_left(app: Carboy) -> None:
    """TMPL-33: user text inside a quoted attribute stays inside it."""
    text = render(app, '<input value="{{ x }}">', x='" onfocus="alert(1)')
    assert text == '<input value="&#34; onfocus=&#34;alert(1)">'


# Settings


def test_templates_auto_reload_sees_changes(tmp_path: pathlib.Path) -> None:
    """TMPL-35: TEMPLATES_AUTO_RELOAD reads changed files again, without it the first stays."""
    import os

    for reload, wanted in ((True, "two"), (False, "one")):
        app = make_app(tmp_path, {"t.html": "one"})
        app.config["TEMPLATES_AUTO_RELOAD"] = reload
        with app.app_context():
            assert render_template("t.html") == "one"
            write(tmp_path / "templates", {"t.html": "two"})
            os.utime(tmp_path / "templates/t.html", (1_000_000, 1_000_000))
            assert render_template("t.html") == wanted


def test_auto_reload_is_on_in_debug_mode(tmp_path: pathlib.Path) -> None:
    """TMPL-35: when the setting is None, debug mode decides."""
    app = make_app(tmp_path)
    assert app.config["TEMPLATES_AUTO_RELOAD"] is None
    assert app.jinja_env.auto_reload is False
    app = make_app(tmp_path)
    app.debug = True
    assert app.jinja_env.auto_reload is True


def test_explain_template_loading_logs_the_search(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """TMPL-35: EXPLAIN_TEMPLATE_LOADING tells in the log where a template was looked for."""
    app = make_app(tmp_path, {"t.html": "x"})
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    app.register_blueprint(
        Blueprint("bp", "bp_module", root_path=str(tmp_path / "bp"), template_folder="t")
    )
    with app.app_context(), caplog.at_level("INFO"):
        render_template("t.html")
        with pytest.raises(jinja2.TemplateNotFound):
            render_template("missing.html")
    text = caplog.text
    assert "t.html" in text and "missing.html" in text
    assert "templates_app" in text and "bp" in text


def test_jinja_options_and_environment(tmp_path: pathlib.Path) -> None:
    """TMPL-35: jinja_options configure the environment; its globals and filters can be changed."""
    app = make_app(tmp_path)
    app.jinja_options = {
        "trim_blocks": True,
        "variable_start_string": "<<",
        "variable_end_string": ">>",
    }
    app.jinja_env.globals["who"] = "world"
    app.jinja_env.filters["bang"] = lambda s: s + "!"
    assert isinstance(app.jinja_env, Environment)
    assert app.jinja_env.autoescape == app.select_jinja_autoescape
    assert render(app, "{% if true %}\n<< who|bang >>\n{% endif %}") == "world!\n"


def test_environment_class_can_be_replaced(tmp_path: pathlib.Path) -> None:
    """TMPL-35: jinja_environment names the class of app.jinja_env."""

    class Mine(Environment):
        pass

    class App(Carboy):
        jinja_environment = Mine

    assert isinstance(App("mine", root_path=str(tmp_path)).jinja_env, Mine)


def test_objects_and_their_methods_in_templates(app: Carboy) -> None:
    """TMPL-36: attributes and methods of objects, like a model's, work in templates."""

    class User:
        name = "Ada"

        def posts(self, n: int) -> list[str]:
            return ["a", "b", "c"][:n]

    assert render(app, "{{ u.name }}: {{ u.posts(2)|join(',') }}", u=User()) == "Ada: a,b"


def test_context_self_prints_nothing(app: Carboy) -> None:
    """TMPL-38: the old trick to dump the context prints nothing."""
    assert render(app, "[{{ self._Context__self }}]", secret="s3") == "[]"


def test_syntax_errors_name_the_line(tmp_path: pathlib.Path) -> None:
    """TMPL-39: a broken template raises TemplateSyntaxError with name and line."""
    app = make_app(tmp_path, {"bad.html": "ok\n{% if %}\n"})
    with app.app_context(), pytest.raises(jinja2.TemplateSyntaxError) as caught:
        render_template("bad.html")
    assert caught.value.lineno == 2
    assert caught.value.name == "bad.html"


def test_update_template_context_adds_the_standard_names(app: Carboy) -> None:
    """TMPL-40: update_template_context fills a dict as a render would, keeping given values."""

    @app.context_processor
    def inject() -> dict[str, Any]:
        return {"site": "Harbor", "x": "processor"}

    values: dict[str, Any] = {"x": "given"}
    with app.test_request_context("/p"):
        app.update_template_context(values)
        assert values["x"] == "given" and values["site"] == "Harbor"
        assert values["request"].path == "/p"
        assert values["g"] is g._get_current_object()


def test_jinja_env_is_made_once(app: Carboy) -> None:
    """TMPL-40: app.jinja_env is one object, made when first used."""
    assert app.jinja_env is app.jinja_env
    assert app.jinja_env.globals["url_for"] == app.url_for
    with app.app_context():
        assert current_app.jinja_env is app.jinja_env


def test_template_folder_may_be_absent_or_elsewhere(tmp_path: pathlib.Path) -> None:
    """TMPL-01: template_folder= names another folder; None means there is none."""
    write(tmp_path / "views", {"t.html": "from views"})
    app = Carboy("x", root_path=str(tmp_path), template_folder="views")
    with app.app_context():
        assert render_template("t.html") == "from views"
    app = Carboy("x", root_path=str(tmp_path), template_folder=None)
    assert app.jinja_loader is None
    with app.app_context(), pytest.raises(jinja2.TemplateNotFound):
        render_template("t.html")


def test_list_templates_names_app_and_blueprint_templates(tmp_path: pathlib.Path) -> None:
    """TMPL-40: the environment lists all templates it can load."""
    app = make_app(tmp_path, {"a.html": ""})
    write(tmp_path / "bp/t", {"b.html": "", "a.html": ""})
    app.register_blueprint(
        Blueprint("bp", "bp_module", root_path=str(tmp_path / "bp"), template_folder="t")
    )
    assert sorted(app.jinja_env.list_templates()) == ["a.html", "b.html"]


def test_processors_run_in_order_and_late_ones_win(app: Carboy) -> None:
    """TMPL-24: a later context processor overrides an earlier one's value."""
    order: collections.deque[int] = collections.deque()
    app.context_processor(lambda: order.append(1) or {"x": 1})
    app.context_processor(lambda: order.append(2) or {"x": 2})
    assert render(app, "{{ x }}") == "2"
    assert list(order) == [1, 2]
