"""Amounts: the columns of a table that a regression predicts, and the time of its rows.

Takes these columns as arrow arrays; gives arrays and every mistake in them. Rows are told counting from 0, over all
files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl_phys.errors import Mistake
from automl_phys.table_labels import among, where

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.sections import AmountsTable


def amounts(
    columns: pa.Table, data: AmountsTable, kept: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32], list[Mistake]]:
    """The targets (n, t), and mistakes in rows that are ``kept`` (n,): ``target-missing-values``, ``constant-target``.
    """
    values = np.empty((columns.num_rows, len(data.targets)), np.float32)
    mistakes = []
    for j, name in enumerate(data.targets):
        key = ("data", "target") if isinstance(data.target, str) else ("data", "target", j)
        values[:, j] = columns[name].cast("float32", safe=False).to_numpy()
        odd = among(kept, ~np.isfinite(values[:, j]))
        used = values[:, j] if kept is None else values[kept, j]
        if odd.any():
            mistakes.append(Mistake(
                "target-missing-values", f"The target '{name}' is missing or not finite in {where(odd)}.",
                "Leave these rows out with 'cut', or fill them in: a row without its target teaches nothing.", key))
        elif used.min() == used.max():
            mistakes.append(Mistake("constant-target", f"The target '{name}' is {used[0]:g} in all rows.",
                                    "There is nothing to predict: give another column.", key))
    return values, mistakes


def times(
    column: pa.ChunkedArray, name: str, kept: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], list[Mistake]]:
    """The time (n,) of each row, of a date the microseconds since 1970, and a ``time-missing-values`` mistake where a
    row that is ``kept`` (n,) has none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = among(kept, pc.is_null(column, nan_is_null=True).to_numpy())
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", getattr(column.type, "tz", None))).cast(pa.int64())
    values = column.cast(pa.float64(), safe=False).to_numpy()
    if not missing.any():
        return values, []
    return values, [Mistake("time-missing-values", f"The time '{name}' has no value in {where(missing)}.",
                            "Fill it in, or leave these rows out: they cannot be put in order.", ("data", "time"))]
