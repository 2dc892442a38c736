"""Stage: look at the test rows, once, with the ensemble, each family's best trial and the baseline.

Takes the problem and the saved models of a run; writes ``evaluation.json`` and ``predictions.parquet``. What is
measured is the task's decision. A run that was evaluated is not evaluated again: what is on disk is its answer.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from automl_phys import ensemble, pareto, registry, resampling, rundir, search_figures
from automl_phys.contracts import Candidate, Problem, Replica, Show
from automl_phys.decisions import Plan
from automl_phys.exhibits import Evaluation
from automl_phys.rundir import FitDir, RunDir, read_json
from automl_phys.trials import Ensemble, Job, Member, Result
from automl_phys.values import Part

if TYPE_CHECKING:
    from automl_phys.values import Array

STAND_INS = 3
"""Members, the heaviest, of which one model each stands for the winner where rows are predicted again and again."""


def run(plan: Plan, run_dir: RunDir, show: Show) -> Evaluation:
    """Evaluate the winner of a run, or read how it was evaluated. Raises AutomlPhysError."""
    show.stage("Evaluation")
    if run_dir.evaluation.exists():
        show.say("The test rows were looked at before; that answer stands.")
        return rundir.read_json(run_dir.evaluation, Evaluation)
    task = registry.load("tasks", plan.task)
    problem = task.load(run_dir.problem)
    chosen = rundir.read_json(run_dir.ensemble, Ensemble)
    found = candidates(plan, chosen, problem, run_dir, show)
    said = task.evaluate(problem, found, plan.objective, chosen.calibration, plan.seed, show.advance)
    evaluation = _with_search(said, plan, run_dir)
    task.write_scores(problem, problem.test, found[0].predictions["test"], chosen.calibration, run_dir.predictions)
    rundir.write_json(run_dir.evaluation, evaluation)  # last: its being there says that the stage is done
    show.say(evaluation.verdict)
    return evaluation


def candidates(plan: Plan, chosen: Ensemble, problem: Problem, run_dir: RunDir, show: Show) -> tuple[Candidate, ...]:
    """The winner, each family's best trial, the baseline, with their predictions for test rows; the winner's for train
    rows too. A model that several of them share predicts once."""
    known: dict[tuple[tuple[str, ...], Part], Array] = {}

    def predicted(member: Member, part: Part) -> Array:
        key = (member.folders, part)
        if key not in known:
            known[key] = ensemble.predict_member(run_dir.path, member, getattr(problem, part))
        return known[key]

    def candidate(name: str, role: Literal["winner", "member", "baseline"], members: tuple[Member, ...]) -> Candidate:
        parts: tuple[Part, ...] = ("train", "test") if role == "winner" and "train" in plan.facts.rows else ("test",)
        predictions = {part: ensemble.mean([predicted(m, part) for m in members], [m.weight for m in members])
                       for part in parts}
        heaviest = sorted(members, key=lambda m: -m.weight)[:STAND_INS]
        quick = tuple(replace(member, folders=member.folders[:1]) for member in heaviest)
        made = Candidate(name, role, predictions, partial(_predict, run_dir, quick), sum(m.seconds for m in members),
                         _trained_on(members), predict_with_all=partial(_predict, run_dir, members))
        alone = members[0] if len(members) == 1 else None
        made = replace(made, family=alone.family if alone else "", replicas=_replicas(chosen, run_dir, alone))
        if alone and len(alone.folders) == 1:
            made = replace(made, model=partial(ensemble.model, alone.family, run_dir.path / alone.folders[0]))
        return replace(made, figures=ensemble.figures(run_dir.path, members)) if role == "winner" else made

    wanted: list[tuple[str, Literal["winner", "member", "baseline"], tuple[Member, ...]]] = [
        (winner_name(chosen.members), "winner", chosen.members)]
    baseline = chosen.singles["baseline"]
    wanted += [(f"best {_spoken(name)}", "member", (single,)) for name, single in chosen.singles.items()
               if single.folders != baseline.folders]
    wanted.append((f"{_spoken(plan.baseline)} baseline", "baseline", (baseline,)))
    found = []
    for done, (name, role, members) in enumerate(wanted):
        show.advance(done, len(wanted), name)
        found.append(candidate(name, role, members))
    show.advance(len(wanted), len(wanted))
    return tuple(found)


def _replicas(chosen: Ensemble, run_dir: RunDir, member: Member | None) -> tuple[Replica, ...]:
    """What a member's configuration came to on variations of the problem."""
    made = []
    for folder in (FitDir(run_dir.path / name) for name in chosen.replicas):
        job = read_json(folder.job, Job)
        if member is None or (job.family, job.params) != (member.family, member.params):
            continue
        problem = resampling.problems(job, run_dir.path)[0]
        value = read_json(folder.result, Result).value
        made.append(Replica(
            problem.variation, float("nan") if value is None else value, np.load(folder.valid, allow_pickle=False),
            partial(_predict_with, job.family, folder.model()),
            tuple(search_figures.read_history(folder)), partial(ensemble.model, job.family, folder.model())))
    return tuple(made)


def _predict_with(family: str, folder: Path, rows: Any) -> Array:
    return ensemble.model(family, folder).predict(rows)


def _with_search(evaluation: Evaluation, plan: Plan, run_dir: RunDir) -> Evaluation:
    """The evaluation and how the search came to the winner."""
    trials = search_figures.read_trials(run_dir)
    ranked = search_figures.ranked(plan, trials)
    curves = search_figures.read_histories(run_dir, ranked, search_figures.BEST_TRIALS)
    drawn = search_figures.figures(plan, trials, curves)
    chosen = rundir.read_json(run_dir.ensemble, Ensemble)
    winner, baseline = {member.trial for member in chosen.members}, chosen.singles["baseline"].trial
    return replace(
        evaluation, figures=(*evaluation.figures, *drawn, *pareto.figures(plan, trials, winner, baseline)),
        tables=(*evaluation.tables, *pareto.tables(plan, trials), search_figures.by_family(plan, trials)))


def winner_name(members: tuple[Member, ...]) -> str:
    """``boosted trees + mlp ensemble (12 members)``, or ``mlp (trial 7)``; families by falling weight."""
    weights: dict[str, float] = {}
    for member in members:
        weights[member.family] = weights.get(member.family, 0.0) + member.weight
    families = " + ".join(_spoken(f) for f in sorted(weights, key=lambda f: -weights[f]))
    if len(members) == 1:
        return f"{families} (trial {members[0].trial})"
    return f"{families} ensemble ({len(members)} members)"


def _predict(run_dir: RunDir, members: tuple[Member, ...], rows: Any) -> Array:
    return ensemble.mean([ensemble.predict_member(run_dir.path, member, rows) for member in members],
                         [member.weight for member in members])


def _trained_on(members: tuple[Member, ...]) -> str:
    """What train rows were to a model whose members may have been refitted."""
    most = max(len(member.folders) for member in members)
    if most > 1:
        return (f"Train: members are means over up to {most} models, each fitted on all or most of the train and "
                "validation rows.")
    return "Train: the rows that members were fitted on."


def _spoken(family: str) -> str:
    return family.replace("_", " ")
