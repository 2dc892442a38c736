"""What pairwise distances tell of a clustering or an embedding: one function for each measure.

Takes some points (:class:`Cloud`) and the clusters of each, counted from 0 without gaps, noise ``NOISE``; gives plain
numbers, defined for degenerate clusterings too. Which points, in which space, and what is made of it is
:mod:`automl_phys.cluster_scores`'s work.

References: DBCV, Moulavi et al., SDM 2014. Silhouette, Rousseeuw, J. Comp. Appl. Math. 20 (1987) 53. Variance ratio,
Caliński and Harabasz, Comm. Stat. 3 (1974) 1. Trustworthiness and continuity, Venna and Kaski, ICANN 2001. Modularity,
Newman and Girvan, Phys. Rev. E 69 (2004) 026113. Density at the borders, after Hennig, Data Analysis and Applications 1
(2019) 1. Local radii, Narayan et al., Nature Biotech. 39 (2021) 765.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl_phys.assignment import NOISE

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.intp]

NEIGHBOURS = 15
"""How many nearest points are a point's surroundings."""


@dataclass(frozen=True)
class Cloud:
    """Some points and what their pairwise distances (m, m) tell."""

    points: Floats

    @cached_property
    def distances(self) -> Floats:
        centred = self.points - self.points.mean(axis=0)
        squares = (centred**2).sum(axis=1)
        found: Floats = squares[:, None] + squares - 2 * centred @ centred.T
        np.sqrt(np.maximum(found, 0, out=found), out=found)
        np.fill_diagonal(found, 0)
        return found

    @cached_property
    def neighbours(self) -> Integers:
        """The nearest other points (m, ``NEIGHBOURS`` or all others)."""
        apart = self.distances.copy()
        np.fill_diagonal(apart, np.inf)
        most = min(NEIGHBOURS, len(apart) - 1)
        return np.argpartition(apart, most - 1, axis=1)[:, :most]

    @cached_property
    def to_neighbours(self) -> Floats:
        return np.take_along_axis(self.distances, self.neighbours, axis=1)

    @cached_property
    def radii(self) -> Floats:
        """Mean distance to the nearest points (m,): how sparse it is around each."""
        return np.asarray(self.to_neighbours.mean(axis=1))


def validity(cloud: Cloud, found: Integers) -> float:
    """DBCV: per cluster (gap to the others - largest gap inside) / the larger of them, weighted by size; noise is 0.

    Gaps are distances of mutual reachability between points that are inside their cluster's spanning tree. Clusters of
    less than three points have no inside: they count as noise.
    """
    size = np.bincount(found[found != NOISE])
    core, inside = np.zeros(len(found)), found != NOISE
    inner_gap = np.zeros(len(size))
    for cluster in np.flatnonzero(size > 2):
        rows = np.flatnonzero(found == cluster)
        between = cloud.distances[np.ix_(rows, rows)]
        core[rows] = _core_distances(between, cloud.points.shape[1])
        edges, lengths = _spanning_tree(np.maximum(between, np.maximum(core[rows][:, None], core[rows])))
        inside[rows] = np.bincount(edges.ravel(), minlength=len(rows)) > 1
        both = inside[rows][edges].all(axis=1)
        inner_gap[cluster] = lengths[both].max() if both.any() else lengths.max()
    rows = np.flatnonzero(inside)
    reach = np.maximum(cloud.distances[np.ix_(rows, rows)], np.maximum(core[rows][:, None], core[rows]))
    reach[found[rows][:, None] == found[rows]] = np.inf
    gap = np.full(len(size), np.inf)
    np.minimum.at(gap, found[rows], reach.min(axis=1))
    larger = np.maximum(gap, inner_gap)
    each = np.divide(gap - inner_gap, larger, out=np.zeros(len(size)), where=(larger > 0) & (size > 2))
    return float((each * size).sum() / len(found))


def _core_distances(between: Floats, dimensions: int) -> Floats:
    """All-points core distances (m,): the mean over others of 1/distance^dimensions, to the power -1/dimensions.

    Computed with logarithms, since the powers overflow; points in the same place are left out.
    """
    logs = np.full(between.shape, -np.inf)
    np.log(between, out=logs, where=between > 0)
    logs = np.where(between > 0, -dimensions * logs, -np.inf)
    top = logs.max(axis=1)
    apart = np.isfinite(top)
    total = np.exp(logs[apart] - top[apart, None]).sum(axis=1)
    core = np.zeros(len(between))
    core[apart] = np.exp((np.log(len(between) - 1) - np.log(total) - top[apart]) / dimensions)
    return core


def _spanning_tree(lengths: Floats) -> tuple[Integers, Floats]:
    """Minimum spanning tree of a dense graph (Prim): edges (m - 1, 2) and their lengths."""
    count = len(lengths)
    nearest, near = np.zeros(count, np.intp), lengths[0].copy()
    left = np.ones(count, bool)
    left[0], near[0] = False, np.inf
    edges, taken = np.empty((count - 1, 2), np.intp), np.empty(count - 1)
    for step in range(count - 1):
        new = int(near.argmin())
        edges[step], taken[step] = (nearest[new], new), near[new]
        left[new], near[new] = False, np.inf
        closer = left & (lengths[new] < near)
        near[closer], nearest[closer] = lengths[new][closer], new
    return edges, taken


def silhouette(cloud: Cloud, found: Integers) -> float:
    """Mean silhouette of the points that are not noise; 0 for a point alone in its cluster."""
    rows = np.flatnonzero(found != NOISE)
    own = found[rows]
    member = np.eye(int(own.max()) + 1)[own]
    size, each = member.sum(axis=0), np.arange(len(rows))
    total = cloud.distances[np.ix_(rows, rows)] @ member
    inside = total[each, own] / np.maximum(size[own] - 1, 1)
    total[each, own] = np.inf
    outside = (total / size).min(axis=1)
    larger = np.maximum(inside, outside)
    counts = (larger > 0) & (size[own] > 1)
    return float(np.divide(outside - inside, larger, out=np.zeros(len(rows)), where=counts).mean())


def variance_ratio(cloud: Cloud, found: Integers) -> float:
    """Variance between clusters over that within, per degree of freedom (Caliński, Harabasz); 0 without variance."""
    own = found[found != NOISE]
    points, size = cloud.points[found != NOISE], np.bincount(own)
    centres = np.column_stack([np.bincount(own, column) for column in points.T]) / size[:, None]
    within = float(((points - centres[own]) ** 2).sum())
    between = float((size[:, None] * (centres - points.mean(axis=0)) ** 2).sum())
    return between / within * (len(own) - len(size)) / (len(size) - 1) if within > 0 else 0.0


def modularity(cloud: Cloud, found: Integers) -> float:
    """Modularity of the directed graph of nearest neighbours, edges of noise left out; 0 without edges.

    At most 1 - 1/k for k clusters of equal size.
    """
    clusters = int(found.max()) + 1
    starts, ends = np.broadcast_to(found[:, None], cloud.neighbours.shape), found[cloud.neighbours]
    kept = (starts != NOISE) & (ends != NOISE)
    edges = np.bincount(starts[kept] * clusters + ends[kept], minlength=clusters**2).reshape(clusters, clusters)
    share = edges / max(1, edges.sum())
    return float(np.trace(share) - share.sum(axis=0) @ share.sum(axis=1))


def border(cloud: Cloud, found: Integers) -> float:
    """How sparse clusters are at their borders: twice the mean rank of the border's radii in their cluster, less 1.

    Points belong to the border by the share of their nearest neighbours that lie in other clusters; ranks go from 0
    (densest) to 1. Clusters without borders give 1. The mean over clusters is weighted by size.
    """
    size = np.bincount(found)
    order = np.lexsort((cloud.radii, found))
    rank = np.empty(len(found))
    rank[order] = np.arange(len(found)) - np.repeat(np.cumsum(size) - size, size)
    rank /= np.maximum(size[found] - 1, 1)
    weight = (found[cloud.neighbours] != found[:, None]).mean(axis=1)
    total = np.bincount(found, weight)
    each = np.divide(np.bincount(found, weight * rank), total, out=np.ones(len(size)), where=total > 0)
    return float(np.average(2 * each - 1, weights=size))


def kept(one: Cloud, other: Cloud) -> float:
    """1 less the penalty for near neighbours in ``one`` that are far in ``other``: trustworthiness or continuity."""
    count, near = one.neighbours.shape
    apart = np.take_along_axis(other.distances, one.neighbours, axis=1)
    late = sum(float(np.maximum((other.distances < apart[:, [j]]).sum(axis=1) - near, 0).sum()) for j in range(near))
    worst = count * near * (2 * count - 3 * near - 1) / 2
    return max(0.0, 1 - late / worst) if worst > 0 else 1.0


def rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's; 0 where either is constant."""
    from scipy.stats import rankdata

    one, other = rankdata(a) - (len(a) + 1) / 2, rankdata(b) - (len(b) + 1) / 2
    scale = sqrt(float((one**2).sum() * (other**2).sum()))
    return float(one @ other) / scale if scale > 0 else 0.0
