"""One measurement in a fresh process; prints a JSON line. `bench/growth.py` runs it.

python -m bench.probe KIND MODULE [NUMBER]
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

clock = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter


def memory() -> int:
    """Resident bytes now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def best(call: Callable[[], object], seconds: float = 0.02, bursts: int = 4) -> float:
    """Seconds for one call: the best of a few bursts."""
    start = clock()
    call()
    once = max(clock() - start, 1e-7)
    count = max(1, min(5000, int(seconds / once)))
    found = []
    for _ in range(bursts if once < 0.5 else 1):
        start = clock()
        for _ in range(count):
            call()
        found.append((clock() - start) / count)
    return min(found)


#: What an application of that framework imports first, where it is not the package itself.
IMPORTS = {"starlette": "starlette.applications", "django": "django.core.handlers.wsgi"}


def start(module: str, number: int) -> dict[str, Any]:
    """Import, first request, and so many more."""
    import importlib

    before = len(sys.modules)
    begun = clock()
    framework = importlib.import_module(IMPORTS.get(module, module))
    imported = clock() - begun
    found: dict[str, Any] = {
        "import": imported,
        "modules": len(sys.modules) - before,
        "memory": memory(),
    }
    from bench import drive
    from bench.cases import BY_NAME
    from bench.contestants import NAMED

    case = BY_NAME["text"]
    who = NAMED[module]
    if who.module == "flask_like":
        if module == "carboy":
            from carboy import config

            config.use_profile("flask")
        begun = clock()
        app = framework.Flask("bench_app")
        app.add_url_rule("/text", "text", lambda: "Hello, World!")
    else:
        builder = importlib.import_module(f"bench.apps.{who.module}")
        begun = clock()
        app = builder.build("text")
    found["build"] = clock() - begun
    driver = drive.DOORS[who.door](app, case)
    begun = clock()
    driver.ask()
    found["first"] = clock() - begun
    if number:
        driver.burst(number, clock)
        found["memory_after"] = memory()
    return found


def _app(module: str) -> tuple[Any, Any]:
    framework = __import__(module)
    if module == "carboy":
        from carboy import config

        config.use_profile("flask")
    return framework, framework.Flask("bench_app")


def _asker(app: Any, path: str, body: bytes = b"", kind: str = "") -> Any:
    """A function that asks and returns the body; its `time` is seconds per request."""
    from bench.cases import Case
    from bench.drive import WSGI

    method = "POST" if body else "GET"
    driver = WSGI(app, Case("x", "x", path, method, "", body, kind))

    def ask() -> bytes:
        from base64 import b64decode

        answer = driver.ask()
        if not answer["status"].startswith("200"):
            raise SystemExit(f"{path}: {answer['status']}")
        return b64decode(answer["body"])

    def time_it() -> float:
        begun = clock()
        driver.burst(1, clock)
        count = max(1, min(5000, int(0.02 / max(clock() - begun, 1e-7))))
        return min(driver.burst(count, clock) for _ in range(4))

    ask.time = time_it  # type: ignore[attr-defined]
    return ask


def routes(module: str, number: int) -> dict[str, Any]:
    _, app = _app(module)

    def view(number: int = 0) -> str:
        return f"{number}"

    begun = clock()
    for index in range(number):
        if index % 2:
            app.add_url_rule(f"/page{index}", f"page{index}", view)
        else:
            app.add_url_rule(f"/area{index}/<int:number>/end", f"area{index}", view)
    registered = clock() - begun
    middle = number // 2 - (number // 2) % 2
    ask = _asker(app, f"/area{middle}/4711/end")
    begun = clock()
    ask()
    first = clock() - begun
    return {"register": registered, "first": first, "match": ask.time(), "memory": memory()}


def hooks(module: str, number: int) -> dict[str, Any]:
    _, app = _app(module)
    for _ in range(number):
        app.before_request(lambda: None)
        app.after_request(lambda response: response)
        app.teardown_request(lambda error: None)
    app.add_url_rule("/x", "x", lambda: "x")
    return {"request": _asker(app, "/x").time()}


def blueprints(module: str, number: int) -> dict[str, Any]:
    framework, app = _app(module)
    inner = None
    for level in range(number, 0, -1):
        part = framework.Blueprint(f"part{level}", "bench_app", url_prefix=f"/p{level}")
        part.before_request(lambda: None)
        if inner is None:
            part.add_url_rule("/x", "x", lambda: "x")
        else:
            part.register_blueprint(inner)
        inner = part
    app.register_blueprint(inner)
    path = "".join(f"/p{level}" for level in range(1, number + 1)) + "/x"
    return {"request": _asker(app, path).time()}


def _open_limits(app: Any) -> None:
    app.config.update(MAX_FORM_PARTS=None, MAX_FORM_MEMORY_SIZE=None, MAX_CONTENT_LENGTH=None)


def fields(module: str, number: int) -> dict[str, Any]:
    """A form of so many fields, both ways of sending it; and so many files, up to 1,000."""
    framework, app = _app(module)
    _open_limits(app)
    request = framework.request
    app.add_url_rule(
        "/f",
        "f",
        lambda: str(len(request.form) + len(request.files)),
        methods=["POST"],
    )
    plain = "&".join(f"field{n}=value+{n}" for n in range(number)).encode()
    part = '--b\r\nContent-Disposition: form-data; name="field{0}"{1}\r\n\r\nvalue {0}\r\n'
    parts = "".join(part.format(n, "") for n in range(number)).encode() + b"--b--\r\n"
    count = min(number, 1000)
    files = "".join(part.format(n, f'; filename="f{n}.txt"') for n in range(count))
    multipart = "multipart/form-data; boundary=b"
    kinds = {
        "urlencoded": (plain, "application/x-www-form-urlencoded", number),
        "multipart": (parts, multipart, number),
        "files": (files.encode() + b"--b--\r\n", multipart, count),
    }
    found: dict[str, Any] = {}
    for name, (body, kind, expected) in kinds.items():
        ask = _asker(app, "/f", body, kind)
        if int(ask()) != expected:
            raise SystemExit(f"{module}: {ask()!r} of {expected} fields arrived")
        found[name] = ask.time()
    return found


class Endless:
    """`wsgi.input` of so many bytes that are never in memory at once."""

    def __init__(self, head: bytes, fill: bytes, number: int, tail: bytes) -> None:
        self.block = fill * (65536 // len(fill))
        self.head, self.left, self.tail = head, number, tail

    def read(self, size: int = -1) -> bytes:
        if self.head:
            found, self.head = self.head[:size], self.head[size:] if size >= 0 else b""
            return found
        if self.left > 0:
            size = min(size if size >= 0 else 65536, self.left, len(self.block))
            self.left -= size
            return self.block[:size]
        found, self.tail = self.tail[:size], self.tail[size:] if size >= 0 else b""
        return found

    def readinto(self, into: Any) -> int:
        data = self.read(len(into))
        into[: len(data)] = data
        return len(data)


HEAD = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"


def body(module: str, number: int) -> dict[str, Any]:
    """`number` bytes up as a stream, up as a file of a form (plain and all CR), and down."""
    from collections.abc import Iterator

    from bench.cases import Case

    framework, app = _app(module)
    _open_limits(app)
    request = framework.request

    def stream() -> str:
        size = 0
        while chunk := request.stream.read(65536):
            size += len(chunk)
        return str(size)

    def upload() -> str:
        return str(request.files["f"].seek(0, 2))

    def down() -> Any:
        def parts() -> Iterator[bytes]:
            block = b"x" * 65536
            for start in range(0, number, 65536):
                yield block[: number - start]

        return framework.Response(parts(), mimetype="application/octet-stream")

    app.add_url_rule("/stream", "stream", stream, methods=["POST"])
    app.add_url_rule("/upload", "upload", upload, methods=["POST"])
    app.add_url_rule("/down", "down", down)

    def run(path: str, head: bytes, fill: bytes, tail: bytes, kind: str) -> int:
        environ = Case("x", "x", path, "GET" if path == "/down" else "POST").environ()
        environ["wsgi.input"] = Endless(head, fill, 0 if path == "/down" else number, tail)
        if path != "/down":
            environ["CONTENT_LENGTH"] = str(len(head) + number + len(tail))
            environ["CONTENT_TYPE"] = kind
        iterable = app(environ, lambda status, headers, *more: None)
        size, first = 0, b""
        for chunk in iterable:
            size += len(chunk)
            first = first or chunk[:20]
        iterable.close() if hasattr(iterable, "close") else None
        return size if path == "/down" else int(first)

    kinds = {
        "stream": ("/stream", b"", b"x", b"", "application/octet-stream"),
        "upload": ("/upload", HEAD, bytes(range(256)), TAIL, "multipart/form-data; boundary=b"),
        "lone CR": ("/upload", HEAD, b"\r", TAIL, "multipart/form-data; boundary=b"),
        "down": ("/down", b"", b"x", b"", ""),
    }
    found: dict[str, Any] = {}
    for name, arguments in kinds.items():
        size = run(*arguments)
        if size != number:
            raise SystemExit(f"{module}, {name}: {size} of {number} bytes")
        found[name] = best(lambda a=arguments: run(*a), 0.01, 2)  # type: ignore[misc]
    found["peak"] = peak()
    return found


def url_for(module: str, number: int) -> dict[str, Any]:
    framework, app = _app(module)
    for index in range(number):
        app.add_url_rule(f"/item{index}/<int:id>/<name>", f"item{index}", lambda **v: "")
        app.add_url_rule(f"/page{index}", f"page{index}", lambda: "")
    make = framework.url_for
    with app.test_request_context("/"):
        item, page = f"item{number - 1}", f"page{number - 1}"
        calls: dict[str, Callable[[], object]] = {
            "page": lambda: make(page),
            "item": lambda: make(item, id=17, name="a b"),
            "query": lambda: make(page, q="sail & oar", page=2),
        }
        # Not timed: the first call makes what the framework makes once, here or at registration.
        for call in calls.values():
            call()
        return {name: best(call) for name, call in calls.items()}


def json_fast(module: str, number: int) -> dict[str, Any]:
    """JSON in and out by the standard provider and the one of the extra `fast`.

    `checked`: with the type of every field, which the standard provider's user checks by hand;
    `plain`: read and answered; `bare`: the library alone; `request`: `checked` in a POST.
    """
    import msgspec

    from bench import cases, typed
    from carboy import jsonify, request
    from carboy.json.fast import MsgspecProvider

    data: Any = cases.MESSAGE if number == 1 else cases.ROWS[:number]
    kind, check = typed.of(number)
    body = json.dumps(data).encode()
    (_, by_hand), (_, by_type) = _app("carboy"), _app("carboy")
    plain, quick = by_hand.json, MsgspecProvider(by_type)
    by_type.json = quick
    encoder = msgspec.json.Encoder(order="sorted")
    compact: dict[str, Any] = {"sort_keys": True, "separators": (",", ":")}
    ways: dict[str, Callable[[], Any]] = {
        "plain checked": lambda: plain.reply(check(plain.loads(body))),
        "fast checked": lambda: quick.reply(quick.decode(body, kind)),
        "plain": lambda: plain.reply(plain.loads(body)),
        "fast": lambda: quick.reply(quick.loads(body)),
        "plain bare": lambda: (json.dumps(json.loads(body), **compact).encode(), ""),
        "fast bare": lambda: (encoder.encode(msgspec.json.decode(body)), ""),
    }
    for name, way in ways.items():
        if json.loads(way()[0]) != data:
            raise SystemExit(f"{name}: another answer")
    found = {name: best(way) for name, way in ways.items()}
    views = {
        "plain": (by_hand, lambda: jsonify(check(request.get_json()))),
        "fast": (by_type, lambda: jsonify(quick.decode(request.get_data(), kind))),
    }
    for name, (app, view) in views.items():
        app.add_url_rule("/x", "x", view, methods=["POST"])
        ask = _asker(app, "/x", body, "application/json")
        if json.loads(ask()) != data:
            raise SystemExit(f"{name}: another answer")
        found[f"{name} request"] = ask.time()
    return found


def main() -> None:
    import logging

    logging.disable(logging.CRITICAL)
    kind, module, number = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0
    print(json.dumps(globals()[kind](module, number)))


if __name__ == "__main__":
    main()
