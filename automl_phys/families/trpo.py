"""Family ``trpo``: trust region policy optimisation (Stable-Baselines3 contributed).

J. Schulman et al., ICML 2015 (arXiv:1502.05477): each step is as long as a bound on the change of the policy allows,
found by conjugate gradients and a line search.
"""

from __future__ import annotations

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family, Parameter
from automl_phys.facts import Range

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3", "sb3_contrib")
TEXT = "the longest step within a bound on the policy's change: steady, few settings"

ALGORITHM = Algorithm("trpo", "TRPO", frozenset({"discrete", "continuous", "several"}), "sb3_contrib", on_policy=True,
                      state_dependent_noise=True)
PARAMETERS = (
    *agent_facts.starting(agent_facts.ON_POLICY, learning_rate=1e-3),
    Parameter("minibatch", "batch_size", 128, text="steps of one gradient of the value"),
    Parameter("change", "target_kl", 0.01, Range(low=0.003, high=0.03, log=True),
              text="largest mean Kullback-Leibler divergence between policies"),
    Parameter("value_updates", "n_critic_updates", 10, Range(choices=(10, 20)),
              text="passes of the value over a rollout"),
    Parameter("cg_steps", "cg_max_steps", 15, text="conjugate gradients of one update"),
    Parameter("cg_damping", "cg_damping", 0.1, text="what is added to the Fisher matrix"),
    Parameter("subsampling", "sub_sampling_factor", 1, text="every how many steps the Fisher matrix is estimated with"))
FAMILY = Family(ALGORITHM, PARAMETERS, 0.00015, ({"discount": 0.95, "gae_lambda": 0.9, "change": 0.02},))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
