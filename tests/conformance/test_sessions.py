"""Sessions behind each door."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.datastructures import CallbackDict

from carboy import flash, get_flashed_messages, session
from carboy.sessions import SessionInterface, SessionMixin


@pytest.fixture
def app(app: Any) -> Any:
    app.secret_key = "test key"
    return app


def test_a_session_is_kept(app: Any, door: str, dye: Any) -> None:
    """What one request writes the next one reads."""

    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    app.add_url_rule("/", "count", dye(count))
    client = app.test_client(door=door)
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]
    assert client.get("/").headers["Vary"] == "Cookie"


def test_session_transaction(app: Any, door: str, dye: Any) -> None:
    """The client's session can be prepared."""
    app.add_url_rule("/", "view", dye(lambda: session["name"]))
    client = app.test_client(door=door)
    with client.session_transaction() as stored:
        stored["name"] = "ada"
    assert client.get("/").text == "ada"


def test_flashes(app: Any, door: str, dye: Any) -> None:
    """Messages wait for the next request."""

    def put() -> str:
        flash("hello", "info")
        return ""

    def take() -> list[Any]:
        return get_flashed_messages(with_categories=True)

    app.add_url_rule("/put", "put", dye(put))
    app.add_url_rule("/take", "take", dye(take))
    client = app.test_client(door=door)
    client.get("/put")
    assert client.get("/take").json == [["info", "hello"]]
    assert client.get("/take").json == []


class Stored(CallbackDict[str, Any], SessionMixin):
    pass


class StoreInterface(SessionInterface):
    """A session in the process, which wants to be opened and saved on each request."""

    def __init__(self) -> None:
        self.store: dict[str, Any] = {}
        self.calls: list[str] = []

    def open_session(self, app: Any, request: Any) -> Any:
        self.calls.append("open")
        return Stored(self.store)

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        self.calls.append("save")
        self.store = dict(session)


def test_an_interface_of_the_applications_own(app: Any, door: str, dye: Any) -> None:
    """It is opened once and saved once in each request."""
    interface = app.session_interface = StoreInterface()

    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    app.add_url_rule("/", "count", dye(count))
    client = app.test_client(door=door)
    assert [client.get("/").text for _ in range(2)] == ["1", "2"]
    assert interface.calls == ["open", "save"] * 2


def test_the_context_stays_for_a_test(app: Any, door: str, dye: Any) -> None:
    """Inside `with client:` the last request can be looked at."""
    from carboy import g, request

    def view() -> str:
        g.value = 7
        session["user"] = "ada"
        return ""

    app.add_url_rule("/page", "view", dye(view))
    with app.test_client(door=door) as client:
        client.get("/page?a=1")
        assert (g.value, session["user"], request.args["a"]) == (7, "ada", "1")


def test_templates_are_noted(app: Any, door: str, dye: Any, tmp_path: Any) -> None:
    """response.templates has the names of what was rendered."""
    from carboy import render_template

    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/page.html").write_text("{{ request.path }}")
    app.add_url_rule("/page", "view", dye(lambda: render_template("page.html")))
    response = app.test_client(door=door).get("/page")
    assert (response.text, response.templates) == ("/page", ["page.html"])
