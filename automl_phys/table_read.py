"""The rows of a table's files, in chunks: as arrow tables, as float32 arrays, or as codes of their values.

Takes files found by :mod:`automl_phys.table_files`; gives their rows in order, with the columns that a recipe makes.
What a column is for is :mod:`automl_phys.table_roles`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl_phys import file_hashes, registry
from automl_phys.contracts import Location
from automl_phys.errors import DataError
from automl_phys.table_files import Files, Used, without_rows

if TYPE_CHECKING:
    import pyarrow as pa

MOST_CHUNK_ROWS = 250_000
CHUNK_CELLS = 8_000_000
"""Values in a chunk at most, which bounds the memory where there are many columns."""
CACHED_ROWS = 4096
MOST_NUMBERED = 1 << 16
"""The range of integers within which codes are looked up rather than hashed."""

_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"


def chunks(files: Files, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
    """The index of a file and some of its rows, in order; ``files.tell`` hears of them where there are many. Raises
    DataError, its mistakes under ``files.key``."""
    made = files.view.needs(columns) != list(columns)
    needed = files.view.needs(columns) or list(files.header.columns)[:1]  # one at least, to count its rows
    rows = _chunk_rows(files, needed)
    done, total = 0, files.header.rows or 0
    for i, (location, source, label) in enumerate(zip(files.locations, files.sources, files.labels, strict=True)):
        try:
            for chunk in registry.load("sources", source).read(location, needed, rows):
                yield i, files.view.apply(chunk, columns, label) if made else chunk
                done += chunk.num_rows
                if total > rows:
                    files.tell(done, total, "rows read")
        except DataError as error:
            raise DataError([replace(m, key=files.key) for m in error.mistakes]) from error


def _chunk_rows(files: Files, columns: Sequence[str]) -> int:
    """Rows that are read at once."""
    width = sum(max(prod(files.header.shapes.get(name, ())), files.view.lengths.get(name, 1)) for name in columns)
    return max(1, min(MOST_CHUNK_ROWS, CHUNK_CELLS // width))


def whole(files: Files, columns: Sequence[str]) -> tuple[pa.Table, tuple[int, ...]]:
    """The named columns of all files in memory, texts as codes, and how many rows each file has.

    Without columns one is read all the same, for counting. Raises DataError (``empty-file`` when there is no row).
    """
    import pyarrow as pa

    rows = [0] * len(files.locations)
    tables = []
    for i, chunk in chunks(files, columns or list(files.header.columns)[:1]):
        rows[i] += chunk.num_rows
        tables.append(pa.table(coded(chunk, chunk.column_names)))
    if not sum(rows):
        raise DataError(replace(without_rows(files.locations[0].path), key=files.key))
    return pa.concat_tables(tables, promote_options="permissive"), tuple(rows)


def _coded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text as codes into its distinct values, which takes a tenth of the memory; other columns as they are."""
    import pyarrow as pa

    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return column.cast(pa.string()).dictionary_encode() if text else column


def coded(chunk: pa.Table, columns: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    """Columns by name, text as codes into its distinct values."""
    return {name: _coded(chunk[name]) for name in columns}


def floats(chunk: pa.Table, columns: Sequence[str]) -> NDArray[np.float32]:
    """Numeric columns as float32 (n, d). What is missing is NaN; what is too large for 32 bits is infinite."""
    values = np.empty((chunk.num_rows, len(columns)), np.float32)
    for at, block in float_blocks(chunk, columns):
        values[at:at + len(block)] = block
    return values


def float_blocks(chunk: pa.Table, columns: Sequence[str]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """What :func:`floats` gives, in pieces that stay in a processor's cache, and the row at which each begins."""
    import pyarrow as pa

    if not columns:
        yield 0, np.empty((chunk.num_rows, 0), np.float32)
        return
    arrays = [chunk[name].cast(pa.float32(), safe=False).combine_chunks() for name in columns]
    batch = pa.RecordBatch.from_arrays(arrays, [str(j) for j in range(len(columns))])
    for at in range(0, chunk.num_rows, CACHED_ROWS):
        yield at, batch.slice(at, CACHED_ROWS).to_tensor(null_to_nan=True, row_major=True).to_numpy()


def texts(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """A column as codes (n,) into its distinct values as text; what is missing is -1.

    Whole floats are told as integers are, so that csv, which knows floats only, and parquet agree.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(column.type) and not column.null_count and len(column):
        low, high = (value.as_py() for value in pc.min_max(column).values())
        if high - low < MOST_NUMBERED:
            return _numbered(column, low, high)
    coded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    encoded = coded.unify_dictionaries().combine_chunks()
    codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int32)
    values = encoded.dictionary.to_pylist()
    names = list(dict.fromkeys(label_text(value) for value in values))
    position = {name: i for i, name in enumerate(names)}
    recode = np.array([-1 if label_text(v) == "nan" else position[label_text(v)] for v in values] + [-1], np.int32)
    return recode[codes], names


def _numbered(column: pa.ChunkedArray, low: int, high: int) -> tuple[NDArray[np.int32], list[str]]:
    """Integers from ``low`` to ``high`` as codes into those that occur."""
    steps = np.empty(len(column), np.int32)
    there = np.zeros(high - low + 1, np.bool_)
    at = 0
    for chunk in column.chunks:  # piece by piece, as large temporary arrays take longer to get than to fill
        piece = steps[at:at + len(chunk)]
        np.subtract(chunk.to_numpy(), low, out=piece, casting="unsafe")
        there[piece] = True
        at += len(chunk)
    if not there.all():
        steps = (np.cumsum(there, dtype=np.int32) - 1)[steps]
    return steps, [str(low + int(step)) for step in np.flatnonzero(there)]


def label_text(value: object) -> str:
    """A raw value as text: ``true``, ``3`` for 3 and 3.0, text as it is."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def carried(table: pa.Table, spectators: Sequence[str], rows: NDArray[np.int64]) -> pa.Table:
    """``row``, where the rows of a table are in the data, unless a spectator is so called, and the spectators."""
    import pyarrow as pa

    columns = {name: table[name] for name in spectators}
    return pa.table(columns if "row" in columns else {"row": rows, **columns})


def first_text(files: Files, column: str) -> tuple[str, int] | None:
    """The first value of a text column that is not a number, and its row counting from 0; else the first value."""
    import pyarrow.compute as pc

    first, start = None, 0
    for _, chunk in chunks(files, [column]):
        words = chunk[column].cast("string")
        odd = pc.index(pc.match_substring_regex(words, _NUMBER), False).as_py()
        if odd >= 0:
            return words[odd].as_py(), start + odd
        present = pc.index(pc.is_valid(words), True).as_py()
        if first is None and present >= 0:
            first = (words[present].as_py(), start + present)
        start += chunk.num_rows
    return first


def on_disk(files: Files) -> list[Location]:
    """The files that are files, or folders of images: what is built in is none."""
    return [at for at, source in zip(files.locations, files.sources, strict=True) if source != "builtin"]


def used(files: Files, rows: Sequence[int]) -> tuple[Used, ...]:
    """Name, hash and rows of each file, for the record."""
    each = zip(files.locations, digests(files), rows, strict=True)
    return tuple(Used(location.path.name, digest, n) for location, digest, n in each)


def digests(files: Files) -> tuple[str, ...]:
    """SHA-256 of each file's bytes; of a folder's images and their names; of a built-in data set's columns."""
    return tuple(_of_builtin(location) if source == "builtin" else file_hashes.sha256(location.path, tell=files.tell)
                 for location, source in zip(files.locations, files.sources, strict=True))


def _of_builtin(location: Location) -> str:
    source, content = registry.load("sources", "builtin"), hashlib.sha256()
    for chunk in source.read(location, list(source.peek(location).columns), MOST_CHUNK_ROWS):
        content.update(repr(chunk.schema.names).encode())
        for column in chunk.columns:
            content.update(_bytes(column))
    return content.hexdigest()


def _bytes(column: pa.ChunkedArray) -> bytes:
    import pyarrow.compute as pc

    if str(column.type) in {"string", "large_string"}:
        return "\0".join(text or "" for text in column.to_pylist()).encode()
    if str(column.type).startswith("fixed_size_list"):
        return _bytes(pc.list_flatten(column))
    values: NDArray[np.generic] = column.to_numpy()
    return values.tobytes()
