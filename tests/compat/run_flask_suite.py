"""Run Flask's own test suite on Flask and, through the alias, on Carboy; compare test by test.

    python tests/compat/run_flask_suite.py [--only EXPRESSION]

The suite comes from Flask's source distribution, which pip downloads into `.build/` (nothing of it
is committed). Both runs use one virtual environment, `.build/compat-<python>`, where the real Flask is
installed beside Carboy: the alias has to win. A test that differs must stand, with its reason, in
`flask_suite_differences.json`. Writes `docs/compat-flask-suite.md`.

Exit status: 0; 1 when a test differs that is not listed, or when Carboy passes fewer than 95 % of the
tests that Flask passes; 2 when a run did not come about.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
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

DIFFERENCES = HERE / "flask_suite_differences.json"
REPORT = ROOT / "docs" / "compat-flask-suite.md"

# The suite's conftest uses a private name of pytest's that later releases do not have.
PYTEST = "pytest==9.0.2"
PACKAGES = (FLASK, WERKZEUG, PYTEST, "asgiref", "cryptography", "greenlet", "python-dotenv")
SHOWN = ("flask", "werkzeug", "jinja2", "itsdangerous", "click", "blinker", "pytest")
ENOUGH = 0.95
RUN_SECONDS = 600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="EXPRESSION", help="as pytest's -k; writes no report")
    parser.add_argument("--no-report", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    try:
        python = environment("compat", PACKAGES)
        suite = unpacked_sdist(FLASK)
    except SetupError as error:
        print(error)
        return 2
    flask = run(python, suite, alias=False, only=options.only)
    carboy = run(python, suite, alias=True, only=options.only)
    if flask is None or carboy is None:
        return 2
    comparison = Comparison(flask, carboy, json.loads(DIFFERENCES.read_text()))
    comparison.show()
    print(f"flask suite: {comparison.summary()}")
    if not options.only and not options.no_report:
        write_report(comparison, versions(python, SHOWN))
    return exit_status(comparison)


def run(python: Path, suite: Path, *, alias: bool, only: str | None) -> dict[str, Any] | None:
    """Each test's outcome and reason, or `None` when pytest did not get that far."""
    arguments = ["-k", only] if only else []
    return run_suite(python, suite, arguments, name="flask-suite", alias=alias, seconds=RUN_SECONDS)


def exit_status(comparison: Comparison) -> int:
    if comparison.unlisted:
        print(f"{len(comparison.unlisted)} tests differ that {DIFFERENCES.name} does not list.")
    if comparison.share < ENOUGH:
        print(f"Carboy must pass at least {ENOUGH:.0%} of what Flask passes.")
    return 1 if comparison.unlisted or comparison.share < ENOUGH else 0


def write_report(comparison: Comparison, found: dict[str, str]) -> None:
    """Write the page anew, unless only the date would change."""
    lines = [
        "# Flask's own test suite on Carboy",
        "",
        "`make compat` runs the test suite that Flask's source distribution contains twice: on Flask,",
        "and through `import carboy.as_flask` on Carboy. This page is its report.",
        "",
        f"- flask suite: {comparison.summary()}",
        f"- versions: {', '.join(f'{name} {version}' for name, version in found.items())}",
        "",
    ]
    if comparison.differing:
        lines += ["| test | on Flask | on Carboy | reason |", "|---|---|---|---|"]
        for name, (here, there, _) in comparison.differing.items():
            reason = comparison.allowed.get(name, "not explained yet")
            lines.append(f"| `{name}` | {here} | {there} | {reason} |")
    else:
        lines.append("No test differs.")
    old = REPORT.read_text().splitlines() if REPORT.exists() else []
    if [line for line in old if not line.startswith("- date:")] == lines:
        return
    lines.insert(5, f"- date: {datetime.date.today().isoformat()}")
    REPORT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
