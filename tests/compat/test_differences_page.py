"""`docs/differences-from-flask.md` names each test of behaviour that Flask does not have."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "differences-from-flask.md").read_text()

#: Tests marked `beyond` that are no difference in behaviour -> why.
NO_DIFFERENCE: dict[str, str] = {
    "test_the_endpoint_helper_is_where_old_releases_had_it": "a private name, there in addition",
    "test_1001_files_are_a_413_and_all_are_closed": "Flask answers so too; who closes when is told",
}


def marks(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    text = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
    return set(re.findall(r"pytest\.mark\.(\w+)", text))


def marked_beyond() -> dict[str, set[str]]:
    found = {}
    for folder in ("features", "hostile", "property", "compat"):
        for file in (TESTS / folder).glob("test_*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    continue
                if node.name.startswith("test_") and "beyond" in marks(node):
                    found[node.name] = marks(node)
    return found


BEYOND = marked_beyond()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "`test_" in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_each_row_names_tests_that_flask_fails(row: str) -> None:
    cells = row.strip("|").split(" | ")
    assert len(cells) == 5 and all(cell.strip() for cell in cells)
    assert set(re.findall(r"`(test_\w+)`", cells[4])) <= set(BEYOND)


@pytest.mark.parametrize("name", sorted(BEYOND))
def test_each_difference_stands_on_the_page(name: str) -> None:
    if "xfail" in BEYOND[name] or name in NO_DIFFERENCE:
        assert f"`{name}`" not in PAGE
    else:
        assert f"`{name}`" in PAGE


def test_every_row_of_the_page_is_looked_at() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    headings = [line for line in rows if line.startswith("| what |")]
    assert len(ROWS) == len(rows) - len(headings) > 40
