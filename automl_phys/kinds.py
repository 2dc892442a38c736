"""Words for what a problem is made of, by the ``kind`` of its facts: a table has rows, a series windows, an environment
episodes.

Takes a kind; gives :class:`Words`. One place, so that no stage asks what a problem is in order to speak of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """``row`` is one thing that is predicted; ``networks`` what a framework's networks are here. ``again`` says how a
    configuration is fitted more than once, where models are not averaged, ``purpose`` what for, and ``fits`` what these
    fits are called. ``curve`` is what a fit's history follows."""

    row: str = "row"
    networks: str = "Keras"
    again: str = "fitted again on {} variations of the problem"
    purpose: str = "to see how well it holds"
    fits: str = "fits on variations of the problem"
    curve: str = "loss"


KNOWN: Mapping[str, Words] = {
    "series": Words(row="window"),
    "environment": Words(
        row="episode", networks="Agents", again="trained again from {} fresh seeds",
        purpose="and the report is about these agents", fits="trainings from fresh seeds", curve="return"),
}


def of(kind: str) -> Words:
    """Those of a kind of problem."""
    return KNOWN.get(kind, Words())
