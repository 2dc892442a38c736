"""Family ``lof``: the local outlier factor (PyOD on scikit-learn): how much emptier it is around an event than around
its neighbours.

M. Breunig et al., SIGMOD 2000. Of many training events as many as ``MOST_ROWS`` are kept, drawn by weight.
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
TEXT = "how much emptier it is around an event than around its neighbours"

MOST_ROWS = 30_000
"""Events whose neighbourhoods are known: the work of scoring goes with their number, and of loading with its square."""

skip = detector_facts.skip


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn and PyOD, the columns, and neighbours with their distances."""
    rows = min(MOST_ROWS, facts.rows.get("train", 0)) + facts.rows.get("valid", 0)
    return detector_facts.memory_mb(facts, 600) + round(rows * 200 * 24 / 1e6)


def cost(facts: Facts) -> float:
    rows = min(MOST_ROWS, facts.rows.get("train", 0))
    return 2 + 4e-10 * rows * (rows + facts.rows.get("valid", 0)) * (20 + detector_facts.width(facts))


def space(facts: Facts) -> dict[str, Range]:
    return {"neighbours": Range(low=5, high=_most(facts), log=True, integer=True,
                                text="events that make a neighbourhood"),
            "scaling": detector_facts.SCALING}


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"neighbours": min(200, _most(facts)), "scaling": "normal"}
    return first, {**first, "neighbours": min(40, _most(facts))}


def _most(facts: Facts) -> int:
    return max(6, min(300, facts.rows.get("train", 1000) // 4))


def load(folder: Path) -> Fitted:
    """Open a saved detector."""
    from automl_phys import detecting, pyod_detectors

    return detecting.load(folder, pyod_detectors.load)


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Measure the neighbourhoods of the training events."""
    from automl_phys import detecting, pyod_detectors

    values: dict[str, Any] = dict(params)
    given = detecting.given(problem, values["scaling"])
    rows = given.drawn(MOST_ROWS, job.seed)
    settings = {"n_neighbors": min(values["neighbours"], len(rows) - 1), "novelty": True}
    return detecting.finished(given, pyod_detectors.PyodScorer("lof", settings, rows), watch)
