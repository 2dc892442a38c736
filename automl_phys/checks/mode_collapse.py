"""Does a generator leave out a part of what is real?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Estimate, Outcome

CODE = "C-COLLAPSE"
TITLE = "Parts of the real events that are never generated"

SIGMAS = 3.0
MUCH = 0.1
"""Loss of coverage, against real events, that matters."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue when the winner's coverage is surely and by much below that of real events, tip for that of another."""
    metrics = seen.evaluation.metrics
    if "coverage" not in metrics or "coverage/floor" not in metrics:
        return "not applicable", "Nothing is generated."
    floor = metrics["coverage/floor"]
    winner, *others = seen.evaluation.scores
    if _less(winner.metrics["coverage"], floor):
        return "issue", _told(winner.name, winner.metrics["coverage"], floor) + (
            " Look at the columns that close worst, and at the pairs; another family, or a longer training, may help.")
    collapsed = [score for score in others if score.role == "member" and _less(score.metrics["coverage"], floor)]
    if collapsed:
        return "tip", " ".join(_told(score.name, score.metrics["coverage"], floor) for score in collapsed)
    return "passed", ""


def _less(one: Estimate, floor: Estimate) -> bool:
    error: float = ((one.high - one.low) ** 2 + (floor.high - floor.low) ** 2) ** 0.5 / 2
    return bool(floor.value - one.value > max(MUCH, SIGMAS * error))


def _told(name: str, one: Estimate, floor: Estimate) -> str:
    return (f"{name} makes events near {one.value:.0%} of the real ones, where as many real events are near "
            f"{floor.value:.0%} of them.")
