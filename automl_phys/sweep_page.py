"""The thresholds of a report: as a table of those that are spoken of, and as the data that ``templates/threshold.js``
shows while a reader moves the threshold.

Takes an ``exhibits.Sweep``. Every number is written here, as all others of the report are: the page only chooses.
"""

from __future__ import annotations

from typing import Any

from automl_phys import page_data, readable
from automl_phys.exhibits import Estimate, Measured, Passing, Sweep, Table


def table(sweep: Sweep) -> Table:
    """The thresholds that have names, for print and for readers without scripts."""
    rows: list[tuple[str | float, ...]] = [
        (name, sweep.thresholds[place], *(_estimate(one, place) for one in sweep.measured))
        for name, place in sweep.marks.items()]
    head = ("where", sweep.output, *(one.name for one in sweep.measured))
    return Table("Thresholds", head, tuple(rows), _note(sweep))


def embedded(sweep: Sweep) -> str:
    """All thresholds as JSON: ``values`` for the controls, and what is written at each of them."""
    places = range(len(sweep.thresholds))
    return page_data.script({
        "output": sweep.output,
        "values": page_data.column(sweep.thresholds),
        "thresholds": [readable.cell(value) for value in sweep.thresholds],
        "marks": [{"name": name, "place": place} for name, place in sweep.marks.items()],
        "start": sweep.start,
        "kinds": [_passing(one) for one in (sweep.signal, sweep.background)],
        "measured": [{"name": one.name, "texts": [_estimate(one, place) for place in places]}
                     for one in sweep.measured],
        "note": _note(sweep),
    })


def _note(sweep: Sweep) -> str:
    """What the numbers are of, and how their intervals were had."""
    by_note: dict[str, list[str]] = {}
    for one in sweep.measured:
        by_note.setdefault(one.note, []).append(one.name[0].lower() + one.name[1:])
    intervals = "; ".join(f"{', '.join(names)}: {note}" for note, names in by_note.items())
    return f"{sweep.note} Intervals cover 68 %. {intervals}."


def _estimate(one: Measured, place: int) -> str:
    return readable.estimate(Estimate(one.values[place], one.low[place], one.high[place]))


def _passing(kind: Passing) -> dict[str, Any]:
    """A row of the confusion matrix at each threshold: shares of the weight that passes and does not, and both sums."""
    sums = list(zip(kind.weights, kind.variances, strict=True))
    passes = [_cell(weight, variance, kind.total) for weight, variance in sums]
    fails = [_cell(kind.total - weight, kind.total_variance - variance, kind.total) for weight, variance in sums]
    return {"name": kind.name, "passes": passes, "fails": fails}


def _cell(weight: float, variance: float, total: float) -> list[str]:
    error = max(variance, 0.0) ** 0.5
    return [f"{100 * weight / total:.1f} %".replace("-", "−"),
            readable.estimate(Estimate(weight, weight - error, weight + error))]
