"""Family ``isolation_forest``: how few random cuts set an event apart (PyOD on scikit-learn); the baseline.

F. T. Liu, K. M. Ting, Z.-H. Zhou, ICDM 2008: each tree cuts a sample of the events at random places of random columns;
what is rare stands alone after few cuts. The sample is drawn by the weights of events.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import detector_facts
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem

SOLVES = frozenset({"detect-anomaly"})
NEEDS = ("pyod",)
TEXT = "how few random cuts set an event apart: quick, robust, the baseline"

MOST_ROWS = 50_000
"""More are hardly ever drawn."""


skip = detector_facts.skip


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn and PyOD, the columns, and the trees."""
    return detector_facts.memory_mb(facts, 550)


def cost(facts: Facts) -> float:
    return 4.0


def space(facts: Facts) -> dict[str, Range]:
    return {"trees": Range(low=50, high=500, log=True, integer=True, text="trees"),
            "sample": Range(low=32, high=4096, log=True, integer=True, text="events that a tree cuts"),
            "columns": Range(low=0.2, high=1.0, text="share of the columns that a tree may cut"),
            "scaling": detector_facts.SCALING}


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"trees": 300, "sample": 2048, "columns": 0.5, "scaling": "normal"}
    return first, {**first, "sample": 256, "columns": 1.0}


def load(folder: Path) -> Fitted:
    """Open a saved forest."""
    from automl_phys import detecting, pyod_detectors

    return detecting.load(folder, pyod_detectors.load)


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Grow the trees."""
    from automl_phys import detecting, pyod_detectors

    values: dict[str, Any] = dict(params)
    given = detecting.given(problem, values["scaling"])
    rows = given.drawn(MOST_ROWS, job.seed)
    settings = {"n_estimators": values["trees"], "max_samples": min(values["sample"], len(rows)),
                "max_features": values["columns"], "random_state": job.seed % 2**32}
    return detecting.finished(given, pyod_detectors.PyodScorer("iforest", settings, rows), watch)
