"""Run somebody else's test suite on Flask and, through the alias, on Carboy; compare test by test.

What `run_flask_suite.py` and `run_extension_suites.py` share: virtual environments and unpacked
source distributions under `.build/` (nothing of them is committed), one run of pytest with
`suite_plugin`, and the comparison of two runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SOURCE = ROOT / "src"
BUILD = ROOT / ".build"

FLASK = "flask==3.1.3"
# Flask 3.1.3's own suite passes whole beside this release; beside 3.1.8 and 3.1.9 one test fails.
WERKZEUG = "werkzeug==3.1.6"

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


class SetupError(Exception):
    """A package that could not be fetched or installed; the text is pip's own."""


def environment(
    name: str,
    packages: Iterable[str],
    without: Iterable[str] = (),
    *,
    base: str = sys.executable,
    within: Path = BUILD,
) -> Path:
    """The interpreter of `.build/NAME-<python>`: `packages` and, editable, Carboy.

    `base` is the interpreter that it is made from. `within` is the folder instead of `.build/`;
    there Carboy is copied, as this checkout may be nobody else's to read.

    `without` are names of packages that must not be there, although others require them. Made anew when the list or Carboy's own metadata changes. Raises `SetupError`.
    """
    folder = within / f"{name}-{platform.python_version()}"
    python = folder / "bin" / "python"
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = "\n".join([*packages, *(f"not {name}" for name in without), str(metadata)])
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == digest:
        return python
    create = [base, "-m", "venv", "--clear", "--without-pip", str(folder)]
    subprocess.run(create, check=True)
    install = ["--python", str(python), "install", "--quiet"]
    _pip(*install, *packages)
    _pip(*install, "--no-deps", *(["--editable"] if within == BUILD else []), str(ROOT))
    if without:
        _pip("--python", str(python), "uninstall", "--quiet", "--yes", *without)
    stamp.write_text(digest)
    return python


def unpacked_sdist(requirement: str) -> Path:
    """The folder of the unpacked source distribution of `NAME==VERSION`. Raises `SetupError`."""
    folder = BUILD / "sdists" / requirement
    if not folder.is_dir():
        fetched = BUILD / "sdists" / "fetched" / requirement
        shutil.rmtree(fetched, ignore_errors=True)
        name = requirement.partition("==")[0]
        _pip(
            "download", "--quiet", "--no-deps", "--no-binary", name, "-d", str(fetched), requirement
        )
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        with tarfile.open(next(fetched.glob("*.tar.gz"))) as archive:
            # An archive cannot write outside the folder with this filter.
            archive.extractall(partial, filter="data")
        partial.rename(folder)
    return next(inner for inner in folder.iterdir() if inner.is_dir())


def _pip(*arguments: str) -> None:
    run = subprocess.run([*PIP, *arguments], capture_output=True, text=True)
    if run.returncode:
        raise SetupError(run.stderr.strip()[-2000:])


def run_suite(
    python: Path,
    folder: Path,
    arguments: Iterable[str],
    *,
    name: str,
    alias: bool,
    seconds: int,
    given: Iterable[str] = (),
) -> dict[str, Any] | None:
    """Each test's outcome and reason, or `None` when pytest did not get that far.

    Runs `pytest ARGUMENTS` in `folder`, on Carboy when `alias`, for at most `seconds`. `name` is
    the name of the files with all output and all outcomes in `.build/`. `given` are names of old
    releases of Flask that the tests import, `module:name`; they are True on both sides.
    """
    subject = "carboy" if alias else "flask"
    results = BUILD / f"{name}-{subject}.json"
    log = BUILD / f"{name}-{subject}.log"
    results.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-q", "--tb=short", "-p", "carboy_suite_plugin"]
    # A file that cannot be imported is one failure; the suite's own addopts ask for other plugins.
    command += ["--continue-on-collection-errors", "-o", "addopts="]
    command += ["-o", f"cache_dir={BUILD / 'pytest-cache' / name}"]
    command += [*_settings(folder), *arguments]
    print(f"{name}: running on {subject} …", flush=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **_environ(python, results, alias=alias),
                "CARBOY_SUITE_GIVEN": " ".join(given),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            print(f"The suite on {subject} was still running after {seconds} s.")
            return None
    found = json.loads(results.read_text()) if results.exists() else {"tests": {}}
    if not found["tests"]:
        print(log.read_text()[-3000:])
        print(f"The suite did not run on {subject}; all output is in .build/{log.name}.")
        return None
    if found["flask"]["code_of"].partition(".")[0] != subject:
        print(f"The suite was to run on {subject}, but it imported {found['flask']}.")
        return None
    tests: dict[str, Any] = found["tests"]
    return tests


def _settings(folder: Path) -> list[str]:
    """Arguments that keep pytest from taking Carboy's own settings for a suite that has none."""
    homes = {
        "pytest.ini": "[pytest]",
        "tox.ini": "[pytest]",
        "setup.cfg": "[tool:pytest]",
        "pyproject.toml": "[tool.pytest",
    }
    for name, section in homes.items():
        file = folder / name
        if file.exists() and section in file.read_text():
            return []
    return ["-c", os.devnull, "--rootdir", str(folder), "--confcutdir", str(folder)]


def _environ(python: Path, results: Path, *, alias: bool) -> dict[str, str]:
    """The environment of a run: no settings of the shell; the alias in child processes, too."""
    of_the_shell = ("FLASK_", "CARBOY_", "PYTEST", "REQUESTS_", "CURL_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(of_the_shell)}
    env["CARBOY_SUITE_RESULTS"] = str(results)
    env["CARBOY_SUITE_ALIAS"] = env["CARBOY_AS_FLASK"] = "1" if alias else "0"
    folders = [
        HERE / "suite_plugin",
        HERE / "scenarios",
        *([SOURCE / "carboy" / "_alias" / "child_path"] * alias),
    ]
    env["PYTHONPATH"] = os.pathsep.join(map(str, folders))
    env["PYTHONHASHSEED"] = "0"  # some suites make test ids from sets
    # `flask`, `pytest` and other commands that a suite starts are those of the environment.
    env["PATH"] = os.pathsep.join([str(python.parent), env.get("PATH", "")])
    return env


class Comparison:
    """Two runs of a suite, side by side, and what is allowed to differ: test id -> reason."""

    def __init__(self, flask: dict[str, Any], carboy: dict[str, Any], allowed: dict[str, str]):
        self.allowed = allowed
        self.tests = len({*flask, *carboy})
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
            f"{len(self.flask_passed)} passed on Flask, "
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


def versions(python: Path, names: Iterable[str]) -> dict[str, str]:
    """The installed versions of `names`, of Carboy and of Python, by name."""
    code = "import sys; from importlib.metadata import version\n"
    code += "for name in sys.argv[1:]: print(name, version(name))"
    run = subprocess.run(
        [str(python), "-c", code, "carboy", *names], capture_output=True, text=True, check=True
    )
    found = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    return {"Python": platform.python_version(), **found}
