"""Weighted means of models: choosing the weights, and predicting with the models that a run saved.

Takes predictions on rows that no member was fitted on; gives weights. Greedy selection with replacement after Caruana
et al., "Ensemble selection from libraries of models" (ICML 2004). Fitting members is :mod:`automl_phys.worker`'s work,
deciding which are refitted :mod:`automl_phys.refit`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import registry
from automl_phys.contracts import Fitted, Portrayed
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


def choose(
    predictions: Sequence[Array], score: Callable[[Array], float], direction: Direction, most: int,
    start: Sequence[int] = (),
) -> tuple[float, ...]:
    """Weights, summing to 1, of at most ``most`` candidates whose mean scores best.

    ``predictions`` are alike in shape, rows first, the best candidate first. Starts from the best one alone, or from
    the mean of ``start``, which stay and are two parts in three at least (after the paper's sorted initialisation,
    against choosing too sharply by rows that are few or alike). Each round adds, with replacement, the candidate that
    gives the mean the best score, of equals the earlier one. Ends after ``ROUNDS`` rounds, or ``PATIENCE`` without
    gain, and goes back to the earliest round that was best: a candidate must earn its place. ``score`` brings the event
    weights.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    counts = np.zeros(len(predictions), dtype=int)
    first = list(start)[:most] or [int(np.argmax([sign * score(p) for p in predictions]))]
    counts[first] = 1
    rounds = len(first) + -(-len(first) // 2) if start else ROUNDS
    total = np.zeros(np.shape(predictions[0]))
    for i in first:
        total += predictions[i]
    best, best_counts, since = sign * score(total / len(first)), counts.copy(), 0
    while counts.sum() < rounds and since < PATIENCE and most > 1:
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


def predict(run: Path, ensemble: Ensemble, rows: Any) -> Array:
    """The ensemble's prediction for ``rows``, float32. ``run`` is the run's directory."""
    return mean([predict_member(run, member, rows) for member in ensemble.members],
                [member.weight for member in ensemble.members])


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
