"""Family ``kde``: training events drawn again with Gaussian noise, a kernel density estimate.

With a small bandwidth it gives the training events back: the report's memorisation tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import generator_networks
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.table_problem import TableProblem
    from automl_phys.values import Array

SOLVES = frozenset({"generate"})
NEEDS = ("scipy",)
TEXT = "training events with noise: simple, but with little noise it memorises"

APART = 1000.0
"""How far one class is from another, in widths of the kernel among conditions: never near."""
AT_ONCE = 1 << 22
"""Distances between conditions that are held at once."""

skip = generator_networks.skip


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, the events, and distances between conditions."""
    return 400 + round((facts.rows.get("train", 0) * 16 * facts.sizes.get("generated", 20) + 4 * 8 * AT_ONCE) / 1e6)


def cost(facts: Facts) -> float:
    return 5.0


def space(facts: Facts) -> dict[str, Range]:
    return {"bandwidth": Range(low=0.1, high=1.5, log=True, text="width of the noise, in units of Scott's rule")}


def defaults(facts: Facts) -> tuple[Params, ...]:
    return {"bandwidth": 0.5}, {"bandwidth": 1.0}


@dataclass(frozen=True)
class Kernels:
    """Variates ``z`` (n, d) of the training events, their encoded conditions (n, k) and the sums of weights up to each
    (n,); ``width`` of the noise, and the kernel's among conditions, ``widths`` (k,)."""

    z: Array
    condition: Array
    top: Array
    width: float
    widths: Array

    def draw(self, condition: Array, seed: int) -> Array:
        import numpy as np

        from automl_phys import generating

        rng = np.random.default_rng(seed)
        die = rng.random(len(condition))
        chosen = self._near(condition, die) if condition.shape[1] else generating.picked(self.top, die)
        noise = rng.standard_normal((len(condition), self.z.shape[1]), np.float32)
        # Shrunk, so that the noise leaves the spread as it is.
        shrunk = (self.z[chosen] + self.width * noise) / np.sqrt(1 + self.width**2)
        return np.asarray(shrunk, np.float32)

    def _near(self, condition: Array, die: Array) -> Array:
        """A training event for each condition, the likelier the nearer its own is, and by weight; ``die`` (n,) says
        which."""
        import numpy as np

        from automl_phys import generating

        weight = np.diff(self.top, prepend=0.0)
        known = self.condition / self.widths
        made = np.empty(len(condition), np.int64)
        every, place = np.unique(condition, axis=0, return_inverse=True)
        order = np.argsort(place.ravel(), kind="stable")
        rows = np.split(order, np.cumsum(np.bincount(place.ravel()))[:-1])
        size = max(1, AT_ONCE // len(known))
        for start in range(0, len(every), size):
            some = every[start:start + size] / self.widths
            apart = (some**2).sum(axis=1)[:, None] - 2 * some @ known.T + (known**2).sum(axis=1)
            apart -= apart.min(axis=1, keepdims=True)
            tops = np.cumsum(np.exp(-apart / 2) * weight, axis=1)
            for these, top in zip(rows[start:start + size], tops, strict=True):
                made[these] = generating.picked(top, die[these])
        return made

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)


def load(folder: Path) -> Fitted:
    """Open a saved estimate."""
    from automl_phys import arrays, generating

    return generating.load(folder, lambda inner: arrays.load(Kernels, inner))


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Keep the training events; the noise is Scott's n^(-1/(d+4)) times the bandwidth (n: effective events), and events
    with conditions as near as Scott's rule for these says are drawn for one."""
    import numpy as np

    from automl_phys import generating

    given = generating.given(problem, job.seed)
    weight = given.train.weight.astype(np.float64)
    events = weight.sum() ** 2 / (weight**2).sum()
    width = float(str(params["bandwidth"])) * events ** (-1 / (given.train.z.shape[1] + 4))
    numbers, told = len(given.space.layout.given_numbers), given.train.condition.shape[1]
    widths = np.where(np.arange(told) < numbers, events ** (-1 / (numbers + 4)), 1 / APART)
    kernels = Kernels(given.train.z, given.train.condition, np.cumsum(weight), float(width), widths)
    generating.Looks(given, watch, 1)(1, kernels.draw)
    return generating.Generator(given.space, kernels, 1, ())
