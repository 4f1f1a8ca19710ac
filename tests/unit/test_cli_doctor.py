"""`carboy doctor`, the scan of sources behind it, and what explains an ImportError."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from carboy.cli.installed import admits, compat_table
from carboy.cli.scan import first_import_of_flask, scan

# -- the scan -----------------------------------------------------------------------------------


@pytest.fixture
def found_in(tmp_path: Path) -> Any:
    """The findings of one source text, as (line, text, breaks)."""

    def read(source: str) -> list[tuple[int, str, bool]]:
        file = tmp_path / "source.py"
        file.write_text(source)
        return [(one.line, f"{one.what}: {one.fix}", one.breaks) for one in scan([file])]

    return read


@pytest.mark.parametrize(
    ("source", "what", "fix"),
    [
        ("from flask import _request_ctx_stack", "flask._request_ctx_stack", "flask.globals"),
        ("from flask import _app_ctx_stack as s", "flask._app_ctx_stack", "flask.g"),
        ("from flask import escape", "flask.escape", "markupsafe"),
        ("import flask\nflask.Markup('x')", "flask.Markup", "markupsafe"),
        ("import flask as f\nf.safe_join", "flask.safe_join", "werkzeug.utils"),
        ("import flask\nflask.json.JSONEncoder", "flask.json.JSONEncoder", "provider"),
        ("from flask.json import JSONEncoder", "flask.json.JSONEncoder", "provider"),
        ("from flask.scaffold import Scaffold", "flask.scaffold", "sansio.scaffold"),
        ("import flask.scaffold", "flask.scaffold", "sansio.scaffold"),
        ("from flask import scaffold", "flask.scaffold", "sansio.scaffold"),
        ("from flask.ext.sqlalchemy import SQLAlchemy", "flask.ext", "flask_NAME"),
        ("from flask.signals import signals_available", "signals_available", "always"),
        ("@app.before_first_request\ndef f(): pass", "before_first_request", "where"),
        ("class A:\n  def f(self): self.app.json_encoder = 1", "json_encoder", "provider"),
        ("print(app.env)", "app.env", "FLASK_DEBUG"),
        ("print(self.app.env)", "app.env", "FLASK_DEBUG"),
        ("app.config['ENV']", "app.config['ENV']", "FLASK_DEBUG"),
        ("app.config.get('ENV')", "app.config['ENV']", "FLASK_DEBUG"),
        ("app.config['JSON_AS_ASCII'] = False", "JSON_AS_ASCII", "app.json"),
        ("app.config.from_json('x')", "from_json", "from_file"),
        ("send_file(f, attachment_filename='a')", "attachment_filename", "download_name"),
        ("flask.send_from_directory(d, f, cache_timeout=1)", "cache_timeout", "max_age"),
        (
            "@app.after_request\ndef f(response):\n  response.x = 1",
            "the after_request function 'f' returns nothing",
            "return response",
        ),
    ],
)
def test_a_use_of_what_is_gone_is_found_with_its_fix(
    found_in: Any, source: str, what: str, fix: str
) -> None:
    [(_, text, breaks)] = found_in(source)
    assert what in text and fix in text.partition(": ")[2]
    assert breaks


@pytest.mark.parametrize(
    "source",
    [
        "import flask\nif flask.__version__ < '2': pass",
        "from flask import __version__",
        "import importlib.metadata\nimportlib.metadata.version('flask')",
        "import pkg_resources\npkg_resources.get_distribution('Flask').version",
        "import os\nos.environ.get('FLASK_ENV')",
    ],
)
def test_what_only_differs_is_named_and_breaks_nothing(found_in: Any, source: str) -> None:
    [(_, _, breaks)] = found_in(source)
    assert not breaks


@pytest.mark.parametrize(
    "source",
    [
        "from flask import Flask, request, g, json, views",
        "from flask.globals import request_ctx, app_ctx, _cv_request",
        "from flask.sansio.scaffold import Scaffold",
        "from flask.json.provider import DefaultJSONProvider",
        "try:\n  from flask import _app_ctx_stack\nexcept ImportError:\n  _app_ctx_stack = None",
        "try:\n  import flask.scaffold\nexcept (ImportError, KeyError):\n  pass",
        "if hasattr(app, 'before_first_request'):\n  app.before_first_request(f)",
        "from markupsafe import escape",
        "from elsewhere import _request_ctx_stack, JSONEncoder",
        "settings.env",
        "os.environ['ENV']; config['ENVIRONMENT']; thing['ENV']",
        "app.config['JSON_SORT_KEYS'] = False",
        "@app.after_request\ndef f(response):\n  return response",
        "@app.after_request\ndef f(response):\n  if x:\n    return response\n  raise KeyError",
        "@app.before_request\ndef f():\n  pass",
        "send_file(f, download_name='a')",
        "version('werkzeug')",
    ],
)
def test_what_works_is_not_named(found_in: Any, source: str) -> None:
    assert found_in(source) == []


def test_an_inner_function_s_return_is_not_the_hook_s(found_in: Any) -> None:
    source = "@app.after_request\ndef f(response):\n  def g():\n    return 1\n  g()"
    [(line, _, _)] = found_in(source)
    assert line == 2


def test_findings_stand_in_the_order_of_the_lines(found_in: Any) -> None:
    source = "app.env\nfrom flask import escape\n\napp.json_encoder = 1\n"
    assert [line for line, _, _ in found_in(source)] == [1, 2, 4]


def test_files_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "nul.py").write_bytes(b"x = '\0'")
    (tmp_path / "good.py").write_text("from flask import escape")
    names = ("broken.py", "nul.py", "missing.py", "good.py")
    assert [one.file.name for one in scan(tmp_path / name for name in names)] == ["good.py"]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import os\n\nfrom flask import Flask\n", 3),
        ("import os\nimport flask_login, flask\n", 2),
        ("import flask.json\n", 1),
        ("from .flask import x\nfrom carboy import Carboy\n", None),
        ("def (", None),
    ],
)
def test_the_first_import_of_flask_or_an_extension(
    tmp_path: Path, source: str, line: int | None
) -> None:
    (tmp_path / "a.py").write_text(source)
    assert first_import_of_flask(tmp_path / "a.py") == line


# -- versions and the table ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pin", "admitted"),
    [
        ("", True),
        (">=2.2", True),
        (">=2,<4", True),
        ("~=3.0", True),
        ("==3.*", True),
        ("==3.1.3", True),
        ("!=3.1.2", True),
        (">=0.9,!=2.0.0", True),
        ("<=3.1.3", True),
        (">=3.2.dev0", True),  # not understood
        ("<3", False),
        ("<2.3,>=1.0", False),
        ("==2.2.5", False),
        ("~=2.3", False),
        ("~=3.0.0", False),
        ("==2.*", False),
        ("!=3.1.*", False),
        (">3.1.3", False),
        (">=4", False),
    ],
)
def test_a_pin_admits_3_1_3_or_not(pin: str, admitted: bool) -> None:
    assert admits(pin, "3.1.3") is admitted


def test_the_packaged_table_has_rows_by_plain_names() -> None:
    row = compat_table()["flask-sqlalchemy"]
    assert row["flask"] == row["carboy"] > 400


# -- the command --------------------------------------------------------------------------------


@pytest.fixture
def doctor(run_python: Any, tmp_path: Path) -> Any:
    """Write files, run `carboy doctor --app app`; gives exit status and output."""
    (tmp_path / "site").mkdir()

    def run(*arguments: str, **files: str) -> tuple[int, str]:
        for name, source in files.items():
            (tmp_path / f"{name}.py").write_text(source)
        site = str(tmp_path / "site")
        command = arguments or ("doctor", "--app", "app")
        result = run_python("-m", "carboy", *command, PYTHONPATH=site, NO_COLOR="1")
        return result.returncode, result.stdout + result.stderr

    return run


@pytest.fixture
def install(tmp_path: Path) -> Any:
    """Put a distribution with one module on the child's path, as pip would."""

    def put(name: str, version: str, requires: str, source: str = "import flask\n") -> None:
        # A folder that the doctor takes for installed packages.
        site = tmp_path / "site" / "site-packages"
        module = name.lower().replace("-", "_")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {requires}\n"
        )
        (info / "RECORD").write_text(f"{module}.py,,\n")
        (tmp_path / "site" / "sitecustomize.py").write_text(
            f"import sys\nsys.path.append({str(site)!r})\n"
        )

    return put


GOOD = "import os\nfrom flask import Flask\n\napp = Flask(__name__)\n"


def test_a_plain_application_needs_no_change(doctor: Any) -> None:
    status, output = doctor(app=GOOD)
    assert status == 0, output
    assert "app: imported, 1 routes, as Flask 3.1.3" in output
    assert "Extensions\n  none" in output
    assert "none under the carboy command" in output
    assert "put 'import carboy.as_flask' before app.py:2" in output


def test_the_application_can_be_named_before_the_command(doctor: Any) -> None:
    assert doctor("--app", "app:app", "doctor", app=GOOD)[0] == 0


def test_uses_are_named_with_file_line_and_fix(doctor: Any) -> None:
    status, output = doctor(
        app="import part\n" + GOOD + "app.config.get('ENV')\n",
        part="def unused():\n    from flask import escape\n",
    )
    assert status == 1
    assert "app.py:6: app.config['ENV'], which Flask 2.3 has dropped. Fix: use --debug" in output
    assert "part.py:2: flask.escape, which Flask 3.0 has dropped. Fix: import it from" in output
    assert "First line to change\n  app.py:6: use --debug" in output


def test_what_only_differs_leaves_the_exit_status_zero(doctor: Any) -> None:
    status, output = doctor(app=GOOD + "import flask\nflask.__version__\n")
    assert status == 0
    assert "app.py:6: flask.__version__" in output


def test_an_application_that_cannot_be_imported_is_explained(doctor: Any) -> None:
    status, output = doctor(app=GOOD + "from flask import _request_ctx_stack\n")
    assert status == 1
    assert "cannot be imported: Flask 2.3 has dropped flask._request_ctx_stack." in output
    assert "app.py:5: " in output
    assert "First line to change\n  app.py:5" in output


def test_an_application_that_raises_is_told_with_its_place(doctor: Any) -> None:
    status, output = doctor(app=GOOD + "app.nothing()\n")
    assert status == 1
    assert "AttributeError: 'Carboy' object has no attribute 'nothing'" in output
    assert "app.py, line 5)" in output
    assert "First line to change\n  the one that fails" in output


def test_a_name_that_was_mistyped_is_a_usage_error(doctor: Any) -> None:
    status, output = doctor("doctor", "--app", "missing", app=GOOD)
    assert status == 2
    assert "Could not import 'missing'" in output


def test_extensions_are_listed_with_their_state(doctor: Any, install: Any) -> None:
    row = compat_table()["flask-login"]
    install("Flask-Login", row["version"], "Flask>=1.0.4")
    install("Flask-Unknown", "1.0", "flask")
    install("unrelated", "1.0", "click", source="")
    status, output = doctor(app="import flask_login, flask_unknown, unrelated\n" + GOOD)
    assert status == 0, output
    tests = f"{row['carboy']} of the {row['flask']} tests that pass on Flask pass on Carboy"
    assert f"  Flask-Login {row['version']}: {tests}\n" in output
    assert "  Flask-Unknown 1.0: not in the table" in output
    assert "unrelated" not in output


def test_an_installed_application_is_looked_into_and_no_extension_of_itself(
    doctor: Any, install: Any
) -> None:
    install("program", "1.0", "Flask", source=GOOD + "app.config.get('ENV')\n")
    status, output = doctor("doctor", "--app", "program")
    assert status == 1
    assert "Extensions\n  none" in output
    assert "program.py:5: app.config['ENV']" in output


def test_without_an_import_of_flask_the_line_comes_first(doctor: Any) -> None:
    _, output = doctor(
        app="from other import app\n", other="app = __import__('flask').Flask('app')"
    )
    assert "put 'import carboy.as_flask' first in app.py" in output


def test_another_release_than_the_tested_one_is_told(doctor: Any, install: Any) -> None:
    row = compat_table()["flask-login"]
    install("flask_login", "0.1", "Flask")
    assert f"(of release {row['version']})" in doctor(app="import flask_login\n" + GOOD)[1]


def test_an_extension_that_pins_another_flask_is_ill(doctor: Any, install: Any) -> None:
    install("Flask-Old", "0.9", "Flask (<2.3,>=1.0)")
    status, output = doctor(app="import flask_old\n" + GOOD)
    assert status == 1
    assert "Flask-Old 0.9: asks for flask<2.3,>=1.0, and Carboy is Flask 3.1.3" in output
    assert "install a newer release of it" in output


def test_an_extension_of_an_older_flask_is_named_when_it_fails(doctor: Any, install: Any) -> None:
    source = "from flask import _app_ctx_stack\n"
    install("Flask-Old", "0.9", "Flask<2.3", source=source)
    for command in (("doctor", "--app", "app"), ("--app", "app", "routes")):
        status, output = doctor(*command, app="import flask_old\n" + GOOD)
        assert status != 0
        assert "Flask 2.3 has dropped flask._app_ctx_stack" in output
        assert "Flask-Old 0.9 (it requires flask<2.3) asks for it in" in output
        assert "Install a newer release of Flask-Old" in output


def test_a_missing_module_of_an_older_flask_is_explained(doctor: Any) -> None:
    status, output = doctor("routes", app="from flask.scaffold import Scaffold\n")
    assert status != 0
    assert "Flask 3.0 has dropped the module flask.scaffold" in output


def test_other_import_errors_get_no_advice(doctor: Any) -> None:
    _, output = doctor("routes", app="from flask import Flask, nonsense\n")
    assert "cannot import name 'nonsense'" in output
    assert "dropped" not in output


def test_the_table_is_packaged_as_json() -> None:
    file = Path(compat_table.__wrapped__.__code__.co_filename).with_name("compat_table.json")
    assert json.loads(file.read_text())["extensions"]
