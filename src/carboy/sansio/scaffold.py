"""`flask.sansio.scaffold`: what the application and the blueprint have in common."""

from __future__ import annotations

from carboy.scaffold import (
    Scaffold,
    _endpoint_from_view_func,
    _find_package_path,
    find_package,
    setupmethod,
)

__all__ = [
    "Scaffold",
    "_endpoint_from_view_func",
    "_find_package_path",
    "find_package",
    "setupmethod",
]
