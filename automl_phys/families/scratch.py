"""Family ``scratch``: the network of the base from random weights, to see what transfer is worth.

Everything but the weights it starts from is as for ``transferred``; nothing is frozen. The work is
:mod:`automl_phys.transferring`'s.
"""

from __future__ import annotations

from functools import partial

from automl_phys import transferring

SOLVES = frozenset({"transfer"})
NEEDS = ("keras",)
TEXT = "the same network from random weights: what transfer must beat"

skip = transferring.skip
memory_mb = transferring.memory_mb
space = partial(transferring.space, kept=False)
defaults = partial(transferring.defaults, kept=False)
fit = partial(transferring.fit, kept=False)
load = transferring.load
