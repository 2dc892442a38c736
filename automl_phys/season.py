"""After how many steps series tend to repeat: found from their values.

Takes values over time and the seasons that the calendar suggests; gives the season, 1 for none, and how sure that is.
A season of the calendar (12 months, 7 days) is taken when means by its phases tell more of the steps' differences than
chance would (F-test). Else the periodogram is held against that of red noise with the same memory of one step, as is
usual for climate records (Torrence, Compo 1998, Bull. Amer. Meteor. Soc. 79, 61) but over bands of frequencies,
and the autocorrelation gives the length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_CYCLES = 3
"""Of the calendar's seasons in the data."""
CYCLES_FOUND = 4
"""The same of a season that nothing but the data suggests."""
CHANCE = 1e-4
"""Probability below which a cycle is not taken for chance."""
LEAST_SHARE = 0.1
"""Of the differences' variance, what a season of the calendar explains at least."""
LEAST_CORRELATION = 0.25
FLAT = 0.05
"""Difference of autocorrelations that is none."""
SHORTEST = 4
"""Steps of the shortest cycle that is looked for, if the calendar does not suggest it."""
BREADTH = 1.25
"""Frequencies within this factor of each other make one cycle: the Sun does not keep time."""
TAPER = 1.5
"""Neighbouring frequencies of which one is told by the tapered series."""
MOST_SERIES = 50
LONGEST = 100_000


@dataclass(frozen=True)
class Season:
    """``steps`` of the season, 1 for none, and in words why."""

    steps: int
    reason: str


def find(series: Sequence[Floats], natural: Sequence[int]) -> Season:
    """The season of most of the series, values (T,) each without gaps; ``natural`` are the calendar's."""
    pick = np.round(np.linspace(0, len(series) - 1, min(len(series), MOST_SERIES))).astype(int)
    found = [_of_one(series[i][-LONGEST:], natural) for i in pick]
    having = [season for season in found if season is not None]
    if 2 * len(having) <= len(found):
        return Season(1, "No season was found in the values.")
    steps = int(np.median([season.steps for season in having]))
    agreeing = [season for season in having if season.steps == steps]
    if agreeing:
        return agreeing[0]
    return Season(steps, f"The season is {steps} steps, the median of what was found in {len(having)} series.")


def _of_one(values: Floats, natural: Sequence[int]) -> Season | None:
    if values.std() == 0:
        return None
    by_calendar = [(share, season) for season in natural if (share := _explained(values, season)) >= LEAST_SHARE]
    if by_calendar:
        share, season = max(by_calendar)
        return Season(season, f"The season is {season} steps, as the calendar suggests: it explains {share:.0%} of the "
                      "steps' variance.")
    return _from_spectrum(values)


def _explained(values: Floats, season: int) -> float:
    """The share of the differences' variance that means by phase explain, 0 where it may be chance."""
    from scipy import stats

    steps = np.diff(values)
    if len(steps) < LEAST_CYCLES * season or steps.std() == 0:
        return 0.0
    phase = np.arange(len(steps)) % season
    counts = np.bincount(phase, minlength=season)
    means = np.bincount(phase, steps, season) / counts
    within, total = float(((steps - means[phase]) ** 2).sum()), float(((steps - steps.mean()) ** 2).sum())
    free = len(steps) - season
    statistic = (total - within) / (season - 1) / (max(within, 1e-300) / free)
    # What chance explains is taken off, as adjusted R² does.
    share = 1 - (within / free) / (total / (len(steps) - 1))
    return share if float(stats.f.sf(statistic, season - 1, free)) < CHANCE else 0.0


def _from_spectrum(values: Floats) -> Season | None:
    """The band of frequencies that stands out most of what the other frequencies would let one expect."""
    from scipy import stats

    n = len(values)
    if n < SHORTEST * CYCLES_FOUND:
        return None
    at = np.linspace(-1, 1, n)
    flat = values - np.polyval(np.polyfit(at, values, 2), at)
    if flat.std() <= 1e-9 * max(1.0, float(np.abs(values).max())):
        return None
    flat = flat / flat.std()
    window = np.hanning(n)
    power = np.abs(np.fft.rfft(flat * window)) ** 2 / (window**2).sum()
    frequency = np.asarray(np.fft.rfftfreq(n), np.float64)
    end = frequency[CYCLES_FOUND] if n > 2 * CYCLES_FOUND else 0.5
    centres = end * BREADTH ** np.arange(0, np.log(1 / SHORTEST / end) / np.log(BREADTH) + 1, 0.5)
    chances, periods = [1.0], [0.0]
    for centre in centres:
        band = np.flatnonzero((frequency >= centre / BREADTH) & (frequency <= centre * BREADTH) & (frequency >= end))
        ratio = power[band] / _background(power, frequency, band)[band]
        # A ratio is exponentially distributed, a sum of them follows a gamma distribution; the taper ties neighbours.
        count = max(1.0, len(band) / TAPER)
        chances.append(float(stats.gamma.sf(ratio.sum() * count / max(1, len(band)), count)))
        periods.append(float(power[band].sum() / max(1e-300, (power[band] * frequency[band]).sum())))
    best = int(np.argmin(chances))
    return _refined(flat, periods[best]) if chances[best] * len(centres) < CHANCE else None


def _background(power: Floats, frequency: Floats, band: NDArray[np.int64]) -> Floats:
    """The spectrum of red noise with white noise upon it that has the power of all frequencies but a band, which is
    bridged; its memory is told by the first two autocorrelations."""
    rest = power.copy()
    width = max(2, len(band) // 2)
    below, above = (power[max(1, band[0] - width):band[0]], power[band[-1] + 1:band[-1] + 1 + width])
    sides = [float(side.mean()) for side in (below, above) if len(side)]
    rest[band] = np.minimum(rest[band], np.exp(np.mean(np.log(np.maximum(sides, 1e-300)))))
    rest[0] = 0.0
    total = float(rest.sum())
    first, second = (max(0.0, float((rest * np.cos(2 * np.pi * frequency * lag)).sum()) / total) for lag in (1, 2))
    memory = float(np.clip(second / first if first > 0 else 0.0, first, 0.999))
    part = min(1.0, first / memory) if memory > 0 else 0.0
    red = (1 - memory**2) / (1 + memory**2 - 2 * memory * np.cos(2 * np.pi * frequency))
    shape: Floats = part * red + 1 - part
    return np.asarray(shape * (total / float(shape[1:].sum())), np.float64)


def _refined(flat: Floats, period: float) -> Season | None:
    """The lag near a period where the autocorrelation is largest, or the period itself where it is hardly smaller:
    a cycle that wanders has a broad maximum."""
    n = len(flat)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(flat, 2 * n)) ** 2)[:n] / n
    first, last = max(2, int(np.floor(0.75 * period))), min(n - 1, int(np.ceil(1.3 * period)))
    lags = np.arange(first, last + 1)
    best = int(lags[int(np.argmax(correlation[lags]))])
    if correlation[best] < LEAST_CORRELATION or best > n / CYCLES_FOUND:
        return None
    steps = round(period) if correlation[round(period)] > correlation[best] - FLAT else best
    return Season(steps, f"The season is {steps} steps, found from the data: a cycle that red noise would not make, "
                  f"with an autocorrelation of {correlation[steps]:.2f}.")
