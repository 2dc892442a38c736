"""Family ``ars``: augmented random search (Stable-Baselines3 contributed).

H. Mania, A. Guy, B. Recht, NeurIPS 2018 (arXiv:1803.07055): a linear policy, or a small network, moved towards the
random changes of it that did best. No gradients, no value.
"""

from __future__ import annotations

from dataclasses import replace

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family, Parameter
from automl_phys.facts import Range

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3", "sb3_contrib")
TEXT = "random changes of a linear policy, the best followed: a simple opponent"

ALGORITHM = Algorithm("ars", "ARS", frozenset({"discrete", "continuous"}), "sb3_contrib", exploration="none",
                      linear=True)
PARAMETERS = (
    replace(agent_facts.COPIES, default=1), agent_facts.NORMALIZE,
    replace(agent_facts.LEARNING_RATE, default=0.02, searched=Range(low=1e-3, high=0.1, log=True)),
    Parameter("directions", "n_delta", 8, Range(choices=(2, 4, 8, 16)), text="random changes tried, both ways"),
    Parameter("kept", "n_top", 4, Range(choices=(1, 2, 4, 8)), text="those that are followed"),
    Parameter("step", "delta_std", 0.05, Range(low=0.01, high=0.2, log=True), text="size of random changes"),
    Parameter("alive_bonus", "alive_bonus_offset", 0, text="what is added to the reward of each step while learning"),
    Parameter("from_zero", "zero_policy", True, text="begins with weights of zero"),
    replace(agent_facts.NETWORK, default=[], searched=Range(choices=([], [16]))))
FAMILY = Family(ALGORITHM, PARAMETERS, 0.00015, ({"directions": 16, "step": 0.1},))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
