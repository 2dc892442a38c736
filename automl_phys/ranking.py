"""Events sorted by a score: what passes each threshold, and what is read off those sums.

Takes scores, which events are signal, and weights; gives sums of passing weights and, from such sums (R, thresholds) of
R weightings at a time, areas, efficiencies and significances. Knows nothing of classes, models or intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]
Merit: TypeAlias = Callable[[Floats, Floats], Floats]
"""A figure of merit of passing signal and background weights (R, thresholds)."""

MIN_BACKGROUND = 10.0
"""Effective background events that must pass a threshold before a significance is read off there."""
EMPTY_LIMIT = -log(0.32)
"""Poisson mean below which no event is seen in more than 32 % of the cases: the 68 % upper limit on none seen."""



@dataclass(frozen=True)
class Ranking:
    """Rows sorted by falling score. ``ends`` are the last rows of each group of equal scores: the possible thresholds.

    ``signal`` and ``background`` are the sorted weights of one kind with zeros for the other; ``allowed`` marks the
    thresholds that at least ``MIN_BACKGROUND`` effective background events pass, ``effective`` counts all of those.
    """

    order: Ints
    ends: Ints
    scores: Floats
    signal: Floats
    background: Floats
    allowed: NDArray[np.bool_]
    effective: float

    @cached_property
    def best(self) -> dict[Merit, int]:
        """The best allowed threshold by each figure of merit."""
        return {merit: best_threshold(self, merit) for merit in (sic, asimov)}


def rank(scores: Floats, positive: NDArray[np.bool_], weight: Floats) -> Ranking:
    order = np.argsort(-scores, kind="stable")
    ranked, kind, weights = scores[order], positive[order], weight[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    background = np.where(kind, 0.0, weights)
    passing = effective(np.cumsum(background)[ends], np.cumsum(background**2)[ends])
    return Ranking(order, ends, ranked[ends], np.where(kind, weights, 0.0), background, passing >= MIN_BACKGROUND,
                   float(passing[-1]))


def effective(sums: Floats, squares: Floats) -> Floats:
    """Number of equal-weight events with the same relative error: (Σw)² / Σw²; 0 where there are none."""
    return np.divide(sums**2, squares, out=np.zeros_like(sums), where=squares > 0)


def divide(above: Floats, below: Floats) -> Floats:
    """``above / below``, NaN where below is 0."""
    out: Floats = np.full(np.broadcast(above, below).shape, np.nan)
    return np.divide(above, below, out=out, where=below != 0)


def area(signal: Floats, background: Floats) -> Floats:
    """Area under TPR(FPR) by the trapezoidal rule from (0, 0), exact with ties (half of each is counted)."""
    steps = np.diff(background, axis=1, prepend=0.0)
    heights = signal - np.diff(signal, axis=1, prepend=0.0) / 2
    return divide(np.einsum("rt,rt->r", steps, heights), signal[:, -1] * background[:, -1])


def precision_area(signal: Floats, background: Floats) -> Floats:
    """Sum of precision times the recall gained at each threshold; no interpolation, as in scikit-learn."""
    total = signal + background
    purity = np.divide(signal, total, out=np.zeros_like(signal), where=total != 0)
    return divide(np.einsum("rt,rt->r", np.diff(signal, axis=1, prepend=0.0), purity), signal[:, -1])


def crossing(x: Floats, y: Floats, at: Floats) -> Floats:
    """``y / y[-1]`` where ``x / x[-1]`` first reaches each of ``at`` (P,), linear in between, from (0, 0).

    x and y are running sums (R, thresholds); the result is (R, P). Negative weights may make x fall: its running
    maximum is used.
    """
    result = np.full((len(x), len(at)), np.nan)
    for row, (across, up) in enumerate(zip(np.maximum.accumulate(x, axis=1), y, strict=True)):
        if across[-1] > 0 and up[-1] != 0:
            goals = at * across[-1]
            first = np.searchsorted(across, goals * (1 - 1e-12))  # what is reached but for rounding is reached
            x0, y0 = (np.where(first > 0, v[first - 1], 0.0) for v in (across, up))
            width = across[first] - x0
            fraction = np.divide(goals - x0, width, out=np.zeros_like(x0), where=width > 0)
            fraction = np.minimum(fraction, 1.0)
            result[row] = (y0 + fraction * (up[first] - y0)) / up[-1]
    return result


def smallest_fpr(effective_background: float) -> float:
    """What an empty background still allows at 68 % confidence; no smaller FPR can be claimed from so many events."""
    return min(1.0, EMPTY_LIMIT / max(effective_background, EMPTY_LIMIT))


def sic(signal: Floats, background: Floats) -> Floats:
    """TPR / √FPR from passing weights (R, thresholds), all in the last column; NaN where no background passes."""
    fpr = divide(background, background[:, -1:])
    return divide(divide(signal, signal[:, -1:]), np.sqrt(np.maximum(fpr, 0.0)))


def asimov(signal: Floats, background: Floats) -> Floats:
    """Median discovery significance √(2 ((s + b) ln(1 + s/b) - s)) of Cowan, Cranmer, Gross, Vitells (2011), eq. 97,
    for a background known exactly; NaN where b is not positive."""
    s, b = np.maximum(signal, 0.0), np.where(background > 0, background, np.nan)
    return np.asarray(np.sqrt(np.maximum(2 * ((s + b) * np.log1p(s / b) - s), 0.0)))


def best_threshold(ranking: Ranking, merit: Merit) -> int:
    """Index of the allowed threshold at which ``merit`` is largest; the last (nothing cut) when none is allowed."""
    signal, background = (np.cumsum(w)[ranking.ends][None] for w in (ranking.signal, ranking.background))
    merits = np.where(ranking.allowed, np.nan_to_num(merit(signal, background)[0], nan=-np.inf), -np.inf)
    return int(np.argmax(merits)) if np.isfinite(merits).any() else len(merits) - 1
