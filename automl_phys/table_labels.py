"""Classes, weights and groups: the columns of a table that decide how its rows are split and counted.

Takes these columns as arrow arrays; gives class codes with their names, weights and group codes, and every mistake in
them. Rows are told counting from 0, over all files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automl_phys import table_read
from automl_phys.errors import Key, Mistake
from automl_phys.registry import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.sections import LabelledTable

PARTS = ("train", "valid", "test")

MOST_FRACTIONS = 100
"""More distinct values than this in a column of fractions are amounts, not classes."""

MOST_CLASSES = 1000

BLOCK_ROWS = 1 << 16


@dataclass(frozen=True)
class Classes:
    """The classes of a target. ``codes`` maps a raw label as text to the position of its class in ``names``."""

    names: tuple[str, ...]
    codes: Mapping[str, int]
    signal: int | None


def classes(
    target: pa.ChunkedArray, data: LabelledTable, kept: NDArray[np.bool_] | None = None
) -> tuple[Classes, NDArray[np.int32], list[Mistake]]:
    """The classes, the class code of each row (n,) (-1 where there is none), and mistakes.

    Mistakes: ``target-missing-values``, ``target-continuous``, ``too-many-classes``, ``unnamed-class``,
    ``empty-class``, ``target-one-class``, ``no-such-class``. The order is that of ``data.classes``, else that of the
    sorted labels; with two classes the last one is the signal unless the recipe says otherwise. Only the rows ``kept``
    (n,) by a cut, None for all, say which classes there are.
    """
    raw, labels = table_read.texts(target)
    counts = _counts(raw if kept is None else raw[kept], len(labels))
    present = [label for label, count in zip(labels, counts, strict=True) if count]
    mistakes = []
    if (missing := among(kept, raw < 0)).any():
        mistakes.append(Mistake(
            "target-missing-values", f"The target '{data.target_column}' has no value in {where(missing)}.",
            "Leave these rows out with 'cut', or fill them in: a row without its class teaches nothing.",
            ("data", "target")))
    too_many = _too_many(present, data.target_column)
    if too_many:
        return Classes((), {}, None), raw, [*mistakes, too_many]
    if len(present) == 1:
        mistakes.append(Mistake(
            "target-one-class", f"The target '{data.target_column}' has one class only, '{present[0]}'.",
            "To classify takes rows of two classes at least; is a file missing?", ("data", "target")))
    given = {name: name for name in data.path} if isinstance(data.path, dict) else data.classes
    if given:
        named = {label_key(label): name for label, name in given.items()}
        mistakes += _misnamed(dict(zip(labels, counts.tolist(), strict=True)), named)
        names = tuple(dict.fromkeys(named.values()))
        codes = {label: names.index(name) for label, name in named.items()}
    else:
        names = tuple(sorted(present, key=numbers_first))
        codes = {label_key(name): i for i, name in enumerate(names)}
    signal, no_such_class = _signal(data, names, codes)
    new = recode(labels, codes)
    if not np.array_equal(new[:-1], np.arange(len(labels))):
        raw = new[raw]
    return Classes(names, codes, signal), raw, mistakes + no_such_class


def _counts(codes: NDArray[np.int32], labels: int) -> NDArray[np.int64]:
    """The rows of each code from 0 (labels,), a block at a time, which saves large temporary arrays."""
    found = np.zeros(labels + 1, np.int64)
    for start in range(0, len(codes), BLOCK_ROWS):
        found += np.bincount(codes[start:start + BLOCK_ROWS] + 1, minlength=labels + 1)
    return found[1:]


def recode(labels: Sequence[str], codes: Mapping[str, int]) -> NDArray[np.int32]:
    """The class code of each label, and at the end -1: indexed by raw codes, where -1 is a missing label."""
    return np.array([codes.get(label_key(label), -1) for label in labels] + [-1], np.int32)


def label_key(label: object) -> str:
    """The text by which a label is found: ``1`` for 1, 1.0 and true alike."""
    text = table_read.label_text(label)
    return {"true": "1", "false": "0"}.get(text, text)


def weights(
    column: pa.ChunkedArray, name: str, kept: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32], list[Mistake]]:
    """Event weights (n,), and a ``bad-weights`` mistake when they cannot be used. Zero and less are allowed.

    A row that is not ``kept`` (n,) by a cut may be without a weight: it has 0.
    """
    values: NDArray[np.float32] = column.cast("float32", safe=False).to_numpy()
    unknown = ~np.isfinite(values)
    odd = among(kept, unknown)
    if kept is not None and unknown.any():
        values = np.where(unknown & ~kept, np.float32(0), values)
    key: Key = ("data", "weight")
    mistakes = []
    if odd.any():
        mistakes.append(Mistake("bad-weights", f"The weight '{name}' is missing or not finite in {where(odd)}.",
                                "Leave these rows out with 'cut', or give them the weight they have.", key))
    if not mistakes and not among(kept, values != 0).any():
        mistakes.append(Mistake("bad-weights", f"The weight '{name}' is 0 in all rows.", "Give another column.", key))
    return values, mistakes


def groups(
    column: pa.ChunkedArray, name: str, kept: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int32], list[Mistake]]:
    """Group codes (n,), and a ``group-missing-values`` mistake where a row that is ``kept`` (n,) has none."""
    codes, _ = table_read.texts(column)
    missing = among(kept, codes < 0)
    if not missing.any():
        return codes, []
    return codes, [Mistake("group-missing-values", f"The group '{name}' has no value in {where(missing)}.",
                           "Leave these rows out with 'cut', or fill it in: rows of an unknown group may be on two "
                           "sides of the split.", ("data", "group"))]


def parts(
    column: pa.ChunkedArray, name: str, kept: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int8], list[Mistake]]:
    """The part (n,) that each row's own value names, 0 train, 1 valid, 2 test; ``unknown-part`` for other values of
    rows that are ``kept`` (n,)."""
    codes, texts = table_read.texts(column)
    known = np.array([PARTS.index(text) if text in PARTS else -1 for text in texts] + [-1], np.int8)
    found = known[codes]  # code -1, no value, picks the last
    unknown = among(kept, found < 0)
    if not unknown.any():
        return found, []
    first = codes[unknown.argmax()]
    example = f", such as '{texts[first]}'" if first >= 0 else ""
    return found, [Mistake("unknown-part", f"The column '{name}' names no part in {where(unknown)}{example}.",
                           f"Its values are {', '.join(PARTS)}.", ("data", "split", "by", "column"))]


def among(kept: NDArray[np.bool_] | None, odd: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the rows that a cut keeps, None for all, are odd: those that it drops need not be right."""
    return odd if kept is None else odd & kept


def where(odd: NDArray[np.bool_]) -> str:
    """How many rows are odd, and which is the first."""
    return f"{odd.sum()} of {len(odd)} rows, the first in row {odd.argmax()}"


def _too_many(labels: Sequence[str], target: str) -> Mistake | None:
    numbers = [_number(label) for label in labels]
    found = f"The target '{target}' has {len(labels)} distinct values"
    fractions = any(number is not None and not number.is_integer() for number in numbers)
    if len(labels) > MOST_FRACTIONS and fractions and None not in numbers:
        return Mistake("target-continuous", f"{found} such as {labels[0]}: amounts, not classes.",
                       "To predict an amount use 'task: regress'; to classify, make classes of it.",
                       ("data", "target"))
    if len(labels) > MOST_CLASSES:
        return Mistake("too-many-classes", f"{found}, such as '{labels[0]}'.",
                       f"At most {MOST_CLASSES} classes are told apart; is this the right column?", ("data", "target"))
    return None


def _misnamed(counts: Mapping[str, int], named: Mapping[str, str]) -> list[Mistake]:
    """Labels without a name, and names without a row."""
    present = {label_key(label): count for label, count in counts.items() if count}
    mistakes = [Mistake("unnamed-class", f"The target has the label '{label}' in {count} rows, and 'classes' does not "
                        f"name it.{did_you_mean(label, named)}", "Name every label, or leave 'classes' out.",
                        ("data", "classes"))
                for label, count in present.items() if label not in named]
    return mistakes + [Mistake("empty-class", f"No row has the label '{label}' of class '{name}'."
                               f"{did_you_mean(label, present)}", f"Labels in the data: {', '.join([*present][:20])}.",
                               ("data", "classes"))
                       for label, name in named.items() if label not in present]


def _signal(data: LabelledTable, names: Sequence[str], codes: Mapping[str, int]) -> tuple[int | None, list[Mistake]]:
    if data.signal is None:
        return (1 if len(names) == 2 else None), []
    if data.signal in names:
        return names.index(str(data.signal)), []
    if label_key(data.signal) in codes:
        return codes[label_key(data.signal)], []
    return None, [Mistake("no-such-class", f"The signal '{data.signal}' is none of the classes."
                          f"{did_you_mean(str(data.signal), names)}", f"Classes: {', '.join(names[:20])}.",
                          ("data", "signal"))]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def numbers_first(label: str) -> tuple[float, str]:
    number = _number(label)
    return (float("inf") if number is None else number, label)
