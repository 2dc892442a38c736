"""Family ``tqc``: truncated quantile critics (Stable-Baselines3 contributed).

A. Kuznetsov et al., ICML 2020 (arXiv:2005.04269): soft actor-critic that learns distributions of what actions are worth
and leaves out their upper ends, against hopes that are too high.
"""

from __future__ import annotations

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family, Parameter
from automl_phys.facts import Range

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3", "sb3_contrib")
TEXT = "sac with distributions whose upper ends are left out: the best of its kind, and the slowest"

ALGORITHM = Algorithm("tqc", "TQC", frozenset({"continuous"}), "sb3_contrib", state_dependent_noise=True)
PARAMETERS = (
    *agent_facts.OFF_POLICY, *agent_facts.MAXIMUM_ENTROPY,
    Parameter("dropped", "top_quantiles_to_drop_per_net", 2, Range(choices=(0, 2, 5)),
              text="quantiles that are left out, of 25"))
FAMILY = Family(ALGORITHM, PARAMETERS, 0.008, ({"learning_rate": 1e-3, "discount": 0.98, "target_rate": 0.02},))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
