"""The beam line: its optics by the textbook, its correction, and what noise does to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from automl_phys import beam_environment
from automl_phys.beam_environment import MICRO, MM, RANGE, STEP, BeamSteering, Line, controller, drift, quadrupole
from tests.fixtures import made_environment

CELL = drift(2.3) @ quadrupole(-2.0, 0.2) @ drift(2.3) @ quadrupole(2.0, 0.2)


def played(env: BeamSteering, act: Callable[[Any], Any], seeds: range = range(40), steps: int = 16) -> float:
    """Mean return."""
    return made_environment.mean_return(env, act, seeds, steps)


# ---------------------------------------------------------------- optics

@pytest.mark.parametrize("matrix", [drift(2.3), quadrupole(2.0, 0.2), quadrupole(-2.0, 0.2), CELL])
def test_transfer_matrices_have_determinant_1(matrix: np.ndarray) -> None:
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-12)


def test_a_short_quadrupole_is_a_thin_lens() -> None:
    assert np.allclose(quadrupole(2e6, 2e-7), [[1, 0], [-0.4, 1]], atol=1e-6)
    assert np.allclose(quadrupole(-2e6, 2e-7), [[1, 0], [0.4, 1]], atol=1e-6)


def test_a_quadrupole_is_two_halves() -> None:
    for strength in (2.0, -2.0):
        assert np.allclose(quadrupole(strength, 0.1) @ quadrupole(strength, 0.1), quadrupole(strength, 0.2))


def test_the_response_is_that_of_the_transfer_matrices() -> None:
    line = Line(3)
    kick = np.array([0.0, 1.0])
    assert line.response[0, 0] == pytest.approx((CELL @ kick)[0])
    assert line.response[2, 0] == pytest.approx((CELL @ CELL @ CELL @ kick)[0])
    assert line.response[2, 1] == pytest.approx((CELL @ CELL @ kick)[0])
    assert np.allclose(np.triu(line.response, 1), 0)  # nothing upstream
    assert np.allclose(line.of_injection[line.monitors[1]], (CELL @ CELL)[0])


def test_the_response_is_a_sine_of_the_phase_advance() -> None:
    line = Line(6)
    advance = np.arccos(np.trace(CELL) / 2)
    assert np.degrees(advance) == pytest.approx(58.2, abs=0.1)
    assert np.allclose(line.response[:, 0], CELL[0, 1] / np.sin(advance) * np.sin(advance * np.arange(1, 7)))


def test_all_magnets_shifted_alike_carry_the_axis_with_them() -> None:
    line = Line(4)
    assert np.allclose(line.of_offsets.sum(axis=1) + line.of_injection[:, 0], 1)


def test_a_shifted_quadrupole_kicks_towards_its_axis_or_away_from_it() -> None:
    line = Line(2)
    for quad, strength in ((2, 2.0), (3, -2.0)):  # F and D of the second cell
        behind = 4 + 2 * (quad - 2) + 1  # the place at its end
        shift = (np.eye(2) - quadrupole(strength, 0.2)) @ np.array([1.0, 0.0])
        assert np.allclose(line.of_offsets[:behind, quad], 0)
        assert line.of_offsets[behind, quad] == pytest.approx(shift[0])
        assert line.of_offsets[behind + 1, quad] == pytest.approx((drift(2.3) @ shift)[0])
        assert np.sign(line.of_offsets[behind + 1, quad]) == np.sign(strength)


# ---------------------------------------------------------------- the environment

def test_the_ideal_machine_is_corrected_in_one_step() -> None:
    env = BeamSteering(noise=0.0, calibration=0.0, offset=0.05, injection=0.2)
    act = controller(env, gain=1.0, cut=0.0)
    for seed in range(5):
        seen, before = env.reset(seed=seed)
        _, reward, *_ = env.step(act(seen))
        assert before["squared_mm2"] > 1e-3
        assert reward == pytest.approx(0, abs=1e-10)


def test_the_same_seed_is_the_same_episode() -> None:
    one, other = BeamSteering(), BeamSteering()
    actions = np.random.default_rng(0).uniform(-1, 1, (5, 6)).astype(np.float32)
    assert np.array_equal(one.reset(seed=3)[0], other.reset(seed=3)[0])
    for action in actions:
        first, second = one.step(action), other.step(action)
        assert np.array_equal(first[0], second[0]) and first[1] == second[1]
    assert not np.array_equal(one.reset(seed=4)[0], other.reset(seed=3)[0])


def test_it_keeps_the_rules_without_a_warning() -> None:
    from gymnasium.utils.env_checker import check_env

    check_env(BeamSteering(), skip_render_check=True)


def test_the_reward_is_the_true_squared_trajectory() -> None:
    env = BeamSteering(noise=0.0)
    env.reset(seed=1)
    seen, reward, *_ = env.step(np.full(6, 0.1, np.float32))
    assert reward == pytest.approx(-np.mean(seen[:6].astype(float) ** 2), rel=1e-5)


def test_a_kick_does_what_the_optics_say_times_its_calibration() -> None:
    env = BeamSteering(calibration=0.3)
    env.reset(seed=2)
    before = env.trajectory
    action = np.zeros(6, np.float32)
    action[1] = 0.5
    env.step(action)
    ideal = env.line.of_kicks[:, 1] * 0.5 * STEP * MICRO / MM
    behind = np.abs(ideal) > 1e-6
    gains = (env.trajectory - before)[behind] / ideal[behind]
    assert np.allclose(gains, gains[0])
    assert gains[0] != pytest.approx(1, abs=1e-3)
    assert np.allclose((env.trajectory - before)[~behind], 0)


def test_readings_scatter_by_the_noise_about_the_trajectory() -> None:
    env = BeamSteering(noise=0.25)
    env.reset(seed=5)
    readings = np.array([env.step(np.zeros(6))[0][:6] for _ in range(400)])
    residuals = readings - env.trajectory[env.line.monitors]
    assert residuals.std() == pytest.approx(0.25, rel=0.06)
    assert np.abs(residuals.mean(axis=0)).max() < 0.06


def test_kicks_and_readings_have_an_end() -> None:
    env = BeamSteering()
    env.reset(seed=0)
    for _ in range(5):
        seen, *_ = env.step(np.ones(6, np.float32))
    assert np.allclose(seen[6:12], 1)
    assert np.abs(seen[:6]).max() <= RANGE
    assert seen in env.observation_space
    assert seen[-1] == pytest.approx(1 / 6)


@pytest.mark.parametrize("wrong", [{"cells": 0}, {"noise": -1.0}, {"offset": -0.1}])
def test_what_makes_no_machine_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        BeamSteering(**wrong)


# ---------------------------------------------------------------- controllers

def test_noise_makes_full_corrections_worse_than_careful_ones() -> None:
    env = BeamSteering()
    nothing = played(env, lambda _: np.zeros(6, np.float32))
    pure = played(env, controller(env, gain=1.0, cut=0.0))
    textbook = played(env, controller(env))
    averaging = played(env, controller(env, averaging=True))
    assert nothing < 5 * pure
    assert pure < 1.5 * textbook
    assert textbook < 1.5 * averaging < 0


def test_without_noise_full_corrections_are_best() -> None:
    env = BeamSteering(noise=0.0)
    assert played(env, controller(env, gain=1.0, cut=0.0), range(10)) > played(env, controller(env), range(10))


def test_small_singular_values_are_left_out() -> None:
    env = BeamSteering()
    readings = np.concatenate([np.linalg.svd(env.line.response)[0][:, -1], np.zeros(6), [1.0]])
    assert np.allclose(controller(env, cut=0.2)(readings), 0, atol=1e-6)
    assert np.abs(controller(env, cut=0.0)(readings)).max() > 0.1


def test_the_controller_takes_the_newest_of_stacked_observations() -> None:
    env = BeamSteering()
    seen, _ = env.reset(seed=0)
    act = controller(env)
    assert np.array_equal(act(np.concatenate([np.full(13, 9.0), seen])), act(seen))
    with pytest.raises(TypeError):
        controller(gymnasium.make("CartPole-v1"))


def test_the_picture_shows_the_trajectory() -> None:
    env = BeamSteering(render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.step(np.full(6, 0.3, np.float32))
    second = env.render()
    assert first.shape == second.shape == (270, 480, 3)
    assert first.dtype == np.uint8
    assert (first != second).any(axis=2).sum() > 100
    assert beam_environment.BeamSteering().render() is None
