"""The application that every server serves in these tests."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from werkzeug.middleware.proxy_fix import ProxyFix

from carboy import Carboy, Response, abort, request, send_file, session, stream_with_context

SCRATCH = Path(os.environ["SITE_SCRATCH"])

app = Carboy(__name__, static_folder=SCRATCH / "static")
app.secret_key = "of the tests"
if os.environ.get("SITE_BEHIND_PROXY"):
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)


@app.get("/")
def index() -> str:
    return "front page"


@app.get("/hello/<name>")
def hello(name: str) -> str:
    return f"Grüezi {name} {request.args.get('q', '')}"


@app.post("/form")
def form() -> dict:
    return request.form.to_dict(flat=False)


@app.post("/upload")
def upload() -> dict:
    file = request.files["file"]
    data = file.read()
    return {"name": file.filename, "size": len(data), "hash": hashlib.sha256(data).hexdigest()}


@app.post("/echo")
def echo() -> Response:
    return Response(request.get_data(), mimetype="application/octet-stream")


@app.get("/stream")
def stream() -> Response:
    def parts():
        for number in range(3):
            yield f"part {number} of {request.args['q']}\n"

    return Response(stream_with_context(parts()), mimetype="text/plain")


@app.get("/endless")
def endless() -> Response:
    def parts():
        try:
            while True:
                yield b"x" * 65536
        finally:
            (SCRATCH / "closed").touch()

    return Response(parts())


@app.get("/closed")
def closed() -> dict:
    return {"closed": (SCRATCH / "closed").exists()}


@app.get("/count")
def count() -> dict:
    session["count"] = session.get("count", 0) + 1
    return {"count": session["count"]}


@app.get("/download")
def download() -> Response:
    return send_file(SCRATCH / "big.bin", conditional=True)


@app.get("/crash")
def crash() -> str:
    raise RuntimeError("on purpose")


@app.get("/forbidden")
def forbidden() -> str:
    abort(403)


@app.get("/where")
def where() -> dict:
    return {
        "remote_addr": request.remote_addr,
        "scheme": request.scheme,
        "host": request.host,
        "root": request.script_root,
        "url": request.url,
    }


@app.get("/slow")
def slow() -> str:
    (SCRATCH / "slow-began").touch()
    while not (SCRATCH / "go-on").exists():
        time.sleep(0.01)
    return "finished"
