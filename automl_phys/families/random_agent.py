"""Family ``random_agent``: acts at random, whatever it observes. The baseline.

Actions are uniform over the action space. What an agent that has learnt something must exceed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import agent_facts
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.environment_problem import EnvironmentProblem

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium",)
TEXT = "acts at random"


def skip(facts: Facts) -> str | None:
    """What is no environment."""
    return None if facts.kind == "environment" else f"takes an environment, not {facts.kind}"


def memory_mb(facts: Facts) -> int:
    return agent_facts.INTERPRETER_MB


def cost(facts: Facts) -> float:
    return 1.0


def space(facts: Facts) -> dict[str, Range]:
    return {}


def defaults(facts: Facts) -> tuple[Params, ...]:
    return ({},)


def load(folder: Path) -> Fitted:
    """Open a saved agent."""
    from automl_phys import random_acting

    return random_acting.load(folder)


def fit(problem: EnvironmentProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Nothing is learnt."""
    from automl_phys import random_acting

    return random_acting.fit(problem, job, watch)
