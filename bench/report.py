"""The page that a benchmark run writes."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import PackageNotFoundError, version

from bench.cases import BY_NAME, ONE_ROUTE, Case
from bench.spread import Spread, ratios, spread

Times = dict[str, list[float]]  # seconds per request in each round, by framework

PACKAGES = ("carboy", "flask", "falcon", "werkzeug", "jinja2", "itsdangerous")
LIBRARY_LIMIT = 1.5
ROUTES_LIMIT = 1.3
IMPORT_LIMIT = 0.6

INTRODUCTION = """\
# Benchmarks

`make bench` writes this page. Each framework runs in a process of its own and is called as a WSGI
application, without a server; rounds are interleaved, and the answers are compared before anything is
timed. Times are microseconds per request (in each round the best of four bursts of ten milliseconds, then
the median over the rounds). A ratio is taken round by round; its median stands before the quartiles. *Floor* is a bare WSGI callable that repeats the finished answer.
*Library* is what the library under the framework costs alone (Werkzeug's form parser, ItsDangerous,
Jinja, `json`, Werkzeug's `send_file`). The last column says whether the goal of the row is met.
"""


def page(
    results: dict[str, Times],
    imports: tuple[dict[str, Spread], Spread] | None,
    rounds: int,
    clock: str,
) -> str:
    lines = [INTRODUCTION, *_facts(rounds, clock), ""]
    lines.append("| request | Carboy | Flask | Falcon | floor | library | Carboy : Flask |")
    lines[-1] += " Carboy : Falcon | Carboy : library | goal |"
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|--:|---|")
    for name, times in results.items():
        if name != ONE_ROUTE.name:
            lines.append(_row(BY_NAME[name], times))
    lines.append("")
    if "carboy" in results.get("routes", {}) and "carboy" in results.get(ONE_ROUTE.name, {}):
        many, one = results["routes"]["carboy"], results[ONE_ROUTE.name]["carboy"]
        share = ratios(many, one)
        lines.append(
            f"- 1,000 routes cost Carboy {_ratio(share)} times what one route costs "
            f"({_micro(one)} µs): goal at most {ROUTES_LIMIT}, {_met(share, ROUTES_LIMIT)}"
        )
    if imports:
        times_of, share = imports
        lines.append(
            f"- `import carboy` takes {times_of['carboy'].middle * 1e3:.0f} ms, `import flask` "
            f"{times_of['flask'].middle * 1e3:.0f} ms, {_ratio(share)}: "
            f"goal at most {IMPORT_LIMIT}, {_met(share, IMPORT_LIMIT)}"
        )
    return "\n".join(lines).rstrip() + "\n"


def summary(results: dict[str, Times]) -> str:
    """The table for the README: the times, and how many times faster than Flask."""
    lines = ["| request | Carboy | Flask | Falcon | faster than Flask |", "|---|--:|--:|--:|--:|"]
    for name, times in results.items():
        if name != ONE_ROUTE.name and {"carboy", "flask"} <= times.keys():
            cells = [_micro(times.get(n)) for n in ("carboy", "flask", "falcon")]
            times_faster = 1 / ratios(times["carboy"], times["flask"]).middle
            lines.append(f"| {BY_NAME[name].title} | {' | '.join(cells)} | {times_faster:.1f} x |")
    return "\n".join(lines)


def _facts(rounds: int, clock: str) -> list[str]:
    return [
        f"- date: {datetime.date.today().isoformat()}; {rounds} rounds, {clock} time",
        f"- machine: {_processor()}, {os.cpu_count()} cores, {platform.system()}",
        f"- versions: Python {platform.python_version()}, "
        + ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    ]


def _row(case: Case, times: Times) -> str:
    cells = [case.title]
    cells += [_micro(times.get(n)) for n in ("carboy", "flask", "falcon", "floor", "library")]
    shares = {
        name: ratios(times["carboy"], times[name])
        for name in ("flask", "falcon", "library")
        if name in times and "carboy" in times
    }
    cells += [_ratio(shares.get(name)) for name in ("flask", "falcon", "library")]
    cells.append(_goal(case, shares))
    return f"| {' | '.join(cells)} |"


def _goal(case: Case, shares: dict[str, Spread]) -> str:
    """Against Flask; where a library does most of the work, against that library."""
    if "flask" not in shares:
        return ""
    if "library" in shares:
        return f"≤ {LIBRARY_LIMIT} x library: {_met(shares['library'], LIBRARY_LIMIT)}"
    return f"≤ 1/{round(1 / case.limit)} of Flask: {_met(shares['flask'], case.limit)}"


def _met(share: Spread, limit: float) -> str:
    return "met" if share.middle <= limit else "**missed**"


def _micro(seconds: list[float] | None) -> str:
    return f"{spread(seconds).middle * 1e6:.1f}" if seconds else "-"


def _ratio(share: Spread | None) -> str:
    return f"{share.middle:.3f} ({share.low:.3f}-{share.high:.3f})" if share else "-"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
