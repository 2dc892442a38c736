"""Family ``ddpg``: deep deterministic policy gradient (Stable-Baselines3).

T. P. Lillicrap et al., ICLR 2016 (arXiv:1509.02971), the forerunner of td3.
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
TEXT = "the forerunner of td3, with one estimate: for comparison"

ALGORITHM = Algorithm("ddpg", "DDPG", frozenset({"continuous"}), exploration="noise")
PARAMETERS = (
    *agent_facts.starting(agent_facts.OFF_POLICY, learning_rate=1e-3, buffer=200_000, network=[400, 300]),
    agent_facts.SOFT_TARGET, agent_facts.NOISE)


def skip(facts: Facts) -> str | None:
    """Environments with other actions."""
    return agent_facts.skip(ALGORITHM, facts)


def memory_mb(facts: Facts) -> int:
    """The interpreter, networks and the replay buffer."""
    return agent_facts.memory_mb(facts, 200000)


def cost(facts: Facts) -> float:
    return agent_facts.cost(PARAMETERS, ALGORITHM, facts, 0.004)


def space(facts: Facts) -> dict[str, Range]:
    return agent_facts.space(ALGORITHM, PARAMETERS, facts)


def defaults(facts: Facts) -> tuple[Params, ...]:
    return agent_facts.defaults(ALGORITHM, PARAMETERS, facts,
                                {"learning_rate": 3e-4, "noise": 0.2, "network": [256, 256]})


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
