"""Measure Carboy beside its peers, in process, without a server.

    python -m bench [--quick] [--cpu] [--rounds N] [--only CASE ...] [--who NAME ...] [--render]

Each contestant has a process of its own, driven by this one: in each round every one of them runs the
same request many times, one after the other, so that what disturbs the machine disturbs all of them.
Answers are compared before anything is timed. Writes `bench/results/requests.json` and
`docs/benchmarks.md` (not with `--quick` or a selection).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import report, results
from bench.answers import differences
from bench.cases import ALL, BY_NAME, Case
from bench.contestants import ALL as EVERYBODY
from bench.contestants import NAMED

ROOT = Path(__file__).resolve().parent.parent
# Each timing is the best of a few short bursts: what else the machine does hits some of them only.
BURST_SECONDS = 0.008
BURSTS = 3


class Process:
    """A worker of one framework (`bench.worker`) and the line it is spoken to on."""

    def __init__(self, framework: str) -> None:
        self.framework = framework
        self.who = NAMED[framework]
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


def prepare(workers: dict[str, Process], case: Case) -> list[str]:
    """Build the case's applications and compare their answers with Flask's."""
    complaints = []
    workers["flask"].tell("prepare", case)
    expected = workers["flask"].tell("ask", case)
    for name, worker in workers.items():
        if name == "flask" or not worker.who.runs(case):
            continue
        worker.tell("prepare", case)
        if worker.who.door == "call":
            continue
        for _ in range(2):  # the second answer comes from whatever the first one left behind
            answer = worker.tell("ask", case)
            found = differences(case, expected, answer, strict=worker.who.exact)
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
        if worker.who.runs(case)
    }
    results: dict[str, report.Times] = {case.name: {} for case in chosen}
    for number in range(rounds):
        for case in chosen:
            running = [name for name in workers if workers[name].who.runs(case)]
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
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cpu", action="store_true", help="processor time: for a busy machine")
    parser.add_argument("--only", nargs="*", choices=sorted(BY_NAME), metavar="CASE")
    parser.add_argument("--who", nargs="*", choices=sorted(NAMED), metavar="NAME")
    parser.add_argument("--render", action="store_true", help="write the page, measure nothing")
    options = parser.parse_args()
    if options.render:
        report.write()
        return 0
    os.environ["BENCH_CLOCK"] = "cpu" if options.cpu else "wall"
    rounds = 2 if options.quick else options.rounds
    chosen = [BY_NAME[name] for name in options.only] if options.only else ALL
    taking_part = [
        who.name
        for who in EVERYBODY
        if who.name == "flask"  # the others' answers are held against Flask's
        or (who.name in options.who if options.who else who.quick or not options.quick)
    ]
    workers = {name: Process(name) for name in taking_part}
    try:
        complaints = [text for case in chosen for text in prepare(workers, case)]
        if complaints:
            print("Answers differ; nothing was measured.", *complaints, sep="\n  ")
            return 1
        found = measure(workers, chosen, rounds)
    finally:
        for worker in workers.values():
            worker.close()
    clock = "processor" if options.cpu else "wall clock"
    if options.quick or options.only or options.who:
        pairs = [("carboy", "flask"), ("carboy", "falcon"), ("carboy", "library")]
        print(*report.cases_table(found, list(workers), pairs), sep="\n")
    else:
        results.save("requests", {"rounds": rounds, "clock": clock, "found": found})
        report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
