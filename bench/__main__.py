"""Measure Carboy beside Flask and Falcon, in process, without a server.

    python -m bench [--quick] [--cpu] [--rounds N] [--only CASE ...] [--without carboy]

Each framework has a process of its own, driven by this one: in each round every framework runs the
same request many times, one after the other, so that what disturbs the machine disturbs all of them.
Answers are compared before anything is timed. Writes `docs/benchmarks.md` (not with `--quick` or a
selection).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import imports, report
from bench.answers import differences
from bench.cases import ALL, BY_NAME, Case

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "benchmarks.md"
README = Path(__file__).parents[1] / "README.md"
FRAMEWORKS = ("carboy", "flask", "falcon", "floor", "library")
# Each timing is the best of a few short bursts: what else the machine does hits some of them only.
BURST_SECONDS = 0.01
BURSTS = 4


class Process:
    """A worker of one framework (`bench.worker`) and the line it is spoken to on."""

    def __init__(self, framework: str) -> None:
        self.framework = framework
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", framework],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, do: str, case: Case, **more: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"do": do, "case": case.name, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"The worker of {self.framework} ended in case {case.name}; see above.")
        return json.loads(line)

    def close(self) -> None:
        self.process.communicate()


def runs_on(framework: str, case: Case) -> bool:
    if framework == "library":
        return bool(case.library)
    return case.on_falcon or framework != "falcon"


def prepare(workers: dict[str, Process], case: Case) -> list[str]:
    """Build the case's applications and compare their answers with Flask's."""
    complaints = []
    workers["flask"].tell("prepare", case)
    expected = workers["flask"].tell("ask", case)
    for name, worker in workers.items():
        if name == "flask" or not runs_on(name, case):
            continue
        worker.tell("prepare", case, **({"reply": expected} if name == "floor" else {}))
        if name == "library":
            continue
        for _ in range(2):  # the second answer comes from whatever the first one left behind
            answer = worker.tell("ask", case)
            found = differences(case, expected, answer, strict=name in ("carboy", "floor"))
            complaints += [f"{case.title} on {name}: {text}" for text in found]
    return complaints


def calibrate(worker: Process, case: Case, seconds: float) -> int:
    """How many iterations take about `seconds`."""
    worker.tell("time", case, iterations=5, bursts=1)
    once: float = worker.tell("time", case, iterations=10, bursts=2)
    return max(5, min(50_000, int(seconds / once)))


def measure(
    workers: dict[str, Process], chosen: list[Case], rounds: int
) -> dict[str, report.Times]:
    """Seconds per request of each case, framework and round."""
    counts = {
        (case.name, name): calibrate(worker, case, BURST_SECONDS)
        for case in chosen
        for name, worker in workers.items()
        if runs_on(name, case)
    }
    results: dict[str, report.Times] = {case.name: {} for case in chosen}
    for number in range(rounds):
        for case in chosen:
            running = [name for name in workers if runs_on(name, case)]
            # Nobody always goes first.
            first = number % len(running)
            for name in running[first:] + running[:first]:
                count = counts[case.name, name]
                taken = workers[name].tell("time", case, iterations=count, bursts=BURSTS)
                results[case.name].setdefault(name, []).append(taken)
        print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two rounds: are the answers equal?")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--cpu", action="store_true", help="processor time: for a busy machine")
    parser.add_argument("--only", nargs="*", choices=sorted(BY_NAME), metavar="CASE")
    parser.add_argument("--without", action="append", default=[], choices=FRAMEWORKS)
    options = parser.parse_args()
    os.environ["BENCH_CLOCK"] = "cpu" if options.cpu else "wall"
    rounds = 2 if options.quick else options.rounds
    chosen = [BY_NAME[name] for name in options.only] if options.only else ALL
    workers = {name: Process(name) for name in FRAMEWORKS if name not in options.without}
    try:
        complaints = [text for case in chosen for text in prepare(workers, case)]
        if complaints:
            print("Answers differ; nothing was measured.", *complaints, sep="\n  ")
            return 1
        results = measure(workers, chosen, rounds)
    finally:
        for worker in workers.values():
            worker.close()
    whole = not options.only and not options.without
    import_times = imports.measure(3 if options.quick else 40) if whole else None
    page = report.page(results, import_times, rounds, "processor" if options.cpu else "wall clock")
    print(page)
    if whole and not options.quick:
        TARGET.write_text(page)
        readme = README.read_text()
        start, end = "<!-- bench -->", "<!-- /bench -->"
        before, after = readme.split(start)[0], readme.split(end)[1]
        README.write_text(f"{before}{start}\n{report.summary(results)}\n{end}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
