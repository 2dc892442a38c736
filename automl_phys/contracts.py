"""The contracts between the spine and its ribs: the Protocols of plug-ins, and what passes between them.

Standard library only, so that every other module may import it at no cost. Arrays never live in a dataclass that is
written as JSON; they live in a ``Problem`` (memory-mapped files) or pass through ``Fitted.predict``. What is known of a
problem is in :mod:`facts`, what is decided in :mod:`decisions`, what is shown to a person in :mod:`exhibits`, a trial's
messages in :mod:`trials`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from automl_phys.decisions import Plan
from automl_phys.errors import Mistake
from automl_phys.exhibits import Estimate, Evaluation, Figure, Outcome
from automl_phys.facts import Facts, Range
from automl_phys.sites import Site
from automl_phys.telling import Tell, nobody
from automl_phys.trials import DeviceKind, Ensemble, Job, Notice, Progress, Result, Slot, Trial, Watch
from automl_phys.values import Direction, Params, Part

if TYPE_CHECKING:
    import pyarrow as pa
    from pydantic import BaseModel

    from automl_phys.column_profiles import Looked
    from automl_phys.drafting import Drafted
    from automl_phys.exporting import Subject, Written
    from automl_phys.onnx_outputs import Output
    from automl_phys.onnx_rows import OnnxRows
    from automl_phys.values import Array


# ---------------------------------------------------------------- problems and tasks

class Problem(Protocol):
    """What is to be solved, opaque to the spine: a table, images, a series, an environment."""

    folder: Path

    @property
    def variation(self) -> str:
        """What this is a variation of the prepared problem by; empty for the problem itself."""
        ...

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
        """``count`` variations made of train and valid alone: folds of a table, bootstraps and nulls of points, fresh
        seeds of an environment."""
        ...

    def whole(self) -> Problem:
        """Train and valid together as train, and the same again as valid: for a fit that is not judged by it."""
        ...


class Task(Protocol):
    """A module in ``tasks/``. ``TEXT`` says in a line what it is for."""

    TEXT: str
    Options: type[BaseModel]
    DEFAULT_OBJECTIVE: str
    BASELINE: str
    EXAMPLE: Facts
    """A problem to ask the families' spaces for before the data are known."""
    REPLICAS: int
    """0 where the predictions of several models may be averaged. Else the best trial wins alone, and this is on how
    many variations of the problem it is fitted again, to see how well it holds; ``facts`` may say another number,
    ``replicas`` in its sizes."""
    REPLICATED: Literal["winner", "families"]
    """What is fitted again: the winner, or the best of each family, on the same variations."""
    LEADERS: float
    """Where predictions are averaged: 0 for members that are chosen greedily, so that each earns its place. Above 0,
    for objectives that are errors, the mean is over the best of each family that are worse than the best of all by no
    more than this share: where validation rows are too few, or too much alike, to choose by."""
    FRAMEWORK: str
    """What Keras must run on for this task; empty where that may be anything."""
    OBJECTIVES: Mapping[str, Direction]

    def families(self, options: Any, asked: Sequence[str]) -> Sequence[str]:
        """Words of the families to try: those ``asked`` for in the recipe, or the task's own."""
        ...

    def refuse(self, objective: str, facts: Facts) -> Mistake | None:
        """What stands in the way of an objective of ``OBJECTIVES`` on this very problem."""
        ...

    def overrides(self, options: Any) -> Mapping[str, Mapping[str, Any]]:
        """By family, what the task's own sections say of its parameters, as ``model`` might."""
        ...

    def look(self, options: Any, folder: Path, seed: int, tell: Tell = nobody) -> Facts:
        """Facts from a header and as few columns as will do; ``tell`` hears how far reading is. Raises
        DataError with all mistakes."""
        ...

    def prepare(self, options: Any, folder: Path, target: Path, seed: int, tell: Tell = nobody) -> Problem:
        """Read, check, split, write the problem into ``target``; ``tell`` hears how far reading is.
        Raises DataError with all mistakes."""
        ...

    def load(self, folder: Path) -> Problem: ...

    def fingerprint(self, options: Any, folder: Path, seed: int, tell: Tell = nobody) -> str:
        """Hash of all that ``prepare`` would make a problem of, contents of files included. Raises DataError."""
        ...

    def score(self, objective: str, part: Any, predictions: Array) -> float: ...

    def calibrate(
        self, problem: Problem, part: Any, predictions: Array, predict: Callable[[Any], Array] | None = None
    ) -> Mapping[str, Any]:
        """What the winner's predictions for rows that it was not fitted on say of its uncertainty, as plain data: the
        half-widths of intervals, thresholds. Empty where there is nothing to calibrate.

        ``predictions`` for ``part`` are by the models of the search or of folds, ``predict`` is the winner as it will
        be used, fitted again on these very rows.
        """
        ...

    def evaluate(
        self, problem: Problem, candidates: Sequence[Candidate], objective: str, calibration: Mapping[str, Any],
        seed: int, tell: Tell = nobody,
    ) -> Evaluation:
        """What the test rows say of the candidates; ``tell`` hears how far that is."""
        ...

    def read_new(self, problem: Problem, source: Path, tell: Tell = nobody) -> Any:
        """New data as the families' ``predict`` takes it, columns checked; ``tell`` hears how far reading is. Raises
        DataError."""
        ...

    def write_scores(
        self, problem: Problem, rows: Any, predictions: Array, calibration: Mapping[str, Any], target: Path
    ) -> None: ...


@runtime_checkable
class Deciding(Protocol):
    """A task whose default objective depends on the problem."""

    def objective_for(self, facts: Facts) -> str: ...


@runtime_checkable
class Drafting(Protocol):
    """A task whose recipe can be filled in from a file of the user's, as ``automl-phys init TASK --data FILE`` does."""

    def draft(self, data: Drafted, looked: Looked, target: str | None) -> Mapping[str, Drafted]:
        """Put into ``data``, which has its path already, what the columns are for; ``target`` is the one that is asked
        for. Gives what the file says of other sections of the recipe, by their names.

        Raises CallError for what cannot be guessed.
        """
        ...


@runtime_checkable
class Exporting(Protocol):
    """A task whose runs can be exported: what is predicted of an event is numbers that depend on its columns alone."""

    def write_onnx(self, rows: OnnxRows, predicted: str, calibration: Mapping[str, Any]) -> tuple[Output, ...]:
        """Of the winner's tensor those of the columns that ``write_scores`` writes."""
        ...


@dataclass(frozen=True)
class Finished:
    """A finished run as a comparison hands it to a task: its prepared problem, the file in which ``write_scores`` put
    what the winner says of the test rows, and the winner's calibration."""

    problem: Any
    scores: Path
    calibration: Mapping[str, Any]


@runtime_checkable
class Paired(Protocol):
    """A task that can tell how sure the difference of two runs is that were judged on the same test events."""

    def same_events(self, one: Problem, other: Problem) -> bool:
        """Whether the test rows of two problems are the same events with the same truth and weights, in the same
        order; their features may differ."""
        ...

    def differences(self, names: Sequence[str], first: Finished, other: Finished, seed: int) -> Mapping[str, Estimate]:
        """By how much metrics of ``other`` are larger than those of ``first``, with the interval of that difference on
        the same draws of the test events; without those of ``names`` that cannot be had so.

        Raises CallError when the scores are missing or damaged, RunError when they do not fit the problem.
        """
        ...


@dataclass(frozen=True)
class Candidate:
    """A finished model and its predictions, as :mod:`automl_phys.evaluate` hands them to a task; the winner is first.

    ``predictions`` are for test rows, the winner's for train rows too. ``predict`` scores other rows of the problem
    (shuffled ones, for permutation importance) with few of the models, where there are many, ``predict_with_all`` with
    all of them. ``note`` says what
    the train rows were to the model: fitted on by all of it, or by parts of it. ``replicas`` are fits of the same
    configuration on variations of the problem, where the task averages no models; ``figures`` are the model's own.
    ``family`` is its family's word, empty for a mean of several.
    """

    name: str
    role: Literal["winner", "member", "baseline"]
    predictions: Mapping[Part, Any]
    predict: Callable[[Any], Any]
    seconds: float = 0.0
    note: str = ""
    replicas: tuple[Replica, ...] = ()
    figures: tuple[Figure, ...] = ()
    family: str = ""
    predict_with_all: Callable[[Any], Any] | None = None
    model: Callable[[], Fitted] | None = None
    """The saved model itself, where it is one alone."""


@dataclass(frozen=True)
class Replica:
    """One configuration fitted on a variation of the problem: a bootstrap, a null, other seeds of an environment.

    ``variation`` is the variation's name, ``value`` the objective on its validation rows, ``predictions`` are for
    these.
    """

    variation: str
    value: float
    predictions: Any
    predict: Callable[[Any], Any]
    """For other rows of the problem."""
    history: tuple[Mapping[str, float], ...] = ()
    """Its learning curve, as in :class:`Fitted`."""
    model: Callable[[], Fitted] | None = None
    """The saved model itself."""


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


# ---------------------------------------------------------------- families

class Searched(Protocol):
    """What the planner asks of every module in ``families/``."""

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


@runtime_checkable
class Costed(Protocol):
    """A family whose trials take much longer than those of others, or much less, and that says so."""

    def cost(self, facts: Facts) -> float:
        """Seconds of a usual trial on one core, roughly: the search shares its time by it, and must not by a clock."""
        ...


@runtime_checkable
class Placed(Protocol):
    """A family of which :func:`device_of` would not tell rightly where its trials run."""

    DEVICE: DeviceKind


@runtime_checkable
class Refusing(Protocol):
    """A family that can tell beforehand that a fit would come to nothing, whatever is chosen from the space."""

    def refuse(self, facts: Facts, space: Mapping[str, Range]) -> Mistake | None:
        """What stands in the way of fitting this very problem with the space as the recipe has it."""
        ...


class Family(Searched, Protocol):
    """A module in ``families/`` that solves a task by itself, or a chain of such that solve it together."""

    def fit(self, problem: Any, params: Params, job: Job, watch: Watch) -> Fitted: ...

    def load(self, folder: Path) -> Fitted: ...


class Reducer(Searched, Protocol):
    """A module in ``families/`` that is the first link of a chain; ``reduce`` is in its ``SOLVES``."""

    def fit(self, points: Array, params: Params, job: Job) -> Reduction:
        """Fit on ``points``, float32 (n, d), alike in scale. Raises DataError for points that it cannot take."""
        ...

    def load(self, folder: Path) -> Reduction: ...


class Reduction(Protocol):
    """A fitted reducer. What it saves is data, never a pickle."""

    @property
    def embedding(self) -> Array:
        """Where the points of the fit were put, float32 (n, k)."""
        ...

    def place(self, points: Array) -> Array:
        """Where other points (m, d) belong, float32 (m, k)."""
        ...

    def save(self, folder: Path) -> None: ...


class Clusterer(Searched, Protocol):
    """A module in ``families/`` that is the last link of a chain; ``cluster`` is in its ``SOLVES``."""

    def fit(self, points: Array, params: Params, job: Job) -> Clustering:
        """Fit on ``points``, float32 (n, k). Raises DataError for points that it cannot take."""
        ...

    def thinned(self, params: Params, share: float) -> Params:
        """The same settings for a random ``share`` of the points: those that count neighbours shrink with it."""
        ...

    def load(self, folder: Path) -> Clustering: ...


class Clustering(Protocol):
    """A fitted clusterer. What it saves is data, never a pickle."""

    @property
    def labels(self) -> Array:
        """Cluster of each point of the fit, int32 (n,), counted from 0; -1 is noise."""
        ...

    @property
    def probabilities(self) -> Array:
        """How surely each point belongs to its cluster, float32 (n,), in [0, 1]; 0 for noise."""
        ...

    def place(self, points: Array) -> tuple[Array, Array]:
        """Labels and probabilities of other points (m, k)."""
        ...

    def save(self, folder: Path) -> None: ...


def device_of(family: Searched) -> DeviceKind:
    """The kind of device that a family's trials run on where there is one: networks of Keras on a GPU, all else on the
    CPU, unless the family says otherwise. It follows from the family alone, so that numbers do not depend on which
    slot was free."""
    if isinstance(family, Placed):
        return family.DEVICE
    return "gpu" if "keras" in family.NEEDS else "cpu"


# ---------------------------------------------------------------- fitted models

class Fitted(Protocol):
    """A trained model of one family. What it saves is data (``.keras``, LightGBM text, arrays), never a pickle."""

    @property
    def steps(self) -> int:
        """Step (epoch, tree) that was kept."""
        ...

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """The learning curve: one mapping per step, keys ``step``, ``train_loss``, ``valid_loss``, of agents
        ``train_return`` and ``valid_return``; may be empty."""
        ...

    def predict(self, rows: Any) -> Array: ...
    def save(self, folder: Path) -> None: ...


@runtime_checkable
class Drawn(Protocol):
    """A fitted model that predicts by random numbers: events, of which a count may go either way when the last digit of
    what was drawn does."""

    def stream(self, conditions: Array, seed: int) -> Iterator[Array]:
        """Events for conditions (n, c), block by block."""
        ...


@runtime_checkable
class Exportable(Protocol):
    """A fitted model that can be written as ONNX."""

    def write_onnx(self, rows: OnnxRows) -> str:
        """Add the nodes that compute what ``predict`` gives, and give the name of their tensor. Raises CallError
        ``not-exportable`` for what has no counterpart."""
        ...


@runtime_checkable
class Networked(Protocol):
    """A fitted model that is one Keras network."""

    @property
    def model(self) -> Any: ...

    def inputs(self, rows: Any) -> tuple[Array, ...]:
        """What the network takes of rows."""
        ...


@runtime_checkable
class Boosted(Protocol):
    """A fitted model that is LightGBM boosters, each ``kept`` up to an iteration."""

    @property
    def boosters(self) -> tuple[Any, ...]: ...
    @property
    def kept(self) -> tuple[int, ...]: ...

    def matrix(self, rows: Any) -> Array:
        """What the boosters take of rows, float32 (n, columns)."""
        ...

    def finished(self, raw: Sequence[Array]) -> Array:
        """What ``predict`` gives, of what the boosters say."""
        ...

    def described(self, schema: Any) -> Mapping[str, Any]:
        """The columns of the matrix, and how the boosters' answers become predictions, as plain data."""
        ...


@runtime_checkable
class Portrayed(Protocol):
    """A fitted model with figures of itself for the report: a tree, loadings, learnt filters."""

    def figures(self) -> tuple[Figure, ...]: ...


# ---------------------------------------------------------------- executors

class ExecutorModule(Protocol):
    """A module in ``executors/``."""

    def open_executor(
        self, slots: Sequence[Slot], run_dir: Path, trial: Callable[[Job, Callable[[Progress], None]], Result],
        site: Site | None = None,
    ) -> Executor: ...


class Executor(Protocol):
    """Where trials run; made by ``open_executor`` of a module in ``executors/``."""

    def submit(self, job: Job) -> None: ...

    def poll(self, timeout_s: float) -> Sequence[Progress | Result | Notice]:
        """What has come in since the last call, waiting at most ``timeout_s`` for the first."""
        ...

    def cancel(self, number: int) -> None: ...

    def close(self) -> None: ...


# ---------------------------------------------------------------- files, exports, checks

class Source(Protocol):
    """A module in ``sources/``: one file format, read in chunks.

    ``INSIDE`` says what a file holds several of, so that one must be named after a colon (``file.root:tree``):
    ``tree``, ``group``; empty where a file is one table.
    """

    SUFFIXES: tuple[str, ...]
    INSIDE: str

    def peek(self, location: Location) -> Header:
        """Columns and rows, from as little of the file as will do. Raises DataError with named mistakes."""
        ...

    def read(self, location: Location, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
        """The named columns in the file's order of rows, at most ``chunk_rows`` at a time; arrays as arrow lists.

        Raises DataError with named mistakes.
        """
        ...


@dataclass(frozen=True)
class Location:
    """A file, and where in it the table is; ``inside`` is empty when the file holds one table only, or none is
    named."""

    path: Path
    inside: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.inside}" if self.inside else str(self.path)


@dataclass(frozen=True)
class Header:
    """What a file says of itself without being read. ``columns`` maps a name to ``number``, ``text``, ``flag``,
    ``time`` (a date or a time stamp), ``list`` (an array of numbers in each row) or ``other``. ``rows`` is None where
    only reading tells. ``shapes`` are those of the arrays that are alike in every row; a ``list`` column without one
    differs from row to row."""

    columns: Mapping[str, str]
    rows: int | None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class Format(Protocol):
    """A module in ``formats/``: what a finished run is exported to. ``SUFFIX`` is the ending of its file, ``NEEDS`` the
    packages to write it and to read it again, ``TEXT`` a few words for a list."""

    SUFFIX: str
    NEEDS: tuple[str, ...]
    TEXT: str

    def write(self, subject: Subject, target: Path) -> Written:
        """Write ``target``, and what goes with it beside it, and compare it with the run; the folder is its own, and
        what is left in it besides is thrown away. Raises CallError for what the format cannot hold, RunError when it
        does not agree."""
        ...


@dataclass(frozen=True)
class Seen:
    """What a check looks at: the whole run, read only."""

    plan: Plan
    trials: tuple[Trial, ...]
    ensemble: Ensemble
    evaluation: Evaluation
    problem: Problem


class Check(Protocol):
    """A module in ``checks/``. ``check`` gives the outcome and the text of its finding.

    ``MEANS``, ``WHY`` and ``REMEDY`` are what ``automl-phys explain CODE`` says, in plain words, a sentence or two
    each; ``SOURCES`` is where to read more, empty for a check that rests on no statistics.
    """

    CODE: str
    TITLE: str
    MEANS: str
    WHY: str
    REMEDY: str
    SOURCES: str

    def check(self, seen: Seen) -> tuple[Outcome, str]: ...


# ---------------------------------------------------------------- what a person is told meanwhile

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
