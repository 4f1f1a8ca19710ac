"""Describe the public names of a Python package as plain data.

`make_api_golden.py` uses this on the real Flask and writes the result down; `test_api_superset.py`
uses it on Carboy and compares. It needs nothing but the standard library, so that the interpreter
that holds Flask needs nothing else.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import types
import typing
from typing import Any

SUBMODULES = (
    "app",
    "blueprints",
    "cli",
    "config",
    "ctx",
    "debughelpers",
    "globals",
    "helpers",
    "json",
    "json.provider",
    "json.tag",
    "logging",
    "sansio.app",
    "sansio.blueprints",
    "sansio.scaffold",
    "sessions",
    "signals",
    "templating",
    "testing",
    "typing",
    "views",
    "wrappers",
)

# Classes of these packages may lie under the framework's own; the names that they give are part of
# what an application sees. Click's are left out: they follow Click's version, not Flask's.
FOUNDATIONS = ("werkzeug", "jinja2", "builtins")

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN = (str, bytes, bool, int, float, type(None))


def module_names(package: str) -> list[str]:
    """The package and each of its public submodules, by full name."""
    return [package, *(f"{package}.{name}" for name in SUBMODULES)]


def public_names(module: types.ModuleType) -> list[str]:
    """Names that the module defines, or imports with `import x as x` to hand them on."""
    tree = ast.parse(inspect.getsource(module))
    names = {name for node in tree.body for name in _bound(node)}
    public = (n for n in names if not n.startswith("_") and hasattr(module, n))
    return sorted(n for n in public if not isinstance(getattr(module, n), typing.TypeVar))


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.name for alias in node.names if alias.asname == alias.name]
    if isinstance(node, ast.If):
        return [name for child in (*node.body, *node.orelse) for name in _bound(child)]
    if isinstance(node, ast.Try):
        return [name for child in node.body for name in _bound(child)]
    return []


def neutral(text: str, package: str) -> str:
    """A `repr` without memory addresses and with the package's name taken out."""
    return _ADDRESS.sub("", text).replace(f"{package}.", "<package>.")


def describe(value: Any, package: str) -> dict[str, Any]:
    """What kind of thing a public name is, with its signature or members where it has them."""
    if isinstance(value, types.ModuleType):
        return {"kind": "module", "name": neutral(value.__name__, package)}
    # A local proxy answers for the object behind it; its own type says what it is.
    if any(cls.__name__ == "LocalProxy" for cls in type(value).__mro__):
        return {"kind": "proxy"}
    if any(cls.__name__ == "Signal" for cls in type(value).__mro__):
        return {"kind": "signal", "name": value.name}
    if inspect.isclass(value) and not isinstance(value, types.GenericAlias):
        return _describe_class(value, package)
    if inspect.isroutine(value):
        return {"kind": "function", "signature": signature(value, package)}
    if callable(value) and type(value).__module__.split(".")[0] not in ("typing", "types"):
        return {"kind": "object"}
    return {"kind": "value", **_plain_value(value, package)}


def signature(function: Any, package: str) -> list[list[str]] | None:
    """Parameters as `[name, kind, default]` (`default` only where there is one)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    result = []
    for parameter in parameters:
        entry = [parameter.name, parameter.kind.name.lower()]
        if parameter.default is not parameter.empty:
            entry.append(neutral(repr(parameter.default), package))
        result.append(entry)
    return result


def _describe_class(cls: type, package: str) -> dict[str, Any]:
    own: dict[str, Any] = {}
    inherited: list[str] = []
    for name in dir(cls):
        if name.startswith("_") and name != "__init__":
            continue
        home = next((base for base in cls.__mro__ if name in vars(base)), None)
        if home is None:
            continue
        root = home.__module__.split(".")[0]
        if root == package:
            own[name] = describe_member(cls, name, package)
        elif root in FOUNDATIONS and home is not object and name != "__init__":
            inherited.append(name)
    return {
        "kind": "class",
        "bases": sorted({base.__name__ for base in cls.__mro__} - {"object", "Generic"}),
        "members": own,
        "inherited": sorted(inherited),
    }


def describe_member(cls: type, name: str, package: str) -> dict[str, Any]:
    """A member of a class: method, classmethod, staticmethod or (all else) attribute."""
    value = inspect.getattr_static(cls, name)
    if isinstance(value, (staticmethod, classmethod)):
        kind = type(value).__name__
        return {"kind": kind, "signature": signature(value.__func__, package)}
    if inspect.isfunction(value):
        return {"kind": "method", "signature": signature(value, package)}
    return {"kind": "attribute", **_plain_value(value, package)}


def _plain_value(value: Any, package: str) -> dict[str, Any]:
    if isinstance(value, (set, frozenset)) and all(isinstance(item, str) for item in value):
        return {"value": repr(sorted(value))}
    if isinstance(value, _PLAIN) and not isinstance(value, property):
        return {"value": neutral(repr(value), package)}
    return {}


def instances(package: str) -> dict[str, list[str]]:
    """Public attributes that objects of the main classes have, the ones set in `__init__` too."""
    root = importlib.import_module(package)
    cli = importlib.import_module(f"{package}.cli")
    app = root.Flask("golden")
    blueprint = root.Blueprint("part", "golden")
    setup_state = blueprint.make_setup_state(app, {}, False)
    app_context = app.app_context()
    app.secret_key = "golden"
    request_context = app.test_request_context("/")
    with request_context:
        session = app.session_interface.open_session(app, root.request)
    found = {
        "Flask": app,
        "Blueprint": blueprint,
        "BlueprintSetupState": setup_state,
        "AppContext": app_context,
        "RequestContext": request_context,
        "ScriptInfo": cli.ScriptInfo(),
        "FlaskClient": app.test_client(),
        "FlaskCliRunner": app.test_cli_runner(),
        "Config": app.config,
        "SecureCookieSession": session,
        "DefaultJSONProvider": app.json,
    }
    return {
        name: sorted(n for n in dir(value) if not n.startswith("_"))
        for name, value in sorted(found.items())
    }


def defaults(package: str) -> dict[str, str]:
    """Every built-in configuration key of a new application, with its default as `repr`."""
    root = importlib.import_module(package)
    return {key: repr(value) for key, value in sorted(root.Flask("golden").config.items())}
