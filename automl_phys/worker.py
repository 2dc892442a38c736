"""One trial in a worker's process: load the problem, fit, judge, save.

Takes a job; gives its result, and leaves predictions, learning curve and model in the job's folder. What is asked for
is the search's business, what becomes of the result the dispatch's. The process must have been started with
:func:`environment`: libraries read most of these variables once, when they are imported.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import machine, mixed_precision, objectives, pruning, registry, resampling
from automl_phys.contracts import Fitted, Task
from automl_phys.rundir import FitDir, read_json, write_json, write_text
from automl_phys.trials import Job, OutOfTime, Progress, Pruned, Result, Status

if TYPE_CHECKING:
    from automl_phys.values import Array

REPORT_EVERY_S = 0.2
COMPILED_MB = 250
"""By how much a process may grow before the compiled networks that it keeps are let go of."""
LONGEST_MESSAGE = 300


def environment(threads: int, device: str, framework: str, precision: str = "float32") -> dict[str, str]:
    """The variables that a process must be started with, so that a trial gets its threads and its device and no more.

    ``device`` is ``cpu`` or a GPU's name, ``gpu:0``, ``gpu:GPU-…``, ``gpu:MIG-…``. Always the same names, so that one
    process's never leak into another's. On a GPU memory is taken as it is needed, so that trials may share one; and
    float32 is float32: what GPUs make of it to be quicker (TF32) has three digits, and no CPU would predict the same.
    """
    on_cpu = device == "cpu"
    xla = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" if threads == 1 else ""
    return {
        "CUDA_VISIBLE_DEVICES": "-1" if on_cpu else device.rpartition(":")[2],
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # numbered as nvidia-smi does
        "JAX_PLATFORMS": "cpu" if on_cpu else "",
        "KERAS_BACKEND": framework,
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "NPROC": str(threads),  # the size of XLA's own thread pool
        "NUMBA_NUM_THREADS": str(threads),
        "NUMBA_CACHE_DIR": str(machine.cache_folder() / "numba"),  # site-packages may not be writable
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        "XLA_FLAGS": xla,
        # A network compiled once is compiled for all workers and later runs: a fifth off a small network's fit.
        "JAX_COMPILATION_CACHE_DIR": str(machine.cache_folder() / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "NVIDIA_TF32_OVERRIDE": "0",
        "JAX_DEFAULT_MATMUL_PRECISION": "default" if on_cpu else "float32",
        mixed_precision.VARIABLE: precision,
    }


def run_trial(job: Job, report: Callable[[Progress], None]) -> Result:
    """Carry out ``job``; never raises but for KeyboardInterrupt and SystemExit. ``report`` is told of its progress."""
    began = time.perf_counter()
    folder = FitDir(Path(job.run_dir) / job.folder)
    values: dict[int, float] = {}
    status: Status = "done"
    value, steps, message = None, 0, ""
    others: dict[str, float] = {}
    try:
        random.seed(job.seed)
        np.random.seed(job.seed)
        value, steps = _fit(job, folder, values, others, report, began)
    except Pruned as reason:
        status, message = "pruned", str(reason)
    except OutOfTime as reason:
        status, message = "timed_out", str(reason)
    except Exception as error:  # noqa: BLE001 - the boundary of a trial: whatever it raises must not end the search
        status, message = "failed", _one_line(error)
        write_text(folder.traceback, traceback.format_exc())
    finally:
        _free_memory()
    return Result(job.number, status, value, time.perf_counter() - began, message, str(os.getpid()), _device(job),
                  steps or max(values, default=0), values, _memory_mb(), others)


class _Follower:
    """The ``trials.Watch`` of one fit: scores each step, reports it, stops what falls behind or takes too long."""

    def __init__(
        self, job: Job, task: Task, part: Any, values: dict[int, float], report: Callable[[Progress], None],
        began: float,
    ) -> None:
        self._job, self._task, self._part, self._values = job, task, part, values
        self._report, self._began, self._reported = report, began, 0.0
        self._rungs = dict(sorted(job.rungs.items()))
        watched = FitDir(Path(job.run_dir) / job.folder).watched
        if job.folder and watched.exists():  # it goes on from there, or says the same once more
            values.update({int(step): value for step, value in read_json(watched, dict[str, float]).items()})

    def __call__(self, step: int, predictions: Array) -> float:
        value = self._values[step] = _score(self._task, self._job, self._part, predictions, f" at step {step}")
        now = time.perf_counter()
        if now - self._reported > REPORT_EVERY_S:
            self._report(Progress(self._job.number, step, value))
            self._reported = now
        if self._job.limit_s is not None and now - self._began > self._job.limit_s:
            raise OutOfTime(f"the time was over at step {step}")
        for rung in [r for r in self._rungs if r <= step]:
            self._hold_against(self._rungs.pop(rung), rung)
        return value

    def _hold_against(self, needed: float, rung: int) -> None:
        best = pruning.best_until(self._values, rung, self._job.direction)
        if best < needed if self._job.direction == "maximize" else best > needed:
            raise Pruned(f"{best:.5g} at step {rung}, where {needed:.5g} was asked for")


def _fit(
    job: Job, folder: FitDir, values: dict[int, float], others: dict[str, float], report: Callable[[Progress], None],
    began: float,
) -> tuple[float, int]:
    """Fit each problem of the job, save, and give the objective on all rows judged, and the longest fit's steps. Other
    objectives go to ``others``."""
    task, family = registry.load("tasks", job.task), registry.load("families", job.family)
    problems = resampling.problems(job, Path(job.run_dir))
    history: Sequence[Any] = ()
    predictions, steps = [], 0
    for i, problem in enumerate(problems):
        watch = _Follower(job, task, problem.valid, values if i == 0 else {}, report, began)
        fitted: Fitted = family.fit(problem, job.params, job, watch)
        predictions.append(np.asarray(fitted.predict(problem.valid), dtype=np.float32))
        fitted.save(folder.model(i if len(problems) > 1 else None))
        history, steps = history or fitted.history, max(steps, fitted.steps)
    pooled = np.concatenate(predictions)
    judged = resampling.stacked([problem.valid for problem in problems])
    value = _score(task, job, judged, pooled, "")
    for name in job.others:
        others[name] = objectives.size(folder.model()) if name == objectives.SIZE else _score(
            task, replace(job, objective=name), judged, pooled, "")
    np.save(folder.valid, pooled, allow_pickle=False)
    write_json(folder.history, list(history))
    return value, steps


def _score(task: Task, job: Job, part: Any, predictions: Array, where: str) -> float:
    if not np.isfinite(predictions).all():
        raise FloatingPointError(f"NaN or infinity in the predictions{where}")
    value = float(task.score(job.objective, part, predictions))
    if not np.isfinite(value):
        raise FloatingPointError(f"{job.objective} is {value}{where}")
    return value


def _device(job: Job) -> str:
    """Where the trial ran: on the CPU too where Keras found no GPU in spite of one, for want of CUDA's libraries."""
    if "automl_phys.keras_fit" in sys.modules and not sys.modules["automl_phys.keras_fit"].on_gpu():
        return "cpu"
    return job.device


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:LONGEST_MESSAGE].removesuffix(": ").removesuffix(".")


def _free_memory() -> None:
    """Give back what Keras keeps from fit to fit, where it is in use already, and to the system what C's allocator has
    kept of it: once a trial, since doing so at every free makes an epoch a fifth longer.

    What was compiled, some 15 MB a network, stays until it may be ``COMPILED_MB``: to let go of it costs half a second.
    """
    full = "automl_phys.keras_fit" in sys.modules and _growth.mb() > COMPILED_MB
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
    if full:
        sys.modules["automl_phys.keras_fit"].forget()
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # glibc has it, musl has not
        libc.malloc_trim(0)
    if full:
        _growth.begin()


class _Growth:
    """By how much this process has grown since it was smallest, or since :meth:`begin`: what it holds besides, such as
    the files of a large table that are mapped, does not count."""

    def __init__(self) -> None:
        self._least: int | None = None

    def mb(self) -> int:
        now = _memory_mb()
        self._least = now if self._least is None else min(self._least, now)
        return now - self._least

    def begin(self) -> None:
        self._least = _memory_mb()


_growth = _Growth()


def _memory_mb() -> int:
    """Resident memory of this process after the trial."""
    import psutil

    return int(psutil.Process().memory_info().rss / 2**20)
