"""What a network's training that was cut off goes on from: all its variables, its best weights, its learning curve.

Takes arrays at the end of an epoch; leaves them in a folder that is replaced as a whole, at most every
:data:`EVERY_S`: a training that is over sooner writes nothing. A training that is read back goes on as if it had not
been cut off. Which arrays these are is :mod:`automl_phys.keras_fit`'s business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl_phys import rundir
from automl_phys.rundir import FitDir
from automl_phys.trials import Job

if TYPE_CHECKING:
    from automl_phys.values import Array

EVERY_S = 30.0
COURSE, ARRAYS = "course.json", "arrays.npz"

Groups = Mapping[str, Sequence["Array"]]


@dataclass(frozen=True)
class Course:
    """The learning curve so far; ``values`` are the objective at each epoch, as the search was told."""

    history: tuple[dict[str, float], ...]
    best_epoch: int
    best_loss: float
    values: tuple[float, ...] = ()


class Place:
    """Where the checkpoint of one training is; None for nowhere."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self._written = folder, time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return self._folder is not None and time.monotonic() - self._written >= EVERY_S

    def write(self, groups: Groups, course: Course) -> None:
        """Put this in place of what was written before. Raises RunError when the disk refuses."""
        if self._folder is None:
            return
        at = FitDir(self._folder.parent)
        with rundir.whole_folder(self._folder) as draft:
            with (draft / ARRAYS).open("wb") as file:
                np.savez(file, allow_pickle=False, **{
                    f"{name}-{i:04d}": array for name, group in groups.items() for i, array in enumerate(group)})
            rundir.write_json(draft / COURSE, course)
            rundir.write_json(draft / at.watched.name, {
                str(step + 1): value for step, value in enumerate(course.values)})
        self._written = time.monotonic()

    def read(self, fresh: Callable[[], Groups]) -> tuple[Groups, Course] | None:
        """What was written, if that has the shapes and types of ``fresh`` arrays; None where there is none. Raises
        CallError for a damaged one."""
        if self._folder is None or not (self._folder / COURSE).exists():
            return None
        course = rundir.read_json(self._folder / COURSE, Course)
        like = fresh()
        with np.load(self._folder / ARRAYS, allow_pickle=False) as stored:
            names = {name: [f"{name}-{i:04d}" for i in range(len(group))] for name, group in like.items()}
            if sorted(stored.files) != sorted(one for group in names.values() for one in group):
                return None
            found = {name: [stored[one] for one in group] for name, group in names.items()}
        same = all(new.shape == old.shape and new.dtype == old.dtype for name, group in like.items()
                   for new, old in zip(found[name], group, strict=True))
        return (found, course) if same else None


def place(job: Job) -> Place:
    """The place of a job that trains one network once; nowhere for one that trains several, on folds."""
    alone = job.folder and (job.fold is not None or not job.folds)
    return Place(FitDir(Path(job.run_dir) / job.folder).checkpoint if alone else None)
