"""One framework in a process of its own; the parent tells it what to run, a JSON line at a time.

python -m bench.worker carboy|flask|falcon|floor|library
"""

from __future__ import annotations

import base64
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

from bench import cases

# With BENCH_CLOCK=cpu, processor time: a busy machine disturbs it less.
clock = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter


class Worker:
    def __init__(self, framework: str) -> None:
        self.framework = framework
        self.apps: dict[str, Callable[..., Any]] = {}
        self.environs: dict[str, dict[str, Any]] = {}

    def prepare(self, name: str, reply: dict[str, Any] | None) -> None:
        """Build the application of a case; `reply` is what `floor` is to repeat."""
        if self.framework == "library":
            self.apps[name] = getattr(importlib.import_module("bench.libraries"), name)()
            return
        case = cases.BY_NAME[name]
        self.environs[name] = case.environ()
        if self.framework == "floor":
            assert reply is not None
            self.apps[name] = repeat(reply)
        elif self.framework == "falcon":
            self.apps[name] = importlib.import_module("bench.apps.falcon_app").build(name)
        else:
            builder = importlib.import_module("bench.apps.flask_like")
            self.apps[name] = builder.build(importlib.import_module(self.framework), name)
        if case.keeps_cookies:
            cookies = [v for k, v in self.ask(name)["headers"] if k.lower() == "set-cookie"]
            self.environs[name]["HTTP_COOKIE"] = "; ".join(c.split(";")[0] for c in cookies)

    def ask(self, name: str) -> dict[str, Any]:
        """One request, with all of its answer."""
        seen: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> None:
            seen[:] = [status, headers]

        environ = self.environs[name].copy()
        environ["wsgi.input"] = BytesIO(cases.BY_NAME[name].body)
        iterable = self.apps[name](environ, start_response)
        body = b"".join(iterable)
        if hasattr(iterable, "close"):
            iterable.close()
        status, headers = seen
        return {"status": status, "headers": headers, "body": base64.b64encode(body).decode()}

    def measure(self, name: str, iterations: int, bursts: int) -> float:
        """Seconds per request: the mean over `iterations`, the best of so many bursts."""
        gc.collect()
        return min(self._burst(name, iterations) for _ in range(bursts))

    def _burst(self, name: str, iterations: int) -> float:
        if self.framework == "library":
            return measure_call(self.apps[name], iterations)
        return measure_wsgi(
            self.apps[name], self.environs[name], cases.BY_NAME[name].body, iterations
        )


def repeat(reply: dict[str, Any]) -> Callable[..., list[bytes]]:
    """A bare WSGI callable that gives one finished answer: the floor under every framework."""
    body = [base64.b64decode(reply["body"])]
    status, headers = reply["status"], [tuple(pair) for pair in reply["headers"]]

    def floor(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        start_response(status, headers)
        return body

    return floor


def measure_wsgi(
    app: Callable[..., Any], base: dict[str, Any], body: bytes, iterations: int
) -> float:
    def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> None:
        return None

    start = clock()
    for _ in range(iterations):
        environ = base.copy()
        environ["wsgi.input"] = BytesIO(body)
        iterable = app(environ, start_response)
        for _chunk in iterable:
            pass
        if hasattr(iterable, "close"):
            iterable.close()
    return (clock() - start) / iterations


def measure_call(call: Callable[[], object], iterations: int) -> float:
    start = clock()
    for _ in range(iterations):
        call()
    return (clock() - start) / iterations


def main() -> None:
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        order = json.loads(line)
        name = order["case"]
        answer: Any = None
        if order["do"] == "prepare":
            worker.prepare(name, order.get("reply"))
        elif order["do"] == "ask":
            answer = worker.ask(name)
        else:
            answer = worker.measure(name, order["iterations"], order["bursts"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
