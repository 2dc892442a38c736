"""Task ``forecast``: what series do next, with intervals that hold what they say.

Takes a recipe's ``data`` and ``forecast`` and finished models; gives prepared series, scores, and what the last windows
of each series say. Series are :mod:`automl_phys.series`'s work, scores :mod:`automl_phys.series_scores`'s, intervals
:mod:`automl_phys.series_calibration`'s; what is shown is in ``series_exhibits``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import measures
from automl_phys.contracts import Candidate
from automl_phys.errors import Mistake
from automl_phys.exhibits import Evaluation, Score
from automl_phys.facts import Facts
from automl_phys.section import Section
from automl_phys.series_sections import Forecast, SeriesData
from automl_phys.telling import Tell, counted, nobody
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.column_profiles import Looked
    from automl_phys.drafting import Drafted
    from automl_phys.series import NewWindows
    from automl_phys.series_problem import SeriesProblem, Windows
    from automl_phys.series_scores import Judged
    from automl_phys.values import Array

TEXT = "say what series do next, one or many, with intervals that hold what they say"
DEFAULT_FAMILIES = ("ets", "theta", "arima", "boosted_trees", "nbeats", "tcn", "gru", "lstm")
ALWAYS = "seasonal_naive"
"""A baseline that stands beside every model, as ``BASELINE`` does."""
DEFAULT_OBJECTIVE = "mase"
BASELINE = "naive"
EXAMPLE = Facts("series", {"train": 1500, "valid": 400, "test": 5},
                {"numbers": 1, "categories": 0, "outputs": 24, "targets": 1, "series": 1, "horizon": 24, "season": 12,
                 "known": 0, "past": 0, "phases": 2, "steps": 1600, "longest": 1600, "shortest": 1600, "positive": 1,
                 "folds": 0})
REPLICAS = 0
REPLICATED = "winner"
LEADERS = 0.2
FRAMEWORK = ""
"""Windows of one validation are much alike: greedy members did worse on what came after, on all series tried."""
OBJECTIVES: Mapping[str, Direction] = measures.Objectives(measures.OF_SERIES)


class Options(Section):
    """The sections of a recipe that belong to this task."""

    data: SeriesData
    """Where the series are, and the part that each column plays."""
    forecast: Forecast
    """How far ahead is looked, and how that is judged."""


def families(options: Options, asked: Sequence[str]) -> Sequence[str]:
    """The families asked for, or all that forecast; the seasonal naive forecast always, and first: it takes no time."""
    return (ALWAYS, *(name for name in asked or DEFAULT_FAMILIES if name != ALWAYS))


def refuse(objective: str, facts: Facts) -> Mistake | None:
    """Every objective can be had of all series."""
    return None


def overrides(options: Options) -> Mapping[str, Mapping[str, Any]]:
    """Nothing: the sections say nothing of the families' parameters."""
    return {}


def draft(data: Drafted, looked: Looked, target: str | None) -> Mapping[str, Drafted]:
    """The times, what tells series apart, how far ahead to look. Raises CallError for what cannot be guessed."""
    from automl_phys import series_draft

    return series_draft.draft(data, looked, target)


def look(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> Facts:
    """Facts from reading all rows. Raises DataError with all mistakes."""
    from automl_phys import series

    return series.look(options.data, options.forecast, folder, tell)


def prepare(options: Options, folder: Path, target: Path, seed: int, tell: Tell = nobody) -> SeriesProblem:
    """Read, check and write the series into ``target``. Raises DataError with all mistakes."""
    from automl_phys import series

    return series.prepare(options.data, options.forecast, folder, target, seed, _settings(options), tell)


def fingerprint(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> str:
    """Hash of all that decides the prepared series. Raises DataError."""
    from automl_phys import series

    return series.fingerprint(options.data, options.forecast, folder, seed, _settings(options), tell)


def _settings(options: Options) -> Mapping[str, Any]:
    return {"coverage": [percent / 100 for percent in options.forecast.coverage],
            "lyapunov_time": options.forecast.lyapunov_time or 0.0}


def load(folder: Path) -> SeriesProblem:
    """Open prepared series. Raises CallError when they are not there or damaged."""
    from automl_phys import series

    return series.load(folder)


def read_new(problem: SeriesProblem, source: Path, tell: Tell = nobody) -> NewWindows:
    """What to forecast from: the series of a file, behind the history that is known of them, and windows since the
    training whose outcomes are known, which calibrate. Raises DataError."""
    from automl_phys import series

    return series.read_new(problem, source, tell)


def score(objective: str, part: Windows, predictions: Array) -> float:
    """The objective of quantile forecasts (n, h, t, Q) of windows.

    Raises RunError for forecasts that are not finite or of the wrong shape, KeyError for an unknown objective.
    """
    from automl_phys import series_scores

    return series_scores.value(objective, series_scores.judge(part, predictions))


def calibrate(problem: SeriesProblem, part: Windows, predictions: Array,
              predict: Callable[[Windows], Array] | None = None) -> Mapping[str, Any]:
    """What the validation says of how quantiles are to be stretched, and how errors at neighbouring steps go together
    (``rho``).

    ``predict`` is the winner as it will be used, fitted again on these very windows.
    """
    import numpy as np

    from automl_phys import peak, series_calibration

    held_out = np.asarray(predictions, np.float64)
    stated = None if predict is None else np.asarray(predict(part), np.float64)
    rho = peak.correlation(part.target, held_out)
    made = series_calibration.fit(part, held_out, stated, problem.schema.settings["coverage"], rho)
    return {**made.to_plain(), "rho": rho}


def evaluate(problem: SeriesProblem, candidates: Sequence[Candidate], objective: str, calibration: Mapping[str, Any],
             seed: int, tell: Tell = nobody) -> Evaluation:
    """What the last windows say of the candidates, the first of which is the winner, one the baseline; and what comes
    after the end of the series."""
    from automl_phys import leaderboard, series_exhibits, series_scores

    winner, schema = candidates[0], problem.schema
    baseline = next(c for c in candidates if c.role == "baseline")
    judged = {c.name: _judged(problem, problem.test, c.predictions["test"], calibration if c is winner else None)
              for c in candidates}
    plain = series_scores.names(schema.season, schema.settings["lyapunov_time"] > 0)
    scores = tuple(
        Score(c.name, c.role, series_scores.estimates(plain, judged[c.name]), None if c is baseline else
              series_scores.gain(objective, judged[c.name], judged[baseline.name]), c.seconds)
        for c in counted(candidates, "models judged", tell))
    shown = series_exhibits.show(problem, winner, judged, scores, calibration, objective, seed)
    intervals = [f"{kind}@{coverage:g}" for coverage in schema.settings["coverage"]
                 for kind in ("coverage", "interval_width")]
    metrics = {**scores[0].metrics, **series_scores.estimates(intervals, judged[winner.name])}
    verdict = " ".join([leaderboard.verdict(scores[0], baseline.name, objective, "test windows"), *shown.sentences])
    return Evaluation(verdict, metrics, scores, shown.tables, (*shown.figures, *winner.figures))


def _judged(problem: SeriesProblem, part: Windows, predictions: Array, calibration: Mapping[str, Any] | None) -> Judged:
    """Forecasts held against what came; those of the winner calibrated, each by the validation and what came before
    it."""
    from dataclasses import replace

    from automl_phys import series_calibration, series_scores

    lyapunov = problem.schema.settings["lyapunov_time"] / problem.schema.calendar.count
    if not calibration:
        return series_scores.judge(part, predictions, lyapunov)
    factors = series_calibration.from_plain(calibration).along(part, predictions, problem.schema.stride)
    made = series_scores.judge(part, factors.quantiles(predictions), lyapunov)
    return replace(made, intervals={coverage: factors.interval(predictions, coverage) for coverage in factors.asked})


def write_scores(
    problem: SeriesProblem, rows: Windows, predictions: Array, calibration: Mapping[str, Any], target: Path
) -> None:
    """Write a row for each step of each forecast: its series, ``origin`` (the last time that was known), time and
    ``step`` ahead, and of each target ``_predicted`` and ``_low68``, ``_high68`` … for each coverage, in the format of
    the file's ending. ``_true`` stands beside them for windows of the problem itself; of new data only what is asked
    for is written, and all windows calibrate. Raises RunError when the disk refuses.
    """
    import numpy as np
    import pyarrow as pa

    from automl_phys import series_calibration, table_file
    from automl_phys.series import NewWindows
    from automl_phys.series_problem import MEDIAN

    schema, horizon = problem.schema, rows.horizon
    factors = series_calibration.from_plain(calibration).along(rows, predictions, schema.stride)
    asked = slice(rows.asked if isinstance(rows, NewWindows) else len(rows))
    quantiles = factors.quantiles(predictions)[asked]
    intervals = {coverage: factors.interval(predictions, coverage)[asked] for coverage in factors.asked}
    names = rows.names if isinstance(rows, NewWindows) else schema.names
    rows = rows.take(asked)
    position = series_calibration.times(rows)
    columns: dict[str, Any] = {}
    if schema.series:
        columns[schema.series] = pa.array([names[i] for i in np.repeat(rows.series, horizon)], pa.string())
    columns |= {"origin": schema.calendar.column(np.repeat(position - 1, horizon)),
                schema.time: schema.calendar.column((position[:, None] + np.arange(horizon)).reshape(-1)),
                "step": pa.array(np.tile(np.arange(1, horizon + 1, dtype=np.int32), len(rows)))}
    for j, name in enumerate(schema.target):
        if not isinstance(rows, NewWindows):
            columns[f"{name}_true"] = pa.array(rows.target[..., j].reshape(-1))
        columns[f"{name}_predicted"] = pa.array(quantiles[..., j, MEDIAN].reshape(-1))
        for coverage, ends in intervals.items():
            percent = f"{100 * coverage:g}"
            columns |= {f"{name}_low{percent}": pa.array(ends[:, :, j, 0].reshape(-1)),
                        f"{name}_high{percent}": pa.array(ends[:, :, j, 1].reshape(-1))}
    table_file.write(pa.table(columns), target)
