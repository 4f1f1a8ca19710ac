"""The dispatchers' chat: what one types, all others read, by WebSocket.

Messages are stored, so that whoever comes later sees what was said, and so that dispatchers whom
another process serves get them too: each process looks for new ones while somebody listens.
"""

from __future__ import annotations

import asyncio
import json

from werkzeug.exceptions import Unauthorized

from carboy import Blueprint, WebSocketDisconnect, current_app, g, websocket
from carboy.sse import Subscription

from . import auth
from .db import database
from .messages import problem_with, recent, store
from .services import services

fleet_chat = Blueprint("fleet_chat", __name__)

MESSAGES_PER_MINUTE = 30  # of one dispatcher


@fleet_chat.before_request
def let_dispatchers_in() -> None:
    """Refuses the handshake of anyone else."""
    user = auth.current_user()
    if user is None:
        raise Unauthorized("Sign in first.")
    g.author = user.name
    # A conversation lasts; it must not keep a connection to the database meanwhile.
    database().close_session()


@fleet_chat.websocket("/fleet/chat")
async def chat() -> None:
    """First what was said before, then each message as it comes.

    Ends every few minutes, so that whoever has signed out meanwhile is not let in again.
    """
    with services().live.subscribe_to_chat() as news:
        await websocket.accept()
        said = await asyncio.to_thread(recent)
        await websocket.send_json({"type": "history", "messages": said})
        last = said[-1]["id"] if said else 0
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(tell(news, last))
            try:
                async with asyncio.timeout(current_app.config["LIVE_SECONDS"]):
                    await listen()
            except TimeoutError:
                await websocket.close(1000, "time to ask again")
            telling.cancel()


async def tell(news: Subscription, last: int) -> None:
    """Sends what is new."""
    try:
        async for event in news:
            message = json.loads(event.data)
            if message["id"] > last:
                await websocket.send_json({"type": "message", "message": message})
    except WebSocketDisconnect:
        pass  # whoever listens learns of it


async def listen() -> None:
    """Takes what this dispatcher says."""
    while True:
        try:
            said = await websocket.receive_json()
        except WebSocketDisconnect:
            return
        text = said.get("text") if isinstance(said, dict) else None
        if problem := problem_with(text):
            await websocket.send_json({"type": "problem", "text": problem})
            continue
        limiter = services().limiter
        verdict = await asyncio.to_thread(limiter.hit, f"chat:{g.author}", MESSAGES_PER_MINUTE)
        if not verdict.allowed:
            await websocket.send_json(
                {"type": "problem", "text": "Too many messages. Wait a moment."}
            )
            continue
        await asyncio.to_thread(say, g.author, str(text).strip())


def say(author: str, text: str) -> None:
    """Stores a message, and has everyone told."""
    store(author, text, services().now())
    services().live.wake()
