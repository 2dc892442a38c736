"""Stage: have the agent of a finished run play new episodes.

Takes a run's plan, prepared environment and saved agent, a number of episodes and a seed; writes a table of all steps
and, if asked, a film of the first episode. Code of the user's own is imported only where the call says that it may be,
whatever the run's files say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import (
    agent_scores,
    ensemble,
    environments,
    episode_film,
    episode_video,
    readable,
    registry,
    rundir,
    table_file,
)
from automl_phys.contracts import Show
from automl_phys.decisions import Plan
from automl_phys.errors import CallError, Mistake
from automl_phys.rundir import RunDir
from automl_phys.trials import Ensemble

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.environment_problem import EnvironmentProblem
    from automl_phys.episode_play import Moment

FILMS = (".gif", ".mp4")
LARGEST_OBSERVATION = 1000
"""Numbers of an observation that become columns; larger ones, images, are left out of the table."""


@dataclass(frozen=True)
class Wanted:
    """What is to be played, and what is to be written of it; ``explore`` for actions at random as in training."""

    episodes: int
    seed: int
    table: Path | None
    film: Path | None
    explore: bool = False
    trusted: bool = False


def check(film: Path) -> None:
    """Raise CallError for a film's ending that is not known, RunError where the package that writes it is missing."""
    if film.suffix.lower() not in FILMS:
        raise CallError(Mistake("unknown-format", f"The format of {film.name} is not known by its ending.",
                                f"Known endings of films: {', '.join(FILMS)}."))
    if film.suffix.lower() == ".mp4":
        episode_video.check_mp4()


def run(plan: Plan, run_dir: RunDir, wanted: Wanted, show: Show) -> str:
    """Play and write; gives what came of it in words.

    Raises CallError for a run that is not finished, DataError for an environment that is not trusted or no longer
    there, RunError where the environment raises or the disk refuses.
    """
    show.stage("Play")
    winner = rundir.read_json(run_dir.ensemble, Ensemble).members[0]
    problem: Any = registry.load("tasks", plan.task).load(run_dir.problem)
    problem = problem.trusting(wanted.trusted)
    environments.find(problem.spec)
    agent: Any = ensemble.model(winner.family, run_dir.path / winner.folders[0])
    episodes = problem.new(wanted.episodes, wanted.seed)
    played = episode_film.moments(agent, episodes.spec, episodes.seeds, not wanted.explore)
    if wanted.table is not None:
        table_file.write(table(problem, episodes.seeds, played), wanted.table)
    if wanted.film is not None:
        show.say("Pictures of the first episode are drawn.")
        film = episode_film.film(agent, episodes.spec, episodes.seeds[0], len(played[0]), most=len(played[0]),
                                 width=None if wanted.film.suffix == ".mp4" else episode_film.WIDTH * 2,
                                 best=not wanted.explore)
        episode_film.write(film, wanted.film)
    returns = np.array([[sum(moment.reward for moment in episode) for episode in played]])
    lengths = [len(episode) for episode in played]
    return (f"{readable.count(len(played), 'episode')}: mean return {readable.estimate(agent_scores.mean(returns))}, "
            f"{readable.cell(float(f'{np.mean(lengths):.4g}'))} steps on average")


def table(problem: EnvironmentProblem, seeds: Sequence[int], played: Sequence[Sequence[Moment]]) -> pa.Table:
    """All steps: episode, seed, step, observation and action by their components, reward, terminated, truncated. The
    observation is that before the action."""
    import pyarrow as pa

    moments = [moment for episode in played for moment in episode]
    columns: dict[str, Any] = {
        "episode": np.array([moment.episode for moment in moments], np.int64),
        "seed": np.array([seeds[moment.episode] for moment in moments], np.int64),
        "step": np.array([moment.step for moment in moments], np.int64)}
    if problem.seen.observation_size <= LARGEST_OBSERVATION and problem.seen.observation != "image":
        columns |= _components("observation", [moment.observation for moment in moments])
    columns |= _components("action", [moment.action for moment in moments])
    columns |= {"reward": np.array([moment.reward for moment in moments]),
                "terminated": np.array([moment.terminated for moment in moments]),
                "truncated": np.array([moment.truncated for moment in moments])}
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def _components(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """``name`` where there is one number, else ``name_0``, ``name_1`` …, of a mapping ``name_key_0`` …"""
    if isinstance(values[0], Mapping):
        return {column: one for key in values[0]
                for column, one in _components(f"{name}_{key}", [value[key] for value in values]).items()}
    flat = np.stack([np.ravel(value) for value in values])
    if flat.shape[1] == 1:
        return {name: flat[:, 0]}
    return {f"{name}_{i}": np.ascontiguousarray(flat[:, i]) for i in range(flat.shape[1])}
