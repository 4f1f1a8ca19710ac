"""WebSockets from strangers: foreign pages, oversized messages, clients that vanish, wrong doors."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture
def room(app):
    """An application with one WebSocket, which echoes, and what it has torn down."""
    from carboy import websocket

    app.torn = []
    app.teardown_request(app.torn.append)

    @app.websocket("/room")
    async def room():
        async for message in websocket:
            await websocket.send(message)

    return app


def status_of(client, **headers):
    """The status of a handshake with these headers."""
    from carboy.testing import WebSocketRefused

    try:
        with client.websocket_connect("/room", headers=headers):
            return 101
    except WebSocketRefused as error:
        return error.response.status_code


@pytest.mark.beyond
def test_a_websocket_is_a_route(room):
    with room.test_client().websocket_connect("/room") as ws:
        ws.send("hello")
        assert ws.receive() == "hello"


@pytest.mark.beyond
def test_a_page_of_another_site_opens_no_websocket(room):
    """HOSTILE-162, CVE-2019-13611: cross-site WebSocket hijacking."""
    client = room.test_client()
    assert status_of(client, Origin="http://evil.example") == 403
    assert status_of(client, Origin="null") == 403
    assert status_of(client, Origin="http://localhost") == 101
    assert status_of(client) == 101


@pytest.mark.beyond
def test_a_websocket_message_over_the_limit_is_a_1009(room):
    """HOSTILE-221: a message over the limit."""
    from carboy import WebSocketDisconnect

    with room.test_client().websocket_connect("/room") as ws:
        ws.send("x" * 1_048_577)
        with pytest.raises(WebSocketDisconnect) as caught:
            ws.receive()
    assert caught.value.code == 1009
    assert room.torn == [None]


@pytest.mark.beyond
def test_a_websocket_client_that_vanishes_ends_the_view(room):
    """HOSTILE-221: the client vanishes; the view is cancelled and torn down once."""
    from carboy import websocket

    room.config["WEBSOCKET_DISCONNECT_GRACE"] = 0
    ended = []

    @room.websocket("/waits")
    async def waits():
        await websocket.accept()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    with room.test_client().websocket_connect("/waits") as ws:
        ws.close(1006)
    assert ended == ["ended"]
    assert room.torn == [None]


@pytest.mark.beyond
def test_a_request_for_a_websocket_rule_is_a_426(app, client):
    app.add_url_rule("/socket", "socket", lambda: "", websocket=True)
    response = client.get("/socket")
    assert response.status_code == 426
    assert response.headers["Upgrade"] == "websocket"
