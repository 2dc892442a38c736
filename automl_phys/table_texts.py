"""The texts of a table: from a column of text to codes of words, in the order in which rows are stored.

Takes files, a column, and the place of each row; gives ``tokens.npy`` int32 (n, L) and what its codes mean. The words
that have a code, and the length up to which a text is read, are learned from the training rows alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import table_features, table_read, text_tokens
from automl_phys.errors import DataError, Mistake
from automl_phys.table_features import Places
from automl_phys.table_files import Files
from automl_phys.table_problem import Texts
from automl_phys.text_tokens import Vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

MOST_WORDS = 20_000


def write(files: Files, column: str, places: Places, folder: Path) -> tuple[Texts, list[Mistake]]:
    """Write ``tokens.npy`` into ``folder``; gives what its codes mean, and mistakes: ``no-words``."""
    train: list[str | None] = []
    for chunk in table_features.placed(files, [column], places):
        texts = _texts(chunk.table[column])
        train += [texts[row] for pick in chunk.picks[: places.train] for row in pick]
    vocabulary, length = text_tokens.learn(train, MOST_WORDS), text_tokens.typical_length(train)
    made = Texts(column, vocabulary.words, length)
    if len(vocabulary.words) < 2:
        return made, [Mistake("no-words", f"The texts '{column}' of the training rows have fewer than two words.",
                              "Name another column.", ("data", "text"))]
    target = table_features.allocate(folder / "tokens.npy", (places.rows, length), np.int32)
    for chunk in table_features.placed(files, [column], places):
        codes = text_tokens.encode(_texts(chunk.table[column]), vocabulary, length)
        for pick, place in zip(chunk.picks, chunk.targets, strict=True):
            target[place] = codes[pick]
    return made, []


def read_new(files: Files, texts: Texts) -> NDArray[np.int32]:
    """The codes (m, L) of the texts of new data. Raises DataError: ``missing-column``, ``wrong-type``."""
    kind = files.header.columns.get(texts.column)
    if kind != "text":
        raise DataError(Mistake("wrong-type" if kind else "missing-column",
                                f"The new data have no texts '{texts.column}'"
                                + (f": that column holds {kind}." if kind else "."),
                                "Give the texts as they were in training."))
    vocabulary = Vocabulary(texts.words)
    return np.concatenate([text_tokens.encode(_texts(chunk[texts.column]), vocabulary, texts.length)
                           for _, chunk in table_read.chunks(files, [texts.column])])


def _texts(column: pa.ChunkedArray) -> list[Any]:
    found: list[Any] = column.cast("string").to_pylist()
    return found
