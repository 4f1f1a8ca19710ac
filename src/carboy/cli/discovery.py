"""Finding the application: from `--app`'s text to a module, from a module to the application."""

from __future__ import annotations

import ast
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, overload

import click

from carboy.app import Carboy

from .hints import explain_import_error

_APP_NAMES = ("app", "application")
_FACTORY_NAMES = ("create_app", "make_app")


class NoAppException(click.UsageError):
    """No application could be found or loaded; the message says why and what to do."""

    #: What the application's own module raised, if that is the reason.
    import_error: ImportError | None = None


def find_best_app(module: ModuleType) -> Carboy:
    """Return the application of `module` that needs no name.

    In this order: a variable `app` or `application`, the only application among the module's
    variables, the result of a factory `create_app` or `make_app` called without arguments.
    Raises `NoAppException` when there is none, or more than one to choose from.
    """
    for name in _APP_NAMES:
        found = getattr(module, name, None)
        if isinstance(found, Carboy):
            return found
    # By identity: one application under two names is still one.
    apps = {id(value): value for value in vars(module).values() if isinstance(value, Carboy)}
    where = module.__name__
    if len(apps) > 1:
        raise NoAppException(
            f"Detected multiple Flask applications in module '{where}'. Use '{where}:name' to"
            " specify the correct one."
        )
    for app in apps.values():
        return app
    return _app_from_factory(module)


def _app_from_factory(module: ModuleType) -> Carboy:
    where = module.__name__
    for name in _FACTORY_NAMES:
        factory = getattr(module, name, None)
        if not inspect.isfunction(factory):
            continue
        made = _call_factory(
            factory,
            f"Detected factory '{name}' in module '{where}', but could not call it without"
            f" arguments. Use '{where}:{name}(args)' to specify arguments.",
        )
        if isinstance(made, Carboy):
            return made
    raise NoAppException(
        f"Failed to find Flask application or factory in module '{where}'. Use '{where}:name' to"
        " specify one."
    )


def _call_factory(factory: Callable[..., Any], complaint: str, *args: Any, **kwargs: Any) -> Any:
    """Call `factory`; a call that its signature refuses becomes `NoAppException(complaint)`."""
    try:
        return factory(*args, **kwargs)
    except TypeError as error:
        frames = traceback.walk_tb(error.__traceback__)
        code = getattr(factory, "__code__", None)
        if any(frame.f_code is code for frame, _ in frames):
            raise  # The factory was running: the mistake is inside it.
        raise NoAppException(complaint) from error


def find_app_by_string(module: ModuleType, app_name: str) -> Carboy:
    """Return the application that `app_name` means in `module`.

    That is the name of a variable, the name of a factory, or a call of one with literal
    arguments such as `create_app("dev", debug=True)`. Raises `NoAppException`.
    """
    name, args, kwargs = _parse_reference(app_name)
    where = module.__name__
    try:
        target = getattr(module, name)
    except AttributeError as error:
        raise NoAppException(f"Failed to find attribute {name!r} in {where!r}.") from error
    if inspect.isfunction(target):
        complaint = (
            f"The factory {app_name!r} in module {where!r} could not be called with the specified"
            " arguments."
        )
        target = _call_factory(target, complaint, *args, **kwargs)
    if isinstance(target, Carboy):
        return target
    raise NoAppException(f"A valid Flask application was not obtained from '{where}:{app_name}'.")


def _parse_reference(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Split `name` or `name(literals)` into the name and the arguments."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        tree = None
    match tree:
        case ast.Name(id=name):
            return name, [], {}
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            try:
                return (
                    name,
                    [ast.literal_eval(node) for node in args],
                    {k.arg: ast.literal_eval(k.value) for k in keywords if k.arg is not None},
                )
            except ValueError:
                complaint = f"Failed to parse arguments as literal values: {text!r}."
        case ast.Call():
            complaint = f"Function reference must be a simple name: {text!r}."
        case _:
            complaint = f"Failed to parse {text!r} as an attribute name or function call."
    raise NoAppException(complaint)


def prepare_import(path: str) -> str:
    """Return the module name for a file or a dotted name, and make it importable.

    The folder above the outermost package (the first one up without an `__init__.py`) goes to
    the front of `sys.path`.
    """
    target = Path(os.path.realpath(path))
    if target.suffix == ".py":
        target = target.with_suffix("")
    if target.name == "__init__":
        target = target.parent
    names = [target.name]
    folder = target.parent
    while (folder / "__init__.py").exists() and folder.name:
        names.append(folder.name)
        folder = folder.parent
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
    return ".".join(reversed(names))


@overload
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: Literal[True] = True
) -> Carboy: ...


@overload
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: Literal[False] = ...
) -> Carboy | None: ...


def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: bool = True
) -> Carboy | None:
    """Import `module_name` and return its application, by `app_name` or the best one.

    Raises `NoAppException`; with `raise_if_not_found=False` a module that does not exist gives
    None. Errors of the module itself other than `ImportError` pass through.
    """
    _refuse_shadowing(module_name)
    try:
        __import__(module_name)
    except ImportError as error:
        # One frame is this function's: the module was not found. More are the module's own.
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise _module_failed(module_name, error) from None
        if raise_if_not_found:
            raise NoAppException(f"Could not import {module_name!r}.") from None
        return None
    module = sys.modules[module_name]
    return find_best_app(module) if app_name is None else find_app_by_string(module, app_name)


def _module_failed(module_name: str, error: ImportError) -> ModuleFailed:
    text = f"While importing {module_name!r}, an ImportError was raised:\n\n"
    text += traceback.format_exc()
    hint = explain_import_error(error)
    failed = ModuleFailed(f"{text}\n{hint}" if hint else text)
    failed.import_error = error
    return failed


class ModuleFailed(NoAppException):
    """The application's module was found, and raised an `ImportError` of its own."""


def _refuse_shadowing(module_name: str) -> None:
    """An application in a file `flask.py` or `carboy.py` would be hidden by the framework."""
    top = module_name.partition(".")[0]
    if top in ("flask", "carboy") and os.path.isfile(os.path.join(sys.path[0], f"{top}.py")):
        raise NoAppException(
            f"The application's file is called {top}.py, the name of the framework itself, so"
            f" 'import {top}' cannot mean both. Rename the file, for example to app.py, and"
            " delete its __pycache__ folder."
        )
