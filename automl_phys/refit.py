"""The winners: which trials make the ensemble, fitted again on more of the rows.

Takes the trials of a search; gives the ensemble, written to ``model/ensemble.json``. Weights come from predictions on
rows that the model predicting was not fitted on: the validation rows, or out of fold once all members are bagged. A
member there was no time to refit keeps its trial's model. How weights are chosen is :mod:`automl_phys.ensemble`'s work,
a refit itself :mod:`automl_phys.worker`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from automl_phys import arrays, ensemble, kinds, registry, resampling
from automl_phys.contracts import Executor, Problem, Show
from automl_phys.decisions import Plan
from automl_phys.dispatch import Dispatch
from automl_phys.errors import Mistake, RunError
from automl_phys.proposals import fit_seed
from automl_phys.rundir import FitDir, RunDir, write_json
from automl_phys.trials import Ensemble, Job, Member, Trial

if TYPE_CHECKING:
    from automl_phys.values import Array

MOST_CANDIDATES = 30
"""Trials, best first, that may enter the ensemble: the rest only cost time."""


def run(
    plan: Plan, run_dir: RunDir, trials: Sequence[Trial], executor: Executor, show: Show, end: float | None
) -> Ensemble:
    """Choose, refit until ``end`` (of ``time.monotonic``; None: no end), write the ensemble.

    Raises RunError when the baseline failed.
    """
    ranked = _ranked(plan, trials)
    if registry.load("tasks", plan.task).REPLICAS:
        return _alone_with_replicas(plan, run_dir, trials, ranked, executor, show, end)
    show.stage("Ensemble")
    baseline = _baseline(plan, trials, ranked)
    chosen = _chosen(plan, run_dir, ranked[:MOST_CANDIDATES])
    members = chosen.members
    notes: list[str] = []
    if plan.refit:
        again = _refitted(plan, run_dir, members, _whole_job, executor, show, end, notes)
        members = tuple(replace(m, folders=again.get(m.trial, m.folders)) for m in members)
    if plan.bagging > 1:
        bagged = _refitted(plan, run_dir, members, _fold_jobs, executor, show, end, notes)
        kept = again if plan.refit else {}
        members = tuple(replace(m, folders=(*kept.get(m.trial, ()), *bagged[m.trial])) if m.trial in bagged else m
                        for m in members)
        if len(bagged) == len(members):
            chosen = _reweighted(plan, run_dir, members)
            members = chosen.members
    refitted = {member.trial: replace(member, weight=1.0) for member in members}
    best = {trial.job.family: _alone(plan, trial) for trial in reversed(ranked)}
    singles = {family: refitted.get(single.trial, single) for family, single in best.items()}
    result = Ensemble(members, {**singles, "baseline": _alone(plan, baseline)}, plan.objective, chosen.value,
                      tuple(notes))
    calibration = registry.load("tasks", plan.task).calibrate(
        chosen.problem, chosen.rows, chosen.predictions, lambda rows: ensemble.predict(run_dir.path, result, rows))
    result = replace(result, calibration=calibration)
    write_json(run_dir.ensemble, result)  # last: its being there says that the stage is done
    show.say(f"{len(members)} member{'s' * (len(members) > 1)}: validation {plan.objective} {chosen.value:.5g}.")
    return result


def _alone_with_replicas(
    plan: Plan, run_dir: RunDir, trials: Sequence[Trial], ranked: Sequence[Trial], executor: Executor, show: Show,
    end: float | None,
) -> Ensemble:
    """The best trial as it is, and its configuration, or those of the best of all families, fitted on variations of the
    problem."""
    show.stage("Winner")
    words = kinds.of(plan.facts.kind)
    best = {trial.job.family: _alone(plan, trial) for trial in reversed(ranked)}
    singles = {**best, "baseline": _alone(plan, _baseline(plan, trials, ranked))}
    winner, notes = _alone(plan, ranked[0]), []
    again = [winner]
    if registry.load("tasks", plan.task).REPLICATED == "families":
        again += [single for family, single in best.items() if family != winner.family]
    jobs = [job for index, member in enumerate(again) for job in _fold_jobs(plan, run_dir, member, index)
            ] if plan.replicas else []
    fits = _carried_out(plan, run_dir, jobs, executor, show, end, words.fits)
    lost = [fit.result.message or fit.result.status for fit in fits.values() if fit.result.status != "done"]
    if len(fits) < len(jobs):
        notes.append(f"There was time for {len(fits)} of {len(jobs)} {words.fits}.")
    if lost:
        notes.append(f"{len(lost)} of {len(jobs)} {words.fits} failed: {lost[0]}")
    for note in notes:
        show.say(note)
    replicas = tuple(job.folder for job in jobs if job.number in fits and fits[job.number].result.status == "done")
    value = float(ranked[0].result.value or 0.0)
    result = Ensemble((winner,), singles, plan.objective, value, tuple(notes), replicas,
                      _calibration(plan, run_dir, ranked[0]))
    write_json(run_dir.ensemble, result)  # last: its being there says that the stage is done
    show.say(f"{winner.family}, trial {winner.trial}: {plan.objective} {value:.5g}.")
    return result


def _calibration(plan: Plan, run_dir: RunDir, trial: Trial) -> Mapping[str, Any]:
    """What the predictions of a trial for the rows that it was judged on say of its uncertainty."""
    problem = resampling.problems(trial.job, run_dir.path)[0]
    predictions = arrays.mapped(FitDir(run_dir.path / trial.job.folder).valid)
    found: Mapping[str, Any] = registry.load("tasks", plan.task).calibrate(problem, problem.valid, predictions)
    return found


def _ranked(plan: Plan, trials: Sequence[Trial]) -> list[Trial]:
    """Trials that were done, best first, of equals the earlier one."""
    sign = -1.0 if plan.direction == "maximize" else 1.0
    values = {t.result.number: sign * t.result.value for t in trials
              if t.result.status == "done" and t.result.value is not None}
    done = (trial for trial in trials if trial.result.number in values)
    return sorted(done, key=lambda trial: (values[trial.result.number], trial.result.number))


def _baseline(plan: Plan, trials: Sequence[Trial], ranked: Sequence[Trial]) -> Trial:
    """The baseline family's earliest trial that was done: its first default, unless that failed."""
    done = [trial for trial in ranked if trial.job.family == plan.baseline]
    if not done:
        reason = next((t.result.message for t in trials if t.job.family == plan.baseline), "it was never tried")
        raise RunError(Mistake("baseline-failed", f"The baseline, {plan.baseline}, has no finished trial: {reason}.",
                               "Without it there is nothing to compare with: raise search.minutes, or mend the data."))
    return min(done, key=lambda trial: trial.result.number)


@dataclass(frozen=True)
class _Weighing:
    """Members with their weights, heaviest first; the objective that they reach together on rows that none of them was
    fitted on; these rows, and the predictions for them."""

    members: tuple[Member, ...]
    value: float
    problem: Problem
    rows: Any
    predictions: Array


def _chosen(plan: Plan, run_dir: RunDir, ranked: Sequence[Trial]) -> _Weighing:
    """Members by the trials' own predictions."""
    return _weighted(plan, run_dir, [_alone(plan, trial) for trial in ranked], ranked[0].job,
                     [arrays.mapped(FitDir(run_dir.path / t.job.folder).valid) for t in ranked])


def _reweighted(plan: Plan, run_dir: RunDir, members: Sequence[Member]) -> _Weighing:
    """The same by out-of-fold predictions for all rows of train and validation, of members refitted on all folds."""
    predictions = [np.concatenate([arrays.mapped(FitDir(run_dir.fit(member.trial, fold)).valid)
                                   for fold in range(plan.bagging)]) for member in members]
    all_folds = replace(_fold_jobs(plan, run_dir, members[0], 0)[0], fold=None)
    return _weighted(plan, run_dir, members, all_folds, predictions)


def _weighted(
    plan: Plan, run_dir: RunDir, members: Sequence[Member], judged_as: Job, predictions: Sequence[Array]
) -> _Weighing:
    task = registry.load("tasks", plan.task)
    problems = resampling.problems(judged_as, run_dir.path)
    rows = resampling.stacked([problem.valid for problem in problems])
    score = partial(task.score, plan.objective, rows)
    if task.LEADERS:
        values, families = [score(said) for said in predictions], [member.family for member in members]
        weights = ensemble.leaders(values, families, task.LEADERS, plan.ensemble)
    else:
        weights = ensemble.choose(predictions, score, plan.direction, plan.ensemble)
    kept = [replace(member, weight=weight) for member, weight in zip(members, weights, strict=True) if weight > 0]
    together = ensemble.mean(predictions, weights)
    return _Weighing(tuple(sorted(kept, key=lambda member: -member.weight)), float(score(together)), problems[0], rows,
                     together)


def _alone(plan: Plan, trial: Trial) -> Member:
    """A trial as the only member, with the models it saved."""
    fit = FitDir(Path(trial.job.folder))
    folders = [fit.model(fold) for fold in range(plan.folds)] if plan.folds else [fit.model()]
    return Member(trial.job.family, trial.job.number, 1.0, trial.job.params, tuple(map(str, folders)),
                  trial.result.seconds, trial.result.steps)


def _refitted(
    plan: Plan, run_dir: RunDir, members: Sequence[Member], jobs_of: JobsOf, executor: Executor, show: Show,
    end: float | None, notes: list[str],
) -> dict[int, tuple[str, ...]]:
    """By trial, the saved models of the members whose jobs were all done, heaviest first while there is time."""
    dispatch = Dispatch(run_dir, executor, show, plan.devices, end)
    jobs: dict[int, list[Job]] = {}
    planned_s = 0.0
    for index, member in enumerate(members):
        own = jobs_of(plan, run_dir, member, index)
        need_s = member.seconds * len(own) / plan.workers
        if all(dispatch.recorded(job) for job in own) or planned_s + need_s <= dispatch.time_left_s():
            jobs[member.trial] = own
            planned_s += need_s
    every = [job for own in jobs.values() for job in own]
    ended = _carried_out(plan, run_dir, every, executor, show, end, "refits")
    done: dict[int, tuple[str, ...]] = {}
    for member in members:
        own = jobs.get(member.trial, [])
        fits = [ended[job.number] for job in own if job.number in ended]
        if own and sum(fit.result.status == "done" for fit in fits) == len(own):
            done[member.trial] = tuple(str(FitDir(Path(job.folder)).model()) for job in own)
            continue
        failed = next((fit.result.message for fit in fits if fit.result.status == "failed"), "")
        what = "on train and validation" if jobs_of is _whole_job else f"on {plan.bagging} folds"
        notes.append(f"Trial {member.trial} ({member.family}) was not fitted again {what}: "
                     + (f"that failed ({failed})." if failed else "there was no time."))
        show.say(notes[-1])
    return done


def _carried_out(
    plan: Plan, run_dir: RunDir, jobs: Sequence[Job], executor: Executor, show: Show, end: float | None, what: str
) -> dict[int, Trial]:
    """The trials of jobs by number, those on record not done again; without the jobs that there was no time for."""
    dispatch = Dispatch(run_dir, executor, show, plan.devices, end)
    ended: dict[int, Trial] = {}
    for job in jobs:
        before = dispatch.recorded(job)
        if before:
            ended[job.number] = before
        else:
            dispatch.add(job)
    total = len(ended) + dispatch.waiting
    show.advance(len(ended), total, what)
    while dispatch.busy:
        ended.update((trial.job.number, trial) for trial in dispatch.collect())
        show.advance(len(ended), total, what)
    return ended


JobsOf: TypeAlias = Callable[[Plan, RunDir, Member, int], list[Job]]
"""The jobs that fit a member again; the number tells members apart."""


def _whole_job(plan: Plan, run_dir: RunDir, member: Member, index: int) -> list[Job]:
    """One job, on train and validation together. Job numbers go on from the trials'."""
    return [_again(plan, run_dir, member, plan.trials + index, run_dir.fit(member.trial), 0, steps=member.steps)]


def _fold_jobs(plan: Plan, run_dir: RunDir, member: Member, index: int) -> list[Job]:
    """One job for each fold, or variation of the problem."""
    count = plan.replicas or plan.bagging
    first = plan.trials + plan.ensemble + index * count
    return [_again(plan, run_dir, member, first + fold, run_dir.fit(member.trial, fold), fold + 1,
                   folds=count, fold=fold) for fold in range(count)]


def _again(
    plan: Plan, run_dir: RunDir, member: Member, number: int, folder: Path, variant: int,
    steps: int = 0, folds: int = 0, fold: int | None = None,
) -> Job:
    return Job(number, member.family, member.params, fit_seed(plan.seed, member.trial, variant), plan.threads,
               plan.device(member.family), plan.objective, plan.direction, plan.task, str(run_dir.path),
               folder=str(folder.relative_to(run_dir.path)), folds=folds, fold=fold, fold_seed=plan.seed, steps=steps)
