"""Family ``umap``: uniform manifold approximation and projection (umap-learn; L. McInnes et al., arXiv:1802.03426).

Keeps neighbours together and pulls clusters apart; distances between clusters and their densities mean little. New
points go to the median place of their neighbours: umap-learn's own transform would place a point by the others that it
comes with and needs its neighbour index built again, while clusters are told no better by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from automl_phys import reducer_facts
from automl_phys.contracts import Reduction
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.values import Array

SOLVES = frozenset({"reduce"})
NEEDS = ("umap",)
TEXT = "neighbours stay together, clusters come apart"

FEWEST_ROWS = 20
FEWEST_NEIGHBOURS, MOST_NEIGHBOURS = 5, 100
MOST_DIMENSIONS = 10


def skip(facts: Facts) -> str | None:
    return reducer_facts.skip(facts, FEWEST_ROWS)


def memory_mb(facts: Facts) -> int:
    """The interpreter with Numba and what it compiled; the points, their search trees and graph of neighbours."""
    each = facts.sizes["numbers"] * 16 + 4000 + _most_neighbours(facts) * 80
    return 550 + round(facts.rows.get("train", 0) * each / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    return {
        "dimensions": Range(low=2, high=_most_dimensions(facts), integer=True, text="dimensions of the embedding"),
        "neighbours": Range(low=FEWEST_NEIGHBOURS, high=_most_neighbours(facts), log=True, integer=True,
                            text="nearest points that a point is held by"),
        "min_distance": Range(low=0.0, high=0.3, text="how near to each other points may be put"),
        "metric": Range(choices=("euclidean", "cosine"), text="what makes points neighbours"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    return tuple({"dimensions": min(dimensions, _most_dimensions(facts)),
                  "neighbours": min(neighbours, _most_neighbours(facts)), "min_distance": 0.0, "metric": "euclidean"}
                 for neighbours, dimensions in ((15, 2), (10, 5)))


def _most_dimensions(facts: Facts) -> int:
    return max(2, min(MOST_DIMENSIONS, facts.sizes.get("numbers", 2)))


def _most_neighbours(facts: Facts) -> int:
    """So few that a half of the points has them, too."""
    return max(FEWEST_NEIGHBOURS, min(MOST_NEIGHBOURS, facts.rows.get("train", 0) // 3))


@dataclass(frozen=True)
class Umap:
    """The points of the fit (n, d) and their places (n, k)."""

    points: Array
    metric: str
    embedding: Array

    def place(self, points: Array) -> Array:
        """Where the median of the nearest points of the fit is; see :func:`automl_phys.placing.median_place`."""
        from automl_phys import placing

        if self.metric == "cosine":  # on the unit sphere the nearest by angle are the nearest
            return placing.median_place(_directions(points), _directions(self.points), self.embedding)
        return placing.median_place(points, self.points, self.embedding)

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)


def load(folder: Path) -> Reduction:
    from automl_phys import arrays

    return arrays.load(Umap, folder)


def fit(points: Array, params: Params, job: Job) -> Reduction:
    """Raises DataError for points that are not finite, all the same, or no more than the neighbours asked for.

    One thread, as umap-learn wants it for a seed to give the same numbers again.
    """
    import warnings

    from automl_phys import placing

    placing.check_points(points, cast(int, params["neighbours"]))
    model = _umap().UMAP(
        n_neighbors=params["neighbours"], n_components=params["dimensions"], min_dist=params["min_distance"],
        metric=params["metric"], random_state=job.seed % 2**32, n_jobs=1)
    with warnings.catch_warnings():
        # Of where the points start from: separate clusters, and a start at random where there is no better one.
        for message in ("Graph is not fully connected", "Spectral initialisation failed"):
            warnings.filterwarnings("ignore", message=message, category=UserWarning)
        model.fit(points)
    return Umap(points, str(params["metric"]), placing.checked(model.embedding_))


@cache
def _umap() -> Any:
    """umap-learn, without the module that would import TensorFlow and Keras (8 to 16 seconds) for networks."""
    import sys
    import warnings
    from importlib import import_module

    networks = "umap.parametric_umap"
    if "umap" in sys.modules:
        return import_module("umap")
    sys.modules[networks] = None  # type: ignore[assignment]  # the way to make an import fail
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
            return import_module("umap")
    finally:
        del sys.modules[networks]


def _directions(points: Array) -> Array:
    """The points at unit length; those of no length stay where they are."""
    import numpy as np

    length = np.linalg.norm(points, axis=1, keepdims=True)
    return cast("Array", points / np.where(length > 0, length, 1))
