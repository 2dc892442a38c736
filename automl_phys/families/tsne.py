"""Family ``tsne``: t-distributed stochastic neighbour embedding in a plane (openTSNE; P. G. Poličar et al., J. Stat.
Softw. 109 (2024) 3).

Keeps neighbours together; sizes of clusters and distances between them mean nothing. New points are placed by
openTSNE's own transform, each by itself, whatever the others are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from automl_phys import reducer_facts
from automl_phys.contracts import Reduction
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.values import Array

SOLVES = frozenset({"reduce"})
NEEDS = ("openTSNE",)
TEXT = "neighbours stay together in a plane: the finest local structure, slow"

FEWEST_ROWS = 40
LEAST_PERPLEXITY, MOST_PERPLEXITY = 5.0, 100.0
NEIGHBOURS_OF_PERPLEXITY = 3
"""A perplexity stands for a smooth count of neighbours; three times as many are looked at."""
PLACED_BY = 15
"""Neighbours of the fit that draw on a new point: openTSNE's own choice, a perplexity of 5."""


def skip(facts: Facts) -> str | None:
    return reducer_facts.skip(facts, FEWEST_ROWS)


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn; the points and their index, and three times the perplexity of neighbours for
    each point, twice, as the graph is made symmetric."""
    neighbours = NEIGHBOURS_OF_PERPLEXITY * _most(facts)
    return 350 + round(facts.rows.get("train", 0) * (facts.sizes["numbers"] * 16 + neighbours * 70) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    return {
        "perplexity": Range(low=LEAST_PERPLEXITY, high=_most(facts), log=True,
                            text="about how many neighbours hold a point"),
        "exaggeration": Range(low=1.0, high=4.0, log=True, text="how much more strongly neighbours attract"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    return tuple({"perplexity": min(perplexity, _most(facts)), "exaggeration": exaggeration}
                 for perplexity, exaggeration in ((30.0, 1.0), (30.0, 2.0)))


def _most(facts: Facts) -> float:
    """So small that a half of the points has the neighbours, too."""
    return max(LEAST_PERPLEXITY, min(MOST_PERPLEXITY, float(facts.rows.get("train", 0) // 8)))


@dataclass(frozen=True)
class Tsne:
    """The points of the fit (n, d) and their places (n, 2), centred on 0; ``seed`` is of the index of neighbours."""

    points: Array
    seed: int
    embedding: Array

    def place(self, points: Array) -> Array:
        import numpy as np

        if not len(points):
            return np.zeros((0, 2), np.float32)
        return np.asarray(self._known.transform(np.asarray(points, np.float64), perplexity=PLACED_BY / 3), np.float32)

    @cached_property
    def _known(self) -> Any:
        """The places as openTSNE takes them, built from what is saved, so that a loaded model places as a new one."""
        import numpy as np
        from openTSNE import TSNEEmbedding

        affinities = _affinities(self.points, PLACED_BY / 3, self.seed)
        return TSNEEmbedding(self.embedding.astype(np.float64), affinities, random_state=self.seed)

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)


def load(folder: Path) -> Reduction:
    from automl_phys import arrays

    return arrays.load(Tsne, folder)


def fit(points: Array, params: Params, job: Job) -> Reduction:
    """Raises DataError for points that are not finite, all the same, or too few for the perplexity."""
    from openTSNE import TSNE

    from automl_phys import placing

    perplexity = cast(float, params["perplexity"])
    placing.check_points(points, int(NEIGHBOURS_OF_PERPLEXITY * perplexity))
    seed = job.seed % 2**31
    exaggeration = cast(float, params["exaggeration"])
    model = TSNE(2, initialization="pca", exaggeration=exaggeration, random_state=seed, n_jobs=job.threads)
    embedding = model.fit(points, affinities=_affinities(points, perplexity, seed))
    places = placing.checked(embedding)
    return Tsne(points, seed, places - (places.max(axis=0) + places.min(axis=0)) / 2)


def _affinities(points: Array, perplexity: float, seed: int) -> Any:
    """Which points are neighbours of which, and how much. One thread: the index of neighbours depends on how many there
    are, though the descent does not."""
    from openTSNE.affinity import PerplexityBasedNN

    return PerplexityBasedNN(points, perplexity, n_jobs=1, random_state=seed)
