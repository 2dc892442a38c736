"""Would repeating the last season have done as well?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-SEASON"
TITLE = "No better than the last season again"
MEANS = "Repeating the last season forecasts as well as the model, or better."
WHY = "The model learnt nothing beyond the season, and costs more."
REMEDY = (
    "Use the seasonal naive forecast, or search longer; more test windows ('forecast: windows:') tell the "
    "difference more surely.")
SOURCES = "Hyndman, Koehler, Int. J. Forecasting 22 (2006) 679"


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue when the seasonal naive forecast is better on the test windows, tip when that is within the uncertainty."""
    skill = seen.evaluation.metrics.get("skill_seasonal")
    if skill is None:
        return "not applicable", "There is no season."
    said = (f"The skill against repeating the last season is {skill.value:.2f} (68 %: {skill.low:.2f} to "
            f"{skill.high:.2f}).")
    if skill.value < 0:
        return "issue", f"{said} Use the seasonal naive forecast, or search longer."
    if skill.value <= skill.high - skill.low:
        return "tip", f"{said} That is less than two standard deviations; more windows would tell more."
    return "passed", ""
