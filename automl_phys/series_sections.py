"""The sections of a recipe that forecasts: where the series are, and how far ahead is looked.

As :mod:`automl_phys.sections` for other tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from automl_phys.section import Broken, Column, Columns, Fraction, Missing, Percent, Section
from automl_phys.sections import Located

ROLES = ("time", "series", "target", "known_future", "past")


class SeriesData(Located):
    """One series or many, a row for each time of each, and the part that each column plays."""

    time: Column
    """Column with the time of each row: a number, or a date such as 2013, 2013-09 or 2013-09-30T12:00, in even steps.
    The rows of a series are in the order of time."""
    target: Column | Annotated[Columns, Field(min_length=1)]
    """The column to forecast, or a list of them."""
    series: Column | Missing = None
    """Column that tells several series apart, such as a station."""
    known_future: Columns = ()
    """Columns whose values are known when the forecast is made, over all of its horizon: a schedule, a calibration
    plan. Rows after the last target give them for the time to come."""
    past: Columns = ()
    """Columns that help to forecast, but are known only as far as the target is."""
    missing: Literal["error", "linear", "previous"] = "error"
    """Gaps, be they empty values or times that are left out: refuse them; or fill them, on a line between the
    neighbours or with the last value. What is filled in is never judged by."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to forecast."""
        return (self.target,) if isinstance(self.target, str) else self.target

    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns of each role."""
        return {"time": (self.time,), "series": (self.series,) if self.series else (), "target": self.targets,
                "known_future": self.known_future, "past": self.past}

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        taken: dict[str, str] = {}
        for role, columns in self.columns().items():
            for column in dict.fromkeys(columns):
                before = taken.setdefault(column, role)
                if columns.count(column) > 1:
                    yield Broken(role, f"The column '{column}' is twice in '{role}'.", "Keep one of the two.")
                elif before != role:
                    yield Broken(role, f"The column '{column}' is both in '{before}' and in '{role}'.",
                                 "A column has one role: keep one.")


class Forecast(Section):
    """How far ahead is looked, and how that is judged."""

    horizon: Annotated[int, Field(ge=1, le=10_000)]
    """How many steps ahead are forecast."""
    season: Literal["auto", "none"] | Annotated[int, Field(ge=2, le=100_000)] = "auto"
    """Steps after which the series tend to repeat: 12 for months of a year. auto: found from the data. none: none."""
    windows: Annotated[int, Field(ge=1, le=1000)] = 5
    """Forecasts that are judged at the end, each from another origin at the end of the series; the test."""
    stride: Annotated[int, Field(ge=1, le=10_000)] | Missing = None
    """Steps between their origins. Default: the horizon, so that they do not overlap."""
    valid: Fraction = 0.2
    """Share of the steps before the test that trials are compared on, the latest of them."""
    coverage: Annotated[tuple[Percent, ...], Field(strict=False, min_length=1)] = (68.0, 95.0)
    """Percent of what comes that the intervals are to hold."""
    lyapunov_time: Annotated[float, Field(gt=0)] | Missing = None
    """Of a chaotic system the time in which errors grow by e, in units of the time column: the report then says how
    many of these a forecast is good for."""

    @property
    def apart(self) -> int:
        """Steps between the origins of test windows."""
        return self.stride or self.horizon
