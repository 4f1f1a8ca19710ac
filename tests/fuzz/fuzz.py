"""Fuzz one target: ``python -m tests.fuzz.fuzz TARGET --seconds 60 --corpus FOLDER``.

With atheris the search is guided by coverage; without it, the kept corpus is mutated blindly.
Writes one line of JSON at the end: cases tried, what became of them, and the input that broke a
promise, if there is one. Exits with 1 then.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TOKENS = (HERE / "tokens.txt").read_text(encoding="utf-8").splitlines()


class Watch:
    """Counts the cases and notes the first that breaks a promise."""

    def __init__(self, name: str, function: Any, seconds: float) -> None:
        self.name, self.function = name, function
        self.counts: Counter[str] = Counter()
        self.cases = 0
        self.slowest = 0.0
        self.slowest_input = b""
        self.begun = time.monotonic()
        self.until = self.begun + seconds

    def __call__(self, data: bytes) -> None:
        self.cases += 1
        start = time.process_time()
        try:
            self.counts[self.function(data)] += 1
        except BaseException as error:
            self.report(data, error)
            raise
        taken = time.process_time() - start
        if taken > self.slowest:
            self.slowest, self.slowest_input = taken, data
        if time.monotonic() > self.until:
            self.report()
            sys.stdout.flush()
            # libFuzzer runs the interpreter from inside; there is no way out but this.
            import os

            os._exit(0)

    def report(self, data: bytes = b"", error: BaseException | None = None) -> None:
        """Write the line of JSON."""
        line = {
            "target": self.name,
            "cases": self.cases,
            "seconds": round(time.monotonic() - self.begun, 1),
            "outcomes": dict(self.counts.most_common()),
            "slowest_seconds": round(self.slowest, 4),
            "slowest_size": len(self.slowest_input),
            "broken_by": data.decode("latin-1") if error is not None else None,
            "error": repr(error) if error is not None else None,
        }
        print(json.dumps(line), flush=True)


def guided(watch: Watch, corpus: Path, size: int) -> None:
    """Let atheris search."""
    import atheris

    tokens = corpus.parent / f".{watch.name}.dict"
    lines = ['"' + "".join(f"\\x{byte:02x}" for byte in _bytes(t)) + '"' for t in TOKENS if t]
    tokens.write_text("\n".join(lines) + "\n")
    atheris.Setup(
        [sys.argv[0], f"-max_len={size}", "-timeout=25", "-rss_limit_mb=2048", f"-dict={tokens}",
         f"-artifact_prefix={corpus.parent}/broken-{watch.name}-", "-print_final_stats=0", str(corpus)],
        watch,
    )  # fmt: skip
    atheris.Fuzz()


def blind(watch: Watch, corpus: Path, size: int, seed: int) -> None:
    """Mutate the kept inputs without guidance."""
    rng = random.Random(seed)
    seeds = [path.read_bytes() for path in sorted(corpus.iterdir())] or [b""]
    tokens = [_bytes(token) for token in TOKENS if token]
    while True:
        watch(mutated(rng.choice(seeds), rng, tokens, seeds)[:size])


def mutated(data: bytes, rng: random.Random, tokens: list[bytes], seeds: list[bytes]) -> bytes:
    """``data`` with one to eight changes."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        place = rng.randint(0, len(out))
        kind = rng.randrange(5)
        if kind == 0:
            out[place:place] = rng.choice(tokens)
        elif kind == 1:
            del out[place : place + rng.randint(1, 8)]
        elif kind == 2:
            out[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 3:
            other = rng.choice(seeds)
            start = rng.randint(0, len(other))
            out[place:place] = other[start : start + rng.randint(1, 40)]
        else:
            out[place:place] = out[place : place + rng.randint(1, 30)] * rng.randint(1, 20)
    return bytes(out)


def _bytes(token: str) -> bytes:
    return token.encode().decode("unicode_escape").encode("latin-1")


def main() -> None:
    """Fuzz one target for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--blind", action="store_true")
    options = parser.parse_args()
    options.corpus.mkdir(parents=True, exist_ok=True)
    if options.blind:
        from .targets import TARGETS

        watch = Watch(options.target, TARGETS[options.target], options.seconds)
        blind(watch, options.corpus, options.size, options.seed)
    else:
        import atheris

        with atheris.instrument_imports(include=["carboy", "werkzeug"]):
            from .targets import TARGETS
        watch = Watch(options.target, TARGETS[options.target], options.seconds)
        guided(watch, options.corpus, options.size)


if __name__ == "__main__":
    main()
