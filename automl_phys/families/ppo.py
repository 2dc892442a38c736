"""Family ``ppo``: proximal policy optimisation (Stable-Baselines3).

J. Schulman et al., arXiv:1707.06347: many copies of the environment are acted in for a while, then the policy is
improved by gradients that stay near it. Takes any actions; needs more steps than algorithms with a replay buffer, but
each costs little.
"""

from __future__ import annotations

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3")
TEXT = "policy gradients that stay near the present policy: robust, quick, for all kinds of actions"

ALGORITHM = Algorithm("ppo", "PPO", frozenset({"discrete", "continuous", "several"}), on_policy=True,
                      state_dependent_noise=True)
PARAMETERS = (*agent_facts.ON_POLICY, *agent_facts.PROXIMAL)
FAMILY = Family(ALGORITHM, PARAMETERS, 0.00015,
                ({"learning_rate": 1e-3, "schedule": "linear", "discount": 0.98, "gae_lambda": 0.9},
                 {"entropy": 0.01, "discount": 0.99, "network": [256, 256], "activation": "relu"}))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
