"""Stage ``prepare``: the data as the task's families take them, on disk.

Takes the recipe and its plan; gives the problem in ``run.problem``, or the one that is there already when a run is
resumed, or that of an earlier run with the same inputs. What a problem is, and how it is read and split, is the task's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl_phys import data_files, earlier, readable, registry
from automl_phys.contracts import Problem, Show
from automl_phys.decisions import Plan
from automl_phys.earlier import Earlier
from automl_phys.errors import Mistake, RunError
from automl_phys.rundir import RunDir

if TYPE_CHECKING:
    from automl_phys.recipe import Recipe


def run(recipe: Recipe, plan: Plan, run: RunDir, show: Show, known: Earlier | None = None) -> Problem:
    """Prepare the problem, or take up the one that is there if its inputs are still the same, or that of ``known``.

    Raises DataError with all mistakes in the data, RunError when the disk refuses, or when inputs changed after trials
    were run on them (``data-changed``).
    """
    show.stage("Prepare")
    task = registry.load("tasks", plan.task)
    if run.problem.exists():
        problem = task.load(run.problem)
        if problem.fingerprint == task.fingerprint(recipe.options, recipe.folder, recipe.seed, show.advance):
            show.say("The prepared data are there already, made from the same inputs.")
            return problem
        if run.trials.exists():
            raise RunError(Mistake("data-changed", "The data are not those that this run began with.",
                                   "Start a new run (without --resume), or restore the data."))
        show.say("The data changed since they were prepared, and are prepared again.")
    if known and not run.problem.exists():
        earlier.take_over(known, run)
        show.say(f"Taken over from {known.run.path}, which was made from the same inputs (--no-cache prepares anew).")
        problem = task.load(run.problem)
    else:
        problem = task.prepare(recipe.options, recipe.folder, run.problem, recipe.seed, show.advance)
    earlier.remember(problem.fingerprint, data_files.of(recipe), run)
    facts = problem.facts()
    show.say(f"{readable.parts(facts)}.")
    for note in facts.notes:
        if note not in plan.facts.notes:
            show.say(note)
    return problem
