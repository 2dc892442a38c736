"""What a table holds and how it is split, from its header and the few columns that decide it.

Takes ``data`` of a recipe and a seed; gives the roles, classes, weights and the order in which rows are stored, facts
for the planner, and every mistake found. Features are not read, but under ``missing: drop``, where they decide which
rows there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl_phys import table_labels, table_read, table_roles, table_split
from automl_phys.contracts import Facts
from automl_phys.errors import Mistake
from automl_phys.exhibits import Table
from automl_phys.table_labels import Classes
from automl_phys.table_read import Files
from automl_phys.table_roles import Roles
from automl_phys.values import Part

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.sections import LabelledTable

FEWEST_PER_CLASS = 5
"""Training rows that each class must have."""


@dataclass(frozen=True)
class Layout:
    """Which row of the data stands where.

    ``order`` (n,) are rows of the data in stored order, ``ends`` where each slice (train, valid, test; with folds: fold
    by fold, then test) ends in it, ``counts`` (slices, classes) the rows of each class in each slice.
    """

    order: NDArray[np.int64]
    ends: tuple[int, ...]
    counts: NDArray[np.int64]

    @property
    def rows(self) -> dict[Part, int]:
        """Rows by part; with folds the last one is valid, those before it train."""
        train, valid, test = self.ends[-3:]
        return {"train": train, "valid": valid - train, "test": test - valid}


@dataclass(frozen=True)
class Survey:
    """All that is known before the features are read. ``codes``, ``weight``, ``groups`` are (rows of the data,).

    ``layout`` is None when a mistake stands in the way of splitting.
    """

    files: Files
    file_rows: tuple[int, ...]
    roles: Roles
    classes: Classes
    codes: NDArray[np.int32]
    weight: NDArray[np.float64] | None
    groups: NDArray[np.int32] | None
    layout: Layout | None
    folds: int
    notes: tuple[str, ...]
    mistakes: tuple[Mistake, ...]


def survey(data: LabelledTable, folder: Path, seed: int) -> Survey:
    """Look at a table. Raises DataError when its files cannot be read; other mistakes are in the result."""
    files = table_read.find(data.path, data.builtin, folder)
    roles, notes, mistakes = table_roles.assign(data, files)
    kinds = files.header.columns
    deciding = {role: c for role, c in roles.single.items() if kinds.get(c, "other") != "other"}
    columns, file_rows = table_read.whole(files, list(dict.fromkeys(deciding.values())))
    rows = sum(file_rows)
    classes, codes = Classes((), {}, None), np.zeros(rows, np.int32)
    weight: NDArray[np.float64] | None = None
    groups: NDArray[np.int32] | None = None
    if "target" in deciding:
        classes, codes, found = table_labels.classes(columns[data.target], data)
        mistakes += found
    if "weight" in deciding and kinds[deciding["weight"]] in table_roles.NUMERIC:
        weight, found = table_labels.weights(columns[deciding["weight"]], deciding["weight"])
        mistakes += found
    if "group" in deciding:
        groups, found = table_labels.groups(columns[deciding["group"]], deciding["group"])
        mistakes += found
    parts: NDArray[np.int64] | None = None
    if "split.by" in deciding:
        parts, found_parts = table_labels.parts(columns[deciding["split.by"]], deciding["split.by"])
        mistakes += found_parts
    layout = None
    if not mistakes:
        kept, dropped = complete_rows(data.missing, files, roles, rows)
        notes += dropped
        layout, mistakes = _lay_out(data, classes, codes, weight, groups, parts, kept, seed)
    if len(classes.names) == 2 and data.signal is None and classes.signal is not None:
        notes.append(f"The signal is '{classes.names[classes.signal]}', the last class; 'signal' says otherwise.")
    return Survey(files, file_rows, roles, classes, codes, weight, groups, layout, data.split.folds or 0, tuple(notes),
                  tuple(mistakes))


def facts(seen: Survey, layout: Layout, numbers: int, categories: int, notes: tuple[str, ...] = ()) -> Facts:
    """What the planner needs and people want to see."""
    sizes = {"numbers": numbers, "categories": categories, "outputs": len(seen.classes.names),
             "signal": int(seen.classes.signal is not None),
             "weighted": int(seen.weight is not None), "folds": seen.folds}
    tables = (table_roles.shown(seen.roles, seen.files.header.columns), _classes(seen, layout), _split(seen, layout))
    return Facts("table", layout.rows, sizes, tables, seen.notes + notes)


def gaps(chunk: pa.Table, roles: Roles, values: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where numbers (n, d) and categories (n, c) have no value; an infinite number is none."""
    missing = [chunk[c].is_null(nan_is_null=True).to_numpy() for c in roles.categories]
    return ~np.isfinite(values), np.stack(missing, axis=1) if missing else np.zeros((len(values), 0), np.bool_)


def complete_rows(missing: str, files: Files, roles: Roles, rows: int) -> tuple[NDArray[np.int64], list[str]]:
    """Rows that are used: all, but under ``missing: drop`` only those with every feature, and a note that tells."""
    if missing != "drop":
        return np.arange(rows), []
    complete = []
    for _, chunk in table_read.chunks(files, roles.numbers + roles.categories):
        number_gaps, category_gaps = gaps(chunk, roles, table_read.floats(chunk, roles.numbers))
        complete.append(~(number_gaps.any(1) | category_gaps.any(1)))
    kept = np.flatnonzero(np.concatenate(complete))
    lost = rows - len(kept)
    return kept, [f"{lost} of {rows} rows are dropped: a feature is missing or not finite there."] if lost else []


def _lay_out(
    data: LabelledTable, classes: Classes, codes: NDArray[np.int32], weight: NDArray[np.float64] | None,
    groups: NDArray[np.int32] | None, named: NDArray[np.int64] | None, kept: NDArray[np.int64], seed: int,
) -> tuple[Layout | None, list[Mistake]]:
    """The split, and what is wrong with it."""
    if not len(kept):
        return None, [Mistake("no-rows-left", "Every row has a feature that is missing or not finite.",
                              "Exclude the columns with gaps, or use 'missing: median'.", ("data", "missing"))]
    split, rng = data.split, np.random.default_rng(seed)
    folds = split.folds or 0
    shares = [(1 - split.test) / folds] * folds + [split.test] if folds else [split.train, split.valid, split.test]
    of_kept = None if groups is None else groups[kept]
    parts = table_split.cut(codes[kept], shares, of_kept, rng) if named is None else named[kept]
    torn = table_split.torn_groups(parts, of_kept)
    if torn:
        return None, [Mistake("group-on-two-sides", f"{torn} groups have rows in more than one part.",
                              "Put each group's rows into one part.", ("data", "split", "by"))]
    order = table_split.arrange(parts, rng)
    table_split.check_disjoint(order, parts, of_kept)
    n_classes = len(classes.names)
    counts = np.bincount(parts * n_classes + codes[kept], minlength=len(shares) * n_classes).reshape(-1, n_classes)
    layout = Layout(kept[order], tuple(int(end) for end in np.cumsum(counts.sum(1))), counts)
    return layout, _thin(layout, classes) + _weightless(layout, classes, codes, weight)


def _thin(layout: Layout, classes: Classes) -> list[Mistake]:
    """Classes with too few rows to train on, or none to judge by."""
    train = layout.counts[:-2].sum(0)
    few = [f"{name} ({n})" for name, n in zip(classes.names, train, strict=True) if n < FEWEST_PER_CLASS]
    if few:
        return [Mistake("too-few-rows", f"Too few training rows of class {table_roles.listed(few)}: each needs "
                        f"{FEWEST_PER_CLASS}.", "Give more rows, a larger share to 'train', or leave rare classes out.",
                        ("data",))]
    slices = _slice_names(layout)
    return [Mistake("class-missing-from-split", f"Class '{classes.names[j]}' has no row in {slices[i]}.",
                    "Give this part a larger share, use fewer folds, or smaller groups.", ("data", "split"))
            for i, j in np.argwhere(layout.counts == 0)]


def _weightless(
    layout: Layout, classes: Classes, codes: NDArray[np.int32], weight: NDArray[np.float64] | None
) -> list[Mistake]:
    if weight is None:
        return []
    train = layout.order[: layout.ends[-3]]
    sums = np.bincount(codes[train], weight[train], len(classes.names))
    return [Mistake("bad-weights", f"All training rows of class '{name}' have weight 0.",
                    "Give them weight, or leave the class out.", ("data", "weight"))
            for name, total in zip(classes.names, sums, strict=True) if total <= 0]


def _slice_names(layout: Layout) -> list[str]:
    folds = len(layout.ends) - 1
    return ["train", "valid", "test"] if folds == 2 else [*(f"fold {i + 1}" for i in range(folds)), "test"]


def _classes(seen: Survey, layout: Layout) -> Table:
    weight = np.ones(len(seen.codes)) if seen.weight is None else seen.weight
    codes, weight = seen.codes[layout.order], weight[layout.order]
    n = len(seen.classes.names)
    counts, sums, squares = (np.bincount(codes, w, n) for w in (np.ones(len(codes)), weight, weight**2))
    rows = tuple(
        (name + (" (signal)" if i == seen.classes.signal else ""), int(counts[i]), float(sums[i]),
         float(sums[i] ** 2 / squares[i]) if squares[i] else 0.0)
        for i, name in enumerate(seen.classes.names))
    effective = "Effective rows: (Σw)²/Σw², the unweighted rows that would fluctuate as much."
    return Table("Classes", ("class", "rows", "sum of weights", "effective rows"), rows,
                 "" if seen.weight is None else effective)


def _split(seen: Survey, layout: Layout) -> Table:
    rows: list[tuple[str | int | float | None, ...]] = [
        (name, *(int(n) for n in counts), int(counts.sum()))
        for name, counts in zip(_slice_names(layout), layout.counts, strict=True)]
    group = f" and no value of '{seen.roles.single['group']}'" if "group" in seen.roles.single else ""
    return Table("Split", ("part", *seen.classes.names, "all"), tuple(rows), f"No row{group} is on two sides.")
