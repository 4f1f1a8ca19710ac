"""Medians and spreads of what the rounds gave."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A median and the quartiles around it."""

    middle: float
    low: float
    high: float


def spread(values: list[float]) -> Spread:
    if len(values) < 4:
        return Spread(statistics.median(values), min(values), max(values))
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)


def ratios(these: list[float], those: list[float]) -> Spread:
    """`these` over `those`, round by round: what slows a whole round falls out."""
    return spread([a / b for a, b in zip(these, those, strict=True)])
