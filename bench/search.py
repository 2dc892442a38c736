"""What does a search cost beside its fits, how well do workers share it, and do peers get further in the same minutes?

    python bench/search.py                                   # all of it but the peers, about a quarter of an hour
    python bench/search.py --only workers overhead           # parts of it
    python bench/search.py --only peers --peers PYTHON        # one that has keras-tuner, autokeras; or two

All on data that come with the program, jets where nothing else is said, or on rows drawn at random. The two sides of a
ratio take turns, so that a drift of the machine hits both, and the best of each side's turns counts.

``workers`` runs the same search of small networks by ``automl-phys run`` with one worker and with two, one thread each,
every run with an empty cache of compiled networks. Trials per minute are those from the moment at which the first trial
begins until the last one has ended; the start-up before and the whole command are told beside. Parameters and values of
the trials must be the same to the last bit. Two searches with one worker each, at the same time and unaware of each
other, show what two workers could reach at most on the machine as it is: where its cores share caches, memory or power
with each other or with other guests, that is less than twice as much. ``mixed`` does so with linear models, trees and
networks.

``overhead`` is a search of many quick trials (linear models and trees, 569 rows): seconds of all workers that no fit
took, for each trial.

``memory`` runs small networks in one worker that is never replaced, and prints its resident memory.

``epoch`` and ``together`` are in ``search_networks.py``, ``peers`` in ``search_peers.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import search_networks
import search_peers

from automl_phys import pipeline, prepare, recipe, registry, search, worker
from automl_phys.decisions import Plan
from automl_phys.recipe import Recipe
from automl_phys.rundir import FitDir, RunDir
from automl_phys.trials import Job, Progress, Result, Slot, Trial

COMMAND = (sys.executable, "-m", "automl_phys.cli", "run")
RECIPE = """
recipe: 1
name: searched
task: classify
data: {data}
model: {model}
search: {{trials: {trials}, pruner: none}}
compute: {{workers: {workers}, threads: 1, gpus: none}}
report: {{formats: [markdown], figures: []}}
seed: 3
"""
JETS = "{builtin: jets, target: label, exclude: [event_id], weight: weight}"
FEW_ROWS = "{builtin: breast_cancer, target: target}"
ALONE = "ensemble: 1, refit: false, bagging: 1"
MIXED = f"{{families: [linear, boosted_trees, extra_trees, mlp], {ALONE}}}"
NETWORKS = (f"{{families: [mlp], {ALONE}, mlp: {{epochs: 8, members: 1, embedding: none, normalisation: none, "
            "layers: {choices: [[64], [128], [64, 64], [128, 128]]}}}")
SMALL_NETWORKS = "{families: [mlp], mlp: {epochs: 2, layers: {choices: [[16], [32], [16, 16], [32, 16]]}}}"
QUICK = f"{{families: [linear, boosted_trees], {ALONE}}}"
AMPLE_MB = 100_000
"""A limit on memory that keeps the worker from being replaced."""
PARTS = ("workers", "mixed", "overhead", "memory", "epoch", "together")


class Quiet:
    """Shows nothing."""

    def begin(self, plan: Plan, folder: Path) -> None: ...
    def stage(self, title: str) -> None: ...
    def say(self, text: str) -> None: ...
    def advance(self, done: int, total: int, text: str = "") -> None: ...
    def trial(self, event: Job | Progress | Result) -> None: ...


@dataclass(frozen=True)
class Searched:
    """A search as its files tell it: seconds of the whole command, of what came before the first trial, from then until
    the last result, and of all fits together; what was tried and what it gave."""

    command_s: float
    start_up_s: float
    search_s: float
    fits_s: float
    trials: tuple[tuple[Any, float | None], ...]

    @property
    def a_minute(self) -> float:
        return 60 * len(self.trials) / self.search_s


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--only", nargs="*", choices=(*PARTS, "peers"))
    arguments.add_argument("--trials", type=int, default=20, help="of workers and mixed")
    arguments.add_argument("--quick-trials", type=int, default=60, help="of overhead")
    arguments.add_argument("--keras-trials", type=int, default=100, help="of memory")
    arguments.add_argument("--turns", type=int, default=2)
    arguments.add_argument("--peers", nargs="+", default=[sys.executable],
                           help="Pythons that have keras-tuner or autokeras; each peer runs with the first that works")
    arguments.add_argument("--minutes", type=float, default=3, help="budget of each of the peers")
    asked = arguments.parse_args()
    wanted = asked.only or (*PARTS, *(["peers"] if asked.peers != [sys.executable] else []))
    for part in wanted:
        began, load = time.perf_counter(), os.getloadavg()[0]
        print(f"== {part}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            if part in ("workers", "mixed"):
                share_the_work(Path(scratch), NETWORKS if part == "workers" else MIXED, asked.trials, asked.turns)
            elif part == "overhead":
                cost_of_a_trial(Path(scratch), asked.quick_trials, asked.turns)
            elif part == "memory":
                stay_small(Path(scratch), asked.keras_trials)
            elif part == "epoch":
                search_networks.epoch(asked.turns)
            elif part == "together":
                search_networks.together(asked.turns)
            else:
                search_peers.compare(asked.peers, Path(scratch), asked.minutes)
        print(f"   {time.perf_counter() - began:.0f} s; load before and after: {load:.1f}, {os.getloadavg()[0]:.1f}",
              flush=True)


def share_the_work(scratch: Path, model: str, count: int, turns: int) -> None:
    searches = {name: RECIPE.format(data=JETS, model=model, trials=count, workers=workers)
                for name, workers in (("one worker", 1), ("two workers", 2))}
    found: dict[str, list[Searched]] = {name: [] for name in searches}
    apart: list[float] = []
    for turn in range(turns):
        for name, text in searches.items():
            one = ran(scratch / f"{turn} {name}", text)
            found[name].append(one)
            print(f"turn {turn}, {name}: {one.a_minute:6.1f} trials a minute; start-up {one.start_up_s:.1f} s, search "
                  f"{one.search_s:.1f} s, command {one.command_s:.1f} s", flush=True)
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(ran, (scratch / f"{turn} apart {k}" for k in (1, 2)), [searches["one worker"]] * 2))
        apart.append(sum(one.a_minute for one in both))
        print(f"turn {turn}, two searches apart: {apart[-1]:6.1f} trials a minute together", flush=True)
    alone, together = (max(one.a_minute for one in found[name]) for name in searches)
    whole_one, whole_two = (min(one.command_s for one in found[name]) for name in searches)
    same = len({json.dumps(one.trials) for runs in found.values() for one in runs}) == 1
    print(f"trials a minute, two workers over one: {together / alone:.2f}, over two searches apart: "
          f"{together / max(apart):.2f} (these over one: {max(apart) / alone:.2f}); whole commands "
          f"{whole_one / whole_two:.2f}; trials and values the same: {same}")


def cost_of_a_trial(scratch: Path, count: int, turns: int) -> None:
    best: dict[int, float] = {}
    for turn in range(turns):
        for workers in (1, 2):
            one = ran(scratch / f"{turn}-{workers}",
                      RECIPE.format(data=FEW_ROWS, model=QUICK, trials=count, workers=workers))
            each = (workers * one.search_s - one.fits_s) / len(one.trials)
            best[workers] = min(each, best.get(workers, each))
            print(f"turn {turn}, {workers} worker{'s' * (workers > 1)}: {len(one.trials)} trials in "
                  f"{one.search_s:.1f} s, fits {one.fits_s:.1f} s, beside them {1e3 * each:.0f} ms a trial; start-up "
                  f"{one.start_up_s:.1f} s", flush=True)
    print("beside the fits, a trial: " + ", ".join(f"{1e3 * best[workers]:.0f} ms with {workers}" for workers in best))


def ran(folder: Path, text: str) -> Searched:
    """Run a recipe as a user would, with a cache of its own."""
    folder.mkdir(parents=True)
    (folder / "searched.yaml").write_text(text, encoding="utf-8")
    began_at, began = time.time(), time.perf_counter()
    subprocess.run([*COMMAND, str(folder / "searched.yaml"), "--quiet", "--out", str(folder)], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")})
    took = time.perf_counter() - began
    fits = [FitDir(path) for path in sorted(RunDir(folder / "searched" / "latest").trials.iterdir())]
    results = [json.loads(fit.result.read_text(encoding="utf-8")) for fit in fits]
    jobs = [json.loads(fit.job.read_text(encoding="utf-8")) for fit in fits]
    ends = [fit.result.stat().st_mtime for fit in fits]
    first = min(end - result["seconds"] for end, result in zip(ends, results, strict=True))
    return Searched(took, first - began_at, max(ends) - first, sum(result["seconds"] for result in results),
                    tuple((job["params"], result["value"]) for job, result in zip(jobs, results, strict=True)))


def stay_small(scratch: Path, count: int) -> None:
    trials, seconds = searched(
        scratch / "keras", RECIPE.format(data=JETS, model=SMALL_NETWORKS, trials=count, workers=1), AMPLE_MB)
    memory = [t.result.memory_mb for t in trials]
    steps = sorted({min(9, count - 1), count // 2, count - 1})
    print(f"{count} Keras trials, {seconds / count:.2f} s each; resident memory after trial "
          + ", ".join(f"{i + 1}: {memory[i]} MB" for i in steps))


def searched(folder: Path, text: str, memory_mb: int | None = None) -> tuple[Sequence[Trial], float]:
    """The trials of a recipe's search, and its seconds of wall time without the preparation of the data."""
    wanted = loaded(folder, text)
    plan, run = pipeline.make_plan(wanted), RunDir(folder / "run")
    prepare.run(wanted, plan, run, Quiet())
    began = time.perf_counter()
    with closing(registry.load("executors", "dask").open_executor(
            slots(plan, memory_mb), run.path, worker.run_trial)) as executor:
        trials = search.run(plan, run, executor, Quiet(), None)
        return trials, time.perf_counter() - began


def loaded(folder: Path, text: str) -> Recipe:
    folder.mkdir(parents=True)
    path = folder / "recipe.yaml"
    path.write_text(text)
    return recipe.load(path)


def slots(plan: Plan, memory_mb: int | None) -> list[Slot]:
    one = Slot("cpu", plan.threads, memory_mb or plan.memory_mb_per_worker,
               worker.environment(plan.threads, "cpu", plan.framework))
    return [replace(one) for _ in range(plan.workers)]


if __name__ == "__main__":
    main()
