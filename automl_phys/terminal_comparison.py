"""A comparison of runs for a terminal of 80 columns or more. Gives rich renderables; prints nothing.

Text of the user's files stands in cells and never as markup: the console that prints these must have markup off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from automl_phys import comparison_tables, terminal_plots, terminal_tables
from automl_phys.comparison import Comparison
from automl_phys.exhibits import Figure
from automl_phys.readable import printable

COLOURS = {"better": "green", "worse": "red", "not to be told apart": "dim", "the same": "dim", "not known": "dim"}
WIDTH = 80
NAME, ESTIMATE, SAID = 13, 15, 12
"""Characters of a metric's longest word, of ``0.9352 ± 0.0021`` and of ``worse, 6.6 σ``, to stand on one line."""
MOST_OF_ENVIRONMENT = 8
"""Differences of machine and packages that are listed; the others are counted."""


def comparison(found: Comparison, page: Path | None) -> Iterator[RenderableType]:
    """What runs are compared, what that came to, what it rests on, where the page lies."""
    for run in found.runs:
        yield Text.assemble((f"{run.letter}  {printable(run.name)}", "bold"), f": {run.task}, {run.data}\n",
                            f"   {printable(run.winner)}\n   ", (printable(run.folder), "cyan"))
    yield Group(*(Text.assemble(("Verdict  ", "bold"), printable(said)) for said in found.verdicts))
    if found.notes:
        yield Group(*(Text(printable(note)) for note in found.notes))
    for run in found.runs[1:]:
        shown, words = comparison_tables.metrics(found, run.letter)
        if shown.rows:
            made = terminal_tables.table(shown)
            for column, width in zip(made.columns[1:], (ESTIMATE, ESTIMATE, SAID, SAID), strict=True):
                column.min_width = width
            for row, word in zip(made.rows, words, strict=True):
                row.style = COLOURS.get(word, "")
            yield _Fitted(made)
    curve = next((figure for figure in found.figures if _drawable(figure, len(found.runs))), None)
    if curve:
        yield Group(Text(printable(curve.title), "bold"), terminal_plots.plot(_without_letters(curve, found)))
    yield from _recipes(found)
    if page is None:
        yield Text("All curves stand on a page: add --page compare.html", "dim")
    else:
        yield Text.assemble(("Page  ", "bold"), (printable(str(page)), "cyan"))


@dataclass(frozen=True)
class _Fitted:
    """A table of metrics whose names and differences are broken into lines where there is too little room: 80 columns
    hold the least of all."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        more = max(0, options.max_width - WIDTH)
        self.table.columns[0].max_width, self.table.columns[3].max_width = NAME + more, SAID + more
        yield self.table


def _drawable(figure: Figure, runs: int) -> bool:
    """Whether a figure has a curve of every run: only then are its letters those of the runs."""
    own = [series for series in figure.series if not series.muted]
    return len(own) == runs and all(series.style in ("line", "points") for series in own) and not figure.x.categories


def _without_letters(figure: Figure, found: Comparison) -> Figure:
    """The plot gives curves letters itself, and these are those of the runs."""
    names = {run.label: run.name for run in found.runs}
    return replace(figure, series=tuple(replace(s, name=names.get(s.name, s.name)) for s in figure.series))


def _recipes(found: Comparison) -> Iterator[RenderableType]:
    if found.recipe:
        yield terminal_tables.table(comparison_tables.changed("Recipe", found, found.recipe))
    else:
        yield Text("The recipes are the same, defaults filled in.")
    if found.decisions:
        yield terminal_tables.table(comparison_tables.changed("Decisions", found, found.decisions))
    if found.environment:
        more = len(found.environment) - MOST_OF_ENVIRONMENT
        yield terminal_tables.table(comparison_tables.changed(
            "Machine and packages", found, found.environment[:MOST_OF_ENVIRONMENT],
            f"And {more} more, which stand on the page." if more > 0 else ""))
