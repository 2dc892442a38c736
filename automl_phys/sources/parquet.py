"""Source ``parquet``: Apache Parquet files.

Takes a file, gives its columns' kinds and number of rows from its footer alone, and the named columns in chunks.
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

SUFFIXES = (".parquet", ".pq")
INSIDE = ""


def peek(location: Location) -> Header:
    """Columns and rows from the footer. Raises DataError (``unreadable-file``)."""
    from pyarrow.parquet import ParquetFile

    with _named_errors(location.path), ParquetFile(location.path, memory_map=True) as file:
        return arrow_kinds.header(file.schema_arrow, file.metadata.num_rows)


def read(location: Location, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
    """The named columns in the file's order of rows, at most ``chunk_rows`` at a time; arrays of several axes as lists.

    Raises DataError (``unreadable-file``).
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    with _named_errors(location.path), ParquetFile(location.path, memory_map=True) as file:
        for batch in file.iter_batches(chunk_rows, columns=list(columns)):
            yield arrow_kinds.plain(pa.Table.from_batches([batch]))


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(Mistake("unreadable-file", f"{path} cannot be read as Parquet: {' '.join(str(error).split())}",
                                "It may be truncated or of another format: copy or write it again.")) from error
