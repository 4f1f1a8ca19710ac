"""Sessions on the server: the same session, ids that nobody can plant, and nothing lost."""

from __future__ import annotations

import asyncio
import logging
import pickle
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from carboy import Carboy, session
from carboy.server_sessions import ServerSessions, interface, store_from
from carboy.server_sessions.stores import Change, Record

from .conftest import running_redis

pytestmark = pytest.mark.beyond


@pytest.fixture
def app(store: Any) -> Carboy:
    return make_app(store)


def make_app(store: Any, **settings: Any) -> Carboy:
    app = Carboy("server_sessions_app")
    app.config.update(settings)
    ServerSessions(app, store)

    @app.get("/set/<name>/<value>")
    def set_(name: str, value: str) -> str:
        session[name] = value
        return "set"

    @app.get("/all")
    def all_() -> Any:
        return dict(session)

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    @app.get("/sign-in/<user>")
    def sign_in(user: str) -> str:
        session.user = user  # type: ignore[attr-defined]
        session["user_id"] = user
        return "in"

    @app.get("/sign-out")
    def sign_out() -> str:
        session.clear()
        return "out"

    return app


def id_of(client: Any) -> str | None:
    cookie = client.get_cookie("session")
    return None if cookie is None else cookie.value


def test_what_a_view_stores_is_there_for_the_next_request(app: Carboy) -> None:
    """The same ``session`` as the signed cookie's, with its types."""
    values = {
        "text": "Käse",
        "many": [1, (2, 3), {"a": None}],
        "bytes": b"\0\xff",
        "when": datetime(2024, 2, 29, tzinfo=UTC),
    }

    @app.get("/fill")
    def fill() -> str:
        session.update(values)
        return ""

    @app.get("/look")
    def look() -> str:
        assert dict(session) == values
        return "same"

    client = app.test_client()
    client.get("/fill")
    assert client.get("/look").text == "same"


def test_no_secret_key_is_needed_and_the_cookie_says_nothing(app: Carboy) -> None:
    """The cookie is 256 random bits."""
    client = app.test_client()
    header = client.get("/set/a/secret-value").headers["Set-Cookie"]
    assert len(id_of(client) or "") == 43
    assert "secret-value" not in header
    assert "HttpOnly" in header and "SameSite=Lax" in header


def test_who_reads_the_store_gets_no_cookie(app: Carboy, store: Any) -> None:
    """Sessions are stored under the hash of their id."""
    client = app.test_client()
    client.get("/sign-in/ada")
    (key,) = store.of_user("ada")
    assert store.load(id_of(client)) is None
    other = app.test_client()
    other.set_cookie("session", key)
    assert other.get("/all").json == {}
    with app.app_context():
        interface_of(app).revoke_all("ada")


def test_a_request_without_a_session_stores_nothing(app: Carboy, store: Any) -> None:
    """Looking is not storing: visitors and scans leave nothing behind.

    CVE-2015-5963, CVE-2015-5964.
    """
    response = app.test_client().get("/all")
    assert "Set-Cookie" not in response.headers
    assert "Set-Cookie" not in app.test_client().get("/plain").headers


@pytest.mark.parametrize(
    "planted", ["A" * 43, "a", "", "x" * 3000, "../../etc/passwd", "%00", "s:1", "é"]
)
def test_an_id_that_the_client_chose_is_never_adopted(app: Carboy, planted: str) -> None:
    """HOSTILE-146, KNOWN-chosen-session-id: session fixation."""
    client = app.test_client()
    client.set_cookie("session", planted)
    assert client.get("/all").json == {}
    client.get("/set/a/b")
    assert id_of(client) not in (None, planted)
    assert client.get("/all").json == {"a": "b"}


@pytest.mark.parametrize("way", ["user", "clear", "regenerate"])
def test_signing_in_gives_a_new_id_and_ends_the_old_one(app: Carboy, way: str) -> None:
    """HOSTILE-145: who planted an id that was issued to them does not get in with it."""

    @app.get("/enter")
    def enter() -> str:
        if way == "clear":
            session.clear()
        elif way == "user":
            session.user = "ada"  # type: ignore[attr-defined]
        else:
            session.regenerate()  # type: ignore[attr-defined]
        session["user_id"] = "ada"
        return ""

    attacker = app.test_client()
    attacker.get("/set/cart/full")
    planted = id_of(attacker)
    assert planted is not None
    victim = app.test_client()
    victim.set_cookie("session", planted)
    victim.get("/enter")
    assert id_of(victim) != planted
    assert victim.get("/all").json["user_id"] == "ada"
    assert ("cart" in victim.get("/all").json) is (way != "clear")
    assert attacker.get("/all").json == {}


def test_clearing_the_session_ends_it_in_the_store(app: Carboy) -> None:
    """HOSTILE-147: a copied cookie is worth nothing after sign-out."""
    client = app.test_client()
    client.get("/sign-in/ada")
    copied = id_of(client)
    client.get("/sign-out")
    assert id_of(client) is None
    other = app.test_client()
    other.set_cookie("session", copied or "")
    assert other.get("/all").json == {}


def test_changes_inside_of_items_are_noticed(app: Carboy) -> None:
    """Without ``session.modified = True``."""

    @app.get("/add/<item>")
    def add(item: str) -> str:
        session.setdefault("cart", []).append(item)
        return ""

    client = app.test_client()
    for item in "abc":
        client.get(f"/add/{item}")
    assert client.get("/all").json == {"cart": ["a", "b", "c"]}


def test_requests_that_change_different_keys_do_not_undo_each_other(app: Carboy) -> None:
    """No lost update: eight at once, each with its own key, all read before any writes."""
    barrier = threading.Barrier(8)

    @app.get("/slow/<name>")
    def slow(name: str) -> str:
        session[name] = name
        barrier.wait(30)
        return ""

    client = app.test_client()
    client.get("/set/first/x")
    cookie = id_of(client)

    def visit(name: str) -> int:
        own = app.test_client()
        own.set_cookie("session", cookie or "")
        return own.get(f"/slow/{name}").status_code

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(visit, "abcdefgh")] == [200] * 8
    assert client.get("/all").json == {"first": "x"} | {name: name for name in "abcdefgh"}


def test_a_revoked_session_is_not_brought_back_by_a_running_request(
    app: Carboy, caplog: pytest.LogCaptureFixture
) -> None:
    """Sign-out everywhere is sign-out everywhere."""

    @app.get("/late")
    def late() -> str:
        interface_of(app).revoke_all("ada")
        session["late"] = "yes"
        return ""

    client = app.test_client()
    client.get("/sign-in/ada")
    with caplog.at_level(logging.WARNING):
        client.get("/late")
    assert client.get("/all").json == {}
    assert "revoked" in caplog.text


def interface_of(app: Carboy) -> ServerSessions:
    found = app.session_interface
    assert isinstance(found, ServerSessions)
    return found


def test_a_users_sessions_can_be_listed_and_ended(store: Any) -> None:
    """With the times, and address and browser where SESSION_RECORD_CLIENT is on."""
    app = make_app(store, SESSION_RECORD_CLIENT=True)
    sessions = interface_of(app)

    @app.get("/mine")
    def mine() -> Any:
        return [[info.user_agent, info.is_current] for info in sessions.sessions_of("grace")]

    @app.get("/end-others")
    def end_others() -> str:
        return str(sessions.revoke_all("grace", keep_current=True))

    clients = [app.test_client() for _ in range(3)]
    for number, client in enumerate(clients):
        client.get("/sign-in/grace", headers={"User-Agent": f"Browser {number}"})
    app.test_client().get("/sign-in/other")
    listed = clients[1].get("/mine").json
    assert sorted(listed) == [["Browser 0", False], ["Browser 1", True], ["Browser 2", False]]
    with app.app_context():
        first = next(i for i in sessions.sessions_of("grace") if i.user_agent == "Browser 0")
        assert first.address == "127.0.0.1"
        assert datetime.now(UTC) - first.created < timedelta(minutes=5)
        assert not sessions.revoke("other", first.handle)  # it is not theirs
        assert sessions.revoke("grace", first.handle)
        assert not sessions.revoke("grace", first.handle)
    assert clients[0].get("/all").json == {}
    assert clients[1].get("/end-others").text == "1"
    assert clients[2].get("/all").json == {}
    assert clients[1].get("/all").json == {"user_id": "grace"}
    with app.app_context():
        assert sessions.revoke_all("grace") == 1
        assert sessions.revoke_all("other") == 1


class Clock:
    def __init__(self) -> None:
        self.now = 1_900_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(interface, "time", clock)
    return clock


def test_a_session_ends_when_it_is_not_used(store: Any, clock: Clock) -> None:
    """SESSION_IDLE_LIFETIME; each use counts."""
    client = make_app(store, SESSION_IDLE_LIFETIME=1000).test_client()
    client.get("/set/a/b")
    for _ in range(3):
        clock.now += 900
        assert client.get("/all").json == {"a": "b"}
    clock.now += 1001
    assert client.get("/all").json == {}


def test_a_session_ends_however_much_it_is_used(store: Any, clock: Clock) -> None:
    """SESSION_ABSOLUTE_LIFETIME."""
    lifetime = timedelta(seconds=2500)
    app = make_app(store, SESSION_IDLE_LIFETIME=1000, SESSION_ABSOLUTE_LIFETIME=lifetime)
    client = app.test_client()
    client.get("/set/a/b")
    seen = []
    for _ in range(3):
        clock.now += 900
        seen.append(client.get("/all").json)
    assert seen == [{"a": "b"}, {"a": "b"}, {}]


def test_reading_alone_writes_at_most_once_a_minute(store: Any, clock: Clock) -> None:
    """A page that looks at the session costs a read."""
    app = make_app(store)
    writes = []
    merge = store.merge
    store.merge = lambda *args: writes.append(args) or merge(*args)
    client = app.test_client()
    client.get("/set/a/b")
    for _ in range(5):
        clock.now += 11
        client.get("/all")
    assert writes == []
    clock.now += 11
    client.get("/all")
    assert len(writes) == 1


def test_expired_sessions_are_swept(store: Any) -> None:
    """`carboy sessions sweep`; a store that ends them itself has none left over."""
    now = time.time()
    store.create("a" * 64, Record({"x": "1"}, now - 20, now - 10, now - 5))
    store.create("b" * 64, Record({"x": "1"}, now, now, now + 1000))
    store.sweep(now + 100)
    assert store.load("a" * 64) is None
    assert store.load("b" * 64) is not None
    assert store.delete("b" * 64)


def test_a_change_of_a_session_that_is_gone_does_nothing(store: Any) -> None:
    """The store says so instead of making it anew."""
    change = Change({"x": "1"}, [], 4e9, 4e9 + 10, None)
    assert store.merge("c" * 64, change) is False
    assert store.load("c" * 64) is None
    assert store.delete("c" * 64) is False


class Away:
    """A store behind a broken line."""

    def __getattr__(self, name: str) -> Any:
        def fail(*args: Any) -> Any:
            raise ConnectionError("no route to host, and the item 'secret-value'")

        return fail


def test_while_the_store_is_away_only_who_needs_it_gets_a_503(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """HOSTILE-149: what was acknowledged is not lost, and the session is there again later."""
    app = make_app(store)
    client = app.test_client()
    client.get("/set/a/b")
    sessions = interface_of(app)
    sessions._store = Away()
    for path in ("/all", "/set/a/c", "/sign-out"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), path
    assert client.get("/plain").status_code == 200
    assert "secret-value" not in caplog.text and "ConnectionError" in caplog.text
    sessions._store, sessions._rest_until = store, 0.0
    assert client.get("/all").json == {"a": "b"}


def test_a_redis_that_is_killed_is_a_503(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The real thing: the process is gone, and its connections with it."""
    with running_redis(tmp_path) as (address, server):
        app = make_app(store_from(address))
        client = app.test_client()
        client.get("/set/a/b")
        assert client.get("/all").json == {"a": "b"}
        server.kill()
        server.wait(10)
        assert client.get("/all").status_code == 503
        assert client.get("/plain").status_code == 200
        assert "redis.exceptions" in caplog.text
        interface_of(app)._store._client.close()


def test_what_cannot_be_stored_is_not_acknowledged(store: Any) -> None:
    """The store goes away between reading and writing: 503, without the view's page.

    HOSTILE-149.
    """
    app = make_app(store)
    sessions = interface_of(app)

    @app.get("/buy")
    def buy() -> Any:
        session["bought"] = True
        sessions._store = Away()
        return "Thank you", {"X-Order": "7"}

    answer = app.test_client().get("/buy")
    assert answer.status_code == 503
    assert "Thank you" not in answer.text and "X-Order" not in answer.headers
    assert "Set-Cookie" not in answer.headers


def test_a_store_that_failed_is_left_alone_for_a_moment(store: Any, clock: Clock) -> None:
    """HOSTILE-149: a store that hangs must not hang each request."""
    app = make_app(store)
    client = app.test_client()
    client.get("/set/a/b")
    calls: list[int] = []

    class Counting:
        def load(self, key: str) -> Any:
            calls.append(1)
            raise ConnectionError

    interface_of(app)._store = Counting()
    for _ in range(5):
        client.get("/all")
    clock.now += 3
    client.get("/all")
    assert len(calls) == 2


@pytest.mark.parametrize("door", ["wsgi", "asgi", "rsgi"])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_it_works_through_each_door(store: Any, door: str, colour: str) -> None:
    """For an async view the store is asked in a thread, and not on its loop."""
    app = make_app(store)
    threads: list[bool] = []
    load = store.load

    def watched(key: str) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            threads.append(True)
        else:
            threads.append(False)
        return load(key)

    store.load = watched
    if colour == "async":

        @app.get("/count")
        async def count() -> str:
            session["n"] = session.get("n", 0) + 1
            return str(session["n"])

    else:

        @app.get("/count")
        def count() -> str:
            session["n"] = session.get("n", 0) + 1
            return str(session["n"])

    client = app.test_client(door=door)
    assert [client.get("/count").text for _ in range(3)] == ["1", "2", "3"]
    assert threads
    if door != "wsgi":
        assert all(threads)


def test_a_value_that_json_cannot_hold_is_an_error_of_the_developers(app: Carboy) -> None:
    """HOSTILE-144: as with the signed cookie: never pickled, never dropped."""
    app.testing = True

    @app.get("/odd")
    def odd() -> str:
        session["odd"] = object()
        return ""

    with pytest.raises(TypeError):
        app.test_client().get("/odd")


def test_sessions_larger_than_a_cookie_are_kept(app: Carboy) -> None:
    """What the signed cookie cannot hold."""

    @app.get("/big")
    def big() -> str:
        session["big"] = "x" * 100_000
        return ""

    client = app.test_client()
    client.get("/big")
    assert len(client.get("/all").json["big"]) == 100_000


def test_session_transaction_works(app: Carboy) -> None:
    """The test client's."""
    client = app.test_client()
    with client.session_transaction() as opened:
        opened["a"] = date(2024, 2, 29).isoformat()
    assert client.get("/all").json == {"a": "2024-02-29"}
    with client.session_transaction() as opened:
        assert opened["a"] == "2024-02-29"


def test_csrf_tokens_live_in_it(app: Carboy) -> None:
    """The token belongs to the session wherever that lies."""
    from carboy.security import csrf_token

    app.config["CSRF_ALLOW_BARE"] = False
    app.add_url_rule("/token", view_func=csrf_token, endpoint="token")
    app.add_url_rule("/post", view_func=lambda: "posted", methods=["POST"], endpoint="post")
    client = app.test_client()
    token = client.get("/token").text
    assert client.post("/post", data={"csrf_token": token}).text == "posted"
    assert client.post("/post", data={"csrf_token": "x"}).status_code == 400


def test_permanent_sessions_have_an_expiry(app: Carboy) -> None:
    """``session.permanent`` means what it always did."""

    @app.get("/stay")
    def stay() -> str:
        session.permanent = True
        return ""

    assert "Expires" in app.test_client().get("/stay").headers["Set-Cookie"]
    assert "Expires" not in app.test_client().get("/set/a/b").headers["Set-Cookie"]


def test_address_and_browser_are_not_kept_unless_asked_for(app: Carboy, store: Any) -> None:
    """SESSION_RECORD_CLIENT is off: they are personal data."""
    app.test_client().get("/sign-in/quiet", headers={"User-Agent": "Browser"})
    with app.app_context():
        (info,) = interface_of(app).sessions_of("quiet")
        assert (info.address, info.user_agent) == (None, None)
        interface_of(app).revoke_all("quiet")


@pytest.mark.parametrize(
    ("uri", "error", "text"),
    [
        (None, ValueError, "SESSION_STORE is not set"),
        ("sessions", ValueError, "no address"),
        ("file://sessions", ValueError, "whole path"),
    ],
)
def test_a_store_that_is_none_is_an_error_at_the_start(uri: Any, error: Any, text: str) -> None:
    """Not at the first request."""
    app = Carboy("no_store")
    app.config["SESSION_STORE"] = uri
    with pytest.raises(error, match=text):
        ServerSessions(app)


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip install carboy[...]."""
    import sys

    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "carboy.server_sessions.redis_store", raising=False)
    with pytest.raises(RuntimeError, match=r"carboy\[redis\]"):
        store_from("redis://127.0.0.1/0")


def test_the_setting_names_the_store(tmp_path: Path) -> None:
    """SESSION_STORE; two workers on one folder see the same sessions, and files are private.

    CVE-2020-24584.
    """
    workers = []
    for _ in range(2):
        app = Carboy("by_setting")
        app.config["SESSION_STORE"] = f"file://{tmp_path}/here"
        ServerSessions(app)
        app.add_url_rule("/", view_func=lambda: str(session.get("n")), endpoint="index")
        workers.append(app)
    with workers[0].test_client() as client:
        with client.session_transaction() as opened:
            opened["n"] = 7
        other = workers[1].test_client()
        other.set_cookie("session", id_of(client) or "")
        assert other.get("/").text == "7"
    files = [file for file in (tmp_path / "here/files").iterdir() if file.is_file()]
    assert files and all(file.stat().st_mode & 0o077 == 0 for file in files)
    folders = [tmp_path / "here", *(one for one in (tmp_path / "here").iterdir() if one.is_dir())]
    assert len(folders) > 1 and all(one.stat().st_mode & 0o077 == 0 for one in folders)
    assert all(
        b"pickle" not in file.read_bytes() and file.read_bytes()[4:5] == b"{" for file in files
    )


def test_files_that_cannot_be_read_are_a_503(tmp_path: Path) -> None:
    """The folder is gone: not "no session", which would sign everybody out in silence."""
    import shutil

    app = make_app(store_from(f"file://{tmp_path}/here"))
    client = app.test_client()
    client.get("/set/a/b")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert client.get("/all").status_code == 503
    shutil.move(tmp_path / "there", tmp_path / "here")
    interface_of(app)._rest_until = 0.0
    assert client.get("/all").json == {"a": "b"}


@pytest.fixture
def commands(store: Any) -> Iterator[Any]:
    from carboy.cli.sessions import sessions_command

    app = make_app(store, SESSION_RECORD_CLIENT=True)
    runner = app.test_cli_runner()
    yield app, lambda *args: runner.invoke(sessions_command, args)


def test_the_commands_list_end_and_sweep(commands: Any) -> None:
    """`carboy sessions …`."""
    app, run = commands
    client = app.test_client()
    client.get("/sign-in/lin", headers={"User-Agent": "Browser"})
    (line,) = run("list", "lin").output.splitlines()
    assert line.endswith("127.0.0.1 Browser")
    assert run("revoke", "lin", line.split()[0]).output == "1 ended.\n"
    assert client.get("/all").json == {}
    assert run("revoke", "lin").output == "0 ended.\n"
    assert run("sweep").output.endswith("removed.\n")


def test_the_commands_say_what_is_missing() -> None:
    """For an application with signed cookies."""
    from carboy.cli.sessions import sessions_command

    result = Carboy("plain").test_cli_runner().invoke(sessions_command, ["sweep"])
    assert result.exit_code == 1 and "ServerSessions" in result.output


def test_the_client_may_send_the_cookie_twice(app: Carboy) -> None:
    """HOSTILE-142: a planted duplicate does not hide the valid one."""
    client = app.test_client()
    client.get("/set/a/b")
    own = id_of(client)
    for header in (f"session={'A' * 43}; session={own}", f"session={own}; session=x"):
        bare = app.test_client(use_cookies=False)
        assert bare.get("/all", headers={"Cookie": header}).json == {"a": "b"}


def test_what_it_looked_at_is_private(app: Carboy) -> None:
    """``Vary`` and ``Cache-Control``, as with the signed cookie."""
    client = app.test_client()
    for path in ("/set/a/b", "/all"):
        headers = client.get(path).headers
        assert (headers["Vary"], headers["Cache-Control"]) == ("Cookie", "private")
    assert "Vary" not in client.get("/plain").headers


RAN: list[str] = []


def run_by_pickle(word: str) -> None:
    RAN.append(word)


class Bomb:
    """What runs when it is unpickled."""

    def __reduce__(self) -> Any:
        return run_by_pickle, ("ran",)


def test_what_lies_in_the_store_is_never_unpickled(tmp_path: Path) -> None:
    """HOSTILE-150, CVE-2021-33026: who can write to the store cannot run code by it."""
    app = make_app(store_from(f"file://{tmp_path}/here"))
    client = app.test_client()
    client.get("/sign-in/ada")
    files = [file for file in (tmp_path / "here/files").iterdir() if file.is_file()]
    assert files
    for file in files:
        head = file.read_bytes()[:4]  # when it ends
        file.write_bytes(head + pickle.dumps({"items": Bomb()}))
    assert client.get("/all").status_code in (200, 503)
    with app.app_context():
        interface_of(app).sessions_of("ada")
    assert RAN == []
    pickle.loads(pickle.dumps(Bomb()))  # it would have
    assert RAN == ["ran"]


@pytest.mark.parametrize(
    "sent", ["a b", "a\tb", "x" * 300, "s:1", "u:ada", "ada\x7f", "../x", "*", "é" * 40, "a:b:c"]
)
def test_the_store_sees_keys_of_one_form_only(sent: str) -> None:
    """CVE-2020-13254: no id and no user makes a key that another means, or that a cache changes."""
    keys: set[str] = set()
    found = store_from("memory:")

    class Spy:
        def __getattr__(self, name: str) -> Any:
            method = getattr(found, name)

            def called(key: str, *args: Any) -> Any:
                if name in ("load", "create", "merge", "delete"):
                    keys.add(key)
                return method(key, *args)

            return called

    app = make_app(Spy())
    client = app.test_client()
    client.set_cookie("session", sent)
    assert client.get("/all").json == {}
    client.get("/sign-in/" + quote(sent.replace("/", "-"), safe=""))
    assert client.get("/all").status_code == 200
    assert keys and all(re.fullmatch("[0-9a-f]{64}", key) for key in keys)
    of_cache = found._cache._cache
    assert all(re.fullmatch("[a-z]+:[0-9a-f]{64}", key) for key in of_cache), [*of_cache]


def test_a_redis_that_never_answers_is_a_503_in_time() -> None:
    """HOSTILE-149: it takes connections and says nothing."""
    pytest.importorskip("redis")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = make_app(store_from(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        client = app.test_client()
        client.set_cookie("session", "A" * 43)
        answers: list[int] = []
        asking = threading.Thread(
            target=lambda: answers.append(client.get("/all").status_code), daemon=True
        )
        asking.start()
        asking.join(30)
        assert answers == [503]
        store: Any = interface_of(app)._store
        store._client.close()
