"""Intervals of forecasts that hold what they say: quantiles stretched by what was seen on windows not fitted on.

Takes quantile forecasts and what came; gives one factor for each pair of quantiles, by which their distances from the
median are multiplied. Split conformal prediction (Vovk et al. 2005) with the score of conformalised quantile regression
(Romano, Patterson, Candès 2019, arXiv:1905.03222) in units of the interval itself, so that intervals keep growing
with the horizon as the model says. Errors of neighbouring steps are alike, so as many are counted as there are
stretches over which they are not: horizons, or shorter ones where errors forget sooner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.series_problem import LEVELS, MEDIAN, Floats, Windows

PAIRS = tuple((MEDIAN - k, MEDIAN + k) for k in range(1, MEDIAN + 1))
"""Places of the quantiles that are the ends of central intervals, the narrowest first."""
COVERAGES = tuple(round(LEVELS[high] - LEVELS[low], 6) for low, high in PAIRS)
LARGEST = 10.0
"""A factor beyond which the windows tell nothing."""


@dataclass(frozen=True)
class Factors:
    """``spread`` (h, t): by how much a model's intervals are too narrow for having been fitted again on the windows
    that calibrate. ``pairs`` (P, t): the factor of each pair of quantiles. ``asked`` maps a coverage to the factors
    (t,) on the pair that is nearest to it. ``positive`` (t,): where no value was ever below 0, no quantile is."""

    spread: Floats
    pairs: Floats
    asked: Mapping[float, Floats]
    positive: NDArray[np.bool_]

    def quantiles(self, predictions: Any) -> Floats:
        """Calibrated quantiles (n, h, t, Q) of a model's."""
        raw = np.asarray(predictions, np.float64)
        made = raw.copy()
        made[..., MEDIAN] = np.maximum(raw[..., MEDIAN], self._least)
        for (low, high), factor in zip(PAIRS, self.pairs, strict=True):
            for end in (low, high):
                made[..., end] = self._end(raw, end, factor)
        return np.sort(made, axis=-1)

    def interval(self, predictions: Any, coverage: float) -> Floats:
        """The ends (n, h, t, 2) of the interval of a coverage that was asked for, by a model's own quantiles."""
        raw = np.asarray(predictions, np.float64)
        low, high = PAIRS[nearest(coverage)]
        return np.stack([self._end(raw, end, self.asked[coverage]) for end in (low, high)], axis=-1)

    def _end(self, raw: Floats, end: int, factor: Floats) -> Floats:
        middle = raw[..., MEDIAN]
        return np.maximum(middle + (raw[..., end] - middle) * self.spread * factor, self._least)

    @property
    def _least(self) -> Floats:
        return np.where(self.positive, 0.0, -np.inf)

    def to_plain(self) -> dict[str, Any]:
        """As plain data."""
        return {"spread": self.spread.tolist(), "pairs": self.pairs.tolist(), "positive": self.positive.tolist(),
                "asked": {repr(coverage): factor.tolist() for coverage, factor in self.asked.items()}}


def from_plain(told: Mapping[str, Any]) -> Factors:
    """What :meth:`Factors.to_plain` gave."""
    return Factors(np.array(told["spread"]), np.array(told["pairs"]),
                   {float(coverage): np.array(factor) for coverage, factor in told["asked"].items()},
                   np.array(told["positive"]))


def fit(windows: Windows, held_out: Floats, stated: Floats | None, coverages: Sequence[float], rho: float = 1.0
        ) -> Factors:
    """Calibrate on windows (n,). ``held_out`` (n, h, t, Q) are forecasts by models that were not fitted on them,
    ``stated`` those of the model that will be used, if it was. ``rho`` is the correlation of errors at neighbouring
    steps."""
    target, shape = windows.target, held_out.shape
    spread = np.ones(shape[1:3])
    if stated is not None:
        low, high = PAIRS[nearest(0.68)]
        widths = [(one[..., high] - one[..., low]).mean(axis=0) for one in (held_out, stated)]
        spread = np.maximum(1.0, widths[0] / np.maximum(widths[1], 1e-12))
    # A winner that was fitted again, on more, is better than the models that calibrate it, which pays for their number.
    alone = _apart(windows, rho) if stated is None else inf
    found = [_factors(target, held_out, pair, coverage, alone)
             for pair, coverage in zip(PAIRS, COVERAGES, strict=True)]
    asked = {coverage: _factors(target, held_out, PAIRS[nearest(coverage)], coverage, alone) for coverage in coverages}
    learned = [windows.panel.values(series)[:end] for series, end in enumerate(windows.until)]
    positive = np.array([min(values[:, j].min() for values in learned) >= 0 for j in range(windows.targets)])
    return Factors(spread, np.stack(found), asked, positive)


def nearest(coverage: float) -> int:
    """The place in ``PAIRS`` of the interval whose coverage is nearest."""
    return int(np.argmin([abs(one - coverage) for one in COVERAGES]))


def _factors(target: Floats, quantiles: Floats, pair: tuple[int, int], coverage: float, alone: float) -> Floats:
    """By target (t,), the factor with which the pair's interval holds the share ``coverage`` of what came."""
    low, high = pair
    middle = quantiles[..., MEDIAN]
    least = 1e-9 * (np.abs(middle) + 1)
    below = (middle - target) / np.maximum(middle - quantiles[..., low], least)
    above = (target - middle) / np.maximum(quantiles[..., high] - middle, least)
    score = np.maximum(below, above)
    # Of few windows the whole correction would ask for their largest error, which tells nothing of the level.
    level = min((1 + coverage) / 2, coverage * (1 + 1 / alone))
    seen = [score[..., j][np.isfinite(score[..., j])] for j in range(target.shape[2])]
    return np.array([min(LARGEST, float(np.quantile(one, level, method="higher"))) if len(one) else 1.0
                     for one in seen])


def _apart(windows: Windows, rho: float) -> float:
    """How many errors tell something of their own, over all series: one for each horizon, or for each (1 + ρ) / (1 - ρ)
    steps, the time in which an AR(1) process forgets, where that is less."""
    memory = min(windows.horizon, (1 + rho) / (1 - rho)) if rho < 1 else windows.horizon
    count = 0.0
    for series in np.unique(windows.series):
        origins = windows.origin[windows.series == series]
        count += (origins.max() - origins.min()) / memory + 1
    return count
