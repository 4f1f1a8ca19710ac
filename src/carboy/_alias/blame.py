"""Why the alias cannot be had any more: what is imported as `flask`, and who imported it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from types import FrameType, ModuleType

from .children import CHILD_PATH
from .face import Face

_FIX = (
    "Put 'import carboy.as_flask' before the first import of flask or of an extension of it: at"
    " the top of the program, of wsgi.py or of the tests' conftest.py. Or start the program with"
    " the 'carboy' command, which does it for you."
)


class AliasError(ImportError):
    """The name `flask` is taken already; the message says by whom, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, name="flask")


def explain_conflict(modules: Mapping[str, ModuleType | None]) -> str | None:
    """Return what stands in the way of the alias in `modules`; None when nothing does."""
    taken = modules.get("flask")
    if taken is None:
        return _explain_remains(modules)
    if isinstance(taken, Face) or _is_stand_in(taken):
        return None
    file = getattr(taken, "__file__", None) or "an unknown file"
    if not _is_flask(taken):
        return (
            f"The application has a module of its own called flask ({file}), and it was imported"
            " as 'flask'. 'from flask import Flask' cannot work beside it, in Flask neither."
            f" Rename the file, delete its __pycache__ folder, and then: {_FIX}"
        )
    importer = _importer(taken, modules)
    by = f"by {importer}" if importer else "before, by a module that is not known any more"
    state = "is being imported at this moment" if _is_half_done(taken) else "was imported already"
    return (
        f"'import carboy.as_flask' came too late: the real Flask ({file}) {state}, {by}. Both"
        f" cannot be 'flask' in one process. {_FIX}"
    )


def _explain_remains(modules: Mapping[str, ModuleType | None]) -> str | None:
    """As `explain_conflict`, where `flask` itself has been taken out of `sys.modules` again."""
    for name, module in modules.items():
        if name.startswith("flask.") and getattr(module, "__name__", "").startswith("flask."):
            return (
                f"The real Flask was imported before, and its module {name}"
                f" ({getattr(module, '__file__', None) or 'an unknown file'}) is still in"
                " sys.modules, although flask is not: an import that failed half-way or code that"
                f" clears sys.modules has left it. {_FIX}"
            )
    return None


def _is_stand_in(module: ModuleType) -> bool:
    """Whether `module` is the file that hands over to Carboy in child processes."""
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    return os.path.realpath(os.path.join(file, "..", "..")) == os.path.realpath(CHILD_PATH)


def _is_flask(module: ModuleType) -> bool:
    """Whether `module` is the Flask distribution's package, by the files beside it."""
    file = getattr(module, "__file__", None)
    if file is None or os.path.basename(file).partition(".")[0] != "__init__":
        return False
    beside = set(os.listdir(os.path.dirname(file)))
    return all({f"{name}.py", f"{name}.pyc"} & beside for name in ("app", "ctx", "globals"))


def _is_half_done(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))


def _importer(flask: ModuleType, modules: Mapping[str, ModuleType | None]) -> str | None:
    """Return the file of the module that imported `flask`, as far as that can still be told."""
    if _is_half_done(flask):
        return _importer_on_stack()
    # Modules stand in the order in which their imports began, so the importer is before `flask`,
    # and nearest if it imported flask first of all. Whoever got it later is a guess, too.
    names = list(modules)
    place = names.index("flask")
    for name in (*reversed(names[:place]), *names[place:]):
        module = modules[name]
        if module is None or name.partition(".")[0] == "flask":
            continue
        if any(value is flask or _home(value) == "flask" for value in _contents(module)):
            return getattr(module, "__file__", None) or f"the module {name}"
    return None


def _importer_on_stack() -> str | None:
    """Return the file of the frame that the half-done import of Flask was started from."""
    inside = False
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] == "flask":
            inside = True
        elif inside and not frame.f_code.co_filename.startswith("<frozen"):
            return frame.f_code.co_filename
        frame = frame.f_back
    return None


def _contents(module: ModuleType) -> Iterator[object]:
    yield from list(getattr(module, "__dict__", {}).values())


def _home(value: object) -> str:
    """The top package that a class or function was made in. Other objects are not asked:
    proxies would answer for something else, or raise."""
    if isinstance(value, type) or type(value).__name__ == "function":
        return str(getattr(value, "__module__", "")).partition(".")[0]
    return ""
