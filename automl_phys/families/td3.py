"""Family ``td3``: twin delayed deep deterministic policy gradient (Stable-Baselines3).

S. Fujimoto et al., ICML 2018 (arXiv:1802.09477): a policy without chance, improved against the smaller of two
estimates of what its action is worth; explores by noise.
"""

from __future__ import annotations

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3")
TEXT = "a policy without chance, explored by noise: precise where sac jitters, but easily stuck"

ALGORITHM = Algorithm("td3", "TD3", frozenset({"continuous"}), exploration="noise")
PARAMETERS = (
    *agent_facts.starting(agent_facts.OFF_POLICY, learning_rate=1e-3, buffer=200_000, network=[400, 300]),
    agent_facts.SOFT_TARGET, agent_facts.NOISE)
FAMILY = Family(ALGORITHM, PARAMETERS, 0.005, ({"learning_rate": 3e-4, "noise": 0.2, "network": [256, 256]},))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
