"""Tables of agents, and what they come to in words.

Takes returns of trainings with their errors, what others got, what is called solved; gives ``exhibits.Table`` and
sentences. Figures of the same are in :mod:`automl_phys.reinforce_figures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automl_phys import leaderboard
from automl_phys.exhibits import Estimate, Score, Table
from automl_phys.readable import cell, estimate

Floats = NDArray[np.float64]

NOTHING = ("No training did better than acting at random on the validation episodes, or none was finished: the numbers "
           "are those of the random agent.")
"""The verdict where the baseline won."""


@dataclass(frozen=True)
class Other:
    """What the agents are held against: its mean return, and by how much theirs is above it. ``what`` says where the
    number is from; ``metric`` is the difference's name among the metrics."""

    name: str
    mean: Estimate
    difference: Estimate
    what: str
    metric: str


def ranked(scores: Sequence[Score], objective: str, trainings: int, episodes: int) -> Table:
    """The leaderboard of agents."""
    beside = [name for name in ("mean_return", "interquartile_return", "stochastic_return", "episode_length")
              if name != objective and all(name in score.metrics for score in scores)]
    return leaderboard.table(
        scores, objective, beside, "Agent", " (test)",
        f"The first one is {trainings} trainings of the configuration that the search chose, from seeds of their own, "
        f"each with {episodes} episodes; the others are one training each, chosen as the best of several: their errors "
        "are those over episodes alone." if trainings > 1 else
        f"Each is one training with {episodes} episodes: how much another training would differ is not known.")


def by_training(names: Sequence[str], best: Floats, exploring: Floats, lengths: Floats, steps: Sequence[int]) -> Table:
    """Each training: returns (S, E) with best actions and while exploring, lengths, the step that was kept."""
    rows = []
    for i, name in enumerate(names):
        rows.append((name, estimate(_of(best[i])), cell(float(f"{np.min(best[i]):.4g}")), estimate(_of(exploring[i])),
                     cell(float(f"{np.mean(lengths[i]):.4g}")), cell(steps[i])))
    return Table("Trainings", ("Training", "Mean return", "Lowest return", "Mean return while exploring", "Mean length",
                               "Step that was kept"), tuple(rows),
                 "The same configuration from different seeds, on the same test episodes. Errors are those over "
                 "episodes. The step that was kept is that with the best validation episodes.")


def _of(returns: Floats) -> Estimate:
    mean, error = float(np.mean(returns)), float(np.std(returns, ddof=1) / np.sqrt(len(returns)))
    return Estimate(mean, mean - error, mean + error)


def beside(others: Sequence[Other]) -> Table:
    """The agents' mean return against that of others."""
    rows = tuple((one.name, estimate(one.mean), estimate(one.difference), _sigmas(one.difference), one.what)
                 for one in others)
    return Table("Beside others", ("Who", "Mean return", "Difference", "σ", "Where from"), rows,
                 "Difference: the agents' mean return less theirs, positive where the agents are better.")


def _sigmas(difference: Estimate) -> float | None:
    return float(f"{leaderboard.sigmas(difference):.2g}") if difference.high > difference.low else None


def solved(means: Floats, threshold: float | None) -> tuple[Estimate | None, str]:
    """Share of the trainings (S,) whose mean return reaches the threshold, and that in words."""
    if threshold is None:
        return None, "What counts as solved is not defined for this environment."
    count = int(np.sum(means >= threshold))
    found = Estimate(count / len(means), float("nan"), float("nan"),
                     f"{count} of {len(means)} trainings have a mean return of {threshold:g} or more")
    if count == len(means):
        word = "Solved" if count == 1 else f"Solved by all {count} trainings"
    elif count:
        word = f"Solved by {count} of {len(means)} trainings"
    else:
        word = "Not solved" if len(means) == 1 else f"Not solved by any of {len(means)} trainings"
    return found, f"{word}: that is a mean return of {threshold:g}."


def verdict(who: str, best: Estimate, interquartile: Estimate, trainings: int, episodes: int, steps: int, solved_: str,
            others: Sequence[Other]) -> str:
    """What was reached, whether that is solved, and how it compares; a few sentences."""
    times = f"trained {trainings} times" if trainings > 1 else "trained once"
    text = (f"{who}, {times} for {cell(steps)} steps: mean return {estimate(best)} over {episodes} episodes"
            f"{' each' if trainings > 1 else ''} (interquartile mean {estimate(interquartile)}). {solved_}")
    for one in others:
        text += f" {_compared(one)}"
    return text


def _compared(other: Other) -> str:
    difference = other.difference
    sigma = abs(_sigmas(difference) or 0.0)
    by = estimate(Estimate(abs(difference.value), abs(difference.value) - (difference.high - difference.value),
                           abs(difference.value) + (difference.value - difference.low)))
    with_ = f"{other.name} ({estimate(other.mean)})"
    if difference.value == 0:
        return f"As good as {with_}."
    if difference.high > difference.low and sigma < 2:
        return f"As good as {with_}, within the errors ({sigma:.1f} σ)."
    return f"{'Better' if difference.value > 0 else 'Worse'} than {with_} by {by}."
