"""Does the parent keep up with many trials? A fake objective, 100 simulated workers, and real files.

    python bench/search_scale.py                    # 10 000 trials, some ten minutes
    python bench/search_scale.py --trials 1000

The search itself (``search.run``) runs with its proposals, its files and its record; only what trials compute is made
up: each takes a simulated time of its own, so that results come back in another order than they were asked for. No
time passes for it, so that all that is measured is the parent's. Prints trials per second, overhead for each trial and
the parent's resident memory at 1 000, 5 000 and 10 000 trials.
"""

from __future__ import annotations

import argparse
import heapq
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path

import numpy as np
import psutil

from automl_phys import search
from automl_phys.decisions import Chosen, Plan
from automl_phys.facts import Facts, Range
from automl_phys.rundir import RunDir
from automl_phys.trials import Job, Progress, Result
from automl_phys.values import Params

MARKS = (1_000, 2_000, 5_000, 10_000)
STEPS = 30
WORKERS = 100

TREES: Mapping[str, Range] = {
    "rate": Range(low=1e-3, high=0.3, log=True), "leaves": Range(low=4, high=256, log=True, integer=True),
    "share": Range(low=0.3, high=1.0), "depth": Range(low=2, high=12, integer=True),
    "kind": Range(choices=("gbdt", "dart", "goss")), "drop": Range(low=0.0, high=0.5, when={"kind": ("dart",)})}
NETWORK: Mapping[str, Range] = {
    "rate": Range(low=1e-4, high=1e-1, log=True), "layers": Range(choices=([32], [64, 64], [128, 128, 128])),
    "dropout": Range(low=0.0, high=0.5), "activation": Range(choices=("relu", "gelu", "silu")),
    "batch": Range(choices=(128, 256, 512, 1024)), "decay": Range(low=1e-6, high=1e-1, log=True)}
DEFAULTS: Mapping[str, Params] = {
    "trees": {"rate": 0.1, "leaves": 31, "share": 1.0, "depth": 6, "kind": "gbdt"},
    "network": {"rate": 1e-3, "layers": [64, 64], "dropout": 0.1, "activation": "relu", "batch": 256, "decay": 1e-4}}


class Simulated:
    """An executor of ``contracts``: every job ends after a simulated time, the earliest first."""

    def __init__(self) -> None:
        self._now = 0.0
        self._running: list[tuple[float, int, Job]] = []

    def submit(self, job: Job) -> None:
        took = float(np.random.default_rng(job.seed).lognormal(4, 1))
        heapq.heappush(self._running, (self._now + took, job.number, job))

    def poll(self, timeout_s: float) -> Sequence[Progress | Result]:  # noqa: ARG002 - the contract's
        if not self._running:
            return ()
        began = self._now
        self._now, number, job = heapq.heappop(self._running)
        best = _value(job.params)
        values: dict[int, float] = {}
        for step in range(1, STEPS + 1):
            values[step] = best + 1 / step
            if step in job.rungs and values[step] > job.rungs[step]:
                return (Progress(number, step, values[step]), Result(
                    number, "pruned", None, self._now - began, "fell behind", "0", "cpu", step, values))
        return (Progress(number, STEPS, values[STEPS]),
                Result(number, "done", values[STEPS], self._now - began, "", "0", "cpu", STEPS, values))

    def cancel(self, number: int) -> None: ...
    def close(self) -> None: ...


class Watch:
    """A ``Show`` that notes how fast it goes, and how much memory the process has."""

    def __init__(self, total: int) -> None:
        self._total, self._ended, self._last_ended = total, 0, 0
        self._last, self._last_cpu = time.perf_counter(), time.process_time()

    def begin(self, plan: Plan, folder: Path) -> None: ...
    def stage(self, title: str) -> None: ...

    def say(self, text: str) -> None:
        print(text)

    def advance(self, done: int, total: int, text: str = "") -> None: ...

    def trial(self, event: Job | Progress | Result) -> None:
        if not isinstance(event, Result):
            return
        self._ended += 1
        if self._ended in MARKS or self._ended == self._total:
            now, cpu = time.perf_counter(), time.process_time()
            count = self._ended - self._last_ended
            took, used = (now - self._last) / count, (cpu - self._last_cpu) / count
            memory = psutil.Process().memory_info().rss / 2**20
            print(f"{self._ended:6d} trials: {1 / took:5.1f} a second since the last mark, {1e3 * took:5.1f} ms each "
                  f"({1e3 * used:.1f} ms of CPU); memory {memory:4.0f} MB", flush=True)
            self._last, self._last_cpu, self._last_ended = now, cpu, self._ended


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--trials", type=int, default=10_000)
    arguments.add_argument("--workers", type=int, default=WORKERS)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began, cpu = time.perf_counter(), time.process_time()
        trials = search.run(plan(asked.trials, asked.workers), RunDir(Path(folder)), Simulated(), Watch(asked.trials),
                            None)
        took, used = time.perf_counter() - began, time.process_time() - cpu
        best = min((t.result.value for t in trials if t.result.value is not None), default=float("nan"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"{len(trials)} trials in {took:.0f} s ({used:.0f} s of CPU): {len(trials) / took:.1f} a second, "
          f"{1e3 * took / len(trials):.1f} ms each; best {best:.4f}; peak memory {peak:.0f} MB")


def plan(trials: int, workers: int) -> Plan:
    families = tuple(Chosen(name, "", 100, space, (DEFAULTS[name],))
                     for name, space in (("trees", TREES), ("network", NETWORK)))
    return Plan(
        name="scale", task="classify", facts=Facts("table", {}, {}), families=families, skipped={}, baseline="trees",
        objective="log_loss", direction="minimize", trials=trials, minutes=None, search_minutes=None, sampler="tpe",
        pruner="hyperband", ensemble=1, folds=0, refit=False, bagging=1, replicas=0, executor="inline",
        workers=workers, threads=1, devices=("cpu",), memory_mb_per_worker=1000, framework="jax", seed=1, reasons=())


def _value(params: Params) -> float:
    """A made-up landscape: a valley in the logarithm of the rate, with a floor that the other settings tilt."""
    rate = log(float(str(params["rate"])) / (0.05 if "leaves" in params else 2e-3))
    tilt = sum(float(value) for value in params.values() if isinstance(value, float))
    return 0.1 * rate**2 + 0.02 * tilt + 0.01 * len(str(params))


if __name__ == "__main__":
    main()
