"""Recipes as regression tests: run them, and hold what they measure against what they expect.

Takes paths of recipes; gives a :class:`Checked` for each, and for each seed where several are asked. All recipes are
read, and what they expect is held against the number of their test events, before the first one runs. Each runs in a
process of its own, so that one that dies takes no other with it, and what one imports changes nothing for the next.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, TypeAlias

from automl_phys import (
    data_files,
    expect_update,
    expectations,
    interrupts,
    locks,
    machine,
    pipeline,
    recipe,
    registry,
    rundir,
    wording,
)
from automl_phys.archive_contents import LOCK
from automl_phys.console import Terminal
from automl_phys.decisions import Plan
from automl_phys.errors import (
    EXIT_DONE,
    EXIT_EXPECTATION_MISSED,
    EXIT_INTERRUPTED,
    EXIT_RUN_FAILED,
    AutomlPhysError,
    DataError,
    Mistake,
    RecipeError,
)
from automl_phys.exhibits import Evaluation
from automl_phys.expect_sections import Expected
from automl_phys.expectations import Held
from automl_phys.recipe import Recipe
from automl_phys.rundir import RunDir

Status: TypeAlias = Literal["passed", "missed", "ran", "failed", "skipped"]
"""``ran`` is all that a run for a look is asked for; ``skipped`` is what was not come to, and never a pass."""


CODE = ("python", "packages", "commit")
"""Of the environment, what another program would change."""


@dataclass(frozen=True)
class Wish:
    """How recipes are run. ``seeds`` is how many each is run with, its own and those that follow."""

    out: Path
    sets: tuple[str, ...] = ()
    smoke: bool = False
    cached: bool = False
    update: bool = False
    trust: bool = False
    trust_cluster: bool = False
    seeds: int = 1
    quiet: bool = False


@dataclass(frozen=True)
class Checked:
    """One recipe with one seed. ``given`` is its path as it was called, ``run`` the folder of its run, ``error`` why
    there is none; ``cached`` says that the run is an earlier one of the very same."""

    given: str
    name: str
    task: str
    seed: int
    status: Status
    held: tuple[Held, ...] = ()
    run: str = ""
    seconds: float = 0.0
    cached: bool = False
    error: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} (seed {self.seed})"


@dataclass
class Checks:
    """All recipes of one call, in order; filled while they run, so that what was finished is there when it is
    interrupted."""

    done: list[Checked] = field(default_factory=list)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        statuses = {one.status for one in self.done}
        if self.interrupted:
            return EXIT_INTERRUPTED
        if statuses & {"failed", "skipped"}:
            return EXIT_RUN_FAILED
        return EXIT_EXPECTATION_MISSED if "missed" in statuses else EXIT_DONE


def load(given: Sequence[str], wish: Wish) -> list[tuple[str, Recipe]]:
    """Read all recipes, each as often as there are seeds. Raises AutomlPhysError with all mistakes of all of them."""
    found: list[tuple[str, Recipe]] = []
    mistakes: list[Mistake] = []
    for one in dict.fromkeys(given):
        try:
            if wish.update:
                expect_update.check(one)
            first = _loaded(one, wish, None)
            mistakes += _unfit(first, wish)
            found += [(one, first if not k else _loaded(one, wish, first.seed + k)) for k in range(wish.seeds)]
        except AutomlPhysError as error:
            mistakes += error.mistakes
    if mistakes:
        raise RecipeError(list(dict.fromkeys(mistakes)))
    return found


def run(found: Sequence[tuple[str, Recipe]], wish: Wish, checks: Checks, show: Terminal) -> None:
    """Run recipes, or find their earlier runs, and fill ``checks``."""
    for number, (given, wanted) in enumerate(found, start=1):
        if checks.interrupted:
            checks.done.append(_checked(given, wanted, "skipped", error="It was not come to: the checks were stopped."))
            continue
        show.say(f"{wanted.name} (seed {wanted.seed}), {number} of {len(found)}")
        began = time.monotonic()
        before = _earlier(wanted, wish.out) if wish.cached else None
        try:
            folder, error = (before, "") if before else _in_own_process(given, wanted.seed, wish)
        except KeyboardInterrupt:
            checks.interrupted = True
            show.say("Stopped by hand; what is left is skipped.")
            checks.done.append(_checked(given, wanted, "skipped", error="It was stopped by hand."))
            continue
        checks.done.append(_judged(given, wanted, wish, folder, error, before is not None, time.monotonic() - began))
        show.say(f"{checks.done[-1].label}: {checks.done[-1].status}.")


def update(found: Sequence[tuple[str, Recipe]], checks: Checks) -> list[str]:
    """Write what was measured into the recipes of which every run came to its end, and judge these runs by what is
    expected now; gives a line for each recipe."""
    told = []
    for given in dict.fromkeys(given for given, _ in found):
        wanted = next(one for path, one in found if path == given)
        done = [one for one in checks.done if one.given == given]
        if any(not one.run for one in done):
            told.append(f"{given} is left as it is: not all of its runs came to their end.")
            continue
        metrics = [rundir.read_json(RunDir(Path(one.run)).evaluation, Evaluation).metrics for one in done]
        objective = rundir.read_json(RunDir(Path(done[0].run)).plan, Plan).objective
        numbers = expect_update.measured(wanted.expect, objective, metrics)
        changed = expect_update.update(Path(given), numbers) if numbers else False
        expected = recipe.load(Path(given)).expect
        checks.done = [_held(one, expected) if one.given == given else one for one in checks.done]
        told.append(f"{given}: {expect_update.label(numbers)}." if changed else f"{given} is up to date.")
    return told


# ---------------------------------------------------------------- before the first run

def _loaded(given: str, wish: Wish, seed: int | None) -> Recipe:
    sets = wish.sets if seed is None else (*wish.sets, f"seed={seed}")
    return recipe.given(given, sets, wish.smoke, wish.trust, wish.trust_cluster)


def _unfit(wanted: Recipe, wish: Wish) -> Iterator[Mistake]:
    """What speaks against checking a recipe at all."""
    if wish.smoke:
        return
    if not wanted.expect and not wish.update:
        yield Mistake("nothing-expected", f"The recipe '{wanted.name}' expects nothing: whatever it gave would pass.",
                      "Write under 'expect:' what its metrics must come to, have it written with --update, or only see "
                      "that it runs with --smoke.", (), wanted.place(()) or wanted.place(("recipe",)))
    if not any(one.allowed for one in wanted.expect.values()):
        return
    with wanted.locating():
        rows = pipeline.make_plan(wanted).facts.rows
    events = rows.get("test", 0)
    for name, one in wanted.expect.items():
        step = expectations.finest(name, one, events)
        if step is not None:
            key = ("expect", name, "tolerance")
            yield Mistake("too-fine", f"The tolerance {one.tolerance} of '{name}' is finer than one event: with "
                          f"{events} test events it changes in steps of some {step:.2g}.",
                          "Give a larger one, or 'sigmas', which counts events by itself.", key, wanted.place(key))


# ---------------------------------------------------------------- running

def _earlier(wanted: Recipe, out: Path) -> Path | None:
    """The newest finished run of the very same recipe, but for what it expects, with the same data, versions and code;
    None where there is none, or where the code has changes that no commit tells."""
    now = machine.describe()
    if str(now["commit"]).endswith("-dirty"):
        return None
    try:
        inputs = registry.load("tasks", wanted.task).fingerprint(wanted.options, wanted.folder, wanted.seed)
        files = data_files.of(wanted)
    except DataError:  # told when it runs
        return None
    for path in sorted((out / wanted.name).glob(f"*/{LOCK}"), reverse=True):
        if path.parent.is_symlink():
            continue
        try:
            lock = locks.read(path)
        except RecipeError:  # damaged, or of another version: no use to this check
            continue
        if (lock.inputs == inputs and lock.data == files and _text(lock.recipe) == _text(wanted.data)
                and all(lock.environment.get(key) == now[key] for key in CODE)):
            return path.parent
    return None


def _text(data: Mapping[str, Any]) -> str:
    """A recipe, whatever it expects, as text to compare."""
    return recipe.as_yaml({key: value for key, value in data.items() if key != "expect"})


def _in_own_process(given: str, seed: int, wish: Wish) -> tuple[Path | None, str]:
    """The folder of a run, or why there is none."""
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            with interrupts.held():
                begun = pool.submit(_run, given, seed, wish)
            return begun.result()
    except BrokenProcessPool:
        return None, "The process died; the system may have run out of memory."


def _run(given: str, seed: int, wish: Wish) -> tuple[Path | None, str]:
    interrupts.let()
    wanted = _loaded(given, wish, seed)
    try:
        with wanted.locating(), Terminal(wish.quiet) as show:
            return pipeline.run(wanted, wish.out, False, show).path, ""
    except AutomlPhysError as error:
        return None, wording.render(error)


def _judged(
    given: str, wanted: Recipe, wish: Wish, folder: Path | None, error: str, cached: bool, seconds: float
) -> Checked:
    """A run against what its recipe expects."""
    if folder is None:
        return _checked(given, wanted, "failed", error=error, seconds=seconds)
    if wish.smoke:
        return _checked(given, wanted, "ran", run=str(folder), seconds=seconds)
    return _held(_checked(given, wanted, "ran", (), str(folder), seconds, cached), wanted.expect)


def _held(one: Checked, expected: Mapping[str, Expected]) -> Checked:
    """A finished run, judged."""
    found = rundir.read_json(RunDir(Path(one.run)).evaluation, Evaluation)
    held = expectations.hold_all(expected, found.metrics)
    return replace(one, held=held, status="missed" if any(not each.kept for each in held) else "passed" if held
                   else "ran")


def _checked(given: str, wanted: Recipe, status: Status, held: tuple[Held, ...] = (), run: str = "",
             seconds: float = 0.0, cached: bool = False, error: str = "") -> Checked:
    return Checked(given, wanted.name, wanted.task, wanted.seed, status, held, run, seconds, cached, error)
