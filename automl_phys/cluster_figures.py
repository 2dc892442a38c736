"""Figures of clusters and of the embedding they were found in, as data.

Takes assignments (:mod:`automl_phys.assignment`), profiles (:mod:`automl_phys.cluster_profiles`), values by feature;
gives ``exhibits.Figure``. Tables of the same are in :mod:`automl_phys.cluster_tables`, drawing is left to others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from automl_phys import cluster_scores, scatter
from automl_phys.assignment import NOISE, Assignment
from automl_phys.class_figures import slug
from automl_phys.cluster_profiles import Profiles
from automl_phys.curves import histogram
from automl_phys.exhibits import Axis, Colouring, Estimate, Figure, Series
from automl_phys.ranking import Floats
from automl_phys.values import Array

MOST_CLUSTERS = 20
"""Clusters, the largest first, that a matrix or a bar chart shows."""
FEW_CLUSTERS = 6
"""Clusters, the largest first, that get a curve each."""
MOST_FEATURES = 20
FEW_FEATURES = 6
"""Features that get a figure each."""
MOST_COMPONENTS = 10
BINS = 40
PRESERVED = 0.8
"""Correlation of local densities in the embedding and in the data below which a map misleads about them."""


def names(clusters: int) -> tuple[str, ...]:
    """What clusters are called."""
    return tuple(f"cluster {k}" for k in range(clusters))


# ---------------------------------------------------------------- the map

def embedding_map(
    assigned: Assignment, colours: Sequence[Colouring], density_preserved: float, seed: int
) -> Figure:
    """The embedding, coloured by cluster, by membership probability, and by more ``colours`` of all n points.

    Of more than two dimensions the first two principal components are shown; of one the height is random.
    """
    chosen = scatter.sample(len(assigned.labels), seed)
    place, axes, said = _plane(assigned.embedding, seed)
    own = scatter.colouring("cluster", assigned.labels, names(max(1, assigned.clusters)))
    every = (own, scatter.colouring("membership probability", assigned.probability), *colours)
    some = tuple(Colouring(c.name, tuple(c.values[i] for i in chosen), c.categories) for c in every)
    if len(chosen) < len(assigned.labels):
        said.append(f"A random {len(chosen)} of the {len(assigned.labels)} points are shown.")
    if not density_preserved >= PRESERVED:
        said.append("Distances between clusters and densities mean little on such a map: local densities in the "
                    f"embedding and in the data correlate at {density_preserved:.2f} only.")
    return Figure("map", "Map of the points", "scatter", axes[0], axes[1], section="Clusters",
                  points=scatter.points(place[chosen, 0], place[chosen, 1], some, [f"row {i}" for i in chosen]),
                  caption=" ".join(["Each dot is a point, where the winner's reduction puts it.", *said]))


def _plane(embedding: Array, seed: int) -> tuple[Floats, tuple[Axis, Axis], list[str]]:
    """Places (n, 2) of an embedding (n, k), their axes, and what a caption must say of them."""
    places = np.asarray(embedding, np.float64)
    if places.shape[1] == 2:
        return places, (Axis("Dimension 1"), Axis("Dimension 2")), []
    if places.shape[1] == 1:
        height = np.random.default_rng(seed).uniform(size=len(places))
        return (np.column_stack([places[:, 0], height]), (Axis("Dimension 1"), Axis("Random height")),
                ["The embedding has one dimension; heights are random."])
    shares, directions = principal(places)
    plane = (places - places.mean(axis=0)) @ directions[:, :2]
    return plane, (Axis("Principal component 1"), Axis("Principal component 2")), [
        f"The embedding has {places.shape[1]} dimensions, of which the first two principal components are shown "
        f"({shares[:2].sum():.0%} of its variance)."]


# ---------------------------------------------------------------- clusters

def sizes(profiles: Profiles, stability: Floats, found_again: str) -> Figure:
    """Share of the points in each of at least one cluster beside how well it is found again (K,); without noise."""
    shown = min(len(profiles.sizes), MOST_CLUSTERS)
    at = tuple(float(k) for k in range(shown))
    share = profiles.sizes[:shown] / max(1, profiles.sizes.sum())
    return Figure("cluster-sizes", "Clusters: size and stability", "xy",
                  Axis("Cluster", low=-0.5, high=shown - 0.5, categories=tuple(str(k) for k in range(shown))),
                  Axis("Fraction", low=0, high=1.2),
                  (Series("of the clustered points", "bars", at, _row(share)),
                   Series("found again (Jaccard)", "bars", at, _row(stability[:shown]))), section="Clusters",
                  caption="Found again: mean Jaccard similarity of a cluster to the one most like it in "
                          f"{found_again}. Below 0.6 a cluster is not to be trusted (Hennig 2007)."
                          + _only(len(profiles.sizes), shown))


def profile(profiles: Profiles) -> Figure:
    """Where each of at least one cluster lies in the features that tell clusters apart best."""
    columns = list(profiles.telling[:MOST_FEATURES])
    shown = min(len(profiles.sizes), MOST_CLUSTERS)
    return Figure("cluster-profiles", "Profiles of the clusters", "matrix",
                  Axis("Feature", categories=tuple(profiles.features[i] for i in columns)),
                  Axis("Cluster", categories=tuple(str(k) for k in range(shown))), section="Features",
                  matrix=tuple(_row(r) for r in profiles.offsets[:shown, columns]),
                  caption="Mean of the cluster less the mean of all points, in standard deviations of all points. "
                          "Features at the left tell clusters apart best." + _only(len(profiles.sizes), shown))


def probabilities(assigned: Assignment) -> tuple[Figure, ...]:
    """How surely points belong to their clusters; nothing where the clusterer is sure of all of them."""
    of_clusters = assigned.labels != NOISE
    if not of_clusters.any() or assigned.probability[of_clusters].min() > 0.999:
        return ()
    edges: Floats = np.linspace(0.0, 1.0, 26)
    series = []
    for k in range(min(assigned.clusters, FEW_CLUSTERS)):
        own = np.asarray(assigned.probability[assigned.labels == k], np.float64)
        h = histogram(np.clip(own, 0, 1), np.full(len(own), 1.0 / len(own)), edges)
        series.append(Series(f"cluster {k}", "steps", _row(edges), _row(h.density), group=f"cluster {k}"))
    return (Figure("membership", "Membership probability", "xy", Axis("Membership probability", low=0, high=1),
                   Axis("Density"), tuple(series), section="Clusters",
                   caption="How surely points belong to the cluster they were given; unit area, noise left out."
                           + _only(assigned.clusters, FEW_CLUSTERS)),)


def distributions(profiles: Profiles, values: Array, labels: Array, features: Sequence[str]) -> tuple[Figure, ...]:
    """Those of the ``features`` that tell clusters apart best, by cluster, in their own units (n, d)."""
    telling = [profiles.features[i] for i in profiles.telling if profiles.features[i] in features]
    return tuple(_distribution(name, np.asarray(values[:, features.index(name)], np.float64), labels)
                 for name in telling[:FEW_FEATURES])


def _distribution(feature: str, value: Floats, labels: Array) -> Figure:
    known = np.isfinite(value)
    edges = _edges(value[known])
    clusters = int(labels.max(initial=NOISE)) + 1
    series = []
    for k in [*range(min(clusters, FEW_CLUSTERS)), *([NOISE] if (labels == NOISE).any() else [])]:
        own = value[known & (labels == k)]
        h = histogram(own, np.ones(len(own)), edges)
        name = "noise" if k == NOISE else f"cluster {k}"
        series.append(Series(name, "steps", _row(edges), _row(h.density), group=name))
    return Figure(f"feature-{slug(feature)}", feature, "xy", Axis(feature), Axis("Density"), tuple(series),
                  section="Features", caption="By cluster, unit area; the outermost 0.1 % are not shown."
                                              + _only(clusters, FEW_CLUSTERS))


def _edges(values: Floats) -> Floats:
    """Bins for a histogram: one around each value where there are few of them, else equally wide."""
    distinct = np.unique(values)
    if 1 < len(distinct) <= BINS:
        middles = (distinct[1:] + distinct[:-1]) / 2
        return np.concatenate([[1.5 * distinct[0] - distinct[1] / 2], middles, [1.5 * distinct[-1] - distinct[-2] / 2]])
    low, high = np.quantile(values, (0.001, 0.999)) if len(values) else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1, BINS + 1)


def against_truth(counts: Array, classes: Sequence[str], truth: str) -> Figure:
    """Fractions of each true class by cluster; counts (classes, 1 + K), noise first."""
    sums = counts.sum(axis=1, keepdims=True)
    rates = np.divide(counts, sums, out=np.zeros(counts.shape), where=sums > 0)
    shown = min(counts.shape[1] - 1, MOST_CLUSTERS)
    return Figure("clusters-truth", f"Clusters against '{truth}'", "matrix",
                  Axis("Cluster", categories=("noise", *(str(k) for k in range(shown)))),
                  Axis(f"True {truth}", categories=tuple(classes)), section="Clusters",
                  matrix=tuple(_row(r) for r in rates[:, : 1 + shown]),
                  caption=f"Each row adds up to 1. '{truth}' was used neither in fitting nor in choosing."
                          + _only(counts.shape[1] - 1, shown))


# ---------------------------------------------------------------- whether there is structure

def compared(values: Mapping[str, Estimate], label: str) -> Figure:
    """The objective on the data, on subsamples of them and on nulls."""
    at = tuple(float(i) for i in range(len(values)))
    middle, low, high = zip(*((v.value, v.low, v.high) for v in values.values()), strict=True)
    return Figure("nulls", f"{label}: the data and null data", "xy", Axis("", categories=tuple(values)), Axis(label),
                  (Series(label, "bars", at, middle, low, high),), section="Structure",
                  caption="The winner's settings on data without structure. Where the nulls are as good as the data, "
                          "the clusters mean nothing. Bars: standard deviation between fits.")


def agreement(labelings: Sequence[Array]) -> Figure:
    """Adjusted Rand index between each two of: the winner, its fits on subsamples."""
    called = ("winner", *(f"fit {i}" for i in range(1, len(labelings))))
    cells = [[1.0 if a is b else cluster_scores.agreement([a, b]) for b in labelings] for a in labelings]
    return Figure("agreement", "Agreement of fits on subsamples", "matrix", Axis("Fit", categories=called),
                  Axis("Fit", categories=called), matrix=tuple(map(tuple, cells)), section="Structure",
                  caption="Adjusted Rand index between clusterings of all points by chains fitted on different 80 % of "
                          "them, reduction included. 1: the same clusters; 0: as by chance.")


# ---------------------------------------------------------------- principal components

def principal(values: Array) -> tuple[Floats, Floats]:
    """Shares of the variance (k,), falling, and directions (D, k) of the principal components of values (n, D).

    Each direction's largest entry is positive. k leaves out components without variance.
    """
    centred = np.asarray(values, np.float64) - np.mean(values, axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred / max(1, len(centred) - 1))
    order = np.argsort(-variances, kind="stable")
    variances, directions = np.maximum(variances[order], 0.0), directions[:, order]
    strongest = directions[np.abs(directions).argmax(axis=0), np.arange(len(order))]
    shares = variances / (variances.sum() or 1.0)
    kept = max(2, int((shares > 1e-12).sum())) if len(shares) > 1 else 1
    return shares[:kept], (directions * np.where(strongest < 0, -1.0, 1.0))[:, :kept]


def components(values: Array, features: Sequence[str], seed: int) -> tuple[Figure, Figure]:
    """Scree plot and loadings of the scaled data (n, D)."""
    shares, directions = principal(values[scatter.sample(len(values), seed)])
    shown = min(len(shares), MOST_COMPONENTS)
    at = tuple(float(i) for i in range(shown))
    counted = tuple(str(i + 1) for i in range(shown))
    scree = Figure("scree", "Principal components of the data", "xy",
                   Axis("Component", low=-0.5, high=shown - 0.5, categories=counted),
                   Axis("Share of the variance", low=0, high=1.2),
                   (Series("each", "bars", at, _row(shares[:shown])),
                    Series("together", "line", at, _row(np.cumsum(shares)[:shown]))), section="Features",
                   caption=f"Of the scaled data, {len(features)} features. {_needed(shares)}")
    strength = np.sqrt((directions[:, :shown] ** 2 * shares[:shown]).sum(axis=1))
    rows = np.sort(np.argsort(-strength, kind="stable")[:MOST_FEATURES])
    only = "" if len(rows) == len(features) else f" The {len(rows)} of {len(features)} features that weigh most."
    return scree, Figure("loadings", "Loadings of the components", "matrix",
                         Axis("Component", categories=counted),
                         Axis("Feature", categories=tuple(features[i] for i in rows)), section="Features",
                         matrix=tuple(_row(r) for r in directions[rows, :shown]),
                         caption=f"What each component is made of: unit vectors in the scaled data.{only}")


def _needed(shares: Floats) -> str:
    needed = int(np.searchsorted(np.cumsum(shares), 0.9 - 1e-12)) + 1
    return f"{needed} component{'s' * (needed > 1)} hold 90 % of the variance." if needed > 1 else \
        "The first component holds 90 % of the variance."


def _only(clusters: int, shown: int) -> str:
    return f" The {shown} largest of {clusters} clusters." if clusters > shown else ""


def _row(values: Array) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
