"""Is there a bump in the mass spectrum? A smooth fit to the sidebands, and what it expects in the signal region.

Takes masses (n,), weights (n,), and which events are in the signal region; gives a :class:`Hunt`. The background is
exp(polynomial in ln m), fitted to the bins of the sidebands by maximum likelihood for Poisson counts, which is a
generalised linear model: one maximum, found by Newton's method from anywhere. The lowest order is taken that no higher
one improves upon in a likelihood-ratio test. The signal region takes no part in the fit.

The local p-value is that of a count n over a background b ± σ that is known from elsewhere (Cousins, Linnemann, Tucker,
NIM A 595 (2008) 480, Z_Bi): σ is that of a Poisson count b²/σ² of sideband events, so that a gamma distribution of b is
averaged over; exact for counts, few or many. Counts are discrete; half of the probability of n itself is counted
(mid-p), so that over background alone p is uniform on the average.

Weights make counts of Σw / (Σw² / Σw) (Bohm, Zech, NIM A 748 (2014) 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.exhibits import Estimate
from automl_phys.ranking import Floats

PER_REGION = 4
"""Bins of the signal region; the sidebands have bins of the same width."""
SIDEBAND = 3.0
"""Widths of the signal region that a sideband reaches at most: a smooth function need not hold everywhere."""
FEWEST_BINS = PER_REGION
"""Bins of each sideband that there must be."""
FEWEST_EVENTS = 10.0
"""Effective events in the sidebands after the cut without which nothing is fitted."""
HIGHEST_ORDER = 5
"""Of the polynomial: 1 is a power of the mass, 2 bends it."""
EVENTS_FOR_2, EVENTS_PER_ORDER = 20.0, 30.0
"""Effective events of the sidebands for order 2, and for each order of higher ones, at least: few events allow for many
curves."""
IMPROVED = 0.05
"""Probability of a likelihood ratio by chance below which a higher order is taken."""
MORE = 1
"""Orders more than that: a term too small to be seen in the sidebands can still shift what is expected between them."""
IN_A_BIN = 5.0
"""Expected events up to which neighbouring bins are put together for χ²."""
STEPS, CLOSE = 100, 1e-10
REFINED = 4
"""Parts of each bin at which the function is summed up."""


@dataclass(frozen=True)
class Window:
    """Where a bump is looked for: ``edges`` of bins, of which ``inside`` are in the signal region."""

    edges: Floats
    inside: NDArray[np.bool_]

    @property
    def ends(self) -> tuple[float, float]:
        """Of the signal region."""
        return float(self.edges[:-1][self.inside][0]), float(self.edges[1:][self.inside][-1])


@dataclass(frozen=True)
class Hunt:
    """What was found in a window. Per bin (B,): ``content`` Σw with its ends ``low`` and ``high`` at 68 %, the fit
    ``expected`` and its error ``spread``; a count is ``scale`` of Σw. ``order`` is the polynomial's, ``chi2`` of the
    sidebands with ``ndf``.

    Of the signal region: ``found`` Σw, ``background`` expected. ``p_above`` and ``p_reached`` are the probabilities of
    more than was found, and of as much or more, by chance.
    """

    window: Window
    content: Floats
    low: Floats
    high: Floats
    expected: Floats
    spread: Floats
    order: int
    chi2: float
    ndf: int
    found: float
    background: Estimate
    p_above: float
    p_reached: float
    scale: float = 1.0

    @property
    def pulls(self) -> Floats:
        """(found - expected) / √expected of each bin, in counts."""
        return np.asarray((self.content - self.expected) / np.sqrt(np.maximum(self.expected, 1e-300) * self.scale))

    @property
    def p_value(self) -> float:
        """Local: half of the probability of just what was found is counted."""
        return (self.p_above + self.p_reached) / 2

    @property
    def significance(self) -> float:
        """Φ⁻¹(1 - p): negative for fewer events than expected."""
        from scipy.special import ndtri

        return -float(ndtri(min(max(self.p_value, 1e-300), 1 - 1e-16)))

    @property
    def fit_p_value(self) -> float:
        """χ² probability of the fit to the sidebands; NaN where there are too few events for it."""
        from scipy.special import chdtrc

        return float(chdtrc(self.ndf, self.chi2)) if self.ndf > 0 else nan


def window(mass: NDArray[Any], region: NDArray[np.bool_]) -> Window | str:
    """Bins around the signal region, from the events before any cut; or why there can be none, in words.

    Ends of the signal region are those of its events. Below it the window begins above the bin where the spectrum
    outside the region is highest: up to there it turns on, which smooth functions of few parameters do not follow.
    """
    known = np.isfinite(mass)
    values, chosen = np.asarray(mass, np.float64)[known], np.asarray(region, bool)[known]
    if chosen.sum() < 2 or chosen.all():
        return "there are no events in the signal region, or none outside of it"
    low, high = _between(values, chosen)
    if ((values[~chosen] > low) & (values[~chosen] < high)).any():
        return "the signal region is no interval of the mass"
    step = (high - low) / PER_REGION
    if not step > 1e-6 * max(abs(low), abs(high)):
        return "the signal region has no width"
    below, above = (low - float(values.min())) / step, (float(values.max()) - high) / step
    below, above = (min(int(np.floor(reach)), round(SIDEBAND * PER_REGION)) for reach in (below, above))
    if min(below, above) < FEWEST_BINS:
        return "there is no sideband on both sides of the signal region that is as wide as this"
    edges: Floats = low + step * np.arange(-below, PER_REGION + above + 1, dtype=np.float64)
    counts, _ = np.histogram(values[~chosen], edges)
    highest = int(np.argmax(np.convolve(counts, np.ones(3), "same")[:below]))
    if counts[:below].max() >= counts[below + PER_REGION:].max():
        first = min(highest + 1, below - FEWEST_BINS)
        edges, below = edges[first:], below - first
    bins = np.arange(len(edges) - 1)
    return Window(edges, (bins >= below) & (bins < below + PER_REGION))


def _between(values: Floats, chosen: NDArray[np.bool_]) -> tuple[float, float]:
    """The ends of the region: the roundest numbers between its outermost events and the nearest ones beyond."""
    inner, outer = values[chosen], values[~chosen]
    low, high = float(inner.min()), float(inner.max())
    left, right = outer[outer < low], outer[outer > high]
    return _roundest(float(left.max()), low) if len(left) else low, (
        _roundest(high, float(right.min())) if len(right) else high)


def _roundest(low: float, high: float) -> float:
    """The number from low to high that takes the fewest digits."""
    for digits in range(1, 17):
        shown = float(f"{(low + high) / 2:.{digits - 1}e}")
        if low <= shown <= high:
            return shown
    return high


def hunt(mass: NDArray[Any], weight: NDArray[Any], where: Window) -> Hunt | str:
    """Fit the sidebands and count the signal region; or why that cannot be done, in words."""
    values, weights = np.asarray(mass, np.float64), np.asarray(weight, np.float64)
    near = (values >= where.edges[0]) & (values <= where.edges[-1])
    total, squares = float(weights[near].sum()), float((weights[near] ** 2).sum())
    if not (total > 0 and squares > 0):
        return "no events are left"
    scale = squares / total
    content = np.histogram(values[near], where.edges, weights=weights[near])[0].astype(np.float64)
    counts = np.maximum(content, 0.0) / scale  # a bin of negative weights holds nothing
    outside = ~where.inside
    if counts[outside].sum() < FEWEST_EVENTS:
        return (f"{counts[outside].sum():.0f} effective events are left in the sidebands, too few for a fit, and "
                f"{counts[where.inside].sum():.0f} in the signal region")
    fit = _fitted(counts, where)
    if fit is None:
        return "no smooth function fits the sidebands"
    expected, covariance, order = fit
    within = where.inside.astype(np.float64)
    b, sigma = float(expected @ within), sqrt(float(within @ covariance @ within))
    p_above, p_reached = chances(float(counts[where.inside].sum()), b, sigma)
    chi2, ndf = _chi2(counts[outside], expected[outside], order + 1)
    low, high = garwood(counts)
    return Hunt(where, content, low * scale, high * scale, expected * scale, np.sqrt(np.diag(covariance)) * scale,
                order, chi2, ndf, float(content[where.inside].sum()),
                Estimate(b * scale, (b - sigma) * scale, (b + sigma) * scale, f"fit of order {order} to the sidebands"),
                p_above, p_reached, scale)


def chances(n: float, b: float, sigma: float) -> tuple[float, float]:
    """Probabilities of more than n events, and of n or more, over a background of b ± σ: that of a binomial, with a
    share 1 / (1 + τ) of events in the region, τ = b / σ² and b τ of them seen in the sidebands (Z_Bi)."""
    from scipy.special import betainc

    tau = b / sigma**2
    aside = b * tau
    share = 1 / (1 + tau)
    reached = float(betainc(n, 1 + aside, share)) if n > 0 else 1.0
    return float(betainc(n + 1, 1 + aside, share)), reached


def garwood(counts: Floats) -> tuple[Floats, Floats]:
    """Central 68 % intervals of Poisson means (Garwood 1936), from 0 for no events."""
    from scipy.special import gammaincinv

    low = np.where(counts > 0, gammaincinv(np.maximum(counts, 1e-9), 0.16), 0.0)
    return low, np.asarray(gammaincinv(counts + 1, 0.84))


# ---------------------------------------------------------------- the fit

def _fitted(counts: Floats, where: Window) -> tuple[Floats, Floats, int] | None:
    """Expected counts of all bins (B,), their covariance (B, B) and the order; None where nothing fits."""
    from scipy.special import chdtrc

    outside = ~where.inside
    events = float(counts[outside].sum())
    highest = int(min(HIGHEST_ORDER, outside.sum() - 2, max(events // EVENTS_PER_ORDER, 1 + (events >= EVENTS_FOR_2))))
    found: dict[int, tuple[Floats, Floats, float]] = {}
    for order in range(1, highest + 1):
        made = _of_order(order, counts, where)
        if made is not None:
            found[order] = made
    for order, (_, _, deviance) in found.items():
        better = (chdtrc(other - order, deviance - lower) < IMPROVED
                  for other, (_, _, lower) in found.items() if other > order and lower < deviance)
        if not any(better):
            taken = order + MORE if order + MORE in found else order
            return (*found[taken][:2], taken)
    return None


def _of_order(order: int, counts: Floats, where: Window) -> tuple[Floats, Floats, float] | None:
    """Newton's method for the Poisson likelihood of the sidebands: expected counts, covariance, deviance; None where
    the likelihood has no maximum (too few bins that hold events)."""
    from numpy.polynomial import legendre

    bins, outside = len(counts), ~where.inside
    ends = where.edges[0], where.edges[-1]
    shares = (np.arange(REFINED) + 0.5) / REFINED
    points = (where.edges[:-1, None] + shares * np.diff(where.edges)[:, None]).ravel()
    if ends[0] > 0:  # falling spectra are nearly powers of the mass
        points, ends = np.log(points), (np.log(ends[0]), np.log(ends[1]))
    basis = legendre.legvander(2 * (points - ends[0]) / (ends[1] - ends[0]) - 1, order)

    def predicted(theta: Floats) -> tuple[Floats, Floats]:
        """Expected counts (B,) and their derivatives (B, P)."""
        parts = np.exp(np.clip(basis @ theta, -300.0, 300.0)) / REFINED
        return parts.reshape(bins, REFINED).sum(axis=1), (parts[:, None] * basis).reshape(
            bins, REFINED, order + 1).sum(axis=1)

    def deviance(expected: Floats) -> float:
        n, m = counts[outside], expected[outside]
        return 2 * float((m - n + n * np.log(np.where(n > 0, n, 1.0) / np.where(n > 0, m, 1.0))).sum())

    theta = np.zeros(order + 1)
    theta[0] = np.log(counts[outside].mean())
    expected, slope = predicted(theta)
    best = deviance(expected)
    for _ in range(STEPS):
        n, m, d = counts[outside], expected[outside], slope[outside]
        information = (d / m[:, None]).T @ d
        step = _solved(information, d.T @ (n / m - 1))
        if step is None:
            return None
        taken = 1.0
        while taken > 1e-6:
            tried, moved = predicted(theta + taken * step)
            if np.all(tried[outside] > 0) and deviance(tried) <= best + CLOSE:
                break
            taken /= 2
        else:
            return None
        theta, expected, slope = theta + taken * step, tried, moved
        gained, best = best - deviance(tried), deviance(tried)
        if gained < CLOSE * (1 + best):
            break
    else:
        return None
    d, m = slope[outside], expected[outside]
    inverse = _solved((d / m[:, None]).T @ d, np.eye(order + 1))
    return None if inverse is None else (expected, slope @ inverse @ slope.T, best)


def _solved(matrix: Floats, right: Floats) -> Floats | None:
    if not np.isfinite(matrix).all() or np.linalg.cond(matrix) > 1e12:
        return None
    return np.asarray(np.linalg.solve(matrix, right), np.float64)


def _chi2(counts: Floats, expected: Floats, parameters: int) -> tuple[float, int]:
    """Pearson's χ² and its degrees of freedom, of neighbouring bins put together until enough events are expected."""
    seen, wanted = [0.0], [0.0]
    for n, m in zip(counts.tolist(), expected.tolist(), strict=True):
        if wanted[-1] >= IN_A_BIN:
            seen.append(0.0)
            wanted.append(0.0)
        seen[-1] += n
        wanted[-1] += m
    if len(wanted) > 1 and wanted[-1] < IN_A_BIN:
        last = seen.pop(), wanted.pop()
        seen[-1], wanted[-1] = seen[-1] + last[0], wanted[-1] + last[1]
    n, m = np.array(seen), np.array(wanted)
    return float(((n - m) ** 2 / m).sum()), max(0, len(m) - parameters)
