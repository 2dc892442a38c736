"""Family ``ddpg``: deep deterministic policy gradient (Stable-Baselines3).

T. P. Lillicrap et al., ICLR 2016 (arXiv:1509.02971), the forerunner of td3.
"""

from __future__ import annotations

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3")
TEXT = "the forerunner of td3, with one estimate: for comparison"

ALGORITHM = Algorithm("ddpg", "DDPG", frozenset({"continuous"}), exploration="noise")
PARAMETERS = (
    *agent_facts.starting(agent_facts.OFF_POLICY, learning_rate=1e-3, buffer=200_000, network=[400, 300]),
    agent_facts.SOFT_TARGET, agent_facts.NOISE)
FAMILY = Family(ALGORITHM, PARAMETERS, 0.004, ({"learning_rate": 3e-4, "noise": 0.2, "network": [256, 256]},))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
