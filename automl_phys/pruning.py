"""When a trial may be stopped early: thresholds fixed before it starts.

Takes the results known when a trial is asked for; gives its rungs, a mapping from a step to the value that must have
been reached there. A trial is never compared with one that happens to run beside it, so pruning cannot depend on which
worker was faster. Watching a fit and stopping it is :mod:`automl_phys.worker`'s work.

``hyperband``: brackets of successive halving (Li et al., JMLR 18 (2018) 185), each in its asynchronous form (Li et al.,
MLSys 2020, arXiv:1810.05934). With R the median length of the family's finished trials and eta = 3, the rungs are at
R/27, R/9 and R/3; at a rung a trial must be among the best 1/eta of those known to have come there. The bracket of
trial n is n modulo 4: bracket b skips the first b rungs, so that a quarter of the trials runs to its end whatever
it looks like at first.

``median``: at each tenth of R a trial must be no worse than the median of those known to have come there (the median
stopping rule of Golovin et al., KDD 2017, on best values so far instead of running means).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from statistics import median

from automl_phys.trials import Result
from automl_phys.values import Direction

ETA = 3
RUNGS = 3
FEWEST_AT_A_RUNG = 2 * ETA
"""With fewer trials known at a rung, nothing is pruned there."""


class Pruner:
    """Told the results of one family in their order, asked for the rungs of trials in between.

    Keeps of a learning curve only where it got better, and what was reached at the rungs of before, so that neither
    memory nor time grow with the length of curves or much with their number.
    """

    def __init__(self, pruner: str, direction: Direction) -> None:
        self._pruner, self._direction = pruner, direction
        self._curves: list[_Curve] = []
        self._lengths: list[int] = []
        self._came: dict[int, tuple[int, list[float]]] = {}

    def add(self, result: Result) -> None:
        """How a trial ended; one that failed or has no steps says nothing."""
        if self._pruner == "none" or result.status not in ("done", "pruned") or not result.values:
            return
        self._curves.append(_Curve(result, self._direction))
        if result.status == "done":
            insort(self._lengths, max(result.values))

    def rungs(self, number: int) -> dict[int, float]:
        """What trial ``number`` must reach; empty: it runs to its end."""
        if self._pruner == "none" or not self._lengths:
            return {}
        full = median(self._lengths)
        if self._pruner == "hyperband":
            every = [round(full / ETA**k) for k in range(RUNGS, 0, -1)]
            steps = every[number % (RUNGS + 1):]
        else:
            every = steps = [round(full * tenth / 10) for tenth in range(1, 10)]
        self._came = {step: known for step, known in self._came.items() if step in every}
        needed: dict[int, float] = {}
        for step in steps:
            came = self._reached(step)
            if 1 <= step < full and len(came) >= FEWEST_AT_A_RUNG:
                if self._pruner == "median":
                    needed[step] = median(came)
                else:
                    best = len(came) // ETA
                    needed[step] = came[-best if self._direction == "maximize" else best - 1]
        return needed

    def _reached(self, step: int) -> list[float]:
        """The best values of those that came to ``step``, ascending; only those that are new are looked at."""
        seen, came = self._came.get(step, (0, []))
        for curve in self._curves[seen:]:
            best = curve.reached(step)
            if best is not None:
                insort(came, best)
        self._came[step] = (len(self._curves), came)
        return came


class _Curve:
    """A learning curve: its steps, and where it got better."""

    def __init__(self, result: Result, direction: Direction) -> None:
        self._pruned = result.status == "pruned"
        steps = sorted(result.values)
        apart = steps[1] - steps[0] if len(steps) > 1 else 1
        regular = range(steps[0], steps[-1] + 1, apart)
        self._steps: Sequence[int] = regular if steps == list(regular) else array("q", steps)
        self._better, self._best = array("q"), array("d")
        for step in steps:
            value = result.values[step]
            if not self._best or (value > self._best[-1] if direction == "maximize" else value < self._best[-1]):
                self._better.append(step)
                self._best.append(value)

    def reached(self, step: int) -> float | None:
        """As :func:`reached`."""
        if self._pruned and self._steps[-1] < step:
            return None
        last = self._steps[min(bisect_left(self._steps, step), len(self._steps) - 1)]
        return self._best[bisect_right(self._better, last) - 1]


def rungs(pruner: str, number: int, known: Sequence[Result], direction: Direction) -> dict[int, float]:
    """What trial ``number`` must reach, from the ``known`` results of its own family; empty: it runs to its end."""
    told = Pruner(pruner, direction)
    for result in known:
        told.add(result)
    return told.rungs(number)


def reached(result: Result, step: int, direction: Direction) -> float | None:
    """The best value a trial had when it came to ``step``; None when it failed, or was stopped before."""
    if result.status not in ("done", "pruned") or not result.values:
        return None
    if result.status == "pruned" and max(result.values) < step:
        return None
    return best_until(result.values, step, direction)


def best_until(values: Mapping[int, float], step: int, direction: Direction) -> float:
    """The best of ``values`` up to the first step that is not before ``step`` (a fit need not report every step)."""
    last = min((s for s in values if s >= step), default=max(values))
    best = max if direction == "maximize" else min
    return best(value for s, value in values.items() if s <= last)
