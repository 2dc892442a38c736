"""Family ``knn``: how far the nearest normal events are (PyOD on scikit-learn).

S. Ramaswamy, R. Rastogi, K. Shim, SIGMOD 2000: the distance of the k-th nearest training event, or the mean over the k
nearest. Of many training events as many as ``MOST_ROWS`` are kept, drawn by weight.
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
TEXT = "how far the nearest normal events are"

MOST_ROWS = 30_000
"""Events that distances are measured to: the work of scoring goes with their number, and of loading with its square."""

skip = detector_facts.skip


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn and PyOD, and the columns."""
    return detector_facts.memory_mb(facts, 600)


def cost(facts: Facts) -> float:
    rows = min(MOST_ROWS, facts.rows.get("train", 0))
    return 2 + 4e-10 * rows * (rows + facts.rows.get("valid", 0)) * (10 + detector_facts.width(facts))


def space(facts: Facts) -> dict[str, Range]:
    return {"neighbours": Range(low=1, high=_most(facts), log=True, integer=True,
                                text="nearest events that are looked for"),
            "method": Range(choices=("mean", "largest"), text="of their distances"),
            "scaling": detector_facts.SCALING}


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"neighbours": min(100, _most(facts)), "method": "mean", "scaling": "normal"}
    return first, {**first, "neighbours": min(10, _most(facts))}


def _most(facts: Facts) -> int:
    return max(2, min(200, facts.rows.get("train", 1000) // 4))


def load(folder: Path) -> Fitted:
    """Open a saved detector."""
    from automl_phys import detecting, pyod_detectors

    return detecting.load(folder, pyod_detectors.load)


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Keep the training events."""
    from automl_phys import detecting, pyod_detectors

    values: dict[str, Any] = dict(params)
    given = detecting.given(problem, values["scaling"])
    rows = given.drawn(MOST_ROWS, job.seed)
    settings = {"n_neighbors": min(values["neighbours"], len(rows) - 1), "method": values["method"]}
    return detecting.finished(given, pyod_detectors.PyodScorer("knn", settings, rows), watch)
