"""Data for a page's own scripts, as JSON that may stand in a ``<script>`` element. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite, log10
from typing import Any

DIGITS = 4
"""Significant digits of a value, and of the range of all of its column."""
MOST_DIGITS = 15


def script(data: Any) -> str:
    """JSON without ``<``, so that no text in it ends the element. Raises ValueError for NaN and infinities."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def column(values: Sequence[float]) -> list[float | int | None]:
    """Values short enough for a page, but no shorter than a reader tells apart: at least :data:`DIGITS` significant
    ones of each value and of the range of all. What is not finite becomes None, what is whole an integer."""
    finite = [v for v in values if isfinite(v)]
    span = max(finite) - min(finite) if finite else 0.0
    largest = max(map(abs, finite), default=0.0)
    digits = DIGITS + (max(0, round(log10(largest / span))) if 0 < span < largest else 0)
    digits = min(digits, MOST_DIGITS)
    return [_short(v, digits) for v in values]


def _short(value: float, digits: int) -> float | int | None:
    if not isfinite(value):
        return None
    if float(value).is_integer() and abs(value) < 10**MOST_DIGITS:
        return int(value)
    return float(f"{value:.{digits}g}")
