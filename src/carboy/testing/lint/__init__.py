"""Is this a good WSGI, ASGI or RSGI application? Checks what it answers against the specification.

`wsgi(app)`, `asgi(app)` and `rsgi(app)` wrap an application: what breaks a rule raises
`LintError`, which names the rule. `check(app, "/path")` sends a request through each door of a
Carboy application, checks them all, and that their answers are the same.
`app.test_client(lint=True)` does so with each request of a test.
"""

from __future__ import annotations

from .asgi import asgi as asgi
from .driving import Answer as Answer
from .driving import check as check
from .driving import linted as linted
from .rsgi import rsgi as rsgi
from .rules import LintError as LintError
from .wsgi import wsgi as wsgi

__all__ = ["Answer", "LintError", "asgi", "check", "linted", "rsgi", "wsgi"]

for _public in (Answer, LintError, asgi, check, linted, rsgi, wsgi):
    _public.__module__ = __name__
del _public
