"""Spaces: what is known of them."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from automl_phys.environment_spaces import Acted, Observed, acted, bounded, observed, takes

BOX = spaces.Box(np.array([-1.0, -2.0], np.float32), np.array([3.0, np.inf], np.float32))


def test_observations_are_told_apart() -> None:
    assert observed(BOX) == Observed("vector", 2, (2,), -2.0, np.inf)
    assert observed(spaces.Box(0, 255, (4, 5, 3), np.uint8)) == Observed("image", 60, (4, 5, 3), 0.0, 255.0)
    assert observed(spaces.Discrete(7)) == Observed("discrete", 7, (), 0.0, 6.0)
    assert observed(spaces.MultiDiscrete([3, 4])) == Observed("discrete", 7, (2,), 0.0, 3.0)
    assert observed(spaces.MultiBinary(3)) == Observed("vector", 3, (3,), 0.0, 1.0)
    assert observed(spaces.Dict(a=BOX, b=spaces.Discrete(5))) == Observed("dict", 7, (7,), -2.0, np.inf)


def test_actions_are_told_apart() -> None:
    assert acted(spaces.Discrete(4)) == Acted("discrete", 4)
    assert acted(spaces.MultiDiscrete([3, 2])) == Acted("multi-discrete", 2, choices=(3, 2))
    assert acted(spaces.MultiBinary(2)) == Acted("multi-binary", 2, choices=(2, 2))
    assert acted(spaces.Box(-1.0, 2.0, (2,), np.float32)) == Acted("continuous", 2, (-1.0, -1.0), (2.0, 2.0))


def test_what_agents_take_is_known() -> None:
    assert takes(BOX) and takes(spaces.Discrete(2)) and takes(spaces.MultiBinary(2)) and takes(spaces.MultiDiscrete([2]))
    assert not takes(spaces.Discrete(2, start=1)) and not takes(spaces.Tuple((BOX,)))
    assert not takes(spaces.MultiDiscrete([[2, 2], [2, 2]]))
    assert not bounded(BOX) and bounded(spaces.Box(0.0, 1.0, (2,))) and bounded(spaces.Discrete(2))
