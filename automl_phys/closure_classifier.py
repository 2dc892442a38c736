"""What classifiers tell of generated events: whether they can be told from real ones, and what they are good for.

Takes :class:`~automl_phys.closure_sample.Sample`; gives estimates. Classifiers see columns, derived quantities and
pixels, and what tells real from generated the label too; every event is judged by one that has not seen it. One thread,
so that results are the same for a seed. Errors of an area under the ROC curve are those of DeLong et al., Biometrics 44
(1988) 837, with weights.

Sources: two-sample tests with classifiers, Lopez-Paz, Oquab, ICLR 2017 (arXiv:1610.06545); as a measure of generators
in physics, Krause, Shih, Phys. Rev. D 107 (2023) 113003. Train on synthetic, test on real: Esteban et al. 2017
(arXiv:1706.02633).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from math import nan, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from automl_phys.closure_sample import Floats, Sample, deviations, estimate, moments, thinned
from automl_phys.exhibits import Estimate
from automl_phys.values import Array

Learner = Literal["trees", "mlp"]
Rows = NDArray[np.intp]

MOST = {"trees": 20_000, "mlp": 10_000}
"""Most events of each kind that are looked at."""
CELLS = 8_000_000
"""Most events times columns: fewer events of large images."""
FEWEST_ROWS = 10
"""Events of each kind below which nothing can be learned."""
JUDGED = 5
"""One in so many events that are learned from says when to stop."""
TREES = {"verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True, "num_leaves": 31,
         "feature_fraction": 0.8}
PATIENCE = 25
"""Trees without a better judgement after which no more are grown."""
MANY_CLASSES = 20
TWICE = sqrt(2)
"""By how much errors of folds exceed those of independent ones, at most: two events of different folds are trained on
and judged one by the other both ways, so that what they have in common by chance counts twice."""
HIDDEN = (64, 64)
FAR = 6.0
"""Standard deviations at which columns are cut off for networks."""
LEARNT_ROWS = 10_000
"""Most events that labels are learned from."""


@dataclass(frozen=True)
class Effort:
    """How hard to try: folds, most trees of each and their learning rate, most epochs of a network, most events of each
    kind (0 for as many as ``MOST`` says)."""

    folds: int = 5
    trees: int = 400
    rate: float = 0.1
    epochs: int = 60
    rows: int = 0


THOROUGH = Effort()
QUICK = Effort(folds=3, trees=150, rate=0.15, epochs=25, rows=8000)


def told_apart(
    real: Sample, made: Sample, seed: int, learner: Learner = "trees", effort: Effort = THOROUGH,
) -> Estimate:
    """The area under the ROC curve of a classifier that tells generated from real events: 0.5 if it cannot, 1 if it
    always can. Both kinds weigh the same in all; areas are of each fold, their mean is what is given. Labels are seen
    where both have them, so that events of the wrong class are found."""
    most = effort.rows or MOST[learner]
    most = max(FEWEST_ROWS, min(most, CELLS // (2 * max(1, _columns(real.take(slice(0, 1))).shape[1]))))
    real, made = thinned(real, most, seed), thinned(made, most, seed + 1)
    if min(len(real), len(made)) < FEWEST_ROWS:
        return estimate(nan, nan, f"less than {FEWEST_ROWS} events of a kind")
    columns = np.concatenate([_columns(real), _columns(made)])
    if real.label is not None and made.label is not None:
        columns = np.hstack([columns, _codes(np.concatenate([real.label, made.label]), len(real.classes))])
    target = np.repeat([0, 1], [len(real), len(made)])
    weight = np.concatenate([np.asarray(one.weight, np.float64) / float(np.mean(one.weight)) * (
        (len(real) + len(made)) / 2 / len(one)) for one in (real, made)])
    fold = _dealt(target, effort.folds, seed)
    areas, added = [], []
    for one in range(effort.folds):
        learnt, own = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
        if learner == "trees":
            told = trees(columns, target, weight, learnt, own, 1, effort, seed + one)[:, 1]
        else:
            told = _network(columns, target, weight, learnt, own, effort, seed + one)
        area_, spread = area(told, target[own] == 1, weight[own])
        areas.append(area_)
        added.append(spread)
    error = TWICE * sqrt(sum(float(spread @ spread) for spread in added)) / effort.folds
    return estimate(float(np.mean(areas)), error,
                    f"√2 DeLong, {effort.folds} folds; {len(real)} real, {len(made)} generated events")


def prior_shift(real: Sample, made: Sample, train: Sample, seed: int) -> Estimate:
    """How much the shares of classes differ, ½ Σₖ |pₖ - qₖ|, p and q the mean probabilities that a classifier trained
    on training events gives to real and to generated ones. The error is that of the means, the signs held fixed."""
    if not _labelled(train):
        return estimate(nan, nan, "needs two classes among the training events")
    real, made, train = _without_label(real, made, train)
    learnt = thinned(_known(train), LEARNT_ROWS, seed)
    ones, others = thinned(real, MOST["trees"], seed), thinned(made, MOST["trees"], seed + 1)
    both = np.concatenate([_columns(ones), _columns(others)])
    told = _classes(learnt, both, seed)
    of_real, of_made = told[:len(ones)], told[len(ones):]
    weights = [np.asarray(one.weight, np.float64) for one in (ones, others)]
    gap = np.average(of_made, axis=0, weights=weights[1]) - np.average(of_real, axis=0, weights=weights[0])
    added = [deviations(one @ np.sign(gap) / 2, weight)
             for one, weight in zip((of_real, of_made), weights, strict=True)]
    return estimate(float(np.abs(gap).sum()) / 2, sqrt(sum(float(one @ one) for one in added)),
                    f"standard error over events; classifier trained on {len(learnt)} events")


def train_on_synthetic(real: Sample, made: Sample, train: Sample, seed: int) -> Estimate:
    """The mean over classes of the area under the ROC curve, one against the rest, on real events: of a classifier
    trained on generated ones, over that of one trained on as many training events. 1 if these are as good to learn
    from. The error is that over the same real events (DeLong), not that of another training."""
    if not (_labelled(made) and _labelled(train) and _labelled(real)):
        return estimate(nan, nan, "needs two classes among generated, training and test events")
    real, made, train = (_known(one) for one in _without_label(real, made, train))
    rows = min(len(made), len(train), LEARNT_ROWS)
    made, train = thinned(made, rows, seed), thinned(train, rows, seed + 1)
    real = thinned(real, MOST["trees"], seed)
    label, weight = np.asarray(real.label), np.asarray(real.weight, np.float64)
    columns = _columns(real)
    found = []
    for learnt in (made, train):
        told = _classes(learnt, columns, seed)
        of_classes = [area(told[:, k], label == k, weight) for k in np.unique(label)]
        found.append((float(np.mean([value for value, _ in of_classes])),
                      np.mean([added for _, added in of_classes], axis=0)))
    (synthetic, added), (genuine, also) = found
    if not genuine > 0:
        return estimate(nan, nan, "undefined on these events")
    ratio = synthetic / genuine
    spread = (added - ratio * also) / genuine
    return estimate(ratio, sqrt(float(spread @ spread)),
                    f"ratio of ROC AUC {synthetic:.4f} and {genuine:.4f}, DeLong; {rows} events to learn from")


def area(scores: Floats, positive: NDArray[np.bool_], weight: Floats) -> tuple[float, Floats]:
    """The weighted area under the ROC curve, ties count half, and what each row adds to its error: the squares add up
    to DeLong's variance. NaN where one kind is missing."""
    found = np.zeros(len(scores))
    places = []
    for own, sign in ((positive, 1.0), (~positive, -1.0)):
        order = np.argsort(scores[~own], kind="stable")
        others = scores[~own][order]
        passed = np.concatenate([[0.0], np.cumsum(weight[~own][order])])
        if not (passed[-1] > 0 and weight[own].sum() > 0):
            return nan, found
        below = passed[np.searchsorted(others, scores[own], "left")]
        upto = passed[np.searchsorted(others, scores[own], "right")]
        share = (below + upto) / 2 / passed[-1]
        places.append(share if sign > 0 else 1 - share)
        found[own] = deviations(places[-1], weight[own])
    return float(weight[positive] @ places[0] / weight[positive].sum()), found


# ---------------------------------------------------------------- learning

def _columns(sample: Sample) -> NDArray[np.float32]:
    """What classifiers see (n, D): columns, derived quantities, pixels; NaN for what is not finite."""
    parts = [np.asarray(sample.values, np.float32)]
    if sample.derived:
        parts.append(np.column_stack([np.asarray(one, np.float32) for one in sample.derived.values()]))
    if sample.pixels is not None:
        parts.append(np.asarray(sample.pixels, np.float32))
    joined = np.hstack(parts)
    return np.where(np.isfinite(joined), joined, np.float32(nan))


def _codes(label: Array, classes: int) -> NDArray[np.float32]:
    """Labels (n,) as one column for each class; as the code itself of many classes."""
    if classes > MANY_CLASSES:
        return np.asarray(label, np.float32)[:, None]
    return np.asarray(np.asarray(label)[:, None] == np.arange(classes), np.float32)


def _dealt(target: Array, parts: int, seed: int) -> Rows:
    """A part for each row, of each class about as many."""
    rng = np.random.default_rng(seed)
    found = np.empty(len(target), np.intp)
    for kind in np.unique(target):
        rows = np.flatnonzero(target == kind)
        found[rows] = rng.permutation(len(rows)) % parts
    return found


def trees(
    columns: NDArray[np.float32], target: Array, weight: Floats, learnt: Rows, asked: Rows, classes: int,
    effort: Effort, seed: int,
) -> Floats:
    """Probabilities (n, classes), or (n, 2) for ``classes`` = 1, of the rows ``asked`` from boosted trees that learn
    from the rows ``learnt``."""
    import lightgbm

    judge = _dealt(target[learnt], JUDGED, seed) == 0
    fitted, judged = learnt[~judge], learnt[judge]
    settings = {**TREES, "learning_rate": effort.rate, "seed": seed % 2**31,
                "min_data_in_leaf": int(np.clip(len(fitted) // 50, 2, 40)),
                **({"objective": "binary"} if classes == 1 else {"objective": "multiclass", "num_class": classes})}
    data = lightgbm.Dataset(columns[fitted], target[fitted], weight=weight[fitted], params=settings)
    booster = lightgbm.train(
        settings, data, effort.trees,
        [lightgbm.Dataset(columns[judged], target[judged], weight=weight[judged], reference=data)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)])
    told = np.asarray(booster.predict(columns[asked]), np.float64)
    return np.column_stack([1 - told, told]) if classes == 1 else told


def _network(
    columns: NDArray[np.float32], target: Array, weight: Floats, learnt: Rows, asked: Rows, effort: Effort, seed: int,
) -> Floats:
    """The probability (n,) of being generated, of the rows ``asked``, from a network of two hidden layers."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    means, spreads = moments(np.asarray(columns[learnt], np.float64), weight[learnt])
    scaled = np.clip(np.nan_to_num((columns - means) / spreads), -FAR, FAR).astype(np.float32)
    network = MLPClassifier(
        HIDDEN, batch_size=min(256, max(1, len(learnt) * 4 // 5)), learning_rate_init=2e-3, max_iter=effort.epochs,
        early_stopping=len(learnt) >= 100, n_iter_no_change=8, random_state=seed % 2**31)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it stops when told to
        network.fit(scaled[learnt], target[learnt], sample_weight=weight[learnt])
        return np.asarray(network.predict_proba(scaled[asked])[:, 1], np.float64)


# ---------------------------------------------------------------- labels

def _labelled(sample: Sample) -> bool:
    return sample.label is not None and len(np.unique(sample.label[sample.label >= 0])) > 1


def _known(sample: Sample) -> Sample:
    """The events that have a label."""
    return sample if sample.label is None else sample.take(np.asarray(sample.label) >= 0)


def _without_label(real: Sample, made: Sample, train: Sample) -> tuple[Sample, Sample, Sample]:
    """The samples without columns that are the label itself, which would tell it."""
    label = np.asarray(train.label)
    kept = [j for j, discrete in enumerate(train.discrete)
            if not (discrete and np.array_equal(np.asarray(train.values[:, j]), label))]

    def without(one: Sample) -> Sample:
        return replace(one, values=one.values[:, kept], names=tuple(one.names[j] for j in kept),
                       discrete=tuple(one.discrete[j] for j in kept))

    return without(real), without(made), without(train)


def _classes(learnt: Sample, columns: NDArray[np.float32], seed: int) -> Floats:
    """Probabilities (n, classes) of rows, learned from a sample with labels."""
    count = max(len(learnt.classes), int(np.max(learnt.label)) + 1 if learnt.label is not None else 0)
    own = _columns(learnt)
    rows = np.arange(len(own))
    every = np.concatenate([own, columns])
    target = np.concatenate([np.asarray(learnt.label), np.zeros(len(columns), np.intp)])
    weight = np.asarray(learnt.weight, np.float64)
    effort = Effort(trees=100, rate=0.1)
    return trees(every, target, weight / weight.mean(), rows, len(own) + np.arange(len(columns)), count, effort, seed)
