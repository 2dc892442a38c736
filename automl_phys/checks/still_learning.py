"""Were agents still getting better when their trainings ended?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome
from automl_phys.readable import rounded

CODE = "C-LEARNING"
TITLE = "Agents that were still learning"
MEANS = "The return still rose in the last third of the training."
WHY = "A comparison of agents that are not done compares how fast they learn, not how good they become."
REMEDY = "Raise 'train: steps:' until the curve is flat."
SOURCES = "Patterson, Neumann, White, White, JMLR 25 (2024) 1"

FIGURE = "learning"
LATE = 2 / 3
"""Share of a training from which on a rise counts as one at the end."""
SHARE = 0.1
"""Of the whole rise that must have come since then."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when the learning curve rose much in its last third, and more than its band is wide."""
    found = next((one for one in seen.evaluation.figures if one.name == FIGURE), None)
    if found is None or len(found.series[0].x) < 3:
        return "not applicable", "There is no learning curve of an agent."
    curve = found.series[0]
    before = max((i for i, step in enumerate(curve.x) if step <= LATE * curve.x[-1]), default=0)
    rise, late = max(curve.y) - curve.y[0], curve.y[-1] - max(curve.y[:before + 1])
    band = (curve.high[-1] - curve.low[-1]) / 2 if curve.high else 0.0
    if late <= max(SHARE * rise, band):
        return "passed", ""
    return "tip", (f"In the last third of the training the return of the validation episodes still rose by "
                   f"{rounded(late, 3)} of {rounded(rise, 3)} in all. More 'train.steps' would "
                   "bring more.")
