"""The sections of a recipe that generates events: what is given, what is made, and what must hold of it.

As :mod:`automl_phys.sections` for other tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from automl_phys.section import Broken, Column, Columns, Expression, Missing, Section
from automl_phys.sections import EventsTable

Ends = Annotated[tuple[float, float], Field(strict=False)]


class Generate(Section):
    """What is made, under which conditions, and within which bounds."""

    condition: Column | Annotated[Columns, Field(min_length=1)] | Missing = None
    """Column, or a list of them, that is given and not made: a class (listed under 'data.categorical') or a number,
    such as a mass point. Events are then asked for by its value: 'automl-phys generate RUN --where label=top'."""
    bounds: dict[Column, Ends] = Field(default_factory=dict)
    """What the values of a column can be at most and at least: {tau21: [0, 1]}. Default: what the training events reach
    to."""
    derive: dict[Column, Expression] = Field(default_factory=dict)
    """Quantities by formula of the columns, computed of real and of generated events, to see whether they close: {m:
    sqrt(e**2 - p**2)}."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """The columns that are given."""
        return (self.condition,) if isinstance(self.condition, str) else self.condition or ()

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        for name, (low, high) in self.bounds.items():
            if not low < high:
                yield Broken("bounds", f"The bounds of '{name}' are {low:g} and {high:g}: nothing is between them.",
                             "Give the lower one first.")
            if name in self.conditions:
                yield Broken("bounds", f"'{name}' is given, not made, so it needs no bounds.", "Leave them out.")


class Options(Section):
    """The sections of a recipe that belong to this task."""

    data: EventsTable
    """Where the events are, and the part that each column plays."""
    generate: Generate = Field(default_factory=Generate)
    """What is made, under which conditions, and within which bounds."""

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        if self.data.images and (self.data.features or ()) and set(self.data.features or ()) - {
                *self.generate.conditions}:
            yield Broken("data", "Images and other columns are not generated together.",
                         "Leave 'features' out, or name them under 'generate.condition'.")

    @property
    def table(self) -> EventsTable:
        """The data with the conditions among the columns that are read."""
        data, named = self.data, self.generate.conditions
        categorical = data.categorical
        if data.class_column and data.class_column not in categorical:
            categorical = (*categorical, data.class_column)
        features = data.features
        if features is not None or data.images is not None:
            missing = [name for name in named if name not in (*(features or ()), *categorical)]
            features = (*(features or ()), *missing) or None
        return data.model_copy(update={"categorical": categorical, "features": features})
