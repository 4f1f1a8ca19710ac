"""A million requests over all cases, eight threads at a time: does anything grow?

    python -m bench.soak [--requests 1000000] [--threads 8] [--samples 40]

Carboy alone, called as a WSGI application, in one process. Every answer is compared with the
first one of its case (and, where the request carries a number of its own, with that number). The
threads pause at each sample, so that what is counted then is what stays behind: resident memory,
contexts, file handles, threads, and all objects that the garbage collector knows. Writes
`bench/results/soak.json`; the exit status is 1 if something grew or an answer was wrong.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from bench import cases, results

MEBIBYTE = 1 << 20
# What a quiet process moves by itself: the allocator's rounding, and a list that grows by doubling.
MAY_GROW = {"memory": 2 * MEBIBYTE, "contexts": 0, "handles": 0, "threads": 0, "objects": 200}
Sample = dict[str, float]


class Site:
    """One application per case, and the answer that each must give every time."""

    def __init__(self) -> None:
        import carboy
        from bench.apps import flask_like

        self.cases = cases.CASES
        self.apps = {case.name: flask_like.build(carboy, case.name) for case in self.cases}
        self.environs = {case.name: case.environ() for case in self.cases}
        for case in self.cases:
            if case.keeps_cookies:
                _, headers, _ = self.ask(case)
                pairs = [v.split(";")[0] for k, v in headers if k.lower() == "set-cookie"]
                self.environs[case.name]["HTTP_COOKIE"] = "; ".join(pairs)
        self.expected = {case.name: self.ask(case)[::2] for case in self.cases}

    def ask(
        self, case: cases.Case, path: str | None = None
    ) -> tuple[str, list[tuple[str, str]], bytes]:
        environ = self.environs[case.name].copy()
        environ["wsgi.input"] = BytesIO(case.body)
        if path is not None:
            environ["PATH_INFO"] = path
        seen: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> None:
            seen[:] = [status, headers]

        iterable = self.apps[case.name](environ, start_response)
        try:
            body = b"".join(iterable)
        finally:
            if hasattr(iterable, "close"):
                iterable.close()
        return seen[0], seen[1], body

    def check(self, number: int) -> str:
        """Send request `number`; what is wrong with its answer, or nothing."""
        case = self.cases[number % len(self.cases)]
        if case.name == "path":
            status, _, body = self.ask(case, f"/vessels/{number}/track")
            expected = ("200 OK", f"{number + 1} 2024-01-01 51".encode())
        else:
            status, _, body = self.ask(case)
            expected = self.expected[case.name]  # type: ignore[assignment]
        if (status, body) == expected:
            return ""
        return f"{case.name}: {status} {body!r:.100}, not {expected!r:.100}"


def sample() -> Sample:
    from carboy.ctx import AppContext

    gc.collect()
    known = gc.get_objects()
    contexts = sum(isinstance(each, AppContext) for each in known)
    count = len(known)
    del known
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "contexts": contexts,
        "handles": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "objects": count,
    }


def run(site: Site, total: int, threads: int, samples: int) -> tuple[list[Sample], list[str]]:
    """The samples, and what was wrong with answers."""
    from carboy.globals import _cv

    faults: list[str] = []
    before, after = threading.Barrier(threads + 1), threading.Barrier(threads + 1)
    share = total // samples
    taken: list[Sample] = []

    def work(index: int) -> None:
        for section in range(samples):
            first = section * share
            for number in range(first + index, first + share, threads):
                fault = site.check(number)
                if not fault and _cv.get(None) is not None:
                    fault = f"request {number}: a context stayed behind in its thread"
                if fault and len(faults) < 20:
                    faults.append(fault)
            before.wait()
            after.wait()

    pool = [
        threading.Thread(target=_or_abort(work, before, after, faults), args=(i,))
        for i in range(threads)
    ]
    for thread in pool:
        thread.start()
    try:
        for section in range(samples):
            before.wait()
            taken.append(sample())
            after.wait()
            print(f"  {(section + 1) * share:,} requests: {_words(taken[-1])}", file=sys.stderr)
    except threading.BrokenBarrierError:
        pass
    for thread in pool:
        thread.join()
    return taken, faults


def _or_abort(
    work: Callable[[int], None],
    before: threading.Barrier,
    after: threading.Barrier,
    faults: list[str],
) -> Callable[[int], None]:
    def run(index: int) -> None:
        try:
            work(index)
        except threading.BrokenBarrierError:
            pass
        except BaseException as error:
            faults.append(repr(error))
            before.abort()
            after.abort()
            raise

    return run


def growth(taken: list[Sample]) -> dict[str, float]:
    """How much more there is in the last quarter than in the second one (medians)."""
    quarter = max(1, len(taken) // 4)
    early, late = taken[quarter : 2 * quarter], taken[-quarter:]
    return {
        name: statistics.median(s[name] for s in late) - statistics.median(s[name] for s in early)
        for name in MAY_GROW
    }


def _words(values: Sample) -> str:
    parts = [f"{values['memory'] / MEBIBYTE:.1f} MiB"]
    parts += [f"{int(values[name])} {name}" for name in MAY_GROW if name != "memory"]
    return ", ".join(parts)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=_positive, default=1_000_000)
    parser.add_argument("--threads", type=_positive, default=8)
    parser.add_argument("--samples", type=_positive, default=40)
    options = parser.parse_args()
    # More requests at once than Python would switch between by itself.
    sys.setswitchinterval(0.0005)
    start, used = time.perf_counter(), time.process_time()
    total = options.requests - options.requests % options.samples
    taken, faults = run(Site(), total, options.threads, options.samples)
    grown = growth(taken) if taken else {}
    verdict = not faults and all(grown[name] <= may for name, may in MAY_GROW.items())
    results.save(
        "soak",
        {
            "requests": total,
            "threads": options.threads,
            "seconds": time.perf_counter() - start,
            "processor": time.process_time() - used,
            "samples": taken,
            "growth": grown,
            "faults": faults,
            "passed": verdict,
        },
    )
    from bench import report  # which imports this module

    report.write()
    for fault in faults:
        print(f"wrong: {fault}")
    print(f"{total:,} requests, {options.threads} threads; growth: {grown}")
    print("nothing grew" if verdict else "FAILED")
    return 0 if verdict else 1


def chunks(values: list[Sample], count: int) -> Iterator[Sample]:
    """About `count` of the samples, the first and the last among them."""
    step = max(1, (len(values) - 1) // max(1, count - 1))
    yield from values[:-1:step]
    yield values[-1]


if __name__ == "__main__":
    sys.exit(main())
