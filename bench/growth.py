"""Start-up, and how the cost of a request grows with routes, hooks, bodies, fields and blueprints.

    python -m bench.growth [--rounds 3] [--cpu] [--only KIND ...]

Each point is measured in fresh processes (`bench/probe.py`), the frameworks in turns. Writes
`bench/results/growth.json` and `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import report, results

ROOT = Path(__file__).resolve().parent.parent
BOTH = ("carboy", "flask")
PEERS = ["falcon", "bottle", "django", "starlette", "fastapi", "litestar", "blacksheep", "quart"]
POINTS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "start": ((*BOTH, *PEERS), (0,)),
    "routes": (BOTH, (1, 100, 1_000, 10_000)),
    "hooks": (BOTH, (1, 5, 20)),
    "blueprints": (BOTH, (1, 5, 20)),
    "fields": (BOTH, (10, 100, 1_000, 10_000)),
    "body": (BOTH, (1_000, 100_000, 1_000_000, 10_000_000, 100_000_000)),
    "url_for": (BOTH, (10,)),
    "json_fast": (("carboy",), (1, 100)),
}
# A start is short and wavers: more of them.
TIMES = {"start": 4}


def probe(kind: str, module: str, number: int, turn: int) -> dict[str, float]:
    if kind == "start" and turn == 0:
        number = 10_000  # once a round: requests after the first one
    # Byte code is cached for all, as it is wherever an application runs.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-m", "bench.probe", kind, module, str(number)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    if run.returncode:
        sys.exit(f"{kind} {module} {number}:\n{run.stderr[-2000:]}")
    found: dict[str, float] = json.loads(run.stdout)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu", action="store_true", help="processor time: for a busy machine")
    parser.add_argument("--only", nargs="*", choices=sorted(POINTS))
    options = parser.parse_args()
    os.environ["BENCH_CLOCK"] = "cpu" if options.cpu else "wall"
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(options.rounds):
        for kind, (modules, sizes) in POINTS.items():
            if options.only and kind not in options.only:
                continue
            for turn in range(TIMES.get(kind, 1)):
                for size in sizes:
                    for module in modules:
                        if not find_spec(module) or (
                            kind == "json_fast" and not find_spec("msgspec")
                        ):
                            continue
                        values = probe(kind, module, size, turn)
                        if kind == "start" and not number and not turn:
                            # That one wrote the byte code.
                            values = {"memory_after": values["memory_after"]}
                        entry = found.setdefault(f"{kind} {module} {size}", {})
                        for name, value in values.items():
                            entry.setdefault(name, []).append(value)
        print(f"  round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    if options.only:
        print(json.dumps(found, indent=1))
        return 0
    kept: dict[str, Any] = {"rounds": options.rounds, "clock": _clock(options.cpu), "found": found}
    results.save("growth", kept)
    report.write()
    return 0


def _clock(cpu: bool) -> str:
    return "processor" if cpu else "wall clock"


if __name__ == "__main__":
    sys.exit(main())
