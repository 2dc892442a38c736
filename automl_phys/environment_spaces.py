"""Spaces of observations and actions: which agents can take, and what is to be known of them to plan.

Takes Gymnasium's spaces; gives plain values (:class:`Observed`, :class:`Acted`). Imports Gymnasium: whoever has to
start fast imports this late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from gymnasium import spaces

Space: TypeAlias = spaces.Space[Any]


@dataclass(frozen=True)
class Observed:
    """Observations: how many numbers ``size`` (of discrete ones the values that there are), and the ends ``low`` and
    ``high`` of all of them."""

    kind: Literal["vector", "image", "discrete", "dict"]
    size: int
    shape: tuple[int, ...]
    low: float
    high: float


@dataclass(frozen=True)
class Acted:
    """Actions: how many to choose from or, of those that are not discrete, how many dimensions; ``low`` and ``high`` of
    each that is continuous, and how many ``choices`` in each that is not."""

    kind: Literal["discrete", "continuous", "multi-discrete", "multi-binary"]
    count: int
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    choices: tuple[int, ...] = ()


def takes(space: Space) -> bool:
    """Whether Stable-Baselines3 has policies for this kind of space."""
    if isinstance(space, spaces.MultiDiscrete):
        return space.nvec.ndim == 1 and not np.any(space.start)
    if isinstance(space, spaces.Discrete):
        return bool(space.start == 0)
    return isinstance(space, (spaces.Box, spaces.MultiBinary))


def bounded(space: Space) -> bool:
    """Whether every component has a lowest and a highest value."""
    return not isinstance(space, spaces.Box) or bool(np.isfinite(space.low).all() and np.isfinite(space.high).all())


def observed(space: Space) -> Observed:
    """What is to be known of observations, of a space that agents take or a mapping of such."""
    if isinstance(space, spaces.Dict):
        parts = [observed(one) for one in space.values()]
        size = sum(part.size for part in parts)
        return Observed("dict", size, (size,), min(part.low for part in parts), max(part.high for part in parts))
    shape = tuple(space.shape or ())
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        many = [int(space.n)] if isinstance(space, spaces.Discrete) else [int(one) for one in space.nvec]
        return Observed("discrete", sum(many), shape, 0.0, float(max(many) - 1))
    low, high = (space.low, space.high) if isinstance(space, spaces.Box) else (np.zeros(1), np.ones(1))
    return Observed("image" if len(shape) == 3 else "vector", int(np.prod(shape)), shape,
                    float(np.min(low)), float(np.max(high)))


def acted(space: Space) -> Acted:
    """What is to be known of actions, of a space that agents take."""
    if isinstance(space, spaces.Discrete):
        return Acted("discrete", int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        return Acted("multi-discrete", len(space.nvec), choices=tuple(int(one) for one in space.nvec))
    count = int(np.prod(space.shape or ()))
    if not isinstance(space, spaces.Box):
        return Acted("multi-binary", count, choices=(2,) * count)
    low, high = (tuple(float(end) for end in ends.ravel()) for ends in (space.low, space.high))
    return Acted("continuous", count, low, high)
