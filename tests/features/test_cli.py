"""The command line: finding the application, built-in and own commands, dotenv files."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import socket
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from carboy import Blueprint, Carboy, current_app
from carboy.cli import (
    AppGroup,
    FlaskGroup,
    NoAppException,
    ScriptInfo,
    cli,
    find_best_app,
    load_dotenv,
    locate_app,
    prepare_import,
    with_appcontext,
)

from .child import run_python

HELLO = """
from carboy import Carboy
app = Carboy(__name__)

@app.get("/hello/<name>")
def hello(name):
    return name

@app.cli.command("greet")
def greet():
    "Greet from the application."
    from carboy import current_app
    print("hello from", current_app.name)
"""
FACTORY = """
from carboy import Carboy

def create_app(name="default", number=0):
    app = Carboy(__name__)

    @app.cli.command("show")
    def show():
        print("made with", repr(name), repr(number))

    return app
"""


@pytest.fixture
def project(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """An empty current directory; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    environ = dict(os.environ)
    yield folder
    os.environ.clear()
    os.environ.update(environ)
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(folder: pathlib.Path, name: str, source: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source), encoding="utf-8")


def invoke(*arguments: str, **options: Any) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, arguments, prog_name="carboy", **options)


# Finding the application


@pytest.mark.parametrize(
    "arguments",
    [
        ("--app", "hello_mod"),
        ("--app", "hello_mod.py"),
        ("--app", "hello_mod:app"),
        ("--app=hello_mod",),
        ("-A", "hello_mod"),
    ],
)
def test_app_option(project: pathlib.Path, arguments: tuple[str, ...]) -> None:
    """CLI-01: --app and -A take a module, a file or module:name."""
    write(project, "hello_mod.py", HELLO)
    result = invoke(*arguments, "greet")
    assert (result.exit_code, result.output) == (0, "hello from hello_mod\n")


def test_app_in_a_package_and_a_path(project: pathlib.Path) -> None:
    """CLI-01: dotted modules and paths with folders are found; packages get their full name."""
    write(project, "pack/__init__.py", "")
    write(project, "pack/web.py", HELLO)
    assert invoke("--app", "pack.web", "greet").output == "hello from pack.web\n"
    assert invoke("--app", "pack/web.py", "greet").output == "hello from pack.web\n"


def test_flask_app_variable(project: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLI-02: FLASK_APP names the application; --app wins over it."""
    write(project, "by_env.py", HELLO)
    write(project, "by_option.py", HELLO)
    monkeypatch.setenv("FLASK_APP", "by_env")
    assert invoke("greet").output == "hello from by_env\n"
    assert invoke("--app", "by_option", "greet").output == "hello from by_option\n"


@pytest.mark.parametrize(
    ("files", "found"), [(["app"], "app"), (["wsgi"], "wsgi"), (["app", "wsgi"], "wsgi")]
)
def test_app_py_and_wsgi_py_are_found(project: pathlib.Path, files: list[str], found: str) -> None:
    """CLI-03: wsgi.py, then app.py in the current directory need not be named."""
    for name in files:
        write(project, f"{name}.py", HELLO)
    assert invoke("greet").output == f"hello from {found}\n"


@pytest.mark.parametrize(
    ("source", "spec", "shown"),
    [
        (FACTORY, "fact", "'default' 0"),
        (FACTORY, "fact:create_app", "'default' 0"),
        (FACTORY, "fact:create_app()", "'default' 0"),
        (FACTORY, "fact:create_app('dev')", "'dev' 0"),
        (FACTORY, "fact:create_app('dev', number=3)", "'dev' 3"),
        (FACTORY, "fact:create_app(number=[1, {'a': None}],)", "'default' [1, {'a': None}]"),
        (FACTORY.replace("create_app", "make_app"), "fact", "'default' 0"),
        (FACTORY.replace("create_app", "build"), "fact:build('x')", "'x' 0"),
    ],
)
def test_factories(project: pathlib.Path, source: str, spec: str, shown: str) -> None:
    """CLI-04: create_app and make_app are called; `module:factory(args)` with literals."""
    write(project, "fact.py", source)
    result = invoke("--app", spec, "show")
    assert result.output == f"made with {shown}\n", result.output


@pytest.mark.parametrize(
    ("source", "spec", "message"),
    [
        ("x = 1\n", "mod", "Failed to find"),
        ("x = 1\n", "mod:missing", "Failed to find"),
        ("x = 1\n", "mod:x", "valid"),
        (FACTORY, "mod:create_app(name)", "literal"),
        (FACTORY, "mod:create_app(1, 2, 3)", "could not be called|arguments"),
        (FACTORY, "mod:not an expression", "Failed to parse"),
        ("from carboy import Carboy\na = Carboy('a')\nb = Carboy('b')\n", "mod", "multiple"),
        ("def create_app(required): pass\n", "mod", "create_app"),
        ("", "not_there", "Could not import"),
        ("import no_such_module_at_all\n", "mod", "ModuleNotFoundError|no_such_module_at_all"),
        ("1 / 0\n", "mod", "ZeroDivisionError"),
    ],
)
def test_clear_errors(project: pathlib.Path, source: str, spec: str, message: str) -> None:
    """CLI-05: no application, a wrong name, wrong arguments, a broken import: each says what."""
    import re

    write(project, "mod.py", source)
    result = invoke("--app", spec, "routes")
    shown = result.output + repr(result.exception)
    assert result.exit_code != 0
    assert re.search(message, shown), shown


def test_nothing_to_be_found(project: pathlib.Path) -> None:
    """CLI-05: without any application the error tells the ways to name one."""
    result = invoke("routes")
    assert result.exit_code == 2
    assert "Could not locate a" in result.output
    assert "--app" in result.output and "wsgi.py" in result.output


def test_import_errors_are_shown_with_traceback_in_the_help(project: pathlib.Path) -> None:
    """CLI-05: --help works with a broken application and shows its traceback."""
    write(project, "broken_app.py", "import no_such_module_at_all\n")
    done = run_python("-m", "carboy", "--app", "broken_app", "--help", cwd=project)
    assert done.returncode == 0
    assert "run" in done.stdout
    assert "no_such_module_at_all" in done.stderr


def test_application_is_loaded_lazily(project: pathlib.Path) -> None:
    """CLI-05: ScriptInfo loads the application when asked, once."""
    calls: list[int] = []

    def create() -> Carboy:
        calls.append(1)
        return Carboy("lazy")

    info = ScriptInfo(create_app=create)
    assert calls == []
    assert info.load_app() is info.load_app()
    assert calls == [1]
    with pytest.raises(NoAppException):
        ScriptInfo().load_app()


def test_find_best_app_and_locate_app(project: pathlib.Path) -> None:
    """CLI-03: the search prefers `app`, then `application`, then the only one, then factories."""

    class Module:
        __name__ = "module"

    module: Any = Module()
    module.other = Carboy("other")
    assert find_best_app(module) is module.other
    module.application = Carboy("application")
    assert find_best_app(module) is module.application
    module.app = Carboy("app")
    assert find_best_app(module) is module.app
    write(project, "locate_me.py", HELLO)
    prepare_import("locate_me.py")
    assert locate_app("locate_me", None).name == "locate_me"
    assert locate_app("no_such_module", None, raise_if_not_found=False) is None
    with pytest.raises(NoAppException):
        locate_app("no_such_module", None)


# run, shell, routes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SERVED = """
from carboy import Carboy
app = Carboy(__name__)

@app.get("/")
def index():
    return f"debug={app.debug}"
"""


def test_run_serves_on_host_and_port(start_server: Callable[..., Any]) -> None:
    """CLI-06: run --host --port --debug serves the application."""
    server = start_server(SERVED, "run", "--host", "127.0.0.1", "--port", "0", "--no-reload")
    assert server.get("/")[2] == b"debug=False"
    assert "Debug mode: off" in server.output


def test_run_port_variable_and_debug(start_server: Callable[..., Any]) -> None:
    """CLI-07, CLI-20: FLASK_RUN_PORT gives the port, FLASK_DEBUG=1 turns debug on."""
    port = free_port()
    server = start_server(
        SERVED,
        "run",
        "--no-reload",
        FLASK_RUN_PORT=str(port),
        FLASK_DEBUG="1",
        FLASK_ENV="production",
    )
    assert server.port == port
    assert server.get("/")[2] == b"debug=True"


def test_run_options_are_listed(project: pathlib.Path) -> None:
    """CLI-06: run --help names its options."""
    output = invoke("run", "--help").output
    for option in ("--host", "--port", "--debug", "--reload", "--with-threads", "--cert", "--key"):
        assert option in output


@pytest.mark.parametrize(
    ("variable", "value"), [("FLASK_RUN_HOST", "no.such.host.invalid"), ("FLASK_RUN_PORT", "many")]
)
def test_other_run_variables_are_read(project: pathlib.Path, variable: str, value: str) -> None:
    """CLI-07: FLASK_RUN_* are the defaults of run's options."""
    write(project, "app.py", HELLO)
    done = run_python("-m", "carboy", "run", "--no-reload", cwd=project, **{variable: value})
    assert done.returncode != 0
    if variable == "FLASK_RUN_PORT":
        assert "'many' is not a valid" in done.stderr


def test_shell_has_the_app_context(project: pathlib.Path) -> None:
    """CLI-08: shell runs a console in the app context, with app, g and the processors' names."""
    write(
        project,
        "app.py",
        HELLO + "\n@app.shell_context_processor\ndef more():\n    return {'answer': 42}\n",
    )
    done = run_python(
        "-m",
        "carboy",
        "shell",
        cwd=project,
        stdin="from carboy import current_app\nprint('name', current_app.name, app.name, answer)\n",
    )
    assert "name app app 42" in done.stdout, done.stderr


def test_make_shell_context(app: Carboy) -> None:
    """CLI-08: make_shell_context collects app, g and what the processors give."""
    app.shell_context_processor(lambda: {"answer": 42})
    with app.app_context():
        context = app.make_shell_context()
    assert context["app"] is app and context["answer"] == 42 and "g" in context


ROUTED = """
from carboy import Carboy
app = Carboy(__name__, static_folder=None)
view = lambda: ""
app.add_url_rule("/b", "first", view, methods=["GET", "POST"])
app.add_url_rule("/a", "second", view)
app.add_url_rule("/c/<int:x>", "third", view)
"""


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ([], ["first", "second", "third"]),
        (["--sort", "endpoint"], ["first", "second", "third"]),
        (["--sort", "rule"], ["second", "first", "third"]),
        (["-s", "methods"], ["second", "third", "first"]),
        (["--sort", "match"], ["first", "second", "third"]),
    ],
)
def test_routes_lists_and_sorts(
    project: pathlib.Path, options: list[str], order: list[str]
) -> None:
    """CLI-09: routes prints endpoint, methods, rule, sorted as wished."""
    write(project, "app.py", ROUTED)
    result = invoke("routes", *options)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].split() == ["Endpoint", "Methods", "Rule"]
    assert [line.split()[0] for line in lines[2:]] == order
    row = next(line for line in lines if line.startswith("first"))
    assert row.split(None, 1)[1].replace(",", "").split() == ["GET", "POST", "/b"]


def test_routes_all_methods(project: pathlib.Path) -> None:
    """CLI-09: --all-methods shows HEAD and OPTIONS too."""
    write(project, "app.py", ROUTED)
    assert "HEAD" not in invoke("routes").output
    output = invoke("routes", "--all-methods").output
    assert "HEAD" in output and "OPTIONS" in output


def test_routes_of_hosts_and_of_no_rules(project: pathlib.Path) -> None:
    """CLI-09: with host or subdomain matching there is a column for it; without rules a note."""
    write(
        project,
        "app.py",
        """
        from carboy import Carboy
        app = Carboy(__name__, static_folder=None, host_matching=True)
        app.add_url_rule("/", "x", lambda: "", host="example.test")
        """,
    )
    output = invoke("routes").output
    assert "Host" in output and "example.test" in output
    write(project, "none.py", "from carboy import Carboy\napp = Carboy('x', static_folder=None)\n")
    assert "No routes" in invoke("--app", "none", "routes").output


def test_version(project: pathlib.Path) -> None:
    """CLI-10: --version prints the versions of Python, the framework and Werkzeug."""
    result = invoke("--version")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert any(line.startswith("Python 3.") for line in lines)
    assert any(line.startswith(("Carboy ", "Flask ")) for line in lines)
    assert f"Werkzeug {importlib.metadata.version('werkzeug')}" in lines


def test_help_lists_built_in_and_own_commands(project: pathlib.Path) -> None:
    """CLI-11: --help lists run, shell, routes and the application's commands."""
    write(project, "app.py", HELLO)
    output = invoke("--help").output
    for name in ("run", "shell", "routes", "greet"):
        assert f"\n  {name} " in output
    assert "Greet from the application." in output


# Own commands


def test_command_decorators_run_in_the_app_context(app: Carboy) -> None:
    """CLI-12: @app.cli.command() takes the function's name, ('name') another one."""

    @app.cli.command()
    def first_command() -> None:
        click.echo(f"first {current_app.name}")

    @app.cli.command("other")
    def second() -> None:
        click.echo(f"other {current_app.name}")

    @app.cli.command("bare", with_appcontext=False)
    def bare() -> None:
        click.echo(f"context {bool(current_app)}")

    runner = app.test_cli_runner()
    # Click 8.2 drops a `_command` ending from the name; before it was `first-command`.
    name = next(n for n in app.cli.commands if n.startswith("first"))
    assert runner.invoke(args=[name]).output == "first test_app\n"
    assert runner.invoke(args=["other"]).output == "other test_app\n"
    assert runner.invoke(args=["bare"]).output == "context False\n"


def test_arguments_options_flags_and_prompts(app: Carboy) -> None:
    """CLI-13: click's arguments, options, flags, defaults and prompts work as ever."""

    @app.cli.command("make")
    @click.argument("name")
    @click.option("--count", default=1, show_default=True)
    @click.option("--admin/--no-admin", default=False)
    @click.option("--word", prompt=True)
    def make(name: str, count: int, admin: bool, word: str) -> None:
        click.echo(f"{name} {count} {admin} {word}")

    runner = app.test_cli_runner()
    result = runner.invoke(args=["make", "ada", "--count", "2", "--admin"], input="secret\n")
    assert result.output.splitlines()[-1] == "ada 2 True secret"
    assert runner.invoke(args=["make", "x", "--count", "y", "--word", "z"]).exit_code == 2
    missing = runner.invoke(args=["make"])
    assert missing.exit_code == 2 and "NAME" in missing.output


def test_groups(app: Carboy) -> None:
    """CLI-14: @app.cli.group() and AppGroup make commands of commands, in the app context."""

    @app.cli.group()
    def translate() -> None:
        """Work on translations."""

    @translate.command()
    @click.argument("language")
    def update(language: str) -> None:
        click.echo(f"{language} {current_app.name}")

    users = AppGroup("users", help="Work on users.")

    @users.command("create")
    def create() -> None:
        click.echo(f"created by {current_app.name}")

    @users.group("roles")
    def roles() -> None:
        pass

    @roles.command("list")
    def list_roles() -> None:
        click.echo(f"roles of {current_app.name}")

    app.cli.add_command(users)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["translate", "update", "de"]).output == "de test_app\n"
    assert runner.invoke(args=["users", "create"]).output == "created by test_app\n"
    assert runner.invoke(args=["users", "roles", "list"]).output == "roles of test_app\n"
    assert "Work on users." in runner.invoke(args=["users", "--help"]).output


@pytest.mark.parametrize(
    ("constructor", "registration", "command"),
    [
        ({}, {}, ["auth", "reset"]),
        ({"cli_group": "accounts"}, {}, ["accounts", "reset"]),
        ({"cli_group": None}, {}, ["reset"]),
        ({}, {"cli_group": "late"}, ["late", "reset"]),
        ({"cli_group": "accounts"}, {"cli_group": None}, ["reset"]),
    ],
)
def test_blueprint_commands(
    app: Carboy, constructor: dict[str, Any], registration: dict[str, Any], command: list[str]
) -> None:
    """CLI-15: a blueprint's commands lie under its name, another cli_group, or at the top."""
    bp = Blueprint("auth", __name__, **constructor)

    @bp.cli.command("reset")
    def reset() -> None:
        click.echo(f"reset {current_app.name}")

    app.register_blueprint(bp, **registration)
    result = app.test_cli_runner().invoke(args=command)
    assert (result.exit_code, result.output) == (0, "reset test_app\n")


def test_nested_blueprint_commands(app: Carboy) -> None:
    """CLI-15: a nested blueprint's commands lie under its full name."""
    parent, child = Blueprint("parent", __name__), Blueprint("child", __name__)

    @child.cli.command("work")
    def work() -> None:
        click.echo("child works")

    parent.register_blueprint(child)
    app.register_blueprint(parent)
    result = app.test_cli_runner().invoke(args=["parent.child", "work"])
    assert (result.exit_code, result.output) == (0, "child works\n")


def test_usage_errors_and_exit_codes(app: Carboy) -> None:
    """CLI-16: UsageError stops with a message and 2, ClickException 1, exceptions are kept."""

    @app.cli.command("fail")
    @click.argument("how")
    def fail(how: str) -> None:
        if how == "usage":
            raise click.UsageError("use it otherwise")
        if how == "click":
            raise click.ClickException("something is wrong")
        if how == "exit":
            raise SystemExit(7)
        raise LookupError("broken")

    runner = app.test_cli_runner()
    results = {how: runner.invoke(args=["fail", how]) for how in ("usage", "click", "exit", "bug")}
    assert {how: r.exit_code for how, r in results.items()} == {
        "usage": 2,
        "click": 1,
        "exit": 7,
        "bug": 1,
    }
    assert "use it otherwise" in results["usage"].output
    assert "something is wrong" in results["click"].output
    assert isinstance(results["bug"].exception, LookupError)
    assert runner.invoke(args=["no-such-command"]).exit_code == 2


def test_docstrings_become_help(app: Carboy) -> None:
    """CLI-17: the command's docstring is its help, the first sentence its line in the list."""

    @app.cli.command("explain")
    def explain() -> None:
        """Explain everything. In many words.

        And in more.
        """

    runner = app.test_cli_runner()
    assert "And in more." in runner.invoke(args=["explain", "--help"]).output
    listing = runner.invoke(args=["--help"]).output
    assert "Explain everything." in listing and "And in more." not in listing


# dotenv files

SHOW_ENV = """
import os
from carboy import Carboy
app = Carboy(__name__)

@app.cli.command("env")
def env():
    print(*(os.environ.get(name) for name in ("FROM_ENV", "FROM_FLASKENV", "BOTH", "FROM_FILE")))
"""


@pytest.fixture
def dotted(project: pathlib.Path) -> pathlib.Path:
    write(project, "app.py", SHOW_ENV)
    (project / ".env").write_text("FROM_ENV=env\nBOTH=env\n")
    (project / ".flaskenv").write_text("FROM_FLASKENV=flaskenv\nBOTH=flaskenv\n")
    (project / "other.env").write_text("FROM_FILE=file\nBOTH=file\n")
    return project


def test_env_files_are_loaded(dotted: pathlib.Path) -> None:
    """CLI-18: .env and .flaskenv are read, .env wins over .flaskenv."""
    assert invoke("env").output == "env flaskenv env None\n"


def test_environment_wins_over_files(dotted: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLI-18: what the environment has is not overwritten."""
    monkeypatch.setenv("FROM_ENV", "outer")
    assert invoke("env").output == "outer flaskenv env None\n"


def test_env_files_of_parent_folders(dotted: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLI-18: the files are found in parent folders too."""
    (dotted / "below").mkdir()
    (dotted / "app.py").rename(dotted / "below/app.py")
    monkeypatch.chdir(dotted / "below")
    assert invoke("env").output == "env flaskenv env None\n"


def test_env_files_can_be_skipped(dotted: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLI-18: FLASK_SKIP_DOTENV=1 leaves the files alone."""
    monkeypatch.setenv("FLASK_SKIP_DOTENV", "1")
    assert invoke("env").output == "None None None None\n"


def test_env_file_option(dotted: pathlib.Path) -> None:
    """CLI-18: --env-file names another file, which wins over the default ones."""
    assert invoke("--env-file", "other.env", "env").output == "env flaskenv file file\n"
    assert invoke("-e", "missing.env", "env").exit_code == 2


def test_flaskenv_may_name_the_application(project: pathlib.Path) -> None:
    """CLI-18: FLASK_APP in .flaskenv counts, though it is read by the same command."""
    write(project, "named_by_file.py", HELLO)
    (project / ".flaskenv").write_text("FLASK_APP=named_by_file\n")
    assert invoke("greet").output == "hello from named_by_file\n"


def test_load_dotenv_by_hand(dotted: pathlib.Path) -> None:
    """CLI-18: load_dotenv tells whether it loaded anything; a path names one file."""
    assert load_dotenv(dotted / "other.env", load_defaults=False) is True
    assert os.environ["FROM_FILE"] == "file"
    assert "FROM_ENV" not in os.environ
    assert load_dotenv("no-such-file", load_defaults=False) is False


# Debug, precedence, own scripts


@pytest.mark.parametrize(
    ("arguments", "environ", "debug"),
    [
        ([], {}, False),
        (["--debug"], {}, True),
        (["--no-debug"], {"FLASK_DEBUG": "1"}, False),
        ([], {"FLASK_DEBUG": "1"}, True),
        ([], {"FLASK_DEBUG": "0"}, False),
        ([], {"FLASK_ENV": "development"}, False),
        (["--debug"], {"FLASK_ENV": "production"}, True),
    ],
)
def test_debug_flag(
    project: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environ: dict[str, str],
    debug: bool,
) -> None:
    """CLI-20: --debug, --no-debug and FLASK_DEBUG decide; FLASK_ENV changes nothing."""
    write(
        project, "app.py", HELLO + "\n@app.cli.command('debug')\ndef d():\n    print(app.debug)\n"
    )
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert invoke(*arguments, "debug").output == f"{debug}\n"


def test_built_in_commands_win(project: pathlib.Path) -> None:
    """CLI-21: a command named `routes` in the application does not replace the built-in one."""
    write(
        project,
        "app.py",
        HELLO + "\n@app.cli.command('routes')\ndef own():\n    print('own routes')\n",
    )
    result = invoke("routes")
    assert "own routes" not in result.output
    assert "hello" in result.output


def test_flask_group_for_own_scripts() -> None:
    """CLI-22: FlaskGroup(create_app=) is a command line of one's own, lazily loaded."""
    made: list[str] = []

    def create() -> Carboy:
        made.append("made")
        return Carboy("own_script")

    @click.group(cls=FlaskGroup, create_app=create)
    def own() -> None:
        """Manage the shop."""

    @own.command()
    def name() -> None:
        click.echo(current_app.name)

    @own.command("plain", with_appcontext=False)
    def plain() -> None:
        click.echo("no app needed")

    runner = CliRunner()
    assert runner.invoke(own, ["plain"]).output == "no app needed\n"
    assert runner.invoke(own, ["name"]).output == "own_script\n"
    assert made.count("made") >= 1
    output = runner.invoke(own, ["--help"]).output
    assert "Manage the shop." in output and "routes" in output


def test_flask_group_without_the_default_commands() -> None:
    """CLI-22: add_default_commands and add_version_option can be turned off."""
    group = FlaskGroup(name="bare", add_default_commands=False, add_version_option=False)
    assert "run" not in group.commands
    assert not any("--version" in param.opts for param in group.params)


def test_with_appcontext_on_a_plain_click_command() -> None:
    """CLI-22: with_appcontext pushes the context for a click command of one's own."""

    @click.command()
    @with_appcontext
    def show() -> None:
        click.echo(current_app.name)

    info = ScriptInfo(create_app=lambda: Carboy("given"))
    result = CliRunner().invoke(show, obj=info)
    assert (result.exit_code, result.output) == (0, "given\n")


def test_python_dash_m_and_the_script(project: pathlib.Path) -> None:
    """CLI-23: `python -m carboy` is the command; the script is installed as an entry point."""
    write(project, "app.py", HELLO)
    done = run_python("-m", "carboy", "greet", cwd=project)
    assert (done.returncode, done.stdout) == (0, "hello from app\n")
    scripts = {
        entry.name: entry.value
        for entry in importlib.metadata.entry_points(group="console_scripts")
    }
    assert (scripts.get("carboy") or scripts.get("flask")) in ("carboy.cli:main", "flask.cli:main")


def test_commands_registered_in_a_factory(project: pathlib.Path) -> None:
    """CLI-24: commands added in the factory are found, and run in a process of their own."""
    write(project, "factory_mod.py", FACTORY)
    done = run_python("-m", "carboy", "--app", "factory_mod:create_app('x')", "show", cwd=project)
    assert (done.returncode, done.stdout) == (0, "made with 'x' 0\n")


def test_exit_code_of_a_process(project: pathlib.Path) -> None:
    """CLI-16: a failing command's exit code and message reach the shell."""
    write(project, "app.py", HELLO)
    done = run_python("-m", "carboy", "no-such-command", cwd=project)
    assert done.returncode == 2
    assert "No such command 'no-such-command'" in done.stderr


def test_commands_of_installed_plugins(project: pathlib.Path) -> None:
    """CLI-26: commands of the flask.commands entry points are there, as extensions install them."""
    write(
        project,
        "dbplugin.py",
        """
        import click

        @click.group()
        def db():
            "Perform database work."

        @db.command()
        def upgrade():
            print("upgraded")
        """,
    )
    write(
        project,
        "dbplugin-1.0.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: dbplugin\nVersion: 1.0\n",
    )
    write(
        project, "dbplugin-1.0.dist-info/entry_points.txt", "[flask.commands]\ndb = dbplugin:db\n"
    )
    write(project, "app.py", HELLO)
    done = run_python("-m", "carboy", "db", "upgrade", cwd=project)
    assert (done.returncode, done.stdout) == (0, "upgraded\n"), done.stderr
    assert "Perform database work." in run_python("-m", "carboy", "--help", cwd=project).stdout


def test_runner_passes_input_and_uses_the_app(app: Carboy) -> None:
    """CLI-24: test_cli_runner invokes the application's commands without a process."""

    @app.cli.command("echo")
    def echo() -> None:
        click.echo(sys.stdin.read().upper())

    result = app.test_cli_runner().invoke(args=["echo"], input="abc")
    assert (result.exit_code, result.output) == (0, "ABC\n")


def test_an_application_serves_without_its_command_line(project: pathlib.Path) -> None:
    """CLI-23: an application is importable and serves without touching its command line."""
    code = HELLO.replace('@app.cli.command("greet")', "") + (
        "\nprint(app.test_client().get('/hello/x').text)\n"
    )
    done = run_python("-c", code, cwd=project)
    assert done.stdout == "x\n", done.stderr
