"""Which templates an answer was made of: the list behind `response.templates`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.globals import _cv_request
from carboy.signals import template_rendered

if TYPE_CHECKING:
    from jinja2 import Template

#: The environ key under which a request of the test client carries its list of names.
MARK = "carboy.testing.templates"


def note(sender: object, template: Template, **context: Any) -> None:
    """Add the name of a template that was rendered to the list of the current request.

    A template made from a string has no name and is left out.
    """
    current = _cv_request.get(None)
    if current is None or template.name is None:
        return
    names: list[str] | None = current.request.environ.get(MARK)
    if names is not None:
        names.append(template.name)


# Once for all requests: Blinker's tables may not be changed by several threads at a time.
template_rendered.connect(note, weak=False)
