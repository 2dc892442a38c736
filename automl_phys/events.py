"""Events that generators learn from and make: a prepared table that knows which of its columns are given.

Takes a prepared table; gives the rows of its parts with the layout of their columns, what is compared of real and of
generated events (:class:`Sample`), and generated events as a table with the names and types that the data had. What the
columns mean is :mod:`automl_phys.generating`'s, how well they close :mod:`automl_phys.closure`'s work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import expressions, image_observables, pixels, table_problem
from automl_phys.closure_sample import Sample
from automl_phys.facts import Facts
from automl_phys.generating import Layout
from automl_phys.table_problem import Rows, TableProblem
from automl_phys.values import Array, Part

if TYPE_CHECKING:
    import pyarrow as pa



@dataclass(frozen=True)
class EventRows(Rows):
    """Rows that know which of their columns are generated, and what is derived of them."""

    layout: Layout | None = None
    derive: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class EventsProblem(TableProblem):
    """A prepared table of events. Satisfies ``contracts.Problem``."""

    @cached_property
    def layout(self) -> Layout:
        """Which columns are generated and which are given."""
        return Layout.of(self.schema)

    @property
    def derive(self) -> Mapping[str, str]:
        """Formulas of derived quantities."""
        found: Mapping[str, str] = self.schema.settings.get("derive", {})
        return found

    def facts(self) -> Facts:
        found = super().facts()
        return replace(found, sizes=sizes(found, len(self.layout.given_names)))

    def _rows(self, part: Part) -> EventRows:
        rows = super()._rows(part)
        return EventRows(**{name: getattr(rows, name) for name in rows.__dataclass_fields__}, layout=self.layout,
                         derive=self.derive)


def load(folder: Path) -> EventsProblem:
    """Open prepared events. Raises CallError when they are not there or damaged."""
    table = table_problem.load(folder)
    return EventsProblem(table.folder, table.stored, table.picks)


def sizes(found: Facts, conditions: int) -> Mapping[str, int]:
    """The sizes of a problem with what families ask of generators: columns that are made, and that are given."""
    made = found.sizes["numbers"] + found.sizes["categories"] - conditions
    return {**found.sizes, "condition": conditions, "generated": found.sizes["columns"] if found.kind == "images"
            else made, "replicas": 1}


def sample(rows: Rows, layout: Layout, derive: Mapping[str, str], made: Array | None = None) -> Sample:
    """What is compared of the events of ``rows``, or of others, ``made`` under their conditions, float32 (n, d) or
    (n, h, w, c). Generated events count alike where nothing is given: they have learnt the weights."""
    events = layout.events(rows) if made is None else np.asarray(made, np.float32)
    weight = np.asarray(rows.fit_weight, np.float32)
    if made is not None and not layout.given_names:
        weight = np.ones(len(events), np.float32)
    label, classes = _label(rows, layout)
    if layout.images:
        values, names = image_observables.of(events)
        discrete = tuple(name in image_observables.DISCRETE for name in names)
        return Sample(values, weight, tuple(names), discrete, {}, label, classes, pixels.columns(events))
    conditions = layout.conditions(rows)
    given = {name: conditions[:, j] for j, name in enumerate(layout.given_names[:len(layout.given_numbers)])}
    whole = np.array([bool((column == np.round(column)).all()) for column in layout.events(rows).T], np.bool_)
    return Sample(events, weight, layout.names, tuple(bool(one) for one in whole),
                  {**derived(events, layout, derive, conditions), **given}, label, classes,
                  levels={name: layout.levels[name] for name in layout.names if name in layout.levels})


def _label(rows: Rows, layout: Layout) -> tuple[Array | None, tuple[str, ...]]:
    """Classes of the first condition that is a category, codes from 0."""
    if not layout.given_categories:
        return None, ()
    name = layout.given_names[len(layout.given_numbers)]
    return rows.categories[:, layout.given_categories[0]] - 1, layout.levels[name]


def derived(events: Array, layout: Layout, derive: Mapping[str, str], conditions: Array) -> dict[str, Array]:
    """Derived quantities (n,) by name of events (n, d) under conditions (n, c)."""
    if not derive:
        return {}
    columns = plain(events, layout, conditions)
    return {name: np.asarray(expressions.evaluate(expressions.parse(text), columns, len(events)), np.float32)
            for name, text in derive.items()}


def plain(events: Array, layout: Layout, conditions: Array) -> dict[str, Any]:
    """Columns by name as they stand in the data: numbers, and categories as texts."""
    columns: dict[str, Any] = {}
    numbers, given = len(layout.numbers), len(layout.given_numbers)
    for names, values, first in ((layout.names, events, numbers), (layout.given_names, conditions, given)):
        for j, name in enumerate(names):
            columns[name] = values[:, j] if j < first else _texts(values[:, j], layout.levels[name])
    return columns


def _texts(codes: Array, levels: tuple[str, ...]) -> Any:
    """Categories by name; code 0 is none."""
    import pyarrow as pa

    places = np.asarray(codes).astype(np.int64) - 1
    return pa.DictionaryArray.from_arrays(pa.array(places, mask=places < 0), pa.array(levels)).cast(pa.string())


def table(problem: EventsProblem, events: Array, conditions: Array) -> pa.Table:
    """Events, made under conditions, with the names of the data's columns; images as lists of numbers."""
    import pyarrow as pa

    layout = problem.layout
    if layout.images:
        flat = np.ascontiguousarray(events.reshape(len(events), -1))
        image = problem.schema.image
        name = image.column if image else "image"
        columns = plain(np.empty((len(events), 0), np.float32), replace(layout, names=(), numbers=()), conditions)
        pictures = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
        return pa.table({name: pictures, **columns})
    columns = plain(events, layout, conditions)
    columns |= derived(events, layout, problem.derive, conditions)
    return pa.table({name: pa.array(column) if isinstance(column, np.ndarray) else column
                     for name, column in columns.items()})
