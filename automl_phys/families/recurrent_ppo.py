"""Family ``recurrent_ppo``: proximal policy optimisation with an LSTM (Stable-Baselines3 contributed).

For environments that don't show all of their state: the agent remembers. M. Hausknecht, P. Stone, arXiv:1507.06527
discuss why; ``frame_stack`` of the environment is the cheaper way.
"""

from __future__ import annotations

from automl_phys import agent_facts
from automl_phys.agent_facts import Algorithm, Family, Parameter
from automl_phys.facts import Range

SOLVES = frozenset({"reinforce"})
NEEDS = ("gymnasium", "stable_baselines3", "sb3_contrib")
TEXT = "ppo that remembers what it saw: for states that are seen in part only; slow"

ALGORITHM = Algorithm("recurrent_ppo", "RecurrentPPO", frozenset({"discrete", "continuous", "several"}), "sb3_contrib",
                      on_policy=True, recurrent=True, state_dependent_noise=True)
PARAMETERS = (
    *agent_facts.ON_POLICY, *agent_facts.PROXIMAL,
    Parameter("memory", "policy.lstm_hidden_size", 64, Range(choices=(32, 64, 128)), text="width of the LSTM"),
    Parameter("critic_memory", "policy.enable_critic_lstm", True, text="the value has an LSTM of its own"))
FAMILY = Family(ALGORITHM, PARAMETERS, 0.0015, ({"learning_rate": 1e-3, "schedule": "linear"},))

skip, memory_mb, cost = FAMILY.skip, FAMILY.memory_mb, FAMILY.cost
space, defaults, refuse = FAMILY.space, FAMILY.defaults, FAMILY.refuse
load, fit = FAMILY.load, FAMILY.fit
