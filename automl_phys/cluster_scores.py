"""How good a clustering is, by the points alone: the parts, the objective made of them, their spread; and by truth.

Takes points in the original space, an assignment of them, and a seed; gives plain numbers, :class:`Estimate` and the
verdict against the nulls. Fitting, searching, tables and figures are others' work, single measures and their references
are in :mod:`automl_phys.cluster_measures`. What needs all pairs of points is computed on ``SAMPLE`` of them at most,
drawn in proportion to the clusters, so that a call costs about a second however many points there are. Degenerate
clusterings have defined values, never NaN.

Further references: stability per cluster, Hennig, Comp. Stat. Data Anal. 52 (2007) 258; adjusted Rand index, Hubert and
Arabie, J. Classif. 2 (1985) 193.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from automl_phys import cluster_measures as measures
from automl_phys.assignment import NOISE, Assignment
from automl_phys.bootstrap import percentiles, wilson
from automl_phys.cluster_measures import Cloud, Floats, Integers
from automl_phys.exhibits import Estimate
from automl_phys.values import Array, Direction

SAMPLE = 2000
"""Most points of which all pairs are looked at."""
NOISE_FREE = 0.05
"""Noise that costs nothing."""
NOISE_MOST = 0.5
"""Noise at which nothing is left of the structure."""
BORDER_ENOUGH = 0.6
"""How sparse a border is that could not be better."""
MARGIN = 0.05
"""By how much the structure of the data must at least exceed that of a null."""
SIGMAS = 2.0
"""The same in standard deviations."""

DIRECTIONS: Mapping[str, Direction] = dict.fromkeys((
    "structure", "validity", "silhouette", "silhouette_embedding", "calinski_harabasz", "calinski_harabasz_embedding",
    "modularity", "border", "trustworthiness", "continuity", "density_preserved", "agreement"), "maximize")
"""What :func:`value` can compute."""


# ---------------------------------------------------------------- the objective

def structure(parts: Mapping[str, float]) -> float:
    """The objective, in [0, 1]: (separation · modularity² · silhouette · border · agreement · faith)^(1/7) · what noise
    leaves.

    Each factor makes something trivial worthless. Negative parts count as 0, so does a single cluster.

    - *separation* is the mean of validity (DBCV) and silhouette, in the embedding: clusters are apart there, by their
      densities and by their distances; a mean, so that no clusterer is judged by the one that flatters it. Alone it is
      worth little, since UMAP tears anything apart: DBCV gives 0.6 for a Gaussian.
    - *modularity* of the graph of neighbours in the original space: clusters do not cut through neighbourhoods there,
      and too few of them fall short of 1 - 1/k. Of all parts it followed the truth best (rank correlation with the
      adjusted Rand index 0.83 on digits, DBCV 0.43, silhouettes 0.36 and 0.44), hence twice.
    - *silhouette* is that in the original space, moved to [0, 1]: of clusterings that are alike in all else, the one
      that is also apart by the data's own distances. It is small in many dimensions, so it weighs little.
    - *border*: clusters are sparser where they touch, in the original space, min(1, border / ``BORDER_ENOUGH``). A
      cloud that was cut is as dense at the cut as anywhere: 0 to 0.25, digits 0.7, blobs above 0.9. Noise is counted to
      the nearest cluster here, so that a belt of noise cannot hide a border.
    - *agreement* between runs on subsamples: what is there is found again.
    - *faith* is the lesser of 2 trustworthiness - 1 and 2 continuity - 1: 0 for an embedding at random.
    - noise costs nothing up to ``NOISE_FREE``; from there the value falls linearly, to 0 at ``NOISE_MOST``.

    Measured, but for the silhouette's factor, over 116 to 543 pipelines each ({none, PCA, UMAP} x {k-means, Gaussian
    mixture, HDBSCAN}). Blobs with
    outliers, well apart: the best had the true number of clusters in 10 of 10 seeds, as under most formulas (0.84 to
    0.92). Digits, three seeds of UMAP: the best had an adjusted Rand index of 0.920, 0.911 and 0.898 with noise below
    2 % (0.92), and twelve clusters, since the 1 is written in three ways. Powers and ``BORDER_ENOUGH`` were chosen on
    these digits with their labels, among some 2500 variants that differ little, so that these are no independent test;
    the silhouette's factor then decided one tie in six whole runs.
    Gaussians of 5 to 64 dimensions reach 0.41 at most, but 0.72 in two, which UMAP tears apart: a value means little by
    itself, :func:`nothing_there` compares it with nulls.
    """
    faith = 2 * min(parts["trustworthiness"], parts["continuity"]) - 1
    separation = (max(0.0, parts["validity"]) + max(0.0, parts["silhouette_embedding"])) / 2
    terms = (separation, parts["modularity"], parts["modularity"], (1 + parts["silhouette"]) / 2,
             parts["border"] / BORDER_ENOUGH, parts["agreement"], faith)
    product = prod(min(1.0, max(0.0, term)) for term in terms)
    left = (NOISE_MOST - parts["noise"]) / (NOISE_MOST - NOISE_FREE)
    return product ** (1 / len(terms)) * min(1.0, max(0.0, left))


def components(points: Array, embedding: Array, labels: Array, agreement: float, seed: int = 0) -> dict[str, float]:
    """What there is to say of a clustering without knowing the truth.

    ``points`` (n, D) are in the original, scaled space, ``embedding`` is (n, k), ``labels`` (n,), noise ``NOISE``;
    ``agreement`` between runs is given. The parts, in [-1, 1] unless said:

    ``validity`` density-based validity (DBCV) in the embedding, noise counting as 0; ``silhouette`` and
    ``silhouette_embedding`` means over points that are not noise; ``calinski_harabasz`` and ``…_embedding`` variance
    ratios, ≥ 0; ``modularity`` share of the edges of the graph of nearest neighbours in the original space, noise
    aside, that stay in a cluster, less what chance would give; ``border`` whether clusters are sparser where they touch
    others, in the original space: 1 at most, 0 when their borders are as dense as they are; ``trustworthiness`` and
    ``continuity`` of the embedding, in [0, 1] where 0.5 is chance; ``density_preserved`` rank correlation of the local
    radii in both spaces; ``agreement``; ``noise`` the share of noise; ``clusters`` their number.
    """
    rows = _sample(labels, SAMPLE, np.random.default_rng(seed))
    return _measure(points, embedding, labels, rows, agreement)


def value(name: str, points: Array, assignment: Assignment) -> float:
    """One objective of an assignment. Raises KeyError for a name not in ``DIRECTIONS``."""
    if name not in DIRECTIONS:
        raise KeyError(name)
    parts = components(points, assignment.embedding, assignment.labels, assignment.agreement)
    return structure(parts) if name == "structure" else parts[name]


def estimates(points: Array, assignment: Assignment, seed: int, repeats: int = 20) -> dict[str, Estimate]:
    """All components and ``structure`` with 68 % intervals, from the spread over ``repeats`` halves of the sample.

    Halves drawn without replacement scatter about the whole as the whole does about the truth (delete-half jackknife,
    Shao and Wu, Ann. Stat. 17 (1989) 1176); what the smaller number shifts is taken out. The clustering is held fixed.
    """
    labels, embedding, agreed = assignment.labels, assignment.embedding, assignment.agreement
    rng = np.random.default_rng(seed)
    rows = _sample(labels, SAMPLE, np.random.default_rng(0))
    parts = _measure(points, embedding, labels, rows, agreed)
    half = max(2, len(rows) // 2)
    drawn = [_measure(points, embedding, labels, rows[_sample(labels[rows], half, rng)], agreed)
             for _ in range(repeats)]
    found = {name: _spread(at, [one[name] for one in drawn]) for name, at in parts.items()}
    found["structure"] = _spread(structure(parts), [structure(one) for one in drawn], 0.0, 1.0)
    found["agreement"] = Estimate(agreed, nan, nan, "mean over pairs of runs")
    found["noise"] = _share(parts["noise"], len(labels))
    found["clusters"] = Estimate(parts["clusters"], nan, nan, "a count")
    return found


# ---------------------------------------------------------------- against the nulls

@dataclass(frozen=True)
class Contrast:
    """By how much the data's structure exceeds that of one null; ``sigma`` is ``difference`` over ``uncertainty``."""

    null: str
    difference: float
    uncertainty: float
    sigma: float
    beaten: bool


@dataclass(frozen=True)
class Verdict:
    """Whether there is structure, and how it compares with each null. ``structure`` is what was compared."""

    structure: float
    contrasts: tuple[Contrast, ...]
    found: bool


def nothing_there(real: Estimate | float, bootstraps: Sequence[float],
                  nulls: Mapping[str, Sequence[float]]) -> Verdict:
    """Whether the same pipeline finds more structure in the data than in each of the ``nulls``.

    ``real`` is the winner's structure, ``bootstraps`` what it has on subsamples, ``nulls`` maps a null to its values.
    The winner was chosen for its value on these very points, the fits on subsamples were not: the lower of its value
    and their mean is compared. The uncertainty of the difference to a null is that of one fit of either kind, for
    n nulls √(s² + s₀² (1 + 1/n)). A null is beaten by more than ``SIGMAS`` of them and more than ``MARGIN``; structure
    is found when there are nulls and all are beaten. Columns shuffled one by one keep the peaks of single columns, and
    where these are sharp they have clusters of their own: clusters on a grid along the axes are not told from them.
    Raises ValueError for a null without values.
    """
    at = real.value if isinstance(real, Estimate) else real
    low = min([at, float(np.mean(bootstraps))]) if bootstraps else at
    own = float(np.std(bootstraps, ddof=1)) if len(bootstraps) > 1 else 0.0
    contrasts = []
    for name, values in nulls.items():
        if not values:
            raise ValueError(f"null {name!r} has no values")
        difference = low - float(np.mean(values))
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else own
        uncertainty = sqrt(own**2 + spread**2 * (1 + 1 / len(values)))
        sigma = difference / max(uncertainty, 1e-6)
        contrasts.append(Contrast(name, difference, uncertainty, sigma, difference > MARGIN and sigma > SIGMAS))
    return Verdict(low, tuple(contrasts), bool(contrasts) and all(c.beaten for c in contrasts))


# ---------------------------------------------------------------- labels against labels

def agreement(labelings: Sequence[Array]) -> float:
    """Mean adjusted Rand index over all pairs of labelings of the same points; noise is a class of its own.

    Raises ValueError for fewer than two.
    """
    if len(labelings) < 2:
        raise ValueError("agreement needs two labelings or more")
    classes = [_classes(labels) for labels in labelings]
    return float(np.mean([_rand(_contingency(a, b)) for a, b in combinations(classes, 2)]))


def cluster_stability(labels: Array, others: Sequence[tuple[Array, Array]]) -> Floats:
    """How well each cluster (k,) of ``labels`` is found again by other clusterings of some of the points.

    ``others`` holds (rows, their labels). A cluster's stability is the mean over them of its largest Jaccard
    similarity with a cluster there, among these rows (Hennig 2007): below 0.6 it should not be trusted, above 0.85 it
    is highly stable. Clusterings that hold none of its points are left out; 0 when none is left.
    """
    clusters = int(labels.max(initial=NOISE)) + 1
    total, counted = np.zeros(clusters), np.zeros(clusters)
    for rows, found in others:
        own = labels[rows]
        joint = _contingency(own + 1, np.asarray(found) + 1, clusters + 1)[1:].astype(np.float64)
        sizes, theirs = joint.sum(axis=1), np.bincount(np.asarray(found) + 1, minlength=joint.shape[1])
        union = sizes[:, None] + theirs - joint
        similar = np.divide(joint, union, out=np.zeros_like(joint), where=union > 0)[:, 1:]
        total += similar.max(axis=1, initial=0.0)
        counted += sizes > 0
    return np.divide(total, counted, out=np.zeros(clusters), where=counted > 0)


def truth_scores(truth: Array, labels: Array, seed: int, repeats: int = 200) -> dict[str, Estimate]:
    """How a clustering compares with the true classes, with 68 % bootstrap intervals; noise is a class of its own.

    Keys ``adjusted_rand``, ``adjusted_mutual_information`` (arithmetic mean), ``homogeneity``, ``completeness``,
    ``noise``, ``clusters``. Drawing points again is drawing the cells of the contingency table from a multinomial. The
    mutual information expected by chance is held at that of the whole table: it hardly varies and is dear.
    """
    from sklearn.metrics.cluster import expected_mutual_information

    table = _contingency(_classes(truth), _classes(labels))
    total = int(table.sum())
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(total, table.ravel() / total, repeats).reshape(repeats, *table.shape)
    by_chance = float(expected_mutual_information(table, total))
    names = ("adjusted_mutual_information", "homogeneity", "completeness")
    whole = dict(zip(names, _information(table[None], by_chance), strict=True))
    again = dict(zip(names, _information(drawn, by_chance), strict=True))
    whole["adjusted_rand"], again["adjusted_rand"] = _rands(table[None]), _rands(drawn)
    scores = {}
    for name in ("adjusted_rand", *names):
        low, high = percentiles(again[name])
        scores[name] = Estimate(float(whole[name][0]), float(low), float(high), "bootstrap")
    scores["noise"] = _share(float(np.mean(labels == NOISE)), total)
    scores["clusters"] = Estimate(float(len(np.unique(labels[labels != NOISE]))), nan, nan, "a count")
    return scores


def _classes(labels: Array) -> Integers:
    """Labels as numbers from 0 without gaps."""
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)


def _contingency(a: Integers, b: Integers, rows: int = 0) -> NDArray[np.int64]:
    """How many points have each pair of labels, which count from 0."""
    rows, columns = max(rows, int(a.max(initial=0)) + 1), int(b.max(initial=0)) + 1
    return np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns)


def _rand(table: NDArray[np.int64]) -> float:
    return float(_rands(table[None])[0])


def _rands(tables: NDArray[np.int64]) -> Floats:
    """Adjusted Rand index of contingency tables (R, a, b); 1 where both labelings are trivial."""
    def pairs(counts: Array) -> Floats:
        many: Floats = counts.astype(np.float64)
        return np.asarray(many * (many - 1) / 2)

    joint = pairs(tables).sum(axis=(1, 2))
    one, other = pairs(tables.sum(axis=2)).sum(axis=1), pairs(tables.sum(axis=1)).sum(axis=1)
    expected = one * other / np.maximum(pairs(tables.sum(axis=(1, 2))), 1)
    most = (one + other) / 2
    index: Floats = np.divide(joint - expected, most - expected, out=np.ones(len(tables)), where=most - expected > 0)
    return index


def _information(tables: NDArray[np.int64], by_chance: float) -> tuple[Floats, Floats, Floats]:
    """Adjusted mutual information, homogeneity and completeness of contingency tables (R, truth, labels)."""
    def entropy(counts: Array) -> Floats:
        share: Floats = counts / counts.sum(axis=1, keepdims=True)
        surprise: Floats = -share * np.log(np.where(share > 0, share, 1))
        total: Floats = surprise.sum(axis=1)
        return total

    truth, found = entropy(tables.sum(axis=2)), entropy(tables.sum(axis=1))
    mutual = np.maximum(truth + found - entropy(tables.reshape(len(tables), -1)), 0)
    room = (truth + found) / 2 - by_chance
    ones = np.ones(len(tables))
    return (np.divide(mutual - by_chance, room, out=ones.copy(), where=np.abs(room) > 1e-12),
            np.divide(mutual, truth, out=ones.copy(), where=truth > 0),
            np.divide(mutual, found, out=ones.copy(), where=found > 0))


# ---------------------------------------------------------------- the parts

def _sample(labels: Array, most: int, rng: np.random.Generator) -> Integers:
    """Rows, ``most`` at the most, of each label its share of them to within one."""
    if len(labels) <= most:
        return np.arange(len(labels))
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    chosen = ((np.arange(most) + rng.uniform()) * (len(labels) / most)).astype(np.intp)
    return np.sort(order[chosen])


def _measure(points: Array, embedding: Array, labels: Array, rows: Integers, agreed: float) -> dict[str, float]:
    """The components, from some of the rows. Two rows at least are needed for most of them; they are 0 otherwise."""
    own, found = np.unique(labels[rows], return_inverse=True)
    found = found - int(own[0] == NOISE) if len(own) else found
    original, placed = Cloud(points[rows].astype(np.float64)), Cloud(embedding[rows].astype(np.float64))
    parts = dict.fromkeys(DIRECTIONS, 0.0)
    del parts["structure"]
    if len(rows) > 2:
        parts["trustworthiness"], parts["continuity"] = measures.kept(placed, original), measures.kept(original, placed)
        parts["density_preserved"] = measures.rank_correlation(original.radii, placed.radii)
    if int(found.max(initial=NOISE)) > 0:
        scale = len(labels) / len(rows)
        parts["validity"] = measures.validity(placed, found)
        parts["silhouette"] = measures.silhouette(original, found)
        parts["silhouette_embedding"] = measures.silhouette(placed, found)
        parts["calinski_harabasz"] = measures.variance_ratio(original, found) * scale
        parts["calinski_harabasz_embedding"] = measures.variance_ratio(placed, found) * scale
        parts["modularity"] = measures.modularity(original, found)
        parts["border"] = measures.border(original, _without_noise(original, found))
    parts["agreement"] = agreed
    parts["noise"] = float(np.mean(labels == NOISE)) if len(labels) else 1.0
    parts["clusters"] = float(len(np.unique(labels[labels != NOISE])))
    return parts


def _without_noise(cloud: Cloud, found: Integers) -> Integers:
    """The clusters of points, where noise is given that of the nearest point which has one."""
    noise, others = np.flatnonzero(found == NOISE), np.flatnonzero(found != NOISE)
    if not len(noise):
        return found
    filled = found.copy()
    filled[noise] = found[others[cloud.distances[np.ix_(noise, others)].argmin(axis=1)]]
    return filled


def _spread(at: float, drawn: Sequence[float], low: float = -np.inf, high: float = np.inf) -> Estimate:
    """A value with the spread of the drawn ones about their median."""
    ends = np.clip(at + np.subtract(percentiles(np.asarray(drawn, np.float64)), np.median(drawn)), low, high)
    return Estimate(at, float(ends[0]), float(ends[1]), "spread over halves of the sample")


def _share(share: float, total: int) -> Estimate:
    return Estimate(share, *wilson(share, total), "binomial (Wilson)")
