"""Family ``dbscan``: DBSCAN (scikit-learn): dense points within reach of each other are one cluster, the rest is noise.

A point that is not dense, of the fit or new, goes with the nearest dense point within reach. How surely a point belongs
to its cluster is the share of its nearest neighbours that are in the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys.contracts import Clustering
from automl_phys.facts import Facts, Range, only_kind
from automl_phys.trials import Job
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.values import Array

SOLVES = frozenset({"cluster"})
NEEDS = ("sklearn",)
TEXT = "dense points within reach: clusters of any shape and one density, and noise"

MOST_PAIRS = 100_000_000
"""Neighbours of all points together that may be held, at 8 bytes each."""
LEAST_RADIUS = 1e-6
"""In units of the points' spread; what coinciding points get."""
FEWEST_SAMPLES = 3


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "points")


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, and the neighbours of all points, twice for a moment."""
    rows = facts.rows.get("train", 0)
    return 350 + round(min(rows ** 2, MOST_PAIRS) * 8 * 2 / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    return {
        "radius": Range(low=0.5, high=0.99, text="reach, such that this share of the points is dense"),
        "samples": Range(low=FEWEST_SAMPLES, high=_most_samples(facts), log=True, integer=True,
                         text="points within reach, itself included, that make a point dense"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    """More samples for many points: outlying groups of five are clusters otherwise."""
    samples = max(5, _most_samples(facts) // 3)
    return {"radius": 0.95, "samples": samples}, {"radius": 0.8, "samples": samples}


def fit(points: Array, params: Params, job: Job) -> Clustering:
    """Raises DataError when all points coincide, and when more than ``MOST_PAIRS`` are within reach of each other."""
    import numpy as np
    from scipy.spatial import KDTree
    from sklearn.cluster import DBSCAN

    from automl_phys import belonging
    from automl_phys.errors import DataError, Mistake

    belonging.check(points, 2)
    exact = points.astype(np.float64)
    samples = min(int(str(params["samples"])), len(points))
    tree = KDTree(exact)
    distances, _ = tree.query(exact, k=[samples])
    radius = max(float(np.quantile(distances, float(str(params["radius"])))), LEAST_RADIUS * belonging.spread(points))
    looked_at = exact[::1 + len(points) // 1000]
    reached = float(np.mean(tree.query_ball_point(looked_at, radius, return_length=True)))
    if reached * len(points) > MOST_PAIRS:
        raise DataError(Mistake(
            "too-many-neighbours", f"{reached:.0f} points are within reach of a point on average; "
            f"{MOST_PAIRS // len(points)} can be held.", "Take a smaller radius or fewer samples."))
    model = DBSCAN(eps=radius, min_samples=samples).fit(exact)
    core = np.zeros(len(points), np.bool_)
    core[model.core_sample_indices_] = True
    return belonging.by_neighbours(points, model.labels_, core, radius)


def thinned(params: Params, share: float) -> Params:
    return {**params, "samples": max(FEWEST_SAMPLES, round(int(str(params["samples"])) * share))}


def load(folder: Path) -> Clustering:
    from automl_phys import arrays, belonging

    return arrays.load(belonging.Neighbours, folder)


def _most_samples(facts: Facts) -> int:
    return max(5, min(100, facts.rows.get("train", 0) // 50))
