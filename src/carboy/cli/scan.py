"""Reads an application's sources for what Flask 3.1 and Carboy do not have or do otherwise.

Nothing is imported or run: the syntax trees are enough.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import dropped
from .dropped import Dropped

_APPS = frozenset(
    ("app", "application", "blueprint", "bp", "current_app", "flask_app", "_app", "server")
)
_FORGIVING = frozenset(
    ("AttributeError", "Exception", "ImportError", "ModuleNotFoundError", "BaseException")
)
_AFTER_HOOKS = frozenset(("after_request", "after_app_request"))
_SENDERS = frozenset(("send_file", "send_from_directory"))

VERSION_FIX = (
    "it is always 3.1.3, the release whose API Carboy has; ask carboy.__version__ for ours"
)
METADATA_FIX = "it tells of the Flask that is installed beside, if any; ask for 'carboy'"
RETURN_FIX = "end the function with 'return response': without, each request is a 500"


@dataclass(frozen=True, order=True)
class Finding:
    """One place in the sources. `breaks` says that the line fails or has no effect as it is."""

    file: Path
    line: int
    what: str
    fix: str
    breaks: bool = True


def scan(files: Iterable[Path]) -> list[Finding]:
    """All findings, by file and line. Files that cannot be read or parsed are passed over."""
    found: set[Finding] = set()
    for file in files:
        try:
            tree = ast.parse(file.read_bytes(), str(file))
        except (OSError, SyntaxError, ValueError):
            continue
        found.update(_Reader(file).read(tree))
    return sorted(found)


def first_import_of_flask(file: Path) -> int | None:
    """The line of the first import of flask or of a flask_X in `file`; None without one."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (OSError, SyntaxError, ValueError):
        return None
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        if any(name.partition(".")[0].partition("_")[0] == "flask" for name in names):
            lines.append(node.lineno)
    return min(lines, default=None)


class _Reader:
    """Walks one file's tree; knows under which names the file has Flask's modules."""

    def __init__(self, file: Path) -> None:
        self.file = file
        #: Local name -> the module that it stands for.
        self.modules: dict[str, str] = {}

    def read(self, tree: ast.AST) -> Iterator[Finding]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name if alias.asname else alias.name.partition(".")[0]
                    if first.partition(".")[0] == "flask":
                        self.modules[alias.asname or first] = first
        yield from self._visit(tree, guarded=False)

    def _visit(self, node: ast.AST, *, guarded: bool) -> Iterator[Finding]:
        if isinstance(node, ast.Try) and _forgives(node):
            # Written for several releases of Flask: the handlers know what to do.
            for statement in node.body:
                yield from self._visit(statement, guarded=True)
            for rest in (*node.handlers, *node.orelse, *node.finalbody):
                yield from self._visit(rest, guarded=guarded)
            return
        if isinstance(node, ast.If) and "hasattr" in ast.dump(node.test):
            guarded = True
        if not guarded:
            yield from self._look_at(node)
        for child in ast.iter_child_nodes(node):
            yield from self._visit(child, guarded=guarded)

    def _look_at(self, node: ast.AST) -> Iterator[Finding]:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield from self._gone(node, alias.name, dropped.find(alias.name))
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    yield from self._imported(node, module, alias.name)
            case ast.Attribute():
                yield from self._attribute(node)
            case ast.Subscript(value=ast.Attribute(attr="config"), slice=ast.Constant(value=key)):
                yield from self._key(node, key)
            case ast.Call():
                yield from self._call(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from self._function(node)

    def _imported(self, node: ast.ImportFrom, module: str, name: str) -> Iterator[Finding]:
        if module == "flask" and name == "__version__":
            yield Finding(self.file, node.lineno, "flask.__version__", VERSION_FIX, breaks=False)
        yield from self._gone(node, f"{module}.{name}", dropped.find(module, name))

    def _attribute(self, node: ast.Attribute) -> Iterator[Finding]:
        module = self._module(node.value)
        if module is not None:
            if module == "flask" and node.attr == "__version__":
                yield Finding(self.file, node.lineno, "flask.__version__", VERSION_FIX, False)
            yield from self._gone(node, f"{module}.{node.attr}", dropped.find(module, node.attr))
            return
        owner = _last_name(node.value)
        gone = dropped.ATTRIBUTES.get(node.attr)
        if gone is None and owner in _APPS:
            gone = dropped.ATTRIBUTES_OF_AN_APP.get(node.attr)
        if gone is not None and owner in {*_APPS, "config", "self"}:
            yield from self._gone(node, f"{owner}.{node.attr}", gone)

    def _key(self, node: ast.expr, key: object) -> Iterator[Finding]:
        gone = dropped.KEYS.get(key) if isinstance(key, str) else None
        yield from self._gone(node, f"app.config[{key!r}]", gone)

    def _call(self, node: ast.Call) -> Iterator[Finding]:
        name = _last_name(node.func)
        if name in _SENDERS:
            for keyword in node.keywords:
                gone = dropped.ARGUMENTS.get(keyword.arg or "")
                yield from self._gone(keyword.value, f"{name}({keyword.arg}=…)", gone)
        first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if name in ("version", "get_distribution") and str(first).lower() == "flask":
            yield Finding(self.file, node.lineno, f"{name}('flask')", METADATA_FIX, breaks=False)
        if name in ("get", "setdefault") and isinstance(node.func, ast.Attribute):
            if _last_name(node.func.value) == "config":
                yield from self._key(node, first)
            elif _last_name(node.func.value) == "environ" and first == "FLASK_ENV":
                what = "the variable FLASK_ENV"
                yield from self._gone(node, what, dropped.KEYS["ENV"], breaks=False)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Finding]:
        hooks = {_last_name(decorator) for decorator in node.decorator_list} & _AFTER_HOOKS
        if hooks and not any(_returns_something(child) for child in node.body):
            what = f"the {hooks.pop()} function {node.name!r} returns nothing"
            yield Finding(self.file, node.lineno, what, RETURN_FIX)

    def _module(self, node: ast.expr) -> str | None:
        """The module of Flask that an expression stands for, such as `flask.json`."""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id)
        if isinstance(node, ast.Attribute):
            parent = self._module(node.value)
            name = f"{parent}.{node.attr}"
            if parent is not None and (parent == "flask" and name in dropped.NAMES):
                return name
        return None

    def _gone(
        self, node: ast.stmt | ast.expr, what: str, gone: Dropped | None, *, breaks: bool = True
    ) -> Iterator[Finding]:
        if gone is not None:
            text = f"{what}, which Flask {gone.since} has dropped"
            yield Finding(self.file, node.lineno, text, gone.fix, breaks)


def _forgives(node: ast.Try) -> bool:
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if any(kind is None or _last_name(kind) in _FORGIVING for kind in kinds):
            return True
    return False


def _last_name(node: ast.expr) -> str | None:
    """`c` of the expressions `c`, `a.b.c` and `a.b.c(...)`."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _returns_something(node: ast.AST) -> bool:
    if isinstance(node, ast.Return):
        return node.value is not None
    if isinstance(node, ast.Raise):
        return True
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return False
    return any(_returns_something(child) for child in ast.iter_child_nodes(node))
