"""The files of a table: found, checked to agree, and read in chunks.

Takes what a recipe says under ``data.path`` or ``data.builtin``; gives the files in order with the columns they share,
and their rows as arrow tables or float32 arrays. What a column is for is :mod:`automl_phys.table_roles`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import registry
from automl_phys.contracts import Header
from automl_phys.errors import DataError, Key, Mistake
from automl_phys.rundir import sha256

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

CHUNK_ROWS = 100_000

_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"


@dataclass(frozen=True)
class Files:
    """Files that make one table, one after the other; ``sources[i]`` is the word for the format of ``paths[i]``.

    ``key`` is the place in the recipe that names them. ``header.rows`` is None when a file must be read to be counted.
    """

    paths: tuple[Path, ...]
    sources: tuple[str, ...]
    header: Header
    key: Key = ()


@dataclass(frozen=True)
class Used:
    """A file that went into a prepared table."""

    name: str
    sha256: str
    rows: int


def find(path: str | Sequence[str] | None, builtin: str | None, folder: Path, key: Key = ("data", "path")) -> Files:
    """The files behind a path, a list of paths or globs relative to ``folder``, or the built-in data set.

    ``key`` is the place in the recipe that its mistakes point to.

    Raises DataError with all of ``missing-file``, ``glob-matches-nothing``, ``unknown-format``, ``empty-file``,
    ``unreadable-file``, ``mixed-schemas``.
    """
    if builtin is not None:
        return _agreeing((Path(builtin),), ("builtin",), ("data", "builtin"))
    mistakes: list[Mistake] = []
    paths: list[Path] = []
    for one in [path] if isinstance(path, str) else path or []:
        matches = _matches(one, folder)
        paths += [match for match in matches if match not in paths]
        if not matches:
            mistakes.append(_nothing_there(one, folder))
    sources = []
    for found in paths:
        source = _source(found)
        if source is None:
            known = ", ".join(s for name in registry.names("sources") for s in registry.load("sources", name).SUFFIXES)
            mistakes.append(Mistake("unknown-format", f"The format of {found.name} is not known by its ending.",
                                    f"Known endings: {known}."))
        elif found.stat().st_size == 0:
            mistakes.append(Mistake("empty-file", f"{found} is empty.", "Give a file with rows."))
        sources.append(source or "")
    if mistakes:
        raise DataError([replace(m, key=key) for m in mistakes])
    return _agreeing(tuple(paths), tuple(sources), key)


def _matches(path: str, folder: Path) -> list[Path]:
    whole = folder / Path(path).expanduser()
    if whole.is_file():
        return [whole]
    parts = whole.parts
    magic = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), None)
    if magic is None:
        return []
    return sorted(f for f in Path(*parts[:magic]).glob(str(Path(*parts[magic:]))) if f.is_file())


def _nothing_there(path: str, folder: Path) -> Mistake:
    whole = folder / Path(path).expanduser()
    if any(c in path for c in "*?["):
        return Mistake("glob-matches-nothing", f"No file matches {whole}.", "Check the folder and the pattern.")
    if whole.is_dir():
        return Mistake("missing-file", f"{whole} is a folder.", f"Name its files, e.g. {path.rstrip('/')}/*.parquet.")
    if not whole.parent.is_dir():
        return Mistake("missing-file", f"There is no file {whole}: its folder is not there either.",
                       "A path is relative to the recipe's folder.")
    near = registry.did_you_mean(whole.name, [f.name for f in whole.parent.iterdir()])
    return Mistake("missing-file", f"There is no file {whole}.{near}", "A path is relative to the recipe's folder.")


def _source(path: Path) -> str | None:
    endings = {word: registry.load("sources", word).SUFFIXES for word in registry.names("sources")}
    return next((word for word, ending in endings.items() if path.name.lower().endswith(ending)), None)


def _agreeing(paths: tuple[Path, ...], sources: tuple[str, ...], key: Key) -> Files:
    """Files with one schema. Raises DataError (``mixed-schemas``, and what the sources raise)."""
    headers: list[Header] = []
    mistakes: list[Mistake] = []
    for path, source in zip(paths, sources, strict=True):
        try:
            header = registry.load("sources", source).peek(path)
        except DataError as error:
            mistakes += error.mistakes
            continue
        if header.rows == 0:
            mistakes.append(_without_rows(path))
        if headers and header.columns != headers[0].columns:
            mistakes.append(Mistake(
                "mixed-schemas", f"{path.name} does not have the columns of {paths[0].name}: "
                f"{_difference(headers[0].columns, header.columns)}.",
                "Files that make one table need the same columns of the same types."))
        headers.append(header)
    if mistakes:
        raise DataError([replace(m, key=key) for m in mistakes])
    known = [header.rows for header in headers if header.rows is not None]
    return Files(paths, sources, Header(headers[0].columns, sum(known) if len(known) == len(paths) else None), key)


def _without_rows(path: Path) -> Mistake:
    return Mistake("empty-file", f"{path} has columns but no rows.", "Give a file with rows.")


def _difference(first: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The columns in which two headers differ, the first three of them, in words."""
    words = [f"'{name}' is missing" for name in first if name not in other]
    words += [f"'{name}' is {other[name]}, not {kind}" for name, kind in first.items() if other.get(name, kind) != kind]
    words += [f"'{name}' is only there" for name in other if name not in first]
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")


def chunks(files: Files, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
    """The index of a file and some of its rows, in order. Raises DataError, its mistakes under ``files.key``."""
    for i, (path, source) in enumerate(zip(files.paths, files.sources, strict=True)):
        try:
            for chunk in registry.load("sources", source).read(path, columns, CHUNK_ROWS):
                yield i, chunk
        except DataError as error:
            raise DataError([replace(m, key=files.key) for m in error.mistakes]) from error


def whole(files: Files, columns: Sequence[str]) -> tuple[pa.Table, tuple[int, ...]]:
    """The named columns of all files in memory, and how many rows each file has.

    Without columns one is read all the same, for counting. Raises DataError (``empty-file`` when there is no row).
    """
    import pyarrow as pa

    rows = [0] * len(files.paths)
    tables = []
    for i, chunk in chunks(files, columns or list(files.header.columns)[:1]):
        rows[i] += chunk.num_rows
        tables.append(chunk)
    if not sum(rows):
        raise DataError(replace(_without_rows(files.paths[0]), key=files.key))
    return pa.concat_tables(tables, promote_options="permissive"), tuple(rows)


def floats(chunk: pa.Table, columns: Sequence[str]) -> NDArray[np.float32]:
    """Numeric columns as float32 (n, d). What is missing is NaN; what is too large for 32 bits is infinite."""
    import numpy as np
    import pyarrow as pa

    values = np.empty((chunk.num_rows, len(columns)), np.float32)
    for j, name in enumerate(columns):
        values[:, j] = chunk[name].cast(pa.float32(), safe=False).to_numpy()
    return values


def texts(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    """A column as codes (n,) into its distinct values as text; what is missing is -1.

    Whole floats are told as integers are, so that csv, which knows floats only, and parquet agree.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = pc.dictionary_encode(column).combine_chunks()
    codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int32)
    values = encoded.dictionary.to_pylist()
    names = list(dict.fromkeys(label_text(value) for value in values))
    position = {name: i for i, name in enumerate(names)}
    recode = np.array([-1 if label_text(v) == "nan" else position[label_text(v)] for v in values] + [-1], np.int32)
    return recode[codes], names


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


def used(files: Files, rows: Sequence[int]) -> tuple[Used, ...]:
    """Name, hash and rows of each file, for the record."""
    return tuple(Used(path.name, digest, n) for path, digest, n in zip(files.paths, digests(files), rows, strict=True))


def digests(files: Files) -> tuple[str, ...]:
    """SHA-256 of each file's bytes; of a built-in data set, of its columns."""
    if files.sources == ("builtin",):
        content = hashlib.sha256()
        for _, chunk in chunks(files, list(files.header.columns)):
            content.update(repr(chunk.schema.names).encode())
            for column in chunk.columns:
                content.update(_bytes(column))
        return (content.hexdigest(),)
    return tuple(sha256(path) for path in files.paths)


def _bytes(column: pa.ChunkedArray) -> bytes:
    if str(column.type) in {"string", "large_string"}:
        return "\0".join(text or "" for text in column.to_pylist()).encode()
    values: NDArray[np.generic] = column.to_numpy()
    return values.tobytes()
