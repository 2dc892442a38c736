"""Curves, histograms, bars and matrices as the data that ``templates/curves.js`` reads out in a page.

Takes a figure of kind ``xy`` or ``matrix`` and the frames of its axes (:mod:`automl_phys.frames`), as matplotlib drew
them; gives JSON that may stand in a ``<script>``. Columns that several series share are written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from automl_phys import figures, page_data
from automl_phys.exhibits import Axis, Figure, Series
from automl_phys.frames import Frame, Span


def readable(figure: Figure, frames: Sequence[Frame]) -> bool:
    """Whether there is something to read that is not written out in the drawing."""
    if figure.kind == "matrix":
        return bool(frames) and max(len(figure.matrix), *map(len, figure.matrix)) > figures.MAX_ANNOTATED
    return figure.kind == "xy" and bool(frames) and any(len(series.y) for series in figure.series)


def embedded(figure: Figure, frames: Sequence[Frame]) -> str:
    """The figure as JSON; empty where there is nothing to read."""
    if not readable(figure, frames):
        return ""
    return page_data.script(_matrix(figure, frames[0]) if figure.kind == "matrix" else _curves(figure, frames))


def _matrix(figure: Figure, frame: Frame) -> dict[str, Any]:
    shade = figure.shade or Axis("")
    return {"title": figure.title, "box": _box(frame), "x": _named(figure.x), "y": _named(figure.y),
            "shade": _named(shade), "matrix": [page_data.column(row) for row in figure.matrix]}


def _curves(figure: Figure, frames: Sequence[Frame]) -> dict[str, Any]:
    columns = _Columns()
    lying = figures.lies(figure)
    x, y = (figure.y, figure.x) if lying and figure.y.categories else (figure.x, figure.y)
    parts = [_part(frames[0], y, figure.series, figures.colours(figure.series), lying, columns)]
    if figure.below is not None:
        below = figure.below
        shades = figures.colours(below.series, figures.groups_of(figure.series))
        parts += [_part(frames[1], below.y, below.series, shades, lying, columns)]
    return {"title": figure.title, "lying": lying, "x": _named(x), "parts": parts, "columns": columns.written}


class _Columns:
    """Columns of numbers, each written once."""

    def __init__(self) -> None:
        self.written: list[list[float | int | None]] = []
        self._places: dict[tuple[float, ...], int] = {}

    def place(self, values: tuple[float, ...]) -> int:
        """Where a column stands among all."""
        if values not in self._places:
            self._places[values] = len(self.written)
            self.written.append(page_data.column(values))
        return self._places[values]


def _part(frame: Frame, y: Axis, series: Sequence[Series], shades: Sequence[str], lying: bool, columns: _Columns
          ) -> dict[str, Any]:
    """One pair of axes. ``along`` is the axis that x values run along, which is the upright one where bars lie."""
    along, up = (frame.y, frame.x) if lying else (frame.x, frame.y)
    return {"box": _box(frame), "along": _span(along), "up": _span(up), "label": y.label,
            "categories": list(y.categories),
            "series": [_series(one, shade, columns) for one, shade in zip(series, shades, strict=True)]}


def _series(one: Series, shade: str, columns: _Columns) -> dict[str, Any]:
    band = {"low": columns.place(one.low), "high": columns.place(one.high)} if one.low else {}
    return {"name": one.name, "style": one.style, "muted": one.muted, "colour": shade,
            "x": columns.place(one.x), "y": columns.place(one.y), **band}


def _box(frame: Frame) -> list[float]:
    return [frame.left, frame.top, frame.right, frame.bottom]


def _span(span: Span) -> dict[str, Any]:
    return {"low": span.low, "high": span.high, "log": span.log}


def _named(axis: Axis) -> dict[str, Any]:
    return {"label": axis.label, "categories": list(axis.categories)}
