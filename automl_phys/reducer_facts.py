"""For which points the families are that reduce them by their neighbours or by a network. Takes facts. Standard library
only, as plans are made of it."""

from __future__ import annotations

from automl_phys.facts import Facts, only_kind


def skip(facts: Facts, fewest_rows: int) -> str | None:
    """Points of two columns or more, and of so many rows at least."""
    if reason := only_kind(facts, "points"):
        return reason
    if facts.sizes["numbers"] < 2:
        return "needs two columns or more"
    rows = facts.rows.get("train", 0)
    return f"needs {fewest_rows} rows or more, there are {rows}" if rows < fewest_rows else None
