"""Source ``npz``: arrays as NumPy saves them, several (npz) or one (npy).

Takes a file, gives columns and rows from the arrays' headers alone, and the rows in blocks. In an npz file each array
of one axis is a column, each of more axes a list with a shape; arrays without axes are passed over. An array that is
alone is taken apart: a structured one into its fields, one of two axes into ``x0``, ``x1``, … in an npy file, ``a_0``,
``a_1``, … of ``a`` in an npz file. Objects are never read.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from automl_phys.contracts import Header, Location
from automl_phys.errors import DataError, Mistake

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from automl_phys.array_columns import Layout

SUFFIXES = (".npz", ".npy")
INSIDE = ""

NAMELESS = "x"
"""What the array of an npy file is called, and its columns."""


@dataclass(frozen=True)
class Stored:
    """What the header of a saved array says; ``offset`` is where its values begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    offset: int


def peek(location: Location) -> Header:
    """Columns and rows from the headers. Raises DataError (``unreadable-file``, ``no-table``, ``mixed-lengths``)."""
    with _named_errors(location.path):
        return _layout(location, _arrays(location.path)).header()


def read(location: Location, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
    """The named columns in the order of rows, at most ``chunk_rows`` at a time, fewer where rows are large.

    A compressed array in Fortran's order is read whole. Raises DataError (as ``peek`` does, and ``not-utf8``).
    """
    import pyarrow as pa

    from automl_phys import array_columns

    path = location.path
    with _named_errors(path), ExitStack() as stack:
        arrays = _arrays(path)
        layout = _layout(location, arrays)
        wanted = {name: layout.columns[name] for name in columns}
        used = {column.array: arrays[column.array] for column in wanted.values() if column.kind != "other"}
        width = sum(array.dtype.itemsize * prod(array.shape[1:]) for array in used.values())
        step = max(1, min(chunk_rows, array_columns.BLOCK_BYTES // max(1, width)))
        archive = None if _is_npy(path) else stack.enter_context(ZipFile(path))
        blocks = {name: _mapped(path, array, step) if archive is None else
                  _streamed(stack.enter_context(archive.open(f"{name}.npy")), array, step)
                  for name, array in used.items()}
        for start in range(0, layout.rows, step):
            rows = {name: next(each) for name, each in blocks.items()}
            none = range(min(step, layout.rows - start))
            yield pa.table({name: array_columns.arrow(rows.get(column.array, none), column)
                            for name, column in wanted.items()})
        for each in blocks.values():
            next(each, None)  # a sum over the file's bytes is checked at its end


def _layout(location: Location, arrays: Mapping[str, Stored]) -> Layout:
    from automl_phys.array_columns import Array, of_arrays

    return of_arrays({name: Array(name, array.dtype, array.shape) for name, array in arrays.items()}, location,
                     "" if _is_npy(location.path) else "_")


def _is_npy(path: Path) -> bool:
    return path.name.lower().endswith(".npy")


def _arrays(path: Path) -> Mapping[str, Stored]:
    """The arrays that have rows; the one of an npy file is ``x``. Raises DataError (``no-table``)."""
    if _is_npy(path):
        with path.open("rb") as file:
            found = {NAMELESS: _header(file)}
    else:
        found = {}
        with ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as file:
                        found[member.removesuffix(".npy")] = _header(file)
    tables = {name: array for name, array in found.items() if array.shape}
    if not tables:
        raise DataError(Mistake("no-table", f"{path} holds no array with rows.", "Save arrays of one length in it."))
    return tables


def _header(file: IO[bytes]) -> Stored:
    """What a saved array says of itself; ``file`` is left where its values begin."""
    import numpy as np
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of files that Python 2 wrote
        if version == (1, 0):
            shape, fortran, dtype = npy.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, fortran, dtype = npy.read_array_header_2_0(file)
        elif version == (3, 0):  # as 2.0, in UTF-8; NumPy has no public function for it
            size, = struct.unpack("<I", file.read(4))
            text = file.read(size).decode().encode("ascii", "backslashreplace")
            shape, fortran, dtype = npy.read_array_header_2_0(BytesIO(struct.pack("<I", len(text)) + text))
        else:
            raise ValueError(f"version {version} of the format is not known")
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    return Stored(np.dtype(object) if dtype.hasobject else dtype, shape, fortran, file.tell())


def _mapped(path: Path, array: Stored, step: int) -> Iterator[Any]:
    """The values of an npy file, ``step`` rows after ``step`` rows, from a memory map."""
    import numpy as np

    if array.shape[0]:  # nothing cannot be mapped
        mapped = np.memmap(path, array.dtype, "r", array.offset, array.shape, "F" if array.fortran else "C")
        yield from (np.asarray(mapped[start:start + step]) for start in range(0, len(mapped), step))


def _streamed(member: IO[bytes], array: Stored, step: int) -> Iterator[Any]:
    """The values of an array in an npz file, decompressed as they are asked for."""
    rows, row_shape = array.shape[0], array.shape[1:]
    member.read(array.offset)
    if array.fortran:
        whole = _values(member, array.dtype, array.shape, "F")
        yield from (whole[start:start + step] for start in range(0, rows, step))
    else:
        for start in range(0, rows, step):
            yield _values(member, array.dtype, (min(step, rows - start), *row_shape), "C")
    member.read(1)


def _values(member: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...], order: Any) -> Any:
    import numpy as np

    content = member.read(prod(shape) * dtype.itemsize)
    return np.frombuffer(content, dtype).reshape(shape, order=order)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """What zipfile and NumPy raise for files cut off, damaged, or of another kind, told as such."""
    try:
        yield
    except (BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, RuntimeError, NotImplementedError,
            OverflowError, SyntaxError, TokenError, struct.error) as error:
        text = f"{path} cannot be read as arrays of NumPy: {' '.join(str(error).split())}"
        raise DataError(Mistake("unreadable-file", text,
                                "It may be truncated or of another format: copy or write it again.")) from error
