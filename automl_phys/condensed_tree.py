"""HDBSCAN's condensed tree as a figure: what hangs together while the density that counts as dense is raised.

Takes the tree as arrays; gives a ``Figure`` of outlines. The tree itself is the work of ``families/hdbscan.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl_phys.assignment import NOISE
from automl_phys.exhibits import Axis, Figure, Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl_phys.values import Array

STEPS = 12
"""Corners on either flank of a large cluster."""
MOST_CORNERS = 240
"""Corners of one outline."""
TIP = 0.05
"""Share of a cluster's points that are left out at its tip: the few densest would stretch the axis."""

CAPTION = ("The width of a shape is the number of points that still hang together at a level of density, "
           "λ = 1/distance; points off its flanks are not dense enough. Filled: the clusters that were chosen. "
           "Dashed: the trunk that they branch from, with the branches that were not chosen. Tips are cut off.")


def figure(inside: Array, fell: Array, above: Array, born: Array, size: Array, chosen: Array) -> Figure:
    """Outlines of the chosen clusters and of the trunk, which is all else.

    Of n points: the tree's cluster ``inside`` (n,) and the level ``fell`` (n,) at which each falls out of it. Of the
    tree's c clusters, numbered from the root up: the one ``above`` (-1 for the root), the level ``born``, the ``size``
    there, and the label ``chosen``, -1 for none; (c,) each.
    """
    branches = [np.flatnonzero(above == cluster) for cluster in range(len(above))]
    middle = _middles(branches, size)
    trunk, filled = np.empty((0, 2)), {}
    outlines: dict[int, NDArray[np.float64]] = {}
    for cluster in range(len(above) - 1, -1, -1):
        falls = np.sort(fell[inside == cluster])
        inner = [outlines.pop(int(branch)) for branch in branches[cluster]]
        outline = _outline(middle[cluster], int(size[cluster]), float(born[cluster]), falls, inner, len(inside))
        is_root = above[cluster] < 0
        if chosen[cluster] != NOISE and (is_root or chosen[above[cluster]] != chosen[cluster]):
            filled[int(chosen[cluster])] = (float(born[cluster]), _thinned(outline))
            outline = np.column_stack([outline[[0, -1], 0], np.full(2, born[cluster])])
        outlines[cluster] = outline
        trunk = outline
    chosen_ones = [Series(f"cluster {label}", "line", *_coordinates(outline), low=(base,) * len(outline),
                          high=_coordinates(outline)[1]) for label, (base, outline) in sorted(filled.items())]
    whole = Series("trunk", "line", *_coordinates(_thinned(trunk)), muted=True)
    return Figure(
        "condensed-tree", "Condensed tree of HDBSCAN", "xy", Axis("Points, side by side", low=0, high=len(inside)),
        Axis("Level of density λ", low=0), (*chosen_ones, whole), caption=CAPTION, section="Clusters")


def _middles(branches: list[NDArray[np.int64]], size: Array) -> NDArray[np.float64]:
    """Where each cluster stands: branches side by side on what they spring from."""
    middle = np.zeros(len(size))
    middle[0] = size[0] / 2
    for cluster, found in enumerate(branches):
        ends = np.cumsum(size[found])
        if len(found):
            middle[found] = middle[cluster] - ends[-1] / 2 + ends - size[found] / 2
    return middle


def _outline(
    middle: float, size: int, born: float, falls: Array, inner: list[NDArray[np.float64]], total: int
) -> NDArray[np.float64]:
    """Corners (m, 2) from left to right: up the left flank, over the branches, down the right flank."""
    seen = len(falls) if inner else max(1, round((1 - TIP) * len(falls)))
    steps = min(seen, STEPS, 4 + STEPS * 10 * size // total)
    counts = np.linspace(0, seen - 1, steps).astype(int) if seen else np.empty(0, int)
    flank = np.column_stack([np.append(size, size - counts) / 2, np.append(born, falls[counts])])
    here = np.array([middle, 0.0])
    return np.concatenate([here + flank * [-1, 1], *inner, (here + flank)[::-1]])


def _thinned(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.linspace(0, len(outline) - 1, min(len(outline), MOST_CORNERS)).astype(int)
    return np.take(outline, kept, axis=0)


def _coordinates(outline: NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(outline[:, 0].tolist()), tuple(outline[:, 1].tolist())
