"""Family ``naive``: the last value, again and again.

What every other forecast has to be better than. Its quantiles are those of the changes over as many steps in the
section that it was fitted on.
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
TEXT = "the last value repeated: what any forecast has to beat"


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "series")


memory_mb = local_space.memory_of_repeating
cost = local_space.cost_of_repeating


def space(facts: Facts) -> dict[str, Range]:
    return {}


def defaults(facts: Facts) -> tuple[Params, ...]:
    return ({},)


def load(folder: Path) -> Fitted:
    from automl_phys import local_models

    return local_models.load(local_models.NAIVE, folder)


def fit(problem: SeriesProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Nothing but the quantiles of the errors is estimated."""
    from automl_phys import local_models

    return local_models.fit(local_models.NAIVE, problem, params, watch)
