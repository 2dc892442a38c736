"""Events sorted by a score: what passes each threshold, and what is read off those sums.

Takes scores, which events are signal, and weights; gives sums of passing weights and, from such sums (R, thresholds) of
R weightings at a time, areas, efficiencies and significances. Knows nothing of classes, models or intervals.

Weights may be negative. Sums keep their signs, so that a row and its copy of opposite weight cancel. Where a sum that
must be positive is not, the result is NaN; where running sums fall, their running maximum says what is reached.
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
    ``squares`` are the sums of squared background weights that pass each; ``signed``: some weight is negative.
    """

    order: Ints
    ends: Ints
    scores: Floats
    signal: Floats
    background: Floats
    allowed: NDArray[np.bool_]
    effective: float
    squares: Floats
    signed: bool

    def passing(self, fpr: Floats, efficiencies: Floats) -> Floats:
        """Effective background events (P,) that pass where this part of the signal does and the FPR is ``fpr``.

        Without negative weights these are the FPR times all of them, which is steadier than (Σw)² / Σw² of those that
        pass; with some, only that tells a background that has cancelled from one that has not.
        """
        if not self.signed:
            return np.asarray(fpr * self.effective)
        return effective(fpr * self.background.sum(), self._squares_at(efficiencies))

    def smallest_fprs(self, efficiencies: Floats) -> Floats:
        """The smallest FPR (P,) that can be claimed where this part of the signal passes: that of an empty background,
        and the FPR's own error where negative weights may have cancelled. (Without any, the error is never larger.)"""
        least: Floats = np.full(len(efficiencies), smallest_fpr(self.effective))
        total = self.background.sum()
        if self.signed and total > 0:
            np.fmax(least, np.minimum(1.0, np.sqrt(self._squares_at(efficiencies)) / total), out=least)
        return least

    def _squares_at(self, efficiencies: Floats) -> Floats:
        """Σw² of the background that passes (P,); NaN without signal."""
        signal = np.cumsum(self.signal)[self.ends]
        return np.asarray(crossing(signal[None], self.squares[None], efficiencies)[0] * self.squares[-1])

    @cached_property
    def best(self) -> dict[Merit, int]:
        """The best allowed threshold by each figure of merit."""
        return {merit: best_threshold(self, merit) for merit in (sic, asimov)}


def rank(scores: Floats, positive: NDArray[np.bool_], weight: Floats) -> Ranking:
    order = np.argsort(-scores, kind="stable")
    ranked, kind, weights = scores[order], positive[order], weight[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    background = np.where(kind, 0.0, weights)
    squares = np.cumsum(background**2)[ends]
    passing = effective(np.cumsum(background)[ends], squares)
    return Ranking(order, ends, ranked[ends], np.where(kind, weights, 0.0), background, passing >= MIN_BACKGROUND,
                   float(passing[-1]), squares, bool(weight.min(initial=0.0) < 0))


def effective(sums: Floats, squares: Floats) -> Floats:
    """Number of equal-weight events with the same relative error: (Σw)² / Σw²; 0 where Σw is not positive."""
    return np.divide(sums**2, squares, out=np.zeros_like(sums), where=(squares > 0) & (sums > 0))


def divide(above: Floats, below: Floats) -> Floats:
    """``above / below``, NaN where below is not positive: a sum of weights that is no yield."""
    out: Floats = np.full(np.broadcast(above, below).shape, np.nan)
    return np.divide(above, below, out=out, where=below > 0)


def area(signal: Floats, background: Floats) -> Floats:
    """Area under TPR(FPR) by the trapezoidal rule from (0, 0), exact with ties (half of each is counted)."""
    steps = np.diff(background, axis=1, prepend=0.0)
    heights = signal - np.diff(signal, axis=1, prepend=0.0) / 2
    both = np.where((signal[:, -1] > 0) & (background[:, -1] > 0), signal[:, -1] * background[:, -1], 0.0)
    return divide(np.einsum("rt,rt->r", steps, heights), both)


def precision_area(signal: Floats, background: Floats) -> Floats:
    """Sum of precision times the recall gained at each threshold; no interpolation, as in scikit-learn. What passes
    with a negative sum counts as nothing in the precision, which so stays in [0, 1]."""
    right = np.maximum(signal, 0.0)
    total = right + np.maximum(background, 0.0)
    purity = np.divide(right, total, out=np.zeros_like(signal), where=total > 0)
    return divide(np.einsum("rt,rt->r", np.diff(signal, axis=1, prepend=0.0), purity), signal[:, -1])


def crossing(x: Floats, y: Floats, at: Floats) -> Floats:
    """``y / y[-1]`` where ``x / x[-1]`` first reaches each of ``at`` (P,), linear in between, from (0, 0).

    x and y are running sums (R, thresholds); the result is (R, P), NaN where one does not end above 0. Negative weights
    may make x fall: its running maximum is used. They may make y leave [0, 1]: it is left so.
    """
    result = np.full((len(x), len(at)), np.nan)
    for row, (across, up) in enumerate(zip(np.maximum.accumulate(x, axis=1), y, strict=True)):
        if x[row, -1] > 0 and up[-1] > 0:
            goals = at * x[row, -1]
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
