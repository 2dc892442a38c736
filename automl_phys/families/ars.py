"""Family ``ars``: augmented random search (Stable-Baselines3 contributed).

H. Mania, A. Guy, B. Recht, NeurIPS 2018 (arXiv:1803.07055): a linear policy, or a small network, moved towards the
random changes of it that did best. No gradients, no value.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Parameter
from automl_phys.contracts import Facts, Fitted, Range
from automl_phys.errors import Mistake
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl_phys.environment_problem import EnvironmentProblem

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3", "sb3_contrib")
TEXT = "random changes of a linear policy, the best followed: a simple opponent"

ALGORITHM = Algorithm("ars", "ARS", frozenset({"discrete", "continuous"}), "sb3_contrib", exploration="none",
                      linear=True)
PARAMETERS = (
    replace(agent_facts.COPIES, default=1), agent_facts.NORMALIZE,
    replace(agent_facts.LEARNING_RATE, default=0.02, searched=Range(low=1e-3, high=0.1, log=True)),
    Parameter("directions", "n_delta", 8, Range(choices=(2, 4, 8, 16)), text="random changes tried, both ways"),
    Parameter("kept", "n_top", 4, Range(choices=(1, 2, 4, 8)), text="those that are followed"),
    Parameter("step", "delta_std", 0.05, Range(low=0.01, high=0.2, log=True), text="size of random changes"),
    Parameter("alive_bonus", "alive_bonus_offset", 0, text="what is added to the reward of each step while learning"),
    Parameter("from_zero", "zero_policy", True, text="begins with weights of zero"),
    replace(agent_facts.NETWORK, default=[], searched=Range(choices=([], [16]))))


def skip(facts: Facts) -> str | None:
    """Environments with other actions."""
    return agent_facts.skip(ALGORITHM, facts)


def memory_mb(facts: Facts) -> int:
    """The interpreter and networks."""
    return agent_facts.memory_mb(facts)


def cost(facts: Facts) -> float:
    return agent_facts.cost(PARAMETERS, ALGORITHM, facts, 0.00015)


def space(facts: Facts) -> dict[str, Range]:
    return agent_facts.space(ALGORITHM, PARAMETERS, facts)


def defaults(facts: Facts) -> tuple[Params, ...]:
    return agent_facts.defaults(ALGORITHM, PARAMETERS, facts,
                                {"directions": 16, "step": 0.1})


def refuse(facts: Facts, space: Mapping[str, Range]) -> Mistake | None:
    """Trainings that end before anything is learnt."""
    return agent_facts.refuse(ALGORITHM, facts, space)


def load(folder: Path) -> Fitted:
    """Open a saved agent."""
    from automl_phys import agents

    return agents.load(folder)


def fit(problem: EnvironmentProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Train an agent."""
    from automl_phys import agent_training

    return agent_training.fit(ALGORITHM, PARAMETERS, problem, params, job, watch)
