"""How many clusters are looked for, where the number is a parameter: the range to search and where to begin.

Takes facts of a problem; standard library only, so that families may say their space without NumPy.
"""

from __future__ import annotations

from automl_phys.facts import Facts, Range

MOST = 20
FEWEST_POINTS_EACH = 10


def searched(facts: Facts) -> Range:
    """From 2 to ``MOST``, fewer where clusters would be smaller than ``FEWEST_POINTS_EACH`` on average."""
    return Range(low=2, high=_most(facts), integer=True, text="number of clusters")


def usual(facts: Facts) -> tuple[int, int]:
    """Two numbers to begin with: few clusters, and many."""
    return min(5, _most(facts)), min(10, _most(facts))


def _most(facts: Facts) -> int:
    return max(2, min(MOST, facts.rows.get("train", 0) // FEWEST_POINTS_EACH))
