"""Where worker processes come from: this machine, a scheduler that runs already, or batch jobs.

Each site gives a client, says which workers are up, and can end one, in whose place it brings another. What a worker is
given to do is the executor's business.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from automl_phys import interrupts
from automl_phys.dask_worker import LIFETIME_VARIABLE, LOG_VARIABLE, THREADS_VARIABLE
from automl_phys.errors import Mistake, RunError
from automl_phys.sites import SYSTEMS, Batch
from automl_phys.trials import Slot

if TYPE_CHECKING:
    from distributed import Client

START_TIMEOUT_S = 60
CLOSE_TIMEOUT_S = 5
RESTART_TIMEOUT_S = 60

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**22), "MALLOC_TRIM_THRESHOLD_": str(2**26)}
"""How glibc keeps a worker's memory. Dask's own setting gives every array of a step back to the system at once, which
makes an epoch a fifth longer; glibc's lets the memory of a worker grow from trial to trial."""

SETTINGS: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # a death is for the executor to judge
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


class Workers(Protocol):
    """A source of worker processes."""

    client: Client

    def present(self) -> Mapping[str, str]:
        """Names of the worker processes that are up, by address. Raises OSError while the scheduler is away."""
        ...

    def end_process(self, address: str) -> None:
        """End a worker process; another takes its place."""
        ...

    def wanted(self, count: int) -> str:
        """Have about so many workers, if that is this site's to say; gives what went wrong, empty for nothing."""
        ...

    def reconnect(self) -> None:
        """Find the scheduler again. Raises OSError while it is away."""
        ...


# ---------------------------------------------------------------- this machine

@contextmanager
def local(slots: Sequence[Slot], log: Path) -> Iterator[Workers]:
    """A scheduler in this process, on the loopback interface, and a nanny with its worker process for each slot, named
    by the slot's number. Processes end when this one does, be it by ``kill -9``."""
    from distributed import Nanny, Scheduler, SpecCluster

    with ExitStack() as stack:
        with interrupts.held(), _configured():
            cluster = SpecCluster(
                scheduler={"cls": Scheduler, "options": {
                    "host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}},
                workers={str(i): {"cls": Nanny, "options": {
                    "name": str(i), "nthreads": 1, "host": "127.0.0.1", "memory_limit": f"{slot.memory_mb}MiB",
                    "env": {**slot.environment, LOG_VARIABLE: str(log), THREADS_VARIABLE: str(slot.threads)},
                    "preload": ["automl_phys.dask_worker"],
                    "dashboard": False, "silence_logs": logging.WARNING,
                }} for i, slot in enumerate(slots)},
                silence_logs=False)
            stack.enter_context(_closing(cluster))
            client = stack.enter_context(_client(cluster))
        yield _Local(cluster, client)


class _Own:
    """What sites have in common whose scheduler is in this process."""

    def __init__(self, cluster: Any, client: Client) -> None:
        self._cluster, self.client = cluster, client

    def present(self) -> Mapping[str, str]:
        return {address: str(state.name) for address, state in list(self._cluster.scheduler.workers.items())}

    def reconnect(self) -> None:
        raise OSError("this process's own scheduler has ended")


class _Local(_Own):
    def end_process(self, address: str) -> None:
        for nanny in self._cluster.workers.values():
            if nanny.worker_address == address and nanny.pid is not None:
                os.kill(nanny.pid, signal.SIGKILL)

    def wanted(self, count: int) -> str:  # noqa: ARG002 - there is one for each slot
        return ""


# ---------------------------------------------------------------- a scheduler that runs already

@contextmanager
def existing(address: str) -> Iterator[Workers]:
    """Workers of the scheduler at ``address``; certificates for ``tls://`` as Dask's own configuration has them.

    Raises RunError when none answers.
    """
    site = _Existing(address)
    try:
        site.reconnect()
    except OSError as error:
        raise RunError(Mistake(
            "no-scheduler", f"No Dask scheduler answers at {address}: {first_line(error)}",
            "Start one there with 'dask scheduler', and workers with 'dask worker ADDRESS --nthreads 1'; or mend "
            "compute.scheduler.", ("compute", "scheduler"))) from error
    try:
        yield site
    finally:
        site.close()


class _Existing:
    client: Client

    def __init__(self, address: str) -> None:
        self._address = address

    def present(self) -> Mapping[str, str]:
        if self.client.status != "running":
            raise OSError(f"the scheduler at {self._address} is away")
        return {address: str(info["name"]) for address, info in self.client.scheduler_info()["workers"].items()}

    def end_process(self, address: str) -> None:
        _restart(self.client, address)

    def wanted(self, count: int) -> str:  # noqa: ARG002 - whoever runs the cluster says
        return ""

    def reconnect(self) -> None:
        from distributed import Client

        self.close()
        with _configured():
            self.client = Client(self._address, set_as_default=False, timeout=START_TIMEOUT_S)

    def close(self) -> None:
        """Leave the cluster as it was."""
        if hasattr(self, "client"):
            with suppress(TimeoutError, OSError):
                self.client.close(timeout=CLOSE_TIMEOUT_S)


# ---------------------------------------------------------------- batch jobs

@contextmanager
def batch(wanted: Batch, threads: int, folder: Path) -> Iterator[Workers]:
    """A scheduler in this process, where batch jobs reach it, and jobs with a worker each, named by the job's number.

    Scripts' output and certificates go to ``folder``. Jobs are cancelled at the end. Raises RunError when the batch
    system or dask-jobqueue is not here.
    """
    _check_installed(wanted)
    _check_command(wanted)
    problems: list[str] = []
    with _configured():
        cluster = _jobqueue(wanted, threads, folder, problems)
    with _closing(cluster), _client(cluster) as client:
        yield _Jobs(cluster, client, wanted, problems)


def _check_installed(wanted: Batch) -> None:
    missing = [package for package, needed in (("dask-jobqueue", True), ("cryptography", wanted.encrypted))
               if needed and find_spec(package.replace("-", "_")) is None]
    if missing:
        raise RunError(Mistake("not-installed", f"Batch jobs need {' and '.join(missing)}, not installed here.",
                               "Install it: pip install 'automl-phys[cluster]'.", ("compute", "cluster")))


def _check_command(wanted: Batch) -> None:
    command = SYSTEMS[wanted.system].command
    if shutil.which(command) is None:
        raise RunError(Mistake("no-batch-system", f"There is no '{command}' here, by which jobs are sent.",
                               "Run on a machine from which jobs are submitted, or mend cluster.type.",
                               ("compute", "cluster", "type")))


def job_script(wanted: Batch, threads: int) -> str:
    """The script that would be submitted, with made-up names where these are known only then. Raises RunError when
    dask-jobqueue is not installed."""
    _check_installed(wanted)
    with _configured():
        cls = _class(wanted).job_cls
        job = cls("tcp://SCHEDULER:PORT", name="automl-phys-0", **_options(wanted, threads, None))
        return str(job.job_script())


class _Jobs(_Own):
    def __init__(self, cluster: Any, client: Client, wanted: Batch, problems: list[str]) -> None:
        super().__init__(cluster, client)
        self._wanted, self._problems = wanted, problems

    def end_process(self, address: str) -> None:
        _restart(self.client, address)

    def wanted(self, count: int) -> str:
        """Jobs that have ended, by their wall time or otherwise, are sent again by this as well."""
        problem = self._problems[-1] if self._problems else ""
        least, most = self._wanted.least, self._wanted.most
        want = min(max(count, least), most)
        have = len(self._cluster.worker_spec)
        if want >= have:
            self._cluster.scale(jobs=want)
        else:
            self._end_idle(have - want)
        return problem

    def _end_idle(self, count: int) -> None:
        up = list(self._cluster.scheduler.workers.values())
        idle = [str(state.name) for state in up if not state.processing]
        waiting = set(self._cluster.worker_spec) - {str(state.name) for state in up}
        for name in [*waiting, *idle][:count]:
            self._cluster.sync(self._cluster.scale_down, [name])


def _jobqueue(wanted: Batch, threads: int, folder: Path, problems: list[str]) -> Any:
    from distributed import Status

    cls = _class(wanted)

    class Job(cls.job_cls):  # type: ignore[name-defined,misc]  # dask-jobqueue is not typed
        async def start(self) -> None:
            try:
                await super().start()
            except Exception as error:
                problems.append(_said(error))
                self.status = Status.failed  # or the cluster would not close
                raise

    folder.mkdir(parents=True, exist_ok=True)
    return cls(job_cls=Job, security=wanted.encrypted or None, shared_temp_directory=str(folder),
               scheduler_options={"dashboard": False, "dashboard_address": ":0"},
               silence_logs=False, **_options(wanted, threads, folder))


def _said(error: Exception) -> str:
    """What a batch system's command said: the last line of what dask-jobqueue tells, which ends with that."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _class(wanted: Batch) -> Any:
    """dask-jobqueue's class of clusters. When it is imported it takes Ctrl-C for itself, and ends the process without a
    word: the handlers that were there are put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    import dask_jobqueue

    for number, handler in before.items():
        signal.signal(number, handler)
    return getattr(dask_jobqueue, SYSTEMS[wanted.system].cluster)


def _options(wanted: Batch, threads: int, folder: Path | None) -> dict[str, Any]:
    """Of dask-jobqueue: one worker process in each job, that outlives a crash of itself but not its job."""
    names = {"account": "account" if wanted.system in ("slurm", "pbs") else "project"}
    variables = {**ALLOCATOR, THREADS_VARIABLE: str(threads), LIFETIME_VARIABLE: str(wanted.walltime_s),
                 "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    options: dict[str, Any] = {
        "cores": wanted.cores, "processes": 1, "memory": f"{wanted.memory_mb}MiB",
        "python": wanted.python or sys.executable, "job_name": "automl-phys", "death_timeout": 300,
        "worker_extra_args": ["--preload", "automl_phys.dask_worker", "--no-dashboard"],
        "job_script_prologue": [*(f"export {name}={value}" for name, value in variables.items()), *wanted.prologue],
        "log_directory": None if folder is None else str(folder),
    }
    options |= {names.get(key, key): value for key, value in (
        ("queue", wanted.queue), ("account", wanted.account), ("interface", wanted.interface)) if value}
    directives = list(wanted.directives)
    hours, rest = divmod(wanted.walltime_s, 3600)
    if wanted.system == "htcondor":
        extra = dict(line.split("=", 1) for line in directives)
        options["job_extra_directives"] = {
            **({"request_gpus": wanted.gpus} if wanted.gpus else {}),
            **({"+AccountingGroup": f'"{wanted.account}"'} if wanted.account else {}),
            "+MaxRuntime": wanted.walltime_s, **{key.strip(): value.strip() for key, value in extra.items()}}
        options.pop("project", None)
        options["disk"] = "4 GB"
    else:
        clock = f"{hours:02}:{rest // 60:02}" + ("" if wanted.system == "lsf" else f":{rest % 60:02}")
        options["walltime"] = clock
        options["job_extra_directives"] = [*([f"--gpus={wanted.gpus}"] if wanted.gpus else []), *directives]
    if wanted.system == "lsf":
        options["lsf_units"] = "mb"
    return options


# ---------------------------------------------------------------- what they share

@contextmanager
def _configured() -> Iterator[None]:
    """Dask with our settings. Its own must have been read before: those that it reads meanwhile would go with ours."""
    import dask
    import distributed  # noqa: F401

    with dask.config.set(SETTINGS):
        yield


def _restart(client: Client, address: str) -> None:
    """Have a worker's nanny start its process anew, without waiting for it."""
    with suppress(TimeoutError, OSError, ValueError):  # it may be gone already
        client.restart_workers([address], timeout=RESTART_TIMEOUT_S, raise_for_error=False)


@contextmanager
def _closing(cluster: Any) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(TimeoutError):  # what was done is done; processes that are slow to go end with this one
            cluster.close(timeout=CLOSE_TIMEOUT_S)


@contextmanager
def _client(cluster: Any) -> Iterator[Client]:
    from distributed import Client

    client = Client(cluster, set_as_default=False, timeout=START_TIMEOUT_S)
    try:
        yield client
    finally:
        with suppress(TimeoutError):
            client.close(timeout=CLOSE_TIMEOUT_S)


def first_line(error: BaseException) -> str:
    """What an exception says first, or what it is where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
