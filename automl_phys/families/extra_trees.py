"""Family ``extra_trees``: extremely randomised trees (scikit-learn), for the diversity of an ensemble.

Of amounts the trees predict mean and mean square, hence an uncertainty of each row: what the trees disagree by, and
what is left in their leaves. More than ``MOST_ROWS`` rows are not looked at: they are taken evenly. The saved model is
the arrays of its trees; prediction walks them in NumPy, so that no pickle is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys.contracts import Fitted
from automl_phys.facts import COLUMNS, Facts, Range, only_kind
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.onnx_rows import OnnxRows
    from automl_phys.table import Rows, TableProblem
    from automl_phys.values import Array

SOLVES = frozenset({"classify", "regress"})
NEEDS = ("sklearn",)
TEXT = "randomised trees: errors unlike those of the other families"

TREES_PER_BLOCK = 50
ROWS_PER_CHUNK = 50_000
MOST_ROWS = 500_000
LEAST_SIGMA = 1e-4
"""Of the target's standard deviation: an uncertainty is never 0."""


def skip(facts: Facts) -> str | None:
    return only_kind(facts, *COLUMNS)


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, the rows, and 300 trees of up to two nodes for each leaf's worth of rows."""
    rows = min(MOST_ROWS, facts.rows.get("train", 0))
    nodes = 300 * 2 * rows / 4
    columns = facts.sizes["numbers"] + facts.sizes.get("columns", 0)
    return 400 + round((rows * columns * 4 + nodes * (64 + 8 * facts.sizes["outputs"])) / 1e6)


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
    leaf is its own child and has its class shares in ``value[i]``, or for each amount, standardised by ``centre`` and
    ``width`` (t,), mean and mean square. ``roots`` are the trees' first nodes. ``stretch`` (t,) is what uncertainties
    are multiplied by.
    """

    child: Array
    feature: Array
    threshold: Array
    value: Array
    roots: Array
    centre: Array
    width: Array
    stretch: Array
    steps: int
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, rows: Rows) -> Array:
        """Class probabilities (n, classes), or value and uncertainty (n, t, 2), float32: means over the trees."""
        import numpy as np

        return np.concatenate([self._block(block) for block in rows.blocks(ROWS_PER_CHUNK)])

    def _block(self, rows: Rows) -> Array:
        import numpy as np

        matrix = _matrix(rows)
        out = np.zeros((len(matrix), self.value.shape[1]), dtype=np.float64)
        for root in self.roots:
            out += self.value[self._leaves(matrix, root)]
        out /= len(self.roots)
        if not self.centre.size:
            return out.astype(np.float32)
        mean, square = out[:, ::2], out[:, 1::2]
        sigma = np.sqrt(np.maximum(square - mean**2, LEAST_SIGMA**2))
        return np.stack([self.centre + self.width * mean, self.width * self.stretch * sigma], axis=2).astype(np.float32)

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

    def write_onnx(self, rows: OnnxRows) -> str:
        """The nodes of :meth:`predict`."""
        import numpy as np

        from automl_phys import onnx_trees

        graph, each = rows.graph, np.arange(len(self.child))
        tree = np.searchsorted(self.roots, each, "right") - 1
        leaf = self.child[:, 0] == each
        above, below = (np.where(leaf, -1, self.child[:, side] - self.roots[tree]) for side in (0, 1))
        matrix = rows.columns()
        if rows.categories:
            matrix = graph.concatenate([matrix, graph.cast(rows.categories, np.float32)])
        nodes = onnx_trees.Nodes(tree, self.feature, self.threshold, below, above, self.value / len(self.roots),
                                 self.value.shape[1], np.zeros_like(tree))
        out = graph.cast(onnx_trees.total(rows, matrix, nodes), np.float64)
        if not self.centre.size:
            return graph.cast(out, np.float32)
        t = len(self.centre)
        mean, square = (graph.columns(out, range(k, 2 * t, 2)) for k in (0, 1))
        variance = graph.add("Max", graph.add("Sub", square, graph.add("Mul", mean, mean)),
                             graph.constant([[LEAST_SIGMA**2]], np.float64))
        value = graph.add("Add", graph.add("Mul", mean, graph.constant([self.width], np.float64)),
                          graph.constant([self.centre], np.float64))
        sigma = graph.add("Mul", graph.add("Sqrt", variance), graph.constant([self.width * self.stretch], np.float64))
        axis = graph.constant([2], np.int64)
        return graph.cast(graph.concatenate([graph.add("Unsqueeze", one, axis) for one in (value, sigma)], 2),
                          np.float32)

    def save(self, folder: Path) -> None:
        import numpy as np

        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / "extra_trees.npz", child=self.child, feature=self.feature,
                            threshold=self.threshold, value=self.value, roots=self.roots, centre=self.centre,
                            width=self.width, stretch=self.stretch)


def load(folder: Path) -> Fitted:
    import numpy as np

    with np.load(folder / "extra_trees.npz", allow_pickle=False) as saved:
        return ExtraTrees(saved["child"], saved["feature"], saved["threshold"], saved["value"], saved["roots"],
                          saved["centre"], saved["width"], saved["stretch"], len(saved["roots"]))


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Grow the trees in blocks, so that the fit can be followed and stopped between them."""
    import numpy as np
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    train = problem.train.take(slice(None, None, -(-len(problem.train) // MOST_ROWS)))
    total = int(str(params["trees"]))
    settings: Any = {
        "n_estimators": 0, "min_samples_leaf": params["min_samples_leaf"], "max_features": params["max_features"],
        "n_jobs": job.threads, "random_state": job.seed % 2**32, "warm_start": True}
    centre = width = np.empty(0)
    target = train.target
    if problem.schema.classes:
        forest = ExtraTreesClassifier(criterion="entropy", **settings)
    else:
        forest = ExtraTreesRegressor(**settings)
        centre = np.average(target, axis=0, weights=train.fit_weight)
        width = np.sqrt(np.average((target - centre) ** 2, axis=0, weights=train.fit_weight))
        width = np.where(width > 0, width, 1.0)
        target = ((target - centre) / width).astype(np.float64)
    matrix = _matrix(train)
    while True:
        forest.n_estimators = min(total, forest.n_estimators + TREES_PER_BLOCK)
        forest.fit(matrix, target if target.shape[1:] != (1,) else target[:, 0], sample_weight=train.fit_weight)
        fitted = _from_forest(forest, centre, width)
        if centre.size and fitted.steps == total:
            fitted = replace(fitted, stretch=_stretch(fitted, problem.valid))
        watch(fitted.steps, fitted.predict(problem.valid))
        if fitted.steps == total:
            return fitted


def _stretch(fitted: ExtraTrees, valid: Rows) -> Array:
    """The root mean square of the pulls (t,) on the validation rows: a leaf's spread is that of single trees, which
    their mean does not have."""
    import numpy as np

    value, sigma = np.moveaxis(fitted.predict(valid).astype(np.float64), 2, 0)
    pulls = np.average(((value - valid.target) / sigma) ** 2, axis=0, weights=valid.fit_weight)
    return np.sqrt(np.maximum(pulls, LEAST_SIGMA**2))


def _from_forest(forest: Any, centre: Array, width: Array) -> ExtraTrees:
    import numpy as np

    trees = [estimator.tree_ for estimator in forest.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    children = []
    for root, tree in zip(roots, trees, strict=True):
        own = np.arange(tree.node_count)
        child = np.stack([tree.children_right, tree.children_left], axis=1)
        children.append(root + np.where(child < 0, own[:, None], child))
    values = np.concatenate([_leaf_values(tree, bool(centre.size)) for tree in trees])
    exact = np.concatenate([tree.threshold for tree in trees])
    # scikit-learn compares float32 features with float64 thresholds; the float32 below each decides the same.
    threshold = exact.astype(np.float32)
    threshold = np.where(threshold > exact, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    return ExtraTrees(
        np.concatenate(children).astype(np.int32),
        np.maximum(np.concatenate([tree.feature for tree in trees]), 0).astype(np.int32), threshold,
        values.astype(np.float32), roots, centre, width, np.ones(len(centre)), len(trees))


def _leaf_values(tree: Any, amounts: bool) -> Array:
    """The class shares of each node, or mean and mean square of each amount: variance is the impurity of a node, which
    several amounts share evenly."""
    import numpy as np

    if not amounts:
        values = tree.value[:, 0, :]
        return np.asarray(values / values.sum(axis=1, keepdims=True))
    mean = tree.value[:, :, 0]
    return np.stack([mean, mean**2 + tree.impurity[:, None]], axis=2).reshape(len(mean), -1)


def _matrix(rows: Rows) -> Array:
    import numpy as np

    return np.hstack([rows.columns, rows.categories.astype(np.float32)]) if rows.categories.shape[1] else rows.columns
