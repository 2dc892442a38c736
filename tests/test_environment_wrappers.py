"""Wrappers: episodes can be begun again by their seed, failures name their place, spaces become such as agents take."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from automl_phys.environment_wrappers import Checked, for_agents
from automl_phys.errors import DataError, RunError

KEY = ("environment", "frame_stack")


class Fixed(gymnasium.Env):
    """Observes what it is told, or random numbers of its space; ``reward`` may be anything."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space, reward: Any = 0.0,
                 observe: Any = None) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self.reward, self.observe, self.taken = reward, observe, None

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self._seen(), {}

    def step(self, action: Any) -> tuple:
        self.taken = action
        return self._seen(), self.reward, False, False, {}

    def _seen(self) -> Any:
        return self.observation_space.sample() if self.observe is None else self.observe


BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)


def test_every_episode_can_be_begun_again_by_its_seed() -> None:
    env = Checked(gymnasium.make("CartPole-v1"), "CartPole-v1", seed=5)
    begun = []
    for _ in range(3):
        begun.append((env.reset()[0], env.episode_seed))
    assert begun[0][1] == 5
    assert len({seed for _, seed in begun}) == 3
    for observation, seed in begun:
        assert np.array_equal(env.reset(seed=seed)[0], observation)
    again = Checked(gymnasium.make("CartPole-v1"), "CartPole-v1", seed=5)
    again.reset()
    assert np.array_equal(again.reset()[0], begun[1][0])


@pytest.mark.parametrize("reward", [np.nan, np.inf, None, "much"])
def test_a_reward_that_is_no_number_is_told(reward: Any) -> None:
    env = Checked(Fixed(BOX, spaces.Discrete(2), reward), "fixed")
    env.reset(seed=7)
    with pytest.raises(RunError, match="'fixed', step 1 of the episode with seed 7") as caught:
        env.step(0)
    assert caught.value.mistakes[0].code == "reward-not-finite"


def test_an_observation_that_is_no_number_is_told_with_its_component() -> None:
    env = Checked(Fixed(BOX, spaces.Discrete(2), observe=np.array([0.0, np.nan], np.float32)), "fixed")
    with pytest.raises(RunError, match=r"reset of the episode with seed 7: the environment observed nan at \[1\]"):
        env.reset(seed=7)


def test_an_observation_that_is_no_number_is_told_with_its_step() -> None:
    inner = Fixed(BOX, spaces.Discrete(2))
    env = Checked(inner, "fixed")
    env.reset(seed=7)
    env.step(0)
    inner.observe = np.array([-np.inf, 0.0], np.float32)
    with pytest.raises(RunError, match=r"step 2 of the episode with seed 7: the environment observed -inf at \[0\]"):
        env.step(0)


def test_a_part_of_a_mapping_that_is_no_number_is_told_by_its_key() -> None:
    seen = {"a": np.zeros(2, np.float32), "b": np.array([np.inf, 0.0], np.float32)}
    env = Checked(Fixed(spaces.Dict(a=BOX, b=BOX), spaces.Discrete(2), observe=seen), "fixed")
    with pytest.raises(RunError, match=r"inf at b\[0\]"):
        env.reset(seed=7)


def test_a_step_that_gives_something_else_is_told() -> None:
    class Short(Fixed):
        def step(self, action: Any) -> tuple:
            return super().step(action)[:4]

    env = Checked(Short(BOX, spaces.Discrete(2)), "short")
    env.reset(seed=0)
    with pytest.raises(RunError, match="instead of"):
        env.step(0)


def test_what_a_reset_raises_is_chained() -> None:
    class Broken(Fixed):
        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
            raise OSError("no device")

    with pytest.raises(RunError, match="OSError: no device") as caught:
        Checked(Broken(BOX, spaces.Discrete(2)), "broken").reset(seed=1)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_picture_that_fails_is_told() -> None:
    class Blind(Fixed):
        def render(self) -> None:
            raise OSError("no display")

    env = for_agents(Checked(Blind(BOX, spaces.Discrete(2)), "blind"), 2, KEY)
    with pytest.raises(RunError, match="no display") as caught:
        env.render()
    assert "MUJOCO_GL" in caught.value.mistakes[0].remedy


def test_actions_count_from_0() -> None:
    inner = Fixed(BOX, spaces.Discrete(3, start=-1))
    env = for_agents(inner, 1, KEY)
    assert env.action_space == spaces.Discrete(3)
    env.reset(seed=0)
    env.step(0)
    assert inner.taken == -1


def test_observations_that_do_not_count_from_0_become_zeros_and_ones() -> None:
    env = for_agents(Fixed(spaces.Discrete(3, start=5), spaces.Discrete(2), observe=np.int64(6)), 1, KEY)
    assert env.reset(seed=0)[0].tolist() == [0, 1, 0]


def test_a_matrix_becomes_a_vector() -> None:
    env = for_agents(Fixed(spaces.Box(0.0, 1.0, (2, 3), np.float32), spaces.Discrete(2)), 1, KEY)
    assert env.reset(seed=0)[0].shape == (6,)


def test_images_are_stacked_in_their_channels() -> None:
    space = spaces.Box(0, 255, (4, 5, 3), np.uint8)
    env = for_agents(Fixed(space, spaces.Discrete(2)), 2, KEY)
    first, _ = env.reset(seed=0)
    second = env.step(0)[0]
    assert second.shape == env.observation_space.shape == (4, 5, 6)
    assert second.dtype == np.uint8
    assert np.array_equal(second[..., :3], first[..., 3:])


@pytest.mark.parametrize("space", [spaces.Box(-np.inf, np.inf, (1,), np.float32), spaces.Tuple((BOX, BOX)),
                                   spaces.Dict(a=BOX)])
def test_actions_that_no_agent_takes_are_refused(space: spaces.Space) -> None:
    with pytest.raises(DataError) as caught:
        for_agents(Fixed(BOX, space), 1, KEY)
    assert caught.value.mistakes[0].code == "environment-space"


@pytest.mark.parametrize("space", [spaces.Dict(a=spaces.Dict(b=BOX)), spaces.Text(4), spaces.Sequence(BOX)])
def test_observations_that_no_agent_takes_are_refused(space: spaces.Space) -> None:
    with pytest.raises(DataError, match="observation space"):
        for_agents(Fixed(space, spaces.Discrete(2)), 1, KEY)
