"""Finding the application in a module, by a name, in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from carboy import Carboy
from carboy.cli import (
    NoAppException,
    ScriptInfo,
    find_app_by_string,
    find_best_app,
    locate_app,
    prepare_import,
)


@pytest.fixture(autouse=True)
def _own_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules and paths of a test are gone after it."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield
    for name in set(sys.modules) - before:
        if not name.startswith("carboy"):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write files of a project and make its folder the current one."""
    monkeypatch.chdir(tmp_path)

    def write_files(**sources: str) -> None:
        for name, source in sources.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)

    return write_files


def module(**names: Any) -> ModuleType:
    made = ModuleType("project")
    made.__dict__.update(names)
    return made


def raising(error: Exception) -> Any:
    def create_app() -> Carboy:
        raise error

    return create_app


# -- without a name -----------------------------------------------------------------------------


def test_app_comes_before_application_and_both_before_others():
    one, two, three = Carboy("one"), Carboy("two"), Carboy("three")
    assert find_best_app(module(z=three, application=two, app=one)) is one
    assert find_best_app(module(z=three, application=two)) is two
    assert find_best_app(module(z=three)) is three


def test_one_application_under_two_names_is_one():
    app = Carboy("one")
    assert find_best_app(module(server=app, site=app)) is app


def test_an_app_of_another_kind_is_no_application():
    app = Carboy("one")
    assert find_best_app(module(app="text", site=app)) is app


@pytest.mark.parametrize("name", ["create_app", "make_app"])
def test_a_factory_is_called_when_there_is_no_application(name):
    def factory(debug: bool = False) -> Carboy:
        return Carboy("made")

    assert find_best_app(module(**{name: factory})).name == "made"


def test_a_factory_that_makes_something_else_is_passed_over():
    made = Carboy("made")
    found = find_best_app(module(create_app=lambda: None, make_app=lambda: made))
    assert found is made


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "Failed to find Flask application or factory in module 'project'"),
        ({"create_app": lambda: None}, "Failed to find Flask application or factory"),
        ({"a": Carboy("a"), "b": Carboy("b")}, "Detected multiple Flask applications in module"),
        ({"create_app": lambda config: None}, "could not call it without arguments"),
    ],
)
def test_what_cannot_be_decided_is_said_with_the_remedy(names, message):
    with pytest.raises(NoAppException, match=message) as caught:
        find_best_app(module(**names))
    assert "'project:" in str(caught.value)


@pytest.mark.parametrize("error", [TypeError("inside"), ValueError("inside")])
def test_an_error_inside_a_factory_is_the_factorys(error):
    with pytest.raises(type(error), match="inside"):
        find_best_app(module(create_app=raising(error)))
    with pytest.raises(type(error), match="inside"):
        find_app_by_string(module(create_app=raising(error)), "create_app()")


# -- with a name --------------------------------------------------------------------------------


def create(name: str = "default", *, suffix: str = "") -> Carboy:
    return Carboy(name + suffix)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("site", "plain"),
        ("create", "default"),
        ("create()", "default"),
        (" create ( 'a' , ) ", "a"),
        ("create('a', suffix='b')", "ab"),
    ],
)
def test_a_name_or_a_call_with_literals(text, name):
    assert find_app_by_string(module(site=Carboy("plain"), create=create), text).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "Failed to find attribute 'nothing' in 'project'"),
        ("create(", "Failed to parse 'create\\(' as an attribute name or function call"),
        ("a.b", "Failed to parse 'a.b' as an attribute name or function call"),
        ("1", "Failed to parse '1'"),
        ("a.b()", "Function reference must be a simple name: 'a.b\\(\\)'"),
        ("create(open('x'))", "Failed to parse arguments as literal values"),
        ("create(1, 2, 3)", "could not be called with the specified arguments"),
        ("text", "A valid Flask application was not obtained from 'project:text'"),
        ("none()", "A valid Flask application was not obtained from 'project:none\\(\\)'"),
    ],
)
def test_a_name_that_gives_no_application_is_explained(text, message):
    found = module(create=create, text="x", none=lambda: None)
    with pytest.raises(NoAppException, match=message):
        find_app_by_string(found, text)


# -- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name", "root"),
    [
        ("one.py", "one", "."),
        ("one", "one", "."),
        ("sub/one.py", "one", "sub"),
        ("package/__init__.py", "package", "."),
        ("package/inner/web.py", "package.inner.web", "."),
        ("package.inner.web", "package.inner.web", "."),
    ],
)
def test_a_file_becomes_a_module_below_the_outermost_package(write, tmp_path, path, name, root):
    write(package____init__="", package__inner____init__="", package__inner__web="")
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "inner" / "__init__.py").touch()
    assert prepare_import(path) == name
    assert sys.path[0] == str((tmp_path / root).resolve())
    length = len(sys.path)
    prepare_import(path)
    assert len(sys.path) == length


def test_a_module_that_does_not_exist_is_none_or_an_error(write):
    write()
    assert locate_app(prepare_import("absent"), None, raise_if_not_found=False) is None
    with pytest.raises(NoAppException, match="Could not import 'absent'"):
        locate_app("absent", None)


def test_an_import_error_inside_the_module_is_shown_with_its_traceback(write):
    write(broken="import not_installed_anywhere\n")
    name = prepare_import("broken")
    for required in (True, False):
        with pytest.raises(NoAppException, match="While importing 'broken'") as caught:
            locate_app(name, None, raise_if_not_found=required)
        assert "broken.py" in str(caught.value)
        assert "No module named 'not_installed_anywhere'" in str(caught.value)


def test_other_errors_of_the_module_pass_through(write):
    write(broken="1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        locate_app(prepare_import("broken"), None)


@pytest.mark.parametrize("name", ["flask", "carboy"])
def test_an_application_in_a_file_of_the_frameworks_name_is_refused_with_the_remedy(write, name):
    """APP-17."""
    write(**{name: "app = 1\n"})
    with pytest.raises(NoAppException, match=rf"called {name}\.py.*Rename the file"):
        locate_app(prepare_import(f"{name}.py"), None)


# -- ScriptInfo ---------------------------------------------------------------------------------

SOURCE = "from carboy import Carboy\napp = Carboy({0!r})\nother = Carboy('other')\n"


def test_the_application_is_loaded_once(write):
    write(shop=SOURCE.format("shop"))
    info = ScriptInfo("shop")
    assert info.load_app() is info.load_app()
    assert info.load_app().name == "shop"


@pytest.mark.parametrize("path", ["shop:other", "shop.py:other", "{folder}/shop.py:other"])
def test_a_name_follows_a_colon(write, tmp_path, path):
    write(shop=SOURCE.format("shop"))
    assert ScriptInfo(path.format(folder=tmp_path)).load_app().name == "other"


def test_a_drive_letters_colon_parts_nothing(write):
    write()
    with pytest.raises(NoAppException, match="Could not import"):
        ScriptInfo("C:\\nowhere\\site.py").load_app()


def test_wsgi_py_is_tried_before_app_py(write):
    write(app=SOURCE.format("from app"))
    assert ScriptInfo().load_app().name == "from app"
    del sys.modules["app"]
    write(wsgi=SOURCE.format("from wsgi"))
    assert ScriptInfo().load_app().name == "from wsgi"


def test_a_wsgi_py_that_fails_to_import_is_not_passed_over(write):
    write(wsgi="import not_installed_anywhere\n", app=SOURCE.format("from app"))
    with pytest.raises(NoAppException, match="While importing 'wsgi'"):
        ScriptInfo().load_app()


def test_without_any_application_the_ways_to_name_one_are_said(write):
    write()
    with pytest.raises(NoAppException, match=r"--app.*FLASK_APP.*CARBOY_APP.*wsgi\.py"):
        ScriptInfo().load_app()


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, False),
        ({"FLASK_DEBUG": "1"}, True),
        ({"FLASK_DEBUG": "0"}, False),
        ({"FLASK_DEBUG": "1", "CARBOY_DEBUG": "0"}, False),
        ({"FLASK_DEBUG": "0", "CARBOY_DEBUG": "1"}, True),
        ({"FLASK_ENV": "development"}, False),
    ],
)
def test_the_environment_decides_over_debug(monkeypatch, env, expected):
    """CLI-20, D-04."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    app = Carboy("site")
    app.debug = not expected
    assert ScriptInfo(create_app=lambda: app).load_app().debug is expected
    app.debug = True
    assert ScriptInfo(create_app=lambda: app, set_debug_flag=False).load_app().debug is True


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, True),
        ({"FLASK_SKIP_DOTENV": "1"}, False),
        ({"FLASK_SKIP_DOTENV": "1", "CARBOY_SKIP_DOTENV": "0"}, True),
        ({"CARBOY_SKIP_DOTENV": "1"}, False),
    ],
)
def test_whether_dotenv_files_are_wanted(monkeypatch, env, expected):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert ScriptInfo().load_dotenv_defaults is expected
