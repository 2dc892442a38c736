"""What arrow's types are to a table: ``number``, ``text``, ``flag``, ``time``, ``list`` or ``other``.

Takes an arrow schema, gives a source's header; for sources whose files say their types in arrow's words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl_phys.contracts import Header

if TYPE_CHECKING:
    import pyarrow as pa


def header(schema: pa.Schema, rows: int | None) -> Header:
    """The kinds of all columns, and the shapes of arrays of one length."""
    from pyarrow import types

    shapes = {field.name: (field.type.list_size,) for field in schema if types.is_fixed_size_list(field.type)}
    return Header({field.name: kind(field.type) for field in schema}, rows, shapes)


def kind(of: pa.DataType) -> str:
    """The word for a type. A dictionary counts as what it holds, a list of numbers or flags as ``list``."""
    from pyarrow import types

    if types.is_dictionary(of):
        return kind(of.value_type)
    if types.is_boolean(of):
        return "flag"
    if types.is_integer(of) or types.is_floating(of) or types.is_decimal(of):
        return "number"
    if types.is_list(of) or types.is_large_list(of) or types.is_fixed_size_list(of):
        return "list" if kind(of.value_type) in {"number", "flag"} else "other"
    if types.is_timestamp(of) or types.is_date(of):
        return "time"
    return "text" if types.is_string(of) or types.is_large_string(of) else "other"
