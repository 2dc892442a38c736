"""Family ``qrdqn``: deep Q-learning with quantiles (Stable-Baselines3 contributed).

W. Dabney et al., AAAI 2018 (arXiv:1710.10044): as dqn, but of the distribution of what an action is worth.
"""

from __future__ import annotations

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family, Parameter
from automl_phys.facts import Range

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3", "sb3_contrib")
TEXT = "dqn that learns the distribution of what an action is worth: often better, somewhat slower"

ALGORITHM = Algorithm("qrdqn", "QRDQN", frozenset({"discrete"}), "sb3_contrib", exploration="greedy")
PARAMETERS = (
    *agent_facts.starting(agent_facts.OFF_POLICY, learning_rate=1e-3, batch=128, buffer=100_000, train_every=16,
                          gradient_steps=8),
    *agent_facts.GREEDY, Parameter("quantiles", "policy.n_quantiles", 25, Range(choices=(10, 25, 50)),
                                   text="quantiles of what an action is worth"))
FAMILY = Family(ALGORITHM, PARAMETERS, 0.0018,
                ({"learning_rate": 5e-4, "target_every": 1000, "exploration_share": 0.3},))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
