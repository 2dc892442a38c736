"""Figures of series, their forecasts and the errors of these, as data.

Takes prepared series (:mod:`automl_phys.series_problem`), calibrated forecasts (an :class:`Outlook`) and forecasts that
are held against what came (``series_scores.Judged``); gives ``exhibits.Figure``. What a series is made of, season,
trend and remainder, is drawn by :mod:`automl_phys.series_parts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import series_calibration, series_scores
from automl_phys.class_figures import slug
from automl_phys.exhibits import Axis, Estimate, Figure, Series
from automl_phys.series_problem import MEDIAN, Floats, SeriesProblem, Windows
from automl_phys.series_scores import Judged
from automl_phys.series_time import Calendar

FORECAST, PERFORMANCE, INTERVALS, RESIDUALS = "Forecast", "Performance", "Intervals", "Residuals"

SHOWN = 4
"""Series and targets that are shown one by one."""
SHOWN_WINDOWS = 8
"""Test windows in one figure."""
MOST_POINTS = 2000
SEASONS = 3
HORIZONS = 6
LEAST_HISTORY = 40
"""Steps of the history before a forecast."""
BINS = 24
MOST_LAGS = 60
LEAST_LAGS = 4


@dataclass(frozen=True)
class Outlook:
    """Calibrated forecasts of n windows: quantiles (n, h, t, Q), and by coverage the ends (n, h, t, 2) of its
    intervals."""

    windows: Windows
    quantiles: Floats
    intervals: Mapping[float, Floats]

    def of(self, series: int) -> NDArray[np.intp]:
        """Places of the windows of a series, the earliest first."""
        places = np.flatnonzero(self.windows.series == series)
        return places[np.argsort(self.windows.origin[places], kind="stable")]


def pairs(problem: SeriesProblem) -> list[tuple[int, int]]:
    """The series and targets that are shown one by one."""
    every = list(product(range(len(problem.stored.lengths)), range(len(problem.schema.target))))
    return every[:SHOWN]


def title(problem: SeriesProblem, series: int, target: int) -> str:
    """What a series' target is called: ``flux``, ``flux of NEWK``."""
    name = problem.schema.target[target]
    return f"{name} of {problem.schema.names[series]}" if len(problem.stored.lengths) > 1 else name


def bins(horizon: int, most: int = BINS) -> list[tuple[int, int]]:
    """Steps ahead in parts of about the same length, at most ``most``: first step and the one behind the last."""
    edges = np.unique(np.round(np.linspace(0, horizon, min(most, horizon) + 1)).astype(int))
    return [(int(first), int(end)) for first, end in pairwise(edges)]


# ---------------------------------------------------------------- forecasts

def history_and_forecast(problem: SeriesProblem, future: Outlook, series: int, target: int) -> Figure | None:
    """The end of the history and what comes behind it; None where that was not forecast."""
    places = future.of(series)
    if not len(places):
        return None
    windows, name = future.windows, title(problem, series, target)
    origin = int(windows.origin[places[0]])
    begin = max(0, origin - _history(problem))
    drawn = (*_fan(problem, future, places, target), _observed(problem, series, target, begin, origin))
    return Figure(f"forecast-{slug(name)}", f"Forecast of {name}", "xy", time_axis(problem),
                  Axis(problem.schema.target[target]), drawn, caption="What comes behind the last value, "
                  f"{windows.horizon} steps of {problem.schema.calendar.words} ahead: {_bands(future)}"
                  f"{_of_how_many(problem)}", section=FORECAST)


def test_windows(problem: SeriesProblem, tests: Outlook, series: int, target: int) -> Figure | None:
    """Test windows of a series over what came."""
    places = tests.of(series)
    if not len(places):
        return None
    count = len(places)
    places = _apart(places, tests.windows)
    windows, name = tests.windows, title(problem, series, target)
    horizon, length = windows.horizon, problem.stored.lengths[series]
    origins = windows.origin[places]
    begin = max(0, int(origins[0]) - max(horizon, LEAST_HISTORY // 2, min(problem.schema.season, 2 * horizon)))
    end = min(length, int(origins[-1]) + horizon)
    observed = _observed(problem, series, target, begin, end)
    fans = _fan(problem, tests, places, target)
    heights = np.array([*observed.y, *fans[-1].low, *fans[-1].high])
    low, high = float(np.nanmin(heights)), float(np.nanmax(heights))
    # The forecast begins between the last step that was known and its first one.
    at = (axis_of(problem, series, origins) + axis_of(problem, series, origins - 1)) / 2
    marks = Series("origins", "line", tuple(np.stack([at, at, np.full(len(at), nan)], 1).reshape(-1).tolist()),
                   (low, high, nan) * len(at), muted=True)
    some = f"{len(places)} of {count} test windows, each" if count > len(places) else \
        f"{count} test windows, each" if count > 1 else "The one test window,"
    return Figure(f"windows-{slug(name)}", f"Test windows of {name}", "xy", time_axis(problem),
                  Axis(problem.schema.target[target]), (*fans, observed, marks),
                  caption=f"{some} forecast from what was known at its origin: {_bands(tests)}"
                  f"{_of_how_many(problem)}", section=FORECAST)


def _apart(places: NDArray[np.intp], windows: Windows) -> NDArray[np.intp]:
    """Of windows in order those that do not overlap, from the latest one back, ``SHOWN_WINDOWS`` at most, evenly; some
    that do where there is but one."""
    chosen = [places[-1]]
    for place in places[::-1]:
        if windows.origin[place] + windows.horizon <= windows.origin[chosen[-1]]:
            chosen.append(place)
    some = np.array(chosen[::-1]) if len(chosen) > 1 else places[np.unique([0, len(places) - 1])]
    evenly = np.unique(np.round(np.linspace(0, len(some) - 1, min(len(some), SHOWN_WINDOWS))).astype(int))
    return np.asarray(some[evenly], np.intp)


def _observed(problem: SeriesProblem, series: int, target: int, begin: int, end: int) -> Series:
    values = problem.panel.values(series)[begin:end, target]
    seen = problem.panel.seen(series)[begin:end, target]
    each = -(-len(values) // MOST_POINTS)
    steps = np.arange(begin, end)[::each]
    return Series("observed", "line", row(axis_of(problem, series, steps)), row(np.where(seen, values, nan)[::each]))


def _fan(problem: SeriesProblem, outlook: Outlook, places: NDArray[np.intp], target: int) -> tuple[Series, ...]:
    """The medians of windows of one series with their intervals, the narrowest first, as one curve with gaps, each from
    the last value that was known."""
    windows, horizon = outlook.windows, outlook.windows.horizon
    series = int(windows.series[places[0]])
    each = -(-len(places) * (horizon + 1) // MOST_POINTS)
    keep = np.unique(np.append(np.arange(0, horizon + 1, each), horizon))
    steps = windows.origin[places][:, None] - 1 + keep
    known = windows.take(places).past(1)[:, 0, target]

    def joined(ahead: Floats) -> tuple[float, ...]:
        """Windows (n, h) one after the other."""
        whole = np.concatenate([known[:, None], ahead], axis=1)[:, keep]
        return row(np.concatenate([whole, np.full((len(whole), 1), nan)], axis=1))

    x = row(np.concatenate([axis_of(problem, series, steps.reshape(-1)).reshape(steps.shape),
                             np.full((len(steps), 1), nan)], axis=1))
    middle = joined(outlook.quantiles[places, :, target, MEDIAN])
    # One entry in the legend; the wider bands' own lines are hidden below the median.
    label = "median, " + " and ".join(f"{100 * coverage:g} %" for coverage in sorted(outlook.intervals))
    ends = [outlook.intervals[coverage][places, :, target] for coverage in sorted(outlook.intervals)]
    return tuple(Series("" if k else label, "line", x, middle, joined(one[..., 0]), joined(one[..., 1]), "forecast")
                 for k, one in enumerate(ends))


def _bands(outlook: Outlook) -> str:
    told = [f"{100 * coverage:g} %" for coverage in sorted(outlook.intervals)]
    if len(told) == 1:
        return f"the median and, as a band, the interval that is to hold {told[0]} of what comes."
    return f"the median and, as bands, the intervals that are to hold {', '.join(told[:-1])} and {told[-1]} of what " \
           "comes."


def _history(problem: SeriesProblem) -> int:
    """Steps of the history that go well with the forecast: a few seasons, not so many that the forecast is lost."""
    horizon, season = problem.schema.horizon, problem.schema.season
    return max(LEAST_HISTORY, min(HORIZONS * horizon, max(SEASONS * season, 2 * horizon)))


def _of_how_many(problem: SeriesProblem) -> str:
    count = len(problem.stored.lengths) * len(problem.schema.target)
    return f" Shown for the first {SHOWN} of {count} series and targets." if count > SHOWN else ""


def axis_of(problem: SeriesProblem, series: int, steps: NDArray[np.int64]) -> Floats:
    """The times of steps of a series on a figure's axis."""
    first = problem.panel.position[problem.panel.start[series]]
    return problem.schema.calendar.axis(first + np.asarray(steps, np.int64))


def time_axis(problem: SeriesProblem) -> Axis:
    """The axis of time, its label."""
    calendar = problem.schema.calendar
    return Axis(problem.schema.time if calendar.unit == "number" else calendar.axis_label)


def labels(problem: SeriesProblem, series: int, steps: NDArray[np.int64]) -> list[str]:
    """The times of steps of a series, as text."""
    first = problem.panel.position[problem.panel.start[series]]
    return problem.schema.calendar.labels(first + np.asarray(steps, np.int64))


# ---------------------------------------------------------------- errors

def error_by_horizon(winner: str, judged: Judged, season: int, calendar: Calendar) -> tuple[Figure, ...]:
    """Errors by how far ahead, of the winner and of repeating what was; of a chaotic system once more in its own
    times."""
    parts = bins(judged.target.shape[1])
    curves = {winner: judged.point, "last value repeated": judged.persistence}
    if season > 1:
        curves["last season repeated"] = judged.seasonal
    found = {name: series_scores.curve(_scaled_error, _light(judged, point), parts) for name, point in curves.items()}
    x = np.array([(first + 1 + end) / 2 for first, end in parts])
    step = calendar.words
    unit = "seasonal " if season > 1 else ""
    caption = (f"Mean absolute error in units of the mean absolute {unit}difference before the forecast, as in MASE; "
               "forecasts from every step of the test section. Bands: 68 %, jackknife.")
    shown = Figure("error-by-horizon", "Error by how far ahead", "xy", Axis(f"Steps ahead, of {step}"),
                   Axis("Mean absolute error / scale", low=0.0),
                   tuple(_curve(name, x, each) for name, each in found.items()), caption=caption)
    if not judged.lyapunov_steps:
        return (shown,)
    times = x / judged.lyapunov_steps
    return shown, Figure(
        "error-by-lyapunov-time", "Growth of the error", "xy", Axis("Lyapunov times ahead"),
        Axis("Mean absolute error / scale", "log"), tuple(_curve(name, times, each) for name, each in found.items()),
        caption="The same on a logarithmic scale: an error that grows as the system lets small ones grow is a straight "
                "line that gains a factor e in each Lyapunov time.")


def coverage(judged: Judged) -> Figure:
    """Nominal against observed coverage of the intervals that were asked for, and of the other pairs of quantiles."""
    horizon = judged.target.shape[1]
    found = {}
    for nominal, (low, high) in zip(series_calibration.COVERAGES, series_calibration.PAIRS, strict=True):
        ends = judged.quantiles[..., [low, high]]
        found[nominal] = _covered(judged, ends, [(0, horizon)])[0]
    found |= {asked: _covered(judged, ends, [(0, horizon)])[0] for asked, ends in judged.intervals.items()}
    points = _curve("intervals", np.array(sorted(found)), [found[one] for one in sorted(found)], "points")
    return Figure("coverage", "Coverage of the intervals", "xy", Axis("Nominal coverage", low=0, high=1),
                  Axis("Share of what came that is inside", low=0, high=1.02),
                  (Series("ideal", "line", (0.0, 1.0), (0.0, 1.0), muted=True), points),
                  caption="Above the diagonal: intervals are wider than they need be; below: too narrow. They are "
                          "calibrated on what came before each origin. Errors: 68 %, jackknife over test windows.",
                  section=INTERVALS)


def coverage_by_horizon(judged: Judged, calendar: Calendar) -> Figure | None:
    """Observed coverage by how far ahead; None for one step."""
    parts = bins(judged.target.shape[1], BINS // 2)
    if len(parts) < 2:
        return None
    x = np.array([(first + 1 + end) / 2 for first, end in parts])
    drawn = []
    for nominal, ends in sorted(judged.intervals.items()):
        drawn += [Series("", "line", (1.0, float(judged.target.shape[1])), (nominal, nominal), muted=True),
                  _curve(f"{100 * nominal:g} %", x, _covered(judged, ends, parts))]
    return Figure("coverage-by-horizon", "Coverage by how far ahead", "xy", Axis(f"Steps ahead, of {calendar.words}"),
                  Axis("Share of what came that is inside", low=0, high=1.02), tuple(drawn),
                  caption="Dashed: nominal. Forecasts from every step of the test section; bands: 68 %, jackknife.",
                  section=INTERVALS)


def residual_autocorrelation(residuals: Floats, season: int, name: str) -> Figure | None:
    """How errors one step ahead (n,), one after the other, NaN where nothing was observed, go together; None for too
    few."""
    seen = np.isfinite(residuals)
    count = int(seen.sum())
    most = min(len(residuals) // 4, MOST_LAGS, 2 * season if season > 12 else MOST_LAGS)
    centred = np.where(seen, residuals - (residuals[seen].mean() if count else 0.0), 0.0)
    power = float((centred**2).sum())
    if most < LEAST_LAGS or power <= 0:
        return None
    lags = np.arange(1, most + 1)
    values = np.array([float((centred[lag:] * centred[:-lag]).sum()) / power for lag in lags])
    reach = 1.96 / count**0.5
    ends = (0.4, most + 0.6)
    drawn = (Series("95 % of white noise", "line", ends, (reach, reach), muted=True),
             Series("", "line", ends, (-reach, -reach), muted=True),
             Series("autocorrelation", "bars", row(lags), row(values)))
    return Figure(f"residuals-{slug(name)}", f"Errors one step ahead of {name}", "xy",
                  Axis("Lag in steps", low=0.0, high=most + 1.0), Axis("Autocorrelation"), drawn,
                  caption=f"Of {count} forecasts one step ahead in the test section. Bars that stand out far, or many "
                          "of them: what came could have been told better from what was known.", section=RESIDUALS)


# ---------------------------------------------------------------- curves



def _light(judged: Judged, point: Floats) -> Judged:
    """Forecasts of a point only, whose parts are taken quickly."""
    nothing = np.zeros((*point.shape[:2], 0))
    return Judged(judged.target, point[..., None], judged.scale, judged.square_scale, judged.spread, nothing, nothing,
                  judged.group)


def _scaled_error(light: Judged) -> float:
    errors = np.abs(light.quantiles[..., 0] - light.target) / light.scale[:, None]
    return series_scores.mean(errors)


def _covered(judged: Judged, ends: Floats, parts: Sequence[tuple[int, int]]) -> list[Estimate]:
    """The share of what came between ends (n, h, t, 2), by parts of the horizon."""
    held = (judged.target >= ends[..., 0]) & (judged.target <= ends[..., 1])
    inside = np.where(np.isfinite(judged.target), held, nan)
    return series_scores.curve(_first_mean, _light(judged, inside), parts)


def _first_mean(light: Judged) -> float:
    return series_scores.mean(light.quantiles[..., 0])


def _curve(name: str, x: Floats, found: Sequence[Estimate], style: str = "") -> Series:
    """Estimates over x; without a band where none has one, with none at a point that has none."""
    with_ends = any(isfinite(one.low) and isfinite(one.high) for one in found)
    low, high = ((tuple(_end(one, which) for one in found) if with_ends else ()) for which in ("low", "high"))
    points = style == "points" or len(found) == 1
    return Series(name, "points" if points else "line", row(x), tuple(one.value for one in found), low, high)


def _end(one: Estimate, which: str) -> float:
    end = float(getattr(one, which))
    return end if isfinite(end) else one.value


def row(values: NDArray[Any] | Sequence[float]) -> tuple[float, ...]:
    """An array as plain numbers."""
    return tuple(np.asarray(values, np.float64).reshape(-1).tolist())
