"""What a table holds and how it is split, from its header and the few columns that decide it.

Takes ``data`` of a recipe and a seed; gives the roles, targets, weights and the part that each row is in, facts for the
planner, and every mistake found. Features are not read, but under ``missing: drop``, where they decide which rows there
are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import (
    pixels,
    table_amounts,
    table_anomalies,
    table_images,
    table_labels,
    table_read,
    table_roles,
    table_split,
)
from automl_phys.anomaly_sections import AnomalyEvents
from automl_phys.errors import Mistake
from automl_phys.exhibits import Table
from automl_phys.facts import Facts
from automl_phys.sections import AmountsTable, Divided, LabelledTable, PlainTable
from automl_phys.table_anomalies import Events
from automl_phys.table_files import Files
from automl_phys.table_labels import Classes
from automl_phys.table_problem import Image
from automl_phys.table_roles import Roles
from automl_phys.table_view import CUT
from automl_phys.values import Part

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_ROWS = 1 << 16
FEWEST_PER_CLASS = 5
"""Training rows that each class must have."""
FEWEST_ROWS = 10
"""Training rows that amounts must have."""


@dataclass(frozen=True)
class Target:
    """What is predicted. ``values`` are class codes int32 (rows,) or amounts float32 (rows, t), called ``names``.

    ``strata`` (rows,) are codes of what is to be alike in every part: the classes, or ranges of the first amount.
    ``classes`` is without names where amounts are predicted. Without any ``names`` nothing is: ``values`` are zeros.
    """

    names: tuple[str, ...]
    values: NDArray[Any]
    strata: NDArray[np.integer]
    classes: Classes


@dataclass(frozen=True)
class Layout:
    """In which part each row stands: ``parts`` int8 (rows,) counts the slices, -1 for a row that is not used.

    Slices are train, valid, test; with folds: fold by fold, then test. ``counts`` (slices, strata) are the rows of each
    stratum in each slice; ``sums`` and ``squares`` (slices + 1, strata) the sums of their weights and of these squared,
    in the last line those of the rows that are not used. The last ``spare`` slices, behind the test, are in no part.
    """

    parts: NDArray[np.int8]
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    spare: int = 0

    @property
    def ends(self) -> tuple[int, ...]:
        """Where each slice ends in stored order."""
        return tuple(int(end) for end in np.cumsum(self.counts.sum(1)))

    @property
    def rows(self) -> dict[Part, int]:
        """Rows by part; with folds the last one is valid, those before it train."""
        train, valid, test = self.ends[: len(self.ends) - self.spare][-3:]
        return {"train": train, "valid": valid - train, "test": test - valid}

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Rows of the data (n,) in the order in which they are stored: slice by slice, in each as in the files."""
        return table_split.order(self.parts, len(self.counts))

    @property
    def names(self) -> list[str]:
        """What the slices are called."""
        folds = len(self.counts) - 1 - self.spare
        parts = ["train", "valid", "test"] if folds == 2 else [*(f"fold {i + 1}" for i in range(folds)), "test"]
        return [*parts, *["spare"] * self.spare]


@dataclass(frozen=True)
class Survey:
    """All that is known before the features are read. ``weight``, ``groups`` are (rows of the data,).

    ``layout`` is None when a mistake stands in the way of splitting; ``disjoint`` says what its parts do not share.
    ``events`` is there where anomalies are sought.
    """

    files: Files
    file_rows: tuple[int, ...]
    roles: Roles
    target: Target
    weight: NDArray[np.float32] | None
    groups: NDArray[np.int32] | None
    layout: Layout | None
    folds: int
    disjoint: str
    notes: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    image: Image | None = None
    events: Events | None = None


@dataclass(frozen=True)
class Keys:
    """The columns that decide a split, each (rows,) or None where there is none: groups, a part named by a column, the
    time, which rows a cut keeps, and the file of each row."""

    groups: NDArray[np.int32] | None = None
    parts: NDArray[np.int8] | None = None
    time: NDArray[np.float64] | None = None
    kept: NDArray[np.bool_] | None = None
    file: NDArray[np.int32] | None = None


def survey(data: Divided, files: Files, seed: int) -> Survey:
    """Look at a table. Raises DataError when its files cannot be read; other mistakes are in the result."""
    roles, notes, mistakes = table_roles.assign(data, files)
    kinds = files.header.columns
    sound = {role: c for role, c in roles.single.items() if table_roles.is_read(role, kinds.get(c, "other"))}
    like = "target" if isinstance(data, LabelledTable) else "weight"
    targets = [c for c in roles.targets if table_roles.is_read(like, kinds.get(c, "other"))]
    wanted = dict.fromkeys([*sound.values(), *targets, *([CUT] if CUT in kinds else []),
                           *(table_anomalies.wanted(data, kinds) if isinstance(data, AnomalyEvents) else [])])
    columns, file_rows = table_read.whole(files, list(wanted))
    rows = sum(file_rows)
    files = replace(files, header=replace(files.header, rows=rows))
    kept, found = _kept(data, columns)
    mistakes += found
    events = None
    if isinstance(data, AnomalyEvents):
        events, found = table_anomalies.read(data, columns, kinds, kept)
        mistakes += found
    target, found = _target(data, columns, targets, kept, events)
    mistakes += found
    weight = None
    if "weight" in sound:
        weight, found = table_labels.weights(columns[sound["weight"]], sound["weight"], kept)
        mistakes += found
    keys, found = _keys(data, columns, sound, file_rows, kept)
    mistakes += found
    image = None
    if data.image_column and kinds.get(data.image_column.column) == "list":
        image, found = table_images.layout(data.image_column, files.header)
        mistakes += found
        if image is not None:
            notes.append(f"Images of {image.height} × {image.width} pixels, {image.channels} "
                         f"channel{'s' * (image.channels > 1)}.")
    layout = None
    if not mistakes:
        complete, dropped = complete_rows(data.missing, files, roles, rows)
        if keys.kept is not None:
            dropped = [f"The cut leaves {keys.kept.sum()} of {rows} rows.", *dropped]
        notes += dropped
        used = complete if keys.kept is None else keys.kept if complete is None else complete & keys.kept
        features = len(roles.numbers) + len(roles.categories)
        layout, mistakes = _lay_out(data, target, weight, keys, used, files.test, seed, events, features)
        if isinstance(data, AnomalyEvents) and events is not None and layout is not None and not mistakes:
            notes += table_anomalies.notes(data, events, layout.parts)
    signal = target.classes.signal
    if len(target.classes.names) == 2 and getattr(data, "signal", None) is None and signal is not None:
        notes.append(f"The signal is '{target.classes.names[signal]}', the last class; 'signal' says otherwise.")
    return Survey(files, file_rows, roles, target, weight, keys.groups, layout, data.split.folds or 0,
                  _disjoint(data, files), tuple(notes), tuple(mistakes), image, events)


def facts(seen: Survey, layout: Layout, numbers: int, categories: int, notes: tuple[str, ...] = ()) -> Facts:
    """What the planner needs and people want to see."""
    classes = seen.target.classes
    sizes = {"numbers": numbers, "categories": categories, "outputs": len(classes.names) or len(seen.target.names),
             "targets": 0 if classes.names else len(seen.target.names), "signal": int(classes.signal is not None),
             "weighted": int(seen.weight is not None), "folds": seen.folds}
    kind = "images" if seen.image else "text" if seen.roles.text else "table"
    if seen.image:
        sizes |= {"height": seen.image.height, "width": seen.image.width, "channels": seen.image.channels,
                  "columns": pixels.count(seen.image.shape)}
    if seen.events is not None:
        sizes |= table_anomalies.sizes(seen.events, layout.parts)
    target = _classes(seen, layout) if classes.names else _amounts(seen, layout)
    split = _split(seen, layout) if seen.events is None else table_anomalies.shown(
        seen.events, layout.parts, seen.disjoint)
    tables = (table_roles.shown(seen.roles, seen.files.header.columns), *([target] if seen.target.names else []),
              split, *_sums_of_weights(seen, layout))
    return Facts(kind, layout.rows, sizes, tables, seen.notes + notes)


def gaps(chunk: pa.Table, roles: Roles, values: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where numbers (n, d) and categories (n, c) have no value; an infinite number is none."""
    missing = [chunk[c].is_null(nan_is_null=True).to_numpy() for c in roles.categories]
    return ~np.isfinite(values), np.stack(missing, axis=1) if missing else np.zeros((len(values), 0), np.bool_)


def complete_rows(
    missing: str, files: Files, roles: Roles, rows: int
) -> tuple[NDArray[np.bool_] | None, list[str]]:
    """Which rows (rows,) are used, None for all: under ``missing: drop`` those with every feature; and a note."""
    if missing != "drop":
        return None, []
    complete = []
    for _, chunk in table_read.chunks(files, roles.numbers + roles.categories):
        number_gaps, category_gaps = gaps(chunk, roles, table_read.floats(chunk, roles.numbers))
        complete.append(~(number_gaps.any(1) | category_gaps.any(1)))
    kept = np.concatenate(complete)
    lost = rows - int(kept.sum())
    return kept, [f"{lost} of {rows} rows are dropped: a feature is missing or not finite there."] if lost else []


# ---------------------------------------------------------------- the columns that decide

def _kept(
    data: Divided, columns: pa.Table
) -> tuple[NDArray[np.bool_] | None, list[Mistake]]:
    """Which rows (rows,) a cut keeps, None for all. What the others hold is not held against the data."""
    if CUT not in columns.column_names:
        return None, []
    kept: NDArray[np.bool_] = columns[CUT].to_numpy()
    if kept.any():
        return kept, []
    return None, [Mistake("no-rows-left", f"No row passes the cut '{data.cut}'.", "Loosen it.", ("data", "cut"))]


def _target(
    data: Divided, columns: pa.Table, targets: list[str], kept: NDArray[np.bool_] | None, events: Events | None
) -> tuple[Target, list[Mistake]]:
    rows = columns.num_rows
    none = Classes((), {}, None)
    if isinstance(data, AnomalyEvents):
        truth = np.zeros(rows, np.int32) if events is None or events.truth is None else events.truth.astype(np.int32)
        return Target((), truth, truth, none), []
    if isinstance(data, PlainTable):
        return Target((), np.zeros((rows, 1), np.float32), np.zeros(rows, np.int8), none), []
    if isinstance(data, AmountsTable):
        if len(targets) < len(data.targets):
            return Target(data.targets, np.zeros((rows, 1), np.float32), np.zeros(rows, np.int8), none), []
        values, mistakes = table_amounts.amounts(columns, data, kept)
        strata = np.zeros(rows, np.int8)
        if not mistakes:
            used = slice(None) if kept is None else kept
            strata[used] = table_split.ranges(values[used, 0])
        return Target(data.targets, values, strata, none), mistakes
    names = (data.target_column,)
    if not targets:
        return Target(names, np.zeros(rows, np.int32), np.zeros(rows, np.int32), none), []
    classes, codes, mistakes = table_labels.classes(columns[data.target_column], data, kept)
    return Target(names, codes, codes, classes), mistakes


def _keys(
    data: Divided, columns: pa.Table, sound: dict[str, str], file_rows: tuple[int, ...],
    kept: NDArray[np.bool_] | None,
) -> tuple[Keys, list[Mistake]]:
    groups = parts = time = file = None
    mistakes: list[Mistake] = []
    if "group" in sound:
        groups, found = table_labels.groups(columns[sound["group"]], sound["group"], kept)
        mistakes += found
    if "split.by" in sound:
        parts, found = table_labels.parts(columns[sound["split.by"]], sound["split.by"], kept)
        mistakes += found
    if "time" in sound:
        time, found = table_amounts.times(columns[sound["time"]], sound["time"], kept)
        mistakes += found
    if data.split.by == "file" or data.split.test_file:
        file = np.repeat(np.arange(len(file_rows), dtype=np.int32), file_rows)
    return Keys(groups, parts, time, kept, file), mistakes


# ---------------------------------------------------------------- the split

def _lay_out(
    data: Divided, target: Target, weight: NDArray[np.float32] | None, keys: Keys,
    used: NDArray[np.bool_] | None, test_files: int, seed: int, events: Events | None, features: int,
) -> tuple[Layout | None, list[Mistake]]:
    """The split, and what is wrong with it; ``features`` are how many there are."""
    if used is not None and not used.any():
        return None, [Mistake("no-rows-left", "Every row has a feature that is missing or not finite.",
                              "Exclude the columns with gaps, or use 'missing: median'.", ("data", "missing"))]
    folds = data.split.folds or 0
    together = keys.file if data.split.by == "file" else keys.groups
    sought = (data, events) if isinstance(data, AnomalyEvents) and events is not None else None
    if sought and (wrong := table_anomalies.wrong_flags(*sought, used)):
        return None, wrong
    alike = table_anomalies.strata(*sought, len(target.strata)) if sought else target.strata
    parts = _parts(data, alike, keys, used, test_files, seed)
    if keys.file is not None and data.split.by == "file" and (few := _few_files(keys.file, folds, test_files)):
        return None, [few]
    placed, grouped = (parts, together) if used is None or together is None else (parts[used], together[used])
    torn = table_split.torn_groups(placed, grouped)
    if torn:
        return None, [Mistake("group-on-two-sides", f"{torn} groups have rows in more than one part.",
                              "Put each group's rows into one part.", ("data", "split", "by"))]
    if sought:
        free = data.split.by == "random" and together is None and not test_files
        parts, wrong = table_anomalies.divide(*sought, parts, free, seed)
        if wrong := wrong or table_anomalies.thin(*sought, parts, features):
            return None, wrong
    spare = int(sought is not None)
    slices, n_strata = (folds or 2) + 1 + spare, max(int(target.strata.max()) + 1, len(target.classes.names))
    layout = Layout(parts, *_sums(parts, target.strata, weight, (slices, n_strata)), spare)
    return layout, [*_thin(layout, target), *_weightless(layout, target, weight)]


def _parts(
    data: Divided, strata: NDArray[np.integer], keys: Keys, used: NDArray[np.bool_] | None,
    test_files: int, seed: int,
) -> NDArray[np.int8]:
    """The part (rows,) of each row, -1 for those that are not used."""
    split, folds = data.split, data.split.folds or 0
    if keys.parts is not None:
        parts = keys.parts.copy()
        if used is not None:
            parts[~used] = -1
        return parts
    shares = [(1 - split.test_share) / folds] * folds if folds else [split.train_share, split.valid]
    fresh = np.zeros(len(strata), np.bool_)
    if test_files and keys.file is not None:
        fresh = keys.file > keys.file[-1] - test_files
    else:
        shares.append(split.test_share)
    known = ~fresh if used is None else used & ~fresh
    every = bool(known.all())

    def those(column: NDArray[Any] | None) -> NDArray[Any] | None:
        return column if every or column is None else column[known]

    chosen = strata if every else strata[known]
    if split.by == "time" and keys.time is not None:
        cut = table_split.by_time(keys.time if every else keys.time[known], shares)
    else:
        together = keys.file if split.by == "file" else keys.groups
        cut = table_split.cut(chosen, shares, those(together), np.random.default_rng(seed))
    if every:
        return cut
    parts = np.full(len(strata), -1, np.int8)
    parts[known] = cut
    parts[fresh if used is None else fresh & used] = len(shares)
    return parts


def _few_files(file: NDArray[np.int32], folds: int, test_files: int) -> Mistake | None:
    """Fewer files than parts: whole files cannot fill them."""
    there, wanted = int(file[-1]) + 1, (folds or 2) + (test_files or 1)
    if there >= wanted:
        return None
    return Mistake("too-few-files", f"There are {there} files to be put into {wanted} parts.",
                   "Split by 'random' or 'group', or give more files.", ("data", "split", "by"))


def _thin(layout: Layout, target: Target) -> list[Mistake]:
    """Classes with too few rows to train on, or none to judge by; too few rows at all."""
    if not target.classes.names:
        empty = [name for name, n in zip(layout.names, layout.counts.sum(1), strict=True) if not n and name != "spare"]
        if empty:
            return [Mistake("empty-part", f"There is no row in {table_roles.listed(empty)}.",
                            "Give this part a larger share, use fewer folds, or smaller groups.", ("data", "split"))]
        if layout.rows["train"] < FEWEST_ROWS:
            return [Mistake("too-few-rows", f"There are {layout.rows['train']} training rows; {FEWEST_ROWS} are the "
                            "least.", "Give more rows, or a larger share to 'train'.", ("data",))]
        return []
    names, train, every = target.classes.names, layout.counts[:-2].sum(0), layout.counts.sum(0)
    few = [f"{name} ({n})" for name, n, there in zip(names, train, every, strict=True)
           if n < FEWEST_PER_CLASS and (n or there < FEWEST_PER_CLASS)]  # else its rows are all in other parts
    if few:
        return [Mistake("too-few-rows", f"Too few training rows of class {table_roles.listed(few)}: each needs "
                        f"{FEWEST_PER_CLASS}.", "Give more rows, a larger share to 'train', or leave rare classes out.",
                        ("data",))]
    return [Mistake("class-missing-from-split", f"Class '{names[j]}' has no row in {layout.names[i]}.",
                    "Give this part a larger share, use fewer folds, or smaller groups.", ("data", "split"))
            for i, j in np.argwhere(layout.counts == 0)]


def _weightless(layout: Layout, target: Target, weight: NDArray[np.float32] | None) -> list[Mistake]:
    if weight is None:
        return []
    train = layout.sums[:-3 - layout.spare].sum(0)
    if not target.classes.names:
        return [] if train.sum() > 0 else [Mistake("bad-weights", "The weights of the training rows sum to 0 or less.",
                                                   "Give other weights, or more rows.", ("data", "weight"))]
    return [Mistake("bad-weights", f"The weights of class '{name}' sum to {total:.4g} in the training rows.",
                    "A class needs weight to count: give more of its rows, or leave it out.", ("data", "weight"))
            for name, total in zip(target.classes.names, train, strict=True) if total <= 0]


def _sums(
    parts: NDArray[np.int8], strata: NDArray[np.integer], weight: NDArray[np.float32] | None, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Rows, and the sums of weights and of their squares, of each stratum in each slice, as :class:`Layout` has them;
    without the rows of stratum -1, which a cut has taken out with all of their class.

    A block at a time: large temporary arrays take longer to get than to fill.
    """
    slices, n_strata = shape
    cells = (slices + 1) * n_strata
    found = np.zeros((3, cells))
    for start in range(0, len(parts), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        of = strata[rows]
        held = (parts[rows].astype(np.int64) % (slices + 1)) * n_strata + of  # -1, not used, comes last
        w = np.ones(len(held)) if weight is None else weight[rows].astype(np.float64)
        if (of < 0).any():
            held, w = held[of >= 0], w[of >= 0]
        found += np.stack([np.bincount(held, each, cells) for each in (np.ones(len(held)), w, w**2)])
    counts, sums, squares = found.reshape(3, slices + 1, n_strata)
    return counts[:-1].astype(np.int64), sums, squares


# ---------------------------------------------------------------- for people

def _classes(seen: Survey, layout: Layout) -> Table:
    names, signal = seen.target.classes.names, seen.target.classes.signal
    counts = layout.counts.sum(0)
    sums, squares = layout.sums[:-1].sum(0), layout.squares[:-1].sum(0)
    rows = tuple(
        (name + (" (signal)" if i == signal else ""), int(counts[i]), float(sums[i]),
         float(sums[i] ** 2 / squares[i]) if squares[i] else 0.0)
        for i, name in enumerate(names))
    return Table("Classes", ("class", "rows", "sum of weights", "effective rows"), rows,
                 "" if seen.weight is None else _EFFECTIVE)


_EFFECTIVE = "Effective rows: (Σw)²/Σw², the unweighted rows that would fluctuate as much."


def _amounts(seen: Survey, layout: Layout) -> Table:
    used = layout.parts >= 0
    w = np.ones(int(used.sum())) if seen.weight is None else seen.weight[used].astype(np.float64)
    effective = float(w.sum() ** 2 / (w**2).sum())
    rows = []
    for j, name in enumerate(seen.target.names):
        values = seen.target.values[used, j]
        mean = float(np.average(values, weights=w))
        spread = float(np.sqrt(max(0.0, np.average((values - mean) ** 2, weights=w))))
        rows.append((name, len(values), effective, mean, spread, float(values.min()), float(values.max())))
    return Table("Targets", ("target", "rows", "effective rows", "mean", "standard deviation", "least", "greatest"),
                 tuple(rows), "" if seen.weight is None else _EFFECTIVE)


def _split(seen: Survey, layout: Layout) -> Table:
    classes = seen.target.classes.names
    rows: list[tuple[str | int | float | None, ...]] = [
        (name, *(int(n) for n in counts if classes), int(counts.sum()))
        for name, counts in zip(layout.names, layout.counts, strict=True)]
    return Table("Split", ("part", *classes, "all"), tuple(rows), seen.disjoint)


def _disjoint(data: Divided, files: Files) -> str:
    """What the parts do not share: checked where it does not follow from how they are made."""
    if data.split.by == "time":
        return f"No row is on two sides, and '{data.time}' rises from train to valid to test."
    apart = ["row", *([f"value of '{data.group}'"] if data.group else []),
             *(["file"] if data.split.by == "file" else [])]
    test = " The test rows are in files of their own." if files.test else ""
    return f"No {' and no '.join(apart)} is on two sides.{test}"


def _sums_of_weights(seen: Survey, layout: Layout) -> tuple[Table, ...]:
    """What a cut and the split did to the sum of weights of each class; nothing where neither can do anything."""
    if seen.weight is None and (layout.parts >= 0).all() and not seen.files.test and seen.groups is None:
        return ()
    names = seen.target.classes.names or ("all",)
    sums, squares = layout.sums, layout.squares.sum(0)
    if not seen.target.classes.names:
        sums, squares = sums.sum(1, keepdims=True), squares.sum(keepdims=True)
    whole, sums = sums.sum(0), sums[:-1]
    held = sums[: len(sums) - layout.spare]
    parts = np.stack([held[:-2].sum(0), held[-2], held[-1]])
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (name, float(whole[k]), float(sums[:, k].sum()), *(float(part) for part in parts[:, k]), float(squares[k]))
        for k, name in enumerate(names))
    return (Table("Sums of weights", ("class", "in the files", "after cut", "train", "valid", "test", "sum of squares"),
                  rows),)
