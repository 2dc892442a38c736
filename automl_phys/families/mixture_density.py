"""Family ``mixture_density``: how improbable an event is by a mixture of Gaussians (scikit-learn).

Fitted by expectation maximisation on events drawn by weight; of many columns on their principal components and the
distance from these. The score is -ln of the density. PyOD's GMM wraps the same; scikit-learn's is used itself as it can
be put together again from the arrays that are saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import detector_facts
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem
    from automl_phys.values import Array

SOLVES = frozenset({"detect-anomaly"})
NEEDS = ("sklearn",)
TEXT = "how improbable an event is by a mixture of Gaussians: smooth, sees linear correlations"

MOST_ROWS = 50_000
MOST_STEPS = 100
ENOUGH = 5e-3
"""Gain in the mean log-likelihood per step below which there are no more."""
FLOOR = 1e-3
"""Least variance of a component along a column: what is less is rounding, or a count."""

skip = detector_facts.skip


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, the columns, and those that are fitted on with their posteriors."""
    rows = min(MOST_ROWS, facts.rows.get("train", 0))
    return detector_facts.memory_mb(facts, 450) + round(rows * (16 * _columns(facts) + 800) / 1e6)


def cost(facts: Facts) -> float:
    return 2 + 2e-8 * min(MOST_ROWS, facts.rows.get("train", 0)) * _columns(facts)**2


def space(facts: Facts) -> dict[str, Range]:
    return {"components": Range(low=1, high=40, log=True, integer=True, text="Gaussians"),
            "covariance": Range(choices=("full", "diag"), text="each its own, or along the columns"),
            "scaling": detector_facts.SCALING}


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"components": 8, "covariance": "diag", "scaling": "normal"}
    return first, {**first, "components": 5, "covariance": "full"}


def _columns(facts: Facts) -> int:
    return min(detector_facts.MOST_COMPONENTS, detector_facts.width(facts))


@dataclass(frozen=True)
class Mixture:
    """Components with ``shares`` (m,), ``means`` (m, K) and roots of the inverse covariances, ``precisions`` (m, K, K)
    or (m, K)."""

    shares: Array
    means: Array
    precisions: Array

    def score(self, columns: Array) -> Array:
        import numpy as np

        found: Array = -self._model.score_samples(columns.astype(np.float64))
        return found

    @cached_property
    def _model(self) -> Any:
        from sklearn.mixture import GaussianMixture

        kind = "full" if self.precisions.ndim == 3 else "diag"
        model = GaussianMixture(len(self.shares), covariance_type=kind)
        model.weights_, model.means_, model.precisions_cholesky_ = self.shares, self.means, self.precisions
        return model

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)


def load(folder: Path) -> Fitted:
    """Open a saved mixture."""
    from automl_phys import arrays, detecting

    return detecting.load(folder, lambda inner: arrays.load(Mixture, inner))


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Maximise the likelihood; with fewer components where events are few."""
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    from automl_phys import detecting

    values: dict[str, Any] = dict(params)
    given = detecting.given(problem, values["scaling"], detector_facts.MOST_COMPONENTS)
    rows = given.drawn(MOST_ROWS, job.seed).astype(np.float64)
    each = 2 * rows.shape[1] if values["covariance"] == "full" else 4
    model = GaussianMixture(min(values["components"], max(1, len(np.unique(rows, axis=0)) // each)),
                            covariance_type=values["covariance"], reg_covar=FLOOR, tol=ENOUGH, max_iter=MOST_STEPS,
                            random_state=job.seed % 2**32)
    # One thread: several add their sums in the order in which they finish, so that digits would change.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        model.fit(rows)
    return detecting.finished(given, Mixture(model.weights_, model.means_, model.precisions_cholesky_), watch)
