"""Several objectives at once: which trials are not beaten in all of them, as a figure and a table.

Takes the plan and finished trials; gives figures and tables as data. Pure.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Sequence
from math import isfinite

from automl_phys import objectives
from automl_phys.decisions import Plan
from automl_phys.exhibits import Axis, Figure, Series, Table
from automl_phys.readable import cell, settings
from automl_phys.trials import Trial
from automl_phys.values import Direction

LOG_FROM = 20.0
"""An axis whose largest value is so many times its smallest is logarithmic."""


def front(plan: Plan, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that no other one beats or equals in every objective, the best in the first one first."""
    return _front(trials, [plan.objective, *plan.others], [plan.direction, *plan.others.values()])


def figures(plan: Plan, trials: Sequence[Trial], winner: Collection[int], baseline: int) -> tuple[Figure, ...]:
    """The first objective against each other one; ``winner`` and ``baseline`` are the numbers of their trials."""
    done = [t for t in trials if _values(t, list(plan.others)) is not None]
    return tuple(_figure(plan, done, name, winner, baseline) for name in plan.others) if done else ()


def tables(plan: Plan, trials: Sequence[Trial]) -> tuple[Table, ...]:
    """The trials on the front, and how to take one of them."""
    found = front(plan, trials) if plan.others else []
    if not found:
        return ()
    rows: tuple[tuple[str | int, ...], ...] = tuple(
        (t.job.number, t.job.family, cell(t.result.value), *(cell(t.result.others[name]) for name in plan.others),
         settings(t.job.params)) for t in found)
    head = ("Trial", "Family", *(objectives.label(name) for name in (plan.objective, *plan.others)), "Settings")
    note = ("No other trial beats these in every objective, on the validation rows. The winner is chosen by the first "
            "objective alone. To have another one instead, pin its settings; of trial "
            f"{found[-1].job.number}, for instance: automl-phys run RECIPE {pinning(plan, found[-1])}")
    return (Table("Pareto front", head, rows, note),)


def pinning(plan: Plan, trial: Trial) -> str:
    """Options of the command line that have the settings of a trial tried and nothing else, but for the baseline."""
    family = trial.job.family
    sets = [f"model.families=[{family}]", "model.ensemble=1", f"search.objective={plan.objective}",
            f"search.trials={1 if family == plan.baseline else 2}"]
    sets += [f"model.{name if '+' in family else f'{family}.{name}'}={json.dumps(value)}"
             for name, value in trial.job.params.items()]
    return " ".join(f"--set {shlex.quote(one)}" for one in sets)


def sentence(plan: Plan, trials: Sequence[Trial]) -> str:
    """How many trials are on the front."""
    done = [t for t in trials if _values(t, list(plan.others)) is not None]
    names = " and ".join([plan.objective, *plan.others])
    count = len(front(plan, trials))
    return f"{count} of {len(done)} trials {'are' if count != 1 else 'is'} on the Pareto front of {names}."


def _figure(plan: Plan, done: Sequence[Trial], name: str, winner: Collection[int], baseline: int) -> Figure:
    def points(title: str, of: Sequence[Trial]) -> Series:
        return Series(title, "points", tuple(t.result.others[name] for t in of), tuple(map(_first, of)))

    best = _front(done, [plan.objective, name], [plan.direction, plan.others[name]])
    marked = [points("winner", [t for t in done if t.job.number in winner]),
              points("baseline", [t for t in done if t.job.number == baseline])]
    families = [points(family, [t for t in done if t.job.family == family])
                for family in dict.fromkeys(t.job.family for t in done)]
    return Figure(
        f"pareto-{name.replace('_', '-').replace('@', '-')}", "Pareto front of the search", "xy",
        _axis(objectives.label(name), [t.result.others[name] for t in done]),
        Axis(f"{objectives.label(plan.objective)} (validation)"),
        (*families, _steps(best, name), *(one for one in marked if one.x)), section="Search",
        caption=f"Each point is a trial that was done. No trial is better in both than the {len(best)} at the corners "
                "of the line: who gives a little of the one for more of the other takes one of these.")


def _axis(label: str, values: Sequence[float]) -> Axis:
    """An axis with some room at both ends."""
    low, high = min(values), max(values)
    if low > 0 and high > LOG_FROM * low:
        return Axis(label, scale="log", low=low / 1.5, high=high * 1.5)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(label, low=low - room, high=high + room)


def _steps(best: Sequence[Trial], name: str) -> Series:
    """The front as a line with steps: the best in the first objective that is to be had at each value of the other."""
    x: list[float] = []
    y: list[float] = []
    for trial in reversed(best):  # the first objective gets better, the other one worse
        if y:
            x.append(trial.result.others[name])
            y.append(y[-1])
        x.append(trial.result.others[name])
        y.append(_first(trial))
    return Series("front", "line", tuple(x), tuple(y))


def _front(trials: Sequence[Trial], names: Sequence[str], directions: Sequence[Direction]) -> list[Trial]:
    signs = [-1 if direction == "maximize" else 1 for direction in directions]
    costs: list[tuple[tuple[float, ...], Trial]] = []
    for trial in trials:
        values = _values(trial, names[1:])
        if values is not None:
            costs.append((tuple(sign * value for sign, value in zip(signs, values, strict=True)), trial))
    kept: list[tuple[tuple[float, ...], Trial]] = []
    for cost, trial in sorted(costs, key=lambda one: (one[0], one[1].job.number)):
        if not any(all(a <= b for a, b in zip(other, cost, strict=True)) for other, _ in kept):
            kept.append((cost, trial))
    return [trial for _, trial in kept]


def _values(trial: Trial, others: Sequence[str]) -> list[float] | None:
    """All objectives of a trial that was done, None when one is missing."""
    result = trial.result
    if result.status != "done" or result.value is None or any(name not in result.others for name in others):
        return None
    values = [result.value, *(result.others[name] for name in others)]
    return values if all(map(isfinite, values)) else None


def _first(trial: Trial) -> float:
    return trial.result.value if trial.result.value is not None else float("nan")
