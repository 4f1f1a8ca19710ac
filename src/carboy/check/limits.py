"""Rules on how much a client may send."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from .rules import Hit, rule

if t.TYPE_CHECKING:
    from .subject import Subject

#: More than this many bytes in one body is asked about.
_LARGE = 1024**3


@rule(
    "body-unlimited",
    "A request body may have any size",
    why="One client fills the memory or the disk of the server with uploads.",
    remedy="Set MAX_CONTENT_LENGTH, in bytes, to the largest body that the application wants; a"
    " view can raise it for itself with request.max_content_length.",
)
def unlimited(subject: Subject) -> Iterator[Hit]:
    limit = subject.get("MAX_CONTENT_LENGTH")
    if limit is None:
        yield "MAX_CONTENT_LENGTH", "it is not set"
    elif isinstance(limit, int) and limit > _LARGE:
        yield "MAX_CONTENT_LENGTH", f"it is {limit} bytes for every view"


@rule(
    "form-unlimited",
    "A form may have any size in memory",
    why="Fields that are no files are kept in memory whole; parts without number cost time each.",
    remedy="Leave MAX_FORM_MEMORY_SIZE (500 000 bytes) and MAX_FORM_PARTS (1000) at their"
    " defaults, or set what the application's forms need.",
)
def form(subject: Subject) -> Iterator[Hit]:
    for name in ("MAX_FORM_MEMORY_SIZE", "MAX_FORM_PARTS"):
        if subject.get(name) is None:
            yield name, "it is None"


RULES = (unlimited, form)
