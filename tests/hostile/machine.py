"""A child process whose machine fails it: run with the name of a fault, prints a line of JSON.

The limits are set on the child itself, so that the faults are the kernel's own errors.
"""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from carboy import Carboy, request

MULTIPART = "multipart/form-data; boundary=b"
BIG = 2_000_000


def make_app() -> Carboy:
    app = Carboy("machine")

    @app.get("/")
    def plain() -> str:
        return "fine"

    @app.post("/upload")
    def upload() -> str:
        with request.files["f"].stream as file:
            return str(len(file.read()))

    @app.post("/save")
    def save() -> str:
        request.files["f"].save("/dev/full")
        return "saved"

    @app.get("/large")
    def large() -> str:
        return str(len(bytearray(2 * 1024**3)))

    return app


def main(fault: str) -> dict[str, Any]:
    """Bring the fault about; the statuses before, while and after."""
    logging.disable(logging.CRITICAL)
    app = make_app()
    client = app.test_client()

    def status(path: str, size: int = BIG) -> int:
        if path in ("/", "/large"):
            return client.get(path).status_code
        file = (io.BytesIO(b"x" * size), "f.txt")
        with client.post(path, data={"f": file}) as response:
            return response.status_code

    def through(door: str) -> int:
        other = app.test_client(door=door)
        with other.post("/upload", data={"f": (io.BytesIO(b"x" * BIG), "f.txt")}) as response:
            return response.status_code

    before = status("/upload")
    if fault == "full disk":
        # The kernel's own error for a file that may not grow.
        folder = Path(tempfile.mkdtemp())
        tempfile.tempdir = str(folder)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        body = _body(BIG)  # made while files may grow
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
        during = client.post("/upload", data=body, content_type=MULTIPART).status_code
        doors = [
            app.test_client(door=door)
            .post("/upload", data=body, content_type=MULTIPART)
            .status_code
            for door in ("asgi", "rsgi")
        ]
        plain = status("/")
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        left = [path.name for path in folder.iterdir()]
        return {
            "before": before,
            "during": during,
            "doors": doors,
            "plain": plain,
            "after": status("/upload"),
            "left": left,
        }
    if fault == "full device":
        return {"before": before, "during": status("/save", 1000), "after": status("/upload")}
    if fault == "no descriptors":
        body = _body(BIG)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        held = [os.open("/dev/null", os.O_RDONLY)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 1, hard))
        during = client.post("/upload", data=body, content_type=MULTIPART).status_code
        plain = status("/")
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return {"before": before, "during": during, "plain": plain, "after": status("/upload")}
    assert fault == "no memory", fault
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used + 512 * 1024**2, hard))
    during = status("/large")
    return {"before": before, "during": during, "plain": status("/"), "after": status("/upload")}


def _body(size: int) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    return head + b"x" * size + b"\r\n--b--\r\n"


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
