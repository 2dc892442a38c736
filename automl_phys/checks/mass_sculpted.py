"""Does the cut on the score shape the mass of the background?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-SCULPT"
TITLE = "Sculpted mass spectrum"
MEANS = "A cut on the score changes the shape of the background's mass spectrum, by more than random cuts do."
WHY = (
    "Background that passes then peaks, or dips, where the detector prefers it: a fit to the sidebands no longer "
    "predicts what is in the region.")
REMEDY = (
    "Leave out features that follow the mass, such as pT and energies, or divide them by it; compare the spectra "
    "in the report.")
SOURCES = "Dolen et al., JHEP 05 (2016) 156, arXiv:1603.00027; Lin, IEEE Trans. Inf. Theory 37 (1991) 145"

SIGMAS = 3.0
MUCH, SOME = 0.05, 0.01
"""Bits by which the lower end of the divergence is beyond random cuts, from which on it is an issue, and a tip."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue where, at any background efficiency, the mass before and after the cut differ surely and by much; tip where
    they do so by little."""
    from automl_phys.anomaly_tables import BY_CHANCE

    metrics = seen.evaluation.metrics
    beyond = []
    for name, found in metrics.items():
        chance = metrics.get(f"{name}/{BY_CHANCE}")
        if not name.startswith("mass_sculpting@") or chance is None or found.value != found.value:
            continue
        sure = found.value - chance.value > SIGMAS * (chance.high - chance.low) / 2
        beyond.append((found.low - chance.value if sure else 0.0, name.partition("@")[2], found.value, chance.value))
    if not beyond:
        return "not applicable", "No mass was given, or too few events pass a cut."
    excess, efficiency, value, chance_value = max(beyond)
    if excess < SOME:
        return "passed", ""
    said = (f"At a background efficiency of {efficiency} the mass spectrum is not the one before the cut: the "
            f"Jensen-Shannon divergence is {value:.2g} bits, random cuts come to {chance_value:.2g}.")
    if excess < MUCH:
        return "tip", f"{said} That is little; a smooth fit to the sidebands takes it up."
    return "issue", (f"{said} What depends on the mass makes bumps, or hides them. Leave out features that depend on "
                     "it (pT, energies), or divide them by the mass.")
