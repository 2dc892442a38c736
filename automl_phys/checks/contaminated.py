"""Are there anomalies among the events that a detector was to learn as normal?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

if TYPE_CHECKING:
    from automl_phys.values import Array

CODE = "C-CONTAMINATED"
TITLE = "Anomalies in the training sample"
MEANS = (
    "Events that a detector learnt as normal are anomalies by the truth, or look unlike all others in many "
    "columns at once.")
WHY = "What is in the training counts as normal: the detector becomes blind for what is like it."
REMEDY = (
    "Use a purer sample under 'data: normal:', or cut odd events away. The injection scan in the report shows how "
    "much a contamination costs.")
SOURCES = "Ruff et al., Proc. IEEE 109 (2021) 756, arXiv:2009.11732"

FAR = 6.0
"""Robust widths from the median."""
COLUMNS = 0.25
"""Share of an event's columns, two at least, that must be so far out at once."""
LEAST_SHARE, LEAST_EVENTS = 1e-3, 5
MOST_ROWS = 200_000


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue where the truth says so; without one, tip where training events are unlike all others in many columns at
    once, which long tails are too."""
    from automl_phys.anomaly_problem import AnomalyProblem

    problem = seen.problem
    if not isinstance(problem, AnomalyProblem):
        return "not applicable", "No anomalies are sought."
    if problem.method == "weakly-supervised":
        return "not applicable", "Anomalies in the signal region are what a weakly supervised detector learns from."
    if problem.has_truth:
        anomalies, rows = int(problem.truth("train").sum()), len(problem.train)
        if anomalies:
            return "issue", (f"{anomalies} of {rows} training events ({anomalies / rows:.2%}) are anomalies by the "
                             "truth. The detector learns them as normal, and misses their like the more of them "
                             "there are: the injection scan shows by how much. A purer sample as 'data.normal' helps.")
        return "passed", ""
    odd = outliers(problem.train.numbers[:: max(1, len(problem.train) // MOST_ROWS)])
    if odd.sum() >= LEAST_EVENTS and odd.mean() >= LEAST_SHARE:
        return "tip", (f"{odd.mean():.2%} of the training events are {FAR:g} widths or more from the median in a "
                       "quarter of their columns or more at once. They may be a long tail, broken, or anomalies: look "
                       "at them, and cut them away by 'data.cut' if they are not normal.")
    return "passed", ""


def outliers(numbers: Array) -> Array:
    """Which events (n,), of columns (n, d), are far from the median in many columns at once. Above and below it the
    width of a column is that of half of the central 68 % on that side; columns without one do not count."""
    import numpy as np

    low, middle, high = np.quantile(np.asarray(numbers, np.float64), [0.16, 0.5, 0.84], axis=0)
    wide = (high > middle) & (middle > low)
    if wide.sum() < 2:
        return np.zeros(len(numbers), np.bool_)
    off = (numbers - middle)[:, wide]
    far = np.abs(off) > FAR * np.where(off > 0, (high - middle)[wide], (middle - low)[wide])
    return np.asarray(far.sum(1) >= max(2, np.ceil(COLUMNS * wide.sum())))
