"""Events to compare an exported file on: the run's test rows, some with gaps and categories that were never seen.

Takes a prepared table and its run; gives columns as they stand in data, and the rows that ``predict`` makes of them.
Where columns can be written to a file, they are, and read as ``predict`` reads new data; formulas, gaps and unknown
categories then go the whole way. Of images, texts and elements of lists the prepared rows are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import onnx_rows, recipe, table_files, table_read
from automl_phys.errors import AutomlPhysError, Mistake, RunError
from automl_phys.rundir import RunDir
from automl_phys.table_problem import NewRows, Schema, TableProblem

if TYPE_CHECKING:
    from automl_phys.values import Array

UNSEEN = "(never seen)"
GAPS = 0.03
"""Share of cells that are emptied."""


@dataclass(frozen=True)
class Events:
    """``columns`` by name, as in data: float64 with NaN for gaps, texts as objects, empty for gaps. ``rows`` are what
    ``predict`` reads of them; their ``carried`` column ``row`` says which events these are: not those of which it would
    give nothing. ``images`` (n, h, w, c) where there are any."""

    columns: Mapping[str, Array]
    rows: NewRows
    images: Array | None
    count: int


def make(problem: TableProblem, run: RunDir, read_new: Callable[[Path], NewRows], most: int, folder: Path) -> Events:
    """At most ``most`` events of the test rows, taken evenly. ``read_new`` reads a file as ``predict`` does; the file
    is written into ``folder``. Raises RunError when data are gone that formulas need."""
    import pyarrow as pa

    schema, test = problem.schema, problem.test
    picks = np.arange(len(test))[:: max(1, -(-len(test) // most))]
    columns = _from_source(problem, run, picks) if schema.view.define else _prepared(problem, picks)
    if schema.view.lengths or schema.image is not None or schema.texts is not None:
        some = test.take(picks)
        rows = NewRows(some.numbers, some.categories, some.target, some.weight, some.signal, None, some.images,
                       some.tokens, carried=pa.table({"row": np.arange(len(picks))}))
        return Events(columns, rows, some.images, len(picks))
    return _through_a_file(schema, columns, read_new, folder)


def _through_a_file(
    schema: Schema, columns: dict[str, Array], read_new: Callable[[Path], NewRows], folder: Path
) -> Events:
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    count = len(next(iter(columns.values())))
    allowed = schema.missing != "error"
    emptied = rng.random(count) < (0.1 if schema.missing == "drop" else 1.0)
    for name, values in columns.items():
        chosen = (rng.random(count) < GAPS) & emptied
        if name in schema.levels:
            values[rng.random(count) < GAPS] = unseen(schema.levels[name])
            if allowed and values.dtype == object and not onnx_rows.whole(schema.levels[name]):
                values[chosen] = ""
        elif allowed:
            values[chosen] = np.nan
            values[chosen & (rng.random(count) < GAPS)] = np.inf
    written = {name: pa.array(values, from_pandas=True) if values.dtype != object else
               pa.array([text or None for text in values], pa.string()) for name, values in columns.items()}
    path = folder / "events.parquet"
    parquet.write_table(pa.table(written), path)
    rows = read_new(path)
    if not allowed:  # a gap is refused while reading: of the graph it is asked all the same
        poor = {name: values[:5].copy() for name, values in columns.items()}
        for name, values in poor.items():
            if name not in schema.levels:
                values[:] = np.nan
            elif not onnx_rows.whole(schema.levels[name]):
                values[:] = ""
        columns = {name: np.concatenate([values, poor[name]]) for name, values in columns.items()}
        count += len(next(iter(poor.values())))
    return Events(columns, rows, None, count)


def unseen(levels: tuple[str, ...]) -> str:
    """A category that is none of these, as a text."""
    return str(max(int(level) for level in levels) + 7) if onnx_rows.whole(levels) else UNSEEN


def _prepared(problem: TableProblem, picks: Array) -> dict[str, Array]:
    """The columns of test rows from the prepared arrays, in which gaps are filled."""
    schema, test = problem.schema, problem.test
    numbers = np.asarray(test.numbers[picks], np.float64)
    found: dict[str, Array] = {name: numbers[:, i].copy() for i, name in enumerate(schema.features)}
    for j, (name, levels) in enumerate(schema.levels.items()):
        texts = np.array([unseen(levels), *levels], dtype=object)
        found[name] = texts[np.asarray(test.categories[picks, j])]
    return found


def _from_source(problem: TableProblem, run: RunDir, picks: Array) -> dict[str, Array]:
    """The columns of test rows that formulas are made of, from the files of the run."""
    import pyarrow as pa

    schema = problem.schema
    wanted = list(dict.fromkeys([*schema.view.bases(schema.features), *schema.levels]))
    try:
        loaded: Any = recipe.load(run.recipe)
        files = table_files.of_recipe(loaded.options.data, loaded.folder)
        table = pa.concat_tables([chunk for _, chunk in table_read.chunks(files, wanted)])
    except AutomlPhysError as error:
        raise RunError(Mistake("data-gone", f"The data of the run, which its formulas need, cannot be read: {error}",
                               "Put them back where they were: an export is compared with the run on them.")) from error
    table = table.take(problem.carried("test").column("row").to_numpy()[picks])
    found: dict[str, Array] = {}
    for name in wanted:
        if name in schema.levels:
            codes, texts = table_read.texts(table[name])
            found[name] = np.array([*texts, ""], dtype=object)[codes]
        else:
            found[name] = table[name].cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
    return found
