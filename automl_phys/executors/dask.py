"""Executor ``dask``: trials run in worker processes of a Dask cluster, on this machine or elsewhere.

Takes slots, the function that carries out a trial, and a site; gives back results and progress. A worker process has
one trial at a time, and is kept for many: importing Keras takes seconds. It is replaced when its memory has grown, when
a trial has crashed it or does not stop when its time is over. A trial whose process dies is tried again, and has failed
when that happens to it :data:`ATTEMPTS` times; one that its batch job cuts off goes on from its checkpoint.

Where processes come from is :mod:`automl_phys.dask_sites`'s work, what goes on in one
:mod:`automl_phys.dask_worker`'s. What Dask and the workers have to say goes to the run's log.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import dask_sites, dask_worker
from automl_phys.contracts import Executor
from automl_phys.dask_worker import Answer, Files, Greeting, TrialFunction
from automl_phys.errors import Mistake, RunError
from automl_phys.rundir import FitDir, RunDir, disk_error
from automl_phys.sites import Site
from automl_phys.trials import Job, Notice, Progress, Result, Slot

if TYPE_CHECKING:
    from distributed import Future

ATTEMPTS = 2
"""How often a trial is begun whose process dies on this machine."""
ATTEMPTS_ELSEWHERE = 5
"""The same elsewhere, where machines end for reasons of their own."""
MOST_CUTS = 3
"""How often the end of a batch job may cut off a trial that leaves no checkpoint."""
RECYCLE_SHARE = 0.6
"""Of a slot's memory: a process that holds more after a trial is replaced."""
GRACE_S = 10.0
"""How long after its time a trial may take to notice it."""
PIECE = 1 << 22
"""Bytes of the problem that are sent at once."""
CHECKPOINT_EVERY_S = 60.0
LARGEST_CHECKPOINT = 1 << 29
"""Bytes of a checkpoint that goes along with a job."""
LOOK_EVERY_S = 1.0
PATIENCE_S = 600.0
"""How long a scheduler may be away."""
UNFIT_S = 30.0
"""How long all workers that there are may be unfit before the run gives up."""
WAITING_EVERY_S = 120.0


def open_executor(
    slots: Sequence[Slot], run_dir: Path, trial: TrialFunction, site: Site | None = None
) -> Executor:
    """Start one process for each slot, or use the workers of a site, as many as slots. Close what you get: it leaves no
    process behind. Raises RunError when the site is not to be had."""
    return _Dask(slots, RunDir(run_dir), trial, site)


@dataclass(eq=False)
class _Place:
    """A worker process and what goes on there. ``meeting`` is a step of getting to know it."""

    address: str
    name: str
    slot: Slot
    ready: bool = False
    refused: bool = False
    until: float | None = None
    meeting: Future | None = None
    pieces: Iterator[tuple[str, int, bytes]] | None = None
    job: Job | None = None
    future: Future | None = None
    attempt: int = 0
    began: float = 0.0
    looked: float = 0.0


@dataclass(frozen=True)
class _Met:
    """A step of getting to know the worker at ``address`` is done."""

    address: str


@dataclass(frozen=True)
class _Saved:
    """The checkpoint of a running trial."""

    number: int
    files: Files


class _Dask:
    def __init__(self, slots: Sequence[Slot], run: RunDir, trial: TrialFunction, site: Site | None) -> None:
        self._slots, self._run, self._trial, self._site = slots, run, trial, site
        self._stamp = run.plan.read_text(encoding="utf-8") if run.plan.exists() else ""
        self._key = hashlib.sha256(f"{run.path.absolute()} {self._stamp}".encode()).hexdigest()[:16]
        self._events: queue.SimpleQueue[Progress | int | _Met | _Saved] = queue.SimpleQueue()
        self._notices: list[Notice] = []
        self._waiting: deque[tuple[Job, int]] = deque()
        self._places: dict[str, _Place] = {}
        self._ended_here: set[str] = set()
        self._cuts: Counter[int] = Counter()
        self._told: set[str] = set()
        self._restarted: set[str] = set()
        self._looked = self._fit_at = self._told_at = time.monotonic()
        self._looked -= LOOK_EVERY_S
        self._away_since: float | None = None
        with ExitStack() as opening:
            opening.enter_context(_logs_into(run.log))
            self._workers = opening.enter_context(_workers(slots, run, site))
            self._errands = opening.enter_context(_errands())
            self._listen()
            self._closing = opening.pop_all()

    def submit(self, job: Job) -> None:
        self._waiting.append((job, 1))
        self._send()

    def poll(self, timeout_s: float) -> Sequence[Progress | Result | Notice]:
        """What has come in, in order; also sends what waits, and takes care of processes that died.

        Raises RunError when no worker fits, or none can be had any more.
        """
        lost = self._look_around()
        self._send()
        events: list[Progress | Result | Notice] = [*self._take_notices(), *lost, *self._hung()]
        for new in self._news(0.0 if events else timeout_s):
            if isinstance(new, _Met):
                self._meet_on(new.address)
            elif isinstance(new, _Saved):
                self._keep_checkpoint(new)
            elif isinstance(new, Progress):
                if self._place_of(new.number):
                    events.append(new)
            elif (place := self._place_of(new)) and (ended := self._ended(place)):
                events.append(ended)
        self._send()
        return [*events, *self._take_notices()]

    def cancel(self, number: int) -> None:
        """Drop a job; a running one loses its process. No result of it will come."""
        self._waiting = deque((job, attempt) for job, attempt in self._waiting if job.number != number)
        if place := self._place_of(number):
            self._free(place)
            self._replace_process(place)

    def close(self) -> None:
        """End all processes of this machine, those of running trials without waiting for them; leave others as they
        were."""
        self._waiting.clear()
        with self._closing:
            for place in list(self._places.values()):
                if place.job:
                    self._free(place)
                    if self._site is None:
                        self._workers.end_process(place.address)
                    elif self._site.scheduler:
                        self._replace_process(place)

    # ------------------------------------------------------------ workers that come and go

    def _look_around(self) -> list[Result]:
        """Meet workers that are new, miss those that are gone; gives the trials that have failed by that."""
        now = time.monotonic()
        if self._site and now - self._looked < LOOK_EVERY_S:
            return []
        self._looked = now
        try:
            present = self._present()
        except OSError as error:
            self._away(error)
            return []
        self._ended_here &= set(present)
        for address, name in present.items():
            if address not in self._places and address not in self._ended_here:
                self._meet(address, name)
        results = []
        for address in set(self._places) - set(present):
            place = self._places.pop(address)
            if place.job and (failed := self._died(place)):
                results.append(failed)
        self._complain(present)
        return results

    def _present(self) -> Mapping[str, str]:
        if self._away_since is not None:
            self._workers.reconnect()
            self._listen()
            self._away_since = None
            self._notices.append(Notice("The scheduler is back; trials that it lost are sent again."))
        return self._workers.present()

    def _away(self, error: OSError) -> None:
        """The scheduler is gone, and with it what ran; it may come back."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            self._notices.append(Notice(f"The scheduler is away ({dask_sites.first_line(error)}). Waiting for it."))
            for place in self._places.values():
                if place.job:
                    self._waiting.appendleft((place.job, place.attempt))
            self._places.clear()
        elif now - self._away_since > PATIENCE_S:
            why = dask_sites.first_line(error)
            raise RunError(Mistake("scheduler-lost", f"The scheduler did not come back: {why}.",
                                   "Nothing that was finished is lost: start it again and run with --resume."))

    def _meet(self, address: str, name: str) -> None:
        """On this machine a worker was started as it should be; elsewhere it is asked."""
        if self._site is None:
            self._places[address] = _Place(address, name, self._slots[int(name)], ready=True)
            return
        place = self._places[address] = _Place(address, name, self._slots[0])
        stamp = self._stamp if self._site.shared_disk else ""
        greeting = Greeting(self._key, str(self._run.path.absolute()), stamp, dask_worker.versions(),
                            place.slot.environment, place.slot.threads, place.slot.device != "cpu")
        self._ask(place, dask_worker.greet, greeting)

    def _ask(self, place: _Place, function: Callable[..., Any], *given: Any) -> None:
        place.meeting = self._workers.client.submit(
            function, *given, workers=[place.address], pure=False, key=f"automl-phys-meet-{time.time_ns()}")
        place.meeting.add_done_callback(_putting(self._events, _Met(place.address)))

    def _meet_on(self, address: str) -> None:
        """The next step with a worker, now that one is done: its answer, the pieces of the problem, ready."""
        place = self._places.get(address)
        if place is None or place.meeting is None:
            return
        meeting, place.meeting = place.meeting, None
        if meeting.status != "finished":
            error = meeting.exception() if meeting.status == "error" else None
            if error is not None and not _is_death(error):
                self._refuse(place, f"it cannot run a trial: {type(error).__name__}: {dask_sites.first_line(error)}")
            return  # it is gone, as will be seen
        answer = meeting.result()
        if isinstance(answer, Answer):
            name = place.name
            place.name, place.until = f"{name}@{answer.host}", answer.until
            place.slot = replace(place.slot, device=answer.device)
            if answer.refusal:
                self._refuse(place, answer.refusal)
            elif answer.stale and name in self._restarted:
                self._refuse(place, f"it has imported {answer.stale} before a trial could set what these read once")
            elif answer.stale:
                self._restarted.add(name)
                self._replace_process(place)
            elif answer.has_problem:
                place.ready = True
            else:
                place.pieces = _pieces(self._run.problem)
        if place.pieces is not None and not place.ready:
            piece = next(place.pieces, None)
            if piece is not None:
                self._ask(place, dask_worker.receive, self._key, *piece)
            else:
                place.pieces = None
                self._ask(place, dask_worker.received, self._key)
        elif answer is None:
            place.ready = True
        if place.ready and self._once("first"):
            self._notices.append(Notice(f"The first worker is up: {place.name}."))

    def _refuse(self, place: _Place, why: str) -> None:
        place.refused = True
        if self._once(why):
            self._notices.append(Notice(f"Worker {place.name} is not used: {why}."))

    def _complain(self, present: Mapping[str, str]) -> None:
        """Say, or raise, when there is nobody to work."""
        now = time.monotonic()
        running = sum(place.job is not None for place in self._places.values())
        problem = self._workers.wanted(min(len(self._slots), running + len(self._waiting)))
        refused = [place for place in self._places.values() if place.refused]
        if len(self._places) > len(refused):
            self._fit_at = now
        elif refused and now - self._fit_at > UNFIT_S:
            reasons = "; ".join(sorted(self._told - {"first"})) or "see the run's log"
            raise RunError(Mistake("no-worker-fits", f"None of {len(refused)} workers can be used: {reasons}.",
                                   "Install the same versions there: pip install -c constraints.txt automl-phys."))
        if problem and self._once(problem):
            if not present:
                raise RunError(Mistake("job-refused", f"The batch system took no job: {problem}.",
                                       "See the script with 'automl-phys plan', and mend compute.cluster."))
            self._notices.append(Notice(f"The batch system took no further job: {problem}."))
        if not present and self._site and now - self._told_at > WAITING_EVERY_S:
            self._told_at = now
            self._notices.append(Notice("No worker is up yet; waiting."))

    # ------------------------------------------------------------ trials

    def _send(self) -> None:
        """Give each free worker the next job."""
        for place in self._places.values():
            fitting = next((one for one in self._waiting if place.slot.takes(one[0])), None)
            if fitting and place.ready and place.job is None and not _ends_soon(place):
                self._waiting.remove(fitting)
                job, place.attempt = fitting
                place.job = place.slot.given(job)
                place.began = place.looked = time.monotonic()
                if self._site is None:
                    function: Callable[..., Any] = dask_worker.carry_out
                    given: tuple[Any, ...] = (self._trial, place.job, self._key)
                else:
                    function = dask_worker.carry_out_here
                    given = (self._trial, place.job, self._key, self._checkpoint(job), place.until)
                place.future = self._workers.client.submit(
                    function, *given, workers=[place.address], pure=False, key=f"trial-{job.number}-{time.time_ns()}")
                place.future.add_done_callback(_putting(self._events, job.number))

    def _ended(self, place: _Place) -> Result | None:
        """The result of a place's job; None when it is to be tried again or is not over."""
        job, future = place.job, place.future
        if job is None or future is None or not future.done():
            return None
        if future.status == "finished":
            found: Result | tuple[Result, Files] = future.result()
            result, files = found if isinstance(found, tuple) else (found, {})
            self._free(place)
            result = replace(result, worker=place.name)
            if result.memory_mb > RECYCLE_SHARE * place.slot.memory_mb:
                self._replace_process(place)
            if result.status == "interrupted":
                return self._cut_off(place, job, files)
            self._write(job, files)
            return result
        error = future.exception() if future.status == "error" else None
        if error is not None and not _is_death(error):
            self._free(place)
            return _failed(job, f"{type(error).__name__}: {error}", place)
        return self._died(place)

    def _cut_off(self, place: _Place, job: Job, files: Files) -> Result | None:
        """Have a trial go on elsewhere that its batch job had no time for."""
        kept = {name: data for name, data in files.items() if name.startswith(FitDir(Path()).checkpoint.name)}
        self._cuts[job.number] += not kept
        if self._cuts[job.number] >= MOST_CUTS:
            return _failed(job, f"it takes longer than a batch job lives: it was cut off {MOST_CUTS} times, and "
                                "leaves no checkpoint. Give a longer cluster.walltime", place)
        if kept:
            self._keep_checkpoint(_Saved(job.number, kept), job)
        self._waiting.appendleft((job, place.attempt))
        return None

    def _died(self, place: _Place) -> Result | None:
        """The process of a running trial is gone."""
        job = place.job
        assert job is not None  # noqa: S101 - the callers'
        self._free(place)
        self._forget(place)
        most = ATTEMPTS_ELSEWHERE if self._site else ATTEMPTS
        if place.attempt < most:
            self._waiting.appendleft((job, place.attempt + 1))
            return None
        times = "twice" if most == ATTEMPTS else f"{most} times"
        return _failed(job, f"the worker process died (killed, or out of memory: its limit is {place.slot.memory_mb} "
                            f"MB), {times}", place)

    def _hung(self) -> list[Result]:
        """End trials that do not stop by themselves when their time is over."""
        results = []
        for place in list(self._places.values()):
            job = place.job
            if job is None or job.limit_s is None or (took := time.monotonic() - place.began) < job.limit_s + GRACE_S:
                continue
            self._free(place)
            self._replace_process(place)
            results.append(Result(job.number, "timed_out", None, took, "it did not stop when its time was over, and "
                                  "its process was ended", place.name, job.device))
        return results

    def _checkpoint(self, job: Job) -> Files:
        """What an earlier attempt left, to go along with a job."""
        folder = self._run.path / job.folder
        large = sum(path.stat().st_size for path in FitDir(folder).checkpoint.rglob("*")) > LARGEST_CHECKPOINT
        return {} if large else dask_worker.checkpoint_of(folder)

    def _keep_checkpoint(self, saved: _Saved, job: Job | None = None) -> None:
        """Put a checkpoint in place of the one before, if its trial is still under way."""
        place = self._place_of(saved.number)
        job = job or (place.job if place else None)
        if job is None or not saved.files:
            return
        folder = FitDir(self._run.path / job.folder)
        shutil.rmtree(folder.checkpoint, ignore_errors=True)
        self._write(job, saved.files)

    def _write(self, job: Job, files: Files) -> None:
        folder = self._run.path / job.folder
        try:
            dask_worker.put(files, folder)
        except OSError as error:
            raise disk_error(error, folder) from error

    def _fetch_checkpoints(self) -> None:
        """Have checkpoints of long trials elsewhere fetched, in a thread."""
        now = time.monotonic()
        for place in self._places.values():
            if place.job and now - place.looked > CHECKPOINT_EVERY_S:
                place.looked = now
                self._errands.submit(_fetch, self._workers.client, self._key, place, place.job, self._events)

    # ------------------------------------------------------------ what they share

    def _listen(self) -> None:
        self._workers.client.subscribe_topic(dask_worker.topic(self._key), self._on_progress)

    def _on_progress(self, event: tuple[float, dict[str, Any]]) -> None:
        self._events.put(Progress(**event[1]["progress"]))

    def _news(self, timeout_s: float) -> list[Progress | int | _Met | _Saved]:
        if self._site:
            self._fetch_checkpoints()
        news: list[Progress | int | _Met | _Saved] = []
        with suppress(queue.Empty):
            news.append(self._events.get(timeout=timeout_s) if timeout_s else self._events.get_nowait())
            while True:
                news.append(self._events.get_nowait())
        return news

    def _take_notices(self) -> list[Notice]:
        taken, self._notices = self._notices, []
        return taken

    def _once(self, text: str) -> bool:
        new = text not in self._told
        self._told.add(text)
        return new

    def _place_of(self, number: int) -> _Place | None:
        return next((place for place in self._places.values() if place.job and place.job.number == number), None)

    def _free(self, place: _Place) -> None:
        if place.future is not None:
            place.future.cancel()
        place.job, place.future = None, None

    def _forget(self, place: _Place) -> None:
        self._places.pop(place.address, None)
        self._ended_here.add(place.address)

    def _replace_process(self, place: _Place) -> None:
        """End a process; another one takes its place."""
        self._forget(place)
        if self._site is None:
            self._workers.end_process(place.address)
        else:
            self._errands.submit(self._workers.end_process, place.address)


@contextmanager
def _workers(slots: Sequence[Slot], run: RunDir, site: Site | None) -> Iterator[dask_sites.Workers]:
    if site is None:
        with dask_sites.local(slots, run.log) as workers:
            yield workers
    elif site.batch is not None:
        with dask_sites.batch(site.batch, slots[0].threads, run.path / "batch") as workers:
            yield workers
    else:
        with dask_sites.existing(site.scheduler) as workers:
            yield workers


@contextmanager
def _errands() -> Iterator[ThreadPoolExecutor]:
    """A thread for what has to be waited for."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="automl-phys-errands")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=False)


def _fetch(client: Any, key: str, place: _Place, job: Job, events: queue.SimpleQueue[Any]) -> None:
    with suppress(OSError):  # the worker is gone, or too busy: there is the next time
        for files in client.run(dask_worker.checkpoint, key, job.folder, workers=[place.address],
                                on_error="ignore").values():
            events.put(_Saved(job.number, files))


def _pieces(problem: Path) -> Iterator[tuple[str, int, bytes]]:
    """The files of a folder in pieces: name, offset, bytes."""
    for path in sorted(problem.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                offset = 0
                while (data := file.read(PIECE)) or not offset:
                    yield str(path.relative_to(problem)), offset, data
                    offset += max(1, len(data))


def _ends_soon(place: _Place) -> bool:
    return place.until is not None and time.time() > place.until


def _putting(events: queue.SimpleQueue[Any], event: Any) -> Callable[[object], None]:
    return lambda _: events.put(event)


def _is_death(error: BaseException) -> bool:
    from distributed import KilledWorker

    return isinstance(error, KilledWorker)


def _failed(job: Job, message: str, place: _Place) -> Result:
    return Result(job.number, "failed", None, 0.0, message, place.name, place.slot.given(job).device)


@contextmanager
def _logs_into(log: Path) -> Iterator[None]:
    """Dask's own loggers write to ``log`` and nowhere else."""
    import distributed  # noqa: F401 - sets its loggers up when it is imported, so first that

    log.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in sorted(logging.root.manager.loggerDict)
               if name.partition(".")[0] in ("distributed", "tornado", "dask_jobqueue")]
    before = [(logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        handler.close()
