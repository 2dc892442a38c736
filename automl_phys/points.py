"""Points: tables without labels, all of whose rows are looked at, from files to memory-mapped arrays.

Takes ``data`` of a recipe; :func:`look` says what is there, :func:`prepare` writes the arrays, :func:`load` opens them,
:func:`read_new` reads other data the same way. Files, columns and gaps are the ``table_`` modules' work, as they are
for tables with labels; ``points_scale`` makes the columns alike in scale, ``points_problem`` is what comes out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl_phys import (
    points_scale,
    rundir,
    table_features,
    table_files,
    table_labels,
    table_new,
    table_read,
    table_roles,
    table_survey,
    table_write,
)
from automl_phys.errors import DataError, Mistake
from automl_phys.facts import Facts
from automl_phys.points_problem import NewPoints, Points, PointsProblem, Schema, Stored, load
from automl_phys.points_scale import Columns
from automl_phys.table_features import Places, Tally
from automl_phys.table_files import Files
from automl_phys.table_problem import DESCRIPTION
from automl_phys.table_roles import Roles
from automl_phys.table_view import CUT
from automl_phys.telling import Tell, nobody
from automl_phys.values import to_json

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.sections import PointsData

__all__ = ["NewPoints", "Points", "PointsProblem", "Schema", "fingerprint", "load", "look", "prepare", "read_new"]

LAYOUT_VERSION = 2
"""Raised when the same inputs would be stored otherwise than before."""

FEWEST_ROWS = 10

MOST_LEVELS = 100
"""Values of a categorical feature; each becomes a column."""

MIXER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: multiplied by it, a number's low bits reach the high ones."""


@dataclass(frozen=True)
class Survey:
    """All that is known before the features are read. ``parts`` int8 (rows,) is -1 for rows of the data that are not
    used, else 0, ``truth`` the code of each row of the data (rows,), ``classes`` their names."""

    files: Files
    file_rows: tuple[int, ...]
    roles: Roles
    parts: NDArray[np.int8]
    truth: NDArray[np.int32] | None
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def kept(self) -> NDArray[np.int64]:
        """The rows that are used."""
        return np.flatnonzero(self.parts == 0)

    @property
    def places(self) -> Places:
        """Where they are stored: one after the other."""
        return Places(self.parts, (int((self.parts == 0).sum()),), 1)


def look(data: PointsData, folder: Path, _seed: int, tell: Tell = nobody) -> Facts:
    """Facts from reading every column once, in chunks; paths are relative to ``folder``.

    All that :func:`prepare` says but for the number of repeated rows: constant columns and the scale decide what can be
    planned. Raises DataError with all mistakes.
    """
    seen = _survey(data, folder, tell)
    tally = table_features.read_features(seen.files, seen.roles, seen.places, extremes=True)
    mistakes = [*seen.mistakes, *_wrong_features(seen, data.missing, tally)]
    if mistakes:
        raise DataError(mistakes)
    return _facts(data, seen, tally)


def prepare(data: PointsData, folder: Path, target: Path, seed: int, tell: Tell = nobody) -> PointsProblem:
    """Read, check, scale and write the arrays into ``target``, which is replaced whole or not at all.

    Raises DataError with all mistakes, RunError when the place cannot be written.
    """
    seen = _survey(data, folder, tell)
    used = table_read.used(seen.files, seen.file_rows)
    with rundir.whole_folder(target) as draft:
        made, tally, _ = table_features.write_features(
            seen.files, seen.roles, seen.places, data.missing, draft, extremes=True)
        mistakes = [*seen.mistakes, *_wrong_features(seen, data.missing, tally)]
        if mistakes:
            raise DataError(mistakes)
        facts = _facts(data, seen, tally)
        columns = _columns(draft, made, len(seen.kept))
        scale, _ = _scale(data, tally)
        centre, width = points_scale.fit(columns, scale)
        scaled = table_features.allocate(draft / "scaled.npy", (len(seen.kept), columns.width), np.float32)
        for rows in points_scale.blocks(len(seen.kept)):
            scaled[rows] = points_scale.apply(columns.matrix(rows), centre, width)
        (draft / "categories.npy").unlink(missing_ok=True)
        if seen.truth is not None:
            table_features.allocate(draft / "truth.npy", seen.kept.shape, np.int32)[:] = seen.truth[seen.kept]
        table_write.write_carried(seen.files, seen.roles.spectators, seen.kept, draft)
        schema = Schema(
            numbers=made.numbers, levels=made.levels, spectators=seen.roles.spectators, missing=data.missing,
            medians=made.medians, indicators=made.indicators, scale=scale, centre=tuple(centre.tolist()),
            width=tuple(width.tolist()), truth=seen.roles.single.get("truth"), classes=seen.classes,
            view=seen.files.view)
        facts = replace(facts, notes=(*facts.notes, *_repeated(scaled)))
        digest = _hash(data, [file.sha256 for file in used], seed)
        rundir.write_json(draft / DESCRIPTION, Stored(digest, schema, facts, used))
    return load(target)


def fingerprint(data: PointsData, folder: Path, seed: int, tell: Tell = nobody) -> str:
    """Hash of all that decides prepared points. Reads the files' bytes. Raises DataError when they cannot be found."""
    return _hash(data, table_read.digests(table_files.of_recipe(data, folder, tell)), seed)


def read_new(problem: PointsProblem, path: Path, tell: Tell = nobody) -> NewPoints:
    """Points of the file or glob ``path``, in its order, in the problem's scale; under ``missing: drop`` without those
    that have gaps. A category's unknown value is none of its levels.

    Raises DataError with all of ``missing-column``, ``wrong-type``, ``not-finite``, and what
    :func:`automl_phys.table_read.find` raises.
    """
    schema = problem.schema
    files = table_new.find(schema.view, path, tell)
    mistakes = table_new.wrong_columns(schema, files)
    if mistakes:
        raise DataError(mistakes)
    read, _, gaps = table_new.features(schema, files, [])
    if gaps:
        raise DataError(gaps)
    columns = Columns(read.numbers, read.categories, _counts(schema.levels), len(schema.indicators))
    scaled = np.empty((len(read.rows), columns.width), np.float32)
    for rows in points_scale.blocks(len(scaled)):
        scaled[rows] = points_scale.apply(columns.matrix(rows), schema.centre, schema.width)
    return NewPoints(scaled, read.numbers, read.carried, (*read.notes, *table_new.uncut(schema.view)))


# ---------------------------------------------------------------- what is there

def _survey(data: PointsData, folder: Path, tell: Tell) -> Survey:
    """Look at a table. Raises DataError when its files cannot be read; other mistakes are in the result."""
    files = table_files.of_recipe(data, folder, tell)
    roles, notes, mistakes = table_roles.assign(data, files)
    named = [c for c in roles.single.values() if files.header.columns.get(c, "other") not in table_roles.UNREAD]
    columns, file_rows = table_read.whole(files, [*named, *([CUT] if data.cut else [])])
    rows = sum(file_rows)
    truth: NDArray[np.int32] | None = None
    classes: tuple[str, ...] = ()
    for name in named:  # one, or none
        truth, classes, found = _truth(columns[name], name)
        mistakes += found
        notes.append(f"The truth '{name}' ({len(classes)} classes) is set aside: it scores the clusters at the end, "
                     "and nothing is fitted or chosen by it.")
    if not roles.numbers and roles.categories:
        mistakes.append(Mistake("no-numeric-features", "There is no numeric feature: all are categorical.",
                                "Give numeric columns too: between categories alone there is no distance.",
                                ("data", "features")))
    complete, dropped = table_survey.complete_rows(data.missing, files, roles, rows)
    used = np.ones(rows, np.bool_) if complete is None else complete
    if data.cut:
        used = used & columns[CUT].to_numpy()
        dropped = [f"The cut and the gaps leave {used.sum()} of {rows} rows." if dropped else
                   f"The cut leaves {used.sum()} of {rows} rows."]
    if used.sum() < FEWEST_ROWS:
        left = f" left of {rows}{'' if data.cut else ', where every feature has a value'}" if dropped else ""
        mistakes.append(Mistake("too-few-rows", f"There are {used.sum()} rows{left}.",
                                f"Structure in data takes {FEWEST_ROWS} rows at the very least, and many more to be "
                                "believed.", ("data",)))
    parts = np.where(used, 0, -1).astype(np.int8)
    return Survey(files, file_rows, roles, parts, truth, classes, (*notes, *dropped), tuple(mistakes))


def _truth(column: pa.ChunkedArray, name: str) -> tuple[NDArray[np.int32], tuple[str, ...], list[Mistake]]:
    """The class code of each row (n,), -1 where there is none, the classes' names, and ``too-many-classes``."""
    raw, labels = table_read.texts(column)
    names = sorted((labels[code] for code in np.unique(raw[raw >= 0])), key=table_labels.numbers_first)
    position = {label: code for code, label in enumerate(names)}
    codes = np.array([position.get(label, -1) for label in labels] + [-1], np.int32)[raw]
    if len(names) <= table_labels.MOST_CLASSES:
        return codes, tuple(names), []
    return codes, (), [Mistake(
        "too-many-classes", f"The truth '{name}' has {len(names)} distinct values, such as '{names[0]}'.",
        f"At most {table_labels.MOST_CLASSES} classes are told apart; is this the right column?", ("data", "truth"))]


def _wrong_features(seen: Survey, missing: str, tally: Tally) -> list[Mistake]:
    mistakes = table_features.wrong_features(seen.roles, missing, tally)
    for name, codes in zip(seen.roles.categories, tally.codes, strict=True):
        if len(codes) > MOST_LEVELS:
            mistakes.append(Mistake(
                "too-many-levels", f"The categorical feature '{name}' has {len(codes)} values; each becomes a column.",
                f"Leave it out, or join its values into {MOST_LEVELS} at most.", ("data", "categorical")))
    if not mistakes and seen.roles.numbers and not tally.varying.any():
        mistakes.append(Mistake("no-numeric-features", "Every numeric feature has one value only: "
                                f"{table_roles.listed(seen.roles.numbers)}.",
                                "Give numeric columns that vary: between categories alone there is no distance.",
                                ("data", "features")))
    return mistakes


def _facts(data: PointsData, seen: Survey, tally: Tally) -> Facts:
    varying = tally.varying
    d = len(varying)
    indicators = int((varying & (tally.missing[:d] > 0)).sum()) if data.missing == "indicator" else 0
    levels = {name: len(codes) for name, codes, gaps in zip(seen.roles.categories, tally.codes, tally.missing[d:],
                                                            strict=True) if len(codes) + (gaps > 0) > 1}
    width = int(varying.sum()) + indicators + sum(levels.values())
    constant = [name for name, varies in zip(seen.roles.numbers, varying, strict=True) if not varies]
    constant += [name for name in seen.roles.categories if name not in levels]
    notes = [*seen.notes, _scale(data, tally)[1]]
    if constant:
        notes.append(f"Dropped, being constant: {table_roles.listed(constant)}.")
    if width == 1:
        notes.append("There is one feature only: nothing to reduce, and clusters are the peaks of its distribution.")
    sizes = {"numbers": width, "categories": 0, "outputs": 0, "folds": 0}
    columns = table_roles.shown(seen.roles, seen.files.header.columns)
    return Facts("points", {"train": len(seen.kept)}, sizes, (columns,), tuple(notes))


def _scale(data: PointsData, tally: Tally) -> tuple[str, str]:
    varying = tally.varying
    return points_scale.choose(data.scale, tally.low[varying].astype(float), tally.high[varying].astype(float))


# ---------------------------------------------------------------- what is written

def _columns(folder: Path, made: table_features.Written, rows: int) -> Columns:
    """The arrays that were written, mapped."""
    numbers = np.load(folder / "numbers.npy", mmap_mode="r")
    categories = np.load(folder / "categories.npy", mmap_mode="r") if made.levels else np.empty((rows, 0), np.int32)
    return Columns(numbers, categories, _counts(made.levels), len(made.indicators))


def _counts(levels: Mapping[str, tuple[str, ...]]) -> tuple[int, ...]:
    return tuple(len(names) for names in levels.values())


def _repeated(scaled: NDArray[np.float32]) -> list[str]:
    """A note on rows (n, D) that repeat others, if there are any.

    Rows are compared by 64-bit hashes: their bits, mixed, times random numbers, summed modulo 2^64. In 10^7 rows
    that all differ, two have the same hash with a probability of about 10^-5.
    """
    factors = np.random.default_rng(0).integers(0, 2**63, scaled.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    keys = np.empty(len(scaled), np.uint64)
    for rows in points_scale.blocks(len(scaled)):
        bits = (scaled[rows] + np.float32(0)).view(np.uint32)  # -0 becomes 0
        mixed = bits.astype(np.uint64) * MIXER
        keys[rows] = ((mixed ^ (mixed >> np.uint64(32))) * factors).sum(1)
    repeated = len(keys) - len(np.unique(keys))
    if not repeated:
        return []
    return [f"{repeated} rows repeat the features of another row. They are kept: where they lie the data are denser."]


def _hash(data: PointsData, digests: list[str] | tuple[str, ...], seed: int) -> str:
    told = data.model_dump(exclude={"path", "url", "sha256", "builtin"})
    labels = list(data.path) if isinstance(data.path, dict) else []
    decided = {"version": LAYOUT_VERSION, "seed": seed, "files": list(digests), "labels": labels, **told}
    return hashlib.sha256(json.dumps(to_json(decided), default=str).encode()).hexdigest()
