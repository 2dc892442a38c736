"""Episodes played: several environments side by side, one policy, returns and lengths.

Takes a spec, seeds of episodes and a way to act; gives what the episodes came to. A batch always has the same number of
observations, those of ended episodes among them, so that the last digit of what a network says does not depend on which
episode ends first: the same seeds and the same agent give the same numbers. What an agent is, is
:mod:`automl_phys.agents`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl_phys import environments

if TYPE_CHECKING:
    from gymnasium import Env

    from automl_phys.environments import Spec

Act: TypeAlias = Callable[[Any, NDArray[np.bool_]], NDArray[Any]]
"""Actions (k, …) for observations (k, …), or a mapping of such; the flags (k,) are True where an episode begins."""

SIDE_BY_SIDE = 25
"""Environments at most: a network is asked for many actions as quickly as for one, but an environment takes memory."""


@dataclass(frozen=True)
class Moment:
    """One step of an episode: what was observed, what was done about it, and what came of it."""

    episode: int
    step: int
    observation: Any
    action: Any
    reward: float
    terminated: bool
    truncated: bool


Record: TypeAlias = Callable[[Moment], None]


class Stage:
    """Environments that episodes are played in; ``spec`` says which."""

    def __init__(self, spec: Spec, count: int) -> None:
        self.environments: list[Env[Any, Any]] = []
        try:
            for _ in range(count):
                self.environments.append(environments.make(spec))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all of them."""
        for environment in self.environments:
            environment.close()


@contextmanager
def stage(spec: Spec, episodes: int) -> Iterator[Stage]:
    """Environments enough for so many episodes, closed at the end. Raises DataError and RunError."""
    made = Stage(spec, max(1, min(SIDE_BY_SIDE, episodes)))
    try:
        yield made
    finally:
        made.close()


def play(on: Stage, seeds: Sequence[int], act: Act, record: Record | None = None) -> NDArray[np.float64]:
    """Returns and lengths (n, 2) of the episodes with these seeds, rewards summed without discount.

    ``act`` is asked for the actions in all environments of the stage at once. Raises RunError where the environment
    does.
    """
    slots = on.environments[:max(1, min(len(on.environments), len(seeds)))]
    found = np.zeros((len(seeds), 2))
    playing: list[int | None] = []
    seen: list[Any] = []
    waiting = iter(range(len(seeds)))
    for environment in slots:
        episode = next(waiting, None)
        playing.append(episode)
        seen.append(environment.reset(seed=None if episode is None else seeds[episode])[0])
    begun = np.ones(len(slots), bool)
    while any(episode is not None for episode in playing):
        actions = act(together(seen), begun)
        begun = np.zeros(len(slots), bool)
        for slot, (environment, episode) in enumerate(zip(slots, playing, strict=True)):
            if episode is None:
                continue
            action = plain(actions[slot])
            observation, reward, terminated, truncated, _ = environment.step(action)
            if record:
                record(Moment(episode, int(found[episode, 1]), seen[slot], action, float(reward), bool(terminated),
                              bool(truncated)))
            found[episode] += float(reward), 1
            seen[slot] = observation
            if terminated or truncated:
                playing[slot] = following = next(waiting, None)
                if following is not None:
                    seen[slot] = environment.reset(seed=seeds[following])[0]
                    begun[slot] = True
    return found


def together(observations: Sequence[Any]) -> Any:
    """Observations one below the other, of mappings key by key."""
    if isinstance(observations[0], dict):
        return {key: np.stack([one[key] for one in observations]) for key in observations[0]}
    return np.stack([np.asarray(one) for one in observations])


def plain(action: Any) -> Any:
    """An action as environments want it: a number where it is one of several, else an array."""
    return int(action) if np.ndim(action) == 0 else action
