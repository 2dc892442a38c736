"""Did the game of generator and critic go astray?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-DIVERGED"
TITLE = "Adversarial training that diverged"

FAMILY = "gan"
AGAIN = 0.1
"""Loss of AUC between the best look at a generator and the last one that counts as worse again."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when trials of ``gan`` ended without a number, or were worse at their end than in between."""
    games = [trial for trial in seen.trials if trial.job.family == FAMILY]
    if not games:
        return "not applicable", "No generator was trained against a critic."
    failed = [trial for trial in games if trial.result.status == "failed" and "no number" in trial.result.message]
    sign = -1.0 if seen.plan.direction == "maximize" else 1.0
    worse = []
    for trial in games:
        values = [sign * value for _, value in sorted(trial.result.values.items())]
        if len(values) > 1 and values[-1] - min(values) > AGAIN * max(1e-9, abs(min(values))):
            worse.append(trial)
    texts = []
    if failed:
        texts.append(f"{len(failed)} of {len(games)} games ended in numbers that are none "
                     f"(trial {failed[0].job.number}: {failed[0].result.message}).")
    if worse:
        numbers = ", ".join(str(trial.job.number) for trial in worse)
        texts.append(f"{len(worse)} of {len(games)} games were worse at their end than before (trials {numbers}). The "
                     "best of what was looked at is kept; a lower learning rate or more critic_steps make it steadier.")
    return ("tip", " ".join(texts)) if texts else ("passed", "")
