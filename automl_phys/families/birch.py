"""Family ``birch``: BIRCH (scikit-learn): points gathered into small subclusters, these joined by Ward's method.

The points are read once, so that any number of them will do. How surely a point belongs to its cluster is the margin
by which a subcluster of it is nearer than any other's.
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
TEXT = "small subclusters, then joined: hierarchical clustering for many points"

MOST_SUBCLUSTERS = 2000
BATCH = 1000
"""Points that are read before the subclusters are counted again."""
WIDER = 1.5
"""Factor on the threshold when there are more subclusters than can be joined."""


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "points")


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, the points, the tree, and the distances of subclusters."""
    return 350 + round(facts.rows.get("train", 0) * (40 * facts.sizes.get("numbers", 0) + 500) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    return {
        "clusters": cluster_count.searched(facts),
        "threshold": Range(low=0.03, high=0.3, log=True, text="widest subcluster, in units of the points' spread"),
        "branching": Range(low=20, high=100, log=True, integer=True, text="subclusters of a node of the tree"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    few, many = cluster_count.usual(facts)
    return tuple({"clusters": count, "threshold": 0.05, "branching": 50} for count in (many, few))


def fit(points: Array, params: Params, job: Job) -> Clustering:
    """The threshold is widened until at most ``MOST_SUBCLUSTERS`` are left to be joined; where they are fewer than the
    clusters asked for, each is one. Raises DataError for fewer different points than clusters.
    """
    import numpy as np
    from sklearn.cluster import AgglomerativeClustering

    from automl_phys import belonging

    clusters = int(str(params["clusters"]))
    belonging.check(points, clusters)
    threshold = float(str(params["threshold"])) * belonging.spread(points)
    while len(centres := _subclusters(points, threshold, int(str(params["branching"])))) > MOST_SUBCLUSTERS:
        threshold *= WIDER
    owner = (AgglomerativeClustering(clusters).fit(centres).labels_ if len(centres) > clusters
             else np.arange(len(centres)))
    return belonging.by_centres(points, centres, owner)


def thinned(params: Params, share: float) -> Params:
    return params


def load(folder: Path) -> Clustering:
    from automl_phys import arrays, belonging

    return arrays.load(belonging.Centres, folder)


def _subclusters(points: Array, threshold: float, branching: int) -> Array:
    """Centres of the subclusters (m, k) of all points, or of as many as there are already too many subclusters of."""
    import numpy as np
    from sklearn.cluster import Birch

    model = Birch(threshold=threshold, branching_factor=branching, n_clusters=None, compute_labels=False)
    centres: Array = np.empty((0, points.shape[1]))
    for start in range(0, len(points), BATCH):
        centres = model.partial_fit(points[start:start + BATCH].astype(np.float64)).subcluster_centers_
        if len(centres) > MOST_SUBCLUSTERS:
            break
    return centres
