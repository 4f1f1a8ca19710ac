"""Run the test suites of popular Flask extensions on Flask and, through the alias, on Carboy.

    python tests/compat/run_extension_suites.py [--only NAME]... [--no-report]

`extensions.toml` lists them. Each gets a virtual environment of its own under `.build/`, with the
real Flask that it depends on, and its source distribution from the package registry (nothing of it
is committed). No service is started: tests that need Redis or Docker fail alike on both sides, and
what is compared is the outcome of each test. Writes `docs/compat-extensions.md` and the table that
`carboy doctor` reads, `src/carboy/cli/compat_table.json`; with `--only`, only those rows change.

Exit status: 0; 1 when a test differs that `extensions.toml` does not allow; 2 when a run did not
come about.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tomllib
from typing import Any

from suites import (
    FLASK,
    HERE,
    ROOT,
    WERKZEUG,
    Comparison,
    SetupError,
    environment,
    run_suite,
    unpacked_sdist,
    versions,
)

EXTENSIONS = HERE / "extensions.toml"
SCENARIOS = HERE / "scenarios"
REPORT = ROOT / "docs" / "compat-extensions.md"
TABLE = ROOT / "src" / "carboy" / "cli" / "compat_table.json"

PYTEST = "pytest==9.0.2"
SHOWN = ("flask", "werkzeug")
SECONDS = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME", action="append", help="this extension only")
    parser.add_argument("--no-report", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    extensions = tomllib.loads(EXTENSIONS.read_text())
    names = chosen(list(extensions), options.only)
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {"extensions": {}}
    status = 0
    for name in names:
        row, code = examine(name, extensions[name])
        status = max(status, code)
        if row is not None:
            table["extensions"][name] = row
    table["extensions"] = {k: v for k, v in table["extensions"].items() if k in extensions}
    if not options.no_report:
        write_table(table, list(extensions))
        write_report(table, extensions)
    return status


def chosen(known: list[str], wanted: list[str] | None) -> list[str]:
    """The names to run, spelled as in the list; ends the program when there is no such name."""
    if not wanted:
        return known
    by_plain = {plain(name): name for name in known}
    unknown = [name for name in wanted if plain(name) not in by_plain]
    if unknown:
        sys.exit(f"extensions.toml has no {', '.join(unknown)}; it has {', '.join(known)}.")
    return [by_plain[plain(name)] for name in wanted]


def plain(name: str) -> str:
    return name.lower().replace("_", "-")


def examine(name: str, extension: dict[str, Any]) -> tuple[dict[str, Any] | None, int]:
    """Run one suite on both sides; its row of the table, and the exit status it asks for."""
    requirement = f"{name}=={extension['version']}"
    packages = [
        FLASK,
        WERKZEUG,
        extension.get("pytest", PYTEST),
        requirement,
        *extension.get("needs", []),
    ]
    try:
        python = environment(f"ext-{plain(name)}", packages)
        if "scenario" in extension:
            folder, tests = SCENARIOS, [extension["scenario"]]
        else:
            folder, tests = unpacked_sdist(requirement), extension["tests"]
    except SetupError as error:
        print(f"{name}: {error}")
        return None, 2
    fixtures = ["-p", extension["fixtures"]] if "fixtures" in extension else []
    arguments = [*fixtures, *extension.get("arguments", []), *tests]
    label = f"ext-{plain(name)}"
    given = extension.get("given", [])
    flask, carboy = (
        run_suite(python, folder, arguments, name=label, alias=alias, seconds=SECONDS, given=given)
        for alias in (False, True)
    )
    if flask is None or carboy is None:
        return None, 2
    comparison = Comparison(flask, carboy, extension.get("differences", {}))
    comparison.show()
    print(f"{name}: {comparison.summary()}", flush=True)
    row = {
        "version": extension["version"],
        "source": "scenario" if "scenario" in extension else "own suite",
        "tests": comparison.tests,
        "flask": len(comparison.flask_passed),
        "carboy": len(comparison.carboy_passed),
        "differing": {
            test: f"{here} on Flask, {there} on Carboy"
            for test, (here, there, _) in comparison.differing.items()
        },
        "versions": versions(python, SHOWN),
        "date": datetime.date.today().isoformat(),
    }
    return row, 1 if comparison.unlisted else 0


def write_table(table: dict[str, Any], order: list[str]) -> None:
    found = table["extensions"]
    table["extensions"] = {name: found[name] for name in order if name in found}
    TABLE.write_text(json.dumps(table, indent=1) + "\n")


def write_report(table: dict[str, Any], extensions: dict[str, Any]) -> None:
    lines = [
        "# Flask extensions on Carboy",
        "",
        "`make compat-extensions` takes each extension's source distribution, runs its own test",
        "suite on Flask, and once more on Carboy through `import carboy.as_flask`, and compares the",
        "outcome of each test. This page is its report; `carboy doctor` reads the same table. No",
        "service runs beside (Redis, memcached, Docker …): tests that need one end alike on both.",
        "",
        "| extension | version | tests | passed on Flask | passed on Carboy | differing tests |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in table["extensions"].items():
        tests = f"{row['tests']}" + (" ¹" if row["source"] == "scenario" else "")
        differing = len(row["differing"]) or "none"
        lines.append(
            f"| {name} | {row['version']} | {tests} | {row['flask']} | {row['carboy']} "
            f"| {differing} |"
        )
    lines += [
        "",
        "¹ Its source distribution has no tests: a scenario in `tests/compat/scenarios/` that uses the",
        "extension as its documentation does. Recipes with other libraries: [compat-recipes.md](compat-recipes.md).",
        "",
        "## Differing tests",
        "",
        *differing_tests(table, extensions),
        "",
        "## Tests that do not pass on Flask",
        "",
        "They end alike on both sides.",
        "",
        *(
            f"- **{name}**: {extension['note']}"
            for name, extension in extensions.items()
            if "note" in extension
        ),
        "",
        "## Versions",
        "",
        *version_lines(table),
    ]
    REPORT.write_text("\n".join(lines) + "\n")


def differing_tests(table: dict[str, Any], extensions: dict[str, Any]) -> list[str]:
    lines = []
    for name, row in table["extensions"].items():
        allowed = extensions[name].get("differences", {})
        for test, outcome in row["differing"].items():
            lines.append(
                f"- {name}: `{test}`: {outcome}. {allowed.get(test, 'Not explained yet.')}"
            )
    return lines or ["No test differs."]


def version_lines(table: dict[str, Any]) -> list[str]:
    """One line for each set of versions and date, with the extensions that were run with it."""
    groups: dict[str, list[str]] = {}
    for name, row in table["extensions"].items():
        versions_used = ", ".join(f"{key} {value}" for key, value in row["versions"].items())
        groups.setdefault(f"{row['date']}: {versions_used}", []).append(name)
    if len(groups) == 1:
        return [f"- {key}" for key in groups]
    return [f"- {key}: {', '.join(names)}" for key, names in groups.items()]


if __name__ == "__main__":
    sys.exit(main())
