"""A saved model must say, in a process that has fitted nothing, what it said when it was fitted.

Trials run in processes of their own, so this one may judge; where they ran in this very process (executor ``inline``)
a new one is started, ``python -m automl_phys.verify RUN FIT…``. The models of each fit are loaded and predict the rows
they were judged on; how much that differs from the predictions stored then is held against the tolerance. A run whose
models do not reproduce fails.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from automl_phys import ensemble, resampling
from automl_phys.contracts import Drawn, Show
from automl_phys.decisions import Plan
from automl_phys.errors import Mistake, RunError
from automl_phys.rundir import FitDir, RunDir, read_json, write_json
from automl_phys.telling import Tell, counted, nobody
from automl_phys.trials import Ensemble, Job, Result, kind_of

TOLERANCE = 1e-5
"""How much a saved model's predictions may differ from those at the time of the fit; of predictions beyond 1, such as
energies, as a share of the largest: they have seven digits."""
TOLERANCE_OF_GPU = 1e-4
"""The same of a fit on a GPU: this process computes on the CPU, which sums in another order through all layers."""
FLIPPED = 1e-3
"""Share of the numbers of drawn events that may differ more: a count goes either way with the last digit of a draw."""


def run(plan: Plan, run_dir: RunDir, show: Show) -> None:
    """Have every model of the ensemble predict again. Raises RunError for those that cannot be loaded or differ."""
    show.stage("Verification")
    made = read_json(run_dir.ensemble, Ensemble)
    members = (*made.members, *made.singles.values())
    models = {_fit_of(run_dir, folder) for member in members for folder in member.folders}
    fits = sorted(models | set(made.replicas[:1]))  # a replica was judged on rows that it was not fitted on, too
    known = read_json(run_dir.verified, dict[str, float]) if run_dir.verified.exists() else {}
    if not set(fits) <= set(known):
        if plan.executor == "inline":
            _elsewhere(run_dir, fits)
        else:
            measure(run_dir, fits, show.advance)
    _judge(run_dir)
    show.say(f"{len(fits)} saved models were loaded in a process that had fitted nothing, and predict the same.")


def measure(run_dir: RunDir, fits: Sequence[str], tell: Tell = nobody) -> None:
    """Write ``model/verified.json``: for each fit, a folder of the run, the largest difference in any prediction."""
    write_json(run_dir.verified, {fit: difference(FitDir(run_dir.path / fit), run_dir)
                                  for fit in counted(fits, "models", tell)})


def difference(fit: FitDir, run_dir: RunDir) -> float:
    """The largest difference between a fit's stored predictions and those of its saved models, as ``TOLERANCE`` counts
    it; NaN if any is NaN."""
    job = read_json(fit.job, Job)
    problems = resampling.problems(job, run_dir.path)
    predictions = [ensemble.model(job.family, fit.model(i if len(problems) > 1 else None)).predict(problem.valid)
                   for i, problem in enumerate(problems)]
    stored = np.load(fit.valid, allow_pickle=False)
    apart = np.abs(np.concatenate(predictions) - stored)
    drawn = isinstance(ensemble.model(job.family, fit.model(0 if len(problems) > 1 else None)), Drawn)
    largest = float(np.quantile(apart, 1 - FLIPPED) if drawn else np.max(apart))
    return largest / max(1.0, float(np.max(np.abs(stored))))


def _elsewhere(run_dir: RunDir, fits: Sequence[str]) -> None:
    """:func:`measure` in a new process, which has this one's environment."""
    command = [sys.executable, "-m", __name__, str(run_dir.path), *fits]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own module
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise RunError(Mistake("not-reloadable", f"A saved model cannot be loaded in a new process: {last[0]}",
                               f"This is a bug; please report it with {run_dir.model}."))


def _judge(run_dir: RunDir) -> None:
    """Raise RunError for models that differ by more than is tolerated from what they were; NaN is more than that."""
    found = read_json(run_dir.verified, dict[str, float])
    tolerated = {fit: TOLERANCE_OF_GPU if _was_on_gpu(run_dir, fit) else TOLERANCE for fit in found}
    wrong = {fit: by for fit, by in found.items() if not by <= tolerated[fit]}
    if wrong:
        told = ", ".join(f"{fit} by {by:.2g}" for fit, by in wrong.items())
        most = max(tolerated[fit] for fit in wrong)
        raise RunError(Mistake("not-reproduced", f"Saved models predict otherwise in a new process: {told}.",
                               f"More than {most:g} cannot be trusted; please report it with {run_dir.model}."))


def _was_on_gpu(run_dir: RunDir, fit: str) -> bool:
    result = FitDir(run_dir.path / fit).result
    return result.exists() and kind_of(read_json(result, Result).device or "cpu") == "gpu"


def _fit_of(run_dir: RunDir, model: str) -> str:
    """The fit that a saved model belongs to; both relative to the run."""
    return next(str(folder) for folder in Path(model).parents if FitDir(run_dir.path / folder).job.exists())


if __name__ == "__main__":
    measure(RunDir(Path(sys.argv[1])), sys.argv[2:])
