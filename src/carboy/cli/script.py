"""`ScriptInfo`, which carries the application through click, and the context of a command."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar, cast

import click

from carboy.app import Carboy
from carboy.ctx import has_app_context

from .discovery import NoAppException, locate_app, prepare_import
from .envfiles import debug_is_on, wants_dotenv

F = TypeVar("F", bound=Callable[..., Any])

#: What `--app` and the discovery try where nothing is named, in this order.
DEFAULT_FILES = ("wsgi.py", "app.py")

# A colon parts module and name, but not in C:\site\app.py.
_MODULE_AND_NAME = re.compile(r"(?P<module>.*?)(?::(?![\\/])(?P<name>.*))?", re.DOTALL)


class ScriptInfo:
    """Knows where the application is, and loads it when a command first asks.

    `app_import_path` is the text of `--app`; `create_app` a function that makes the application
    and wins over it. `set_debug_flag` lets the environment decide over `app.debug`.
    `load_dotenv_defaults` only records whether `.env` and `.flaskenv` are wanted. `data` is a
    dictionary for whatever commands like to share.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: Callable[..., Carboy] | None = None,
        set_debug_flag: bool = True,
        load_dotenv_defaults: bool = True,
    ) -> None:
        self.app_import_path = app_import_path
        self.create_app = create_app
        self.set_debug_flag = set_debug_flag
        self.load_dotenv_defaults = wants_dotenv(load_dotenv_defaults)
        self.data: dict[Any, Any] = {}
        self._loaded_app: Carboy | None = None

    def load_app(self) -> Carboy:
        """Return the application, loaded on the first call.

        Raises `NoAppException` when there is none; errors of its own code pass through.
        """
        if self._loaded_app is None:
            app = self._find_app()
            if self.set_debug_flag:
                app.debug = debug_is_on()
            self._loaded_app = app
        return self._loaded_app

    def _find_app(self) -> Carboy:
        if self.create_app is not None:
            return self.create_app()
        if self.app_import_path:
            parts = _MODULE_AND_NAME.fullmatch(self.app_import_path)
            assert parts is not None  # Every text matches.
            return locate_app(prepare_import(parts["module"]), parts["name"])
        for file in DEFAULT_FILES:
            app = locate_app(prepare_import(file), None, raise_if_not_found=False)
            if app is not None:
                return app
        raise NoAppException(
            "Could not locate a Flask application. Use the 'carboy --app' option, the 'FLASK_APP'"
            " or 'CARBOY_APP' environment variable, or a 'wsgi.py' or 'app.py' file in the"
            " current directory."
        )


pass_script_info = click.make_pass_decorator(ScriptInfo, ensure=True)


def with_appcontext(f: F) -> F:
    """Decorate a click callback so that the application's context is current while it runs.

    Commands of `app.cli` and `blueprint.cli` have it already.
    """

    @click.pass_context
    def in_context(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        if not has_app_context():
            # Popped when the command's click context ends, subcommands included.
            ctx.with_resource(ctx.ensure_object(ScriptInfo).load_app().app_context())
        return ctx.invoke(f, *args, **kwargs)

    return cast(F, update_wrapper(in_context, f))
