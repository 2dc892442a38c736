"""Did the game of generator and critic go astray?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome
from automl_phys.trials import Trial

CODE = "C-DIVERGED"
TITLE = "Adversarial training that diverged"
MEANS = (
    "Trainings of generator against critic (family gan) ended without a number, or were worse at their end than "
    "in between.")
WHY = (
    "Such a training is a game, not a descent: when one side runs away, the other learns nothing more. The best "
    "state is kept, but the search spent its time on lost games.")
REMEDY = (
    "Lower the learning rate or raise critic_steps under 'model: gan:'. If it stays so, leave gan out: flow and "
    "diffusion train more steadily.")
SOURCES = "Arjovsky, Chintala, Bottou, ICML 2017, arXiv:1701.07875; Gulrajani et al., arXiv:1704.00028"

FAMILY = "gan"
AGAIN = 0.1
"""Share of the best value by which the last look at a generator must be worse to count."""
LOST = 0.25
"""Share of what was gained since the first look that must be lost again, too: objectives may be near 0."""
NO_NUMBER = "FloatingPointError"


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when trials of ``gan`` ended without a number, or were worse at their end than in between."""
    games = [trial for trial in seen.trials if trial.job.family == FAMILY]
    if not games:
        return "not applicable", "No generator was trained against a critic."
    failed = [trial for trial in games
              if trial.result.status == "failed" and trial.result.message.startswith(NO_NUMBER)]
    sign = -1.0 if seen.plan.direction == "maximize" else 1.0
    worse = [str(trial.job.number) for trial in games if _grew_again(trial, sign)]
    texts = []
    if failed:
        said = failed[0].result.message.removeprefix(NO_NUMBER).removeprefix(": ")
        texts.append(f"{len(failed)} of {len(games)} games ended in numbers that are none "
                     f"(trial {failed[0].job.number}: {said}).")
    if worse:
        texts.append(f"{len(worse)} of {len(games)} games were worse at their end than before (trials "
                     f"{', '.join(worse)}). The best of what was looked at is kept; a lower learning rate or more "
                     "critic_steps make it steadier.")
    return ("tip", " ".join(texts)) if texts else ("passed", "")


def _grew_again(trial: Trial, sign: float) -> bool:
    """Whether the objective, times ``sign`` the lower the better, was clearly worse at the last look than at an
    earlier one."""
    values = [sign * value for _, value in sorted(trial.result.values.items())]
    if len(values) < 2:
        return False
    best = min(values)
    return values[-1] - best > max(AGAIN * abs(best), LOST * (values[0] - best))
