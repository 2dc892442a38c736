"""Tables of forecasts: who is best, by window, series and distance, how intervals hold, and what comes next.

Takes scores, prepared series and forecasts that are held against what came (``series_scores.Judged``); gives
``exhibits.Table``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from automl_phys import leaderboard, measures, series_scores
from automl_phys.exhibits import Estimate, Score, Table
from automl_phys.readable import cell, count, estimate, percent
from automl_phys.series_calibration import Factors
from automl_phys.series_figures import Outlook, bins, labels, title
from automl_phys.series_problem import MEDIAN, SeriesProblem, Windows
from automl_phys.series_scores import Judged

Row = tuple[str | int | float | None, ...]

BESIDE = ("mase", "rmsse", "smape", "mae", "crps")
MOST_ROWS = 24
PARTS = 8
"""Of the horizon."""
NOTHING = 1e-6
"""Forecasts are in single precision."""


def ranked(scores: Sequence[Score], objective: str) -> Table:
    """The leaderboard of forecasts."""
    beside = [name for name in BESIDE if name != objective]
    note = "Gains are positive when better, paired on the same windows. Errors: 68 %, jackknife over windows. " + \
        " ".join(f"{measures.label(name)}: {measures.find(name)[0].cited}." for name in ("mase", "smape"))
    return leaderboard.table(scores, objective, beside, "Model", " (test)", note)


def by_window(problem: SeriesProblem, windows: Windows, judged: Judged) -> Table:
    """The winner's scores by origin; those of all series at the same distance from their ends are one."""
    ages = problem.panel.length[windows.series] - windows.origin
    distances = np.unique(ages)[::-1]
    if len(distances) > MOST_ROWS:
        distances = distances[np.round(np.linspace(0, len(distances) - 1, MOST_ROWS)).astype(int)]
    shown = _shown(problem, ("mase", "mae", "smape", "crps"))
    rows: list[Row] = []
    for age in distances:
        which = np.flatnonzero(ages == age)
        series, origin = int(windows.series[which[0]]), windows.origin[which[:1]]
        part = judged.take(which)
        rows.append((labels(problem, series, origin)[0], *(_value(name, part) for name in shown),
                     *(_share(coverage, part) for coverage in sorted(judged.intervals))))
    head = ("First step forecast", *(measures.label(name) for name in shown),
            *(f"In the {100 * coverage:g} % interval" for coverage in sorted(judged.intervals)))
    several = len(problem.stored.lengths) > 1
    note = ("Windows of all series at the same distance from their ends; the time is that of the first of them."
            if several else f"Each over {count(windows.horizon, 'step')}.")
    return Table("By window", head, tuple(rows), note)


def by_series(problem: SeriesProblem, windows: Windows, judged: Judged) -> Table | None:
    """The winner's scores of each series, the worst first; None for one series."""
    if len(problem.stored.lengths) < 2:
        return None
    shown = _shown(problem, ("mase", "mae", "smape"))
    found: list[tuple[float, Row]] = []
    for series in np.unique(windows.series):
        part = judged.take(windows.series == series)
        mase = series_scores.value("mase", part)
        found.append((-mase if isfinite(mase) else np.inf,
                      (problem.schema.names[series], *(_value(name, part) for name in shown),
                       *(_share(coverage, part) for coverage in sorted(judged.intervals)))))
    found.sort(key=lambda one: one[0])
    head = ("Series", *(measures.label(name) for name in shown),
            *(f"In the {100 * coverage:g} % interval" for coverage in sorted(judged.intervals)))
    note = f"The {MOST_ROWS} with the largest MASE of {len(found)} series." if len(found) > MOST_ROWS else \
        "The largest MASE first."
    return Table("By series", head, tuple(row for _, row in found[:MOST_ROWS]), note)


def by_target(problem: SeriesProblem, judged: Judged) -> Table | None:
    """The winner's scores of each target, in its own unit; None for one target."""
    names = problem.schema.target
    if len(names) < 2:
        return None
    shown = _shown(problem, ("mase", "mae", "rmse", "smape", "crps"))
    rows = []
    for j, name in enumerate(names[:MOST_ROWS]):
        found = series_scores.estimates(shown, judged.only(j))
        rows.append((name, *(told(found[metric]) for metric in shown)))
    note = f"The first {MOST_ROWS} of {len(names)} targets." if len(names) > MOST_ROWS else ""
    return Table("By target", ("Target", *(measures.label(name) for name in shown)), tuple(rows), note)


def by_horizon(problem: SeriesProblem, judged: Judged) -> Table | None:
    """The winner's scores by how far ahead; None for one step."""
    parts = bins(judged.target.shape[1], PARTS)
    if len(parts) < 2:
        return None
    shown = (*_shown(problem, ("mase", "mae")), *(f"coverage@{coverage:g}" for coverage in sorted(judged.intervals)))
    rows = []
    for first, end in parts:
        found = series_scores.estimates(shown, judged.step(first, end))
        ahead = str(end) if end == first + 1 else f"{first + 1} to {end}"
        rows.append((ahead, *(told(found[name]) for name in shown)))
    calendar = problem.schema.calendar
    return Table("By how far ahead", (f"Steps of {calendar.words}", *(measures.label(name) for name in shown)),
                 tuple(rows), "Errors: 68 %, jackknife over test windows.")


def intervals(problem: SeriesProblem, judged: Judged, factors: Factors) -> Table:
    """For each coverage and target: observed coverage, mean width, and by how much calibration stretched."""
    rows: list[Row] = []
    for coverage in sorted(judged.intervals):
        for j, name in enumerate(problem.schema.target[:MOST_ROWS]):
            asked = (f"coverage@{coverage:g}", f"interval_width@{coverage:g}")
            held, wide = series_scores.estimates(asked, judged.only(j)).values()
            stretched = factors.asked[coverage][:, j, None] * factors.spread[:, j]
            rows.append((f"{100 * coverage:g} %", name, percent(held), told(wide),
                         float(f"{float(stretched.mean()):.3g}")))
    return Table("Prediction intervals", ("Nominal", "Target", "Observed", "Mean width", "Stretched by"), tuple(rows),
                 "Observed in the test windows; calibration has seen nothing of each. Stretched by: mean factor on "
                 "the model's own intervals, from errors in the validation and, taking their place, of forecasts since "
                 "the training that had come before the origin (split conformal, with a sliding window).")


def forecast(problem: SeriesProblem, future: Outlook, series: int, target: int) -> Table | None:
    """What comes behind the end of a series, at no more than ``MOST_ROWS`` times."""
    places = future.of(series)
    if not len(places):
        return None
    place, horizon = int(places[0]), future.windows.horizon
    steps = np.arange(horizon) if horizon <= MOST_ROWS else \
        np.unique(np.round(np.linspace(0, horizon - 1, MOST_ROWS)).astype(int))
    times = labels(problem, series, future.windows.origin[place] + steps)
    middle = future.quantiles[place, steps, target, MEDIAN]
    ends = [future.intervals[coverage][place, steps, target] for coverage in sorted(future.intervals)]
    rows: list[Row] = []
    for k, time in enumerate(times):
        spans = (f"{cell(_short(one[k, 0]))} to {cell(_short(one[k, 1]))}" for one in ends)
        rows.append((time, _short(middle[k]), *spans))
    note = f"{len(steps)} of {horizon} steps; 'predict' gives all of them." if len(steps) < horizon else ""
    return Table(f"Forecast of {title(problem, series, target)}",
                 ("Time", "Median", *(f"{100 * coverage:g} %" for coverage in sorted(future.intervals))), tuple(rows),
                 note)


def told(found: Estimate) -> str:
    """A number with its error, without that where single precision makes all of it."""
    half = (found.high - found.low) / 2
    if max(abs(found.value), half) < NOTHING:
        return "0"
    return cell(_short(found.value)) if half <= NOTHING * abs(found.value) else estimate(found)


def _shown(problem: SeriesProblem, names: Sequence[str]) -> tuple[str, ...]:
    return (*names, "skill_persistence", *(("skill_seasonal",) if problem.schema.season > 1 else ()))


def _value(name: str, judged: Judged) -> float:
    return _short(series_scores.value(name, judged))


def _share(coverage: float, judged: Judged) -> str:
    share = series_scores.value(f"coverage@{coverage:g}", judged)
    return f"{100 * share:.0f} %" if isfinite(share) else cell(share)


def _short(value: float) -> float:
    return float(f"{value:.4g}") if abs(value) >= NOTHING or not isfinite(value) else 0.0
