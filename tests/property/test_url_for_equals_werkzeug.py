"""``url_for`` gives what Werkzeug's adapter gives, in each request and with each option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.routing import Map, Rule
from werkzeug.test import create_environ

from carboy import Carboy, request, url_for
from carboy.routing import UrlBuilder

from . import strategies as own
from .test_url_building_equals_werkzeug import ask_werkzeug

ANCHOR_SAFE = "%!#$&'()*+,/:;=?@"


class Shouting(str):
    """A text that shows another one."""

    def __str__(self) -> str:
        return self.upper()

    def __html__(self) -> str:
        return f"<{self}>"


#: What a template, a form or a database row may hand to ``url_for``.
STRANGE = (*own.VALUES, "/", 1e30, float("nan"), -0.0, 10**30, Shouting("a"), {"a": 1}, "a" * 200)
NAMES = (*own.NAMES, Shouting("q"), "e" * 200)
values = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(STRANGE), max_size=4)
usual_values = st.fixed_dictionaries(
    {}, optional={"v0": st.integers(0, 99) | st.text(), "v1": st.text(), "q": st.text()}
)
options = st.fixed_dictionaries(
    {},
    optional={
        "_external": st.sampled_from((None, True, True, False, 1, 0, "")),
        "_anchor": st.sampled_from((None, "", "a b", "é", "%#?/", b"x", 5, Markup("<b>"))),
        "_method": st.sampled_from((None, "GET", "POST", "get", "")),
        "_scheme": st.sampled_from((None, "https", "http", "ws", "wss", "ftp", "")),
    },
)
no_options: st.SearchStrategy[dict[str, Any]] = st.just({})
endpoints = st.sampled_from(("one", "two", "three", "bp.one", ".one", ".here", "two", "nowhere"))
bases = st.sampled_from(
    (
        "http://localhost/",
        "https://localhost/",
        f"http://{own.SERVER}:8080/",
        f"https://api.{own.SERVER}/root/",
        "http://localhost/ü/b//",
        "http://ÄPFEL.example/",
    )
)
upgrades = st.sampled_from(({}, {}, {}, {"Connection": "Upgrade", "Upgrade": "websocket"}))


def outcome(call: Callable[..., str], *args: Any, **kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return type(error)


def long_way(
    app: Carboy,
    endpoint: str,
    _anchor: Any = None,
    _method: Any = None,
    _scheme: Any = None,
    _external: Any = None,
    **values: Any,
) -> str:
    """What Flask does, with an adapter that was not used before."""
    if endpoint.startswith("."):
        blueprint = request.blueprint
        endpoint = endpoint[1:] if blueprint is None else f"{blueprint}{endpoint}"
    external = _scheme is not None if _external is None else _external
    if _scheme is not None and not external:
        raise ValueError
    adapter = app.create_url_adapter(request._get_current_object())  # type: ignore[attr-defined]
    assert adapter is not None
    url = adapter.build(endpoint, values, _method, bool(external), url_scheme=_scheme)
    return url if _anchor is None else f"{url}#{quote(_anchor, ANCHOR_SAFE)}"


@st.composite
def applications(draw: st.DrawFn) -> Carboy:
    app = Carboy("property", static_folder=None)
    app.url_map = draw(own.url_maps(ordinary=draw(st.booleans())))
    app.subdomain_matching = draw(st.sampled_from((False, False, True)))
    app.config["SERVER_NAME"] = draw(st.sampled_from((None, None, own.SERVER, f"{own.SERVER}:80")))
    for endpoint in ("here", "bp.here", "bp.one", "bp.sub.here"):
        app.url_map.add(Rule(f"/at/{endpoint}", endpoint=endpoint))
    return app


@pytest.mark.filterwarnings("ignore:Current server name")
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_each_url_is_werkzeugs(data: st.DataObject) -> None:
    """Any map, request and values, asked for the first time and again, on each of the two ways."""
    app = data.draw(applications())
    environ = create_environ(
        data.draw(st.sampled_from(("/at/here", "/at/bp.here", "/at/bp.sub.here", "/nowhere"))),
        data.draw(bases),
        method=data.draw(st.sampled_from(("GET", "POST"))),
        headers=data.draw(upgrades),
    )
    with app.request_context(environ):
        for _ in range(6):
            endpoint = data.draw(endpoints)
            given = data.draw(values | usual_values) | data.draw(no_options | options)
            expected = outcome(long_way, app, endpoint, **given)
            assert outcome(url_for, endpoint, **given) == expected
            assert outcome(app.url_for, endpoint, **given) == expected
            assert outcome(url_for, endpoint, **given) == expected
            if data.draw(st.integers(0, 5)) == 0:
                own.add_rule(app.url_map, data.draw(own.rule_specs()), data.draw(own.kinds))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_each_url_outside_of_requests_is_werkzeugs(data: st.DataObject) -> None:
    """Built with ``SERVER_NAME``, ``APPLICATION_ROOT`` and ``PREFERRED_URL_SCHEME``."""
    app = data.draw(applications())
    app.config.update(
        SERVER_NAME=own.SERVER,
        APPLICATION_ROOT=data.draw(st.sampled_from(("/", "/root", "/a/b/", ""))),
        PREFERRED_URL_SCHEME=data.draw(st.sampled_from(("http", "https", "wss", ""))),
    )
    with app.app_context():
        for _ in range(4):
            endpoint = data.draw(endpoints.filter(lambda endpoint: endpoint[0] != "."))
            given = data.draw(values) | data.draw(options)
            adapter = app.create_url_adapter(None)
            assert adapter is not None
            kept = dict(given)
            anchor, method = kept.pop("_anchor", None), kept.pop("_method", None)
            scheme, external = kept.pop("_scheme", None), kept.pop("_external", None)
            external = True if external is None else bool(external)
            if anchor is not None or (scheme is not None and not external):
                continue
            expected = outcome(adapter.build, endpoint, kept, method, external, url_scheme=scheme)
            assert outcome(url_for, endpoint, **given) == expected


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_what_is_known_of_an_endpoint_is_werkzeugs(data: st.DataObject) -> None:
    """For every method: an address, or nothing that decides."""
    url_map = data.draw(own.url_maps())
    builder = UrlBuilder(url_map)
    for _ in range(6):
        endpoint = data.draw(st.sampled_from(("one", "two", "three")))
        given = data.draw(own.build_values | usual_values)
        builder.build(endpoint, given, None, "GET", "")
        known = builder.known()
        assert known.map is url_map
        spell = known.spells.get(endpoint)
        if spell is None:
            continue
        try:
            address = spell(given)
        except Exception:
            address = None
        for method in own.METHODS:
            for found, asked in ((address, given), (known.fixed[endpoint], {})):
                if found:
                    assert found == ask_werkzeug(url_map, endpoint, asked, None, method, "")


def test_an_ordinary_rule_is_known() -> None:
    """The test above would pass if nothing ever were."""
    builder = UrlBuilder(Map([Rule("/a/<int:v0>/<v1>", endpoint="e"), Rule("/b", endpoint="f")]))
    for endpoint in ("e", "f"):
        builder.build(endpoint, {}, None, "GET", "")
    known = builder.known()
    assert known.spells["e"]({"v0": 1, "v1": "x y", "q": "&"}) == "/a/1/x%20y?q=%26"
    assert known.fixed == {"e": "", "f": "/b"}
