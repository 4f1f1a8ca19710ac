"""The groups, their options and environment variables, and the built-in commands."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import ssl
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
import werkzeug.serving
from click.testing import CliRunner

from carboy import Carboy, current_app
from carboy.cli import (
    AppGroup,
    FlaskGroup,
    ScriptInfo,
    cli,
    load_dotenv,
    run_command,
    with_appcontext,
)
from carboy.cli import group as group_module

VARIABLES = ("APP", "DEBUG", "ENV_FILE", "SKIP_DOTENV", "RUN_PORT", "RUN_HOST", "RUN_FROM_CLI")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a command sets in the environment is undone, and no project is around."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in VARIABLES:
        for prefix in ("FLASK_", "CARBOY_"):
            os.environ.pop(prefix + name, None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])


@pytest.fixture
def run() -> Any:
    """`run(group, "argument", ...)`, or with an application: its own group."""

    def invoke(target: Any, *arguments: str, **options: Any) -> Any:
        group = FlaskGroup(create_app=lambda: target) if isinstance(target, Carboy) else target
        return CliRunner().invoke(group, list(arguments), **options)

    return invoke


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []

    def run_simple(hostname: str, port: int, application: Any, **options: Any) -> None:
        calls.append({"hostname": hostname, "port": port, "application": application} | options)

    monkeypatch.setattr(werkzeug.serving, "run_simple", run_simple)
    return calls


# -- groups -------------------------------------------------------------------------------------


def test_commands_of_a_group_run_in_the_context_of_the_application(app, run):
    @app.cli.command("show")
    def show() -> None:
        click.echo(current_app.name)

    @app.cli.group("nested")
    def nested() -> None:
        pass

    @nested.command("deep")
    def deep() -> None:
        click.echo(f"deep {current_app.name}")

    assert run(app, "show").output == "test_app\n"
    assert run(app, "nested", "deep").output == "deep test_app\n"
    assert type(nested) is AppGroup


def test_decorators_work_without_parentheses(app, run):
    @app.cli.command
    def show() -> None:
        click.echo(current_app.name)

    @app.cli.group
    def nested() -> None:
        pass

    @nested.command
    def deep() -> None:
        click.echo(f"deep {current_app.name}")

    assert isinstance(show, click.Command)
    assert run(app, "show").output == "test_app\n"
    assert run(app, "nested", "deep").output == "deep test_app\n"


def test_a_command_can_do_without_the_context(app):
    group = AppGroup("tool")

    @group.command(with_appcontext=False)
    def show() -> None:
        click.echo(bool(current_app))

    assert CliRunner().invoke(group, ["show"], obj=ScriptInfo(create_app=lambda: app)).output == (
        "False\n"
    )


def test_with_appcontext_ends_the_context_with_the_command(app):
    ended = []
    app.teardown_appcontext(lambda error: ended.append(current_app.name))

    @click.command()
    @click.option("--name")
    @with_appcontext
    def show(name: str) -> None:
        """What it does."""
        click.echo(f"{current_app.name} {name} {ended}")

    info = ScriptInfo(create_app=lambda: app)
    result = CliRunner().invoke(show, ["--name", "x"], obj=info)
    assert result.output == "test_app x []\n"
    assert ended == ["test_app"]
    assert show.help == "What it does."


def test_a_parameter_callback_has_the_context(app, run):
    @app.cli.command("show")
    @click.argument("value", callback=lambda ctx, param, value: f"{current_app.name} {value}")
    def show(value: str) -> None:
        click.echo(value)

    assert run(app, "show", "x").output == "test_app x\n"


def test_built_in_commands_win_over_the_applications(app, run):
    """CLI-21, D-23."""

    @app.cli.command("routes")
    def routes() -> None:
        click.echo("mine")

    assert "Endpoint" in run(app, "routes").output


def test_help_lists_the_commands_of_the_application(app, run):
    @app.cli.command("seed-database")
    def seed() -> None:
        """Fill the tables."""

    output = run(app, "--help").output
    assert "seed-database  Fill the tables." in output
    assert "run" in output


def test_help_works_for_an_application_that_fails_to_load(run):
    def create_app() -> Carboy:
        raise RuntimeError("oh no")

    result = run(FlaskGroup(create_app=create_app), "--help")
    assert result.exit_code == 0
    assert "RuntimeError: oh no" in result.output
    assert "Usage:" in result.output


def test_without_an_application_a_command_is_unknown_and_the_reason_is_said(run):
    result = run(cli, "missing")
    assert result.exit_code == 2
    assert "Could not locate a Flask application" in result.output
    assert "No such command 'missing'" in result.output


def test_a_group_may_bring_its_own_options_and_settings(app, run):
    group = FlaskGroup(
        create_app=lambda: app,
        add_default_commands=False,
        add_version_option=False,
        params=[click.Option(["--own"], expose_value=False)],
        context_settings={"auto_envvar_prefix": "TOOL"},
    )
    assert [param.name for param in group.params] == ["own", "env_file", "app", "debug"]
    assert group.context_settings == {"auto_envvar_prefix": "TOOL"}
    assert group.commands == {}


def test_the_run_call_of_an_imported_script_is_ignored_under_a_command(app, run, served):
    """DEV-13."""

    @app.cli.command("import-script")
    def script() -> None:
        app.run()

    assert "Ignoring a call to 'app.run()'" in run(app, "import-script").output
    assert served == []


# -- plugins ------------------------------------------------------------------------------------


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Entry points by their group, to be filled by the test."""
    groups: dict[str, list[Any]] = {}

    def entry_points(group: str) -> list[Any]:
        return groups.get(group, [])

    monkeypatch.setattr(group_module.metadata, "entry_points", entry_points)
    return groups


def entry(name: str, says: str) -> Any:
    @click.command()
    def command() -> None:
        click.echo(says)

    return SimpleNamespace(name=name, value="package:command", load=lambda: command)


def test_commands_of_both_entry_point_groups_are_added(app, run, plugins):
    """CLI-26."""
    plugins["flask.commands"] = [entry("db", "flask"), entry("both", "flask")]
    plugins["carboy.commands"] = [entry("tool", "carboy"), entry("both", "carboy")]
    said = {name: run(app, name).output for name in ("db", "tool", "both")}
    assert said == {"db": "flask\n", "tool": "carboy\n", "both": "carboy\n"}


def test_a_plugin_replaces_no_built_in_command(app, run, plugins):
    """D-23."""
    plugins["flask.commands"] = [entry("routes", "plugin")]
    assert "plugin" not in run(app, "routes").output


def test_a_plugin_wins_over_the_application(app, run, plugins):
    plugins["flask.commands"] = [entry("db", "plugin")]

    @app.cli.command("db")
    def own() -> None:
        click.echo("own")

    assert run(app, "db").output == "plugin\n"


def test_a_plugin_that_fails_to_load_is_reported_and_stops_nothing_else(app, run, plugins):
    def load() -> Any:
        raise ImportError("half installed")

    plugins["flask.commands"] = [SimpleNamespace(name="db", value="package:db", load=load)]
    result = run(app, "routes")
    assert result.exit_code == 0
    assert "the command 'db' of the entry point 'package:db' could not be loaded" in result.output
    assert "half installed" in result.output


# -- options and variables ----------------------------------------------------------------------


@pytest.fixture
def two_projects(tmp_path: Path) -> None:
    for name in ("first_site", "second_site"):
        source = f"from carboy import Carboy\nimport click\napp = Carboy({name!r})\n"
        source += "@app.cli.command('who')\ndef who():\n"
        source += "    click.echo(f'{app.name} {app.debug}')\n"
        (tmp_path / f"{name}.py").write_text(source)


@pytest.mark.parametrize(
    ("arguments", "env", "expected"),
    [
        (["--app", "first_site"], {}, "first_site False"),
        (["-A", "first_site.py:app"], {}, "first_site False"),
        ([], {"FLASK_APP": "first_site"}, "first_site False"),
        ([], {"CARBOY_APP": "first_site"}, "first_site False"),
        ([], {"FLASK_APP": "first_site", "CARBOY_APP": "second_site"}, "second_site False"),
        (["--app", "first_site"], {"CARBOY_APP": "second_site"}, "first_site False"),
        (["--app", "first_site", "--debug"], {}, "first_site True"),
        (["--app", "first_site", "--no-debug"], {"FLASK_DEBUG": "1"}, "first_site False"),
        (["--app", "first_site", "--no-debug"], {"CARBOY_DEBUG": "1"}, "first_site False"),
        (["--app", "first_site", "--debug"], {"CARBOY_DEBUG": "0"}, "first_site True"),
        (["--app", "first_site"], {"FLASK_DEBUG": "0", "CARBOY_DEBUG": "1"}, "first_site True"),
        (["--app", "first_site"], {"FLASK_DEBUG": "1", "CARBOY_DEBUG": "0"}, "first_site False"),
        (["--app", "first_site"], {"FLASK_ENV": "development"}, "first_site False"),
    ],
)
def test_application_and_debug_by_option_and_variable(run, two_projects, arguments, env, expected):
    """CLI-01, CLI-02, CLI-20: the command line wins, then CARBOY_*, then FLASK_*."""
    os.environ.update(env)
    result = run(FlaskGroup(), *arguments, "who")
    assert result.output == f"{expected}\n"


def test_help_lists_commands_of_an_application_named_by_a_variable(run, two_projects):
    os.environ["CARBOY_APP"] = "first_site"
    assert "who" in run(FlaskGroup(), "--help").output
    assert "who" in run(FlaskGroup()).output
    assert not current_app


def test_the_version_option_names_all_that_matters(run):
    """CLI-10."""
    output = run(cli, "--version").output
    assert output.splitlines() == [
        f"Python {platform.python_version()}",
        f"Carboy {importlib.metadata.version('carboy')}",
        "Flask 3.1.3 (API)",
        f"Werkzeug {importlib.metadata.version('werkzeug')}",
    ]


# -- dotenv -------------------------------------------------------------------------------------


@pytest.fixture
def dotenv_files(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BOTH=env\nONLY_ENV=1\nSET=file\n")
    (tmp_path / ".flaskenv").write_text("BOTH=flaskenv\nONLY_FLASKENV=ü\n")
    (tmp_path / "extra.env").write_text("BOTH=extra\nFLASK_APP=second_site\n")
    os.environ["SET"] = "environment"
    for name in ("BOTH", "ONLY_ENV", "ONLY_FLASKENV"):
        os.environ.pop(name, None)


def test_dotenv_files_have_their_order_and_the_environment_wins(dotenv_files):
    """CLI-18, CLI-19."""
    pytest.importorskip("dotenv")
    assert load_dotenv() is True
    found = {name: os.environ[name] for name in ("BOTH", "ONLY_ENV", "ONLY_FLASKENV", "SET")}
    assert found == {"BOTH": "env", "ONLY_ENV": "1", "ONLY_FLASKENV": "ü", "SET": "environment"}


def test_a_given_file_wins_over_the_default_ones(dotenv_files):
    pytest.importorskip("dotenv")
    assert load_dotenv("extra.env") is True
    assert os.environ["BOTH"] == "extra"
    assert os.environ["ONLY_ENV"] == "1"


def test_default_files_can_be_left_out(dotenv_files):
    pytest.importorskip("dotenv")
    assert load_dotenv("extra.env", load_defaults=False) is True
    assert "ONLY_ENV" not in os.environ
    assert load_dotenv("absent.env", load_defaults=False) is False


def test_dotenv_files_of_a_parent_folder_are_found(dotenv_files, tmp_path, monkeypatch):
    pytest.importorskip("dotenv")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert load_dotenv() is True
    assert Path.cwd() == tmp_path / "below"


def test_without_python_dotenv_there_is_a_tip(dotenv_files, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dotenv", None)
    assert load_dotenv() is False
    assert "Install python-dotenv to use them" in capsys.readouterr().err
    os.unlink(".env")
    os.unlink(".flaskenv")
    assert load_dotenv() is False
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("source", ["option", "FLASK_ENV_FILE", "CARBOY_ENV_FILE"])
def test_the_application_may_be_named_in_an_env_file(run, dotenv_files, two_projects, source):
    """CLI-18."""
    pytest.importorskip("dotenv")
    arguments = ["--env-file", "extra.env"] if source == "option" else []
    if not arguments:
        os.environ[source] = "extra.env"
    assert run(FlaskGroup(), *arguments, "who").output == "second_site False\n"


def test_an_env_file_without_python_dotenv_is_an_error(run, dotenv_files, monkeypatch):
    monkeypatch.setitem(sys.modules, "dotenv", None)
    result = run(FlaskGroup(), "--env-file", "extra.env", "routes")
    assert result.exit_code == 2
    assert "python-dotenv must be installed to load an env file" in result.output


@pytest.mark.parametrize("variable", ["FLASK_SKIP_DOTENV", "CARBOY_SKIP_DOTENV"])
def test_reading_dotenv_files_can_be_switched_off(app, run, dotenv_files, variable):
    os.environ[variable] = "1"
    run(app, "routes")
    assert "ONLY_ENV" not in os.environ


# -- run ----------------------------------------------------------------------------------------


def test_run_serves_on_loopback_with_threads_and_nothing_else(app, run, served):
    """CLI-06."""
    result = run(app, "run")
    assert result.exit_code == 0, result.output
    (call,) = served
    assert (call["hostname"], call["port"]) == ("127.0.0.1", 5000)
    assert call["application"] is app
    assert call["threaded"] is True
    assert not call["use_reloader"]
    assert " * Debug mode: off" in result.output


@pytest.mark.parametrize(
    ("arguments", "env", "port"),
    [
        (["--port", "1"], {"CARBOY_RUN_PORT": "2", "FLASK_RUN_PORT": "3"}, 1),
        ([], {"CARBOY_RUN_PORT": "2", "FLASK_RUN_PORT": "3"}, 2),
        ([], {"FLASK_RUN_PORT": "3"}, 3),
        ([], {"HOST": "10.0.0.1", "PORT": "4"}, 5000),
    ],
)
def test_options_of_run_come_from_both_families_of_variables(
    app, run, served, arguments, env, port
):
    """CLI-07, D-21."""
    os.environ.update(env)
    run(app, "run", *arguments)
    assert (served[0]["hostname"], served[0]["port"]) == ("127.0.0.1", port)


def test_every_option_of_run_has_a_variable_of_carboys():
    named = {param.name: param.envvar for param in run_command.params}
    assert named["debug"] == "CARBOY_DEBUG"
    for name in set(named) - {"debug"}:
        assert named[name] == f"CARBOY_RUN_{name.upper()}"


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_may_stand_before_or_after_run(app, run, served, place):
    arguments = {"before": ["--debug", "run"], "after": ["run", "--debug"]}[place]
    result = run(app, *arguments)
    assert result.exit_code == 0, result.output
    (call,) = served
    assert call["use_reloader"] is True
    assert call["application"].app is app
    assert app.debug is True
    assert " * Debug mode: on" in result.output


def test_reloader_and_debugger_can_be_switched_alone(app, run, served):
    run(app, "run", "--debug", "--no-reload", "--no-debugger", "--without-threads")
    run(app, "run", "--reload", "--no-debug")
    first, second = served
    assert (first["use_reloader"], first["threaded"]) == (False, False)
    assert first["application"] is app
    assert second["use_reloader"] is True


def test_file_options_are_lists_of_paths(app, run, served, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).touch()
    run(app, "run", "--extra-files", os.pathsep.join(["a.txt", "b.txt"]))
    assert served[0]["extra_files"] == ["a.txt", "b.txt"]
    context = run_command.make_context("run", ["--exclude-patterns", "*/x.py"])
    assert context.params["exclude_patterns"] == ["*/x.py"]


@pytest.fixture
def broken_site(tmp_path: Path) -> None:
    (tmp_path / "broken_site.py").write_text("import not_installed_anywhere\n")


def test_an_application_that_fails_to_import_ends_run_with_its_traceback(run, served, broken_site):
    """CLI-05."""
    result = run(FlaskGroup(), "--app", "broken_site", "run")
    assert result.exit_code == 2
    assert "No module named 'not_installed_anywhere'" in result.output
    assert served == []


def test_in_debug_mode_the_server_stays_up_and_shows_the_error(run, served, broken_site, call):
    """CLI-05: the reloader restarts it when the file is mended."""
    result = run(FlaskGroup(), "--app", "broken_site", "run", "--debug")
    assert result.exit_code == 0, result.output
    app = served[0]["application"]
    for _ in range(2):
        reply = call(app, "/")
        assert reply.code == 500
        assert b"No module named &#39;not_installed_anywhere&#39;" in reply.body
        assert b"correct the error and save" in reply.body


def test_a_name_that_means_no_module_ends_run_in_debug_mode_too(run, served):
    result = run(FlaskGroup(), "--app", "absent", "run", "--debug")
    assert result.exit_code == 2
    assert "Could not import 'absent'" in result.output
    assert served == []


def test_after_a_restart_any_error_is_printed_and_waited_out(run, served, call, monkeypatch):
    monkeypatch.setitem(os.environ, "WERKZEUG_RUN_MAIN", "true")

    def create_app() -> Carboy:
        raise LookupError("not yet")

    result = run(FlaskGroup(create_app=create_app), "run", "--reload")
    assert result.exit_code == 0
    assert "LookupError: not yet" in result.output
    with pytest.raises(LookupError, match="not yet"):
        call(served[0]["application"], "/")


# -- certificates -------------------------------------------------------------------------------


def context_of(*arguments: str) -> Any:
    return run_command.make_context("run", list(arguments)).params["cert"]


def test_certificate_and_key_are_a_pair_in_any_order():
    """DEV-12."""
    assert context_of("--cert", __file__, "--key", __file__) == (__file__, __file__)
    assert context_of("--key", __file__, "--cert", __file__) == (__file__, __file__)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cert", __file__], 'Required when using "--cert"'),
        (["--key", __file__], '"--cert" must also be specified'),
        (["--cert", "adhoc", "--key", __file__], '"--key" is not used'),
        (["--cert", "os", "--key", __file__], "does not exist"),
        (["--cert", "not.importable"], "does not exist"),
    ],
)
def test_certificate_options_that_do_not_fit_are_refused(monkeypatch, arguments, message):
    monkeypatch.setitem(sys.modules, "cryptography", SimpleNamespace())
    with pytest.raises(click.BadParameter, match=message):
        context_of(*arguments)


def test_adhoc_needs_the_cryptography_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(click.BadParameter, match="requires the cryptography library"):
        context_of("--cert", "adhoc")
    monkeypatch.setitem(sys.modules, "cryptography", SimpleNamespace())
    assert context_of("--cert", "ADHOC") == "adhoc"


def test_a_context_is_imported_by_its_name_as_written(monkeypatch):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    monkeypatch.setitem(sys.modules, "MyTls", SimpleNamespace(context=made))
    assert context_of("--cert", "MyTls:context") is made
    with pytest.raises(click.BadParameter, match="SSLContext object"):
        context_of("--cert", "MyTls:context", "--key", __file__)


def test_without_ssl_a_certificate_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "ssl", None)
    with pytest.raises(click.BadParameter, match="compiled with SSL support"):
        context_of("--cert", __file__)


# -- shell and routes ---------------------------------------------------------------------------


def test_the_shell_has_the_shell_context(app, run, tmp_path, monkeypatch):
    """CLI-08."""
    (tmp_path / "startup.py").write_text("from_startup = 1\nshadowed = 'startup'\n")
    os.environ["PYTHONSTARTUP"] = str(tmp_path / "startup.py")
    monkeypatch.delattr(sys, "__interactivehook__", raising=False)
    app.shell_context_processor(lambda: {"value": 42, "shadowed": "processor"})
    result = run(
        app, "shell", input="print(value, from_startup, shadowed, app.name, g is not None)"
    )
    assert "42 1 processor test_app True" in result.output
    assert "App: test_app" in result.output
    assert f"Instance: {app.instance_path}" in result.output


def test_the_shell_calls_the_interactive_hook_and_completes_its_own_names(app, run, monkeypatch):
    readline = pytest.importorskip("readline")
    called = []
    monkeypatch.setattr(sys, "__interactivehook__", lambda: called.append(1), raising=False)
    before = readline.get_completer()
    try:
        app.shell_context_processor(lambda: {"unusual_name": 1})
        run(app, "shell", input="")
        assert readline.get_completer()("unusual_n", 0).startswith("unusual_name")
    finally:
        readline.set_completer(before)
    assert called == [1]


@pytest.fixture
def routed(app: Carboy) -> Carboy:
    app.add_url_rule("/get_post/<int:x>", endpoint="yyy", methods=["GET", "POST"])
    app.add_url_rule("/zzz", endpoint="aaa", methods=["POST"])
    return app


def column(output: str, index: int) -> list[str]:
    return [line.split("  ")[index].strip() for line in output.splitlines()[2:]]


def test_routes_are_a_table_sorted_by_endpoint(routed, run):
    """CLI-09."""
    lines = run(routed, "routes").output.splitlines()
    assert lines == [
        "Endpoint  Methods    Rule                   ",
        "--------  ---------  -----------------------",
        "aaa       POST       /zzz                   ",
        "static    GET        /static/<path:filename>",
        "yyy       GET, POST  /get_post/<int:x>      ",
    ]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("endpoint", ["aaa", "static", "yyy"]),
        ("methods", ["static", "yyy", "aaa"]),
        ("rule", ["yyy", "static", "aaa"]),
        ("match", None),
        ("domain", None),
    ],
)
def test_routes_can_be_sorted_by_each_column(routed, run, sort, expected):
    if expected is None:  # The order of matching; also where there are no domains to sort by.
        expected = [rule.endpoint for rule in routed.url_map.iter_rules()]
    assert column(run(routed, "routes", "--sort", sort).output, 0) == expected


def test_all_methods_shows_the_automatic_ones(routed, run):
    output = run(routed, "routes", "--all-methods").output
    assert "GET, HEAD, OPTIONS, POST" in output


@pytest.mark.parametrize("matching", ["subdomain", "host"])
def test_routes_show_domains_where_there_are_any(tmp_path, run, matching):
    app = Carboy("x", static_folder=None, host_matching=matching == "host", root_path=str(tmp_path))
    app.add_url_rule("/a", endpoint="a", **{matching: "zz"})
    app.add_url_rule("/b", endpoint="b", **{matching: "aa"})
    output = run(app, "routes", "--sort", "domain").output
    assert output.splitlines()[0].split() == ["Endpoint", "Methods", matching.title(), "Rule"]
    assert column(output, 0) == ["b", "a"]


def test_an_application_without_routes_says_so(tmp_path, run):
    app = Carboy("x", static_folder=None, root_path=str(tmp_path))
    assert run(app, "routes").output == "No routes were registered.\n"


def test_click_and_flasks_other_names_can_be_taken_from_the_package():
    import carboy.cli

    assert carboy.cli.click is click
    assert type(carboy.cli.cli) is FlaskGroup
    assert {"run", "shell", "routes"} <= set(carboy.cli.cli.commands)
