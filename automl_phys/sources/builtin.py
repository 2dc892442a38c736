"""Source ``builtin``: data sets that ship with automl-phys (``jets``) or with scikit-learn.

Takes a data set's name where other sources take a path. Feature names have no blanks and slashes; the classes of
scikit-learn's sets stand by name in the column ``target``. What the jets are is told in ``automl_phys/data/README.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys.contracts import Header
from automl_phys.errors import DataError, Mistake
from automl_phys.registry import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = ()

NAMES = ("breast_cancer", "digits", "iris", "jets", "wine")

JETS = Path(__file__).parent.parent / "data" / "jets.parquet"


def peek(path: Path) -> Header:
    """Columns and rows of the data set called ``path.name``. Raises DataError (``no-such-dataset``)."""
    table = _table(path.name)
    kinds = {"string": "text", "large_string": "text"}
    return Header({field.name: kinds.get(str(field.type), "number") for field in table.schema}, table.num_rows)


def read(path: Path, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
    """The named columns, at most ``chunk_rows`` rows at a time. Raises DataError (``no-such-dataset``)."""
    table = _table(path.name).select(list(columns))
    for start in range(0, table.num_rows, chunk_rows):
        yield table.slice(start, chunk_rows)


@cache
def _table(name: str) -> pa.Table:
    if name not in NAMES:
        text = f"There is no built-in data set '{name}'.{did_you_mean(name, NAMES)}"
        raise DataError(Mistake("no-such-dataset", text, f"Choose one of {', '.join(NAMES)}."))
    if name == "jets":
        from pyarrow.parquet import read_table

        return read_table(JETS)
    return _from_sklearn(name)


def _from_sklearn(name: str) -> pa.Table:
    import pyarrow as pa
    from sklearn import datasets

    load = {"breast_cancer": datasets.load_breast_cancer, "digits": datasets.load_digits,
            "iris": datasets.load_iris, "wine": datasets.load_wine}[name]
    bunch = load()
    columns = {_clean(str(feature)): bunch.data[:, i] for i, feature in enumerate(bunch.feature_names)}
    target = [str(bunch.target_names[code]) for code in bunch.target]
    return pa.table({**columns, "target": pa.array(target, pa.string())})


def _clean(feature: str) -> str:
    """``od280/od315_of_diluted_wines`` and ``sepal length (cm)`` as names without blanks, slashes and brackets."""
    for mark in "()":
        feature = feature.replace(mark, "")
    return feature.strip().replace(" ", "_").replace("/", "_")
