"""Events that stand in for anomalies while models are chosen, before any true anomaly is seen.

Takes rows of normal events and a seed; gives as many rows, target 1, of one of two kinds.

*Rare populations* are real events, drawn again so that each of many populations lies elsewhere than normal events do:
in a random direction u among the leading principal axes, along which places c are in units of their widths, events are
drawn with weights exp(3 u·c). Real events keep what holds between columns (τ2 ≤ τ1), as those of new physics do. Copies
that are made break it, and then the detector wins that knows best what never happens anyway: on dijets and jets the
order of detectors by such copies is the reverse of that by true anomalies, by rare populations it is nearly the same.

*Corrupted copies* are of three kinds, in equal shares; an anomaly may be something that a normal event cannot be, as
with images, whose pixels are bound to nothing, and there they order detectors as true anomalies do.

Kinds were compared with the truth of dijets, jets, digits and breast cancer, so that none of these is a blind test of
this choice. It was made by the argument above; it is not the best one on each of them.

- swapped: a third of the columns are another event's, which breaks what correlates
- shifted: a third of the columns, one at least, are moved by Gaussian noise of a size between ``LEAST_SHIFT`` and
  ``MOST_SHIFT`` robust widths, even in its logarithm; a category is another event's
- mixed: two events' distances from the median are added and divided by √2, so that means and widths remain; a category
  is that of either. Of two images it is the mean.

Of an image the columns are squares of its pixels. Whole numbers remain whole. Nothing is learnt but of the rows given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl_phys import detecting, principal_axes

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyRows

Kind: TypeAlias = Literal["rare", "corrupted"]
WORDS: dict[Kind, str] = {"rare": "rare populations of held-out events",
                          "corrupted": "corrupted copies of held-out events"}
"""What they are called in reports."""

POPULATIONS = 200
TILT = 3.0
"""Over it a population's mean is so many widths away, if places along the axes are Gaussian."""
HELD = 0.95
"""Share of the variance that the leading principal axes hold."""
SHARE = 1 / 3
"""Of the columns, or of the sides of an image's square, what is corrupted."""
LEAST_SHIFT, MOST_SHIFT = 0.5, 5.0
MOST_ROWS = 50_000
MOST_FOR_WIDTHS = 100_000


def of(kind: Kind, rows: AnomalyRows, seed: int) -> AnomalyRows:
    """Stand-ins of a kind for ``rows``, ``MOST_ROWS`` at most, with target 1. Mass, region and weight are those of the
    event that is copied. Raises ValueError for less than two rows."""
    return rare(rows, seed) if kind == "rare" else corrupted(rows, seed)


def rare(rows: AnomalyRows, seed: int) -> AnomalyRows:
    """Events of ``rows`` that make up rare populations, one population after the other, with target 1; an event may be
    there more than once. Raises ValueError for less than two rows."""
    if len(rows) < 2:
        raise ValueError("rare populations take two rows at least")
    rows = rows.take(slice(None, None, -(-len(rows) // MOST_ROWS)))
    weight = rows.fit_weight.astype(np.float64)
    columns = detecting.Frame.of(rows, "normal", 0)(rows).astype(np.float64)
    middle, axes, variance = principal_axes.of(columns, weight)
    count = min(int(np.searchsorted(np.cumsum(variance), HELD * variance.sum())) + 1, len(variance))
    places = (columns - middle) @ axes[:count].T / np.sqrt(np.maximum(variance[:count], 1e-12))
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((min(POPULATIONS, len(rows)), count))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    drawn = []
    for direction, some in zip(directions, np.array_split(np.arange(len(rows)), len(directions)), strict=True):
        along = TILT * (places @ direction)
        chance = (weight + 1e-12 * weight.sum()) * np.exp(along - along.max())
        drawn.append(rng.choice(len(rows), len(some), p=chance / chance.sum()))
    copies = rows.take(np.concatenate(drawn))
    # drawn by weight, they count alike
    alike = np.full(len(copies), weight.mean(), np.float32)
    return replace(copies, target=np.ones(len(copies), np.int32), weight=alike,
                   unsigned=None if copies.unsigned is None else alike)


def corrupted(rows: AnomalyRows, seed: int) -> AnomalyRows:
    """A corrupted copy, with target 1, of each of ``rows``, of ``MOST_ROWS`` at most, spread evenly; in their order.

    Mass, region and weight are those of the event that is copied. Raises ValueError for less than two rows.
    """
    if len(rows) < 2:
        raise ValueError("corrupted copies take two rows at least")
    rng = np.random.default_rng(seed)
    copies = rows.take(np.arange(len(rows))[:: -(-len(rows) // MOST_ROWS)])
    # each copy's partner is another event: positions go round by one step or more
    partner = (np.arange(len(copies)) + rng.integers(1, len(copies), len(copies))) % len(copies)
    kind = rng.permutation(np.arange(len(copies)) % 3)
    numbers, categories = np.array(copies.numbers), np.array(copies.categories)
    both = _marked(len(copies), numbers.shape[1] + categories.shape[1], rng)
    marked, marked_categories = both[:, :numbers.shape[1]], both[:, numbers.shape[1]:]
    either = rng.random(categories.shape) < 0.5
    widths = robust_widths(copies.numbers)
    noise = rng.standard_normal(numbers.shape) * _sizes(len(copies), rng)[:, None] * widths
    whole = (copies.numbers[:MOST_FOR_WIDTHS] == np.round(copies.numbers[:MOST_FOR_WIDTHS])).all(0)
    other, other_categories = copies.numbers[partner], copies.categories[partner]
    swapped, shifted, mixed = (kind == k for k in range(3))
    numbers = np.where(swapped[:, None] & marked, other, numbers)
    numbers = np.where(shifted[:, None] & marked, numbers + noise, numbers)
    middle = np.median(copies.numbers[:: -(-len(copies) // MOST_FOR_WIDTHS)], axis=0)
    numbers = np.where(mixed[:, None], middle + (copies.numbers - middle + other - middle) / np.sqrt(2), numbers)
    numbers = np.where(whole, np.round(numbers), numbers).astype(np.float32)
    changed = np.where(mixed[:, None], either, marked_categories)
    made = replace(copies, numbers=numbers, categories=np.where(changed, other_categories, categories),
                   target=np.ones(len(copies), np.int32))
    if copies.images is None:
        return made
    return replace(made, images=_images(copies.images, partner, kind, rng))


def robust_widths(columns: NDArray[Any]) -> NDArray[np.float64]:
    """Half of the central 68 % of each column (d,), or its standard deviation where that is 0."""
    some = np.asarray(columns[:: -(-len(columns) // MOST_FOR_WIDTHS)], np.float64)
    if not some.shape[1]:
        return np.empty(0)
    low, high = np.quantile(some, [0.16, 0.84], axis=0)
    widths: NDArray[np.float64] = np.where(high > low, (high - low) / 2, some.std(0))
    return widths


def _sizes(rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sizes of shifts (rows,), in widths."""
    return np.exp(rng.uniform(np.log(LEAST_SHIFT), np.log(MOST_SHIFT), rows))


def _marked(rows: int, columns: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which columns of each row are corrupted, (rows, columns): the same number in each, one at least."""
    if not columns:
        return np.zeros((rows, 0), np.bool_)
    order = rng.random((rows, columns)).argsort(1)
    return order < max(1, round(SHARE * columns))


def _images(images: NDArray[Any], partner: NDArray[np.int64], kind: NDArray[np.int64], rng: np.random.Generator
            ) -> NDArray[Any]:
    """Corrupted images (n, h, w, c) of the type that they had, one after the other: memory for one copy only."""
    made = np.array(images)
    height, width = images.shape[1:3]
    sides = max(1, round(height * SHARE**0.5)), max(1, round(width * SHARE**0.5))
    spread = float(np.std(images[:: -(-len(images) // 1000)]))

    def finish(values: NDArray[Any]) -> NDArray[Any]:
        return np.clip(np.round(values), 0, 255) if images.dtype == np.uint8 else values

    tops, lefts = (rng.integers(0, full - side + 1, len(made)) for full, side in zip((height, width), sides,
                                                                                     strict=True))
    sizes = _sizes(len(made), rng)
    for i, (how, other) in enumerate(zip(kind, partner, strict=True)):
        square = (slice(tops[i], tops[i] + sides[0]), slice(lefts[i], lefts[i] + sides[1]))
        if how == 0:
            made[i][square] = images[other][square]
        elif how == 1:
            patch = images[i][square].astype(np.float64)
            made[i][square] = finish(patch + sizes[i] * spread * rng.standard_normal(patch.shape))
        else:
            made[i] = finish((images[i].astype(np.float64) + images[other]) / 2)
    return made
