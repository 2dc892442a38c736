"""The fold of an event by what it is itself, so that it is in the same one whenever and among whatever it comes.

Takes rows; gives folds by a hash of the bytes of each row's features. Two events with the same features share a fold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl_phys import pixels

if TYPE_CHECKING:
    from automl_phys.table_problem import Rows

START, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
"""Of the FNV-1a hash (G. Fowler, L. C. Noll, K.-P. Vo), here over words of 32 bits."""
MIX, SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)


def of(rows: Rows, folds: int) -> NDArray[np.int64]:
    """A number below ``folds`` for each of the rows (n,)."""
    found = np.full(len(rows), START, np.uint64)
    blocks = [rows.numbers, *([] if rows.images is None else [pixels.columns(rows.images)])]
    # 0 has no sign here, and what is no number has one form
    words = [np.where(np.isnan(block), np.float32(np.nan), block + np.float32(0)).astype(np.float32).view(np.uint32)
             for block in blocks]
    for block in (*words, rows.categories.astype(np.uint32)):
        for word in block.T:
            found = (found ^ word.astype(np.uint64)) * PRIME
    found = (found ^ (found >> SHIFT)) * MIX
    return np.asarray((found >> SHIFT) % np.uint64(folds), np.int64)
