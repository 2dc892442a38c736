"""Are most points in a cluster at all?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-NOISE"
TITLE = "Points in no cluster"
MEANS = "More than a tenth of the points are in no cluster; beyond three tenths it is an issue."
WHY = "What is said of clusters, scores included, is then said of a selection: the easy points."
REMEDY = (
    "Lower the smallest size of a cluster or the number of samples, or take a clusterer that assigns every point, "
    "such as gaussian_mixture.")
SOURCES = "Campello, Moulavi, Sander, PAKDD 2013, LNCS 7819, 160"

MUCH = 0.1
MOST = 0.3


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when more than a tenth of the points are noise, issue when more than three tenths are."""
    metrics = seen.evaluation.metrics
    if "noise" not in metrics:
        return "not applicable", "The task looks for no clusters."
    noise = metrics["noise"].value
    if noise <= MUCH:
        return "passed", ""
    return ("issue" if noise > MOST else "tip"), (
        f"{noise:.1%} of the points are in no cluster. Whatever is said of the clusters, scores against a truth "
        "included, is said of the others; a clusterer without noise, such as gaussian_mixture, assigns all.")
