"""Events as they are compared: real ones, those used in training and generated ones alike.

Gives :class:`Sample`, some of its rows, its columns in units of the real sample's spread, and a value with its error
as an :class:`~automl_phys.exhibits.Estimate`. What is measured is the work of ``closure_classifier``,
``closure_distances`` and ``closure_neighbours``; :mod:`automl_phys.closure` puts it together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.exhibits import Estimate
from automl_phys.values import Array

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """n events that are compared with others.

    ``values`` (n, d) float32 are the generated columns, categories as codes, or the observables of images, one of
    ``names`` each; ``discrete`` marks codes and counts. ``weight`` (n,) holds no negative ones. ``derived`` are
    quantities (n,) that follow from the columns, by name; they may be NaN. ``label`` (n,) are positions in ``classes``,
    -1 for none of them. ``pixels`` (n, p) of images are what classifiers and neighbours judge by beside the values.
    ``levels`` are the names of the codes 1, 2, … of columns that are categories, by the column's name.
    """

    values: Array
    weight: Array
    names: tuple[str, ...]
    discrete: tuple[bool, ...]
    derived: Mapping[str, Array] = field(default_factory=dict)
    label: Array | None = None
    classes: tuple[str, ...] = ()
    pixels: Array | None = None
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, which: Any) -> Sample:
        """Some of the rows: positions, a mask or a slice."""
        return replace(
            self, values=self.values[which], weight=self.weight[which],
            derived={name: values[which] for name, values in self.derived.items()},
            label=None if self.label is None else self.label[which],
            pixels=None if self.pixels is None else self.pixels[which])


def thinned(sample: Sample, most: int, seed: int) -> Sample:
    """At most ``most`` rows, drawn at random without repeats; the sample itself when it has no more."""
    if len(sample) <= most:
        return sample
    return sample.take(np.sort(np.random.default_rng(seed).choice(len(sample), most, replace=False)))


def standardised(real: Sample, *others: Sample) -> list[Floats]:
    """The columns (n, d) of the real sample and of others, less the real mean and divided by the real standard
    deviation, both weighted; 1 where that is 0. What is missing or infinite is put at the mean."""
    means, spreads = moments(np.asarray(real.values, np.float64), np.asarray(real.weight, np.float64))
    return [np.nan_to_num((np.asarray(one.values, np.float64) - means) / spreads, nan=0.0, posinf=0.0, neginf=0.0)
            for one in (real, *others)]


def moments(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation (d,) of columns (n, d) over what is finite; the deviation is 1 where all
    values are the same but for rounding."""
    seen = np.isfinite(values)
    filled, weights = np.where(seen, values, 0.0), seen * weight[:, None]
    total = np.maximum(weights.sum(axis=0), 1e-300)
    means = (weights * filled).sum(axis=0) / total
    spreads = np.sqrt((weights * np.where(seen, filled - means, 0.0) ** 2).sum(axis=0) / total)
    return means, np.where(spreads > 1e-7 * np.abs(means), spreads, 1.0)


def effective(weight: Array) -> float:
    """Number of events of equal weight that fluctuate as much: (Σw)² / Σw²; 0 for none."""
    weights = np.asarray(weight, np.float64)
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def deviations(values: Floats, weight: Array) -> Floats:
    """What each event adds to the error of a weighted mean, wᵢ (xᵢ - x̄) / Σw: their squares add up to its variance."""
    weights = np.asarray(weight, np.float64)
    shares = weights / weights.sum()
    return np.asarray(shares * (values - shares @ values), np.float64)


def estimate(value: float, error: float, note: str) -> Estimate:
    """``value ± error``; without ends where there is no error."""
    if not (np.isfinite(value) and np.isfinite(error)):
        return Estimate(float(value), nan, nan, note)
    return Estimate(float(value), float(value - error), float(value + error), note)
