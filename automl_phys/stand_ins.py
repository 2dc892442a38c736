"""Corrupted copies of events, which stand in for anomalies while models are chosen.

Takes rows of normal events and a seed; gives as many rows, target 1, each corrupted in one of three ways, in equal
shares. What looks odd to a detector of anomalies for no other reason than that its columns don't belong together, lie
too far out, or between what there is, should look odd before any true anomaly is seen.

- *swapped*: a third of the columns are another event's, which breaks what correlates
- *shifted*: a third of the columns, one at least, are moved by Gaussian noise of a size between ``LEAST_SHIFT`` and
  ``MOST_SHIFT`` robust widths, even in its logarithm; a category is another event's
- *between*: the mean of two events; a category is that of either

Of an image the columns are squares of its pixels. Whole numbers remain whole. Nothing is learnt but each column's
robust width, half of the central 68 %, of the rows given. Pure numpy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyRows

SHARE = 1 / 3
"""Of the columns, or of the sides of an image's square, what is corrupted."""
LEAST_SHIFT, MOST_SHIFT = 0.5, 5.0
MOST_ROWS = 50_000
MOST_FOR_WIDTHS = 100_000


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
    swapped, shifted, between = (kind == k for k in range(3))
    numbers = np.where(swapped[:, None] & marked, other, numbers)
    numbers = np.where(shifted[:, None] & marked, numbers + noise, numbers)
    numbers = np.where(between[:, None], (numbers + other) / 2, numbers)
    numbers = np.where(whole, np.round(numbers), numbers).astype(np.float32)
    changed = np.where(between[:, None], either, marked_categories)
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
