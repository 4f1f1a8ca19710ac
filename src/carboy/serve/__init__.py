"""Serving in production: `carboy serve`, on Granian.

`options` holds what may be chosen, `looking` loads the application once in a process of its own
and decides, `listening` opens the socket, `running` drives Granian, `worker` is what stands in each worker between Granian and
the application, `accesslog` writes a line a request.
"""

from __future__ import annotations

from .looking import Findings as Findings
from .looking import look_at as look_at
from .options import DEFAULT_ACCESS_FORMAT as DEFAULT_ACCESS_FORMAT
from .options import CannotServe as CannotServe
from .options import Options as Options
from .options import cpus as cpus
from .running import run as run
