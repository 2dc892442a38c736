"""An agent that acts at random: uniform over the action space, whatever it observes.

Takes the environment's action space; gives an agent like those of :mod:`automl_phys.agents`, on disk the space and a
seed. Its draws depend on the episodes' seeds too, so that it plays the same episodes in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import episode_play, gym_spaces, rundir
from automl_phys.episode_play import Act
from automl_phys.trials import Job, Watch

if TYPE_CHECKING:
    from gymnasium.spaces import Space

    from automl_phys.environment_problem import EnvironmentProblem, Episodes

FILE = "random.json"


@dataclass(frozen=True)
class _Written:
    action_space: Mapping[str, Any]
    seed: int


@dataclass(frozen=True, eq=False)
class RandomAgent:
    """Satisfies ``contracts.Fitted``."""

    action_space: Space[Any]
    seed: int
    history: tuple[Mapping[str, float], ...] = ()
    steps: int = 0

    def predict(self, rows: Episodes) -> NDArray[np.float32]:
        """Return and length of each episode, twice: it knows no best action, (n, 4)."""
        with episode_play.stage(rows.spec, len(rows)) as on, self.acting(min(len(on.environments), len(rows)), True,
                                                                         rows.seeds[0]) as act:
            found = episode_play.play(on, rows.seeds, act)
        return np.concatenate([found, found], axis=1).astype(np.float32)

    @contextmanager
    def acting(self, slots: int, best: bool, seed: int = 0) -> Iterator[Act]:  # noqa: ARG002  # as of other agents
        """Actions at random in so many environments."""
        space = gym_spaces.from_plain(gym_spaces.to_plain(self.action_space))
        space.seed(int(np.random.SeedSequence((self.seed, seed)).generate_state(1)[0] >> 1))

        def act(_observations: Any, begun: NDArray[np.bool_]) -> NDArray[Any]:
            return np.stack([np.asarray(space.sample()) for _ in range(len(begun))])

        yield act

    def values(self, _observations: Any) -> None:
        """It expects nothing."""

    def best(self, _observations: Any) -> None:
        """It knows no best action."""

    def save(self, folder: Path) -> None:
        """Write the agent. Raises RunError when the disk refuses."""
        rundir.write_json(folder / FILE, _Written(gym_spaces.to_plain(self.action_space), self.seed))


def fit(problem: EnvironmentProblem, job: Job, watch: Watch) -> RandomAgent:
    """An agent for the environment's actions. Raises RunError where the environment does."""
    with episode_play.stage(problem.spec, 1) as on:
        space = on.environments[0].action_space
    made = RandomAgent(space, job.seed)
    watch(1, made.predict(problem.valid))
    return made


def load(folder: Path) -> RandomAgent:
    """Open a saved agent. Raises CallError when it is not there or damaged."""
    written = rundir.read_json(folder / FILE, _Written)
    return RandomAgent(gym_spaces.from_plain(written.action_space), written.seed)
