"""Run the recipes that Flask users follow for tasks, logs and traces, on Flask and on Carboy.

    python tests/compat/run_recipes.py [--only NAME]... [--no-report]

Each `recipes/NAME_recipe.py` uses a library as its documentation, or Flask's, does; each runs in a
process of its own, because several of the libraries patch Flask for good. Writes
`docs/compat-recipes.md`; with `--only`, nothing is written.

Exit status: 0; 1 when a test differs; 2 when a recipe did not run, or fails on Flask.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import sys
from pathlib import Path

from suites import (
    FLASK,
    HERE,
    ROOT,
    WERKZEUG,
    Comparison,
    SetupError,
    environment,
    run_suite,
    versions,
)

RECIPES = HERE / "recipes"
REPORT = ROOT / "docs" / "compat-recipes.md"
SECONDS = 300


def main() -> int:
    recipes = {
        file.stem.removesuffix("_recipe"): file for file in sorted(RECIPES.glob("*_recipe.py"))
    }
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME", action="append", choices=list(recipes))
    parser.add_argument("--no-report", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    pinned = requirements()
    try:
        python = environment("recipes", [FLASK, WERKZEUG, *pinned])
    except SetupError as error:
        print(error)
        return 2
    compared = {name: compare(name, recipes[name], python) for name in options.only or recipes}
    found = {name: comparison for name, comparison in compared.items() if comparison is not None}
    flask = sum(len(comparison.flask_passed) for comparison in found.values())
    carboy = sum(len(comparison.carboy_passed) for comparison in found.values())
    print(f"recipes: {flask} passed on Flask, {carboy} passed on Carboy")
    status = exit_status(compared)
    if not options.only and not options.no_report and len(found) == len(compared):
        names = [requirement.partition("==")[0] for requirement in pinned]
        write_report(found, versions(python, ("flask", "werkzeug", *names)))
    return status


def requirements() -> list[str]:
    lines = (RECIPES / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def compare(name: str, recipe: Path, python: Path) -> Comparison | None:
    flask, carboy = (
        run_suite(
            python, RECIPES, [recipe.name], name=f"recipe-{name}", alias=alias, seconds=SECONDS
        )
        for alias in (False, True)
    )
    if flask is None or carboy is None:
        return None
    for test, result in flask.items():
        if result["outcome"] != "passed":
            print(f"  {test}: {result['outcome']} on Flask: {result['why']}")
    comparison = Comparison(flask, carboy, {})
    comparison.show()
    print(f"{name}: {comparison.summary()}", flush=True)
    comparison.sound = all(result["outcome"] != "failed" for result in flask.values())
    return comparison


def exit_status(compared: dict[str, Comparison | None]) -> int:
    if any(comparison is None or not comparison.sound for comparison in compared.values()):
        return 2
    return 1 if any(comparison.differing for comparison in compared.values()) else 0


def write_report(found: dict[str, Comparison], used: dict[str, str]) -> None:
    lines = [
        "# Recipes for tasks, logs and traces on Carboy",
        "",
        "`make compat-recipes` uses each of these libraries as its documentation, or Flask's, does",
        "(`from flask import …`, unmodified), on Flask and through `import carboy.as_flask` on",
        "Carboy. This page is its report; the recipes are in `tests/compat/recipes/`.",
        "",
        f"- date: {datetime.date.today().isoformat()}",
        f"- versions: {', '.join(f'{name} {version}' for name, version in used.items())}",
        "",
        "| recipe | tests | passed on Flask | passed on Carboy |",
        "|---|---|---|---|",
    ]
    for name, comparison in found.items():
        lines.append(
            f"| {about(name)} | {comparison.tests} | {len(comparison.flask_passed)} "
            f"| {len(comparison.carboy_passed)} |"
        )
    differing = {
        test: pair for comparison in found.values() for test, pair in comparison.differing.items()
    }
    lines += [
        "",
        *(f"- `{test}`: {a} on Flask, {b} on Carboy" for test, (a, b, _) in differing.items()),
    ]
    if not differing:
        lines.append("No test differs.")
    REPORT.write_text("\n".join(lines) + "\n")


def about(name: str) -> str:
    """What a recipe is: the first line of its module's docstring."""
    tree = ast.parse((RECIPES / f"{name}_recipe.py").read_text())
    return (ast.get_docstring(tree) or name).split("\n")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
