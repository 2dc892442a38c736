"""What the winner's settings come to where true anomalies are mixed into what they are trained on.

Takes a problem and the winner's fits on its variations (:class:`automl_phys.anomaly_problem.Injection`); gives of each
the metrics on the test events, and the local significance in test events of which as large a share are anomalies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import anomaly_problem, anomaly_scores, bump_hunt, table_anomalies
from automl_phys.bump_hunt import Window
from automl_phys.contracts import Replica
from automl_phys.errors import RunError

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem, AnomalyRows

NAMES = ("roc_auc", "average_precision", "max_sic")


@dataclass(frozen=True)
class Injected:
    """One fit: the ``fraction`` of anomalies among what it was trained on, the ``draw`` of these, metrics on the test,
    and the local significance ``before`` and ``after`` the cut, NaN where it cannot be had."""

    fraction: float
    draw: int
    metrics: Mapping[str, float]
    before: float
    after: float


def scan(problem: AnomalyProblem, replicas: Sequence[Replica], window: Window | None, threshold: float, seed: int
         ) -> tuple[Injected, ...]:
    """Every fit, by rising fraction. Empty without truth."""
    if not problem.has_truth:
        return ()
    test, every, found = problem.test, hunted(problem), []
    for one in replicas:
        injection = anomaly_problem.Injection.of(one.variation)
        score, metrics = np.asarray(one.predict(test)), {}
        for name in NAMES:
            try:
                metrics[name] = anomaly_scores.value(name, test.target, score, test.weight)
            except RunError:  # a test without anomalies, or without normal events
                continue
        before, after = nan, nan
        if window is not None and every.mass is not None:
            some = thinned(every.target, injection.fraction, seed + injection.draw)
            own = np.asarray(one.predict(every.take(some)))
            before, after = (_significance(every.mass[rows], every.weight[rows], window)
                             for rows in (some, some[own >= threshold]))
        found.append(Injected(injection.fraction, injection.draw, metrics, before, after))
    return tuple(sorted(found, key=lambda one: (one.fraction, one.draw)))


def hunted(problem: AnomalyProblem) -> AnomalyRows:
    """The events among which a bump is looked for, with the truth as target: those of the test; of the weakly
    supervised setting all, for no event is scored by a classifier that has seen it."""
    if problem.method != "weakly-supervised":
        return problem.test
    train, truth = problem.train, {part: problem.truth(part) for part in ("train", "valid")}
    valid = problem.held_out
    return anomaly_problem.joined(train.labelled(truth["train"]), valid.labelled(truth["valid"]), problem.test)


def thinned(target: NDArray[Any], fraction: float, seed: int) -> NDArray[np.int64]:
    """Places, rising, of all normal rows and of so many anomalies, drawn at random, that these are a fraction of all
    (or all that there are)."""
    normal, anomalies = np.flatnonzero(target == 0), np.flatnonzero(target == 1)
    wanted = min(table_anomalies.injected(len(normal), fraction), len(anomalies))
    some = np.random.default_rng([seed, len(target)]).permutation(anomalies)[:wanted]
    return np.sort(np.concatenate([normal, some]))


def _significance(mass: NDArray[Any], weight: NDArray[Any], window: Window) -> float:
    found = bump_hunt.hunt(mass, weight, window)
    return nan if isinstance(found, str) else found.significance
