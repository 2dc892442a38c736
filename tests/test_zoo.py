"""The zoo's published settings and scores: plain data, found by environment and algorithm, such as algorithms take."""

from __future__ import annotations

import inspect
import json
from importlib.resources import files

import pytest
import yaml

from automl_phys import zoo

STORED = yaml.safe_load(files("automl_phys").joinpath("data", "zoo.yaml").read_text(encoding="utf-8"))
ALGORITHMS = ("ppo", "a2c", "dqn", "qrdqn", "sac", "td3", "ddpg", "tqc", "trpo", "ars", "recurrent_ppo")
OF_THE_ZOO = {"n_envs", "n_timesteps", "normalize", "noise_type", "noise_std"}
"""Settings that are not arguments of an algorithm."""


def test_settings_are_those_that_were_published() -> None:
    found = zoo.lookup("CartPole-v1", "ppo")
    assert found == {"n_envs": 8, "n_timesteps": 100000, "policy": "MlpPolicy", "n_steps": 32, "batch_size": 256,
                     "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20, "ent_coef": 0.0,
                     "learning_rate": {"schedule": "linear", "start": 0.001},
                     "clip_range": {"schedule": "linear", "start": 0.2}}


def test_scores_are_those_that_were_published() -> None:
    assert zoo.published("Acrobot-v1", "ppo") == (-73.506, 18.201, 2013)
    assert zoo.published("MountainCar-v0", "dqn").mean == -100.849


@pytest.mark.parametrize(("name", "taken"), [("LunarLander-v3", "LunarLander-v2"), ("HalfCheetah-v5", "HalfCheetah-v4"),
                                             ("CartPole-v1", "CartPole-v1"), ("CartPole-v0", "CartPole-v1")])
def test_another_version_stands_in_and_says_so(name: str, taken: str) -> None:
    assert zoo.tuned(name, "ppo") == taken
    assert zoo.lookup(name, "ppo") == STORED["settings"]["ppo"][taken]


def test_of_several_other_versions_the_newest_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"Some-v2": {"gamma": 0.2}, "Some-v10": {"gamma": 0.1}, "Other-v11": {"gamma": 0.3}}
    monkeypatch.setattr(zoo, "_stored", lambda: {"settings": {"ppo": known}})
    assert zoo.tuned("Some-v3", "ppo") == "Some-v10"
    assert zoo.lookup("Some-v2", "ppo") == {"gamma": 0.2}


def test_scores_of_another_version_say_so() -> None:
    assert zoo.measured("HalfCheetah-v5", "sac") == "HalfCheetah-v3"
    assert zoo.published("HalfCheetah-v5", "sac").mean == 9535.451
    assert zoo.measured("LunarLander-v3", "ppo") == "LunarLander-v2"


def test_what_is_not_there_is_none() -> None:
    for name, algorithm in (("CartPole-v1", "sac"), ("Nothing-v0", "ppo"), ("CartPole-v1", "nothing"),
                            ("automl_phys/BeamSteering-v0", "ppo")):
        assert zoo.lookup(name, algorithm) is None
        assert zoo.published(name, algorithm) is None
        assert zoo.measured(name, algorithm) is zoo.tuned(name, algorithm) is None


def test_every_algorithm_has_settings_and_a_named_source() -> None:
    assert set(STORED["settings"]) == set(ALGORITHMS) <= set(STORED["files"])
    assert all(len(source.partition(" @ ")[2]) == 40 for source in STORED["files"].values())
    assert set(STORED["scores"]) == set(ALGORITHMS) - {"recurrent_ppo"}
    text = files("automl_phys").joinpath("data", "zoo.yaml").read_text(encoding="utf-8")
    assert "Copyright (c) 2019 Antonin RAFFIN. MIT License" in text


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_settings_are_data_and_no_code(algorithm: str) -> None:
    json.dumps(STORED["settings"][algorithm], allow_nan=False)
    for settings in STORED["settings"][algorithm].values():
        for key, value in settings.items():
            if isinstance(value, str):
                assert value in {"policy": ("MlpPolicy", "LinearPolicy", "MlpLstmPolicy"), "ent_coef": ("auto",),
                                 "noise_type": ("normal", "ornstein-uhlenbeck")}.get(key, ()), (key, value)
            if key in ("learning_rate", "clip_range") and isinstance(value, dict):
                assert value["schedule"] == "linear"
                assert 0 < value["start"] < 1
        assert 0 < settings["n_timesteps"] == int(settings["n_timesteps"])


def test_settings_are_arguments_of_the_algorithms() -> None:
    pytest.importorskip("stable_baselines3")
    sb3, contrib = pytest.importorskip("stable_baselines3"), pytest.importorskip("sb3_contrib")
    types = {name: getattr(sb3, name.upper(), None) or getattr(contrib, name.upper(), None) for name in ALGORITHMS}
    types["recurrent_ppo"] = contrib.RecurrentPPO
    for algorithm, by_name in STORED["settings"].items():
        taken = set(inspect.signature(types[algorithm]).parameters) | OF_THE_ZOO
        for name, settings in by_name.items():
            assert set(settings) <= taken, (algorithm, name)
