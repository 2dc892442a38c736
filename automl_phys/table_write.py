"""Writing a prepared table: the features into memory-mapped arrays, chunk by chunk, gaps treated, codes given.

Takes the columns' roles, the rows in the order in which they are stored, and an empty folder; gives what the arrays
mean. Fits what must be fitted (medians, levels, which columns are constant) on the training rows alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import rundir, table_read, table_roles
from automl_phys.errors import Mistake
from automl_phys.table_problem import CARRIED, Schema
from automl_phys.table_read import Files
from automl_phys.table_roles import Roles
from automl_phys.table_survey import Layout, Survey, gaps

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_ROWS = 1 << 18


@dataclass
class Tally:
    """What reading the features told, column by column, numbers first. ``low`` and ``high`` are of training numbers.

    ``codes`` maps the values of each categorical feature, as text, to the codes used while writing.
    """

    missing: NDArray[np.int64]
    first: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    codes: tuple[dict[str, int], ...]


@dataclass(frozen=True)
class Written:
    """What the feature arrays in a folder mean, in the terms of ``table_problem.Features``; ``constant`` features are
    left out of them."""

    numbers: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    medians: Mapping[str, float]
    indicators: tuple[str, ...]
    constant: tuple[str, ...]


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder beside ``target`` that takes its place when the block ends well, and is removed when it does not.

    Raises RunError when the disk is full or the place not writable.
    """
    draft = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # left by a process that was killed
        draft.mkdir(parents=True)
        yield draft
        for file in draft.iterdir():
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
        if target.exists():
            shutil.rmtree(target)
        draft.rename(target)
    except OSError as error:
        raise rundir.disk_error(error, target) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def wrong_features(roles: Roles, missing: str, tally: Tally) -> list[Mistake]:
    """``not-finite`` under ``missing: error``, and ``constant-features`` when no feature varies."""
    names = roles.numbers + roles.categories
    mistakes = []
    if missing == "error" and tally.missing.any():
        told = [f"'{name}' ({n}, the first in row {row})"
                for name, n, row in zip(names, tally.missing, tally.first, strict=True) if n]
        mistakes.append(Mistake(
            "not-finite", f"Values are missing, NaN or infinite in {table_roles.listed(told)}.",
            "Correct them, or choose 'missing: median', 'indicator' or 'drop'.", ("data", "missing")))
    if names and not (tally.low < tally.high).any() and not any(len(codes) > 1 for codes in tally.codes):
        mistakes.append(Mistake("constant-features", f"Every feature has one value only: {table_roles.listed(names)}.",
                                "There is nothing to learn from them: give other features.", ("data", "features")))
    return mistakes


def stored_places(order: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Where each of the data's rows is stored (rows,), given the row in each stored place; -1 where it is not."""
    places = np.full(rows, -1)
    places[order] = np.arange(len(order))
    return places


def read_features(files: Files, roles: Roles, places: NDArray[np.int64], n_train: int,
                  numbers: NDArray[np.float32] | None = None, categories: NDArray[np.int32] | None = None) -> Tally:
    """Read every feature once, chunk by chunk; into ``numbers`` (n, d) and ``categories`` (n, c) if these are given.

    ``places`` (rows of the data,) say where a row is stored, -1 for one that is not; the first ``n_train`` places are
    the training rows. A gap is NaN, or code -1.
    """
    n_numbers, n_features = len(roles.numbers), len(roles.numbers) + len(roles.categories)
    tally = Tally(np.zeros(n_features, np.int64), np.full(n_features, -1), np.full(n_numbers, np.inf, np.float32),
                  np.full(n_numbers, -np.inf, np.float32), tuple({} for _ in roles.categories))
    start = 0
    for _, chunk in table_read.chunks(files, roles.numbers + roles.categories):
        at = places[start:start + chunk.num_rows]
        kept, train = at >= 0, (at >= 0) & (at < n_train)
        values = table_read.floats(chunk, roles.numbers)
        number_gaps, category_gaps = gaps(chunk, roles, values)
        empty = np.concatenate([number_gaps, category_gaps], axis=1) & kept[:, None]
        fresh = (tally.first < 0) & empty.any(0)
        tally.first[fresh] = start + empty[:, fresh].argmax(0)
        tally.missing += empty.sum(0)
        values[number_gaps] = np.nan
        if n_numbers:
            tally.low = np.fmin(tally.low, np.fmin.reduce(values[train], axis=0, initial=np.inf))
            tally.high = np.fmax(tally.high, np.fmax.reduce(values[train], axis=0, initial=-np.inf))
        if numbers is not None:
            numbers[at[kept]] = values[kept]
        for j, name in enumerate(roles.categories):
            local, texts = table_read.texts(chunk[name])
            recode = np.full(len(texts) + 1, -1, np.int32)  # code -1, no value, picks the last
            for code in np.unique(local[kept & (local >= 0)]):
                recode[code] = tally.codes[j].setdefault(texts[code], len(tally.codes[j]))
            if categories is not None:
                categories[at[kept], j] = recode[local][kept]
        start += chunk.num_rows
    return tally


def allocate(path: Path, shape: Sequence[int], kind: type[np.generic]) -> NDArray[Any]:
    """A new array, on disk and mapped unless it is empty.

    Its blocks are reserved, so that a full disk is an error here rather than a crash while the mapping is written.
    """
    if 0 in shape:
        return np.empty(shape, kind)
    array = np.lib.format.open_memmap(path, "w+", np.dtype(kind), tuple(shape))
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as handle:
            os.posix_fallocate(handle.fileno(), 0, path.stat().st_size)
    return array


def finish_numbers(
    folder: Path, raw: NDArray[np.float32], names: Sequence[str], tally: Tally, missing: str, n_train: int,
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, float]]:
    """Write ``numbers.npy`` from ``raw`` (n, d), gaps being NaN.

    Gives the features that vary, those that got an indicator, and, under ``median`` and ``indicator``, the medians.
    """
    varying = [j for j in range(len(names)) if tally.low[j] < tally.high[j]]
    medians: dict[str, float] = {}
    indicated: list[int] = []
    if missing in {"median", "indicator"}:
        medians = {names[j]: float(np.nanmedian(raw[:n_train, j])) for j in varying}
    if missing == "indicator":
        indicated = [j for j in varying if np.isnan(raw[:n_train, j]).any()]
    kept = tuple(names[j] for j in varying)
    if varying:
        target = allocate(folder / "numbers.npy", (len(raw), len(varying) + len(indicated)), np.float32)
        for start in range(0, len(raw), BLOCK_ROWS):
            block = raw[start:start + BLOCK_ROWS]
            target[start:start + BLOCK_ROWS] = fill(block[:, varying], kept, medians, np.isnan(block[:, indicated]))
    return kept, tuple(names[j] for j in indicated), medians


def fill(values: NDArray[np.float32], names: Sequence[str], medians: Mapping[str, float],
         indicators: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Numbers (n, d) with the medians in place of NaN, and the indicators (n, i) as further columns of 0 and 1."""
    if medians:
        values = np.where(np.isnan(values), np.array([medians[name] for name in names], np.float32), values)
    return np.concatenate([values, indicators], axis=1, dtype=np.float32) if indicators.size else values


def finish_categories(
    folder: Path, raw: NDArray[np.int32], names: Sequence[str], tally: Tally, n_train: int
) -> dict[str, tuple[str, ...]]:
    """Write ``categories.npy`` from ``raw`` (n, c); gives the levels of the features that vary in training rows."""
    levels: dict[str, tuple[str, ...]] = {}
    columns = []
    for j, name in enumerate(names):
        texts = list(tally.codes[j])
        seen = np.unique(raw[:n_train, j])
        if len(seen) < 2:
            continue
        levels[name] = tuple(sorted(texts[code] for code in seen if code >= 0))
        columns.append(recoded(raw[:, j], texts, levels[name]))
    if columns:
        target = allocate(folder / "categories.npy", (len(raw), len(columns)), np.int32)
        for j, column in enumerate(columns):
            target[:, j] = column
    return levels


def recoded(codes: NDArray[np.int32], texts: Sequence[str], levels: Sequence[str]) -> NDArray[np.int32]:
    """Codes into ``texts`` (n,) as codes into ``levels``, which start at 1; 0 where a value is missing or unknown."""
    position = {level: i for i, level in enumerate(levels, 1)}
    return np.array([position.get(text, 0) for text in texts] + [0], np.int32)[codes]


def write_features(
    files: Files, roles: Roles, order: NDArray[np.int64], rows: int, n_train: int, missing: str, folder: Path
) -> tuple[Written, Tally, list[Mistake]]:
    """Write ``numbers.npy`` and ``categories.npy`` into ``folder``: of ``rows`` rows those in ``order``, in this order.

    Gives what the arrays mean, what reading told, and mistakes.
    """
    raw_numbers, raw_categories = folder / "raw_numbers.npy", folder / "raw_categories.npy"
    numbers = allocate(raw_numbers, (len(order), len(roles.numbers)), np.float32)
    categories = allocate(raw_categories, (len(order), len(roles.categories)), np.int32)
    tally = read_features(files, roles, stored_places(order, rows), n_train, numbers, categories)
    features, indicated, medians = finish_numbers(folder, numbers, roles.numbers, tally, missing, n_train)
    levels = finish_categories(folder, categories, roles.categories, tally, n_train)
    for raw in (raw_numbers, raw_categories):
        raw.unlink(missing_ok=True)
    constant = tuple(c for c in roles.numbers + roles.categories if c not in features and c not in levels)
    names = (*features, *indicator_names(indicated, features))
    return Written(names, levels, medians, indicated, constant), tally, wrong_features(roles, missing, tally)


def write(seen: Survey, layout: Layout, missing: str, folder: Path) -> tuple[Schema, list[str], list[Mistake]]:
    """Write the arrays of a table into ``folder``. Gives schema, notes on features that were dropped, and mistakes."""
    roles, order, n_train = seen.roles, layout.order, layout.rows["train"]
    made, _, mistakes = write_features(seen.files, roles, order, sum(seen.file_rows), n_train, missing, folder)
    factor = _write_keys(seen, layout, folder)
    write_carried(seen.files, roles.spectators, order, folder)
    schema = Schema(
        numbers=made.numbers, levels=made.levels, target=roles.single["target"], classes=seen.classes.names,
        signal=seen.classes.signal, weight=roles.single.get("weight"), spectators=roles.spectators, missing=missing,
        medians=made.medians, labels=seen.classes.codes, indicators=made.indicators, weight_factor=factor)
    constant = table_roles.listed(made.constant)
    return schema, [f"Dropped, being constant in the training rows: {constant}."] if constant else [], mistakes


def indicator_names(features: Sequence[str], taken: Sequence[str]) -> tuple[str, ...]:
    """``pt_missing`` for ``pt``, lengthened where the data have a column of that name."""
    names = []
    for feature in features:
        name = f"{feature}_missing"
        while name in taken:
            name += "_"
        names.append(name)
    return tuple(names)


def _write_keys(seen: Survey, layout: Layout, folder: Path) -> float:
    """Write target, weight and groups; gives the factor that makes the mean weight of the training rows 1."""
    order = layout.order
    weight = np.ones(len(order)) if seen.weight is None else seen.weight[order]
    factor = 1.0 if seen.weight is None else float(1 / weight[: layout.rows["train"]].mean())
    allocate(folder / "target.npy", order.shape, np.int32)[:] = seen.codes[order]
    allocate(folder / "weight.npy", order.shape, np.float32)[:] = weight * factor
    if seen.groups is not None:
        allocate(folder / "groups.npy", order.shape, np.int32)[:] = seen.groups[order]
    return factor


def write_carried(files: Files, spectators: Sequence[str], order: NDArray[np.int64], folder: Path) -> None:
    """Write ``carried.parquet``: where each stored row was in the data, and its spectators."""
    from pyarrow import parquet

    table, _ = table_read.whole(files, spectators)
    parquet.write_table(table_read.carried(table.take(order), spectators, order), folder / CARRIED)


def file(table: pa.Table, target: Path) -> None:
    """Write a table as parquet or, where ``target`` ends so, csv. Raises RunError when the disk refuses."""
    with rundir.atomic(target) as temporary:
        if target.suffix == ".csv":
            from pyarrow import csv

            csv.write_csv(table, temporary)
        else:
            from pyarrow import parquet

            parquet.write_table(table, temporary)
