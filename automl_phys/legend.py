"""Where a legend finds room: in a corner that covers no data, above them, or outside the axes.

Takes axes on which everything is drawn and labelled, and puts the legend in; may raise the upper end of the y axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from numpy.typing import NDArray

MAX_INSIDE = 8
"""Entries that may stand inside the axes; more go outside."""

MANY_ENTRIES = 12
FEW_COLUMNS, MANY_COLUMNS = 3, 8
"""The most columns of a legend below the axes, for at most so many entries and for more."""

MAX_RAISED = 0.45
"""Share of the axes' height that room for a legend may take."""

PADDING = 0.02
"""Kept free between data and legend, as a share of the axes."""

Corner: TypeAlias = Literal[
    "upper right", "upper left", "lower right", "lower left", "center right", "upper center", "lower center"]
CORNERS: dict[Corner, tuple[float, float]] = {
    "upper right": (1, 1), "upper left": (0, 1), "lower right": (1, 0), "lower left": (0, 0),
    "center right": (1, 0.5), "upper center": (0.5, 1), "lower center": (0.5, 0)}
"""Places for a legend, tried in this order, as the share of the free width and height that is left of and below it."""


def place(axes: Axes, fixed_top: bool) -> None:
    """Put the legend of ``axes`` where it covers nothing; none for a single series. ``fixed_top`` keeps the y range."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) < 2:
        return
    covered = _points(axes)
    if len(labels) <= MAX_INSIDE:
        columns = 1 if len(labels) <= 4 else 2
        inside = axes.legend(handles, labels, loc="upper right", ncols=columns)
        width, height = _size(axes, inside)
        if width < 1:
            for corner, (right, top) in CORNERS.items():
                if not _hits(covered, right * (1 - width), top * (1 - height), width, height):
                    axes.legend(handles, labels, loc=corner, ncols=columns)
                    return
            if not fixed_top and _raise_top(axes, covered, height):
                return
        inside.remove()
    _place_below(axes, handles, labels)


def _place_below(axes: Axes, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """A legend under the axes in as many columns as fit, in a drawing that grows by what the legend takes."""
    drawing = cast("Figure", axes.figure)
    for columns in range(FEW_COLUMNS if len(labels) <= MANY_ENTRIES else MANY_COLUMNS, 0, -1):
        legend = drawing.legend(handles, labels, loc="outside lower center", ncols=columns)
        box = legend.get_window_extent()
        if columns == 1 or box.width <= drawing.bbox.width:
            drawing.set_figheight(drawing.get_figheight() + box.height / drawing.dpi)
            return
        legend.remove()


def _size(axes: Axes, legend: Legend) -> tuple[float, float]:
    """Width and height of the legend in shares of the axes."""
    box = legend.get_window_extent()
    return box.width / axes.bbox.width, box.height / axes.bbox.height


def _points(axes: Axes) -> NDArray[np.float64]:
    """Points that stand densely on everything drawn: (n, 2) in shares of the axes."""
    from matplotlib.collections import PathCollection

    pieces = []
    for line in axes.lines:
        pieces.append(_along(line.get_transform().transform(np.asarray(line.get_xydata(), dtype=float))))
    for patch in axes.patches:
        pieces.append(_inside(patch.get_transform().transform(patch.get_path().vertices)))
    for collection in axes.collections:
        if isinstance(collection, PathCollection):  # dots of a scatter
            pieces.append(collection.get_offset_transform().transform(np.asarray(collection.get_offsets())))
            continue
        for path in collection.get_paths():
            pieces.append(_along(collection.get_transform().transform(path.vertices)))
    if not pieces:
        return np.empty((0, 2))
    shares = np.asarray(axes.transAxes.inverted().transform(np.concatenate(pieces)), dtype=np.float64)
    return shares[np.isfinite(shares).all(axis=1)]


def _along(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eight points on each segment of a polyline; the corners themselves when there is one only."""
    if len(corners) < 2:
        return corners
    steps = np.linspace(0.0, 1.0, 9)[:, None, None]
    return (corners[:-1] * (1 - steps) + corners[1:] * steps).reshape(-1, 2)


def _inside(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the outline of an area and between it and its lowest edge."""
    outline = _along(corners)
    outline = outline[np.isfinite(outline).all(axis=1)]
    if not len(outline):
        return outline
    bottom = outline[:, 1].min()
    depths = np.linspace(0.0, 1.0, 6)[:, None]
    heights = bottom + depths * (outline[:, 1] - bottom)
    return np.stack([np.broadcast_to(outline[:, 0], heights.shape), heights], -1).reshape(-1, 2)


def _hits(points: NDArray[np.float64], left: float, bottom: float, width: float, height: float) -> bool:
    x, y = points[:, 0], points[:, 1]
    beside = (x > left - PADDING) & (x < left + width + PADDING)
    return bool((beside & (y > bottom - PADDING) & (y < bottom + height + PADDING)).any())


def _raise_top(axes: Axes, points: NDArray[np.float64], height: float) -> bool:
    """Stretch the y axis so that the legend stands above all data; say whether that was reasonable."""
    needed = height + 2 * PADDING
    highest = float(points[points[:, 1] <= 1.0 + PADDING, 1].max(initial=0.0))
    if needed > MAX_RAISED:
        return False
    stretch = highest / (1 - needed)
    to_data = axes.transAxes + axes.transData.inverted()
    axes.set_ylim(top=float(to_data.transform((0.0, stretch))[1]))
    return True
