"""Family ``tqc``: truncated quantile critics (Stable-Baselines3 contributed).

A. Kuznetsov et al., ICML 2020 (arXiv:2005.04269): soft actor-critic that learns distributions of what actions are worth
and leaves out their upper ends, against hopes that are too high.
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
TEXT = "sac with distributions whose upper ends are left out: the best of its kind, and the slowest"

ALGORITHM = Algorithm("tqc", "TQC", frozenset({"continuous"}), "sb3_contrib", state_dependent_noise=True)
PARAMETERS = (
    *agent_facts.OFF_POLICY, *agent_facts.MAXIMUM_ENTROPY,
    Parameter("dropped", "top_quantiles_to_drop_per_net", 2, Range(choices=(0, 2, 5)),
              text="quantiles that are left out, of 25"))


def skip(facts: Facts) -> str | None:
    """Environments with other actions."""
    return agent_facts.skip(ALGORITHM, facts)


def memory_mb(facts: Facts) -> int:
    """The interpreter, networks and the replay buffer."""
    return agent_facts.memory_mb(facts, 1000000)


def cost(facts: Facts) -> float:
    return agent_facts.cost(PARAMETERS, ALGORITHM, facts, 0.008)


def space(facts: Facts) -> dict[str, Range]:
    return agent_facts.space(ALGORITHM, PARAMETERS, facts)


def defaults(facts: Facts) -> tuple[Params, ...]:
    return agent_facts.defaults(ALGORITHM, PARAMETERS, facts,
                                {"learning_rate": 1e-3, "discount": 0.98, "target_rate": 0.02})


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
