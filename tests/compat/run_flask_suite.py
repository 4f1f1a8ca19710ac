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
import hashlib
import json
import os
import platform
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / ".build"
DIFFERENCES = HERE / "flask_suite_differences.json"
REPORT = ROOT / "docs" / "compat-flask-suite.md"

FLASK = "flask==3.1.3"
# Flask 3.1.3's own suite passes whole beside this release; beside 3.1.8 and 3.1.9 one test fails.
WERKZEUG = "werkzeug==3.1.6"
# The suite's conftest uses a private name of pytest's that later releases do not have.
PYTEST = "pytest==9.0.2"
PACKAGES = (FLASK, WERKZEUG, PYTEST, "asgiref", "cryptography", "greenlet", "python-dotenv")
SHOWN = ("carboy", "flask", "werkzeug", "jinja2", "itsdangerous", "click", "blinker", "pytest")
ENOUGH = 0.95
RUN_SECONDS = 600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="EXPRESSION", help="as pytest's -k; writes no report")
    parser.add_argument("--no-report", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    python = environment()
    suite = unpacked_suite()
    flask = run_suite(python, suite, alias=False, only=options.only)
    carboy = run_suite(python, suite, alias=True, only=options.only)
    if flask is None or carboy is None:
        return 2
    comparison = Comparison(flask, carboy, json.loads(DIFFERENCES.read_text()))
    comparison.show()
    if not options.only and not options.no_report:
        write_report(comparison, versions(python))
    return comparison.exit_status()


def environment() -> Path:
    """The interpreter of the virtual environment, made or brought up to date when needed."""
    folder = BUILD / f"compat-{platform.python_version()}"
    python = folder / "bin" / "python"
    wanted = "\n".join([*PACKAGES, (ROOT / "pyproject.toml").read_text()])
    stamp = folder / "installed"
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", str(ROOT)], check=True)
    stamp.write_text(digest)
    return python


def unpacked_suite() -> Path:
    """The folder of Flask's unpacked source distribution."""
    folder = BUILD / FLASK.replace("==", "-")
    if (folder / "tests").is_dir():
        return folder
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", "flask", "--dest", str(BUILD), FLASK]
    subprocess.run(command, check=True)
    with tarfile.open(folder.with_name(folder.name + ".tar.gz")) as archive:
        # Flask's files only: an archive cannot write outside the folder with this filter.
        archive.extractall(BUILD, filter="data")
    return folder


def run_suite(python: Path, suite: Path, *, alias: bool, only: str | None) -> dict[str, Any] | None:
    """Each test's outcome and reason, or `None` when pytest did not get that far."""
    name = "carboy" if alias else "flask"
    results = BUILD / f"suite-{name}.json"
    results.unlink(missing_ok=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("FLASK_", "CARBOY_", "PYTEST"))}
    env["CARBOY_SUITE_RESULTS"] = str(results)
    env["CARBOY_SUITE_ALIAS"] = "1" if alias else "0"
    env["PYTHONPATH"] = str(HERE / "suite_plugin")
    command = [str(python), "-m", "pytest", "-q", "--tb=short", "-p", "carboy_suite_plugin"]
    command += ["-p", "no:cacheprovider", *(["-k", only] if only else [])]
    print(f"flask suite: running on {name} …", flush=True)
    try:
        run = subprocess.run(
            command, cwd=suite, env=env, capture_output=True, text=True, timeout=RUN_SECONDS
        )
    except subprocess.TimeoutExpired:
        print(f"The suite on {name} was still running after {RUN_SECONDS} s.")
        return None
    (BUILD / f"suite-{name}.log").write_text(run.stdout + run.stderr)
    found = json.loads(results.read_text()) if results.exists() else {"tests": {}}
    if not found["tests"]:
        print(run.stdout[-3000:], run.stderr[-3000:], sep="\n")
        print(f"The suite did not run on {name}; all output is in .build/suite-{name}.log.")
        return None
    if found["flask"]["code_of"].split(".")[0] != name:
        print(f"The suite was to run on {name}, but it imported {found['flask']}.")
        return None
    tests: dict[str, Any] = found["tests"]
    return tests


class Comparison:
    """Two runs of the suite, side by side, and what is allowed to differ."""

    def __init__(self, flask: dict[str, Any], carboy: dict[str, Any], allowed: dict[str, str]):
        self.allowed = allowed
        self.flask_passed = [name for name, test in flask.items() if test["outcome"] == "passed"]
        self.carboy_passed = [name for name, test in carboy.items() if test["outcome"] == "passed"]
        self.differing: dict[str, tuple[str, str, str]] = {}
        missing = {"outcome": "not run", "why": ""}
        for name in sorted({*flask, *carboy}):
            here, there = flask.get(name, missing), carboy.get(name, missing)
            if here["outcome"] != there["outcome"]:
                self.differing[name] = (here["outcome"], there["outcome"], there["why"])
        self.unlisted = [name for name in self.differing if name not in allowed]
        self.stale = [name for name in allowed if name in flask and name not in self.differing]
        both = set(self.flask_passed) & set(self.carboy_passed)
        self.share = len(both) / len(self.flask_passed) if self.flask_passed else 0.0

    def summary(self) -> str:
        return (
            f"flask suite: {len(self.flask_passed)} passed on Flask, "
            f"{len(self.carboy_passed)} passed on Carboy, {len(self.differing)} differing "
            f"({self.share:.1%} of what passes on Flask)"
        )

    def show(self) -> None:
        for name, (here, there, why) in self.differing.items():
            reason = self.allowed.get(name)
            first_line = why.strip().split("\n")[0]
            print(f"  {name}: {here} on Flask, {there} on Carboy")
            print(f"      {'listed: ' + reason if reason else 'NOT LISTED: ' + first_line}")
        for name in self.stale:
            print(f"  {name}: listed as differing, but it does not differ (any more)")
        print(self.summary())

    def exit_status(self) -> int:
        if self.unlisted:
            print(f"{len(self.unlisted)} tests differ that {DIFFERENCES.name} does not list.")
        if self.share < ENOUGH:
            print(f"Carboy must pass at least {ENOUGH:.0%} of what Flask passes.")
        return 1 if self.unlisted or self.share < ENOUGH else 0


def versions(python: Path) -> dict[str, str]:
    code = "import sys; from importlib.metadata import version\n"
    code += "for name in sys.argv[1:]: print(name, version(name))"
    run = subprocess.run(
        [str(python), "-c", code, *SHOWN], capture_output=True, text=True, check=True
    )
    found = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    return {"Python": platform.python_version(), **found}


def write_report(comparison: Comparison, found: dict[str, str]) -> None:
    """Write the page anew, unless only the date would change."""
    lines = [
        "# Flask's own test suite on Carboy",
        "",
        "`make compat` runs the test suite that Flask's source distribution contains twice: on Flask,",
        "and through `import carboy.as_flask` on Carboy. This page is its report.",
        "",
        f"- {comparison.summary()}",
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
