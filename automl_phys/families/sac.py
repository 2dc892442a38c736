"""Family ``sac``: soft actor-critic (Stable-Baselines3).

T. Haarnoja et al., ICML 2018 (arXiv:1801.01290) and arXiv:1812.05905: as much reward as possible while acting as much
at random as possible, learnt from a buffer of what was seen. Needs few steps, each of which costs a gradient.
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
TEXT = "rewards and randomness both, learnt from all it has seen: few steps needed, each is slow"

ALGORITHM = Algorithm("sac", "SAC", frozenset({"continuous"}), state_dependent_noise=True)
PARAMETERS = (*agent_facts.OFF_POLICY, *agent_facts.MAXIMUM_ENTROPY)


def skip(facts: Facts) -> str | None:
    """Environments with other actions."""
    return agent_facts.skip(ALGORITHM, facts)


def memory_mb(facts: Facts) -> int:
    """The interpreter, networks and the replay buffer."""
    return agent_facts.memory_mb(facts, 1000000)


def cost(facts: Facts) -> float:
    return agent_facts.cost(PARAMETERS, ALGORITHM, facts, 0.006)


def space(facts: Facts) -> dict[str, Range]:
    return agent_facts.space(ALGORITHM, PARAMETERS, facts)


def defaults(facts: Facts) -> tuple[Params, ...]:
    return agent_facts.defaults(ALGORITHM, PARAMETERS, facts,
                                {"learning_rate": 1e-3, "discount": 0.98, "target_rate": 0.02},
                                {"network": [64, 64], "discount": 0.95})


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
