"""The signals an application sends; connect to one with ``signal.connect(function, app)``.

The sender is always the application. A signal without receivers costs one truth test.
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

# A request's life, in the order of its signals. ``exception`` comes with the third, ``response``
# with the second, ``exc`` with the fourth.
request_started = _signals.signal("request-started")
request_finished = _signals.signal("request-finished")
got_request_exception = _signals.signal("got-request-exception")
request_tearing_down = _signals.signal("request-tearing-down")

# The application context's life.
appcontext_pushed = _signals.signal("appcontext-pushed")
appcontext_tearing_down = _signals.signal("appcontext-tearing-down")
appcontext_popped = _signals.signal("appcontext-popped")

# Rendering (``template``, ``context``) and flashing (``message``, ``category``).
before_render_template = _signals.signal("before-render-template")
template_rendered = _signals.signal("template-rendered")
message_flashed = _signals.signal("message-flashed")
