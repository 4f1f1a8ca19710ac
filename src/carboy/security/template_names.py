"""Names for templates, given without making the Jinja environment before its time."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from carboy.app import Carboy


def offer(app: Carboy, name: str, function: Callable[..., t.Any]) -> None:
    """Make ``function`` a global of the templates, unless an extension has taken the name."""
    environment = vars(app).get("jinja_env")
    if environment is not None:
        environment.globals.setdefault(name, function)
    else:
        app.extensions.setdefault("carboy.template_globals", {})[name] = function
