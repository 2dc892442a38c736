"""Figures of a classifier on its test rows, as data.

Takes judged samples (:mod:`automl_phys.metrics`) by the name of the model, names of classes, a seed for the error
bands; gives ``exhibits.Figure``. Tables of the same are in :mod:`automl_phys.class_tables`, drawing is left to others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from automl_phys import bootstrap
from automl_phys.curves import (
    EFFICIENCIES,
    MISTAGS,
    compare,
    fpr_along,
    histogram,
    reliability,
    tpr_along,
)
from automl_phys.exhibits import Axis, Figure, Series
from automl_phys.metrics import Sample
from automl_phys.ranking import MIN_BACKGROUND, Floats

Band: TypeAlias = tuple[Floats, Floats, Floats]
"""A curve, and the lower and upper edge of its band."""

OUTPUT_EDGES: Floats = np.linspace(0.0, 1.0, 31)
MOST_CLASSES = 10
"""More classes than these get no figure each."""
FEW_CLASSES = 4
"""Up to these many, the output of a class is shown for every true class; else for it and the rest."""
BAND = "Bands: 68 % interval from the bootstrap."


def roc(judged: Mapping[str, Sample], positive: int, name: str, seed: int) -> Figure:
    """TPR against FPR of each model, ``name`` the positive class's."""
    series = [Series("chance", "line", (0.0, 1.0), (0.0, 1.0), muted=True)]
    for model, one in judged.items():
        series.append(_line(model, MISTAGS, bootstrap.band(partial(tpr_along, positive=positive), one, seed)))
    return Figure("roc", f"ROC curve, {name} against the rest", "xy",
                  Axis("Background efficiency (FPR)", low=0, high=1),
                  Axis(f"Signal efficiency (TPR), {name}", low=0, high=1), tuple(series),
                  caption=f"Up and to the left is better. {BAND}")


def roc_by_class(one: Sample, classes: Sequence[str], seed: int) -> Figure:
    """TPR against FPR of one model for each class against the rest."""
    series = [Series("chance", "line", (0.0, 1.0), (0.0, 1.0), muted=True)]
    for k, name in list(enumerate(classes))[:MOST_CLASSES]:
        series.append(_line(name, MISTAGS, bootstrap.band(partial(tpr_along, positive=k), one, seed)))
    return Figure("roc-by-class", "ROC curves, each class against the rest", "xy", Axis("FPR", low=0, high=1),
                  Axis("TPR", low=0, high=1), tuple(series), caption=f"The winner's output for each class. {BAND}")


def background_bands(judged: Mapping[str, Sample], seed: int) -> dict[str, Band]:
    """FPR along ``EFFICIENCIES`` of each model, with its band: what :func:`rejection` and :func:`significance` draw."""
    return {model: bootstrap.band(partial(fpr_along, positive=one.positive), one, seed)
            for model, one in judged.items()}


def rejection(judged: Mapping[str, Sample], name: str, bands: Mapping[str, Band], against: str = "") -> Figure:
    """1 / FPR against TPR of each model, as far as the background left is told from none."""
    series = []
    for model, one in judged.items():
        middle, low, high = bands[model]
        floor = one.ranking(one.positive).smallest_fprs(EFFICIENCIES)
        shown = middle > floor
        ends = [1 / np.maximum(v[shown], floor[shown]) for v in (middle, high, low)]
        series.append(_line(model, EFFICIENCIES[shown], ends))
    rest = against or "the rest"
    return Figure(f"rejection-{slug(against)}" if against else "rejection", f"Rejection of {rest}, signal {name}", "xy",
                  Axis(f"Signal efficiency (TPR), {name}", low=0, high=1),
                  Axis(f"Background rejection (1/FPR), {rest}", scale="log"), tuple(series),
                  caption=f"Up is better. Curves end where the background left cannot be told from none. {BAND}")


def significance(judged: Mapping[str, Sample], name: str, bands: Mapping[str, Band]) -> Figure:
    """TPR / √FPR against TPR of each model, where enough background passes."""
    series = [Series("no cut", "line", (0.0, 1.0), (1.0, 1.0), muted=True)]
    for model, one in judged.items():
        middle, low, high = bands[model]
        shown = one.ranking(one.positive).passing(middle, EFFICIENCIES) >= MIN_BACKGROUND
        ends = [EFFICIENCIES[shown] / np.sqrt(np.maximum(v[shown], 1e-12)) for v in (middle, high, low)]
        series.append(_line(model, EFFICIENCIES[shown], ends))
    return Figure("sic", "Significance improvement", "xy", Axis(f"Signal efficiency (TPR), {name}", low=0, high=1),
                  Axis("TPR / √FPR"), tuple(series),
                  caption="By how much a cut on the output raises s/√b; shown where at least "
                          f"{MIN_BACKGROUND:g} effective background events pass. {BAND}")


def confusion(cells: Floats, classes: Sequence[str]) -> tuple[Figure, Figure]:
    """Confusion matrix (K, K) of weights, and normalised by row."""
    true, predicted = (Axis(label, categories=tuple(classes)) for label in ("True class", "Predicted class"))
    return (Figure("confusion-counts", "Confusion matrix", "matrix", predicted, true,
                   matrix=tuple(_row(r) for r in cells), caption="Sums of the weights of test rows."),
            Figure("confusion-rates", "Confusion matrix, normalised by true class", "matrix", predicted, true,
                   matrix=tuple(_row(r) for r in rates(cells)),
                   caption="Each row adds up to 1; the diagonal is the recall."))


def rates(cells: Floats) -> Floats:
    """Weights by true and predicted class (…, K, K) as fractions of each true class; zeros for one that is not there,
    NaN for one whose weights add up to less than 0."""
    sums = cells.sum(axis=-1, keepdims=True)
    fractions: Floats = np.divide(cells, sums, out=np.zeros_like(cells), where=sums > 0)
    return np.where(sums < 0, np.nan, fractions)


def outputs(train: Sample, test: Sample, classes: Sequence[str], note: str) -> tuple[Figure, ...]:
    """The overtraining plots: the output for a class, by true class, in train and test rows.

    Two classes give one figure. ``note`` says what the train rows were to the model.
    """
    shown = [test.positive] if len(classes) == 2 else list(range(len(classes)))[:MOST_CLASSES]
    return tuple(_output(train, test, k, classes, note) for k in shown)


def _output(train: Sample, test: Sample, k: int, classes: Sequence[str], note: str) -> Figure:
    series, said = [], []
    for name, in_train, in_test in kinds(train, test, k, classes):
        one, other = train.probabilities[in_train, k], test.probabilities[in_test, k]
        seen = histogram(one, train.weight[in_train], OUTPUT_EDGES)
        fresh = histogram(other, test.weight[in_test], OUTPUT_EDGES)
        middle = (OUTPUT_EDGES[1:] + OUTPUT_EDGES[:-1]) / 2
        series += [Series(f"{name}, train", "filled", _row(OUTPUT_EDGES), _row(seen.density), group=name),
                   Series(f"{name}, test", "points", _row(middle), _row(fresh.density), group=name,
                          low=_row(fresh.density - fresh.error), high=_row(fresh.density + fresh.error))]
        like = compare(one, train.weight[in_train], other, test.weight[in_test], OUTPUT_EDGES)
        said.append(f"{name}: KS {like.distance:.3f} (p = {like.p_value:.2g}), χ²/ndf = {like.chi2:.0f}/{like.ndf}")
    caption = f"Unit area, errors √Σw². {'; '.join(said)}. {note}"
    return Figure(f"output-{slug(classes[k])}", f"Output for {classes[k]}, train and test", "xy",
                  Axis(f"p({classes[k]})", low=0, high=1), Axis("Density"), tuple(series), caption=caption.strip())


def kinds(train: Sample, test: Sample, k: int, classes: Sequence[str]) -> list[tuple[str, Floats, Floats]]:
    """Which rows of train and of test to show apart in the output for class ``k``: (name, in train, in test)."""
    if len(classes) <= FEW_CLASSES:
        return [(name, train.target == j, test.target == j) for j, name in enumerate(classes)]
    return [(classes[k], train.target == k, test.target == k), ("the rest", train.target != k, test.target != k)]


def calibration(judged: Mapping[str, Sample]) -> Figure:
    """Reliability curves: what was found against what was said."""
    series = [Series("ideal", "line", (0.0, 1.0), (0.0, 1.0), muted=True)]
    for model, one in judged.items():
        r = reliability(one)
        series.append(Series(model, "points", _row(r.said), _row(r.found), _row(r.low), _row(r.high)))
    two = next(iter(judged.values())).classes == 2
    return Figure("calibration", "Calibration", "xy", Axis("Mean predicted probability", low=0, high=1),
                  Axis("Fraction of signal found" if two else "Fraction of right predictions", low=0, high=1),
                  tuple(series), caption="Points below the line: the model is too sure. Bins of equal weight"
                  + (", " if two else " in the probability of the predicted class, ") + "binomial 68 % intervals.")


def slug(text: str) -> str:
    """A name as part of a file name: lower case, what is no letter or digit as one dash."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split()) or "class"


def _line(name: str, x: Floats, ends: Sequence[Floats]) -> Series:
    """A curve with its band; ``ends`` are its middle, lower and upper edge."""
    middle, low, high = (_row(end) for end in ends)
    return Series(name, "line", _row(x), middle, low, high)


def _row(values: Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
