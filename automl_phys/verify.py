"""A saved model must say in a new process what it said when it was fitted.

:func:`beside` starts that process, ``python -m automl_phys.verify RUN FIT…``, and holds its findings against the
tolerance: a run whose models do not reproduce fails. The process loads the models of each fit, predicts the rows they
were judged on, and writes by how much that differs from the predictions stored then.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryFile

import numpy as np

from automl_phys import registry, resampling
from automl_phys.contracts import Ensemble, Job, Show
from automl_phys.errors import Mistake, RunError
from automl_phys.rundir import FitDir, RunDir, read_json, write_json

TOLERANCE = 1e-5
"""How much a saved model's predictions may differ from those at the time of the fit."""


def run(run_dir: RunDir, fits: Sequence[str]) -> None:
    """Write ``model/verified.json``: for each fit, a folder of the run, the largest difference in any prediction."""
    write_json(run_dir.verified, {fit: difference(FitDir(run_dir.path / fit), run_dir) for fit in fits})


def difference(fit: FitDir, run_dir: RunDir) -> float:
    """The largest difference between a fit's stored predictions and those of its saved models; NaN if any is NaN."""
    job = read_json(fit.job, Job)
    family = registry.load("families", job.family)
    problems = resampling.problems(job, run_dir.path)
    predictions = [family.load(fit.model(i if len(problems) > 1 else None)).predict(problem.valid)
                   for i, problem in enumerate(problems)]
    stored = np.load(fit.valid, allow_pickle=False)
    return float(np.max(np.abs(np.concatenate(predictions) - stored)))


@contextmanager
def beside(run_dir: RunDir, show: Show) -> Iterator[None]:
    """Have every model of the ensemble predict again in a new process while the block does something else.

    Raises RunError, when the block has ended, for models that could not be loaded or did not reproduce. The process has
    this one's environment; it is stopped when the block raises.
    """
    made = read_json(run_dir.ensemble, Ensemble)
    members = (*made.members, *made.singles.values())
    fits = sorted({_fit_of(run_dir, folder) for member in members for folder in member.folders})
    known = read_json(run_dir.verified, dict[str, float]) if run_dir.verified.exists() else {}
    if set(fits) <= set(known):
        yield
        _judge(run_dir)
        return
    with TemporaryFile("w+") as log:
        command = [sys.executable, "-m", __name__, str(run_dir.path), *fits]
        with Popen(command, stdout=DEVNULL, stderr=log) as process:  # noqa: S603 - our own module
            try:
                yield
                code = process.wait()
            finally:
                process.kill()
        if code:
            log.seek(0)
            last = log.read().strip().splitlines()[-1:] or [f"exit code {code}"]
            raise RunError(Mistake("not-reloadable", f"A saved model cannot be loaded in a new process: {last[0]}",
                                   f"This is a bug; please report it with {run_dir.model}."))
    _judge(run_dir)
    show.say(f"{len(fits)} saved models were loaded in a new process and predict the same.")


def _judge(run_dir: RunDir) -> None:
    """Raise RunError for models that differ by more than ``TOLERANCE`` from what they were; NaN is more than that."""
    found = read_json(run_dir.verified, dict[str, float])
    wrong = ", ".join(f"{fit} by {by:.2g}" for fit, by in found.items() if not by <= TOLERANCE)
    if wrong:
        raise RunError(Mistake("not-reproduced", f"Saved models predict otherwise in a new process: {wrong}.",
                               f"More than {TOLERANCE:g} cannot be trusted; please report it with {run_dir.model}."))


def _fit_of(run_dir: RunDir, model: str) -> str:
    """The fit that a saved model belongs to; both relative to the run."""
    return next(str(folder) for folder in Path(model).parents if FitDir(run_dir.path / folder).job.exists())


if __name__ == "__main__":
    run(RunDir(Path(sys.argv[1])), sys.argv[2:])
