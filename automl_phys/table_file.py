"""A table as a file that other programs read, in the format that the file's ending says.

Takes an arrow table of numbers, flags, texts, times and lists; writes it whole or not at all. Reads back what a run
wrote for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from automl_phys import rundir
from automl_phys.errors import CallError, Mistake
from automl_phys.registry import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.values import Array

NAME = "predictions"
"""What the group of an HDF5 file and the tree of a ROOT file are called."""


def write(table: pa.Table, target: Path) -> None:
    """Write ``target``: .parquet, .csv, .csv.gz, .feather, .h5 or .hdf5 (a group of columns), or .root (a TTree).

    HDF5 and ROOT know no missing values: a missing number or flag is NaN, a missing text empty; times are texts (ISO
    8601) there. ROOT has texts as strings, lists of any length with a branch of their counts, and names of letters,
    digits and ``_`` (``score_W+jets`` is ``score_W_jets``); names in HDF5 have no slash. In csv a list is the text
    ``[1.0, 2.0]``. Raises CallError for another ending, RunError when the disk refuses.
    """
    with rundir.atomic(target) as temporary:
        _writer(target)(table, temporary)


def numbers(path: Path, names: Sequence[str]) -> list[Array]:
    """Columns (n,) of numbers of a parquet file of a run. Raises CallError when it is missing, damaged, or without one
    of them."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return [column.to_numpy() for column in parquet.read_table(path, columns=list(names)).select(names).columns]
    except FileNotFoundError as error:
        raise CallError(rundir.not_there(path)) from error
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise CallError(rundir.damaged(path, error)) from error


def check(target: Path) -> None:
    """Raise CallError (``unknown-format``) when the ending of a file to be written is not known."""
    _writer(target)


def _writer(target: Path) -> Callable[[Any, Path], None]:
    for ending, writer in WRITERS.items():
        if target.name.lower().endswith(ending):
            return writer
    raise CallError(Mistake("unknown-format", f"The format of {target.name} is not known by its ending."
                            f"{did_you_mean(target.suffix, WRITERS)}", f"Known endings: {', '.join(WRITERS)}."))


def _parquet(table: pa.Table, path: Path) -> None:
    from pyarrow import parquet

    parquet.write_table(table, path)


def _csv(table: pa.Table, path: Path) -> None:
    from pyarrow import csv

    csv.write_csv(lists_as_text(table), path)


def _csv_gz(table: pa.Table, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import csv

    with pa.CompressedOutputStream(str(path), "gzip") as stream:
        csv.write_csv(lists_as_text(table), stream)


def lists_as_text(table: pa.Table) -> pa.Table:
    """The table with lists as texts, ``[1.0, 2.0]``: csv knows no others."""
    import pyarrow as pa

    def told(column: pa.ChunkedArray) -> pa.ChunkedArray:
        return pa.array([value if value is None else str(value) for value in column.to_pylist()], pa.string())

    return pa.table({name: told(table[name]) if pa.types.is_nested(table[name].type) else table[name]
                     for name in table.column_names})


def _feather(table: pa.Table, path: Path) -> None:
    from pyarrow import feather

    feather.write_feather(table, path, compression="lz4")


def _hdf5(table: pa.Table, path: Path) -> None:
    import h5py

    names = _named(table.column_names, lambda c: c != "/")
    with h5py.File(path, "w") as file:
        group = file.create_group(NAME, track_order=True)
        for name, plain in names.items():
            values, kind = _values(table[name])
            dtype = {"text": h5py.string_dtype(), "lists": h5py.vlen_dtype(float)}.get(kind)
            group.create_dataset(plain, data=values, dtype=dtype)


def _root(table: pa.Table, path: Path) -> None:
    import awkward
    import uproot

    types: dict[str, Any] = {}
    branches: dict[str, Any] = {}
    for name, plain in _named(table.column_names, lambda c: c.isascii() and c.isalnum()).items():
        values, kind = _values(table[name])
        if kind == "numbers":
            types[plain], branches[plain] = (values.dtype, values.shape[1:]), values
        else:
            types[plain] = "string" if kind == "text" else "var * float64"
            branches[plain] = awkward.Array(values.tolist()) if len(values) else values
    with uproot.recreate(path) as file:
        tree = file.mktree(NAME, types)
        if len(table):
            tree.extend(branches)


def _named(names: Sequence[str], allowed: Callable[[str], bool]) -> dict[str, str]:
    """Names of allowed characters, ``_`` for others, each once: ``a+b`` and ``a-b`` are ``a_b`` and ``a_b_2``."""
    given: dict[str, str] = {}
    for name in names:
        plain = "".join(c if allowed(c) else "_" for c in name)
        tries = (f"{plain}_{i}" for i in count(2))
        given[name] = plain if plain not in given.values() else next(t for t in tries if t not in given.values())
    return given


def _values(column: pa.ChunkedArray) -> tuple[Any, Literal["numbers", "text", "lists"]]:
    """A column as a numpy array, and what it holds: numbers (n,) or (n, k), texts or lists of any length as objects."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_temporal(column.type):
        column = column.cast(pa.string())
    if types.is_string(column.type) or types.is_large_string(column.type):
        return np.array([value or "" for value in column.to_pylist()], dtype=object), "text"
    if types.is_fixed_size_list(column.type):
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(column), column.type.list_size), "numbers"
    if types.is_list(column.type) or types.is_large_list(column.type):
        lists = np.empty(len(column), dtype=object)
        lists[:] = [np.array(value or (), float) for value in column.to_pylist()]
        return lists, "lists"
    if types.is_null(column.type) or (types.is_boolean(column.type) and column.null_count):
        return column.cast(pa.int8()).cast(pa.float32()).to_numpy(), "numbers"
    return column.to_numpy(), "numbers"


WRITERS: Mapping[str, Callable[[Any, Path], None]] = {
    ".parquet": _parquet, ".csv": _csv, ".csv.gz": _csv_gz, ".feather": _feather, ".h5": _hdf5, ".hdf5": _hdf5,
    ".root": _root}
