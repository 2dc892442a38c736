"""Files that are written block by block, for tables that need not fit into memory.

Takes tables of the same columns, one after the other; writes them into one file, whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import rundir, table_file
from automl_phys.errors import CallError, Mistake
from automl_phys.registry import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa


GROUP = 1 << 17
"""Rows that are written together."""


def write(tables: Iterable[pa.Table], target: Path) -> None:
    """Write ``target``: .parquet, .csv or .feather. Raises CallError for another ending, RunError when the disk
    refuses."""
    check(target)
    waiting = map(table_file.lists_as_text, tables) if target.suffix.lower() == ".csv" else iter(tables)
    first = next(waiting)
    with rundir.atomic(target) as temporary, WRITERS[target.suffix.lower()](temporary, first.schema) as writer:
        for table in _gathered(chain([first], waiting)):
            writer.write_table(table)


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in fewer tables: readers like row groups of some size."""
    import pyarrow as pa

    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(len(one) for one in held) >= GROUP:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def check(target: Path) -> None:
    """Raise CallError (``unknown-format``) when such a file is not written block by block."""
    if target.suffix.lower() not in WRITERS:
        raise CallError(Mistake(
            "unknown-format", f"The format of {target.name} cannot be written event by event."
            f"{did_you_mean(target.suffix, WRITERS)}", f"Known endings: {', '.join(WRITERS)}."))


def _parquet(path: Path, schema: pa.Schema) -> AbstractContextManager[Any]:
    from pyarrow import parquet

    return parquet.ParquetWriter(path, schema)  # type: ignore[no-any-return]  # pyarrow's types do not say


def _csv(path: Path, schema: pa.Schema) -> AbstractContextManager[Any]:
    from pyarrow import csv

    return csv.CSVWriter(path, schema)  # type: ignore[no-any-return]


def _feather(path: Path, schema: pa.Schema) -> AbstractContextManager[Any]:
    import pyarrow as pa

    return closing(pa.ipc.new_file(str(path), schema))


WRITERS: dict[str, Callable[[Path, Any], AbstractContextManager[Any]]] = {
    ".parquet": _parquet, ".csv": _csv, ".feather": _feather}
