"""Hostile text in templates, template names and error pages; no debugger in production."""

from __future__ import annotations

import html.parser
import json
import pathlib
import time
from typing import Any

import jinja2
import pytest

from carboy import (
    Carboy,
    abort,
    render_template,
    render_template_string,
    request,
)

PAYLOADS = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "--><b>",
    "' onmouseover='alert(1)",
    '" onmouseover="alert(1)',
    "&lt;/script&gt;",
    "\\u003c/script\\u003e",
    "\u2028\u2029",
    "]]><script>",
    "<svg/onload=alert(1)>",
    "\x00<b>",
]


class Tags(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts.append(data)


def write(folder: pathlib.Path, name: str, text: str) -> None:
    path = folder / "templates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", ["a.html", "a.htm", "a.xml", "a.xhtml", "a.svg", "d/a.b.html"])
def test_markup_templates_escape(app: Carboy, tmp_path: pathlib.Path, name: str) -> None:
    """HOSTILE-163: html, htm, xml, xhtml and svg templates escape what they print."""
    write(tmp_path, name, "{{ x }}")
    with app.app_context():
        assert render_template(name, x="<&'\">") == "&lt;&amp;&#39;&#34;&gt;"


@pytest.mark.beyond
@pytest.mark.parametrize(
    "name", ["a.html.j2", "a.html.jinja", "a.html.jinja2", "a.jinja", "a.j2", "A.HTML", "a.Svg"]
)
def test_other_spellings_of_markup_escape_too(
    app: Carboy, tmp_path: pathlib.Path, name: str
) -> None:
    """HOSTILE-164: `.html.j2`, `.jinja` and upper-case endings are escaped as well."""
    write(tmp_path, name, "{{ x }}")
    with app.app_context():
        assert render_template(name, x="<b>") == "&lt;b&gt;"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_tojson_keeps_one_script_and_the_value(app: Carboy, payload: str) -> None:
    """HOSTILE-165: in a script and in a single-quoted attribute the value stays whole and inside."""
    page = "<script>{{ x|tojson }}</script><a data-x='{{ x|tojson }}'></a>"
    with app.app_context():
        parsed = Tags(render_template_string(page, x=payload))
    assert [tag for tag, _ in parsed.tags] == ["script", "a"]
    assert json.loads(parsed.scripts[0]) == payload
    attribute: Any = parsed.tags[1][1]["data-x"]
    assert json.loads(attribute) == payload


@pytest.mark.parametrize("data", ["{{ 7 * 7 }}", "{% for x in y %}", "{# x #}", "{{ config }}"])
def test_data_is_never_evaluated(app: Carboy, data: str) -> None:
    """HOSTILE-166: braces in user data are text."""
    app.secret_key = "top secret"
    app.add_url_rule("/", "index", lambda: render_template_string("{{ x }}", x=request.args["x"]))
    text = app.test_client().get("/", query_string={"x": data}).text
    assert text == str(jinja2.utils.markupsafe.escape(data))


@pytest.mark.parametrize(
    "name",
    [
        "../outside.txt",
        "../../etc/passwd",
        "/etc/passwd",
        "d/../../outside.txt",
        "..\\outside.txt",
        "d\\..\\..\\outside.txt",
        "a.html\x00.txt",
        "\x00",
        "",
        ".",
        "..",
        "d",
        "x" * 5000,
        "C:\\Windows\\win.ini",
        "//etc/passwd",
        "d//../..//outside.txt",
    ],
)
def test_template_names_do_not_leave_their_folder(
    app: Carboy, tmp_path: pathlib.Path, name: str
) -> None:
    """HOSTILE-167: `..`, absolute names and NUL are TemplateNotFound; nothing is read."""
    write(tmp_path, "a.html", "inside")
    write(tmp_path, "d/b.html", "inside")
    (tmp_path / "outside.txt").write_text("outside")
    with app.app_context(), pytest.raises(Exception) as caught:
        assert "outside" not in render_template(name)
    assert isinstance(caught.value, (jinja2.TemplateNotFound, ValueError, OSError))


@pytest.mark.parametrize(
    "key", ["a b", "onclick=x", "a/b", "a>b", "a\tb", "a\nb", "a\x0cb", "x onload", "/"]
)
def test_xmlattr_refuses_hostile_keys(app: Carboy, key: str) -> None:
    """HOSTILE-168, CVE-2024-22195, CVE-2024-34064: xmlattr raises for a key that could escape."""
    with app.app_context(), pytest.raises(ValueError):
        render_template_string("<a {{ x|xmlattr }}>", x={key: "v"})


@pytest.mark.parametrize(
    ("filter_name", "text"),
    [
        ("urlize", "http://" + "a" * 20_000),
        ("urlize", "a@" * 20_000),
        ("urlize", "(((((" * 10_000),
        ("urlize", "www." * 12_000),
        ("striptags", "<" * 50_000),
        ("striptags", "<!--" * 12_000),
        ("striptags", "<a " * 15_000),
        ("wordwrap", "x" * 50_000),
        ("wordcount", "x " * 25_000),
        ("truncate", "x" * 50_000),
        ("title", "x-" * 25_000),
        ("indent", "\n" * 50_000),
        ("e", "<" * 50_000),
    ],
)
def test_text_filters_are_not_quadratic(app: Carboy, filter_name: str, text: str) -> None:
    """HOSTILE-169, CVE-2020-28493: filters stay under 4 s of CPU on 20 to 50 kB of hostile text."""
    began = time.process_time()
    with app.app_context():
        render_template_string("{{ x|" + filter_name + " }}", x=text)
    assert time.process_time() - began < 4


@pytest.mark.parametrize(
    "source",
    [
        "secret-text {% if %}",
        "secret-text {{ missing.attribute }}",
        "secret-text {{ 1 / 0 }}",
        "secret-text {% include 'no.html' %}",
        "secret-text {{ x|no_such_filter }}",
        "secret-text {{ f() }}",
        "secret-text {% extends 'self.html' %}",
    ],
)
def test_a_template_error_shows_nothing_of_the_template(
    app: Carboy, tmp_path: pathlib.Path, source: str
) -> None:
    """HOSTILE-170: whatever fails in a template is a plain 500 without its text."""
    write(tmp_path, "page.html", source)
    write(tmp_path, "self.html", "{% extends 'self.html' %}")

    def fail() -> None:
        raise RuntimeError("secret-error")

    app.add_url_rule("/", "index", lambda: render_template("page.html", f=fail))
    response = app.test_client().get("/")
    assert response.status_code == 500
    for leak in ("secret", "page.html", "jinja", "Traceback"):
        assert leak not in response.text


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 408, 409, 410, 413, 414, 415, 422, 429])
def test_default_error_pages_reflect_nothing(app: Carboy, code: int) -> None:
    """HOSTILE-171, CVE-2019-3498: default pages hold nothing that the client sent."""
    app.add_url_rule("/<path:x>", "index", lambda x: abort(code))
    response = app.test_client().get(
        "/evil-marker<script>?evil-marker=1",
        headers={"X-Evil": "evil-marker", "Referer": "evil-marker", "Cookie": "a=evil-marker"},
    )
    assert response.status_code == code
    assert "evil-marker" not in response.text
    assert not any("evil-marker" in value for _, value in response.headers)


@pytest.mark.parametrize("method", ["GET", "POST", "EVIL-MARKER"])
def test_routing_errors_reflect_nothing(app: Carboy, method: str) -> None:
    """HOSTILE-171: 404 and 405 of the router hold nothing of the request."""
    app.add_url_rule("/put", "put", lambda: "", methods=["PUT"])
    for path in ("/put", "/evil-marker<script>"):
        response = app.test_client().open(path, method=method)
        assert response.status_code in (404, 405)
        assert "evil-marker" not in response.text.lower()


def test_bad_request_pages_do_not_name_the_key_in_production(app: Carboy) -> None:
    """HOSTILE-171: outside debug the 400 for a missing key does not name it."""
    app.add_url_rule("/", "index", lambda: request.form["internal_field_name"], methods=["POST"])
    response = app.test_client().post("/", data={"x": "y"})
    assert response.status_code == 400
    assert "internal_field_name" not in response.text


@pytest.mark.parametrize(
    "target",
    [
        "/console",
        "/?__debugger__=yes&cmd=resource&f=debugger.js",
        "/?__debugger__=yes&cmd=pinauth&pin=1&s=x",
        "/?__debugger__=yes&cmd=printpin&s=x",
        "/?__debugger__=yes&cmd=1%2B1&frm=0&s=x",
    ],
)
@pytest.mark.parametrize("debug_variable", ["0", "1"])
def test_a_served_application_has_no_debugger(
    monkeypatch: pytest.MonkeyPatch, target: str, debug_variable: str
) -> None:
    """HOSTILE-181, HOSTILE-182: called by a server, even with FLASK_DEBUG=1, there is no console."""
    monkeypatch.setenv("FLASK_DEBUG", debug_variable)
    app = Carboy("served")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/", "index", lambda: "ordinary")
    response = app.test_client().get(target)
    if target == "/console":
        assert response.status_code == 404
    else:
        assert (response.status_code, response.text) == (200, "ordinary")
    assert "debugger" not in response.text.lower()
    assert "console" not in response.text.lower()


def test_debug_variable_shows_no_traceback_under_a_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HOSTILE-181: with FLASK_DEBUG=1 under a server no traceback reaches the client's page."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app = Carboy("served")
    app.add_url_rule("/", "index", lambda: 1 / 0)
    # The exception leaves the application (debug propagates): the server's own page answers.
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    response = app.test_client().get("/")
    assert response.status_code == 500
    assert "ZeroDivisionError" not in response.text and "Traceback" not in response.text
