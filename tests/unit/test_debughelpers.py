"""What debug mode says."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from jinja2 import ChoiceLoader, DictLoader
from werkzeug.routing import RequestRedirect

from carboy import Blueprint, Carboy, render_template, request
from carboy.debughelpers import (
    DebugFilesKeyError,
    FormDataRoutingRedirect,
    UnexpectedUnicodeError,
    _dump_loader_info,
    attach_enctype_error_multidict,
)


@pytest.fixture
def app() -> Carboy:
    return Carboy("debug_app")


def test_a_file_that_came_as_a_field_names_the_cause(app: Carboy) -> None:
    with app.test_request_context(method="POST", data={"photo": "boat.jpg"}):
        attach_enctype_error_multidict(request._get_current_object())  # type: ignore[attr-defined]
        with pytest.raises(DebugFilesKeyError) as caught:
            request.files["photo"]
        text = str(caught.value)
        assert "'photo'" in text and 'enctype="multipart/form-data"' in text
        assert "This was submitted: 'boat.jpg'" in text
        assert type(request.files).__name__ == "ImmutableMultiDict"
        with pytest.raises(KeyError) as other:
            request.files["other"]
        assert not isinstance(other.value, DebugFilesKeyError)


def test_a_redirected_form_names_both_addresses_and_the_slash(app: Carboy) -> None:
    with app.test_request_context("/form", method="POST"):
        request.routing_exception = RequestRedirect("http://localhost/form/?a=1")
        text = str(FormDataRoutingRedirect(request))
    assert "canonical URL 'http://localhost/form/?a=1'" in text
    assert "POST" in text and "ends in a slash" in text and "308" in text


def test_another_redirect_says_nothing_of_a_slash(app: Carboy) -> None:
    with app.test_request_context("/a", method="POST"):
        request.routing_exception = RequestRedirect("http://localhost/b")
        assert "slash" not in str(FormDataRoutingRedirect(request))


def test_only_a_redirect_can_be_explained(app: Carboy) -> None:
    with app.test_request_context("/a"), pytest.raises(TypeError):
        FormDataRoutingRedirect(request)


def test_the_unicode_error_is_both_kinds_of_error() -> None:
    assert issubclass(UnexpectedUnicodeError, AssertionError)
    assert issubclass(UnexpectedUnicodeError, UnicodeError)


def test_a_loader_is_described_by_its_plain_settings() -> None:
    loader: Any = ChoiceLoader([])
    loader.searchpath = ["/a", "/b"]
    loader.mixed = ["a", 1]
    loader.encoding = "utf-8"
    loader.links = True
    loader._hidden = "x"
    loader.other = object()
    assert list(_dump_loader_info(loader)) == [
        "class: jinja2.loaders.ChoiceLoader",
        "encoding: 'utf-8'",
        "links: True",
        "loaders:",
        "searchpath:",
        "  - /a",
        "  - /b",
    ]


def explained(app: Carboy, caplog: pytest.LogCaptureFixture, name: str) -> str:
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    caplog.set_level(logging.INFO)
    bp = Blueprint("shop", "shop_package", root_path="/nowhere")
    bp.jinja_loader = DictLoader({"both.html": "", "one.html": ""})  # type: ignore[assignment]
    app.jinja_loader = DictLoader({"both.html": ""})  # type: ignore[assignment]

    @bp.get("/")
    def index() -> str:
        try:
            return render_template(name)
        except Exception:
            return "failed"

    app.register_blueprint(bp)
    app.test_client().get("/")
    [record] = caplog.records
    return record.getMessage()


def test_a_template_that_is_nowhere_is_explained(
    app: Carboy, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    text = explained(app, caplog, "none.html")
    assert "Locating template 'none.html'" in text
    assert "1: trying loader of application 'debug_app'" in text
    assert "2: trying loader of blueprint 'shop' (shop_package)" in text
    assert "-> no match" in text
    assert "could not be found" in text
    assert "endpoint that belongs to the blueprint 'shop'" in text


def test_a_template_in_two_places_is_a_warning(
    app: Carboy, caplog: pytest.LogCaptureFixture
) -> None:
    text = explained(app, caplog, "both.html")
    assert text.count("-> found") == 2
    assert "Warning: it is in several places" in text


def test_a_template_in_one_place_is_only_logged(
    app: Carboy, caplog: pytest.LogCaptureFixture
) -> None:
    text = explained(app, caplog, "one.html")
    assert "-> found ('<string>')" in text
    assert "Warning" not in text and "Error" not in text
