"""Scores of forecasts, with their uncertainty over windows.

Takes windows and quantile forecasts (n, h, t, Q) at ``series_problem.LEVELS``; gives numbers. The point forecast is the
median. Windows at the same distance from the ends of their series count as one: the uncertainty is the jackknife over
these (Quenouille 1956; Efron, Stein 1981), those that overlap taken together, with Student's factor for so few. What
was not observed is not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import measures
from automl_phys.errors import Mistake, RunError
from automl_phys.exhibits import Estimate
from automl_phys.series_problem import LEVELS, MEDIAN, Floats, Windows

NOTE = "jackknife over {} windows"
ONE_WINDOW = "one window tells nothing of its uncertainty; raise forecast.windows"
MOST_GROUPS = 100
LOST = 0.4
"""Error, as a share of the standard deviation, from which on a forecast of a chaotic system is lost (Pathak et al.
2018, Phys. Rev. Lett. 120, 024102)."""


@dataclass(frozen=True)
class Judged:
    """Forecasts of n windows and what came.

    ``target`` (n, h, t), NaN where nothing was observed, ``quantiles`` (n, h, t, Q); ``scale`` and ``square_scale``
    (n, t) as in ``Windows``; ``spread`` (n, t), the standard deviation of the values fitted on; ``persistence`` and
    ``seasonal`` (n, h, t), the last value and that of a season ago; ``group`` (n,) tells which windows count as one.
    ``intervals`` maps a coverage to the ends (n, h, t, 2) of its interval. ``lyapunov_steps`` is the system's Lyapunov
    time in steps, 0 for none.
    """

    target: Floats
    quantiles: Floats
    scale: Floats
    square_scale: Floats
    spread: Floats
    persistence: Floats
    seasonal: Floats
    group: NDArray[np.int64]
    intervals: Mapping[float, Floats] = field(default_factory=dict)
    lyapunov_steps: float = 0.0

    @property
    def point(self) -> Floats:
        """The median, (n, h, t)."""
        return self.quantiles[..., MEDIAN]

    @cached_property
    def residual(self) -> Floats:
        """Forecast less what came, (n, h, t)."""
        return self.point - self.target

    @property
    def targets(self) -> int:
        return int(self.target.shape[2])

    def only(self, target: int) -> Judged:
        """One of the targets."""
        return self._part(lambda array: array[:, :, target:target + 1], lambda array: array[:, target:target + 1])

    def take(self, which: Any) -> Judged:
        """Some of the windows."""
        return replace(self._part(lambda array: array[which], lambda array: array[which]), group=self.group[which])

    def step(self, first: int, end: int) -> Judged:
        """Steps ``first`` to ``end``, not included, of the horizon."""
        return self._part(lambda array: array[:, first:end], lambda array: array)

    def _part(self, of_steps: Callable[[Floats], Floats], of_windows: Callable[[Floats], Floats]) -> Judged:
        return replace(
            self, target=of_steps(self.target), quantiles=of_steps(self.quantiles),
            persistence=of_steps(self.persistence), seasonal=of_steps(self.seasonal), scale=of_windows(self.scale),
            square_scale=of_windows(self.square_scale), spread=of_windows(self.spread),
            intervals={coverage: of_steps(ends) for coverage, ends in self.intervals.items()})


def judge(windows: Windows, predictions: Any, lyapunov_steps: float = 0.0) -> Judged:
    """Forecasts of windows, ready to be scored. Raises RunError for those of a wrong shape or not finite."""
    quantiles = np.asarray(predictions, np.float64)
    expected = (len(windows), windows.horizon, windows.targets, len(LEVELS))
    if quantiles.shape != expected or not np.isfinite(quantiles).all():
        what = f"have the shape {quantiles.shape}, not {expected}" if quantiles.shape != expected else "are not finite"
        text = f"Forecasts {what}."
        raise RunError(Mistake("bad-forecast", text, "This is a bug of the family; please report it."))
    past = windows.past(max(1, windows.season))
    seasonal = np.stack([past[:, k % past.shape[1]] for k in range(windows.horizon)], axis=1)
    return Judged(windows.target, quantiles, windows.scale, windows.square_scale, _spread(windows),
                  np.repeat(past[:, -1:], windows.horizon, axis=1), seasonal, _groups(windows),
                  lyapunov_steps=lyapunov_steps)


def value(name: str, judged: Judged) -> float:
    """One metric. Raises KeyError for an unknown name."""
    measure, point = measures.find(name)
    if point is not None:
        return _INTERVALS[measure.name](judged, point)
    return _METRICS[name](judged)


def estimates(names: Sequence[str], judged: Judged) -> dict[str, Estimate]:
    """Metrics with their uncertainty over windows."""
    return {name: _jackknife(lambda one, name=name: value(name, one), judged) for name in names}  # type: ignore[misc]


def gain(objective: str, better: Judged, baseline: Judged) -> Estimate:
    """By how much ``better`` beats ``baseline`` in the objective on the same windows, positive is better."""
    sign = 1.0 if measures.find(objective)[0].direction == "maximize" else -1.0

    def difference(which: Any) -> float:
        return sign * (value(objective, better.take(which)) - value(objective, baseline.take(which)))

    return _jackknifed(difference, better.group, "paired ")


def curve(of: Callable[[Judged], float], judged: Judged, bounds: Sequence[tuple[int, int]]) -> list[Estimate]:
    """A metric over parts of the horizon, from ``bounds[i][0]`` to ``bounds[i][1]``, not included."""
    return [_jackknife(of, judged.step(*ends)) for ends in bounds]


def names(season: int, lyapunov: bool) -> tuple[str, ...]:
    """Every metric of forecasts that there is without intervals, for series with a season or without."""
    left_out = {*(() if season > 1 else ("skill_seasonal",)), *(() if lyapunov else ("valid_time",))}
    return tuple(m.name for m in measures.OF_SERIES.values() if not m.points and m.alone and m.name not in left_out)


def pinball(judged: Judged) -> Floats:
    """The pinball loss of each quantile, (n, h, t, Q) (Koenker, Bassett 1978)."""
    residual = judged.target[..., None] - judged.quantiles
    levels = np.array(LEVELS)
    return np.maximum(levels * residual, (levels - 1) * residual)


def crps(judged: Judged) -> Floats:
    """The continuous ranked probability score of each forecast value, (n, h, t): twice the integral of the pinball loss
    over the levels (Gneiting, Ranjan 2011), by trapezoids, constant beyond the outermost levels."""
    levels = np.array([0.0, *LEVELS, 1.0])
    losses = pinball(judged)
    at_ends = np.concatenate([losses[..., :1], losses, losses[..., -1:]], axis=-1)
    return np.asarray(2 * np.trapezoid(at_ends, levels, axis=-1), np.float64)


# ---------------------------------------------------------------- metrics

def _mase(judged: Judged) -> float:
    return mean(_by_window(np.abs(judged.residual)) / judged.scale)


def _rmsse(judged: Judged) -> float:
    return mean(np.sqrt(_by_window(judged.residual**2) / judged.square_scale))


def _smape(judged: Judged) -> float:
    sizes = np.abs(judged.target) + np.abs(judged.point)
    return mean(2 * np.abs(judged.residual) / np.where(sizes > 0, sizes, 1.0))


def _mae(judged: Judged) -> float:
    return _over_targets(judged, lambda one: mean(np.abs(one.residual)))


def _rmse(judged: Judged) -> float:
    return _over_targets(judged, lambda one: mean(one.residual**2) ** 0.5)


def _crps(judged: Judged) -> float:
    return _over_targets(judged, lambda one: mean(crps(one)))


def _wql(judged: Judged) -> float:
    total = float(np.nansum(np.abs(judged.target)))
    return float(np.nansum(2 * pinball(judged).mean(axis=-1))) / total if total > 0 else nan


def _skill(judged: Judged, reference: Floats) -> float:
    other = mean(_by_window(np.abs(reference - judged.target)) / judged.scale)
    return 1 - _mase(judged) / other if other > 0 else nan


def _valid_time(judged: Judged) -> float:
    """Mean time until the error over all targets is lost, in Lyapunov times; the horizon where it never is."""
    errors = np.sqrt(np.nanmean((judged.residual / judged.spread[:, None]) ** 2, axis=2))
    lost = errors > LOST
    steps = np.where(lost.any(axis=1), lost.argmax(axis=1), lost.shape[1])
    return float(steps.mean()) / judged.lyapunov_steps


def _coverage(judged: Judged, coverage: float) -> float:
    ends = judged.intervals[coverage]
    inside = (judged.target >= ends[..., 0]) & (judged.target <= ends[..., 1])
    return mean(np.where(np.isfinite(judged.target), inside, nan))


def _width(judged: Judged, coverage: float) -> float:
    def mean(one: Judged) -> float:
        ends = one.intervals[coverage]
        return float((ends[..., 1] - ends[..., 0]).mean())

    return _over_targets(judged, mean)


_METRICS: Mapping[str, Callable[[Judged], float]] = {
    "mase": _mase, "rmsse": _rmsse, "smape": _smape, "mae": _mae, "rmse": _rmse, "crps": _crps, "wql": _wql,
    "skill_persistence": lambda judged: _skill(judged, judged.persistence),
    "skill_seasonal": lambda judged: _skill(judged, judged.seasonal),
    "valid_time": _valid_time,
}
_INTERVALS: Mapping[str, Callable[[Judged, float], float]] = {"coverage@": _coverage, "interval_width@": _width}


def _by_window(errors: Floats) -> Floats:
    """The mean over the horizon's observed steps, (n, t); NaN where there is none."""
    seen = np.isfinite(errors)
    counts = seen.sum(axis=1)
    sums = np.where(seen, errors, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), nan)


def mean(values: Floats) -> float:
    """The mean of what is not NaN; NaN for nothing."""
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else nan


def _over_targets(judged: Judged, of: Callable[[Judged], float]) -> float:
    """Of one target in its unit; of several the mean, each in units of its standard deviation."""
    if judged.targets == 1:
        return of(judged)
    units = [mean(judged.spread[:, j]) for j in range(judged.targets)]
    return float(np.mean([of(judged.only(j)) / unit for j, unit in enumerate(units)]))


# ---------------------------------------------------------------- uncertainty

def _jackknife(of: Callable[[Judged], float], judged: Judged) -> Estimate:
    return _jackknifed(lambda which: of(judged.take(which)), judged.group, "")


def _jackknifed(of: Callable[[Any], float], group: NDArray[np.int64], how: str) -> Estimate:
    """A number of windows with its 68 % interval; ``of`` takes which windows."""
    from scipy import stats

    middle = of(slice(None))
    groups = np.unique(group)
    count = len(groups)
    if count < 2 or not np.isfinite(middle):
        return Estimate(middle, nan, nan, ONE_WINDOW if count < 2 else "undefined on these windows")
    without = np.array([of(group != one) for one in groups])
    without = without[np.isfinite(without)]
    spread = float(np.sqrt((len(without) - 1) * np.mean((without - without.mean()) ** 2)))
    half = float(stats.t.ppf(0.84, count - 1)) * spread
    return Estimate(middle, middle - half, middle + half, how + NOTE.format(count))


def _groups(windows: Windows) -> NDArray[np.int64]:
    """Windows that lie at one distance from the ends of their series, or whose horizons overlap, have one number;
    ``MOST_GROUPS`` at most."""
    ages = windows.panel.length[windows.series] - windows.origin
    distances, place = np.unique(ages, return_inverse=True)
    apart = int(np.diff(distances).min()) if len(distances) > 1 else windows.horizon
    together = max(-(-windows.horizon // apart), -(-len(distances) // MOST_GROUPS))
    if len(distances) // together < 2:  # two halves tell more than nothing
        together = -(-len(distances) // 2)
    return np.asarray(place // together, np.int64)


def _spread(windows: Windows) -> Floats:
    """The standard deviation of the values that may be fitted on, (n, t)."""
    made = np.ones((len(windows), windows.targets))
    for series in np.unique(windows.series):
        values = windows.panel.values(series)[:max(2, int(windows.until[series]))]
        width = values.std(axis=0)
        made[windows.series == series] = np.where(width > 0, width, 1.0)
    return made
