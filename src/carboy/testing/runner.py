"""`FlaskCliRunner`: runs the application's commands inside a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

if TYPE_CHECKING:
    from click.testing import Result

    from carboy.app import Carboy


class FlaskCliRunner(CliRunner):
    """Click's `CliRunner` for the commands of `app`; usually from `app.test_cli_runner()`."""

    def __init__(self, app: Carboy, **kwargs: Any) -> None:
        self.app = app
        super().__init__(**kwargs)

    def invoke(  # type: ignore[override]
        self, cli: Any = None, args: Any = None, **kwargs: Any
    ) -> Result:
        """Run the command `cli` (by default the group `app.cli`) with `args`.

        Unless `obj` is given, the command finds this runner's application. Everything else is
        as in `click.testing.CliRunner.invoke`.
        """
        # Lazy door: the commands are a floor above, and only an invocation needs them.
        from carboy.cli import ScriptInfo

        if "obj" not in kwargs:
            kwargs["obj"] = ScriptInfo(create_app=lambda: self.app)
        return super().invoke(self.app.cli if cli is None else cli, args, **kwargs)
