"""`flask.sansio.blueprints`: the blueprint and the state of its registration."""

from __future__ import annotations

from carboy.blueprints import Blueprint, BlueprintSetupState, DeferredSetupFunction

__all__ = ["Blueprint", "BlueprintSetupState", "DeferredSetupFunction"]
