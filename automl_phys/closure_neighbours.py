"""What nearest neighbours tell of generated events: whether they cover the real ones, and whether they are copies.

Takes :class:`~automl_phys.closure_sample.Sample` of real, generated and, for copies, training events; gives estimates.
Distances are Euclidean between standardised columns, or between pixels where events are images.

Sources: density and coverage, Naeem et al., ICML 2020 (arXiv:2002.09797). Memorisation, after Meehan, Chaudhuri,
Dasgupta, AISTATS 2020 (arXiv:2004.05675).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from automl_phys.bootstrap import clopper_pearson, wilson
from automl_phys.closure_sample import Floats, Sample, deviations, effective, estimate, standardised, thinned
from automl_phys.exhibits import Estimate

NEIGHBOURS = 5
ROWS = 5000
"""Most events of each kind for coverage and density, and most generated ones for memorisation."""
PRODUCTS = 8_000_000_000
"""Most products of numbers in distances: some seconds."""
FEWEST = 200
"""Generated events that are looked at whatever it costs."""
BLOCK_CELLS = 8_000_000
"""Distances held at once."""

Points = NDArray[np.float32]


def density_and_coverage(real: Sample, made: Sample, seed: int) -> tuple[Estimate, Estimate]:
    """Density and coverage: of balls about each real event, as wide as the distance to its ``NEIGHBOURS``th neighbour,
    the mean number that hold a generated event, over ``NEIGHBOURS``; and the share of those that hold one at least.

    Both are about 1 for samples that are alike (coverage 1 - 2⁻⁵ for as many generated as real events). Generated
    events weigh in density, real ones in coverage. Errors: density's from its sums by generated and by real event;
    coverage's is binomial (Wilson) with (Σw)² / Σw² real events.
    """
    most = _rows(_width(real), ROWS)
    real, made = thinned(real, most, seed), thinned(made, most, seed + 1)
    ones, others = _places(real, made)
    neighbours = min(NEIGHBOURS, len(ones) - 1)
    if neighbours < 1 or not len(others):
        none = estimate(np.nan, np.nan, "too few events")
        return none, none
    radii, held = np.empty(len(ones)), np.zeros(len(ones))
    counts = np.zeros(len(others))
    weights = np.asarray(made.weight, np.float64) / float(np.mean(made.weight))
    covered = np.zeros(len(ones), bool)
    rounding = 1e-6 * float(np.einsum("ij,ij->", ones, ones)) / len(ones)  # equal events may not be at 0 exactly
    for rows in _blocks(len(ones), max(len(ones), len(others))):
        own = _squares(ones[rows], ones)
        own[np.arange(len(own)), np.arange(rows.start, rows.start + len(own))] = -1.0
        radii[rows] = np.partition(own, neighbours, axis=1)[:, neighbours]
        inside = _squares(ones[rows], others) <= radii[rows, None] + rounding
        counts += inside.sum(axis=0)
        held[rows], covered[rows] = inside @ weights, inside.any(axis=1)
    density = float(weights @ counts) / (neighbours * len(others))
    by_made = deviations(counts / neighbours, weights)
    by_real = (held - held.mean()) / (neighbours * len(others))
    error = sqrt(float(by_made @ by_made + by_real @ by_real))
    share = float(np.asarray(real.weight, np.float64) @ covered / np.asarray(real.weight, np.float64).sum())
    on = f"{len(ones)} real, {len(others)} generated events"
    return (estimate(density, error, f"standard error over events; {on}"),
            Estimate(share, *wilson(share, effective(real.weight)), f"binomial (Wilson); {on}"))


def memorisation(real: Sample, made: Sample, train: Sample, seed: int) -> Estimate:
    """The share of generated events whose nearest neighbour, among training events and as many that were held out,
    is a training event: 0.5 for a generator that copies none, 1 for one that copies all.

    As a rule fewer events are held out than were trained on. A share s is then found where p, that of training events
    among the neighbours, is expected by chance; it is put as 0.5 + 0.5 (s - p) / (1 - p), or 0.5 s / p below p: what
    as many of both would give if some events were copies and the rest were not. Neighbours as near as each other
    count half. The interval is binomial (Clopper-Pearson) with (Σw)² / Σw² generated events.
    """
    held = thinned(real, len(train), seed)
    width = _width(real)
    most = max(1, PRODUCTS // (width * max(1, len(train) + len(held))))
    made = thinned(made, min(ROWS, max(FEWEST, most)), seed + 1)
    if not (len(made) and len(train) and len(held)):
        return estimate(np.nan, np.nan, "too few events")
    trained, tested, asked = _places(train, held, made)
    to_train, to_held = _nearest(asked, trained), _nearest(asked, tested)
    near = (to_train < to_held) + 0.5 * (to_train == to_held)
    weights = np.asarray(made.weight, np.float64)
    share, chance = float(weights @ near / weights.sum()), len(trained) / (len(trained) + len(tested))
    low, high = clopper_pearson(min(max(share, 0.0), 1.0), effective(weights))
    note = (f"binomial (Clopper-Pearson); {len(asked)} generated events, {len(trained)} of training, "
            f"{len(tested)} held out")
    return Estimate(_balanced(share, chance), _balanced(low, chance), _balanced(high, chance), note)


def _balanced(share: float, chance: float) -> float:
    return 0.5 + 0.5 * (share - chance) / (1 - chance) if share > chance else 0.5 * share / chance


def _width(sample: Sample) -> int:
    return int((sample.values if sample.pixels is None else sample.pixels).shape[1])


def _rows(width: int, most: int) -> int:
    return min(most, max(FEWEST, int(sqrt(PRODUCTS / (2 * max(1, width))))))


def _places(first: Sample, *others: Sample) -> list[Points]:
    """Where events are, centred on the first sample's mean so that distances keep their digits."""
    if first.pixels is None:
        return [values.astype(np.float32) for values in standardised(first, *others)]
    centre = np.asarray(first.pixels, np.float32).mean(axis=0)
    return [np.asarray(one.pixels, np.float32) - centre for one in (first, *others)]


def _squares(ones: Points, others: Points) -> Points:
    """Squared distances (n, m), none negative."""
    found: Points = ones @ others.T
    found *= -2
    found += np.einsum("ij,ij->i", ones, ones)[:, None]
    found += np.einsum("ij,ij->i", others, others)
    return np.maximum(found, 0, out=found)


def _nearest(asked: Points, among: Points) -> Floats:
    """The squared distance (n,) to the nearest of ``among``, computed anew for it, so that copies are at exactly 0."""
    nearest = np.empty(len(asked), np.intp)
    for rows in _blocks(len(asked), len(among)):
        nearest[rows] = _squares(asked[rows], among).argmin(axis=1)
    apart = asked.astype(np.float64) - among[nearest]
    return np.asarray(np.einsum("ij,ij->i", apart, apart))


def _blocks(rows: int, columns: int) -> Sequence[slice]:
    size = max(1, BLOCK_CELLS // max(1, columns))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
