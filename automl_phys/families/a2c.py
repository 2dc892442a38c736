"""Family ``a2c``: advantage actor-critic, synchronous (Stable-Baselines3).

V. Mnih et al., ICML 2016 (arXiv:1602.01783), without the asynchrony: one gradient for every few steps of all copies.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm
from automl_phys.contracts import Facts, Fitted, Range
from automl_phys.errors import Mistake
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl_phys.environment_problem import EnvironmentProblem

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3")
TEXT = "the simplest policy gradient: cheap updates every few steps"

ALGORITHM = Algorithm("a2c", "A2C", frozenset({"discrete", "continuous", "several"}), on_policy=True,
                      state_dependent_noise=True)
PARAMETERS = (
    *agent_facts.starting(agent_facts.ON_POLICY, learning_rate=7e-4, rollout=5, gae_lambda=1.0),
    agent_facts.ENTROPY, agent_facts.VALUE_WEIGHT, agent_facts.GRADIENT_NORM)


def skip(facts: Facts) -> str | None:
    """Environments with other actions."""
    return agent_facts.skip(ALGORITHM, facts)


def memory_mb(facts: Facts) -> int:
    """The interpreter and networks."""
    return agent_facts.memory_mb(facts)


def cost(facts: Facts) -> float:
    return agent_facts.cost(PARAMETERS, ALGORITHM, facts, 0.00025)


def space(facts: Facts) -> dict[str, Range]:
    return agent_facts.space(ALGORITHM, PARAMETERS, facts)


def defaults(facts: Facts) -> tuple[Params, ...]:
    return agent_facts.defaults(ALGORITHM, PARAMETERS, facts,
                                {"schedule": "linear", "rollout": 16, "gae_lambda": 0.95})


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
