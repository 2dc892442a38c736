"""Tables as pandas keeps them in HDF5 files (``DataFrame.to_hdf``), read without pandas and without a pickle.

Takes a group that pandas wrote, gives where each column is. Known are the layouts ``fixed`` (blocks of columns of one
type, the names beside them) and ``table`` (one table of PyTables, also with ``data_columns``), of frames and of series.
The index is no column. Names that lie in a pickled list are read off it as text: nothing is ever unpickled.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from automl_phys import array_columns
from automl_phys.array_columns import Column, Layout
from automl_phys.errors import DataError, Mistake
from automl_phys.hdf5_arrays import OPAQUE, check, element_type

if TYPE_CHECKING:
    import h5py

MISSING = "nan"
"""What pandas writes for a missing text unless it is told otherwise."""

PICKLED_NONE = "N."
"""How an attribute says that it has no value."""

_BLOCK = re.compile(r"values(_block_\d+)?")
_TIME = re.compile(r"datetime64(?:\[(\w+).*\])?")

_LISTS = {"LIST", "EMPTY_LIST"}
_WORDS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "INT", "BININT", "BININT1", "BININT2", "LONG",
          "LONG1"}
_AROUND = {"PROTO", "FRAME", "MARK", "APPEND", "APPENDS", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP"}
"""What a pickled list of words is made of: the list, the words, and opcodes that neither make nor call anything."""


def is_pandas(group: h5py.Group) -> bool:
    """Whether pandas wrote this group."""
    return "pandas_type" in group.attrs


def layout(group: h5py.Group) -> Layout:
    """Where the columns of a frame or series are. Raises DataError (``unsupported-layout``, ``duplicate-columns``)."""
    kind = _text(group.attrs["pandas_type"])
    if kind == "frame":
        rows, found = _fixed(group)
    elif kind == "series":
        values = group["values"]
        rows, found = _length(values), [("values", _timed(_column(values), values.attrs.get("value_type", "")))]
    elif kind in {"frame_table", "series_table"}:
        rows, found = len(group["table"]), list(_fields(group))
    else:
        raise _unsupported(group, f"it is of the kind '{kind}'")
    columns = dict(found)
    if len(columns) < len(found):
        twice = next(name for i, (name, _) in enumerate(found) if name in [other for other, _ in found[:i]])
        raise DataError(Mistake("duplicate-columns", f"{_place(group)} has more than one column '{twice}'.",
                                "Rename one of them."))
    return Layout(rows, columns)


def _fixed(group: h5py.Group) -> tuple[int, list[tuple[str, Column]]]:
    """Rows and columns of a frame in blocks, in its own order of columns."""
    found: list[tuple[str, Column]] = []
    rows = None
    for i in range(int(group.attrs["nblocks"])):
        values, names = group[f"block{i}_values"], _names(group, f"block{i}_items")
        if element_type(values) == OPAQUE:
            found += [(name, Column(values.name, "other")) for name in names]
            continue
        rows = _length(values)
        if rows and values.shape != (rows, len(names)):
            raise _unsupported(group, f"'block{i}_values' is of the shape {values.shape}")
        kept = _timed(_column(values), values.attrs.get("value_type", ""))
        found += [(name, replace(kept, place=j)) for j, name in enumerate(names)]
    if rows is None:
        raise _unsupported(group, "all its columns are pickled")
    order = {name: i for i, name in enumerate(_names(group, "axis0"))}
    return rows, sorted(found, key=lambda item: order.get(item[0], len(order)))


def _fields(group: h5py.Group) -> Iterator[tuple[str, Column]]:
    """The columns of a frame that is a table: each a field, or with others of its type in a field of many values."""
    table = group["table"]
    attributes, dtype = table.attrs, element_type(table)
    for field in dtype.names or ():
        if field == "index":
            continue
        base, width = dtype[field].base, dtype[field].shape
        kept = _timed(array_columns.column(table.name, base, field=field), attributes.get(f"{field}_dtype", ""))
        if kept.kind == "text":
            missing = _text(attributes.get(f"{field}_nan_rep", group.attrs.get("nan_rep", PICKLED_NONE)))
            kept = replace(kept, missing=MISSING if missing == PICKLED_NONE else missing)
        if _text(attributes.get(f"{field}_meta", "")) == "category":
            levels = group[f"meta/{field}/meta/table"]
            check([levels])
            kept = replace(kept, kind="text", levels=tuple(_text(level) for level in levels["values"]))
        names = _words(attributes[f"{field}_kind"], group) if _BLOCK.fullmatch(field) else [field]
        if width not in {(), (len(names),)}:
            raise _unsupported(group, f"the field '{field}' has {width} values and {len(names)} names")
        yield from ((name, replace(kept, place=j if width else None)) for j, name in enumerate(names))


def _column(values: h5py.Dataset) -> Column:
    return array_columns.column(values.name, element_type(values))


def _length(values: h5py.Dataset) -> int:
    """Rows of an array; pandas keeps one without any as a single value, and its shape beside it."""
    return 0 if "shape" in values.attrs or 0 in values.shape else int(values.shape[0])


def _timed(column: Column, stored: object) -> Column:
    """A column of integers as times where pandas says so."""
    found = _TIME.fullmatch(_text(stored))
    return replace(column, kind="time", unit=found[1] or "ns") if found else column


def _names(group: h5py.Group, items: str) -> list[str]:
    """The names of columns that lie in an array of texts or numbers."""
    if items not in group:
        raise _unsupported(group, "its columns have names of several levels")
    if element_type(group[items]) == OPAQUE:
        raise _unsupported(group, "its columns' names are a pickle")
    check([group[items]])
    return [_text(name) for name in group[items][()]]


def _words(pickled: bytes | np.void, group: h5py.Group) -> list[str]:
    """The texts and integers of a pickled list, read off its opcodes. Raises DataError (``unsupported-layout``) when it
    is anything but such a list: nothing is unpickled."""
    found, lists = [], 0
    try:
        for opcode, value, _ in pickletools.genops(pickled.tobytes() if isinstance(pickled, np.void) else pickled):
            if opcode.name in _WORDS:
                found.append(str(value))
            elif opcode.name in _LISTS:
                lists += 1
            elif opcode.name not in _AROUND:
                raise _unsupported(group, f"its columns' names are a pickle with the opcode {opcode.name}")
    except (ValueError, TypeError) as error:
        raise _unsupported(group, "its columns' names cannot be read") from error
    if lists != 1:
        raise _unsupported(group, "its columns' names are not one list")
    return found


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _place(group: h5py.Group) -> str:
    return f"{group.file.filename}:{group.name.strip('/')}"


def _unsupported(group: h5py.Group, reason: str) -> DataError:
    return DataError(Mistake("unsupported-layout", f"{_place(group)} is a pandas table that is not read: {reason}.",
                             "Write it with pandas as Parquet: DataFrame.to_parquet."))
