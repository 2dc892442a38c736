"""Family ``hdbscan``: HDBSCAN (hdbscan): clusters are what lasts while the density that counts as dense is raised.

A point's level is λ = 1/distance at which it falls out of the tree of clusters (R. Campello, D. Moulavi, J. Sander,
PAKDD 2013, 160); its probability is that level over the highest of its cluster. A new point goes with its nearest point
of the fit in mutual reachability distance, as ``hdbscan.approximate_predict`` has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys.contracts import Clustering
from automl_phys.facts import Facts, Range, only_kind
from automl_phys.trials import Job
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.exhibits import Figure
    from automl_phys.values import Array

SOLVES = frozenset({"cluster"})
NEEDS = ("hdbscan",)
TEXT = "lasting peaks of the density: clusters of any shape and number, and noise"

FEWEST_SAMPLES = 1
FEWEST_POINTS = 5
APART = 0.01
"""Where points coincide, by how much they are set apart, in units of the typical distance to the last neighbour."""


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "points")


def memory_mb(facts: Facts) -> int:
    """The interpreter with hdbscan, the points, up to 100 neighbours of each, twice for a moment, and the trees."""
    return 300 + round(facts.rows.get("train", 0) * (32 * facts.sizes.get("numbers", 0) + 100 * 32 + 600) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    rows = facts.rows.get("train", 0)
    low = max(FEWEST_POINTS, rows // 200)
    return {
        "cluster_size": Range(low=low, high=max(2 * low, rows // 10), log=True, integer=True,
                              text="fewest points of a cluster"),
        "samples": Range(low=FEWEST_SAMPLES, high=50, log=True, integer=True,
                         text="neighbours that a point's density is measured by; more leave more points out"),
        "method": Range(choices=("eom", "leaf"), text="clusters of most excess of mass, or the smallest there are"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    """Clusters of a thirtieth of the points, and smaller ones with a smoother density."""
    allowed = space(facts)["cluster_size"]
    low, high = int(allowed.low or 0), int(allowed.high or 0)
    large, small = (min(high, max(low, facts.rows.get("train", 0) // part)) for part in (30, 100))
    return ({"cluster_size": large, "samples": 5, "method": "eom"},
            {"cluster_size": small, "samples": 20, "method": "eom"})


@dataclass(frozen=True)
class Densities:
    """The condensed tree of ``points`` (n, k) and what was chosen of it.

    Of each point: distance to its last counted neighbour ``core`` (n,), the tree's cluster ``inside`` that it falls out
    of and the level ``fell`` at which it does. Of each of the tree's c clusters, the root first: the cluster ``above``
    it (-1 for the root), the level ``born`` and the ``size`` at which it splits off, and the ``chosen`` cluster that it
    is or lies in, -1 for none. ``peaks`` are the highest levels of the chosen clusters.
    """

    points: Array
    core: Array
    inside: Array
    fell: Array
    above: Array
    born: Array
    size: Array
    chosen: Array
    peaks: Array
    samples: int
    labels: Array
    probabilities: Array

    def place(self, points: Array) -> tuple[Array, Array]:
        import numpy as np
        from scipy.spatial import KDTree

        from automl_phys import belonging

        tree = KDTree(self.points)
        looked_at = min(2 * int(self.samples), len(self.points))
        parts = [self._place(*tree.query(chunk, k=looked_at)) for chunk in belonging.chunks(points, 4 * looked_at)]
        return np.concatenate([labels for labels, _ in parts]), np.concatenate([sure for _, sure in parts])

    def _place(self, distances: Array, neighbours: Array) -> tuple[Array, Array]:
        """Labels and probabilities, given the distances to neighbours (m, 2 · samples), nearest first."""
        import numpy as np

        own = distances[:, min(int(self.samples), distances.shape[1] - 1)]
        reach = np.maximum(np.maximum(distances, self.core[neighbours]), own[:, None])
        nearest = reach.argmin(axis=1)[:, None]
        companion = np.take_along_axis(neighbours, nearest, axis=1)[:, 0]
        reached = np.take_along_axis(reach, nearest, axis=1)[:, 0]
        level = np.divide(1, reached, out=np.full(len(reached), np.inf), where=reached > 0)
        falls_before = level < self.fell[companion]
        cluster, level = self.inside[companion], np.minimum(level, self.fell[companion])
        while (climbs := falls_before & (self.above[cluster] >= 0) & (self.born[cluster] >= level)).any():
            cluster = np.where(climbs, self.above[cluster], cluster)
        labels = self.chosen[cluster]
        return labels, _share_of_peak(labels, level, self.peaks)

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)

    def figures(self) -> tuple[Figure, ...]:
        """The condensed tree; none where all points are in one trunk."""
        from automl_phys import condensed_tree

        if len(self.above) == 1:
            return ()
        return (condensed_tree.figure(self.inside, self.fell, self.above, self.born, self.size, self.chosen),)


def fit(points: Array, params: Params, job: Job) -> Clustering:
    """Where more points coincide than are counted as neighbours, the density there is infinite, and the tree is made
    of points that are set apart a little. Raises DataError when all points coincide.
    """
    import numpy as np
    from scipy.spatial import KDTree

    from automl_phys import belonging

    belonging.check(points, 2)
    samples = min(int(str(params["samples"])), len(points) - 1)
    tree = KDTree(points)
    core = np.concatenate([np.ravel(tree.query(chunk, k=[samples + 1])[0]) for chunk in belonging.chunks(points, 1)])
    exact = points.astype(np.float64)
    if not core.all():
        typical = float(np.median(core[core > 0])) if core.any() else belonging.spread(points)
        exact += np.random.default_rng(job.seed).normal(0, APART * typical, exact.shape)
    return _clustered(points, exact, core, samples, params)


def thinned(params: Params, share: float) -> Params:
    return {**params, "cluster_size": max(FEWEST_POINTS, round(int(str(params["cluster_size"])) * share)),
            "samples": max(FEWEST_SAMPLES, round(int(str(params["samples"])) * share))}


def load(folder: Path) -> Clustering:
    from automl_phys import arrays

    return arrays.load(Densities, folder)


def _clustered(points: Array, exact: Array, core: Array, samples: int, params: Params) -> Densities:
    import numpy as np
    from hdbscan import HDBSCAN

    from automl_phys.assignment import by_size

    # One process: more would be started beyond the cores that the trial was given.
    model = HDBSCAN(min_cluster_size=int(str(params["cluster_size"])), min_samples=samples,
                    cluster_selection_method=params["method"], core_dist_n_jobs=1).fit(exact)
    labels = by_size(model.labels_)
    rows = model.condensed_tree_.to_numpy()
    falls, splits = rows[rows["child"] < len(points)], rows[rows["child"] >= len(points)]
    inside, fell = np.zeros(len(points), np.int32), np.zeros(len(points))
    inside[falls["child"]], fell[falls["child"]] = falls["parent"] - len(points), falls["lambda_val"]
    above, born = np.full(1 + len(splits), -1, np.int32), np.zeros(1 + len(splits))
    size = np.full(1 + len(splits), len(points), np.int32)
    branch = splits["child"] - len(points)
    above[branch], born[branch] = splits["parent"] - len(points), splits["lambda_val"]
    size[branch] = splits["child_size"]
    chosen = _chosen(above, inside, labels)
    peaks = _peaks(np.append(inside, above[1:]), np.append(fell, born[1:]), chosen)
    return Densities(points, core, inside, fell, above, born, size, chosen, peaks, samples, labels,
                     _share_of_peak(labels, fell, peaks))


def _chosen(above: Array, inside: Array, labels: Array) -> Array:
    """The label of each cluster of the tree (c,): its points', or, where none falls out of it, its branches' if these
    agree. Clusters are numbered from the root up, so that branches come after what they spring from."""
    import numpy as np

    from automl_phys.assignment import NOISE

    unknown = NOISE - 1
    chosen = np.full(len(above), unknown, np.int32)
    chosen[inside] = labels
    for cluster in range(len(above) - 1, -1, -1):
        if chosen[cluster] == unknown:
            branches = np.unique(chosen[above == cluster])
            chosen[cluster] = branches[0] if len(branches) == 1 else NOISE
    return chosen


def _peaks(inside: Array, fell: Array, chosen: Array) -> Array:
    """The highest level at which anything, a point or a branch, falls out of each chosen cluster itself."""
    import numpy as np

    _, first = np.unique(chosen, return_index=True)  # of the tree's clusters with one label the first was chosen
    counts = np.isin(inside, first) & (chosen[inside] >= 0)
    peaks = np.zeros(int(chosen.max()) + 1)
    np.maximum.at(peaks, chosen[inside[counts]], fell[counts])
    return peaks


def _share_of_peak(labels: Array, level: Array, peaks: Array) -> Array:
    import numpy as np

    of = np.append(peaks, 1.0)[labels]
    share = np.divide(level, of, out=np.ones(len(level)), where=of > level)
    return np.where(labels < 0, 0, share).astype(np.float32)
