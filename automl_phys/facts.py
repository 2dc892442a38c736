"""What is known before anything is decided: facts of a problem, the values that may be searched, the machine.

Standard library only, so that every other module may import it at no cost. All of it is small enough to be written as
JSON and printed; arrays never live here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from automl_phys.exhibits import Table
from automl_phys.values import Part, Value


@dataclass(frozen=True)
class Facts:
    """What is known of a problem without solving it; enough to plan, small enough to print.

    ``kind`` is ``table``, ``images``, ``text``, ``points``, ``series`` or ``environment``, which alone has a ``name``,
    its id. ``rows`` counts rows by part, of an environment episodes. ``sizes`` holds what families ask for:
    ``numbers``, ``categories``, ``outputs`` (classes), of images
    ``height``, ``width``, ``channels`` and the ``columns`` that they make … ``tables`` are for people.
    """

    kind: str
    rows: Mapping[Part, int]
    sizes: Mapping[str, int]
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Range:
    """The values one hyperparameter may take: ``choices``, or ``low`` to ``high`` inclusive.

    ``when`` names another parameter of the family and the values of it for which this one exists.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False
    choices: tuple[Value, ...] = ()
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a slice of one (MIG), as its driver tells of it.

    ``number`` is nvidia-smi's, of a slice that of its GPU, whose UUID is ``of`` then and whose ``profile`` is such as
    ``1g.5gb``; both are empty for a whole GPU. Memory in MB (2^20 bytes); ``capability`` is such as ``8.0``, empty
    where the driver does not tell.
    """

    number: int
    uuid: str
    model: str
    memory_mb: int
    driver: str = ""
    capability: str = ""
    of: str = ""
    profile: str = ""


@dataclass(frozen=True)
class Machine:
    """Where trials run: one host, or ``hosts`` alike. ``gpus`` are device names of one host, ``cards`` what is known of
    these, in the same order, or nothing; memory in MB."""

    cores: int
    memory_mb: int
    gpus: tuple[str, ...] = ()
    hosts: int = 1
    cards: tuple[Gpu, ...] = ()


COLUMNS = ("table", "images", "text")
"""Kinds of problem whose rows can be put as columns side by side, as ``Rows.columns`` does."""


def only_kind(facts: Facts, *kinds: str) -> str | None:
    """For a family that takes some kinds of problem: why it cannot take this one, None when it can."""
    return None if facts.kind in kinds else f"takes {' or '.join(kinds)}, not {facts.kind}"
