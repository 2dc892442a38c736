"""Controllers that some environments bring along: what a textbook does there, to hold agents against.

Takes episodes; gives the returns of the environment's own controllers in them. What they do is written beside the
environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from automl_phys import episode_play

if TYPE_CHECKING:
    from automl_phys.environment_problem import Episodes


class Known(NamedTuple):
    """A controller: what it is called, where it is made, with what, and what it does."""

    name: str
    module: str
    arguments: Mapping[str, Any]
    text: str


CONTROLLERS: Mapping[str, tuple[Known, ...]] = {
    "automl_phys/BeamSteering-v0": (
        Known("the textbook's controller", "automl_phys.beam_environment", {},
              "a fixed share of the pseudo-inverse of the response matrix times the readings, on the same episodes"),
        Known("the averaging controller", "automl_phys.beam_environment", {"averaging": True},
              "the same with all readings so far weighed alike, on the same episodes")),
    "automl_phys/CoolOscillator-v0": (
        Known("the textbook's controller", "automl_phys.oscillator_environment", {},
              "kicks against the velocity that a linear estimate from the readings has, on the same episodes"),)}


def played(episodes: Episodes) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    """Of each controller that the environment has its name, what it does, and its returns (E,)."""
    for known in CONTROLLERS.get(episodes.spec.id, ()):
        make: Callable[..., Any] = import_module(known.module).controller
        with episode_play.stage(episodes.spec, len(episodes)) as on:
            one = make(on.environments[0], **known.arguments)
            found = episode_play.play(on, episodes.seeds, partial(_each, one))
        yield known.name, known.text, found[:, 0]


def _each(act: Callable[[Any], Any], observations: Any, _begun: NDArray[np.bool_]) -> NDArray[Any]:
    return np.stack([np.asarray(act(one)) for one in observations])
