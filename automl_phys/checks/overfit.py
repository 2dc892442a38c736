"""Does the winner know the train rows better than it knows the physics?"""

from __future__ import annotations

from automl_phys import measures
from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-OVERFIT"
TITLE = "Overtraining"
MEANS = "The model is better on the rows that it was fitted on than on new ones, by more than chance."
WHY = (
    "Flexible models always know their training a little too well; test scores hold all the same. Trouble begins "
    "where their output on training rows is used, as for templates or background estimates.")
REMEDY = (
    "Use outputs on test or new rows only. If the gap is large: more rows, fewer features, smaller models or more "
    "regularisation.")
SOURCES = "Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 2nd ed., ch. 7"

SIGMAS = 3.0
LARGE = 0.5
"""Gap of the loss, as a share of that on test, that is more than what flexible models always show."""
SMALL_P = 0.01


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue when the gap of the loss is large and sure, tip when it is only sure or KS tells the outputs apart."""
    metrics = seen.evaluation.metrics
    if "train_gap" not in metrics:
        return "not applicable", "The task does not compare train with test."
    name = "log_loss" if "log_loss" in metrics else "rmse"
    gap, loss = metrics["train_gap"], metrics[name].value
    p = metrics["overtraining_p"].value if "overtraining_p" in metrics else 1.0
    half = (gap.high - gap.low) / 2
    sure = gap.value > SIGMAS * half
    said = (f"{measures.label(name)} is {gap.value:.3g} ± {half:.2g} worse on test than on train rows "
            f"({gap.value / loss if loss else 0:.0%} of it)"
            + (f", and the KS probability that the outputs are alike is {p:.2g}" if "overtraining_p" in metrics else "")
            + ".")
    if sure and gap.value > LARGE * loss:
        return "issue", f"{said} The test scores hold, but more regularisation or more data would help."
    if sure or p < SMALL_P:
        return "tip", (f"{said} Flexible models show some of this and may still be the best on test rows; do not use "
                       "their output on train rows, for example for templates or background estimates.")
    return "passed", ""
