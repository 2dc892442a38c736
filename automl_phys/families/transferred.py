"""Family ``transferred``: a network that was trained elsewhere, with a new head for this problem.

How much of it is frozen, whether it is unfrozen gradually, and how the head is trained is searched. The work is
:mod:`automl_phys.transferring`'s.
"""

from __future__ import annotations

from functools import partial

from automl_phys import transferring

SOLVES = frozenset({"transfer"})
NEEDS = ("keras",)
TEXT = "the pre-trained network with a new head"

skip = transferring.skip
memory_mb = transferring.memory_mb
space = partial(transferring.space, kept=True)
defaults = partial(transferring.defaults, kept=True)
fit = partial(transferring.fit, kept=True)
load = transferring.load
