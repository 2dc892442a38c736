"""What Dask calls in a worker's process: getting ready, carrying out a trial, taking and giving files.

A worker of this machine is started with its environment, and reads and writes the run's folder. One elsewhere is met
as it is: :func:`greet` tells whether it fits, and gives it the environment of a trial before anything heavy is
imported. It works in a folder of its own, which is gone with it: the prepared problem is read where it lies, if the
worker sees it there, or else is sent to it once; files of a trial, its checkpoint among them, come with the job and go
back with the result. Where workers come from is :mod:`automl_phys.dask_sites`'s work.
"""

from __future__ import annotations

import os
import platform
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from automl_phys import gpus, machine
from automl_phys.rundir import FitDir, RunDir
from automl_phys.trials import Job, Progress, Result
from automl_phys.values import to_json

if TYPE_CHECKING:
    from distributed import Worker

TrialFunction: TypeAlias = Callable[[Job, Callable[[Progress], None]], Result]
Files: TypeAlias = Mapping[str, bytes]
"""Files by their path in a folder."""

LOG_VARIABLE = "AUTOML_PHYS_LOG"
THREADS_VARIABLE = "AUTOML_PHYS_THREADS"
LIFETIME_VARIABLE = "AUTOML_PHYS_LIFETIME_S"
"""How long the batch job lives that a worker is in."""
MARGIN_S = 90.0
"""Before the end of its batch job a worker stops working."""
HEAVY = ("keras", "jax", "tensorflow", "torch", "lightgbm", "numba")
"""What reads the environment once, when it is imported."""
COUNTED = ("automl-phys", "numpy", "scipy", "scikit-learn", "lightgbm", "keras", "jax", "jaxlib", "tensorflow", "torch",
           "stable-baselines3", "sb3-contrib", "statsforecast", "umap-learn", "hdbscan", "pyod", "distributed")
"""Packages that must be the same everywhere: numbers depend on them, or what is sent does."""
COMPLETE = ".complete"


@dataclass(frozen=True)
class Greeting:
    """What a worker must be like for the run that is called ``key``. ``stamp`` is the text of the run's plan, which
    tells whether it sees the run's folder ``run``; empty where it is not to look."""

    key: str
    run: str
    stamp: str
    versions: Mapping[str, str]
    environment: Mapping[str, str]
    threads: int
    gpu: bool


@dataclass(frozen=True)
class Answer:
    """What a worker is like. ``refusal`` says why it cannot be used; ``stale`` what it has imported too early, so that
    it could be used if it were started anew; from ``until`` (of ``time.time``) on it takes no more work."""

    host: str
    refusal: str = ""
    stale: str = ""
    has_problem: bool = False
    until: float | None = None
    device: str = "cpu"


# ---------------------------------------------------------------- on this machine

def dask_setup(worker: object) -> None:  # noqa: ARG001 - Dask's
    """Called by Dask before any trial: make the process one that repeats, and keeps quiet.

    Ctrl-C is left to the parent. What libraries print goes to the run's log, or the batch system's.
    """
    if THREADS_VARIABLE in os.environ:
        _settle(int(os.environ[THREADS_VARIABLE]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if LOG_VARIABLE in os.environ:
        log = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log, stream.fileno())
        os.close(log)


def carry_out(trial: TrialFunction, job: Job, key: str) -> Result:
    """The trial in the run's folder, its progress sent through Dask's event log under the run's :func:`topic`."""
    return trial(job, _telling(key))


def topic(key: str) -> str:
    """Under what trials of a run tell of their progress."""
    return f"automl-phys-{key}"


# ---------------------------------------------------------------- elsewhere

def greet(greeting: Greeting) -> Answer:
    """Say what this process is like, and make it fit: nothing else may run trials in it from now on."""
    host = socket.gethostname()
    if differing := differences(greeting.versions, versions()):
        return Answer(host, f"it has other versions: {differing}")
    wanted = {**greeting.environment, "NUMBA_CACHE_DIR": str(machine.cache_folder() / "numba"),
              "JAX_COMPILATION_CACHE_DIR": str(machine.cache_folder() / "jax")}
    device = "cpu"
    if greeting.gpu:
        here = os.environ.get("CUDA_VISIBLE_DEVICES")
        found = gpus.visible(gpus.installed(), here)
        if not found:
            return Answer(host, "it has no GPU, and the plan counts on one")
        device = next(iter(found))
        wanted["CUDA_VISIBLE_DEVICES"] = device.rpartition(":")[2]
    early = [name for name in HEAVY if name in sys.modules]
    if early and any(os.environ.get(name) != value for name, value in wanted.items()):
        return Answer(host, stale=", ".join(early))
    os.environ.update(wanted)
    _settle(greeting.threads)
    _clear_others(_work(greeting.key))
    return Answer(host, has_problem=_sees(greeting) or _problem(greeting.key).joinpath(COMPLETE).exists(),
                  until=_until(), device=device)


def receive(key: str, name: str, offset: int, data: bytes) -> None:
    """Take a piece of a file of the problem."""
    path = _problem(key) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if offset else "wb") as file:
        file.seek(offset)
        file.write(data)


def received(key: str) -> None:
    """The whole problem has come."""
    (_problem(key) / COMPLETE).touch()


def carry_out_here(
    trial: TrialFunction, job: Job, key: str, files: Files, until: float | None
) -> tuple[Result, Files]:
    """The trial in a folder of this process, of which ``files`` are there before; gives what is there afterwards.

    The trial is stopped in time before ``until``, and then is ``interrupted``.
    """
    folder = _work(key) / job.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    put(files, folder)
    left = None if until is None else until - time.time()
    limit = min((one for one in (left, job.limit_s) if one is not None), default=None)
    result = trial(replace(job, run_dir=str(_work(key)), limit_s=limit), _telling(key))
    if result.status == "timed_out" and limit == left:
        result = replace(result, status="interrupted")
    found = taken(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return result, found


def checkpoint(key: str, folder: str, dask_worker: Worker) -> Files:
    """The checkpoint of the trial that runs in this process, as files of the job's folder; none while there is none."""
    try:
        return checkpoint_of(_work(key, dask_worker) / folder)
    except OSError:  # it is being replaced this very moment
        return {}


def checkpoint_of(folder: Path) -> Files:
    """The checkpoint in a job's folder, as files of that folder; none where there is none."""
    at = FitDir(folder).checkpoint
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(at.rglob("*")) if path.is_file()}


def put(files: Files, folder: Path) -> None:
    """Write files into a folder. Raises OSError when the disk refuses."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def taken(folder: Path) -> Files:
    """All files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def versions() -> dict[str, str]:
    """What numbers depend on."""
    found = {name: machine.version(name) for name in COUNTED}
    return {"python": platform.python_version(), **{name: known for name, known in found.items() if known}}


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> str:
    """What differs, in words; empty for nothing. Python's last number does not count."""
    def counts(name: str, version: str) -> str:
        return version.rpartition(".")[0] if name == "python" else version

    return ", ".join(f"{name} {found.get(name, 'none')} instead of {version}" for name, version in wanted.items()
                     if counts(name, found.get(name, "none.")) != counts(name, version))


def _settle(threads: int) -> None:
    """NumPy's BLAS, which Dask imports before the environment is set, gets its number of threads. Dask's own threads
    get random numbers of their own: they would draw from the state that a trial has seeded, and that Keras draws from.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    own = random.Random()  # noqa: S311 - no secret
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("dask", "distributed", "tornado") and getattr(module, "random", None) is random:
            vars(module)["random"] = own


def _telling(key: str) -> Callable[[Progress], None]:
    from distributed import get_worker

    worker = get_worker()
    return lambda progress: worker.log_event(topic(key), {"progress": to_json(progress)})


def _work(key: str, worker: Worker | None = None) -> Path:
    """The folder of this process that stands for the run's; Dask removes it with the worker."""
    from distributed import get_worker

    return Path((worker or get_worker()).local_directory) / "automl-phys" / key


def _clear_others(work: Path) -> None:
    """Remove what former runs have left with this worker."""
    for folder in work.parent.glob("*"):
        if folder != work:
            shutil.rmtree(folder, ignore_errors=True)


def _problem(key: str) -> Path:
    return RunDir(_work(key)).problem


def _sees(greeting: Greeting) -> bool:
    """Whether the problem can be read where it lies; then it is linked to."""
    there = RunDir(Path(greeting.run))
    try:
        if not greeting.stamp or there.plan.read_text(encoding="utf-8") != greeting.stamp:
            return False
    except OSError:
        return False
    here = _problem(greeting.key)
    if not here.is_symlink():
        here.parent.mkdir(parents=True, exist_ok=True)
        here.symlink_to(there.problem)
    return True


def _until() -> float | None:
    """From when on this process should work no more, since its batch job ends; None for no such time."""
    if LIFETIME_VARIABLE not in os.environ:
        return None
    import psutil

    began = psutil.Process(os.getppid()).create_time()  # the nanny's, which lives as long as the job does
    return float(began + float(os.environ[LIFETIME_VARIABLE]) - MARGIN_S)
