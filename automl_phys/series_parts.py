"""What a series is made of: trend, season and remainder, as figures.

Takes prepared series; gives ``exhibits.Figure``. With a season it is STL (Cleveland et al. 1990), robust; without one
the trend is a local regression (Cleveland 1979). Nothing is forecast by it.
"""

from __future__ import annotations

from math import nan

import numpy as np

from automl_phys.class_figures import slug
from automl_phys.exhibits import Axis, Figure, Series
from automl_phys.series_figures import MOST_POINTS, axis_of, row, time_axis, title
from automl_phys.series_problem import Floats, SeriesProblem

SECTION = "Decomposition"
MOST_STEPS = 20_000
LEAST_STEPS = 24
CYCLES = 5
"""Seasons of the seasonal part that are shown."""
SHARE = 0.15
"""Of the series, that the trend is fitted on at each step where there is no season."""


def decomposition(problem: SeriesProblem, series: int, target: int) -> tuple[Figure, ...]:
    """The last ``MOST_STEPS`` of a series in parts; nothing for a series that is too short."""
    values = problem.panel.values(series)[-MOST_STEPS:, target]
    if len(values) < LEAST_STEPS or not np.isfinite(values).all():
        return ()
    season = problem.schema.season
    first = problem.stored.lengths[series] - len(values)
    seasonal = season > 1 and len(values) >= 2 * season + 1
    trend, cycle = _by_season(values, season) if seasonal else (_smooth(values), np.zeros(len(values)))
    name, quantity, axis = title(problem, series, target), problem.schema.target[target], time_axis(problem)
    x = axis_of(problem, series, np.arange(first, first + len(values)))
    seen = problem.panel.seen(series)[-len(values):, target]
    each = -(-len(values) // MOST_POINTS)

    def curve(label: str, part: Floats, style: str = "line") -> Series:
        shown = np.where(seen, part, nan) if label in {"observed", "remainder"} else part
        return Series(label, "points" if style == "points" else "line", row(x[::each]), row(shown[::each]))

    how = f"STL, robust, with a season of {season} steps." if seasonal else \
        f"Local regression on {SHARE:.0%} of the steps around each."
    made = [Figure(f"trend-{slug(name)}", f"Trend of {name}", "xy", axis, Axis(quantity),
                   (curve("observed", values), curve("trend", trend)), caption=how, section=SECTION)]
    if seasonal:
        last = slice(-min(len(values), CYCLES * season), None)
        thin = slice(None, None, -(-min(len(values), CYCLES * season) // MOST_POINTS))
        made.append(Figure(
            f"season-{slug(name)}", f"Seasonal part of {name}", "xy", axis, Axis(f"{quantity} - trend"),
            (Series("observed less trend", "line", row(x[last][thin]),
                    row(np.where(seen, values - trend, nan)[last][thin])),
             Series("seasonal part", "line", row(x[last][thin]), row(cycle[last][thin]))),
            caption=f"The last {min(CYCLES, len(values) // season)} seasons.", section=SECTION))
    rest = values - trend - cycle
    made.append(Figure(
        f"remainder-{slug(name)}", f"Remainder of {name}", "xy", axis, Axis("Remainder"),
        (Series("zero", "line", (float(x[0]), float(x[-1])), (0.0, 0.0), muted=True), curve("remainder", rest)),
        caption="What trend and season leave over: spikes are outliers, a change of width is a change of the noise. "
                f"Its standard deviation is {rest[seen].std():.3g}, that of the series {values[seen].std():.3g}.",
        section=SECTION))
    return tuple(made)


def _by_season(values: Floats, season: int) -> tuple[Floats, Floats]:
    """Trend and seasonal part; the smooth parts are fitted at some steps and joined by lines, ten times as fast."""
    from statsmodels.tsa.seasonal import STL

    made = STL(values, period=season, robust=True, trend_jump=1 + season // 7, low_pass_jump=1 + season // 10).fit()
    return np.asarray(made.trend, np.float64), np.asarray(made.seasonal, np.float64)


def _smooth(values: Floats) -> Floats:
    from statsmodels.nonparametric.smoothers_lowess import lowess

    steps = np.arange(len(values), dtype=np.float64)
    return np.asarray(lowess(values, steps, frac=max(SHARE, 12 / len(values)), it=2, delta=0.01 * len(values),
                             return_sorted=False), np.float64)
