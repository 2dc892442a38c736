"""Stage: hand a finished run over to other programs.

Takes a run and the word of a format; writes the file, once it was read again by the consumer's own library in a fresh
process and agreed with what the run predicts. What a file holds is the formats' work (``formats/``).
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from automl_phys import registry, rundir
from automl_phys.contracts import Exporting, Show
from automl_phys.decisions import Plan
from automl_phys.errors import CallError, Mistake
from automl_phys.exporting import EVENTS, Subject, Written
from automl_phys.rundir import RunDir
from automl_phys.trials import Ensemble


def check(word: str, target: Path | None) -> Path:
    """The file to write, ``model`` with the format's ending where none is named. Raises CallError for an unknown
    format, packages that are not there, another ending, or a folder in the file's place."""
    known = registry.names("formats")
    if word not in known:
        raise CallError(Mistake("unknown-word", f"'{word}' is not a format.{registry.did_you_mean(word, known)}",
                                "Known: " + "; ".join(f"{name} ({registry.load('formats', name).TEXT})"
                                                      for name in known) + "."))
    module = registry.load("formats", word)
    absent = [package for package in module.NEEDS if find_spec(package) is None]
    if absent:
        raise CallError(Mistake("missing-package", f"Format '{word}' needs {' and '.join(absent)}, not installed here.",
                                "Install what exports need: pip install 'automl-phys[export]'"))
    target = target or Path(f"model{module.SUFFIX}")
    if target.suffix != module.SUFFIX:
        raise CallError(Mistake("unknown-format", f"{target} does not end in {module.SUFFIX}, as format '{word}' does.",
                                f"Give the file that ending: -o {target.with_suffix(module.SUFFIX)}"))
    if target.is_dir():
        raise CallError(Mistake("file-exists", f"{target} is a folder.", "Name a file under -o."))
    return target


def run(plan: Plan, run_dir: RunDir, word: str, target: Path, show: Show) -> Written:
    """Write ``target`` and what goes with it, whole or not at all; gives what was written.

    Raises CallError for a run that is not finished, or of a kind that the format is not for; RunError when the file
    does not agree with the run, or the disk refuses.
    """
    show.stage(f"Export as {word}")
    winner = rundir.read_json(run_dir.ensemble, Ensemble)
    task = registry.load("tasks", plan.task)
    if not isinstance(task, Exporting):
        able = [name for name in registry.names("tasks") if isinstance(registry.load("tasks", name), Exporting)]
        raise CallError(Mistake(
            "not-exportable", f"A run of task '{plan.task}' is not exported: its answer for an event is not a function "
            "of that event's columns alone, or is no number.", f"Tasks that are: {', '.join(able)}. "
            "'automl-phys predict' scores new data with any run; the saved models are in the run's folder 'model'."))
    problem: Any = task.load(run_dir.problem)

    def events(folder: Path) -> Any:
        from automl_phys import export_events

        return export_events.make(problem, run_dir, partial(task.read_new, problem), EVENTS, folder)

    subject = Subject(run_dir, plan, task, problem, winner, events, show.advance)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        draft.mkdir(parents=True)
        written = registry.load("formats", word).write(subject, draft / target.name)
        for file in written.files:
            rundir.sync(file)
        for file in written.files:
            file.replace(target.parent / file.name)
    except OSError as error:
        raise rundir.disk_error(error, target) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return written
