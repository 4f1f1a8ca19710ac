"""Tools for testing an application: the clients, the command runner, the environ builder.

Usually reached as `app.test_client()`, `app.async_test_client()`, `app.test_cli_runner()` and
`app.test_request_context()`. `carboy.testing.lint` checks answers against the specifications.
"""

from __future__ import annotations

from . import lint as lint
from .asynchronous import AsyncClient as AsyncClient
from .asynchronous import AsyncWebSocketConversation as AsyncWebSocketConversation
from .builder import EnvironBuilder as EnvironBuilder
from .client import FlaskClient as FlaskClient
from .client import _get_werkzeug_version as _get_werkzeug_version
from .runner import FlaskCliRunner as FlaskCliRunner
from .streams import AsyncStreamedResponse as AsyncStreamedResponse
from .streams import ReceivedEvent as ReceivedEvent
from .streams import StreamedResponse as StreamedResponse
from .streams import parse_events as parse_events
from .websocket import WebSocketConversation as WebSocketConversation
from .websocket import WebSocketRefused as WebSocketRefused

# The package is the public address of these names: pickles, patches and error messages use it.
for _public in (
    AsyncClient,
    AsyncStreamedResponse,
    AsyncWebSocketConversation,
    EnvironBuilder,
    FlaskCliRunner,
    FlaskClient,
    ReceivedEvent,
    StreamedResponse,
    WebSocketConversation,
    WebSocketRefused,
    _get_werkzeug_version,
    parse_events,
):
    _public.__module__ = __name__
del _public
