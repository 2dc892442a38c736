"""What stands in the columns of files, from a sample of their rows: for a recipe that is to be drafted.

Takes paths as a recipe names them; gives the files and a profile of each column. What a column may be for is
:mod:`automl_phys.role_guesses`'s to say. Arrays (images) are told by their shape and not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from automl_phys import registry, table_files
from automl_phys.values import Array

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.table_files import Files

Label: TypeAlias = str | int | float | bool
"""A value as a recipe writes it."""

MOST_KEPT = 100_000
"""Rows of the sample; of more, it is every second, fourth … row."""
CHUNK_ROWS = 50_000
MOST_LABELS = 200
"""Distinct values that are counted one by one."""
READ = ("number", "flag", "text", "time")


@dataclass(frozen=True)
class Profile:
    """A column. ``values`` of the sample are floats (numbers, flags; NaN where one is missing), datetime64 (times) or
    texts and None; empty for arrays, of which ``shape`` tells, as far as it is the same in every row."""

    name: str
    kind: str
    values: Array = field(compare=False)
    shape: tuple[int, ...] = ()

    @cached_property
    def known(self) -> Array:
        """Bool (n,): which values are there and finite."""
        if self.kind == "text":
            return np.array([value is not None and value != "" for value in self.values], np.bool_)
        return np.isfinite(self.values) if self.kind in ("number", "flag") else ~np.isnat(self.values)

    @cached_property
    def counts(self) -> Mapping[Label, int]:
        """How often each value is there, the most frequent first; whole numbers as such, flags as booleans."""
        found, counts = np.unique(self.values[self.known].astype(str if self.kind == "text" else self.values.dtype),
                                  return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {self._label(found[i]): int(counts[i]) for i in order}

    def _label(self, value: Any) -> Label:
        if self.kind == "flag":
            return bool(value)
        if self.kind == "number":
            return int(value) if float(value).is_integer() else float(value)
        return str(value)

    @property
    def missing(self) -> int:
        """Values of the sample that are missing or not finite."""
        return int((~self.known).sum())

    @property
    def numeric(self) -> bool:
        """Whether it can be a feature as it is."""
        return self.kind in ("number", "flag")

    @cached_property
    def whole(self) -> bool:
        """Whether all are whole numbers, or flags."""
        values = self.values[self.known] if self.numeric else np.array([0.5])
        return bool(np.all(values == np.round(values)))

    @property
    def counts_rows(self) -> bool:
        """Whether it only numbers the rows: whole, each value once, in even steps."""
        if not self.numeric or not self.whole or len(self.values) < 3 or self.missing:
            return False
        steps = np.diff(self.values)
        return bool(steps[0] != 0 and np.all(steps == steps[0]))

    @property
    def is_image(self) -> bool:
        """Whether each row holds an array with a height and a width."""
        return self.kind == "list" and len(self.shape) in (2, 3)


@dataclass(frozen=True)
class Looked:
    """Files, and their columns in a sample of ``rows`` rows; ``whole`` says whether that is all of them."""

    files: Files
    columns: Mapping[str, Profile]
    rows: int
    whole: bool


def look(paths: Sequence[str], folder: Path) -> Looked:
    """Profiles of the columns of files, which are named as in a recipe in ``folder``.

    Raises DataError with what is wrong with the files.
    """
    files = table_files.find(list(paths), folder, key=())
    kinds, shapes = files.header.columns, files.header.shapes
    names = [name for name, kind in kinds.items() if kind in READ]
    sample, step = _sample(files, names)
    rows = len(sample) if sample is not None else files.header.rows or 0
    empty = np.empty(0)
    columns = {name: Profile(name, kind, _values(sample, name, kind) if name in names else empty, shapes.get(name, ()))
               for name, kind in kinds.items()}
    return Looked(files, columns, rows, step == 1)


def _sample(files: Files, names: Sequence[str]) -> tuple[pa.Table | None, int]:
    """Every ``step``-th row of the files, and the step; None where no column is read."""
    import pyarrow as pa

    if not names:
        return None, 1
    kept: list[pa.Table] = []
    step = 1
    for location, source in zip(files.locations, files.sources, strict=True):
        for chunk in registry.load("sources", source).read(location, names, CHUNK_ROWS):
            kept.append(chunk.take(pa.array(np.arange(0, len(chunk), step))))
            if sum(map(len, kept)) > 2 * MOST_KEPT:
                kept = [part.take(pa.array(np.arange(0, len(part), 2))) for part in kept]
                step *= 2
    return pa.concat_tables(kept), step


def _values(sample: pa.Table | None, name: str, kind: str) -> Array:
    if sample is None:
        return np.empty(0)
    column = sample[name]
    if kind == "text":
        return np.array(column.to_pylist(), object)
    if kind == "time":
        return np.asarray(column.to_numpy(), "datetime64[us]")
    return np.asarray([np.nan if value is None else value for value in column.to_pylist()]
                      if column.null_count else column.to_numpy(), np.float64)


def alike(one: Profile, other: Profile) -> bool:
    """Whether two columns hold the same in every row of the sample."""
    if one.kind != other.kind or not len(one.values) or one.missing != other.missing:
        return False
    if one.numeric:
        return bool(np.array_equal(one.values, other.values, equal_nan=True))
    return bool(np.all(one.values == other.values))


def tells(column: Profile, target: Profile) -> bool:
    """Whether a column alone tells the class of every row of the sample: by its value, or by a range of values."""
    both = column.known & target.known
    values, labels = column.values[both], target.values[both]
    classes = len(set(labels.tolist()))
    if classes < 2 or len(values) < 10 * classes:
        return False
    pairs = Counter(zip(values.tolist(), labels.tolist(), strict=True))
    distinct = len({value for value, _ in pairs})
    if len(pairs) == distinct and distinct <= MOST_LABELS and distinct <= len(values) // 5:
        return True
    if not column.numeric:
        return False
    order = np.argsort(values, kind="stable")
    ordered, sorted_labels = values[order], labels[order]
    changes = np.flatnonzero(sorted_labels[1:] != sorted_labels[:-1])
    return bool(len(changes) == classes - 1 and np.all(ordered[changes] < ordered[changes + 1]))


def follows(column: Profile, target: Profile) -> bool:
    """Whether the ranks of a numeric column follow those of a numeric target, either way, by more than 0.999."""
    from scipy.stats import rankdata

    both = column.known & target.known
    if both.sum() < 20:
        return False
    one, other = (rankdata(profile.values[both]) for profile in (column, target))
    return bool(np.ptp(one) > 0 and np.ptp(other) > 0 and abs(np.corrcoef(one, other)[0, 1]) > 0.999)
