"""Does the map show how dense the data are?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-DENSITY"
TITLE = "Distances and densities on the map"


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when local densities in the embedding and in the data correlate by less than 0.8."""
    from automl_phys.cluster_figures import PRESERVED

    metrics = seen.evaluation.metrics
    if "density_preserved" not in metrics:
        return "not applicable", "The task makes no map of the data."
    found = metrics["density_preserved"].value
    if found >= PRESERVED:
        return "passed", ""
    return "tip", (f"Local densities in the embedding and in the data correlate at {found:.2f} only. Read from the map "
                   "which points are together; not how far apart clusters are, nor how dense.")
