"""Fuzz every target for a while: ``python -m tests.fuzz.run --seconds 200``.

Each target runs in a process of its own, over a scratch copy of the kept corpus. What it found is
merged into the kept one afterwards (``--keep``), the figures go into a file of JSON. Exits with 1
if an input broke a promise; the input is in the output and beside the scratch corpus.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .seeds import SEEDS, plant

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CORPUS = HERE / "corpus"

#: The kept corpus is read by each test run: this many inputs a target, the smallest ones.
KEPT = 40


def fuzz(name: str, seconds: float, scratch: Path, blind: bool) -> dict[str, Any]:
    """Fuzz one target; the figures that it wrote."""
    corpus = scratch / name
    if (CORPUS / name).is_dir():
        shutil.copytree(CORPUS / name, corpus, dirs_exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.fuzz", name, "--seconds", str(seconds)]
    command += ["--corpus", str(corpus), *(["--blind"] if blind else [])]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 300, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"target"')]
    if not lines:
        return {"target": name, "cases": 0, "error": (done.stderr or done.stdout)[-400:]}
    figures: dict[str, Any] = json.loads(lines[-1])
    if figures["error"]:
        figures["traceback"] = done.stderr[-1500:]
    return figures


def merge(name: str, scratch: Path) -> int:
    """Keep the inputs that reach something new, the small ones first; how many there are."""
    merged = scratch / f"{name}.merged"
    merged.mkdir()
    found = sorted((scratch / name).iterdir(), key=lambda path: path.stat().st_size)
    for path in found[: KEPT * 3]:
        shutil.copy(path, merged / path.name)
    kept = CORPUS / name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    small = sorted(merged.iterdir(), key=lambda path: path.stat().st_size)
    step = max(1, len(small) // KEPT)
    for path in [*small[::step][:KEPT]]:
        shutil.copy(path, kept / path.name)
    return len(list(kept.iterdir()))


def main() -> int:
    """Fuzz, write the figures, and tell whether a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for each target")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", action="append", help="a target; all if not given")
    parser.add_argument("--blind", action="store_true", help="without atheris")
    parser.add_argument("--keep", action="store_true", help="merge what was found into the corpus")
    parser.add_argument("--output", type=Path, default=ROOT / ".build" / "fuzz.json")
    options = parser.parse_args()
    names = options.only or list(SEEDS)
    scratch = Path(tempfile.mkdtemp(prefix="carboy-corpus-"))
    plant(scratch)
    results = []
    begun = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        for figures in pool.map(
            lambda name: fuzz(name, options.seconds, scratch, options.blind), names
        ):
            results.append(figures)
            verdict = figures["error"] or "nothing broken"
            print(f"{figures['target']:20} {figures['cases']:>10,} cases  {verdict}", flush=True)
    if options.keep:
        for name in names:
            merge(name, scratch)
    report = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "guided": None if options.blind else f"atheris {importlib.metadata.version('atheris')}",
        "seconds": round(sum(figures.get("seconds", 0) for figures in results)),
        "elapsed": round(time.monotonic() - begun),
        "targets": results,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{sum(f['cases'] for f in results):,} cases in {report['seconds']} s of fuzzing")
    broken = [figures for figures in results if figures["error"]]
    for figures in broken:
        print(figures.get("traceback") or figures["error"])
        print(f"broken by: {figures.get('broken_by')!r}; inputs in {scratch}")
    if not broken:
        shutil.rmtree(scratch)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
