"""The checklist of capabilities against the tests.

``rows.json`` holds the id and the kind of each capability that Carboy promises. A test names the
ids that it holds in the first line of its docstring, before a colon: ``"ROUT-06, ROUT-13: ..."``.
An id of a kind in ``HERE`` that no test names needs a reason in ``exempt.json``.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

FEATURES = Path(__file__).parent
ROOT = FEATURES.parents[1]
HERE = {"core", "werkzeug", "jinja", "cli", "example", "difference"}
ROWS: dict[str, str] = json.loads((FEATURES / "rows.json").read_text())
EXEMPT: dict[str, str] = json.loads((FEATURES / "exempt.json").read_text())
FIRST_LINE = re.compile(r"\s*((?:[A-Z]+-\d+)(?:,\s*[A-Z]+-\d+)*):")


def named_ids(source: str) -> Iterator[str]:
    """The ids in the docstrings of a module's tests."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test"
        ):
            first = (ast.get_docstring(node) or "").split("\n", 1)[0]
            if found := FIRST_LINE.match(first):
                yield from re.split(r",\s*", found[1])


def all_named_ids() -> set[str]:
    """The ids that any test of the project names."""
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    skipped = {".venv", "node_modules", ".build"}
    return {
        name
        for path in files
        if not skipped.intersection(path.parts)
        for name in named_ids(path.read_text(encoding="utf-8"))
    }


def test_every_row_has_a_test_or_a_reason():
    """Each capability of the kinds that are built here is named by a test."""
    promised = {name for name, kind in ROWS.items() if kind in HERE}
    missing = promised - all_named_ids() - EXEMPT.keys()
    assert not missing, f"no test names: {', '.join(sorted(missing))}"


def test_an_exempt_row_is_a_row_without_a_test():
    """A reason is short, and gone once a test exists."""
    assert EXEMPT.keys() <= ROWS.keys()
    assert all(len(reason) > 15 for reason in EXEMPT.values())
    overtaken = EXEMPT.keys() & all_named_ids()
    assert not overtaken, f"has a test now: {', '.join(sorted(overtaken))}"


def test_tests_name_no_unknown_rows():
    """An id in a docstring is one of the checklist's."""
    prefixes = {name.split("-")[0] for name in ROWS}
    unknown = {n for n in all_named_ids() - ROWS.keys() if n.split("-")[0] in prefixes}
    assert not unknown


def test_ids_are_read_from_the_first_line_of_a_docstring():
    """Only before the colon, of functions that are tests."""
    source = '''
def test_a():
    """ROUT-06, ROUT-13: text with ROUT-99."""
def test_b():
    """Words.

    ROUT-01: not the first line.
    """
def helper():
    """ROUT-02: not a test."""
class TestC:
    async def test_d(self):
        """D-01: in a class."""
'''
    assert set(named_ids(source)) == {"ROUT-06", "ROUT-13", "D-01"}
