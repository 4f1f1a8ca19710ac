"""One event, and how it is written (WHATWG HTML section 9.2.5, parsing an event stream)."""

from __future__ import annotations

import re
import typing as t

from carboy import json
from carboy.wrappers import encode

#: What ends a line for the one who reads the stream; nothing else does.
_LINE_END = re.compile("\r\n|\r|\n")

FORBIDDEN = (
    "The {field} of a server-sent event must not contain a line break or NUL, but it is {value!r}."
    " Whoever could put one there could add fields or whole events of their own. Put text of users"
    " into data, where line breaks are allowed."
)
BAD_RETRY = "retry is a whole number of milliseconds, 0 or more; {value!r} is not."
BAD_ITEM = (
    "An event stream gave {item!r}. It must give text, a dict, a list or a ServerSentEvent.{hint}"
)


class ServerSentEvent:
    """One event for :class:`carboy.EventStream`.

    ``data`` is sent as it is where it is text, and as JSON where it is anything else; ``event``
    is the name that ``addEventListener`` takes (a browser calls nameless events ``message``);
    ``id`` is what a browser names when it connects again (``Last-Event-ID``); ``retry`` is how
    many milliseconds it waits before it does; ``comment`` is for whoever reads the stream.

    Raises ValueError for an event name or an id with a line break or NUL, and for a ``retry``
    that is no number of milliseconds. Source: WHATWG HTML section 9.2.
    """

    __slots__ = ("_wire", "comment", "data", "event", "id", "retry")

    def __init__(
        self,
        data: t.Any = None,
        *,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
    ) -> None:
        self.data = data
        self.event = None if event is None else _one_line("event name", event)
        self.id = None if id is None else _one_line("id", str(id))
        if retry is not None and (type(retry) is not int or retry < 0):
            raise ValueError(BAD_RETRY.format(value=retry))
        self.retry = retry
        self.comment = comment
        self._wire: bytes | None = None

    def encode(self, dumps: t.Callable[[t.Any], str] = json.dumps) -> bytes:
        """The event as it goes over the wire; ``dumps`` writes data that is not text."""
        if self._wire is None:
            self._wire = encode("".join(self._lines(dumps)))
        return self._wire

    def _lines(self, dumps: t.Callable[[t.Any], str]) -> t.Iterator[str]:
        if self.comment is not None:
            for line in _LINE_END.split(self.comment):
                yield f": {line}\n"
        if self.event:
            yield f"event: {self.event}\n"
        if self.id is not None:
            yield f"id: {self.id}\n"
        if self.retry is not None:
            yield f"retry: {self.retry}\n"
        if self.data is not None:
            text = self.data if isinstance(self.data, str) else dumps(self.data)
            for line in _LINE_END.split(text):
                yield f"data: {line}\n"
        elif self.event:
            yield "data\n"  # an event without data would not be told to anybody
        yield "\n"

    def __repr__(self) -> str:
        fields = ("data", "event", "id", "retry", "comment")
        given = ((name, getattr(self, name)) for name in fields)
        inner = ", ".join(f"{name}={value!r}" for name, value in given if value is not None)
        return f"{type(self).__name__}({inner})"


def _one_line(field: str, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"The {field} of a server-sent event must be text, not {value!r}.")
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError(FORBIDDEN.format(field=field, value=value))
    return value


def wire_of(item: t.Any, dumps: t.Callable[[t.Any], str]) -> bytes:
    """What a generator gave, as it goes over the wire. Raises TypeError for what is no event."""
    if isinstance(item, ServerSentEvent):
        return item.encode(dumps)
    if isinstance(item, str | dict | list):
        return ServerSentEvent(item).encode(dumps)
    hint = ""
    if isinstance(item, bytes | bytearray | memoryview):
        hint = " An event stream is text: decode it first."
    elif isinstance(item, tuple):
        hint = " For a name or an id: ServerSentEvent(data, event=..., id=...)."
    raise TypeError(BAD_ITEM.format(item=item, hint=hint))
