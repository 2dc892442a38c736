"""What is decided before a run: the plan, the families that it tries, and what it takes over of former runs.

Made by :mod:`automl_phys.plan`, written as ``plan.json``. Standard library only, so that every other module may import
it at no cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from automl_phys.facts import Facts, Range
from automl_phys.sites import Site
from automl_phys.trials import DeviceKind
from automl_phys.values import Direction, Params


@dataclass(frozen=True)
class Chosen:
    """A family that will be tried, and why; memory of one fit in MB, and what a trial costs beside those of others.
    ``device`` is the kind of device that its trials need."""

    family: str
    reason: str
    memory_mb: int
    space: Mapping[str, Range]
    defaults: tuple[Params, ...]
    cost: float = 1.0
    device: DeviceKind = "cpu"


@dataclass(frozen=True)
class Known:
    """A trial of a former run that was done. ``value`` and ``others`` as in ``trials.Result``."""

    family: str
    params: Params
    value: float
    others: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Suggested:
    """A configuration to begin with, and where it comes from."""

    family: str
    params: Params
    origin: str


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run, made by a pure function of recipe, facts and machine.

    ``devices`` has the device of each worker. ``precision`` is what networks are trained in, ``float32`` or
    ``mixed_bfloat16``; they predict in float32.
    """

    name: str
    task: str
    facts: Facts
    families: tuple[Chosen, ...]
    skipped: Mapping[str, str]
    baseline: str
    objective: str
    direction: Direction
    trials: int
    minutes: float | None
    search_minutes: float | None
    sampler: str
    pruner: str
    ensemble: int
    folds: int
    refit: bool
    bagging: int
    replicas: int
    executor: str
    workers: int
    threads: int
    devices: tuple[str, ...]
    memory_mb_per_worker: int
    framework: str
    seed: int
    reasons: tuple[str, ...]
    minutes_per_trial: float | None = None
    site: Site | None = None
    precision: str = "float32"
    storage: str = ""
    """Address of the server that the search's record goes to; empty for a file of the run."""
    others: Mapping[str, Direction] = field(default_factory=dict)
    """Objectives beside the first one, which decides: they shape the search."""
    warm_start: tuple[str, ...] = ()
    """Folders of former runs that the search begins with."""
    known: tuple[Known, ...] = ()
    """Trials of theirs on the same problem, which the sampler is told of."""
    suggested: tuple[Suggested, ...] = ()
    """Configurations of theirs that are tried after the defaults."""

    def device(self, family: str) -> DeviceKind:
        """The kind of device that trials of a family of the plan need."""
        return next(chosen.device for chosen in self.families if chosen.family == family)
