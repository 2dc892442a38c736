"""Family ``agglomerative``: hierarchical clustering (scikit-learn), two clusters joined at a time.

A new point goes with the nearest point of the fit. How surely a point belongs to its cluster is the share of its
nearest neighbours that are in the same.
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
TEXT = "hierarchical clustering: the nearest clusters are joined, again and again"

MOST_POINTS = 20_000


def skip(facts: Facts) -> str | None:
    if facts.rows.get("train", 0) > MOST_POINTS:
        return f"holds the distances of all pairs; at most {MOST_POINTS:,} points"
    return only_kind(facts, "points")


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, and the distances of all pairs of points, twice for a moment."""
    return 300 + round(facts.rows.get("train", 0) ** 2 / 2 * 8 * 2 / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    return {
        "clusters": cluster_count.searched(facts),
        "linkage": Range(choices=("ward", "average", "complete"),
                         text="which clusters are nearest: by variance, mean or largest distance"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    few, many = cluster_count.usual(facts)
    return {"clusters": many, "linkage": "ward"}, {"clusters": few, "linkage": "ward"}


def fit(points: Array, params: Params, job: Job) -> Clustering:
    """Raises DataError for fewer different points than clusters."""
    from sklearn.cluster import AgglomerativeClustering

    from automl_phys import belonging

    clusters = int(str(params["clusters"]))
    belonging.check(points, clusters)
    return belonging.by_neighbours(
        points, AgglomerativeClustering(clusters, linkage=params["linkage"]).fit(points).labels_)


def thinned(params: Params, share: float) -> Params:
    return params


def load(folder: Path) -> Clustering:
    from automl_phys import arrays, belonging

    return arrays.load(belonging.Neighbours, folder)
