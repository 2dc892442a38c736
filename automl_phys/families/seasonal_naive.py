"""Family ``seasonal_naive``: the value one season ago, the latest season that is known repeated.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import local_space
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range, only_kind
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.series_problem import SeriesProblem

SOLVES = frozenset({"forecast"})
NEEDS = ()
TEXT = "the latest season repeated"


def skip(facts: Facts) -> str | None:
    """A season has to be known."""
    if facts.kind == "series" and facts.sizes.get("season", 1) < 2:
        return "no season was found or given"
    return only_kind(facts, "series")


memory_mb = local_space.memory_of_repeating
cost = local_space.cost_of_repeating


def space(facts: Facts) -> dict[str, Range]:
    return {}


def defaults(facts: Facts) -> tuple[Params, ...]:
    return ({},)


def load(folder: Path) -> Fitted:
    from automl_phys import local_models

    return local_models.load(local_models.SEASONAL_NAIVE, folder)


def fit(problem: SeriesProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Nothing but the quantiles of the errors is estimated."""
    from automl_phys import local_models

    return local_models.fit(local_models.SEASONAL_NAIVE, problem, params, watch)
