"""The features of a table into memory-mapped arrays, chunk by chunk: gaps treated, codes given.

Takes files, the columns' roles, the place of each row, and an empty folder; gives what the arrays mean. What must be
fitted (medians, levels, which columns are constant) is fitted on the training rows alone. Chunks are converted and
written in threads while the next ones are read; their order never changes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from automl_phys import table_read, table_roles
from automl_phys.errors import Mistake
from automl_phys.table_files import Files
from automl_phys.table_roles import Roles

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

BLOCK_ROWS = 1 << 16
THREADS = 2
AHEAD = 4
"""Chunks that are read before they are written: what bounds the memory."""
MOST_FOR_MEDIANS = 2_000_000
"""Training rows, spread evenly, that medians are taken of."""


@dataclass(frozen=True)
class Places:
    """Where the rows of the data are stored.

    ``parts`` int8 (rows,) is the slice that each row goes to, -1 for none; slices are stored one after the other with
    ``sizes`` rows, in each of them rows stand as in the data. The first ``train`` slices are the training rows.
    """

    parts: NDArray[np.int8]
    sizes: tuple[int, ...]
    train: int

    @property
    def rows(self) -> int:
        """Rows that are stored."""
        return sum(self.sizes)

    @property
    def train_rows(self) -> int:
        """Rows of the training slices, which are stored first."""
        return sum(self.sizes[: self.train])


@dataclass
class Tally:
    """What reading the features told, column by column, numbers first: gaps, and the row of the first.

    ``low`` and ``high`` bound the training rows' numbers; exactly only where asked for, else they only tell which
    columns vary. ``codes`` maps the values of each categorical feature, as text, to the codes used while writing.
    """

    missing: NDArray[np.int64]
    first: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    codes: tuple[dict[str, int], ...]

    @property
    def varying(self) -> NDArray[np.bool_]:
        """Which numbers vary in the training rows."""
        return self.low < self.high


@dataclass(frozen=True)
class Written:
    """What the feature arrays in a folder mean, in the terms of ``table_problem.Features``; ``constant`` features are
    left out of them."""

    numbers: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    medians: Mapping[str, float]
    indicators: tuple[str, ...]
    constant: tuple[str, ...]


@dataclass(frozen=True)
class Chunk:
    """Some rows of the data. ``picks`` and ``targets`` say which of them go where, one pair for each slice."""

    table: pa.Table
    start: int
    picks: tuple[NDArray[np.int64], ...]
    targets: tuple[slice, ...]


@dataclass
class _Told:
    """What the numbers (d) of a chunk told, in the terms of :class:`Tally`."""

    missing: NDArray[np.int64]
    first: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


def read_features(
    files: Files, roles: Roles, places: Places, numbers: NDArray[np.float32] | None = None,
    categories: NDArray[np.int32] | None = None, extremes: bool = False,
) -> Tally:
    """Read every feature once; into ``numbers`` (n, d) and ``categories`` (n, c) if these are given.

    A gap is stored as NaN, or code -1.
    """
    n_numbers, n_features = len(roles.numbers), len(roles.numbers) + len(roles.categories)
    tally = Tally(np.zeros(n_features, np.int64), np.full(n_features, -1), np.full(n_numbers, np.inf, np.float32),
                  np.full(n_numbers, -np.inf, np.float32), tuple({} for _ in roles.categories))

    if not n_features:
        return tally

    def convert(chunk: Chunk) -> tuple[Chunk, _Told]:
        return chunk, _convert(chunk, roles.numbers, places.train, numbers, extremes or not tally.varying.all())

    for chunk, told in _in_threads(convert, placed(files, roles.numbers + roles.categories, places)):
        _add(told, tally)
        _count_categories(chunk, roles, tally, categories)
    return tally


def _convert(
    chunk: Chunk, names: Sequence[str], train: int, numbers: NDArray[np.float32] | None, extremes: bool
) -> _Told:
    """Write the numbers of a chunk to where they belong, a piece at a time."""
    told = _Told(np.zeros(len(names), np.int64), np.full(len(names), -1), np.full(len(names), np.inf, np.float32),
                 np.full(len(names), -np.inf, np.float32))
    for at, block in table_read.float_blocks(chunk.table, names):
        ends = [np.searchsorted(pick, (at, at + len(block))) for pick in chunk.picks]
        picks = [pick[low:high] - at for pick, (low, high) in zip(chunk.picks, ends, strict=True)]
        values, finite = block, np.isfinite(block)
        if not finite.all():
            values = np.where(finite, block, np.float32(np.nan))
            _count_gaps(~finite, np.concatenate(picks), chunk.start + at, told, slice(None))
        if numbers is not None:
            for pick, target, (low, high) in zip(picks, chunk.targets, ends, strict=True):
                # 'clip', as with 'raise' numpy makes a copy before it writes
                np.take(values, pick, axis=0, out=numbers[target.start + low:target.start + high], mode="clip")
        if extremes:
            of_train = values[np.concatenate(picks[:train])]
            told.low = np.fmin(told.low, np.fmin.reduce(of_train, axis=0, initial=np.inf))
            told.high = np.fmax(told.high, np.fmax.reduce(of_train, axis=0, initial=-np.inf))
    return told


def placed(files: Files, columns: Sequence[str], places: Places) -> Iterator[Chunk]:
    """The named columns of the files in chunks, with the places of their rows."""
    start, free = 0, list(np.cumsum(places.sizes) - places.sizes)
    for _, table in table_read.chunks(files, columns):
        parts = places.parts[start:start + table.num_rows]
        picks = tuple(np.flatnonzero(parts == part) for part in range(len(free)))
        targets = tuple(slice(int(at), int(at) + len(pick)) for at, pick in zip(free, picks, strict=True))
        free = [target.stop for target in targets]
        yield Chunk(table, start, picks, targets)
        start += table.num_rows


def _in_threads(work: Callable[[Chunk], T], calls: Iterator[Chunk]) -> Iterator[T]:
    """The results of ``work`` in order, a few calls at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for call in calls:
                waiting.append(pool.submit(work, call))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _add(told: _Told, tally: Tally) -> None:
    """Add the numbers of a chunk, in the order of the data, to the tally."""
    n = len(told.missing)
    tally.first[:n] = np.where(tally.first[:n] < 0, told.first, tally.first[:n])
    tally.missing[:n] += told.missing
    tally.low, tally.high = np.fmin(tally.low, told.low), np.fmax(tally.high, told.high)


def _count_categories(chunk: Chunk, roles: Roles, tally: Tally, categories: NDArray[np.int32] | None) -> None:
    """Write the categories of a chunk, in the order of the data: codes are given as values come."""
    n_numbers = len(roles.numbers)
    if roles.categories:
        used = np.concatenate(chunk.picks)
    for j, name in enumerate(roles.categories):
        local, texts = table_read.texts(chunk.table[name])
        _count_gaps((local < 0)[:, None], used, chunk.start, tally, slice(n_numbers + j, n_numbers + j + 1))
        recode = np.full(len(texts) + 1, -1, np.int32)  # code -1, no value, picks the last
        for code in np.unique(local[used]):
            if code >= 0:
                recode[code] = tally.codes[j].setdefault(texts[code], len(tally.codes[j]))
        if categories is not None:
            for pick, target in zip(chunk.picks, chunk.targets, strict=True):
                categories[target, j] = recode[local[pick]]


def _count_gaps(
    gaps: NDArray[np.bool_], used: NDArray[np.int64], start: int, tally: Tally | _Told, columns: slice
) -> None:
    gone = gaps[used]
    first = tally.first[columns]
    rows = start + np.where(gone, used[:, None], len(gaps)).min(0, initial=len(gaps))
    tally.first[columns] = np.where((first < 0) & gone.any(0), rows, first)
    tally.missing[columns] += gone.sum(0)


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
    if names and not tally.varying.any() and not any(len(codes) > 1 for codes in tally.codes):
        mistakes.append(Mistake("constant-features", f"Every feature has one value only: {table_roles.listed(names)}.",
                                "There is nothing to learn from them: give other features.", ("data", "features")))
    return mistakes


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


def write_features(
    files: Files, roles: Roles, places: Places, missing: str, folder: Path, extremes: bool = False,
) -> tuple[Written, Tally, list[Mistake]]:
    """Write ``numbers.npy`` and ``categories.npy`` into ``folder``. Gives what the arrays mean, what reading told, and
    mistakes; ``extremes`` as in :func:`read_features`."""
    raw_numbers, raw_categories = folder / "raw_numbers.npy", folder / "raw_categories.npy"
    numbers = allocate(raw_numbers, (places.rows, len(roles.numbers)), np.float32)
    categories = allocate(raw_categories, (places.rows, len(roles.categories)), np.int32)
    tally = read_features(files, roles, places, numbers, categories, extremes)
    mistakes = wrong_features(roles, missing, tally)
    features, indicated, medians = _finish_numbers(folder, raw_numbers, numbers, roles.numbers, tally, missing, places)
    levels = finish_categories(folder, categories, roles.categories, tally, places.train_rows)
    for raw in (raw_numbers, raw_categories):
        raw.unlink(missing_ok=True)
    constant = tuple(c for c in roles.numbers + roles.categories if c not in features and c not in levels)
    names = (*features, *indicator_names(indicated, features))
    return Written(names, levels, medians, indicated, constant), tally, mistakes


def _finish_numbers(
    folder: Path, file: Path, raw: NDArray[np.float32], names: Sequence[str], tally: Tally, missing: str,
    places: Places,
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, float]]:
    """Make ``numbers.npy`` of ``raw`` (n, d), mapped from ``file``, gaps being NaN: as it is, if nothing is to change.

    Gives the features that vary, those that got an indicator, and, under ``median`` and ``indicator``, the medians.
    """
    varying = [int(j) for j in np.flatnonzero(tally.varying)]
    train = raw[: places.train_rows: max(1, places.train_rows // MOST_FOR_MEDIANS)]
    medians: dict[str, float] = {}
    indicated: list[int] = []
    if missing in {"median", "indicator"}:
        medians = {names[j]: float(np.nanmedian(train[:, j])) for j in varying}
    if missing == "indicator":
        indicated = [j for j in varying if np.isnan(raw[: places.train_rows, j]).any()]
    kept = tuple(names[j] for j in varying)
    if len(varying) == len(names) and not indicated and not tally.missing[: len(names)].any():
        if names:
            file.rename(folder / "numbers.npy")
    elif varying:
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


def indicator_names(features: Sequence[str], taken: Sequence[str]) -> tuple[str, ...]:
    """``pt_missing`` for ``pt``, lengthened where the data have a column of that name."""
    names = []
    for feature in features:
        name = f"{feature}_missing"
        while name in taken:
            name += "_"
        names.append(name)
    return tuple(names)
