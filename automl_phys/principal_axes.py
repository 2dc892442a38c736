"""Principal axes of columns with weights.

Takes columns (n, K); gives their middle, and axes in the order of the variance along them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


class Axes(NamedTuple):
    """``middle`` (K,); ``axes`` (K, K), orthonormal rows, the one of the largest ``variance`` (K,) first."""

    middle: Floats
    axes: Floats
    variance: Floats


def of(columns: Floats, weight: Floats) -> Axes:
    """Of columns (n, K) with weights (n,), none negative, in 64 bits. Each axis points where its largest component is
    positive, so that it is the same on every machine."""
    share = np.asarray(weight, np.float64)
    share = share / share.sum()
    middle = share @ columns
    around = columns - middle
    variance, axes = np.linalg.eigh((around * share[:, None]).T @ around)
    axes = axes[:, ::-1].T
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    return Axes(middle, axes * np.sign(largest)[:, None], variance[::-1].clip(0))
