"""Jobs out, results back: what the search and the refit of the winners have in common.

Takes jobs; gives trials, each kept in its folder of the run from the moment it is sent. A folder with the same job and
a result is not done again; one without a result, left by a killed run, is cleared and done anew, from the fit's own
checkpoint where it left one. Holds the stage's hard
stop: jobs get the time that is left as their limit, and one that does not stop by itself is stopped. How a job is
carried out is :mod:`automl_phys.worker`'s work, where is the executor's.
"""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from automl_phys.contracts import Executor, Show
from automl_phys.errors import CallError
from automl_phys.rundir import FitDir, RunDir, disk_error, read_json, write_json
from automl_phys.trials import DeviceKind, Job, Notice, Progress, Result, Trial, kind_of, kinds_by_device

GRACE_S = 5.0
"""How long after the hard stop a trial may take to notice it."""

POLL_S = 0.5

_interrupted = threading.Event()


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends the block also where the exception that it raises is swallowed, as in a destructor or a callback of
    another library: it is remembered, and :meth:`Dispatch.collect` raises KeyboardInterrupt anew."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        _interrupted.set()
        signal.default_int_handler(number, frame)

    def swallowed(what: sys.UnraisableHookArgs) -> None:
        if not issubclass(what.exc_type, KeyboardInterrupt):  # which is known, and no news
            told(what)

    _interrupted.clear()
    before, told = signal.signal(signal.SIGINT, interrupt), sys.unraisablehook
    sys.unraisablehook = swallowed
    try:
        yield
    finally:
        sys.unraisablehook = told
        signal.signal(signal.SIGINT, before)
        _interrupted.clear()


class Dispatch:
    """Holds back what the executor has no slot for, so that a job's clock starts when the job does.

    ``devices`` are those of the executor's slots. A job waits for a slot of its kind, and does not keep those of the
    other kind waiting. ``end`` is the hard stop on the clock of ``time.monotonic``, None for none; ``limit_s`` what one
    job may take.
    """

    def __init__(
        self, run: RunDir, executor: Executor, show: Show, devices: Sequence[str], end: float | None,
        limit_s: float | None = None,
    ) -> None:
        self._run, self._executor, self._show, self._end = run, executor, show, end
        self._limit_s = float("inf") if limit_s is None else limit_s
        self._slots = Counter(map(kind_of, devices))
        self._slots_for: dict[DeviceKind, DeviceKind] = {
            job: slot for slot, jobs in kinds_by_device(devices).items() for job in jobs}
        self._waiting: list[Job] = []
        self._running: dict[int, Job] = {}
        self._sent: dict[int, float] = {}

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self._waiting or self._running)

    @property
    def waiting(self) -> int:
        """How many jobs have not been sent."""
        return len(self._waiting)

    def time_left_s(self) -> float:
        return float("inf") if self._end is None else self._end - time.monotonic()

    def recorded(self, job: Job) -> Trial | None:
        """The trial that an earlier run did of this very job; where and for how long it might run does not matter."""
        folder = FitDir(self._run.path / job.folder)
        if not folder.result.exists() or _identity(read_json(folder.job, Job)) != _identity(job):
            return None
        return Trial(job, read_json(folder.result, Result))

    def add(self, job: Job) -> None:
        """Have a job done, when there is a slot for it and time left."""
        self._waiting.append(job)

    def collect(self) -> list[Trial]:
        """Send what can be sent, wait a little, give the trials that ended. After the hard stop nothing new is sent."""
        if _interrupted.is_set():
            raise KeyboardInterrupt
        if self.time_left_s() <= 0:
            self._waiting.clear()
        self._send_what_has_a_slot()
        ended = []
        for event in self._executor.poll(POLL_S) if self._running else ():
            if isinstance(event, Notice):
                self._show.say(event.text)
            elif isinstance(event, Progress):
                self._show.trial(event)
            elif event.number in self._running:
                ended.append(self._keep(event))
        if self.time_left_s() < -GRACE_S:
            ended += [self._stop(job) for job in list(self._running.values())]
        return ended

    def _send_what_has_a_slot(self) -> None:
        """Of each kind in the order in which they were added."""
        free = self._slots - Counter(self._slot_kind(job) for job in self._running.values())
        for job in list(self._waiting) if free else ():
            kind = self._slot_kind(job)
            if free[kind] > 0:
                free[kind] -= 1
                self._waiting.remove(job)
                self._send(job)

    def _slot_kind(self, job: Job) -> DeviceKind:
        return self._slots_for[kind_of(job.device)]

    def _send(self, job: Job) -> None:
        folder = FitDir(self._run.path / job.folder)
        limit_s = min(self._limit_s, self.time_left_s())
        job = replace(job, limit_s=limit_s if limit_s < float("inf") else None)
        try:
            _clear(folder, job)
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder.path) from error
        write_json(folder.job, job)
        self._running[job.number], self._sent[job.number] = job, time.monotonic()
        self._executor.submit(job)
        self._show.trial(job)

    def _keep(self, result: Result) -> Trial:
        job = self._running.pop(result.number)
        write_json(FitDir(self._run.path / job.folder).result, result)
        self._show.trial(result)
        return Trial(job, result)

    def _stop(self, job: Job) -> Trial:
        self._executor.cancel(job.number)
        took = time.monotonic() - self._sent[job.number]
        return self._keep(Result(job.number, "timed_out", None, took, "it was stopped: the time was over"))


def _clear(folder: FitDir, job: Job) -> None:
    """Remove what an earlier attempt left, but for the checkpoint of this very job."""
    try:
        same = folder.checkpoint.exists() and _identity(read_json(folder.job, Job)) == _identity(job)
    except CallError:  # damaged: whose checkpoint that was is not known
        same = False
    if not same:
        shutil.rmtree(folder.path, ignore_errors=True)
        return
    for path in folder.path.iterdir():
        if path != folder.checkpoint:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _identity(job: Job) -> Job:
    return replace(job, device="", run_dir="", limit_s=None, params=dict(job.params), rungs=dict(job.rungs))
