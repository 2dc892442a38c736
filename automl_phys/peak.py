"""The next maximum of a series that goes in cycles: when, and how high.

Takes forecasts and what came; gives the time and height of the maximum, with intervals. Quantiles at each step do not
say how steps go together, so paths are drawn: a Gaussian copula with the forecast's quantiles as margins and the
correlation ρ^distance (AR(1)), ρ as seen of forecasts that were not fitted on (:func:`correlation`). Each path, behind
the history, is smoothed by a centred mean over about a tenth of the season, the two ends counted half: for months and a
cycle of eleven years that is the smoothed sunspot number of SILSO. Its maximum is the most prominent peak behind the
history, up to a season and a quarter ahead: the highest point would be the first step wherever values fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from automl_phys.exhibits import Table
from automl_phys.readable import cell, rounded
from automl_phys.series_figures import Outlook, labels, title
from automl_phys.series_problem import LEVELS, Floats, SeriesProblem, Windows

COUNT = 1000
"""Paths that are drawn."""
FARTHEST = 3.0
"""Normal scores beyond are not told apart by few quantiles."""
MOST_CORRELATION = 0.999
LEAST_HORIZON = 0.5
"""Of a season, for a maximum to be looked for."""
MOST_SEASONS = 1.25
"""How far ahead the next maximum may be."""
PROMINENT = 0.5
"""Of a path's range, what it falls behind a maximum that is not its highest point."""
ENDS = (0.025, 0.16, 0.5, 0.84, 0.975)


@dataclass(frozen=True)
class Peak:
    """The next maximum of one target of one series.

    ``step`` and ``height`` are quantiles at ``ENDS`` of its steps behind the history (0 is the first step that is
    forecast) and of its smoothed height, over the paths that have a maximum; ``rising`` and ``falling`` are the shares
    of those that have none within the horizon, for still rising at its end or for falling only. ``width`` steps are
    averaged. ``origin`` is the first step that is forecast, counted in its series.
    """

    series: int
    target: int
    origin: int
    step: tuple[float, ...]
    height: tuple[float, ...]
    rising: float
    falling: float
    width: int


@dataclass(frozen=True)
class Tried:
    """A forecast maximum of a test window and the one that came, its step and height."""

    peak: Peak
    came: tuple[int, float]


def correlation(target: Floats, quantiles: Floats) -> float:
    """The correlation ρ of neighbouring steps in normal scores of what came (n, h, t) under forecasts (n, h, t, Q), as
    ρ^distance fits it up to a quarter of the horizon: noise of single steps, which any mean takes off, counts little
    that way. 0 for a horizon of one step."""
    scores = _scores(target, quantiles)
    known = np.isfinite(scores)
    filled = np.where(known, scores, 0.0)
    power = float((filled**2).sum()) / max(1, int(known.sum()))
    lags = np.arange(1, 1 + max(1, scores.shape[1] // 4)) if scores.shape[1] > 1 else np.empty(0, int)
    found = []
    for lag in lags:
        both = int((known[:, lag:] & known[:, :-lag]).sum())
        found.append(float((filled[:, lag:] * filled[:, :-lag]).sum()) / both / power if both and power > 0 else nan)
    values = np.array(found)
    there = np.isfinite(values)
    if not there.any():
        return 0.0
    tried = np.linspace(0, MOST_CORRELATION, 1000)
    misfits = ((tried[:, None] ** lags[there] - values[there]) ** 2).sum(axis=1)
    return float(tried[int(np.argmin(misfits))])


def paths(quantiles: Floats, rho: float, count: int, seed: int | Sequence[int]) -> Floats:
    """Sample paths (count, h) with the margins of a forecast (h, Q) and the correlation ρ of neighbours."""
    horizon = len(quantiles)
    scores = np.random.default_rng(seed).standard_normal((count, horizon))
    fresh = (1 - rho**2) ** 0.5
    for step in range(1, horizon):
        scores[:, step] = rho * scores[:, step - 1] + fresh * scores[:, step]
    at = _normal(LEVELS)
    place = np.clip(np.searchsorted(at, scores), 1, len(at) - 1)
    part = (scores - at[place - 1]) / (at[place] - at[place - 1])
    steps = np.arange(horizon)
    low, high = quantiles[steps, place - 1], quantiles[steps, place]
    return np.asarray(low + part * (high - low), np.float64)


def find(problem: SeriesProblem, outlook: Outlook, place: int, target: int, rho: float, seed: int) -> Peak | None:
    """The next maximum by the forecast of one window, ``place`` of the outlook's; None without a season, for a horizon
    below half a season, or where most paths have no maximum."""
    windows, season = outlook.windows, problem.schema.season
    if not fitting(problem):
        return None
    series, origin = int(windows.series[place]), int(windows.origin[place])
    before = _before(windows, place, target, season)
    drawn = paths(outlook.quantiles[place, :, target], rho, COUNT, (seed, series, target, origin))
    found = [_next(path, season) for path in _smoothed(before, drawn, season)]
    having = np.array([(step, height) for step, height in found if step >= 0], np.float64).reshape(-1, 2)
    if 2 * len(having) < COUNT:
        return None
    step = np.quantile(having[:, 0], ENDS, method="closest_observation")
    rising = sum(step == RISING for step, _ in found) / COUNT
    return Peak(series, target, origin, tuple(step.tolist()), tuple(np.quantile(having[:, 1], ENDS).tolist()), rising,
                1 - rising - len(having) / COUNT, width(season))


def backtest(problem: SeriesProblem, tests: Outlook, series: int, target: int, rho: float, seed: int
             ) -> tuple[Tried, ...]:
    """The same for the test windows of a series in which a maximum came."""
    tried = []
    for place in tests.of(series) if fitting(problem) else ():
        windows, season = tests.windows, problem.schema.season
        origin = int(windows.origin[place])
        came = np.asarray(windows.panel.values(series)[origin:origin + windows.horizon, target], np.float64)
        step, height = _next(_smoothed(_before(windows, int(place), target, season), came[None], season)[0], season)
        peak = find(problem, tests, int(place), target, rho, seed) if step >= 0 else None
        if peak is not None:
            tried.append(Tried(peak, (int(step), height)))
    return tuple(tried)


def fitting(problem: SeriesProblem) -> bool:
    """Whether there is a season and a horizon that holds a good part of it."""
    season, horizon = problem.schema.season, problem.schema.horizon
    return season > 3 and horizon >= LEAST_HORIZON * season


def width(season: int) -> int:
    """The steps of the centred mean, an odd number: 13 for 132."""
    return 2 * round((season / 10 - 1) / 2) + 1 if season >= 20 else 1


# ---------------------------------------------------------------- words and tables

def sentence(problem: SeriesProblem, peak: Peak) -> str:
    """When and how high, in words."""
    _, early, middle, late, _ = times(problem, peak)
    what = f" of {title(problem, peak.series, peak.target)}" if _several(problem) else ""
    low, high = (rounded(peak.height[k], 3) for k in (1, 3))
    told = f"The next maximum{what} is expected in {middle} (68 %: {early} to {late}) at " \
           f"{rounded(peak.height[2], 3)} ({low} to {high})"
    none = peak.rising + peak.falling
    return f"{told}; in {none:.0%} of the paths there is none within the horizon." if none >= 0.05 else f"{told}."


def times(problem: SeriesProblem, peak: Peak) -> list[str]:
    """The quantiles of the time of the maximum, as text."""
    return labels(problem, peak.series, peak.origin + np.array(peak.step, np.int64))


def table(problem: SeriesProblem, found: Sequence[Peak]) -> Table:
    """Time and height of the next maximum."""
    rows = []
    for peak in found:
        outer, early, middle, late, last = times(problem, peak)
        h = [float(f"{height:.4g}") for height in peak.height]
        rows.append((title(problem, peak.series, peak.target), middle, f"{early} to {late}", f"{outer} to {last}", h[2],
                     f"{cell(h[1])} to {cell(h[3])}", f"{cell(h[0])} to {cell(h[4])}", f"{peak.rising:.0%}",
                     f"{peak.falling:.0%}"))
    return Table("Next maximum", ("Of", "Time", "68 %", "95 %", "Height", "68 %", "95 %", "Still rising",
                                  "Falling only"), tuple(rows), _note(found[0].width))


def trial_table(problem: SeriesProblem, tried: Sequence[Tried]) -> Table:
    """Maxima that were forecast from the origins of the test windows, and those that came."""
    rows = []
    for one in tried:
        peak, (step, height) = one.peak, one.came
        _, early, middle, late, _ = times(problem, peak)
        began, came = labels(problem, peak.series, peak.origin + np.array([0, step]))
        h = [float(f"{value:.4g}") for value in peak.height]
        late_by = problem.schema.calendar.span(abs(peak.step[2] - step))
        sense = "late" if peak.step[2] > step else "early"
        rows.append((title(problem, peak.series, peak.target), began, f"{middle} ({early} to {late})", came,
                     f"{late_by} {sense}" if peak.step[2] != step else "none",
                     f"{cell(h[2])} ({cell(h[1])} to {cell(h[3])})", float(f"{height:.4g}"), _inside(one)))
    return Table("Maxima in test windows", ("Of", "Forecast from", "Time forecast (68 %)", "Time observed", "Error",
                                            "Height forecast (68 %)", "Height observed", "In the 95 % intervals"),
                 tuple(rows), f"Windows in which a maximum came. {_note(tried[0].peak.width)}")


def _inside(one: Tried) -> str:
    (step, height), peak = one.came, one.peak
    held = [name for name, value, ends in (("time", step, peak.step), ("height", height, peak.height))
            if ends[0] <= value <= ends[-1]]
    return " and ".join(held) or "neither"


def _note(steps: int) -> str:
    smoothed = f"Of values smoothed by a centred mean over {steps} steps, its two ends counted half. "
    return (f"{smoothed if steps > 1 else ''}Over {COUNT} paths drawn with the forecast's quantiles and the "
            "correlation that errors had in validation; times and heights are of the paths that have a maximum within "
            "the horizon.")


def _several(problem: SeriesProblem) -> bool:
    return len(problem.stored.lengths) * len(problem.schema.target) > 1


# ---------------------------------------------------------------- paths

RISING, FALLING = -1, -2


def _next(smooth: Floats, season: int) -> tuple[int, float]:
    """Step and height of the next maximum of a smoothed path (m,), which begins ``season`` steps before the origin;
    RISING or FALLING for a step where there is none. Nothing is known at the path's last NaN."""
    from scipy.signal import find_peaks, peak_prominences

    end = len(smooth) - width(season) // 2
    known = smooth[:min(end, season + round(MOST_SEASONS * season))]
    peaks, _ = find_peaks(known)
    peaks = peaks[peaks >= season]
    if len(peaks):
        prominence = peak_prominences(known, peaks)[0]
        first = int(peaks[np.argmax(prominence)])
        # A bump on the way up to a value that is higher yet is no maximum.
        if known[first] >= known[first:].max() or known[first] - known[first:].min() >= PROMINENT * np.ptp(known):
            return first - season, float(known[first])
    ahead = known[season:]
    return (RISING if ahead[-1] > ahead[0] else FALLING), nan


def _smoothed(before: Floats, drawn: Floats, season: int) -> Floats:
    """Paths (n, h) behind the history (b,) before them, smoothed: (n, season + h), the last of which are NaN."""
    steps = width(season)
    weights = np.ones(steps)
    if steps > 1:
        weights[[0, -1]] = 0.5
    whole = np.concatenate([np.broadcast_to(before, (len(drawn), len(before))), drawn], axis=1)
    looked = np.lib.stride_tricks.sliding_window_view(whole, steps, axis=1) @ (weights / weights.sum())
    room = np.full((len(drawn), steps // 2), nan)
    return np.concatenate([looked, room], axis=1)


def _before(windows: Windows, place: int, target: int, season: int) -> Floats:
    """The last season before a window, and half a mean's width more."""
    return np.asarray(windows.take([place]).past(season + width(season) // 2)[0, :, target], np.float64)


def _scores(target: Floats, quantiles: Floats) -> Floats:
    """What came (…) in normal scores of its forecast (…, Q), NaN where nothing was observed."""
    at = _normal(LEVELS)
    place = np.clip((quantiles <= target[..., None]).sum(axis=-1), 1, len(at) - 1)
    low, high = (np.take_along_axis(quantiles, place[..., None] - k, axis=-1)[..., 0] for k in (1, 0))
    part = (target - low) / np.maximum(high - low, 1e-12 * (1 + np.abs(low)))
    return np.asarray(np.clip(at[place - 1] + part * (at[place] - at[place - 1]), -FARTHEST, FARTHEST), np.float64)


def _normal(levels: Sequence[float]) -> NDArray[np.float64]:
    from scipy.special import ndtri

    return np.asarray(ndtri(np.array(levels)), np.float64)
