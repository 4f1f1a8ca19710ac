"""Flashed messages: kept in the session until a page shows them."""

from __future__ import annotations

from typing import Any

import pytest
from markupsafe import Markup

from carboy import (
    Carboy,
    flash,
    get_flashed_messages,
    redirect,
    render_template_string,
    request,
    session,
)


@pytest.fixture
def app() -> Carboy:
    app = Carboy("flashing")
    app.secret_key = "test key"

    @app.post("/login")
    def login() -> Any:
        flash("Welcome", "success")
        return redirect("/")

    @app.get("/")
    def index() -> Any:
        return get_flashed_messages(with_categories=True)

    @app.get("/quiet")
    def quiet() -> str:
        return "shows no messages"

    return app


def test_message_survives_one_redirect(client: Any) -> None:
    """FLSH-01: a message flashed before a redirect is found by the page after it."""
    response = client.post("/login", follow_redirects=True)
    assert response.json == [["success", "Welcome"]]


def test_messages_are_shown_once(client: Any) -> None:
    """FLSH-03: a retrieved message is gone in the next request."""
    client.post("/login")
    assert client.get("/").json == [["success", "Welcome"]]
    assert client.get("/").json == []


def test_messages_wait_for_a_page_that_shows_them(client: Any) -> None:
    """FLSH-03: pages that retrieve nothing leave the messages alone."""
    client.post("/login")
    client.get("/quiet")
    client.post("/login")
    assert client.get("/").json == [["success", "Welcome"]] * 2


def test_retrieving_twice_in_one_request_gives_the_same(app: Carboy) -> None:
    """FLSH-03: within one request the messages can be read again and again."""

    @app.get("/twice")
    def twice() -> Any:
        return [get_flashed_messages(), get_flashed_messages()]

    client = app.test_client()
    client.post("/login")
    assert client.get("/twice").json == [["Welcome"], ["Welcome"]]


def test_a_message_flashed_after_reading_waits_for_the_next_request(app: Carboy) -> None:
    """FLSH-03: what is flashed after the first retrieval is not lost."""

    @app.get("/late")
    def late() -> Any:
        before = get_flashed_messages()
        flash("late")
        return [before, get_flashed_messages()]

    client = app.test_client()
    client.post("/login")
    assert client.get("/late").json == [["Welcome"], ["Welcome"]]
    assert client.get("/").json == [["message", "late"]]


def test_categories_and_filter(app: Carboy) -> None:
    """FLSH-02: with_categories gives pairs, category_filter keeps the named categories only."""

    @app.get("/flash")
    def put() -> str:
        flash("one", "error")
        flash("two", "info")
        flash("three", "warning")
        flash("four", "error")
        return ""

    seen: dict[str, Any] = {}

    @app.get("/read")
    def read() -> str:
        seen["all"] = get_flashed_messages()
        seen["pairs"] = get_flashed_messages(with_categories=True)
        seen["errors"] = get_flashed_messages(category_filter=["error"])
        seen["error pairs"] = get_flashed_messages(True, ("error", "warning"))
        seen["none"] = get_flashed_messages(category_filter=["other"])
        return ""

    client = app.test_client()
    client.get("/flash")
    client.get("/read")
    assert seen == {
        "all": ["one", "two", "three", "four"],
        "pairs": [("error", "one"), ("info", "two"), ("warning", "three"), ("error", "four")],
        "errors": ["one", "four"],
        "error pairs": [("error", "one"), ("warning", "three"), ("error", "four")],
        "none": [],
    }


def test_filtered_reading_discards_the_others_too(app: Carboy) -> None:
    """FLSH-03: reading one category takes all messages out of the session."""

    @app.get("/some")
    def some() -> Any:
        return get_flashed_messages(category_filter=["other"])

    client = app.test_client()
    client.post("/login")
    assert client.get("/some").json == []
    assert client.get("/").json == []


def test_messages_in_templates(app: Carboy) -> None:
    """FLSH-02: get_flashed_messages is there in every template, its text is escaped."""

    @app.get("/page")
    def page() -> str:
        flash("<b>plain</b>")
        flash(Markup("<b>safe</b>"), "info")
        return render_template_string(
            "{% for category, message in get_flashed_messages(with_categories=true) %}"
            "[{{ category }}: {{ message }}]{% endfor %}"
        )

    assert app.test_client().get("/page").text == (
        "[message: &lt;b&gt;plain&lt;/b&gt;][info: <b>safe</b>]"
    )


def test_default_category_and_rich_values_survive_the_cookie(app: Carboy) -> None:
    """FLSH-04: the category is `message` by default; Markup and JSON values keep their types."""
    seen: list[Any] = []

    @app.get("/put")
    def put() -> str:
        flash("text")
        flash(Markup("<i>x</i>"))
        flash({"id": 7, "tags": ["a"]}, "data")
        flash(["1", 2], "list")
        return ""

    @app.get("/read")
    def read() -> str:
        seen.extend(get_flashed_messages(with_categories=True))
        return ""

    client = app.test_client()
    client.get("/put")
    client.get("/read")
    assert seen == [
        ("message", "text"),
        ("message", Markup("<i>x</i>")),
        ("data", {"id": 7, "tags": ["a"]}),
        ("list", ["1", 2]),
    ]
    assert isinstance(seen[1][1], Markup)


def test_flash_without_a_secret_key_is_an_error() -> None:
    """FLSH-05: flashing needs a secret key and says so."""
    app = Carboy("flashing")
    with app.test_request_context(), pytest.raises(RuntimeError, match="no secret key was set"):
        flash("hello")


def test_messages_lie_in_the_session(app: Carboy) -> None:
    """FLSH-05: messages are kept under `_flashes` in the session."""
    with app.test_request_context():
        flash("hello", "info")
        assert session["_flashes"] == [("info", "hello")]
        assert session.modified is True
        assert get_flashed_messages() == ["hello"]
        assert "_flashes" not in session


def test_flashes_of_a_session_transaction_are_shown(client: Any) -> None:
    """FLSH-05: a test can plant messages through the session."""
    with client.session_transaction() as planted:
        planted["_flashes"] = [("message", "planted")]
    assert client.get("/").json == [["message", "planted"]]


def test_clients_do_not_share_messages(app: Carboy) -> None:
    """FLSH-05: a message belongs to the client whose request flashed it."""
    first, second = app.test_client(), app.test_client()
    first.post("/login")
    assert second.get("/").json == []
    assert first.get("/").json == [["success", "Welcome"]]


def test_message_flashed_in_a_hook_is_shown_by_the_view(app: Carboy) -> None:
    """FLSH-01: hooks may flash; the same request's page shows it when it reads after."""

    @app.before_request
    def warn() -> None:
        if request.path == "/":
            flash("from the hook")

    assert app.test_client().get("/").json == [["message", "from the hook"]]
