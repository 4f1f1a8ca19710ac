"""The application as the rules see it: its settings, its middleware, its source."""

from __future__ import annotations

import ast
import sys
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

if t.TYPE_CHECKING:
    from carboy.app import Carboy

#: Under these names a WSGI middleware keeps the application that it wraps.
_INNER = ("app", "wsgi_app", "application", "_app", "_wsgi_app", "_application", "wrapped")
_DEEPEST = 32


@dataclass(frozen=True)
class Place:
    """A line of a file, and how to call it; ``file`` is None where nothing can be pointed at."""

    text: str
    file: str | None = None
    line: int = 1

    def __str__(self) -> str:
        return self.text if self.file is None else f"{self.file}:{self.line} ({self.text})"


class Subject:
    """An application and what can be known about it without running a request.

    ``probed`` holds the headers of a real answer, by lower-case name, where one was asked for.
    """

    def __init__(
        self,
        app: Carboy,
        *,
        environ: t.Mapping[str, str] | None = None,
        probed: t.Mapping[str, str] | None = None,
    ) -> None:
        self.app = app
        self.config: t.Mapping[str, t.Any] = app.config
        self.environ = environ or {}
        self.probed = probed

    def get(self, key: str, default: t.Any = None) -> t.Any:
        """The setting ``key``."""
        return self.config.get(key, default)

    def middleware(self) -> Iterator[t.Any]:
        """The objects around ``app.wsgi_app``, the outermost first."""
        here = vars(self.app).get("wsgi_app")
        for _ in range(_DEEPEST):
            if here is None or getattr(here, "__self__", None) is self.app:
                return
            yield here
            inner = (getattr(here, name, None) for name in _INNER)
            here = next((item for item in inner if callable(item)), None)

    def hooks(self, table: str) -> Iterator[t.Any]:
        """The functions of one of the application's hook tables, of blueprints too."""
        for functions in dict(getattr(self.app, table)).values():
            yield from functions

    @cached_property
    def takes_forms(self) -> bool:
        """Whether a route takes a method that changes something, with a cookie to abuse."""
        unsafe = {"POST", "PUT", "PATCH", "DELETE"}
        return any(unsafe & (rule.methods or set()) for rule in self.app.url_map.iter_rules())

    @cached_property
    def sources(self) -> list[tuple[str, ast.Module]]:
        """The application's own modules that are loaded: their file names and syntax trees."""
        package = self.app.import_name.partition(".")[0]
        names = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
        found: dict[str, ast.Module] = {}
        for name in sorted(names):
            file: t.Any = getattr(sys.modules[name], "__file__", None)
            if file and file.endswith(".py") and file not in found:
                try:
                    found[file] = ast.parse(Path(file).read_bytes())
                except (OSError, SyntaxError, ValueError):
                    continue
        return [(_shown(file), tree) for file, tree in found.items()]

    def place(self, name: str) -> Place:
        """Where the application's source sets ``name``, else the module that makes it."""
        for file, tree in self.sources:
            for node in ast.walk(tree):
                if name in _names_set_by(node):
                    return Place(_spelt(name), file, getattr(node, "lineno", 1))
        return Place(_spelt(name))

    def fallback_file(self) -> str:
        """A file for reports that need one."""
        return self.sources[0][0] if self.sources else self.app.import_name


def _names_set_by(node: ast.AST) -> Iterator[str]:
    """The settings that a piece of source gives a value, whatever the way."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                yield target.id
            elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                yield str(target.slice.value)
            elif isinstance(target, ast.Attribute):
                yield target.attr.upper()
    elif isinstance(node, ast.keyword) and node.arg is not None:
        yield node.arg
    elif isinstance(node, ast.Dict):
        yield from (str(key.value) for key in node.keys if isinstance(key, ast.Constant))


def _spelt(name: str) -> str:
    return f"app.config[{name!r}]" if name.isupper() else name


def _shown(file: str) -> str:
    """A file name relative to the working directory, where it lies below that."""
    try:
        return Path(file).resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return Path(file).as_posix()
