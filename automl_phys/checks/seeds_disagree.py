"""Did trainings of one configuration come to the same?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome
from automl_phys.readable import rounded

CODE = "C-SEEDS"
TITLE = "Trainings that disagree"
MEANS = "Trainings of one configuration from different seeds ended far apart, by more than their episodes explain."
WHY = "What one training of an agent comes to is then luck, and the best of several is the luckiest."
REMEDY = "Report all trainings, not the best. More 'train: steps:' or a lower learning rate may bring them together."
SOURCES = "Henderson et al., AAAI 2018, arXiv:1709.06560; Agarwal et al., NeurIPS 2021, arXiv:2108.13264"

FIGURE = "trainings"
SHARE = 0.2
"""Of what the best training gains over the random agent, by which the worst must be behind it to count."""
SIGMAS = 3.0


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when the worst training is far behind the best, and not by the luck of its test episodes."""
    found = next((one for one in seen.evaluation.figures if one.name == FIGURE), None)
    gain = seen.evaluation.metrics.get("gain_over_random")
    mean = seen.evaluation.metrics.get("mean_return")
    if found is None or gain is None or mean is None:
        return "not applicable", "No configuration of an agent was trained more than once."
    series = found.series[0]
    values, errors = series.y, [(high - low) / 2 for low, high in zip(series.low, series.high, strict=True)]
    best, worst = (pick(range(len(values)), key=values.__getitem__) for pick in (max, min))
    apart = values[best] - values[worst]
    random = mean.value - gain.value
    if apart <= SHARE * abs(values[best] - random) or apart <= SIGMAS * (errors[best]**2 + errors[worst]**2)**0.5:
        return "passed", ""
    return "tip", (f"The same configuration came to {_said(values[worst])} ± {_said(errors[worst])} in training "
                   f"{worst + 1} and to {_said(values[best])} ± {_said(errors[best])} in training {best + 1}: what one "
                   "training comes to is luck. Report all of them; more 'train.steps' or a lower learning rate may "
                   "bring them together.")


def _said(value: float) -> str:
    return rounded(value, 3)
