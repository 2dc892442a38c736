"""Scores of a classifier on weighted rows, for two or more classes.

Takes true classes, event weights and predicted probabilities (a :class:`Sample`); gives numbers. Every metric is
written once, for many weightings of the same rows at a time (:class:`Weighted`): a single row of ones gives the value,
rows of Poisson counts give bootstrap replicates (:mod:`automl_phys.bootstrap`). Names, formulas and directions are in
:mod:`automl_phys.measures`. Point values agree with scikit-learn, which is not imported for it costs a second.

Weights may be negative and are summed with their signs: splitting a row into several whose weights add up to its own
changes no value. A metric is NaN where a sum that it divides by is not positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import measures
from automl_phys.errors import DataError, Mistake, RunError
from automl_phys.ranking import (
    Floats,
    Ints,
    Merit,
    Ranking,
    area,
    asimov,
    crossing,
    divide,
    precision_area,
    rank,
    sic,
)

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Sample:
    """Rows and what a model says of them.

    ``target`` class codes (n,), ``weight`` (n,), ``probabilities`` (n, K), ``signal`` a class code or None.
    ``floor`` is the smallest probability told from 0: the epsilon of the type they came in, as in scikit-learn.
    """

    target: Ints
    weight: Floats
    probabilities: Floats
    signal: int | None
    floor: float

    @property
    def classes(self) -> int:
        return len(self.probabilities[0])

    @property
    def positive(self) -> int:
        """The class that two-class metrics look for: the signal, or the last class."""
        return self.classes - 1 if self.signal is None else self.signal

    @cached_property
    def predicted(self) -> Ints:
        best: Ints = np.argmax(self.probabilities, axis=1)
        return best

    @cached_property
    def equal_weights(self) -> bool:
        return bool(np.all(self.weight == self.weight[0]))

    @cached_property
    def signed(self) -> bool:
        """Whether a weight is negative."""
        return bool(self.weight.min() < 0)

    @cached_property
    def weightless(self) -> tuple[int, ...]:
        """Classes that have rows, whose weights add up to 0 or less."""
        sums, rows = (np.bincount(self.target, w, self.classes) for w in (self.weight, np.ones(len(self.target))))
        return tuple(int(k) for k in np.flatnonzero((rows > 0) & (sums <= 0)))

    @cached_property
    def surprise(self) -> Floats:
        """-ln p(true class) of each row."""
        p = self.probabilities[np.arange(len(self.target)), self.target]
        return -np.log(np.clip(p, self.floor, 1 - self.floor))

    @cached_property
    def square(self) -> Floats:
        """Squared distance of each row's probabilities from the truth; of one probability for two classes."""
        squares: Floats = ((self.probabilities - np.eye(self.classes)[self.target]) ** 2).sum(axis=1)
        return squares / 2 if self.classes == 2 else squares

    @cached_property
    def cells(self) -> Cells:
        return group(self.target * self.classes + self.predicted)

    @cached_property
    def _rankings(self) -> dict[int, Ranking]:
        return {}

    def ranking(self, positive: int) -> Ranking:
        """Rows by falling probability of ``positive``; sorted once."""
        if positive not in self._rankings:
            self._rankings[positive] = rank(self.probabilities[:, positive], self.target == positive, self.weight)
        return self._rankings[positive]

    @cached_property
    def calibration(self) -> Calibration:
        return calibration_bins(self)

    def against(self, background: int) -> Sample:
        """Signal against one background class, told apart by p_s / (p_s + p_b); signal is class 1 of the result.

        That ratio of posteriors ranks events as the likelihood ratio of the two classes does (Neyman-Pearson).
        """
        signal = self.positive
        rows = (self.target == signal) | (self.target == background)
        pair = np.maximum(self.probabilities[rows][:, [background, signal]], np.finfo(float).tiny)
        return Sample((self.target[rows] == signal).astype(np.intp), self.weight[rows],
                      pair / pair.sum(axis=1, keepdims=True), 1, self.floor)


def sample(target: NDArray[Any], weight: NDArray[Any], predictions: NDArray[Any], signal: int | None) -> Sample:
    """A :class:`Sample` of checked predictions (n, K), n > 0. Raises RunError for a wrong shape, NaN or infinities."""
    given = np.asarray(predictions)
    if given.ndim != 2 or len(given) != len(target) or not len(given):
        raise RunError(Mistake("wrong-predictions", f"Predictions of shape {given.shape} for {len(target)} rows.",
                               "A family's predict gives one probability per row and class."))
    bad = int(np.count_nonzero(~np.isfinite(given).all(axis=1)))
    if bad:
        raise RunError(Mistake("nan-predictions", f"{bad} of {len(given)} predictions are NaN or infinite.",
                               "The fit diverged; a lower learning rate or scaled features help."))
    kind = given.dtype if np.issubdtype(given.dtype, np.floating) else np.dtype(np.float64)
    return Sample(np.asarray(target).astype(np.intp), np.asarray(weight, np.float64), given.astype(np.float64), signal,
                  float(np.finfo(kind).eps))


def value(name: str, judged: Sample) -> float:
    """One metric of a sample. Raises KeyError for an unknown name, DataError when it needs a signal and there is none,
    RunError when the rows cannot give it (no signal or no background among them)."""
    measure, _ = measures.find(name)
    if measure.needs_signal and judged.signal is None:
        raise DataError(Mistake("no-signal-class", f"'{name}' needs to know which class is the signal.",
                                "Name it under data: signal:.", ("data", "signal")))
    result = float(evaluate(name, Weighted(judged, np.ones((1, len(judged.target)))))[0])
    if not np.isfinite(result):
        raise RunError(Mistake("undefined-metric", f"'{name}' is undefined on these {len(judged.target)} rows.",
                               "They hold only one class, or weights that add up to 0 or less; a larger or stratified "
                               "part helps."))
    return result


def evaluate(name: str, rows: Weighted) -> Floats:
    """One metric for each weighting (R,); NaN where a weighting cannot give it. Raises KeyError for an unknown name."""
    measure, point = measures.find(name)
    if point is not None:
        return _AT_POINT[measure.name](rows, point)
    return _PLAIN[name](rows)


# ---------------------------------------------------------------- the rows, weighted in many ways

@dataclass(frozen=True)
class Cells:
    """Rows sorted by a code: ``order``, the codes ``present`` and where each of them ``starts``."""

    order: Ints
    present: Ints
    starts: Ints


def group(codes: Ints) -> Cells:
    order = np.argsort(codes, kind="stable")
    return Cells(order, *np.unique(codes[order], return_index=True))


class Weighted:
    """A sample with each row's weight multiplied by ``counts`` (R, n), R ways at a time. Sums are made once."""

    def __init__(self, judged: Sample, counts: NDArray[Any]) -> None:
        self.sample = judged
        self.counts = counts
        self._passed: dict[int, tuple[Floats, Floats]] = {}

    def passed(self, positive: int) -> tuple[Floats, Floats]:
        """Signal and background weight that pass each threshold, (R, thresholds) both; the last column is all."""
        if positive not in self._passed:
            ranking = self.sample.ranking(positive)
            counts = self.counts[:, ranking.order]
            every = len(ranking.ends) == len(ranking.order)
            sums = [np.cumsum(counts * w, axis=1) for w in (ranking.signal, ranking.background)]
            self._passed[positive] = (sums[0], sums[1]) if every else (sums[0][:, ranking.ends],
                                                                       sums[1][:, ranking.ends])
        return self._passed[positive]

    def mean(self, values: Floats) -> Floats:
        """Weighted mean of a per-row quantity (n,) for each weighting (R,)."""
        weight = self.sample.weight
        return divide(self.counts @ (weight * values), self.counts @ weight)

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Classes that have rows with a weight, whatever it is, (R, K)."""
        s = self.sample
        there: Floats = self.counts @ (np.abs(s.weight)[:, None] * np.eye(s.classes)[s.target])
        return there > 0

    @cached_property
    def confusion(self) -> Floats:
        """Weight by true and predicted class, (R, K, K)."""
        s = self.sample
        sums = np.zeros((len(self.counts), s.classes**2))
        sums[:, s.cells.present] = np.add.reduceat(self.counts[:, s.cells.order] * s.weight[s.cells.order],
                                                   s.cells.starts, axis=1)
        return sums.reshape(-1, s.classes, s.classes)


# ---------------------------------------------------------------- losses and decisions

def log_loss(rows: Weighted) -> Floats:
    return rows.mean(rows.sample.surprise)


def brier(rows: Weighted) -> Floats:
    """Brier (1950); for two classes halved to the one probability, as is usual."""
    return rows.mean(rows.sample.square)


def accuracy(rows: Weighted) -> Floats:
    return rows.mean((rows.sample.predicted == rows.sample.target).astype(np.float64))


def balanced_accuracy(rows: Weighted) -> Floats:
    return _mean_of_defined(rows, recall_by_class(rows))


def precision(rows: Weighted) -> Floats:
    return _signal_or_mean(rows, precision_by_class(rows))


def recall(rows: Weighted) -> Floats:
    return _signal_or_mean(rows, recall_by_class(rows))


def f1(rows: Weighted) -> Floats:
    return _signal_or_mean(rows, f1_by_class(rows))


def recall_by_class(rows: Weighted) -> Floats:
    """TP / (TP + FN), (R, K); NaN for a class without (positive) weight."""
    return divide(_diagonal(rows.confusion), rows.confusion.sum(axis=2))


def precision_by_class(rows: Weighted) -> Floats:
    """TP / (TP + FP), (R, K); 0 for a class that is there and never predicted, NaN for one that is neither."""
    c = rows.confusion
    predicted = c.sum(axis=1)
    return np.where((predicted == 0) & (c.sum(axis=2) > 0), 0.0, divide(_diagonal(c), predicted))


def f1_by_class(rows: Weighted) -> Floats:
    """Harmonic mean of precision and recall, (R, K); NaN for a class neither there nor predicted."""
    c = rows.confusion
    return divide(2 * _diagonal(c), c.sum(axis=1) + c.sum(axis=2))


def _diagonal(confusion: Floats) -> Floats:
    return np.diagonal(confusion, axis1=1, axis2=2)


def _signal_or_mean(rows: Weighted, by_class: Floats) -> Floats:
    signal = rows.sample.signal
    return _mean_of_defined(rows, by_class) if signal is None else by_class[:, signal]


def _mean_of_defined(rows: Weighted, by_class: Floats) -> Floats:
    """Mean over the classes (last axis) for which the quantity exists; NaN where negative weights made it undefined for
    a class that is there, since without that class the mean would be of another thing."""
    there = ~np.isnan(by_class)
    if rows.sample.signed:
        there |= rows.present
    return divide(np.where(there, by_class, 0.0).sum(axis=1), there.sum(axis=1).astype(np.float64))


# ---------------------------------------------------------------- calibration

@dataclass(frozen=True)
class Calibration:
    """Bins of equal weight in the predicted probability. ``bins`` (n,) is each row's bin, ``hit`` (n,) whether it was
    right, ``said`` (n,) with what probability; ``sign`` (bins,) of the gap said - hit on the sample itself."""

    bins: Ints
    said: Floats
    hit: Floats
    sign: Floats


def calibration_bins(s: Sample) -> Calibration:
    """Two classes: the positive class's probability against its presence; more: the most probable class's.

    A bin ends where the running sum of weights, ties taken together, first reaches its share.
    """
    if s.classes == 2:
        said, right = s.probabilities[:, s.positive], s.target == s.positive
    else:
        said, right = s.probabilities.max(axis=1), s.predicted == s.target
    hit = right.astype(np.float64)
    order = np.argsort(said, kind="stable")
    ranked, sums = said[order], np.cumsum(s.weight[order])
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    goals = sums[-1] * np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    reached = np.searchsorted(np.maximum.accumulate(sums[ends]), goals)
    reached = np.minimum(reached, len(ends) - 1)  # beyond the last only where all adds up to less than 0
    bins = np.searchsorted(ranked[ends][reached], said, side="left")
    return Calibration(bins, said, hit, np.sign(np.bincount(bins, s.weight * (said - hit), CALIBRATION_BINS)))


def calibration_error(rows: Weighted) -> Floats:
    """Expected calibration error (Naeini et al. 2015) in bins of equal weight.

    Replicates keep the signs that the gaps have on the sample, or their noise would be counted twice.
    """
    c = rows.sample.calibration
    return rows.mean(c.sign[c.bins] * (c.said - c.hit))


# ---------------------------------------------------------------- ranking

def roc_auc(rows: Weighted) -> Floats:
    s = rows.sample
    return area(*rows.passed(s.positive)) if s.classes == 2 else _mean_of_defined(rows, roc_auc_by_class(rows))


def roc_auc_by_class(rows: Weighted) -> Floats:
    """Each class against the rest, (R, K); NaN where either is missing."""
    return np.stack([area(*rows.passed(k)) for k in range(rows.sample.classes)], axis=1)


def average_precision(rows: Weighted) -> Floats:
    s = rows.sample
    if s.signal is not None:
        return precision_area(*rows.passed(s.signal))
    return _mean_of_defined(rows, np.stack([precision_area(*rows.passed(k)) for k in range(s.classes)], axis=1))


def tpr_at(rows: Weighted, point: float) -> Floats:
    signal, background = rows.passed(rows.sample.positive)
    return crossing(background, signal, np.array([point]))[:, 0]


def fpr_at(rows: Weighted, point: float) -> Floats:
    return crossing(*rows.passed(rows.sample.positive), np.array([point]))[:, 0]


def rejection_at(rows: Weighted, point: float) -> Floats:
    least = rows.sample.ranking(rows.sample.positive).smallest_fprs(np.array([point]))
    return 1 / np.maximum(fpr_at(rows, point), least)


def max_sic(rows: Weighted) -> Floats:
    """Significance improvement characteristic, TPR / √FPR (Gallicchio et al. 2011), at its best allowed threshold."""
    return _at_best(rows, sic)


def asimov_significance(rows: Weighted) -> Floats:
    return _at_best(rows, asimov)


def _at_best(rows: Weighted, merit: Merit) -> Floats:
    """A figure of merit at the allowed threshold that is best on the sample itself: were it sought anew in each
    replicate, noise would be taken for significance. Without an allowed threshold nothing is cut."""
    signal, background = rows.passed(rows.sample.positive)
    chosen = [rows.sample.ranking(rows.sample.positive).best[merit], -1]
    return merit(signal[:, chosen], background[:, chosen])[:, 0]


_PLAIN: dict[str, Callable[[Weighted], Floats]] = {
    f.__name__: f for f in (log_loss, roc_auc, accuracy, balanced_accuracy, average_precision, brier, f1, precision,
                            recall, calibration_error, max_sic, asimov_significance)}
_AT_POINT: dict[str, Callable[[Weighted, float], Floats]] = {
    "tpr@": tpr_at, "fpr@": fpr_at, "rejection@": rejection_at}
