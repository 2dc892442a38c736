"""Every family of agents: trains, plays the same after it was saved, goes on after it was cut off, says what it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import agent_checkpoints, registry, space
from automl_phys.environment_problem import EnvironmentProblem
from automl_phys.facts import Facts
from tests.fixtures import made_environment

FAMILIES = [name for name in registry.names("families") if "reinforce" in registry.load("families", name).SOLVES]
AGENTS = [name for name in FAMILIES if name != "random_agent"]
CONTINUOUS = ("sac", "tqc", "td3", "ddpg")
STEPS = 300


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EnvironmentProblem]:
    """CartPole and a short Pendulum by their kind of actions."""
    return {kind: made_environment.problem(tmp_path_factory.mktemp(kind), name, STEPS, environment={"time_limit": 60})
            for kind, name in (("discrete", "CartPole-v1"), ("continuous", "Pendulum-v1"))}


def kind_of(family: str) -> str:
    return "continuous" if family in CONTINUOUS else "discrete"


class Killed(Exception):  # noqa: N818  # it ends a training, it is not an error
    """Stands for a process that is killed."""


def trained(family: str, problem: EnvironmentProblem, run: Path, killed_at: int = 0, **more: Any) -> Any:
    """An agent, or Killed raised at the look of that number."""
    params = {**made_environment.first(family, problem), **more}
    looks: list[int] = []

    def watch(step: int, predictions: Any) -> float:
        looks.append(step)
        if len(looks) == killed_at:
            raise Killed
        return float(np.mean(predictions[:, 0]))

    return registry.load("families", family).fit(problem, params, made_environment.job(family, run, params), watch)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_space_holds_the_defaults(family: str) -> None:
    module = registry.load("families", family)
    for facts in (registry.load("tasks", "reinforce").EXAMPLE, *_facts()):
        if module.skip(facts):
            continue
        ranges = module.space(facts)
        for params in module.defaults(facts):
            assert space.inside(params, ranges), (facts.name, facts.sizes, params)


def _facts() -> Iterator[Facts]:
    base = registry.load("tasks", "reinforce").EXAMPLE
    for name, discrete, steps in (("CartPole-v1", 1, 100_000), ("Acrobot-v1", 1, 5000), ("Pendulum-v1", 0, 20_000),
                                  ("MountainCarContinuous-v0", 0, 200), ("LunarLander-v3", 1, 1000), ("HalfCheetah-v5", 0, 10**6),
                                  ("own", 0, 64), ("own", 1, 3000)):
        yield Facts("environment", base.rows, {**base.sizes, "discrete": discrete, "continuous": 1 - discrete, "steps": steps},
                    name=name)
    yield Facts("environment", base.rows, {**base.sizes, "image": 1, "vector": 0, "observations": 28224, "copies": 4, "normalize": 1})


@pytest.mark.parametrize("family", FAMILIES)
def test_an_agent_plays_the_same_after_it_was_saved(
    family: str, problems: dict[str, EnvironmentProblem], tmp_path: Path
) -> None:
    problem = problems[kind_of(family)]
    agent = trained(family, problem, tmp_path)
    said = agent.predict(problem.valid)
    assert said.shape == (3, 4) and said.dtype == np.float32 and np.isfinite(said).all()
    agent.save(tmp_path / "model")
    assert not [file for file in (tmp_path / "model").iterdir() if file.suffix not in (".json", ".npz")]
    again = registry.load("families", family).load(tmp_path / "model")
    assert np.array_equal(again.predict(problem.valid), said)
    if family != "random_agent":
        assert not (tmp_path / "trial" / "checkpoint").exists(), "a training that is over leaves no checkpoint"
        assert agent.history[-1]["step"] >= STEPS and agent.steps <= agent.history[-1]["step"]


@pytest.mark.parametrize("family", AGENTS)
def test_a_training_that_was_killed_goes_on_as_it_would_have(
    family: str, problems: dict[str, EnvironmentProblem], tmp_path: Path
) -> None:
    problem = problems[kind_of(family)]
    more: dict[str, Any] = {"normalize": "both"} if family in ("ppo", "dqn", "td3") else {}
    if family in ("sac", "tqc"):
        more["state_dependent_noise"] = True
    whole = trained(family, problem, tmp_path / "whole", **more)
    looks = len(whole.history)
    assert looks >= 4
    with pytest.raises(Killed):
        trained(family, problem, tmp_path / "cut", killed_at=looks - 1, **more)
    assert (tmp_path / "cut" / "trial" / "checkpoint" / agent_checkpoints.COURSE).exists()
    resumed = trained(family, problem, tmp_path / "cut", **more)
    assert json.dumps(resumed.history) == json.dumps(whole.history)
    ours, theirs = resumed.policy.state_dict(), whole.policy.state_dict()
    assert all(np.array_equal(ours[name].numpy(), theirs[name].numpy()) for name in ours)


def test_another_seed_is_another_training(problems: dict[str, EnvironmentProblem], tmp_path: Path) -> None:
    problem = problems["discrete"]
    one, other = (trained("ppo", part, tmp_path / str(i)) for i, part in enumerate((problem, problem.resamples(2, 7)[1])))
    assert one.history != other.history
    assert problem.resamples(2, 7)[0].test == problem.test and problem.resamples(2, 7)[0].variation == "training seed 1"


@pytest.mark.parametrize("family", AGENTS)
def test_what_cannot_be_taken_is_said_with_what_can(family: str, problems: dict[str, EnvironmentProblem]) -> None:
    module = registry.load("families", family)
    assert "not table" in (module.skip(Facts("table", {}, {})) or "")
    fitting = problems[kind_of(family)].facts()
    assert module.skip(fitting) is None
    if family in CONTINUOUS:
        assert "takes continuous actions, not discrete actions" in (module.skip(problems["discrete"].facts()) or "")
    if family in ("dqn", "qrdqn"):
        assert "ppo, sac and tqc do" in (module.skip(problems["continuous"].facts()) or "")
