"""The columns of a table that lies in arrays: the rows are the first axis of each.

Takes names, types and shapes of arrays, as HDF5 and NumPy files say them; gives where each column is, and makes arrow
columns of blocks of rows. Reading the arrays is the sources' work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl_phys.contracts import Header, Location
from automl_phys.errors import DataError, Mistake

BLOCK_BYTES = 1 << 26
"""At most so much is read at once, in as many rows as that makes."""

TIME_UNITS = ("D", "s", "ms", "us", "ns")

MOST_LENGTHS = 3
"""Arrays that are listed where lengths differ."""


@dataclass(frozen=True)
class Array:
    """An array in a file: under which name, of which type, its rows being ``shape[0]``."""

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Column:
    """Where a column's values are: in ``array``; of a structured one in ``field``; of many in a row, at ``place``.

    ``kind`` and ``shape`` are a header's. ``unit`` is that of times, kept as integers; ``missing`` the word that
    stands for a missing text; ``levels`` the texts that the values are codes of, -1 for none.
    """

    array: str
    kind: str
    shape: tuple[int, ...] = ()
    field: str = ""
    place: int | None = None
    unit: str = ""
    missing: str | None = None
    levels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Layout:
    """A table in arrays: how many rows, and where each column is."""

    rows: int
    columns: Mapping[str, Column]

    def header(self) -> Header:
        """What a source's ``peek`` tells of it."""
        shapes = {name: column.shape for name, column in self.columns.items() if column.shape}
        return Header({name: column.kind for name, column in self.columns.items()}, self.rows, shapes)


def of_arrays(arrays: Mapping[str, Array], location: Location, joint: str = "_") -> Layout:
    """Arrays of one length side by side: those of one axis are columns, those of more are lists with a shape.

    An array that is alone is taken apart: a structured one into its fields, ``events`` of two axes into ``events_0``,
    ``events_1``, …, with ``joint`` between. Raises DataError (``mixed-lengths``).
    """
    lengths = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(_mixed_lengths(lengths, location))
    name, only = next(iter(arrays.items()))
    rows, many = only.shape[0], only.shape[1:]
    if len(arrays) > 1:
        return Layout(rows, {name: column(one.path, one.dtype, one.shape[1:]) for name, one in arrays.items()})
    if only.dtype.names:
        return Layout(rows, fields(only.path, only.dtype, many))
    if len(many) == 1:
        return Layout(rows, {f"{name}{joint}{j}": column(only.path, only.dtype, place=j) for j in range(many[0])})
    return Layout(rows, {name: column(only.path, only.dtype, many)})


def fields(array: str, dtype: np.dtype[Any], shape: tuple[int, ...] = ()) -> dict[str, Column]:
    """The columns of a structured array, ``shape`` being that of its elements in one row."""
    return {name: column(array, dtype[name].base, shape + dtype[name].shape, name) for name in dtype.names or ()}


def column(
    array: str, dtype: np.dtype[Any], shape: tuple[int, ...] = (), field: str = "", place: int | None = None
) -> Column:
    """The column of values of one type, ``shape`` being theirs in one row."""
    kind = kind_of(dtype)
    if shape:
        kind = "list" if kind in {"number", "flag"} and 0 not in shape else "other"
    unit = np.datetime_data(dtype)[0] if dtype.kind == "M" else ""
    return Column(array, kind, shape if kind == "list" else (), field, place, unit)


def kind_of(dtype: np.dtype[Any]) -> str:
    """A header's word for a type. Objects count as h5py marks them: texts, and lists of numbers of any length."""
    if dtype.kind == "O":
        inner = dict(dtype.metadata or {}).get("vlen")
        if inner in {str, bytes}:
            return "text"
        return "list" if isinstance(inner, np.dtype) and kind_of(inner) in {"number", "flag"} else "other"
    if dtype.kind == "M":
        return "time" if np.datetime_data(dtype) in {(unit, 1) for unit in TIME_UNITS} else "other"
    return {"b": "flag", "f": "number", "i": "number", "u": "number", "S": "text", "U": "text"}.get(dtype.kind, "other")


def arrow(rows: Any, of: Column) -> pa.Array:
    """A column of a block of its array's rows; what is of kind ``other`` is missing.

    Raises DataError (``not-utf8``).
    """
    if of.kind == "other":
        return pa.nulls(len(rows))
    values = rows[of.field] if of.field else rows
    if of.place is not None:
        values = values[:, of.place]
    if of.levels is not None:
        codes = pa.array(values, mask=values < 0)
        return pa.DictionaryArray.from_arrays(codes, pa.array(of.levels, pa.string())).cast(pa.string())
    if of.kind == "text":
        return _texts(values, of)
    if of.kind == "time":
        return pa.array(values.astype(np.int64).view(f"M8[{of.unit}]"))
    if of.kind == "list" and not of.shape:
        counts = [len(row) for row in values]
        return pa.ListArray.from_arrays(pa.array(np.cumsum([0, *counts]), pa.int32()), _plain(np.concatenate(values)))
    if of.kind == "list":
        return pa.FixedSizeListArray.from_arrays(_plain(values.reshape(-1)), prod(of.shape))
    return _plain(values.astype(bool) if of.kind == "flag" else values)


def _plain(values: Any) -> pa.Array:
    """Numbers or flags as arrow keeps them: in the machine's order of bytes, as floats of 32 or 64 bits."""
    native = values.dtype.newbyteorder("=")
    if native.kind == "f":
        native = np.dtype(np.float32 if native.itemsize <= 4 else np.float64)
    return pa.array(np.ascontiguousarray(values, native))


def _texts(values: Any, of: Column) -> pa.Array:
    try:
        stored = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
        texts = pa.array(stored, pa.binary() if stored.dtype.kind == "O" else None).cast(pa.string())
    except pa.ArrowInvalid as error:
        raise DataError(Mistake("not-utf8", f"Column '{of.field or of.array}' holds text that is not UTF-8.",
                                "Write it as UTF-8, or leave the column out.")) from error
    if of.missing is None:
        return texts
    return pc.if_else(pc.equal(texts, of.missing), pa.scalar(None, pa.string()), texts)


def _mixed_lengths(lengths: Mapping[str, int], location: Location) -> Mistake:
    named = {length: name for name, length in lengths.items()}
    told = [f"'{named[length]}' has {length}" for length in sorted(named, reverse=True)[:MOST_LENGTHS]]
    return Mistake("mixed-lengths", f"The arrays in {location} are not of one length: {', '.join(told)} rows.",
                   "A table's columns have one length: keep other arrays in another file or group.")
