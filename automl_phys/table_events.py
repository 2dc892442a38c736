"""Whether two prepared tables are tested on the very same events. Takes the tables, gives yes or no.

Which features are looked at may differ: that is what is compared most. So it is not the prepared rows that are held
against each other, but where they were in which files, their truth and their weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from automl_phys.table_problem import TableProblem


def same(one: TableProblem, other: TableProblem) -> bool:
    """Whether the test rows of both stand at the same places of files with the same bytes, in the same order, with the
    same truth and weights. Raises FileNotFoundError when an array of a table is not there."""
    if one.fingerprint == other.fingerprint:
        return True
    if _origin(one) != _origin(other) or len(one.test) != len(other.test):
        return False
    arrays = ((one.test.target, other.test.target), (one.test.weight, other.test.weight))
    return all(np.array_equal(a, b) for a, b in arrays) and bool(_places(one).equals(_places(other)))


def _origin(table: TableProblem) -> tuple[object, ...]:
    """The files, what is predicted, and what that means."""
    schema = table.schema
    files = tuple(file.sha256 for file in table.stored.files)
    return files, schema.target, schema.classes, schema.signal


def _places(table: TableProblem) -> Any:
    """Where the test rows were in the data; with a spectator called ``row``, that."""
    return table.carried("test")["row"].combine_chunks()
