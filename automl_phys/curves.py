"""Curves and histograms of a classifier's output, and how alike two samples are.

Takes samples and weightings (:mod:`automl_phys.metrics`) or plain values with weights, gives arrays. Drawing them is
left to others.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from automl_phys.bootstrap import wilson
from automl_phys.metrics import CALIBRATION_BINS, Sample, Weighted
from automl_phys.ranking import Floats, crossing, effective

EFFICIENCIES: Floats = np.linspace(0.02, 1.0, 99)
"""Signal efficiencies at which curves are drawn."""
MISTAGS: Floats = np.unique(np.concatenate([np.geomspace(1e-4, 0.1, 40), np.linspace(0.0, 1.0, 101)]))
"""Background efficiencies at which curves are drawn, denser where they matter."""


def tpr_along(rows: Weighted, positive: int) -> Floats:
    """TPR at each of ``MISTAGS``, (R, P)."""
    signal, background = rows.passed(positive)
    return crossing(background, signal, MISTAGS)


def fpr_along(rows: Weighted, positive: int) -> Floats:
    """FPR at each of ``EFFICIENCIES``, (R, P)."""
    return crossing(*rows.passed(positive), EFFICIENCIES)


def threshold_at(judged: Sample, positive: int, efficiency: float) -> float:
    """The largest score above (or at) which at least this fraction of the signal lies; NaN without signal."""
    ranking = judged.ranking(positive)
    passed = np.cumsum(ranking.signal)[ranking.ends]
    if passed[-1] <= 0:
        return nan
    reached = np.searchsorted(np.maximum.accumulate(passed), efficiency * passed[-1] * (1 - 1e-12))
    return float(ranking.scores[reached])


@dataclass(frozen=True)
class Reliability:
    """Bins of equal weight: mean probability ``said``, ``found`` fraction that was right with its interval, and the
    χ² probability that all gaps are chance."""

    said: Floats
    found: Floats
    low: Floats
    high: Floats
    p_value: float


def reliability(judged: Sample) -> Reliability:
    """Reliability curve; intervals are binomial (Wilson) with the effective number of events of each bin.

    χ² compares what was found with what was said, with the variance p (1 - p) Σ w² that it says itself (Spiegelhalter's
    idea, by bins). With negative weights fractions are no binomial ones: the variances are Σ w² (y - f)² / (Σ w)² about
    what was found, if that is wider, and in χ² Σ w² (y - p)², if that is more. Bins whose weights add up to 0 or
    less are left out.
    """
    from scipy.special import chdtrc

    c, w = judged.calibration, judged.weight
    weight = np.bincount(c.bins, w, CALIBRATION_BINS).astype(np.float64)
    there = weight > 0
    said, found, variance, spread = (
        np.bincount(c.bins, v, CALIBRATION_BINS)[there]
        for v in (w * c.said, w * c.hit, w**2 * c.said * (1 - c.said), w**2 * (c.hit - c.said) ** 2))
    if judged.signed:
        variance = np.maximum(variance, spread)
    trials = effective(weight, np.bincount(c.bins, w**2, CALIBRATION_BINS).astype(np.float64))[there]
    chi2 = float(((found - said) ** 2 / np.maximum(variance, 1e-300)).sum())
    weight = weight[there]
    share = found / weight
    ends = [wilson(min(max(f, 0.0), 1.0), n) for f, n in zip(share, trials, strict=True)]
    low, high = np.array(ends).reshape(-1, 2).T
    if judged.signed:
        missed, hit = (np.bincount(c.bins, w**2 * y, CALIBRATION_BINS)[there] for y in (1 - c.hit, c.hit))
        error = np.sqrt(missed * share**2 + hit * (1 - share) ** 2) / weight
        low, high = np.minimum(low, share - error), np.maximum(high, share + error)
    return Reliability(said / weight, share, low, high, float(chdtrc(len(weight), chi2)) if len(weight) else nan)


@dataclass(frozen=True)
class Histogram:
    """Density (unit area) in bins, and its statistical error √Σw²."""

    edges: Floats
    density: Floats
    error: Floats


def histogram(values: Floats, weight: Floats, edges: Floats) -> Histogram:
    """Weighted, normalised to unit area over what lies within the edges; zeros where that is nothing."""
    content, _ = np.histogram(values, edges, weights=weight)
    squares, _ = np.histogram(values, edges, weights=weight**2)
    area = content.sum() * np.diff(edges)
    scale = np.divide(1.0, area, out=np.zeros_like(area), where=area > 0)
    return Histogram(edges, content * scale, np.sqrt(squares) * scale)


@dataclass(frozen=True)
class Likeness:
    """How alike two samples are: Kolmogorov-Smirnov distance with its p-value, χ² of their histograms over ndf."""

    distance: float
    p_value: float
    chi2: float
    ndf: int


def compare(one: Floats, one_weight: Floats, other: Floats, other_weight: Floats, edges: Floats) -> Likeness:
    """Two weighted samples of the same quantity; NaN where one is empty.

    The p-value is Kolmogorov's limit at √n_e + 0.12 + 0.11/√n_e times the distance (Stephens 1970), n_e of effective
    numbers of events; χ² is Σ (h₁ - h₂)² / (σ₁² + σ₂²) of the normalised histograms, ndf one less than the bins used.
    """
    from scipy.special import kolmogorov

    if not (one_weight.sum() > 0 and other_weight.sum() > 0):
        return Likeness(nan, nan, nan, 0)
    distance = ks_distance(one, one_weight, other, other_weight)
    counts = [float(w.sum() ** 2 / (w**2).sum()) for w in (one_weight, other_weight)]
    root = sqrt(counts[0] * counts[1] / (counts[0] + counts[1]))
    first, second = histogram(one, one_weight, edges), histogram(other, other_weight, edges)
    variance = first.error**2 + second.error**2
    used = variance > 0
    chi2 = float(((first.density - second.density)[used] ** 2 / variance[used]).sum())
    return Likeness(distance, float(kolmogorov((root + 0.12 + 0.11 / root) * distance)), chi2,
                    max(int(used.sum()) - 1, 0))


def ks_distance(one: Floats, one_weight: Floats, other: Floats, other_weight: Floats) -> float:
    """Largest difference of the two weighted cumulative distributions."""
    values = np.concatenate([one, other])
    steps = np.concatenate([one_weight / one_weight.sum(), -other_weight / other_weight.sum()])
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    return float(np.abs(np.cumsum(steps[order])[last]).max())
