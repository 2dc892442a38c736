"""LightGBM's data sets of rows of any number: binned chunk by chunk, kept as LightGBM's own binary files.

Takes rows of a table and a way to make a matrix of some of them; gives a ``lightgbm.Dataset``. Few rows are binned in
one piece in memory. Many are read block by block, and the bins, a byte for each number, are written to a file of the
run, from which later trials and other workers take them. The bins don't depend on a trial's parameters or seed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import rundir

if TYPE_CHECKING:
    from automl_phys.table_problem import Rows
    from automl_phys.values import Array

SMALL_CELLS = 20_000_000
"""Numbers up to which a matrix is made in one piece."""
BLOCK_ROWS = 1 << 16

ALWAYS: dict[str, Any] = {"verbosity": -1, "feature_pre_filter": False, "data_random_seed": 1}
"""Bins that fit any parameters: no column is left out because of a trial's ``min_child_samples``."""


def dataset(
    rows: Rows, matrix: Callable[[Rows], Array], label: Array, categorical: Sequence[int], reference: Any = None,
    file: Path | None = None,
) -> Any:
    """The bins of ``rows``, with labels and weights (n,). ``file`` is where those of many rows are kept, if
    anywhere."""
    import lightgbm

    lightgbm.register_logger(logging.getLogger("lightgbm"))  # else it prints, whatever its verbosity, that it saves
    width = matrix(rows.take(slice(0, 1))).shape[1]
    options: dict[str, Any] = {"reference": reference, "categorical_feature": list(categorical), "params": ALWAYS}
    if len(rows) * width <= SMALL_CELLS:
        return lightgbm.Dataset(matrix(rows), label, weight=rows.fit_weight, **options)
    if file is not None and file.exists():
        made = lightgbm.Dataset(str(file), **options).construct()
        return made.set_label(label).set_weight(rows.fit_weight)
    made = lightgbm.Dataset(_blocks(rows, matrix), label, weight=rows.fit_weight, **options).construct()
    if file is not None:
        with rundir.atomic(file) as temporary:
            temporary.unlink(missing_ok=True)  # LightGBM does not write over a file
            made.save_binary(str(temporary))
    return made


def _blocks(rows: Rows, matrix: Callable[[Rows], Array]) -> Any:
    """The matrix of ``rows``, made of a few rows at a time."""
    import lightgbm
    import numpy as np

    class Blocks(lightgbm.Sequence):  # type: ignore[misc]  # lightgbm is not typed
        batch_size = BLOCK_ROWS

        def __init__(self) -> None:
            self._start, self._block = -1, np.empty((0, 0), np.float32)

        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: int | slice) -> Array:
            if isinstance(index, slice):
                return matrix(rows.take(index))
            # LightGBM asks for its sample, whose quantiles bound the bins, row by row, rising
            start = index - index % BLOCK_ROWS
            if start != self._start:
                self._start, self._block = start, matrix(rows.take(slice(start, start + BLOCK_ROWS)))
            row: Array = self._block[index - start].astype(np.float64)
            return row

    return Blocks()
