"""Making the columns of points alike in scale, so that a distance between points means something.

Takes prepared numbers and category codes; gives the scale that fits them, and the matrix in which distances are
measured: numbers shifted and divided, categories as one column for each level. Statistics are streamed in 64 bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCK_ROWS = 1 << 16

CENTRAL_68 = (0.158655, 0.841345)
"""Quantiles of a Gaussian at -σ and +σ."""


@dataclass(frozen=True)
class Columns:
    """The raw matrix of points as arrays: ``numbers`` (n, d), of which the last ``indicators`` only flag a gap, and
    ``categories`` (n, c), codes from 1 to ``levels[j]``, 0 for none of them."""

    numbers: NDArray[np.float32]
    categories: NDArray[np.int32]
    levels: tuple[int, ...]
    indicators: int = 0

    @property
    def features(self) -> int:
        """Numbers that are amounts."""
        return int(self.numbers.shape[1]) - self.indicators

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return int(self.numbers.shape[1]) + sum(self.levels)

    def matrix(self, rows: slice) -> Floats:
        """Some of the rows (m, width): the numbers, then 0 and 1 for each level of each category."""
        codes = self.categories[rows]
        flags = [codes[:, j, None] == np.arange(1, count + 1) for j, count in enumerate(self.levels)]
        return np.concatenate([self.numbers[rows], *flags], axis=1, dtype=np.float64)


def choose(asked: str, low: Floats, high: Floats) -> tuple[str, str]:
    """The scale that is used, and a note that says which and why; ``low`` and ``high`` are (d,) of the features.

    ``auto`` is ``common`` when at least half of two or more features have the very same smallest and largest value and
    no feature goes beyond these, as the pixels of an image do; else ``each``.
    """
    if asked != "auto":
        return asked, f"Scale '{asked}', as the recipe says."
    (least, most), count = Counter(zip(low.tolist(), high.tolist(), strict=True)).most_common(1)[0]
    if 2 <= count >= len(low) / 2 and low.min() >= least and high.max() <= most:
        return "common", (f"Scale 'common': {count} of {len(low)} features run from {least:g} to {most:g} and none "
                          "goes beyond, so they share a unit, and are divided by one factor.")
    return "each", "Scale 'each': the features do not share one range, so each is brought to mean 0 and width 1."


def fit(columns: Columns, scale: str) -> tuple[Floats, Floats]:
    """Centre and width (D,) of the matrix's columns.

    ``each``: mean and standard deviation. ``common``: mean, and for all features the root of their mean variance.
    ``robust``: median and half of the central 68 %, which is σ of a Gaussian (the standard deviation where that is 0).
    ``none``: 0 and 1. A category, all its levels together, and an indicator get the variance that a feature has.
    """
    mean, variance = moments(columns)
    centre, width = mean.copy(), np.sqrt(variance)
    amounts = slice(0, columns.features)
    typical = float(np.sqrt(variance[amounts].mean()))
    if scale == "common":
        width[amounts] = typical
    elif scale == "robust":
        for j in range(columns.features):
            low, centre[j], high = np.quantile(columns.numbers[:, j].astype(np.float64), (CENTRAL_68[0], 0.5,
                                                                                          CENTRAL_68[1]))
            width[j] = (high - low) / 2 or width[j]
    elif scale == "none":
        centre[amounts], width[amounts] = 0, 1
    unit = typical if scale == "none" else 1.0
    width[columns.features:columns.numbers.shape[1]] /= unit
    start = columns.numbers.shape[1]
    for count in columns.levels:
        width[start:start + count] = np.sqrt(variance[start:start + count].sum()) / unit
        start += count
    return centre, width


def apply(matrix: Floats, centre: Floats | Sequence[float], width: Floats | Sequence[float]) -> NDArray[np.float32]:
    """The scaled matrix; row by row, so that a row is scaled alike among whatever others it stands."""
    scaled: NDArray[np.float32] = ((matrix - np.asarray(centre)) / np.asarray(width)).astype(np.float32)
    return scaled


def moments(columns: Columns) -> tuple[Floats, Floats]:
    """Mean and variance (D,) of the matrix's columns, in two passes."""
    n = len(columns.numbers)
    mean = np.zeros(columns.width)
    for rows in blocks(n):
        mean += columns.matrix(rows).sum(0) / n
    variance = np.zeros(columns.width)
    for rows in blocks(n):
        variance += ((columns.matrix(rows) - mean) ** 2).sum(0) / n
    return mean, variance


def covariance(points: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Mean (D,) and covariance (D, D) of points (n, D), in two passes."""
    n, width = points.shape
    mean = np.zeros(width)
    for rows in blocks(n):
        mean += points[rows].sum(0, dtype=np.float64) / n
    found = np.zeros((width, width))
    for rows in blocks(n):
        apart = points[rows] - mean
        found += apart.T @ apart / n
    return mean, found


def blocks(rows: int) -> Iterator[slice]:
    """All rows, some at a time."""
    for start in range(0, rows, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, rows))
