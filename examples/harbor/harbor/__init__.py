"""Harbor Fleet: where are the ships?  A status service for a fleet, built with Carboy."""

from __future__ import annotations

from .factory import create_app as create_app
