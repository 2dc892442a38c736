"""An agent is trained: the algorithm built, followed, saved on its way, and the best moment of it kept.

Takes a problem, an algorithm of Stable-Baselines3 with its hyperparameters and a job; gives an
:class:`automl_phys.agents.Agent`. The algorithm's own ``learn`` does the work. At ``LOOKS`` moments of a training the
agent plays the validation episodes: the search follows it by these (and may end it), the weights of the best moment are
kept, and a checkpoint is written (:mod:`automl_phys.agent_checkpoints`).

After each look the environments begin anew, and all random numbers with them, from seeds that the training's seed and
the number of the look give. So a training that was killed goes on from its checkpoint as it would have gone on, to the
last digit, although no environment can be saved in the midst of an episode.
"""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from automl_phys import agent_checkpoints, environments, episode_play, gym_spaces
from automl_phys.agent_facts import Algorithm, Parameter
from automl_phys.agents import Agent, Description, torch_arguments
from automl_phys.environments import Normalizer
from automl_phys.rundir import FitDir
from automl_phys.trials import Job, OutOfTime, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from gymnasium import Env

    from automl_phys.environment_problem import EnvironmentProblem, Episodes
    from automl_phys.environments import Spec

LOOKS = (1 / 27, 1 / 9, 2 / 9, 1 / 3, 1 / 2, 2 / 3, 5 / 6)
"""Moments of a training, as shares of its steps, at which the agent is looked at, and at the end; those at which the
search may end it (see :mod:`automl_phys.pruning`) are among them."""
STEPS_BETWEEN_CLOCKS = 200


def fit(algorithm: Algorithm, parameters: Sequence[Parameter], problem: EnvironmentProblem, params: Params, job: Job,
        watch: Watch) -> Agent:
    """Train an agent.

    With ``job.steps`` the training has so many steps, and its last moment is kept. Raises whatever ``watch`` raises,
    RunError where the environment does, FloatingPointError where weights are no longer numbers.
    """
    training = problem.train
    steps = job.steps or training.steps
    seed = int(np.random.SeedSequence((training.seed, job.seed)).generate_state(1)[0] >> 1)
    torch.set_num_threads(max(1, job.threads))
    values: dict[str, Any] = dict(params)
    exploring = job.objective == "stochastic_return"
    with vectorised(training.spec, values["copies"]) as plain, episode_play.stage(
            problem.valid.spec, len(problem.valid)) as on:
        env = normalised(plain, values)
        model = built(algorithm, parameters, values, env, problem.seen.observation, steps, seed)
        place = agent_checkpoints.Place(FitDir(Path(job.run_dir) / job.folder).checkpoint if job.folder else None)
        course = _Course(algorithm, values, problem.valid, on, exploring, watch, job, steps, seed, place)
        course.restore(model)
        model.learn(steps - model.num_timesteps, callback=course, log_interval=None,
                    reset_num_timesteps=False)
        course.look()
        place.remove()
        return course.best_agent()


# ---------------------------------------------------------------- environments and algorithm

@contextmanager
def vectorised(spec: Spec, copies: int) -> Iterator[DummyVecEnv]:
    """So many copies of the environment in this process, closed at the end."""
    def one() -> Env[Any, Any]:
        return Monitor(environments.make(spec))

    made = DummyVecEnv([one] * copies)
    try:
        yield made
    finally:
        made.close()


def normalised(plain: DummyVecEnv, values: Mapping[str, Any]) -> DummyVecEnv | VecNormalize:
    """The environments with what ``normalize`` asks for: none, observations, or both, rewards too."""
    if values["normalize"] == "none":
        return plain
    space, keys, numbers = plain.observation_space, None, isinstance(plain.observation_space, spaces.Box)
    if isinstance(space, spaces.Dict):
        keys = [key for key, part in space.spaces.items() if isinstance(part, spaces.Box)]
        numbers = bool(keys)
    return VecNormalize(plain, norm_obs=numbers, norm_reward=values["normalize"] == "both", norm_obs_keys=keys,
                        gamma=float(values.get("discount", 0.99)))


def built(algorithm: Algorithm, parameters: Sequence[Parameter], values: Mapping[str, Any],
          env: DummyVecEnv | VecNormalize, observations: str, steps: int, seed: int) -> Any:
    """The algorithm, its networks with fresh weights."""
    of_class, of_policy = arguments(parameters, values)
    if algorithm.linear and not values["network"]:
        of_policy = {}
    copies = int(values["copies"])
    if "batch_size" in of_class and "n_steps" in of_class:
        of_class["batch_size"] = min(of_class["batch_size"], of_class["n_steps"] * copies)
    if "buffer_size" in of_class:
        of_class["buffer_size"] = min(of_class["buffer_size"], steps + copies)
    if "learning_rate" in values:
        of_class["learning_rate"] = schedule(values["learning_rate"], values.get("schedule", "constant"))
    if "clip" in values:
        of_class["clip_range"] = schedule(values["clip"], values.get("clip_schedule", "constant"))
    if "noise" in values:
        of_class["action_noise"] = _noise(float(values["noise"]), int(np.prod(env.action_space.shape or ())))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of batches that do not divide a rollout, and the like
        model = algorithm.type(algorithm.policy(observations, values.get("network")), env, seed=seed, device="cpu",
                               policy_kwargs=torch_arguments(of_policy), **of_class)
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def arguments(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of the algorithm's class and of its policy, by the words of the parameters."""
    of_class: dict[str, Any] = {}
    of_policy: dict[str, Any] = {}
    for one in parameters:
        if one.argument and one.word in values:
            where = of_policy if one.argument.startswith("policy.") else of_class
            where[one.argument.removeprefix("policy.")] = values[one.word]
    return of_class, of_policy


def schedule(start: float, kind: str) -> Any:
    """A value that stays (``constant``), or falls to 0 with the steps (``linear``)."""
    if kind == "constant":
        return start
    if kind != "linear":
        raise ValueError(f"there is no schedule {kind}")
    return _Linear(start)


class _Linear:
    """From ``start`` to 0 as what remains of the training goes from 1 to 0."""

    def __init__(self, start: float) -> None:
        self.start = start

    def __call__(self, remaining: float) -> float:
        return remaining * self.start


def _noise(width: float, dimensions: int) -> Any:
    from stable_baselines3.common.noise import NormalActionNoise

    return NormalActionNoise(np.zeros(dimensions), np.full(dimensions, width))


# ---------------------------------------------------------------- what happens on the way

class _Course(BaseCallback):
    """Follows a training: looks at the agent, keeps the best of it, writes checkpoints, begins segments."""

    def __init__(self, algorithm: Algorithm, values: Mapping[str, Any], valid: Episodes, on: episode_play.Stage,
                 exploring: bool, watch: Watch, job: Job, steps: int, seed: int, place: agent_checkpoints.Place
                 ) -> None:
        super().__init__()
        self._algorithm, self._values, self._valid, self._on = algorithm, values, valid, on
        self._exploring, self._watch, self._job, self._steps, self._seed = exploring, watch, job, steps, seed
        self._place = place
        self._began, self._calls = time.perf_counter(), 0
        self._looks = 0
        self._new = True
        self._history: list[dict[str, float]] = []
        self._best: agent_checkpoints.Best | None = None

    def restore(self, model: Any) -> None:
        """Take up the training where its checkpoint has it, if there is one; otherwise at the beginning."""
        found = self._place.read(model)
        if found:
            self._history, self._best, self._looks = list(found.history), found.best, found.looks
        self.model = model
        model._last_obs = ()  # or learn would begin episodes, and scales would know of them; _begin does it
        if self._algorithm.linear:  # which draws its random numbers before it says that a rollout begins
            update = model._do_one_update

            def one(*given: Any) -> None:
                self._before_rollout()
                update(*given)

            model._do_one_update = one

    def best_agent(self) -> Agent:
        """The agent at its best look."""
        best = self._best
        assert best is not None  # noqa: S101  # there was a look
        self.model.policy.load_state_dict(best.weights)
        self.model.policy.set_training_mode(False)
        return Agent(self._description(best.step), self.model.policy, best.scale, tuple(self._history))

    def _on_rollout_start(self) -> None:
        if not self._algorithm.linear:
            self._before_rollout()

    def _before_rollout(self) -> None:
        due = sum(self.num_timesteps_now >= share * self._steps for share in LOOKS)
        if due > self._looks and self.num_timesteps_now < self._steps:
            self.look()
            self._looks = due
            self._place.write(self.model, agent_checkpoints.Course(tuple(self._history), self._best, due))
            self._new = True
        if self._new:
            self._begin()
            self._new = False

    def _on_step(self) -> bool:
        self._calls += 1
        limit = self._job.limit_s
        if limit is not None and self._calls % STEPS_BETWEEN_CLOCKS == 0 and time.perf_counter() - self._began > limit:
            raise OutOfTime(f"the time was over at step {self.num_timesteps_now}")
        return True

    @property
    def num_timesteps_now(self) -> int:
        """Steps in the environment so far."""
        return int(self.model.num_timesteps)

    def look(self) -> None:
        """Have the agent play the validation episodes, tell the search, and keep the weights if they are the best."""
        step, model = self.num_timesteps_now, self.model
        scale = self._scale()
        if not all(bool(torch.isfinite(tensor).all()) for tensor in model.policy.state_dict().values()):
            raise FloatingPointError(f"weights became NaN or infinite before step {step}; a lower learning rate may "
                                     "help")
        agent = Agent(self._description(step), model.policy, scale)
        said = agent.played(self._on, self._valid.seeds, self._exploring)
        returns = [one["r"] for one in model.ep_info_buffer or ()]
        self._history.append({"step": float(step), "valid_return": float(said[:, 0].mean()),
                              **({"train_return": float(np.mean(returns))} if returns else {})})
        value = self._watch(step, said)
        if not isfinite(value):
            raise FloatingPointError(f"the objective is {value} at step {step}")
        sign = 1.0 if self._job.direction == "maximize" else -1.0
        if self._best is None or self._job.steps or sign * value >= sign * self._best.value:
            weights = {name: tensor.detach().clone() for name, tensor in model.policy.state_dict().items()}
            self._best = agent_checkpoints.Best(step, value, weights, scale)

    def _begin(self) -> None:
        """All environments, and all random numbers, begin anew.

        Each generator has a seed of its own. NumPy's and torch's global ones are both Mersenne twisters: from one seed
        they would give the same stream, and which steps are drawn from a replay buffer would go with the noise.
        """
        model: Any = self.model
        seeds = [int(one >> 1) for one in np.random.SeedSequence((self._seed, self._looks)).generate_state(5)]
        random.seed(seeds[0])
        np.random.seed(seeds[1])
        torch.manual_seed(seeds[2])
        env = model.get_env()
        env.seed(seeds[3])
        model.action_space.seed(seeds[4])
        model._last_obs = env.reset()
        model._last_episode_starts = np.ones((env.num_envs,), dtype=bool)
        if (normalised := model.get_vec_normalize_env()) is not None and hasattr(model, "_last_original_obs"):
            model._last_original_obs = normalised.get_original_obs()
        if self._algorithm.recurrent:
            for pair in (model._last_lstm_states.pi, model._last_lstm_states.vf):
                for one in pair:
                    one.zero_()
        if getattr(model, "use_sde", False):
            getattr(model.policy, "actor", model.policy).reset_noise(env.num_envs)

    def _scale(self) -> Normalizer | None:
        normalised = self.model.get_vec_normalize_env()
        return Normalizer.of_vec(normalised) if normalised is not None and normalised.norm_obs else None

    def _description(self, step: int) -> Description:
        algorithm, model = self._algorithm, self.model
        arguments = dict(model.policy_kwargs)
        arguments.pop("optimizer_class", None)
        arguments.pop("optimizer_kwargs", None)
        if "activation_fn" in arguments:
            arguments["activation_fn"] = self._values["activation"]
        if getattr(model, "use_sde", False):
            arguments["use_sde"] = True
        amount = float(self._values.get("exploration_end", self._values.get("noise", 0.0)))
        policy = next(name for name, kind in model.policy_aliases.items() if type(model.policy) is kind)
        return Description(algorithm.package, algorithm.name, policy, arguments,
                           gym_spaces.to_plain(model.observation_space), gym_spaces.to_plain(model.action_space),
                           algorithm.exploration, amount, step, algorithm.recurrent)
