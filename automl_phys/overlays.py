"""Curves of several runs in one figure: what runs drew under one name, laid over each other.

Takes evaluations, the first of which gives titles and order; gives figures as data. Of each run one series is shown:
the winner's where there is one of its name, else what says most (:data:`TELLING`), else the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from automl_phys.exhibits import Axis, Evaluation, Figure, Series

MOST = 8
"""Figures in all: what more there is stands in the reports of the runs."""
TELLING = ("best so far", "validation", "test")
"""Ends of the names of series to be shown before others."""
LEARNING = "learning-curves"
"""End of the names of figures of which one is kept, however many others there are."""
LEFT_OUT = ("Features",)
"""Sections that show the data, or categories in an order of each run's own."""


def overlay(runs: Mapping[str, Evaluation]) -> tuple[Figure, ...]:
    """Figures of kind ``xy`` that at least two of ``runs`` have, by what the legend calls them. At most ``MOST``."""
    first = next(iter(runs.values()))
    by_run = {label: {f.name: f for f in run.figures if f.kind == "xy"} for label, run in runs.items()}
    winners = {label: run.scores[0].name if run.scores else "" for label, run in runs.items()}
    found = []
    for figure in first.figures:
        alike = {label: drawn[figure.name] for label, drawn in by_run.items()
                 if figure.name in drawn and _fits(figure, drawn[figure.name])}
        if figure.kind == "xy" and figure.section not in LEFT_OUT and len(alike) > 1:
            found += _overlaid(alike, winners)
    learning = [figure for figure in found[MOST - 1:] if figure.name.endswith(LEARNING)][:1]
    return (*found[:MOST - len(learning)], *learning)


def _fits(figure: Figure, other: Figure) -> bool:
    """Whether the axes of two figures mean the same."""
    return all((a.label, a.scale, a.categories) == (b.label, b.scale, b.categories)
               for a, b in ((figure.x, other.x), (figure.y, other.y)))


def _overlaid(drawn: Mapping[str, Figure], winners: Mapping[str, str]) -> list[Figure]:
    """One figure of several; none where fewer than two have a series."""
    chosen: dict[str, Series] = {}
    for label, figure in drawn.items():
        wanted = next(iter(chosen.values())).name if chosen else ""
        series = _told(figure.series, winners[label], wanted)
        if series is not None:
            chosen[label] = series
    if len(chosen) < 2:
        return []
    first, *others = drawn.values()
    shared = [s for s in first.series if s.muted and s.name not in TELLING and all(s in o.series for o in others)]
    shown = [replace(series, name=label, group="", muted=False,
                     style="steps" if series.style == "filled" else series.style) for label, series in chosen.items()]
    names = list(dict.fromkeys(series.name for series in chosen.values()))
    said = {label: series.name for label, series in chosen.items()}
    if all(name == winners[label] for label, name in said.items()):
        caption = "The winner of each run."
    elif len(names) == 1:
        caption = f"Of each run: {names[0]}."
    else:
        caption = " ".join(f"{label}: {name}." for label, name in said.items())
    x, y = (_range([getattr(figure, axis) for figure in drawn.values()]) for axis in ("x", "y"))
    return [replace(first, series=(*shared, *shown), below=None, caption=caption, x=x, y=y)]


def _told(series: Sequence[Series], winner: str, wanted: str) -> Series | None:
    """The series of a run to show: the winner's, or the one that the first run shows too, or what says most."""
    there = [s for s in series if s.x and s.y and (not s.muted or s.name in TELLING)]
    ranked = [*(s for s in there if winner in (s.name, s.group)), *(s for s in there if s.name == wanted),
              *(s for s in there if s.name.endswith(TELLING)), *there]
    return ranked[0] if ranked else None


def _range(axes: Sequence[Axis]) -> Axis:
    """An axis on which all have room."""
    lows, highs = ([getattr(axis, end) for axis in axes] for end in ("low", "high"))
    return replace(axes[0], low=None if None in lows else min(lows), high=None if None in highs else max(highs))
