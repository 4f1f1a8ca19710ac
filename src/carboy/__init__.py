"""Carboy: the API of Flask 3.1 on a core of its own."""

from __future__ import annotations

import sys as _sys
import typing as t

from . import importing as _importing  # first: it decides how Werkzeug is imported

with _importing.without_collections():
    from . import json as json
    from .app import Carboy as Carboy
    from .app import Flask as Flask
    from .blueprints import Blueprint as Blueprint
    from .config import Config as Config
    from .ctx import after_this_request as after_this_request
    from .ctx import copy_current_request_context as copy_current_request_context
    from .ctx import has_app_context as has_app_context
    from .ctx import has_request_context as has_request_context
    from .ctx import has_websocket_context as has_websocket_context
    from .globals import current_app as current_app
    from .globals import g as g
    from .globals import request as request
    from .globals import session as session
    from .globals import websocket as websocket
    from .helpers import abort as abort
    from .helpers import flash as flash
    from .helpers import get_flashed_messages as get_flashed_messages
    from .helpers import get_template_attribute as get_template_attribute
    from .helpers import make_response as make_response
    from .helpers import redirect as redirect
    from .helpers import send_file as send_file
    from .helpers import send_from_directory as send_from_directory
    from .helpers import stream_with_context as stream_with_context
    from .helpers import url_for as url_for
    from .json import jsonify as jsonify
    from .signals import appcontext_popped as appcontext_popped
    from .signals import appcontext_pushed as appcontext_pushed
    from .signals import appcontext_tearing_down as appcontext_tearing_down
    from .signals import before_render_template as before_render_template
    from .signals import got_request_exception as got_request_exception
    from .signals import message_flashed as message_flashed
    from .signals import request_finished as request_finished
    from .signals import request_started as request_started
    from .signals import request_tearing_down as request_tearing_down
    from .signals import template_rendered as template_rendered
    from .wrappers import Request as Request
    from .wrappers import Response as Response

if t.TYPE_CHECKING:
    from .sse import EventChannel as EventChannel
    from .sse import EventStream as EventStream
    from .sse import ServerSentEvent as ServerSentEvent
    from .templating import render_template as render_template
    from .templating import render_template_string as render_template_string
    from .templating import stream_template as stream_template
    from .templating import stream_template_string as stream_template_string

__version__ = "0.1.0"

#: The Flask release whose API this is.
FLASK_API = "3.1.3"

# Names that half of all applications never use, and their modules: imported when asked for.
_LAZY = {
    "EventChannel": "sse",
    "EventStream": "sse",
    "ServerSentEvent": "sse",
    "render_template": "templating",
    "render_template_string": "templating",
    "stream_template": "templating",
    "stream_template_string": "templating",
    "WebSocketDisconnect": "errors",
}

# Modules that `import flask` makes reachable as attributes.
_MODULES = frozenset(
    {"cli", "debughelpers", "sansio", "templating", "testing", "typing", "views", "sessions"}
    | {"websockets"}
)


def __getattr__(name: str) -> t.Any:
    from importlib import import_module

    if name in _LAZY:
        value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # `globals` is a module of this package, so the function of that name is out of reach here.
    setattr(_sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted({*_sys.modules[__name__].__dict__, *_LAZY, *_MODULES})
