"""Family ``ppo``: proximal policy optimisation (Stable-Baselines3).

J. Schulman et al., arXiv:1707.06347: many copies of the environment are acted in for a while, then the policy is
improved by gradients that stay near it. Takes any actions; needs more steps than algorithms with a replay buffer, but
each costs little.
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
TEXT = "policy gradients that stay near the present policy: robust, quick, for all kinds of actions"

ALGORITHM = Algorithm("ppo", "PPO", frozenset({"discrete", "continuous", "several"}), on_policy=True,
                      state_dependent_noise=True)
PARAMETERS = (*agent_facts.ON_POLICY, *agent_facts.PROXIMAL)


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
                                {"learning_rate": 1e-3, "schedule": "linear", "discount": 0.98, "gae_lambda": 0.9},
                                {"entropy": 0.01, "discount": 0.99, "network": [256, 256], "activation": "relu"})


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
