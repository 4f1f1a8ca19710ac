"""The table of extensions in the documentation and in `carboy doctor` is the runner's, and whole."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXTENSIONS = tomllib.loads((Path(__file__).parent / "extensions.toml").read_text())
TABLE = json.loads((ROOT / "src" / "carboy" / "cli" / "compat_table.json").read_text())[
    "extensions"
]
PAGE = (ROOT / "docs" / "compat-extensions.md").read_text()


def test_each_extension_of_the_list_has_been_run() -> None:
    assert list(TABLE) == list(EXTENSIONS)


@pytest.mark.parametrize("name", EXTENSIONS)
def test_no_extension_regresses(name: str) -> None:
    row = TABLE[name]
    assert row["version"] == EXTENSIONS[name]["version"]
    assert 0 < row["flask"] <= row["tests"]
    unexplained = set(row["differing"]) - set(EXTENSIONS[name].get("differences", {}))
    assert not unexplained
    assert row["carboy"] >= row["flask"] - len(row["differing"])


@pytest.mark.parametrize("name", EXTENSIONS)
def test_the_page_shows_what_the_table_holds(name: str) -> None:
    row = TABLE[name]
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| {name} |")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == row["version"]
    assert [cells[2].split()[0], cells[3], cells[4]] == [
        str(row[key]) for key in ("tests", "flask", "carboy")
    ]


@pytest.mark.parametrize("name", [n for n, e in EXTENSIONS.items() if "scenario" in e])
def test_each_scenario_is_there(name: str) -> None:
    assert (Path(__file__).parent / "scenarios" / EXTENSIONS[name]["scenario"]).is_file()


def rows_without_a_note() -> list[Any]:
    return [
        name
        for name, row in TABLE.items()
        if row["flask"] < row["tests"] * 0.95 and "note" not in EXTENSIONS[name]
    ]


def test_what_does_not_pass_on_flask_either_is_explained() -> None:
    assert rows_without_a_note() == []
