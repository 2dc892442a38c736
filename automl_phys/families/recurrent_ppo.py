"""Family ``recurrent_ppo``: proximal policy optimisation with an LSTM (Stable-Baselines3 contributed).

For environments that don't show all of their state: the agent remembers. M. Hausknecht, P. Stone, arXiv:1507.06527
discuss why; ``frame_stack`` of the environment is the cheaper way.
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
TEXT = "ppo that remembers what it saw: for states that are seen in part only; slow"

ALGORITHM = Algorithm("recurrent_ppo", "RecurrentPPO", frozenset({"discrete", "continuous", "several"}), "sb3_contrib",
                      on_policy=True, recurrent=True, state_dependent_noise=True)
PARAMETERS = (
    *agent_facts.ON_POLICY, *agent_facts.PROXIMAL,
    Parameter("memory", "policy.lstm_hidden_size", 64, Range(choices=(32, 64, 128)), text="width of the LSTM"),
    Parameter("critic_memory", "policy.enable_critic_lstm", True, text="the value has an LSTM of its own"))


def skip(facts: Facts) -> str | None:
    """Environments with other actions."""
    return agent_facts.skip(ALGORITHM, facts)


def memory_mb(facts: Facts) -> int:
    """The interpreter and networks."""
    return agent_facts.memory_mb(facts)


def cost(facts: Facts) -> float:
    return agent_facts.cost(PARAMETERS, ALGORITHM, facts, 0.0015)


def space(facts: Facts) -> dict[str, Range]:
    return agent_facts.space(ALGORITHM, PARAMETERS, facts)


def defaults(facts: Facts) -> tuple[Params, ...]:
    return agent_facts.defaults(ALGORITHM, PARAMETERS, facts,
                                {"learning_rate": 1e-3, "schedule": "linear"})


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
