"""What the reducers share: points that can be reduced, places that are worth having, and where new points belong.

Takes and gives arrays; names what is wrong with them in a DataError. How points are reduced is each family's work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl_phys.errors import DataError, Mistake

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl_phys.values import Array

PLACED_BY = 15
"""Neighbours of the fit whose places say where a new point belongs. On digits and blurred blobs 5 to 15 do alike."""


def check_points(points: Array, neighbours: int) -> None:
    """Raises DataError where points (n, d) are not finite, have no ``neighbours`` other points, or are all the same."""
    if not np.isfinite(points).all():
        rows = int((~np.isfinite(points)).any(axis=1).sum())
        raise DataError(Mistake("not-finite", f"{rows} of {len(points)} points hold NaN or infinity.",
                                "Fill or drop missing values before reducing."))
    if len(points) <= neighbours:
        raise DataError(Mistake(
            "too-few-points", f"There are fewer rows than neighbours: {len(points)} points, of which each is to have "
            f"{neighbours} others.", "Give more events or ask for fewer neighbours (a smaller perplexity)."))
    if (points == points[0]).all():
        raise DataError(Mistake("identical-points", f"All {len(points)} points are the same.",
                                "Look at the features chosen and at the selection."))


def checked(embedding: Array) -> NDArray[np.float32]:
    """Places (n, k) as float32. Raises DataError where they are not finite or all the same."""
    places = np.ascontiguousarray(embedding, np.float32)
    if not np.isfinite(places).all():
        raise DataError(Mistake("not-finite", "The reducer gave places that are not finite.",
                                "Look for outliers and repeated rows, or try another reducer."))
    if np.ptp(places, axis=0).max() == 0:
        raise DataError(Mistake("constant-embedding", f"The reducer put all {len(places)} points in one place.",
                                "Try another reducer, more dimensions or a lower learning rate."))
    return places


def median_place(points: Array, fitted: Array, embedding: Array) -> NDArray[np.float32]:
    """Where points (m, d) belong in the ``embedding`` (n, k) of the points ``fitted`` (n, d), float32 (m, k).

    The median along each axis of the places of the nearest points of the fit, as in P. G. Poličar et al., Mach. Learn.
    112 (2023) 721. A mean would put points between clusters. Each point is placed by itself, whatever the others are.
    """
    from sklearn.neighbors import NearestNeighbors

    if not len(points):
        return np.zeros((0, embedding.shape[1]), np.float32)
    known = NearestNeighbors(n_neighbors=min(PLACED_BY, len(fitted))).fit(fitted)
    nearest = known.kneighbors(points, return_distance=False)
    places: NDArray[np.float32] = np.median(embedding[nearest], axis=1).astype(np.float32)
    return places
