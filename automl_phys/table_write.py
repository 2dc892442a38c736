"""Writing a prepared table into a folder, whole or not at all.

Takes what a survey of the table found; writes features (:mod:`automl_phys.table_features`), targets, weights, groups
and what is carried along, and gives the schema that says what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import rundir, table_images, table_read, table_roles, table_signs, table_texts
from automl_phys.errors import Mistake
from automl_phys.table_features import Places, allocate, write_features
from automl_phys.table_files import Files
from automl_phys.table_problem import CARRIED, Schema
from automl_phys.table_survey import Layout, Survey


def places(layout: Layout) -> Places:
    """Where a layout puts the rows."""
    return Places(layout.parts, tuple(int(n) for n in layout.counts.sum(1)), len(layout.counts) - 2 - layout.spare)


def write(
    seen: Survey, layout: Layout, missing: str, settings: Mapping[str, Any], folder: Path, seed: int
) -> tuple[Schema, list[str], list[Mistake]]:
    """Write the arrays of a table into ``folder``. Gives schema, notes on what was found while reading, and
    mistakes."""
    made, _, mistakes = write_features(seen.files, seen.roles, places(layout), missing, folder)
    image, texts = seen.image, None
    if image is not None:
        image, found = table_images.write(seen.files, image, places(layout), folder)
        mistakes += found
    if seen.roles.text:
        texts, found = table_texts.write(seen.files, seen.roles.text, places(layout), folder)
        mistakes += found
    with ThreadPoolExecutor(1) as pool:
        if made.numbers:
            pool.submit(rundir.sync, folder / "numbers.npy")  # the disk works while the rest is written
        factor, notes = _write_keys(seen, layout, folder, seed)
        write_carried(seen.files, seen.roles.spectators, layout.order, folder)
    classes = seen.target.classes
    schema = Schema(
        numbers=made.numbers, levels=made.levels, target=seen.target.names, classes=classes.names,
        signal=classes.signal, weight=seen.roles.single.get("weight"), spectators=seen.roles.spectators,
        missing=missing, medians=made.medians, labels=classes.codes, indicators=made.indicators, weight_factor=factor,
        view=seen.files.view, settings=settings, image=image, texts=texts)
    if made.constant:
        notes.append(f"Dropped, being constant in the training rows: {table_roles.listed(made.constant)}.")
    return schema, notes, mistakes


def _write_keys(seen: Survey, layout: Layout, folder: Path, seed: int) -> tuple[float, list[str]]:
    """Write target, weights and groups; gives the factor that makes the mean weight of the training rows 1, and notes
    on negative weights."""
    order, train = layout.order, layout.rows["train"]
    values = seen.target.values
    # 'clip', as with 'raise' numpy makes a copy before it writes
    values.take(order, 0, allocate(folder / "target.npy", (len(order), *values.shape[1:]), values.dtype.type), "clip")
    signed = allocate(folder / "weight.npy", order.shape, np.float32)
    factor = 1.0
    if seen.weight is None:
        signed[:] = 1
    else:
        seen.weight.take(order, 0, signed, "clip")
        factor = float(1 / signed[:train].mean(dtype=np.float64))
        signed *= np.float32(factor)
    if seen.groups is not None:
        seen.groups.take(order, 0, allocate(folder / "groups.npy", order.shape, np.int32), "clip")
    for name, column in (seen.events.beside if seen.events else {}).items():
        column.take(order, 0, allocate(folder / f"{name}.npy", order.shape, column.dtype.type), "clip")
    if not (signed < 0).any():
        return factor, []
    numbers, categories = (_written(folder / name, len(order)) for name in ("numbers.npy", "categories.npy"))
    strata = seen.target.strata[order] if seen.target.classes.names else np.zeros(len(order), np.int8)
    unsigned, notes = table_signs.fit_weights(
        numbers, categories, strata, seen.target.classes.names, signed, train, seed)
    allocate(folder / "unsigned.npy", order.shape, np.float32)[:] = unsigned
    return factor, list(notes)


def _written(path: Path, rows: int) -> NDArray[Any]:
    """The mapped file (rows, d), or no columns where there is none."""
    return np.load(path, mmap_mode="r") if path.exists() else np.empty((rows, 0), np.float32)


def write_carried(files: Files, spectators: Sequence[str], order: NDArray[np.int64], folder: Path) -> None:
    """Write ``carried.parquet``: where each stored row was in the data, and its spectators."""
    import pyarrow as pa
    from pyarrow import parquet

    table = table_read.whole(files, spectators)[0].take(order) if spectators else pa.table({})
    kept = table_read.carried(table, spectators, order)
    # rows rise within each part: their steps take a byte, and no time to compress
    rows = {} if "row" in spectators else {"row": "DELTA_BINARY_PACKED"}
    parquet.write_table(kept, folder / CARRIED, use_dictionary=[c for c in kept.column_names if c not in rows],
                        column_encoding=rows or None)
