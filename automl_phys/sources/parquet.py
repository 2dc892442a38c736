"""Source ``parquet``: Apache Parquet files.

Takes a file, gives its columns' kinds and number of rows from its footer alone, and the named columns in chunks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys.contracts import Header
from automl_phys.errors import DataError, Mistake

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".parquet", ".pq")


def peek(path: Path) -> Header:
    """Columns and rows from the footer. Raises DataError (``unreadable-file``)."""
    from pyarrow.parquet import ParquetFile

    with _named_errors(path), ParquetFile(path) as file:
        return Header({field.name: _kind(field.type) for field in file.schema_arrow}, file.metadata.num_rows)


def read(path: Path, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
    """The named columns in the file's order of rows, at most ``chunk_rows`` at a time.

    Raises DataError (``unreadable-file``).
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    with _named_errors(path), ParquetFile(path) as file:
        for batch in file.iter_batches(chunk_rows, columns=list(columns)):
            yield pa.Table.from_batches([batch])


def _kind(arrow_type: pa.DataType) -> str:
    from pyarrow import types

    if types.is_dictionary(arrow_type):
        return _kind(arrow_type.value_type)
    if types.is_boolean(arrow_type):
        return "flag"
    if types.is_integer(arrow_type) or types.is_floating(arrow_type) or types.is_decimal(arrow_type):
        return "number"
    return "text" if types.is_string(arrow_type) or types.is_large_string(arrow_type) else "other"


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(Mistake("unreadable-file", f"{path} cannot be read as Parquet: {' '.join(str(error).split())}",
                                "It may be truncated or of another format: copy or write it again.")) from error
