"""Tools for testing an application: the client, the command runner, the environ builder.

Usually reached as `app.test_client()`, `app.test_cli_runner()` and `app.test_request_context()`.
"""

from __future__ import annotations

from .builder import EnvironBuilder as EnvironBuilder
from .client import FlaskClient as FlaskClient
from .client import _get_werkzeug_version as _get_werkzeug_version
from .runner import FlaskCliRunner as FlaskCliRunner

# The package is the public address of these names: pickles, patches and error messages use it.
for _public in (EnvironBuilder, FlaskClient, FlaskCliRunner, _get_werkzeug_version):
    _public.__module__ = __name__
del _public
