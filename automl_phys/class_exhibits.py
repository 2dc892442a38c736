"""What there is to see of classifiers: scores of all candidates, the verdict, tables and figures.

Takes a prepared table and candidates with class probabilities (n, K); puts together what ``class_figures``,
``class_tables``, ``importance`` and, of images, ``image_figures`` make of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot, nan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl_phys import (
    bootstrap,
    class_figures,
    class_tables,
    curves,
    image_figures,
    importance,
    leaderboard,
    measures,
    metrics,
    threshold_sweep,
)
from automl_phys.contracts import Candidate, Finished
from automl_phys.exhibits import Estimate, Evaluation, Figure, Score, Sweep, Table
from automl_phys.metrics import Sample, Weighted
from automl_phys.telling import Tell, counted, nobody, steps

if TYPE_CHECKING:
    from automl_phys.table import Rows, TableProblem
    from automl_phys.values import Array


def score(objective: str, part: Rows, predictions: Array) -> float:
    """The objective of predicted probabilities (n, K) on rows (n,), weighted.

    Raises RunError for predictions that are NaN or of the wrong shape and for a metric that the rows cannot give,
    DataError for one that needs a signal where none is named, KeyError for an unknown one.
    """
    return metrics.value(objective, judge(part, predictions))


def judge(rows: Rows, predictions: Array) -> Sample:
    """Rows and what was predicted for them, as metrics take them."""
    return metrics.sample(rows.target, rows.weight, predictions, rows.signal)


def evaluation(problem: TableProblem, candidates: Sequence[Candidate], objective: str, seed: int,
               tell: Tell = nobody) -> Evaluation:
    """What the test rows say of the candidates, the first of which is the winner, one the baseline."""
    test = {c.name: judge(problem.test, c.predictions["test"]) for c in candidates}
    baseline = next(c for c in candidates if c.role == "baseline")
    names = dict.fromkeys((*measures.names(problem.schema.signal is not None), objective))
    scores = tuple(
        Score(c.name, c.role, bootstrap.estimates(tuple(names), test[c.name], seed),
              None if c is baseline else bootstrap.gain(objective, test[c.name], test[baseline.name], seed), c.seconds)
        for c in counted(candidates, "models judged", tell))
    winner = candidates[0]
    train = judge(problem.train, winner.predictions["train"])
    board = class_tables.ranked(scores, objective)
    importances, tables_of_features = _features(problem, winner, objective, seed, tell)
    done = steps(4, "parts of the report", tell)
    compared, tables = _winner(problem, train, test[winner.name], scores[0], seed)
    done()
    figures = _performance(problem, {c.name: test[c.name] for c in (winner, baseline)}, train, winner, seed)
    done()
    images = _images(problem, winner, seed)
    done()
    sweep = _sweep(test[winner.name], problem.schema.classes, seed)
    done()
    said = leaderboard.verdict(scores[0], baseline.name, objective)
    return Evaluation(said, {**scores[0].metrics, **compared}, scores, (board, *tables, *tables_of_features),
                      (*figures, *images, *winner.figures, *importances), sweep)


def write_scores(problem: TableProblem, rows: Rows, predictions: Array, target: Path) -> None:
    """Write ``score_<class>`` for each class, ``predicted`` and what the rows carry, as parquet or, by suffix, csv.

    ``row`` is the position in the file that was read, counting from 0; the truth and the weight stand beside them
    for rows of the problem itself. Raises RunError when the disk refuses.
    """
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


def read_scores(problem: TableProblem, path: Path) -> Array:
    """The probabilities (n, K) that :func:`write_scores` wrote of test rows, as parquet. Raises CallError when the file
    is missing, damaged or of another problem."""
    from automl_phys import table_file

    return np.stack(table_file.numbers(path, [f"score_{name}" for name in problem.schema.classes]), axis=1)


def differences(names: Sequence[str], first: Finished, other: Finished, seed: int) -> Mapping[str, Estimate]:
    """By how much metrics of one run's winner are larger than those of the first's, paired on the same test rows;
    ``rejection@0.3/qcd`` is on the rows of the signal and that class. Raises as ``contracts.Paired`` says."""
    one, two = (judge(run.problem.test, read_scores(run.problem, run.scores)) for run in (first, other))
    classes = first.problem.schema.classes
    found: dict[str, Estimate] = {}
    for against, told in measures.by_part(name for name in names if _of_one_sample(name)).items():
        if against and against not in classes:
            continue
        a, b = (each.against(classes.index(against)) if against else each for each in (one, two))
        made = bootstrap.differences(told, a, b, seed)
        found |= {f"{name}/{against}" if against else name: estimate for name, estimate in made.items()}
    return found


def _of_one_sample(name: str) -> bool:
    """Whether a metric is one of classifiers that follows from the test rows alone."""
    head, at, _ = name.partition("/")[0].partition("@")
    measure = measures.OF_CLASSIFIERS.get(head + at)
    return measure is not None and measure.alone


# ---------------------------------------------------------------- what is shown

def _winner(
    problem: TableProblem, train: Sample, test: Sample, score: Score, seed: int
) -> tuple[dict[str, Estimate], tuple[Table, ...]]:
    """The winner's metrics that are more than one number of the test rows, and its tables."""
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


def _sweep(test: Sample, classes: Sequence[str], seed: int) -> Sweep | None:
    """What a threshold on the winner's output for the signal does; None for more than two classes without a signal."""
    if len(classes) > 2 and test.signal is None:
        return None
    name, rest = classes[test.positive], "the rest" if len(classes) > 2 else classes[1 - test.positive]
    even = "0.5"
    points = {f"{float(point):.0%} signal efficiency": curves.threshold_at(test, test.positive, float(point))
              for point in class_tables.WORKING_POINTS}
    return threshold_sweep.make(test, (name, rest), f"p({name})", {even: 0.5, **points}, even, seed)


def _backgrounds(one: Sample) -> list[int]:
    """Classes to reject one by one: with a signal and more than one background."""
    if one.signal is None or not 2 < one.classes <= class_figures.MOST_CLASSES:
        return []
    return [k for k in range(one.classes) if k != one.signal and (one.target == k).any()]


def _performance(
    problem: TableProblem, two: Mapping[str, Sample], train: Sample, winner: Candidate, seed: int
) -> tuple[Figure, ...]:
    test, classes = two[winner.name], problem.schema.classes
    name = classes[test.positive]
    figures: list[Figure] = []
    if test.signal is not None or len(classes) == 2:
        bands = class_figures.background_bands(two, seed)
        figures += [class_figures.roc(two, test.positive, name, seed), class_figures.rejection(two, name, bands),
                    class_figures.significance(two, name, bands)]
    for background in _backgrounds(test):
        pairs = {model: one.against(background) for model, one in two.items()}
        figures.append(class_figures.rejection(pairs, name, class_figures.background_bands(pairs, seed),
                                               classes[background]))
    if len(classes) > 2:
        figures.append(class_figures.roc_by_class(test, classes, seed))
    cells = Weighted(test, np.ones((1, len(test.target)))).confusion[0]
    outputs = class_figures.outputs(train, test, classes, winner.note)
    return (*figures, *class_figures.confusion(cells, classes), *outputs, class_figures.calibration(two))


def _images(problem: TableProblem, winner: Candidate, seed: int) -> tuple[Figure, ...]:
    """What images of each class look like, those that are taken for another class, and what the winner looks at."""
    if problem.schema.image is None:
        return ()
    classes, test = problem.schema.classes, problem.test
    found = [*image_figures.averages(problem.train, classes),
             image_figures.mistakes(test, winner.predictions["test"], classes),
             image_figures.occlusion(test, winner.predict, classes, image_figures.mean_image(problem.train), seed=seed)]
    return tuple(figure for figure in found if figure is not None)


def _features(
    problem: TableProblem, winner: Candidate, objective: str, seed: int, tell: Tell
) -> tuple[tuple[Figure, ...], tuple[Table, ...]]:
    schema = problem.schema
    if not schema.numbers and not schema.levels:
        return (), ()
    found = importance.permutation(problem.test, schema, winner.predict, objective, seed, score, tell)
    order = [i.feature for i in found] or [*schema.numbers, *schema.levels]
    shapes = importance.distributions(problem.train, schema, order)
    if not found:
        return shapes, ()
    return (importance.figure(found, objective), *shapes), (importance.table(found, objective),)
