import secrets
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import click

from carboy import Carboy, abort, current_app, g, redirect, render_template, request, url_for
from carboy.cli import with_appcontext

SCHEMA = """
CREATE TABLE IF NOT EXISTS link (
    code TEXT PRIMARY KEY,
    target TEXT NOT NULL UNIQUE,
    clicks INTEGER NOT NULL DEFAULT 0
)
"""
LONGEST_URL = 2000


def get_db():
    """The connection of this request, opened when first asked for."""
    if "db" not in g:
        g.db = sqlite3.connect(current_app.config["DATABASE"], timeout=30)
        g.db.row_factory = sqlite3.Row
    return g.db


def close_db(exception):
    db = g.pop("db", None)
    if db is not None:
        db.close()


def init_db():
    Path(current_app.config["DATABASE"]).parent.mkdir(parents=True, exist_ok=True)
    with get_db() as db:
        db.execute(SCHEMA)


@click.command("init-db")
@with_appcontext
def init_db_command():
    """Create the table that keeps the links."""
    init_db()
    click.echo(f"Ready: {current_app.config['DATABASE']}")


def is_web_address(text):
    if len(text) > LONGEST_URL:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def shorten(target):
    """The code of an address: the one that it has, or a new one."""
    with get_db() as db:
        db.execute(
            "INSERT INTO link (code, target) VALUES (?, ?) ON CONFLICT (target) DO NOTHING",
            (secrets.token_urlsafe(5), target),
        )
        return db.execute("SELECT code FROM link WHERE target = ?", (target,)).fetchone()["code"]


def create_app(config=None):
    app = Carboy(__name__)
    app.config["DATABASE"] = str(Path(app.instance_path) / "links.sqlite3")
    app.config.update(config or {})
    app.teardown_appcontext(close_db)
    app.cli.add_command(init_db_command)

    @app.get("/")
    def form():
        return render_template("form.html")

    @app.post("/")
    def create():
        target = request.form["url"].strip()
        if not is_web_address(target):
            return render_template("form.html", error="Give a full http or https address."), 400
        short = url_for("follow", code=shorten(target), _external=True)
        return render_template("form.html", short=short), 201

    @app.get("/<code>")
    def follow(code):
        with get_db() as db:
            link = db.execute("SELECT target FROM link WHERE code = ?", (code,)).fetchone()
            if link is None:
                abort(404)
            db.execute("UPDATE link SET clicks = clicks + 1 WHERE code = ?", (code,))
        return redirect(link["target"])

    @app.get("/<code>/clicks")
    def clicks(code):
        link = get_db().execute("SELECT * FROM link WHERE code = ?", (code,)).fetchone()
        if link is None:
            abort(404)
        return dict(link)

    with app.app_context():
        init_db()
    return app
