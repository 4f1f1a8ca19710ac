"""`carboy doctor`: does this Flask application run on Carboy, and if not, what has to change?"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from carboy._alias import AliasError, expect_flask
from carboy._alias.face import FLASK_VERSION
from carboy.app import Carboy

from .discovery import NoAppException
from .hints import explain_import_error
from .installed import Extension, is_installed, loaded_extensions
from .options import app_option
from .scan import Finding, first_import_of_flask, scan
from .script import ScriptInfo, pass_script_info


@click.command("doctor", short_help="Tell whether a Flask application runs on Carboy.")
@pass_script_info
def doctor_command(info: ScriptInfo) -> None:
    """Import an application as Carboy and tell what, if anything, has to change.

    Shows the application's Flask extensions with what is known of them on Carboy, each use in its
    sources of something that Carboy lacks or does otherwise, and the first line to change.

    Exit status: 0 when nothing has to change, else 1.
    """
    try:
        expect_flask()
    except AliasError as error:
        raise click.ClickException(str(error)) from None
    before = set(sys.modules)
    app, trouble = _load(info)
    home = app.import_name.partition(".")[0] if app else ""
    files = {Path(file) for file in _own_files(before, home)} | (
        trouble.files if trouble else set()
    )
    findings = scan(files)
    extensions = loaded_extensions(besides=home)
    _report_application(app, trouble)
    _report_extensions(extensions)
    _report_findings(findings)
    _report_change(app, findings)
    ill = trouble is not None or any(finding.breaks for finding in findings)
    if ill or any(one.pins_another_flask or one.regresses for one in extensions):
        sys.exit(1)


doctor_command.params.insert(0, app_option)


@dataclass
class _Trouble:
    """Why an application could not be imported, and which files of its own took part."""

    text: str
    files: set[Path]


def _load(info: ScriptInfo) -> tuple[Carboy | None, _Trouble | None]:
    """The application, or why there is none. A name that was mistyped is a usage error."""
    cause: Exception
    try:
        return info.load_app(), None
    except NoAppException as error:
        if error.import_error is None:
            raise
        cause = error.import_error
    except Exception as error:  # What an application raises is what is asked for.
        cause = error
    # A module that failed is not in sys.modules any more.
    frames = traceback.extract_tb(cause.__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)]
    text = explain_import_error(cause) if isinstance(cause, ImportError) else None
    if text is None:
        place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
        text = f"{type(cause).__name__}: {cause}{place}"
    return None, _Trouble(text, {Path(frame.filename) for frame in own})


def _own_files(before: set[str], home: str) -> Iterator[str]:
    """The files of the application's modules, among those that were imported since `before`.

    `home` is the application's own package, which may be an installed one.
    """
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in before or not file or not file.endswith(".py"):
            continue
        if name.partition(".")[0] == home or _is_own(file):
            yield file


def _is_own(file: str) -> bool:
    """Whether a file is the application's: neither installed nor Carboy's."""
    carboy = Path(__file__).resolve().parents[1]
    return not is_installed(file) and carboy not in Path(file).resolve().parents


def _report_application(app: Carboy | None, trouble: _Trouble | None) -> None:
    click.secho("Application", bold=True)
    if trouble is not None:
        click.secho(f"  cannot be imported: {trouble.text}", fg="red")
    elif app is not None:
        rules = sum(1 for _ in app.url_map.iter_rules())
        click.echo(f"  {app.import_name}: imported, {rules} routes, as Flask {FLASK_VERSION}")


def _report_extensions(extensions: Sequence[Extension]) -> None:
    click.secho("Extensions", bold=True)
    for one in extensions:
        ill = one.pins_another_flask or one.regresses
        mark = "red" if ill else "green" if one.known is not None else "yellow"
        click.secho(f"  {one.name} {one.version}: {one.state()}", fg=mark)
    if not extensions:
        click.echo("  none")


def _report_findings(findings: Sequence[Finding]) -> None:
    click.secho("Uses of what Carboy lacks or does otherwise", bold=True)
    for one in findings:
        where = f"{_short(one.file)}:{one.line}"
        click.secho(f"  {where}: {one.what}. Fix: {one.fix}.", fg="red" if one.breaks else None)
    if not findings:
        click.echo("  none")


def _report_change(app: Carboy | None, findings: Sequence[Finding]) -> None:
    click.secho("First line to change", bold=True)
    for one in findings:
        if one.breaks:
            click.echo(f"  {_short(one.file)}:{one.line}: {one.fix}")
            return
    if app is None:
        click.echo("  the one that fails: see above")
        return
    click.echo("  none under the carboy command: carboy run")
    entry = getattr(sys.modules.get(app.import_name), "__file__", None)
    line = first_import_of_flask(Path(entry)) if entry else None
    if entry:
        place = (
            f"before {_short(Path(entry))}:{line}" if line else f"first in {_short(Path(entry))}"
        )
        click.echo(f"  under another server: put 'import carboy.as_flask' {place}")


def _short(file: Path) -> str:
    """The file's path from here, where it is below."""
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)
