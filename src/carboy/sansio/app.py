"""`flask.sansio.app`: the application class."""

from __future__ import annotations

from carboy.app import Carboy as App

__all__ = ["App"]
