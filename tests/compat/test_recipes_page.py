"""`docs/compat-recipes.md` is the runner's: each recipe stands there, whole, and none regresses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "compat-recipes.md").read_text()
RECIPES = sorted((HERE / "recipes").glob("*_recipe.py"))


def row_of(recipe: Path) -> list[str]:
    first_line = (ast.get_docstring(ast.parse(recipe.read_text())) or "").split("\n")[0]
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| {first_line.rstrip('.')} |")]
    return [cell.strip() for cell in row.strip("|").split(" | ")]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_each_recipe_passes_as_often_on_carboy_as_on_flask(recipe: Path) -> None:
    tests, flask, carboy, alone = map(int, row_of(recipe)[1:])
    assert 0 < tests >= flask
    assert flask == carboy == alone


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_each_test_of_a_recipe_is_in_the_count(recipe: Path) -> None:
    assert int(row_of(recipe)[1]) >= len(re.findall(r"^def test_", recipe.read_text(), re.M))


def test_the_page_names_the_versions_of_what_is_pinned() -> None:
    lines = (HERE / "recipes" / "requirements.txt").read_text().splitlines()
    pinned = [line.replace("==", " ") for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pinned if pin not in PAGE] == []
