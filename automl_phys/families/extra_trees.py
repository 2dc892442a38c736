"""Family ``extra_trees``: extremely randomised trees (scikit-learn), for the diversity of an ensemble.

The saved model is the arrays of its trees; prediction walks them in NumPy, so that no pickle is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys.contracts import Facts, Fitted, Range, only_kind
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.table import Rows, TableProblem
    from automl_phys.values import Array

SOLVES = frozenset({"classify"})
NEEDS = ("sklearn",)
TEXT = "randomised trees: errors unlike those of the other families"

TREES_PER_BLOCK = 50
ROWS_PER_CHUNK = 50_000


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "table")


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, the rows, and 300 trees of up to two nodes for each leaf's worth of rows."""
    rows = facts.rows.get("train", 0)
    nodes = 300 * 2 * rows / 4
    return 400 + round((rows * facts.sizes["numbers"] * 4 + nodes * (64 + 8 * facts.sizes["outputs"])) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    return {
        "trees": Range(low=100, high=400, integer=True, text="number of trees"),
        "min_samples_leaf": Range(low=1, high=50, log=True, integer=True, text="fewest events in a leaf"),
        "max_features": Range(low=0.2, high=1.0, text="share of the columns tried at a split"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    return ({"trees": 150, "min_samples_leaf": 3, "max_features": 0.5},)


@dataclass(frozen=True)
class ExtraTrees:
    """The nodes of all trees, one after another.

    Node i goes on to ``child[i, 1]`` when its ``feature[i]`` is at most ``threshold[i]``, else to ``child[i, 0]``; a
    leaf is its own child and has its class shares in ``value[i]``. ``roots`` are the trees' first nodes.
    """

    child: Array
    feature: Array
    threshold: Array
    value: Array
    roots: Array
    steps: int
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, rows: Rows) -> Array:
        """Class probabilities (n, classes), float32: the mean of the leaves' shares over the trees."""
        import numpy as np

        matrix = _matrix(rows)
        out = np.zeros((len(matrix), self.value.shape[1]), dtype=np.float64)
        for start in range(0, len(matrix), ROWS_PER_CHUNK):
            chunk = matrix[start:start + ROWS_PER_CHUNK]
            for root in self.roots:
                out[start:start + ROWS_PER_CHUNK] += self.value[self._leaves(chunk, root)]
        return (out / len(self.roots)).astype(np.float32)

    def _leaves(self, matrix: Array, root: int) -> Array:
        """The leaf that each row (n, columns) ends in; rows that have arrived are not looked at again."""
        import numpy as np

        arrived = np.full(len(matrix), root, dtype=np.int32)
        moving, node = np.arange(len(matrix)), arrived
        while len(moving):
            goes_left = matrix[moving, self.feature[node]] <= self.threshold[node]
            before, node = node, self.child[node, goes_left.astype(np.int8)]
            still = node != before
            arrived[moving] = node
            moving, node = moving[still], node[still]
        return arrived

    def save(self, folder: Path) -> None:
        import numpy as np

        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / "extra_trees.npz", child=self.child, feature=self.feature,
                            threshold=self.threshold, value=self.value, roots=self.roots)


def load(folder: Path) -> Fitted:
    import numpy as np

    with np.load(folder / "extra_trees.npz", allow_pickle=False) as saved:
        return ExtraTrees(saved["child"], saved["feature"], saved["threshold"], saved["value"], saved["roots"],
                          len(saved["roots"]))


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Grow the trees in blocks, so that the fit can be followed and stopped between them."""
    from sklearn.ensemble import ExtraTreesClassifier

    total = int(str(params["trees"]))
    forest = ExtraTreesClassifier(
        n_estimators=0, criterion="entropy", min_samples_leaf=params["min_samples_leaf"],
        max_features=params["max_features"], n_jobs=job.threads, random_state=job.seed % 2**32, warm_start=True)
    matrix = _matrix(problem.train)
    while True:
        forest.n_estimators = min(total, forest.n_estimators + TREES_PER_BLOCK)
        forest.fit(matrix, problem.train.target, sample_weight=problem.train.weight)
        fitted = _from_forest(forest)
        watch(fitted.steps, fitted.predict(problem.valid))
        if fitted.steps == total:
            return fitted


def _from_forest(forest: Any) -> ExtraTrees:
    import numpy as np

    trees = [estimator.tree_ for estimator in forest.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    children = []
    for root, tree in zip(roots, trees, strict=True):
        own = np.arange(tree.node_count)
        child = np.stack([tree.children_right, tree.children_left], axis=1)
        children.append(root + np.where(child < 0, own[:, None], child))
    values = np.concatenate([tree.value[:, 0, :] for tree in trees])
    exact = np.concatenate([tree.threshold for tree in trees])
    # scikit-learn compares float32 features with float64 thresholds; the float32 below each decides the same.
    threshold = exact.astype(np.float32)
    threshold = np.where(threshold > exact, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    return ExtraTrees(
        np.concatenate(children).astype(np.int32),
        np.maximum(np.concatenate([tree.feature for tree in trees]), 0).astype(np.int32), threshold,
        (values / values.sum(axis=1, keepdims=True)).astype(np.float32), roots, len(trees))


def _matrix(rows: Rows) -> Array:
    import numpy as np

    return np.hstack([rows.numbers, rows.categories.astype(np.float32)]) if rows.categories.shape[1] else rows.numbers
