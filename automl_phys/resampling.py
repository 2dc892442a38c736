"""The problems that a job is fitted and judged on, and the rows of several of them put together.

Takes a job; gives the prepared problem, all of it as train, all its folds, or one of them, as the job says. Fitting is
:mod:`automl_phys.worker`'s work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from automl_phys import registry
from automl_phys.contracts import Problem
from automl_phys.rundir import RunDir
from automl_phys.trials import Job


def problems(job: Job, run_dir: Path) -> Sequence[Problem]:
    """What ``job`` is fitted on, one after the other. ``run_dir`` is where the run is now."""
    whole = _load(job.task, RunDir(run_dir).problem)
    if job.steps:
        return (whole.whole(),)
    if not job.folds:
        return (whole,)
    folds = whole.resamples(job.folds, job.fold_seed)
    return folds if job.fold is None else (folds[job.fold],)


def stacked(parts: Sequence[Any]) -> Any:
    """Parts of problems, dataclasses alike, with their arrays joined row after row; what is no array is the first's.

    Raises TypeError for more than one part that is no dataclass.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    if not is_dataclass(first) or isinstance(first, type):
        raise TypeError(f"parts must be dataclasses of arrays to be joined, not {type(first).__name__}")
    columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(first)}
    return type(first)(**{name: np.concatenate(values) if isinstance(values[0], np.ndarray) else values[0]
                          for name, values in columns.items()})


@lru_cache(maxsize=1)
def _load(task: str, folder: Path) -> Problem:
    """Once per process: the arrays are memory-mapped, their pages shared between workers."""
    return registry.load("tasks", task).load(folder)
