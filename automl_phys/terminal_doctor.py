"""What ``automl-phys doctor`` found, for a terminal. Gives rich renderables; prints nothing."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from automl_phys.doctor import Diagnosis, Section
from automl_phys.readable import count, printable

MARKS = {"ok": ("green", "✓"), "absent": ("dim", "–"), "note": ("magenta", "!"), "missing": ("bold red", "✗")}
WIDEST = 44
"""Columns for the name of a thing: the UUID of a slice fits in."""


def diagnosis(found: Diagnosis) -> Iterator[RenderableType]:
    """Section by section, then whether runs will work."""
    for section in found.sections:
        yield Text(section.title, "bold")
        yield Padding(_lines(section), (0, 0, 1, 0))
    states = [one.state for section in found.sections for one in section.found]
    notes = f", with {count(states.count('note'), 'note')}" if "note" in states else ""
    if found.works:
        yield Text(f"Runs will work here{notes}.", "bold green")
    else:
        yield Text(f"Runs will not work here: {count(states.count('missing'), 'thing')} missing{notes}.", "bold red")


def _lines(section: Section) -> Table:
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=1)
    rows.add_column(max_width=WIDEST, overflow="fold")
    rows.add_column(overflow="fold")
    for one in section.found:
        style, mark = MARKS[one.state]
        told = Text(printable(one.found))
        if one.remedy:
            told.append(f"\n→ {printable(one.remedy)}", style)
        rows.add_row(Text(mark, style), Text(printable(one.what)), told)
    return rows
