"""Flask-Session as its documentation uses it; runs on Flask and on Carboy."""

from __future__ import annotations

import pickle
from datetime import timedelta

import fakeredis
import pytest
from cachelib import FileSystemCache, SimpleCache
from flask import Flask, flash, g, get_flashed_messages, redirect, session, url_for
from flask.sessions import SessionInterface, SessionMixin
from flask_session import Session
from flask_session.base import ServerSideSession
from flask_session.redis import RedisSessionInterface
from flask_sqlalchemy import SQLAlchemy


def redis_settings(tmp_path):
    return {"SESSION_TYPE": "redis", "SESSION_REDIS": fakeredis.FakeRedis()}


def cachelib_settings(tmp_path):
    cache = FileSystemCache(threshold=500, cache_dir=str(tmp_path / "sessions"))
    return {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": cache}


def memory_settings(tmp_path):
    return {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": SimpleCache()}


def sqlalchemy_settings(tmp_path):
    uri = f"sqlite:///{tmp_path / 'sessions.db'}"
    return {"SESSION_TYPE": "sqlalchemy", "SQLALCHEMY_DATABASE_URI": uri}


SETTINGS = [redis_settings, cachelib_settings, memory_settings, sqlalchemy_settings]
each_backend = pytest.mark.parametrize("settings", SETTINGS, ids=lambda f: f.__name__)


def make_app(settings, tmp_path, **more):
    app = Flask("scenario")
    app.config.update(SECRET_KEY="scenario", **settings(tmp_path), **more)
    if app.config["SESSION_TYPE"] == "sqlalchemy":
        app.config["SESSION_SQLALCHEMY"] = SQLAlchemy(app)
    Session(app)
    if app.config["SESSION_TYPE"] == "sqlalchemy":
        with app.app_context():
            app.config["SESSION_SQLALCHEMY"].create_all()

    @app.get("/set/<value>")
    def set_value(value):
        session["value"] = value
        return "set"

    @app.get("/get")
    def get_value():
        return session.get("value", "not set")

    @app.get("/add")
    def add():
        session.setdefault("list", [])
        session["list"].append(1)
        session.modified = True
        return str(len(session["list"]))

    @app.get("/clear")
    def clear():
        session.clear()
        return "cleared"

    @app.get("/plain")
    def plain():
        return "plain"

    @app.get("/sid")
    def sid():
        return session.sid

    @app.get("/login")
    def login():
        session["user"] = 1
        app.session_interface.regenerate(session)
        return redirect(url_for("sid"))

    @app.get("/flash")
    def flash_it():
        flash("a message", "note")
        return redirect(url_for("messages"))

    @app.get("/messages")
    def messages():
        return [list(entry) for entry in get_flashed_messages(with_categories=True)]

    return app


@each_backend
def test_a_value_lives_from_request_to_request(settings, tmp_path):
    client = make_app(settings, tmp_path).test_client()
    assert client.get("/get").text == "not set"
    assert client.get("/set/one").text == "set"
    assert client.get("/get").text == "one"
    assert client.get("/set/two").text == "set"
    assert client.get("/get").text == "two"


@each_backend
def test_the_cookie_carries_an_identifier_only(settings, tmp_path):
    client = make_app(settings, tmp_path).test_client()
    response = client.get("/set/hidden")
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("session=") and "hidden" not in cookie
    assert "HttpOnly" in cookie and "Path=/" in cookie
    assert client.get_cookie("session").value == client.get("/sid").text
    assert "Cookie" in response.headers["Vary"]


@each_backend
def test_clearing_deletes_the_cookie_and_the_data(settings, tmp_path):
    client = make_app(settings, tmp_path).test_client()
    client.get("/set/one")
    sid = client.get_cookie("session").value
    assert "Max-Age=0" in client.get("/clear").headers["Set-Cookie"]
    assert client.get_cookie("session") is None
    client.set_cookie("session", sid)
    assert client.get("/get").text == "not set"


@each_backend
def test_an_unknown_identifier_is_not_taken_over(settings, tmp_path):
    client = make_app(settings, tmp_path).test_client()
    client.set_cookie("session", "fixated")
    client.get("/set/one")
    assert client.get_cookie("session").value != "fixated"
    assert client.get("/get").text == "one"


@each_backend
def test_regenerating_keeps_the_data_under_a_new_identifier(settings, tmp_path):
    client = make_app(settings, tmp_path).test_client()
    client.get("/set/kept")
    before = client.get_cookie("session").value
    after = client.get("/login", follow_redirects=True).text
    assert after != before and client.get_cookie("session").value == after
    assert client.get("/get").text == "kept"


@each_backend
def test_flashed_messages_are_stored_and_taken_once(settings, tmp_path):
    client = make_app(settings, tmp_path).test_client()
    assert client.get("/flash", follow_redirects=True).json == [["note", "a message"]]
    assert client.get("/messages").json == []


@each_backend
def test_two_clients_have_two_sessions(settings, tmp_path):
    app = make_app(settings, tmp_path)
    one, two = app.test_client(), app.test_client()
    one.get("/set/one")
    two.get("/set/two")
    assert (one.get("/get").text, two.get("/get").text) == ("one", "two")


@each_backend
def test_mutable_values_are_saved_when_marked(settings, tmp_path):
    client = make_app(settings, tmp_path).test_client()
    assert [client.get("/add").text for _ in range(3)] == ["1", "2", "3"]


@each_backend
def test_a_request_without_a_session_sets_no_cookie(settings, tmp_path):
    response = make_app(settings, tmp_path).test_client().get("/plain")
    assert "Set-Cookie" not in response.headers


def test_the_session_is_opened_by_the_interface_before_any_hook(tmp_path):
    app = make_app(memory_settings, tmp_path)
    opened = []

    class Spy(type(app.session_interface)):
        def open_session(self, app, request):
            opened.append(request.path)
            return super().open_session(app, request)

    app.session_interface.__class__ = Spy

    @app.before_request
    def look():
        g.seen = list(opened)

    app.test_client().get("/plain")
    assert opened == ["/plain"]


def test_the_session_class_is_the_extensions_own(tmp_path):
    app = make_app(memory_settings, tmp_path)
    assert isinstance(app.session_interface, SessionInterface)
    with app.test_request_context():
        assert isinstance(session._get_current_object(), ServerSideSession)
        assert isinstance(session._get_current_object(), SessionMixin)
        assert session.permanent is True and session.sid


def test_session_transaction_reads_and_writes_the_store(tmp_path):
    client = make_app(redis_settings, tmp_path).test_client()
    with client.session_transaction() as opened:
        opened["value"] = "from the test"
    assert client.get("/get").text == "from the test"


def test_the_context_kept_by_a_client_shows_the_session(tmp_path):
    with make_app(memory_settings, tmp_path).test_client() as client:
        client.get("/set/kept")
        assert session["value"] == "kept"


def test_lifetime_and_cookie_settings_are_followed(tmp_path):
    app = make_app(
        redis_settings,
        tmp_path,
        SESSION_COOKIE_NAME="sid",
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=True,
        PERMANENT_SESSION_LIFETIME=timedelta(minutes=5),
    )
    cookie = app.test_client().get("/set/one").headers["Set-Cookie"]
    assert cookie.startswith("sid=")
    assert all(part in cookie for part in ("Secure", "SameSite=Strict", "Expires="))
    redis = app.config["SESSION_REDIS"]
    assert 0 < redis.ttl(redis.keys()[0]) <= 300


def test_sessions_that_are_not_permanent_have_no_expiry(tmp_path):
    app = make_app(redis_settings, tmp_path, SESSION_PERMANENT=False)
    assert "Expires" not in app.test_client().get("/set/one").headers["Set-Cookie"]


def test_json_is_another_format(tmp_path):
    app = make_app(redis_settings, tmp_path, SESSION_SERIALIZATION_FORMAT="json")
    app.test_client().get("/set/one")
    redis = app.config["SESSION_REDIS"]
    assert b'"value":"one"' in redis.get(redis.keys()[0])


def test_an_interface_of_ones_own_can_be_assigned(tmp_path):
    app = make_app(memory_settings, tmp_path)
    redis = fakeredis.FakeRedis()
    app.session_interface = RedisSessionInterface(app, client=redis, key_prefix="mine:")
    client = app.test_client()
    client.get("/set/one")
    assert client.get("/get").text == "one"
    assert redis.keys()[0].startswith(b"mine:")


def test_the_clean_up_command_is_registered(tmp_path):
    app = make_app(sqlalchemy_settings, tmp_path)
    result = app.test_cli_runner().invoke(args=["session_cleanup"])
    assert result.exit_code == 0, result.output


def test_old_pickled_sessions_are_no_error(tmp_path):
    app = make_app(redis_settings, tmp_path)
    app.config["SESSION_REDIS"].set("session:old", pickle.dumps({"value": "old"}))
    client = app.test_client()
    client.set_cookie("session", "old")
    assert client.get("/get").status_code == 200
