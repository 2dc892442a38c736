"""Where in a drawing its axes stand, and what runs along them: for a page that reads values off the drawing.

Takes matplotlib's axes once they are laid out. What is drawn is :mod:`automl_phys.figures`'s, what a page reads
:mod:`automl_phys.curve_page`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLACE_DIGITS = 5
"""Decimals of a place: finer than a pixel of any screen."""


@dataclass(frozen=True)
class Span:
    """What runs along an axis, from ``low`` at its left or lower end to ``high`` at the other; it may fall."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Frame:
    """One pair of axes. The sides are fractions of the drawing's width and height, from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float
    x: Span
    y: Span


@dataclass(frozen=True)
class Inset:
    """A figure to stand inside a page: its element, and the frames of its axes, the upper one first."""

    element: str
    frames: tuple[Frame, ...] = ()


def of(axes: Axes) -> Frame:
    """The frame of axes that are laid out."""
    place = axes.get_position()
    left, top, right, bottom = (round(float(v), PLACE_DIGITS)
                                for v in (place.x0, 1 - place.y1, place.x1, 1 - place.y0))
    return Frame(left, top, right, bottom, _span(axes.get_xlim(), axes.get_xscale()),
                 _span(axes.get_ylim(), axes.get_yscale()))


def _span(limits: tuple[float, float], scale: str) -> Span:
    return Span(float(limits[0]), float(limits[1]), scale == "log")
