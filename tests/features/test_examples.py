"""Applications of the kind that tutorials print, each in a few lines.

The larger ones are programs of their own with their tests beside them: `examples/hello` (APP-02,
APP-03, APP-04), `blog` (EX-06, TMPL-37, STAT-16), `shortener` (EX-05, CTX-09, CLI-25),
`registration` (EX-04, RESP-19, FORM-09, DB-10), `api` (EX-01, EX-21, EXT-12), `uploads` (UP-*,
STAT-12), `streaming` (STRM-*), `harbor` (EX-10 to EX-20, EX-23, DEPL-10).
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import importlib
import json
import logging
import logging.handlers
import os
import re
import runpy
import secrets
import sqlite3
import sys
import time
import types
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from werkzeug.exceptions import HTTPException
from werkzeug.security import check_password_hash, generate_password_hash

from carboy import (
    Blueprint,
    Carboy,
    Response,
    abort,
    current_app,
    g,
    jsonify,
    make_response,
    redirect,
    render_template,
    render_template_string,
    request,
    session,
    template_rendered,
    url_for,
)

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """`project({"shop/__init__.py": "..."}, "shop")` writes files and imports a module of them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)

    def write(files: dict[str, str], module: str) -> types.ModuleType:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return importlib.import_module(module)

    yield write
    for name in set(sys.modules) - known:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


# Layout and start


PACKAGE = {
    "config.py": """
import os

class Config:
    SECRET_KEY = "for development only"
    TESTING = False

class TestingConfig(Config):
    TESTING = True

class ProductionConfig(Config):
    SECRET_KEY = os.environ.get("SECRET_KEY")

config = {"default": Config, "testing": TestingConfig, "production": ProductionConfig}
""",
    "shop/__init__.py": """
from carboy import Carboy
from config import config

def create_app(config_name="default"):
    app = Carboy(__name__)
    app.config.from_object(config[config_name])
    from shop.main import main
    from shop.api import api
    app.register_blueprint(main)
    app.register_blueprint(api, url_prefix="/api")
    return app
""",
    "shop/main/__init__.py": """
from carboy import Blueprint

main = Blueprint("main", __name__)

from shop.main import routes
""",
    "shop/main/routes.py": """
from carboy import render_template
from shop.main import main

@main.route("/")
def index():
    return render_template("index.html")
""",
    "shop/api/__init__.py": """
from carboy import Blueprint, current_app

api = Blueprint("api", __name__)

@api.route("/testing")
def testing():
    return {"testing": current_app.testing}
""",
    "shop/templates/index.html": "<a href=\"{{ url_for('api.testing') }}\">API</a>",
    "run.py": """
import os
from shop import create_app

app = create_app(os.getenv("SHOP_CONFIG", "default"))

if __name__ == "__main__":
    app.run()
""",
}


def test_package_layout_with_factory_config_classes_and_blueprints(
    project: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """APP-09: the package layout works as printed, under each configuration name."""
    monkeypatch.setenv("SHOP_CONFIG", "testing")
    run = project(PACKAGE, "run")
    client = run.app.test_client()
    assert client.get("/").text == '<a href="/api/testing">API</a>'
    assert client.get("/api/testing").json == {"testing": True}
    create_app = importlib.import_module("shop").create_app
    assert create_app().secret_key == "for development only"
    assert create_app("production").secret_key is None


def test_blueprint_package_that_imports_its_routes_last(project: Callable[..., Any]) -> None:
    """BP-17: a package whose routes import the blueprint back is safe from a circular import."""
    files = {
        "blog/__init__.py": (
            "from carboy import Blueprint\n"
            "bp = Blueprint('blog', __name__, template_folder='templates')\n"
            "from blog import routes\n"
        ),
        "blog/routes.py": (
            "from carboy import render_template\nfrom blog import bp\n"
            "@bp.route('/')\ndef index():\n    return render_template('blog/index.html')\n"
        ),
        "blog/templates/blog/index.html": "from the blog",
    }
    blog = project(files, "blog")
    app = Carboy("bare")
    app.register_blueprint(blog.bp, url_prefix="/blog")
    assert app.test_client().get("/blog/").text == "from the blog"


def test_environment_check_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """APP-15: a script prints interpreter, virtual environment flag and version."""
    script = tmp_path / "check.py"
    script.write_text(
        "import sys\nfrom importlib.metadata import version\nimport carboy\n"
        "print(sys.executable)\nprint(sys.prefix != sys.base_prefix)\n"
        "print(version(carboy.Blueprint.__module__.split('.')[0]))\n"
    )
    runpy.run_path(str(script), run_name="__main__")
    executable, in_venv, version = capsys.readouterr().out.splitlines()
    assert executable == sys.executable
    assert in_venv == str(sys.prefix != sys.base_prefix)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", version)


def test_ignored_files_keep_secrets_out_of_the_repository() -> None:
    """DEPL-13: the environment, `.env` and `instance/` are not committed."""
    lines = (ROOT / ".gitignore").read_text().split()
    assert {"/.venv*/", ".env", "instance/"} <= set(lines)


# The store


STORE = """
from carboy import Carboy, jsonify, render_template_string, request

app = Carboy(__name__)
PRODUCTS = [{"name": "Cup & saucer", "price": 8.5}, {"name": "Kettle", "price": 32.0}]

@app.route("/products")
def products():
    page = "<ul>{% for p in products %}<li>{{ p.name }}: {{ '%.2f' % p.price }}</li>{% endfor %}</ul>"
    return render_template_string(page, products=PRODUCTS)

@app.route("/api/products")
def search():
    max_price = request.args.get("max_price")
    found = PRODUCTS
    if max_price:
        found = [p for p in found if p["price"] <= float(max_price)]
    return jsonify(found)

if __name__ == "__main__":
    app.run(port=0)
"""


@pytest.fixture
def store(project: Callable[..., Any]) -> Any:
    return project({"store.py": STORE}, "store").app


def test_store_as_json_and_as_a_page(store: Any) -> None:
    """EX-01: the store answers JSON, searches by price and shows its list as a page."""
    client = store.test_client()
    assert [p["name"] for p in client.get("/api/products").json] == ["Cup & saucer", "Kettle"]
    assert [p["name"] for p in client.get("/api/products?max_price=10").json] == ["Cup & saucer"]
    assert "<li>Cup &amp; saucer: 8.50</li>" in client.get("/products").text


def test_store_with_a_price_that_is_no_number_is_the_snippets_own_500(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """EX-03: `float("abc")` in the view is a bug of the view: 500, logged, nothing shown."""
    response = store.test_client().get("/api/products?max_price=abc")
    assert response.status_code == 500
    assert "abc" not in response.text
    assert "could not convert string to float: 'abc'" in caplog.text


@pytest.mark.server
def test_store_on_the_development_server(start_server: Callable[..., Any]) -> None:
    """EX-02: `python app.py` serves the store."""
    server = start_server(STORE)
    status, headers, body = server.get("/api/products?max_price=10")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == [{"name": "Cup & saucer", "price": 8.5}]
    assert server.get("/nowhere")[0] == 404


# Endpoints


def test_create_endpoint_validates_its_json(app: Carboy) -> None:
    """ROUT-40: 201 with the resource, 400 with a reason."""

    @app.post("/users")
    def create() -> Any:
        data = request.get_json()
        if not data.get("name"):
            return jsonify(error="name is required"), 400
        return jsonify(id=1, name=data["name"]), 201

    client = app.test_client()
    created = client.post("/users", json={"name": "Ada"})
    assert (created.status_code, created.json) == (201, {"id": 1, "name": "Ada"})
    refused = client.post("/users", json={"name": ""})
    assert (refused.status_code, refused.json) == (400, {"error": "name is required"})
    assert client.post("/users", data="{", content_type="application/json").status_code == 400


def test_users_crud_as_plain_functions(app: Carboy) -> None:
    """EX-21: create, read, replace and delete as functions (`examples/api` does it as classes)."""
    users: dict[int, dict[str, Any]] = {}

    @app.route("/users", methods=["GET", "POST"])
    def collection() -> Any:
        if request.method == "GET":
            return jsonify(list(users.values()))
        user = {"id": len(users) + 1, **request.get_json()}
        users[user["id"]] = user
        return jsonify(user), 201

    @app.get("/users/<int:number>")
    def read(number: int) -> Any:
        return users.get(number) or abort(404)

    @app.put("/users/<int:number>")
    def replace(number: int) -> Any:
        users[number] = {"id": number, **request.get_json()}
        return users[number]

    @app.delete("/users/<int:number>")
    def delete(number: int) -> Any:
        users.pop(number)
        return "", 204

    client = app.test_client()
    assert client.post("/users", json={"name": "Ada"}).json == {"id": 1, "name": "Ada"}
    assert client.put("/users/1", json={"name": "Bob"}).json == {"id": 1, "name": "Bob"}
    assert client.get("/users").json == [{"id": 1, "name": "Bob"}]
    assert client.delete("/users/1").status_code == 204
    assert client.get("/users/1").status_code == 404


def test_accepted_job_is_polled_at_its_location(app: Carboy) -> None:
    """RESP-27: 202 with a job's id and where to ask for it."""
    jobs: dict[str, str] = {}

    @app.post("/reports")
    def start() -> Any:
        job = str(uuid.uuid4())
        jobs[job] = "queued"
        return {"job": job}, 202, {"Location": url_for("state", job=job)}

    @app.get("/reports/<uuid:job>")
    def state(job: uuid.UUID) -> Any:
        return {"state": jobs[str(job)]}

    client = app.test_client()
    response = client.post("/reports")
    assert response.status_code == 202
    assert response.location == f"/reports/{response.json['job']}"
    assert client.get(response.location).json == {"state": "queued"}


def test_json_or_html_by_the_accept_header(app: Carboy) -> None:
    """RESP-28: one resource, in the form that the client likes better."""

    @app.get("/user")
    def user() -> Any:
        accepted = request.accept_mimetypes
        if accepted.best_match(["text/html", "application/json"]) == "application/json":
            return {"name": "Ada"}
        return render_template_string("<p>{{ name }}</p>", name="Ada")

    client = app.test_client()
    assert client.get("/user").text == "<p>Ada</p>"
    wants_json = {"Accept": "application/json;q=0.9, text/html;q=0.5"}
    assert client.get("/user", headers=wants_json).json == {"name": "Ada"}


def test_a_record_that_is_not_there_is_404(app: Carboy) -> None:
    """RESP-31: `abort(404)` where the look-up finds nothing."""
    records = {1: "first"}

    @app.get("/records/<int:number>")
    def record(number: int) -> str:
        if number not in records:
            abort(404)
        return records[number]

    client = app.test_client()
    assert client.get("/records/1").text == "first"
    assert client.get("/records/2").status_code == 404


def test_plain_cookies_can_be_changed_by_the_user(app: Carboy) -> None:
    """COOK-06: a plain cookie is the client's to change; the signed session is not."""
    app.secret_key = "for the test"

    @app.get("/login")
    def login() -> Any:
        session["role"] = "guest"
        response = make_response("ok")
        response.set_cookie("role", "guest")
        return response

    @app.get("/role")
    def role() -> Any:
        return {"cookie": request.cookies["role"], "session": session.get("role")}

    client = app.test_client()
    client.get("/login")
    client.set_cookie("role", "admin")
    assert client.get("/role").json == {"cookie": "admin", "session": "guest"}
    cookie = client.get_cookie("session")
    assert cookie is not None
    client.set_cookie("session", cookie.value[:-2] + "AA")
    assert client.get("/role").json == {"cookie": "admin", "session": None}


def test_theme_preference_lives_in_a_cookie(app: Carboy) -> None:
    """EX-22: a preference is set, used by the page, and only from a list."""

    @app.route("/theme", methods=["POST"])
    def theme() -> Any:
        name = request.form["theme"]
        if name not in ("light", "dark"):
            abort(400)
        response = redirect(url_for("page"))
        response.set_cookie("theme", name, max_age=60 * 60 * 24 * 365, samesite="Lax")
        return response

    @app.get("/")
    def page() -> str:
        name = request.cookies.get("theme", "light")
        return render_template_string("<body class='{{ name }}'>", name=name)

    client = app.test_client()
    assert client.get("/").text == "<body class='light'>"
    response = client.post("/theme", data={"theme": "dark"}, follow_redirects=True)
    assert response.text == "<body class='dark'>"
    assert client.post("/theme", data={"theme": "<script>"}).status_code == 400


def test_views_that_print_static_urls(app: Carboy, tmp_path: Path) -> None:
    """STAT-13: `url_for('static')` in a view and in a template."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "login.html").write_text(
        "<link href=\"{{ url_for('static', filename='css/login.css') }}\">"
    )

    @app.get("/style-check")
    def style_check() -> str:
        return url_for("static", filename="style.css")

    @app.get("/login")
    def login() -> str:
        return render_template("login.html")

    client = app.test_client()
    assert client.get("/style-check").text == "/static/style.css"
    assert client.get("/login").text == '<link href="/static/css/login.css">'


def test_an_upload_is_handed_on_to_object_storage(app: Carboy) -> None:
    """UP-11: the stream of the upload is what a storage client reads."""
    bucket: dict[str, bytes] = {}

    def upload_fileobj(stream: Any, key: str) -> None:
        bucket[key] = b"".join(iter(lambda: stream.read(1024), b""))

    @app.post("/upload")
    def upload() -> Any:
        file = request.files["file"]
        upload_fileobj(file.stream, f"uploads/{file.filename}")
        return "", 204

    content = bytes(range(256)) * 40
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
        + content
        + b"\r\n--x--\r\n"
    )
    response = app.test_client().post(
        "/upload", data=body, content_type="multipart/form-data; boundary=x"
    )
    assert response.status_code == 204
    assert bucket == {"uploads/a.bin": content}


def test_user_agent_is_read_in_a_view(app: Carboy) -> None:
    """CTX-14: `request.headers['User-Agent']`."""

    @app.get("/")
    def agent() -> str:
        return f"Your browser is {request.headers['User-Agent']}"

    response = app.test_client().get("/", headers={"User-Agent": "Lynx/2.9"})
    assert response.text == "Your browser is Lynx/2.9"


def test_pages_of_users_in_a_template(app: Carboy) -> None:
    """TMPL-37: a page of users, from objects with attributes and methods."""

    class User:
        def __init__(self, name: str, admin: bool = False) -> None:
            self.name = name
            self.admin = admin

        def initials(self) -> str:
            return self.name[:1]

    page = (
        "{% for user in users %}{{ loop.index }} {{ user.initials() }} {{ user.name|upper }}"
        "{% if user.admin %} (admin){% endif %};{% else %}nobody{% endfor %}"
    )

    @app.get("/users")
    def users() -> str:
        return render_template_string(page, users=[User("ada", admin=True), User("b<b")])

    assert app.test_client().get("/users").text == "1 a ADA (admin);2 b B&lt;B;"


def test_sanitised_html_is_shown_as_html(app: Carboy) -> None:
    """TMPL-34: clean with Bleach, then `|safe`."""
    bleach = pytest.importorskip("bleach")

    @app.post("/comment")
    def comment() -> str:
        cleaned = bleach.clean(request.form["text"], tags={"b"})
        return render_template_string("{{ text|safe }}", text=cleaned)

    text = "<b>bold</b><script>alert(1)</script>"
    response = app.test_client().post("/comment", data={"text": text})
    assert response.text == "<b>bold</b>&lt;script&gt;alert(1)&lt;/script&gt;"


def test_calls_gathered_in_an_async_view_run_together(app: Carboy) -> None:
    """ASY-02: each of two calls waits for the other; only together can they end."""

    @app.get("/")
    async def both() -> Any:
        here, there = asyncio.Event(), asyncio.Event()

        async def call(mine: asyncio.Event, other: asyncio.Event, answer: int) -> int:
            mine.set()
            await asyncio.wait_for(other.wait(), 20)
            return answer

        return list(await asyncio.gather(call(here, there, 1), call(there, here, 2)))

    assert app.test_client().get("/").json == [1, 2]


# Blueprints


def blog_api() -> Blueprint:
    api = Blueprint("api", __name__, url_prefix="/api")

    @api.get("/posts/<int:number>")
    def post(number: int) -> Any:
        return {"id": number} if number == 1 else abort(404, description="no such post")

    @api.errorhandler(404)
    def failed(error: HTTPException) -> Any:
        return jsonify(error=error.description), error.code

    return api


def test_a_blueprint_is_tested_alone_on_a_bare_application() -> None:
    """BP-16: a bare application is enough to test one blueprint."""
    app = Carboy("bare")
    app.register_blueprint(blog_api())
    client = app.test_client()
    assert client.get("/api/posts/1").json == {"id": 1}
    assert client.get("/").status_code == 404


def test_json_errors_for_the_api_and_html_for_pages(app: Carboy) -> None:
    """BP-18, ERR-12: the blueprint answers errors as JSON, the rest of the site as pages."""
    app.register_blueprint(blog_api())

    @app.get("/page")
    def page() -> Any:
        abort(404)

    @app.errorhandler(404)
    def not_found(error: HTTPException) -> Any:
        if request.path.startswith("/api/"):  # URLs that no blueprint route matches
            return jsonify(error="unknown URL"), 404
        return "<h1>Not here</h1>", 404

    client = app.test_client()
    assert client.get("/api/posts/2").json == {"error": "no such post"}
    assert client.get("/api/unknown").json == {"error": "unknown URL"}
    assert client.get("/page").text == "<h1>Not here</h1>"


def test_errors_by_the_accept_header(app: Carboy) -> None:
    """ERR-12: one handler answers JSON to those who ask for it."""

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> Any:
        if request.accept_mimetypes.best_match(["text/html", "application/json"]) == (
            "application/json"
        ):
            return jsonify(error=error.name), error.code
        return error

    client = app.test_client()
    wants_json = client.get("/nowhere", headers={"Accept": "application/json"})
    assert (wants_json.status_code, wants_json.json) == (404, {"error": "Not Found"})
    assert client.get("/nowhere").mimetype == "text/html"


# Contexts


def test_sqlite_connection_opened_before_and_closed_after_each_request(
    app: Carboy, tmp_path: Path
) -> None:
    """CTX-10: the hooks open and close it, a failing view included."""
    connections: list[sqlite3.Connection] = []

    @app.before_request
    def open_connection() -> None:
        g.db = sqlite3.connect(tmp_path / "db.sqlite3")
        connections.append(g.db)

    @app.teardown_request
    def close_connection(error: BaseException | None) -> None:
        g.pop("db").close()

    @app.get("/<int:divisor>")
    def divide(divisor: int) -> str:
        (result,) = g.db.execute("SELECT 6 / ?", (divisor,)).fetchone()
        return str(6 // divisor if result is None else result)

    client = app.test_client()
    assert client.get("/2").text == "3"
    assert client.get("/0").status_code == 500
    for connection in connections:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def with_sign_in(app: Carboy) -> None:
    """A small login: `g.user` from the session, used in views and templates."""
    app.secret_key = "for the test"
    passwords = {"ada": generate_password_hash("lovelace", method="pbkdf2:sha256:1000")}

    @app.before_request
    def load_user() -> None:
        g.user = session.get("user")

    def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if g.user is None:
                return redirect(url_for("login", next=request.path))
            return view(*args, **kwargs)

        return guarded

    @app.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if request.method == "GET":
            return "<form method=post>"
        name = request.form["name"]
        stored = passwords.get(name)
        if stored is None or not check_password_hash(stored, request.form["password"]):
            return "wrong name or password", 401
        session["user"] = name
        target = request.args.get("next", "/")
        return redirect(target if is_own_address(target) else "/")

    @app.get("/logout")
    def logout() -> Any:
        session.pop("user", None)
        return redirect("/")

    @app.get("/")
    def home() -> str:
        return render_template_string(
            "{% if g.user %}Hello, {{ g.user }}{% else %}Hello{% endif %}"
        )

    @app.get("/secret")
    @login_required
    def secret() -> str:
        return f"for {g.user} only"


def is_own_address(target: str) -> bool:
    """Whether a browser that is sent to `target` stays on this site."""
    if any(ord(character) <= 32 for character in target):
        return False  # browsers drop some of these, and what is left may be another address
    here = urlsplit(request.host_url)
    there = urlsplit(urljoin(request.host_url, target.replace("\\", "/")))
    return there.scheme in ("http", "https") and there.netloc == here.netloc


def sign_in(client: Any, next_page: str = "/secret", password: str = "lovelace") -> Any:
    form = {"name": "ada", "password": password}
    return client.post("/login", query_string={"next": next_page}, data=form)


def test_user_of_the_session_is_loaded_into_g(app: Carboy) -> None:
    """CTX-11: `g.user` in views and in templates."""
    with_sign_in(app)
    client = app.test_client()
    assert client.get("/").text == "Hello"
    sign_in(client)
    assert client.get("/").text == "Hello, ada"
    assert client.get("/secret").text == "for ada only"


def test_sign_in_sign_out_and_strangers(app: Carboy) -> None:
    """TEST-17: strangers are sent to the form, wrong passwords refused, logout ends it."""
    with_sign_in(app)
    client = app.test_client()
    stranger = client.get("/secret")
    assert (stranger.status_code, stranger.location) == (302, "/login?next=/secret")
    assert sign_in(client, password="wrong").status_code == 401
    assert client.get("/secret").status_code == 302
    assert sign_in(client).location == "/secret"
    client.get("/logout")
    assert client.get("/secret").status_code == 302


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/secret?a=b", "/secret?a=b"),
        ("http://localhost/secret", "http://localhost/secret"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("\t//evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("http://localhost@evil.example/", "/"),
    ],
)
def test_an_open_redirect_is_refused(app: Carboy, target: str, location: str) -> None:
    """SEC-22: `next` is followed on this site only."""
    with_sign_in(app)
    assert sign_in(app.test_client(), next_page=target).location == location


def test_database_settings_from_the_environment(
    app: Carboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CTX-13: a view shows what the environment configured, without the password."""
    monkeypatch.setenv("DB_HOST", "db.internal")
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    app.config.update(
        DB_HOST=os.getenv("DB_HOST", "localhost"),
        DB_PORT=int(os.getenv("DB_PORT", "5432")),
        DB_PASSWORD=os.getenv("DB_PASSWORD"),
    )

    @app.get("/db_info")
    def db_info() -> Any:
        config = current_app.config
        return {"host": config["DB_HOST"], "port": config["DB_PORT"]}

    assert app.test_client().get("/db_info").json == {"host": "db.internal", "port": 5432}


# Hooks


def test_maintenance_mode_answers_503_before_any_view(app: Carboy) -> None:
    """HOOK-06: the hook answers itself, the health check excepted."""
    app.config["MAINTENANCE"] = True

    @app.before_request
    def maintenance() -> Any:
        if app.config["MAINTENANCE"] and request.endpoint != "health":
            return "Back soon", 503, {"Retry-After": "120"}
        return None

    app.add_url_rule("/", "home", lambda: "home")
    app.add_url_rule("/health", "health", lambda: {"status": "ok"})
    client = app.test_client()
    closed = client.get("/")
    assert (closed.status_code, closed.headers["Retry-After"]) == (503, "120")
    assert client.get("/health").json == {"status": "ok"}
    app.config["MAINTENANCE"] = False
    assert client.get("/").text == "home"


def test_health_check_says_when_a_dependency_is_down(app: Carboy) -> None:
    """DEPL-09: a path that a load balancer asks: 200, or 503 when the database is away."""
    broken = False

    def ping() -> None:
        if broken:
            raise ConnectionError("no database")

    @app.get("/health")
    def health() -> Any:
        try:
            ping()
        except ConnectionError:
            return {"status": "down"}, 503
        return {"status": "ok"}

    client = app.test_client()
    assert client.get("/health").status_code == 200
    broken = True
    assert client.get("/health").status_code == 503


def test_readiness_ends_before_the_server_does(app: Carboy) -> None:
    """DEPL-14: told to stop, the application is no longer ready but still answers."""
    state = {"draining": False}

    @app.get("/ready")
    def ready() -> Any:
        return ("draining", 503) if state["draining"] else "ready"

    app.add_url_rule("/", "home", lambda: "still here")
    client = app.test_client()
    assert client.get("/ready").status_code == 200
    state["draining"] = True  # what a SIGTERM handler does
    assert client.get("/ready").status_code == 503
    assert client.get("/").text == "still here"


def test_security_headers_stand_on_every_answer(app: Carboy) -> None:
    """HOOK-07: pages, errors and redirects alike, without overwriting what a view has set."""

    @app.after_request
    def secure(response: Response) -> Response:
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response

    app.add_url_rule("/", "home", lambda: ("home", {"X-Frame-Options": "SAMEORIGIN"}))
    app.add_url_rule("/old", "old", lambda: redirect("/"))
    client = app.test_client()
    assert client.get("/").headers["X-Frame-Options"] == "SAMEORIGIN"
    for path in ("/", "/old", "/nowhere"):
        assert client.get(path).headers["X-Content-Type-Options"] == "nosniff"
        assert client.get(path).headers["Referrer-Policy"] == "same-origin"


def with_request_ids(app: Carboy) -> None:
    @app.before_request
    def take() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if re.fullmatch(r"[\w-]{1,64}", given) else str(uuid.uuid4())

    @app.after_request
    def give(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        return response


def test_request_id_is_taken_over_or_made(app: Carboy) -> None:
    """HOOK-10: the proxy's id if it is a sane one, else a new UUID; never the same twice."""
    with_request_ids(app)
    client = app.test_client()
    assert client.get("/", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    made = {client.get("/").headers["X-Request-ID"] for _ in range(3)}
    made.add(client.get("/", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"])
    assert len({str(uuid.UUID(text)) for text in made}) == 4


def test_response_time_is_measured_over_the_hooks(app: Carboy) -> None:
    """HOOK-11: started before the view, reported after it."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def report(response: Response) -> Response:
        response.headers["X-Response-Time"] = f"{time.perf_counter() - g.started:.6f}"
        return response

    app.add_url_rule("/", "home", lambda: "home")
    assert float(app.test_client().get("/").headers["X-Response-Time"]) >= 0


def test_debug_pages_answer_loopback_only(app: Carboy) -> None:
    """HOOK-12, EX-09: the incident's middleware: other addresses do not see debugging at all."""

    @app.before_request
    def loopback_only() -> None:
        proxied = "X-Forwarded-For" in request.headers
        if request.path.startswith("/debug/") and (request.remote_addr != "127.0.0.1" or proxied):
            abort(404)

    app.add_url_rule("/debug/routes", "routes", lambda: "routes")
    client = app.test_client()
    assert client.get("/debug/routes").text == "routes"
    outside = {"REMOTE_ADDR": "203.0.113.9"}
    assert client.get("/debug/routes", environ_overrides=outside).status_code == 404
    forwarded = client.get("/debug/routes", headers={"X-Forwarded-For": "203.0.113.9"})
    assert forwarded.status_code == 404


def test_credentials_do_not_reach_the_client_when_a_view_fails(
    app: Carboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EX-09: without debug, a failing view shows neither environment nor configuration."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalr-leaked")
    app.config["API_TOKEN"] = "token-leaked"

    @app.get("/")
    def fail() -> str:
        secret = os.environ["AWS_SECRET_ACCESS_KEY"]
        raise RuntimeError(f"cannot sign with {secret}")

    response = app.test_client().get("/")
    assert response.status_code == 500
    assert "leaked" not in response.text
    assert "RuntimeError" not in response.text


def guarded_run(app: Any, host: str, debug: bool) -> None:
    """The tutorials' guard against a debugger that strangers can reach."""
    if debug and host not in ("127.0.0.1", "localhost", "::1"):
        raise SystemExit(f"debug is for this machine only, not for {host}")
    app.run(host=host, debug=debug)


def test_a_guard_refuses_debug_on_other_addresses(
    app: Carboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEV-14, EX-09: loopback and no debug by default; debug on 0.0.0.0 does not start."""
    started: list[dict[str, Any]] = []
    monkeypatch.setattr(app, "run", lambda **options: started.append(options))
    app.secret_key = secrets.token_hex()
    assert app.debug is False
    guarded_run(app, "127.0.0.1", True)
    guarded_run(app, "0.0.0.0", False)
    with pytest.raises(SystemExit, match="this machine only"):
        guarded_run(app, "0.0.0.0", True)
    assert started == [
        {"host": "127.0.0.1", "debug": True},
        {"host": "0.0.0.0", "debug": False},
    ]


# Configuration


class Config:
    SECRET_KEY = "development"
    DEBUG = False
    DATABASE = "app.sqlite3"


class DevelopmentConfig(Config):
    DEBUG = True


class TestingConfig(Config):
    __test__ = False
    TESTING = True
    DATABASE = ":memory:"


class ProductionConfig(Config):
    @property
    def SECRET_KEY(self) -> str:  # type: ignore[override]
        key = os.environ.get("SECRET_KEY")
        if not key:
            raise RuntimeError("SECRET_KEY must be set in production.")
        return key


CONFIGS = {
    "development": DevelopmentConfig,
    "testing": TestingConfig,
    "production": ProductionConfig,
}


def configured() -> Carboy:
    app = Carboy("configured")
    app.config.from_object(CONFIGS[os.environ.get("APP_ENV", "development")]())
    return app


def test_configuration_class_is_chosen_by_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CONF-12: base, development, testing and production classes."""
    assert configured().debug is True
    monkeypatch.setenv("APP_ENV", "testing")
    app = configured()
    assert (app.testing, app.debug, app.config["DATABASE"]) == (True, False, ":memory:")


def test_production_without_its_secret_fails_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONF-13: the secret comes from the environment alone, and its absence stops the start."""
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.delenv("SECRET_KEY", raising=False)
    with pytest.raises(RuntimeError, match="SECRET_KEY must be set"):
        configured()
    monkeypatch.setenv("SECRET_KEY", "from the environment")
    assert configured().secret_key == "from the environment"


def test_private_file_in_the_instance_folder_is_not_served(app: Carboy) -> None:
    """CONF-17: what is saved into the instance folder cannot be fetched."""
    instance = Path(app.instance_path)
    instance.mkdir(parents=True, exist_ok=True)
    (instance / "secret.txt").write_text("private")
    client = app.test_client()
    for path in (
        "/instance/secret.txt",
        "/static/../instance/secret.txt",
        "/static/%2e%2e/instance/secret.txt",
    ):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, False), ("0", False), ("false", False), ("1", True), ("True", True)],
)
def test_debug_expressions_of_the_tutorials(
    app: Carboy, monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool
) -> None:
    """CONF-22: `debug=os.getenv('FLASK_DEBUG', '0')...` given to `run`."""
    if value is not None:
        monkeypatch.setenv("FLASK_DEBUG", value)
    seen: dict[str, Any] = {}
    monkeypatch.setattr(app, "run", lambda **options: seen.update(options))
    app.run(debug=os.getenv("FLASK_DEBUG", "False").lower() in ("1", "true"))
    assert seen == {"debug": expected}


# Errors, logs, signals


def test_admin_view_is_forbidden_to_others(app: Carboy) -> None:
    """ERR-11: `abort(403)` with a page of its own."""
    app.secret_key = "for the test"

    @app.get("/admin")
    def admin() -> str:
        if session.get("role") != "admin":
            abort(403)
        return "welcome"

    @app.errorhandler(403)
    def forbidden(error: HTTPException) -> Any:
        return "for administrators", 403

    client = app.test_client()
    response = client.get("/admin")
    assert (response.status_code, response.text) == (403, "for administrators")
    with client.session_transaction() as stored:
        stored["role"] = "admin"
    assert client.get("/admin").text == "welcome"


@pytest.fixture
def handler_of(app: Carboy) -> Iterator[Callable[[logging.Handler], None]]:
    """`handler_of(handler)` adds it to the application's logger until the test ends."""
    added: list[logging.Handler] = []
    level = app.logger.level

    def add(handler: logging.Handler) -> None:
        app.logger.addHandler(handler)
        app.logger.setLevel(logging.INFO)
        added.append(handler)

    yield add
    app.logger.setLevel(level)
    for handler in added:
        app.logger.removeHandler(handler)
        handler.close()


def test_rotating_log_file_with_the_tutorials_format(
    app: Carboy, tmp_path: Path, handler_of: Callable[[logging.Handler], None]
) -> None:
    """LOG-04: time, level, message and place, in files that rotate."""
    path = tmp_path / "logs" / "app.log"
    path.parent.mkdir()
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=400, backupCount=2)
    layout = "%(asctime)s %(levelname)s: %(message)s [in %(pathname)s:%(lineno)d]"
    handler.setFormatter(logging.Formatter(layout))
    handler_of(handler)

    @app.get("/<int:number>")
    def view(number: int) -> str:
        app.logger.info("request number %d", number)
        return ""

    client = app.test_client()
    for number in range(9):
        client.get(f"/{number}")
    assert sorted(p.name for p in path.parent.iterdir()) == ["app.log", "app.log.1", "app.log.2"]
    last = path.read_text().splitlines()[-1]
    assert re.search(
        r"^[\d-]+ [\d:,]+ INFO: request number 8 \[in .*test_examples\.py:\d+\]$", last
    )


def test_structured_logs_carry_the_request_id(
    app: Carboy, handler_of: Callable[[logging.Handler], None]
) -> None:
    """LOG-07: each line is JSON and names its request."""
    lines: list[str] = []

    class JsonFormatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            entry = {"level": record.levelname, "message": record.getMessage()}
            entry |= {"request_id": g.request_id, "path": request.path}
            return json.dumps(entry)

    class ListHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = ListHandler()
    handler.setFormatter(JsonFormatter())
    handler_of(handler)
    with_request_ids(app)

    @app.get("/work")
    def work() -> str:
        app.logger.info("working on %s", "it")
        return ""

    app.test_client().get("/work", headers={"X-Request-ID": "r-1"})
    assert [json.loads(line) for line in lines] == [
        {"level": "INFO", "message": "working on it", "request_id": "r-1", "path": "/work"}
    ]


def test_templates_used_are_captured_through_a_signal(app: Carboy, tmp_path: Path) -> None:
    """SIG-07: the test knows which template was rendered with what."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "index.html").write_text("{{ title }}")
    recorded: list[tuple[str, Any]] = []

    def record(sender: Any, template: Any, context: dict[str, Any], **extra: Any) -> None:
        recorded.append((template.name, context["title"]))

    @app.get("/")
    def index() -> str:
        return render_template("index.html", title="Home")

    with template_rendered.connected_to(record, app):
        app.test_client().get("/")
    app.test_client().get("/")
    assert recorded == [("index.html", "Home")]


# Security


def test_old_password_hash_is_renewed_at_login(app: Carboy) -> None:
    """SEC-04: a login with an old hash stores a new one, which works."""
    stored = {"ada": generate_password_hash("lovelace", method="pbkdf2:sha256:1000")}

    @app.post("/login")
    def login() -> Any:
        name, password = request.form["name"], request.form["password"]
        if not check_password_hash(stored[name], password):
            abort(401)
        if not stored[name].startswith("scrypt:"):
            stored[name] = generate_password_hash(password)
        return "", 204

    client = app.test_client()
    assert client.post("/login", data={"name": "ada", "password": "wrong"}).status_code == 401
    assert stored["ada"].startswith("pbkdf2:")
    for _ in range(2):
        form = {"name": "ada", "password": "lovelace"}
        assert client.post("/login", data=form).status_code == 204
        assert stored["ada"].startswith("scrypt:")


def test_bearer_token_decorator(app: Carboy) -> None:
    """SEC-18: without the right token 401 with the challenge."""
    tokens = {hashlib.sha256(b"t0k3n").hexdigest(): "partner"}

    def token_required(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            given = request.authorization
            if given is not None and given.type == "bearer" and given.token:
                g.partner = tokens.get(hashlib.sha256(given.token.encode()).hexdigest())
                if g.partner:
                    return view(*args, **kwargs)
            return {"error": "token needed"}, 401, {"WWW-Authenticate": "Bearer"}

        return guarded

    @app.get("/data")
    @token_required
    def data() -> Any:
        return {"for": g.partner}

    client = app.test_client()
    assert client.get("/data", headers={"Authorization": "Bearer t0k3n"}).json == {"for": "partner"}
    for value in ("Bearer wrong", "Bearer", "Basic YTpi", "", "t0k3n"):
        response = client.get("/data", headers={"Authorization": value})
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"


def test_signature_is_checked_before_the_body_is_parsed(app: Carboy) -> None:
    """SEC-19: HMAC over the raw bytes; a wrong one never reaches the JSON parser."""
    key = b"webhook key"
    parsed: list[Any] = []

    @app.post("/hook")
    def hook() -> Any:
        expected = hmac.new(key, request.get_data(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers.get("X-Signature", "")):
            abort(401)
        parsed.append(request.get_json())
        return "", 204

    def post(body: bytes, signature: str) -> int:
        response = app.test_client().post(
            "/hook",
            data=body,
            content_type="application/json",
            headers={"X-Signature": signature},
        )
        return response.status_code

    body = b'{"a": 1}'
    right = hmac.new(key, body, hashlib.sha256).hexdigest()
    assert post(body, right) == 204
    assert post(b'{"a": 2}', right) == 401
    assert post(b"{broken", "") == 401
    assert post(b"{broken", hmac.new(key, b"{broken", hashlib.sha256).hexdigest()) == 400
    assert parsed == [{"a": 1}]


def test_login_protected_page_by_hand(app: Carboy) -> None:
    """EX-08: a page behind a login (Flask-Login's own form is tested with the extensions)."""
    with_sign_in(app)
    client = app.test_client()
    response = client.get("/secret", follow_redirects=True)
    assert response.request.path == "/login"
    assert sign_in(client, next_page="/secret").location == "/secret"
    assert client.get("/secret").status_code == 200
