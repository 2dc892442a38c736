"""Family ``qrdqn``: deep Q-learning with quantiles (Stable-Baselines3 contributed).

W. Dabney et al., AAAI 2018 (arXiv:1710.10044): as dqn, but of the distribution of what an action is worth.
"""

from __future__ import annotations

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
TEXT = "dqn that learns the distribution of what an action is worth: often better, somewhat slower"

ALGORITHM = Algorithm("qrdqn", "QRDQN", frozenset({"discrete"}), "sb3_contrib", exploration="greedy")
PARAMETERS = (
    *agent_facts.starting(agent_facts.OFF_POLICY, learning_rate=1e-3, batch=128, buffer=100_000, train_every=16,
                          gradient_steps=8),
    *agent_facts.GREEDY, Parameter("quantiles", "policy.n_quantiles", 25, Range(choices=(10, 25, 50)),
                                   text="quantiles of what an action is worth"))


def skip(facts: Facts) -> str | None:
    """Environments with other actions."""
    return agent_facts.skip(ALGORITHM, facts)


def memory_mb(facts: Facts) -> int:
    """The interpreter, networks and the replay buffer."""
    return agent_facts.memory_mb(facts, 100000)


def cost(facts: Facts) -> float:
    return agent_facts.cost(PARAMETERS, ALGORITHM, facts, 0.0018)


def space(facts: Facts) -> dict[str, Range]:
    return agent_facts.space(ALGORITHM, PARAMETERS, facts)


def defaults(facts: Facts) -> tuple[Params, ...]:
    return agent_facts.defaults(ALGORITHM, PARAMETERS, facts,
                                {"learning_rate": 5e-4, "target_every": 1000, "exploration_share": 0.3})


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
