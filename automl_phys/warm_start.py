"""Former runs that a search is to begin with, read from their folders.

Takes the recipe's ``search.warm_start``; gives what :mod:`automl_phys.former` decides by. What was decided stands in
the plan: a run that is resumed does not look at them again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import rundir
from automl_phys.data_files import Inputs
from automl_phys.decisions import Known, Plan
from automl_phys.errors import CallError, Mistake, RecipeError
from automl_phys.former import KEY, Former
from automl_phys.rundir import RunDir
from automl_phys.search_figures import read_trials

if TYPE_CHECKING:
    from automl_phys.recipe import Recipe


def find(wanted: Recipe) -> tuple[Former, ...]:
    """The former runs that a recipe names; links such as ``latest`` are followed now, once. Raises RecipeError with
    all mistakes (``no-such-run``, ``run-not-finished``)."""
    found: list[Former] = []
    mistakes: list[Mistake] = []
    for path in wanted.search.former_runs:
        folder = (wanted.folder / Path(path).expanduser()).resolve()
        if mistake := _refused(RunDir(folder), path):
            mistakes.append(mistake)
        elif not mistakes:
            found.append(_read(RunDir(folder), path))
    if mistakes:
        raise RecipeError(mistakes)
    return tuple(found)


def pinned(wanted: Recipe, plan: Plan) -> Recipe:
    """The recipe with the runs that the plan began with, where it says ``latest``: so that it repeats."""
    if not plan.warm_start:
        return wanted
    paths = [path if Path(given).is_absolute() else os.path.relpath(path, wanted.folder.resolve())
             for given, path in zip(wanted.search.former_runs, plan.warm_start, strict=True)]
    return replace(wanted, data={**wanted.data, "search": {**wanted.data["search"], "warm_start": paths}})


def _refused(run: RunDir, path: str) -> Mistake | None:
    if not run.plan.exists():
        return Mistake("no-such-run", f"There is no run in {path}.",
                       "Give its folder as seen from the recipe's, such as ../runs/NAME/latest.", KEY)
    if not run.ensemble.exists():
        return Mistake("run-not-finished", f"The run {path} is not finished.",
                       "Finish it with 'run RECIPE --resume', or name another one.", KEY)
    return None


def _read(run: RunDir, path: str) -> Former:
    try:
        plan, inputs = rundir.read_json(run.plan, Plan), rundir.read_json(run.inputs, Inputs)
        trials = tuple(_done(run))
    except CallError as error:
        raise RecipeError(Mistake("no-such-run", f"The run {path} cannot be read: {error.mistakes[0].text}",
                                  error.mistakes[0].remedy, KEY)) from error
    return Former(str(run.path), f"{plan.name}/{run.path.name}", inputs.fingerprint, plan.objective, plan.direction,
                  tuple(plan.others), trials)


def _done(run: RunDir) -> Iterator[Known]:
    for trial in read_trials(run):
        value = trial.result.value
        if trial.result.status == "done" and value is not None and isfinite(value):
            yield Known(trial.job.family, trial.job.params, value, trial.result.others)
