"""Wrappers that make an environment fit for agents, and its failures told with their place.

Takes an environment as Gymnasium makes it. :class:`Checked` raises RunError for what the environment raises and for
numbers that are none; :func:`for_agents` puts the last observations into one and turns spaces that
Stable-Baselines3 has no network for into those it has. Imports Gymnasium: whoever has to start fast imports this late.
"""

from __future__ import annotations

from typing import Any, SupportsFloat, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation, FrameStackObservation, TransformAction, TransformObservation

from automl_phys.environment_spaces import bounded, takes
from automl_phys.errors import AutomlPhysError, DataError, Key, Mistake, RunError

Environment: TypeAlias = gymnasium.Env[Any, Any]

ID: Key = ("environment", "id")
HEADLESS = "Without a screen, set MUJOCO_GL=egl for MuJoCo and SDL_VIDEODRIVER=dummy for pygame."
STEP = "(observation, reward, terminated, truncated, info)"
SEEDS = 2**31 - 1
"""Seeds of episodes are below this, so that any generator takes them."""


class Checked(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment that fails with its place: which step, of the episode of which seed, and what was the cause.

    Every episode has a seed: the one that ``reset`` is given, else one drawn from a generator that was seeded with the
    last one given (before that, with ``seed``). ``reset(seed=episode_seed)`` therefore begins that very episode again.
    """

    def __init__(self, env: Environment, name: str, seed: int | None = None) -> None:
        super().__init__(env)
        self.name = name
        self.episode_seed: int | None = None
        self.step_number = 0
        self._seeds = np.random.default_rng(seed)
        self._next = seed
        if seed is not None:
            self.action_space.seed(seed)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode. Raises RunError where the environment raises, or observes what is not a number."""
        if seed is not None:
            self._seeds = np.random.default_rng(seed)
        elif self._next is not None:
            seed = self._next
        else:
            seed = int(self._seeds.integers(SEEDS))
        self._next, self.episode_seed, self.step_number = None, seed, 0
        try:
            begun = self.env.reset(seed=seed, options=options)
        except AutomlPhysError:
            raise
        except Exception as error:
            raise self._raised(error) from error
        if isinstance(begun, tuple) and len(begun) == 2:  # else Gymnasium's checker says so
            self._finite(begun[0])
        return begun

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """One step. Raises RunError where the environment raises, or observes or rewards what is not a number."""
        self.step_number += 1
        try:
            made = self.env.step(action)
        except AutomlPhysError:
            raise
        except Exception as error:
            raise self._raised(error) from error
        try:
            observation, reward, _, _, _ = made
        except (TypeError, ValueError) as error:
            raise self._wrong("environment-step", f"gave {type(made).__name__} instead of {STEP}") from error
        try:
            fair = bool(np.isfinite(float(reward)))
        except (TypeError, ValueError) as error:
            raise self._wrong("reward-not-finite", f"gave the reward {reward!r}, which is not a number") from error
        if not fair:
            raise self._wrong("reward-not-finite", f"gave the reward {float(reward)}")
        self._finite(observation)
        return made

    def render(self) -> Any:
        """A picture. Raises RunError where drawing it fails, as it may on a machine without a screen."""
        try:
            return self.env.render()
        except AutomlPhysError:
            raise
        except Exception as error:
            raise RunError(Mistake("no-pictures", f"'{self.name}' could not be drawn: {type(error).__name__}: {error}",
                                   HEADLESS, ID)) from error

    def _finite(self, observation: Any) -> None:
        parts = observation if isinstance(observation, dict) else {"": observation}
        for key, part in parts.items():
            if isinstance(part, np.ndarray) and part.dtype.kind == "f" and not np.isfinite(part).all():
                where = np.argwhere(~np.isfinite(part))[0].tolist()
                what = f"{key}{where}" if part.ndim else key
                raise self._wrong("observation-not-finite",
                                  f"observed {part[tuple(where)]} at {what}" if what else f"observed {part}")

    def _place(self) -> str:
        when = f"step {self.step_number}" if self.step_number else "reset"
        return f"'{self.name}', {when} of the episode with seed {self.episode_seed}"

    def _wrong(self, code: str, what: str) -> RunError:
        return RunError(Mistake(code, f"{self._place()}: the environment {what}.", self._remedy(), ID))

    def _raised(self, error: Exception) -> RunError:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return RunError(Mistake("environment-raised", f"{self._place()}: the environment raised {said}",
                                self._remedy(), ID))

    def _remedy(self) -> str:
        return f"reset(seed={self.episode_seed}) and the same actions lead there again."


def for_agents(env: Environment, frame_stack: int, stack_key: Key) -> Environment:
    """The environment with spaces that agents take: tuples and numbers that don't count from 0 as vectors of zeros and
    ones, actions from 0, ``frame_stack`` observations in one (vectors behind one another, images in their channels).
    Raises DataError for spaces that there is no way for."""
    space = env.observation_space
    if isinstance(space, spaces.Tuple) or (isinstance(space, spaces.Discrete) and space.start != 0) or (
            isinstance(space, spaces.Box) and len(space.shape) not in (1, 3)):
        try:
            env = FlattenObservation(env)
        except NotImplementedError as error:
            raise DataError(_cannot("observation", space)) from error
    elif not takes(space) and not (isinstance(space, spaces.Dict) and all(takes(one) for one in space.values())):
        raise DataError(_cannot("observation", space))
    env = _counted_from_0(env)
    if not takes(env.action_space) or not bounded(env.action_space):
        raise DataError(_cannot("action", env.action_space))
    return _stacked(env, frame_stack, stack_key) if frame_stack > 1 else env


def _cannot(what: str, space: spaces.Space[Any]) -> Mistake:
    kind = type(space).__name__
    unbounded = " without finite bounds" if what == "action" and isinstance(space, spaces.Box) else ""
    remedy = "Give every component a lowest and a highest value." if unbounded else \
        "Agents take Box, Discrete, MultiDiscrete and MultiBinary, and as observation Dict of these."
    return Mistake("environment-space", f"No agent can handle this {what} space: {kind}{unbounded}.", remedy, ID)


def _counted_from_0(env: Environment) -> Environment:
    space = env.action_space
    if not isinstance(space, spaces.Discrete) or space.start == 0:
        return env
    return TransformAction(env, lambda action: int(action) + int(space.start), spaces.Discrete(int(space.n)))


def _stacked(env: Environment, frame_stack: int, key: Key) -> Environment:
    space = env.observation_space
    if not isinstance(space, spaces.Box):
        raise DataError(Mistake("environment-frame-stack", f"There is no stacking of {type(space).__name__} spaces.",
                                "Leave frame_stack at 1.", key))
    stacked = FrameStackObservation(env, frame_stack)
    if len(space.shape) == 1:
        return FlattenObservation(stacked)
    low, high = (np.concatenate([end] * frame_stack, axis=-1) for end in (space.low, space.high))
    return TransformObservation(stacked, lambda seen: np.concatenate(list(seen), axis=-1),
                                spaces.Box(low, high, dtype=space.dtype.type))
