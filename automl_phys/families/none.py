"""Family ``none``: no reduction. The clusterer gets the points as they are, scaled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys.facts import Facts, Range
from automl_phys.trials import Job
from automl_phys.values import Array, Params

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SOLVES = frozenset({"reduce"})
NEEDS = ("numpy",)
TEXT = "all dimensions as they are"

BYTES = 4


@dataclass(frozen=True)
class Unreduced:
    """Satisfies ``contracts.Reduction``. ``embedding`` are the points of the fit themselves, float32 (n, d)."""

    embedding: NDArray[np.float32]

    def place(self, points: Array) -> Array:
        return points

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)


def skip(facts: Facts) -> str | None:
    """None: it takes everything."""
    return None


def memory_mb(facts: Facts) -> int:
    return 300 + 2 * BYTES * facts.rows.get("train", 0) * facts.sizes.get("numbers", 0) // 2**20


def space(facts: Facts) -> dict[str, Range]:
    return {}


def defaults(facts: Facts) -> tuple[Params, ...]:
    return ({},)


def fit(points: Array, params: Params, job: Job) -> Unreduced:
    return Unreduced(points)


def load(folder: Path) -> Unreduced:
    from automl_phys import arrays

    return arrays.load(Unreduced, folder)
