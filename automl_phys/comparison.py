"""Finished runs side by side: where their recipes differ, what they measured, how sure each difference is.

Takes the folders of runs, the first of which the others are compared with; gives a :class:`Comparison`. Nothing is
fitted or predicted again: what the winners said of the test rows is in the runs. Where two runs were tested on the
same events, and their task can tell (:class:`automl_phys.contracts.Paired`), the error of a difference is that of both
on the same draws of these events; else the errors are combined as independent, and it says so. Curves are laid over
each other by :mod:`automl_phys.overlays`; how all of it looks is left to the terminal and to
:mod:`automl_phys.comparison_page`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import hypot, isfinite, isnan, nan
from string import ascii_uppercase
from typing import Any, Literal, TypeAlias

from automl_phys import leaderboard, locks, measures, overlays, readable, recipe_text, registry, run_state, rundir
from automl_phys.archive_contents import LOCK
from automl_phys.contracts import Finished, Paired
from automl_phys.data_files import Inputs
from automl_phys.decisions import Plan
from automl_phys.errors import AutomlPhysError, CallError, Mistake
from automl_phys.exhibits import Estimate, Evaluation, Figure
from automl_phys.rundir import RunDir
from automl_phys.telling import Tell, counted, nobody
from automl_phys.trials import Ensemble

MOST_RUNS = 10
"""As many as there are colours."""
ENOUGH = 2.0
"""Sigmas from which on two runs are told apart."""
SAME_VALUE = 1e-6
"""Relative difference up to which what the scores give is what the run measured."""

How: TypeAlias = Literal["paired", "through the baseline", "independent", "none"]
Word: TypeAlias = Literal["better", "worse", "larger", "smaller", "the same", "not to be told apart", "not known"]


@dataclass(frozen=True)
class Compared:
    """One run. ``letter`` is what it is called here; ``data`` counts its rows in words."""

    letter: str
    name: str
    folder: str
    task: str
    objective: str
    data: str
    winner: str
    verdict: str

    @property
    def label(self) -> str:
        """For legends."""
        return f"{self.letter} {self.name}"


@dataclass(frozen=True)
class Changed:
    """A key whose values differ: by letter of the run, without runs that do not have it."""

    key: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """By how much a metric of a run is larger than that of the first run.

    ``sigmas`` is None where the error is not known; ``word`` says what that makes of the run. ``how`` is how the error
    was had: on the same draws of the same test events, through the gains of both over the same baseline, which are
    paired, or from two independent errors.
    """

    value: Estimate
    sigmas: float | None
    how: How
    word: Word


@dataclass(frozen=True)
class Measured:
    """A metric in all runs, by letter, and its differences to the first."""

    name: str
    values: Mapping[str, Estimate]
    differences: Mapping[str, Difference]


@dataclass(frozen=True)
class Comparison:
    """What differs between runs. ``notes`` are sentences on tasks, data and test events; ``verdicts`` one for each run
    but the first, on the first one's objective."""

    runs: tuple[Compared, ...]
    verdicts: tuple[str, ...]
    notes: tuple[str, ...]
    recipe: tuple[Changed, ...]
    decisions: tuple[Changed, ...]
    environment: tuple[Changed, ...]
    metrics: tuple[Measured, ...]
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class _Run:
    """The files of a run that are read; ``fingerprint`` is empty where the run does not say what it was made from."""

    folder: RunDir
    plan: Plan
    evaluation: Evaluation
    fingerprint: str
    calibration: Mapping[str, Any]


def make(folders: Sequence[RunDir], tell: Tell = nobody) -> Comparison:
    """Compare runs with the first of them; ``tell`` hears how many are.

    Raises CallError for fewer than two, for what is no finished run, for one that is given twice, and for damaged
    files.
    """
    _check(folders)
    runs = dict(zip(ascii_uppercase, map(_read, folders), strict=False))
    first, *others = runs
    pairs = {letter: _Pair(runs[first], runs[letter]) for letter in counted(others, "runs compared", tell)}
    compared = tuple(_compared(letter, run) for letter, run in runs.items())
    drawn = {one.label: run.evaluation for one, run in zip(compared, runs.values(), strict=True)}
    metrics = tuple(_metrics(runs, pairs))
    return Comparison(
        compared, tuple(_verdicts(compared, metrics)),
        (*_tasks(compared), *(note for letter, pair in pairs.items() for note in pair.notes(first, letter)),
         *_alone(runs)),
        _changed({letter: flat(recipe_text.read(run.folder.recipe).data) for letter, run in runs.items()}),
        _changed({letter: dict(_decisions(run.plan)) for letter, run in runs.items()}),
        _changed({letter: flat(rundir.read_json(run.folder.environment, dict[str, Any]))
                  for letter, run in runs.items()}),
        metrics, overlays.overlay(drawn))


def flat(data: Mapping[str, Any], beneath: str = "") -> dict[str, Any]:
    """Nested mappings as one, by dotted keys. Lists are values; so is a mapping without keys."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{beneath}{key}.")
        else:
            found[f"{beneath}{key}"] = value
    return found


# ---------------------------------------------------------------- reading

def _check(folders: Sequence[RunDir]) -> None:
    """Raise CallError with all that is wrong with the folders."""
    mistakes = [run_state.not_finished(run.path) for run in folders
                if not run.evaluation.exists() or not run.plan.exists()]
    known: dict[str, RunDir] = {}
    for run in folders:
        before = known.setdefault(str(run.path.resolve()), run)
        if before is not run:
            also = f", which {before.path} is too" if before.path != run.path else ""
            mistakes.append(Mistake("same-run", f"{run.path} is given twice{also}.", "Give each run once."))
    if len(folders) < 2:
        mistakes.append(Mistake("too-few-runs", "It takes two runs or more to compare.",
                                "Give their folders: automl-phys compare RUN RUN"))
    if len(folders) > MOST_RUNS:
        mistakes.append(Mistake("too-many-runs", f"{len(folders)} runs are too many to be told apart in one figure.",
                                f"Give at most {MOST_RUNS}."))
    if mistakes:
        raise CallError(list(dict.fromkeys(mistakes)))


def _read(folder: RunDir) -> _Run:
    lock = None if folder.inputs.exists() else locks.find(folder.path / LOCK)  # an archive has the lock alone
    made_from = lock.inputs if lock else (
        rundir.read_json(folder.inputs, Inputs).fingerprint if folder.inputs.exists() else "")
    return _Run(folder, rundir.read_json(folder.plan, Plan), rundir.read_json(folder.evaluation, Evaluation), made_from,
                rundir.read_json(folder.ensemble, Ensemble).calibration)


def _compared(letter: str, run: _Run) -> Compared:
    winner = run.evaluation.scores[0].name if run.evaluation.scores else ""
    return Compared(letter, run.plan.name, str(run.folder.path), run.plan.task, run.plan.objective,
                    readable.parts(run.plan.facts), winner, run.evaluation.verdict)


# ---------------------------------------------------------------- what was wanted, and decided

def _changed(by_run: Mapping[str, Mapping[str, Any]]) -> tuple[Changed, ...]:
    """Keys that not all runs have with one value, in the order in which they stand."""
    keys = dict.fromkeys(key for values in by_run.values() for key in values)
    there = {key: {letter: values[key] for letter, values in by_run.items() if key in values} for key in keys}
    return tuple(Changed(key, values) for key, values in there.items()
                 if len(values) < len(by_run) or len({repr(value) for value in values.values()}) > 1)


def _decisions(plan: Plan) -> Iterator[tuple[str, str]]:
    """What the planner made of recipe, data and machine."""
    yield from readable.decisions(plan)
    yield "Families", ", ".join(chosen.family for chosen in plan.families)
    yield "Rows", readable.parts(plan.facts)


def _tasks(runs: Sequence[Compared]) -> Iterator[str]:
    tasks = {run.letter: run.task for run in runs}
    if len(set(tasks.values())) > 1:
        said = ", ".join(f"{letter} is {task}" for letter, task in tasks.items())
        yield f"These are different tasks: {said}. A metric of one name may mean something else in each of them."


# ---------------------------------------------------------------- what was measured

class _Pair:
    """A run beside the first: whether both were tested on the same events, and differences that are paired."""

    def __init__(self, first: _Run, other: _Run) -> None:
        self.first, self.other = first, other
        self.same_inputs = first.plan.task == other.plan.task and first.fingerprint == other.fingerprint != ""
        self.same_events = self.same_inputs
        self.failed = ""
        self.differences: Mapping[str, Estimate] = {}
        task = registry.load("tasks", first.plan.task)
        if first.plan.task != other.plan.task or not isinstance(task, Paired):
            return
        try:
            one, two = (Finished(task.load(run.folder.problem), run.folder.predictions, run.calibration)
                        for run in (first, other))
            self.same_events = task.same_events(one.problem, two.problem)
            if self.same_events:
                names = [name for name in first.evaluation.metrics if name in other.evaluation.metrics]
                self.differences = task.differences(names, one, two, first.plan.seed)
        except AutomlPhysError as error:
            self.failed = str(error).splitlines()[0]
        except OSError:  # an archive has none, or it was removed to save room
            self.failed = "the prepared events of one of them are not there."

    def notes(self, first: str, letter: str) -> Iterator[str]:
        """What the reader must know of the data of both."""
        both = f"{first} and {letter}"
        if self.same_inputs:
            yield f"{both} have the same inputs: the same data, columns, split and seed."
        elif self.same_events:
            yield f"{both} have different inputs, but the same test events."
        elif self.first.plan.task == self.other.plan.task and not self.failed:
            yield f"{both} were not tested on the same events: their errors are combined as independent."
        if self.failed:
            yield f"The test events of {both} cannot be paired, and errors are combined as independent: {self.failed}"
        elif self.same_events and not self.differences:
            yield (f"Task {self.first.plan.task} gives no paired errors of differences: they are combined as "
                   "independent, or through the same baseline, and are too large rather than too small.")

    def difference(self, name: str) -> Difference:
        """Of a metric that both have."""
        one, two = (run.evaluation.metrics[name] for run in (self.first, self.other))
        at = two.value - one.value
        paired, limit = self.differences.get(name), _is_limit(one) or _is_limit(two)
        if limit:
            return _difference(name, Estimate(at, nan, nan, "one of them is a limit"), "none")
        if paired and abs(paired.value - at) <= SAME_VALUE * max(abs(one.value), abs(two.value)):
            return _difference(name, Estimate(at, paired.low, paired.high, "paired bootstrap"), "paired")
        low = at - hypot(two.value - two.low, one.high - one.value)
        high = at + hypot(two.high - two.value, one.value - one.low)
        through = self._through_baseline(name)
        if through is not None and not 2 * through >= high - low:
            return _difference(name, Estimate(at, at - through, at + through, "gains over the same baseline"),
                               "through the baseline")
        if isnan(low) or isnan(high):
            return _difference(name, Estimate(at, nan, nan, "one of them has no error"), "none")
        return _difference(name, Estimate(at, low, high, "errors combined as independent"), "independent")

    def _through_baseline(self, name: str) -> float | None:
        """The error of the difference in the objective from the gains of both over the same baseline, each paired."""
        if not self.same_inputs or {self.first.plan.objective, self.other.plan.objective} != {name}:
            return None
        gains, baselines = [], []
        for run in (self.first, self.other):
            gains += [score.better_than_baseline for score in run.evaluation.scores[:1]]
            baselines += [score.metrics[name].value for score in run.evaluation.scores
                          if score.role == "baseline" and name in score.metrics]
        halves = [(gain.high - gain.low) / 2 for gain in gains if gain is not None]
        if len(halves) < 2 or len(baselines) < 2 or baselines[0] != baselines[1] or not all(map(isfinite, halves)):
            return None
        return hypot(*halves)


def _is_limit(found: Estimate) -> bool:
    """Whether an interval has no end, or there is no value."""
    return not isfinite(found.value) or abs(found.low) == float("inf") or abs(found.high) == float("inf")


def _difference(name: str, value: Estimate, how: How) -> Difference:
    sigmas = sigmas_of(value)
    return Difference(value, sigmas, how, _word(name, value.value, sigmas))


def sigmas_of(value: Estimate) -> float | None:
    """A difference in units of its error, with its sign; None where the error is not known, or none for a difference
    that is not 0."""
    half = (value.high - value.low) / 2
    if not (isfinite(value.value) and isfinite(half)) or (half <= 0 and value.value != 0):
        return None
    return leaderboard.sigmas(value)


def _word(name: str, value: float, sigmas: float | None) -> Word:
    if sigmas is None:
        return "not known"
    if value == 0:
        return "the same"
    if abs(sigmas) < ENOUGH:
        return "not to be told apart"
    direction = measures.better_when(name)
    if direction is None:
        return "larger" if value > 0 else "smaller"
    return "better" if (value > 0) == (direction == "maximize") else "worse"


def _metrics(runs: Mapping[str, _Run], pairs: Mapping[str, _Pair]) -> Iterator[Measured]:
    """Metrics of the first run that another has too, its objective first."""
    first, *_ = runs
    objective, found = runs[first].plan.objective, {letter: run.evaluation.metrics for letter, run in runs.items()}
    for name in sorted(found[first], key=lambda name: name != objective):
        values = {letter: metrics[name] for letter, metrics in found.items() if name in metrics}
        if len(values) > 1:
            others = [letter for letter in values if letter != first]
            yield Measured(name, values, {letter: pairs[letter].difference(name) for letter in others})


def _alone(runs: Mapping[str, _Run]) -> Iterator[str]:
    """What cannot be compared, as only some runs have it."""
    for letter, run in runs.items():
        others = [other.evaluation.metrics for name, other in runs.items() if name != letter]
        alone = [readable.metric(name) for name in run.evaluation.metrics if not any(name in each for each in others)]
        if alone:
            yield f"Only {letter} has: {', '.join(alone)}."


def _verdicts(runs: Sequence[Compared], metrics: Sequence[Measured]) -> Iterator[str]:
    """What the first run's objective says of each of the others."""
    first, *others = runs
    measured = next((m for m in metrics if m.name == first.objective), None)
    for run in others:
        found = measured.differences.get(run.letter) if measured else None
        if found is None:
            yield f"{run.letter} does not have the objective of {first.letter}, {readable.metric(first.objective)}."
            continue
        label = readable.metric(first.objective)
        strength = "" if found.sigmas is None else f" ({abs(found.sigmas):.1f} σ)"
        by = leaderboard.size(found.value)
        match found.word:
            case "the same":
                yield f"{run.letter} has the same {label} as {first.letter}."
            case "not to be told apart":
                yield (f"{run.letter} and {first.letter} are not to be told apart in {label}: they differ by "
                       f"{by}{strength}.")
            case "not known":
                yield (f"{run.letter} differs from {first.letter} in {label} by {by}; the error of that is not known, "
                       "nor whether it means anything.")
            case word:
                yield f"{run.letter} is {word} than {first.letter} in {label} by {by}{strength}."
