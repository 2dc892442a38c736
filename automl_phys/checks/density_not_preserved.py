"""Does the map show how dense the data are?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-DENSITY"
TITLE = "Distances and densities on the map"
MEANS = "How dense points lie on the map says little of how dense they lie in the data: the correlation is below 0.8."
WHY = (
    "Methods such as UMAP and t-SNE keep neighbours together and stretch all else. Sizes of islands and gaps "
    "between them are then made by the method.")
REMEDY = (
    "Read from the map which points are together, nothing more. Measure distances in the data themselves, or use "
    "pca, which keeps them.")
SOURCES = "Narayan, Berger, Cho, Nature Biotechnology 39 (2021) 765"


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
