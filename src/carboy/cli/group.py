"""The click groups: `AppGroup` for commands in the application's context, `FlaskGroup` for tools."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any, cast

import click

from carboy.app import Carboy
from carboy.globals import _cv_app

from .commands import routes_command, run_command, shell_command
from .discovery import NoAppException
from .options import app_option, debug_option, env_file_option, version_option
from .script import ScriptInfo, with_appcontext

#: Entry-point groups of plugin commands; where two have the same name the first group wins.
PLUGIN_GROUPS = ("carboy.commands", "flask.commands")


class AppGroup(click.Group):
    """A click group whose commands run in the application's context."""

    def command(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], click.Command]:
        """Register a command, as click's decorator does, inside `with_appcontext`.

        `with_appcontext=False` leaves the callback as it is.
        """
        wanted = kwargs.pop("with_appcontext", True)
        if args and callable(args[0]):  # @group.command without parentheses
            made: Any = self.command(with_appcontext=wanted, **kwargs)(args[0])
            return cast("Callable[[Callable[..., Any]], click.Command]", made)
        register = super().command(*args, **kwargs)

        def decorator(f: Callable[..., Any]) -> click.Command:
            made: click.Command = register(with_appcontext(f) if wanted else f)
            return made

        return decorator

    def group(self, *args: Any, **kwargs: Any) -> Any:
        """Register a subgroup, as click's decorator does; an `AppGroup` unless `cls` is given."""
        kwargs.setdefault("cls", AppGroup)
        if args and callable(args[0]):  # @group.group without parentheses
            return super().group(**kwargs)(args[0])
        return super().group(*args, **kwargs)


class FlaskGroup(AppGroup):
    """The group of a command line tool: its own commands, plugins' and the application's.

    `add_default_commands` adds `run`, `shell` and `routes`; `add_version_option` adds
    `--version`; `create_app` makes the application instead of `--app`; `load_dotenv` reads
    `.env` and `.flaskenv`; `set_debug_flag` lets the environment decide over `app.debug`.
    Options are read from `FLASK_*` variables, and from `CARBOY_*` first.
    """

    def __init__(
        self,
        add_default_commands: bool = True,
        create_app: Callable[..., Carboy] | None = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: Any,
    ) -> None:
        # Option callbacks do the work, so that a callback of the group stays free for its user.
        params = [*(extra.pop("params", None) or ()), env_file_option, app_option, debug_option]
        if add_version_option:
            params.append(version_option)
        settings = extra.pop("context_settings", None) or {}
        settings.setdefault("auto_envvar_prefix", "FLASK")
        super().__init__(params=params, context_settings=settings, **extra)
        self.create_app = create_app
        self.load_dotenv = load_dotenv
        self.set_debug_flag = set_debug_flag
        self._loaded_plugin_commands = False
        if add_default_commands:
            for command in (run_command, shell_command, routes_command):
                self.add_command(command)

    def _load_plugin_commands(self) -> None:
        """Add the commands of installed packages, once. A name that is taken stays as it is."""
        if self._loaded_plugin_commands:
            return
        self._loaded_plugin_commands = True
        for entry in _plugin_entries():
            if entry.name in self.commands:
                continue
            try:
                self.add_command(entry.load(), entry.name)
            except Exception:
                # A broken package must not take every other command with it.
                _complain(
                    f"Error: the command {entry.name!r} of the entry point {entry.value!r} could"
                    f" not be loaded:\n\n{traceback.format_exc()}"
                )

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command `name`; the application is loaded only if nothing else has it."""
        self._load_plugin_commands()
        command = super().get_command(ctx, name)
        if command is not None:
            return command
        try:
            app = ctx.ensure_object(ScriptInfo).load_app()
        except NoAppException as error:
            _complain(f"Error: {error.format_message()}\n")
            return None
        # Parameter callbacks run before the command does, and may need the context as well.
        current = _cv_app.get(None)
        if current is None or current.app is not app:
            ctx.with_resource(app.app_context())
        return app.cli.get_command(ctx, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, sorted; an application that fails to load is reported on stderr."""
        self._load_plugin_commands()
        names = set(super().list_commands(ctx))
        try:
            names |= set(ctx.ensure_object(ScriptInfo).load_app().cli.list_commands(ctx))
        except NoAppException as error:
            _complain(f"Error: {error.format_message()}\n")
        except Exception:
            _complain(f"{traceback.format_exc()}\n")
        return sorted(names)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Begin a run: from now on `app.run()` does nothing, for importing must not serve."""
        os.environ["FLASK_RUN_FROM_CLI"] = "true"
        if "obj" not in {*extra, *self.context_settings}:
            extra["obj"] = ScriptInfo(None, self.create_app, self.set_debug_flag, self.load_dotenv)
        return super().make_context(info_name, args, parent=parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; a help page takes file and application from the environment."""
        if args:
            help_wanted = len(args) == 1 and args[0] in self.get_help_option_names(ctx)
        else:
            help_wanted = self.no_args_is_help
        if help_wanted:
            for option in (env_file_option, app_option):
                option.handle_parse_result(ctx, {}, [])
        try:
            return super().parse_args(ctx, args)
        except BaseException:
            # Click gives up on this context, and a help page may have pushed the application's.
            ctx.close()
            raise


def _plugin_entries() -> Iterator[metadata.EntryPoint]:
    for group in PLUGIN_GROUPS:
        yield from metadata.entry_points(group=group)


def _complain(text: str) -> None:
    click.secho(text, err=True, fg="red")
