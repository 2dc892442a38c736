"""Series from files to memory-mapped arrays, and the windows that forecasts are made on.

Takes ``data`` and ``forecast`` of a recipe; :func:`look` says what is there, :func:`prepare` writes the arrays,
:func:`load` opens them, :func:`read_new` reads what to forecast from. Reading files is :mod:`automl_phys.series_read`'s
work, times ``series_time``'s, finding a season ``season``'s; ``series_problem`` is what comes out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import rundir, season, series_read, table_files, table_new, table_read, table_roles
from automl_phys.errors import DataError, Mistake
from automl_phys.exhibits import Table
from automl_phys.facts import Facts
from automl_phys.season import Season
from automl_phys.series_problem import CONTEXT, Panel, Schema, SeriesProblem, Stored, Windows, cuts, load
from automl_phys.series_read import One, filled
from automl_phys.series_time import Calendar, named, names_of
from automl_phys.table_files import Files
from automl_phys.table_problem import DESCRIPTION
from automl_phys.table_view import CUT
from automl_phys.telling import Tell, nobody
from automl_phys.values import Part, to_json

if TYPE_CHECKING:
    from automl_phys.series_sections import Forecast, SeriesData

__all__ = ["NewWindows", "SeriesProblem", "Windows", "fingerprint", "load", "look", "prepare", "read_new"]

LAYOUT_VERSION = 1
"""Raised when the same inputs would be stored otherwise than before."""
SHOWN = 12
"""Series that are listed one by one."""
MOST_BEFORE = 400
"""Windows since the training that are judged by what came, of all series together; one of each at least."""


@dataclass(frozen=True)
class NewWindows(Windows):
    """One forecast for each series of new data, behind its last value: the first ``asked`` windows. Those after them
    lie between the end of the training and that value, at the distances of the test windows: what came of them is known
    and tells how far off forecasts have been since. ``names`` are those of the series, ``notes`` say what is worth
    knowing."""

    names: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    asked: int = 0


@dataclass(frozen=True)
class Survey:
    """All that is known of series in files, their gaps not yet filled."""

    files: Files
    file_rows: tuple[int, ...]
    series: tuple[One, ...]
    calendar: Calendar
    season: Season
    notes: tuple[str, ...]


def look(data: SeriesData, forecast: Forecast, folder: Path, tell: Tell = nobody) -> Facts:
    """Facts from reading all rows; paths are relative to ``folder``. Raises DataError with all mistakes."""
    return _facts(data, forecast, _survey(data, forecast, folder, tell))


def prepare(data: SeriesData, forecast: Forecast, folder: Path, target: Path, seed: int, settings: Mapping[str, Any],
            tell: Tell = nobody) -> SeriesProblem:
    """Read, check, fill gaps, standardise covariates, and write the arrays into ``target``, which is replaced whole or
    not at all. Raises DataError with all mistakes, RunError when the place cannot be written."""
    seen = _survey(data, forecast, folder, tell)
    used = table_read.used(seen.files, seen.file_rows)
    ends = [_origins(one.length, forecast)[0] for one in seen.series]
    centre, width = _standard(seen.series, ends)
    schema = Schema(
        data.time, data.targets, data.series or "", tuple(one.name for one in seen.series), data.known_future,
        data.past, tuple(centre.tolist()), tuple(width.tolist()), data.missing, seen.calendar, seen.season.steps,
        forecast.horizon, forecast.windows, forecast.apart, forecast.valid, settings, seen.files.view)
    panel = _panel(seen.series, schema)
    with rundir.whole_folder(target) as draft:
        for name in ("target", "observed", "known", "past", "phases", "position"):
            np.save(draft / f"{name}.npy", getattr(panel, name))
        digest = _hash(data, forecast, [file.sha256 for file in used], seed, settings)
        lengths = tuple(one.length for one in seen.series)
        rundir.write_json(draft / DESCRIPTION, Stored(digest, schema, _facts(data, forecast, seen), used, lengths))
    return load(target)


def fingerprint(data: SeriesData, forecast: Forecast, folder: Path, seed: int, settings: Mapping[str, Any],
                tell: Tell = nobody) -> str:
    """Hash of all that decides prepared series. Reads the files' bytes. Raises DataError when they cannot be found."""
    return _hash(data, forecast, table_read.digests(table_files.of_recipe(data, folder, tell)), seed, settings)


def read_new(problem: SeriesProblem, path: Path, tell: Tell = nobody) -> NewWindows:
    """One window behind the last value of each series in the file or glob ``path``, and those before it since the
    training's end.

    A series that the training knows goes on from its history: what the new data say of a time takes the place of what
    was known of it. Raises DataError with all mistakes.
    """
    schema = problem.schema
    files = table_new.find(schema.view, path, tell)
    columns = _columns(schema)
    mistakes = series_read.wrong_columns(columns, files, "")
    if mistakes:
        raise DataError([replace(m, key=()) for m in mistakes])
    read, _, mistakes, _ = series_read.read(files, columns, schema.calendar)
    notes = list(table_new.uncut(schema.view))
    made = []
    known = {name: code for code, name in enumerate(schema.names, start=1)}
    for one in read:
        joined, note = _continued(problem, one, known.get(one.name, 0) - 1)
        made.append(joined)
        notes += [note] if note else []
        mistakes += series_read.gaps(joined, columns, schema.calendar, schema.missing)
        mistakes += _too_few_covariates(joined, schema)
        if joined.length < CONTEXT:
            mistakes.append(Mistake("too-short", f"{named(one.name)} has {one.length} steps: too few to go on from.",
                                    f"Give {CONTEXT} at least, and as many as the training had, if there are."))
    if mistakes:
        raise DataError([replace(m, key=()) for m in mistakes])
    panel = replace(_panel(made, schema), codes=np.array([known.get(one.name, 0) for one in made], np.int32))
    until = np.array([one.length for one in made], np.int64)
    unknown = [one.name for one in made if one.name not in known]
    if unknown:
        notes.append(f"Not in the training, and forecast by what was learned from others: {names_of(unknown)}.")
    numbers, origins = _since_training(problem, made, [known.get(one.name, 0) - 1 for one in made])
    new = NewWindows(panel, np.append(np.arange(len(made), dtype=np.int32), numbers), np.append(until, origins), until,
                     schema.horizon, schema.season, tuple(one.name for one in made), tuple(notes[:SHOWN]), len(made))
    whole = np.isfinite(new.ahead(0)).all(axis=(1, 2))  # covariates may be missing where a series begins late
    return replace(new, series=new.series[whole], origin=new.origin[whole])


# ---------------------------------------------------------------- what is there

def _survey(data: SeriesData, forecast: Forecast, folder: Path, tell: Tell) -> Survey:
    """Look at series. Raises DataError with all mistakes."""
    files = table_files.of_recipe(data, folder, tell)
    columns = data.columns()
    mistakes = series_read.wrong_columns(columns, files, "data")
    if mistakes:
        raise DataError(mistakes)
    series, calendar, mistakes, file_rows = series_read.read(files, columns)
    if calendar is None or mistakes:
        raise DataError(mistakes)
    for one in series:
        mistakes += series_read.gaps(one, columns, calendar, data.missing)
        mistakes += _wrong_length(one, forecast) or _constant(one, data, forecast)
    if mistakes:
        raise DataError(series_read.few(mistakes))
    found = _season(series, forecast, calendar)
    return Survey(files, file_rows, tuple(series), calendar, found, _notes(data, forecast, files, series, calendar))


def _wrong_length(one: One, forecast: Forecast) -> list[Mistake]:
    """``too-short`` for a series that leaves nothing to learn from, ``season-too-long`` where it is longer than
    that."""
    enough = forecast.horizon + CONTEXT
    until, _ = _origins(one.length, forecast)
    if until < enough:
        least = one.length
        while _origins(least, forecast)[0] < enough:
            least += 1
        remedy = "Ask for a shorter horizon or fewer windows" + (", or leave the series out with a cut." if one.name
                                                                 else ".")
        return [Mistake("too-short", f"{named(one.name)} has {one.length} steps. A horizon of {forecast.horizon} steps "
                        f"and {forecast.windows} window{'s' * (forecast.windows > 1)} to judge it by take {least} at "
                        "least.", remedy, ("forecast", "horizon"))]
    if isinstance(forecast.season, int) and 2 * forecast.season > until:
        return [Mistake("season-too-long", f"{named(one.name)} has {until} steps to learn from, which is not two "
                        f"seasons of {forecast.season}.", "Give a shorter season, or 'season: none'.",
                        ("forecast", "season"))]
    return []


def _origins(steps: int, forecast: Forecast) -> tuple[int, int]:
    """The first validation and the first test origin of a series of so many steps."""
    return cuts(steps, forecast.horizon, forecast.windows, forecast.apart, forecast.valid)


def _constant(one: One, data: SeriesData, forecast: Forecast) -> list[Mistake]:
    """``constant-series`` for targets that have one value at all steps to learn from."""
    until, _ = _origins(one.length, forecast)
    mistakes = []
    for j, name in enumerate(data.targets):
        values = one.target[:until, j]
        values = values[np.isfinite(values)]
        if not len(values) or values.min() == values.max():
            what = f"'{name}' is {values[0]:g} at every step" if len(values) else f"'{name}' has no value"
            mistakes.append(Mistake("constant-series", f"{named(one.name)}: {what} that is learned from.",
                                    "There is nothing to forecast: leave it out.", ("data", "target")))
    return mistakes


def _season(series: Sequence[One], forecast: Forecast, calendar: Calendar) -> Season:
    if forecast.season == "none":
        return Season(1, "No season, as the recipe says.")
    if isinstance(forecast.season, int):
        return Season(forecast.season, f"The season is {forecast.season} steps ({calendar.span(forecast.season)}), as "
                      "the recipe says.")
    values = [filled(one.target[:_origins(one.length, forecast)[0]], "linear")[:, 0] for one in series]
    return season.find(values, calendar.natural_seasons)


def _notes(data: SeriesData, forecast: Forecast, files: Files, series: Sequence[One], calendar: Calendar
           ) -> tuple[str, ...]:
    steps = sum(one.length for one in series)
    notes = [f"{steps} steps of {calendar.words}" + (f" in {len(series)} series." if data.series else ".")]
    used = {name for names in data.columns().values() for name in names} | {CUT}
    rest = [name for name in files.header.columns if name not in used]
    if rest:
        notes.append(f"Not used: {table_roles.listed(rest)}; 'known_future' or 'past' take columns in.")
    gaps = sum(int((~np.isfinite(one.target[:one.length])).sum()) for one in series)
    if gaps:
        notes.append(f"{gaps} gaps in the target are filled ({data.missing}); no forecast is judged by what is filled "
                     "in.")
    blind = [one.name for one in series if data.known_future and
             not np.isfinite(_padded(one.known, one.length + forecast.horizon)[one.length:]).all()]
    if blind:
        which = f"{len(blind)} of {len(series)} series are" if data.series else "The series is"
        notes.append(f"{which} judged, but not forecast beyond the end: what is known ahead is not there for the "
                     f"{forecast.horizon} steps behind it.")
    longest = max(series, key=lambda one: one.length)
    _, end = _origins(longest.length, forecast)
    first = calendar.labels(np.array([longest.first + end]))[0]
    notes.append(f"Test: {forecast.windows} window{'s' * (forecast.windows > 1)} of {forecast.horizon} steps "
                 f"({calendar.span(forecast.horizon)}), {forecast.apart} apart, the first from {first} on.")
    return tuple(notes)


def _facts(data: SeriesData, forecast: Forecast, seen: Survey) -> Facts:
    horizon = forecast.horizon
    first, end = np.array([_origins(one.length, forecast) for one in seen.series]).T
    phases = seen.calendar.phases(np.zeros(1, np.int64), seen.season.steps).shape[1]
    targets, known, past = len(data.targets), len(data.known_future), len(data.past)
    rows: dict[Part, int] = {
        "train": int((first - horizon + 1 - CONTEXT).clip(1).sum()), "valid": int((end - first - horizon + 1).sum()),
        "test": len(seen.series) * forecast.windows}
    positive = all(np.nanmin(one.target[:until]) >= 0 for one, until in zip(seen.series, first, strict=True))
    sizes = {"numbers": targets + known + past, "categories": 0, "outputs": horizon * targets, "folds": 0,
             "targets": targets, "series": len(seen.series), "horizon": horizon, "season": seen.season.steps,
             "known": known, "past": past, "phases": phases, "steps": int(first.sum()), "longest": int(first.max()),
             "shortest": int(first.min()), "positive": int(positive)}
    return Facts("series", rows, sizes, (_roles(data), _listed(seen)), (*seen.notes, seen.season.reason))


def _roles(data: SeriesData) -> Table:
    rows = tuple((role.replace("_", " "), len(names), table_roles.listed(names))
                 for role, names in data.columns().items() if names)
    return Table("Columns", ("role", "columns", "names"), rows)


def _listed(seen: Survey) -> Table:
    rows: list[tuple[str | int, ...]] = []
    for one in seen.series[:SHOWN]:
        begin, end = seen.calendar.labels(np.array([one.first, one.first + one.length - 1]))
        gaps = int((~np.isfinite(one.target[:one.length])).sum())
        rows.append((one.name or "the series", one.length, begin, end, gaps))
    more = f"and {len(seen.series) - SHOWN} more" if len(seen.series) > SHOWN else ""
    return Table("Series", ("series", "steps", "from", "to", "gaps"), tuple(rows), more)


# ---------------------------------------------------------------- arrays

def _standard(series: Sequence[One], ends: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and width (K + P,) of the covariates over the steps to learn from."""
    learned = [np.concatenate([one.known[:end], one.past[:end]], axis=1) for one, end in zip(series, ends, strict=True)]
    every = np.concatenate(learned)
    if not every.shape[1]:
        return np.empty(0), np.empty(0)
    width = np.nanstd(every, axis=0)
    return np.nanmean(every, axis=0), np.where(width > 0, width, 1.0)


def _panel(series: Sequence[One], schema: Schema) -> Panel:
    """Series one after the other, gaps filled, covariates standardised, each with room for a horizon behind it."""
    horizon, known = schema.horizon, len(schema.known)
    centre, width = np.array(schema.centre), np.array(schema.width)
    made: dict[str, list[Any]] = {name: [] for name in ("target", "observed", "known", "past", "position")}
    for one in series:
        rooms = one.length + horizon
        target = one.target[:one.length]
        made["target"].append(_padded(filled(target, schema.missing), rooms))
        made["observed"].append(np.isfinite(_padded(target, rooms)))
        ahead = _known(one, schema)
        made["known"].append(((_padded(ahead, rooms) - centre[:known]) / width[:known]).astype(np.float32))
        past = filled(one.past[:one.length], "previous")  # a line would know what comes after a gap
        made["past"].append(((_padded(past, rooms) - centre[known:]) / width[known:]).astype(np.float32))
        made["position"].append(one.first + np.arange(rooms))
    length = np.array([one.length for one in series], np.int64)
    joined = {name: np.concatenate(arrays) for name, arrays in made.items()}
    phases = schema.calendar.phases(joined["position"], schema.season)
    return Panel(**joined, phases=phases, start=np.cumsum(length + horizon) - length - horizon, length=length,
                 codes=np.arange(1, len(length) + 1, dtype=np.int32))


def _known(one: One, schema: Schema) -> NDArray[np.float64]:
    """What is known ahead, gaps filled up to the last value that is there."""
    made = one.known[:one.length + schema.horizon].copy()
    for j in range(made.shape[1]):
        there = np.flatnonzero(np.isfinite(made[:, j]))
        if len(there):
            upto = slice(0, int(there[-1]) + 1)
            made[upto, j:j + 1] = filled(made[upto, j:j + 1], schema.missing)
    return made


def _padded(array: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Rows of NaN behind an array, up to ``rows``."""
    made = np.full((rows, array.shape[1]), np.nan)
    made[:len(array)] = array[:rows]
    return made


# ---------------------------------------------------------------- new data

def _columns(schema: Schema) -> dict[str, tuple[str, ...]]:
    return {"time": (schema.time,), "series": (schema.series,) if schema.series else (), "target": schema.target,
            "known_future": schema.known, "past": schema.past}


def _continued(problem: SeriesProblem, new: One, series: int) -> tuple[One, str]:
    """A series of new data behind the history that the training knows of it as ``series``, -1 for none, and a note on
    that."""
    schema, panel = problem.schema, problem.panel
    if series < 0:
        return new, ""
    begin, length = int(panel.start[series]), int(panel.length[series])
    first = int(panel.position[begin])
    before = min(new.first - first, length)
    if before <= 0:
        return new, ""
    rows = slice(begin, begin + before)
    centre, width, K = np.array(schema.centre), np.array(schema.width), len(schema.known)
    empty = max(0, new.first - first - length)  # steps that nobody knows of: gaps

    def joined(old: NDArray[Any], behind: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([old.astype(np.float64), np.full((empty, behind.shape[1]), np.nan), behind])

    target = joined(np.where(panel.observed[rows], panel.target[rows], np.nan), new.target)
    ahead = joined(panel.known[rows] * width[:K] + centre[:K], new.known)
    past = joined(panel.past[rows] * width[K:] + centre[K:], new.past)
    last = schema.calendar.labels(np.array([first + before - 1]))[0]
    note = f"{named(new.name)} goes on from the training's history, which is used up to {last}."
    return One(new.name, first, before + empty + new.length, target, ahead, past), note


def _since_training(problem: SeriesProblem, made: Sequence[One], series: Sequence[int]
                    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Windows by which forecasts since the end of the training can be judged, the places of their series in ``made``
    and their origins: back from the last value in steps of the test's stride, the latest ones of each series that the
    training knows as ``series``, -1 for none."""
    schema, panel, until = problem.schema, problem.panel, problem.test.until
    most = max(1, min(MOST_BEFORE, problem.most) // max(1, len(made)))
    numbers: list[Sequence[int]] = []
    origins: list[NDArray[np.int64]] = []
    for number, (one, other) in enumerate(zip(made, series, strict=True)):
        if other < 0:
            continue
        first = int(panel.position[panel.start[other]] + until[other]) - one.first
        before = np.arange(one.length - schema.stride, max(first, CONTEXT) - 1, -schema.stride)[:most][::-1]
        numbers.append([number] * len(before))
        origins.append(before)
    return np.array([*chain(*numbers)], np.int32), np.array([*chain(*origins)], np.int64)


def _too_few_covariates(one: One, schema: Schema) -> list[Mistake]:
    """``covariate-ends`` for what is known ahead and is not given over the whole horizon."""
    rooms = one.length + schema.horizon
    ahead = _padded(one.known[:rooms], rooms)[one.length:]
    mistakes = []
    for j, name in enumerate(schema.known):
        absent = np.flatnonzero(~np.isfinite(ahead[:, j]))
        if len(absent):
            first = one.length + int(absent[0])
            mistakes.append(series_read.ends_early(one, "known_future", name, schema.calendar, first, rooms))
    return mistakes


def _hash(data: SeriesData, forecast: Forecast, digests: Sequence[str], seed: int, settings: Mapping[str, Any]) -> str:
    told = data.model_dump(exclude={"path", "url", "sha256", "builtin"})
    labels = list(data.path) if isinstance(data.path, dict) else []
    decided = {"version": LAYOUT_VERSION, "seed": seed, "files": list(digests), "labels": labels, **told,
               "forecast": forecast.model_dump(), "settings": settings}
    return hashlib.sha256(json.dumps(to_json(decided), default=str).encode()).hexdigest()
