"""Family ``theta``: the theta method: half a straight line, half exponential smoothing.

Of its four variants the one with the least error is taken for each series (statsforecast's AutoTheta), after a season
of any length has been taken out where there are three cycles of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import local_space
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.series_problem import SeriesProblem

SOLVES = frozenset({"forecast"})
NEEDS = ("statsforecast",)
TEXT = "the theta method: smoothing with half the trend; hard to beat on short series"

SHORTEST_SEASON = 4
LONGEST_SURE = 24

skip = local_space.skip
memory_mb = local_space.memory_mb


def cost(facts: Facts) -> float:
    """Seconds that one trial takes, roughly."""
    count = local_space.models(facts)
    values = min(facts.sizes.get("steps", 0) * facts.sizes.get("targets", 1), 2_000 * count, 100_000)
    return 3.0 + 0.01 * count + 5e-4 * values


def space(facts: Facts) -> dict[str, Range]:
    ranges = {
        "transform": Range(choices=("none", "sqrt", "log"), text="what is fitted: the values, their root or logarithm"),
        "history": Range(choices=(1.0, 0.5, 0.25), text="share of the fitted values that parameters are estimated on"),
    }
    if facts.sizes.get("season", 1) >= SHORTEST_SEASON:
        ranges["season"] = Range(choices=("auto", "none"), text="whether there may be a season")
    return ranges


def defaults(facts: Facts) -> tuple[Params, ...]:
    """With and without the season, where it is so long that it may be none that keeps its period."""
    season = facts.sizes.get("season", 1)
    wanted: Params = {"season": "auto"} if season >= SHORTEST_SEASON else {}
    first: Params = {"transform": "sqrt", "history": 1.0, **wanted}
    second: Params = {"transform": "none", "history": 1.0, **wanted}
    return (second, {**first, "season": "none"}) if season > LONGEST_SURE else (first, second)


def load(folder: Path) -> Fitted:
    from automl_phys import local_models, theta_lines

    return local_models.load(theta_lines.METHOD, folder)


def fit(problem: SeriesProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Variant and parameters for each target of each series."""
    from automl_phys import local_models, theta_lines

    return local_models.fit(theta_lines.METHOD, problem, params, watch)
