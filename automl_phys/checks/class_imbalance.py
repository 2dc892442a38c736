"""Is one class so rare that averages hide it?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-IMBALANCE"
TITLE = "Rare classes"
MEANS = (
    "A class has less than 5 % of the training weight; it is an issue when the objective, such as accuracy, "
    "hardly feels that.")
WHY = (
    "Calling everything background is right 99 times of 100 when the signal is 1 %: the number looks good, and "
    "nothing was learnt.")
REMEDY = (
    "Search for log_loss, balanced_accuracy or average_precision, and read the table by class. Weights that make "
    "classes equal are an option if rates do not matter.")
SOURCES = "He, Garcia, IEEE TKDE 21 (2009) 1263; Saito, Rehmsmeier, PLoS ONE 10 (2015) e0118432"

RARE = 0.05
BLIND = ("accuracy",)
"""Objectives that ignoring a rare class does not hurt."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when a class has less than 5 % of the train weight; issue when the objective does not see it."""
    import numpy as np

    from automl_phys.table import TableProblem

    if not isinstance(seen.problem, TableProblem):
        return "not applicable", "The data are not a table with classes."
    rows, names = seen.problem.train, seen.problem.schema.classes
    if not names:
        return "not applicable", "The task has no classes."
    sums = np.bincount(rows.target, rows.weight, len(names))
    rare = [f"{name} ({share:.2%})" for name, share in zip(names, sums / sums.sum(), strict=True) if share < RARE]
    if not rare:
        return "passed", ""
    said = f"Of the train weight these classes have little: {', '.join(rare)}."
    if seen.plan.objective in BLIND:
        return "issue", (f"{said} '{seen.plan.objective}' hardly notices them: search for balanced_accuracy, log_loss "
                         "or average_precision instead (search: objective:).")
    return "tip", f"{said} Read balanced accuracy and the table by class rather than accuracy."
