"""A prepared table: what its columns mean, and its rows as memory-mapped arrays.

Takes the folder that :mod:`automl_phys.table` wrote; gives rows by part, as families take them, and resamples that
share the arrays on disk. In the folder:

- ``problem.json``: :class:`Stored`
- ``numbers.npy`` float32 (n, d), ``categories.npy`` int32 (n, c), ``target.npy`` int32 (n,) or float32 (n, t),
  ``weight.npy`` float32 (n,), ``unsigned.npy`` float32 (n,) where weights are negative, ``groups.npy`` int32 (n,):
  rows in stored order, train, valid, test one after the other (with folds: fold by fold, the last fold being valid,
  then test), in each as in the files; arrays without columns are left out
- ``images.npy`` (n, h, w, c) of the type that the files have, where the table has a column of images
- ``tokens.npy`` int32 (n, L), where it has one of texts
- ``carried.parquet``: ``row``, the position in the data as read, counting from 0, and the spectators, in stored order
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl_phys import arrays, pixels, rundir, table_split
from automl_phys.facts import Facts
from automl_phys.table_files import Used
from automl_phys.table_view import View
from automl_phys.values import Part

if TYPE_CHECKING:
    import pyarrow as pa

Pick: TypeAlias = "slice | NDArray[np.int64]"
"""Some of the stored rows: a slice stays a view of the mapped file, positions are copied when asked for."""

BLOCK_ROWS = 1 << 17

MOST_WORD_COLUMNS = 2000
"""Words, the most frequent ones, whose counts make columns."""

DESCRIPTION = "problem.json"
CARRIED = "carried.parquet"


class Features(Protocol):
    """What a schema knows for reading the features of other data as those of its own were read."""

    @property
    def features(self) -> tuple[str, ...]: ...
    @property
    def levels(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def medians(self) -> Mapping[str, float]: ...
    @property
    def indicators(self) -> tuple[str, ...]: ...
    @property
    def missing(self) -> str: ...
    @property
    def spectators(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Image:
    """The column of images: ``height``, ``width`` and ``channels`` as stored, the last axis being the channels; in the
    files the first one is, where ``channels_first``. ``kind`` is their type: uint8 or float32."""

    column: str
    height: int
    width: int
    channels: int
    kind: str
    channels_first: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


@dataclass(frozen=True)
class Texts:
    """The column of texts, its words as codes: 0 fills up to ``length``, 1 is a word that is not among ``words``, which
    begin with 2."""

    column: str
    words: tuple[str, ...]
    length: int


@dataclass(frozen=True)
class Schema:
    """What the columns of a prepared table mean; enough to read new data the same way.

    ``target`` are the columns to predict, one where they are classes. ``view`` says which columns are made of those of
    the files, ``settings`` is the task's own.

    ``numbers`` are the columns of ``Rows.numbers``: first the numeric features, then for each of ``indicators`` a
    column that is 1 where that feature had no value. ``levels`` maps a categorical feature to its values in the order
    of their codes, which start at 1: code 0 is a value that the training rows did not have. ``classes`` are the names
    of the target's codes 0, 1, …; ``labels`` maps a raw label, as text, to its code. A stored weight is the file's
    times ``weight_factor``. ``medians`` are those of the training rows. ``image`` and ``texts`` are the columns of
    images and of texts, where there are any.
    """

    numbers: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    target: tuple[str, ...]
    classes: tuple[str, ...]
    signal: int | None
    weight: str | None
    spectators: tuple[str, ...]
    missing: str
    medians: Mapping[str, float]
    labels: Mapping[str, int]
    indicators: tuple[str, ...] = ()
    weight_factor: float = 1.0
    view: View = field(default_factory=View)
    settings: Mapping[str, Any] = field(default_factory=dict)
    image: Image | None = None
    texts: Texts | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The numeric features as they stand in the file."""
        return self.numbers[: len(self.numbers) - len(self.indicators)]


@dataclass(frozen=True)
class Stored:
    """A prepared table's description on disk. ``folds`` are the ends of the folds in train and valid, if it has any."""

    fingerprint: str
    schema: Schema
    facts: Facts
    files: tuple[Used, ...]
    folds: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """Rows as families take them.

    ``numbers`` is float32 (n, d), ``categories`` int32 codes (n, c), ``target`` int32 class codes (n,) or float32
    amounts (n, t) (empty for new data without a target), ``weight`` float32 (n,), its mean over the training rows 1,
    which may be negative: what counts in scores and histograms. ``signal`` is the class code that metrics look for.
    ``unsigned`` holds, where there are negative weights, those to fit with instead. ``images`` (n, h, w, c), uint8 or
    float32, and ``tokens`` int32 (n, L), codes of words, are there where the table has such a column.
    """

    numbers: NDArray[np.float32]
    categories: NDArray[np.int32]
    target: NDArray[Any]
    weight: NDArray[np.float32]
    signal: int | None = None
    unsigned: NDArray[np.float32] | None = None
    images: NDArray[Any] | None = None
    tokens: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def fit_weight(self) -> NDArray[np.float32]:
        """The weights (n,) to fit with, none of them negative."""
        return self.weight if self.unsigned is None else self.unsigned

    def take(self, which: slice | NDArray[np.int64]) -> Rows:
        """Some of the rows: a slice is a view, positions are copied."""
        def some(array: NDArray[Any] | None) -> Any:
            return None if array is None else array[which]

        target = self.target[which] if len(self.target) else self.target
        return Rows(self.numbers[which], self.categories[which], target, self.weight[which], self.signal,
                    some(self.unsigned), some(self.images), some(self.tokens))

    @property
    def columns(self) -> NDArray[np.float32]:
        """All that is known of the rows as numbers side by side, float32 (n, d + p), for families that know columns
        only: the numbers, then the pixels (:func:`automl_phys.pixels.columns`), then how often each word stands in the
        text (:func:`automl_phys.text_tokens.bag`)."""
        blocks: list[Any] = [self.numbers]
        if self.images is not None:
            blocks.append(pixels.columns(self.images))
        if self.tokens is not None:
            from automl_phys import text_tokens

            blocks.append(text_tokens.bag(self.tokens, MOST_WORD_COLUMNS))
        return np.hstack(blocks) if len(blocks) > 1 else self.numbers

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[Rows]:
        """The rows in order, so many at a time: for work whose memory must not grow with the data."""
        for start in range(0, len(self), rows):
            yield self.take(slice(start, start + rows))


@dataclass(frozen=True)
class NewRows(Rows):
    """Rows of new data. ``carried`` has ``row``, the position in the data as read counting from 0, and the spectators.

    ``notes`` say what was not as in training: spectators that are not there, a target that was not used.
    """

    carried: pa.Table = None
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class TableProblem:
    """A prepared table on disk, or a resample of one. Satisfies ``contracts.Problem``."""

    folder: Path
    stored: Stored
    picks: Mapping[Part, Pick]
    variation: str = ""

    @property
    def schema(self) -> Schema:
        return self.stored.schema

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides the arrays: the files' contents, the recipe's ``data``, the seed."""
        return self.stored.fingerprint

    def facts(self) -> Facts:
        return replace(self.stored.facts, rows={part: len(self.positions(part)) for part in self.picks})

    @cached_property
    def train(self) -> Rows:
        return self._rows("train")

    @cached_property
    def valid(self) -> Rows:
        return self._rows("valid")

    @cached_property
    def test(self) -> Rows:
        return self._rows("test")

    def positions(self, part: Part) -> NDArray[np.int64]:
        """Where the rows of a part are in stored order (n,): what ties a resample's rows to those of the whole."""
        every: NDArray[np.int64] = np.arange(len(self._target))
        return every[self.picks[part]]

    def carried(self, part: Part) -> pa.Table:
        """``row`` and the spectators of a part's rows."""
        from pyarrow import parquet

        return parquet.read_table(self.folder / CARRIED).take(self.positions(part))

    def resamples(self, count: int, seed: int) -> Sequence[TableProblem]:
        """Folds of train and valid: each has one of them as valid, the others as train, and the same test.

        Stratified by class, never through a group. A table prepared with ``count`` folds gives these, whatever the
        seed. Folds are in stored order and hold each row of train and valid once. Raises ValueError for ``count`` < 2.
        """
        if count < 2:
            raise ValueError(f"a resample needs at least 2 folds, not {count}")
        known = sum(self.stored.facts.rows[part] for part in ("train", "valid"))
        if count == len(self.stored.folds):
            ends = self.stored.folds
            valid: list[Pick] = [slice(low, high) for low, high in zip((0, *ends[:-1]), ends, strict=True)]
        else:
            groups = self._load("groups")[:known] if (self.folder / "groups.npy").exists() else None
            rng = np.random.default_rng([seed, count])
            parts = table_split.cut(self._strata[:known], [1.0] * count, groups, rng)
            valid = [np.flatnonzero(parts == i) for i in range(count)]
        every = np.arange(known)
        return [TableProblem(self.folder, self.stored,
                             {"train": np.delete(every, pick), "valid": pick, "test": self.picks["test"]}, f"fold {i}")
                for i, pick in enumerate(valid)]

    def whole(self) -> TableProblem:
        """The rows of train and valid together, as train and again as valid; the same test."""
        known: Pick = slice(0, sum(self.stored.facts.rows[part] for part in ("train", "valid")))
        return TableProblem(self.folder, self.stored, {"train": known, "valid": known, "test": self.picks["test"]},
                            "whole")

    @cached_property
    def _target(self) -> NDArray[Any]:
        return self._load("target")

    @property
    def _strata(self) -> NDArray[Any]:
        """Codes (n,) of what is to be alike in every part: the classes, or ranges of the first amount."""
        return self._target if self._target.ndim == 1 else table_split.ranges(self._target[:, 0])

    def _rows(self, part: Part) -> Rows:
        pick = self.picks[part]
        n = len(self._target)
        numbers = self._load("numbers") if self.schema.numbers else np.empty((n, 0), np.float32)
        categories = self._load("categories") if self.schema.levels else np.empty((n, 0), np.int32)
        unsigned, images, tokens = (
            self._load(name)[pick] if (self.folder / f"{name}.npy").exists() else None
            for name in ("unsigned", "images", "tokens"))
        return Rows(numbers[pick], categories[pick], self._target[pick], self._load("weight")[pick], self.schema.signal,
                    unsigned, images, tokens)

    def _load(self, name: str) -> NDArray[Any]:
        return arrays.mapped(self.folder / f"{name}.npy")


def load(folder: Path) -> TableProblem:
    """Open a prepared table; maps the files, reads none of them. Raises CallError when it is not there or damaged."""
    stored = rundir.read_json(folder / DESCRIPTION, Stored)
    rows = stored.facts.rows
    known = rows["train"] + rows["valid"]
    return TableProblem(folder, stored, {
        "train": slice(0, rows["train"]),
        "valid": slice(rows["train"], known),
        "test": slice(known, known + rows["test"]),
    })
