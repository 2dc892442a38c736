"""The section ``expect``: what a recipe's metrics must come to.

Takes plain data, gives frozen instances, as :mod:`automl_phys.sections` does for all others. Whether a run keeps them
is decided by :mod:`automl_phys.expectations`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, TypeAlias

from pydantic import Field

from automl_phys.section import Broken, Missing, Section

SIGMAS = 3.0
"""Standard deviations that a value may be off by where the recipe does not say."""

Share: TypeAlias = Annotated[str, Field(pattern=r"^ *[0-9]+(\.[0-9]+)? *% *$")]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]


class Expected(Section):
    """What one metric of the winner must come to on the test rows: bounds, a value, or both."""

    min: float | Missing = None
    """The metric must not be below this."""
    max: float | Missing = None
    """The metric must not be above this."""
    value: float | Missing = None
    """What was measured before. A metric may be better than this by any amount, and worse by as much as 'sigmas' or
    'tolerance' leave."""
    error: NotNegative | Missing = None
    """Standard error of 'value'."""
    spread: NotNegative | Missing = None
    """Standard deviation of the metric from seed to seed, beyond what the test rows explain."""
    sigmas: Positive | Missing = None
    """How many standard deviations the metric may be off: those of this run, of 'error' and of 'spread', added in
    quadrature. 3 where neither this nor 'tolerance' is given."""
    tolerance: Positive | Share | Missing = None
    """How much the metric may be off: a number, or a share of 'value' such as '2 %'."""

    def broken(self) -> Iterator[Broken]:
        if self.min is None and self.max is None and self.value is None:
            yield Broken("", "Nothing is expected here.", "Give 'min', 'max' or 'value'.")
        if self.min is not None and self.max is not None and self.min > self.max:
            yield Broken("min", "No number is at least 'min' and at most 'max'.", "Exchange the two.")
        for key in ("error", "spread", "sigmas", "tolerance"):
            if self.value is None and getattr(self, key) is not None:
                yield Broken(key, f"'{key}' says how far from 'value', which is missing.",
                             "Give 'value', or leave this out.")
        if self.sigmas is not None and self.tolerance is not None:
            yield Broken("tolerance", "Both 'sigmas' and 'tolerance' say how far the metric may be off.",
                         "Keep one of the two.")
        if isinstance(self.tolerance, str) and self.value == 0:
            yield Broken("tolerance", "A share of 0 is 0.", "Give the tolerance as a number.")

    @property
    def allowed(self) -> float | None:
        """How far the metric may be off as a number; None where standard deviations say it."""
        if isinstance(self.tolerance, str) and self.value is not None:
            return abs(self.value) * float(self.tolerance.strip(" %")) / 100
        return self.tolerance if isinstance(self.tolerance, float | int) else None

    @property
    def deviations(self) -> float:
        """How many standard deviations the metric may be off."""
        return SIGMAS if self.sigmas is None else self.sigmas
