"""What a fitted chain says of points: cluster, probability, stability and place, packed into one array.

A chain's predictions travel as one float32 matrix, as those of every family do; this is where its columns get their
names. Labels are exact in float32 up to 2^24.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl_phys.values import Array

NOISE = -1
"""Label of points that belong to no cluster."""


@dataclass(frozen=True)
class Assignment:
    """Where a chain puts n points.

    ``labels`` (n,) count clusters from 0, the largest first; ``NOISE`` is none. ``probability`` (n,) is how surely a
    point belongs to its cluster, ``stability`` (n,) how well that cluster is found again on subsamples (mean Jaccard
    similarity; 0 for noise), ``agreement`` how alike the clusterings of subsamples are (mean adjusted Rand index).
    ``embedding`` is (n, k).
    """

    labels: NDArray[np.int32]
    probability: NDArray[np.float32]
    stability: NDArray[np.float32]
    agreement: float
    embedding: NDArray[np.float32]

    @property
    def clusters(self) -> int:
        """How many clusters there are."""
        return int(self.labels.max(initial=NOISE)) + 1

    @property
    def noise(self) -> float:
        """The fraction of points in no cluster."""
        return float(np.mean(self.labels == NOISE))


def pack(assigned: Assignment) -> Array:
    """One float32 matrix (n, 4 + k)."""
    whole = np.full(len(assigned.labels), assigned.agreement)
    columns = (assigned.labels, assigned.probability, assigned.stability, whole)
    return np.column_stack([*columns, assigned.embedding]).astype(np.float32)


def unpack(predictions: Array) -> Assignment:
    """What :func:`pack` packed. Raises ValueError for a matrix of fewer than five columns."""
    if predictions.ndim != 2 or predictions.shape[1] < 5:
        raise ValueError(f"a chain's predictions have five columns or more, not shape {predictions.shape}")
    labels, probability, stability, agreement = predictions[:, :4].T
    return Assignment(labels.astype(np.int32), probability, stability,
                      float(agreement[0]) if len(agreement) else 0.0, predictions[:, 4:])


def by_size(labels: Array) -> NDArray[np.int32]:
    """The same clusters numbered by falling size, of equals the one whose first point comes first; noise stays."""
    found, first, counts = np.unique(labels[labels != NOISE], return_index=True, return_counts=True)
    order = found[np.lexsort((first, -counts))]
    renamed = np.full(int(max(labels.max(initial=0), 0)) + 1, NOISE, np.int32)
    renamed[order] = np.arange(len(order))
    return np.where(labels == NOISE, NOISE, renamed[np.maximum(labels, 0)]).astype(np.int32)
