"""Family ``pca``: principal components (scikit-learn), the directions in which the points vary most.

Linear, and so the one reducer whose distances can be taken at their word.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from automl_phys.contracts import Reduction
from automl_phys.facts import Facts, Range, only_kind
from automl_phys.trials import Job
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.values import Array

SOLVES = frozenset({"reduce"})
NEEDS = ("sklearn",)
TEXT = "the directions of most variance: linear, fast, readable"

MOST_DIMENSIONS = 50
NO_VARIANCE = 1e-10
"""Share of the largest variance below which a component is rounding, not to be blown up by whitening."""


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "points")


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, the points in double precision twice, the covariance and its vectors."""
    columns = facts.sizes["numbers"]
    return 300 + round((facts.rows.get("train", 0) * columns * 8 * 2 + columns**2 * 8 * 3) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    most = _most(facts)
    return {
        "dimensions": Range(low=min(2, most), high=most, integer=True, log=True, text="principal components kept"),
        "solver": Range(choices=("exact", "randomised"), text="how the components are found"),
        "whiten": Range(choices=(False, True), text="whether all components are given unit variance"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    wanted = dict.fromkeys(min(_most(facts), dimensions) for dimensions in (10, 2))
    return tuple({"dimensions": dimensions, "solver": "exact", "whiten": False} for dimensions in wanted)


def _most(facts: Facts) -> int:
    """Components there can be in any half of the points."""
    return max(1, min(MOST_DIMENSIONS, facts.sizes.get("numbers", 1), facts.rows.get("train", 1) // 2))


@dataclass(frozen=True)
class Pca:
    """``axes`` (k, d) take points, less their ``mean`` (d,), to places; ``shares`` (k,) of the variance are kept by
    each. Of each axis the largest loading is positive, so that a fit can be repeated."""

    mean: Array
    axes: Array
    shares: Array
    embedding: Array

    def place(self, points: Array) -> Array:
        return _projected(points, self.mean, self.axes)

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)


def load(folder: Path) -> Reduction:
    from automl_phys import arrays

    return arrays.load(Pca, folder)


def fit(points: Array, params: Params, job: Job) -> Reduction:
    """Raises DataError for points that are not finite, all the same, or no more than the dimensions asked for."""
    import numpy as np
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    from automl_phys import placing

    dimensions = cast(int, params["dimensions"])
    placing.check_points(points, dimensions)
    solver = {"exact": "covariance_eigh", "randomised": "randomized"}[str(params["solver"])]
    with threadpool_limits(1):  # threads would change the last digits with their number
        found = PCA(dimensions, svd_solver=solver, random_state=job.seed % 2**32).fit(points.astype(np.float64))
    axes, variance = found.components_, found.explained_variance_
    strongest = axes[np.arange(dimensions), np.abs(axes).argmax(axis=1)]
    axes = axes * np.where(strongest < 0, -1.0, 1.0)[:, None]
    if params["whiten"]:
        varies = variance > NO_VARIANCE * variance[0]
        axes = axes * np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1)), 0)[:, None]
    embedding = placing.checked(_projected(points, found.mean_, axes))
    return Pca(found.mean_, axes, found.explained_variance_ratio_, embedding)


def _projected(points: Array, mean: Array, axes: Array) -> Array:
    import numpy as np

    places: Array = ((points.astype(np.float64) - mean) @ axes.T).astype(np.float32)
    return places
