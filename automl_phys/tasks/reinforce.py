"""Task ``reinforce``: an agent learns to act, and shows over several trainings whether it did so by luck.

Takes a recipe's ``environment``, ``train`` and ``evaluate`` and finished agents; gives a prepared problem, scores, and
what there is to see of the agents. A trial is a training; the best configuration is trained anew from ``seeds`` other
seeds, and the report is about these agents. Environments are :mod:`automl_phys.environments`'s work, the problem is in
:mod:`automl_phys.environment_problem`, what is measured in ``agent_scores``, what is shown in ``reinforce_exhibits``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import measures
from automl_phys.contracts import Candidate
from automl_phys.errors import CallError, Mistake
from automl_phys.exhibits import Evaluation
from automl_phys.facts import Facts
from automl_phys.reinforce_sections import Options
from automl_phys.telling import Tell, nobody
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.environment_problem import EnvironmentProblem, Episodes
    from automl_phys.values import Array

__all__ = ["Options"]

TEXT = "train an agent that acts in an environment, and say whether it learnt or was lucky"
DEFAULT_FAMILIES = ("ppo", "dqn", "qrdqn", "sac", "tqc")
"""Those that cannot take the environment's actions are left out by the planner, with the reason."""
DEFAULT_OBJECTIVE = "mean_return"
BASELINE = "random_agent"
EXAMPLE = Facts("environment", {"valid": 20, "test": 100},
                {"observations": 4, "actions": 2, "discrete": 1, "continuous": 1, "several": 0, "vector": 1, "image": 0,
                 "mapping": 0, "words": 0, "bounded": 0, "steps": 1_000_000, "time_limit": 500, "copies": 0,
                 "normalize": -1, "replicas": 5, "draws": 1})
REPLICAS = 5
REPLICATED = "winner"
LEADERS = 0.0
FRAMEWORK = "torch"
OBJECTIVES: Mapping[str, Direction] = measures.Objectives(measures.OF_AGENTS)


def families(options: Options, asked: Sequence[str]) -> Sequence[str]:
    """The families asked for, or one or two for each kind of actions."""
    return asked or DEFAULT_FAMILIES


def refuse(objective: str, facts: Facts) -> Mistake | None:
    """Nothing: every objective can be had of every environment."""
    return None


def overrides(options: Options) -> Mapping[str, Mapping[str, Any]]:
    """Nothing: what the environment's section says is in the facts."""
    return {}


def look(options: Options, folder: Path, seed: int, _tell: Tell = nobody) -> Facts:
    """Facts from trying the environment. Raises DataError and RunError with what is wrong with it."""
    from automl_phys import environment_problem

    return environment_problem.look(options, folder, seed)


def prepare(options: Options, folder: Path, target: Path, seed: int, _tell: Tell = nobody) -> EnvironmentProblem:
    """Try the environment and write the problem into ``target``. Raises DataError and RunError."""
    from automl_phys import environment_problem

    return environment_problem.prepare(options, folder, target, seed)


def fingerprint(options: Options, folder: Path, seed: int, _tell: Tell = nobody) -> str:
    """Hash of all that decides the problem, the code of a user's own environment included. Raises DataError."""
    from automl_phys import environment_problem

    return environment_problem.settings_of(options, folder, seed).fingerprint


def load(folder: Path) -> EnvironmentProblem:
    """Open a prepared problem. Raises CallError when it is not there or damaged."""
    from automl_phys import environment_problem

    return environment_problem.load(folder)


def read_new(problem: EnvironmentProblem, source: Path, _tell: Tell = nobody) -> Any:
    """There are no new data. Raises CallError."""
    raise CallError(Mistake("no-data-needed", "An agent makes its own data: it plays.",
                            "Leave the data out: automl-phys predict RUN --episodes 10 -o episodes.parquet"))


def score(objective: str, part: Episodes, predictions: Array) -> float:
    """The objective of what an agent's episodes came to (n, 4), see ``agents``. Raises KeyError for an unknown one."""
    from automl_phys import agent_scores

    return agent_scores.value(objective, predictions)


def calibrate(problem: EnvironmentProblem, part: Episodes, predictions: Array,
              predict: Callable[[Episodes], Array] | None = None) -> Mapping[str, Any]:
    """Nothing: an agent makes no statement that could be calibrated."""
    return {}


def evaluate(problem: EnvironmentProblem, candidates: Sequence[Candidate], objective: str,
             calibration: Mapping[str, Any], seed: int, tell: Tell = nobody) -> Evaluation:
    """What the test episodes say of the candidates, the first of which is the winner, one the baseline."""
    from automl_phys import reinforce_exhibits

    return reinforce_exhibits.evaluate(problem, candidates, objective, seed, tell)


def write_scores(problem: EnvironmentProblem, rows: Episodes, predictions: Array, calibration: Mapping[str, Any],
                 target: Path) -> None:
    """Write for each episode its seed, return and length, with the agent's best actions and while exploring. Raises
    RunError when the disk refuses."""
    import pyarrow as pa

    from automl_phys import agents, table_file

    columns: dict[str, Any] = {"episode": list(range(len(rows))), "seed": list(rows.seeds)}
    columns |= {name: predictions[:, column] for name, column in (
        ("return", agents.RETURN), ("length", agents.LENGTH), ("exploring_return", agents.EXPLORING_RETURN),
        ("exploring_length", agents.EXPLORING_LENGTH))}
    table_file.write(pa.table(columns), target)
