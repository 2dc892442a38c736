"""Pictures drawn by matplotlib: images side by side, their pixels as pixels in every format, the text around as text.

Takes a figure of kind ``pictures`` and an empty drawing; gives the drawing its size and puts titles, pictures, labels
of the outer axes and one colour bar where none is on another. Which pictures are worth drawing and on which scale is
:mod:`automl_phys.image_figures`'s, fonts and files are :mod:`automl_phys.figures`'s. Lengths are in inches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from automl_phys.exhibits import Axis, Figure, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure as Drawing
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Write: TypeAlias = Callable[[float], str]

FEW_ACROSS = 3
"""Pictures in a row up to which the drawing is as wide as others; with more it is wide, in the page too."""

WIDTH, WIDE = 6.4, 9.6
LARGEST = 3.3
"""Width of a picture, however few there are."""

FLATTEST, TALLEST = 0.25, 2.0
"""Height of a picture's place over its width; a picture of other proportions leaves some of its place empty."""

MARGIN, GAP, PAD = 0.12, 0.14, 0.06
BAR, BAR_ROOM = 0.14, 1.05
"""Width of the colour bar, and with its numbers and label."""

TITLE_SIZE, TEXT_SIZE = 13.0, 10.5
"""Points: title of the figure, titles of pictures and labels."""

LINE = 1.25
"""Distance of lines over the size of the letters."""

MOST_LINES = 3
DEEPEST = 1e-6
"""Least shade over the greatest, of a logarithmic scale without ends of its own."""

ROUNDING = 1e-3
"""Share of an end of the scale by which pixels, being rounded, may lie beyond without an arrow on the colour bar."""

LINEAR_SHARE = 1e-3
"""A logarithmic scale with both signs is linear up to this share of its end."""

UNKNOWN = "#c9ccd3"
"""Colour of a pixel that is no number."""

FRAME = "#717581"


def draw(drawing: Drawing, figure: Figure, power: Write) -> None:
    """Draw the pictures in rows of ``figure.across``; ``power`` writes a number beside a logarithmic colour bar.

    Raises ValueError for a figure without pictures.
    """
    if not figure.pictures:
        raise ValueError(f"figure '{figure.name}' has no pictures")
    shades = None if all(p.colour for p in figure.pictures) else _shades(figure)
    place = _place(drawing, figure, shades is not None)
    drawing.set_size_inches(place.size)
    if place.title:
        drawing.text(MARGIN / place.size[0], 1 - MARGIN / place.size[1], place.title, va="top", linespacing=LINE,
                     fontsize=TITLE_SIZE, weight="bold")
    for index, (picture, title) in enumerate(zip(figure.pictures, place.titles, strict=True)):
        axes = drawing.add_axes(place.of(index))
        _draw_one(axes, picture, title, shades)
        if index % place.columns == 0:
            axes.set_ylabel(place.y_label, fontsize=TEXT_SIZE, loc="center", linespacing=LINE)
        if index + place.columns >= len(figure.pictures):
            axes.set_xlabel(place.x_label, fontsize=TEXT_SIZE, loc="center", linespacing=LINE)
    if shades is not None:
        _draw_bar(drawing, figure, shades, place, power)


def _draw_one(axes: Axes, picture: Picture, title: str, shades: _Shades | None) -> None:
    values = np.array(picture.values, dtype=float).reshape(picture.height, picture.width, -1)
    if picture.colour:
        pixels = np.clip(np.where(np.isfinite(values), values, 0.79), 0.0, 1.0)
        axes.imshow(pixels, interpolation="none")
    elif shades is not None:
        # A logarithm does not take zeros of a sparse image: they get the lowest shade, what is no number keeps its own.
        axes.imshow(np.maximum(values[..., 0], shades.low), cmap=shades.map, norm=shades.norm,
                    interpolation="none")
    axes.set_title(title, fontsize=TEXT_SIZE, weight="normal", loc="center", pad=72 * PAD / 2, linespacing=LINE)
    axes.set(xticks=[], yticks=[], anchor="N")
    axes.minorticks_off()
    axes.spines[:].set(linewidth=0.6, color=FRAME)


# ---------------------------------------------------------------- shades

@dataclass(frozen=True)
class _Shades:
    """The scale from the lowest to the highest shade, and the colours of it."""

    low: float
    high: float
    norm: Normalize
    map: Colormap


def _shades(figure: Figure) -> _Shades:
    """The common scale of all pictures without colours, and its map: grey as a photograph's, in colour if logarithmic,
    from blue over white at 0 to red where there are negative shades."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize, SymLogNorm

    axis, values = figure.shade or Axis(""), _known(figure)
    low = float(values.min(initial=np.inf)) if axis.low is None else axis.low
    high = float(values.max(initial=-np.inf)) if axis.high is None else axis.high
    if not low <= high:  # no values, or all of them beyond the one end that is given
        low, high = (low, low + 1) if np.isfinite(low) else (high - 1, high) if np.isfinite(high) else (0.0, 1.0)
    norm: Normalize
    if low < 0:
        high = max(-low, high)
        low = -high
        norm = Normalize(low, high) if axis.scale == "linear" else SymLogNorm(LINEAR_SHARE * high, 1, low, high)
        name = "RdBu_r"
    elif axis.scale == "log" and high > 0:
        low = low or max(float(values[values > 0].min(initial=high)), DEEPEST * high)
        low = low if low < high else high / 10
        norm, name = LogNorm(low, high), "viridis"
    else:
        low, high = (low, high) if low < high else (low - 0.5, high + 0.5) if low else (0.0, 1.0)
        norm, name = Normalize(low, high), "gray" if axis.scale == "linear" else "viridis"
    return _Shades(low, high, norm, colormaps[name].with_extremes(bad=UNKNOWN))


def _known(figure: Figure) -> Floats:
    """Finite values of all pixels that have shades."""
    values = np.concatenate([np.array(p.values, dtype=float) for p in figure.pictures if not p.colour])
    return np.extract(np.isfinite(values), values)


def _draw_bar(drawing: Drawing, figure: Figure, shades: _Shades, place: _Place, power: Write) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, SymLogNorm
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    known, norm, low, high = _known(figure), shades.norm, shades.low, shades.high
    below = bool(known.min(initial=low) < low - ROUNDING * abs(low))
    above = bool(known.max(initial=high) > high + ROUNDING * abs(high))
    extend = ("both" if above else "min") if below else "max" if above else "neither"
    bar = drawing.colorbar(ScalarMappable(norm, shades.map), cax=drawing.add_axes(place.bar()), extend=extend,
                           extendfrac=0.04)
    if isinstance(norm, SymLogNorm):
        # No tick at the linear part's ends: three decades a side and 0 are all that fit beside a low bar.
        decades = [10.0**(floor(log10(high) + 1e-9) - k) for k in range(3)]
        bar.ax.yaxis.set_major_locator(FixedLocator([*(-d for d in decades), 0.0, *decades]))
        bar.ax.yaxis.set_minor_locator(NullLocator())
    if isinstance(norm, (LogNorm, SymLogNorm)):
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _signed(value, power)))
        narrow = isinstance(norm, LogNorm) and high < 12 * low
        bar.ax.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: power(value)) if narrow else NullFormatter())
    bar.set_label(place.bar_label, fontsize=TEXT_SIZE, loc="center", linespacing=LINE)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)  # or viewers show hairlines between the 256 shades
    bar.ax.tick_params(which="both", length=3, labelsize=TEXT_SIZE)
    bar.ax.yaxis.get_offset_text().set_fontsize(TEXT_SIZE)


def _signed(value: float, power: Write) -> str:
    return "0" if value == 0 else ("\N{MINUS SIGN}" if value < 0 else "") + power(abs(value))


# ---------------------------------------------------------------- places

@dataclass(frozen=True)
class _Place:
    """Where everything stands: sizes in inches, texts broken into lines that fit."""

    size: tuple[float, float]
    columns: int
    cell: tuple[float, float]
    left: float
    tops: tuple[float, ...]
    """Distance of each row's pictures from the top of the drawing."""
    title: str
    titles: tuple[str, ...]
    x_label: str
    y_label: str
    bar_label: str

    def of(self, index: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of a picture's place, as shares of the drawing."""
        row, column = divmod(index, self.columns)
        return self._shares(self.left + column * (self.cell[0] + GAP), self.tops[row] + self.cell[1], *self.cell)

    def bar(self) -> tuple[float, float, float, float]:
        """The colour bar's place, beside the rows, but not longer than is handy."""
        bottom = self.tops[-1] + self.cell[1]
        height = min(bottom - self.tops[0], max(self.cell[1], 4.0))
        middle = (bottom + self.tops[0]) / 2
        right = self.left + self.columns * (self.cell[0] + GAP)
        return self._shares(right, middle + height / 2, BAR, height)

    def _shares(self, left: float, bottom: float, width: float, height: float) -> tuple[float, float, float, float]:
        wide, high = self.size
        return left / wide, 1 - bottom / high, width / wide, height / high


def _place(drawing: Drawing, figure: Figure, with_bar: bool) -> _Place:
    count = len(figure.pictures)
    columns = max(1, min(figure.across, count))
    wide = WIDTH if columns <= FEW_ACROSS else WIDE
    line, title_line = (LINE * size / 72 for size in (TEXT_SIZE, TITLE_SIZE))
    y_room = 2 * line + PAD if figure.y.label else 0.0
    inner = wide - 2 * MARGIN - y_room - (BAR_ROOM if with_bar else 0.0)
    width = min(LARGEST, (inner - GAP * (columns - 1)) / columns)
    shape = max(p.height / max(p.width, 1) for p in figure.pictures)
    height = width * min(max(shape, FLATTEST), TALLEST)
    left = MARGIN + y_room + (inner - columns * width - GAP * (columns - 1)) / 2

    fit = _Fit(drawing)
    title = fit.lines(figure.title, wide - 2 * MARGIN, 2, TITLE_SIZE, "bold")
    titles = [fit.lines(p.title, width, MOST_LINES) for p in figure.pictures]
    x_label, y_label = fit.lines(figure.x.label, width, 2), fit.lines(figure.y.label, height, 2)
    tops, at = [], MARGIN + len(title) * title_line + PAD
    for first in range(0, count, columns):
        lines = max(map(len, titles[first:first + columns]))
        at += max(lines, with_bar and first == 0) * line + PAD  # the number at the bar's end stands out by half a line
        tops.append(at)
        at += height + GAP
    beside = tops[-1] + height - tops[0]
    bar_label = fit.lines(figure.shade.label if figure.shade else "", max(beside, 1.0), 2)
    fit.close()
    high = at - GAP + len(x_label) * line + (PAD if x_label else 0.0) + MARGIN
    return _Place((wide, high), columns, (width, height), left, tuple(tops), "\n".join(title),
                  tuple(map("\n".join, titles)), "\n".join(x_label), "\n".join(y_label), "\n".join(bar_label))


class _Fit:
    """Breaks text into lines that are no longer than there is room."""

    def __init__(self, drawing: Drawing) -> None:
        self._dots_per_inch = drawing.dpi
        self._probe = drawing.text(0, 0, "")

    def close(self) -> None:
        self._probe.remove()

    def lines(self, text: str, room: float, most: int, size: float = TEXT_SIZE, weight: str = "normal") -> list[str]:
        """The text in up to ``most`` lines of ``room``; if it does not fit, an ellipsis stands for some of its midst,
        since names often differ in their ends."""
        self._probe.set(fontsize=size, weight=weight)
        lines: list[str] = []
        words = text.split()
        for at, word in enumerate(words):
            if lines and self._length(f"{lines[-1]} {word}") <= room:
                lines[-1] += f" {word}"
            elif len(lines) < most:
                lines.append(word)
            else:
                lines[-1] = " ".join([lines[-1], *words[at:]])
                break
        return [self._shortened(line, room) for line in lines]

    def _shortened(self, text: str, room: float) -> str:
        if self._length(text) <= room:
            return text
        fitting, too_many = 1, len(text)
        while too_many - fitting > 1:
            kept = (fitting + too_many) // 2
            if self._length(_without_midst(text, kept)) <= room:
                fitting = kept
            else:
                too_many = kept
        return _without_midst(text, fitting)

    def _length(self, text: str) -> float:
        self._probe.set_text(text)
        return float(self._probe.get_window_extent().width) / self._dots_per_inch


def _without_midst(text: str, kept: int) -> str:
    """The first and the last of ``kept`` characters of a text, an ellipsis between."""
    last = kept // 2
    return f"{text[:kept - last]}…{text[-last:] if last else ''}"
