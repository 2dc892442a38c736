"""The oscillator: its motion by the textbook, its temperature, and what cooling does to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from automl_phys.oscillator_environment import CoolOscillator, controller, estimator, propagator
from tests.fixtures import made_environment


def played(env: CoolOscillator, act: Callable[[Any], int], seeds: range = range(30), steps: int = 200) -> float:
    """Mean reward of a step."""
    return made_environment.mean_return(env, act, seeds, steps) / steps


# ---------------------------------------------------------------- motion

def test_the_propagator_is_the_exponential_of_the_equation() -> None:
    from scipy.linalg import expm

    for quality, time in ((50.0, 0.4), (0.7, 2.0), (5.0, 30.0)):
        assert np.allclose(propagator(quality, time), expm(time * np.array([[0.0, 1.0], [-1.0, -1 / quality]])))
    with pytest.raises(ValueError, match="quality"):
        propagator(0.5, 1.0)


def test_the_plane_shrinks_by_the_friction() -> None:
    assert np.linalg.det(propagator(10.0, 3.0)) == pytest.approx(np.exp(-0.3))


def test_the_noise_keeps_the_thermal_state() -> None:
    env = CoolOscillator(quality=3.0)
    assert np.allclose(env.mean @ env.mean.T + env.spread @ env.spread.T, np.eye(2))


def test_without_kicks_the_mean_energy_is_kt() -> None:
    env = CoolOscillator(quality=5.0)
    assert played(env, lambda _: 1, range(60)) == pytest.approx(-1, abs=0.06)


def test_a_cold_particle_warms_up_at_the_rate_of_the_friction() -> None:
    env = CoolOscillator(quality=20.0)
    energies = []
    for seed in range(600):
        env.reset(seed=seed)
        env.state = np.zeros(2)
        for _ in range(16):
            env.step(np.int64(1))
        energies.append(env.energy)
    assert np.mean(energies) == pytest.approx(1 - np.exp(-2 * np.pi / 20), abs=0.035)


def test_a_kick_changes_the_velocity_at_the_beginning_of_the_step() -> None:
    one, other = CoolOscillator(kick=0.3), CoolOscillator(kick=0.3)
    one.reset(seed=1)
    other.reset(seed=1)
    one.step(np.int64(2))
    other.step(np.int64(1))
    assert np.allclose(one.state - other.state, one.mean @ np.array([0.0, 0.3]))


# ---------------------------------------------------------------- the environment

def test_an_observation_holds_the_last_readings_and_the_kicks_between_them() -> None:
    env = CoolOscillator(noise=0.0, memory=3)
    seen, _ = env.reset(seed=0)
    assert seen[2] == pytest.approx(env.state[0], abs=1e-6)
    assert seen[3:].tolist() == [0, 0]
    later, *_ = env.step(np.int64(2))
    assert np.array_equal(later[:2], seen[1:3])
    assert later[3:].tolist() == [0, 1]
    assert env.step(np.int64(0))[0][3:].tolist() == [1, -1]


def test_the_same_seed_is_the_same_episode() -> None:
    one, other = CoolOscillator(), CoolOscillator()
    assert np.array_equal(one.reset(seed=3)[0], other.reset(seed=3)[0])
    for action in (0, 2, 1, 1):
        first, second = one.step(np.int64(action)), other.step(np.int64(action))
        assert np.array_equal(first[0], second[0]) and first[1] == second[1]
    assert not np.array_equal(one.reset(seed=4)[0], other.reset(seed=3)[0])


def test_it_keeps_the_rules_without_a_warning() -> None:
    from gymnasium.utils.env_checker import check_env

    check_env(CoolOscillator(), skip_render_check=True)


@pytest.mark.parametrize("wrong", [{"memory": 1}, {"noise": -1.0}, {"quality": 0.4}])
def test_what_makes_no_oscillator_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        CoolOscillator(**wrong)


# ---------------------------------------------------------------- the controller

def test_the_estimate_is_the_regression_on_observations() -> None:
    env = CoolOscillator(quality=5.0, noise=0.5, memory=3)
    rng = np.random.default_rng(0)
    seen, true = [], []
    for seed in range(3000):
        env.reset(seed=seed)
        for _ in range(2):
            last, *_ = env.step(np.int64(rng.integers(3)))
        seen.append(last)
        true.append(env.state)
    fitted = np.linalg.lstsq(np.array(seen), np.array(true), rcond=None)[0].T
    assert np.allclose(estimator(env), fitted, atol=0.05)
    assert np.abs(estimator(env)[1]).max() > 0.2


def test_cooling_is_better_than_nothing_and_worse_than_seeing_all() -> None:
    env = CoolOscillator()
    nothing, textbook = played(env, lambda _: 1, range(15)), played(env, controller(env), range(15))
    seeing = played(env, lambda _: 1 - int(env.state[1] > 0.1) + int(env.state[1] < -0.1), range(15))
    assert nothing < 5 * textbook
    assert textbook < 1.5 * seeing < 0


def test_kicks_are_against_the_velocity() -> None:
    env = CoolOscillator()
    act = controller(env)
    rising = np.array([0.0, 0.4, 0.8, 1.2, 0, 0, 0])
    assert (act(rising), act(-rising), act(0 * rising)) == (0, 2, 1)
    assert act(np.concatenate([-rising, rising])) == 0
    with pytest.raises(TypeError):
        controller(gymnasium.make("CartPole-v1"))


def test_the_picture_shows_the_particle() -> None:
    env = CoolOscillator(render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.step(np.int64(2))
    assert first.shape == (240, 240, 3)
    assert first.dtype == np.uint8
    assert (first != env.render()).any(axis=2).sum() > 20
    assert CoolOscillator().render() is None
