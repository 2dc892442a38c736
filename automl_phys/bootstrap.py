"""How sure a score is: 68 % intervals of metrics, of the gain of one model over another, of a curve.

Takes samples (:class:`automl_phys.metrics.Sample`) and a seed. Rows are drawn again by giving each a Poisson count of
mean 1, the bootstrap for weighted events; two models are compared on the same draws. Replicates are made in chunks, so
that memory stays bounded. Where a count is all there is, the interval is the binomial one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import exp, factorial, inf, nan

import numpy as np

from automl_phys import measures
from automl_phys.exhibits import Estimate
from automl_phys.metrics import Sample, Weighted, evaluate, value
from automl_phys.ranking import MIN_BACKGROUND, Floats, smallest_fpr
from automl_phys.values import Direction

REPLICATES = 200
CELLS = 4_000_000
"""Rows times classes times replicates held at once: some 200 MB at the worst."""
TAIL = 0.16
"""Probability left out on each side of an interval."""

_POISSON = np.searchsorted(np.cumsum([exp(-1) / factorial(k) for k in range(9)]),
                           (np.arange(65536) + 0.5) / 65536).astype(np.float64)
"""Poisson counts of mean 1 for equally likely 16-bit numbers: a look-up is ten times as fast as a generator."""


def estimates(names: Sequence[str], judged: Sample, seed: int, replicates: int = REPLICATES) -> dict[str, Estimate]:
    """Each metric of a sample with its interval. Raises KeyError for an unknown name."""
    whole = Weighted(judged, np.ones((1, len(judged.target))))
    values = {name: float(evaluate(name, whole)[0]) for name in names}
    drawn: dict[str, list[Floats]] = {name: [] for name in names}
    for rows in draws(judged, seed, replicates):
        for name in names:
            drawn[name].append(evaluate(name, rows))
    return {name: _estimate(name, judged, values[name], np.concatenate(drawn[name])) for name in names}


def gain(objective: str, better: Sample, baseline: Sample, seed: int, replicates: int = REPLICATES) -> Estimate:
    """By how much ``better`` beats ``baseline`` in the objective, positive is better, on the same rows and draws."""
    sign = 1.0 if measures.find(objective)[0].direction == "maximize" else -1.0
    differences = [sign * (evaluate(objective, a) - evaluate(objective, b))
                   for a, b in zip(draws(better, seed, replicates), draws(baseline, seed, replicates), strict=True)]
    difference = sign * (value(objective, better) - value(objective, baseline))
    low, high = percentiles(np.concatenate(differences))
    return Estimate(difference, float(low), float(high), "paired bootstrap")


def band(curve: Callable[[Weighted], Floats], judged: Sample, seed: int,
         replicates: int = REPLICATES) -> tuple[Floats, Floats, Floats]:
    """A curve (P,) of a sample, and the lower and upper edge of its 68 % band; ``curve`` gives (R, P)."""
    middle = curve(Weighted(judged, np.ones((1, len(judged.target)))))[0]
    low, high = percentiles(np.concatenate([curve(rows) for rows in draws(judged, seed, replicates)]))
    return middle, low, high


def draws(judged: Sample, seed: int, replicates: int) -> Iterator[Weighted]:
    """Bootstrap replicates of a sample, some at a time; the same for samples of the same shape and seed."""
    rng = np.random.default_rng(seed)
    rows = len(judged.target)
    chunk = max(1, CELLS // max(1, rows * judged.classes))
    for start in range(0, replicates, chunk):
        numbers = rng.integers(0, 65536, (min(chunk, replicates - start), rows), dtype=np.uint16)
        yield Weighted(judged, _POISSON[numbers])


def percentiles(replicates: Floats) -> tuple[Floats, Floats]:
    """Lower and upper end of the 68 % interval along the first axis; NaN where most replicates are undefined."""
    enough = np.isnan(replicates).mean(axis=0) < 0.5
    ends = np.full((2, *replicates.shape[1:]), nan)
    ends[:, enough] = np.nanquantile(replicates[:, enough], (TAIL, 1 - TAIL), axis=0)
    return ends[0], ends[1]


def wilson(part: float, trials: float) -> tuple[float, float]:
    """Interval of a binomial fraction at one standard deviation (Wilson 1927)."""
    centre = (part + 0.5 / trials) / (1 + 1 / trials)
    half = (part * (1 - part) / trials + 0.25 / trials**2) ** 0.5 / (1 + 1 / trials)
    return centre - half, centre + half


def clopper_pearson(part: float, trials: float) -> tuple[float, float]:
    """Central 68 % interval of a binomial fraction (Clopper, Pearson 1934); ``trials`` may be an effective number."""
    from scipy.special import betaincinv

    passed = part * trials
    low = float(betaincinv(passed, trials - passed + 1, TAIL)) if passed > 0 else 0.0
    high = float(betaincinv(passed + 1, trials - passed, 1 - TAIL)) if passed < trials else 1.0
    return low, high


def better(direction: Direction, one: float, other: float) -> bool:
    """Whether ``one`` is better than ``other``."""
    return one > other if direction == "maximize" else one < other


def _estimate(name: str, judged: Sample, middle: float, replicates: Floats) -> Estimate:
    if not np.isfinite(middle):
        return Estimate(nan, nan, nan, "undefined on these rows")
    if name == "accuracy" and judged.equal_weights:
        return Estimate(middle, *wilson(middle, len(judged.target)), "binomial (Wilson)")
    if name == "recall" and judged.equal_weights and judged.signal is not None:
        return Estimate(middle, *wilson(middle, float((judged.target == judged.signal).sum())), "binomial (Wilson)")
    if name.startswith(("fpr@", "rejection@")):
        return _of_background(name, judged, middle, replicates)
    note = "bootstrap"
    if name in ("max_sic", "asimov_significance") and not judged.ranking(judged.positive).allowed[:-1].any():
        note = f"nothing cut: no threshold leaves {MIN_BACKGROUND:g} effective background events"
    low, high = (float(end) for end in percentiles(replicates))
    return Estimate(middle, low, high, note)


def _of_background(name: str, judged: Sample, middle: float, replicates: Floats) -> Estimate:
    """FPR or rejection: the bootstrap knows nothing of events that did not pass, so few of them are counted instead."""
    rejection = name.startswith("rejection@")
    fpr = 1 / middle if rejection else middle
    trials = judged.ranking(judged.positive).effective
    if rejection and fpr <= smallest_fpr(trials) * (1 + 1e-9):
        return Estimate(middle, middle, inf, "lower limit at 68 % CL: at most one background event passes")
    if fpr * trials < MIN_BACKGROUND:
        low, high = clopper_pearson(fpr, trials)
        note = f"binomial (Clopper-Pearson): {fpr * trials:.1f} effective background events pass"
        low, high = (1 / high, 1 / low if low > 0 else inf) if rejection else (low, high)
        return Estimate(middle, low, high, note)
    low, high = (float(end) for end in percentiles(replicates))
    return Estimate(middle, low, high, "bootstrap")
