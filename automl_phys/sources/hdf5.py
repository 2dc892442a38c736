"""Source ``hdf5``: HDF5 files, as h5py, PyTables and pandas write them.

Takes a file and, after a colon, the group or dataset that is the table; gives its columns and rows without reading
them, and the rows in blocks. A table is

- a group of arrays of one length: those of one axis are columns, those of more are lists with a shape;
- a compound dataset (a table of PyTables is one): each field is a column;
- an array of two axes that is alone in its group, or named: ``events_0``, ``events_1``, … of ``events``;
- a frame of pandas, of either layout (:mod:`automl_phys.hdf5_pandas`).

Nothing is unpickled, and no other file is followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys.contracts import Header, Location
from automl_phys.errors import DataError, Mistake
from automl_phys.registry import did_you_mean

if TYPE_CHECKING:
    import h5py
    import pyarrow as pa

    from automl_phys.array_columns import Layout

SUFFIXES = (".h5", ".hdf5", ".hdf")
INSIDE = "group"

ROOT = "/"
"""How the group that holds all others is named."""

MOST_LISTED = 20

_INDEX = ("_i_", "_p_")
"""How the groups begin that PyTables hides: indices of its tables among them."""


def peek(location: Location) -> Header:
    """Columns and rows, from the file's structure alone.

    Raises DataError (``unreadable-file``, ``no-table``, ``which-table``, ``no-such-table``, ``mixed-lengths``,
    ``unsupported-layout``, ``missing-filter``, ``data-elsewhere``, ``duplicate-columns``).
    """
    with _opened(location.path) as file:
        return _layout(file, location).header()


def read(location: Location, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
    """The named columns in the order of rows, at most ``chunk_rows`` at a time, fewer where rows are large.

    Raises DataError (as ``peek`` does, and ``not-utf8``).
    """
    import pyarrow as pa

    from automl_phys import array_columns, hdf5_arrays

    with _opened(location.path) as file:
        layout = _layout(file, location)
        wanted = {name: layout.columns[name] for name in columns}
        read = {column.array for column in wanted.values() if column.kind != "other"}
        arrays = {name: file[name] for name in read}
        fields = {name: list(dict.fromkeys(c.field for c in wanted.values() if c.array == name and c.field))
                  for name in read}
        step = hdf5_arrays.block_rows(arrays.values(), chunk_rows)
        for start in range(0, layout.rows, step):
            stop = min(start + step, layout.rows)
            rows = {name: hdf5_arrays.rows_of(array, fields[name], start, stop) for name, array in arrays.items()}
            yield pa.table({name: array_columns.arrow(rows.get(column.array, range(stop - start)), column)
                            for name, column in wanted.items()})


def _layout(file: h5py.File, location: Location) -> Layout:
    """Where the columns of the table that is meant are; all of them can be read."""
    import h5py

    from automl_phys import array_columns, hdf5_arrays, hdf5_pandas

    table = file[_chosen(file, location)]
    if isinstance(table, h5py.Group) and hdf5_pandas.is_pandas(table):
        layout = hdf5_pandas.layout(table)
    else:
        datasets = [table] if isinstance(table, h5py.Dataset) else _columns(table)
        layout = array_columns.of_arrays({
            _split(one.name)[1]: array_columns.Array(one.name, hdf5_arrays.element_type(one), one.shape)
            for one in datasets}, location)
    hdf5_arrays.check(file[name] for name in dict.fromkeys(column.array for column in layout.columns.values()))
    return layout


def _chosen(file: h5py.File, location: Location) -> str:
    """The path of the table in the file. Raises DataError when it is not there, or not told which it is."""
    import h5py

    from automl_phys import hdf5_pandas

    tables = _tables(file)
    named = location.inside.strip("/") or location.inside[:1]
    if named in tables:
        return named
    if named and named != ROOT:
        thing = file.get(named)
        if thing is not None and thing.file.filename != file.filename:
            raise DataError(Mistake("data-elsewhere", f"'{named}' in {location.path} is a link to another file.",
                                    f"Name that file: {thing.file.filename}."))
        if isinstance(thing, h5py.Dataset) and thing.shape:
            return thing.parent.name if hdf5_pandas.is_pandas(thing.parent) else named
        below = [table for table in tables if table.startswith(f"{named}/")]
        if not isinstance(thing, h5py.Group) or not below:
            text = f"There is no table '{named}' in {location.path}.{did_you_mean(named, tables)}"
            raise DataError(Mistake("no-such-table", text, f"Tables: {_listed(tables)}."))
        tables = below
    if not tables:
        raise DataError(Mistake("no-table", f"{location.path} holds no table.",
                                "A table is a group of arrays of one length, a compound dataset, or a pandas frame."))
    if len(tables) > 1:
        raise DataError(Mistake("which-table", f"{location.path} holds several tables: {_listed(tables)}.",
                                f"Name one after a colon, e.g. {location.path.name}:{tables[0]}."))
    return tables[0]


def _tables(file: h5py.File) -> list[str]:
    """The paths of all tables: compound datasets, frames of pandas, and groups that hold arrays."""
    import h5py

    from automl_phys import hdf5_pandas

    frames: set[str] = set()
    found: dict[str, None] = {}

    def look(path: str, thing: h5py.HLObject) -> None:
        group, _ = _split(path)
        if any(part.startswith(_INDEX) for part in path.split("/")) or path.partition("/meta/")[0] in frames:
            return
        if isinstance(thing, h5py.Group):
            if hdf5_pandas.is_pandas(thing):
                frames.add(path)
                found[path] = None
        elif group not in frames and _is_array(thing):
            found[path if thing.dtype.names else group or ROOT] = None

    file.visititems(look)
    return list(found)


def _columns(group: h5py.Group) -> list[h5py.Dataset]:
    """The arrays that lie in a group itself."""
    import h5py

    own = (group[name] for name in group if isinstance(group.get(name, getlink=True), h5py.HardLink))
    return [one for one in own if _is_array(one) and not one.dtype.names]


def _is_array(thing: h5py.HLObject) -> bool:
    """Whether this has rows that can be read; PyTables marks pickles as ``PSEUDOATOM``."""
    import h5py

    return isinstance(thing, h5py.Dataset) and bool(thing.shape) and "PSEUDOATOM" not in thing.attrs


def _split(path: str) -> tuple[str, str]:
    """The group and the name of what is at a path."""
    group, _, name = path.rpartition("/")
    return group, name


def _listed(tables: Sequence[str]) -> str:
    more = f" and {len(tables) - MOST_LISTED} more" if len(tables) > MOST_LISTED else ""
    return ", ".join(tables[:MOST_LISTED]) + more if tables else "none"


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file. What h5py raises when a file is cut off (OSError) or damaged (the others) is told as such."""
    import h5py

    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  (makes its filters known: blosc, zstd, lz4, …)
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise DataError(Mistake("unreadable-file", f"{path} cannot be read as HDF5: {' '.join(str(error).split())}",
                                "It may be truncated or of another format: copy or write it again.")) from error
