"""The list of hostile cases and of known faults against the tests.

``rows.json`` holds the cases (``HOSTILE-1`` ...) and, by what went wrong, the ids of faults that
other projects had; ``KNOWN-...`` where there is no public id. A test names in its docstring those
that it would fail for. An id that no test names needs a reason in ``exempt.json``.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ROWS = json.loads((HERE / "rows.json").read_text(encoding="utf-8"))
CASES: dict[str, str] = ROWS["cases"]
FAULTS: dict[str, list[str]] = ROWS["faults"]
EXEMPT: dict[str, str] = json.loads((HERE / "exempt.json").read_text(encoding="utf-8"))
IDS = {*CASES, *(name for names in FAULTS.values() for name in names)}

_ID = re.compile(
    r"HOSTILE-(\d+) to HOSTILE-(\d+)|HOSTILE-\d+|KNOWN-[a-z-]*[a-z]"
    r"|CVE-\d{4}-\d{4,}|GHSA(?:-[0-9a-z]{4}){3}|PYSEC-\d{4}-\d+"
)
#: Ways to write them that would not be read.
_SHORT = re.compile(r"HOSTILE \d|HOSTILE-\d+(?:, | to )\d|CVE-\d{4}-\d+, -\d|\b[Rr]ow \d")


def named(docstring: str) -> Iterator[str]:
    """The ids in a docstring; "HOSTILE-3 to HOSTILE-5" is three."""
    for found in _ID.finditer(docstring):
        if found[1]:
            yield from (f"HOSTILE-{number}" for number in range(int(found[1]), int(found[2]) + 1))
        else:
            yield found[0]


def docstrings(source: str) -> Iterator[tuple[str, str]]:
    """Name and docstring of each test of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test"
        ):
            yield node.name, ast.get_docstring(node) or ""


@cache
def all_docstrings() -> list[tuple[str, str]]:
    """Of all tests of the project, with the path of their file."""
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    skipped = {".venv", "node_modules", ".build"}
    return [
        (f"{path.relative_to(ROOT)}::{name}", text)
        for path in files
        if not skipped.intersection(path.parts)
        for name, text in docstrings(path.read_text(encoding="utf-8"))
    ]


@cache
def all_named() -> frozenset[str]:
    """The ids that any test names."""
    return frozenset(name for _, text in all_docstrings() for name in named(text))


def test_every_case_and_fault_has_a_test_or_a_reason():
    """Each is named by a test, or stands in exempt.json."""
    missing = sorted(IDS - all_named() - EXEMPT.keys())
    assert not missing, f"no test names: {', '.join(missing)}"


def test_an_exempt_id_is_one_without_a_test():
    """A reason is a sentence, and gone once a test exists."""
    assert EXEMPT.keys() <= IDS
    assert all(len(reason) > 30 for reason in EXEMPT.values())
    overtaken = sorted(EXEMPT.keys() & all_named())
    assert not overtaken, f"has a test now: {', '.join(overtaken)}"


def test_tests_name_no_unknown_ids():
    """What a docstring names stands in rows.json, so that nothing is misspelt."""
    unknown = sorted(all_named() - IDS)
    assert not unknown, f"not in rows.json: {', '.join(unknown)}"


def test_ids_are_spelt_out():
    """A shortened id would not be found."""
    short = [place for place, text in all_docstrings() if _SHORT.search(text)]
    assert not short, f"spell the ids out: {', '.join(short)}"


def test_the_list_is_whole():
    """Cases are numbered without a gap; no fault stands there twice."""
    assert list(CASES) == [f"HOSTILE-{number}" for number in range(1, len(CASES) + 1)]
    assert len(IDS) == len(CASES) + sum(map(len, FAULTS.values()))


def test_ids_are_read_from_docstrings_of_tests():
    """Singly, as a range, on any line; not from helpers."""
    source = '''
def test_a():
    """HOSTILE-3 to HOSTILE-5, CVE-2020-1234: text.

    KNOWN-odd-thing, GHSA-5rvq-cxj2-64vf.
    """
def helper():
    """HOSTILE-1: not a test."""
class TestB:
    async def test_c(self):
        """PYSEC-2026-3041."""
'''
    assert [name for _, text in docstrings(source) for name in named(text)] == [
        "HOSTILE-3", "HOSTILE-4", "HOSTILE-5", "CVE-2020-1234",
        "KNOWN-odd-thing", "GHSA-5rvq-cxj2-64vf", "PYSEC-2026-3041",
    ]  # fmt: skip
