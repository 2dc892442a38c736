"""A saved model must say in a new process what it said when it was fitted.

Run as ``python -m automl_phys.verify RUN FIT…`` by :mod:`automl_phys.refit`: loads the models of each fit, predicts the
rows they were judged on, and writes by how much that differs from the predictions stored then. What is too much is the
caller's to say.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from automl_phys import registry, resampling
from automl_phys.contracts import Job
from automl_phys.rundir import FitDir, RunDir, read_json, write_json


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


def mismatches(run_dir: RunDir, tolerance: float) -> Mapping[str, float]:
    """Fits whose models differ by more than ``tolerance`` from what they were; NaN is more than anything."""
    found = read_json(run_dir.verified, dict[str, float])
    return {fit: by for fit, by in found.items() if not by <= tolerance}


def fit_of(run_dir: RunDir, model: str) -> str:
    """The fit that a saved model belongs to; both relative to the run."""
    return next(str(folder) for folder in Path(model).parents if FitDir(run_dir.path / folder).job.exists())


if __name__ == "__main__":
    run(RunDir(Path(sys.argv[1])), sys.argv[2:])
