"""Agents: trained policies that play, as data on disk.

Takes a policy of Stable-Baselines3 with what it takes to make it again; gives an :class:`Agent`, which satisfies
``contracts.Fitted``: it predicts by playing episodes. A saved agent is ``agent.json`` (algorithm, the policy's
arguments, spaces), ``weights.npz`` and, where observations are scaled, ``scale.npz``. Nothing in these is run when they
are read; the zip files of Stable-Baselines3, which hold pickles, are neither written nor read. Training is
:mod:`automl_phys.agent_training`'s work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import episode_play, gym_spaces, rundir
from automl_phys.agent_facts import Exploration
from automl_phys.episode_play import Act
from automl_phys.observation_scale import Normalizer

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

    from automl_phys.environment_problem import Episodes

DESCRIPTION, WEIGHTS, SCALE = "agent.json", "weights.npz", "scale.npz"
RETURN, LENGTH, EXPLORING_RETURN, EXPLORING_LENGTH = range(4)
"""Columns of predictions: of the agent's best actions, and of its actions while it explores."""


@dataclass(frozen=True)
class Description:
    """``agent.json``: what it takes to make the policy again. ``arguments`` are the policy's, the activation by its
    name; ``amount`` is how much an agent explores: a probability, or the width of noise as a share of half the
    range of an action."""

    package: str
    algorithm: str
    policy: str
    arguments: Mapping[str, Any]
    observation_space: Mapping[str, Any]
    action_space: Mapping[str, Any]
    exploration: Exploration
    amount: float
    steps: int
    recurrent: bool = False


@dataclass(eq=False)
class Agent:
    """A trained policy; satisfies ``contracts.Fitted``."""

    description: Description
    policy: BasePolicy
    scale: Normalizer | None
    history: tuple[Mapping[str, float], ...] = ()

    @property
    def steps(self) -> int:
        """Steps in the environment after which it was as it is."""
        return self.description.steps

    def predict(self, rows: Episodes) -> NDArray[np.float32]:
        """Play episodes: return and length of each with the best actions, and while exploring, (n, 4).

        Raises RunError where the environment does.
        """
        with episode_play.stage(rows.spec, len(rows)) as on:
            return self.played(on, rows.seeds, True)

    def played(self, on: episode_play.Stage, seeds: Sequence[int], exploring: bool) -> NDArray[np.float32]:
        """As :meth:`predict` on a stage that is there. Without ``exploring`` the second pair repeats the first."""
        slots = min(len(on.environments), len(seeds))
        with self.acting(slots, True) as act:
            best = episode_play.play(on, seeds, act)
        found = best
        if exploring and self.description.exploration != "none":
            with self.acting(slots, False, seeds[0]) as act:
                found = episode_play.play(on, seeds, act)
        return np.concatenate([best, found], axis=1).astype(np.float32)

    @contextmanager
    def acting(self, slots: int, best: bool, seed: int = 0) -> Iterator[Act]:
        """A way to act in so many environments: the ``best`` action, or exploring, from a seed. While the block lasts
        torch computes on one thread, as everywhere an agent plays, or last digits would depend on the machine."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                yield _Acting(self, slots, best, np.random.default_rng(seed))
        finally:
            torch.set_num_threads(threads)

    def values(self, observations: Any) -> NDArray[np.float32] | None:
        """What the agent expects of states (n, …): the discounted rewards to come, as scaled in training; (n,). None
        where it has no such estimate."""
        import torch

        policy: Any = self.policy
        with torch.no_grad():
            given, _ = policy.obs_to_tensor(self.scaled(observations))
            if self.description.recurrent:
                return None
            if hasattr(policy, "predict_values"):
                found = policy.predict_values(given)
            elif hasattr(policy, "q_net"):
                found = policy.q_net(given).max(dim=1).values
            elif hasattr(policy, "quantile_net"):
                found = policy.quantile_net(given).mean(dim=1).max(dim=1).values
            elif hasattr(policy, "critic"):
                of = policy.critic(given, policy.actor(given))
                found = torch.cat([one.reshape(len(one), -1).mean(dim=1, keepdim=True)
                                   for one in (of if isinstance(of, tuple) else (of,))], dim=1).min(dim=1).values
            else:
                return None
        return np.asarray(found.cpu().numpy().reshape(-1), np.float32)

    def best(self, observations: Any) -> NDArray[Any] | None:
        """Its best actions in states (n, …); None where they depend on what was before."""
        if self.description.recurrent:
            return None
        return np.asarray(self.policy.predict(self.scaled(observations), deterministic=True)[0])

    def scaled(self, observations: Any) -> Any:
        """Observations as the policy knows them."""
        return self.scale(observations) if self.scale else observations

    def save(self, folder: Path) -> None:
        """Write the agent. Raises RunError when the disk refuses."""
        folder.mkdir(parents=True, exist_ok=True)
        with rundir.atomic(folder / WEIGHTS) as temporary:
            weights = {name: tensor.detach().cpu().numpy() for name, tensor in self.policy.state_dict().items()}
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **weights)
        if self.scale:
            with rundir.atomic(folder / SCALE) as temporary:
                self.scale.save(temporary)
        rundir.write_json(folder / DESCRIPTION, self.description)


def load(folder: Path) -> Agent:
    """Open a saved agent. Raises CallError when it is not there or damaged."""
    import torch

    description = rundir.read_json(folder / DESCRIPTION, Description)
    policy = make_policy(description)
    with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
        policy.load_state_dict({name: torch.from_numpy(np.asarray(stored[name])) for name in stored.files})
    policy.set_training_mode(False)
    scale = Normalizer.load(folder / SCALE) if (folder / SCALE).exists() else None
    return Agent(description, policy, scale)


def make_policy(description: Description) -> Any:
    """The policy with fresh weights."""
    algorithm = getattr(import_module(_known_package(description.package)), description.algorithm)
    policy = algorithm.policy_aliases[description.policy]
    spaces = (gym_spaces.from_plain(plain) for plain in (description.observation_space, description.action_space))
    arguments = torch_arguments(description.arguments)
    if description.algorithm == "ARS":  # which has no gradient, and no rate of learning in its policy
        return policy(*spaces, **arguments)
    return policy(*spaces, _no_schedule, **arguments)


def torch_arguments(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a policy with the activation's class in place of its name. Raises KeyError for an unknown one."""
    from torch import nn

    known = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "silu": nn.SiLU}
    return {name: known[value] if name == "activation_fn" else value for name, value in plain.items()}


def _no_schedule(_remaining: float) -> float:
    return 0.0


def _known_package(name: str) -> str:
    """A package that algorithms are taken from; an agent's file cannot name others. Raises KeyError."""
    return {"stable_baselines3": "stable_baselines3", "sb3_contrib": "sb3_contrib"}[name]


class _Acting:
    """Satisfies ``episode_play.Act``."""

    def __init__(self, agent: Agent, slots: int, best: bool, rng: np.random.Generator) -> None:
        self._agent, self._best, self._rng = agent, best, rng
        self._state: Any = None
        policy: Any = agent.policy
        noisy = getattr(policy, "actor", policy)
        if not best and getattr(noisy, "use_sde", False):
            noisy.reset_noise(slots)

    def __call__(self, observations: Any, begun: NDArray[np.bool_]) -> NDArray[Any]:
        agent, policy = self._agent, self._agent.policy
        sampled = not self._best and agent.description.exploration == "sampled"
        actions, self._state = policy.predict(agent.scaled(observations), self._state, begun, deterministic=not sampled)
        if self._best or sampled:
            return np.asarray(actions)
        amount, space = agent.description.amount, policy.action_space
        if agent.description.exploration == "greedy":
            at_random = self._rng.random(len(actions)) < amount
            others = self._rng.integers(int(space.n), size=len(actions))  # type: ignore[attr-defined]
            return np.where(at_random, others, actions)
        low, high = space.low, space.high  # type: ignore[attr-defined]
        noise = self._rng.normal(0.0, amount, np.shape(actions)) * (high - low) / 2
        noisy: NDArray[np.float32] = np.clip(actions + noise, low, high).astype(np.float32)
        return noisy
