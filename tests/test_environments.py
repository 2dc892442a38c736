"""Environments by their id: what is found, what is refused and with which remedy, what is made, what is seen."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from automl_phys import environments
from automl_phys.environments import Spec
from automl_phys.errors import DataError, Mistake, RunError
from automl_phys.values import to_json

OWN = '''
import gymnasium
import numpy as np


class Walk(gymnasium.Env):
    """A walk on a line; ``fault`` is what goes wrong at the third step."""

    metadata = {"render_modes": []}
    observation_space = gymnasium.spaces.Box(-100.0, 100.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, fault="", start=0.0):
        self.fault, self.start = fault, start

    def reset(self, *, seed=None, options=None):
        if self.fault != "seedless":
            super().reset(seed=seed)
        self.place, self.steps = self.start + float(self.np_random.normal()), 0
        return self._seen(), {}

    def step(self, action):
        self.steps += 1
        self.place += 2.0 * action - 1.0
        if self.steps == 3 and self.fault == "raises":
            raise KeyError("lost")
        reward = np.nan if self.steps == 3 and self.fault == "nan" else -abs(self.place)
        return self._seen(), reward, False, False, {}

    def _seen(self):
        if self.fault == "shape":
            return np.zeros(2, np.float32)
        return np.array([self.place], np.float32)


class Other:
    pass
'''


def refused(spec: Spec) -> Mistake:
    with pytest.raises(DataError) as caught:
        environments.find(spec)
    (mistake,) = caught.value.mistakes
    return mistake


@pytest.fixture
def own(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[str, str]:
    """A module of the user's own, and its folder."""
    name = f"walks_{abs(hash(request.node.name)) % 10**8}"
    (tmp_path / f"{name}.py").write_text(OWN, encoding="utf-8")
    yield name, str(tmp_path)
    sys.modules.pop(name, None)
    sys.path[:] = [one for one in sys.path if one != str(tmp_path)]


# ---------------------------------------------------------------- finding

@pytest.mark.parametrize(("name", "meant"), [("CartPole-v2", "CartPole-v1"), ("cartpole-v1", "CartPole-v1"),
                                             ("CartPole", "CartPole-v1"), ("Pendulumm-v1", "Pendulum-v1"),
                                             ("BeamSteering-v0", "automl_phys/BeamSteering-v0"),
                                             ("MountainCarContinous-v0", "MountainCarContinuous-v0")])
def test_an_unknown_id_is_told_what_it_may_have_meant(name: str, meant: str) -> None:
    mistake = refused(Spec(name))
    assert mistake.code == "unknown-environment"
    assert f"Did you mean '{meant}'?" in mistake.text
    assert mistake.key == ("environment", "id")


def test_an_id_like_none_gets_no_suggestion() -> None:
    assert "Did you mean" not in refused(Spec("qqqqqqqq")).text


@pytest.mark.parametrize(("name", "package", "extra"), [
    ("LunarLander-v3", "Box2D", "automl-phys[box2d]"), ("HalfCheetah-v5", "mujoco", "automl-phys[mujoco]"),
    ("ALE/Pong-v5", "ale_py", "ale-py"), ("BreakoutNoFrameskip-v4", "ale_py", "ale-py")])
def test_a_missing_package_is_told_with_what_installs_it(
        name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = environments.util.find_spec
    monkeypatch.setattr(environments.util, "find_spec", lambda one: None if one == package else found(one))
    mistake = refused(Spec(name))
    assert mistake.code == "missing-package"
    assert extra in mistake.remedy


def test_an_environment_that_gymnasium_gave_up_is_told_its_successor() -> None:
    mistake = refused(Spec("HalfCheetah-v2"))
    assert mistake.code == "old-environment"
    assert "HalfCheetah-v5" in mistake.remedy


def test_arguments_that_are_ours_to_set_are_refused_by_their_key() -> None:
    mistake = refused(Spec("CartPole-v1", {"max_episode_steps": 3}))
    assert mistake.key == ("environment", "arguments", "max_episode_steps")
    assert "time_limit" in mistake.remedy


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(DataError, match="gravitation") as caught:
        environments.make(Spec("CartPole-v1", {"gravitation": 3}))
    assert caught.value.mistakes[0].key == ("environment", "arguments")
    assert "sutton_barto_reward" in caught.value.mistakes[0].remedy
    assert "render_mode" not in caught.value.mistakes[0].remedy


def test_a_value_that_an_environment_refuses_is_told_by_the_arguments() -> None:
    with pytest.raises(DataError, match="there has to be a cell") as caught:
        environments.make(Spec("automl_phys/BeamSteering-v0", {"cells": 0}))
    assert caught.value.mistakes[0].key == ("environment", "arguments")
    assert "cells, offset, noise" in caught.value.mistakes[0].remedy


def test_registering_twice_is_harmless() -> None:
    environments.register()
    environments.register()
    assert set(environments.OWN) <= set(gymnasium.registry)


# ---------------------------------------------------------------- code of the user's own

@pytest.mark.parametrize("name", ["{}:Walk", "{}:Walk-v0"])
def test_code_of_the_users_own_does_not_run_unless_trusted(own: tuple[str, str], name: str) -> None:
    module, folder = own
    mistake = refused(Spec(name.format(module), folder=folder))
    assert mistake.code == "untrusted-environment"
    assert "--trust-environment" in mistake.remedy
    assert module in mistake.remedy
    assert module not in sys.modules
    with pytest.raises(DataError):
        environments.make(Spec(name.format(module), folder=folder))
    with pytest.raises(DataError):
        environments.look(Spec(name.format(module), folder=folder))
    assert module not in sys.modules


def test_trusted_code_is_imported_from_the_recipes_folder(own: tuple[str, str]) -> None:
    module, folder = own
    spec = Spec(f"{module}:Walk", {"start": 50.0}, time_limit=5, trusted=True, folder=folder)
    made = environments.make(spec, seed=1)
    assert made.reset()[0][0] == pytest.approx(50, abs=6)
    ends = [made.step(1)[3] for _ in range(5)]
    assert ends == [False] * 4 + [True]
    seen = environments.look(spec)
    assert (seen.time_limit, seen.actions, seen.renders) == (5, 2, False)


def test_an_id_that_a_trusted_module_registers_can_be_made(own: tuple[str, str]) -> None:
    module, folder = own
    path = Path(folder) / f"{module}.py"
    path.write_text(f"{OWN}\ngymnasium.register('Walk-v7', entry_point=Walk, max_episode_steps=3)\n", encoding="utf-8")
    try:
        seen = environments.look(Spec(f"{module}:Walk-v7", trusted=True, folder=folder))
        assert seen.time_limit == 3
    finally:
        gymnasium.registry.pop("Walk-v7", None)


@pytest.mark.parametrize(("name", "said"), [("{}:Wlak", "Did you mean 'Walk'?"), ("no_such_module:Walk", "no module"),
                                            ("{}:np", "no class"), ("{}:", "not the name"), ("a b:Walk", "not the name")])
def test_trusted_code_that_is_not_there_is_refused(own: tuple[str, str], name: str, said: str) -> None:
    module, folder = own
    assert said in refused(Spec(name.format(module), trusted=True, folder=folder)).text


def test_what_is_no_environment_is_refused(own: tuple[str, str]) -> None:
    module, folder = own
    with pytest.raises(DataError, match=r"no gymnasium\.Env"):
        environments.make(Spec(f"{module}:Other", trusted=True, folder=folder))


def test_a_module_that_raises_is_told(own: tuple[str, str]) -> None:
    module, folder = own
    (Path(folder) / f"{module}.py").write_text("1 / 0", encoding="utf-8")
    mistake = refused(Spec(f"{module}:Walk", trusted=True, folder=folder))
    assert "ZeroDivisionError" in mistake.text
    assert module not in sys.modules


def test_a_module_of_the_folder_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(OWN, encoding="utf-8")
    mistake = refused(Spec("json:Walk", trusted=True, folder=str(tmp_path)))
    assert "another module named json" in mistake.text
    assert sys.modules["json"] is json


# ---------------------------------------------------------------- making

def test_a_time_limit_ends_episodes() -> None:
    made = environments.make(Spec("Pendulum-v1", time_limit=3), seed=0)
    made.reset()
    assert [made.step(made.action_space.sample())[3] for _ in range(3)] == [False, False, True]


def test_stacked_vectors_stand_behind_one_another() -> None:
    made = environments.make(Spec("CartPole-v1", frame_stack=3))
    first, _ = made.reset(seed=3)
    second, *_ = made.step(0)
    assert made.observation_space.shape == first.shape == (12,)
    assert np.array_equal(first, np.tile(first[-4:], 3))
    assert np.array_equal(second[:8], first[4:])
    assert not np.array_equal(second[8:], first[8:])


def test_what_cannot_be_stacked_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        environments.make(Spec("FrozenLake-v1", frame_stack=2))
    assert caught.value.mistakes[0].key == ("environment", "frame_stack")


def test_pictures_are_drawn_where_they_are_asked_for() -> None:
    made = environments.make(Spec("automl_phys/CoolOscillator-v0"), seed=0, render=True)
    made.reset()
    assert made.render().dtype == np.uint8


def test_what_draws_none_is_told(own: tuple[str, str]) -> None:
    module, folder = own
    with pytest.raises(RunError, match="draws no pictures"):
        environments.make(Spec(f"{module}:Walk", trusted=True, folder=folder), render=True)


@pytest.mark.parametrize("fault", ["raises", "nan"])
def test_what_goes_wrong_in_a_step_is_told_with_step_and_seed(own: tuple[str, str], fault: str) -> None:
    module, folder = own
    made = environments.make(Spec(f"{module}:Walk", {"fault": fault}, trusted=True, folder=folder))
    made.reset(seed=11)
    made.step(0)
    made.step(1)
    with pytest.raises(RunError, match=r"step 3 of the episode with seed 11") as caught:
        made.step(0)
    assert isinstance(caught.value.__cause__, KeyError) == (fault == "raises")


# ---------------------------------------------------------------- looking

def test_a_classic_is_seen_as_it_is() -> None:
    seen = environments.look(Spec("CartPole-v1"))
    assert (seen.observation, seen.observation_size, seen.action, seen.actions) == ("vector", 4, "discrete", 2)
    assert (seen.time_limit, seen.reward_threshold, seen.renders, seen.notes) == (500, 475.0, True, ())
    assert seen.version == f"gymnasium {gymnasium.__version__}"
    json.dumps(to_json(seen), allow_nan=False)


def test_bounds_of_actions_are_seen() -> None:
    seen = environments.look(Spec("Pendulum-v1", frame_stack=2))
    assert (seen.action, seen.action_low, seen.action_high) == ("continuous", (-2.0,), (2.0,))
    assert (seen.observation_shape, seen.observation_high) == ((6,), 8.0)


def test_a_tuple_becomes_a_vector() -> None:
    seen = environments.look(Spec("Blackjack-v1"))
    assert (seen.observation, seen.observation_size) == ("vector", 32 + 11 + 2)
    assert seen.notes == (environments.ENDLESS,)


@pytest.mark.parametrize("name", list(environments.OWN))
def test_our_own_environments_keep_gymnasiums_rules(name: str) -> None:
    seen = environments.look(Spec(name))
    assert seen.renders
    assert seen.notes == ()
    assert "automl-phys" in seen.version


def test_an_environment_that_breaks_the_rules_is_refused(own: tuple[str, str]) -> None:
    module, folder = own
    with pytest.raises(DataError, match="observation") as caught:
        environments.look(Spec(f"{module}:Walk", {"fault": "shape"}, trusted=True, folder=folder))
    assert caught.value.mistakes[0].code == "environment-check"


def test_an_environment_that_takes_no_seed_is_told_how_to(own: tuple[str, str]) -> None:
    module, folder = own
    with pytest.raises(DataError) as caught:
        environments.look(Spec(f"{module}:Walk", {"fault": "seedless"}, trusted=True, folder=folder))
    assert "super().reset(seed=seed)" in caught.value.mistakes[0].remedy


def test_looking_warns_of_nothing_but_notes_it(own: tuple[str, str]) -> None:
    module, folder = own
    seen = environments.look(Spec(f"{module}:Walk", trusted=True, folder=folder))
    assert environments.ENDLESS in seen.notes


def test_a_spec_goes_through_json() -> None:
    spec = Spec("CartPole-v1", {"sutton_barto_reward": True}, 10, 2, True, "recipes")
    assert Spec(**json.loads(json.dumps(to_json(spec)))) == spec
