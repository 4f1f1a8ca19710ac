"""Everything hostile in one run: ``make hostile``; writes docs/hostile.md.

The suites of bad input and faults, a fuzzer for each parser and for whole requests, schemathesis
against Harbor through each door. About 70 minutes with the standard settings; ``--seconds 5
--examples 20`` for a quick look.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "hostile.md"

SUITES = {
    "tests/hostile": "bad input and faults, most of the list below",
    "tests/load": "`carboy serve` under slow and flooding clients, signals and killed workers",
    "tests/servers/test_serve.py": "`carboy serve`: stops, reloads, cut and half requests",
    "tests/security": "attacks on each protection",
    "tests/property": "random inputs: any environ, the router and the URL builder beside Werkzeug's",
    "tests/fuzz": "the fuzzers' kept inputs",
}

INTRO = """\
# Hostile input and faults

What `make hostile` tried and what came of it. The rules: bad input gets its 4xx, never a 500, a
hang or a traceback; nothing is lost or cut in silence; time and memory are bounded by the size of
the input; the next request works. Each part exits with an error if a rule is broken.
"""


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    print("+", *command, flush=True)
    return subprocess.run(command, cwd=ROOT, text=True, check=False, **options)


def suites() -> tuple[dict[str, Counter[str]], bool]:
    """The outcome of each suite, and whether all passed."""
    outcomes: dict[str, Counter[str]] = {}
    fine = True
    for folder in SUITES:
        with tempfile.NamedTemporaryFile(suffix=".xml") as report:
            done = run(
                [
                    sys.executable,
                    "-m",
                    "pytest",
                    "-q",
                    "--timeout=180",
                    f"--junitxml={report.name}",
                    folder,
                ]
            )
            fine = fine and done.returncode == 0
            counts: Counter[str] = Counter()
            for case in ET.parse(report.name).iter("testcase"):
                kinds = {child.tag for child in case}
                failed = kinds & {"failure", "error"}
                outcome = "failed" if failed else "skipped" if "skipped" in kinds else "passed"
                counts[outcome] += 1
                if "test_wire" in case.get("classname", ""):
                    proxied = "nginx" in case.get("name", "")
                    counts["through nginx" if proxied else "by wire"] += outcome == "passed"
            outcomes[folder] = counts
    return outcomes, fine


def fuzzed(seconds: float, jobs: int) -> tuple[dict[str, Any], bool]:
    """The figures of the fuzzers."""
    output = ROOT / ".build" / "fuzz.json"
    command = [sys.executable, "-m", "tests.fuzz.run", "--seconds", str(seconds)]
    done = run([*command, "--jobs", str(jobs), "--output", str(output), "--keep"])
    figures: dict[str, Any] = json.loads(output.read_text())
    return figures, done.returncode == 0


def against_harbor(examples: int) -> tuple[dict[str, Any], bool]:
    """The figures of schemathesis."""
    done = run(
        [sys.executable, "tests/hostile/against_harbor.py", "--examples", str(examples)],
        stdout=subprocess.PIPE,
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures, done.returncode == 0


def page(tests: dict[str, Counter[str]], fuzzing: dict[str, Any], harbor: dict[str, Any]) -> str:
    """The page that tells it."""
    lines = [INTRO, "## This run", "", _surroundings(), ""]
    lines += [
        "## Suites",
        "",
        "| suite | what | passed | failed | skipped |",
        "|---|---|--:|--:|--:|",
    ]
    for folder, counts in tests.items():
        what = SUITES[folder]
        numbers = " | ".join(f"{counts[kind]:,}" for kind in ("passed", "failed", "skipped"))
        lines.append(f"| `{folder}` | {what} | {numbers} |")
    wire = tests["tests/hostile"]
    lines += [
        "",
        f"Among them {wire['by wire']} tests that send bytes meant to mislead straight to `carboy"
        f" serve` and {wire['through nginx']} that send them through nginx in front of it: no hidden"
        " request was run.",
        "",
        "## Fuzzing",
        "",
        f"{sum(t['cases'] for t in fuzzing['targets']):,} cases in {fuzzing['seconds'] / 60:.0f}"
        f" minutes, guided by {fuzzing['guided'] or 'nothing'}. What the inputs became shows that"
        " they are not all refused at the door.",
        "",
        "| target | cases | minutes | became | slowest (CPU) | broken |",
        "|---|--:|--:|---|--:|---|",
    ]
    for figures in fuzzing["targets"]:
        outcomes = list(figures.get("outcomes", {}).items())
        became = ", ".join(f"{word} {count:,}" for word, count in outcomes[:6])
        lines.append(
            f"| `{figures['target']}` | {figures['cases']:,} | {figures.get('seconds', 0) / 60:.1f} |"
            f" {became} | {figures.get('slowest_seconds', 0) * 1000:.0f} ms |"
            f" {'none' if not figures['error'] else '**yes**'} |"
        )
    lines += [
        "",
        "## Harbor, from its own description",
        "",
        f"Schemathesis {harbor['schemathesis']}: valid requests must be taken, invalid ones refused,"
        " each answer must be as the description says.",
        "",
        "| door | cases | statuses | broken |",
        "|---|--:|---|---|",
    ]
    for result in harbor["doors"]:
        statuses = ", ".join(f"{code}: {n:,}" for code, n in sorted(result["statuses"].items()))
        broken = "none" if not result["broken"] else "**yes**"
        lines.append(f"| {result['door']} | {result['cases']:,} | {statuses} | {broken} |")
    lines += [
        "",
        "## Slow clients, floods, stops",
        "",
        "The suites `tests/load` and `tests/hostile/test_servers.py` above are small; the figures under full"
        " load\n(`make serve-load`) are on the page of [serve](serve.md).",
        "",
        "## The list",
        "",
        "Each case of bad input or of a fault, and each fault that other frameworks and servers had, with"
        " tests that would fail for it (`tests/hostile/test_every_row_has_a_test.py` holds it whole).",
        "",
        "| what | ids | tests |",
        "|---|---|---|",
        *_listed(),
        "",
    ]
    return "\n".join(lines)


def _listed() -> list[str]:
    """A row for each case and each fault: who holds it, or why nobody does."""
    sys.path.insert(0, str(ROOT / "tests"))
    from hostile import test_every_row_has_a_test as rows

    holders: dict[str, list[str]] = {}
    for place, text in rows.all_docstrings():
        for name in rows.named(text):
            holders.setdefault(name, []).append(f"`{place.rpartition('::')[2]}`")
    lines = []
    wanted = [(what, [name]) for name, what in rows.CASES.items()]
    for what, names in [*wanted, *rows.FAULTS.items()]:
        found = dict.fromkeys(test for name in names for test in holders.get(name, ()))
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        reasons = dict.fromkeys(rows.EXEMPT[name] for name in names if name in rows.EXEMPT)
        told = [", ".join([*found][:3]) + more, *reasons]
        lines.append(f"| {what} | {', '.join(names)} | {' '.join(filter(None, told))} |")
    return lines


def _surroundings() -> str:
    names = ("carboy", "werkzeug", "granian", "atheris", "hypothesis", "schemathesis")
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"no {name}")
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        f"{today}, {os.cpu_count()} cores, Linux, CPython {platform.python_version()};"
        f" {', '.join(versions)}."
    )


def main() -> int:
    """Run all parts, write the page; 1 if any rule was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=200, help="of fuzzing, for each target")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--examples", type=int, default=500, help="of each operation of Harbor")
    parser.add_argument("--fuzzed", type=Path, help="take the fuzzers' figures from this file")
    options = parser.parse_args()
    tests, suites_fine = suites()
    if options.fuzzed:
        fuzzing = json.loads(options.fuzzed.read_text())
        fuzz_fine = not any(target["error"] for target in fuzzing["targets"])
    else:
        fuzzing, fuzz_fine = fuzzed(options.seconds, options.jobs)
    harbor, harbor_fine = against_harbor(options.examples)
    PAGE.write_text(page(tests, fuzzing, harbor))
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0 if suites_fine and fuzz_fine and harbor_fine else 1


if __name__ == "__main__":
    sys.exit(main())
