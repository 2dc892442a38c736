"""Family ``a2c``: advantage actor-critic, synchronous (Stable-Baselines3).

V. Mnih et al., ICML 2016 (arXiv:1602.01783), without the asynchrony: one gradient for every few steps of all copies.
"""

from __future__ import annotations

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3")
TEXT = "the simplest policy gradient: cheap updates every few steps"

ALGORITHM = Algorithm("a2c", "A2C", frozenset({"discrete", "continuous", "several"}), on_policy=True,
                      state_dependent_noise=True)
PARAMETERS = (
    *agent_facts.starting(agent_facts.ON_POLICY, learning_rate=7e-4, rollout=5, gae_lambda=1.0),
    agent_facts.ENTROPY, agent_facts.VALUE_WEIGHT, agent_facts.GRADIENT_NORM)
FAMILY = Family(ALGORITHM, PARAMETERS, 0.00025, ({"schedule": "linear", "rollout": 16, "gae_lambda": 0.95},))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
