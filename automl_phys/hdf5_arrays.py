"""Datasets of HDF5 files as h5py gives them: of what type, whether they can be read, and their rows.

Takes open datasets; gives NumPy's words for them and blocks of rows. Which datasets make a table is for
:mod:`automl_phys.hdf5_pandas` and the source to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys.array_columns import BLOCK_BYTES
from automl_phys.errors import DataError, Mistake

if TYPE_CHECKING:
    import h5py

OPAQUE = np.dtype("V1")
"""The type of what is never read."""


def element_type(dataset: h5py.Dataset) -> np.dtype[Any]:
    """The type of a dataset's elements. The bit fields that PyTables writes are flags, its pickles are opaque."""
    if "PSEUDOATOM" in dataset.attrs:
        return OPAQUE
    return _meant(dataset.id.get_type(), dataset.dtype)


def _meant(stored: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    from h5py import h5t

    if dtype.subdtype:
        return np.dtype((_meant(stored.get_super(), dtype.base), dtype.shape))
    if dtype.fields:
        names = dtype.names or ()
        return np.dtype([(name, _meant(stored.get_member_type(i), dtype.fields[name][0]))
                         for i, name in enumerate(names)])
    return np.dtype(bool) if stored.get_class() == h5t.BITFIELD else dtype


def check(datasets: Iterable[h5py.Dataset]) -> None:
    """Raise DataError when one's values are in other files (``data-elsewhere``), which would be missing from the record
    of what was read, or compressed in a way that this machine does not know (``missing-filter``)."""
    from h5py import h5z

    for dataset in datasets:
        place = f"'{dataset.name}' in {dataset.file.filename}"
        if dataset.external or dataset.is_virtual:
            raise DataError(Mistake("data-elsewhere", f"The values of {place} are in other files.",
                                    "Name these files, or copy the data into one."))
        made = dataset.id.get_create_plist()
        for code, _, _, name in (made.get_filter(i) for i in range(made.get_nfilters())):
            if not h5z.filter_avail(code):
                known = name.decode(errors="replace") or "without a name"
                raise DataError(Mistake(
                    "missing-filter", f"{place} is compressed with the filter {code} ({known}), which is missing here.",
                    "Install this filter (hdf5plugin has many), or write the file again: h5repack -f GZIP=4 OLD NEW."))


def block_rows(datasets: Iterable[h5py.Dataset], most: int) -> int:
    """How many rows to read at once: ``most``, or what ``BLOCK_BYTES`` hold; whole chunks of the file where they fit,
    so that none is decompressed twice."""
    every = list(datasets)
    width = sum(dataset.dtype.itemsize * int(np.prod(dataset.shape[1:])) for dataset in every)
    rows = max(1, min(most, BLOCK_BYTES // max(1, width)))
    stored = max((dataset.chunks[0] for dataset in every if dataset.chunks and dataset.chunks[0] <= rows), default=1)
    return int(rows // stored * stored)


def rows_of(dataset: h5py.Dataset, fields: Sequence[str], start: int, stop: int) -> Any:
    """Some rows, of a compound table the named fields."""
    return dataset.fields(list(fields))[start:stop] if fields else dataset[start:stop]
