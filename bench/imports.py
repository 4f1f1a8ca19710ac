"""How long `import carboy` takes beside `import flask`: fresh processes, interleaved."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.spread import Spread, ratios, spread

CODE = "import time; t = time.{0}(); import {1}; print(time.{0}() - t)"
MODULES = ("carboy", "flask")


def measure(rounds: int) -> tuple[dict[str, Spread], Spread]:
    """Seconds for each module, and Carboy's share of Flask's time."""
    seconds: dict[str, list[float]] = {name: [] for name in MODULES}
    for number in range(rounds + 1):
        for name in MODULES:
            taken = _import_once(name)
            if number:  # the first round writes and reads the byte code
                seconds[name].append(taken)
    times = {name: spread(values) for name, values in seconds.items()}
    return times, ratios(seconds["carboy"], seconds["flask"])


def _import_once(name: str) -> float:
    clock = "process_time" if os.environ.get("BENCH_CLOCK") == "cpu" else "perf_counter"
    # Byte code is cached for both, as it is wherever an application runs.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", CODE.format(clock, name)]
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return float(run.stdout)
