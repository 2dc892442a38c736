"""New data for a finished model: read as the training data were.

Takes a prepared table's schema and files; gives rows as families predict them, with their spectators. Checks columns
and their types, fills gaps by the training rows' medians, gives an unknown category code 0. Target and weight are used
where they are there, not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import (
    table_features,
    table_files,
    table_images,
    table_labels,
    table_read,
    table_roles,
    table_texts,
)
from automl_phys.errors import DataError, Mistake
from automl_phys.registry import did_you_mean
from automl_phys.table_files import Files
from automl_phys.table_problem import Features, NewRows, Schema
from automl_phys.table_view import View
from automl_phys.telling import Tell

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Read:
    """Features of new data: ``numbers`` float32 (m, d), ``categories`` int32 (m, c), of the ``rows`` (m,) that are
    used; ``carried`` and ``notes`` as in ``NewRows``."""

    rows: NDArray[np.int64]
    numbers: NDArray[np.float32]
    categories: NDArray[np.int32]
    carried: pa.Table
    notes: tuple[str, ...]


def read_new(schema: Schema, path: Path, tell: Tell) -> NewRows:
    """Rows of the file or glob ``path``, in its order; under ``missing: drop`` without those that have gaps.

    Raises DataError with all of ``missing-column``, ``wrong-type``, ``not-finite``, ``bad-weights``, and what
    :func:`automl_phys.table_files.find` raises; of images and texts what ``table_images`` and ``table_texts`` do.
    """
    files = find(schema.view, path, tell)
    kinds = files.header.columns
    wrong = _wrong_weight(schema, files) + wrong_columns(schema, files)
    if wrong:
        raise DataError(wrong)
    others = (*schema.target, *([schema.weight] if schema.weight else []))
    read, table, gaps = features(schema, files, [c for c in others if kinds.get(c, "other") not in table_roles.UNREAD])
    weight, mistakes = _weight(schema, table)
    if mistakes or gaps:
        raise DataError([replace(m, key=()) for m in (*mistakes, *gaps)])
    target, notes = _target(schema, table)
    images = table_images.read_new(files, schema.image)[read.rows] if schema.image else None
    tokens = table_texts.read_new(files, schema.texts)[read.rows] if schema.texts else None
    return NewRows(
        numbers=read.numbers, categories=read.categories, target=target[read.rows] if len(target) else target,
        weight=weight[read.rows].astype(np.float32), signal=schema.signal, images=images, tokens=tokens,
        carried=read.carried, notes=(*notes, *read.notes, *uncut(schema.view)))


def find(made: View, path: Path, tell: Tell) -> Files:
    """The files of new data, with the columns that were made of theirs in training; no class, no cut, and no
    other flags.

    Raises DataError with all of what :func:`automl_phys.table_files.find` raises, and ``missing-column`` when a column
    is not there that others are made of.
    """
    files = table_files.find(str(path), Path(), key=())
    view = replace(made, label="", cut="", flags={})
    header, mistakes = view.header(files.header)
    if mistakes:
        raise DataError([replace(m, key=(), code="missing-column") for m in mistakes])
    return replace(files, header=header, view=view, tell=tell)


def uncut(view: View) -> tuple[str, ...]:
    """A note that all rows are scored, where models were trained on those that pass a cut."""
    if not view.cut:
        return ()
    return (f"Every row is scored, also those that do not pass the cut of the training, '{view.cut}'.",)


def features(schema: Features, files: Files, others: Sequence[str]) -> tuple[Read, pa.Table, list[Mistake]]:
    """The features of files; a table with the columns ``others`` and a column ``(row)`` of all rows; and, under
    ``missing: error``, a ``not-finite`` mistake when features have gaps.

    Files are read in chunks, of which the features alone are kept, as float32 and codes. Raises DataError.
    """
    import pyarrow as pa

    spectators = [c for c in schema.spectators if c in files.header.columns]
    kept = list(dict.fromkeys([*others, *spectators]))
    names = (*schema.features, *schema.levels)
    found, tables, start = [], [], 0
    missing, first = np.zeros(len(names), np.int64), np.full(len(names), -1)
    for _, chunk in table_read.chunks(files, list(dict.fromkeys([*names, *kept]))):
        numbers, categories, gaps = _of_chunk(schema, chunk)
        at = start + gaps.argmax(0) if len(gaps) else first
        first = np.where((first < 0) & gaps.any(0), at, first)
        missing += gaps.sum(0)
        rows = np.flatnonzero(~gaps.any(1)) if schema.missing == "drop" else np.arange(len(gaps))
        found.append((start + rows, numbers[rows], categories[rows]))
        tables.append(pa.table({"(row)": start + np.arange(len(gaps)), **table_read.coded(chunk, kept)}))
        start += len(gaps)
    if not start:
        raise DataError(replace(table_files.without_rows(files.locations[0].path), key=files.key))
    table = pa.concat_tables(tables, promote_options="permissive")
    used, numbers, categories = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    absent = [c for c in schema.spectators if c not in spectators]
    notes = [f"The spectators {table_roles.listed(absent)} are not in the new data."] if absent else []
    if len(used) < start:
        notes.append(f"{start - len(used)} rows are dropped: a feature is missing or not finite there.")
    carried = table_read.carried(table, spectators, np.arange(start)).take(used)
    refused = schema.missing == "error" and missing.any()
    return (Read(used, numbers, categories, carried, tuple(notes)), table,
            [_not_finite(missing, first, names)] if refused else [])


def _of_chunk(
    schema: Features, chunk: pa.Table
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.bool_]]:
    """Numbers (m, d), categories (m, c), and where they have gaps (m, d + c)."""
    values = table_read.floats(chunk, schema.features)
    number_gaps = ~np.isfinite(values)
    codes = [table_read.texts(chunk[name]) for name in schema.levels]
    category_gaps = np.stack([raw < 0 for raw, _ in codes], axis=1) if codes else np.zeros((len(values), 0), np.bool_)
    values[number_gaps] = np.nan
    indicated = [schema.features.index(name) for name in schema.indicators]
    numbers = table_features.fill(values, schema.features, schema.medians, number_gaps[:, indicated])
    categories = [table_features.recoded(raw, texts, schema.levels[name])
                  for name, (raw, texts) in zip(schema.levels, codes, strict=True)]
    return (numbers, np.stack(categories, axis=1) if categories else np.empty((len(values), 0), np.int32),
            np.concatenate([number_gaps, category_gaps], axis=1))


def _wrong_weight(schema: Schema, files: Files) -> list[Mistake]:
    if schema.weight is None or files.header.columns.get(schema.weight, "number") in table_roles.NUMERIC:
        return []
    return [Mistake("wrong-type", f"The weight '{schema.weight}' is not numeric in the new data.",
                    "Give the weight as it was in training, or leave the column out.")]


def wrong_columns(schema: Features, files: Files) -> list[Mistake]:
    """Features that the files have not, or in another type: ``missing-column``, ``wrong-type``."""
    kinds = files.header.columns
    mistakes = []
    for name in (*schema.features, *schema.levels):
        if name not in kinds:
            text = f"The new data have no column '{name}'.{did_you_mean(name, kinds)}"
            mistakes.append(Mistake("missing-column", text, f"Every feature is needed. Columns: {', '.join(kinds)}."))
        elif name in schema.features and kinds[name] not in table_roles.NUMERIC:
            found = table_read.first_text(files, name) if kinds[name] == "text" else None
            what = f"text, such as '{found[0]}' in row {found[1]}" if found else kinds[name]
            mistakes.append(Mistake("wrong-type", f"Column '{name}' was numeric in training and now holds {what}.",
                                    "Give the column as it was in training."))
        elif kinds[name] in table_roles.UNREAD:
            text = f"Column '{name}' was categorical in training and now has a type that is not read."
            mistakes.append(Mistake("wrong-type", text, "Give the column as it was in training."))
    return mistakes


def _weight(schema: Schema, table: pa.Table) -> tuple[NDArray[np.float32], list[Mistake]]:
    if schema.weight is None or schema.weight not in table.column_names:
        return np.ones(table.num_rows, np.float32), []
    weight, mistakes = table_labels.weights(table[schema.weight], schema.weight)
    return weight * schema.weight_factor, mistakes


def _target(schema: Schema, table: pa.Table) -> tuple[NDArray[Any], list[str]]:
    nothing = np.empty(0, np.int32)
    if not schema.target or any(name not in table.column_names for name in schema.target):
        return nothing, []
    if not schema.classes:
        return np.stack([table_read.floats(table, [name])[:, 0] for name in schema.target], axis=1), []
    raw, texts = table_read.texts(table[schema.target[0]])
    codes = table_labels.recode(texts, schema.labels)[raw]
    unknown = int((codes < 0).sum())
    if unknown:
        return nothing, [f"The target '{schema.target[0]}' is not used: {unknown} of {len(codes)} rows have "
                         "a class that the model does not know, or none."]
    return codes, []


def _not_finite(missing: NDArray[np.int64], first: NDArray[np.int64], names: tuple[str, ...]) -> Mistake:
    told = [f"'{names[j]}' ({missing[j]}, the first in row {first[j]})" for j in np.flatnonzero(missing)]
    return Mistake("not-finite", f"Values are missing, NaN or infinite in {table_roles.listed(told)}.",
                   "Correct them, or train with 'missing: median', 'indicator' or 'drop'.")
