"""`importlib.metadata` and the alias: Flask's version is known where only Carboy is installed.

Sentry's SDK and OpenTelemetry's instrumentation look for it, and do nothing without it.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def run(run_python: Any, tmp_path: Path) -> Any:
    def run_script(source: str) -> str:
        (tmp_path / "script.py").write_text(source)
        result = run_python("script.py")
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout.strip()

    return run_script


@pytest.fixture
def no_flask() -> None:
    if any(found.name.lower() == "flask" for found in metadata.distributions()):
        pytest.skip("Flask is installed here")


def add_flask(folder: Path) -> None:
    (folder / "Flask-9.9.dist-info").mkdir()
    (folder / "Flask-9.9.dist-info" / "METADATA").write_text("Name: Flask\nVersion: 9.9\n")


@pytest.mark.parametrize("name", ["flask", "Flask"])
def test_the_version_is_that_of_the_flask_that_carboy_is(run, no_flask, name) -> None:
    script = "import carboy.as_flask; from importlib import metadata; print(metadata.version({!r}))"
    assert run(script.format(name)) == "3.1.3"


def test_without_the_alias_flask_is_not_installed(run, no_flask) -> None:
    assert (
        run("""
import carboy
from importlib import metadata
try:
    metadata.version("flask")
except metadata.PackageNotFoundError:
    print("not found")
""")
        == "not found"
    )


def test_the_carboy_command_answers_before_flask_is_imported(run, no_flask) -> None:
    script = "from carboy._alias import expect_flask; from importlib import metadata\n"
    script += "expect_flask(); print(metadata.version('flask'))"
    assert run(script) == "3.1.3"


def test_a_flask_that_is_installed_answers_for_itself(run, tmp_path) -> None:
    add_flask(tmp_path)
    assert (
        run("""
import carboy.as_flask
from importlib import metadata
print(metadata.version("flask"), [d.version for d in metadata.distributions(name="flask")][0])
""")
        == "9.9 9.9"
    )


def test_lists_of_everything_name_flask_once(run, no_flask) -> None:
    assert (
        run("""
import carboy.as_flask
from importlib import metadata
print([d.version for d in metadata.distributions() if d.name == "Flask"])
""")
        == "['3.1.3']"
    )


def test_other_names_and_other_folders_are_not_answered_for(run, no_flask, tmp_path) -> None:
    assert (
        run("""
import carboy.as_flask
from importlib import metadata
print(list(metadata.distributions(name="flask-login")), list(metadata.distributions(path=["."])))
""")
        == "[] []"
    )


def test_it_has_neither_files_nor_requirements_nor_modules(run, no_flask) -> None:
    assert run("""
import carboy.as_flask
from importlib import metadata
stand_in = metadata.distribution("flask")
print(stand_in.files, stand_in.requires, list(stand_in.entry_points))
print(metadata.packages_distributions().get("flask"), stand_in.metadata["Summary"])
print(stand_in.locate_file("carboy").joinpath("as_flask.py").is_file())
""").splitlines() == ["None None []", "None Carboy under the name of Flask", "True"]


def test_the_alias_does_not_import_importlib_metadata_itself(run) -> None:
    script = "import sys, carboy.as_flask; print('importlib.metadata' in sys.modules)"
    assert run(script) == "False"
