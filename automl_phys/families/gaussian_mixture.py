"""Family ``gaussian_mixture``: a mixture of Gaussians (scikit-learn), fitted by expectation maximisation.

A point is in the component that most probably made it; its probability is that component's posterior.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import cluster_count
from automl_phys.contracts import Clustering
from automl_phys.facts import Facts, Range, only_kind
from automl_phys.trials import Job
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.values import Array

SOLVES = frozenset({"cluster"})
NEEDS = ("sklearn",)
TEXT = "a mixture of Gaussians: elliptic clusters that may overlap"

STARTS = 2
MOST_STEPS = 300
FLOOR = 1e-4
"""Least variance of a component in any direction, as a share of the mean variance of the points along an axis."""


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "points")


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, and the points and their posteriors, a few times each."""
    return 250 + round(facts.rows.get("train", 0) * (32 * facts.sizes.get("numbers", 0) + 800) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    return {
        "clusters": cluster_count.searched(facts),
        "covariance": Range(choices=("full", "tied", "diag"), text="each its own, all the same, or along the axes"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    few, many = cluster_count.usual(facts)
    return {"clusters": many, "covariance": "full"}, {"clusters": few, "covariance": "full"}


@dataclass(frozen=True)
class Mixture:
    """Components by falling number of points: ``weights`` (c,), ``means`` (c, k) and ``precisions`` (c, k, k), whose
    product with their own transposes are the inverse covariances."""

    weights: Array
    means: Array
    precisions: Array
    labels: Array
    probabilities: Array

    def place(self, points: Array) -> tuple[Array, Array]:
        import numpy as np
        from scipy.special import softmax

        from automl_phys import belonging

        posteriors = np.concatenate([
            softmax(self._log_joint(chunk), axis=1)
            for chunk in belonging.chunks(points, self.means.size + len(self.weights))])
        return posteriors.argmax(axis=1).astype(np.int32), posteriors.max(axis=1).astype(np.float32)

    def _log_joint(self, points: Array) -> Array:
        """Logarithm of weight times density of each component at points (n, k), less a constant: (n, c)."""
        import numpy as np

        columns = []
        for weight, mean, precision in zip(self.weights, self.means, self.precisions, strict=True):
            volume = np.log(weight) + np.log(np.diagonal(precision)).sum()
            columns.append(volume - 0.5 * np.square((points - mean) @ precision).sum(axis=1))
        return np.stack(columns, axis=1)

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)


def fit(points: Array, params: Params, job: Job) -> Clustering:
    """Components that are left without points are dropped. A fit that still gains after ``MOST_STEPS`` is taken as it
    stands: it is a mixture all the same, and the search judges it. Raises DataError for fewer different points than
    clusters.
    """
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    from automl_phys import belonging
    from automl_phys.assignment import by_size

    clusters = int(str(params["clusters"]))
    belonging.check(points, clusters)
    exact = points.astype(np.float64)
    model = GaussianMixture(clusters, covariance_type=params["covariance"], reg_covar=FLOOR * exact.var(axis=0).mean(),
                            n_init=STARTS, max_iter=MOST_STEPS, random_state=job.seed % 2**32)
    # One thread: several add their sums in the order in which they finish, so that digits would change.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        model.fit(exact)
    nothing = np.empty(0, np.int32), np.empty(0, np.float32)
    found, _ = Mixture(model.weights_, model.means_, _precisions(model), *nothing).place(points)
    by_number = found[np.unique(by_size(found), return_index=True)[1]]
    kept = model.weights_[by_number], model.means_[by_number], _precisions(model)[by_number]
    return Mixture(*kept, *Mixture(*kept, *nothing).place(points))


def thinned(params: Params, share: float) -> Params:
    return params


def load(folder: Path) -> Clustering:
    from automl_phys import arrays

    return arrays.load(Mixture, folder)


def _precisions(model: Any) -> Array:
    """Cholesky factors of the inverse covariances (c, k, k), whatever the kind of covariance."""
    import numpy as np

    factors: Array = model.precisions_cholesky_
    components, size = model.means_.shape
    if model.covariance_type == "diag":
        factors = factors[:, :, None] * np.eye(size)
    return np.broadcast_to(factors, (components, size, size))
