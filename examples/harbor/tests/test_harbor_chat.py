"""The dispatchers' chat (EX-13)."""

from __future__ import annotations

from typing import Any

import pytest
from harbor.messages import LONGEST, REMEMBERED, store

from carboy import Carboy
from carboy.testing import FlaskClient, WebSocketRefused

DOORS = pytest.mark.parametrize("door", ["asgi", "rsgi"])


@DOORS
def test_what_one_dispatcher_says_all_others_read(dispatcher: FlaskClient, door: str) -> None:
    with (
        dispatcher.websocket_connect("/fleet/chat", door=door) as ada,
        dispatcher.websocket_connect("/fleet/chat", door=door) as grace,
    ):
        assert ada.receive_json() == {"type": "history", "messages": []}
        assert grace.receive_json() == {"type": "history", "messages": []}
        ada.send_json({"text": "  Berth 4 is free. "})
        for listener in (ada, grace):
            told = listener.receive_json()
            assert told["type"] == "message"
            assert told["message"]["author"] == "Ada"
            assert told["message"]["text"] == "Berth 4 is free."


def test_a_newcomer_is_shown_what_was_said_last(
    app: Carboy, dispatcher: FlaskClient, clock: Any
) -> None:
    with app.app_context():
        for number in range(REMEMBERED + 5):
            store("Ada", f"message {number}", clock.now())
    with dispatcher.websocket_connect("/fleet/chat") as chat:
        messages = chat.receive_json()["messages"]
        chat.send_json({"text": "and this"})
        assert chat.receive_json()["message"]["text"] == "and this"
    assert [message["text"] for message in messages] == [
        f"message {number}" for number in range(5, REMEMBERED + 5)
    ]


@DOORS
def test_nobody_else_is_let_in(app: Carboy, client: FlaskClient, door: str) -> None:
    with (
        pytest.raises(WebSocketRefused) as refused,
        client.websocket_connect("/fleet/chat", door=door),
    ):
        pass
    assert refused.value.response.status_code == 401


@DOORS
def test_a_page_of_another_site_is_not_let_in(dispatcher: FlaskClient, door: str) -> None:
    """HOSTILE-162: although the browser sends the dispatcher's cookie along."""
    with (
        pytest.raises(WebSocketRefused) as refused,
        dispatcher.websocket_connect(
            "/fleet/chat", door=door, headers={"Origin": "https://evil.example"}
        ),
    ):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "said",
    [{}, {"text": ""}, {"text": "  "}, {"text": 5}, [], "text", None, {"text": "a\0b"},
     {"text": "x" * (LONGEST + 1)}, {"text": "\u202eevil"}],
)  # fmt: skip
def test_what_is_no_message_is_answered_and_not_told(dispatcher: FlaskClient, said: Any) -> None:
    with dispatcher.websocket_connect("/fleet/chat") as chat:
        chat.receive_json()
        chat.send_json(said)
        assert chat.receive_json()["type"] == "problem"
        chat.send_json({"text": "still here"})
        assert chat.receive_json()["message"]["text"] == "still here"


def test_one_dispatcher_cannot_flood_the_others(dispatcher: FlaskClient) -> None:
    with dispatcher.websocket_connect("/fleet/chat") as chat:
        chat.receive_json()
        for _ in range(31):
            chat.send_json({"text": "again"})
        kinds = [chat.receive_json()["type"] for _ in range(31)]
    assert kinds.count("message") == 30
    assert kinds.count("problem") == 1


def test_a_conversation_ends_after_a_while(make_app: Any, dispatcher: FlaskClient) -> None:
    dispatcher.application.config["LIVE_SECONDS"] = 0.05
    with dispatcher.websocket_connect("/fleet/chat") as chat:
        chat.receive_json()
        with pytest.raises(Exception, match="1000"):
            chat.receive_json()
        assert chat.close_code == 1000
