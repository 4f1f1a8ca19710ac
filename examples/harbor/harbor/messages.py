"""The messages of the dispatchers' chat, as they are stored."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from .db import database
from .models import ChatMessage

LONGEST = 500  # characters of a message
REMEMBERED = 50  # messages that a newcomer is shown


def problem_with(text: object) -> str | None:
    """Why this cannot be a message, or None."""
    if not isinstance(text, str) or not text.strip():
        return 'Send {"text": "…"} with something in it.'
    if len(text) > LONGEST:
        return f"A message has at most {LONGEST} characters."
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn"} and c != "\n" for c in text):
        return "A message cannot hold control characters."
    return None


def store(author: str, text: str, now: datetime) -> None:
    """Keeps a message."""
    with Session(database().engine) as session:
        session.add(ChatMessage(author=author, text=text, sent_at=now))
        session.commit()


def recent(after: int = 0) -> list[dict[str, Any]]:
    """The newest messages beyond the one numbered `after`, the oldest of them first."""
    with Session(database().engine) as session:
        found = session.scalars(
            select(ChatMessage)
            .where(ChatMessage.id > after)
            .order_by(ChatMessage.id.desc())
            .limit(REMEMBERED)
        ).all()
    return [
        {
            "id": message.id,
            "author": message.author,
            "text": message.text,
            "sent_at": message.sent_at.isoformat(),
        }
        for message in reversed(found)
    ]
