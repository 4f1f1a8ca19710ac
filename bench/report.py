"""The page and the plots that the runs' results make: `docs/benchmarks.md`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import plot, reach, results, soak
from bench.cases import BY_NAME, CASES
from bench.contestants import ALL, NAMED
from bench.spread import Spread, ratios, spread

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"
README = ROOT / "README.md"
Times = dict[str, list[float]]  # seconds per request in each round, by contestant

INTRODUCTION = """\
# Benchmarks

`make bench`, `make bench-sockets`, `make bench-growth` and `make soak` measure; this page is written
from their results (`bench/results/`). Every peer is written as its documentation recommends, with
production settings, and answers are compared before anything is timed. Carboy runs with Flask's
default settings, so that its answers equal Flask's in every header; the row *own defaults* adds the
headers that Carboy sends for safety. Rounds are interleaved, a ratio is taken round by round, and its
median stands before the quartiles.
"""

IN_PROCESS = """\
## One request, in process

Each contestant has a process of its own and is called by its protocol, without a server. Times are
microseconds per request: in each round the best of a few short bursts, then the median over the rounds.
*Bare* is a callable of the protocol that does the same work with the standard library and the same
libraries: no routing, no request object, no hooks. *Library* is what the library under the framework
costs alone (Werkzeug's form parser, ItsDangerous, Jinja, `json` with sorted keys as Flask's answer has
them, Werkzeug's `send_file`). A dash: the framework has no such feature, or another one that is other
work.
"""

SOCKETS = """\
## Over a socket

One worker pinned to one core, the load generator ({generator}) on another; 32 keep-alive connections;
requests per second and the 99th percentile of the time to an answer (medians of the rounds).
"""

GROWTH = """\
## Start-up

A fresh process each time, byte code cached: import, modules that it loads, the first request, and
resident memory after the import and after 10,000 requests.
"""


def write() -> None:
    """Write the page, the plots and the table of the README from all results there are."""
    found = {n: results.load(n) for n in ("requests", "sockets", "growth", "soak")}
    PAGE.write_text(page(**found))
    IMAGES.mkdir(exist_ok=True)
    if requests := found["requests"]:
        (IMAGES / "bench-requests.svg").write_text(requests_chart(requests["found"]))
        text = README.read_text()
        start, end = "<!-- bench -->", "<!-- /bench -->"
        before, after = text.split(start)[0], text.split(end)[1]
        README.write_text(f"{before}{start}\n{summary(requests['found'])}\n{end}{after}")
    if sockets := found["sockets"]:
        (IMAGES / "bench-sockets.svg").write_text(sockets_chart(sockets["found"]))


def page(requests: Any, sockets: Any, growth: Any, soak: Any) -> str:
    parts = [INTRODUCTION, "## Goals\n", "| goal | figure | |", "|---|---|---|"]
    parts += [line.row() for line in reach.lines(requests, sockets, growth, soak)]
    parts.append("")
    if requests:
        parts += in_process(requests)
    if sockets:
        parts += over_sockets(sockets)
    if growth:
        parts += [GROWTH, _facts(growth, f"{growth['clock']} time"), "", *start(growth["found"])]
        parts += growths(growth["found"])
    if soak:
        parts += soaked(soak)
    return "\n".join(parts).rstrip() + "\n"


def in_process(kept: dict[str, Any]) -> list[str]:
    found = kept["found"]
    parts = [IN_PROCESS, _facts(kept, f"{kept['clock']} time"), ""]
    parts += ["![Microseconds per request](images/bench-requests.svg)", "", "### WSGI", ""]
    names = ["carboy", "carboy-defaults", "flask", "falcon", "bottle", "django", "bare", "library"]
    pairs = [("carboy", other) for other in ("flask", "falcon", "library")]
    parts += cases_table(found, names, pairs)
    one = reach.one_route(found)
    if one is not None:
        parts.append(f"\n1,000 routes cost Carboy {one:.3f} times what one route costs.\n")
    for views, title in (("", "async views"), ("-sync", "sync views: one hop to a worker thread")):
        parts += [f"### ASGI and RSGI, Carboy with {title}", ""]
        ours = [f"carboy-asgi{views}", f"carboy-rsgi{views}"]
        theirs = ["starlette", "fastapi", "litestar", "blacksheep", "quart"]
        bare = ["bare-asgi", "bare-rsgi"]
        pairs = [(name, "blacksheep") for name in ours]
        parts += cases_table(found, [*ours, *theirs, *bare] if not views else ours, pairs)
        parts.append("")
    parts += ["### Async views behind a WSGI server", ""]
    parts += cases_table(found, ["carboy-async", "flask-async"], [("carboy-async", "flask-async")])
    parts.append("")
    return parts


def cases_table(
    found: dict[str, Times], names: list[str], pairs: list[tuple[str, str]]
) -> list[str]:
    present = {name for times in found.values() for name in times}
    names = [name for name in names if name in present]
    pairs = [pair for pair in pairs if set(pair) <= present]
    heads = [NAMED[name].title for name in names]
    heads += [f"{NAMED[a].title} : {NAMED[b].title}" for a, b in pairs]
    rows = []
    for case in CASES:
        times = found.get(case.name, {})
        if not any(name in times for name in names):
            continue
        cells = [_micro(times.get(name)) for name in names]
        for a, b in pairs:
            known = a in times and b in times
            cells.append(_ratio(ratios(times[a], times[b])) if known else "-")
        rows.append([case.title, *cells])
    return _table(["request", *heads], rows)


def summary(found: dict[str, Times]) -> str:
    """The table for the README: the times, and how many times faster than Flask."""
    lines = ["| request | Carboy | Flask | Falcon | faster than Flask |", "|---|--:|--:|--:|--:|"]
    for case in CASES:
        times = found.get(case.name, {})
        if {"carboy", "flask"} <= times.keys():
            cells = [_micro(times.get(n)) for n in ("carboy", "flask", "falcon")]
            faster = 1 / ratios(times["carboy"], times["flask"]).middle
            lines.append(f"| {case.title} | {' | '.join(cells)} | {faster:.1f} x |")
    return "\n".join(lines)


def over_sockets(kept: dict[str, Any]) -> list[str]:
    note = f"{kept['seconds']:g} s of load a round, {kept['cores']} cores"
    parts = [SOCKETS.format(generator=kept["generator"]), _facts(kept, note), ""]
    parts += ["![Requests per second](images/bench-sockets.svg)", ""]
    for name in dict.fromkeys(entry["case"] for entry in kept["found"].values()):
        entries = [e for e in kept["found"].values() if e["case"] == name]
        entries.sort(key=lambda entry: -statistics.median(entry["rates"]))
        rows = []
        for entry in entries:
            rate = spread(entry["rates"])
            rows.append(
                [
                    NAMED[entry["name"]].title,
                    entry["server"],
                    f"{rate.middle:,.0f} ({rate.low:,.0f}-{rate.high:,.0f})",
                    f"{statistics.median(entry['p99']) * 1e3:.1f}",
                    f"{entry['errors']}",
                    f"{entry['memory'] / reach.MEBIBYTE:.0f}",
                ]
            )
        heads = ["application", "server", "requests/s", "p99, ms", "errors", "memory, MiB"]
        parts += [f"### {BY_NAME[name].title}", "", *_table(heads, rows), ""]
    return parts


def start(found: dict[str, Any]) -> list[str]:
    rows = []
    for key, entry in found.items():
        kind, module, _ = key.split()
        if kind != "start":
            continue
        values = {name: spread(numbers) for name, numbers in entry.items()}
        rows.append(
            [
                NAMED[module].title,
                _milli(values["import"]),
                f"{values['modules'].middle:.0f}",
                _milli(values["build"]),
                _milli(values["first"]),
                f"{values['memory'].middle / reach.MEBIBYTE:.1f}",
                f"{values['memory_after'].middle / reach.MEBIBYTE:.1f}",
            ]
        )
    heads = ["", "import, ms", "modules", "application, ms", "first request, ms"]
    return [*_table([*heads, "memory, MiB", "after 10,000, MiB"], rows), ""]


def growths(found: dict[str, Any]) -> list[str]:
    parts = ["## Growth", "", "Carboy / Flask, medians.", ""]
    routes = [("match", "request, µs", 1e6), ("register", "registration, ms", 1e3)]
    routes.append(("first", "first request, ms", 1e3))
    parts += _growth_table(found, "routes", "routes", routes)
    request = [("request", "request, µs", 1e6)]
    parts += _growth_table(found, "hooks", "hooks of each of three kinds", request)
    parts += _growth_table(found, "blueprints", "blueprints, one in another", request)
    kinds = [(name, f"{name}, ms", 1e3) for name in ("urlencoded", "multipart", "files")]
    parts += _growth_table(found, "fields", "form fields (files: up to 1,000)", kinds)
    sizes = [("stream", "up, streamed, ms", 1e3), ("upload", "up, a form's file, ms", 1e3)]
    sizes += [("lone CR", "up, a file of CR, ms", 1e3), ("down", "down, streamed, ms", 1e3)]
    sizes.append(("peak", "peak memory, MiB", 1 / reach.MEBIBYTE))
    parts += _growth_table(found, "body", "bytes", sizes)
    urls = [("page", "no value, µs", 1e6), ("item", "two values, µs", 1e6)]
    urls.append(("query", "with a query, µs", 1e6))
    parts += _growth_table(found, "url_for", "`url_for`, endpoints", urls)
    return parts + _json_table(found)


JSON = """\
### JSON in and out

Standard provider / extra `fast`, µs. *Validated*: read with the type of every field checked (by hand, on
the dicts that `json.loads` gives; by `app.json.decode` into Structs) and answered. *Plain*: read and
answered. *Libraries*: `json` and msgspec alone, compact, keys sorted. *Request*: validated, in a POST.
"""


def _json_table(found: dict[str, Any]) -> list[str]:
    heads = {"checked": "validated", "": "plain", "bare": "libraries", "request": "request"}
    rows = []
    for size in ("1", "100"):
        entry = found.get(f"json_fast carboy {size}", {})
        if "plain checked" in entry:
            cells = [f"{size} {'message' if size == '1' else 'rows'}"]
            for kind in heads:
                pair = [entry[f"{way} {kind}".strip()] for way in ("plain", "fast")]
                cells.append(" / ".join(_number(statistics.median(v) * 1e6) for v in pair))
            rows.append(cells)
    return [JSON, *_table(["", *heads.values()], rows), ""] if rows else []


def _growth_table(
    found: dict[str, Any], kind: str, title: str, columns: list[tuple[str, str, float]]
) -> list[str]:
    sizes = dict.fromkeys(int(key.split()[2]) for key in found if key.startswith(f"{kind} "))
    rows = []
    for size in sizes:
        cells = []
        for name, _, factor in columns:
            pair = [reach.middle(found, f"{kind} {m} {size}", name) for m in ("carboy", "flask")]
            cells.append(" / ".join("-" if v is None else _number(v * factor) for v in pair))
        rows.append([f"{size:,}", *cells])
    return [*_table([title, *(head for _, head, _ in columns)], rows), ""] if rows else []


def soaked(kept: dict[str, Any]) -> list[str]:
    verdict = "Nothing grew." if kept["passed"] else "**Something grew, or an answer was wrong.**"
    parts = [
        "## Soak",
        "",
        f"{kept['requests']:,} requests over all sixteen cases, {kept['threads']} threads at a time in one"
        f" process over WSGI, {kept['seconds']:.0f} s; every answer is compared. The threads pause at each"
        " sample. The verdict compares the medians of the last quarter of the samples and the second.",
        "",
        _facts(kept),
        "",
    ]
    share = kept["requests"] // max(1, len(kept["samples"]))
    numbered = [s | {"requests": share * (i + 1)} for i, s in enumerate(kept["samples"])]
    rows = [
        [
            f"{sample['requests']:,.0f}",
            f"{sample['memory'] / reach.MEBIBYTE:.1f}",
            *(f"{sample[n]:,.0f}" for n in ("contexts", "handles", "threads", "objects")),
        ]
        for sample in soak.chunks(numbered, 10)
    ]
    heads = ["requests", "memory, MiB", "contexts", "file handles", "threads", "objects"]
    return [*parts, *_table(heads, rows), "", verdict]


def requests_chart(found: dict[str, Times]) -> str:
    panels = []
    for name in ("text", "echo"):
        times = found.get(name, {})
        bars = [
            plot.Bar(_label(who.name), statistics.median(times[who.name]) * 1e6, _kind(who.name))
            for who in ALL
            if who.name in times and who.name not in ("library", "carboy-async", "flask-async")
        ]
        bars.sort(key=lambda bar: bar.value)
        panels.append((BY_NAME[name].title, bars))
    return plot.chart(panels, "µs", "Microseconds per request, in process; less is better")


def sockets_chart(found: dict[str, Any]) -> str:
    panels = []
    for name in dict.fromkeys(entry["case"] for entry in found.values()):
        bars = [
            plot.Bar(
                f"{_short(e['name'])}, {e['server']}",
                statistics.median(e["rates"]),
                _kind(e["name"]),
            )
            for e in found.values()
            if e["case"] == name
        ]
        bars.sort(key=lambda bar: -bar.value)
        panels.append((f"{BY_NAME[name].title}: requests per second", bars))
    return plot.chart(panels, "/s", "Requests per second, one worker on one core; more is better")


def _label(name: str) -> str:
    return NAMED[name].title + (" (async)" if name in ("carboy-asgi", "carboy-rsgi") else "")


def _short(name: str) -> str:
    """The server says which door it is."""
    plain = {"carboy-defaults": "Carboy, own defaults", "bare": "bare"}
    title = plain.get(name) or NAMED[name.split("-")[0]].title
    title = "bare" if name.startswith("bare-") else title
    return title + (", sync" if name.endswith("-sync") else "")


def _kind(name: str) -> str:
    return "carboy" if name.startswith("carboy") else "bare" if name.startswith("bare") else "bar"


def _facts(kept: dict[str, Any], more: str = "") -> str:
    facts = kept["facts"]
    rounds = [f"{kept['rounds']} rounds"] if "rounds" in kept else []
    note = ", ".join([*rounds, *([more] if more else [])])
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return "\n".join(
        [
            f"- date: {facts['date']}{'; ' if note else ''}{note}",
            f"- machine: {facts['machine']}",
            f"- versions: Python {facts['python']}, {versions}",
        ]
    )


def _table(heads: list[str], rows: Iterable[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|---|{'--:|' * (len(heads) - 1)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _micro(seconds: list[float] | None) -> str:
    return f"{statistics.median(seconds) * 1e6:.1f}" if seconds else "-"


def _milli(seconds: Spread) -> str:
    return f"{seconds.middle * 1e3:.2f} ({seconds.low * 1e3:.2f}-{seconds.high * 1e3:.2f})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(share: Spread) -> str:
    return f"{share.middle:.3f} ({share.low:.3f}-{share.high:.3f})"
