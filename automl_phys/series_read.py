"""Series as files hold them: rows put in their places on a calendar, one series after the other.

Takes the roles of columns and files; gives each series with its gaps, or named mistakes that tell the series and the
time. Filling gaps and making windows is :mod:`automl_phys.series`'s work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl_phys import series_time, table_read, table_roles
from automl_phys.errors import Key, Mistake
from automl_phys.registry import did_you_mean
from automl_phys.series_time import Calendar, Times
from automl_phys.table_view import CUT

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.table_files import Files

Floats = NDArray[np.float64]

MOST_STEPS_A_ROW = 50
"""Steps that a series may span for each of its rows: a gap beyond is a slip in a date."""
MOST_TOLD = 5
"""Mistakes of a kind that are told one by one."""


@dataclass(frozen=True)
class One:
    """One series on its calendar: step i is ``first`` + i.

    ``target`` (R, t), ``known`` (R, K) and ``past`` (R, P), NaN where there is nothing; the first ``length`` of the R
    steps have come, those behind them only say what is known ahead.
    """

    name: str
    first: int
    length: int
    target: Floats
    known: Floats
    past: Floats

    def cut(self, begin: int) -> One:
        """Without the first ``begin`` steps."""
        return replace(self, first=self.first + begin, length=self.length - begin, target=self.target[begin:],
                       known=self.known[begin:], past=self.past[begin:])


def wrong_columns(columns: Mapping[str, Sequence[str]], files: Files, key: str) -> list[Mistake]:
    """Columns by role that are not there or of a type that they cannot have: ``no-such-column``, ``text-column``,
    ``wrong-type``. ``key`` is the section that names the columns, empty for new data."""
    kinds, mistakes = files.header.columns, []
    for role, names in columns.items():
        for name in names:
            at: Key = (key, role) if key else ()
            if name not in kinds:
                mistakes.append(Mistake(
                    "no-such-column", f"There is no column '{name}' in the data.{did_you_mean(name, kinds)}",
                    f"Columns: {table_roles.listed(kinds, table_roles.MOST_LISTED)}.", at))
            elif (wrong := _wrong_kind(role, name, files)) is not None:
                mistakes.append(replace(wrong, key=at))
    return mistakes


def _wrong_kind(role: str, name: str, files: Files) -> Mistake | None:
    kind = files.header.columns[name]
    if role == "time":
        fits, wanted = kind in {"number", "text", "time"}, "numbers or dates"
    elif role == "series":
        fits, wanted = kind in {"number", "text", "flag"}, "text or integers"
    else:
        fits, wanted = kind in table_roles.NUMERIC, "numbers"
    if fits:
        return None
    if kind == "text":
        found = table_read.first_text(files, name)
        where = f", such as '{found[0]}' in row {found[1]} (counting from 0)" if found else ""
        return Mistake("text-column", f"Column '{name}' under '{role}' holds text{where}.", "Give a numeric column.")
    return Mistake("wrong-type", f"Column '{name}' under '{role}' holds {kind}, not {wanted}.",
                   "Give another column, or convert this one.")


def read(files: Files, columns: Mapping[str, Sequence[str]], calendar: Calendar | None = None
         ) -> tuple[list[One], Calendar | None, list[Mistake], tuple[int, ...]]:
    """All series, the calendar that they follow (that of the training, if one is given), what is wrong, and the rows of
    each file. Series are in the order in which they first occur.

    Mistakes: ``bad-time``, ``no-series-name``, ``unsorted-times``, ``duplicate-times``, ``irregular-times``,
    ``other-calendar``, ``no-values``.
    """
    cut = [CUT] if CUT in files.header.columns else []
    wanted = list(dict.fromkeys([name for names in columns.values() for name in names] + cut))
    table, file_rows = table_read.whole(files, wanted)
    if cut:
        table = table.filter(table[CUT])
    times, mistakes = series_time.parse(table[columns["time"][0]], columns["time"][0])
    codes, names, wrong = _series(table, columns["series"])
    mistakes += wrong
    if mistakes or not len(times):
        return [], None, mistakes or [_no_rows()], file_rows
    rows = {name: np.flatnonzero(codes == code) for code, name in enumerate(names)}
    own = {name: times[which] for name, which in rows.items()}
    text = files.header.columns[columns["time"][0]] == "text"
    mistakes += few(series_time.disorders(own))
    if mistakes:
        return [], None, mistakes, file_rows
    if calendar is None:
        calendar, mistakes = series_time.follow(own, text)
    elif (misfit := series_time.misfit(calendar, own)) is not None:
        mistakes = [misfit]
    if calendar is None or mistakes:
        return [], None, mistakes, file_rows
    values = {role: _floats(table, columns[role]) for role in ("target", "known_future", "past")}
    made = []
    for name, which in rows.items():
        one = _placed(name, calendar, own[name], {role: array[which] for role, array in values.items()})
        if isinstance(one, Mistake):
            mistakes.append(one)
        else:
            made.append(one)
    return made, calendar, few(mistakes), file_rows


def few(mistakes: Sequence[Mistake]) -> list[Mistake]:
    """The first of many mistakes of a kind."""
    if len(mistakes) <= MOST_TOLD:
        return list(mistakes)
    last = mistakes[MOST_TOLD - 1]
    more = f"{last.text} The same is wrong in {len(mistakes) - MOST_TOLD} more series."
    return [*mistakes[:MOST_TOLD - 1], replace(last, text=more)]


def _no_rows() -> Mistake:
    return Mistake("empty-file", "No row is left.", "Check the cut and the file.", ("data",))


def _series(table: pa.Table, column: Sequence[str]) -> tuple[NDArray[np.int64], list[str], list[Mistake]]:
    """The series of each row, and their names in the order in which they occur; '' for the only one."""
    if not column:
        return np.zeros(table.num_rows, np.int64), [""], []
    raw, labels = table_read.texts(table[column[0]])
    if (raw < 0).any():
        row = int(np.flatnonzero(raw < 0)[0])
        return np.empty(0, np.int64), [], [Mistake(
            "no-series-name", f"The series '{column[0]}' in row {row} (counting from 0) has no name.",
            "Give each row the name of its series.", ("data", "series"))]
    found, first = np.unique(raw, return_index=True)
    order = found[np.argsort(first)]
    place = np.empty(len(labels), np.int64)
    place[order] = np.arange(len(order))
    return place[raw], [labels[code] for code in order], []


def _floats(table: pa.Table, columns: Sequence[str]) -> Floats:
    """Columns in double precision (rows, d); NaN for what is missing or infinite."""
    import pyarrow as pa

    if not columns:
        return np.empty((table.num_rows, 0))
    each = [table[name].cast(pa.float64()).to_numpy().astype(np.float64) for name in columns]
    values = np.stack(each, axis=1)
    values[~np.isfinite(values)] = np.nan
    return values


def _placed(name: str, calendar: Calendar, times: Times, values: Mapping[str, Floats]) -> One | Mistake:
    """Rows of one series at their steps, from the first to the last that has a target."""
    positions = calendar.positions(times)
    told = series_time.named(name)
    first, rows = int(positions[0]), int(positions[-1] - positions[0]) + 1
    if rows > MOST_STEPS_A_ROW * len(positions):
        widest = int(np.argmax(np.diff(positions)))
        return Mistake("irregular-times", f"{told} spans {rows} steps of {calendar.words} with {len(positions)} rows; "
                       f"nothing stands between {series_time.told(times[widest])} and "
                       f"{series_time.told(times[widest + 1])}.", "Is a date mistyped?", ("data", "time"))

    def spread(array: Floats) -> Floats:
        made = np.full((rows, array.shape[1]), np.nan)
        made[positions - first] = array
        return made

    target = spread(values["target"])
    seen = np.flatnonzero(np.isfinite(target).any(axis=1))
    if not len(seen):
        return Mistake("no-values", f"{told} has no value of the target at any time.",
                       "Leave it out with a cut, or check the column.", ("data", "target"))
    one = One(name, first, int(seen[-1]) + 1, target, spread(values["known_future"]), spread(values["past"]))
    return one.cut(int(seen[0]))


# ---------------------------------------------------------------- gaps

def gaps(one: One, names: Mapping[str, Sequence[str]], calendar: Calendar, missing: str) -> list[Mistake]:
    """Values that are missing where they are needed, of the target and of covariates, told once for each column:
    ``gap``, or ``covariate-ends`` where a covariate stops before the target does."""
    mistakes = []
    length = one.length
    for role, array in (("target", one.target), ("known_future", one.known), ("past", one.past)):
        for j, name in enumerate(names[role]):
            there = np.isfinite(array[:length, j])
            if there.all():
                continue
            last = int(np.flatnonzero(there)[-1]) if there.any() else -1
            if role != "target" and last < length - 1:
                mistakes.append(ends_early(one, role, name, calendar, last + 1, length))
            elif missing == "error":
                mistakes.append(_gap(one, role, name, calendar, np.flatnonzero(~there)))
    return mistakes


def ends_early(one: One, role: str, name: str, calendar: Calendar, first: int, needed: int) -> Mistake:
    """``covariate-ends`` for a covariate without a value from step ``first`` on that is needed up to ``needed``."""
    at, end = calendar.labels(np.array([one.first + first, one.first + needed - 1]))
    whose = f" of series '{one.name}'" if one.name else ""
    return Mistake(
        "covariate-ends", f"The covariate '{name}'{whose} ends too early: it has no value from {at} on, and is needed "
        f"up to {end}.", "Give its values, or leave the column out." if role == "past" else
        "What is known ahead is needed over the whole horizon: give its values, or name the column under 'past'.",
        ("data", role))


def _gap(one: One, role: str, name: str, calendar: Calendar, where: NDArray[np.int64]) -> Mistake:
    first = calendar.labels(np.array([one.first + int(where[0])]))[0]
    whose = f"Series '{one.name}' has" if one.name else "There is"
    more = f", and at {len(where) - 1} other time{'s' * (len(where) > 2)}" if len(where) > 1 else ""
    return Mistake("gap", f"{whose} no value of '{name}' at {first}{more}.",
                   "Fill it in, or say 'missing: linear' or 'missing: previous' under data.", ("data", role))


def filled(array: Floats, how: str) -> Floats:
    """Columns (T, d) without gaps: on a line between neighbours or with the last value; before the first value its
    own."""
    made = array.copy()
    steps = np.arange(len(array))
    for column in made.T:
        there = np.flatnonzero(np.isfinite(column))
        if not len(there) or len(there) == len(column):
            continue
        if how == "previous":
            before = np.maximum(0, np.searchsorted(there, steps, side="right") - 1)
            column[:] = column[there[before]]
        else:
            column[:] = np.interp(steps, there, column[there])
    return made
