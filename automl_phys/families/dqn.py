"""Family ``dqn``: deep Q-learning (Stable-Baselines3).

V. Mnih et al., Nature 518 (2015) 529: a network learns what each action is worth, from a buffer of what was seen, and
the best one is taken, but now and then one at random.
"""

from __future__ import annotations

from dataclasses import replace
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
TEXT = "learns what each action is worth, from all it has seen: thrifty with steps"

ALGORITHM = Algorithm("dqn", "DQN", frozenset({"discrete"}), exploration="greedy")
PARAMETERS = (
    *agent_facts.starting(agent_facts.OFF_POLICY, learning_rate=1e-3, batch=128, buffer=100_000, train_every=16,
                          gradient_steps=8),
    *agent_facts.GREEDY, replace(agent_facts.GRADIENT_NORM, default=10.0))


def skip(facts: Facts) -> str | None:
    """Environments with other actions."""
    return agent_facts.skip(ALGORITHM, facts)


def memory_mb(facts: Facts) -> int:
    """The interpreter, networks and the replay buffer."""
    return agent_facts.memory_mb(facts, 100000)


def cost(facts: Facts) -> float:
    return agent_facts.cost(PARAMETERS, ALGORITHM, facts, 0.0012)


def space(facts: Facts) -> dict[str, Range]:
    return agent_facts.space(ALGORITHM, PARAMETERS, facts)


def defaults(facts: Facts) -> tuple[Params, ...]:
    return agent_facts.defaults(ALGORITHM, PARAMETERS, facts,
                                {"learning_rate": 5e-4, "target_every": 1000, "exploration_share": 0.3},
                                {"discount": 0.95, "network": [64, 64]})


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
