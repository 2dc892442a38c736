"""Would other data of the same kind give the same clusters?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-UNSTABLE"
TITLE = "Unstable clusters"
MEANS = (
    "Fits on different 80 % of the points give different clusters: their adjusted Rand index is below 0.8, and "
    "below 0.5 it is an issue.")
WHY = "Clusters that depend on which events happened to be recorded are not properties of nature."
REMEDY = (
    "Trust those that are found again (table of clusters in the report). Fewer clusters, or a simpler reducer, "
    "are often more stable.")
SOURCES = "Hennig, Comput. Stat. Data Anal. 52 (2007) 258; Hubert, Arabie, J. Classification 2 (1985) 193"

STABLE = 0.8
"""Adjusted Rand index between fits on different parts of the data that says that they found the same."""
UNSTABLE = 0.5


def check(seen: Seen) -> tuple[Outcome, str]:
    """By the agreement of fits of the whole chain on parts of the points: tip below 0.8, issue below 0.5."""
    metrics = seen.evaluation.metrics
    if "clusters" not in metrics:
        return "not applicable", "The task looks for no clusters."
    if "stability" not in metrics:
        return "not applicable", "The winner was not fitted on parts of the data."
    found = metrics["stability"].value
    if found >= STABLE:
        return "passed", ""
    return ("issue" if found < UNSTABLE else "tip"), (
        f"Fits on different 80 % of the points agree at an adjusted Rand index of {found:.2f} only. Trust the clusters "
        "that are found again (table of clusters), and treat the others as one way among many to cut the data.")
