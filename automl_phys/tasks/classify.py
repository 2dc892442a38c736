"""Task ``classify``: tell two or more classes apart on a table, with event weights in everything.

Takes a recipe's ``data`` and finished models; gives a prepared table, scores, and what the test rows say. Tables are
:mod:`automl_phys.table`'s work, metrics :mod:`automl_phys.metrics`'s; what is shown is in ``class_figures``,
``class_tables`` and ``importance``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import measures
from automl_phys.contracts import Candidate, Facts
from automl_phys.errors import Mistake
from automl_phys.exhibits import Estimate, Evaluation, Figure, Score, Table
from automl_phys.sections import LabelledTable, Section
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.metrics import Sample
    from automl_phys.table import NewRows, Rows, TableProblem
    from automl_phys.values import Array

DEFAULT_FAMILIES = ("linear", "boosted_trees", "extra_trees", "mlp")
FAMILIES_OF_IMAGES = ("linear", "boosted_trees", "cnn")
DEFAULT_OBJECTIVE = "log_loss"
BASELINE = "linear"
EXAMPLE = Facts("table", {"train": 10_000, "valid": 3_000, "test": 3_000},
                {"numbers": 20, "categories": 5, "levels": 50, "outputs": 3, "folds": 0})
REPLICAS = 0
OBJECTIVES: Mapping[str, Direction] = measures.Objectives()


class Options(Section):
    """The sections of a recipe that belong to this task."""

    data: LabelledTable


def families(options: Options, asked: Sequence[str]) -> Sequence[str]:
    """The families asked for, or all that can classify a table, or images."""
    return asked or (FAMILIES_OF_IMAGES if options.data.images else DEFAULT_FAMILIES)


def refuse(objective: str, facts: Facts) -> Mistake | None:
    """Metrics of a signal need one named, where there are more than two classes."""
    if not measures.find(objective)[0].needs_signal or facts.sizes.get("signal", 1):
        return None
    return Mistake("no-signal-class", f"The objective '{objective}' needs to know which class is the signal.",
                   "Name it under data: signal:, or choose an objective of all classes, such as log_loss.",
                   ("search", "objective"))


def overrides(options: Options) -> Mapping[str, Mapping[str, Any]]:
    """Nothing: this task's own sections say nothing of families."""
    return {}


def look(options: Options, folder: Path, seed: int) -> Facts:
    """Facts from the header and the target. Raises DataError with all mistakes."""
    from automl_phys import table

    return table.look(options.data, folder, seed)


def prepare(options: Options, folder: Path, target: Path, seed: int) -> TableProblem:
    """Read, check, split and write the table into ``target``. Raises DataError with all mistakes."""
    from automl_phys import table

    return table.prepare(options.data, folder, target, seed)


def fingerprint(options: Options, folder: Path, seed: int) -> str:
    """Hash of all that decides the prepared table. Raises DataError."""
    from automl_phys import table

    return table.fingerprint(options.data, folder, seed)


def load(folder: Path) -> TableProblem:
    """Open a prepared table. Raises CallError when it is not there or damaged."""
    from automl_phys import table

    return table.load(folder)


def read_new(problem: TableProblem, source: Path) -> NewRows:
    """New data with the columns of the training data. Raises DataError."""
    from automl_phys import table

    return table.read_new(problem, source)


def score(objective: str, part: Rows, predictions: Array) -> float:
    """The objective of predicted probabilities (n, K) on rows (n,), weighted.

    Raises RunError for predictions that are NaN or of the wrong shape and for a metric that the rows cannot give,
    DataError for one that needs a signal where none is named, KeyError for an unknown one.
    """
    from automl_phys import metrics

    return metrics.value(objective, _judge(part, predictions))


def calibrate(
    problem: TableProblem, part: Rows, predictions: Array, predict: Callable[[Rows], Array] | None = None
) -> Mapping[str, Any]:
    """Nothing: probabilities are used as they come."""
    return {}


def evaluate(problem: TableProblem, candidates: Sequence[Candidate], objective: str,
             calibration: Mapping[str, Any], seed: int) -> Evaluation:
    """What the test rows say of the candidates, the first of which is the winner, one the baseline."""
    from automl_phys import bootstrap, class_tables, leaderboard

    test = {c.name: _judge(problem.test, c.predictions["test"]) for c in candidates}
    baseline = next(c for c in candidates if c.role == "baseline")
    names = dict.fromkeys((*measures.names(problem.schema.signal is not None), objective))
    scores = tuple(
        Score(c.name, c.role, bootstrap.estimates(tuple(names), test[c.name], seed),
              None if c is baseline else bootstrap.gain(objective, test[c.name], test[baseline.name], seed), c.seconds)
        for c in candidates)
    winner = candidates[0]
    train = _judge(problem.train, winner.predictions["train"])
    compared, tables = _winner(problem, train, test[winner.name], scores[0], seed)
    board = class_tables.ranked(scores, objective)
    importances, tables_of_features = _features(problem, winner, objective, seed)
    two = {c.name: test[c.name] for c in (winner, baseline)}
    figures = _performance(problem, two, train, winner, seed)
    said = leaderboard.verdict(scores[0], baseline.name, objective)
    return Evaluation(said, {**scores[0].metrics, **compared}, scores, (board, *tables, *tables_of_features),
                      (*figures, *importances))


def write_scores(
    problem: TableProblem, rows: Rows, predictions: Array, calibration: Mapping[str, Any], target: Path
) -> None:
    """Write ``score_<class>`` for each class, ``predicted`` and what the rows carry, as parquet or, by suffix, csv.

    ``row`` is the position in the file that was read, counting from 0; the truth and the weight stand beside them
    for rows of the problem itself. Raises RunError when the disk refuses.
    """
    import numpy as np
    import pyarrow as pa

    from automl_phys import table_file
    from automl_phys.table import NewRows

    names = problem.schema.classes
    classes = np.array(names, dtype=object)
    carried = rows.carried if isinstance(rows, NewRows) else problem.carried("test")
    columns = {name: carried.column(name) for name in carried.column_names}
    if not isinstance(rows, NewRows):
        columns |= {"true": pa.array(classes[rows.target], pa.string()), "weight": pa.array(rows.weight)}
    columns |= {f"score_{name}": pa.array(np.ascontiguousarray(predictions[:, k])) for k, name in enumerate(names)}
    columns["predicted"] = pa.array(classes[np.argmax(predictions, axis=1)], pa.string())
    table_file.write(pa.table(columns), target)


# ---------------------------------------------------------------- what is shown

def _judge(rows: Rows, predictions: Array) -> Sample:
    from automl_phys import metrics

    return metrics.sample(rows.target, rows.weight, predictions, rows.signal)


def _winner(
    problem: TableProblem, train: Sample, test: Sample, score: Score, seed: int
) -> tuple[dict[str, Estimate], tuple[Table, ...]]:
    """The winner's metrics that are more than one number of the test rows, and its tables."""
    from math import hypot, nan

    from automl_phys import bootstrap, class_tables, curves

    classes, more = problem.schema.classes, {}
    fitted, fresh = bootstrap.estimates(("log_loss",), train, seed)["log_loss"], score.metrics["log_loss"]
    gap, half = fresh.value - fitted.value, hypot(fresh.high - fresh.low, fitted.high - fitted.low) / 2
    more["train_gap"] = Estimate(gap, gap - half, gap + half, "bootstraps of train and test, independent")
    alike, smallest = class_tables.likeness(train, test, classes)
    more["overtraining_p"] = Estimate(smallest, nan, nan, "a probability has no interval")
    more["calibration_p"] = Estimate(curves.reliability(test).p_value, nan, nan, "a probability has no interval")
    name = classes[test.positive]
    tables = [class_tables.by_class(test, classes, seed), class_tables.confusion(test, classes, seed),
              class_tables.working_points(test, name, "the rest", seed)]
    for background in _backgrounds(test):
        one = test.against(background)
        found = bootstrap.estimates([f"rejection@{x}" for x in ("0.3", "0.5", "0.7")], one, seed)
        more |= {f"{metric}/{classes[background]}": estimate for metric, estimate in found.items()}
        tables.append(class_tables.working_points(one, name, classes[background], seed))
    return more, (*tables, alike)


def _backgrounds(one: Sample) -> list[int]:
    """Classes to reject one by one: with a signal and more than one background."""
    from automl_phys.class_figures import MOST_CLASSES

    if one.signal is None or not 2 < one.classes <= MOST_CLASSES:
        return []
    return [k for k in range(one.classes) if k != one.signal and (one.target == k).any()]


def _performance(
    problem: TableProblem, two: Mapping[str, Sample], train: Sample, winner: Candidate, seed: int
) -> tuple[Figure, ...]:
    import numpy as np

    from automl_phys import class_figures
    from automl_phys.metrics import Weighted

    test, classes = two[winner.name], problem.schema.classes
    name = classes[test.positive]
    figures: list[Figure] = []
    if test.signal is not None or len(classes) == 2:
        figures += [class_figures.roc(two, test.positive, name, seed), class_figures.rejection(two, name, seed),
                    class_figures.significance(two, name, seed)]
    for background in _backgrounds(test):
        pairs = {model: one.against(background) for model, one in two.items()}
        figures.append(class_figures.rejection(pairs, name, seed, classes[background]))
    if len(classes) > 2:
        figures.append(class_figures.roc_by_class(test, classes, seed))
    cells = Weighted(test, np.ones((1, len(test.target)))).confusion[0]
    outputs = class_figures.outputs(train, test, classes, winner.note)
    return (*figures, *class_figures.confusion(cells, classes), *outputs, class_figures.calibration(two))


def _features(
    problem: TableProblem, winner: Candidate, objective: str, seed: int
) -> tuple[tuple[Figure, ...], tuple[Table, ...]]:
    from automl_phys import importance

    schema = problem.schema
    found = importance.permutation(problem.test, schema, winner.predict, objective, seed, score)
    order = [i.feature for i in found] or [*schema.numbers, *schema.levels]
    shapes = importance.distributions(problem.train, schema, order)
    if not found:
        return shapes, ()
    return (importance.figure(found, objective), *shapes), (importance.table(found, objective),)
