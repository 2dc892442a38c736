"""An earlier run that prepared the very same problem: what makes a second run start at once.

Takes a recipe and the folder of all runs; gives the newest run whose problem was made from the same inputs, by their
hash. Its files are hard-linked, so they take no room twice, and stay when either run is removed.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import registry, rundir
from automl_phys.data_files import DataFile, Inputs
from automl_phys.decisions import Plan
from automl_phys.errors import CallError, DataError
from automl_phys.facts import Facts
from automl_phys.rundir import RunDir
from automl_phys.telling import Tell, nobody

if TYPE_CHECKING:
    from automl_phys.recipe import Recipe


@dataclass(frozen=True)
class Earlier:
    """A run with a problem to take over. ``facts`` are those it was planned with."""

    run: RunDir
    facts: Facts


def find(wanted: Recipe, out: Path, tell: Tell = nobody) -> Earlier | None:
    """The newest run under ``out`` with the problem that ``wanted`` asks for; None where there is none.

    Hashes the data's files, unless their hashes are remembered, and only if there is any earlier run.
    """
    runs = [RunDir(path.parent) for path in out.glob("*/*/inputs.json") if not path.parent.is_symlink()]
    if not runs:
        return None
    try:
        fingerprint = registry.load("tasks", wanted.task).fingerprint(wanted.options, wanted.folder, wanted.seed, tell)
    except DataError:  # told when the data are looked at, all mistakes together
        return None
    for run in sorted(runs, key=lambda run: run.path.name, reverse=True):
        try:
            if run.problem.is_dir() and rundir.read_json(run.inputs, Inputs).fingerprint == fingerprint:
                return Earlier(run, rundir.read_json(run.plan, Plan).facts)
        except CallError:  # damaged, or of another version: no use to this one
            continue
    return None


def take_over(earlier: Earlier, run: RunDir) -> None:
    """Link the problem of an earlier run into ``run``, or copy it where the file system knows no links."""
    with rundir.whole_folder(run.problem) as draft:
        shutil.copytree(earlier.run.problem, draft, copy_function=_link, dirs_exist_ok=True)


def remember(fingerprint: str, files: tuple[DataFile, ...], run: RunDir) -> None:
    """Say what the run's problem was made from, for those to come."""
    rundir.write_json(run.inputs, Inputs(fingerprint, files))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
