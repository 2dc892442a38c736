"""A trial on its way out and back, and what becomes of the best ones.

Frozen dataclasses that round-trip through JSON, and what a fit is followed and stopped by. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from automl_phys.values import Direction, Params

if TYPE_CHECKING:
    from automl_phys.values import Array

Status: TypeAlias = Literal["done", "pruned", "failed", "timed_out", "interrupted"]
"""``interrupted``: its place was to end, and it is to go on elsewhere; no trial on record has that."""
LOOKAHEAD = 8
"""How far trials are asked for ahead of the results they are based on; more than this many workers need more."""
DeviceKind: TypeAlias = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class Job:
    """One trial, sent to a worker. ``seed`` depends on the run's seed and ``number`` alone, not on the worker.

    ``rungs`` maps a step to the objective that must be reached there for the trial to go on: the pruner's word, fixed
    when the trial is asked for, so that pruning cannot depend on which worker was faster. ``folds`` > 0 fits on each
    fold of the problem (``resamples(folds, fold_seed)``) instead of on its train part, or on ``fold`` alone when that
    is given. ``steps`` > 0 fits on train and valid together for so many steps, with nothing left to stop early by.
    ``others`` are objectives to measure beside the first one. ``folder``, relative to the run, is where its files go.
    ``device`` is the kind that it needs, ``cpu`` or ``gpu``, which follows from its family; in a worker's process it is
    the device that it got, ``gpu:1``.
    """

    number: int
    family: str
    params: Params
    seed: int
    threads: int
    device: str
    objective: str
    direction: Direction
    task: str
    run_dir: str
    folder: str = ""
    folds: int = 0
    fold: int | None = None
    fold_seed: int = 0
    steps: int = 0
    rungs: Mapping[int, float] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    limit_s: float | None = None


@dataclass(frozen=True)
class Progress:
    """A trial reached ``step`` with this value of the objective on the validation rows."""

    number: int
    step: int
    value: float


@dataclass(frozen=True)
class Result:
    """How a trial ended. ``value`` is the objective at its best step, ``others`` are further ones; ``message`` is
    the reason when it failed; ``device`` is where it ran: ``cpu``, ``gpu:1``, ``gpu:MIG-…``."""

    number: int
    status: Status
    value: float | None
    seconds: float
    message: str = ""
    worker: str = ""
    device: str = ""
    steps: int = 0
    values: Mapping[int, float] = field(default_factory=dict)
    memory_mb: int = 0
    others: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Notice:
    """What the person who waits should know of where the trials run."""

    text: str


@dataclass(frozen=True)
class Trial:
    """A finished trial as its two files tell it."""

    job: Job
    result: Result


@dataclass(frozen=True)
class Member:
    """One trial of an ensemble and the saved models that stand for it: the trial's own, or its refits.

    ``folders`` are relative to the run; the member's prediction is the mean over them.
    """

    family: str
    trial: int
    weight: float
    params: Params
    folders: tuple[str, ...]
    seconds: float = 0.0
    steps: int = 0


@dataclass(frozen=True)
class Ensemble:
    """The winner: a weighted mean of members. ``singles`` are each family's best trial alone, and the ``baseline``.

    ``replicas`` are the folders, relative to the run, of fits on variations of the problem: the winner's, or those of
    the best of each family.
    ``calibration`` is what the task learned of the winner's uncertainty from rows that it was not fitted on.
    """

    members: tuple[Member, ...]
    singles: Mapping[str, Member]
    objective: str
    valid_value: float
    notes: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()
    calibration: Mapping[str, Any] = field(default_factory=dict)


class Stop(Exception):  # noqa: N818 - it ends a fit, it is not an error
    """Raised by :class:`Watch` inside a fit to end it; the family lets it pass."""


class Pruned(Stop):
    """The trial fell behind at a rung."""


class OutOfTime(Stop):
    """The budget's hard stop came."""


class Watch(Protocol):
    """What a fit calls after each step (an epoch, a block of trees) so that it can be followed and stopped."""

    def __call__(self, step: int, predictions: Array) -> float:
        """Score ``predictions`` for the validation rows; give the objective. Raises :class:`Stop`."""
        ...


@dataclass(frozen=True)
class Slot:
    """A place for one trial at a time. ``environment`` holds the variables its process must start with. ``kinds`` are
    the kinds of job that it takes; none: those of its own device."""

    device: str
    threads: int
    memory_mb: int
    environment: Mapping[str, str]
    kinds: tuple[DeviceKind, ...] = ()

    def takes(self, job: Job) -> bool:
        """Whether a job may run here."""
        return kind_of(job.device) in (self.kinds or (kind_of(self.device),))

    def given(self, job: Job) -> Job:
        """The job with the device that it gets here; one that needs no GPU computes on the CPU beside it."""
        return replace(job, device="cpu" if kind_of(job.device) == "cpu" else self.device)


def kind_of(device: str) -> DeviceKind:
    """The kind of a device: ``gpu`` of ``gpu:1`` and of ``gpu`` itself."""
    return "cpu" if device == "cpu" else "gpu"


def kinds_by_device(devices: Sequence[str]) -> dict[DeviceKind, tuple[DeviceKind, ...]]:
    """Of slots on these devices, which kinds of job those of each kind take. Where all are of one kind, they take all:
    there is memory for one process only, say, and a tree may grow in one that has a GPU."""
    kinds = {kind_of(device) for device in devices}
    return {kind: (kind,) if len(kinds) > 1 else ("cpu", "gpu") for kind in sorted(kinds)}
