"""What the features do: how much the score drops when one is shuffled, and how they are distributed by class.

Takes rows of a table and a way to predict them; gives importances, figures and a table. Cost is bounded by counts, not
by the clock, so that the same seed gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl_phys import measures
from automl_phys.class_figures import slug
from automl_phys.curves import histogram
from automl_phys.errors import RunError
from automl_phys.exhibits import Axis, Figure, Series, Table
from automl_phys.ranking import Floats
from automl_phys.telling import Tell, counted, nobody

if TYPE_CHECKING:
    from automl_phys.table import Rows, Schema
    from automl_phys.values import Array

REPEATS = 5
MOST_ROWS = 4000
MOST_PREDICTIONS = 20_000
"""Rows predicted in all, whatever the number of features."""
MOST_DRAWN = 1_000_000
"""Rows, spread evenly over the data, that distributions are drawn of."""
MOST_FEATURES = 12
BINS = 40


@dataclass(frozen=True)
class Importance:
    """Drop of the objective when a feature is shuffled: mean and standard deviation over the repeats."""

    feature: str
    drop: float
    spread: float


def permutation(rows: Rows, schema: Schema, predict: Callable[[Rows], Array], objective: str, seed: int,
                score: Callable[[str, Rows, Array], float], tell: Tell = nobody) -> tuple[Importance, ...]:
    """Permutation importance (Breiman 2001), the most important first; empty where the rows cannot be scored.

    ``score`` is the task's. A feature that another one stands for drops little: the importance is the model's, not
    nature's.
    """
    rng = np.random.default_rng(seed)
    features = [*schema.numbers, *schema.levels]
    most = min(MOST_ROWS, max(200, MOST_PREDICTIONS // (REPEATS * max(1, len(features)))))
    some = rows.take(np.sort(rng.permutation(len(rows))[:most]))
    sign = 1.0 if measures.find(objective)[0].direction == "maximize" else -1.0
    try:
        whole = score(objective, some, predict(some))
    except RunError:  # too few rows of one class for this objective
        return ()
    found = []
    for column, feature in enumerate(counted(features, "features shuffled", tell)):
        shuffled = np.asarray(predict(_shuffled(some, column, rng)))
        parts = np.split(shuffled, REPEATS)
        drops = [sign * (whole - score(objective, some, part)) for part in parts]
        found.append(Importance(feature, float(np.mean(drops)), float(np.std(drops, ddof=1))))
    return tuple(sorted(found, key=lambda i: -i.drop))


def _shuffled(rows: Rows, column: int, rng: np.random.Generator) -> Rows:
    """``REPEATS`` copies of the rows one after the other, in each one column shuffled anew."""
    many = rows.take(np.tile(np.arange(len(rows)), REPEATS))
    numbers = many.numbers.shape[1]
    block = many.numbers if column < numbers else many.categories
    place = column if column < numbers else column - numbers
    block[:, place] = np.concatenate([rng.permutation(part) for part in np.split(block[:, place], REPEATS)])
    return many


def figure(found: Sequence[Importance], objective: str) -> Figure:
    """Bars of the most important features."""
    shown = found[:20]
    series = Series("drop", "bars", tuple(float(i) for i in range(len(shown))), tuple(i.drop for i in shown),
                    tuple(i.drop - i.spread for i in shown), tuple(i.drop + i.spread for i in shown))
    return Figure("importance", "Permutation importance", "xy",
                  Axis("Feature", categories=tuple(i.feature for i in shown)),
                  Axis(f"{measures.label(objective)}: worse by"), (series,), section="Features",
                  caption="By how much the winner gets worse on test rows when one feature is shuffled; bars: spread "
                          f"over {REPEATS} shuffles. Of an ensemble the heaviest members are asked. Features that "
                          "stand for one another share their importance.")


def table(found: Sequence[Importance], objective: str) -> Table:
    return Table("Permutation importance", ("Feature", f"{measures.label(objective)}: worse by", "Spread"),
                 tuple((i.feature, round(i.drop, 5), round(i.spread, 5)) for i in found))


def distributions(rows: Rows, schema: Schema, features: Sequence[str]) -> tuple[Figure, ...]:
    """Each feature by class: weighted, unit area; ``features`` in the order to be shown."""
    some = rows.take(slice(None, None, max(1, len(rows) // MOST_DRAWN)))
    return tuple(_number(some, schema, f) if f in schema.numbers else _category(some, schema, f)
                 for f in features[:MOST_FEATURES])


def _number(rows: Rows, schema: Schema, feature: str) -> Figure:
    values = np.asarray(rows.numbers[:, schema.numbers.index(feature)], np.float64)
    known = np.isfinite(values)
    low, high = np.quantile(values[known], (0.001, 0.999)) if known.any() else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    series = []
    for k, name in enumerate(schema.classes):
        chosen = known & (rows.target == k)
        h = histogram(values[chosen], np.asarray(rows.weight[chosen], np.float64), edges)
        series.append(Series(name, "steps", _row(edges), _row(h.density), _row(h.density - h.error),
                             _row(h.density + h.error), group=name))
    return _of_feature(feature, Axis(feature), series)


def _category(rows: Rows, schema: Schema, feature: str) -> Figure:
    levels = ("(new)", *schema.levels[feature])
    codes = rows.categories[:, list(schema.levels).index(feature)]
    edges: Floats = np.arange(len(levels) + 1, dtype=np.float64) - 0.5
    series = []
    for k, name in enumerate(schema.classes):
        chosen = rows.target == k
        h = histogram(codes[chosen].astype(np.float64), np.asarray(rows.weight[chosen], np.float64), edges)
        series.append(Series(name, "steps", _row(edges), _row(h.density), _row(h.density - h.error),
                             _row(h.density + h.error), group=name))
    return _of_feature(feature, Axis(feature, categories=levels), series)


def _of_feature(feature: str, axis: Axis, series: Sequence[Series]) -> Figure:
    return Figure(f"feature-{slug(feature)}", feature, "xy", axis, Axis("Density"), tuple(series), section="Features",
                  caption="Train rows, unit area for each class, errors √Σw²; the outermost 0.1 % are not shown.")


def _row(values: Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
