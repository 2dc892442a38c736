"""Family ``ets``: exponential smoothing with error, trend, damping and season chosen for each series.

The components are chosen by AICc (statsforecast's AutoETS); a season only where it has at most 24 steps.
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
TEXT = "exponential smoothing: level, trend and season, followed as they change"

LONGEST_SEASON = 24

skip = local_space.skip
memory_mb = local_space.memory_mb


def cost(facts: Facts) -> float:
    """Seconds that one trial takes, roughly."""
    count = local_space.models(facts)
    values = min(facts.sizes.get("steps", 0) * facts.sizes.get("targets", 1), 4_000 * count, 200_000)
    seasonal = 2 <= facts.sizes.get("season", 1) <= LONGEST_SEASON
    return 3.0 + 0.01 * count + (7e-4 if seasonal else 1e-4) * values


def space(facts: Facts) -> dict[str, Range]:
    ranges = {
        "transform": Range(choices=("none", "sqrt", "log"), text="what is fitted: the values, their root or logarithm"),
        "history": Range(choices=(1.0, 0.5, 0.25), text="share of the fitted values that parameters are estimated on"),
        "damped": Range(choices=("auto", "always"), text="whether a trend must level off"),
    }
    if 2 <= facts.sizes.get("season", 1) <= LONGEST_SEASON:
        ranges["season"] = Range(choices=("auto", "none"), text="whether there may be a season")
    return ranges


def defaults(facts: Facts) -> tuple[Params, ...]:
    season: Params = {"season": "auto"} if 2 <= facts.sizes.get("season", 1) <= LONGEST_SEASON else {}
    return ({"transform": "sqrt", "history": 1.0, "damped": "auto", **season},
            {"transform": "none", "history": 1.0, "damped": "auto", **season})


def load(folder: Path) -> Fitted:
    from automl_phys import exponential_smoothing, local_models

    return local_models.load(exponential_smoothing.METHOD, folder)


def fit(problem: SeriesProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Components and parameters for each target of each series."""
    from automl_phys import exponential_smoothing, local_models

    return local_models.fit(exponential_smoothing.METHOD, problem, params, watch)
