import sqlite3
from pathlib import Path

from werkzeug.security import check_password_hash, generate_password_hash

from carboy import (
    Carboy,
    abort,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
    id INTEGER PRIMARY KEY,
    username TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password TEXT NOT NULL
)
"""
SHORTEST_PASSWORD = 10


def get_db():
    if "db" not in g:
        g.db = sqlite3.connect(current_app.config["DATABASE"])
        g.db.row_factory = sqlite3.Row
    return g.db


def close_db(exception):
    db = g.pop("db", None)
    if db is not None:
        db.close()


def complaint(username, password, repeated):
    """What is wrong with a filled-in form, or `None`."""
    if not username or not password:
        return "Fill in a username and a password."
    if len(password) < SHORTEST_PASSWORD:
        return f"A password has at least {SHORTEST_PASSWORD} characters."
    if password != repeated:
        return "The two passwords differ."
    return None


def add_account(username, password):
    """Whether the name was still free and the account is made."""
    try:
        with get_db() as db:
            db.execute(
                "INSERT INTO account (username, password) VALUES (?, ?)",
                (username, generate_password_hash(password)),
            )
    except sqlite3.IntegrityError:
        return False
    return True


def create_app(config=None):
    app = Carboy(__name__)
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.config["DATABASE"] = str(Path(app.instance_path) / "accounts.sqlite3")
    # A real key comes from the environment: FLASK_SECRET_KEY=... carboy run
    app.config.from_prefixed_env()
    app.config.update(config or {})
    app.teardown_appcontext(close_db)
    Path(app.config["DATABASE"]).parent.mkdir(parents=True, exist_ok=True)
    with app.app_context(), get_db() as db:
        db.execute(SCHEMA)

    @app.route("/register", methods=["GET", "POST"])
    def register():
        if request.method == "GET":
            return render_template("register.html", username="")
        username = request.form["username"].strip()
        password = request.form["password"]
        problem = complaint(username, password, request.form["repeated"])
        if problem is None and not add_account(username, password):
            problem = "That username is taken."
        if problem is not None:
            flash(problem, "error")
            return render_template("register.html", username=username), 400
        flash(f"Welcome aboard, {username}!", "success")
        session["username"] = username
        # POST, redirect, GET: reloading the next page does not send the form again.
        return redirect(url_for("welcome"), code=303)

    @app.get("/welcome")
    def welcome():
        if "username" not in session:
            return redirect(url_for("register"))
        return render_template("welcome.html", username=session["username"])

    @app.post("/check")
    def check():
        row = get_db().execute(
            "SELECT password FROM account WHERE username = ?", (request.form["username"],)
        )
        account = row.fetchone()
        if account is None or not check_password_hash(
            account["password"], request.form["password"]
        ):
            abort(401)
        return {"ok": True}

    return app
