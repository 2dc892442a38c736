"""The search: ask for a configuration, have it tried, tell how it went; the only loop of the package.

Takes the plan, a run with a prepared problem and an executor; gives the finished trials, each in its folder. Which
configuration is next is :mod:`automl_phys.proposals`'s work, the trial itself :mod:`automl_phys.worker`'s.

Trial n is asked for knowing exactly the results of trials 0 … n - ``LOOKAHEAD``, told in the order of their numbers,
whichever came first. So the sequence of trials does not depend on the number of workers, on their speed, or on a run
having been killed: a resumed run asks for the same trials again, and takes the results of those that have one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from automl_phys import pareto, space, study_record
from automl_phys.contracts import Executor, Show
from automl_phys.decisions import Plan
from automl_phys.dispatch import Dispatch
from automl_phys.errors import Mistake, RunError
from automl_phys.proposals import Proposal, Proposer
from automl_phys.rundir import RunDir
from automl_phys.trials import LOOKAHEAD, Job, Trial

FEWEST_TO_JUDGE = 6
FEWEST_FAILURES = 5
REASONS_SHOWN = 5


def run(plan: Plan, run_dir: RunDir, executor: Executor, show: Show, end: float | None) -> tuple[Trial, ...]:
    """Do ``plan.trials`` trials, or as many as there is time for until ``end`` (of ``time.monotonic``; None: no end).

    Gives them in the order of their numbers, without their values at steps. Raises RunError when most trials fail or
    none is done, with the reasons.
    """
    show.stage("Search")
    with study_record.beside(plan, run_dir, show) as recording:
        return _searched(plan, run_dir, executor, recording, end)


def _searched(plan: Plan, run_dir: RunDir, executor: Executor, show: Show, end: float | None) -> tuple[Trial, ...]:
    proposer = Proposer(plan)
    limit_s = None if plan.minutes_per_trial is None else 60 * plan.minutes_per_trial
    dispatch = Dispatch(run_dir, executor, show, plan.devices, end, limit_s)
    ahead = max(LOOKAHEAD, plan.workers)
    failures = _Failures(run_dir)
    ended: dict[int, Trial] = {}
    asked, wanted = 0, plan.trials
    while True:
        while asked < wanted and (asked < ahead or asked - ahead in ended):
            if asked >= ahead:
                ended[asked - ahead] = _told(proposer, ended[asked - ahead])
            proposal = proposer.propose(asked)
            if proposal is None:
                show.say(f"The search ends after {asked} trials: nothing new is left to try in the space.")
                wanted = asked
                break
            job = _job(plan, run_dir, asked, proposal)
            before = dispatch.recorded(job)
            if before:
                ended[asked] = before
                show.trial(before.job)
                show.trial(before.result)
            else:
                dispatch.add(job)
            asked += 1
        failures.look(ended)
        show.advance(len(ended), wanted)
        if not dispatch.busy:
            return _finished(plan, run_dir, ended, wanted, show)
        for trial in dispatch.collect():
            ended[trial.result.number] = trial


def _job(plan: Plan, run_dir: RunDir, number: int, proposal: Proposal) -> Job:
    return Job(
        number, proposal.family, proposal.params, proposal.seed, plan.threads,
        plan.device(proposal.family), plan.objective, plan.direction, plan.task, str(run_dir.path),
        folder=str(run_dir.trial(number).relative_to(run_dir.path)),
        folds=plan.folds, fold_seed=plan.seed, rungs=proposal.rungs, others=tuple(plan.others))


def _finished(
    plan: Plan, run_dir: RunDir, ended: Mapping[int, Trial], wanted: int, show: Show
) -> tuple[Trial, ...]:
    trials = tuple(ended[number] for number in sorted(ended))
    if not any(trial.result.status == "done" for trial in trials):
        if any(trial.result.status == "failed" for trial in trials):
            raise _failure(run_dir, trials, "No trial succeeded")
        raise RunError(Mistake(
            "no-time", f"No trial was finished in the time of the search ({plan.search_minutes or 0:.2g} minutes).",
            "Give more under search.minutes, or name quicker families."))
    wished = [trial.result.status for trial in trials if trial.job.family not in _for_comparison(plan)]
    if wished and all(status == "failed" for status in wished):
        raise _failure(run_dir, trials, f"Nothing but the baseline, {plan.baseline}, succeeded")
    if any(trial.job.device == "gpu" and trial.result.device == "cpu" for trial in trials):
        show.say(f"Networks ran on the CPU: {plan.framework} sees no GPU. 'automl-phys doctor' says what to install.")
    if plan.others:
        show.say(pareto.sentence(plan, trials))
    most_s = 60 * plan.minutes_per_trial if plan.minutes_per_trial else float("inf")
    slow = sum(trial.result.status == "timed_out" and trial.result.seconds >= most_s for trial in trials)
    if slow:
        show.say(f"{slow} of {len(trials)} trials took longer than search.minutes_per_trial, "
                 f"{plan.minutes_per_trial:g}, and {'were' if slow > 1 else 'was'} stopped.")
    stopped = sum(trial.result.status == "timed_out" for trial in trials) - slow
    if stopped or len(trials) < wanted:
        show.say(f"The time limit ended the search: {len(trials) - stopped - slow} of {wanted} trials were finished"
                 f"{f', {stopped} stopped on their way' if stopped else ''}.")
    return trials


def _for_comparison(plan: Plan) -> set[str]:
    """The baseline, where it is there to be compared with and not searched."""
    return {chosen.family for chosen in plan.families if chosen.family == plan.baseline
            and len(chosen.defaults) == 1 and space.is_fixed(chosen.space)}


def _told(proposer: Proposer, trial: Trial) -> Trial:
    """Let the proposer know of a trial; gives it without its values at steps, of which its file has all: thousands of
    curves would fill the memory."""
    proposer.tell(trial.result)
    return replace(trial, result=replace(trial.result, values={}))


class _Failures:
    """Gives up when most trials fail; judged on those that have no unfinished one before them, in their order, so that
    timing has no say."""

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._seen = 0
        self._failed: list[Trial] = []

    def look(self, ended: Mapping[int, Trial]) -> None:
        """Raises RunError with the reasons."""
        while self._seen in ended:
            if ended[self._seen].result.status == "failed":
                self._failed.append(ended[self._seen])
            self._seen += 1
            failed = len(self._failed)
            if self._seen >= FEWEST_TO_JUDGE and failed >= FEWEST_FAILURES and 2 * failed > self._seen:
                raise _failure(self._run_dir, self._failed, f"{failed} of the first {self._seen} trials failed")


def _failure(run_dir: RunDir, trials: tuple[Trial, ...] | list[Trial], text: str) -> RunError:
    reasons = Counter(f"{t.job.family}: {t.result.message}" for t in trials if t.result.status == "failed")
    shown = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common(REASONS_SHOWN))
    more = f"; and {len(reasons) - REASONS_SHOWN} other reasons" if len(reasons) > REASONS_SHOWN else ""
    return RunError(Mistake("trials-failed", f"{text}: {shown}{more}.",
                            f"The tracebacks are in {run_dir.trials}. Recorded trials are not done again on --resume."))
