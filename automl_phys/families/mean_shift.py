"""Family ``mean_shift``: the peaks of the points' density (scikit-learn), each a cluster.

Hills are climbed from one point of each cell of a grid; a point belongs to the nearest peak, how surely is the margin
by which that is nearer than the next.
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
TEXT = "peaks of the density: the number of clusters comes out"

MOST_POINTS = 10_000
SAMPLED = 2000
"""Points that the bandwidth is measured on."""
LEAST_BANDWIDTH = 1e-3
"""In units of the points' spread; what coinciding points get."""


def skip(facts: Facts) -> str | None:
    if facts.rows.get("train", 0) > MOST_POINTS:
        return f"would take too long: every step looks at all neighbours; at most {MOST_POINTS:,} points"
    return only_kind(facts, "points")


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, the distances within the sample, and a few copies of the points."""
    return 350 + round(facts.rows.get("train", 0) * 2000 / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    return {"bandwidth": Range(low=0.02, high=0.4, log=True,
                               text="share of the points that a point's neighbourhood holds on average")}


def defaults(facts: Facts) -> tuple[Params, ...]:
    return {"bandwidth": 0.1}, {"bandwidth": 0.05}


def fit(points: Array, params: Params, job: Job) -> Clustering:
    """Raises DataError when all points coincide."""
    import numpy as np
    from sklearn.cluster import MeanShift, estimate_bandwidth

    from automl_phys import belonging

    belonging.check(points, 2)
    exact = points.astype(np.float64)
    bandwidth = estimate_bandwidth(exact, quantile=params["bandwidth"], n_samples=min(SAMPLED, len(points)),
                                   random_state=job.seed % 2**32)
    bandwidth = max(float(bandwidth), LEAST_BANDWIDTH * belonging.spread(points))
    _, first_of_cell = np.unique(np.round(exact / bandwidth), axis=0, return_index=True)
    centres = MeanShift(bandwidth=bandwidth, seeds=exact[first_of_cell]).fit(exact).cluster_centers_
    return belonging.by_centres(points, centres, np.arange(len(centres)))


def thinned(params: Params, share: float) -> Params:
    return params


def load(folder: Path) -> Clustering:
    from automl_phys import arrays, belonging

    return arrays.load(belonging.Centres, folder)
