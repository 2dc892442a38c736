"""What there is to see of forecasts: tables, figures and sentences of the verdict.

Takes prepared series, the winner and what all candidates say of the test windows; puts together what
:mod:`automl_phys.series_tables`, ``series_figures``, ``series_parts`` and ``peak`` make of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from automl_phys import peak, series_calibration, series_scores, series_tables
from automl_phys import series_figures as draw
from automl_phys.contracts import Candidate
from automl_phys.exhibits import Figure, Score, Table
from automl_phys.peak import Peak, Tried
from automl_phys.readable import estimate, percent
from automl_phys.series_calibration import Calibration, Errors, Factors
from automl_phys.series_figures import Outlook
from automl_phys.series_parts import decomposition
from automl_phys.series_problem import LEVELS, MEDIAN, Floats, SeriesProblem, Windows
from automl_phys.series_scores import Judged

MOST_STEPS = 400
"""Windows of the test section, one step apart, that errors are shown by how far ahead."""
MOST_RESIDUALS = 1000
TAKEN_APART = 2
"""Series and targets whose residuals and parts are shown."""
MOST_NUMBERS = 2_000_000
"""That a model is asked for at once."""


@dataclass(frozen=True)
class Shown:
    """``sentences`` go on with the verdict."""

    sentences: tuple[str, ...]
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]


def show(problem: SeriesProblem, winner: Candidate, judged: Mapping[str, Judged], scores: Sequence[Score],
         calibration: Mapping[str, Any], objective: str, seed: int) -> Shown:
    """Everything. ``judged`` are all candidates' forecasts of ``problem.test``, the winner's first and calibrated;
    ``calibration`` is what the validation says, as plain data, and ``rho``."""
    made, rho = series_calibration.from_plain(calibration), float(calibration["rho"])
    known = made.errors(problem.test, winner.predictions["test"], problem.schema.stride)
    factors = made.factors(problem.test, known)
    one = judged[winner.name]
    tests = Outlook(problem.test, one.quantiles, one.intervals)
    future = outlook(winner, problem.future, made, known) if len(problem.future) else None
    steps = _steps(problem, winner, made, known, one.lyapunov_steps)
    found, tried = _maxima(problem, tests, future, rho, seed)
    return Shown(sentences(problem, one, found),
                 tables(problem, scores, one, tests, future, factors, found, tried, objective),
                 figures(problem, winner, one, steps, tests, future))


def outlook(model: Candidate, windows: Windows, calibration: Calibration, known: Errors) -> Outlook:
    """A model's forecasts of windows, calibrated by the validation and the errors known before each."""
    raw, factors = _forecasts(model, windows), calibration.factors(windows, known)
    return Outlook(windows, factors.quantiles(raw), {asked: factors.interval(raw, asked) for asked in factors.asked})


def sentences(problem: SeriesProblem, one: Judged, found: Sequence[Peak]) -> tuple[str, ...]:
    """How the widest intervals held, for how long a chaotic system was foretold, and when the next maximum is due."""
    widest = max(one.intervals)
    held = series_scores.estimates([f"coverage@{widest:g}"], one)[f"coverage@{widest:g}"]
    told = [f"{100 * widest:g} % intervals held {percent(held)} of what came."]
    if one.lyapunov_steps:
        valid = series_scores.estimates(["valid_time"], one)["valid_time"]
        told.append(f"Forecasts are good for {estimate(valid)} Lyapunov times.")
    # That the next summer is warmest in July is no news; of many series none is the one to tell of.
    if len(found) == 1 and problem.schema.season not in problem.schema.calendar.natural_seasons:
        told.append(peak.sentence(problem, found[0]))
    return tuple(told)


def tables(problem: SeriesProblem, scores: Sequence[Score], one: Judged, tests: Outlook, future: Outlook | None,
           factors: Factors, found: Sequence[Peak], tried: Sequence[Tried], objective: str) -> tuple[Table, ...]:
    """The leaderboard, what comes next, and where the winner does well; ``one`` is the winner."""
    made: list[Table | None] = [series_tables.ranked(scores, objective)]
    made += [series_tables.forecast(problem, future, *pair) for pair in draw.pairs(problem)] if future else []
    made += [peak.table(problem, found)] if found else []
    made += [peak.trial_table(problem, tried)] if tried else []
    made += [series_tables.by_window(problem, tests.windows, one), series_tables.by_horizon(problem, one),
             series_tables.by_target(problem, one), series_tables.by_series(problem, tests.windows, one),
             series_tables.intervals(problem, one, factors)]
    return tuple(table for table in made if table is not None)


def figures(problem: SeriesProblem, winner: Candidate, one: Judged, steps: Judged, tests: Outlook,
            future: Outlook | None) -> tuple[Figure, ...]:
    """``one`` is the winner on the test windows, ``steps`` on windows of the test section one step apart."""
    schema, pairs = problem.schema, draw.pairs(problem)
    made: list[Figure | None] = []
    made += [draw.history_and_forecast(problem, future, *pair) for pair in pairs] if future else []
    made += [draw.test_windows(problem, tests, *pair) for pair in pairs]
    made += draw.error_by_horizon(winner.name, steps, schema.season, schema.calendar)
    made += [draw.coverage(one), draw.coverage_by_horizon(steps, schema.calendar)]
    pairs = pairs[:TAKEN_APART]
    for series in dict.fromkeys(series for series, _ in pairs):
        residuals = _residuals(problem, winner, series)
        made += [draw.residual_autocorrelation(residuals[:, target], schema.season, draw.title(problem, series, target))
                 for other, target in pairs if other == series]
    made += [figure for pair in pairs for figure in decomposition(problem, *pair)]
    return tuple(figure for figure in made if figure is not None)


def _maxima(problem: SeriesProblem, tests: Outlook, future: Outlook | None, rho: float, seed: int
            ) -> tuple[list[Peak], list[Tried]]:
    if not peak.fitting(problem):
        return [], []
    found: list[Peak] = []
    tried: list[Tried] = []
    for series, target in draw.pairs(problem):
        places = future.of(series) if future else ()
        peaks = [peak.find(problem, future, int(place), target, rho, seed) for place in places] if future else []
        found += [one for one in peaks if one is not None]
        tried += peak.backtest(problem, tests, series, target, rho, seed)
    return found, tried


def _steps(problem: SeriesProblem, winner: Candidate, calibration: Calibration, known: Errors, lyapunov_steps: float
           ) -> Judged:
    windows = problem.test_steps
    count = len(windows)
    if count > MOST_STEPS:
        windows = windows.take(np.round(np.linspace(0, count - 1, MOST_STEPS)).astype(int))
    made = outlook(winner, windows, calibration, known)
    return replace(series_scores.judge(windows, made.quantiles, lyapunov_steps), intervals=made.intervals)


def _residuals(problem: SeriesProblem, winner: Candidate, series: int) -> Floats:
    """Errors one step ahead (n, t) of a series in the test section, one after the other."""
    test, length = problem.test, int(problem.stored.lengths[series])
    numbers = test.horizon * test.targets * len(LEVELS)
    most = max(1, min(MOST_RESIDUALS, MOST_NUMBERS // numbers))
    origins = np.arange(max(int(test.until[series]), length - most), length)
    part = replace(test, series=np.full(len(origins), series, np.int32), origin=origins)
    part = part.take(np.isfinite(part.ahead(0)).all(axis=(1, 2)))  # what is known ahead may end early
    if not len(part):
        return np.empty((0, test.targets))
    return _forecasts(winner, part)[:, 0, :, MEDIAN] - part.target[:, 0]


def _forecasts(model: Candidate, windows: Windows) -> Floats:
    """By all of its models, as ``automl-phys predict`` does."""
    return np.asarray((model.predict_with_all or model.predict)(windows), np.float64)
