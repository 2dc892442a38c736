"""The record of a search in Optuna's storage: for people who look at it, never for the search itself.

Takes the plan, a run and what the search tells (:class:`automl_phys.contracts.Show`); writes each trial into Optuna's
tables: RUNNING while it runs, with its values at steps, then how it ended. One study for each family, named
``<recipe>/<run>/<family>``. Nothing is ever read from it to decide: the trials' files are the truth, from which the
record can be made again, and so it may be lost. What fails here is told once, does not end the search, and is made up
for at its end, or when it is resumed.

News are put together for ``EVERY_S`` and written at once; how, is :mod:`automl_phys.study_tables`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from automl_phys import rundir, study_tables
from automl_phys.contracts import Show
from automl_phys.decisions import Plan
from automl_phys.errors import RunError
from automl_phys.rundir import RunDir
from automl_phys.search_figures import read_trials
from automl_phys.trials import Job, Progress, Result, Trial

EVERY_S = 1.0
"""News are written when they are so old."""
BATCH = 500
"""Trials that are written at once when the record is made from files."""


# ---------------------------------------------------------------- what others call

def check(plan: Plan) -> None:
    """See that the storage of a plan can be reached and written to. Raises RunError (``no-storage``)."""
    if not plan.storage:
        return
    try:
        study_tables.dispose(study_tables.opened(plan.storage))
    except Exception as error:
        if not study_tables.is_refusal(error):
            raise
        raise RunError(study_tables.refusal(plan.storage, error)) from error


@contextmanager
def beside(plan: Plan, run: RunDir, show: Show) -> Iterator[Show]:
    """A ``Show`` that tells ``show`` all it is told, and keeps the record; completed when the block ends."""
    record = Record(plan, run, show)
    try:
        yield record
    finally:
        record.close()


def complete(plan: Plan, run: RunDir, trials: Sequence[Trial]) -> None:
    """Make the record agree with finished trials; what agrees already is left. Raises what the storage raises."""
    tables = study_tables.Tables(plan, run)
    try:
        for start in range(0, len(trials), BATCH):
            news = study_tables.News()
            for trial in trials[start:start + BATCH]:
                news.began(trial.job)
                news.ended[trial.result.number] = trial.result
            tables.write(news)
        tables.settle()
    finally:
        tables.close()


def mend(plan: Plan, run: RunDir, show: Show) -> None:
    """Complete a record that a storage once refused to take, if it takes it now."""
    if not run.search_note.exists():
        return
    with _told(_leave):
        complete(plan, run, read_trials(run))
        run.search_note.unlink()
        show.say("The record of the search is complete again.")


def to_look_at(plan: Plan, run: RunDir) -> Any:
    """Optuna's storage with the record of a run, made from its trials if it is not there, or not complete.

    Raises RunError (``no-storage``) when it cannot be reached.
    """
    try:
        if run.search_note.exists() or (not plan.storage and not run.search.exists()):
            complete(plan, run, read_trials(run))
            run.search_note.unlink(missing_ok=True)
        return study_tables.opened(study_tables.address(plan, run))
    except Exception as error:
        if not study_tables.is_refusal(error):
            raise
        raise RunError(study_tables.refusal(study_tables.address(plan, run), error)) from error


# ---------------------------------------------------------------- following a search

class Record:
    """Satisfies :class:`automl_phys.contracts.Show`: passes everything on, and writes down the trials."""

    def __init__(self, plan: Plan, run: RunDir, show: Show) -> None:
        self._plan, self._run, self._show = plan, run, show
        self._news = study_tables.News()
        self._tables: study_tables.Tables | None = None
        self._lost = False

    def begin(self, plan: Plan, folder: Path) -> None:
        self._show.begin(plan, folder)

    def stage(self, title: str) -> None:
        self._show.stage(title)

    def say(self, text: str) -> None:
        self._show.say(text)

    def advance(self, done: int, total: int, text: str = "") -> None:
        self._show.advance(done, total, text)
        if time.monotonic() - self._news.since > EVERY_S:
            self._write()

    def trial(self, event: Job | Progress | Result) -> None:
        self._show.trial(event)
        if self._lost:
            return
        if isinstance(event, Job):
            self._news.began(event)
        elif isinstance(event, Progress):
            self._news.values.setdefault(event.number, {})[event.step] = event.value
        else:
            self._news.ended[event.number] = event

    def close(self) -> None:
        """Write what is left, and whatever could not be written before, if that goes now."""
        self._write()
        if self._lost:
            mend(self._plan, self._run, self._show)
        elif self._tables:
            with _told(self._lose):
                self._tables.settle()
                self._run.search_note.unlink(missing_ok=True)  # of a run that was resumed: what it tells is mended
            self._tables.close()

    def _write(self) -> None:
        news, self._news = self._news, study_tables.News()
        if self._lost or not news:
            return
        with _told(self._lose):
            self._tables = self._tables or study_tables.Tables(self._plan, self._run)
            self._tables.write(news)

    def _lose(self, error: Exception) -> None:
        """The storage fails: say so once, go on without."""
        self._lost = True
        if self._tables:
            self._tables.close()
        text = (f"The record of the search is not kept any longer: {study_tables.reason(error)}. "
                "The search goes on without it.")
        self._show.say(text)
        rundir.write_text(self._run.search_note, f"{text} 'run RECIPE --resume' or 'dashboard RUN' completes it.\n")


def _leave(error: Exception) -> None:
    """It still fails; that was told."""


@contextmanager
def _told(lost: Callable[[Exception], None]) -> Iterator[None]:
    """What a storage refuses goes to ``lost``; any other exception is a bug, and passes."""
    try:
        yield
    except Exception as error:
        if not study_tables.is_refusal(error):
            raise
        lost(error)
