"""Does a generator leave out a part of what is real?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Estimate, Outcome

CODE = "C-COLLAPSE"
TITLE = "Parts of the real events that are never generated"
MEANS = "Around a part of the real events there are no generated ones, or those of a gan are much too alike."
WHY = (
    "What is never generated is missing from every study that uses these events, most often rare corners of phase "
    "space.")
REMEDY = (
    "Look at the columns and pairs that close worst; try flow or diffusion, a longer training, or for a gan more "
    "critic_steps.")
SOURCES = "Naeem et al., ICML 2020, arXiv:2002.09797"

SIGMAS = 3.0
MUCH = 0.1
"""Loss of coverage, against real events, that matters."""
FAMILY = "gan"
NARROW = 0.7
"""Spread of generated events, as a share of that of real ones, from which on they are too much alike."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue when the winner's coverage is surely and by much below that of real events, tip for that of another, or
    when the events of the best ``gan`` spread much less than real ones."""
    metrics = seen.evaluation.metrics
    if "coverage" not in metrics or "coverage/floor" not in metrics:
        return "not applicable", "Nothing is generated."
    floor = metrics["coverage/floor"]
    winner, *others = seen.evaluation.scores
    collapsed = [_told(score.name, score.metrics["coverage"], floor) for score in others
                 if score.role == "member" and score.metrics != winner.metrics  # the winner leads its family
                 and _less(score.metrics["coverage"], floor)]
    if narrow := _narrow(seen):
        collapsed.append(narrow)
    if _less(winner.metrics["coverage"], floor):
        collapsed.insert(0, _told(winner.name, winner.metrics["coverage"], floor) + (
            " Look at the columns that close worst, and at the pairs; another family, or a longer training, may help."))
        return "issue", " ".join(collapsed)
    return ("tip", " ".join(collapsed)) if collapsed else ("passed", "")


def _less(one: Estimate, floor: Estimate) -> bool:
    error: float = ((one.high - one.low) ** 2 + (floor.high - floor.low) ** 2) ** 0.5 / 2
    return bool(floor.value - one.value > max(MUCH, SIGMAS * error))


def _told(name: str, one: Estimate, floor: Estimate) -> str:
    return (f"{name} makes events near {one.value:.0%} of the real ones, where as many real events are near "
            f"{floor.value:.0%} of them.")


def _narrow(seen: Seen) -> str:
    """What the course of the best game of generator and critic says, at the epoch that was kept."""
    from automl_phys.rundir import FitDir, RunDir, read_json

    games = [trial for trial in seen.trials if trial.job.family == FAMILY and trial.result.value is not None]
    if not games:
        return ""
    sign = -1.0 if seen.plan.direction == "maximize" else 1.0
    best = min(games, key=lambda trial: sign * (trial.result.value or 0.0))
    # A run keeps its problem beside its trials.
    course = FitDir(RunDir(seen.problem.folder.parent).trial(best.job.number)).history
    if not course.is_file():
        return ""
    spread = [step["diversity"] for step in read_json(course, list[dict[str, float]])
              if step["step"] == best.result.steps and step["diversity"] < NARROW]
    if not spread:
        return ""
    return (f"The events of {FAMILY} (trial {best.job.number}) spread {spread[0]:.0%} as wide as real ones: the "
            "generator makes the same events again and again. More critic_steps or a lower learning rate may help.")
