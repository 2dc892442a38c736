"""Task ``classify``: tell two or more classes apart on a table, with event weights in everything.

Takes a recipe's ``data`` and finished models; gives a prepared table, scores, and what the test rows say. Tables are
:mod:`automl_phys.table`'s work, metrics :mod:`automl_phys.metrics`'s; what is shown is
:mod:`automl_phys.class_exhibits`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import measures
from automl_phys.contracts import Candidate, Finished
from automl_phys.errors import Mistake
from automl_phys.exhibits import Estimate, Evaluation
from automl_phys.facts import Facts
from automl_phys.section import Section
from automl_phys.sections import LabelledTable
from automl_phys.telling import Tell, nobody
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.column_profiles import Looked
    from automl_phys.drafting import Drafted
    from automl_phys.onnx_outputs import Output
    from automl_phys.onnx_rows import OnnxRows
    from automl_phys.table import NewRows, Rows, TableProblem
    from automl_phys.values import Array

TEXT = "tell two or more classes apart, on tables or images, with event weights in everything"
DEFAULT_FAMILIES = ("linear", "boosted_trees", "extra_trees", "mlp")
FAMILIES_OF_IMAGES = ("linear", "boosted_trees", "cnn")
DEFAULT_OBJECTIVE = "log_loss"
BASELINE = "linear"
EXAMPLE = Facts("table", {"train": 10_000, "valid": 3_000, "test": 3_000},
                {"numbers": 20, "categories": 5, "levels": 50, "outputs": 3, "folds": 0})
REPLICAS = 0
REPLICATED = "winner"
LEADERS = 0.0
FRAMEWORK = ""
OBJECTIVES: Mapping[str, Direction] = measures.Objectives()


class Options(Section):
    """The sections of a recipe that belong to this task."""

    data: LabelledTable


def families(options: Options, asked: Sequence[str]) -> Sequence[str]:
    """The families asked for, or all that can classify a table, or images."""
    return asked or (FAMILIES_OF_IMAGES if options.data.images else DEFAULT_FAMILIES)


def refuse(objective: str, facts: Facts) -> Mistake | None:
    """Metrics of a signal need one named, where there are more than two classes."""
    return measures.refused(objective, bool(facts.sizes.get("signal", 1)))


def overrides(options: Options) -> Mapping[str, Mapping[str, Any]]:
    """Nothing: this task's own sections say nothing of families."""
    return {}


def draft(data: Drafted, looked: Looked, target: str | None) -> Mapping[str, Drafted]:
    """Which column tells the classes, and what is learned from. Raises CallError for what cannot be guessed."""
    from automl_phys import drafting

    found = drafting.put_labels(data, looked, target)
    taken = [found.name, *drafting.put_weight(data, looked, [found.name], found)]
    features = drafting.put_inputs(data, looked, taken, found)
    drafting.put_cut(data, looked, found, features)
    drafting.put_split(data)
    return {}


def look(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> Facts:
    """Facts from the header and the target. Raises DataError with all mistakes."""
    from automl_phys import table

    return table.look(options.data, folder, seed, tell)


def prepare(options: Options, folder: Path, target: Path, seed: int, tell: Tell = nobody) -> TableProblem:
    """Read, check, split and write the table into ``target``. Raises DataError with all mistakes."""
    from automl_phys import table

    return table.prepare(options.data, folder, target, seed, tell=tell)


def fingerprint(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> str:
    """Hash of all that decides the prepared table. Raises DataError."""
    from automl_phys import table

    return table.fingerprint(options.data, folder, seed, tell=tell)


def load(folder: Path) -> TableProblem:
    """Open a prepared table. Raises CallError when it is not there or damaged."""
    from automl_phys import table

    return table.load(folder)


def read_new(problem: TableProblem, source: Path, tell: Tell = nobody) -> NewRows:
    """New data with the columns of the training data. Raises DataError."""
    from automl_phys import table

    return table.read_new(problem, source, tell)


def score(objective: str, part: Rows, predictions: Array) -> float:
    """The objective of predicted probabilities (n, K) on rows (n,), weighted.

    Raises RunError for predictions that are NaN or of the wrong shape and for a metric that the rows cannot give,
    DataError for one that needs a signal where none is named, KeyError for an unknown one.
    """
    from automl_phys import class_exhibits

    return class_exhibits.score(objective, part, predictions)


def calibrate(
    problem: TableProblem, part: Rows, predictions: Array, predict: Callable[[Rows], Array] | None = None
) -> Mapping[str, Any]:
    """Nothing: probabilities are used as they come."""
    return {}


def evaluate(problem: TableProblem, candidates: Sequence[Candidate], objective: str,
             calibration: Mapping[str, Any], seed: int, tell: Tell = nobody) -> Evaluation:
    """What the test rows say of the candidates, the first of which is the winner, one the baseline."""
    from automl_phys import class_exhibits

    return class_exhibits.evaluation(problem, candidates, objective, seed, tell)


def same_events(one: TableProblem, other: TableProblem) -> bool:
    """Whether the test rows are the same events, as :mod:`automl_phys.table_events` tells."""
    from automl_phys import table_events

    return table_events.same(one, other)


def differences(names: Sequence[str], first: Finished, other: Finished, seed: int) -> Mapping[str, Estimate]:
    """Differences of metrics, paired on the same test rows; see :func:`automl_phys.class_exhibits.differences`."""
    from automl_phys import class_exhibits

    return class_exhibits.differences(names, first, other, seed)


def write_scores(
    problem: TableProblem, rows: Rows, predictions: Array, calibration: Mapping[str, Any], target: Path
) -> None:
    """Write ``score_<class>`` for each class, ``predicted`` and what the rows carry; see
    :func:`automl_phys.class_exhibits.write_scores`. Raises RunError when the disk refuses."""
    from automl_phys import class_exhibits

    class_exhibits.write_scores(problem, rows, predictions, target)


def write_onnx(rows: OnnxRows, predicted: str, calibration: Mapping[str, Any]) -> tuple[Output, ...]:
    """The probabilities, as :func:`write_scores` writes them."""
    from automl_phys import onnx_outputs

    return onnx_outputs.classes(rows, predicted)
