"""Bins of a round width for a matrix with numbers along its edges.

Takes a range and how many bins are wanted; gives their middles, and what stands under them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_TICKS = 7
"""Numbers along an edge."""


def of(low: float, high: float, count: float) -> tuple[NDArray[np.floating[Any]], tuple[str, ...]]:
    """Middles (k,) of about ``count`` bins, or up to half as many, that hold ``low`` < ``high``, multiples of a round
    width; and what stands under them: some, evenly."""
    wanted = (high - low) / count
    power = 10.0 ** np.floor(np.log10(wanted))
    width = next(step * power for step in (1, 2, 5, 10) if step * power >= wanted * (1 - 1e-9))
    counted = np.arange(np.floor(low / width + 0.5), np.floor(high / width + 0.5) + 1)
    if len(counted) < 2:
        counted = np.append(counted, counted[-1] + 1)
    each = next(step for step in (1, 2, 5, 10, 20) if len(counted) <= MOST_TICKS * step)
    return counted * width, tuple(f"{k * width + 0.0:.6g}" if k % each == 0 else "" for k in counted)
