"""Figures as data become drawings: PNG and PDF files, and SVG to stand inside an HTML page.

Takes :class:`automl_phys.exhibits.Figure`, draws with matplotlib in the ATLAS style of mplhep and the colour sequences
of M. Petroff (arXiv:2107.02270), which people with any colour vision can tell apart. The same data give the same bytes.
What is worth drawing is the tasks' decision; where a legend finds room is :mod:`automl_phys.legend`'s, how many points
become dots :mod:`automl_phys.scatter_drawing`'s, how images stand side by side :mod:`automl_phys.picture_drawing`'s.
"""

from __future__ import annotations

import re
import warnings
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from automl_phys import frames, legend, picture_drawing, rundir, scatter_drawing
from automl_phys.exhibits import Axis, Figure, Panel, Series
from automl_phys.frames import Inset
from automl_phys.readable import SUPERSCRIPTS, cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing
    from numpy.typing import NDArray

SPELLED = (2e4, 2e6)
"""Largest values on a linear x axis whose numbers are written out."""
DOTS_PER_INCH = 160
SIZE_INCHES = (6.4, 4.8)
MUTED = "#717581"
LINE_STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
BAND_OPACITY = 0.25
FILL_OPACITY = 0.3

MAX_ANNOTATED = 15
"""Rows or columns up to which the numbers of a matrix are written into it."""

MOST_WRITTEN_OUT = 1e6
"""Numbers in these cells that are written as they are, up to this one."""

MAX_LABELLED, SMALL_LABELS = 20, 8
"""Names of rows or columns of a matrix that do not touch, and the size in points that more of them have."""

PANEL_GROWTH, PANEL_HEIGHTS = 1.25, (3.0, 1.0)
"""How much higher a figure with a panel below is than others, and the heights of its two parts."""

LONG_LABELS = 30
"""Characters of all categories of a bar chart together, beyond which its bars lie, so that labels stay horizontal."""

STYLE: dict[str, Any] = {
    "font.family": ["TeX Gyre Heros", "DejaVu Sans"],  # mplhep ships the first; matplotlib's has the signs it lacks
    "font.size": 13,
    "figure.figsize": SIZE_INCHES,
    "figure.dpi": DOTS_PER_INCH,
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": "medium",
    "axes.labelpad": 5,
    "axes.autolimit_mode": "data",
    "axes.unicode_minus": True,
    "axes.formatter.limits": (-4, 5),
    "axes.formatter.use_mathtext": False,
    "text.parse_math": False,  # a "$" in a user's column name begins no formula; and drawing takes half the time
    "xtick.labelsize": "small",
    "ytick.labelsize": "small",
    "ytick.major.size": 5,
    "ytick.minor.size": 3,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.fontsize": "small",
    "legend.borderpad": 0.4,
    "svg.fonttype": "none",  # text stays text: small, searchable; the page names fonts of the same widths
    "pdf.fonttype": 42,
    "path.simplify": True,
}

WEB_FONTS = "Helvetica, Arial, 'Liberation Sans', sans-serif"
"""Stand in where TeX Gyre Heros, a Helvetica, is not installed; their letters are as wide."""

METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": "automl-phys", "Producer": None},
    "svg": {"Date": None, "Creator": None},
}
"""No dates and no versions in the files: the same data give the same bytes."""


def draw(figure: Figure, folder: Path, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Write ``folder/<figure.name>.<format>`` for each format, of an animation a GIF besides. Raises RunError when the
    disk refuses."""
    paths = [folder / f"{figure.name}.{suffix}" for suffix in formats]
    if figure.animation:
        with rundir.atomic(folder / f"{figure.name}.gif") as temporary:
            temporary.write_bytes(b64decode(figure.animation))
    with _style(figure):
        drawing = _drawn(figure)
        for path, suffix in zip(paths, formats, strict=True):
            with rundir.atomic(path) as temporary:
                drawing.savefig(temporary, format=suffix, metadata=METADATA.get(suffix))
    return paths


def drawing(figure: Figure) -> Drawing:
    """The figure as matplotlib's, the caller's own."""
    with _style(figure):
        made = _drawn(figure)
        _drawn.cache_clear()  # what is kept must not change
        return made


def svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element, scaling to its container, its ids beginning with the figure's name; an
    animation as an ``<img>`` that holds its own data."""
    return inset(figure).element


def inset(figure: Figure) -> Inset:
    """The element that :func:`svg` gives and, of curves and matrices, where in it their axes are."""
    if figure.animation:
        return Inset(f"<p><strong>{escape(figure.title)}</strong></p>\n"
                     f'<img alt={quoteattr(figure.title)} src="data:image/gif;base64,{figure.animation}">')
    text = StringIO()
    with _style(figure):
        drawing = _drawn(figure)
        drawing.savefig(text, format="svg", metadata=METADATA["svg"])
        axes = drawing.axes[:1 if figure.below is None else 2] if figure.kind in ("xy", "matrix") else []
        found = tuple(frames.of(one) for one in axes)
    element = text.getvalue()[text.getvalue().index("<svg"):]
    element = re.sub(r"<metadata>.*?</metadata>\s*|<style.*?</style>\s*", "", element, flags=re.DOTALL)
    element = re.sub(r'(<svg\b[^>]*?) width="[^"]*" height="[^"]*"', r"\1", element, count=1)
    element = element.replace("<svg", f'<svg role="img" aria-label={quoteattr(figure.title)}', 1)
    element = element.replace("'DejaVu Sans'", WEB_FONTS)
    prefix = re.sub(r"[^A-Za-z0-9-]", "-", figure.name)
    element = re.sub(r'\bid="', f'id="{prefix}-', element)
    element = re.sub(r'(url\(|href=")#', rf"\g<1>#{prefix}-", element)
    return Inset(element.strip(), found)


@contextmanager
def _style(figure: Figure) -> Iterator[None]:
    import matplotlib as mpl
    from mplhep.styles import ATLAS2

    settings: dict[Any, Any] = {**ATLAS2, **STYLE, "svg.hashsalt": figure.name}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A user's column name may hold a sign that neither font has; a box in its place is fair.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


@lru_cache(maxsize=1)
def _drawn(figure: Figure) -> Drawing:
    """The drawing, laid out once; kept while the formats of one figure are written. Call it inside :func:`_style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    drawing = Drawing()
    layout = ConstrainedLayoutEngine()
    FigureCanvasAgg(drawing)
    if figure.kind in ("pictures", "animation"):
        picture_drawing.draw(drawing, figure, _power)
        return drawing
    if figure.kind == "xy" and figure.below is not None:
        _draw_panels(drawing, figure, figure.below)
        layout.set(hspace=0.0)
        layout.execute(drawing)
        return drawing
    axes = drawing.add_subplot()
    axes.set_title(figure.title)
    if figure.kind == "matrix":
        _draw_matrix(axes, figure)
    elif figure.kind == "scatter":
        scatter_drawing.draw(axes, figure)
        legend.place(axes, fixed_top=True)
    else:
        _draw_series(axes, figure)
        legend.place(axes, fixed_top=figure.y.high is not None)
    layout.execute(drawing)  # once; a figure that owns its engine lays out again at each save
    return drawing


# ---------------------------------------------------------------- curves, points, histograms, bars

def _draw_panels(drawing: Drawing, figure: Figure, below: Panel) -> None:
    """The series, and under them the panel on the same x axis."""
    from matplotlib.ticker import MaxNLocator

    drawing.set_figheight(SIZE_INCHES[1] * PANEL_GROWTH)
    upper, lower = drawing.subplots(2, 1, sharex=True, height_ratios=PANEL_HEIGHTS)
    upper.set_title(figure.title)
    _draw_series(upper, replace(figure, x=replace(figure.x, label="")))
    _draw_series(lower, replace(figure, y=below.y, series=below.series), groups_of(figure.series))
    upper.tick_params(axis="x", which="both", labelbottom=False)
    lower.set_ylabel(below.y.label, loc="center")
    lower.yaxis.set_major_locator(MaxNLocator(4, prune="both"))  # the numbers at its ends would touch others
    drawing.align_ylabels([upper, lower])
    legend.place(upper, fixed_top=figure.y.high is not None)


def groups_of(series: Sequence[Series]) -> list[str]:
    """What has a colour of its own, in the order of the colours."""
    return list(dict.fromkeys(s.group or s.name for s in series if not s.muted))


def colours(series: Sequence[Series], above: Sequence[str] = ()) -> list[str]:
    """The colour of each series as ``#rrggbb``; the groups ``above`` have the first ones."""
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in _colours(series, above)]


def _colours(series: Sequence[Series], above: Sequence[str]) -> list[Any]:
    groups = list(dict.fromkeys([*above, *groups_of(series)]))
    palette = _palette(groups)
    return [MUTED if one.muted else palette[groups.index(one.group or one.name) % len(palette)] for one in series]


def _palette(groups: Sequence[str]) -> Any:
    from matplotlib import color_sequences

    return color_sequences["petroff6" if len(groups) <= 6 else "petroff10"]


def lies(figure: Figure) -> bool:
    """Whether the bars of a figure lie, so that their categories run along y."""
    return any(s.style == "bars" for s in figure.series) and (
        bool(figure.y.categories) or sum(map(len, figure.x.categories)) > LONG_LABELS)


def _draw_series(axes: Axes, figure: Figure, above: Sequence[str] = ()) -> None:
    """Series on axes; the groups ``above`` have the first colours, whether they have series here or not."""
    bars = [s for s in figure.series if s.style == "bars"]
    lying = lies(figure)
    x, y = (figure.y, figure.x) if lying and not figure.y.categories else (figure.x, figure.y)
    if x.scale == "log":
        axes.set_xscale("log", nonpositive="clip")
    if y.scale == "log":
        axes.set_yscale("log", nonpositive="clip")
    groups = list(dict.fromkeys([*above, *groups_of(figure.series)]))
    palette = _palette(groups)
    drawn_in: dict[str, int] = {}
    for series, color in zip(figure.series, _colours(figure.series, above), strict=True):
        if series.muted:
            axes.plot(*_finite(series.x, series.y), ls="--", lw=1.2, color=color, label=_named(series), zorder=1)
            continue
        group = series.group or series.name
        index = groups.index(group)
        if series.style == "bars":
            _draw_bars(axes, series, color, bars.index(series), len(bars), lying)
        elif series.style in ("steps", "filled"):
            _draw_histogram(axes, series, color)
        elif series.style == "points":
            _draw_points(axes, series, color, MARKERS[index % len(MARKERS)])
        else:
            turn = drawn_in.get(group, 0) + index // len(palette)  # as colours or groups repeat, dashes tell
            _draw_line(axes, series, color, LINE_STYLES[turn % len(LINE_STYLES)])
            drawn_in[group] = drawn_in.get(group, 0) + 1
    _finish(axes, x, y, lying)


def _named(series: Series) -> str:
    """The name for the legend; matplotlib would leave out one that begins with an underscore."""
    return series.name.replace("_", "\u200b_", 1) if series.name.startswith("_") else series.name


def _finite(*columns: Sequence[float]) -> list[NDArray[np.float64]]:
    """Infinities as gaps, like NaN."""
    arrays = (np.asarray(column, dtype=float) for column in columns)
    return [np.where(np.isfinite(array), array, np.nan) for array in arrays]


def _draw_line(axes: Axes, series: Series, color: Any, line_style: str) -> None:
    x, y = _finite(series.x, series.y)
    if series.low:
        low, high = _finite(series.low, series.high)
        axes.fill_between(x, low, high, color=color, alpha=BAND_OPACITY, lw=0)
    axes.plot(x, y, ls=line_style, color=color, label=_named(series))


def _draw_points(axes: Axes, series: Series, color: Any, marker: str) -> None:
    x, y = _finite(series.x, series.y)
    errors = _errors(series) if series.low else None
    axes.errorbar(x, y, yerr=errors, fmt=marker, color=color, ecolor=color, elinewidth=1.2, mec="white", mew=0.4,
                  label=_named(series), zorder=3)


def _errors(series: Series) -> NDArray[np.float64]:
    """Distances below and above the values, as matplotlib wants them: (2, n), none negative."""
    y, low, high = _finite(series.y, series.low, series.high)
    return np.maximum(np.nan_to_num(np.stack([y - low, high - y])), 0.0)


def _draw_histogram(axes: Axes, series: Series, color: Any) -> None:
    edges, heights = _finite(series.x, series.y)
    if series.low:
        low, high = _finite(series.low, series.high)
        axes.stairs(high, edges, baseline=low, fill=True, color=color, alpha=BAND_OPACITY, lw=0)
    if series.style == "filled":
        axes.stairs(heights, edges, fill=True, color=color, alpha=FILL_OPACITY, lw=0, label=_named(series))
        axes.stairs(heights, edges, color=color, lw=1.2)
    else:
        axes.stairs(heights, edges, color=color, lw=1.6, label=_named(series))


def _draw_bars(axes: Axes, series: Series, color: Any, index: int, count: int, lying: bool) -> None:
    """Bars of several series stand side by side around the position of their category."""
    x, y = _finite(series.x, series.y)
    thickness = 0.8 / count
    places = x + (index - (count - 1) / 2) * thickness
    label, errors = _named(series), _errors(series) if series.low else None
    if lying:
        axes.barh(places, y, thickness, color=color, xerr=errors, label=label, error_kw={"elinewidth": 1.2})
    else:
        axes.bar(places, y, thickness, color=color, yerr=errors, label=label, error_kw={"elinewidth": 1.2})


def _finish(axes: Axes, x: Axis, y: Axis, lying: bool) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

    axes.set_xlabel(x.label)
    axes.set_ylabel(y.label)
    if x.scale == "linear" and not x.categories:
        axes.margins(x=0.0 if _has_edges(axes) else 0.03)
    axes.autoscale_view()
    axes.set_xlim(x.low, x.high)
    from_zero = y.scale == "linear" and not lying and axes.dataLim.y0 >= 0 and bool(axes.patches)
    axes.set_ylim(0.0 if y.low is None and from_zero else y.low, y.high)
    for axis, drawn in ((x, axes.xaxis), (y, axes.yaxis)):
        if axis.categories:
            drawn.set_ticks(range(len(axis.categories)), axis.categories)
            drawn.set_tick_params(which="both", length=0)
            drawn.set_minor_locator(NullLocator())
        elif axis.scale == "log":
            low, high = sorted(drawn.get_view_interval())
            drawn.set_major_formatter(FuncFormatter(_power))
            drawn.set_minor_formatter(FuncFormatter(_power) if high < 12 * low else NullFormatter())
        elif axis is x and SPELLED[0] <= max(map(abs, drawn.get_view_interval())) < SPELLED[1]:
            drawn.set_major_formatter(FuncFormatter(_spelled))  # a power of ten would stand in the label's place
    if lying:
        axes.invert_yaxis()
    elif x.categories and sum(map(len, x.categories)) > LONG_LABELS:
        axes.tick_params(axis="x", labelrotation=45, labelrotation_mode="xtick")


def _has_edges(axes: Axes) -> bool:
    """Whether a histogram or a curve fills the axes from side to side."""
    return bool(axes.patches) and not axes.containers


def _spelled(value: float, _position: int | None = None) -> str:
    """The label of a tick on a linear axis of large numbers."""
    return cell(round(value))


def _power(value: float, _position: int | None = None) -> str:
    """The label of a tick on a logarithmic axis."""
    if 1e-3 <= value < 1e4:
        return f"{value:g}"
    mantissa, _, power = f"{value:.0e}".partition("e")
    return ("" if mantissa == "1" else f"{mantissa}×") + "10" + str(int(power)).translate(SUPERSCRIPTS)


# ---------------------------------------------------------------- matrices

def _draw_matrix(axes: Axes, figure: Figure) -> None:
    """Cells coloured by value with the number in each, the first row on top."""
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, CenteredNorm, ListedColormap, Normalize

    values = np.array(figure.matrix, dtype=float)
    rows, columns = values.shape
    shade = figure.shade or Axis("")
    low = float(np.nanmin(values)) if shade.low is None else shade.low
    high = float(np.nanmax(values)) if shade.high is None else shade.high
    kinds, signed = len(shade.categories), low < 0 and (shade.low is None or low == -high)
    shades = ListedColormap([f"C{i}" for i in range(kinds)]) if kinds else colormaps["RdBu_r" if signed else "Blues"]
    norm: Normalize = CenteredNorm(halfrange=max(-low, high)) if signed else \
        BoundaryNorm(np.arange(kinds + 1) - 0.5, kinds) if kinds else \
        Normalize(shade.low or 0.0, high if high != (shade.low or 0.0) else high + 1.0)
    mesh = axes.pcolormesh(np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5, values, cmap=shades, norm=norm,
                           edgecolors="white", linewidth=0.8 if max(rows, columns) <= MAX_ANNOTATED else 0)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.set_xlabel(figure.x.label)
    axes.set_ylabel(figure.y.label)
    axes.set_xticks(range(columns), figure.x.categories or None)
    if sum(map(len, figure.x.categories)) > LONG_LABELS:
        axes.tick_params(axis="x", labelrotation=45, labelrotation_mode="xtick")
    axes.set_yticks(range(rows), figure.y.categories or None)
    axes.tick_params(which="both", length=0)
    axes.minorticks_off()
    if max(sum(map(bool, axis.categories)) for axis in (figure.x, figure.y)) > MAX_LABELLED:
        axes.tick_params(labelsize=SMALL_LABELS)
    if max(rows, columns) <= MAX_ANNOTATED:
        size = min(14.0, 60.0 / max(rows, columns))
        for (row, column), value in np.ndenumerate(values):
            axes.text(column, row, _short(value, values), ha="center", va="center", fontsize=size,
                      color=_readable_on(shades(norm(value))))
    if axes.figure is not None:
        bar = axes.figure.colorbar(mesh, ax=axes, pad=0.02, use_gridspec=False, label=shade.label)
        if kinds:
            bar.set_ticks(list(range(kinds)), labels=list(shade.categories))
            bar.ax.minorticks_off()
        if bar.solids is not None:
            bar.solids.set_rasterized(True)  # or viewers show hairlines between the 256 shades
        bar.ax.tick_params(which="both", length=3)


def _short(value: float, among: NDArray[np.float64]) -> str:
    if not np.isfinite(value):
        return "–"
    largest = float(np.nanmax(np.abs(among)))
    if np.all(among[np.isfinite(among)] % 1 == 0) or 100 <= largest < MOST_WRITTEN_OUT:
        return f"{value:,.0f}".replace(",", "\u2009")
    if largest < 100:
        return f"{round(value, 2) + 0.0:.2f}"
    mantissa, _, power = f"{value:.1e}".partition("e")
    return f"{mantissa}×10{str(int(power)).translate(SUPERSCRIPTS)}" if value else "0"


def _readable_on(color: Sequence[float]) -> str:
    """Black or white, whichever stands out: relative luminance as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if luminance > 0.179 else "white"
