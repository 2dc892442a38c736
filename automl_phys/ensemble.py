"""Weighted means of models: choosing the weights, and predicting with the models that a run saved.

Takes predictions on rows that no member was fitted on; gives weights. Greedy selection with replacement after Caruana
et al., "Ensemble selection from libraries of models" (ICML 2004); or weights by the errors alone, where the rows are
too few, or too much alike, to choose by. Fitting members is :mod:`automl_phys.worker`'s work,
deciding which are refitted :mod:`automl_phys.refit`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import registry
from automl_phys.contracts import Fitted, Portrayed
from automl_phys.telling import Tell, nobody
from automl_phys.trials import Ensemble, Member
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.exhibits import Figure
    from automl_phys.values import Array

ROUNDS = 50
PATIENCE = 10
LEAST_GAIN = 1e-6
"""Relative gain of a round that counts as one; below it the validation rows are being fitted."""
MODELS_KEPT = 64
OF_A_FAMILY = 2
"""Trials of one family among the leaders: more of them would be much the same."""


def choose(
    predictions: Sequence[Array], score: Callable[[Array], float], direction: Direction, most: int
) -> tuple[float, ...]:
    """Weights, summing to 1, of at most ``most`` candidates whose mean scores best.

    ``predictions`` are alike in shape, rows first, the best candidate first. Starts from the best one alone; each round
    adds, with replacement, the candidate that gives the mean the best score, of equals the earlier one. Ends after
    ``ROUNDS`` rounds, or ``PATIENCE`` without gain, and goes back to the earliest round that was best: a candidate
    must earn its place. ``score`` brings the event weights.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    counts = np.zeros(len(predictions), dtype=int)
    alone = [sign * score(p) for p in predictions]
    first = int(np.argmax(alone))
    counts[first] = 1
    total = np.array(predictions[first], dtype=np.float64)
    best, best_counts, since = alone[first], counts.copy(), 0
    while counts.sum() < ROUNDS and since < PATIENCE and most > 1:
        n = counts.sum() + 1
        full = np.count_nonzero(counts) >= most
        scores = {i: sign * score((total + p) / n) for i, p in enumerate(predictions) if counts[i] or not full}
        added = max(scores, key=lambda i: (scores[i], -i))
        counts[added] += 1
        total += predictions[added]
        since += 1
        if scores[added] > best + LEAST_GAIN * abs(best):
            best, best_counts, since = scores[added], counts.copy(), 0
    return tuple(float(w) for w in best_counts / best_counts.sum())


def leaders(values: Sequence[float], families: Sequence[str], share: float, most: int) -> tuple[float, ...]:
    """Weights, summing to 1, of candidates with their errors, the best first: of each family the best two that are
    worse than the best of all by no more than ``share``, at most ``most``.

    Weights are inverse to the squares of the errors (Bates, Granger 1969, Oper. Res. Quart. 20, 451). Nothing else is
    fitted: weights that are estimated from few forecasts do worse than equal ones (Smith, Wallis 2009).
    """
    taken: Counter[str] = Counter()
    weights = [0.0] * len(values)
    for i, (value, family) in enumerate(zip(values, families, strict=True)):
        near = value <= values[0] + share * abs(values[0])
        if near and taken[family] < OF_A_FAMILY and taken.total() < most:
            taken[family] += 1
            weights[i] = 1 / max(abs(value), 1e-12) ** 2
    return tuple(weight / sum(weights) for weight in weights)


def mean(predictions: Sequence[Array], weights: Sequence[float] | None = None) -> Array:
    """The weighted mean over models, summed in double precision, float32; weights need not be normalised."""
    shares = np.ones(len(predictions)) if weights is None else np.asarray(weights, dtype=np.float64)
    total = np.zeros(np.shape(predictions[0]), dtype=np.float64)
    for share, prediction in zip(shares / shares.sum(), predictions, strict=True):
        if share:
            total += share * prediction
    return total.astype(np.float32)


def predict_member(run: Path, member: Member, rows: Any) -> Array:
    """A member's prediction: the mean over its saved models."""
    return mean([model(member.family, run / folder).predict(rows) for folder in member.folders])


def predict(run: Path, ensemble: Ensemble, rows: Any, tell: Tell = nobody) -> Array:
    """The ensemble's prediction for ``rows``, float32. ``run`` is the run's directory; ``tell`` hears how many of how
    many members have predicted."""
    predicted = []
    for member in ensemble.members:
        predicted.append(predict_member(run, member, rows))
        if len(ensemble.members) > 1:
            tell(len(predicted), len(ensemble.members), "members")
    return mean(predicted, [member.weight for member in ensemble.members])


def figures(run: Path, members: Sequence[Member]) -> tuple[Figure, ...]:
    """What a model has to show of itself: of several, the heaviest member that has anything to show."""
    for member in sorted(members, key=lambda m: -m.weight):
        one = model(member.family, run / member.folders[0])
        if isinstance(one, Portrayed):
            return one.figures()
    return ()


@lru_cache(maxsize=MODELS_KEPT)
def model(family: str, folder: Path) -> Fitted:
    """A saved model, kept for the next time."""
    return registry.load("families", family).load(folder)
