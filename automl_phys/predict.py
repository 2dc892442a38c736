"""Stage: score new data with a finished run.

Takes a run's plan, prepared problem and saved models, and a file of new data; writes their scores. Columns are checked
by the task, which reads the file as it read the training data.
"""

from __future__ import annotations

from pathlib import Path

from automl_phys import ensemble, readable, registry, rundir
from automl_phys.contracts import Show
from automl_phys.decisions import Plan
from automl_phys.rundir import RunDir
from automl_phys.trials import Ensemble


def run(plan: Plan, run_dir: RunDir, source: Path, target: Path, show: Show) -> str:
    """Write the scores of ``source`` to ``target``; gives the number of rows in words, of series that of the windows
    that were asked for.

    Raises CallError when the run is not finished, DataError when the data do not fit it, RunError when the disk
    refuses.
    """
    show.stage("Predict")
    winner = rundir.read_json(run_dir.ensemble, Ensemble)
    task = registry.load("tasks", plan.task)
    problem = task.load(run_dir.problem)
    rows = task.read_new(problem, source, show.advance)
    for note in rows.notes:
        show.say(note)
    scores = ensemble.predict(run_dir.path, winner, rows, show.advance)
    task.write_scores(problem, rows, scores, winner.calibration, target)
    return readable.rows(plan.facts, getattr(rows, "asked", len(rows)))
