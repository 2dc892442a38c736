"""Figures drawn with characters: curves and points in braille dots, matrices in coloured cells. Gives rich text; prints
nothing.

Takes :class:`automl_phys.exhibits.Figure`. Curves are told apart by letters on them, categories of points by marks in
their midst, and both by colour where there is any.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, log10
from statistics import median

from rich.table import Table
from rich.text import Text

from automl_phys.exhibits import Axis, Figure, Series
from automl_phys.readable import printable, rounded

COLORS = ("cyan", "green", "red", "magenta")
"""Yellow cannot be read on white, nor blue on black; what has the same colour has another letter."""
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character (U+2800) by row and column of its eight dots."""

BLANK = 0x2800
LETTER_EVERY = 13
"""Cells between two letters on a curve."""

MAX_ROOMY = 5
"""Columns of a matrix up to which numbers and shares both fit into 80 characters."""

SHADES = ("", "dim cyan", "cyan", "bold green")
"""Styles of a matrix's cells from a small to a large share of the row."""


class Canvas:
    """``width`` x ``height`` characters, each of 2 x 4 dots; (0, 0) is the lower left, (1, 1) the upper right."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._bits = [[0] * width for _ in range(height)]
        self._styles = [[""] * width for _ in range(height)]
        self._letters: dict[tuple[int, int], str] = {}

    def curve(self, points: Sequence[tuple[float, float]], style: str, letter: str = "", first: int = 0) -> None:
        """Join the points with dots; put ``letter`` on the curve every few cells, the first after ``first`` of them."""
        cells: list[tuple[int, int]] = []
        for (x0, y0), (x1, y1) in pairwise(points):
            steps = max(1, round(max(abs(x1 - x0) * 2 * self.width, abs(y1 - y0) * 4 * self.height)))
            for s in range(steps + 1):
                cells.append(self._dot(x0 + (x1 - x0) * s / steps, y0 + (y1 - y0) * s / steps, style))
        path = list(dict.fromkeys(cells))
        for row, column in path[first::LETTER_EVERY] if letter else ():
            self._letters.setdefault((row, column), letter)
            if self._letters[row, column] == letter:
                self._styles[row][column] = f"bold {style}"

    def scatter(self, points: Sequence[tuple[float, float]], style: str) -> None:
        for x, y in points:
            self._dot(x, y, style)

    def mark(self, x: float, y: float, text: str, style: str) -> None:
        """Write a few characters around a place, over the dots."""
        row, column = self._dot(x, y, style)
        first = max(0, min(column - len(text) // 2, self.width - len(text)))
        for at, letter in enumerate(text, start=first):
            self._letters[row, at] = letter
            self._styles[row][at] = style

    def _dot(self, x: float, y: float, style: str) -> tuple[int, int]:
        across = min(max(int(x * 2 * self.width), 0), 2 * self.width - 1)
        down = 4 * self.height - 1 - min(max(int(y * 4 * self.height), 0), 4 * self.height - 1)
        row, column = down // 4, across // 2
        self._bits[row][column] |= DOTS[down % 4][across % 2]
        if (row, column) not in self._letters:
            self._styles[row][column] = style
        return row, column

    def row(self, number: int) -> Text:
        """One line of characters, the top one first."""
        text = Text()
        for column, (bits, style) in enumerate(zip(self._bits[number], self._styles[number], strict=True)):
            character = self._letters.get((number, column)) or (chr(BLANK + bits) if bits else " ")
            text.append(character, style)
        return text


def plot(figure: Figure, width: int = 60, height: int = 20) -> Text:
    """The curves of a figure with its axes, ticks and legend. ``width`` and ``height`` are of the frame's inside."""
    shown = [s for s in figure.series if s.style in ("line", "points")]
    x_ends = _ends(figure.x, [value for s in shown for value in s.x])
    y_ends = _ends(figure.y, [value for s in shown for value in s.y])
    canvas = Canvas(width, height)
    legend = Text()
    named = [s for s in shown if not s.muted]
    end_of_entry = "\n" if sum(len(s.name) + 4 for s in named) > width else ""
    for series in sorted(shown, key=lambda s: not s.muted):  # references first, so that curves cover them
        points = _points(series, figure, x_ends, y_ends)
        if series.muted:
            canvas.scatter(_spread(points), "dim")
            continue
        index = named.index(series)
        letter, style = chr(ord("A") + index % 26), COLORS[index % len(COLORS)]
        if series.style == "line":
            canvas.curve(points, style, letter, first=3 + 4 * index)
        else:
            canvas.curve(points[:1], style)
            canvas.scatter(points, style)
        legend.append_text(Text.assemble(("  " + letter + " ", f"bold {style}"), printable(series.name), end_of_entry))
    return _framed(canvas, figure, x_ends, y_ends, legend)


def scatter(figure: Figure, width: int = 60, height: int = 20) -> Text:
    """The points of a figure in the colours of its first colouring, each category marked in its midst; noise is dim.

    Raises ValueError for a figure without points.
    """
    from automl_phys.scatter import marks

    if figure.points is None:
        raise ValueError(f"figure '{figure.name}' has no points")
    shown, canvas = figure.points, Canvas(width, height)
    colour = shown.colourings[0]
    x_ends, y_ends = _ends(figure.x, shown.x), _ends(figure.y, shown.y)
    places = [((x - x_ends[0]) / (x_ends[1] - x_ends[0]), (y - y_ends[0]) / (y_ends[1] - y_ends[0]))
              for x, y in zip(shown.x, shown.y, strict=True)]
    kinds: dict[int, list[tuple[float, float]]] = {}
    for place, value in zip(places, colour.values, strict=True):
        if all(map(isfinite, place)):
            kinds.setdefault(int(value) if colour.categories else -1, []).append(place)
    for kind, points in sorted(kinds.items()):
        canvas.scatter(points, COLORS[kind % len(COLORS)] if kind >= 0 else "dim")
    for kind, name in enumerate(marks(colour.categories)):
        if kind in kinds:
            middle = median(x for x, _ in kinds[kind]), median(y for _, y in kinds[kind])
            canvas.mark(*middle, printable(name), f"bold reverse {COLORS[kind % len(COLORS)]}")
    return _framed(canvas, figure, x_ends, y_ends, Text(f"  coloured and marked by {printable(colour.name)}", "dim"))


def _ends(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    """Where the axis begins and ends, in its own scale."""
    usable = [_scaled(axis, v) for v in values if isfinite(v) and (axis.scale == "linear" or v > 0)] or [0.0, 1.0]
    low = min(usable) if axis.low is None else _scaled(axis, axis.low)
    high = max(usable) if axis.high is None else _scaled(axis, axis.high)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _scaled(axis: Axis, value: float) -> float:
    return log10(value) if axis.scale == "log" else value


def _points(
    series: Series, figure: Figure, x_ends: tuple[float, float], y_ends: tuple[float, float]
) -> list[tuple[float, float]]:
    """What can be drawn of a series, in shares of the axes."""
    points = []
    for x, y in zip(series.x, series.y, strict=True):
        drawable = isfinite(x) and isfinite(y) and (figure.x.scale == "linear" or x > 0) and (
            figure.y.scale == "linear" or y > 0)
        if drawable:
            points.append(((_scaled(figure.x, x) - x_ends[0]) / (x_ends[1] - x_ends[0]),
                           (_scaled(figure.y, y) - y_ends[0]) / (y_ends[1] - y_ends[0])))
    return points


def _spread(points: Sequence[tuple[float, float]], dots: int = 30) -> list[tuple[float, float]]:
    """A polyline as loose dots."""
    return [(x0 + (x1 - x0) * s / dots, y0 + (y1 - y0) * s / dots)
            for (x0, y0), (x1, y1) in pairwise(points) for s in range(dots + 1)]


def _framed(
    canvas: Canvas, figure: Figure, x_ends: tuple[float, float], y_ends: tuple[float, float], legend: Text
) -> Text:
    ticks = {0: 1.0, canvas.height // 2: 0.5, canvas.height - 1: 0.0}
    labels = {row: _tick(figure.y, y_ends, share) for row, share in ticks.items()}
    margin = max(map(len, labels.values()))
    text = Text(f"{'':{margin}}  {printable(figure.y.label)}\n", style="", no_wrap=True)
    for row in range(canvas.height):
        text.append(f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}", "dim")
        text.append_text(canvas.row(row)).append("\n")
    half = canvas.width // 2
    text.append(f"{'':{margin}} └{'─' * half}┴{'─' * (canvas.width - half - 1)}\n", "dim")
    left, middle, right = (_tick(figure.x, x_ends, share) for share in (0.0, 0.5, 1.0))
    below = f"{left}{middle:^{2 * (half - len(left)) + 1}}"
    text.append(f"{'':{margin}}  {below}{right:>{canvas.width - len(below)}}\n", "dim")
    text.append(f"{'':{margin}}  {printable(figure.x.label):>{canvas.width}}\n")
    for line in legend.split():
        text.append(" " * margin).append_text(line).append("\n")
    text.rstrip()
    return text


def _tick(axis: Axis, ends: tuple[float, float], share: float) -> str:
    at = ends[0] + share * (ends[1] - ends[0])
    return f"{10**at:.2g}" if axis.scale == "log" else f"{at:.3g}"


def matrix(figure: Figure) -> Table:
    """A matrix as a table: each number with its share of the row, coloured by it, the diagonal marked.

    Beyond a few columns only the shares fit.
    """
    roomy = len(figure.x.categories) <= MAX_ROOMY
    caption = f"rows: {printable(figure.y.label)}; columns: {printable(figure.x.label)}"
    table = Table(title=printable(figure.title), title_justify="left", title_style="bold",
                  caption=caption, caption_justify="left", caption_style="dim")
    table.add_column("")
    for name in figure.x.categories:
        table.add_column(printable(name), justify="right")
    for index, (name, row) in enumerate(zip(figure.y.categories, figure.matrix, strict=True)):
        total = sum(row) or 1.0
        cells = [Text(("▸" if column == index else "") + (f"{rounded(value, 6)}  " if roomy else "")
                      + f"{value / total:4.0%}", _shade(value / total)) for column, value in enumerate(row)]
        table.add_row(printable(name), *cells)
    return table


def _shade(share: float) -> str:
    return SHADES[min(int(share * 4), 3)] if share >= 0.05 else "dim"
