"""Everything public in Flask 3.1 is in Carboy, with the same parameters in the same order.

`api/flask-3.1.json` holds Flask's names and signatures as data. Carboy may have more names, and
more optional parameters after Flask's own.
"""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import api_shape
import pytest

import carboy

GOLDEN = json.loads((Path(__file__).parent / "api" / "flask-3.1.json").read_text())
NAMES = [(module, name) for module, names in GOLDEN["modules"].items() for name in names]
CLASSES = [(m, n) for m, n in NAMES if GOLDEN["modules"][m][n]["kind"] == "class"]

# "module.name" or "module.Class.member" -> why Carboy differs on purpose. Keep it short.
ALLOWED: dict[str, str] = {}


# The package that really holds the code; "flask" where these tests run on the real one.
PACKAGE = carboy.Blueprint.__module__.split(".")[0]


def ours(module: str) -> Any:
    return importlib.import_module(PACKAGE + module.removeprefix("flask"))


def excused(*path: str) -> bool:
    return any(".".join(path[:length]) in ALLOWED for length in range(1, len(path) + 1))


def complain_about_signature(flask: list[list[str]], carboy: list[list[str]] | None) -> str | None:
    """Why `carboy` cannot be called wherever `flask` can; `None` when it can."""
    if carboy is None:
        return "has no signature"
    if carboy[: len(flask)] == flask:
        extra = carboy[len(flask) :]
    else:
        # Keyword-only additions stand before a `**kwargs` of Flask's.
        extra = [entry for entry in carboy if entry not in flask]
        if [entry for entry in carboy if entry in flask] != flask:
            return f"Flask has {flask}, Carboy has {carboy}"
        if any(entry[1] != "keyword_only" for entry in extra):
            return f"additions {extra} must be keyword-only or stand last"
    needed = [e for e in extra if len(e) < 3 and not e[1].startswith("var_")]
    return f"additions {needed} are not optional" if needed else None


def complain_about_member(flask: dict[str, Any], carboy: dict[str, Any]) -> str | None:
    if flask["kind"] == "attribute":
        if "value" in flask and flask["value"] != carboy.get("value"):
            return f"Flask's value is {flask['value']}, Carboy's {carboy.get('value')}"
        return None
    if flask["kind"] != carboy["kind"]:
        return f"a {flask['kind']} in Flask, a {carboy['kind']} in Carboy"
    if flask["signature"] is None:
        return None
    return complain_about_signature(flask["signature"], carboy["signature"])


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_each_public_name_of_flask_is_there_and_of_the_same_kind(module: str, name: str) -> None:
    if excused(module, name):
        pytest.skip(ALLOWED[f"{module}.{name}"])
    flask = GOLDEN["modules"][module][name]
    carboy = api_shape.describe(getattr(ours(module), name), PACKAGE)
    assert carboy["kind"] == flask["kind"]
    assert carboy.get("name") == flask.get("name")
    assert carboy.get("value") == flask.get("value")
    if flask.get("signature"):
        assert complain_about_signature(flask["signature"], carboy["signature"]) is None


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_each_class_has_the_members_and_signatures_of_flasks(module: str, name: str) -> None:
    flask = GOLDEN["modules"][module][name]
    cls = getattr(ours(module), name)
    assert inspect.isclass(cls)
    problems = {}
    for member, wanted in flask["members"].items():
        if excused(module, name, member):
            continue
        if not hasattr(cls, member):
            problems[member] = "missing"
            continue
        found = api_shape.describe_member(cls, member, PACKAGE)
        if complaint := complain_about_member(wanted, found):
            problems[member] = complaint
    missing = [
        n for n in flask["inherited"] if not hasattr(cls, n) and not excused(module, name, n)
    ]
    assert not problems
    assert not missing


@pytest.mark.parametrize("name", GOLDEN["instances"])
def test_each_object_has_the_public_attributes_of_flasks(name: str) -> None:
    wanted = [n for n in GOLDEN["instances"][name] if not excused("instance", name, n)]
    found = set(api_shape.instances(PACKAGE)[name])
    assert [n for n in wanted if n not in found] == []


def test_a_new_application_has_each_configuration_key_of_flasks() -> None:
    found = carboy.Carboy("golden").config
    assert [key for key in GOLDEN["defaults"] if key not in found] == []


def test_allowed_exceptions_name_things_that_flask_has() -> None:
    known = {f"{m}.{n}" for m, n in NAMES}
    known |= {
        f"{m}.{n}.{member}"
        for m, n in CLASSES
        for member in (
            *GOLDEN["modules"][m][n]["members"],
            *GOLDEN["modules"][m][n]["inherited"],
        )
    }
    known |= {f"instance.{n}.{a}" for n, names in GOLDEN["instances"].items() for a in names}
    assert set(ALLOWED) <= known


@pytest.mark.parametrize(
    ("flask", "carboy", "accepted"),
    [
        ("(a, b=1)", "(a, b=1)", True),
        ("(a, b=1)", "(a, b=1, *, extra=None)", True),
        ("(a, b=1)", "(a, b=1, extra=None)", True),
        ("(a, **options)", "(a, *, extra=None, **options)", True),
        ("(a, b=1)", "(a, b=2)", False),
        ("(a, b=1)", "(b=1, a=None)", False),
        ("(a, b=1)", "(a)", False),
        ("(a, **options)", "(a, extra=None, **options)", False),
        ("(a)", "(a, *, needed)", False),
    ],
)
def test_the_comparison_accepts_only_what_stays_callable(
    flask: str, carboy: str, accepted: bool
) -> None:
    def shape(text: str) -> list[list[str]]:
        function = eval(f"lambda {text[1:-1]}: None")
        found = api_shape.signature(function, "carboy")
        assert found is not None
        return found

    complaint = complain_about_signature(shape(flask), shape(carboy))
    assert (complaint is None) is accepted


# Names without promise that popular extensions and their tests reach for all the same.
REACHED_FOR = [
    ("flask.app", "Rule"),
    ("flask.cli", "click"),
    ("flask.globals", "_cv_app"),
    ("flask.globals", "_cv_request"),
    ("flask.helpers", "werkzeug.utils"),
    ("flask.sansio.scaffold", "_endpoint_from_view_func"),
    ("flask.signals", "Namespace"),
    ("flask.app", "Flask._got_first_request"),
    ("flask.app", "Flask._method_route"),
    ("flask.blueprints", "Blueprint._method_route"),
    ("flask.testing", "FlaskClient._request_from_builder_args"),
]

# Tried by extensions behind a fallback for old releases: their absence says "this is Flask 3".
GONE = [
    ("flask", "Module"),
    ("flask", "_app_ctx_stack"),
    ("flask", "_request_ctx_stack"),
    ("flask.signals", "signals_available"),
]


@pytest.mark.parametrize(("module", "path"), REACHED_FOR)
def test_private_names_that_extensions_use_are_at_the_same_place(module: str, path: str) -> None:
    found = ours(module)
    if path == "Flask._got_first_request":
        found = ours("flask").Flask("reached_for")
        path = "_got_first_request"
    for name in path.split("."):
        found = getattr(found, name)


@pytest.mark.parametrize(("module", "name"), GONE)
def test_names_that_flask_has_dropped_are_absent(module: str, name: str) -> None:
    assert not hasattr(ours(module), name)
