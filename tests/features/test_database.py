from __future__ import annotations

import sqlite3

import pytest

from carboy import current_app, g, request


@pytest.fixture
def with_database(app, tmp_path):
    """``get_db()`` of the tutorials: one connection for each request, closed after it."""
    app.config["DATABASE"] = tmp_path / "app.sqlite3"
    closed = []

    def get_db():
        if "db" not in g:
            g.db = sqlite3.connect(current_app.config["DATABASE"])
            g.db.row_factory = sqlite3.Row
        return g.db

    @app.teardown_appcontext
    def close_db(error):
        db = g.pop("db", None)
        if db is not None:
            db.close()
            closed.append(type(error).__name__ if error else None)

    with app.app_context():
        get_db().execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")

    @app.route("/", methods=["GET", "POST"])
    def notes():
        db = get_db()
        assert db is get_db()
        if request.method == "POST":
            with db:
                db.execute("INSERT INTO note (text) VALUES (?)", (request.form["text"],))
        if request.args.get("fail"):
            raise ValueError
        return [dict(row) for row in db.execute("SELECT id, text FROM note ORDER BY id")]

    app.extensions["closed"] = closed
    return app


def test_plain_sqlite_in_g(with_database, client):
    """DB-16: one connection for each request; rows kept, values bound."""
    client.post("/", data={"text": "one"})
    client.post("/", data={"text": "'); DROP TABLE note; --"})
    assert client.get("/").json == [
        {"id": 1, "text": "one"},
        {"id": 2, "text": "'); DROP TABLE note; --"},
    ]
    assert with_database.extensions["closed"] == [None] * 4


def test_the_connection_is_closed_after_an_error_too(with_database, client):
    """DB-16: teardown runs with the error; what was committed stays."""
    assert client.post("/?fail=1", data={"text": "kept"}).status_code == 500
    assert with_database.extensions["closed"] == [None, "ValueError"]
    assert client.get("/").json == [{"id": 1, "text": "kept"}]
