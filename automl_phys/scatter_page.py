"""A scatter as the data that ``templates/scatter.js`` draws in the report's page.

Takes a figure of kind ``scatter``; gives JSON that may stand in a ``<script>``. A column of numbers travels as 16-bit
codes in base64, 2.7 bytes for each: finer than the pixels of a screen, a fifth of what digits would take.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import page_data, scatter
from automl_phys.exhibits import Axis, Colouring, Figure, Points

if TYPE_CHECKING:
    from automl_phys.scatter import Numbers

LAST_CODE = 65534
"""The largest value of a column; one more stands for no value."""

SCALE_STEPS = 64


def embedded(figure: Figure) -> str:
    """The figure as JSON without ``<``, so that no text in it ends the element. Raises ValueError without points."""
    shown = figure.points
    if shown is None:
        raise ValueError(f"the scatter {figure.name} has no points")
    data = {
        "title": figure.title,
        "x": _axis(figure.x, shown.x), "y": _axis(figure.y, shown.y),
        "radius": scatter.radius(len(shown.x)), "opacity": scatter.opacity(len(shown.x)),
        "noise": scatter.NOISE_COLOUR, "scale": _scale(),
        "colourings": [_colouring(shown, one) for one in shown.colourings],
        "hover": shown.hover,
    }
    return page_data.script(data)


def _axis(axis: Axis, values: Numbers) -> dict[str, Any]:
    low, high = scatter.limits(values, axis.low, axis.high)
    return {"label": axis.label, "from": low, "to": high, "column": _column(values)}


def _colouring(shown: Points, one: Colouring) -> dict[str, Any]:
    if not one.categories:
        low, high = scatter.scale_ends(one.values)
        return {"name": one.name, "from": low, "to": high, "column": _column(one.values)}
    codes = np.array(one.values, dtype=int)
    counts = np.bincount(codes[codes >= 0], minlength=len(one.categories))
    places = scatter.medians(shown.x, shown.y, codes, len(one.categories))
    categories = [
        {"name": name, "mark": mark, "colour": scatter.shade(k), "count": int(counts[k]), "at": places[k]}
        for k, (name, mark) in enumerate(zip(one.categories, scatter.marks(one.categories), strict=True))]
    whole = np.where(codes < 0, np.nan, codes)
    return {"name": one.name, "categories": categories, "unassigned": int((codes < 0).sum()),
            "column": _column(whole, 0.0, float(LAST_CODE))}


def _column(values: Numbers, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """Values (n,) as codes from 0 for ``low`` to :data:`LAST_CODE` for ``high``, little end first."""
    exact = np.asarray(values, dtype=float)
    finite = np.isfinite(exact)
    if low is None or high is None:
        low, high = (float(exact[finite].min()), float(exact[finite].max())) if finite.any() else (0.0, 0.0)
    steps = np.rint((np.where(finite, exact, low) - low) * (LAST_CODE / ((high - low) or 1.0)))
    codes = np.where(finite, steps, LAST_CODE + 1).astype("<u2")
    return {"low": low, "high": high, "codes": b64encode(codes.tobytes()).decode("ascii")}


def _scale() -> list[str]:
    """The continuous colour scale, from low to high."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(c) for c in colormaps[scatter.SCALE](np.linspace(0.0, 1.0, SCALE_STEPS))]
