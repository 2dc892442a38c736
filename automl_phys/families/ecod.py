"""Family ``ecod``: how far out in the distribution of each column an event is, by empirical distribution functions.

Z. Li et al., IEEE Trans. Knowl. Data Eng. 35 (2023) 12181 (arXiv:2201.00382): the negative logarithms of the tail
probabilities of all columns are added, of the left tails, of the right ones, of those that the skewness points at, and
the largest of these sums is the score. PyOD's detector is not used: it puts the events to be scored among those that it
was fitted on, so that a score depends on which other events are asked for at the same time, and loses weights.
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
    from automl_phys.values import Array

SOLVES = frozenset({"detect-anomaly"})
NEEDS = ("numpy",)
TEXT = "how far out in each column an event is: nothing to tune, no correlations seen"

MOST_ROWS = 20_000
"""Events by which the distributions are known."""
DIGITS = 6
"""Behind the point, to which columns of unit spread are told apart."""

skip = detector_facts.skip


def memory_mb(facts: Facts) -> int:
    """The interpreter with numpy, and the columns."""
    return detector_facts.memory_mb(facts, 400)


def cost(facts: Facts) -> float:
    return 1.0


def space(facts: Facts) -> dict[str, Range]:
    return {"tails": Range(choices=("column", "event"), text="the larger tail of each column, or of the whole event"),
            "decorrelate": Range(choices=(False, True), text="along principal axes instead of columns")}


def defaults(facts: Facts) -> tuple[Params, ...]:
    return {"tails": "column", "decorrelate": True}, {"tails": "column", "decorrelate": False}


@dataclass(frozen=True)
class Tails:
    """``x`` (m, K) are the training events along ``axes`` (K, K), each column sorted; ``skew`` (K,) are the signs
    of their third moments, ``tails`` says of what the larger tail is taken."""

    x: Array
    skew: Array
    axes: Array
    tails: str

    def score(self, columns: Array) -> Array:
        import numpy as np

        left, right = self._tails(columns)
        if self.tails == "column":
            found: Array = np.maximum(left, right).sum(axis=1)
            return found
        skewed = np.where(self.skew < 0, left, right)
        found = np.max([left.sum(axis=1), right.sum(axis=1), skewed.sum(axis=1)], axis=0)
        return found

    def errors(self, columns: Array) -> Array:
        """The larger of the two tails of each column; what is said along an axis is shared among the columns that make
        the axis."""
        import numpy as np

        found: Array = np.maximum(*self._tails(columns)) @ self.axes.T**2
        return found

    def _tails(self, columns: Array) -> tuple[Array, Array]:
        """-ln of the shares of training events that are not more, and not less, than each value: (n, K) both. An event
        itself counts among them, so that no share is 0."""
        import numpy as np

        turned = _turned(columns, self.axes)
        events = len(self.x)
        left, right = np.empty(turned.shape), np.empty(turned.shape)
        for j in range(turned.shape[1]):
            left[:, j] = np.searchsorted(self.x[:, j], turned[:, j], "right")
            right[:, j] = events - np.searchsorted(self.x[:, j], turned[:, j], "left")
        return -np.log((left + 1) / (events + 1)), -np.log((right + 1) / (events + 1))

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)


def load(folder: Path) -> Fitted:
    """Open saved distributions."""
    from automl_phys import arrays, detecting

    return detecting.load(folder, lambda inner: arrays.load(Tails, inner))


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Sort the columns of at most ``MOST_ROWS`` events, drawn by weight."""
    import numpy as np

    from automl_phys import detecting, principal_axes

    given = detecting.given(problem)
    rows = given.drawn(MOST_ROWS, job.seed)
    axes: Array = np.eye(rows.shape[1])
    if params["decorrelate"]:
        axes = principal_axes.of(given.train, given.weight).axes.T
    turned = _turned(rows, axes)
    around = turned - turned.mean(axis=0)
    scorer = Tails(np.sort(turned, axis=0), np.sign((around**3).mean(axis=0)), axes, str(params["tails"]))
    return detecting.finished(given, scorer, watch)


def _turned(columns: Array, axes: Array) -> Array:
    """Events (n, K), of unit spread, along ``axes`` (K, K), rounded: the last digits of a sum depend on how many events
    are summed at a time, and a share jumps where a training event has the very same value. Along an axis of columns
    that add up to the same in all events (shares, a category's indicators) there is nothing but such digits."""
    import numpy as np

    found: Array = np.round(columns.astype(np.float64) @ axes, DIGITS)
    return found
