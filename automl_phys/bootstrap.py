"""How sure a score is: 68 % intervals of metrics, of the gain of one model over another, of a curve.

Takes samples (:class:`automl_phys.metrics.Sample`) and a seed. Rows are drawn again by giving each a Poisson count of
mean 1, the bootstrap for weighted events; two models are compared on the same draws. Replicates are made in chunks, so
that memory stays bounded. Where a count is all there is, the interval is the binomial one. Negative weights are drawn
as they are; replicates whose sums are not positive give nothing, and the note says how many those were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import exp, factorial, inf, nan
from typing import TypeVar

import numpy as np

from automl_phys import measures
from automl_phys.exhibits import Estimate
from automl_phys.metrics import Sample, Weighted, evaluate, value
from automl_phys.ranking import MIN_BACKGROUND, Floats
from automl_phys.values import Direction

T = TypeVar("T")

REPLICATES = 200
MOST_DRAWN = 40_000_000
"""Rows that are drawn in all."""
FEWEST = 40
CELLS = 4_000_000
"""Rows times classes times replicates held at once: some 200 MB at the worst."""
TAIL = 0.16
"""Probability left out on each side of an interval."""
NOT_TOLD = "the background that passes is less than its error, weights of both signs cancelling"

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
    """By how much ``better`` beats ``baseline`` in the objective, positive is better, on the same rows and draws; NaN
    where negative weights leave it undefined. Raises as :func:`automl_phys.metrics.value` does."""
    if better.signed and not all(np.isfinite(_whole(objective, one)) for one in (better, baseline)):
        return _undefined(better)
    sign = 1.0 if measures.find(objective)[0].direction == "maximize" else -1.0
    differences = [sign * (evaluate(objective, a) - evaluate(objective, b))
                   for a, b in zip(draws(better, seed, replicates), draws(baseline, seed, replicates), strict=True)]
    difference = sign * (value(objective, better) - value(objective, baseline))
    low, high = percentiles(np.concatenate(differences))
    return Estimate(difference, float(low), float(high), "paired bootstrap")


def differences(names: Sequence[str], one: Sample, other: Sample, seed: int, replicates: int = REPLICATES
                ) -> dict[str, Estimate]:
    """By how much each metric of ``other`` is larger than that of ``one``, on the same rows and draws.

    Without metrics that are undefined for either, and those of a background of which so few events pass that it is
    counted instead. Raises KeyError for an unknown name.
    """
    whole = {name: (_whole(name, one), _whole(name, other)) for name in names}
    told = [name for name, (a, b) in whole.items() if np.isfinite([a, b]).all()
            and not any(_few_pass(name, *each) for each in ((one, a), (other, b)))]
    pairs = zip(draws(one, seed, replicates), draws(other, seed, replicates), strict=True)
    return paired({name: whole[name] for name in told}, pairs, evaluate)


def paired(whole: Mapping[str, tuple[float, float]], draws: Iterable[tuple[T, T]], value: Callable[[str, T], Floats]
           ) -> dict[str, Estimate]:
    """By how much metrics of a second sample are larger than those of a first: ``whole`` has them for all rows of both,
    by name, ``draws`` the same draws of the rows of both, of which ``value`` gives a metric's replicates (R,)."""
    drawn: dict[str, list[Floats]] = {name: [] for name in whole}
    for one, other in draws:
        for name, found in drawn.items():
            found.append(value(name, other) - value(name, one))
    ends = {name: percentiles(np.concatenate(found)) for name, found in drawn.items()}
    return {name: Estimate(whole[name][1] - whole[name][0], float(low), float(high), "paired bootstrap")
            for name, (low, high) in ends.items()}


def band(curve: Callable[[Weighted], Floats], judged: Sample, seed: int,
         replicates: int = REPLICATES) -> tuple[Floats, Floats, Floats]:
    """A curve (P,) of a sample, and the lower and upper edge of its 68 % band; ``curve`` gives (R, P)."""
    middle = curve(Weighted(judged, np.ones((1, len(judged.target)))))[0]
    low, high = percentiles(np.concatenate([curve(rows) for rows in draws(judged, seed, replicates)]))
    return middle, low, high


def draws(judged: Sample, seed: int, replicates: int) -> Iterator[Weighted]:
    """Bootstrap replicates of a sample, some at a time; the same for samples of the same shape and seed."""
    rows = len(judged.target)
    for drawn in counts(rows, seed, replicates, max(1, CELLS // max(1, rows * judged.classes))):
        yield Weighted(judged, drawn)


def counts(rows: int, seed: int, replicates: int, chunk: int) -> Iterator[Floats]:
    """How often each row is drawn, (R, rows), ``chunk`` replicates at a time; the numbers do not depend on the chunk.

    Of very many rows there are fewer replicates, ``FEWEST`` at least: their intervals are small, and known well enough.
    """
    rng = np.random.default_rng(seed)
    replicates = min(replicates, max(FEWEST, MOST_DRAWN // max(1, rows)))
    for start in range(0, replicates, chunk):
        numbers = rng.integers(0, 65536, (min(chunk, replicates - start), rows), dtype=np.uint16)
        yield _POISSON[numbers]


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
        return _undefined(judged)
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
    return Estimate(middle, low, high, note + _lost(judged, replicates))


def _whole(name: str, judged: Sample) -> float:
    return float(evaluate(name, Weighted(judged, np.ones((1, len(judged.target)))))[0])


def _undefined(judged: Sample) -> Estimate:
    why = ": the weights of a class add up to 0 or less" if judged.weightless else ""
    return Estimate(nan, nan, nan, f"undefined on these rows{why}")


def _lost(judged: Sample, replicates: Floats) -> str:
    """What to add to the note where negative weights leave replicates without a value."""
    lost = float(np.isnan(replicates).mean())
    if not judged.signed or lost == 0:
        return ""
    return f"; undefined in {lost:.1%} of the replicates, weights adding up to 0 or less"


def _few_pass(name: str, judged: Sample, middle: float) -> bool:
    """Whether a FPR or rejection rests on so few background events that a bootstrap does not know its error."""
    if not name.startswith(("fpr@", "rejection@")):
        return False
    ranking, point = judged.ranking(judged.positive), np.array([measures.find(name)[1]])
    fpr = 1 / middle if name.startswith("rejection@") else middle
    return float(ranking.passing(np.array([fpr]), point)[0]) < MIN_BACKGROUND


def _of_background(name: str, judged: Sample, middle: float, replicates: Floats) -> Estimate:
    """FPR or rejection: the bootstrap knows nothing of events that did not pass, so few of them are counted instead."""
    rejection = name.startswith("rejection@")
    fpr = 1 / middle if rejection else middle
    ranking, point = judged.ranking(judged.positive), np.array([measures.find(name)[1]])
    least, passing = ranking.smallest_fprs(point)[0], float(ranking.passing(np.array([fpr]), point)[0])
    low, high = (float(end) for end in percentiles(replicates))
    if rejection and fpr <= least * (1 + 1e-9):
        what = NOT_TOLD if ranking.signed else "at most one background event passes"
        return Estimate(middle, middle, inf, f"lower limit at 68 % CL: {what}")
    if ranking.signed and passing < 1:  # not a fraction of anything, and perhaps negative
        return Estimate(middle, low, max(high, least), f"bootstrap: {NOT_TOLD}")
    if passing < MIN_BACKGROUND and fpr <= 1:
        low, high = clopper_pearson(fpr, passing / fpr if ranking.signed else ranking.effective)
        note = f"binomial (Clopper-Pearson): {passing:.1f} effective background events pass"
        low, high = (1 / high, 1 / low if low > 0 else inf) if rejection else (low, high)
        return Estimate(middle, low, high, note)
    return Estimate(middle, low, high, "bootstrap" + _lost(judged, replicates))
