"""A family's search space as data: conditions, a recipe's overrides, the grid, and the way to Optuna.

Takes a mapping from a parameter's name to its ``facts.Range``; gives parameters inside it. Optuna is imported by
nobody here: :func:`suggest` only speaks to the trial that it is handed. Which configuration is tried next is
:mod:`automl_phys.proposals`'s work.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Protocol, TypeAlias, cast

from automl_phys.errors import Mistake, RecipeError
from automl_phys.facts import Range
from automl_phys.registry import did_you_mean
from automl_phys.values import Params, Value

Space: TypeAlias = Mapping[str, Range]
Override: TypeAlias = Value | Mapping[str, Value]
"""A pinned value, or the range to search: ``{low, high, log}`` (what is left out stays) or ``{choices}``."""

GRID_LEVELS = 5
MOST_GRID_POINTS = 10_000


class OptunaTrial(Protocol):
    """What :func:`suggest` needs of ``optuna.Trial``."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str: ...
    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int: ...
    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float: ...


def suggest(trial: OptunaTrial, space: Space) -> Params:
    """Ask a trial for every parameter whose ``when`` holds. A choice travels as JSON text, so that it may be a list."""
    params: dict[str, Value] = {}
    for name in _ordered(space):
        allowed = space[name]
        if not _exists(allowed, params):
            continue
        if is_pinned(allowed):
            params[name] = _first(allowed)
        elif allowed.choices:
            params[name] = json.loads(trial.suggest_categorical(name, [json.dumps(c) for c in allowed.choices]))
        elif allowed.integer:
            params[name] = trial.suggest_int(name, int(_low(allowed)), int(_high(allowed)), log=allowed.log)
        else:
            params[name] = trial.suggest_float(name, _low(allowed), _high(allowed), log=allowed.log)
    return params


def for_optuna(params: Params, space: Space) -> dict[str, object]:
    """``params`` as :func:`suggest` would have got them from Optuna; pinned parameters are not Optuna's business."""
    return {name: json.dumps(value) if space[name].choices else value
            for name, value in params.items() if not is_pinned(space[name])}


def inside(params: Params, space: Space) -> bool:
    """Whether ``params`` has exactly the parameters that exist, each with a value that its range allows."""
    existing = {name for name, allowed in space.items() if _exists(allowed, params)}
    return params.keys() == existing and all(allows(space[name], value) for name, value in params.items())


def is_fixed(space: Space) -> bool:
    """Whether every parameter is pinned: there is one configuration."""
    return all(is_pinned(allowed) for allowed in space.values())


def is_pinned(allowed: Range) -> bool:
    """Whether only one value is left, so that there is nothing to search."""
    return len(allowed.choices) == 1 or (not allowed.choices and allowed.low == allowed.high)


def pin(space: Space, params: Params) -> dict[str, Range]:
    """The space that holds nothing but ``params``."""
    return {name: replace(space[name], low=None, high=None, choices=(value,), when={})
            for name, value in params.items()}


def grid(space: Space) -> tuple[Params, ...]:
    """All points of a grid with ``GRID_LEVELS`` values of each number, or as many fewer as keep the grid within
    ``MOST_GRID_POINTS``; ends included, evenly spaced, in the logarithm where the range says so.

    Raises RecipeError when two values of each are too many.
    """
    for levels in range(GRID_LEVELS, 1, -1):
        points: list[Params] = []
        for point in _points(space, _ordered(space), {}, levels):
            points.append(point)
            if len(points) > MOST_GRID_POINTS:
                break
        else:
            return tuple(points)
    raise RecipeError(Mistake(
        "grid-too-large", f"A grid over {len(space)} parameters has more than {MOST_GRID_POINTS} points.",
        "Pin parameters under model, or use 'sampler: tpe'.", ("search", "sampler")))


def override(
    space: Space, defaults: Sequence[Params], overrides: Mapping[str, Override]
) -> tuple[dict[str, Range], tuple[Params, ...]]:
    """A family's space and defaults as a recipe wants them: a pinned value is a range of one choice, a range replaces
    the family's, defaults are moved to the nearest allowed value and told apart.

    Takes overrides that :func:`mistakes` has nothing against.
    """
    changed = {name: _overridden(allowed, overrides[name]) if name in overrides else allowed
               for name, allowed in space.items()}
    moved: list[Params] = []
    for default in defaults:
        params = _moved(default, changed)
        if params not in moved:
            moved.append(params)
    return changed, tuple(moved)


def merged(
    first: Mapping[str, Mapping[str, Override]], second: Mapping[str, Mapping[str, Override]]
) -> dict[str, dict[str, Override]]:
    """By family, what either says of its parameters; of both, the second."""
    return {family: {**first.get(family, {}), **second.get(family, {})} for family in {**first, **second}}


def of_family(name: str, overrides: Mapping[str, Mapping[str, Override]]) -> Mapping[str, Override]:
    """What ``overrides`` say of a family; of a chain, what they say of its links too, which counts for more."""
    of_links = {f"{link}.{parameter}": value
                for link in name.split("+") for parameter, value in overrides.get(link, {}).items()}
    return {**overrides.get(name, {}), **(of_links if "+" in name else {})}


def mistakes(family: str, space: Space, overrides: Mapping[str, Override]) -> tuple[Mistake, ...]:
    """What is wrong with a recipe's overrides of a family's space; each mistake's key points into ``model``."""
    found: list[Mistake] = []
    for name, wanted in overrides.items():
        key = ("model", family, name)
        if name not in space:
            found.append(Mistake(
                "no-such-parameter", f"'{name}' is not a parameter of {family}.{did_you_mean(name, space)}",
                f"Allowed here: {', '.join(space)}.", key))
            continue
        problem = _range_problem(_overridden(space[name], wanted), space[name])
        if problem:
            found.append(Mistake("bad-parameter", f"'{name}' of {family}: {problem}.", _remedy(space[name]), key))
    return tuple(found)


# ---------------------------------------------------------------- order and conditions

def _ordered(space: Space) -> list[str]:
    """Names such that a parameter comes after those that its ``when`` asks about."""
    return list(TopologicalSorter({name: allowed.when.keys() for name, allowed in space.items()}).static_order())


def _exists(allowed: Range, params: Params) -> bool:
    return all(name in params and _among(params[name], values) for name, values in allowed.when.items())


def _among(value: Value, values: Sequence[Value]) -> bool:
    """``in``, but True is not 1."""
    return any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in values)


def allows(allowed: Range, value: Value) -> bool:
    """Whether a range has a value in it."""
    if allowed.choices:
        return _among(value, allowed.choices)
    if not _is_number(value) or (allowed.integer and not isinstance(value, int)):
        return False
    return _low(allowed) <= cast(float, value) <= _high(allowed)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _low(allowed: Range) -> float:
    return cast(float, allowed.low)


def _high(allowed: Range) -> float:
    return cast(float, allowed.high)


def _first(allowed: Range) -> Value:
    if allowed.choices:
        return allowed.choices[0]
    return int(_low(allowed)) if allowed.integer else allowed.low  # a plan that was stored has floats only


def _scaled(value: float, log: bool) -> float:
    return math.log(value) if log else value


# ---------------------------------------------------------------- overrides

def _overridden(allowed: Range, wanted: Override) -> Range:
    if not isinstance(wanted, Mapping):
        return replace(allowed, low=None, high=None, choices=(wanted,))
    if "choices" in wanted:
        choices = wanted["choices"]
        return replace(allowed, low=None, high=None, choices=tuple(choices) if isinstance(choices, list) else ())
    low, high, log = (wanted.get("low", allowed.low), wanted.get("high", allowed.high), wanted.get("log", allowed.log))
    return replace(allowed, low=cast(float, low), high=cast(float, high), log=bool(log), choices=())


def _range_problem(wanted: Range, family: Range) -> str | None:
    """Why a family could not take this range; None when it can."""
    if not wanted.choices:
        if not (_is_number(wanted.low) and _is_number(wanted.high)):
            return "a range needs 'low' and 'high', both numbers, or 'choices', a list that is not empty"
        if family.choices and not all(_is_number(c) for c in family.choices):
            return "it is chosen from a list, it has no range"
        if _low(wanted) > _high(wanted):
            return f"'low' {wanted.low:g} is above 'high' {wanted.high:g}"
        if wanted.log and _low(wanted) <= 0:
            return f"'low' {wanted.low:g} has no logarithm"
        if wanted.integer and not (float(_low(wanted)).is_integer() and float(_high(wanted)).is_integer()):
            return "it is a whole number, and so must 'low' and 'high' be"
        return None
    for choice in wanted.choices:
        if family.choices:
            if all(isinstance(c, (str, bool)) for c in family.choices) and not _among(choice, family.choices):
                return f"{_shown(choice)} is not one of {', '.join(_shown(c) for c in family.choices)}"
            if not any(isinstance(choice, type(c)) or (_is_number(choice) and _is_number(c)) for c in family.choices):
                return f"{_shown(choice)} is not of the kind of {_shown(family.choices[0])}"
        elif not _is_number(choice):
            return f"{_shown(choice)} is not a number"
        elif family.integer and not isinstance(choice, int):
            return f"{_shown(choice)} is not a whole number"
    return None


def _remedy(family: Range) -> str:
    if family.choices:
        return f"The family's own choices: {', '.join(_shown(c) for c in family.choices)}."
    return f"The family's own range: {family.low:g} to {family.high:g}."


def _shown(value: Value) -> str:
    return json.dumps(value)


def _moved(default: Params, space: Space) -> Params:
    """The configuration of ``space`` nearest to ``default``; a parameter it lacks takes the middle of its range."""
    params: dict[str, Value] = {}
    for name in _ordered(space):
        if _exists(space[name], params):
            params[name] = _nearest(default[name], space[name]) if name in default else _middle(space[name])
    return params


def _nearest(value: Value, allowed: Range) -> Value:
    if allows(allowed, value):
        return value
    if not allowed.choices:
        return _middle(allowed) if not _is_number(value) else _clipped(cast(float, value), allowed)
    if _is_number(value) and all(_is_number(c) for c in allowed.choices):
        return min(allowed.choices, key=lambda c: abs(cast(float, c) - cast(float, value)))
    return allowed.choices[0]


def _middle(allowed: Range) -> Value:
    if allowed.choices:
        return allowed.choices[0]
    low, high = _low(allowed), _high(allowed)
    return _clipped(math.sqrt(low * high) if allowed.log else (low + high) / 2, allowed)


def _clipped(value: float, allowed: Range) -> Value:
    value = min(max(value, _low(allowed)), _high(allowed))
    return round(value) if allowed.integer else float(value)


# ---------------------------------------------------------------- grid

def _points(space: Space, names: list[str], params: Params, levels: int) -> Iterator[Params]:
    if not names:
        yield params
        return
    name, *rest = names
    if not _exists(space[name], params):
        yield from _points(space, rest, params, levels)
        return
    for value in _levels(space[name], levels):
        yield from _points(space, rest, {**params, name: value}, levels)


def _levels(allowed: Range, count: int) -> list[Value]:
    if allowed.choices:
        return list(allowed.choices)
    low, high = _scaled(_low(allowed), allowed.log), _scaled(_high(allowed), allowed.log)
    values: list[Value] = []
    for i in range(count):
        point = low + (high - low) * i / (count - 1)
        value = _clipped(math.exp(point) if allowed.log else point, allowed)
        if value not in values:
            values.append(value)
    return values
