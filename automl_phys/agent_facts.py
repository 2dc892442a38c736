"""What families of agents have in common before anything is trained: their words for hyperparameters, what is searched,
what is tried first, which environments they can take, and what a training costs.

Takes facts of an environment; gives spaces, defaults, reasons. A family is an :class:`Algorithm` with its
:class:`Parameter`; :class:`Family` makes of these what the planner and the worker ask for. Where RL
Baselines3 Zoo has published settings for the very environment (:mod:`automl_phys.zoo`), these are tried first, cut down
to the steps that there are; what the zoo does not tell, and other environments, get values that are good for most. No
library of agents is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from automl_phys import zoo
from automl_phys.contracts import Fitted
from automl_phys.errors import Mistake
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params, Value

if TYPE_CHECKING:
    from automl_phys.environment_problem import EnvironmentProblem

MEGABYTE = 2**20
INTERPRETER_MB = 450
"""Resident memory of a process with torch and Stable-Baselines3."""

UPDATES = 8
"""So many times at least an agent of no published settings learns from what it has seen."""
WARM_UP_SHARE = 5
"""At most this part of a training (one fifth) is spent on seeing what random actions do."""
KINDS = {"discrete": "discrete actions", "continuous": "continuous actions", "several": "several actions at once"}

Exploration = Literal["sampled", "greedy", "noise", "none"]
"""How an agent explores: by drawing from the distribution that it learnt, by acting at random now and then, by noise
on its action, or not at all while it plays."""


@dataclass(frozen=True)
class Algorithm:
    """A way to train an agent: a class of Stable-Baselines3, or of its contributed algorithms.

    ``actions`` are the kinds that it can choose among: discrete, continuous, several (discrete ones at once).
    ``on_policy`` ones learn from what the present agent has just seen, the others from a replay buffer too.
    """

    word: str
    name: str
    actions: frozenset[str]
    package: str = "stable_baselines3"
    on_policy: bool = False
    exploration: Exploration = "sampled"
    recurrent: bool = False
    state_dependent_noise: bool = False
    linear: bool = False

    @property
    def type(self) -> Any:
        """The class; imports torch."""
        return getattr(import_module(self.package), self.name)

    def policy(self, observations: str, network: Any) -> str:
        """What the class calls its policy for a kind of observation (``Seen.observation``)."""
        if self.linear:
            return "MlpPolicy" if network else "LinearPolicy"
        kind = {"dict": "MultiInput", "image": "Cnn"}.get(observations, "Mlp")
        return f"{kind}{'Lstm' if self.recurrent else ''}Policy"


@dataclass(frozen=True)
class Parameter:
    """A hyperparameter: our ``word``, the ``argument`` of the algorithm's class (of its policy after ``policy.``; empty
    for those that :mod:`automl_phys.agent_training` sees to), the value of ``default`` and what is searched, where it
    is. ``only`` names the kind of actions that it makes sense for; ``own`` is the class's own default, where ours is
    another: settings that the zoo has published mean it where they say nothing."""

    word: str
    argument: str
    default: Value
    searched: Range | None = None
    only: str = ""
    text: str = ""
    own: Value = None


def _choices(*values: Value) -> Range:
    return Range(choices=values)


COPIES = Parameter("copies", "", 8, text="environments side by side")
NORMALIZE = Parameter("normalize", "", "none", text="what is scaled by its running mean and width: none, observations "
                      "or both, rewards too")
LEARNING_RATE = Parameter("learning_rate", "", 3e-4, Range(low=1e-5, high=1e-2, log=True), text="step size of Adam")
SCHEDULE = Parameter("schedule", "", "constant", _choices("constant", "linear"),
                     text="linear: the learning rate falls to 0 with the steps")
DISCOUNT = Parameter("discount", "gamma", 0.99, _choices(0.9, 0.95, 0.98, 0.99, 0.995, 0.999),
                     text="weight of a reward for each step that it is ahead")
NETWORK = Parameter("network", "policy.net_arch", [64, 64], _choices([64, 64], [128, 128], [256, 256]),
                    text="widths of hidden layers")
ACTIVATION = Parameter("activation", "policy.activation_fn", "tanh", _choices("tanh", "relu"),
                       text="activation of the hidden layers")
GRADIENT_NORM = Parameter("gradient_norm", "max_grad_norm", 0.5, text="longest gradient")
STATE_NOISE = Parameter("state_dependent_noise", "use_sde", False, only="continuous",
                        text="explores by noise that is a function of the state (gSDE)")
NOISE_EVERY = Parameter("noise_every", "sde_sample_freq", -1, only="continuous",
                        text="steps after which that noise is drawn anew; -1: once for each update")
LOG_STD = Parameter("log_std", "policy.log_std_init", -1.0, _choices(-3.0, -2.0, -1.0, 0.0), "continuous",
                    "logarithm of the width of actions at the beginning", own=0.0)

ON_POLICY = (
    COPIES, NORMALIZE, LEARNING_RATE, SCHEDULE, DISCOUNT,
    Parameter("gae_lambda", "gae_lambda", 0.95, _choices(0.8, 0.9, 0.95, 0.98, 1.0),
              text="how far ahead advantages are measured instead of estimated"),
    Parameter("rollout", "n_steps", 256, _choices(8, 16, 32, 64, 128, 256, 512, 1024, 2048),
              text="steps of each copy between updates", own=2048),
    NETWORK, ACTIVATION, STATE_NOISE, NOISE_EVERY, LOG_STD,
    Parameter("orthogonal", "policy.ortho_init", True, text="orthogonal initial weights"))
ENTROPY = Parameter("entropy", "ent_coef", 0.0, _choices(0.0, 0.0001, 0.001, 0.01, 0.05),
                    text="weight of the entropy of actions, against settling too early")
VALUE_WEIGHT = Parameter("value_weight", "vf_coef", 0.5, text="weight of the value's loss")
PROXIMAL = (
    ENTROPY, VALUE_WEIGHT, GRADIENT_NORM,
    Parameter("minibatch", "batch_size", 64, _choices(32, 64, 128, 256, 512), text="steps of one gradient"),
    Parameter("epochs", "n_epochs", 10, _choices(4, 10, 20), text="passes over a rollout"),
    Parameter("clip", "", 0.2, _choices(0.1, 0.2, 0.3), text="how far an update may change a probability"),
    Parameter("clip_schedule", "", "constant", text="linear: the clip falls to 0 with the steps"))

OFF_POLICY = (
    replace(COPIES, default=1), NORMALIZE, LEARNING_RATE, SCHEDULE, DISCOUNT,
    Parameter("batch", "batch_size", 256, _choices(64, 128, 256), text="steps of one gradient, from the buffer"),
    Parameter("buffer", "buffer_size", 1_000_000, text="steps that are kept"),
    Parameter("warm_up", "learning_starts", 1000, _choices(0, 100, 1000, 5000),
              text="steps before the first update", own=100),
    Parameter("train_every", "train_freq", 1, text="steps of each copy between updates"),
    Parameter("gradient_steps", "gradient_steps", 1, text="gradients of one update; -1: as many as steps"),
    replace(NETWORK, default=[256, 256]), replace(ACTIVATION, default="relu", searched=None))
GREEDY = (
    Parameter("target_every", "target_update_interval", 250, _choices(1, 10, 100, 250, 1000),
              text="steps between copies of the network that targets are made with"),
    Parameter("exploration_share", "exploration_fraction", 0.16, Range(low=0.02, high=0.5, log=True),
              text="part of the training in which random actions become fewer"),
    Parameter("exploration_end", "exploration_final_eps", 0.05, Range(low=0.01, high=0.2, log=True),
              text="probability of a random action from then on"))
SOFT_TARGET = Parameter("target_rate", "tau", 0.005, _choices(0.005, 0.01, 0.02),
                        text="how fast the networks that targets are made with follow")
MAXIMUM_ENTROPY = (
    SOFT_TARGET, Parameter("entropy", "ent_coef", "auto", text="weight of the entropy of actions; auto: as learnt"),
    STATE_NOISE, NOISE_EVERY, replace(LOG_STD, default=-3.0, searched=None, own=None))
NOISE = Parameter("noise", "", 0.1, _choices(0.05, 0.1, 0.2, 0.3),
                  text="width of the noise on actions, as a share of half their range")

STRUCTURE = {"n_envs", "n_timesteps", "policy", "policy_kwargs", "normalize", "learning_rate", "clip_range",
             "noise_type", "noise_std", "frame_stack", "env_wrapper"}


def starting(parameters: Sequence[Parameter], **defaults: Value) -> tuple[Parameter, ...]:
    """The same parameters with other defaults, by their words."""
    return tuple(replace(one, default=defaults[one.word], own=None) if one.word in defaults else one
                 for one in parameters)


# ---------------------------------------------------------------- a family

@dataclass(frozen=True)
class Family:
    """All that families of agents differ by; its methods are what the planner and the worker ask of each.

    ``seconds`` is what a step of the environment costs beside the environment itself or, with a replay buffer, a
    gradient. ``others`` are configurations that are tried after the first one, by the parameters that they change.
    """

    algorithm: Algorithm
    parameters: tuple[Parameter, ...]
    seconds: float
    others: tuple[Mapping[str, Value], ...] = ()

    def skip(self, facts: Facts) -> str | None:
        """Why the algorithm cannot take an environment, None when it can."""
        if facts.kind != "environment":
            return f"takes an environment, not {facts.kind}"
        kind = next((kind for kind in KINDS if facts.sizes.get(kind)), "")
        if kind not in self.algorithm.actions:
            takes = " and ".join(KINDS[one] for one in KINDS if one in self.algorithm.actions)
            others = {"discrete": "ppo and dqn do", "continuous": "ppo, sac and tqc do", "several": "ppo and a2c do"}
            return f"takes {takes}, not {KINDS.get(kind, 'these')} ({others.get(kind, 'others do')})"
        if self.algorithm.linear and not (facts.sizes.get("vector") or facts.sizes.get("words")):
            return "takes observations that are a vector"
        return None

    def memory_mb(self, facts: Facts) -> int:
        """Interpreter, networks, and the replay buffer where there is one, which holds each observation twice."""
        number = 1 if facts.sizes.get("image") else 4
        buffer = next((one.default for one in self.parameters if one.word == "buffer"), 0)
        assert isinstance(buffer, int)  # noqa: S101  # it counts steps
        kept = min(buffer, facts.sizes.get("steps", 0))
        replay = kept * (2 * number * facts.sizes.get("observations", 1) + 4 * facts.sizes.get("actions", 1) + 12)
        images = 400 if facts.sizes.get("image") else 0
        return INTERPRETER_MB + images + replay // MEGABYTE

    def cost(self, facts: Facts) -> float:
        """Seconds of a training."""
        steps = facts.sizes.get("steps", 10_000)
        first = self._first(facts)
        every, gradients = first.get("train_every", 1), first.get("gradient_steps", 1)
        each = 1.0
        if isinstance(every, int) and isinstance(gradients, int) and gradients >= 0:
            each = gradients / every
        slower = 10 if facts.sizes.get("image") else 1
        return 3 + steps * (3e-5 + self.seconds * each * slower)

    def space(self, facts: Facts) -> dict[str, Range]:
        """What is searched in an environment; what is not searched is pinned to its default."""
        first = self._first(facts)
        return {one.word: _range(one, first[one.word], facts, first) for one in self._existing(facts)}

    def defaults(self, facts: Facts) -> tuple[Params, ...]:
        """The first configuration, and ``others`` as far as their values are searched."""
        ranges, first = self.space(facts), self._first(facts)
        made: list[Params] = [first]
        for other in self.others:
            changed = {word: value for word, value in other.items()
                       if word in ranges and (value in ranges[word].choices or not ranges[word].choices)}
            if {**first, **changed} not in made:
                made.append({**first, **changed})
        return tuple(made)

    def refuse(self, facts: Facts, space: Mapping[str, Range]) -> Mistake | None:
        """Trainings that end before anything is learnt: with less than one rollout, or within the warm-up."""
        word, steps, copies = self.algorithm.word, facts.sizes.get("steps", 0), _least(space.get("copies")) or 1
        if (rollout := _least(space.get("rollout"))) is not None and rollout * copies > steps:
            of = f"{copies:g} {'copies' if copies > 1 else 'copy'} of {rollout:g}"
            return Mistake("steps-below-rollout", f"A rollout of {word} takes {rollout * copies:g} steps ({of}), and a "
                           f"training has {steps}: it would learn nothing.",
                           f"Raise train.steps, or lower environment.copies or model.{word}.rollout.",
                           ("train", "steps"))
        if (warm_up := _least(space.get("warm_up"))) is not None and warm_up >= steps:
            return Mistake("steps-below-warm-up", f"{word} acts at random for {warm_up:g} steps before it learns, and "
                           f"a training has {steps}: it would learn nothing.",
                           f"Raise train.steps, or lower model.{word}.warm_up.", ("train", "steps"))
        return None

    def load(self, folder: Path) -> Fitted:
        """Open a saved agent."""
        from automl_phys import agents

        return agents.load(folder)

    def fit(self, problem: EnvironmentProblem, params: Params, job: Job, watch: Watch) -> Fitted:
        """Train an agent."""
        from automl_phys import agent_training

        return agent_training.fit(self.algorithm, self.parameters, problem, params, job, watch)

    def _existing(self, facts: Facts) -> list[Parameter]:
        """Parameters that make sense for the environment's actions; all of them where these are not known."""
        known = facts.kind == "environment"
        return [one for one in self.parameters if not one.only or not known or facts.sizes.get(one.only)]

    def _first(self, facts: Facts) -> dict[str, Value]:
        """The values that are tried first: what the zoo has published, else each parameter's default."""
        published = self._published(facts.name)
        usual = {one.word: one.own if published and one.own is not None else one.default for one in self.parameters}
        found: dict[str, Value] = {one.word: published.get(one.word, usual[one.word]) for one in self._existing(facts)}
        sizes = facts.sizes
        if sizes.get("copies"):
            found["copies"] = sizes["copies"]
        if "normalize" in found:
            found["normalize"] = _normalize(self.algorithm, facts, published)
        steps, copies = sizes.get("steps", 0), found.get("copies", 1)
        assert isinstance(copies, int)  # noqa: S101  # by its range
        if steps and "rollout" in found:
            rollout = found["rollout"]
            assert isinstance(rollout, int)  # noqa: S101
            enough = steps if "rollout" in published else steps // UPDATES
            while rollout > 1 and rollout * copies > enough:
                rollout = max(1, rollout // 2)
            found["rollout"] = rollout
        if steps and "warm_up" in found:
            warm_up = found["warm_up"]
            assert isinstance(warm_up, int)  # noqa: S101
            found["warm_up"] = min(warm_up, steps // WARM_UP_SHARE)
        return found

    def _published(self, name: str) -> dict[str, Value]:
        """What the zoo tells of the algorithm in an environment, in our words; empty where it tells nothing."""
        known = zoo.lookup(name, self.algorithm.word) if name else None
        if known is None:
            return {}
        by_argument = {one.argument: one.word for one in self.parameters if one.argument}
        words = {one.word for one in self.parameters}
        found: dict[str, Value] = {by_argument[argument]: value for argument, value in known.items()
                                   if argument in by_argument and _plain(value)}
        found |= {by_argument[f"policy.{key}"]: value for key, value in (known.get("policy_kwargs") or {}).items()
                  if f"policy.{key}" in by_argument}
        found["copies"] = int(known.get("n_envs", 1))
        if "normalize" in known:
            found["normalize"] = _scaled(known["normalize"])
        for argument, value, schedule in (("learning_rate", "learning_rate", "schedule"),
                                          ("clip_range", "clip", "clip_schedule")):
            if argument in known:
                found |= _scheduled(known[argument], value, schedule)
        if "noise_std" in known:
            found["noise"] = float(known["noise_std"])
        if isinstance(known.get("train_freq"), list):  # once an episode: as often, but step by step
            found |= {"train_every": 1, "gradient_steps": 1}
        if self.algorithm.linear and known.get("policy") == "LinearPolicy":
            found["network"] = []
        if isinstance(network := found.get("network"), dict):
            found["network"] = network.get("pi")
        return {word: value for word, value in found.items() if word in words}


# ---------------------------------------------------------------- values of parameters

def _least(allowed: Range | None) -> float | None:
    if allowed is None:
        return None
    numbers = [value for value in allowed.choices if isinstance(value, (int, float))]
    return min(numbers) if numbers else allowed.low


def _normalize(algorithm: Algorithm, facts: Facts, published: Mapping[str, Value]) -> Value:
    """As the recipe has it; else as published; else where an algorithm that has no replay buffer sees a vector."""
    usual = "observations" if algorithm.linear or not algorithm.on_policy else "both"
    if facts.sizes.get("image") or facts.sizes.get("words"):
        return "none"
    asked = facts.sizes.get("normalize", -1)
    if asked >= 0:
        return usual if asked else "none"
    if published:
        return published.get("normalize", "none")
    helps = algorithm.on_policy or algorithm.linear
    return usual if helps and (facts.sizes.get("vector") or facts.sizes.get("mapping")) else "none"


def _range(one: Parameter, first: Value, facts: Facts, found: Mapping[str, Value]) -> Range:
    """What is searched of a parameter, its first value among it."""
    allowed = one.searched
    if allowed is None:
        return Range(choices=(first,), text=one.text)
    steps, copies = facts.sizes.get("steps", 0), found.get("copies", 1)
    if not allowed.choices:
        value = float(first) if isinstance(first, (int, float)) else 0.0
        return replace(allowed, low=min(allowed.low or value, value), high=max(allowed.high or value, value),
                       text=one.text)
    choices = [value for value in allowed.choices if not steps or _fits(one.word, value, steps, copies)]
    if first not in choices:
        choices.append(first)
    ordered = sorted(choices) if all(isinstance(c, (int, float)) for c in choices) else choices  # type: ignore[type-var]
    return replace(allowed, choices=tuple(ordered), text=one.text)


def _fits(word: str, value: Value, steps: int, copies: Value) -> bool:
    """Whether a training of so many steps has some updates with this value."""
    if not isinstance(value, int) or not isinstance(copies, int):
        return True
    if word == "rollout":
        return value * copies * 2 <= steps
    return word != "warm_up" or value * 2 <= steps


def _plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str)) or (isinstance(value, list) and value[1:] != ["episode"])


def _scheduled(value: Any, word: str, schedule: str) -> dict[str, Value]:
    if isinstance(value, Mapping):
        return {word: float(value["start"]), schedule: str(value["schedule"])}
    return {word: float(value), schedule: "constant"}


def _scaled(value: Any) -> str:
    if isinstance(value, Mapping):
        kinds = [bool(value.get("norm_obs", True)), bool(value.get("norm_reward", True))]
        return "both" if all(kinds) else "observations" if kinds[0] else "none"
    return "both" if value else "none"
