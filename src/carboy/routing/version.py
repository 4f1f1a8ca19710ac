"""Noticing that a Werkzeug map has changed, at the cost of one identity check.

Werkzeug marks a map as changed by ``_remap = True`` and as sorted by ``_remap = False``. Both are seen
by everybody who uses the map: after an ``add`` any adapter may sort the map before we look at it, and
the mark is gone. So a map that has been read gets, instead of ``False``, a *version*: an object that is
false in a boolean context, and that only an ``add`` replaces. As long as a reader finds the version it
has read, the map is the one it has read.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from werkzeug.routing import Map
from werkzeug.routing.matcher import StateMachineMatcher


class Version:
    """The name of one state of a map; takes the place of Werkzeug's ``_remap = False``."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


#: Stands for "nothing read yet" in a reader; no map ever holds it.
UNREAD = Version()

_naming = Lock()

# Each new attempt means that a rule was added in just that moment; this many mean another fault.
_MAX_ATTEMPTS = 1000


def current_version(url_map: Map) -> Version:
    """Bring Werkzeug's own tables up to date and return the version of the map.

    All readers of a map share its version. Safe against rules that other threads add meanwhile: a rule
    that is complete when this returns is sorted in, and one that is completed later takes the version
    away again.
    """
    holder: Any = url_map
    attempts = 0
    with _naming:
        while not isinstance(holder._remap, Version):
            known = _count_rules(url_map)
            # Sort even if nobody asked: an ``add`` in another thread may have stored its rule and not
            # set the mark yet.
            holder._remap = True
            if not _sort(url_map, patient=attempts < _MAX_ATTEMPTS):
                attempts += 1
                continue
            version = Version()
            holder._remap = version
            # An ``add`` that ended between the two lines above has lost its mark to ours.
            if _count_rules(url_map) == known:
                return version
            holder._remap = True
        found: Version = holder._remap
        return found


def _sort(url_map: Map, patient: bool) -> bool:
    """Have Werkzeug sort the map; false if it has to be tried again."""
    try:
        url_map.update()
    except RuntimeError:
        # Werkzeug walks through dictionaries that an ``add`` in another thread makes larger.
        if not patient:
            raise
        return False
    return True


def is_plain(url_map: Map) -> bool:
    """Whether matching and building go by Werkzeug's own code.

    A subclass that makes its own adapters, or a Werkzeug that keeps its rules in another way than the
    known one, is not for us to second-guess.
    """
    if not isinstance(url_map, Map):
        return False
    kind = type(url_map)
    own = vars(url_map)
    return (
        kind.bind is Map.bind
        and kind.bind_to_environ is Map.bind_to_environ
        and "bind" not in own
        and "bind_to_environ" not in own
        and "_remap" in own
        and isinstance(own.get("_rules_by_endpoint"), dict)
        and type(own.get("_matcher")) is StateMachineMatcher
    )


def _count_rules(url_map: Map) -> int:
    return sum(map(len, list(url_map._rules_by_endpoint.values())))
