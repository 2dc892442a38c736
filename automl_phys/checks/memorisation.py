"""Does a generator give back the events that it was shown?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-MEMORY"
TITLE = "Memorised training events"
MEANS = "Generated events lie nearer to events of the training than to as many others from the same source."
WHY = (
    "A generator that repeats its training adds no statistics: a million such events know as much as the sample "
    "they copy.")
REMEDY = (
    "Take a wider kernel, a shorter training, more training events, or another family. Do not use its events to "
    "shrink statistical errors.")
SOURCES = (
    "Meehan, Chaudhuri, Dasgupta, AISTATS 2020, arXiv:2004.05675; Matchev, Roman, Shyamsundar, SciPost Phys. 12 "
    "(2022) 104")

SIGMAS = 3.0
MUCH = 0.55
"""Share of generated events nearer to a training than to a held-out event from which on it matters; 0.5 is none."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue when the winner's events lie nearer to training events than to as many others, surely and by much."""
    found = seen.evaluation.metrics.get("memorisation")
    if found is None:
        return "not applicable", "Nothing is generated."
    half = (found.high - found.low) / 2
    if found.value > MUCH and found.value - 0.5 > SIGMAS * half:
        return "issue", (f"{found.value:.1%} ± {half:.1%} of the generated events are nearer to a training event than "
                         "to a held-out one; 50 % would be none the wiser. It repeats what it was shown: its events "
                         "carry no more statistics than the training events. More noise (a wider kernel, a shorter "
                         "training) or another family helps.")
    return "passed", ""
