"""Family ``spectral``: cuts through the graph of nearest neighbours where it is thinnest (scikit-learn).

A new point goes with the nearest point of the fit. How surely a point belongs to its cluster is the share of its
nearest neighbours that are in the same.
"""

from __future__ import annotations

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
TEXT = "thinnest cuts of the neighbour graph: clusters of any shape"

MOST_POINTS = 5_000
FEWEST_NEIGHBOURS = 5


def skip(facts: Facts) -> str | None:
    if facts.rows.get("train", 0) > MOST_POINTS:
        return f"solves an eigenproblem as large as the points are many; at most {MOST_POINTS:,} points"
    return only_kind(facts, "points")


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, and the factors of the graph's matrix, at worst a dense triangle each."""
    return 350 + round(facts.rows.get("train", 0) ** 2 * 8 / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    rows = facts.rows.get("train", 0)
    return {
        "clusters": cluster_count.searched(facts),
        "neighbours": Range(low=FEWEST_NEIGHBOURS, high=max(10, min(50, rows // 20)), log=True, integer=True,
                            text="neighbours that a point is joined to in the graph"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    few, many = cluster_count.usual(facts)
    return {"clusters": many, "neighbours": 10}, {"clusters": few, "neighbours": 10}


def fit(points: Array, params: Params, job: Job) -> Clustering:
    """Raises DataError for fewer different points than clusters."""
    from sklearn.cluster import SpectralClustering
    from sklearn.neighbors import kneighbors_graph

    from automl_phys import belonging

    clusters = int(str(params["clusters"]))
    belonging.check(points, clusters)
    neighbours = min(int(str(params["neighbours"])), len(points) - 1)
    directed = kneighbors_graph(points, neighbours)
    model = SpectralClustering(clusters, affinity="precomputed", assign_labels="cluster_qr",
                               random_state=job.seed % 2**32)
    return belonging.by_neighbours(points, model.fit(_in_one_piece((directed + directed.T) / 2, points)).labels_)


def thinned(params: Params, share: float) -> Params:
    return {**params, "neighbours": max(FEWEST_NEIGHBOURS, round(int(str(params["neighbours"])) * share))}


def load(folder: Path) -> Clustering:
    from automl_phys import arrays, belonging

    return arrays.load(belonging.Neighbours, folder)


def _in_one_piece(graph: Any, points: Array) -> Any:
    """The graph with each loose part tied to the largest by one edge, between their nearest points.

    The eigenvectors of a graph in parts are not unique; one edge is thin enough for the cuts to go through it.
    """
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    count, part = connected_components(graph, directed=False)
    if count == 1:
        return graph
    largest = np.bincount(part).argmax()
    inside, outside = np.flatnonzero(part == largest), np.flatnonzero(part != largest)
    distance, nearest = KDTree(points[inside]).query(points[outside])
    order = np.lexsort((np.asarray(distance), part[outside]))
    _, first = np.unique(part[outside][order], return_index=True)
    ties = coo_array((np.full(count - 1, 0.5), (outside[order][first], inside[np.asarray(nearest)[order][first]])),
                     shape=graph.shape)
    return (graph + ties + ties.T).tocsr()
