"""Family ``kmeans``: k-means (scikit-learn): round clusters of like size, however many points there are.

How surely a point belongs to its cluster is the margin by which its centre is nearer than the next.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import cluster_count
from automl_phys.contracts import Clustering
from automl_phys.facts import Facts, Range, only_kind
from automl_phys.trials import Job
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.values import Array

SOLVES = frozenset({"cluster"})
NEEDS = ("sklearn",)
TEXT = "nearest of k centres: round clusters, fast"

STARTS = 10
"""Runs from different first centres, of which the best is kept."""


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "points")


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, and the points, twice, with their distances to 20 centres."""
    return 250 + round(facts.rows.get("train", 0) * (16 * facts.sizes.get("numbers", 0) + 200) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    return {"clusters": cluster_count.searched(facts)}


def defaults(facts: Facts) -> tuple[Params, ...]:
    few, many = cluster_count.usual(facts)
    return {"clusters": many}, {"clusters": few}


def fit(points: Array, params: Params, job: Job) -> Clustering:
    """Raises DataError for fewer different points than clusters."""
    import numpy as np
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    from automl_phys import belonging

    clusters = int(str(params["clusters"]))
    belonging.check(points, clusters)
    model = KMeans(clusters, n_init=STARTS, random_state=job.seed % 2**32)
    with threadpool_limits(1):  # threads add their sums in the order in which they finish, so that digits would change
        model.fit(points)
    return belonging.by_centres(points, model.cluster_centers_, np.arange(clusters))


def thinned(params: Params, share: float) -> Params:
    return params


def load(folder: Path) -> Clustering:
    from automl_phys import arrays, belonging

    return arrays.load(belonging.Centres, folder)
