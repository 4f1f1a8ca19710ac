"""One contestant in a process of its own; the parent tells it what to run, a JSON line at a time.

python -m bench.worker NAME      (the names are in `bench/contestants.py`)
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import sys
from typing import Any

from bench import cases, drive
from bench.contestants import NAMED, Contestant

# With BENCH_CLOCK=cpu, processor time: a busy machine disturbs it less.
CLOCK = drive.CLOCKS[os.environ.get("BENCH_CLOCK", "wall")]


def build(who: Contestant, name: str) -> Any:
    """The application of a case, as its protocol's server would be given it."""
    module = importlib.import_module(f"bench.apps.{who.module}")
    if who.module == "bare":
        return getattr(module, who.door)(name)
    if who.module == "flask_like":
        return module.build(importlib.import_module(who.package), name, who.views)
    return module.build(name)


class Worker:
    def __init__(self, who: Contestant) -> None:
        self.who = who
        self.drivers: dict[str, Any] = {}
        # Django has one configuration a process.
        self.activate: Any = lambda name: None
        if who.module == "django_app":
            self.activate = importlib.import_module("bench.apps.django_app").activate

    def prepare(self, name: str) -> None:
        if self.who.door == "call":
            module = importlib.import_module("bench.libraries")
            self.drivers[name] = drive.Call(getattr(module, name)())
            return
        case = cases.BY_NAME[name]
        driver = drive.DOORS[self.who.door](build(self.who, name), case)
        self.drivers[name] = driver
        if case.keeps_cookies:
            found = [v for k, v in self.ask(name)["headers"] if k.lower() == "set-cookie"]
            driver.carry("; ".join(value.split(";")[0] for value in found))

    def ask(self, name: str) -> Any:
        self.activate(name)
        return self.drivers[name].ask()

    def measure(self, name: str, iterations: int, bursts: int) -> float:
        """Seconds per request: the mean over `iterations`, the best of so many bursts."""
        self.activate(name)
        gc.collect()
        driver = self.drivers[name]
        return min(driver.burst(iterations, CLOCK) for _ in range(bursts))


def main() -> None:
    logging.disable(logging.CRITICAL)  # access logs and 404s are no part of the work
    worker = Worker(NAMED[sys.argv[1]])
    for line in sys.stdin:
        order = json.loads(line)
        name = order["case"]
        answer: Any = None
        if order["do"] == "prepare":
            worker.prepare(name)
        elif order["do"] == "ask":
            answer = worker.ask(name)
        else:
            answer = worker.measure(name, order["iterations"], order["bursts"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
