"""Answers that are read while they come: their chunks, and the events of an event stream."""

from __future__ import annotations

import codecs
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werkzeug.test import TestResponse


@dataclass(frozen=True)
class ReceivedEvent:
    """A server-sent event as a browser's `EventSource` would tell of it.

    `id` is the last id that the stream gave, with this event or before it.
    """

    data: str
    event: str = "message"
    id: str = ""

    @property
    def json(self) -> Any:
        """The data, read as JSON."""
        return json.loads(self.data)


class EventParser:
    """Reads the chunks of an event stream (WHATWG HTML section 9.2.6).

    `retry` is the last waiting time that the stream asked for, in milliseconds, or None.
    """

    def __init__(self) -> None:
        self.retry: int | None = None
        self.last_id = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._line = ""
        self._after_cr = False
        self._begun = False
        self._reset()

    def _reset(self) -> None:
        self._data: list[str] = []
        self._event = ""

    def feed(self, chunk: bytes) -> Iterator[ReceivedEvent]:
        """Take one more chunk and give the events that it completes."""
        text = self._decode(chunk)
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        for character in text:
            if character == "\n" and self._after_cr:
                self._after_cr = False  # CR and LF end one line
                continue
            self._after_cr = character == "\r"
            if character not in "\r\n":
                self._line += character
                continue
            line, self._line = self._line, ""
            event = self._take_line(line)
            if event is not None:
                yield event

    def _take_line(self, line: str) -> ReceivedEvent | None:
        if not line:
            data, event = self._data, self._event
            self._reset()
            if not data:
                return None
            return ReceivedEvent("\n".join(data), event or "message", self.last_id)
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)
        return None


class StreamedResponse:
    """The response of `client.stream()`: all that a response of the client has, and its parts.

    `chunks()` and `events()` go on where the last call left off.
    """

    def __init__(self, response: TestResponse) -> None:
        self.response = response
        #: What reads the events; it knows the stream's `retry` and `last_id`.
        self.parser = EventParser()
        self._chunks = iter(response.response)
        self._events = self._parsed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.response, name)

    def chunks(self) -> Iterator[bytes]:
        """The parts of the body as the application sends them; waits for the next one."""
        return self._chunks  # type: ignore[return-value]

    def events(self) -> Iterator[ReceivedEvent]:
        """The events of an event stream; comments, such as heartbeats, are passed over."""
        return self._events

    def _parsed(self) -> Iterator[ReceivedEvent]:
        for chunk in self._chunks:
            yield from self.parser.feed(chunk)  # type: ignore[arg-type]

    def close(self) -> None:
        """Leave, as a client that closes its connection."""
        self.response.close()


class AsyncStreamedResponse:
    """As `StreamedResponse`, for the asynchronous client."""

    def __init__(self, inner: StreamedResponse, run: Callable[..., Any]) -> None:
        self._inner = inner
        self._run = run
        self._events = self._parsed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The parts of the body as the application sends them."""
        chunks = self._inner.chunks()
        while (chunk := await self._run(next, chunks, None)) is not None:
            yield chunk

    def events(self) -> AsyncIterator[ReceivedEvent]:
        """The events of an event stream; comments, such as heartbeats, are passed over."""
        return self._events

    async def _parsed(self) -> AsyncIterator[ReceivedEvent]:
        async for chunk in self.chunks():
            for event in self._inner.parser.feed(chunk):
                yield event

    async def close(self) -> None:
        """Leave, as a client that closes its connection."""
        await self._run(self._inner.close)


def parse_events(chunks: Iterable[bytes]) -> list[ReceivedEvent]:
    """The events of a stream that has ended."""
    parser = EventParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]
