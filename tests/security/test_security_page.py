"""docs/security.md names the test that holds each promise: each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from carboy import audit
from carboy.check import RULES
from carboy.config import default_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()


def names_of_tests() -> set[str]:
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "examples").rglob("test_*.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in nodes if isinstance(node, kinds)}


def test_each_promise_names_a_test_that_is_there() -> None:
    """A renamed test takes its row along."""
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"\b(?:test_|Test[A-Z])\w+", row[-2])}
    files = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    files |= {path.stem for path in (ROOT / "examples").rglob("test_*.py")}
    assert len(named) > 80
    assert named - names_of_tests() - files == set()


def test_each_rule_of_the_check_is_listed() -> None:
    """And none that is not there."""
    table = PAGE.partition("| family | rules |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", table)) == set(RULES)


def test_each_audit_event_is_listed_with_its_fields() -> None:
    """Whoever reads the log can look them up."""
    table = PAGE.partition("| event | level | fields |")[2].partition("\n\n")[0]
    for row in table.splitlines():
        cells = row.split("|")
        for name in re.findall(r"`(\w+)`", cells[1]) if len(cells) > 3 else ():
            listed = re.findall(r"`(\w+)`", cells[3].partition(":")[0])
            assert set(listed) == set(audit.EVENTS[name][1]), name
    assert set(re.findall(r"`(\w+)`", table)) >= set(audit.EVENTS)


@pytest.mark.parametrize("prefix", ["CSRF_", "RATE_LIMIT", "SESSION_COOKIE_S", "SESSION_CACHE"])
def test_each_setting_is_explained(prefix: str) -> None:
    """One documented switch each."""
    missing = [key for key in default_config() if key.startswith(prefix) and f"`{key}`" not in PAGE]
    assert missing == []
