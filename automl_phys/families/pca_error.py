"""Family ``pca_error``: how far an event is from the plane of the principal components of normal events.

With ``weighted`` the distance along each axis off the plane is in units of its own spread, as Mahalanobis' distance is.
PyOD's PCA is not used: it adds up distances between an event and the tips of the unit vectors along the axes
(M.-L. Shyu et al., 2003, add squared places along the axes), which says little of how far off a plane an event is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import detector_facts
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem
    from automl_phys.exhibits import Figure
    from automl_phys.values import Array

SOLVES = frozenset({"detect-anomaly"})
NEEDS = ("numpy",)
TEXT = "how far an event is from the plane of most normal events' variance: quick, linear"

LEAST = 1e-4
"""Of the mean variance along an axis: less is rounding."""

skip = detector_facts.skip


def memory_mb(facts: Facts) -> int:
    """The interpreter with numpy, the columns, and their covariance."""
    return detector_facts.memory_mb(facts, 400) + round(3 * detector_facts.width(facts)**2 * 8 / 1e6)


def cost(facts: Facts) -> float:
    return 1.0


def space(facts: Facts) -> dict[str, Range]:
    return {"explained": Range(low=0.0, high=0.99, text="share of the variance that the plane holds"),
            "weighted": Range(choices=(True, False), text="distances in units of the spread along each axis"),
            "scaling": detector_facts.SCALING}


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"explained": 0.4, "weighted": True, "scaling": "normal"}
    return first, {**first, "explained": 0.9}


@dataclass(frozen=True)
class Plane:
    """``axes`` (k, K) off the plane through ``middle`` (K,); the distance along each is divided by ``spread`` (k,)."""

    middle: Array
    axes: Array
    spread: Array

    def score(self, columns: Array) -> Array:
        away: Array = (((columns - self.middle) @ self.axes.T / self.spread) ** 2).sum(axis=1)
        return away

    def errors(self, columns: Array) -> Array:
        """Squared distances that the way back to the plane takes along each column."""
        back: Array = ((columns - self.middle) @ self.axes.T / self.spread) @ self.axes
        return back**2

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)


def load(folder: Path) -> Fitted:
    """Open a saved plane."""
    from automl_phys import arrays, detecting

    return detecting.load(folder, lambda inner: arrays.load(Plane, inner))


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Diagonalise the weighted covariance."""
    import numpy as np

    from automl_phys import detecting, principal_axes

    given = detecting.given(problem, "normal" if params["scaling"] == "normal" else "standard")
    middle, axes, variance = principal_axes.of(given.train, given.weight)
    held = np.cumsum(variance) / variance.sum()
    # at least one axis is off the plane
    inside = min(int(np.searchsorted(held, float(str(params["explained"])), "right")), len(variance) - 1)
    spread = np.sqrt(np.maximum(variance, LEAST * variance.mean())) if params["weighted"] else np.ones(len(variance))
    return detecting.finished(given, Plane(middle, axes[inside:], spread[inside:]), watch,
                              shown=_shown(held, inside))


def _shown(held: Array, inside: int) -> tuple[Figure, ...]:
    """The variance that the first axes hold."""
    from automl_phys.exhibits import Axis, Figure, Series

    axes = tuple(float(i + 1) for i in range(len(held)))
    series = [Series("held", "line", axes, tuple(float(one) for one in held))]
    if inside:
        series.append(Series("in the plane", "points", (float(inside),), (float(held[inside - 1]),)))
    return (Figure("explained-variance", "Variance that principal components hold", "xy", Axis("Principal components"),
                   Axis("Share of the variance", low=0.0, high=1.0), tuple(series), section="Features",
                   caption="The share of the variance of normal events that so many principal components hold. Events "
                           "are judged by what is beyond those in the plane."),)
