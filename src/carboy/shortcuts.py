"""Whether shortcuts are taken: the one place that each of them asks.

A shortcut gives what the long way gives, only sooner. With ``CARBOY_SLOW=1`` in the environment when
Carboy is imported none is taken, so that the two can be held against each other, and so that a
shortcut can be ruled out as the cause of a fault.
"""

from __future__ import annotations

import os

#: Whether every request goes the long way.
SLOW: bool = os.environ.get("CARBOY_SLOW") == "1"
