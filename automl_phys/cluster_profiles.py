"""What tells clusters apart: where each of them lies in every feature, in numbers and in words.

Takes values of features and labels; gives :class:`Profiles`. What is shown of them is the work of
:mod:`automl_phys.cluster_figures` and :mod:`automl_phys.cluster_tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl_phys.assignment import NOISE
from automl_phys.ranking import Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl_phys.values import Array

MENTIONED = 3
"""Features that are named of one cluster, at most."""
CONSTANT = 1e-9
"""Variance, of that of all points, below which a feature is the same for all clustered points."""
REMARKABLE = 0.5
"""Standard deviations from the mean below which a feature says nothing of a cluster."""


@dataclass(frozen=True)
class Profiles:
    """Where K clusters lie in D features.

    ``offsets`` (K, D) are means of the clusters less the mean of all points, in standard deviations of all points.
    ``separation`` (D,) is the share of a feature's variance among clustered points that lies between clusters (η²).
    """

    features: tuple[str, ...]
    sizes: NDArray[np.int64]
    offsets: Floats
    separation: Floats

    @property
    def telling(self) -> tuple[int, ...]:
        """Columns of the features, those first that tell clusters apart best."""
        return tuple(int(i) for i in np.argsort(-self.separation, kind="stable"))

    def in_words(self, cluster: int) -> str:
        """``high mass (+2.1 σ), low tau21 (−1.5 σ)``: the features in which a cluster lies farthest from the mean."""
        own = self.offsets[cluster]
        far = [int(i) for i in np.argsort(-np.abs(own), kind="stable") if abs(own[i]) >= REMARKABLE][:MENTIONED]
        said = [f"{'high' if own[i] > 0 else 'low'} {self.features[i]} ({own[i]:+.1f} σ)" for i in far]
        return ", ".join(said).replace("(-", "(−") or "near the mean in every feature"


def make(features: Sequence[str], values: Array, labels: Array) -> Profiles:
    """Profiles of labels (n,) in values (n, D), column by column; what is not finite counts for nothing."""
    clusters = int(labels.max(initial=NOISE)) + 1
    offsets = np.zeros((clusters, len(features)))
    separation = np.zeros(len(features))
    for column in range(len(features)):
        value = np.asarray(values[:, column], np.float64)
        known = np.isfinite(value)
        if not known.any() or (spread := value[known].std()) == 0:
            continue
        z = (value[known] - value[known].mean()) / spread
        own = labels[known]
        clustered = own != NOISE
        counts = np.bincount(own[clustered], minlength=clusters)
        means = np.bincount(own[clustered], z[clustered], clusters) / np.maximum(counts, 1)
        offsets[:, column] = means
        if clustered.any() and (total := z[clustered].var() * counts.sum()) > CONSTANT * counts.sum():
            separation[column] = np.sum(counts * (means - z[clustered].mean()) ** 2) / total
    sizes = np.bincount(labels[labels != NOISE], minlength=clusters).astype(np.int64)
    return Profiles(tuple(features), sizes, offsets, separation)
