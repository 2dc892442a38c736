"""Scores of predicted amounts on weighted rows, each with its uncertainty.

Takes true amounts, event weights, predictions with their own uncertainties, and the factors of calibrated intervals (a
:class:`Judged`); gives numbers and estimates. Weights may be negative: every mean is Σ w m / Σ w, quantiles are those
of the monotonised cumulative sum. Uncertainties are those of the Poisson bootstrap, as in :mod:`automl_phys.bootstrap`;
of a coverage the binomial one. Names and formulas are in :mod:`automl_phys.measures`; values agree with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, log, nan, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import bootstrap, measures
from automl_phys.errors import Mistake, RunError
from automl_phys.exhibits import Estimate
from automl_phys.ranking import Floats

UNITLESS = frozenset({"r2", "pull_mean", "pull_width", "coverage@"})
"""Metrics of which the mean over several targets means something as they are."""

CENTRAL_68 = (0.158655, 0.841345)


@dataclass(frozen=True)
class Judged:
    """Rows and what a model says of them: ``target``, ``value`` and ``sigma`` (n, t), ``weight`` (n,).

    ``factors`` maps a coverage to the half-width of its interval in units of sigma, for each target.
    """

    target: Floats
    weight: Floats
    value: Floats
    sigma: Floats
    factors: Mapping[float, Sequence[float]] = field(default_factory=dict)

    @property
    def targets(self) -> int:
        return int(self.target.shape[1])

    def only(self, j: int) -> Judged:
        """One target."""
        return Judged(self.target[:, [j]], self.weight, self.value[:, [j]], self.sigma[:, [j]],
                      {coverage: [each[j]] for coverage, each in self.factors.items()})

    def rows(self, which: NDArray[Any]) -> Judged:
        """Some of the rows."""
        return Judged(self.target[which], self.weight[which], self.value[which], self.sigma[which], self.factors)

    @property
    def residual(self) -> Floats:
        """Predicted less true (n, t)."""
        return self.value - self.target

    @property
    def effective(self) -> float:
        """Rows without weights that would fluctuate as much: (Σw)²/Σw²."""
        return float(self.weight.sum() ** 2 / (self.weight**2).sum())


def judge(
    target: NDArray[Any], weight: NDArray[Any], predictions: NDArray[Any],
    factors: Mapping[float, Sequence[float]] | None = None,
) -> Judged:
    """Checked predictions (n, t, 2). Raises RunError for a wrong shape, and for values that are not finite."""
    given = np.asarray(predictions)
    if given.shape != (*target.shape, 2) or not len(given):
        raise RunError(Mistake("wrong-predictions", f"Predictions of shape {given.shape} for targets {target.shape}.",
                               "A family's predict gives value and uncertainty for each row and target."))
    bad = int(np.count_nonzero(~np.isfinite(given).all(axis=(1, 2)) | (given[..., 1] <= 0).any(axis=1)))
    if bad:
        raise RunError(Mistake("nan-predictions", f"{bad} of {len(given)} predictions are not finite, or have an "
                               "uncertainty of 0 or less.", "The fit diverged; a lower learning rate helps."))
    wide = given.astype(np.float64)
    return Judged(np.asarray(target, np.float64), np.asarray(weight, np.float64), wide[..., 0], wide[..., 1],
                  factors or {})


def value(name: str, judged: Judged) -> float:
    """One metric. Raises KeyError for an unknown name, RunError when the rows cannot give it (their weights add up to
    nothing, or their truth is one value)."""
    found = _whole(name, judged)
    if not np.isfinite(found):
        raise RunError(Mistake("undefined-metric", f"'{name}' is undefined on these {len(judged.weight)} rows.",
                               "Their weights add up to 0 or less, or all have one true value; more rows help."))
    return found


def estimates(names: Sequence[str], judged: Judged, seed: int, replicates: int = bootstrap.REPLICATES
              ) -> dict[str, Estimate]:
    """Each metric with its 68 % interval; NaN where the rows cannot give it. Raises KeyError for an unknown name."""
    values = {name: _whole(name, judged) for name in names}
    drawn: dict[str, list[Floats]] = {name: [] for name in names}
    for counts in _draws(len(judged.weight), seed, replicates):
        for name in names:
            drawn[name].append(_evaluate(name, judged, counts))
    return {name: _estimate(name, judged, values[name], np.concatenate(drawn[name])) for name in names}


def gain(objective: str, better: Judged, baseline: Judged, seed: int, replicates: int = bootstrap.REPLICATES
         ) -> Estimate:
    """By how much ``better`` beats ``baseline`` in the objective, positive is better, on the same rows and draws."""
    sign = 1.0 if measures.find(objective)[0].direction == "maximize" else -1.0
    differences = [sign * (_evaluate(objective, better, counts) - _evaluate(objective, baseline, counts))
                   for counts in _draws(len(better.weight), seed, replicates)]
    low, high = bootstrap.percentiles(np.concatenate(differences))
    return Estimate(sign * (value(objective, better) - value(objective, baseline)), float(low), float(high),
                    "paired bootstrap")


def differences(names: Sequence[str], one: Judged, other: Judged, seed: int, replicates: int = bootstrap.REPLICATES
                ) -> dict[str, Estimate]:
    """By how much each metric of ``other`` is larger than that of ``one``, on the same rows and draws; without those
    that are undefined for either. Raises KeyError for an unknown name."""
    whole = {name: (_whole(name, one), _whole(name, other)) for name in names}
    told = [name for name, both in whole.items() if np.isfinite(both).all()]
    pairs = (((one, counts), (other, counts)) for counts in _draws(len(one.weight), seed, replicates))
    return bootstrap.paired({name: whole[name] for name in told}, pairs, lambda name, drawn: _evaluate(name, *drawn))


def means(values: Floats, weights: Floats) -> Floats:
    """Weighted means (R,) of values (n,) under each row of weights (R, n); NaN where Σ w is not positive."""
    sums = weights.sum(axis=1)
    found: Floats = np.divide(weights @ values, sums, out=np.full(len(sums), nan), where=sums > 0)
    return found


def half_widths(residual: Floats, weights: Floats) -> Floats:
    """Half of the width of the central 68 % (R,) of residuals (n,) under each row of weights (R, n)."""
    ends = quantiles(residual, weights, CENTRAL_68)
    return (ends[:, 1] - ends[:, 0]) / 2


def quantiles(values: Floats, weights: Floats, levels: Sequence[float]) -> Floats:
    """Weighted quantiles (R, levels) of values (n,) under each row of weights (R, n), which may be negative: where the
    cumulative sum, made monotonic, first reaches that share of Σ w; between two values, where it is met exactly, their
    mean. NaN where Σ w is not positive. A row and its copy of opposite weight cancel."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    sums = np.take(weights, order, axis=1)
    negative = bool(sums.min() < 0)
    np.cumsum(sums, axis=1, out=sums)
    totals = sums[:, -1].copy()
    if negative:  # only then does it matter in which order rows of one value come
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        ranked, sums = ranked[ends], np.maximum.accumulate(sums[:, ends], axis=1)
    out = np.full((len(weights), len(levels)), nan)
    last = len(ranked) - 1
    for row in np.flatnonzero(totals > 0):
        wanted = np.asarray(levels) * totals[row]
        first = np.searchsorted(sums[row], wanted * (1 - 1e-12))
        after = np.searchsorted(sums[row], wanted * (1 + 1e-12), side="right")
        out[row] = (ranked[np.minimum(first, last)] + ranked[np.minimum(after, last)]) / 2
    return out


def _draws(rows: int, seed: int, replicates: int) -> Iterator[Floats]:
    """Bootstrap counts (R, n), some replicates at a time."""
    yield from bootstrap.counts(rows, seed, replicates, max(1, bootstrap.CELLS // max(1, rows)))


def _whole(name: str, judged: Judged) -> float:
    return float(_evaluate(name, judged, np.ones((1, len(judged.weight))))[0])


def _evaluate(name: str, judged: Judged, counts: Floats) -> Floats:
    """A metric (R,) under each row of counts (R, n); of several targets the mean, of those with units standardised."""
    measure, point = measures.find(name)
    weights = counts * judged.weight
    found = np.zeros(len(counts))
    for j in range(judged.targets):
        truth, residual, sigma = judged.target[:, j], judged.residual[:, j], judged.sigma[:, j]
        centre, variance = _moments(truth, judged.weight)
        scale = 1.0
        if judged.targets > 1 and measure.name not in UNITLESS:
            scale = sqrt(variance) if variance > 0 else nan
        one = _One((truth - centre) / scale, residual / scale, sigma / scale, weights)
        if point is not None:
            factor = judged.factors.get(round(point, 6))
            found += np.full(len(counts), nan) if factor is None else _INTERVALS[measure.name](one, factor[j])
        else:
            found += _METRICS[measure.name](one)
    return found / judged.targets


@dataclass(frozen=True)
class _One:
    """One target: truth less its mean, so that squares keep their digits, residual, sigma (n,), and weights (R, n)."""

    truth: Floats
    residual: Floats
    sigma: Floats
    weights: Floats

    def mean(self, values: Floats) -> Floats:
        return means(values, self.weights)


def _moments(values: Floats, weight: Floats) -> tuple[float, float]:
    """Weighted mean and variance; NaN where Σ w is not positive."""
    total = float(weight.sum())
    if total <= 0:
        return nan, nan
    centre = float(weight @ values) / total
    return centre, float(weight @ (values - centre) ** 2) / total


def _r2(one: _One) -> Floats:
    mean = one.mean(one.truth)
    spread = one.mean(one.truth**2) - mean**2
    share: Floats = np.divide(one.mean(one.residual**2), spread, out=np.full(len(spread), nan), where=spread > 0)
    return 1 - share


def _pull_width(one: _One) -> Floats:
    pull = one.residual / one.sigma
    variance: Floats = np.maximum(one.mean(pull**2) - one.mean(pull) ** 2, 0)
    return np.sqrt(variance)


_METRICS: Mapping[str, Callable[[_One], Floats]] = {
    "rmse": lambda one: np.sqrt(np.maximum(one.mean(one.residual**2), 0)),
    "mae": lambda one: one.mean(np.abs(one.residual)),
    "median_absolute_error": lambda one: quantiles(np.abs(one.residual), one.weights, (0.5,))[:, 0],
    "r2": _r2,
    "resolution": lambda one: half_widths(one.residual, one.weights),
    "gaussian_nll": lambda one: one.mean(np.log(one.sigma) + one.residual**2 / (2 * one.sigma**2)) + log(2 * pi) / 2,
    "bias": lambda one: one.mean(one.residual),
    "pull_mean": lambda one: one.mean(one.residual / one.sigma),
    "pull_width": _pull_width,
}
_INTERVALS: Mapping[str, Callable[[_One, float], Floats]] = {
    "coverage@": lambda one, factor: one.mean((np.abs(one.residual) <= factor * one.sigma).astype(np.float64)),
    "interval_width@": lambda one, factor: 2 * factor * one.mean(one.sigma),
}


def _estimate(name: str, judged: Judged, middle: float, replicates: Floats) -> Estimate:
    if not np.isfinite(middle):
        note = "no limit: too few rows to calibrate on" if middle == inf else "undefined on these rows"
        return Estimate(middle, nan, nan, note)
    if name.startswith("coverage@") and judged.targets == 1 and 0 <= middle <= 1:
        return Estimate(middle, *bootstrap.wilson(middle, judged.effective), "binomial (Wilson)")
    low, high = bootstrap.percentiles(replicates)
    return Estimate(middle, float(low), float(high), "bootstrap")
