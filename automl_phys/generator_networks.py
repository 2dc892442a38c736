"""What families that generate by a network have in common before any of it is imported: for which events they are, how
they save and draw.

Takes facts and networks; the training itself is :mod:`automl_phys.latent_networks`'s, which imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys.facts import Facts, only_kind

if TYPE_CHECKING:
    from automl_phys.latent_networks import Compiled


def skip(facts: Facts) -> str | None:
    """Events of tables and images can be generated."""
    return only_kind(facts, "table", "images")


def memory_mb(facts: Facts, base: int = 900) -> int:
    """Keras on JAX, ``base`` MB, and the events a few times."""
    return base + round(facts.rows.get("train", 0) * (16 * facts.sizes.get("generated", 20) + 200) / 1e6)


def kind(facts: Facts) -> str:
    """``images`` or ``table``: what numbers that differ between the two are kept by."""
    return "images" if facts.kind == "images" else "table"


@dataclass(frozen=True)
class Networked:
    """A ``generating.Latent`` that is one network."""

    network: Any

    def compiled(self, function: Callable[..., Any]) -> Compiled:
        """A function of arrays, the last of them conditions (n, k), that uses the network."""
        from automl_phys.latent_networks import Compiled

        return Compiled(self.network, function)

    def save(self, folder: Path) -> None:
        from automl_phys import latent_networks

        latent_networks.save(self.network, folder)
