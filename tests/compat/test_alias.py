"""`import carboy.as_flask`: what `flask` means afterwards, and what is refused.

Each case runs in a process of its own: the order of imports is the subject. The real Flask is
played by a package of the same layout.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def run(run_python: Any, tmp_path: Path) -> Any:
    """Run a script and return its output; a failure shows the child's traceback."""

    def run_script(source: str, *, ok: bool = True, **env: str) -> str:
        (tmp_path / "script.py").write_text(source)
        result = run_python("script.py", **env)
        assert (result.returncode == 0) is ok, result.stdout + result.stderr
        return result.stdout if ok else result.stderr

    return run_script


@pytest.fixture
def real_flask(tmp_path: Path) -> Path:
    """A package with the layout of Flask's on the child's path, and an extension of it."""
    site = tmp_path / "site"
    package = site / "flask"
    package.mkdir(parents=True)
    for name in ("app", "ctx", "globals"):
        (package / f"{name}.py").write_text("")
    (package / "app.py").write_text("class Flask: pass\n")
    (package / "__init__.py").write_text(
        "import os\nfrom .app import Flask\nif os.environ.get('HALF'): import halfway\n"
    )
    (package / "__main__.py").write_text("print('the real one')\n")
    (site / "flask_thing.py").write_text("from flask import Flask\n")
    (site / "halfway.py").write_text("import carboy.as_flask\n")
    return site


# -- what it gives ------------------------------------------------------------------------------


def test_each_module_of_flask_is_the_very_module_of_carboy(run):
    run("""
import carboy.as_flask
import sys, importlib
import flask.cli, flask.testing, flask.views, flask.json.tag, flask.sansio.app
from flask.templating import Environment
for name in ("app", "blueprints", "cli", "config", "ctx", "debughelpers", "globals", "helpers",
             "json", "json.provider", "json.tag", "logging", "sessions", "signals", "templating",
             "testing", "typing", "views", "wrappers",
             "sansio", "sansio.app", "sansio.blueprints", "sansio.scaffold"):
    ours = importlib.import_module("carboy." + name)
    assert importlib.import_module("flask." + name) is ours, name
    assert sys.modules["flask." + name] is ours
    assert ours.__name__ == "carboy." + name == ours.__spec__.name
    found = flask
    for part in name.split("."):
        found = getattr(found, part)
    assert found is ours
""")


def test_modules_that_are_loaded_anyway_are_there_at_once(run):
    run("""
import carboy.as_flask, sys, carboy.app
assert sys.modules["flask.app"] is carboy.app
assert sys.modules["flask.globals"] is carboy.globals
""")


def test_the_alias_loads_nothing_heavy_by_itself(run):
    run("""
import carboy.as_flask, sys
import flask
from flask import Flask, request
heavy = {"jinja2", "click", "asyncio", "werkzeug.debug", "unittest", "importlib.metadata"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
""")


def test_the_face_has_flasks_names_and_version(run):
    run("""
import carboy.as_flask, carboy, flask
assert flask.__version__ == "3.1.3"
assert flask.__name__ == "flask"
assert flask.Flask is carboy.Carboy
for name in flask.__all__:
    assert getattr(flask, name) is getattr(carboy, name), name
assert set(flask.__all__) <= set(dir(flask))
""")


def test_a_star_import_gives_the_public_names(run):
    run("""
import carboy.as_flask
from flask import *
app = Flask(__name__)
app.add_url_rule("/", view_func=lambda: jsonify(path=request.path))
assert app.test_client().get("/").json == {"path": "/"}
""")


@pytest.mark.parametrize(
    "name",
    ["_app_ctx_stack", "_request_ctx_stack", "Module", "signals_available", "escape", "Markup"],
)
def test_names_that_flask_has_dropped_do_not_exist(run, name):
    """Extensions tell versions of Flask apart by them."""
    run(f"""
import carboy.as_flask, flask
assert not hasattr(flask, {name!r})
try:
    from flask import {name}
except ImportError:
    pass
else:
    raise SystemExit("it is there")
""")


@pytest.mark.parametrize("name", ["scaffold", "routing", "plan", "_compat", "as_flask", "exthook"])
def test_modules_that_flask_does_not_have_do_not_exist(run, name):
    run(f"""
import carboy.as_flask
import carboy, importlib.util
assert importlib.util.find_spec("flask.{name}") is None
try:
    import flask.{name}
except ModuleNotFoundError as error:
    assert error.name == "flask.{name}"
else:
    raise SystemExit("it is there")
""")


def test_patches_by_name_reach_carboys_own_modules(run):
    run("""
import carboy.as_flask
from unittest import mock
import carboy.helpers, carboy.cli, flask
with mock.patch("flask.helpers.url_for", "patched"):
    assert carboy.helpers.url_for == "patched"
with mock.patch("flask.cli.load_dotenv", "patched"):
    assert carboy.cli.load_dotenv == "patched"
with mock.patch("flask.render_template", "patched"):
    assert flask.render_template == "patched"
assert flask.render_template is carboy.render_template
""")


def test_pickles_of_flasks_names_are_read(run):
    run("""
import carboy.as_flask
import pickle, carboy
assert pickle.loads(b"cflask.app\\nFlask\\n.") is carboy.Carboy
assert pickle.loads(b"cflask.testing\\nFlaskClient\\n.") is carboy.testing.FlaskClient
""")


def test_the_alias_chooses_the_profile_flask(run):
    run("""
import carboy.config
assert carboy.config.profile == "carboy"
import carboy.as_flask
assert carboy.config.profile == "flask"
""")


def test_importing_it_twice_is_harmless(run):
    run("""
import carboy.as_flask, sys, importlib
import flask
finders = len(sys.meta_path)
importlib.reload(carboy.as_flask)
assert sys.modules["flask"] is flask and len(sys.meta_path) == finders
""")


def test_flask_can_be_forgotten_and_imported_again(run):
    """As tests do that purge sys.modules."""
    run("""
import carboy.as_flask, sys, carboy
for name in [n for n in sys.modules if n.partition(".")[0] == "flask"]:
    del sys.modules[name]
import flask
assert flask.Flask is carboy.Carboy and flask.app is carboy.app
""")


def test_flask_can_be_found_without_being_imported(run):
    run("""
import carboy.as_flask, importlib.util
assert importlib.util.find_spec("flask").name == "flask"
assert importlib.util.find_spec("flask.templating") is not None
""")


def test_the_alias_wins_over_an_installed_flask(run, real_flask):
    run(
        "import carboy.as_flask, carboy, flask, flask_thing\n"
        "assert flask_thing.Flask is carboy.Carboy\n",
        PYTHONPATH=str(real_flask),
    )


def test_an_installed_flasks_metadata_is_left_alone(run, real_flask):
    info = real_flask / "flask-9.9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flask\nVersion: 9.9.9\n")
    run(
        "import carboy.as_flask, importlib.metadata, flask\n"
        "assert importlib.metadata.version('flask') == '9.9.9'\n"
        "assert flask.__version__ == '3.1.3'\n",
        PYTHONPATH=str(real_flask),
    )


# -- what it refuses ----------------------------------------------------------------------------


def test_after_the_real_flask_it_names_the_importer_and_the_fix(run, real_flask, tmp_path):
    (tmp_path / "first.py").write_text("import flask\n")
    error = run("import first\nimport carboy.as_flask\n", ok=False, PYTHONPATH=str(real_flask))
    assert "ImportError" in error or "AliasError" in error
    assert str(real_flask / "flask" / "__init__.py") in error
    assert f"by {tmp_path / 'first.py'}" in error
    assert "before the first import of flask" in error


def test_the_importer_is_found_by_the_names_that_it_took(run, real_flask):
    error = run(
        "import flask_thing\nimport carboy.as_flask\n", ok=False, PYTHONPATH=str(real_flask)
    )
    assert f"by {real_flask / 'flask_thing.py'}" in error


def test_in_the_middle_of_flasks_own_import_it_names_the_importer(run, real_flask, tmp_path):
    error = run("import flask\n", ok=False, PYTHONPATH=str(real_flask), HALF="1")
    assert "is being imported at this moment" in error
    assert f"by {tmp_path / 'script.py'}" in error


def test_remains_of_the_real_flask_are_named(run, real_flask):
    """An import that failed half-way leaves submodules behind; so does clearing sys.modules."""
    error = run(
        "import flask, sys\ndel sys.modules['flask'], flask\nimport carboy.as_flask\n",
        ok=False,
        PYTHONPATH=str(real_flask),
    )
    assert "The real Flask was imported before" in error
    assert f"flask.app ({real_flask / 'flask' / 'app.py'})" in error


def test_an_import_of_the_real_flask_that_failed_half_way_is_named(run, real_flask):
    (real_flask / "flask" / "__init__.py").write_text("from .app import Flask\nimport missing\n")
    error = run(
        "try:\n    import flask\nexcept ImportError: pass\nimport carboy.as_flask\n",
        ok=False,
        PYTHONPATH=str(real_flask),
    )
    assert "The real Flask was imported before" in error
    assert "before the first import of flask" in error


def test_the_alias_half_way_through_its_own_import_is_harmless(run, tmp_path):
    """An extension that installs the alias again while `flask` is being imported through it."""
    (tmp_path / "flask_again.py").write_text("import carboy.as_flask\nfrom flask import Flask\n")
    run("""
import carboy.as_flask
import flask_again, carboy
assert flask_again.Flask is carboy.Carboy
""")


def test_a_flask_py_of_the_applications_own_is_named(run, tmp_path):
    """APP-17."""
    (tmp_path / "flask.py").write_text("app = None\n")
    error = run("import flask\nimport carboy.as_flask\n", ok=False)
    assert str(tmp_path / "flask.py") in error
    assert "Rename the file" in error


def test_a_flask_py_that_was_not_imported_yet_is_no_hindrance(run, tmp_path):
    (tmp_path / "flask.py").write_text("raise SystemExit('the wrong one')\n")
    run("import carboy.as_flask, flask, carboy\nassert flask.Flask is carboy.Carboy\n")


def test_the_refusal_is_an_import_error_and_can_be_repeated(run, real_flask):
    run(
        "import flask\n"
        "for attempt in range(2):\n"
        "    try:\n"
        "        import carboy.as_flask\n"
        "    except ImportError as error:\n"
        "        assert error.name == 'flask'\n"
        "    else:\n"
        "        raise SystemExit('not refused')\n"
        "assert flask.Flask.__module__ == 'flask.app'\n",
        PYTHONPATH=str(real_flask),
    )


def test_the_command_names_an_application_in_a_file_flask_py(run_python, tmp_path):
    (tmp_path / "flask.py").write_text("app = None\n")
    result = run_python("-m", "carboy", "--app", "flask", "routes")
    assert result.returncode != 0
    assert "flask.py, the name of the framework itself" in result.stderr
    assert "Rename the file" in result.stderr


def test_what_the_alias_itself_left_in_sys_modules_is_no_hindrance(run):
    """The remains of the alias itself are no remains of Flask."""
    run("""
import carboy.as_flask, sys, flask.views
del sys.modules["flask"], flask
import importlib
importlib.reload(carboy.as_flask)
import flask
assert flask.Flask is carboy.Carboy
""")


# -- the command and its children ---------------------------------------------------------------

PROJECT = """
import click
from flask import Flask
app = Flask(__name__)

@app.cli.command("who")
def who():
    import carboy.config
    click.echo(f"{Flask.__module__} {carboy.config.profile}")

@app.cli.command("child")
@click.argument("arguments", nargs=-1)
def child(arguments):
    import subprocess, sys
    subprocess.run([sys.executable, *arguments], check=True)
"""


def test_the_command_runs_an_unmodified_flask_project(run_python, tmp_path):
    (tmp_path / "app.py").write_text(PROJECT)
    result = run_python("-m", "carboy", "who")
    assert result.stdout == "carboy.app flask\n", result.stderr


def test_the_command_leaves_an_application_of_carboys_its_profile(run_python, tmp_path):
    source = PROJECT.replace("from flask import Flask", "from carboy import Carboy as Flask")
    (tmp_path / "app.py").write_text(source)
    assert run_python("-m", "carboy", "who").stdout == "carboy.app carboy\n"


def test_children_of_the_command_have_the_alias_too(run_python, tmp_path, real_flask):
    (tmp_path / "app.py").write_text(PROJECT)
    code = "import flask, flask_thing; print(flask.__version__, flask_thing.Flask.__module__)"
    result = run_python("-m", "carboy", "child", "--", "-c", code, PYTHONPATH=str(real_flask))
    assert result.stdout == "3.1.3 carboy.app\n", result.stderr


def test_the_flask_command_of_a_child_is_carboys(run_python, tmp_path, real_flask):
    (tmp_path / "app.py").write_text(PROJECT)
    env = {"PYTHONPATH": str(real_flask)}
    result = run_python("-m", "carboy", "child", "--", "-m", "flask", "who", **env)
    assert result.stdout == "carboy.app flask\n", result.stderr


def test_a_child_can_have_the_real_flask_again(run_python, tmp_path, real_flask):
    (tmp_path / "app.py").write_text(PROJECT)
    code = "import flask, flask.app; print(flask.Flask.__module__)"
    env = {"PYTHONPATH": str(real_flask), "CARBOY_AS_FLASK": "0"}
    result = run_python("-m", "carboy", "child", "--", "-c", code, **env)
    assert result.stdout == "flask.app\n", result.stderr
    result = run_python("-m", "carboy", "child", "--", "-m", "flask", **env)
    assert result.stdout == "the real one\n", result.stderr


def test_a_child_whose_python_has_no_carboy_gets_the_real_flask(run_python, tmp_path, real_flask):
    """The folder on PYTHONPATH reaches other interpreters as well."""
    from carboy._alias.children import CHILD_PATH

    env = {"PYTHONPATH": os.pathsep.join([CHILD_PATH, str(real_flask)])}
    code = "import flask; print(flask.Flask.__module__)"
    # -S: without site-packages, so without the packages that are installed.
    result = run_python("-S", "-c", code, **env)
    assert result.stdout == "flask.app\n", result.stderr


def test_without_any_flask_such_a_child_says_so(run_python):
    from carboy._alias.children import CHILD_PATH

    result = run_python("-S", "-c", "import flask", PYTHONPATH=CHILD_PATH)
    assert "ModuleNotFoundError: No module named 'flask'" in result.stderr


def test_the_command_refuses_after_the_real_flask(run_python, real_flask, tmp_path):
    script = "import flask\nfrom carboy.cli import main\nmain()\n"
    (tmp_path / "script.py").write_text(script)
    result = run_python("script.py", "--version", PYTHONPATH=str(real_flask))
    assert result.returncode == 1
    assert "came too late" in result.stderr
