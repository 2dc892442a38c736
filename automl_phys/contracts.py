"""The contracts between the spine and its ribs: frozen dataclasses that round-trip through JSON, and Protocols.

Standard library only, so that every other module may import it at no cost. Arrays never live in a dataclass that is
written as JSON; they live in a ``Problem`` (memory-mapped files) or pass through ``Fitted.predict``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from pydantic import BaseModel

    Array: TypeAlias = NDArray[Any]
else:
    Array = Any

Value: TypeAlias = bool | int | float | str | None | list[Any]
"""What a hyperparameter may be: a JSON scalar or a list of them."""
Params: TypeAlias = Mapping[str, Value]
Direction: TypeAlias = Literal["maximize", "minimize"]
Part: TypeAlias = Literal["train", "valid", "test"]
Status: TypeAlias = Literal["done", "pruned", "failed", "timed_out"]
Outcome: TypeAlias = Literal["issue", "tip", "passed", "not applicable"]


# ---------------------------------------------------------------- data to show

@dataclass(frozen=True)
class Table:
    """Rows to show to a person; cells are text or numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Axis:
    """One axis of a figure; ``categories`` names the ticks of a categorical axis (positions 0, 1, …)."""

    label: str
    scale: Literal["linear", "log"] = "linear"
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """One curve, histogram or set of points.

    ``x`` has as many entries as ``y``, or one more when ``style`` is ``steps`` or ``filled``: bin edges. ``low`` and
    ``high`` are the ends of the error band or bar in ``y``, empty when there is none. ``group`` ties series that share
    a colour (train and test of one class); ``muted`` marks a reference line (chance, ideal calibration).
    """

    name: str
    style: Literal["line", "points", "steps", "filled", "bars"]
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    group: str = ""
    muted: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure as data, not as a drawing. ``name`` is its file name and HTML anchor, in kebab-case.

    ``kind`` is ``xy`` (draw ``series``) or ``matrix`` (draw ``matrix[row][column]`` with the axes' categories, row
    along y). ``caption`` says how to read it, in one or two sentences.
    """

    name: str
    title: str
    kind: Literal["xy", "matrix"]
    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    matrix: tuple[tuple[float, ...], ...] = ()
    caption: str = ""
    section: str = "Performance"


@dataclass(frozen=True)
class Estimate:
    """A number with its 68 % interval; ``low`` and ``high`` are NaN when it could not be had, ``note`` says why."""

    value: float
    low: float
    high: float
    note: str = ""


@dataclass(frozen=True)
class Score:
    """How one candidate (the ensemble, a family's best trial, the baseline) did on the test set."""

    name: str
    role: Literal["winner", "member", "baseline"]
    metrics: Mapping[str, Estimate]
    better_than_baseline: Estimate | None = None
    """The gain in the objective over the baseline, paired on the same test events; positive is better."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """What the test set said. ``metrics`` are the winner's; ``scores`` hold winner, families and baseline."""

    verdict: str
    metrics: Mapping[str, Estimate]
    scores: tuple[Score, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What a check found. ``text`` says what was seen and what to do; empty when it passed."""

    code: str
    title: str
    outcome: Outcome
    text: str = ""


# ---------------------------------------------------------------- what the planner knows and decides

@dataclass(frozen=True)
class Facts:
    """What is known of a problem without solving it; enough to plan, small enough to print.

    ``kind`` is ``table`` (later ``images``, ``series``, ``environment``). ``rows`` counts rows by part. ``sizes`` holds
    what families ask for: ``numbers``, ``categories``, ``outputs`` (classes) … ``tables`` are for people.
    """

    kind: str
    rows: Mapping[Part, int]
    sizes: Mapping[str, int]
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Range:
    """The values one hyperparameter may take: ``choices``, or ``low`` to ``high`` inclusive.

    ``when`` names another parameter of the family and the values of it for which this one exists.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False
    choices: tuple[Value, ...] = ()
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True)
class Machine:
    """Where trials run: one host, or ``hosts`` alike. ``gpus`` are device names of one host; memory in MB."""

    cores: int
    memory_mb: int
    gpus: tuple[str, ...] = ()
    hosts: int = 1


@dataclass(frozen=True)
class Chosen:
    """A family that will be tried, and why; memory of one fit in MB."""

    family: str
    reason: str
    memory_mb: int
    space: Mapping[str, Range]
    defaults: tuple[Params, ...]


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run, made by a pure function of recipe, facts and machine."""

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
    executor: str
    workers: int
    threads: int
    devices: tuple[str, ...]
    memory_mb_per_worker: int
    framework: str
    seed: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Slot:
    """A place for one trial at a time. ``environment`` holds the variables its process must start with."""

    device: str
    threads: int
    memory_mb: int
    environment: Mapping[str, str]


# ---------------------------------------------------------------- a trial: out, and back

@dataclass(frozen=True)
class Job:
    """One trial, sent to a worker. ``seed`` depends on the run's seed and ``number`` alone, not on the worker.

    ``rungs`` maps a step to the objective that must be reached there for the trial to go on: the pruner's word, fixed
    when the trial is asked for, so that pruning cannot depend on which worker was faster. ``folds`` > 0 fits on each
    fold of the problem (``resamples(folds, fold_seed)``) instead of on its train part, or on ``fold`` alone when that
    is given. ``steps`` > 0 fits on train and valid together for so many steps, with nothing left to stop early by.
    ``folder``, relative to the run, is where its files go.
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
    limit_s: float | None = None


@dataclass(frozen=True)
class Progress:
    """A trial reached ``step`` with this value of the objective on the validation rows."""

    number: int
    step: int
    value: float


@dataclass(frozen=True)
class Result:
    """How a trial ended. ``value`` is the objective at its best step; ``message`` is the reason when it failed."""

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
    """The winner: a weighted mean of members. ``singles`` are each family's best trial alone, and the ``baseline``."""

    members: tuple[Member, ...]
    singles: Mapping[str, Member]
    objective: str
    valid_value: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What a check looks at: the whole run, read only."""

    plan: Plan
    trials: tuple[Trial, ...]
    ensemble: Ensemble
    evaluation: Evaluation
    problem: Problem


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


# ---------------------------------------------------------------- plug-ins

class Fitted(Protocol):
    """A trained model of one family. What it saves is data (``.keras``, LightGBM text, arrays), never a pickle."""

    @property
    def steps(self) -> int:
        """Step (epoch, tree) that was kept."""
        ...

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """The learning curve: one mapping per step, keys ``step``, ``train_loss``, ``valid_loss``; may be empty."""
        ...

    def predict(self, rows: Any) -> Array: ...
    def save(self, folder: Path) -> None: ...


class Problem(Protocol):
    """What is to be solved, opaque to the spine: a table, images, a series, an environment."""

    folder: Path

    @property
    def fingerprint(self) -> str:
        """The task's ``fingerprint`` of the inputs that this problem was made from."""
        ...

    def facts(self) -> Facts: ...

    @property
    def train(self) -> Any:
        """What a family fits on."""
        ...

    @property
    def valid(self) -> Any:
        """What steps, trials and ensembles are judged on."""
        ...

    @property
    def test(self) -> Any:
        """What :mod:`automl_phys.evaluate` looks at, once."""
        ...

    def resamples(self, count: int, seed: int) -> Sequence[Problem]:
        """``count`` variations made of train and valid alone: folds of a table, fresh seeds of an environment."""
        ...

    def whole(self) -> Problem:
        """Train and valid together as train, and the same again as valid: for a fit that is not judged by it."""
        ...


class Task(Protocol):
    """A module in ``tasks/``."""

    Options: type[BaseModel]
    DEFAULT_FAMILIES: tuple[str, ...]
    DEFAULT_OBJECTIVE: str
    BASELINE: str
    OBJECTIVES: Mapping[str, Direction]

    def look(self, options: Any, folder: Path, seed: int) -> Facts:
        """Facts from a header and as few columns as will do. Raises DataError with all mistakes."""
        ...

    def prepare(self, options: Any, folder: Path, target: Path, seed: int) -> Problem:
        """Read, check, split, write the problem into ``target``. Raises DataError with all mistakes."""
        ...

    def load(self, folder: Path) -> Problem: ...

    def fingerprint(self, options: Any, folder: Path, seed: int) -> str:
        """Hash of all that ``prepare`` would make a problem of, contents of files included. Raises DataError."""
        ...

    def score(self, objective: str, part: Any, predictions: Array) -> float: ...

    def evaluate(self, problem: Problem, candidates: Sequence[Candidate], objective: str, seed: int) -> Evaluation: ...

    def read_new(self, problem: Problem, source: Path) -> Any:
        """New data as the families' ``predict`` takes it, columns checked. Raises DataError."""
        ...

    def write_scores(self, problem: Problem, rows: Any, predictions: Array, target: Path) -> None: ...


@dataclass(frozen=True)
class Candidate:
    """A finished model and its predictions, as :mod:`automl_phys.evaluate` hands them to a task; the winner is first.

    ``predictions`` are for test rows, the winner's for train rows too. ``predict`` scores other rows of the problem
    (shuffled ones, for permutation importance) with few of the models, where there are many. ``note`` says what
    the train rows were to the model: fitted on by all of it, or by parts of it.
    """

    name: str
    role: Literal["winner", "member", "baseline"]
    predictions: Mapping[Part, Any]
    predict: Callable[[Any], Any]
    seconds: float = 0.0
    note: str = ""


class Family(Protocol):
    """A module in ``families/``."""

    SOLVES: frozenset[str]
    NEEDS: tuple[str, ...]
    TEXT: str

    def skip(self, facts: Facts) -> str | None:
        """Why this family cannot take this problem; None when it can."""
        ...

    def memory_mb(self, facts: Facts) -> int: ...

    def space(self, facts: Facts) -> dict[str, Range]: ...

    def defaults(self, facts: Facts) -> tuple[Params, ...]:
        """Good configurations, best first; complete (every parameter whose ``when`` holds) and inside ``space``."""
        ...

    def fit(self, problem: Any, params: Params, job: Job, watch: Watch) -> Fitted: ...

    def load(self, folder: Path) -> Fitted: ...


class ExecutorModule(Protocol):
    """A module in ``executors/``."""

    def open_executor(
        self, slots: Sequence[Slot], run_dir: Path, trial: Callable[[Job, Callable[[Progress], None]], Result]
    ) -> Executor: ...


class Executor(Protocol):
    """Where trials run; made by ``open_executor`` of a module in ``executors/``."""

    def submit(self, job: Job) -> None: ...

    def poll(self, timeout_s: float) -> Sequence[Progress | Result]:
        """What has come in since the last call, waiting at most ``timeout_s`` for the first."""
        ...

    def cancel(self, number: int) -> None: ...

    def close(self) -> None: ...


class Source(Protocol):
    """A module in ``sources/``: one file format, read in chunks."""

    SUFFIXES: tuple[str, ...]

    def peek(self, path: Path) -> Header: ...

    def read(self, path: Path, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]: ...


@dataclass(frozen=True)
class Header:
    """What a file says of itself without being read. ``columns`` maps a name to ``number``, ``text``, ``flag``
    or ``other``. ``rows`` is None where only reading tells."""

    columns: Mapping[str, str]
    rows: int | None


class Check(Protocol):
    """A module in ``checks/``. ``check`` gives the outcome and the text of its finding."""

    CODE: str
    TITLE: str

    def check(self, seen: Seen) -> tuple[Outcome, str]: ...


class Show(Protocol):
    """How a stage tells a person what goes on; the terminal's implementation is in :mod:`automl_phys.console`."""

    def begin(self, plan: Plan, folder: Path) -> None:
        """A run begins, or is taken up again, with this plan in this folder."""
        ...

    def stage(self, title: str) -> None:
        """A stage begins."""
        ...

    def say(self, text: str) -> None:
        """One line worth keeping in the log."""
        ...

    def advance(self, done: int, total: int, text: str = "") -> None:
        """The running stage has done ``done`` of ``total`` steps."""
        ...

    def trial(self, event: Job | Progress | Result) -> None:
        """A trial was sent out, moved on, or ended."""
        ...


def only_kind(facts: Facts, kind: str) -> str | None:
    """For a family that takes one kind of problem: why it cannot take this one, None when it can."""
    return None if facts.kind == kind else f"takes a {kind}, not {facts.kind}"


def direction_of(objectives: Mapping[str, Direction], name: str) -> Direction:
    """Whether an objective is to be maximised; ``rejection@0.35`` counts as the ``rejection@…`` that is listed.

    Raises KeyError for a name that is not among ``objectives``.
    """
    if name in objectives:
        return objectives[name]
    stem, at, _ = name.partition("@")
    for listed, direction in objectives.items():
        if at and listed.startswith(stem + at):
            return direction
    raise KeyError(name)


# ---------------------------------------------------------------- JSON

def to_json(thing: Any) -> Any:
    """Dataclasses, mappings and tuples as plain JSON values; NaN and infinities as ``"nan"``, ``"inf"``, ``"-inf"``."""
    if is_dataclass(thing) and not isinstance(thing, type):
        return {f.name: to_json(getattr(thing, f.name)) for f in fields(thing)}
    if isinstance(thing, Mapping):
        return {str(k): to_json(v) for k, v in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [to_json(v) for v in thing]
    if isinstance(thing, float) and not isfinite(thing):
        return str(thing)
    return thing
