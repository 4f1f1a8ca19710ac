"""Run the recipes that Flask users follow for tasks, logs and traces, on Flask and on Carboy.

    python tests/compat/run_recipes.py [--only NAME]... [--no-report]

Each `recipes/NAME_recipe.py` uses a library as its documentation, or Flask's, does. It runs three
times: on Flask, on Carboy beside Flask, and on Carboy where Flask is not installed; each time in a
process of its own, because several of the libraries patch Flask for good. Writes
`docs/compat-recipes.md`; with `--only`, nothing is written.

Exit status: 0; 1 when a test differs; 2 when a recipe did not run, or fails on Flask.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import sys
from dataclasses import dataclass
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


@dataclass
class Result:
    """One recipe, on Carboy beside Flask (`both`) and without it (`alone`)."""

    both: Comparison
    alone: Comparison
    sound: bool

    @property
    def differing(self) -> dict[str, str]:
        found = {
            test: f"{here} on Flask, {there} on Carboy without Flask"
            for test, (here, there, _) in self.alone.differing.items()
        }
        for test, (here, there, _) in self.both.differing.items():
            found[test] = f"{here} on Flask, {there} on Carboy"
        return found

    def counts(self) -> tuple[int, int, int]:
        passed = (self.both.flask_passed, self.both.carboy_passed, self.alone.carboy_passed)
        return len(passed[0]), len(passed[1]), len(passed[2])


def main() -> int:
    recipes = [file.stem.removesuffix("_recipe") for file in sorted(RECIPES.glob("*_recipe.py"))]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME", action="append", choices=recipes)
    parser.add_argument("--no-report", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    pinned = requirements()
    try:
        beside = environment("recipes", [FLASK, WERKZEUG, *pinned])
        alone = environment("recipes-alone", [FLASK, WERKZEUG, *pinned], without=["flask"])
    except SetupError as error:
        print(error)
        return 2
    chosen = options.only or recipes
    examined = {name: examine(name, beside, alone) for name in chosen}
    found = {name: result for name, result in examined.items() if result is not None}
    flask, carboy, without = (
        sum(result.counts()[place] for result in found.values()) for place in range(3)
    )
    print(
        f"recipes: {flask} passed on Flask, {carboy} passed on Carboy "
        f"({without} where Flask is not installed)"
    )
    if not options.only and not options.no_report and len(found) == len(chosen):
        names = [requirement.partition("==")[0] for requirement in pinned]
        write_report(found, versions(beside, ("flask", "werkzeug", *names)))
    if len(found) < len(chosen) or not all(result.sound for result in found.values()):
        return 2
    return 1 if any(result.differing for result in found.values()) else 0


def requirements() -> list[str]:
    lines = (RECIPES / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def examine(name: str, beside: Path, alone: Path) -> Result | None:
    """Run one recipe three times; None when a run did not come about."""
    runs = []
    for label, python, alias in (
        (f"recipe-{name}", beside, False),
        (f"recipe-{name}", beside, True),
        (f"recipe-{name}-alone", alone, True),
    ):
        file = [f"{name}_recipe.py"]
        tests = run_suite(python, RECIPES, file, name=label, alias=alias, seconds=SECONDS)
        if tests is None:
            return None
        runs.append(tests)
    flask, carboy, without = runs
    for test, outcome in flask.items():
        if outcome["outcome"] != "passed":
            print(f"  {test}: {outcome['outcome']} on Flask: {outcome['why']}")
    sound = all(outcome["outcome"] != "failed" for outcome in flask.values())
    result = Result(Comparison(flask, carboy, {}), Comparison(flask, without, {}), sound)
    result.both.show()
    result.alone.show()
    print("{}: {} passed on Flask, {} on Carboy, {} on Carboy alone".format(name, *result.counts()))
    return result


def write_report(found: dict[str, Result], used: dict[str, str]) -> None:
    lines = [
        "# Recipes for tasks, logs and traces on Carboy",
        "",
        "`make compat-recipes` uses each of these libraries as its documentation, or Flask's, does",
        "(`from flask import …`, unmodified): on Flask, on Carboy through `import carboy.as_flask`",
        "with Flask installed beside it, and on Carboy where Flask is not installed. This page is",
        "its report; the recipes are in `tests/compat/recipes/`.",
        "",
        f"- date: {datetime.date.today().isoformat()}",
        f"- versions: {', '.join(f'{name} {version}' for name, version in used.items())}",
        "",
        "| recipe | tests | passed on Flask | passed on Carboy | passed on Carboy, no Flask |",
        "|---|---|---|---|---|",
    ]
    for name, result in found.items():
        counts = " | ".join(map(str, result.counts()))
        lines.append(f"| {about(name)} | {result.both.tests} | {counts} |")
    differing = [
        f"- `{test}`: {how}" for result in found.values() for test, how in result.differing.items()
    ]
    lines += ["", *(differing or ["No test differs."])]
    REPORT.write_text("\n".join(lines) + "\n")


def about(name: str) -> str:
    """What a recipe is: the first line of its module's docstring."""
    tree = ast.parse((RECIPES / f"{name}_recipe.py").read_text())
    return (ast.get_docstring(tree) or name).split("\n")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
