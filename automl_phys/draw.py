"""Stage: as many new events as are asked for, from the winner of a run that generates.

Takes a run's plan, prepared events and saved generator, a number, a seed and conditions; writes a file block by block,
so that memory does not grow with their number. Block k depends on the seed and k alone: the first events of many are
the same as of few. Conditions that are not fixed are drawn as the training events have them, by weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import ensemble, event_files, registry, rundir
from automl_phys.contracts import Show
from automl_phys.decisions import Plan
from automl_phys.errors import CallError, Mistake
from automl_phys.registry import did_you_mean
from automl_phys.rundir import RunDir
from automl_phys.trials import Ensemble

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.events import EventsProblem
    from automl_phys.generating import Generator, Layout
    from automl_phys.values import Array

CONDITIONS = 2
"""Seeds of conditions are others than those of events."""


def run(plan: Plan, run_dir: RunDir, count: int, seed: int, where: Sequence[str], target: Path, show: Show) -> None:
    """Write ``count`` events to ``target``. ``where`` fixes conditions, each ``NAME=VALUE``.

    Raises CallError for a run that does not generate, an unknown condition or value of it, RunError when the disk
    refuses.
    """
    show.stage("Generate")
    if plan.task != "generate":
        raise CallError(Mistake("not-a-generator", f"{run_dir.path} is a run of task '{plan.task}'.",
                                "Give one of task 'generate'."))
    winner = rundir.read_json(run_dir.ensemble, Ensemble).members[0]
    problem: Any = registry.load("tasks", plan.task).load(run_dir.problem)
    generator: Any = ensemble.model(winner.family, run_dir.path / winner.folders[0])
    conditions = _conditions(problem, _fixed(problem, where))
    event_files.write(_tables(problem, generator, conditions, count, seed, show), target)


@dataclass(frozen=True)
class _Fixed:
    """The place of a condition among all and its value, of a category the code."""

    place: int
    value: float


def _tables(problem: EventsProblem, generator: Generator, conditions: Callable[[np.random.Generator, int], Array],
            count: int, seed: int, show: Show) -> Iterator[pa.Table]:
    from automl_phys import events

    size = generator.block
    for number, start in enumerate(range(0, count, size)):
        block = conditions(np.random.default_rng([seed, number, CONDITIONS]), size)
        wanted = min(size, count - start)
        made = generator.events(block, seed, number)[:wanted]
        yield events.table(problem, made, block[:wanted])
        show.advance(start + wanted, count, "events")


def _conditions(problem: EventsProblem, fixed: Sequence[_Fixed]) -> Callable[[np.random.Generator, int], Array]:
    """What draws conditions (n, c): those of training events, by weight, but for what is fixed."""
    from automl_phys import generating

    known = problem.layout.conditions(problem.train)
    weight = np.asarray(problem.train.fit_weight, np.float64)
    for one in fixed:
        # What is not fixed is drawn as events with this condition have it, where there are any.
        alike = known[:, one.place] == one.value
        if weight[alike].sum() > 0:
            known, weight = known[alike], weight[alike]
    top = np.cumsum(weight)

    def drawn(rng: np.random.Generator, count: int) -> Array:
        some: Array = known[generating.picked(top, rng.random(count))]
        for one in fixed:
            some[:, one.place] = one.value
        return some

    return drawn


def _fixed(problem: EventsProblem, where: Sequence[str]) -> tuple[_Fixed, ...]:
    layout = problem.layout
    found: list[_Fixed] = []
    mistakes: list[Mistake] = []
    for text in where:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or name not in layout.given_names:
            known = f"Conditions of this run: {', '.join(layout.given_names)}." if layout.given_names else \
                "This run has no conditions: 'generate.condition' of the recipe names them."
            mistakes.append(Mistake("unknown-condition", f"'{text}' fixes no condition."
                                    f"{did_you_mean(name, layout.given_names)}", f"Write NAME=VALUE. {known}"))
            continue
        place = layout.given_names.index(name)
        fixed = _code(layout, name, value) if name in layout.levels else _number(problem, name, place, value)
        if isinstance(fixed, Mistake):
            mistakes.append(fixed)
        else:
            found.append(_Fixed(place, fixed))
    if mistakes:
        raise CallError(mistakes)
    return tuple(found)


def _code(layout: Layout, name: str, value: str) -> float | Mistake:
    levels = layout.levels[name]
    if value in levels:
        return float(levels.index(value) + 1)
    return Mistake("unseen-condition", f"'{value}' is no value of '{name}' that the training events have."
                   f"{did_you_mean(value, levels)}", f"Known: {', '.join(levels)}.")


def _number(problem: EventsProblem, name: str, place: int, value: str) -> float | Mistake:
    known = problem.layout.conditions(problem.train)[:, place]
    low, high = float(known.min()), float(known.max())
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if low <= number <= high:
        return number
    return Mistake("unseen-condition", f"'{value}' is not among the values of '{name}' that the training events have.",
                   f"Give a number from {low:g} to {high:g}: beyond, nothing was learnt.")
