"""Executor ``dask``: trials run in worker processes of a Dask cluster on this machine.

Takes slots and the function that carries out a trial; gives back results and progress. Each slot is one process under
a nanny, started by spawn with the slot's environment, with one trial at a time, and kept for many: importing Keras
takes seconds. A process is replaced when its memory has grown or a trial has crashed it. A trial whose process dies is
tried once more; the second time it has failed. Processes end when this one does, be it by ``kill -9``.

The scheduler listens on the loopback interface only. What Dask and the workers have to say goes to the run's log.
"""

from __future__ import annotations

import logging
import os
import queue
import random
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from automl_phys.contracts import Executor
from automl_phys.trials import Job, Progress, Result, Slot
from automl_phys.values import to_json

if TYPE_CHECKING:
    from distributed import Client, Future, Nanny, SpecCluster

TrialFunction: TypeAlias = Callable[[Job, Callable[[Progress], None]], Result]

TOPIC = "trial-progress"
LOG_VARIABLE = "AUTOML_PHYS_LOG"
THREADS_VARIABLE = "AUTOML_PHYS_THREADS"
ATTEMPTS = 2
"""How often a trial is begun whose process dies."""
RECYCLE_SHARE = 0.6
"""Of a slot's memory: a process that holds more after a trial is replaced."""
START_TIMEOUT_S = 60
CLOSE_TIMEOUT_S = 5
KILL_TIMEOUT_S = 0.1

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**22), "MALLOC_TRIM_THRESHOLD_": str(2**26)}
"""How glibc keeps a worker's memory. Dask's own setting gives every array of a step back to the system at once, which
makes an epoch a fifth longer; glibc's lets the memory of a worker grow from trial to trial."""

SETTINGS: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # a death is for this module to judge
    "distributed.scheduler.worker-ttl": None,  # a fit may hold the interpreter for minutes
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.http.routes": [],  # no web server
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.target": False,  # nothing is kept in Dask's own store
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.profile.enabled": False,
    "distributed.nanny.pre-spawn-environ": ALLOCATOR,
    "distributed.diagnostics.nvml": False,  # the parent must not touch a GPU
    "distributed.admin.tick.limit": "1h",
}


def open_executor(slots: Sequence[Slot], run_dir: Path, trial: TrialFunction) -> Executor:
    """Start one process for each slot. Close what you get: it leaves no process behind."""
    from automl_phys.rundir import RunDir

    return _Dask(slots, RunDir(run_dir).log, trial)


@dataclass
class _Place:
    """A slot and what goes on there."""

    slot: Slot
    nanny: Nanny
    job: Job | None = None
    future: Future | None = None
    address: str | None = None
    attempt: int = 0
    left: str | None = None
    """Address of a process that was ended here, which Dask may not know yet."""


class _Dask:
    def __init__(self, slots: Sequence[Slot], log: Path, trial: TrialFunction) -> None:
        self._trial = trial
        self._events: queue.SimpleQueue[Progress | int] = queue.SimpleQueue()
        self._waiting: deque[tuple[Job, int]] = deque()
        with ExitStack() as opening:
            opening.enter_context(_logs_into(log))
            self._cluster: SpecCluster = opening.enter_context(_cluster(slots, log))
            self._client: Client = opening.enter_context(_client(self._cluster))
            self._client.subscribe_topic(TOPIC, self._on_progress)
            self._places = [_Place(slot, self._cluster.workers[str(i)]) for i, slot in enumerate(slots)]
            self._closing = opening.pop_all()

    def submit(self, job: Job) -> None:
        self._waiting.append((job, 1))
        self._send()

    def poll(self, timeout_s: float) -> Sequence[Progress | Result]:
        """What has come in, in order; also sends what waits, and takes care of processes that died."""
        self._send()
        self._look_for_lost()
        news: list[Progress | int] = []
        try:
            news.append(self._events.get(timeout=timeout_s))
            while True:
                news.append(self._events.get_nowait())
        except queue.Empty:
            pass
        running = {place.job.number: place for place in self._places if place.job}
        events: list[Progress | Result] = []
        for new in news:
            number = new.number if isinstance(new, Progress) else new
            if number not in running:
                continue
            if isinstance(new, Progress):
                events.append(new)
            elif (ended := self._ended(running[number])) is not None:
                events.append(ended)
        self._send()
        return events

    def cancel(self, number: int) -> None:
        """Drop a job; a running one loses its process. No result of it will come."""
        self._waiting = deque((job, attempt) for job, attempt in self._waiting if job.number != number)
        for place in self._places:
            if place.job and place.job.number == number:
                self._free(place)
                self._replace_process(place)

    def close(self) -> None:
        """End all processes, those of running trials without waiting for them."""
        self._waiting.clear()
        with self._closing:
            for place in self._places:
                if place.job:
                    self._free(place)
                    with suppress(TimeoutError):  # it was killed, and is slow to be gone: closing the cluster waits
                        self._cluster.sync(place.nanny.kill, timeout=KILL_TIMEOUT_S)

    def _send(self) -> None:
        """Give each free place whose process is up the next job."""
        for place in self._places:
            address = place.nanny.worker_address
            fitting = next((one for one in self._waiting if place.slot.takes(one[0])), None)
            if fitting and place.job is None and address != place.left and self._is_up(address):
                self._waiting.remove(fitting)
                place.job, place.attempt = fitting
                place.address = address
                job = place.job = place.slot.given(place.job)
                place.future = self._client.submit(
                    _carry_out, self._trial, job, workers=[place.address], pure=False,
                    key=f"trial-{job.number}-{time.time_ns()}")
                place.future.add_done_callback(_telling(self._events, place.job.number))

    def _look_for_lost(self) -> None:
        """A process that died just before its job came leaves the job waiting for ever: tell of it."""
        for place in self._places:
            if place.job and place.future and not place.future.done() and not self._is_up(place.address):
                self._events.put(place.job.number)

    def _is_up(self, address: str | None) -> bool:
        return address is not None and address in self._cluster.scheduler.workers

    def _ended(self, place: _Place) -> Result | None:
        """The result of a place's job; None when it is to be tried again or is not over."""
        job, future, attempt = place.job, place.future, place.attempt
        if job is None or future is None or (not future.done() and self._is_up(place.address)):
            return None
        worker = f"{self._places.index(place)}"
        if future.status == "finished":
            result: Result = replace(future.result(), worker=worker)
            self._free(place)
            if result.memory_mb > RECYCLE_SHARE * place.slot.memory_mb:
                self._replace_process(place)
            return result
        error = future.exception() if future.status == "error" else None
        self._free(place)
        if error is not None and not _is_death(error):
            return _failed(job, f"{type(error).__name__}: {error}", worker, job.device)
        if attempt < ATTEMPTS:
            self._waiting.appendleft((job, attempt + 1))
            return None
        return _failed(job, "the worker process died (killed, or out of memory: its limit is "
                            f"{place.slot.memory_mb} MB), twice", worker, job.device)

    def _free(self, place: _Place) -> None:
        if place.future is not None:
            place.future.cancel()
        place.job, place.future, place.address = None, None, None

    def _replace_process(self, place: _Place) -> None:
        """End a process; its nanny starts another one."""
        place.left = place.nanny.worker_address
        if place.nanny.pid is not None:
            os.kill(place.nanny.pid, signal.SIGKILL)

    def _on_progress(self, event: tuple[float, dict[str, Any]]) -> None:
        self._events.put(Progress(**event[1]["progress"]))


def _carry_out(trial: TrialFunction, job: Job) -> Result:
    """In the worker: the trial, its progress sent through Dask's event log."""
    from distributed import get_worker

    worker = get_worker()
    return trial(job, lambda progress: worker.log_event(TOPIC, {"progress": to_json(progress)}))


def dask_setup(worker: object) -> None:
    """In the worker, called by Dask before any trial: make the process one that repeats, and keeps quiet.

    NumPy's BLAS, which Dask imports before it sets the environment, gets its number of threads. Dask's own threads get
    random numbers of their own: they would draw from the state that a trial has seeded, and that Keras draws from.
    Ctrl-C is left to the parent. What libraries print goes to the run's log.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(int(os.environ[THREADS_VARIABLE]))
    own = random.Random()  # noqa: S311 - no secret
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("dask", "distributed", "tornado") and getattr(module, "random", None) is random:
            vars(module)["random"] = own
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    os.close(log)


def _telling(events: queue.SimpleQueue[Progress | int], number: int) -> Callable[[object], None]:
    return lambda _: events.put(number)


def _is_death(error: BaseException) -> bool:
    from distributed import KilledWorker

    return isinstance(error, KilledWorker)


def _failed(job: Job, message: str, worker: str, device: str) -> Result:
    return Result(job.number, "failed", None, 0.0, message, worker, device)


@contextmanager
def _cluster(slots: Sequence[Slot], log: Path) -> Iterator[SpecCluster]:
    """A scheduler in this process and a nanny with its worker process for each slot."""
    import dask
    from distributed import Nanny, Scheduler, SpecCluster

    with dask.config.set(SETTINGS):
        cluster = SpecCluster(
            scheduler={"cls": Scheduler, "options": {
                "host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}},
            workers={str(i): {"cls": Nanny, "options": {
                "name": str(i), "nthreads": 1, "host": "127.0.0.1", "memory_limit": f"{slot.memory_mb}MiB",
                "env": {**slot.environment, LOG_VARIABLE: str(log), THREADS_VARIABLE: str(slot.threads)},
                "preload": [__name__],
                "dashboard": False, "silence_logs": logging.WARNING,
            }} for i, slot in enumerate(slots)},
            silence_logs=False)
    try:
        yield cluster
    finally:
        with suppress(TimeoutError):  # what was done is done; processes that are slow to go end with this one
            cluster.close(timeout=CLOSE_TIMEOUT_S)


@contextmanager
def _client(cluster: SpecCluster) -> Iterator[Client]:
    from distributed import Client

    client = Client(cluster, set_as_default=False, timeout=START_TIMEOUT_S)
    try:
        yield client
    finally:
        with suppress(TimeoutError):
            client.close(timeout=CLOSE_TIMEOUT_S)


@contextmanager
def _logs_into(log: Path) -> Iterator[None]:
    """Dask's own loggers write to ``log`` and nowhere else."""
    import distributed  # noqa: F401 - sets its loggers up when it is imported, so first that

    log.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in sorted(logging.root.manager.loggerDict)
               if name.partition(".")[0] in ("distributed", "tornado")]
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
