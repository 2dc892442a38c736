"""Family ``dqn``: deep Q-learning (Stable-Baselines3).

V. Mnih et al., Nature 518 (2015) 529: a network learns what each action is worth, from a buffer of what was seen, and
the best one is taken, but now and then one at random.
"""

from __future__ import annotations

from dataclasses import replace

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3")
TEXT = "learns what each action is worth, from all it has seen: thrifty with steps"

ALGORITHM = Algorithm("dqn", "DQN", frozenset({"discrete"}), exploration="greedy")
PARAMETERS = (
    *agent_facts.starting(agent_facts.OFF_POLICY, learning_rate=1e-3, batch=128, buffer=100_000, train_every=16,
                          gradient_steps=8),
    *agent_facts.GREEDY, replace(agent_facts.GRADIENT_NORM, default=10.0))
FAMILY = Family(ALGORITHM, PARAMETERS, 0.0012,
                ({"learning_rate": 5e-4, "target_every": 1000, "exploration_share": 0.3},
                 {"discount": 0.95, "network": [64, 64]}))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
