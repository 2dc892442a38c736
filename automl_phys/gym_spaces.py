"""Spaces of observations and actions as plain data, so that a saved agent needs no pickle.

Takes spaces of Gymnasium that agents take (see :func:`automl_phys.environment_wrappers.for_agents`), gives mappings
that go through JSON, and the way back. Imports Gymnasium.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from automl_phys.values import Array


def to_plain(space: spaces.Space[Any]) -> dict[str, Any]:
    """A space as plain data. Raises TypeError for a kind that agents do not take."""
    if isinstance(space, spaces.Dict):
        return {"kind": "dict", "parts": {key: to_plain(part) for key, part in space.spaces.items()}}
    if isinstance(space, spaces.Discrete):
        return {"kind": "discrete", "n": int(space.n)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"kind": "multi-discrete", "n": [int(n) for n in space.nvec]}
    if isinstance(space, spaces.MultiBinary):
        return {"kind": "multi-binary", "n": int(space.n) if isinstance(space.n, (int, np.integer)) else list(space.n)}
    if isinstance(space, spaces.Box):
        return {"kind": "box", "shape": list(space.shape), "type": space.dtype.name, "low": _ends(space.low),
                "high": _ends(space.high)}
    raise TypeError(f"agents do not take spaces of kind {type(space).__name__}")


def from_plain(plain: Mapping[str, Any]) -> spaces.Space[Any]:
    """What :func:`to_plain` was given. Raises KeyError and ValueError for what it did not write."""
    kind = plain["kind"]
    if kind == "dict":
        return spaces.Dict({key: from_plain(part) for key, part in plain["parts"].items()})
    if kind == "discrete":
        return spaces.Discrete(plain["n"])
    if kind == "multi-discrete":
        return spaces.MultiDiscrete(plain["n"])
    if kind == "multi-binary":
        return spaces.MultiBinary(plain["n"])
    shape, kind_of_number = tuple(plain["shape"]), np.dtype(plain["type"])
    return spaces.Box(_filled(plain["low"], shape, kind_of_number), _filled(plain["high"], shape, kind_of_number),
                      dtype=kind_of_number.type)


def _ends(ends: Array) -> Any:
    """One number where all ends are the same; infinities as text, which JSON has no number for."""
    values = [float(end) for end in np.unique(ends)]
    flat = values if len(values) == 1 else [float(end) for end in np.ravel(ends)]
    return [end if np.isfinite(end) else str(end) for end in flat]


def _filled(ends: list[Any], shape: tuple[int, ...], kind: np.dtype[Any]) -> Array:
    values = np.array([float(end) for end in ends])
    return (np.full(shape, values[0]) if len(values) == 1 else values.reshape(shape)).astype(kind)
