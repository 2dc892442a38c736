"""Family ``mixture``: a mixture of Gaussians (scikit-learn), fitted by expectation maximisation; the baseline.

Under conditions that are classes each class has a mixture of its own; numbers are columns like the others, and events
are drawn from the mixture's conditional distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import generator_networks
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.generating import Part
    from automl_phys.table_problem import TableProblem
    from automl_phys.values import Array

SOLVES = frozenset({"generate"})
NEEDS = ("sklearn",)
TEXT = "a mixture of Gaussians: quick, smooth, the baseline"

MOST_STEPS = 200
MOST_EVENTS = 50_000
FLOOR = 1e-3
"""Least variance of a component along a column."""

skip = generator_networks.skip


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, and the events and their posteriors."""
    return 400 + round(min(MOST_EVENTS, facts.rows.get("train", 0)) * (64 * facts.sizes.get("generated", 20) + 1600)
                       / 1e6)


def cost(facts: Facts) -> float:
    return 8.0


def space(facts: Facts) -> dict[str, Range]:
    return {"components": Range(low=2, high=80, integer=True, log=True, text="Gaussians"),
            "covariance": Range(choices=("full", "diag"), text="each its own, or along the columns")}


def defaults(facts: Facts) -> tuple[Params, ...]:
    return {"components": 12, "covariance": "full"}, {"components": 40, "covariance": "full"}


@dataclass(frozen=True)
class Gaussians:
    """Components of all classes: ``code`` (m,) of the class that each is of, ``shares`` (m,) that sum to 1 in each
    class, ``means`` (m, d + q) and ``covariances`` (m, d + q, d + q) of the d variates and q numbers that are given.
    Encoded conditions have the q numbers first; ``classes`` (c, k) are those of the classes."""

    code: Array
    shares: Array
    means: Array
    covariances: Array
    classes: Array
    columns: int

    def draw(self, condition: Array, seed: int) -> Array:
        import numpy as np

        rng = np.random.default_rng(seed)
        given = self.means.shape[1] - self.columns
        noise = rng.standard_normal((len(condition), self.columns))
        die = rng.random(len(condition))
        made = np.empty((len(condition), self.columns))
        code = _codes(condition[:, given:], self.classes)
        for one in np.unique(code):
            rows = np.flatnonzero(code == one)
            of = np.flatnonzero(self.code == one)
            made[rows] = self._drawn(of, condition[rows, :given].astype(np.float64), noise[rows], die[rows])
        return made.astype(np.float32)

    def _drawn(self, of: Array, numbers: Array, noise: Array, die: Array) -> Array:
        """Draws of the components ``of`` given ``numbers`` (n, q): Gaussians of the rest, with weights by how well
        their margins explain the numbers."""
        import numpy as np
        from scipy.special import softmax

        d, made = self.columns, np.empty((len(numbers), self.columns))
        logs = np.tile(np.log(self.shares[of]), (len(numbers), 1))
        centres, roots = [], []
        for i, component in enumerate(of):
            mean, covariance = self.means[component], self.covariances[component]
            inner, across = covariance[:d, :d], covariance[:d, d:]
            away = numbers - mean[d:]
            if numbers.shape[1]:
                solved = np.linalg.solve(covariance[d:, d:], across.T)
                logs[:, i] -= 0.5 * (away * np.linalg.solve(covariance[d:, d:], away.T).T).sum(axis=1)
                logs[:, i] -= 0.5 * np.linalg.slogdet(covariance[d:, d:])[1]
                inner = inner - across @ solved
                centres.append(mean[:d] + away @ solved)
            else:
                centres.append(np.broadcast_to(mean[:d], made.shape))
            roots.append(np.linalg.cholesky(inner + 1e-9 * np.eye(d)))
        chosen = (np.cumsum(softmax(logs, axis=1), axis=1) < die[:, None]).sum(axis=1).clip(0, len(of) - 1)
        for i in range(len(of)):
            rows = chosen == i
            made[rows] = centres[i][rows] + noise[rows] @ roots[i].T
        return made

    def save(self, folder: Path) -> None:
        from automl_phys import arrays

        arrays.save(self, folder)


def _codes(told: Array, classes: Array) -> Array:
    """Which of the classes (c, k) each encoded condition (n, k) is; the nearest for one that is none of them."""
    import numpy as np

    if not classes.shape[1]:
        return np.zeros(len(told), np.int64)
    found: Array = ((classes**2).sum(axis=1) - 2 * told @ classes.T).argmin(axis=1)
    return found


def load(folder: Path) -> Fitted:
    """Open a saved mixture."""
    from automl_phys import arrays, generating

    return generating.load(folder, lambda inner: arrays.load(Gaussians, inner))


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Expectation maximisation; where events have weights on as many that are drawn by weight (with replacement), as
    scikit-learn's takes none."""
    import numpy as np

    from automl_phys import generating

    given = generating.given(problem, job.seed)
    rng = np.random.default_rng(job.seed)
    part = _drawn_by_weight(given.train, rng)
    numbers = len(given.space.layout.given_numbers)
    told = part.condition[:, numbers:]
    classes = np.unique(told, axis=0)
    code = _codes(told, classes)
    values = np.hstack([part.z, part.condition[:, :numbers]]).astype(np.float64)
    codes, shares, means, covariances = [], [], [], []
    for one in np.unique(code):
        share, mean, covariance = _fitted(values[code == one], params, job.seed)
        codes.append(np.full(len(share), one))
        shares.append(share)
        means.append(mean)
        covariances.append(covariance)
    gaussians = Gaussians(np.concatenate(codes), np.concatenate(shares), np.concatenate(means),
                          np.concatenate(covariances), classes, part.z.shape[1])
    generating.Looks(given, watch, 1)(1, gaussians.draw)
    return generating.Generator(given.space, gaussians, 1, ())


def _drawn_by_weight(part: Part, rng: Any) -> Part:
    """At most ``MOST_EVENTS`` of the events, all of the same weight."""
    import numpy as np

    count = min(len(part.z), MOST_EVENTS)
    if count == len(part.z) and np.ptp(part.weight) == 0:
        return part
    weight = part.weight.astype(np.float64)
    equal = bool(np.ptp(weight) == 0)
    some = rng.choice(len(weight), count, replace=not equal, p=weight / weight.sum())
    return type(part)(part.z[some], part.condition[some], np.ones(count, np.float32))


def _fitted(values: Array, params: Params, seed: int) -> tuple[Array, Array, Array]:
    """Shares (m,), means (m, d) and covariances (m, d, d) of a mixture; fewer components where events are few."""
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    size = values.shape[1]
    if len(values) == 1:  # a class of one event: scikit-learn wants two
        values = np.repeat(values, 2, axis=0)
    most = max(1, len(np.unique(values, axis=0)) // (2 * size if params["covariance"] == "full" else 4))
    model = GaussianMixture(min(int(str(params["components"])), most), covariance_type=str(params["covariance"]),
                            reg_covar=FLOOR, max_iter=MOST_STEPS, random_state=seed % 2**32)
    # One thread: several add their sums in the order in which they finish, so that digits would change.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        model.fit(values)
    covariances = model.covariances_
    if params["covariance"] == "diag":
        covariances = covariances[:, :, None] * np.eye(size)
    return model.weights_, model.means_, covariances
