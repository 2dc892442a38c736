"""Figures of generated events beside real ones, as data: columns with their ratio, pairs, correlations, images.

Takes :class:`~automl_phys.closure_sample.Sample` and images; gives ``exhibits.Figure``. Both samples count alike: what
is shown are shares of their sum of weights. Ranges, bins and scales are those of the real events. Numbers of the same
are in :mod:`automl_phys.closure_tables`, drawing is left to others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, floor, hypot
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from automl_phys import readable
from automl_phys.class_figures import slug
from automl_phys.closure_sample import Floats, Sample, effective, standardised, thinned
from automl_phys.exhibits import Axis, Figure, Panel, Picture, Series
from automl_phys.image_figures import DECADES, DEEP, PERCENT, VERY_DEEP, shrunk
from automl_phys.values import Array

REAL, MADE = "real", "generated"

MOST_FIGURES = 24
"""Columns and derived quantities that have a figure."""
REACH = (0.001, 0.999)
"""Quantiles of the real events between which figures lie."""
FEWEST_BINS, MOST_BINS, PER_BIN = 8, 40, 50
"""Bins of a column: as many as leave so many real events in each on average."""
STEEP = 300.0
"""Fullest over emptiest bin beyond which shares are on a logarithmic axis."""
CROWDED = 0.05
"""Share of its range below which the median of a positive column lies that is on a logarithmic axis."""
MOST_TICKS = 12
"""Whole numbers on an axis that each have a tick."""
RATIO_REACH = (0.25, 0.5, 1.0)
"""How far from 1 ratios are shown: the least that holds all that are known to ``SURE``, and ``MOST`` of the others."""
SURE, MOST = 0.2, 0.8

MOST_CELLS = 24
"""Columns of a correlation matrix that can still be read."""

PAIRS = 3
PAIR_GROUPS = 8
"""Groups of equal weight of each column, by which pairs are chosen."""
PAIR_ROWS, PAIR_COLUMNS = 20_000, 60
"""Events and columns of which they are chosen."""
PER_CELL = 10

PICTURES = 8
"""Images in a row."""
MOST_ROWS = 4
"""Classes that have a row of images each; more have a column."""
MOST_ACROSS = 10
"""Classes, the first ones, that have a column."""


# ---------------------------------------------------------------- one column

@dataclass(frozen=True)
class _Quantity:
    """A column or derived quantity of the ``real`` and the generated (``made``) events; ``whole`` if it has steps.
    ``levels`` are the names of the codes 1, 2, … of categories."""

    name: str
    real: Array
    made: Array
    whole: bool
    levels: tuple[str, ...] = ()

    def tick(self, value: float) -> str:
        """What stands under a whole number."""
        known = 1 <= value <= len(self.levels)
        return self.levels[int(value) - 1] if known else "other" if self.levels else _number(value)


@dataclass(frozen=True)
class _Shares:
    """Shares of a sample's weight in bins, with their errors √Σw²; and left and right of all bins, and of no number."""

    bins: Floats
    errors: Floats
    left: float
    right: float
    missing: float


def columns(real: Sample, made: Sample) -> tuple[Figure, ...]:
    """Of each column and derived quantity the distributions of real and generated events, and their ratio below.

    Of more than :data:`MOST_FIGURES` those that were asked for (derived) and those that differ most are shown.
    """
    shown = _quantities(real, made)
    told = ""
    if len(shown) > MOST_FIGURES:
        told = f" One of {MOST_FIGURES} of {len(shown)} quantities: those derived, and those that differ most."
        apart = [np.inf if one.name in real.derived else _apart(one, real.weight, made.weight) for one in shown]
        shown = [shown[j] for j in sorted(np.argsort(apart, kind="stable")[::-1][:MOST_FIGURES])]
    section = "Columns" if real.pixels is None else "Observables"
    return tuple(_column(f"column-{j:02d}-{slug(one.name)}", one, real.weight, made.weight, section, told)
                 for j, one in enumerate(shown))


def _quantities(real: Sample, made: Sample) -> list[_Quantity]:
    found = [_Quantity(name, real.values[:, j], made.values[:, j], real.discrete[j], real.levels.get(name, ()))
             for j, name in enumerate(real.names)]
    for name, values in real.derived.items():
        known = values[np.isfinite(values)]
        found.append(_Quantity(name, values, made.derived[name], bool((known == np.round(known)).all())))
    return found


def _apart(one: _Quantity, weight: Array, made_weight: Array) -> float:
    """Half of what the shares of all bins differ by: the total variation distance."""
    edges, _ = _edges(one.real, weight, one.whole)
    first, second = _shares(one.real, weight, edges), _shares(one.made, made_weight, edges)
    return float(np.abs(first.bins - second.bins).sum()) + abs(first.left - second.left) + abs(
        first.right - second.right)


def _column(file: str, one: _Quantity, weight: Array, made_weight: Array, section: str, told: str) -> Figure:
    edges, logarithmic = _edges(one.real, weight, one.whole)
    real, made = _shares(one.real, weight, edges), _shares(one.made, made_weight, edges)
    ticks: tuple[str, ...] = ()
    if one.whole and len(edges) <= MOST_TICKS + 1 and edges[1] - edges[0] == 1:
        ticks = tuple(one.tick(value) for value in (edges[1:] - 0.5).tolist())
        edges = edges - edges[0] - 0.5
    x = Axis(one.name, "log" if logarithmic else "linear", float(edges[0]), float(edges[-1]), ticks)
    filled = np.concatenate([shares.bins[shares.bins > 0] for shares in (real, made)])
    steep = len(filled) > 0 and float(filled.max()) > STEEP * float(filled.min())
    y = Axis("Share per bin", "log", low=0.5 * float(filled.min())) if steep else Axis("Share per bin")
    below, beyond = _ratio(edges, logarithmic, real, made)
    caption = (f"Shares of the sum of weights with statistical errors; below, {MADE} over {REAL}."
               f"{_outside(real, made)}")
    if beyond:
        caption += f" In {readable.count(beyond, 'bin')} the ratio is beyond the lower panel."
    above = (_histogram(REAL, "filled", edges, real.bins, real.errors),
             _histogram(MADE, "steps", edges, made.bins, made.errors))
    return Figure(file, one.name, "xy", x, y, above, caption=caption + told, section=section, below=below)


def _edges(values: Array, weight: Array, whole: bool, most: int = 0) -> tuple[Floats, bool]:
    """Edges of up to ``most`` bins (by the number of events if 0) between the outermost quantiles of real events, and
    whether they are on a logarithmic axis. Bins of whole numbers hold equally many of them."""
    known = np.asarray(values, np.float64)[np.isfinite(values)]
    if not len(known):
        return np.array([0.0, 1.0]), False
    bins = most or int(np.clip(effective(weight) / PER_BIN, FEWEST_BINS, MOST_BINS))
    low, middle, high = (float(end) for end in np.quantile(known, (REACH[0], 0.5, REACH[1])))
    if whole:
        if known.max() - known.min() < MOST_BINS:
            low, high = float(known.min()), float(known.max())
        low, high = floor(low), ceil(high)
        step = ceil((high - low + 1) / (most or MOST_BINS))
        return np.arange(low - 0.5, high + step, step), False
    if low > 0 and middle - low < CROWDED * (high - low):
        return np.geomspace(low, high, bins + 1), True
    if not high - low > 1e-6 * max(abs(low), abs(high)):  # all the same, but for rounding
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    return np.linspace(low, high, bins + 1), False


def _shares(values: Array, weight: Array, edges: Floats) -> _Shares:
    exact, weights = np.asarray(values, np.float64), np.asarray(weight, np.float64)
    total = float(weights.sum()) or 1.0
    missing = np.isnan(exact)
    left, right = exact < edges[0], exact > edges[-1]
    inside = ~(missing | left | right)
    sums, _ = np.histogram(exact[inside], edges, weights=weights[inside])
    squares, _ = np.histogram(exact[inside], edges, weights=weights[inside] ** 2)
    return _Shares(sums / total, np.sqrt(squares) / total,
                   *(float(weights[which].sum()) / total for which in (left, right, missing)))


def _ratio(edges: Floats, logarithmic: bool, real: _Shares, made: _Shares) -> tuple[Panel, int]:
    """Generated over real with the errors of the generated events, around 1 the errors of the real ones; and how many
    ratios are beyond the axis. Bins without real events have none."""
    seen = real.bins > 0
    ratio, spread, own = (np.divide(values, real.bins, out=np.zeros(len(seen)), where=seen)
                          for values in (made.bins, made.errors, real.errors))
    off = np.abs(ratio - 1)
    known = off[seen & (np.hypot(spread, own) < SURE)].max(initial=0.0)
    far = max(float(known), float(np.quantile(off[seen], MOST))) if seen.any() else 0.0
    reach = next((one for one in RATIO_REACH if far <= one), RATIO_REACH[-1])
    middles = np.sqrt(edges[1:] * edges[:-1]) if logarithmic else (edges[1:] + edges[:-1]) / 2
    points = Series(MADE, "points", _row(middles[seen]), _row(ratio[seen]), _row((ratio - spread)[seen]),
                    _row((ratio + spread)[seen]))
    panel = Panel(Axis("Gen. / real", low=1 - reach, high=1 + reach),
                  (_histogram(REAL, "steps", edges, np.ones(len(seen)), own), points))
    return panel, int((off[seen] > reach).sum())


def _outside(real: _Shares, made: _Shares) -> str:
    """What share of the events is not in the figure."""
    told = [f"{_percent(one)} of the {REAL} and {_percent(other)} of the {MADE} events {where}"
            for where, one, other in (("on the left", real.left, made.left), ("on the right", real.right, made.right),
                                      ("without a number", real.missing, made.missing)) if one or other]
    return f" Not shown: {', '.join(told)}." if told else ""


def _percent(share: float) -> str:
    return f"{_number(100 * share, 2)} %"


def _number(value: float, digits: int = 6) -> str:
    return readable.rounded(value, digits)


def _histogram(name: str, style: Literal["filled", "steps"], edges: Floats, values: Floats, errors: Floats) -> Series:
    return Series(name, style, _row(edges), _row(values), _row(values - errors), _row(values + errors))


def _row(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Six significant digits: a figure is stored as text."""
    return tuple(float(f"{value:.6g}") for value in values.ravel().tolist())


# ---------------------------------------------------------------- correlations

def correlations(real: Sample, made: Sample) -> tuple[Figure, ...]:
    """Linear correlations of the columns of both, and their difference; none of a single column.

    Of more than :data:`MOST_CELLS` columns those whose correlations differ most.
    """
    if len(real.names) < 2:
        return ()
    one, other = _correlations(real, made)
    apart = np.abs(other - one)
    if not np.isfinite(apart[np.triu_indices_from(apart, 1)]).any():
        return ()
    told, chosen = "", np.arange(len(real.names))
    if len(chosen) > MOST_CELLS:
        told = f" The {MOST_CELLS} of {len(chosen)} columns whose correlations differ most."
        chosen = np.sort(np.argsort(-np.nan_to_num(apart).max(axis=1), kind="stable")[:MOST_CELLS])
    names = tuple(real.names[j] for j in chosen)
    i, j = sorted(int(k) for k in np.unravel_index(np.argmax(np.nan_to_num(np.triu(apart, 1))), apart.shape))
    error = hypot(*(1 / max(1.0, effective(sample.weight)) ** 0.5 for sample in (real, made)))
    largest = (f"{MADE.capitalize()} less {REAL}. The largest difference is {_signed(other[i, j] - one[i, j])}, of "
               f"{real.names[i]} and {real.names[j]}; statistical errors are at most about {error:.2g}.")
    reach = max(float(np.nanmax(apart)), 5 * error)
    return tuple(
        Figure(f"correlation-{slug(word)}", title, "matrix", Axis("", categories=names), Axis("", categories=names),
               matrix=tuple(_row(row) for row in cells[np.ix_(chosen, chosen)]), section="Correlations",
               shade=Axis("", low=-end, high=end), caption=caption + told)
        for word, title, cells, end, caption in (
            (REAL, "Correlations of the real events", one, 1.0, "Linear correlations (Pearson)."),
            (MADE, "Correlations of the generated events", other, 1.0, "Linear correlations (Pearson)."),
            ("difference", "Correlations, generated less real", other - one, reach, largest)))


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _correlations(real: Sample, made: Sample) -> tuple[Floats, Floats]:
    """Weighted correlations (d, d) of both; NaN for a column that does not vary."""
    found = []
    for values, weight in zip(standardised(real, made), (real.weight, made.weight), strict=True):
        shares = np.asarray(weight, np.float64) / np.sum(weight, dtype=np.float64)
        centred = values - shares @ values
        covariance = (centred * shares[:, None]).T @ centred
        spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        scale = np.outer(spread, spread)
        found.append(np.divide(covariance, scale, out=np.full_like(scale, np.nan), where=scale > 1e-12))
    return found[0], found[1]


# ---------------------------------------------------------------- pairs of columns

def pairs(real: Sample, made: Sample) -> tuple[Figure, ...]:
    """How events are spread in the planes of the pairs of columns that differ most beyond what the columns themselves
    differ by: real, generated, and after them where they differ, in units of the error."""
    chosen = _worst_pairs(real, made)
    if not chosen:
        return ()
    planes, pulls = [], []
    for number, (i, j) in enumerate(chosen, start=1):
        plane, pull = _plane(number, real, made, (i, j))
        planes.append(plane)
        pulls.append(pull)
    difference = Figure(
        "pair-differences", "Pairs of columns: where generated events differ", "pictures", Axis(""), Axis(""),
        pictures=tuple(pulls), across=PAIRS, section="Pairs", shade=Axis("(Generated − real) / σ", low=-5.0, high=5.0),
        caption="The planes of the figures before: red where there are too many generated events, blue where there are "
                "too few, in units of the statistical error of a cell.")
    return (*planes, difference)


def _worst_pairs(real: Sample, made: Sample) -> list[tuple[int, int]]:
    """Places of the columns of up to :data:`PAIRS` pairs."""
    few, other = thinned(real, PAIR_ROWS, 0), thinned(made, PAIR_ROWS, 1)
    weights = [np.asarray(one.weight, np.float64) / np.sum(one.weight, dtype=np.float64) for one in (few, other)]
    groups: dict[int, list[NDArray[np.intp]]] = {}
    alone: dict[int, float] = {}
    for j in range(min(len(real.names), PAIR_COLUMNS)):
        known = few.values[:, j][np.isfinite(few.values[:, j])]
        if not len(known) or known.min() == known.max():
            continue
        inner = np.unique(np.quantile(known, np.arange(1, PAIR_GROUPS) / PAIR_GROUPS))
        groups[j] = [np.searchsorted(inner, one.values[:, j], "right") for one in (few, other)]
        alone[j] = _variation(groups[j], weights)
    beyond = {(i, j): _variation([PAIR_GROUPS * a + b for a, b in zip(groups[i], groups[j], strict=True)], weights)
              - max(alone[i], alone[j]) for i, j in combinations(groups, 2)}
    return sorted(beyond, key=lambda pair: -beyond[pair])[:PAIRS]


def _variation(cells: Sequence[NDArray[np.intp]], weights: Sequence[Floats]) -> float:
    """Total variation distance between two samples by the cells that their events are in."""
    one, other = (np.bincount(cell, weights=weight, minlength=PAIR_GROUPS**2)
                  for cell, weight in zip(cells, weights, strict=True))
    return float(np.abs(one - other).sum()) / 2


def _plane(number: int, real: Sample, made: Sample, places: tuple[int, int]) -> tuple[Figure, Picture]:
    """The figure of a pair, and the picture of its pulls."""
    most = int(np.clip((effective(real.weight) / PER_CELL) ** 0.5, FEWEST_BINS, 30))
    found = [_edges(real.values[:, j], real.weight, real.discrete[j], most) for j in places]
    edges = [one[0] for one in found]
    cells, variances = [], []
    for sample in (real, made):
        weight = np.asarray(sample.weight, np.float64)
        values = [np.asarray(sample.values[:, j], np.float64) for j in places]
        shares = weight / weight.sum()
        cells.append(np.histogram2d(values[0], values[1], edges, weights=shares)[0])
        variances.append(np.histogram2d(values[0], values[1], edges, weights=shares**2)[0])
    error = np.sqrt(variances[0] + variances[1])
    pull = np.divide(cells[1] - cells[0], error, out=np.zeros_like(error), where=error > 0)
    filled = cells[0][cells[0] > 0]
    low, high = (float(filled.min()), float(filled.max())) if len(filled) else (0.1, 1.0)
    names = [real.names[j] for j in places]
    labels = [f"{name}, {_number(edge[0], 3)} to {_number(edge[-1], 3)}{', logarithmic' * logarithmic}"
              for name, (edge, logarithmic) in zip(names, found, strict=True)]
    title = f"{names[1]} against {names[0]}"
    figure = Figure(
        f"pair-{number}-{slug(names[0])}-{slug(names[1])}", title, "pictures", Axis(labels[0]), Axis(labels[1]),
        pictures=tuple(_upright(cell, word) for cell, word in zip(cells, (REAL, MADE), strict=True)), across=2,
        shade=Axis("Share per cell", "log", low=low, high=high) if high > 10 * low else Axis("Share per cell", low=0.0),
        section="Pairs", caption="One of the pairs of columns that differ most beyond what each column differs by.")
    return figure, _upright(pull, title)


def _upright(cells: Floats, title: str) -> Picture:
    """Cells (x, y) as a picture, high values of y on top."""
    return _picture(cells.T[::-1], title)


# ---------------------------------------------------------------- images

def images(real: Array, made: Array, weight: Array, label: Array | None, classes: Sequence[str]) -> tuple[Figure, ...]:
    """Of real images (n, h, w, c) and of those that were generated for the same conditions: some of both one below the
    other, their weighted mean, and the difference of the means; by class where there is a ``label`` (n,)."""
    if not len(real):
        return ()
    return (_examples(real, made, label, classes), *_means(real, made, weight, label, classes))


def _examples(real: Array, made: Array, label: Array | None, classes: Sequence[str]) -> Figure:
    rows = list(_example_rows(len(real), label, classes))
    across = len(rows[0][0])
    chosen = np.concatenate([places for places, _ in rows])
    ones, others = shrunk(real[chosen]), shrunk(made[chosen])
    seen, shade = _looks(ones, others, "Pixel")
    titles = [f"{word}, {name}" if name else word for _, names in rows for word in (REAL, MADE) for name in names]
    at = [place for start in range(0, len(chosen), across) for first in (0, len(chosen))
          for place in range(first + start, first + start + across)]
    return Figure(
        "images", "Real and generated images", "pictures", Axis(""), Axis(""), across=across, shade=shade,
        pictures=tuple(_picture(seen[place], title) for place, title in zip(at, titles, strict=True)), section="Images",
        caption=f"Rows of real images, each above one of images generated for the same conditions.{_logarithmic(shade)}"
                f"{_first_of(label, classes)}")


def _example_rows(count: int, label: Array | None, classes: Sequence[str]
                  ) -> Iterator[tuple[NDArray[np.intp], list[str]]]:
    """Places of the images of each row, and their classes: a few classes have a row each, many a column each."""
    by_class = [] if label is None else [np.flatnonzero(label == k) for k in range(len(classes))]
    if 0 < len(classes) <= MOST_ROWS:
        full = [(places[:PICTURES], name) for places, name in zip(by_class, classes, strict=False)
                if len(places) >= PICTURES]
        if full:
            yield from ((places, [name] * PICTURES) for places, name in full)
            return
    told = [(places, name) for places, name in zip(by_class, classes, strict=False) if len(places) > 1][:MOST_ACROSS]
    if len(told) > 1:
        yield from ((np.array([places[turn] for places, _ in told]), [name for _, name in told]) for turn in range(2))
        return
    across = min(PICTURES, count)
    for start in range(0, min(2 * PICTURES, count) - across + 1, across):
        yield np.arange(start, start + across), [""] * across


def _means(real: Array, made: Array, weight: Array, label: Array | None, classes: Sequence[str]
           ) -> tuple[Figure, Figure]:
    """Mean images of both, and their difference."""
    weights = np.asarray(weight, np.float32)
    groups = {} if label is None else {name: label == k for k, name in enumerate(classes[:MOST_ACROSS])}
    groups = {name: which for name, which in groups.items() if weights[which].sum() > 0}
    if len(groups) < 2:
        groups = {"": np.ones(len(real), bool)}
    ones, others = (shrunk(np.stack([np.tensordot(weights[which] / weights[which].sum(), images[which], 1)
                                     for which in groups.values()])) for images in (real, made))
    seen, shade = _looks(ones, others, "Mean pixel")
    titles = [f"{word}, {name}" if name else word for word in (REAL, MADE) for name in groups]
    means = Figure("mean-images", "Mean images", "pictures", Axis(""), Axis(""), across=max(2, len(groups)),
                   pictures=tuple(_picture(values, title) for values, title in zip(seen, titles, strict=True)),
                   shade=shade, section="Images",
                   caption=f"Weighted means, pixel by pixel.{_logarithmic(shade)}{_first_of(label, classes)}")
    apart = (others - ones).mean(axis=3)
    end = float(np.abs(apart).max()) or 1.0
    largest = float(np.abs(ones).max()) or 1.0
    scale = shade.scale if shade else "linear"
    difference = Figure(
        "mean-difference", "Mean images, generated less real", "pictures", Axis(""), Axis(""), across=4,
        pictures=tuple(_picture(values, name) for values, name in zip(apart, groups, strict=True)), section="Images",
        shade=Axis("Difference of mean pixels", scale, low=-end, high=end),
        caption=f"Red where generated images have more, blue where they have less. The largest difference is "
                f"{_percent(end / largest)} of the largest mean pixel of real images.")
    return means, difference


def _looks(ones: Array, others: Array, label: str) -> tuple[Array, Axis | None]:
    """Real and generated images (n, h, w, c), one after the other, as colours (2n, h, w, 3), or as shades (2n, h, w)
    and their scale. Both are on the scale of the real ones, logarithmic where most of the light is in few pixels."""
    whole = np.concatenate([ones, others])
    if whole.shape[3] == 3:
        low, high = (float(end) for end in np.percentile(ones, PERCENT))
        return np.clip((whole - low) / (high - low if high > low else 1.0), 0.0, 1.0), None
    seen, scale = whole.mean(axis=3), ones.mean(axis=3)
    low, high = float(scale.min()), float(scale.max())
    lit = scale[scale > 0]
    deep = VERY_DEEP if label == "Mean pixel" else DEEP
    if low >= 0 and len(lit) and high > deep * float(np.median(lit)):
        return seen, Axis(label, "log", low=high / 10**DECADES, high=high)
    return seen, Axis(label, low=min(0.0, low), high=high)


def _logarithmic(shade: Axis | None) -> str:
    return f" Logarithmic shades over {DECADES} decades." if shade is not None and shade.scale == "log" else ""


def _first_of(label: Array | None, classes: Sequence[str]) -> str:
    more = label is not None and len(classes) > MOST_ACROSS
    return f" The first {MOST_ACROSS} of {len(classes)} classes." if more else ""


def _picture(values: Array, title: str) -> Picture:
    """Shades (h, w) or colours (h, w, 3) with four significant digits."""
    pixels = tuple(float(f"{value:.4g}") for value in np.asarray(values, np.float64).ravel().tolist())
    return Picture(title, values.shape[0], values.shape[1], pixels, values.ndim == 3)
