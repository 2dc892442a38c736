"""Is there a bump, and would there be one without any anomaly?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-BUMP"
TITLE = "A bump in the mass spectrum"
MEANS = (
    "After the cut there is a bump in the mass spectrum: an issue where events that are known to be normal make "
    "one by themselves, a tip where nobody knows.")
WHY = (
    "A cut on a score that depends on the mass carves bumps out of smooth background. And whoever looks at many "
    "regions and cuts finds three standard deviations somewhere.")
REMEDY = (
    "Run the same recipe on simulated background alone, look at the fit to the sidebands and at the mass "
    "sculpting, and count every region and cut that was looked at (trials factor).")
SOURCES = "Gross, Vitells, EPJC 70 (2010) 525, arXiv:1005.1891"

CLAIM = 3.0
"""Local standard deviations."""
UNLIKELY = 2.0


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue where normal events alone make a bump after the cut; tip where these are not known and there is one."""
    metrics = seen.evaluation.metrics
    found = metrics.get("local_significance")
    if found is None:
        return "not applicable", "No bump was looked for: it takes a signal region with sidebands."
    alone = next((one for name, one in metrics.items() if name.startswith("local_significance/")), None)
    if alone is not None:
        if alone.value >= UNLIKELY:
            return ("issue" if alone.value >= CLAIM else "tip"), (
                f"Normal events alone make a bump of {alone.value:.1f} σ after the cut, where there is nothing to be "
                "found. A discovery in data would be worth no more. Look at the mass sculpting, and leave out features "
                "that depend on the mass.")
        return "passed", ""
    if found.value != found.value:
        return "not applicable", f"No bump was looked for: {found.note}."
    if found.value >= CLAIM:
        return "tip", (f"There is a bump of {found.value:.1f} σ after the cut. The significance is local, and which "
                       "events are anomalies is not known: before it is called one, run the same recipe on simulated "
                       "background alone, look at the fit to the sidebands and at the mass sculpting, and count all "
                       "other regions and cuts that were looked at.")
    return "passed", ""
