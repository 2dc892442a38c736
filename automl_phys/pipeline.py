"""The stages in order. Read this file first.

Each stage reads the files that the one before it wrote into the run's directory and writes its own, so that a run that
was killed resumes where it stood. What a stage does is in the module of its name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import machine, plan, recipe, registry, rundir
from automl_phys.contracts import Executor, Show
from automl_phys.decisions import Plan
from automl_phys.dispatch import interruptible
from automl_phys.errors import CallError, Mistake
from automl_phys.exhibits import Evaluation, Finding
from automl_phys.facts import Facts
from automl_phys.recipe import Recipe
from automl_phys.rundir import RunDir
from automl_phys.telling import Tell, nobody
from automl_phys.trials import Job, Progress, Result, Slot, kind_of, kinds_by_device

if TYPE_CHECKING:
    from automl_phys.comparison import Comparison
    from automl_phys.earlier import Earlier
    from automl_phys.exporting import Written
    from automl_phys.play import Wanted


def make_plan(wanted: Recipe, known: Facts | None = None, tell: Tell = nobody) -> Plan:
    """Look at the data's header, unless its facts are known, and at the machine, and decide.

    ``tell`` hears how far looking is. Raises DataError and RecipeError.
    """
    from automl_phys import warm_start

    task = registry.load("tasks", wanted.task)
    formers = warm_start.find(wanted)
    facts = known or task.look(wanted.options, wanted.folder, wanted.seed, tell)
    fingerprint = task.fingerprint(wanted.options, wanted.folder, wanted.seed, tell) if formers else ""
    return plan.make(wanted, facts, machine.look(), formers=formers, fingerprint=fingerprint)


def job_script(decided: Plan) -> str:
    """The script of the batch jobs that a plan would send; empty where it sends none. Raises RunError when
    dask-jobqueue is not installed."""
    if decided.site is None or decided.site.batch is None:
        return ""
    from automl_phys import dask_sites

    return dask_sites.job_script(decided.site.batch, decided.threads)


def run(wanted: Recipe, out: Path, resume: bool, show: Show, cache: bool = True) -> RunDir:
    """All stages, skipping what is already on disk. Raises AutomlPhysError; what was finished stays.

    A new run gets ``out/<name>/<date-time>-<hash>/``, made only once recipe and data are found sound. With ``cache`` it
    takes its prepared problem from an earlier run in ``out`` with the same inputs, if there is one.
    """
    from automl_phys import earlier, run_index, run_state, study_record

    began = time.monotonic()
    show.stage("Plan")
    known = earlier.find(wanted, out, show.advance) if cache and not resume else None
    facts = known.facts if known else None
    if resume:
        run_dir = _last_run(wanted, out)
    else:
        planned = make_plan(wanted, facts, show.advance)
        study_record.check(planned)
        run_dir = _new_run(wanted, planned, out)
    try:
        with run_state.recorded(run_dir):
            _stages(wanted, run_dir, known, began, show)
    finally:
        run_index.refresh(out)
    return run_dir


def _stages(wanted: Recipe, run_dir: RunDir, known: Earlier | None, began: float, show: Show) -> None:
    """All stages of a run that is planned; it began at that point of ``time.monotonic()``."""
    from automl_phys import (
        diagnose,
        evaluate,
        locks,
        prepare,
        refit,
        search,
        study_record,
        verify,
        warm_start,
        worker,
    )

    decided = rundir.read_json(run_dir.plan, Plan)
    show.begin(decided, run_dir.path)
    os.environ.update(worker.environment(os.cpu_count() or 1, "cpu", decided.framework, decided.precision))
    prepare.run(wanted, decided, run_dir, show, known)
    if not run_dir.ensemble.exists():
        _import_ahead(decided)
        with interruptible(), closing(_open_executor(decided, run_dir, worker.run_trial)) as executor:
            trials = search.run(decided, run_dir, executor, show, _end(began, decided.search_minutes))
            refit.run(decided, run_dir, trials, executor, show, _end(began, decided.minutes))
    shutil.rmtree(run_dir.binned, ignore_errors=True)  # made again from the problem, should it be wanted
    verify.run(decided, run_dir, show)
    evaluate.run(decided, run_dir, show)
    diagnose.run(decided, run_dir, show)
    locks.write(warm_start.pinned(wanted, decided), run_dir)
    study_record.mend(decided, run_dir, show)
    render(run_dir, wanted.report.formats, wanted.report.figures, show)


def predict(run_dir: RunDir, source: Path, target: Path, show: Show) -> str:
    """Score new data with a finished run; gives the number of rows in words. Raises AutomlPhysError."""
    from automl_phys import predict as stage
    from automl_phys import worker

    decided = rundir.read_json(run_dir.plan, Plan)
    os.environ.update(worker.environment(os.cpu_count() or 1, "cpu", decided.framework))
    return stage.run(decided, run_dir, source, target, show)


def export(run_dir: RunDir, word: str, target: Path, show: Show) -> Written:
    """Write a finished run in another format. Raises AutomlPhysError; then nothing was written."""
    from automl_phys import export as stage
    from automl_phys import worker

    decided = rundir.read_json(run_dir.plan, Plan)
    os.environ.update(worker.environment(os.cpu_count() or 1, "cpu", decided.framework))
    return stage.run(decided, run_dir, word, target, show)


def outcome(run_dir: RunDir) -> dict[str, object]:
    """What a finished run came to, for a program: where it is, its verdict, the winner's metrics, what was found."""
    decided = rundir.read_json(run_dir.plan, Plan)
    evaluation = rundir.read_json(run_dir.evaluation, Evaluation)
    reports = [str(file) for file in (run_dir.report("html"), run_dir.report("md")) if file.exists()]
    return {"run": str(run_dir.path), "task": decided.task, "objective": decided.objective,
            "verdict": evaluation.verdict, "metrics": evaluation.metrics,
            "findings": rundir.read_json(run_dir.findings, tuple[Finding, ...]), "reports": reports}


def plays(run_dir: RunDir) -> bool:
    """Whether a run is of an agent, which needs no data to predict. Raises CallError for what is no run."""
    return rundir.read_json(run_dir.plan, Plan).facts.kind == "environment"


def play(run_dir: RunDir, wanted: Wanted, show: Show) -> str:
    """Have the agent of a finished run play; gives what came of it in words. Raises AutomlPhysError."""
    from automl_phys import play as stage
    from automl_phys import worker

    decided = rundir.read_json(run_dir.plan, Plan)
    os.environ.update(worker.environment(1, "cpu", decided.framework))
    return stage.run(decided, run_dir, wanted, show)


def generate(run_dir: RunDir, count: int, seed: int, where: Sequence[str], target: Path, show: Show) -> None:
    """Write new events of a finished run. Raises AutomlPhysError."""
    from automl_phys import draw, run_state, worker

    if not run_dir.ensemble.exists():
        raise CallError(run_state.not_finished(run_dir.path))
    decided = rundir.read_json(run_dir.plan, Plan)
    os.environ.update(worker.environment(os.cpu_count() or 1, "cpu", decided.framework))
    draw.run(decided, run_dir, count, seed, where, target, show)


def compare(folders: Sequence[Path], page: Path | None, show: Show) -> Comparison:
    """Compare finished runs with the first of them, and write a page of that if there is a place for it. Raises
    CallError for what is no finished run and for a place that is taken, RunError when the disk refuses."""
    from automl_phys import comparison, comparison_page, pages

    if page is not None:
        pages.check(page)
    show.stage("Comparison")
    found = comparison.make([RunDir(folder) for folder in folders], show.advance)
    if page is not None:
        comparison_page.write(found, page)
    return found


def dashboard(run_dir: RunDir, port: int, tell: Callable[[str], None]) -> None:
    """Serve the search of a run, finished or not, to a browser here, until Ctrl-C. Raises AutomlPhysError."""
    from automl_phys import dashboard as server

    server.serve(run_dir, port, tell)


def render(run_dir: RunDir, formats: Sequence[str], figure_formats: Sequence[str], show: Show) -> Path:
    """Write the report of a run from its files, and the manifest; gives the report's path. Takes seconds."""
    from automl_phys import report

    path = report.run(run_dir, formats, figure_formats, show)
    rundir.write_manifest(run_dir)
    return path


def index(folder: Path) -> Path:
    """Write a page of the runs in a folder; gives its path. Raises CallError where there are none, RunError when the
    disk refuses."""
    from automl_phys import run_index

    return run_index.write(folder)


def _new_run(wanted: Recipe, decided: Plan, out: Path) -> RunDir:
    """Make the run's folder with recipe, plan and environment, and point ``latest`` to it."""
    from automl_phys import warm_start

    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    run_dir = RunDir(out / wanted.name / f"{stamp}-{_hash(wanted)}")
    rundir.write_text(run_dir.recipe, recipe.dump(warm_start.pinned(wanted, decided)))
    rundir.write_json(run_dir.environment, machine.describe())
    rundir.write_json(run_dir.plan, decided)
    rundir.point_to(run_dir.path.parent / "latest", run_dir.path.name)
    return run_dir


def _last_run(wanted: Recipe, out: Path) -> RunDir:
    """The newest run of this very recipe, to be resumed. Raises CallError when there is none."""
    runs = [path for path in sorted((out / wanted.name).glob(f"*-{_hash(wanted)}")) if RunDir(path).plan.exists()]
    if not runs:
        raise CallError(Mistake(
            "nothing-to-resume", f"There is no run of this recipe, as it is now, in {out / wanted.name}.",
            "Run it without --resume; a recipe that was changed since starts a new run."))
    return RunDir(runs[-1])


def _open_executor(
    decided: Plan, run_dir: RunDir, trial: Callable[[Job, Callable[[Progress], None]], Result]
) -> Executor:
    from automl_phys import worker

    kinds = kinds_by_device(decided.devices)
    slots = tuple(
        Slot(device, decided.threads, decided.memory_mb_per_worker,
             worker.environment(decided.threads, device, decided.framework, decided.precision), kinds[kind_of(device)])
        for device in decided.devices)
    return registry.load("executors", decided.executor).open_executor(slots, run_dir.path, trial, decided.site)


def _import_ahead(decided: Plan) -> None:
    """Import Keras, which takes seconds, while workers search, if the winners may need it here. Not on TensorFlow: what
    that says while it is imported would stand amid the progress. Nor where trials run in this process: two threads that
    import it at once trip over each other."""
    if decided.framework != "tensorflow" and decided.executor != "inline" and any(
            "keras" in registry.load("families", chosen.family).NEEDS for chosen in decided.families):
        threading.Thread(target=import_module, args=("keras",), daemon=True).start()


def _end(began: float, minutes: float | None) -> float | None:
    """A budget in minutes as a point of ``time.monotonic()``."""
    return None if minutes is None else began + 60 * minutes


def _hash(wanted: Recipe) -> str:
    """Of all that a run is made from: not of what is expected of it."""
    wanted = replace(wanted, data={**wanted.data, "expect": {}})
    return hashlib.sha256(recipe.dump(wanted).encode()).hexdigest()[:8]
