"""Many points in a plane, to be looked at: few enough, rounded, and coloured the same wherever they are drawn.

Takes arrays of places and values; gives :class:`automl_phys.exhibits.Points` that stay small as JSON, and what the
drawing in a file and the one in the page share: colours, ends of the colour scale, marks of categories, size of a dot.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from automl_phys.exhibits import Colouring, Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl_phys.values import Array

    Numbers: TypeAlias = Sequence[float] | Array

MOST_POINTS = 50_000
"""More than these only cover each other; a figure shows a sample of them, and its caption says so."""

PLACE_DIGITS, VALUE_DIGITS = 5, 4
"""Significant digits, of the range of all values, that places and colours keep."""

MOST_DECIMALS = 300
"""Ten to a higher power is no double."""

ENDS_PERCENT = (1.0, 99.0)
"""Percentiles of a quantity at the ends of its colour scale, so that a few outliers do not take it all."""

PALETTE = ("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#92dadd", "#a96b59", "#e76300", "#b9ac70",
           "#ff69ff", "#006900", "#3c3cff", "#00e100", "#005a87", "#e10096", "#00a53c", "#ffa5c3",
           "#c31eff", "#783c5a", "#b478c3", "#7d8f00")
"""Colours of categories: the sequence of M. Petroff (arXiv:2107.02270) without its greys, which are for noise, and
twelve more, each about as far as may be from those before it in Oklab. They repeat from the 21st: marks tell more."""

NOISE_COLOUR = "#9c9ca1"
SCALE = "viridis"
MARK_LENGTH = 12
"""Characters of a category's name that are written among its points."""


def sample(count: int, seed: int) -> NDArray[np.intp]:
    """Which of ``count`` points to show: all, or :data:`MOST_POINTS` of them drawn at random; ascending."""
    if count <= MOST_POINTS:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, MOST_POINTS, replace=False))


def points(x: Numbers, y: Numbers, colourings: Sequence[Colouring], hover: Sequence[str] = ()) -> Points:
    """Points at ``x`` (n,), ``y`` (n,), rounded. Raises ValueError where something has not n entries, or no colour."""
    if not colourings:
        raise ValueError("points need at least one quantity to colour them")
    lengths = {"x": len(x), "y": len(y), **{c.name: len(c.values) for c in colourings}}
    lengths |= {"hover": len(hover)} if hover else {}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"points, colours and texts must be equally many, not {lengths}")
    return Points(rounded(x, PLACE_DIGITS), rounded(y, PLACE_DIGITS), tuple(colourings), tuple(hover))


def colouring(name: str, values: Numbers, categories: Sequence[str] = ()) -> Colouring:
    """A quantity (n,) as a colour, rounded; with ``categories`` the values are positions among these, -1 for none.

    Raises ValueError for a position that no category has.
    """
    if not len(categories):
        return Colouring(name, rounded(values, VALUE_DIGITS))
    codes = np.asarray(values).astype(int)
    if len(codes) and not -1 <= codes.min() <= codes.max() < len(categories):
        raise ValueError(f"{name} has positions from {codes.min()} to {codes.max()} for {len(categories)} categories")
    return Colouring(name, tuple(codes.tolist()), tuple(categories))


def rounded(values: Numbers, digits: int) -> tuple[float, ...]:
    """Values (n,) rounded to so many significant digits of their range, or of the value when there is only one; what is
    not finite becomes NaN."""
    exact = np.asarray(values, dtype=float)
    finite = np.isfinite(exact)
    span = float(np.ptp(exact[finite]) or abs(exact[finite][0])) if finite.any() else 0.0
    decimals = min(digits - 1 - floor(log10(span)), MOST_DECIMALS) if span > 0 else 0
    return tuple(np.where(finite, np.round(exact, decimals), np.nan).tolist())


def scale_ends(values: Numbers) -> tuple[float, float]:
    """Values that get the first and the last colour of the scale; apart even when all values are the same."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return 0.0, 1.0
    for low, high in (np.percentile(finite, ENDS_PERCENT), (finite.min(), finite.max())):
        if low < high:
            return float(low), float(high)
    return float(finite[0]) - 0.5, float(finite[0]) + 0.5


def limits(values: Numbers, low: float | None, high: float | None) -> tuple[float, float]:
    """Ends of an axis: those asked for, else those of the values and a little more."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    first, last = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    margin = 0.04 * (last - first) or 0.5
    return first - margin if low is None else low, last + margin if high is None else high


def shade(category: int) -> str:
    """The colour of a category, or of noise, as ``#rrggbb``."""
    return PALETTE[category % len(PALETTE)] if category >= 0 else NOISE_COLOUR


def marks(categories: Sequence[str]) -> tuple[str, ...]:
    """What to write among the points of each category: its name without the words that all names begin with."""
    words = [name.split(" ") for name in categories]
    common = 0
    while len(words) > 1 and all(len(w) > common + 1 for w in words) and len({w[common] for w in words}) == 1:
        common += 1
    names = (" ".join(w[common:]) for w in words)
    return tuple(name if len(name) <= MARK_LENGTH else name[: MARK_LENGTH - 1] + "…" for name in names)


def medians(x: Numbers, y: Numbers, codes: Numbers, categories: int) -> list[tuple[float, float] | None]:
    """Where the mark of each category stands: the median of its points; None where it has none that can be drawn."""
    places = np.stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)], axis=1)
    drawn = np.isfinite(places).all(axis=1)
    of_each = (places[drawn & (np.asarray(codes) == k)] for k in range(categories))
    return [(float(np.median(own[:, 0])), float(np.median(own[:, 1]))) if len(own) else None for own in of_each]


def radius(count: int) -> float:
    """Of a dot, in CSS pixels (1/96 inch): smaller the more there are."""
    return float(np.clip(8.0 * max(count, 1) ** -0.2, 0.9, 3.2))


def opacity(count: int) -> float:
    """Of a dot: lower the more there are, so that density shows."""
    return float(np.clip(2.0 * max(count, 1) ** -0.13, 0.45, 0.9))
