"""Are there enough test rows to say anything?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-FEW-TEST"
TITLE = "Too few test rows"
MEANS = "A class has fewer than 100 effective test rows, (Σw)² / Σw²; below 10 it is an issue."
WHY = (
    "An efficiency from n events has an error of about 1/√n of itself. With large or negative weights fewer "
    "events count than there are rows.")
REMEDY = "Give the test a larger share under 'data: split:', more events, or look at fewer classes."
SOURCES = "Kish, Survey Sampling, Wiley 1965; Cousins, Hymes, Tucker, NIM A 612 (2010) 388"

FEW = 100
TOO_FEW = 10


def check(seen: Seen) -> tuple[Outcome, str]:
    """By effective number of test rows (Σw)² / Σw², of each class where there are classes: tip below 100, issue below
    10."""
    import numpy as np

    from automl_phys.ranking import effective
    from automl_phys.table import TableProblem

    if not isinstance(seen.problem, TableProblem):
        return "not applicable", "The data are not a table that is split."
    rows, names = seen.problem.test, seen.problem.schema.classes
    weight = np.asarray(rows.weight, np.float64)
    codes = rows.target if names else np.zeros(len(rows), np.int32)
    names = names or ("in all",)
    sums = np.bincount(codes, weight, len(names)).astype(np.float64)
    counts = effective(sums, np.bincount(codes, weight**2, len(names)).astype(np.float64))
    few = [f"{name} ({count:.0f})" for name, count in zip(names, counts, strict=True) if count < FEW]
    if not few:
        return "passed", ""
    wide = "Intervals are wide" + (" and rejections soon become limits" if seen.problem.schema.classes else "")
    return ("issue" if counts.min() < TOO_FEW else "tip"), (
        f"Few effective test rows: {', '.join(few)}. {wide}; a larger share for test (data: split:) helps.")
