"""What arrow's types are to a table: ``number``, ``text``, ``flag``, ``time``, ``list`` or ``other``.

Takes an arrow schema, gives a source's header, and makes lists of lists plain; for sources whose files say their types
in arrow's words.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from automl_phys.contracts import Header

if TYPE_CHECKING:
    import pyarrow as pa


def header(schema: pa.Schema, rows: int | None) -> Header:
    """The kinds of all columns, and the shapes of arrays of one length."""
    kinds = {field.name: kind(field.type) for field in schema}
    shapes = {field.name: _shape(field.type) for field in schema if kinds[field.name] == "list" and _shape(field.type)}
    return Header(kinds, rows, shapes)


def kind(of: pa.DataType) -> str:
    """The word for a type. A dictionary counts as what it holds, a list of numbers or flags as ``list``, and so do
    lists of lists that are alike in every row, and tensors."""
    from pyarrow import types

    if types.is_dictionary(of):
        return kind(of.value_type)
    if types.is_boolean(of):
        return "flag"
    if types.is_integer(of) or types.is_floating(of) or types.is_decimal(of):
        return "number"
    if _shape(of):
        return "list" if kind(_value_type(of)) in {"number", "flag"} and 0 not in _shape(of) else "other"
    if types.is_list(of) or types.is_large_list(of):
        return "list" if kind(of.value_type) in {"number", "flag"} else "other"
    if types.is_timestamp(of) or types.is_date(of):
        return "time"
    return "text" if types.is_string(of) or types.is_large_string(of) else "other"


def plain(table: pa.Table) -> pa.Table:
    """The rows with arrays of several axes, be they nested lists of fixed lengths or tensors, as one list each, in C
    order. A row is missing when one of its lists is."""
    for i, field in enumerate(table.schema):
        if kind(field.type) == "list" and len(_shape(field.type)) > 1:
            table = table.set_column(i, field.name, _plain(table.column(i)))
    return table


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    length = prod(_shape(column.type))
    return pa.chunked_array([_one_list(chunk, length) for chunk in column.chunks],
                            pa.list_(_value_type(column.type), length))


def _one_list(lists: pa.Array, length: int) -> pa.Array:
    import pyarrow as pa
    from pyarrow import types

    values = lists.storage if isinstance(lists, pa.ExtensionArray) else lists
    missing = np.zeros(len(lists), np.bool_)
    while types.is_fixed_size_list(values.type):
        missing |= values.is_null().to_numpy(zero_copy_only=False).reshape(len(lists), -1).any(1)
        size = values.type.list_size
        values = values.values.slice(values.offset * size, len(values) * size)  # flatten() would leave out missing ones
    return pa.FixedSizeListArray.from_arrays(values, length, mask=pa.array(missing) if missing.any() else None)


def _shape(of: pa.DataType) -> tuple[int, ...]:
    """What all rows of a type have in common: the lengths of its lists of fixed lengths, or a tensor's axes."""
    import pyarrow as pa
    from pyarrow import types

    if isinstance(of, pa.FixedShapeTensorType):
        moved = of.permutation and list(of.permutation) != sorted(of.permutation)
        return () if moved else tuple(of.shape)
    return (of.list_size, *_shape(of.value_type)) if types.is_fixed_size_list(of) else ()


def _value_type(of: pa.DataType) -> pa.DataType:
    """The type of what is in the innermost list of a type that has a shape."""
    return _value_type(of.value_type) if _shape(of) else of
