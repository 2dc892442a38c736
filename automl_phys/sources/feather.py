"""Source ``feather``: Arrow files (Feather version 2, Arrow IPC file format).

Takes a file, gives its columns from the schema and its rows from the headers of its batches, and the named columns in
chunks. The file is memory-mapped; batches are read one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import arrow_kinds
from automl_phys.contracts import Header, Location
from automl_phys.errors import DataError, Mistake

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".feather", ".arrow", ".ipc")
INSIDE = ""

FIRST_VERSION = b"FEA1"
"""How files of Feather version 1 begin."""


def peek(location: Location) -> Header:
    """Columns and rows. Raises DataError (``unreadable-file``, ``old-feather``, ``duplicate-columns``)."""
    import pyarrow as pa

    with _opened(location.path) as file:
        schema = pa.schema([(field.name, _usual(field.type)) for field in file.schema])
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        text = f"{location.path} has more than one column '{twice[0]}'."
        raise DataError(Mistake("duplicate-columns", text, "Rename one of them."))
    with _opened(location.path, [0]) as file:
        return arrow_kinds.header(schema, sum(file.get_batch(i).num_rows for i in range(file.num_record_batches)))


def read(location: Location, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
    """The named columns in the file's order of rows, at most ``chunk_rows`` at a time; arrays of several axes as lists.

    Raises DataError (``unreadable-file``, ``old-feather``).
    """
    import pyarrow as pa

    with _opened(location.path) as file:
        places = [file.schema.names.index(name) for name in columns]
    with _opened(location.path, places) as file:
        for i in range(file.num_record_batches):
            batch = file.get_batch(i).select(list(columns))
            batch.validate(full=True)
            for start in range(0, batch.num_rows, chunk_rows):
                rows = pa.Table.from_batches([batch.slice(start, chunk_rows)])
                usual = pa.schema([(field.name, _usual(field.type)) for field in rows.schema])
                yield arrow_kinds.plain(rows.cast(usual))


def _usual(arrow_type: pa.DataType) -> pa.DataType:
    """The type that texts have elsewhere; Polars writes views of them."""
    import pyarrow as pa

    return pa.string() if pa.types.is_string_view(arrow_type) else arrow_type


@contextmanager
def _opened(path: Path, places: Sequence[int] = ()) -> Iterator[pa.ipc.RecordBatchFileReader]:
    """The file, with the columns at ``places`` or with all."""
    import pyarrow as pa

    try:
        with path.open("rb") as file:
            first = file.read(len(FIRST_VERSION))
        if first == FIRST_VERSION:
            raise DataError(Mistake("old-feather", f"{path} is of Feather version 1, which is no longer read.",
                                    "Write it again as version 2 (an Arrow file) or as Parquet."))
        with pa.memory_map(str(path)) as mapped:
            yield pa.ipc.open_file(mapped, options=pa.ipc.IpcReadOptions(included_fields=list(places)))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(Mistake("unreadable-file", f"{path} cannot be read as Arrow: {' '.join(str(error).split())}",
                                "It may be truncated or of another format: copy or write it again.")) from error
