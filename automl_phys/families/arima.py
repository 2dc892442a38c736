"""Family ``arima``: differences of a series as a linear function of those before and of past errors.

The orders are chosen by AICc for each series: a few lags of both (statsforecast's AutoARIMA), and of a season of at
most 24 steps; or lags of the values alone, up to a season and a quarter, however long.
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
TEXT = "ARIMA: what follows linearly from the latest values and errors"

MOST_CHOSEN = 100
"""Series times targets for which orders are chosen: that takes a second or two for each."""
LONGEST_SEASON = 24

skip = local_space.skip
memory_mb = local_space.memory_mb


def cost(facts: Facts) -> float:
    """Seconds that one trial takes, roughly."""
    count = local_space.models(facts)
    each, season = facts.sizes.get("longest", 0), facts.sizes.get("season", 1)
    if not _chosen(facts):
        return 3.0 + 0.02 * count
    if 2 <= season <= LONGEST_SEASON:
        return 3.0 + count * (0.5 + 0.06 * season + 2e-3 * min(each, 1_500))
    return 3.0 + count * (0.2 + 3e-4 * min(each, 4_000))


def space(facts: Facts) -> dict[str, Range]:
    ranges = {
        "orders": Range(choices=("auto", "long", "full") if _chosen(facts) else ("long", "full"),
                        text="a few lags of values and errors; values alone, as many as help; all of over one season"),
        "transform": Range(choices=("none", "sqrt", "log"), text="what is fitted: the values, their root or logarithm"),
        "history": Range(choices=(1.0, 0.5, 0.25), text="share of the fitted values that parameters are estimated on"),
        "difference": Range(choices=("auto", "none", "once"), text="how often a series is differenced"),
    }
    if 2 <= facts.sizes.get("season", 1) <= LONGEST_SEASON and _chosen(facts):
        ranges["season"] = Range(choices=("auto", "none"), when={"orders": ("auto",)},
                                 text="whether there may be a season")
    return ranges


def defaults(facts: Facts) -> tuple[Params, ...]:
    """A season that is too long for its own terms needs lags as long."""
    season = facts.sizes.get("season", 1)
    seasonal: Params = {"season": "auto"} if 2 <= season <= LONGEST_SEASON else {}
    few: Params = {"orders": "auto", "transform": "sqrt", "history": 1.0, "difference": "auto", **seasonal}
    lags = "full" if season > LONGEST_SEASON else "long"
    long: Params = {"orders": lags, "transform": "sqrt", "history": 1.0, "difference": "auto"}
    if not _chosen(facts):
        return (long,)
    return (long, few) if season > LONGEST_SEASON else (few, long)


def _chosen(facts: Facts) -> bool:
    """Whether there is time to choose the orders for each series."""
    return local_space.models(facts) <= MOST_CHOSEN


def load(folder: Path) -> Fitted:
    from automl_phys import arima_filter, local_models

    return local_models.load(arima_filter.METHOD, folder)


def fit(problem: SeriesProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Orders and coefficients for each target of each series."""
    from automl_phys import arima_filter, local_models

    return local_models.fit(arima_filter.METHOD, problem, params, watch)
