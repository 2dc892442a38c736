"""What families that detect anomalies say of themselves before any of it is imported: for which problems they are, how
many columns they see.

Takes facts; what detectors do is :mod:`automl_phys.detecting`'s work.
"""

from __future__ import annotations

from automl_phys.facts import Facts, Range, only_kind

SCALING = Range(choices=("normal", "standard"), text="numbers as normal variates, or divided by their robust width")
"""The parameter of most families, see ``detecting.Frame``."""

FEWEST = 20
"""Training rows that a detector needs."""
MOST_COMPONENTS = 64
"""Columns of what learns a density; of more their principal components are taken."""


def skip(facts: Facts) -> str | None:
    """Detectors take tables and images, of some events."""
    if reason := only_kind(facts, "table", "images"):
        return reason
    rows = facts.rows.get("train", 0)
    return f"needs {FEWEST} training rows or more, there are {rows}" if rows < FEWEST else None


def width(facts: Facts) -> int:
    """About how many columns a detector sees: each category as a few."""
    sizes = facts.sizes
    return max(1, sizes.get("numbers", 0) + 4 * sizes.get("categories", 0) + sizes.get("columns", 0))


def memory_mb(facts: Facts, base: int) -> int:
    """An interpreter of ``base`` MB, the columns a few times while they are made (in 64 bits) and learned from, and
    scores."""
    rows = facts.rows.get("train", 0) + 2 * facts.rows.get("valid", 0)
    return base + round(rows * (width(facts) * 40 + 100) / 1e6)
