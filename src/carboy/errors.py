"""Texts of the mistakes that Carboy recognises, written for whoever made them."""

from __future__ import annotations

import typing as t

SETUP_FINISHED = """\
The setup method '{name}' can no longer be called on the {kind} '{owner}'. It has already {event}, \
any changes will not be applied consistently.
Make sure all imports, decorators, functions, etc. needed to set up the {kind} are done before \
{before}.\
"""


def setup_finished(name: str, kind: str, owner: str, event: str, before: str) -> AssertionError:
    """The error for a registration that comes too late to be seen by every request."""
    return AssertionError(
        SETUP_FINISHED.format(name=name, kind=kind, owner=owner, event=event, before=before)
    )


class FirstError:
    """Runs steps that must all run, and raises the first error of theirs at last.

    ::

        errors = FirstError(log)
        for step in steps:
            try:
                step()
            except BaseException as error:
                errors.note(error)
        errors.reraise()

    Later errors are given to ``log`` as an ``exc_info`` triple, or dropped without it.
    """

    def __init__(self, log: t.Callable[[t.Any], None] | None = None) -> None:
        self._log = log
        self._first: BaseException | None = None

    def note(self, error: BaseException) -> None:
        """Keep the first error, and log a later one."""
        if self._first is None:
            self._first = error
        elif self._log is not None:
            self._log((type(error), error, error.__traceback__))

    def reraise(self) -> None:
        """Raise the first error, if there was one."""
        if self._first is not None:
            try:
                raise self._first
            finally:
                # The traceback knows this frame, which must not know the error in turn.
                self._first = None
