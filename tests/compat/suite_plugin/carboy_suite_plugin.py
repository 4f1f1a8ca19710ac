"""A pytest plugin for suites written for Flask: installs the alias, writes down each outcome.

`suites.py` loads it with `-p`, before the suite's conftest imports `flask`.

Environment: `CARBOY_SUITE_RESULTS` names the JSON file to write; `CARBOY_SUITE_ALIAS=1` puts Carboy
in Flask's place. `CARBOY_SUITE_GIVEN` lists names of old releases that the tests need, as
`module:name` with spaces between; each is made and is True.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

if os.environ.get("CARBOY_SUITE_ALIAS") == "1":
    importlib.import_module("carboy.as_flask")

for given in os.environ.get("CARBOY_SUITE_GIVEN", "").split():
    module_name, _, name = given.partition(":")
    setattr(importlib.import_module(module_name), name, True)

# A test that hangs must fail alone, not take the run with it.
TEST_SECONDS = 60

_outcomes: dict[str, dict[str, str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note(report.nodeid, report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _note(report.nodeid, report)


def _note(nodeid: str, report: Any) -> None:
    worse = {"passed": 0, "skipped": 1, "failed": 2}
    known = _outcomes.get(nodeid)
    if known is None or worse[report.outcome] > worse[known["outcome"]]:
        _outcomes[nodeid] = {"outcome": report.outcome, "why": _why(report)}


def _why(report: Any) -> str:
    if report.outcome == "passed":
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return f"{os.path.basename(crash.path)}:{crash.lineno}: {crash.message}"[:600]
    return str(report.longrepr)[-600:]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    def out_of_time(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"{item.nodeid} took more than {TEST_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(TEST_SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def pytest_sessionfinish() -> None:
    flask = sys.modules.get("flask")
    result = {"flask_is": getattr(flask, "__name__", None), "file": getattr(flask, "__file__", "")}
    result["code_of"] = getattr(getattr(flask, "Blueprint", None), "__module__", "")
    with open(os.environ["CARBOY_SUITE_RESULTS"], "w") as file:
        json.dump({"flask": result, "tests": _outcomes}, file, indent=1)
