"""Was the search worth it?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome
from automl_phys.readable import estimate, metric

CODE = "C-BASELINE"
TITLE = "No better than the baseline"
MEANS = "The cheap baseline is better on the test rows, or the gain over it is within its uncertainty."
WHY = (
    "A simple model is easier to explain, to check and to run. Both are judged on the same rows, so the "
    "difference is surer than the scores.")
REMEDY = "Use the baseline; or search longer, with more rows or better features, if there should be more in the data."
SOURCES = "Nadeau, Bengio, Machine Learning 52 (2003) 239"


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue when the baseline is better by two standard deviations, tip when the gain is within these: as the verdict
    has it."""
    gain = next((s.better_than_baseline for s in seen.evaluation.scores if s.role == "winner"), None)
    if gain is None:
        return "not applicable", "There is no baseline to compare with."
    said = f"The gain over the baseline, in {metric(seen.plan.objective)}, is {estimate(gain)}."
    if gain.value < 0 and gain.value <= gain.low - gain.high:
        return "issue", f"{said} Use the baseline, or search longer."
    if gain.value <= gain.high - gain.low:
        return "tip", f"{said} That is less than two standard deviations: the simpler baseline will do."
    return "passed", ""
