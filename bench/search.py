"""How well do two workers share a search, and does a worker's memory stay flat over many Keras trials?

    python bench/search.py                  # both, about five minutes
    python bench/search.py --trials 12 --keras-trials 30

Both on the jets that come with the program. The first part runs the same search with one worker and with two, one
thread each, and prints trials per minute, start-up included; the trials and their values must be the same to the last
bit. The second runs small networks in one worker that is never replaced, and prints its resident memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from automl_phys import pipeline, prepare, recipe, registry, search, worker
from automl_phys.contracts import Plan
from automl_phys.recipe import Recipe
from automl_phys.rundir import RunDir
from automl_phys.trials import Job, Progress, Result, Slot, Trial

JETS = """
recipe: 1
task: classify
data: {{builtin: jets, target: label, exclude: [event_id], weight: weight}}
model: {model}
search: {{trials: {trials}, pruner: none}}
compute: {{workers: {workers}, threads: 1, gpus: none}}
seed: 3
"""
MIXED = "{families: [linear, boosted_trees, extra_trees, mlp]}"
SMALL_NETWORKS = "{families: [mlp], mlp: {epochs: 2, layers: {choices: [[16], [32], [16, 16], [32, 16]]}}}"
AMPLE_MB = 100_000
"""A limit on memory that keeps the worker from being replaced."""


class Quiet:
    """Shows nothing."""

    def begin(self, plan: Plan, folder: Path) -> None: ...
    def stage(self, title: str) -> None: ...
    def say(self, text: str) -> None: ...
    def advance(self, done: int, total: int, text: str = "") -> None: ...
    def trial(self, event: Job | Progress | Result) -> None: ...


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--trials", type=int, default=24)
    arguments.add_argument("--keras-trials", type=int, default=100)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        share_the_work(Path(scratch), asked.trials)
        stay_small(Path(scratch), asked.keras_trials)


def share_the_work(scratch: Path, count: int) -> None:
    done = {}
    for workers in (1, 2):
        text = JETS.format(model=MIXED, trials=count, workers=workers)
        trials, seconds = searched(scratch / f"workers-{workers}", text)
        done[workers] = (trials, 60 * count / seconds)
        print(f"{workers} worker{'s' * (workers > 1)}: {60 * count / seconds:6.1f} trials a minute")
    values = [[(t.job.params, t.result.value) for t in trials] for trials, _ in done.values()]
    print(f"ratio {done[2][1] / done[1][1]:.2f}; trials and values the same: {values[0] == values[1]}")


def stay_small(scratch: Path, count: int) -> None:
    trials, seconds = searched(scratch / "keras", JETS.format(model=SMALL_NETWORKS, trials=count, workers=1), AMPLE_MB)
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
