"""How long networks on events are trained. Takes facts. Standard library only, as plans are made of it."""

from __future__ import annotations

from automl_phys.facts import Facts


def epochs(facts: Facts, updates: int, batch: int, most: int) -> int:
    """Passes over the training events in about ``updates`` steps of ``batch`` events, but 5 to ``most``."""
    return min(most, max(5, round(updates * batch / max(1, facts.rows.get("train", 1)))))
