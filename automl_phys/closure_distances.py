"""Distances between two weighted samples of events: Wasserstein, Fréchet, kernel, and of their correlations.

Takes :class:`~automl_phys.closure_sample.Sample` of real and of generated events; gives each distance with its standard
error. Columns are in units of the real sample's standard deviation; codes and counts are taken as the numbers they are.

Sources: W1 between weighted samples as ∫ |F - G|; sliced, Rabin et al., SSVM 2011. Fréchet and kernel physics distance:
Kansal et al., Phys. Rev. D 107 (2023) 076017 (arXiv:2211.10295); MMD, Gretton et al., JMLR 13 (2012) 723; limit of the
Fréchet distance for many events, Chong and Forsyth, CVPR 2020. What differs from the JetNet package's ``fpd`` and
``kpd`` is said at each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from automl_phys.closure_sample import Floats, Sample, deviations, effective, moments, standardised
from automl_phys.values import Array

DIRECTIONS = 64
"""Random directions of the sliced distance."""
BLOCKS = 20
"""Parts that are left out in turn for the jackknife."""
PARTS = (1, 2, 4)
"""Into how many parts events are divided to see how the Fréchet distance depends on their number."""
ROWS_PER_COLUMN = 5
"""Events for each column that a part must have, for a distance that is about linear in 1/N."""
BATCHES, BATCH_ROWS = 10, 2000
"""How often the kernel distance is computed, on how many events at most."""
FAR = 5.0
"""Standard deviations at which columns are cut off for the kernel distance."""
DEGREE_ROOT = 2
"""The kernel is squared that often: a polynomial of degree 4."""


@dataclass(frozen=True)
class Distance:
    """A distance and its standard error; NaN where there is none."""

    value: float
    error: float


# ---------------------------------------------------------------- Wasserstein

def wasserstein(real: Sample, made: Sample) -> tuple[Distance, dict[str, Distance]]:
    """The first Wasserstein distance of each column and derived quantity, in units of the real standard deviation, and
    the mean over the columns.

    W1 = ∫ |F - G| is the difference of the means of φ, with φ' = sign(F - G), the Kantorovich potential: the error is
    that of the two means, φ held fixed, and of all columns together event by event. What is not finite is left out.
    """
    parts = {}
    sums: tuple[Floats, Floats] = (np.zeros(len(real)), np.zeros(len(made)))
    for j, name in enumerate(real.names):
        value, added = _distance(real.values[:, j], made.values[:, j], real.weight, made.weight)
        parts[name] = Distance(value, _error(added))
        sums = (sums[0] + added[0] / len(real.names), sums[1] + added[1] / len(real.names))
    mean = float(np.mean([one.value for one in parts.values()])) if parts else nan
    for name in real.derived:
        if name in made.derived:
            value, added = _distance(real.derived[name], made.derived[name], real.weight, made.weight)
            parts[name] = Distance(value, _error(added))
    return Distance(mean, _error(sums)), parts


def sliced_wasserstein(real: Sample, made: Sample, directions: int = DIRECTIONS) -> Distance:
    """The mean of W1 over ``directions`` directions on the unit sphere, the same at every call, of standardised
    columns; the error as that of :func:`wasserstein`."""
    ones, others = standardised(real, made)
    ways = np.random.default_rng(0).normal(size=(ones.shape[1], directions))
    ways /= np.linalg.norm(ways, axis=0)
    sums: tuple[Floats, Floats] = (np.zeros(len(real)), np.zeros(len(made)))
    values = []
    for way in ways.T:
        value, added = _between(ones @ way, others @ way, _weights(real), _weights(made))
        values.append(value)
        sums = (sums[0] + added[0] / directions, sums[1] + added[1] / directions)
    return Distance(float(np.mean(values)), _error(sums))


def _distance(real: Array, made: Array, weight: Array, made_weight: Array) -> tuple[float, tuple[Floats, Floats]]:
    """W1 of two columns in units of the real spread, over what is finite, and what each event adds to its error."""
    ones, others = np.asarray(real, np.float64), np.asarray(made, np.float64)
    kept, also = np.isfinite(ones), np.isfinite(others)
    _, spread = moments(ones[:, None], np.asarray(weight, np.float64))
    added = (np.zeros(len(ones)), np.zeros(len(others)))
    weights, made_weights = np.asarray(weight, np.float64)[kept], np.asarray(made_weight, np.float64)[also]
    if not (weights.sum() > 0 and made_weights.sum() > 0):
        return nan, added
    value, found = _between(ones[kept] / spread[0], others[also] / spread[0], weights, made_weights)
    added[0][kept], added[1][also] = found
    return value, added


def _between(
    ones: Floats, others: Floats, weight: Floats, other_weight: Floats,
) -> tuple[float, tuple[Floats, Floats]]:
    """W1 between two weighted sets of numbers, and what each number adds to its error."""
    everything = np.concatenate([ones, others])
    order = np.argsort(everything, kind="stable")
    ranked = everything[order]
    signed = np.concatenate([weight / weight.sum(), -other_weight / other_weight.sum()])[order]
    steps = np.diff(ranked)
    difference = np.cumsum(signed)[:-1]
    potential = np.empty(len(ranked))
    potential[order] = np.concatenate([[0.0], np.cumsum(np.sign(difference) * steps)])
    return float(np.abs(difference) @ steps), (
        deviations(potential[:len(ones)], weight), deviations(potential[len(ones):], other_weight))


def _error(added: tuple[Floats, Floats]) -> float:
    return sqrt(sum(float(one @ one) for one in added))


# ---------------------------------------------------------------- means and covariances

@dataclass(frozen=True)
class Moments:
    """Weights, their squares, and weighted sums of columns and of products of columns, of one sample by block."""

    weight: Floats
    squares: Floats
    sums: Floats
    products: Floats

    def of(self, blocks: Array) -> tuple[Floats, Floats, float]:
        """Mean (d,), covariance (d, d) and effective number of the events of some blocks."""
        total = self.weight[blocks].sum()
        number = float(total**2 / self.squares[blocks].sum())
        mean = self.sums[blocks].sum(axis=0) / total
        covariance = self.products[blocks].sum(axis=0) / total - np.outer(mean, mean)
        return mean, covariance * number / max(number - 1, 1), number


def by_block(values: Floats, weight: Floats, seed: int) -> Moments:
    """Sums over ``BLOCKS`` parts of the events (n, d), drawn at random."""
    place = np.random.default_rng(seed).permutation(len(values)) % BLOCKS
    groups = [np.flatnonzero(place == block) for block in range(BLOCKS)]
    return Moments(
        np.array([weight[rows].sum() for rows in groups]),
        np.array([weight[rows] @ weight[rows] for rows in groups]),
        np.stack([weight[rows] @ values[rows] for rows in groups]),
        np.stack([values[rows].T @ (weight[rows, None] * values[rows]) for rows in groups]))


def fpd(real: Sample, made: Sample, seed: int) -> Distance:
    """The Fréchet physics distance |μ - ν|² + Tr(C + D - 2 √(C D)) for infinitely many events.

    It falls with the number of events as a + b/N; a is from a straight line through all events, the mean over halves
    and that over quarters, as far as these have ``ROWS_PER_COLUMN`` events for each column; without halves it is the
    distance as it is. The error is the jackknife over ``BLOCKS`` parts of both samples.

    JetNet divides columns by the largest real value, not by the standard deviation, draws parts with repeats, from
    20 000 events on, keeps a from being negative and takes the fit's error. Here parts do not overlap, since repeats
    leave a bias of 1/N, and a may come out a little below 0 for samples that are alike.
    """
    return _jackknifed(_frechet_of(real, made, seed), min(len(real), len(made)))


def fpd_value(real: Sample, made: Sample, seed: int) -> float:
    """:func:`fpd` without its error."""
    return _frechet_of(real, made, seed)(np.arange(BLOCKS))


def _frechet_of(real: Sample, made: Sample, seed: int) -> Callable[[Array], float]:
    """The extrapolated distance as a function of the blocks that are taken."""
    one, other = _blocks(real, made, seed)
    parts = extrapolated(real, made)

    def distance(blocks: Array) -> float:
        inverse, mean = [], []
        for count in parts:
            pieces = np.array_split(blocks, count)
            found = [(one.of(piece), other.of(piece)) for piece in pieces]
            mean.append(np.mean([frechet(a[0], a[1], b[0], b[1]) for a, b in found]))
            inverse.append(np.mean([1 / a[2] + 1 / b[2] for a, b in found]))
        return float(np.polyfit(inverse, mean, 1)[1]) if len(parts) > 1 else float(mean[0])

    return distance


def extrapolated(real: Sample, made: Sample) -> tuple[int, ...]:
    """Into how many parts :func:`fpd` divides these samples; (1,) when there is nothing to extrapolate from."""
    number = min(effective(real.weight), effective(made.weight))
    return tuple(count for count in PARTS
                 if count == 1 or number / count >= max(BLOCKS, ROWS_PER_COLUMN * (real.values.shape[1] + 1)))


def frechet(mean: Floats, covariance: Floats, other_mean: Floats, other_covariance: Floats) -> float:
    """The squared Fréchet distance between two Gaussians (Dowson, Landau 1982)."""
    lengths, axes = np.linalg.eigh(covariance)
    root = (axes * np.sqrt(np.maximum(lengths, 0))) @ axes.T
    common = np.linalg.eigvalsh(root @ other_covariance @ root)
    apart = mean - other_mean
    return float(apart @ apart + np.trace(covariance) + np.trace(other_covariance)
                 - 2 * np.sqrt(np.maximum(common, 0)).sum())


def correlation_difference(real: Sample, made: Sample, seed: int) -> Distance:
    """The mean of |ρ - ρ'| over pairs of columns, ρ and ρ' their weighted linear correlations in the two samples, 0 for
    columns that do not vary. NaN for less than two columns. The error is the jackknife over ``BLOCKS`` parts of both
    samples."""
    columns = real.values.shape[1]
    if columns < 2:
        return Distance(nan, nan)
    one, other = _blocks(real, made, seed)
    pairs = np.triu_indices(columns, 1)

    def difference(blocks: Array) -> float:
        return float(np.abs(_correlations(one.of(blocks)[1]) - _correlations(other.of(blocks)[1]))[pairs].mean())

    return _jackknifed(difference, min(len(real), len(made)))


def _correlations(covariance: Floats) -> Floats:
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    scale = np.outer(spread, spread)
    found: Floats = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 1e-12)
    return np.clip(found, -1, 1)


def _blocks(real: Sample, made: Sample, seed: int) -> tuple[Moments, Moments]:
    ones, others = standardised(real, made)
    return by_block(ones, _weights(real), seed), by_block(others, _weights(made), seed + 1)


def _jackknifed(of: Callable[[Array], float], rows: int) -> Distance:
    """A number of blocks and its error from leaving out each in turn; none for too few rows."""
    every = np.arange(BLOCKS)
    value = of(every)
    if rows < 2 * BLOCKS:
        return Distance(value, nan)
    without = np.array([of(every[every != block]) for block in every])
    return Distance(value, sqrt((BLOCKS - 1) * float(without.var())))


# ---------------------------------------------------------------- kernel

def kpd(real: Sample, made: Sample, seed: int) -> Distance:
    """The kernel physics distance: the median over batches of the unbiased MMD² with the kernel (x·y / d + 1)⁴; about 0
    for samples that are alike, and below it as often as above.

    The batches, ``BATCHES`` with at most ``BATCH_ROWS`` events of each sample, do not overlap. The error is that of
    the median of independent numbers, √(π/2) s / √batches, s half of the width of their central 68 %.

    JetNet divides columns by the largest real value, which one event decides, draws batches of 5 000 with repeats and
    quotes s itself. Here columns are in units of the standard deviation and cut off at ``FAR``, since the fourth power
    of a few outliers would be most of the spread.
    """
    ones, others = (np.clip(values, -FAR, FAR) for values in standardised(real, made))
    size = min(BATCH_ROWS, len(ones) // BATCHES, len(others) // BATCHES)
    if size < 2:
        return Distance(nan, nan)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(values))[:BATCHES * size].reshape(BATCHES, size) for values in (ones, others)]
    found = [_mmd(ones[a], others[b], _weights(real)[a], _weights(made)[b]) for a, b in zip(*orders, strict=True)]
    low, high = np.nanquantile(found, (0.16, 0.84))
    return Distance(float(np.nanmedian(found)), sqrt(np.pi / 2 / BATCHES) * float(high - low) / 2)


def _mmd(ones: Floats, others: Floats, weight: Floats, other_weight: Floats) -> float:
    """The unbiased estimate of MMD², weighted; NaN where one event has all the weight."""
    within = [_pairs(ones, weight), _pairs(others, other_weight)]
    cross = float(weight @ _kernel(ones, others) @ other_weight) / float(weight.sum() * other_weight.sum())
    return sum(within) - 2 * cross


def _pairs(values: Floats, weight: Floats) -> float:
    """The mean of the kernel over pairs of different events."""
    kernel = _kernel(values, values)
    squares = weight * weight
    number = float(weight.sum() ** 2 - squares.sum())
    return float(weight @ kernel @ weight - squares @ np.diag(kernel)) / number if number > 0 else nan


def _kernel(ones: Floats, others: Floats) -> Floats:
    kernel: Floats = ones @ others.T / ones.shape[1] + 1
    for _ in range(DEGREE_ROOT):
        np.square(kernel, out=kernel)
    return kernel


def _weights(sample: Sample) -> Floats:
    return np.asarray(sample.weight, np.float64)
