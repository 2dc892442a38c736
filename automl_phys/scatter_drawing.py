"""A scatter drawn by matplotlib: dots as pixels, however many, and the text around them as text.

Takes a figure of kind ``scatter`` and axes, draws the points coloured by the first of their colourings. Colours and
sizes are :mod:`automl_phys.scatter`'s; the drawing that can be moved about is :mod:`automl_phys.scatter_page`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import scatter
from automl_phys.exhibits import Colouring, Figure, Points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

POINTS_PER_PIXEL = 72 / 96
NOISE_SIZE = 0.6
"""Radius of a dot of noise, as a share of that of others."""

NOISE_NAME = "noise"
BEHIND_MARK = {"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.7, "linewidth": 0}


def draw(axes: Axes, figure: Figure) -> None:
    """Draw the points with their legend entries or colour bar. Raises ValueError for a figure without points."""
    shown = figure.points
    if shown is None:
        raise ValueError(f"the scatter {figure.name} has no points")
    axes.set_xlabel(figure.x.label)
    axes.set_ylabel(figure.y.label)
    axes.set_xlim(scatter.limits(shown.x, figure.x.low, figure.x.high))
    axes.set_ylim(scatter.limits(shown.y, figure.y.low, figure.y.high))
    first = shown.colourings[0]
    if first.categories:
        _draw_categories(axes, shown, first)
    else:
        _draw_continuous(axes, shown, first)


def _draw_categories(axes: Axes, shown: Points, by: Colouring) -> None:
    from matplotlib.colors import to_rgb

    x, y, codes = np.array(shown.x, dtype=float), np.array(shown.y, dtype=float), np.array(by.values, dtype=int)
    noise = codes < 0
    if noise.any():
        _dots(axes, x[noise], y[noise], len(x), NOISE_SIZE, color=scatter.NOISE_COLOUR)
    colours = np.array([to_rgb(scatter.shade(k)) for k in range(len(by.categories))])
    _dots(axes, x[~noise], y[~noise], len(x), color=colours[codes[~noise]])
    for k, name in enumerate(by.categories):
        axes.plot([], [], "o", color=scatter.shade(k), label=name.replace("_", "\u200b_", 1))
    if noise.any():
        axes.plot([], [], "o", ms=3, color=scatter.NOISE_COLOUR, label=NOISE_NAME)
    places = scatter.medians(x, y, codes, len(by.categories))
    for mark, place in zip(scatter.marks(by.categories), places, strict=True):
        if place is not None:
            axes.text(*place, mark, ha="center", va="center", fontsize=11, weight="bold", clip_on=True,
                      bbox=BEHIND_MARK)


def _draw_continuous(axes: Axes, shown: Points, by: Colouring) -> None:
    from matplotlib.cm import ScalarMappable

    x, y, values = np.array(shown.x, dtype=float), np.array(shown.y, dtype=float), np.array(by.values, dtype=float)
    missing = ~np.isfinite(values)
    if missing.any():
        _dots(axes, x[missing], y[missing], len(x), NOISE_SIZE, color=scatter.NOISE_COLOUR)
    low, high = scatter.scale_ends(values)
    dots = _dots(axes, x[~missing], y[~missing], len(x), c=values[~missing], cmap=scatter.SCALE, vmin=low, vmax=high)
    if axes.figure is not None:
        opaque = ScalarMappable(dots.norm, dots.cmap)
        bar = axes.figure.colorbar(opaque, ax=axes, pad=0.02, use_gridspec=False, label=by.name,
                                   extend=_beyond(values, low, high))
        if bar.solids is not None:
            bar.solids.set_rasterized(True)
        bar.ax.tick_params(which="both", length=3)


def _dots(axes: Axes, x: Any, y: Any, count: int, share: float = 1.0, **colour: Any) -> PathCollection:
    """Dots that are pixels in every format, sized for ``count`` points in all."""
    diameter = 2 * share * scatter.radius(count) * POINTS_PER_PIXEL
    return axes.scatter(x, y, s=diameter**2, alpha=scatter.opacity(count), linewidths=0, rasterized=True, **colour)


def _beyond(values: Any, low: float, high: float) -> str:
    """Which ends of the colour bar are arrows, because values lie beyond."""
    below, above = bool(np.nanmin(values, initial=low) < low), bool(np.nanmax(values, initial=high) > high)
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]
