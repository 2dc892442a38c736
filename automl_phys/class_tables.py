"""Tables of a classifier on its test rows.

Takes judged samples (:mod:`automl_phys.metrics`), scores and names of classes; gives ``exhibits.Table``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from automl_phys import bootstrap, class_figures, leaderboard
from automl_phys.class_figures import MOST_CLASSES, OUTPUT_EDGES, kinds
from automl_phys.curves import compare, threshold_at
from automl_phys.exhibits import Estimate, Score, Table
from automl_phys.metrics import Sample, Weighted, f1_by_class, precision_by_class, recall_by_class, roc_auc_by_class
from automl_phys.ranking import Floats
from automl_phys.readable import estimate

WORKING_POINTS = ("0.1", "0.3", "0.5", "0.7", "0.9")


def ranked(scores: Sequence[Score], objective: str) -> Table:
    """The leaderboard of classifiers."""
    beside = [name for name in ("log_loss", "roc_auc", "accuracy") if name != objective]
    return leaderboard.table(scores, objective, beside, "Model", " (test)",
                             "Gains are positive when better, paired on the same test rows.")


def working_points(one: Sample, name: str, against: str, seed: int) -> Table:
    """Cuts on the output for the signal: threshold, what background passes, rejection."""
    asked = [f"{kind}@{point}" for point in WORKING_POINTS for kind in ("fpr", "rejection")]
    found = bootstrap.estimates(asked, one, seed)
    rows = tuple((f"{float(p):.0%}", threshold_at(one, one.positive, float(p)), estimate(found[f"fpr@{p}"]),
                  estimate(found[f"rejection@{p}"]), found[f"rejection@{p}"].note) for p in WORKING_POINTS)
    return Table(f"Working points, {name} against {against}",
                 ("Signal efficiency", "Threshold", "Background efficiency", "Rejection 1/FPR", "Interval"), rows)


def by_class(one: Sample, classes: Sequence[str], seed: int) -> Table:
    """Precision, recall, F1 and AUC of each class, with what there is of it."""
    def columns(rows: Weighted) -> Floats:
        return np.concatenate([precision_by_class(rows), recall_by_class(rows), f1_by_class(rows),
                               roc_auc_by_class(rows)], axis=1)

    ends = zip(*bootstrap.band(columns, one, seed), strict=True)
    cells = np.array([estimate(Estimate(float(v), float(a), float(b))) for v, a, b in ends]).reshape(4, -1)
    rows: list[tuple[str | float, ...]] = []
    for k, name in enumerate(classes):
        weights = one.weight[one.target == k]
        rows.append((name, *(str(c) for c in cells[:, k]), len(weights), float(weights.sum())))
    return Table("By class", ("Class", "Precision", "Recall", "F1", "ROC AUC, one against rest", "Rows", "Σ w"),
                 tuple(rows))


def confusion(one: Sample, classes: Sequence[str], seed: int) -> Table:
    """Fractions of each true class by predicted class."""
    def rates(rows: Weighted) -> Floats:
        return class_figures.rates(rows.confusion).reshape(len(rows.confusion), -1)

    ends = zip(*bootstrap.band(rates, one, seed), strict=True)
    cells = np.array([estimate(Estimate(float(v), float(a), float(b))) for v, a, b in ends]).reshape(len(classes), -1)
    rows = tuple((name, *(str(c) for c in row)) for name, row in zip(classes, cells, strict=True))
    head = ("True class", *(f"as {name}" for name in classes))
    return Table("Confusion", head, rows, "Fractions of each true class.")


def likeness(train: Sample, test: Sample, classes: Sequence[str]) -> tuple[Table, float]:
    """Train against test output for every class, and the smallest KS probability times the number of comparisons."""
    rows: list[tuple[str | float, ...]] = []
    chances = []
    for k in [test.positive] if len(classes) == 2 else range(min(len(classes), MOST_CLASSES)):
        for name, in_train, in_test in kinds(train, test, k, classes):
            like = compare(train.probabilities[in_train, k], train.weight[in_train],
                           test.probabilities[in_test, k], test.weight[in_test], OUTPUT_EDGES)
            chances.append(like.p_value)
            rows.append((f"p({classes[k]})", name, like.distance, like.p_value, like.chi2, like.ndf))
    known = [p for p in chances if isfinite(p)]
    table = Table("Train against test", ("Output", "True class", "KS distance", "KS p-value", "χ²", "ndf"), tuple(rows),
                  "A small p-value says that the output differs between rows that were fitted and rows that were not.")
    return table, min(1.0, min(known) * len(known)) if known else float("nan")
