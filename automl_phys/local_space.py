"""What the families that fit every series by itself ask of a problem. Takes facts. Standard library only, as plans are
made of it."""

from __future__ import annotations

from automl_phys.facts import Facts, only_kind

MOST_MODELS = 500
"""Series times targets."""


def models(facts: Facts) -> int:
    """One for each target of each series."""
    return facts.sizes.get("series", 1) * facts.sizes.get("targets", 1)


def skip(facts: Facts) -> str | None:
    """Every series is fitted on its own, one after the other: not too many of them."""
    if facts.kind == "series" and models(facts) > MOST_MODELS:
        return f"fits every series on its own: {models(facts)} of them would take too long, {MOST_MODELS} at most"
    return only_kind(facts, "series")


def memory_mb(facts: Facts) -> int:
    """The interpreter with statsforecast, and the errors of one series at a time."""
    return 600 + round(8 * 4 * facts.sizes.get("steps", 0) * facts.sizes.get("targets", 1) / 1e6)


def memory_of_repeating(facts: Facts) -> int:
    """The interpreter, and the errors of one series at a time, where a forecast only repeats what was."""
    return 300 + round(8 * 2 * facts.sizes.get("steps", 0) * facts.sizes.get("targets", 1) / 1e6)


def cost_of_repeating(facts: Facts) -> float:
    """Seconds that one trial of it takes, roughly."""
    return 0.1 + 4e-3 * models(facts)
