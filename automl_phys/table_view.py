"""Columns that a recipe makes of those of the files: the class of a file, elements of lists, formulas.

Takes the columns of files and a few words of a recipe (a :class:`View`); gives a header and tables in which made
columns stand beside the files' own, so that whatever reads a table need not tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automl_phys import expressions
from automl_phys.contracts import Header
from automl_phys.errors import Key, Mistake
from automl_phys.registry import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

CUT = "(cut)"
"""The column of flags that a cut makes."""
FLAGS: Mapping[str, Key] = {CUT: ("data", "cut"), "(normal)": ("data", "normal"), "(truth)": ("data", "truth"),
                            "(signal_region)": ("anomaly", "signal_region")}
"""Columns of flags that expressions of a recipe make, by which its rows are told apart, and where these stand."""


@dataclass(frozen=True)
class View:
    """``label`` is the column with the class of each row's file, ``lengths`` how many elements of a list are used,
    ``define`` the formulas of new columns, in order, ``cut`` that of the rows that are used; empty for none. ``flags``
    are further formulas by which rows are told apart, by the columns of :data:`FLAGS` that they make."""

    label: str = ""
    lengths: Mapping[str, int] = field(default_factory=dict)
    define: Mapping[str, str] = field(default_factory=dict)
    cut: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)

    @property
    def formulas(self) -> dict[str, str]:
        """The definitions, and the cut and what else tells rows apart as columns of flags."""
        return {**self.define, **({CUT: self.cut} if self.cut else {}), **self.flags}

    def header(self, files: Header) -> tuple[Header, list[Mistake]]:
        """The files' columns with those made of them, and what is wrong with these.

        Mistakes: ``no-such-column``, ``wrong-type``, ``defined-twice``, ``bad-expression``.
        """
        columns, mistakes = dict(files.columns), []

        def make(name: str, kind: str, key: Key) -> None:
            if name in columns:
                mistakes.append(Mistake("defined-twice", f"The data have a column '{name}' already.",
                                        "Choose another name.", key))
            columns[name] = kind

        if self.label:
            make(self.label, "text", ("data", "target") if self.label != "class" else ("data", "path"))
        for name, length in self.lengths.items():
            key: Key = ("data", "lengths", name)
            if files.columns.get(name) != "list":
                mistakes.append(_no_list(name, files, key))
                continue
            for made, kind in elements(name, length, name not in files.shapes).items():
                make(made, kind, key)
        for name, text in self.formulas.items():
            key = FLAGS.get(name, ("data", "define", name))
            found = _kind(text, columns, key, mistakes)
            if name in FLAGS and found == "number":
                what = {CUT: "The cut '"}.get(name, f"'{key[-1]}: ")
                mistakes.append(Mistake("bad-expression", f"{what}{text}' gives a number, not yes or no.",
                                        "Compare it with something, as in 'pt > 500'.", key))
            make(name, found or "number", key)
        return Header(columns, files.rows, files.shapes), mistakes

    def needs(self, columns: Sequence[str]) -> list[str]:
        """The files' columns that the named ones are made of, each once."""
        lists = {made: name for name, length in self.lengths.items() for made in elements(name, length, True)}
        needed: dict[str, None] = {}
        for name in columns:
            if name in self.formulas:
                needed |= dict.fromkeys(self.needs(expressions.parse(self.formulas[name]).names))
            elif name != self.label:
                needed[lists.get(name, name)] = None
        return list(needed)

    def apply(self, chunk: pa.Table, columns: Sequence[str], label: str) -> pa.Table:
        """The named columns of rows that the files gave, ``label`` being the class of their file."""
        import pyarrow as pa

        made: dict[str, pa.ChunkedArray | pa.Array] = {name: chunk[name] for name in chunk.column_names}
        if self.label:
            made[self.label] = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), len(chunk)), [label])
        wanted = self.formulas_for(columns)
        used = {*columns, *(name for text in wanted.values() for name in expressions.parse(text).names)}
        for name, length in self.lengths.items():
            if name in made and used & elements(name, length, True).keys():
                made |= _taken_apart(name, chunk[name], length)
        for name, text in wanted.items():
            formula = expressions.parse(text)
            made[name] = pa.array(expressions.evaluate(formula, made, len(chunk))) if name in FLAGS else \
                expressions.evaluate_column(formula, made, len(chunk))
        return pa.table({name: made[name] for name in columns})

    def formulas_for(self, columns: Sequence[str]) -> dict[str, str]:
        """The formulas that the columns are made by, directly or over others, in their order."""
        wanted, todo = set[str](), [name for name in columns if name in self.formulas]
        while todo:
            name = todo.pop()
            if name not in wanted:
                wanted.add(name)
                todo += [other for other in expressions.parse(self.formulas[name]).names if other in self.formulas]
        return {name: text for name, text in self.formulas.items() if name in wanted}

    def bases(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Those of the columns that no formula makes, and then the columns that the formulas of the others are made
        of, each once."""
        formulas = self.formulas_for(columns)
        names = [*columns, *(name for text in formulas.values() for name in expressions.parse(text).names)]
        return tuple(dict.fromkeys(name for name in names if name not in formulas))


def elements(name: str, length: int, jagged: bool) -> dict[str, str]:
    """The columns that the first ``length`` elements of a list make, with their kinds; for a list whose length differs
    from row to row also flags that tell whether an element is there."""
    made = {f"{name}_{i}": "number" for i in range(length)}
    return {**made, **{f"{name}_{i}_present": "flag" for i in range(length)}} if jagged else made


def _taken_apart(name: str, column: pa.ChunkedArray, length: int) -> dict[str, pa.Array]:
    """The first elements of each row's list; 0 where there is none."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = column.combine_chunks()
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(lists).to_numpy(zero_copy_only=False)
    starts = np.cumsum(counts) - counts
    made: dict[str, pa.Array] = {}
    for i in range(length):
        present = counts > i
        values = np.zeros(len(counts), flat.dtype if flat.dtype != bool else np.float32)
        values[present] = flat[starts[present] + i]
        made[f"{name}_{i}"] = pa.array(values)
        made[f"{name}_{i}_present"] = pa.array(present)
    return made


def _no_list(name: str, files: Header, key: Key) -> Mistake:
    if name not in files.columns:
        lists = [column for column, kind in files.columns.items() if kind == "list"]
        return Mistake("no-such-column", f"There is no column '{name}' in the data.{did_you_mean(name, files.columns)}",
                       f"Columns of lists: {', '.join(lists) or 'none'}.", key)
    if files.columns[name] == "other":
        return Mistake("wrong-type", f"Column '{name}' holds a type that is not read, not lists of numbers.",
                       "Leave it out, or write the file again with lists of plain numbers.", key)
    return Mistake("wrong-type", f"Column '{name}' holds {files.columns[name]}, not lists.",
                   "Leave it out: it is used as it is.", key)


def _kind(text: str, columns: Mapping[str, str], key: Key, mistakes: list[Mistake]) -> str:
    """What an expression gives; empty after a mistake, whose column counts as numbers for those that use it."""
    try:
        return expressions.check(expressions.parse(text), columns)
    except expressions.ExpressionError as error:
        mistakes.append(Mistake("bad-expression", error.text, error.remedy, key))
        return ""
