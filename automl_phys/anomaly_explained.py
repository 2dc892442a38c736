"""Which events are most anomalous, and which of their features make them so.

Takes a prepared problem, the scores of its test rows and a way to score other rows; gives the events of the highest
scores, each with the mean drop of its score when the value of one feature is replaced by those of random held-out
normal events. A feature that another one stands for drops little: the explanation is the model's, not nature's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.ranking import Floats
from automl_phys.readable import cell

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem, AnomalyRows
    from automl_phys.values import Array

EVENTS = 10
DRAWS = 20
"""Normal events whose values a feature is given."""
MOST_FEATURES = 200
"""Of a table that has more, as many, spread evenly, are looked at."""
NAMED = 3


@dataclass(frozen=True)
class Cause:
    """A feature, the event's ``value`` of it, where the central 68 % of normal events lie or what most of them have
    (``usual``), and the mean ``drop`` of the score with a normal event's value instead."""

    feature: str
    value: str
    usual: str
    drop: float


@dataclass(frozen=True)
class Odd:
    """One of the most anomalous events: its ``place`` among the test rows and ``causes``, the largest drop first."""

    place: int
    score: float
    causes: tuple[Cause, ...]


def most_anomalous(problem: AnomalyProblem, score: NDArray[Any], predict: Callable[[Any], Array], seed: int,
                   count: int = EVENTS) -> tuple[Odd, ...]:
    """The test events of the highest scores (n,), each explained by one batch of rows."""
    test, normal = problem.test, problem.held_out.take(np.flatnonzero(problem.normal))
    schema = problem.schema
    names = [*schema.numbers, *schema.levels]
    chosen = np.unique(np.linspace(0, len(names) - 1, min(len(names), MOST_FEATURES)).astype(np.int64))
    rng = np.random.default_rng([seed, len(score)])
    found = []
    for place in np.argsort(-np.asarray(score), kind="stable")[:count]:
        drops: Floats = np.zeros(0)
        if len(chosen) and len(normal):
            asked = _replaced(test, int(place), normal, chosen, rng)
            told = np.asarray(predict(asked), np.float64).reshape(len(chosen), DRAWS)
            drops = float(score[place]) - told.mean(axis=1)
        causes = [_cause(int(chosen[j]), names, test, int(place), normal, schema.levels, float(drops[j]))
                  for j in np.argsort(-drops, kind="stable")[:NAMED] if drops[j] > 0]
        found.append(Odd(int(place), float(score[place]), tuple(causes)))
    return tuple(found)


def _replaced(test: AnomalyRows, place: int, normal: AnomalyRows, chosen: NDArray[np.int64],
              rng: np.random.Generator) -> AnomalyRows:
    """The event ``DRAWS`` times for each column of ``chosen``, with that column as in other events."""
    many = test.take(np.full(len(chosen) * DRAWS, place))
    numbers, categories = many.numbers, many.categories
    for j, column in enumerate(chosen):
        rows, others = slice(j * DRAWS, (j + 1) * DRAWS), rng.integers(0, len(normal), DRAWS)
        if column < numbers.shape[1]:
            numbers[rows, column] = normal.numbers[others, column]
        else:
            categories[rows, column - numbers.shape[1]] = normal.categories[others, column - numbers.shape[1]]
    return many


def _cause(column: int, names: list[str], test: AnomalyRows, place: int, normal: AnomalyRows,
           levels: Any, drop: float) -> Cause:
    numbers = test.numbers.shape[1]
    if column < numbers:
        low, high = np.quantile(normal.numbers[:, column], (0.16, 0.84))
        return Cause(names[column], _short(test.numbers[place, column]), f"{_short(low)} to {_short(high)}", drop)
    known = ("(new)", *levels[names[column]])
    codes = normal.categories[:, column - numbers]
    usual = np.bincount(codes, minlength=len(known))
    return Cause(names[column], known[int(test.categories[place, column - numbers])],
                 f"{known[int(np.argmax(usual))]} in {usual.max() / len(codes):.0%}", drop)


def _short(value: Any) -> str:
    return cell(float(f"{float(value):.3g}"))
