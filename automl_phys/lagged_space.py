"""What boosted trees on series (:mod:`automl_phys.lagged_trees`) ask of a problem, and their parameters.

Takes facts; gives ranges, defaults, memory, a nominal time. Standard library only, as plans are made of it.
"""

from __future__ import annotations

from automl_phys import window_space
from automl_phys.facts import Facts, Range
from automl_phys.values import Params

MOST_ROWS = 80_000
"""Windows times steps that are fitted on: neighbours are nearly the same."""
SHORTEST = 200
"""Steps to fit on, of all series together; of fewer, models of single series make more."""
LONGEST = 400
OBJECTIVES = {"absolute": "regression_l1", "squared": "regression", "huber": "huber"}
"""LightGBM's names of what the middle minimises."""


def skip(facts: Facts) -> str | None:
    steps = facts.sizes.get("steps", SHORTEST)
    return f"has {steps} steps to learn from, {SHORTEST} are needed" if steps < SHORTEST else None


def memory_mb(facts: Facts) -> int:
    """The interpreter with LightGBM, a matrix of rows and its bins, and that of all that is judged."""
    outputs = facts.sizes.get("outputs", 1)
    columns = 60 + 8 * facts.sizes.get("targets", 1) + facts.sizes.get("known", 0) + facts.sizes.get("past", 0)
    judged = min(facts.rows.get("valid", 0) * outputs, 90_000)
    return 500 + round((MOST_ROWS * columns * 9 + judged * columns * 4) / 1e6)


def cost(facts: Facts) -> float:
    """Seconds of a trial on one core, roughly."""
    rows = min(facts.sizes.get("steps", 1000) * facts.sizes.get("horizon", 1), MOST_ROWS)
    return 2 + 1.5e-4 * rows * facts.sizes.get("targets", 1)


def _lengths(facts: Facts) -> tuple[int, ...]:
    horizon, season = facts.sizes.get("horizon", 1), facts.sizes.get("season", 1)
    asked = {horizon, 2 * horizon, 24, *([season + 2, 2 * season + 2] if season > 1 else [])}
    most = max(4, min(LONGEST, facts.sizes.get("longest", 1000) // 2))
    return tuple(sorted({min(max(8, length), most) for length in asked}))


def _levels(facts: Facts) -> tuple[str, ...]:
    season = facts.sizes.get("season", 1)
    return (*window_space.LEVELS_OFF, *(["season"] if 1 < season <= facts.sizes.get("longest", 1000) // 6 else []))


def space(facts: Facts) -> dict[str, Range]:
    calendar = {"calendar": Range(choices=(True, False), text="whether the calendar and the season are columns")}
    return {
        "length": Range(choices=_lengths(facts), text="steps of the past that become columns"),
        "level": Range(choices=_levels(facts), text="taken off a window's values: its last, its mean, the whole "
                                                    "series' mean, or what was a season before"),
        **window_space.transforms(facts),
        "loss": Range(choices=tuple(OBJECTIVES), text="what the middle minimises"),
        **(calendar if facts.sizes.get("phases", 0) else {}),
        "learning_rate": Range(low=0.02, high=0.15, log=True, text="shrinkage of each tree"),
        "num_leaves": Range(low=4, high=63, log=True, integer=True, text="leaves of a tree"),
        "min_child_samples": Range(low=20, high=1000, log=True, integer=True, text="fewest rows in a leaf"),
        "feature_fraction": Range(low=0.1, high=1.0, text="share of the columns tried for a tree"),
        "bagging_fraction": Range(low=0.3, high=1.0, text="share of the rows seen by a tree"),
        "lambda_l2": Range(low=1e-2, high=100.0, log=True, text="L2 penalty on leaf values"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    horizon, season = facts.sizes.get("horizon", 1), facts.sizes.get("season", 1)
    wanted = max(24, 2 * horizon, *([2 * season + 2] if season > 1 else []))
    first: Params = {
        "length": min(_lengths(facts), key=lambda length: abs(length - wanted)), "level": "last", "loss": "absolute",
        **window_space.usual_transform(facts),
        **({"calendar": True} if facts.sizes.get("phases", 0) else {}), "learning_rate": 0.05, "num_leaves": 15,
        "min_child_samples": 100, "feature_fraction": 0.4, "bagging_fraction": 0.5, "lambda_l2": 10.0}
    return first, {**first, "level": "season" if "season" in _levels(facts) else "series"}
