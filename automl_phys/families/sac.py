"""Family ``sac``: soft actor-critic (Stable-Baselines3).

T. Haarnoja et al., ICML 2018 (arXiv:1801.01290) and arXiv:1812.05905: as much reward as possible while acting as much
at random as possible, learnt from a buffer of what was seen. Needs few steps, each of which costs a gradient.
"""

from __future__ import annotations

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3")
TEXT = "rewards and randomness both, learnt from all it has seen: few steps needed, each is slow"

ALGORITHM = Algorithm("sac", "SAC", frozenset({"continuous"}), state_dependent_noise=True)
PARAMETERS = (*agent_facts.OFF_POLICY, *agent_facts.MAXIMUM_ENTROPY)
FAMILY = Family(ALGORITHM, PARAMETERS, 0.006,
                ({"learning_rate": 1e-3, "discount": 0.98, "target_rate": 0.02},
                 {"network": [64, 64], "discount": 0.95}))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
