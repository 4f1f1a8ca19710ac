"""The application that whole requests are thrown at: a route for each kind of input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from carboy import (
    Carboy,
    flash,
    g,
    jsonify,
    make_response,
    redirect,
    request,
    send_from_directory,
    session,
    stream_with_context,
    url_for,
)
from carboy.security import CORS, safe_redirect, sign_url, verify_url

EVERY = ["GET", "POST", "PUT", "PATCH", "DELETE"]

RULES = {
    "string": "/s/<x>/",
    "int": "/i/<int(signed=True):x>",
    "float": "/f/<float:x>",
    "uuid": "/u/<uuid:x>",
    "path": "/p/<path:x>",
    "any": "/any/<any(one,two):x>/end",
}

ATTRIBUTES = [
    "accept_charsets",
    "accept_encodings",
    "accept_languages",
    "accept_mimetypes",
    "access_control_request_headers",
    "access_control_request_method",
    "access_route",
    "args",
    "authorization",
    "base_url",
    "blueprint",
    "blueprints",
    "cache_control",
    "charset",
    "content_encoding",
    "content_length",
    "content_md5",
    "content_type",
    "cookies",
    "date",
    "endpoint",
    "full_path",
    "headers",
    "host",
    "host_url",
    "if_match",
    "if_modified_since",
    "if_none_match",
    "if_range",
    "if_unmodified_since",
    "is_json",
    "is_secure",
    "max_forwards",
    "method",
    "mimetype",
    "mimetype_params",
    "origin",
    "path",
    "pragma",
    "query_string",
    "range",
    "referrer",
    "remote_addr",
    "remote_user",
    "root_path",
    "root_url",
    "scheme",
    "script_root",
    "trusted_hosts",
    "url",
    "url_root",
    "url_rule",
    "user_agent",
    "values",
    "view_args",
    "want_form_data_parsed",
]


def make_app(folder: Path) -> Carboy:
    """An application with a route for each kind of input; its files are made in ``folder``."""
    (folder / "static").mkdir(exist_ok=True)
    (folder / "static" / "a.txt").write_text("public")
    (folder / "secret.txt").write_text("SECRET OUTSIDE")
    app = Carboy("fuzzed", root_path=str(folder))
    app.logger.disabled = True
    app.config.update(
        SECRET_KEY="a key for fuzzing, long enough to be taken",
        MAX_CONTENT_LENGTH=20_000,
        MAX_FORM_MEMORY_SIZE=4_000,
        MAX_FORM_PARTS=20,
        SECURITY_HEADERS=True,
    )
    CORS(app, origins=["https://app.example"], credentials=True)
    _add_inputs(app)
    _add_outputs(app)
    return app


def _add_inputs(app: Carboy) -> None:
    @app.before_request
    def look() -> None:
        g.path = request.path

    def attributes(x: Any = None) -> Any:
        for name in ATTRIBUTES:
            getattr(request, name, None)
        here = url_for(request.endpoint or "", x=x, _external=True) if x is not None else ""
        return {"x": str(x), "url": here}

    app.add_url_rule("/", "root", attributes, methods=EVERY)
    for name, rule in RULES.items():
        app.add_url_rule(rule, name, attributes, methods=EVERY)

    @app.route("/form", methods=EVERY)
    def form() -> Any:
        files = [(f.filename, len(f.read())) for f in request.files.values()]
        return jsonify(form=request.form.to_dict(flat=False), files=files)

    @app.route("/json", methods=EVERY)
    def as_json() -> Any:
        return jsonify(request.get_json())

    @app.route("/silent", methods=EVERY)
    async def silent() -> Any:
        return jsonify(request.get_json(silent=True, force=True))

    @app.route("/data", methods=EVERY)
    def data() -> Any:
        return request.get_data()

    @app.route("/key", methods=EVERY)
    def key() -> Any:
        return request.form["missing"] + request.args["missing"]


def _add_outputs(app: Carboy) -> None:
    @app.route("/session", methods=EVERY)
    def in_session() -> Any:
        session["seen"] = request.args.get("v", "")
        flash(request.args.get("v", ""))
        return jsonify(dict(session))

    @app.route("/away")
    def away() -> Any:
        return safe_redirect(request.args.get("next"), "/")

    @app.route("/raw-away")
    def raw_away() -> Any:
        return redirect(url_for("path", x=request.args.get("x") or "1"))

    @app.route("/signed")
    def signed() -> Any:
        return {"ours": verify_url(), "link": sign_url("/signed?" + request.args.get("q", ""))}

    @app.route("/cookie")
    def cookie() -> Any:
        response = make_response("set")
        response.set_cookie("mine", request.args.get("v", ""))
        try:
            response.headers["X-Echo"] = request.args.get("v", "")
        except ValueError:
            response.headers["X-Echo"] = "refused"
        return response

    @app.route("/file/<path:name>")
    def file(name: str) -> Any:
        return send_from_directory("static", name)

    @app.route("/stream")
    def stream() -> Any:
        def parts() -> Any:
            yield request.path
            yield request.args.get("v", "")

        return stream_with_context(parts())

    @app.route("/astream")
    async def astream() -> Any:
        async def parts() -> Any:
            yield b"a"
            yield request.query_string

        return stream_with_context(parts())
