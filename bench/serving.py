"""`application` for a real server: one contestant's application of one case.

BENCH_SERVE=carboy:text granian --interface wsgi bench.serving:application
"""

from __future__ import annotations

import logging
import os
from typing import Any

from bench.contestants import NAMED
from bench.worker import build

_name, _, _case = os.environ.get("BENCH_SERVE", "carboy:text").partition(":")
_who = NAMED[_name]
logging.getLogger().setLevel(logging.WARNING)
application: Any = build(_who, _case)
if _who.module == "django_app":
    from bench.apps.django_app import activate

    activate(_case)
