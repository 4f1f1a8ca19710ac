"""The goals, and what the runs say about each: a figure, met or not."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.cases import BY_NAME, CASES, ONE_ROUTE
from bench.spread import ratios

PLAIN = ("text", "json", "path", "echo")
LIBRARY_LIMIT = 1.15
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Line:
    goal: str
    figure: str
    met: bool | None  # None: there was nothing to compute it from

    def row(self) -> str:
        verdict = {True: "met", False: "**not met**", None: "not measured"}[self.met]
        return f"| {self.goal} | {self.figure} | {verdict} |"


def at_most(goal: str, figures: dict[str, float | None], limit: float) -> Line:
    """A goal that several figures must keep."""
    known = {name: value for name, value in figures.items() if value is not None}
    if not known:
        return Line(goal, "-", None)
    digits = 3 if abs(limit) < 0.4 else 2
    words = ", ".join(f"{name} {value:.{digits}f}".strip() for name, value in known.items())
    return Line(goal, words, all(value <= limit for value in known.values()))


def at_least(goal: str, figures: dict[str, float | None], limit: float) -> Line:
    inverse = {name: -v if v is not None else None for name, v in figures.items()}
    line = at_most(goal, inverse, -limit)
    return Line(line.goal, line.figure.replace("-", "") or "-", line.met)


def share(times: dict[str, list[float]], one: str, other: str) -> float | None:
    if one not in times or other not in times:
        return None
    return ratios(times[one], times[other]).middle


def lines(requests: Any, sockets: Any, growth: Any, soak: Any) -> Iterator[Line]:
    yield from _requests(requests["found"] if requests else {})
    yield from _sockets(sockets["found"] if sockets else {})
    yield from _growth(growth["found"] if growth else {})
    yield from _async(requests["found"] if requests else {}, sockets["found"] if sockets else {})
    if soak:
        grown = {k: v for k, v in soak["growth"].items() if k != "memory"}
        words = f"memory {soak['growth']['memory'] / MEBIBYTE:+.1f} MiB, "
        words += ", ".join(f"{name} {value:+.0f}" for name, value in grown.items())
        goal = f"soak: {soak['requests']:,} requests, {soak['threads']} threads, nothing grows"
        yield Line(goal, words, soak["passed"])
    else:
        yield Line("soak: nothing grows", "-", None)


def _requests(found: dict[str, Any]) -> Iterator[Line]:
    title = {case.name: case.title for case in CASES}
    falcon = {title[n]: share(found.get(n, {}), "carboy", "falcon") for n in PLAIN}
    flask = {title[n]: share(found.get(n, {}), "carboy", "flask") for n in PLAIN}
    yield at_most("1. WSGI: at most 1.0 x Falcon's time", falcon, 1.0)
    yield at_most("1. WSGI: at most 1/15 (0.067) of Flask's time", flask, 1 / 15)
    rest: dict[str, float | None] = {}
    libraries: dict[str, float | None] = {}
    for case in CASES:
        times = found.get(case.name, {})
        value = share(times, "carboy", "flask")
        if case.name in PLAIN or value is None:
            continue
        if case.library and value > 0.2:
            libraries[case.title] = share(times, "carboy", "library")
        else:
            rest[case.title] = value
    yield at_most("2. every other case: at most 1/5 of Flask's time", rest, 0.2)
    yield at_most(
        "2. where a library's work dominates: at most 1.15 x that library", libraries, LIBRARY_LIMIT
    )
    for door in ("asgi", "rsgi"):
        figures = {
            case.title: share(found.get(case.name, {}), f"carboy-{door}", "blacksheep")
            for case in CASES
        }
        goal = f"3. {door.upper()}, async views, in process: at most 1.0 x BlackSheep's time (ASGI)"
        yield at_most(goal, figures, 1.0)


def rate(found: dict[str, Any], name: str, server: str, case: str = "text") -> list[float] | None:
    entry = found.get(f"{name} | {server} | {case}")
    return None if entry is None else entry["rates"]


def _rates(found: dict[str, Any], one: tuple[str, str], other: tuple[str, str]) -> float | None:
    these, those = rate(found, *one), rate(found, *other)
    return None if these is None or those is None else ratios(these, those).middle


def _sockets(found: dict[str, Any]) -> Iterator[Line]:
    figures: dict[str, float | None] = {
        door.upper(): _rates(
            found, (f"bare-{door}", f"granian {door}"), (f"carboy-{door}", f"granian {door}")
        )
        for door in ("asgi", "rsgi")
    }
    yield at_most(
        "3. over a socket on Granian: at most 1.6 x the bare callable's time", figures, 1.6
    )
    bare = _rates(found, ("carboy", "granian wsgi"), ("bare", "granian wsgi"))
    yield at_least(
        "4. WSGI on Granian, text: at least 0.80 of the bare callable's throughput", {"": bare}, 0.8
    )
    flask = {
        f"Carboy on {server}": _rates(found, ("carboy", server), ("flask", "gunicorn gthread"))
        for server in ("granian wsgi", "gunicorn gthread")
    }
    best = max((v for v in flask.values() if v is not None), default=None)
    line = at_least("4. text: at least 12 x Flask on gunicorn gthread", flask, 12)
    yield Line(line.goal, line.figure, None if best is None else best >= 12)


def middle(found: dict[str, Any], key: str, name: str) -> float | None:
    values = found.get(key, {}).get(name)
    return statistics.median(values) if values else None


def over(found: dict[str, Any], one: str, other: str, name: str) -> float | None:
    """A metric at one point over the same metric at another."""
    these, those = middle(found, one, name), middle(found, other, name)
    return None if these is None or not those else these / those


def _growth(found: dict[str, Any]) -> Iterator[Line]:
    names = {"page": "static part", "item": "two values", "query": "with a query"}
    figures = {
        title: over(found, "url_for carboy 10", "url_for flask 10", name)
        for name, title in names.items()
    }
    yield at_most("5. `url_for`: at most 1/10 of Flask's time", figures, 0.1)
    many, one = "routes carboy 10000", "routes carboy 1"
    yield at_most(
        "5. 10,000 routes: at most 1.3 x one route", {"": over(found, many, one, "match")}, 1.3
    )
    linear = over(found, many, "routes carboy 1000", "register")
    yield at_most(
        "5. registration is linear: 10 x the routes, at most 12 x the time", {"": linear}, 12
    )
    half = {
        "registration": over(found, many, "routes flask 10000", "register"),
        "with the first request": _both(found, many, "routes flask 10000"),
    }
    yield at_most("5. registration of 10,000 routes: at most 1/2 of Flask's time", half, 0.5)
    start = {
        n: over(found, "start carboy 0", "start flask 0", n) for n in ("import", "memory", "first")
    }
    yield at_most("6. `import carboy`: at most 0.50 of `import flask`", {"": start["import"]}, 0.5)
    yield at_most("6. memory after import: below Flask's", {"": start["memory"]}, 0.999)
    yield at_most("6. first request: at most 1/2 of Flask's time", {"": start["first"]}, 0.5)
    big, small = "body carboy 100000000", "body carboy 1000"
    above: float | None = None
    if (high := middle(found, big, "peak")) and (low := middle(found, small, "peak")):
        above = (high - low) / MEBIBYTE
    yield at_most(
        "7. 100 MB up and down: memory within 2 MiB of 1 kB's",
        {"MiB more:": above},
        2,
    )
    tens = {
        "file": over(found, big, "body carboy 10000000", "upload"),
        "all CR": over(found, big, "body carboy 10000000", "lone CR"),
        "10,000 fields": over(found, "fields carboy 10000", "fields carboy 1000", "multipart"),
        "1,000 files": over(found, "fields carboy 1000", "fields carboy 100", "files"),
    }
    yield at_most("7. multipart is linear: 10 x the size, at most 12 x the time", tens, 12)
    speed = {
        "file of 10 MB": over(found, "body flask 10000000", "body carboy 10000000", "upload"),
        "all CR": over(found, "body flask 10000000", "body carboy 10000000", "lone CR"),
        "10,000 fields": over(found, "fields flask 10000", "fields carboy 10000", "multipart"),
        "1,000 files": over(found, "fields flask 1000", "fields carboy 1000", "files"),
    }
    yield at_least("7. multipart: at least 2 x the throughput of Werkzeug (in Flask)", speed, 2)
    quick: dict[str, float | None] = {}
    for size, title in ((1, "a small message"), (100, "100 rows")):
        fast = middle(found, f"json_fast carboy {size}", "fast checked")
        plain = middle(found, f"json_fast carboy {size}", "plain checked")
        quick[title] = fast / plain if fast and plain else None
    yield at_most(
        "8. validated JSON in and out with the extra `fast`: at most 1/3 of the standard"
        " provider's time",
        quick,
        1 / 3,
    )


def _both(found: dict[str, Any], one: str, other: str) -> float | None:
    values = [middle(found, key, name) for key in (one, other) for name in ("register", "first")]
    if any(value is None for value in values):
        return None
    a, b, c, d = (value or 0.0 for value in values)
    return (a + b) / (c + d)


def _async(found: dict[str, Any], sockets: dict[str, Any]) -> Iterator[Line]:
    """An `async def` view by its best door over a sync view by its best door."""
    figures: dict[str, float | None] = {}
    flask: dict[str, float | None] = {}
    for name in ("text", "json", "path"):
        times = found.get(name, {})
        title = BY_NAME[name].title
        native = best(times, "carboy-asgi", "carboy-rsgi", "carboy-async")
        plain = best(times, "carboy", "carboy-asgi-sync", "carboy-rsgi-sync")
        figures[title] = share(times, native, plain) if native and plain else None
        flask[title] = share(times, "flask-async", "flask")
    rates = _rates(sockets, ("carboy", "granian wsgi"), ("carboy-rsgi", "granian rsgi"))
    figures["text over a socket"] = rates
    line = at_most(
        "async view by its best door: at most 1.3 x a sync view by its best", figures, 1.3
    )
    words = ", ".join(f"{value:.1f}" for value in flask.values() if value)
    yield Line(line.goal, line.figure + (f" (Flask: {words})" if words else ""), line.met)


def best(times: dict[str, list[float]], *names: str) -> str | None:
    there = [name for name in names if name in times]
    return min(there, key=lambda name: statistics.median(times[name]), default=None)


def one_route(found: dict[str, Any]) -> float | None:
    if "routes" not in found or ONE_ROUTE.name not in found:
        return None
    return ratios(found["routes"]["carboy"], found[ONE_ROUTE.name]["carboy"]).middle
