"""Were all series forecast by the models that the report names?"""

from __future__ import annotations

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-SIMPLER"
TITLE = "Simpler models in place of those asked for"
MEANS = "For some series the model that was asked for could not be estimated, and a simpler one took its place."
WHY = "Numbers of these series are the simpler model's; a comparison of families is not quite one there."
REMEDY = (
    "See what is odd about these series (few values, constant stretches, jumps), give more of the past, or leave "
    "them out.")
SOURCES = "Hyndman, Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., OTexts 2021"

MOST_NAMES = 3


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when a model of the winner, or a family's best, could not be estimated for a series and a simpler one took
    its place."""
    from automl_phys import local_models
    from automl_phys.series_figures import title
    from automl_phys.series_problem import SeriesProblem

    problem = seen.problem
    if not isinstance(problem, SeriesProblem):
        return "not applicable", "Nothing is forecast."
    run = problem.folder.parent  # a run keeps its problem beside what members' folders are relative to
    found: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for member in (*seen.ensemble.members, *seen.ensemble.singles.values()):
        for folder in member.folders:
            for place, what in local_models.simpler(run / folder).items():
                found.setdefault((member.family, what), set()).add(place)
    if not found:
        return "passed", ""
    of = len(problem.stored.lengths) * len(problem.schema.target)
    said = []
    for (family, what), places in found.items():
        names = [title(problem, code - 1, target) for code, target in sorted(places)]
        more = [f"{len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
        said.append(f"{family} is {what} for {', '.join([*names[:MOST_NAMES], *more])}: {len(names)} of {of}")
    return "tip", (f"Models could not be estimated, and simpler ones took their place: {'; '.join(said)}. "
                   "What is shown of these series is their work. See what is odd about the values, or give more of "
                   "the past.")
