"""Texts of the mistakes that Carboy recognises, written for whoever made them."""

from __future__ import annotations

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
