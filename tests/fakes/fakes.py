"""A tiny task and families that behave badly, each in its own way, for tests of the search and what is around it.

The truth is y = 2 x. Predictions are for y, the objective is the mean squared error. :func:`install` adds them to the
registry of a process.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from automl_phys import registry
from automl_phys.decisions import Chosen, Plan
from automl_phys.facts import Facts, Range
from automl_phys.rundir import RunDir
from automl_phys.trials import Job, Slot
from automl_phys.values import Params

FACTS = Facts("fake", {"train": 60, "valid": 20, "test": 20}, {})


@dataclass(frozen=True)
class Rows:
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class FakeProblem:
    folder: Path
    x: np.ndarray
    train_rows: np.ndarray
    valid_rows: np.ndarray

    @property
    def train(self) -> Rows:
        return Rows(self.x[self.train_rows], 2 * self.x[self.train_rows])

    @property
    def valid(self) -> Rows:
        return Rows(self.x[self.valid_rows], 2 * self.x[self.valid_rows])

    def whole(self) -> FakeProblem:
        known = np.concatenate([self.train_rows, self.valid_rows])
        return replace(self, train_rows=known, valid_rows=known)

    def resamples(self, count: int, seed: int) -> list[FakeProblem]:
        known = np.concatenate([self.train_rows, self.valid_rows])
        part = np.random.default_rng(seed).permutation(len(known)) % count
        return [replace(self, train_rows=known[part != i], valid_rows=known[part == i]) for i in range(count)]


def write_problem(run: RunDir) -> None:
    run.problem.mkdir(parents=True)
    np.save(run.problem / "x.npy", np.random.default_rng(0).normal(size=100))


def _load_problem(folder: Path) -> FakeProblem:
    return FakeProblem(folder, np.load(folder / "x.npy"), np.arange(60), np.arange(60, 80))


def _score(objective: str, part: Rows, predictions: np.ndarray) -> float:
    return float(np.mean((predictions - part.y) ** 2))


TASK = SimpleNamespace(load=_load_problem, score=_score, calibrate=lambda *_: {}, REPLICAS=0,
                       REPLICATED="winner", LEADERS=0.0, FRAMEWORK="")


@dataclass
class Line:
    slope: float
    bias: float
    steps: int = 4
    drift: float = 0.0

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        return tuple({"step": s, "train_loss": 1 / s, "valid_loss": 1 / s} for s in range(1, self.steps + 1))

    def predict(self, rows: Rows) -> np.ndarray:
        return (self.slope * rows.x + self.bias + self.drift).astype(np.float32)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "line.json").write_text(json.dumps([self.slope, self.bias]))


def _load_line(folder: Path, drift: float = 0.0) -> Line:
    slope, bias = json.loads((folder / "line.json").read_text())
    return Line(slope, bias, drift=drift)


def _fit_line(problem: FakeProblem, params: Params, job: Job, watch: Callable[[int, np.ndarray], float]) -> Line:
    """Comes to its slope in four steps; its bias is noise from the job's seed."""
    line = Line(float(params["slope"]), 0.01 * float(np.random.default_rng(job.seed).normal()))
    for step in range(1, 5):
        watch(step, line.predict(problem.valid) * step / 4)
    return line


def _nap_then_line(problem: FakeProblem, params: Params, job: Job, watch: Any) -> Line:
    """Takes longer the smaller its number, so that side by side the later trials end first."""
    time.sleep(0.02 * (3 - job.number % 4))
    return _fit_line(problem, params, job, watch)


@dataclass
class Probe(Line):
    """Tells in its folder with what its process was started, and what its job was given."""

    device: str = ""

    def save(self, folder: Path) -> None:
        super().save(folder)
        names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "JAX_PLATFORMS", "TF_FORCE_GPU_ALLOW_GROWTH",
                 "XLA_PYTHON_CLIENT_PREALLOCATE", "AUTOML_PHYS_PRECISION")
        told = {"pid": os.getpid(), "device": self.device, **{name: os.environ[name] for name in names}}
        (folder / "told.json").write_text(json.dumps(told))


def _probe(problem: FakeProblem, params: Params, job: Job, watch: Any) -> Line:
    line = _nap_then_line(problem, params, job, watch)
    return Probe(line.slope, line.bias, device=job.device)


def _raise(problem: FakeProblem, params: Params, job: Job, watch: Any) -> Line:
    raise ValueError("the matrix is singular")


def _diverge(problem: FakeProblem, params: Params, job: Job, watch: Any) -> Line:
    watch(1, np.full(len(problem.valid.x), np.nan))
    return Line(0, 0)


def _die(problem: FakeProblem, params: Params, job: Job, watch: Any) -> Line:
    os.kill(os.getpid(), signal.SIGKILL)
    return Line(0, 0)


def _hang(problem: FakeProblem, params: Params, job: Job, watch: Any) -> Line:
    """Never calls watch."""
    time.sleep(60)
    return Line(0, 0)


def _crawl(problem: FakeProblem, params: Params, job: Job, watch: Any) -> Line:
    """Calls watch for a minute."""
    for step in range(1, 1200):
        watch(step, problem.valid.x)
        time.sleep(0.05)
    return Line(0, 0)


def _hoard(problem: FakeProblem, params: Params, job: Job, watch: Any) -> Line:
    """Allocates memory until somebody does something about it."""
    blocks = []
    while True:
        blocks.append(np.ones(4_000_000))
        time.sleep(0.02)


SLOPE = {"slope": Range(low=0.0, high=4.0)}
NOTHING = {"nothing": Range(low=0.0, high=1.0)}


def _family(fit: Any, space: dict[str, Range], default: Params, load: Any = _load_line) -> SimpleNamespace:
    return SimpleNamespace(fit=fit, load=load, space=lambda facts: space, defaults=lambda facts: (default,))


FAMILIES = {
    "line": _family(_fit_line, SLOPE, {"slope": 1.0}),
    "slow_line": _family(_nap_then_line, SLOPE, {"slope": 3.0}),
    "drifting": _family(_fit_line, SLOPE, {"slope": 2.0}, lambda folder: _load_line(folder, drift=1e-3)),
    "probing": _family(_probe, SLOPE, {"slope": 3.0}),
    "probing_gpu": _family(_probe, SLOPE, {"slope": 1.0}),
    "raising": _family(_raise, NOTHING, {"nothing": 0.5}),
    "diverging": _family(_diverge, NOTHING, {"nothing": 0.5}),
    "dying": _family(_die, NOTHING, {"nothing": 0.5}),
    "hanging": _family(_hang, NOTHING, {"nothing": 0.5}),
    "crawling": _family(_crawl, NOTHING, {"nothing": 0.5}),
    "hoarding": _family(_hoard, NOTHING, {"nothing": 0.5}),
}


def install() -> None:
    """Add the fakes to this process's registry."""
    real = registry.load
    fakes: dict[tuple[str, str], object] = {("tasks", "fake"): TASK, **{("families", n): f for n, f in FAMILIES.items()}}

    def load(kind: Any, name: str) -> object:
        return fakes[kind, name] if (kind, name) in fakes else real(kind, name)

    registry.load = load


def plan(*families: str, **changes: Any) -> Plan:
    """A plan of fakes, the first family its baseline."""
    chosen = tuple(Chosen(name, "", 100, FAMILIES[name].space(FACTS), FAMILIES[name].defaults(FACTS),
                          device="gpu" if name.endswith("_gpu") else "cpu") for name in families)
    made = Plan(
        name="fake", task="fake", facts=FACTS, families=chosen, skipped={}, baseline=families[0], objective="mse",
        direction="minimize", trials=12, minutes=None, search_minutes=None, sampler="tpe", pruner="none", ensemble=3,
        folds=0, refit=False, bagging=1, replicas=0, executor="inline", workers=1, threads=1, devices=("cpu",), memory_mb_per_worker=1000,
        framework="jax", seed=7, reasons=())
    changed = replace(made, **changes)
    return changed if "devices" in changes else replace(changed, devices=("cpu",) * changed.workers)


def slots(count: int, memory_mb: int = 1000) -> list[Slot]:
    return [Slot("cpu", 1, memory_mb, {}) for _ in range(count)]


class Silent:
    """A ``Show`` that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.events: list[object] = []

    def begin(self, plan: Plan, folder: Path) -> None:
        pass

    def stage(self, title: str) -> None:
        self.said.append(title)

    def say(self, text: str) -> None:
        self.said.append(text)

    def advance(self, done: int, total: int, text: str = "") -> None:
        pass

    def trial(self, event: object) -> None:
        self.events.append(event)
