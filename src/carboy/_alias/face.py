"""The module that `import flask` gives."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import carboy

#: The version of Flask whose names, signatures and behaviour these are.
FLASK_VERSION = "3.1.3"

#: Flask 3.1's public names; each is Carboy's object of the same name.
NAMES = (
    "Blueprint",
    "Config",
    "Flask",
    "Request",
    "Response",
    "abort",
    "after_this_request",
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "copy_current_request_context",
    "current_app",
    "flash",
    "g",
    "get_flashed_messages",
    "get_template_attribute",
    "got_request_exception",
    "has_app_context",
    "has_request_context",
    "json",
    "jsonify",
    "make_response",
    "message_flashed",
    "redirect",
    "render_template",
    "render_template_string",
    "request",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "send_file",
    "send_from_directory",
    "session",
    "stream_template",
    "stream_template_string",
    "stream_with_context",
    "template_rendered",
    "url_for",
)

#: Flask 3.1's submodules. What is not here, such as `flask.scaffold`, does not exist: extensions
#: tell old versions of Flask from new ones by it.
SUBMODULES = frozenset(
    (
        "app",
        "blueprints",
        "cli",
        "config",
        "ctx",
        "debughelpers",
        "globals",
        "helpers",
        "json",
        "logging",
        "sansio",
        "sessions",
        "signals",
        "templating",
        "testing",
        "typing",
        "views",
        "wrappers",
    )
)


class Face(ModuleType):
    """`flask`: Flask's names on Carboy's objects, each fetched when first asked for."""

    def __getattr__(self, name: str) -> Any:
        if name in SUBMODULES:
            return importlib.import_module(f"flask.{name}")
        if name not in NAMES:
            raise AttributeError(f"module 'flask' has no attribute {name!r}")
        value = getattr(carboy, name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *NAMES, *SUBMODULES})


def make_face(spec: ModuleSpec) -> Face:
    """Return a new face module, ready for `sys.modules`."""
    face = Face("flask", "Carboy under the name of Flask: `carboy.as_flask` put it here.")
    face.__spec__ = spec
    face.__loader__ = spec.loader
    face.__package__ = "flask"
    face.__file__ = os.path.join(os.path.dirname(carboy.__file__ or ""), "as_flask.py")
    # Empty: every submodule comes from the finder, and none straight from Carboy's folder.
    face.__path__ = []
    face.__dict__["__all__"] = list(NAMES)
    face.__dict__["__version__"] = FLASK_VERSION
    return face


def loaded_submodules() -> dict[str, ModuleType]:
    """Return those of Carboy's modules that are imported already, by their names in Flask."""
    found = {}
    for name, module in list(sys.modules.items()):
        package, _, rest = name.partition(".")
        if package == "carboy" and rest.partition(".")[0] in SUBMODULES:
            found[f"flask.{rest}"] = module
    return found
