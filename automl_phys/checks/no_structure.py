"""Is as much found where nothing is?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome
from automl_phys.readable import estimate

CODE = "C-NOTHING"
TITLE = "No structure"
MEANS = (
    "The same settings find as much in shuffled data, or in a Gaussian, as in yours; or there are fewer than two "
    "clusters.")
WHY = (
    "Every clusterer divides whatever it is given. Only what exceeds structureless data of the same size is a "
    "finding.")
REMEDY = (
    "Do not interpret the clusters. Other features, or more events, may show structure; set 'model: bagging:' to "
    "3 or more to have the comparison.")
SOURCES = "Tibshirani, Walther, Hastie, J. R. Statist. Soc. B 63 (2001) 411"


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue when the winner's settings find as much in data without structure, or no two clusters; tip when that was
    not tried."""
    metrics = seen.evaluation.metrics
    if "clusters" not in metrics:
        return "not applicable", "The task looks for no clusters."
    if metrics["clusters"].value < 2:
        return "issue", "Fewer than two clusters were found: there is nothing to tell apart."
    if "excess" not in metrics:
        return "tip", ("The clusters were not compared with those of shuffled data and of a Gaussian; set bagging to 3 "
                       "or more (model: bagging:).")
    excess = metrics["excess"]
    if stands_out(excess.value, (excess.high - excess.low) / 2):
        return "passed", ""
    return "issue", (f"The gain in {seen.plan.objective} {excess.note}, data without structure, is only "
                     f"{estimate(excess)} with the same settings. Do not interpret the clusters.")


def stands_out(excess: float, uncertainty: float) -> bool:
    """As :func:`automl_phys.cluster_scores.nothing_there` decides it of the null that comes closest."""
    from automl_phys.cluster_scores import MARGIN, SIGMAS

    return excess > MARGIN and excess > SIGMAS * uncertainty
