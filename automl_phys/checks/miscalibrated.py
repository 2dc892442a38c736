"""Do the probabilities mean what they say?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-CALIBRATION"
TITLE = "Miscalibrated probabilities"

SMALL_P = 0.003
LARGE = 0.02
"""Calibration error that matters; smaller ones are told by large samples though nobody is misled by them."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when the reliability curve is off beyond chance and by more than 2 %."""
    metrics = seen.evaluation.metrics
    if "calibration_p" not in metrics:
        return "not applicable", "The task gives no probabilities."
    error, p = metrics["calibration_error"].value, metrics["calibration_p"].value
    if error > LARGE and p < SMALL_P:
        return "tip", (f"Predicted probabilities are off by {error:.3f} on average (χ² probability {p:.1g}). Rankings, "
                       "ROC curves and cuts are not touched; where the output is used as a probability, search for "
                       "log_loss, which rewards calibration.")
    return "passed", ""
