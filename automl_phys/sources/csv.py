"""Source ``csv``: comma- and tab-separated text with a header line, plain or gzipped.

Takes a file, gives its columns' kinds (from its first block) and its rows in chunks. An empty field, ``NA``, ``NaN`` or
``null`` is a missing value. Numbers are read as 64-bit floats, exact for integers up to 2^53.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import arrow_kinds
from automl_phys.contracts import Header, Location
from automl_phys.errors import DataError, Mistake

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.csv import CSVStreamingReader

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
INSIDE = ""

BLOCK_BYTES = 1 << 24
"""Columns' kinds are told from this much of a file."""

_NOT_A_NUMBER = re.compile(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to \w+: invalid value '(.*)'")


def peek(location: Location) -> Header:
    """Columns from the first block; a column without any value there counts as ``number``.

    Raises DataError (``empty-file``, ``unreadable-file``, ``duplicate-columns``).
    """
    path = location.path
    with _named_errors(path):
        schema = _open(path, {}).schema
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        text = f"{path} has more than one column '{twice[0]}'."
        raise DataError(Mistake("duplicate-columns", text, "Rename one of them."))
    return Header({field.name: _kind(field.type) for field in schema}, None)


def read(location: Location, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
    """The named columns in the file's order of rows, at most ``chunk_rows`` at a time.

    Raises DataError (``text-column`` with line and value, ``unreadable-file``).
    """
    import pyarrow as pa

    arrow = {"number": pa.float64(), "text": pa.string(), "flag": pa.bool_()}
    path = location.path
    kinds = peek(location).columns
    types = {name: arrow[kinds[name]] for name in columns if kinds[name] in arrow}
    with _named_errors(path, columns):
        for batch in _open(path, types, columns):
            for start in range(0, batch.num_rows, chunk_rows):
                yield pa.Table.from_batches([batch.slice(start, chunk_rows)])


def _open(path: Path, types: dict[str, pa.DataType], columns: Sequence[str] = ()) -> CSVStreamingReader:
    from pyarrow import csv

    delimiter = "\t" if ".tsv" in path.name.lower() else ","
    return csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),  # one thread knows an error's line
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(column_types=types, include_columns=list(columns), strings_can_be_null=True),
    )


def _kind(arrow_type: pa.DataType) -> str:
    from pyarrow import types

    return "number" if types.is_null(arrow_type) else arrow_kinds.kind(arrow_type)


@contextmanager
def _named_errors(path: Path, columns: Sequence[str] = ()) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            empty = Mistake("empty-file", f"{path} is empty.", "Give a file with a header line and rows.")
            raise DataError(empty) from error
        found = _NOT_A_NUMBER.search(str(error))
        if found:
            number, line, value = found.groups()
            name = columns[int(number)] if int(number) < len(columns) else f"number {number}"
            place = f" in line {line}" if line else ""
            raise DataError(Mistake(
                "text-column", f"Column '{name}' of {path.name} is numeric but holds '{value}'{place}.",
                "Correct or empty this field, or leave the column out with 'exclude'.")) from error
        raise DataError(Mistake("unreadable-file", f"{path} cannot be read as text in columns: {error}.",
                                "Every line needs as many fields as the header; is the delimiter right?")) from error
    except OSError as error:
        raise DataError(Mistake("unreadable-file", f"{path} cannot be read: {error}.",
                                "It may be truncated: copy or write it again.")) from error
