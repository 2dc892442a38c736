"""Figures of predicted amounts on test rows, as data.

Takes what models say of rows (:mod:`automl_phys.amount_scores`, one target at a time) and names; gives
``exhibits.Figure``. Tables of the same are in :mod:`automl_phys.amount_tables`, drawing is left to others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from automl_phys import round_bins
from automl_phys.amount_scores import Judged, half_widths, means
from automl_phys.bootstrap import CELLS, counts, percentiles
from automl_phys.class_figures import slug
from automl_phys.curves import histogram
from automl_phys.exhibits import Axis, Figure, Series
from automl_phys.ranking import Floats

BINS = 40
FEWEST_BINS = 10
"""Of predicted against true, however few the rows."""
CERTAIN = 2
"""Times its error that a column of signed weights must add up to, to be shown."""
GROUPS = 12
"""Bins of equal weight of the true value, in which bias and resolution are shown."""
FEWEST = 20
"""Rows that a bin needs to have a resolution, or a column of predicted against true on average."""
REPLICATES = 100


def predicted_against_true(one: Judged, name: str) -> Figure:
    """Where rows of a true value are predicted, as shares of each column, high values on top.

    The outermost 0.5 % of the true values are left out; predictions beyond are in the outermost cells. A column is
    empty where signed weights all but cancel: shares of next to nothing would outshine the rest.
    """
    truth, value = one.target[:, 0], one.value[:, 0]
    low, high = (float(x) for x in np.quantile(truth, (0.005, 0.995)))
    bins = min(BINS, max(FEWEST_BINS, len(truth) // FEWEST))
    middles, ticks = round_bins.of(low, high if high > low else low + 1, bins)
    half = (middles[1] - middles[0]) / 2
    edges = np.append(middles - half, middles[-1] + half)
    cells, _, _ = np.histogram2d(np.clip(value, edges[0], edges[-1]), truth, (edges, edges), weights=one.weight)
    sums = cells.sum(axis=0)
    errors = np.sqrt(np.histogram(truth, edges, weights=one.weight**2)[0])
    signed = bool((one.weight < 0).any())
    shares = np.divide(cells, sums, out=np.zeros_like(cells), where=sums > (CERTAIN * errors if signed else 0))
    return Figure(f"predicted-{slug(name)}", f"Predicted against true {name}", "matrix",
                  Axis(f"True {name}", categories=ticks), Axis(f"Predicted {name}", categories=ticks[::-1]),
                  matrix=tuple(_row(row) for row in shares[::-1]),
                  caption="Each column adds up to 1: where the test rows of one true value end up. Right is on "
                          "the rising diagonal.")


def residuals(judged: Mapping[str, Judged], train: Judged, name: str, note: str) -> Figure:
    """Predicted less true of each model on test rows, and of the winner on train rows."""
    first = next(iter(judged.values()))
    low, high = np.quantile(first.residual[:, 0], (0.005, 0.995))
    reach = max(abs(low), abs(high)) or 1.0
    edges = np.linspace(-reach, reach, BINS + 1)
    series = [_histogram(f"{model}, test", one.residual[:, 0], one.weight, edges, group=model)
              for model, one in judged.items()]
    seen = histogram(train.residual[:, 0], train.weight, edges)
    series.insert(0, Series(f"{next(iter(judged))}, train", "filled", _row(edges), _row(seen.density),
                            group=next(iter(judged))))
    return Figure(f"residual-{slug(name)}", f"Residual of {name}", "xy", Axis(f"Predicted - true {name}"),
                  Axis("Density"), tuple(series), caption=f"Unit area within the figure, errors √Σw². {note}".strip())


def pulls(judged: Mapping[str, Judged], name: str) -> Figure:
    """Residual over the model's own uncertainty, beside the standard normal."""
    edges = np.linspace(-5, 5, BINS + 1)
    x = np.linspace(-5, 5, 101)
    series = [Series("standard normal", "line", _row(x), _row(np.exp(-x**2 / 2) / sqrt(2 * pi)), muted=True)]
    series += [_histogram(model, one.residual[:, 0] / one.sigma[:, 0], one.weight, edges, group=model)
               for model, one in judged.items()]
    return Figure(f"pull-{slug(name)}", f"Pull of {name}", "xy", Axis("(Predicted - true) / σ", low=-5, high=5),
                  Axis("Density"), tuple(series),
                  caption="As wide as the standard normal: the stated uncertainties are right. Wider: too small. "
                          "Unit area, errors √Σw².")


def bias(judged: Mapping[str, Judged], name: str, seed: int) -> Figure:
    """Mean residual in bins of the true value."""
    return _in_bins(judged, name, seed, means, f"bias-{slug(name)}", f"Bias of {name}",
                    f"Mean of predicted - true {name}",
                    "Shrinking towards the mean, above 0 at low and below at high values, is what the least squared "
                    "error asks for where the features do not tell the value.", zero=True)


def resolution(judged: Mapping[str, Judged], name: str, seed: int) -> Figure:
    """Half of the central 68 % of the residual in bins of the true value."""
    return _in_bins(judged, name, seed, half_widths, f"resolution-{slug(name)}", f"Resolution of {name}",
                    f"Half of the central 68 % of the residual of {name}", "Lower is better.")


def coverage(found: Sequence[tuple[float, float, float, float]], name: str) -> Figure:
    """Observed coverage of intervals, with its ends, against the nominal one: tuples of these four."""
    nominal, middle, low, high = (tuple(column) for column in zip(*found, strict=True))
    series = (Series("ideal", "line", (0.0, 1.0), (0.0, 1.0), muted=True),
              Series("intervals", "points", nominal, middle, low, high))
    return Figure(f"coverage-{slug(name)}", f"Coverage of the intervals of {name}", "xy",
                  Axis("Nominal coverage", low=0, high=1), Axis("Share of test rows inside", low=0, high=1), series,
                  caption="Intervals are calibrated on rows that the model was not fitted on (split conformal); here "
                          "they are tried on test rows. Errors: binomial.")


def groups(one: Judged) -> list[NDArray[np.intp]]:
    """The rows of bins of the true value with equal numbers of rows, as positions; fewer bins where there are few."""
    return equal_bins(one.target[:, 0], min(GROUPS, max(1, len(one.target) // FEWEST)))


def equal_bins(values: Floats, most: int) -> list[NDArray[np.intp]]:
    """The rows of bins of equal numbers of rows, as positions, or of each value where there are at most ``most``."""
    edges = np.unique(values)
    if len(edges) > most:
        edges = np.unique(np.quantile(values, np.linspace(0, 1, most + 1)))[:-1]
    place = np.searchsorted(edges, values, side="right") - 1
    bins = [np.flatnonzero(place == k) for k in range(len(edges))]
    return [rows for rows in bins if len(rows)]


def _in_bins(
    judged: Mapping[str, Judged], name: str, seed: int, statistic: Callable[[Floats, Floats], Floats], file: str,
    title: str, label: str, caption: str, zero: bool = False,
) -> Figure:
    some = next(iter(judged.values()))
    bins = [rows for rows in groups(some) if len(rows) >= FEWEST]
    x = tuple(float(np.mean(some.target[rows, 0])) for rows in bins)
    series = [Series("no bias", "line", (min(x), max(x)), (0.0, 0.0), muted=True)] if zero and x else []
    for model, one in judged.items():
        found = [_with_ends(statistic, one.residual[rows, 0], one.weight[rows], seed) for rows in bins]
        middle, low, high = (tuple(column) for column in zip(*found, strict=True)) if found else ((), (), ())
        series.append(Series(model, "points", x, middle, low, high))
    return Figure(file, title, "xy", Axis(f"True {name}"), Axis(label), tuple(series),
                  caption=f"{caption} Bins of equal numbers of test rows; errors: 68 % interval from the bootstrap.")


def _with_ends(statistic: Callable[[Floats, Floats], Floats], residual: Floats, weight: Floats, seed: int
               ) -> tuple[float, float, float]:
    middle = float(statistic(residual, weight[None, :])[0])
    drawn = np.concatenate([statistic(residual, times * weight)
                            for times in counts(len(weight), seed, REPLICATES, max(1, CELLS // len(weight)))])
    low, high = percentiles(drawn)
    return middle, float(low), float(high)


def profile(values: Floats, truth: Floats, weight: Floats, feature: str, name: str) -> Figure:
    """Mean of the target in bins of a feature, with the error of the mean."""
    x, y, error = [], [], []
    for rows in equal_bins(values, 2 * GROUPS):
        total = float(weight[rows].sum())
        if total <= 0:
            continue
        mean = float((weight[rows] * truth[rows]).sum() / total)
        spread = max(0.0, float((weight[rows] * (truth[rows] - mean) ** 2).sum() / total))
        trials = max(1.0, total**2 / float((weight[rows] ** 2).sum()))
        x.append(float(values[rows].mean()))
        y.append(mean)
        error.append(sqrt(spread / trials))
    low, high = ([m + sign * e for m, e in zip(y, error, strict=True)] for sign in (-1, 1))
    return Figure(f"feature-{slug(feature)}-{slug(name)}", f"{name} by {feature}", "xy", Axis(feature),
                  Axis(f"Mean {name}"), (Series(name, "points", tuple(x), tuple(y), tuple(low), tuple(high)),),
                  section="Features",
                  caption="Train rows in bins of equal numbers, or by value where there are few; error of the mean.")


def _histogram(name: str, values: Floats, weight: Floats, edges: Floats, group: str) -> Series:
    found = histogram(values, weight, edges)
    return Series(name, "points", _row((edges[1:] + edges[:-1]) / 2), _row(found.density),
                  _row(found.density - found.error), _row(found.density + found.error), group=group)


def _row(values: Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
