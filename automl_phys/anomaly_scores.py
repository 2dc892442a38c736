"""How well a score tells anomalies from normal events: numbers with their uncertainties.

Takes the truth (n,), 1 for an anomaly, scores (n,), the larger the more anomalous, and weights (n,); gives what
:mod:`automl_phys.metrics` and :mod:`automl_phys.bootstrap` make of a classifier of two classes. All that matters of a
score is the order that it puts events into. What passes a threshold is counted, with binomial intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import bootstrap, metrics
from automl_phys.errors import Mistake, RunError
from automl_phys.exhibits import Estimate
from automl_phys.metrics import Sample
from automl_phys.ranking import Floats, effective

WITH_TRUTH = ("roc_auc", "average_precision", "max_sic", "rejection@0.1", "rejection@0.3", "rejection@0.5")
"""What is measured where it is known which events are anomalies."""
CHOSEN_BY = {"stand_in_auc": "roc_auc", "region_excess": "tpr@0.02"}
"""Objectives that see no truth, and the metrics of classifiers behind them. Few events of a signal region are signal:
the whole area under the curve would be a matter of the others."""


def judge(target: NDArray[Any], score: NDArray[Any], weight: NDArray[Any]) -> Sample:
    """Rows and their scores as metrics take them: two columns, of which only the order counts.

    Raises RunError for scores of the wrong shape, NaN or infinities.
    """
    given = np.asarray(score)
    if given.shape != (len(target),):
        raise RunError(Mistake("wrong-predictions", f"Scores of shape {given.shape} for {len(target)} rows.",
                               "A detector's predict gives one score per row."))
    return metrics.sample(target, weight, np.column_stack([-given, given]), 1)


def value(name: str, target: NDArray[Any], score: NDArray[Any], weight: NDArray[Any]) -> float:
    """One metric. Raises KeyError for an unknown name, RunError for bad scores and when the rows cannot give it."""
    return metrics.value(_plain(name), judge(target, score, weight))


def estimates(names: Sequence[str], judged: Sample, seed: int) -> dict[str, Estimate]:
    """Metrics of a sample with their intervals. Raises KeyError for an unknown name."""
    found = bootstrap.estimates([_plain(name) for name in names], judged, seed)
    return {name: found[_plain(name)] for name in names}


def gain(objective: str, better: Sample, baseline: Sample, seed: int) -> Estimate:
    """By how much one score beats another in the objective on the same rows, paired; positive is better."""
    return bootstrap.gain(_plain(objective), better, baseline, seed)


def differences(names: Sequence[str], one: Sample, other: Sample, seed: int) -> dict[str, Estimate]:
    """By how much metrics of the score ``other`` are larger than those of ``one``, on the same draws of the same rows;
    without those of ``names`` that do not follow from score and truth."""
    told = [name for name in names if name in WITH_TRUTH]
    return bootstrap.differences(told, one, other, seed)


def _plain(name: str) -> str:
    """The metric of classifiers behind a name."""
    return CHOSEN_BY.get(name, name)


def passing(score: NDArray[Any], weight: NDArray[Any], threshold: float) -> Estimate:
    """The share of the weight whose score is the threshold or more, with its binomial interval (Clopper, Pearson 1934);
    of unequal weights with the effective number of events (Σw)² / Σw². NaN where weights add up to 0 or less."""
    exact = np.asarray(weight, np.float64)
    total, squares = float(exact.sum()), float((exact**2).sum())
    if total <= 0:
        return Estimate(nan, nan, nan, "undefined: no events, or weights that add up to 0 or less")
    flagged = np.asarray(score) >= threshold
    part = float(exact[flagged].sum()) / total
    events = total**2 / squares
    # a fraction of weights of both signs may leave [0, 1]
    low, high = bootstrap.clopper_pearson(min(max(part, 0.0), 1.0), events)
    return Estimate(part, min(low, part), max(high, part),
                    f"binomial (Clopper-Pearson): {int(flagged.sum())} of {len(exact)} events" + (
                        "" if np.ptp(exact) == 0 else f", {events:.0f} effective ones"))


def flagged(target: NDArray[Any] | None, score: NDArray[Any], weight: NDArray[Any], threshold: float
            ) -> dict[str, Estimate]:
    """What a threshold does: the share that it flags of all events and, with the truth, of normal ones and of
    anomalies."""
    kinds: Mapping[str, Any] = {"flagged": slice(None)}
    if target is not None:
        kinds = {"background_efficiency": target == 0, "signal_efficiency": target == 1}
    return {name: passing(score[which], weight[which], threshold) for name, which in kinds.items()}


def threshold_at(score: Floats, weight: Floats, efficiency: float) -> float:
    """The largest score that at least this share of the weight reaches or exceeds."""
    order = np.argsort(-score, kind="stable")
    sums = np.maximum.accumulate(np.cumsum(weight[order]))
    at = int(np.searchsorted(sums, efficiency * weight.sum() * (1 - 1e-12)))
    return float(score[order][min(at, len(order) - 1)])


def events(weight: Floats) -> float:
    """Effective number of events (Σw)² / Σw²; 0 where the weights do not add up to more."""
    return float(effective(np.array([weight.sum()]), np.array([(weight**2).sum()]))[0])
