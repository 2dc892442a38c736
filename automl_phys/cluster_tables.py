"""Tables of clusters: what they are, how well they hold, what they have to do with the truth.

Takes assignments, profiles and scores; gives ``exhibits.Table``. Figures of the same are in
:mod:`automl_phys.cluster_figures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from automl_phys import leaderboard, measures
from automl_phys.assignment import NOISE, Assignment
from automl_phys.cluster_profiles import Profiles
from automl_phys.exhibits import Estimate, Score, Table
from automl_phys.ranking import Floats
from automl_phys.readable import estimate
from automl_phys.values import Array

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ROWS = 100
MOST_COLUMNS = 20
BESIDE = ("clusters", "noise")
"""Metrics that stand beside the objective wherever chains are compared: none of them means anything alone."""


def ranked(scores: Sequence[Score], objective: str) -> Table:
    """The leaderboard of chains."""
    truth = [name for name in ("adjusted_rand",) if name in scores[0].metrics]
    note = "Gains are positive when better; their intervals are those of the two scores in quadrature."
    return leaderboard.table(scores, objective, (*BESIDE, *truth), "Chain", "", note)


def clusters(assigned: Assignment, profiles: Profiles, stability: Floats, found_again: str) -> Table:
    """Each cluster, the largest first: size, stability (K,), probability, and the features that tell it apart."""
    total = max(1, len(assigned.labels))
    rows: list[tuple[str | int, ...]] = []
    for k, size in list(enumerate(profiles.sizes))[:MOST_ROWS]:
        probability = float(assigned.probability[assigned.labels == k].mean())
        rows.append((f"cluster {k}", int(size), f"{size / total:.1%}", f"{stability[k]:.2f}", f"{probability:.2f}",
                     profiles.in_words(k)))
    noise = int((assigned.labels == NOISE).sum())
    rows.append(("noise", noise, f"{noise / total:.1%}", "–", "–", "in no cluster"))
    return Table("Clusters", ("Cluster", "Points", "Share", "Found again", "Membership", "What tells it apart"),
                 tuple(rows), f"Found again: mean Jaccard similarity to the cluster most like it in {found_again}; "
                 "1 is the same points. Membership: mean probability. What tells it apart: its mean less that of all "
                 "points, in standard deviations of all points.")


def parts(scores: Sequence[Score]) -> Table:
    """Every measure of the winner and of the baseline, and what it is."""
    two = [score for score in scores if score.role != "member"]
    rows = tuple((measures.label(name), *(estimate(s.metrics[name]) for s in two), measures.find(name)[0].cited)
                 for name in two[0].metrics)
    return Table("Parts of the score", ("Measure", *(score.name for score in two), "What it is"), rows)


def compared(values: Mapping[str, Estimate], fits: Mapping[str, Sequence[Assignment]], label: str) -> Table:
    """The objective on the data, on subsamples and on nulls, with how many clusters were found there."""
    rows: list[tuple[str | int, ...]] = []
    for name, value in values.items():
        found = fits[name]
        counts = sorted({a.clusters for a in found})
        spread = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        rows.append((name, len(found), estimate(value), spread, f"{np.mean([a.noise for a in found]):.1%}", value.note))
    return Table("The data and null data", ("Data", "Fits", label, "Clusters", "Noise", "Interval"), tuple(rows),
                 "The winner's settings on data whose columns were shuffled independently, and on a Gaussian of the "
                 "same covariance; the settings were chosen on the data, which favours the data.")


def contingency(truth: Array, assigned: Assignment, classes: int) -> NDArray[np.int64]:
    """Points by true class and cluster (classes, 1 + K), noise first; points without a truth (-1) are left out."""
    known = truth >= 0
    width = 1 + assigned.clusters
    cells = truth[known].astype(np.int64) * width + assigned.labels[known] + 1
    return np.bincount(cells, minlength=classes * width).reshape(classes, width).astype(np.int64)


def against_truth(counts: Array, classes: Sequence[str], truth: str) -> Table:
    """How many points of each true class are in each cluster; counts (classes, 1 + K), noise first."""
    shown = min(counts.shape[1], 1 + MOST_COLUMNS)
    head = (f"True {truth}", "Noise", *(str(k) for k in range(shown - 1)))
    rows: list[tuple[str | int, ...]] = [(name, *(int(c) for c in row[:shown]))
                                         for name, row in zip(classes, counts, strict=True)]
    only = f" The {shown - 1} largest of {counts.shape[1] - 1} clusters." if shown < counts.shape[1] else ""
    return Table(f"Clusters against '{truth}'", head, tuple(rows),
                 f"Numbers of points by cluster. '{truth}' was used neither in fitting nor in choosing.{only}")
