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

from collections.abc import Mapping, Sequence
from statistics import median

from automl_phys.trials import Result
from automl_phys.values import Direction

ETA = 3
RUNGS = 3
FEWEST_AT_A_RUNG = 2 * ETA
"""With fewer trials known at a rung, nothing is pruned there."""


def rungs(pruner: str, number: int, known: Sequence[Result], direction: Direction) -> dict[int, float]:
    """What trial ``number`` must reach, from the ``known`` results of its own family; empty: it runs to its end."""
    lengths = [max(result.values) for result in known if result.status == "done" and result.values]
    if pruner == "none" or not lengths:
        return {}
    full = median(lengths)
    if pruner == "hyperband":
        steps = [round(full / ETA**k) for k in range(RUNGS, 0, -1)][number % (RUNGS + 1):]
    else:
        steps = [round(full * tenth / 10) for tenth in range(1, 10)]
    needed: dict[int, float] = {}
    for step in steps:
        came = sorted((best for best in (reached(r, step, direction) for r in known) if best is not None),
                      reverse=direction == "maximize")
        if 1 <= step < full and len(came) >= FEWEST_AT_A_RUNG:
            needed[step] = came[len(came) // ETA - 1] if pruner == "hyperband" else median(came)
    return needed


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
