"""Did the search run into a wall?"""

from __future__ import annotations

from math import log

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome
from automl_phys.facts import Range
from automl_phys.values import Value

CODE = "C-EDGE"
TITLE = "Best values at the edge of the search space"
MEANS = "The best model has a hyperparameter at an end of the range that was searched."
WHY = "The best value may lie beyond: the search ran into a wall that was set before the data were seen."
REMEDY = "Widen the range under 'model:' on that side, and search again. If the score hardly changes, all is well."
SOURCES = ""

FEWEST = 2
NEAR = 0.02
"""Share of a range, in its logarithm where it is searched so, that counts as its edge."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when the heaviest member has a number at an edge of a range that was searched."""
    if not seen.ensemble.members:
        return "not applicable", "There is no winner."
    best = max(seen.ensemble.members, key=lambda m: m.weight)
    space = next((chosen.space for chosen in seen.plan.families if chosen.family == best.family), {})
    at_edge = [f"{name} = {best.params[name]:.4g} ({side} end of {span.low:g} to {span.high:g})"
               for name, span in space.items() if (side := edge(best.params.get(name), span))]
    if not any(_searched(span) for span in space.values()):
        return "not applicable", f"No number of {best.family} was searched."
    if at_edge:
        sections = ", ".join(f"{word}:" for word in best.family.split("+"))
        return "tip", (f"The best {best.family} has {', '.join(at_edge)}. A wider range, set in the recipe under "
                       f"model: {sections}, may give better ones.")
    return "passed", ""


def edge(value: Value, span: Range) -> str:
    """``lower`` or ``upper`` when a value is at an end of its range, else nothing. An end at 0 is no wall, nor is one
    or two of things that are counted."""
    if not _searched(span) or isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    low, high, at = (log(v) if span.log else float(v) for v in (span.low or 0.0, span.high or 0.0, value))
    if at <= low + NEAR * (high - low):
        return "lower" if span.low != 0 and not (span.integer and (span.low or 0) <= FEWEST) else ""
    return "upper" if at >= high - NEAR * (high - low) else ""


def _searched(span: Range) -> bool:
    return not span.choices and span.low is not None and span.high is not None and span.high > span.low
