"""Intervals of forecasts that hold what they say: quantiles stretched by errors of forecasts that came before.

Takes quantile forecasts and what came; gives factors for each pair of quantiles, by which their distances from the
median are multiplied. Split conformal prediction (Vovk et al. 2005) with the score of conformalised quantile regression
(Romano, Patterson, Candès 2019, arXiv:1905.03222) in units of the interval itself, so that intervals keep growing
with the horizon as the model says. Errors of neighbouring steps are alike, so as many are counted as there are
stretches over which they are not: horizons, or shorter ones where errors forget sooner.

A :class:`Calibration` is of the validation. Models are fitted once, and the time to come need not be like it, so it
goes on: the errors of forecasts since the end of the training that have come strictly before an origin take the place
of the validation's, and the latest ones, over a time as long as the validation, are those that count. It is the sliding
window of EnbPI (Xu, Xie 2021, arXiv:2010.09107); coverage is off by no more than the errors in it are distributed
otherwise than those to come (Barber, Candès, Ramdas, Tibshirani 2023, arXiv:2202.13415). Adaptive conformal inference
(Gibbs, Candès 2021, arXiv:2106.00170) would want a rate.

Measured with models that were fitted once, 95 % intervals of CO2, the turnover of electrical equipment and El Niño (20,
10 and 20 windows, ``bench/forecast.py``) held 81, 78 and 98 % by the validation alone, 90, 84 and 99 % with the
allowance for few windows, and 95, 92 and 94 % with later errors too. All errors since, or weights that fall with age,
came to 92 to 98 %, a window at every step to 1 or 2 % more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.errors import Mistake, RunError
from automl_phys.series_problem import LEVELS, MEDIAN, Floats, Windows

PAIRS = tuple((MEDIAN - k, MEDIAN + k) for k in range(1, MEDIAN + 1))
"""Places of the quantiles that are the ends of central intervals, the narrowest first."""
COVERAGES = tuple(round(LEVELS[high] - LEVELS[low], 6) for low, high in PAIRS)
LARGEST = 10.0
"""A factor beyond which errors tell nothing."""
KEPT = 200
"""Scores that stand for all of the validation."""
MOST_ERRORS = 10_000
"""That are looked at for one origin, taken evenly."""


@dataclass(frozen=True)
class Factors:
    """For n forecasts. ``spread`` (h, t): by how much a model's intervals are too narrow for having been fitted again
    on the windows that calibrate. ``pairs`` (P, n, t): the factor of each pair of quantiles. ``asked`` maps a coverage
    to the factors (n, t) on the pair that is nearest to it. ``positive`` (t,): where no value was ever below 0, no
    quantile is."""

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
        return np.maximum(middle + (raw[..., end] - middle) * self.spread * factor[:, None], self._least)

    @property
    def _least(self) -> Floats:
        return np.where(self.positive, 0.0, -np.inf)


@dataclass(frozen=True)
class Errors:
    """Errors of forecasts whose outcomes are known. ``time`` (e,): the calendar's steps that they were of, in order.
    ``scores`` (P, e, t): the factor that each pair of quantiles would have needed, NaN where nothing was observed.
    ``series`` were forecast, from origins ``stride`` apart, over ``horizon`` steps."""

    time: NDArray[np.int64]
    scores: Floats
    series: int
    stride: int
    horizon: int


@dataclass(frozen=True)
class Calibration:
    """What the validation says. ``spread`` and ``positive`` as in :class:`Factors`; ``scores`` (P, m, t) are quantiles
    of the validation's scores, evenly in probability, for each pair, in order. ``series`` is how many it is of,
    ``steps`` how long it is of one, on average, ``apart`` how many errors of one tell something of their own.
    ``coverages`` were asked for."""

    spread: Floats
    positive: NDArray[np.bool_]
    scores: Floats
    series: int
    steps: float
    apart: float
    coverages: tuple[float, ...]

    def errors(self, windows: Windows, predictions: Any, stride: int) -> Errors:
        """The errors of a model's forecasts (n, h, t, Q) of windows ``stride`` apart, of which only the beginning may
        have come."""
        raw, horizon = np.asarray(predictions, np.float64), windows.horizon
        scores = np.stack([_scores(windows.target, raw, pair, self.spread) for pair in PAIRS])
        time = (times(windows)[:, None] + np.arange(horizon)).reshape(-1)
        order = np.argsort(time, kind="stable")
        begun = windows.series[windows.origin < windows.panel.length[windows.series]]
        return Errors(time[order], scores.reshape(len(PAIRS), len(time), windows.targets)[:, order],
                      len(np.unique(begun)), stride, horizon)

    def factors(self, windows: Windows, known: Errors) -> Factors:
        """Factors for forecasts of windows. For each, of the errors that are known those count that came before its
        origin."""
        origins, place = np.unique(times(windows), return_inverse=True)
        wanted = [*zip(range(len(PAIRS)), COVERAGES, strict=True), *((nearest(one), one) for one in self.coverages)]
        made = np.stack([self._at(int(origin), known, wanted) for origin in origins], axis=1) if len(origins) else \
            np.empty((len(wanted), 0, len(self.positive)))
        found = made[:, place]
        asked = dict(zip(self.coverages, found[len(PAIRS):], strict=True))
        return Factors(self.spread, found[:len(PAIRS)], asked, self.positive)

    def along(self, windows: Windows, predictions: Any, stride: int) -> Factors:
        """Factors for windows in which each is calibrated by those before it."""
        return self.factors(windows, self.errors(windows, predictions, stride))

    def _at(self, origin: int, known: Errors, wanted: Sequence[tuple[int, float]]) -> Floats:
        """Factors (len(wanted), t) at a time, each for a pair and a coverage."""
        # Windows that overlap tell of each step more than once, between those far apart are steps that none tells of.
        room = known.series * self.steps * max(1.0, known.horizon / known.stride)
        reach = self.steps * max(1.0, known.stride / known.horizon)
        first, end = np.searchsorted(known.time, (origin - reach, origin))
        which = np.arange(first, end)
        if len(which) > MOST_ERRORS:
            which = np.round(np.linspace(first, end - 1, MOST_ERRORS)).astype(np.int64)
            room *= MOST_ERRORS / (end - first)
        made = np.ones((len(wanted), len(self.positive)))
        for k, (pair, coverage) in enumerate(wanted):
            for j in range(len(self.positive)):
                later = known.scores[pair, which, j]
                later = later[np.isfinite(later)]
                new = min(1.0, len(later) / room) if room else 0.0
                before = self.scores[pair, :, j]
                weights = np.repeat([(1 - new) / len(before), new / max(1, len(later))], [len(before), len(later)])
                apart = self.apart * ((1 - new) * self.series + new * known.series)
                # Of few windows the whole correction would ask for their largest error, which tells nothing of the
                # level.
                level = min((1 + coverage) / 2, coverage * (1 + 1 / apart))
                made[k, j] = _quantile(np.concatenate([before, later]), weights, level)
        return np.minimum(LARGEST, made)

    def to_plain(self) -> dict[str, Any]:
        """As plain data."""
        return {"spread": self.spread.tolist(), "positive": self.positive.tolist(), "scores": self.scores.tolist(),
                "series": self.series, "steps": self.steps, "apart": self.apart, "coverages": list(self.coverages)}


def from_plain(told: Mapping[str, Any]) -> Calibration:
    """What :meth:`Calibration.to_plain` gave. Raises RunError for what an earlier version wrote in its place."""
    if "scores" not in told:
        raise RunError(Mistake("older-run", "The intervals of this run were calibrated by an earlier version of "
                               "automl-phys, in a way that this one does not know.", "Run its recipe again."))
    return Calibration(np.array(told["spread"]), np.array(told["positive"]), np.array(told["scores"]),
                       int(told["series"]), float(told["steps"]), float(told["apart"]), tuple(told["coverages"]))


def fit(windows: Windows, held_out: Floats, stated: Floats | None, coverages: Sequence[float], rho: float = 1.0
        ) -> Calibration:
    """Calibrate on windows (n,). ``held_out`` (n, h, t, Q) are forecasts by models that were not fitted on them,
    ``stated`` those of the model that will be used, if it was. ``rho`` is the correlation of errors at neighbouring
    steps."""
    spread = np.ones(held_out.shape[1:3])
    if stated is not None:
        low, high = PAIRS[nearest(0.68)]
        widths = [(one[..., high] - one[..., low]).mean(axis=0) for one in (held_out, stated)]
        spread = np.maximum(1.0, widths[0] / np.maximum(widths[1], 1e-12))
    scores = np.stack([_kept(_scores(windows.target, held_out, pair)) for pair in PAIRS])
    learned = [windows.panel.values(series)[:end] for series, end in enumerate(windows.until)]
    positive = np.array([min(values[:, j].min() for values in learned) >= 0 for j in range(windows.targets)])
    spans = [int(np.ptp(windows.origin[windows.series == one])) for one in np.unique(windows.series)]
    memory = min(windows.horizon, (1 + rho) / (1 - rho)) if rho < 1 else windows.horizon
    return Calibration(spread, positive, scores, len(spans), float(np.mean(spans)) + windows.horizon,
                       float(np.mean(spans)) / memory + 1, tuple(coverages))


def nearest(coverage: float) -> int:
    """The place in ``PAIRS`` of the interval whose coverage is nearest."""
    return int(np.argmin([abs(one - coverage) for one in COVERAGES]))


def times(windows: Windows) -> NDArray[np.int64]:
    """The calendar's steps of the origins, (n,)."""
    return np.asarray(windows.panel.position[windows.panel.start[windows.series]] + windows.origin, np.int64)


def _scores(target: Floats, quantiles: Floats, pair: tuple[int, int], spread: Floats | float = 1.0) -> Floats:
    """The factor (n, h, t) with which the pair's interval would just have held what came; NaN where nothing was
    observed."""
    low, high = pair
    middle = quantiles[..., MEDIAN]
    least = 1e-9 * (np.abs(middle) + 1)
    below = (middle - target) / np.maximum((middle - quantiles[..., low]) * spread, least)
    above = (target - middle) / np.maximum((quantiles[..., high] - middle) * spread, least)
    return np.asarray(np.maximum(below, above))


def _kept(scores: Floats) -> Floats:
    """``KEPT`` quantiles of scores (n, h, t), the last their largest, (m, t); ones for a target of which none is
    known."""
    seen = [scores[..., j][np.isfinite(scores[..., j])] for j in range(scores.shape[2])]
    levels = (np.arange(KEPT) + 1) / KEPT
    return np.stack([np.quantile(one, levels, method="inverted_cdf") if len(one) else np.ones(KEPT) for one in seen],
                    axis=1)


def _quantile(values: Floats, weights: Floats, level: float) -> float:
    """The smallest value that, with all below it, has the share ``level`` of the weights."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    at = int(np.searchsorted(total, level * total[-1] * (1 - 1e-12)))
    return float(values[order][at])
