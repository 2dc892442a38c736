"""Does a cut on the score shape the mass spectrum of the background? How far, beside what chance alone does.

Takes mass, score and weight (n,) of background events; gives a :class:`Sculpted` for each background efficiency. What
is measured is the Jensen-Shannon divergence, in bits, between the histograms of the mass before and after the cut, in
bins of equal weight before it. It is positive even for a score that knows nothing of the mass: that much is expected of
random cuts that keep as many events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.anomaly_scores import events, threshold_at
from automl_phys.exhibits import Estimate
from automl_phys.ranking import Floats

EFFICIENCIES = (0.5, 0.1, 0.05, 0.01)
FEWEST = 20.0
"""Effective events that must pass a cut before its spectrum is looked at."""
PER_BIN, FEWEST_BINS, MOST_BINS = 20.0, 4, 40
"""Effective events that pass, in each bin on the average."""
CUTS, FEWEST_CUTS, MOST_DRAWN = 200, 40, 20_000_000
"""Random cuts that tell what is expected of chance; events drawn in all."""


@dataclass(frozen=True)
class Sculpted:
    """At one background ``efficiency``: the ``divergence``, and what ``chance`` makes of random cuts (their mean, and
    68 % of them); NaN with a note where too few events pass. ``passed`` is their effective number."""

    efficiency: float
    passed: float
    divergence: Estimate
    chance: Estimate

    @property
    def pull(self) -> float:
        """By how many standard deviations of random cuts the divergence exceeds their mean; NaN if not known."""
        half = (self.chance.high - self.chance.low) / 2
        return (self.divergence.value - self.chance.value) / half if half > 0 else nan


def sculpted(mass: NDArray[Any], score: NDArray[Any], weight: NDArray[Any], seed: int,
             efficiencies: Sequence[float] = EFFICIENCIES) -> tuple[Sculpted, ...]:
    """The divergence at each efficiency; events without a mass are left out."""
    known = np.isfinite(mass)
    values, scores, weights = (np.asarray(one, np.float64)[known] for one in (mass, score, weight))
    return tuple(_at(efficiency, values, scores, weights, seed) for efficiency in efficiencies)


def _at(efficiency: float, mass: Floats, score: Floats, weight: Floats, seed: int) -> Sculpted:
    passes = score >= threshold_at(score, weight, efficiency) if len(mass) else np.zeros(0, bool)
    kept = events(weight[passes])
    if kept < FEWEST or weight.sum() <= 0:
        unknown = Estimate(nan, nan, nan, f"{kept:.0f} effective events pass; {FEWEST:g} are needed")
        return Sculpted(efficiency, kept, unknown, unknown)
    bins = int(np.clip(kept / PER_BIN, FEWEST_BINS, MOST_BINS))
    inner = np.unique(np.quantile(mass, np.arange(1, bins) / bins))
    place = np.searchsorted(inner, mass, "right")
    bins = len(inner) + 1
    before = _shares(place, weight, bins)
    after = _shares(place[passes], weight[passes], bins)
    found = divergence(before, after)
    cuts = _random(place, weight, float(weight[passes].sum()), before, seed)
    low, high = np.quantile(cuts, (0.16, 0.84))
    chance = Estimate(float(cuts.mean()), float(low), float(high), f"{len(cuts)} random cuts")
    error = hypot(_error(before, after, kept), float(cuts.std()))
    return Sculpted(efficiency, kept, Estimate(found, max(0.0, found - error), found + error,
                                               f"{chance.value:.2g} is expected of random cuts, {bins} bins"), chance)


def divergence(one: Floats, other: Floats) -> float:
    """Jensen-Shannon divergence of shares (B,) in bits, 0 … 1: H((p + q) / 2) - (H(p) + H(q)) / 2."""
    return float(_entropy((one + other) / 2) - (_entropy(one) + _entropy(other)) / 2)


def _entropy(shares: Floats) -> float:
    return float(-(shares * np.log2(np.where(shares > 0, shares, 1.0))).sum())


def _error(before: Floats, after: Floats, kept: float) -> float:
    """Standard deviation of the divergence by propagation of the shares' multinomial errors after the cut."""
    middle = (before + after) / 2
    slope = np.log2(np.where(after > 0, after, 1.0) / np.where(after > 0, middle, 1.0)) / 2
    return sqrt(max(0.0, float((after * slope**2).sum() - (after * slope).sum() ** 2)) / kept)


def _shares(place: NDArray[np.intp], weight: Floats, bins: int) -> Floats:
    """Of the weight in each bin; bins of negative weight hold nothing."""
    sums = np.maximum(np.bincount(place, weight, bins), 0.0)
    return np.asarray(sums / max(float(sums.sum()), 1e-300))


def _random(place: NDArray[np.intp], weight: Floats, kept: float, before: Floats, seed: int) -> Floats:
    """Divergences of cuts that keep this much weight, chosen without a look at the mass."""
    rng = np.random.default_rng([seed, len(place)])
    found = []
    for _ in range(int(np.clip(MOST_DRAWN // len(place), FEWEST_CUTS, CUTS))):
        order = rng.permutation(len(place))
        last = int(np.searchsorted(np.maximum.accumulate(np.cumsum(weight[order])), kept * (1 - 1e-12))) + 1
        some = order[:last]
        found.append(divergence(before, _shares(place[some], weight[some], len(before))))
    return np.array(found)
