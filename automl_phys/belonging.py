"""Clusterings that know a point by what it is nearest to: centres of clusters, or the points of the fit themselves.

Takes what a clusterer found; gives ``contracts.Clustering``, with clusters numbered by falling size, that place new
points by the same rule as those of the fit and are saved as arrays. How clusters are found is each family's work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl_phys import arrays
from automl_phys.assignment import NOISE, by_size
from automl_phys.errors import DataError, Mistake

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl_phys.values import Array

VOTERS = 15
"""Nearest points of the fit, the point itself among them, whose labels say how surely it belongs to its cluster."""

CELLS_PER_CHUNK = 5_000_000
"""Distances that are held at a time."""


def check(points: Array, clusters: int) -> None:
    """Raises DataError where fewer than ``clusters`` of the points (n, k) are different from one another."""
    left = points
    for found in range(clusters):
        if not len(left):
            raise DataError(Mistake(
                "too-few-points", f"{clusters} clusters were asked for of {len(points)} points, of which {found} are "
                "different.", "Give more events or ask for fewer clusters; see whether rows are repeated."))
        left = left[(left != left[0]).any(axis=1)]


def spread(points: Array) -> float:
    """Root of the total variance of points (n, k): the typical distance from their mean."""
    return float(np.sqrt(points.var(axis=0, dtype=np.float64).sum()))


def chunks(points: Array, width: int) -> Iterator[Array]:
    """Float64 pieces of ``points``, one after another, so short that ``width`` numbers of each point can be held."""
    rows = max(1, CELLS_PER_CHUNK // width)
    for start in range(0, max(1, len(points)), rows):
        yield points[start:start + rows].astype(np.float64)


# ---------------------------------------------------------------- nearest centre

@dataclass(frozen=True)
class Centres:
    """A point is in the cluster that owns the nearest centre.

    Its probability is the margin (d₂ − d₁)/(d₂ + d₁) of the distances to the nearest centres of its own and of the next
    cluster: 1 on the centre, 0 half way between two; 1 where there is one cluster. ``centres`` (m, k) are sorted by
    ``owner`` (m,); a cluster may own several.
    """

    centres: NDArray[np.float64]
    owner: NDArray[np.int32]
    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]

    def place(self, points: Array) -> tuple[Array, Array]:
        parts = [self._place(chunk) for chunk in chunks(points, len(self.centres))]
        return np.concatenate([labels for labels, _ in parts]), np.concatenate([sure for _, sure in parts])

    def _place(self, points: Array) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        from scipy.spatial.distance import cdist

        first_owned = np.searchsorted(self.owner, np.arange(self.owner[-1] + 1))
        distances = np.minimum.reduceat(cdist(points, self.centres), first_owned, axis=1)
        labels = distances.argmin(axis=1).astype(np.int32)
        if distances.shape[1] == 1:
            return labels, np.ones(len(points), np.float32)
        near, far = np.partition(distances, 1, axis=1)[:, :2].T
        margin = np.divide(far - near, far + near, out=np.ones_like(near), where=far > 0)
        return labels, margin.astype(np.float32)

    def save(self, folder: Path) -> None:
        arrays.save(self, folder)


def by_centres(points: Array, centres: Array, owner: Array) -> Centres:
    """Clusters (m,) ``owner`` 0, 1, … of ``centres`` (m, k), as the points of the fit (n, k) lie to them.

    Clusters that no point is nearest to are left out.
    """
    nothing = np.empty(0, np.int32), np.empty(0, np.float32)
    order = np.argsort(owner, kind="stable")
    found, _ = Centres(centres[order].astype(np.float64), owner[order].astype(np.int32), *nothing).place(points)
    number = np.full(owner.max() + 1, NOISE, np.int32)
    number[found] = by_size(found)
    used = np.flatnonzero(number[owner] != NOISE)
    used = used[np.argsort(number[owner[used]], kind="stable")]
    clusters = centres[used].astype(np.float64), number[owner[used]]
    return Centres(*clusters, *Centres(*clusters, *nothing).place(points))


# ---------------------------------------------------------------- nearest point of the fit

@dataclass(frozen=True)
class Neighbours:
    """A point is in the cluster of the nearest core point of the fit, if that is no farther than ``radius``.

    Its probability is the share of the ``VOTERS`` nearest points of the fit that are in the same cluster. ``points``
    (n, k) are those of the fit, ``core`` (n,) marks those that clusters grow from: all of them, or the dense ones.
    """

    points: NDArray[np.float32]
    core: NDArray[np.bool_]
    radius: float
    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]

    def place(self, points: Array) -> tuple[Array, Array]:
        labels = _nearest_core(points, self.points[self.core], self.labels[self.core], self.radius)
        return labels, _votes(points, labels, self.points, self.labels)

    def save(self, folder: Path) -> None:
        arrays.save(self, folder)


def by_neighbours(points: Array, labels: Array, core: Array | None = None, radius: float = np.inf) -> Neighbours:
    """Clusters of the points of the fit (n, k), at least two; ``labels`` are looked at where ``core`` is true.

    The other points, and those that coincide with a core point of another label, get theirs by the rule of
    :class:`Neighbours`.
    """
    core = np.ones(len(points), np.bool_) if core is None else core
    placed = by_size(_nearest_core(points, points[core], labels[core], radius))
    return Neighbours(points, core, radius, placed, _votes(points, placed, points, placed))


def _nearest_core(points: Array, core: Array, labels: Array, radius: float) -> NDArray[np.int32]:
    from scipy.spatial import KDTree

    if not len(core):
        return np.full(len(points), NOISE, np.int32)
    distance, nearest = KDTree(core).query(points)
    return np.where(distance <= radius, labels[nearest], NOISE).astype(np.int32)


def _votes(points: Array, labels: Array, fitted: Array, known: Array) -> NDArray[np.float32]:
    from scipy.spatial import KDTree

    _, nearest = KDTree(fitted).query(points, k=min(VOTERS, len(fitted)))
    share = (known[nearest] == labels[:, None]).mean(axis=1)
    return np.where(labels == NOISE, 0, share).astype(np.float32)
