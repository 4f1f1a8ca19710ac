"""The house of ARCHITECTURE.md: who may import whom, and how large a thing may grow.

A room is a module or a package directly below ``carboy``. It imports only from rooms that stand
before it here: from lower floors, or from its own floor to the left. ``TYPE_CHECKING`` imports are
free. An import inside a function is a lazy door and stands in ``LAZY_DOORS`` with its reason.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "carboy"

FLOORS: dict[str, list[str]] = {
    "words": [
        "typing",
        "shortcuts",
        "signals",
        "errors",
        "transport",
        "descriptors",
        "importing",
        "packages",
        "dates",
    ],
    "things": [
        "config",
        "globals",
        "json",
        "logging",
        "audit",
        "body",
        "headers",
        "formparsing",
        "signing",
        "hosts",
        "origins",
        "receiving",
        "responses",
        "wrappers",
        "ctx",
        "sessions",
        "routing",
    ],
    "engine": [
        "plan",
        "bridges",
        "steps",
        "responding",
        "ending",
        "pipeline",
        "serving",
        "urls",
        "websockets",
    ],
    "doors": ["gateways"],
    "surface": [
        "sending",
        "helpers",
        "files",
        "templating",
        "views",
        "scaffold",
        "blueprints",
        "app",
        "",
    ],
    "rooms": ["debughelpers", "sse", "testing", "security", "server_sessions"],
    "tools": ["_alias", "check", "cli", "serve", "as_flask", "sansio", "__main__"],
}

#: (room, what it opens): why it is not imported at the top.
LAZY_DOORS = {
    ("_alias", "_alias"): "importlib.metadata is for who asks for Flask's metadata",
    ("_alias", "as_flask"): "the child's stand-in for flask only does the alias import",
    ("app", "cli"): "Click is for the command line; a served request never needs it",
    ("app", "debughelpers"): "only in debug mode",
    ("app", "gateways"): "asyncio is for applications behind an async server",
    ("gateways", "gateways"): "a WSGI application without async steps never imports asyncio",
    ("app", "security"): "only where a setting switches a protection on",
    ("app", "templating"): "Jinja2 is for applications that render templates",
    ("app", "testing"): "Werkzeug's test client is for tests",
    ("cli", "cli"): "Werkzeug's debugger is for debug mode",
    ("cli", "check"): "the rules are for `carboy check` and `carboy explain`",
    ("cli", "security"): "only `carboy secret` makes keys",
    ("cli", "serve"): "Granian and its workers are for `carboy serve`",
    ("helpers", "scaffold"): "an old address of a private name that extensions still import",
    ("security", "security"): "each protection is for applications that switch it on",
    ("sessions", "signing"): "ItsDangerous is for applications that use the session",
    ("receiving", "debughelpers"): "only in debug mode",
    ("scaffold", "cli"): "an application without commands never imports Click",
    ("server_sessions", "server_sessions"): "each store's library is for who uses that store",
    ("templating", "debughelpers"): "only with EXPLAIN_TEMPLATE_LOADING",
    ("testing", "cli"): "only when a command is invoked",
}

FACES = ["sansio"]

MOST_LINES_OF_A_MODULE = {"app": 700, "cli": 700, "gateways": 250}


def modules() -> dict[str, Path]:
    """The modules by dotted name below ``carboy``; the package itself is ``""``."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()


def room_of(module: str) -> str:
    return module.partition(".")[0]


def targets(module: str, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """The modules of Carboy that an import statement names."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif node.level:
        package = ["carboy", *module.split(".")] if module else ["carboy"]
        if MODULES[module].name != "__init__.py":
            package.pop()
        base = ".".join(package[: len(package) - node.level + 1])
        base = f"{base}.{node.module}" if node.module else base
        names = [f"{base}.{alias.name}" for alias in node.names]
    else:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    for name in names:
        first, _, rest = name.partition(".")
        if first != "carboy":
            continue
        while rest not in MODULES:
            rest = rest.rpartition(".")[0]
        yield rest


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """What a module imports when it runs, and whether inside a function."""

    def visit(nodes: list[ast.stmt], lazy: bool) -> Iterator[tuple[str, bool]]:
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                for target in targets(module, node):
                    yield target, lazy
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                yield from visit(node.orelse, lazy)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from visit(node.body, True)
            else:
                for field in ("body", "orelse", "finalbody", "handlers"):
                    yield from visit(getattr(node, field, []), lazy)

    yield from visit(ast.parse(MODULES[module].read_text(encoding="utf-8")).body, False)


def test_each_room_stands_on_a_floor() -> None:
    """A new module is entered in the list of rooms, on the floor where it belongs."""
    listed = [room for rooms in FLOORS.values() for room in rooms]
    assert sorted(listed) == sorted({room_of(module) for module in MODULES})


@pytest.mark.parametrize("module", MODULES, ids=lambda name: name or "carboy")
def test_imports_go_down(module: str) -> None:
    """A room imports from lower floors, or from earlier rooms of its own floor."""
    order = [room for rooms in FLOORS.values() for room in rooms]
    place = order.index(room_of(module))
    up = [
        target
        for target, lazy in imports(module)
        if not lazy and room_of(target) != room_of(module) and order.index(room_of(target)) > place
    ]
    assert not up, f"{module} imports {up}, which stand above it"


def test_imports_have_no_cycle() -> None:
    """No module imports itself by way of others."""
    graph = {
        module: {target for target, lazy in imports(module) if not lazy and target != module}
        for module in MODULES
    }
    TopologicalSorter(graph).prepare()


def test_lazy_doors_are_declared() -> None:
    """Each import inside a function is on the list, and each line of the list is used."""
    used = {
        (room_of(module), room_of(target))
        for module in MODULES
        for target, lazy in imports(module)
        if lazy
    }
    assert used == set(LAZY_DOORS)


@pytest.mark.parametrize("room", FACES)
def test_a_face_only_exports(room: str) -> None:
    """A face holds no code of its own."""
    for module, path in MODULES.items():
        if room_of(module) == room:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            allowed = ast.Import | ast.ImportFrom | ast.Expr | ast.Assign
            assert all(isinstance(node, allowed) for node in tree.body), module


def code_lines(path: Path) -> int:
    """Lines with code: no blank lines, comments or docstrings."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            skipped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in skipped
        for number, line in enumerate(text.splitlines(), 1)
    )


def test_modules_stay_small() -> None:
    """At most 500 lines of code, 700 for app and cli, 250 for a door."""
    large = {
        module: lines
        for module, path in MODULES.items()
        if (lines := code_lines(path)) > MOST_LINES_OF_A_MODULE.get(room_of(module), 500)
    }
    assert not large


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function without signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_functions_stay_small() -> None:
    """No function above 60 lines, and nine of ten under 30."""
    sizes = {
        f"{module}:{node.name}": body_lines(node)
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not {name: size for name, size in sizes.items() if size > 60}
    assert sum(size < 30 for size in sizes.values()) >= 0.9 * len(sizes)


def test_ignored_types_stay_few() -> None:
    """At most one ``type: ignore`` in 250 lines, each with its code."""
    texts = [path.read_text(encoding="utf-8") for path in MODULES.values()]
    ignored = sum(text.count("type: ignore") for text in texts)
    assert ignored == sum(text.count("type: ignore[") for text in texts)
    assert ignored * 250 <= sum(len(text.splitlines()) for text in texts)


def test_the_map_names_each_room() -> None:
    """ARCHITECTURE.md draws the floors of this file, in this order."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for rank, (floor, rooms) in enumerate(FLOORS.items()):
        row = next(line for line in text.splitlines() if line.startswith(f"| {rank} {floor} |"))
        places = [row.find(f"`{room or 'carboy'}`") for room in rooms]
        assert -1 not in places, (floor, rooms[places.index(-1)])
        assert places == sorted(places), floor


def test_a_light_import_stays_light() -> None:
    """``import carboy`` brings in nothing that a plain request does not need."""
    heavy = ["asyncio", "click", "http.server", "importlib.metadata", "jinja2", "ssl", "unittest"]
    heavy += ["werkzeug.debug", "werkzeug.serving", "werkzeug.test"]
    code = f"import carboy, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
